//! The requests of a scan: one for each page that it wants, and those that it prefetches.

mod pace;
pub(crate) mod prefetch;
pub(crate) mod requester;

use std::sync::Arc;

use crate::page::fetch::prefetch::{PrefetchHint, Prefetcher};
use crate::page::fetch::requester::{PageRequest, Requester};
use crate::page::{InvalidRecord, ListPage, Paginate, Window};

/// Requests a window, unless it was prefetched, and prefetches the windows behind it. `predict` learns whether the
/// window was prefetched, and returns which windows are likely to be next, and how many of them are wanted.
pub(crate) fn fetch<Q: Paginate>(
    requester: &Requester<Q>,
    prefetcher: &mut Prefetcher<ListPage<Result<Q::Item, InvalidRecord>>>,
    window: Window,
    predict: impl FnOnce(bool) -> Option<(PrefetchHint, u64)>,
) -> PageRequest<Q::Item> {
    if requester.is_failing() {
        // Only the page that failed is requested again. The prefetched pages behind it stay.
        predict(false);
        return requester.request(window, Arc::default());
    }
    let early = prefetcher.take(window);
    if let Some((hint, windows)) = predict(early.is_some()) {
        prefetcher.prefetch(window, hint, windows, |window, flight| requester.request(window, flight));
    }
    match early {
        Some(task) => Box::pin(task),
        None => prefetcher.timed(|flight| requester.request(window, flight)),
    }
}
