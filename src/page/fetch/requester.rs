//! Requests for the pages of a listing: one prepared request, to which each window adds its parameters.

use std::sync::Arc;
use std::time::Duration;

use futures_core::future::BoxFuture;
use tokio::time::{Instant, sleep};

use crate::cursor::Fingerprint;
use crate::error::{CallContext, Error, ErrorKind, Result};
use crate::observe::WaitReason;
use crate::page::{InvalidRecord, ListPage, Paginate, Window};
use crate::request::Request;
use crate::transport::{CallOptions, Flight, Transport};

/// The wait after a transient error, unless the server sends one; doubled with each error in a row.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The minimum wait from the second error in a row on, doubled with each up to `PAUSE`. Without it, a server that keeps
/// failing and asks for no wait would be polled in a hot loop.
const FLOOR: Duration = Duration::from_millis(100);

/// Returns how long to wait after `errors` errors in a row.
fn pause(errors: u32, retry_after: Option<Duration>) -> Duration {
    let doubled = |least: Duration, times: u32| least.saturating_mul(1 << times.min(6));
    match retry_after {
        None => doubled(PAUSE, errors.saturating_sub(1)).min(LONGEST_PAUSE),
        Some(wait) if errors < 2 => wait,
        Some(wait) => wait.max(doubled(FLOOR, errors - 2).min(PAUSE)),
    }
}

/// Which errors a scan tolerates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ErrorTolerance {
    /// How many transient errors in a row, or `None` for any number.
    pub(crate) errors: Option<u32>,
    /// For how long a 401 or 403 counts as transient after a page has succeeded. `None` for the default of the API.
    pub(crate) auth_grace: Option<Duration>,
}

impl Default for ErrorTolerance {
    fn default() -> Self {
        Self { errors: Some(30), auth_grace: None }
    }
}

/// A page request in flight.
pub(crate) type PageRequest<T> = BoxFuture<'static, Result<ListPage<Result<T, InvalidRecord>>>>;

/// Requests windows of one listing, after a wait if the last request failed.
pub(crate) struct Requester<Q: Paginate> {
    pub(crate) transport: Transport,
    pub(crate) query: Q,
    options: CallOptions,
    /// The request without a window.
    request: Request<ListPage<Result<Q::Item, InvalidRecord>>>,
    pub(crate) call: CallContext,
    error_tolerance: ErrorTolerance,
    errors_in_a_row: u32,
    /// Whether a page has succeeded.
    has_succeeded: bool,
    /// Since when the server has rejected the credentials, after a page had succeeded.
    rejected_since: Option<Instant>,
    /// The wait that the server asked for.
    retry_after: Option<Duration>,
    /// A wait before the next page, although the last one succeeded.
    pause: Option<Duration>,
}

impl<Q: Paginate> Requester<Q> {
    pub(crate) fn new(
        transport: Transport,
        query: Q,
        options: CallOptions,
        limit: u32,
        error_tolerance: ErrorTolerance,
    ) -> Self {
        let request = request(&query, limit);
        let call = request.operation(transport.api());
        Self {
            transport,
            query,
            options,
            request,
            call,
            error_tolerance,
            errors_in_a_row: 0,
            has_succeeded: false,
            rejected_since: None,
            retry_after: None,
            pause: None,
        }
    }

    /// Returns the identity of the listing.
    pub(crate) fn listing(&self) -> Result<Fingerprint> {
        Fingerprint::of(self.transport.base().origin(), &self.request)
    }

    /// Requests a window.
    pub(crate) fn request(&self, window: Window, flight: Arc<Flight>) -> PageRequest<Q::Item> {
        let options = CallOptions { flight: Some(flight), ..self.options.clone() };
        let request = self.query.window(self.request.clone(), window).with_page_size(window.limit);
        let transport = self.transport.clone();
        let pause = self.is_failing().then(|| pause(self.errors_in_a_row, self.retry_after)).or(self.pause);
        let waits = pause.map(|wait| (self.call.clone(), wait));
        Box::pin(async move {
            if let Some((call, wait)) = waits {
                transport.waiting(&call, WaitReason::Poll, wait);
                sleep(wait).await;
            }
            transport.send(&request, &options).await.map(|it| it.value)
        })
    }

    /// Waits before the next page is requested.
    pub(crate) fn pause_once(&mut self, wait: Duration) {
        self.pause = Some(wait);
    }

    /// Notes a page. Returns whether the request before it failed.
    pub(crate) fn note_success(&mut self) -> bool {
        let failed = self.is_failing();
        self.errors_in_a_row = 0;
        self.has_succeeded = true;
        self.rejected_since = None;
        self.retry_after = None;
        self.pause = None;
        failed
    }

    /// Notes an error, and returns it as the scan yields it: transient if the scan continues, and not if it ends.
    pub(crate) fn note_error(&mut self, error: Error) -> Error {
        self.errors_in_a_row = self.errors_in_a_row.saturating_add(1);
        self.retry_after = error.retry_after();
        let transient = error.is_transient() || self.is_in_auth_grace(&error);
        if transient && self.error_tolerance.errors.is_some_and(|most| self.errors_in_a_row >= most) {
            let note =
                format!(" (error {} in a row, the limit of this scan: resume from the cursor)", self.errors_in_a_row);
            return error.noting(&note).with_transient(false);
        }
        error.with_transient(transient)
    }

    /// Returns whether credentials that were accepted before and are rejected now may be accepted again: some servers
    /// reject all credentials while they can't look them up.
    fn is_in_auth_grace(&mut self, error: &Error) -> bool {
        if !self.has_succeeded || !matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Forbidden) {
            return false;
        }
        let since = *self.rejected_since.get_or_insert_with(Instant::now);
        since.elapsed() < self.error_tolerance.auth_grace.unwrap_or_else(|| self.transport.auth_grace())
    }

    /// Returns whether the last request failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.errors_in_a_row > 0
    }
}

/// Returns the request for a listing without a window. It is invalid if the API doesn't take the page size.
pub(in crate::page) fn request<Q: Paginate>(
    query: &Q,
    limit: u32,
) -> Request<ListPage<Result<Q::Item, InvalidRecord>>> {
    let request = query.request();
    let request = match query.page_sizes().largest {
        _ if limit == 0 => request.invalid("the page size is 0: set at least 1"),
        Some(largest) if limit > largest => {
            request.invalid(format!("the page size {limit} exceeds the maximum of this API, {largest}"))
        }
        _ => request,
    };
    request.page_of::<Q>()
}

impl<T> Request<T> {
    /// Decodes the response body as a page of the listing `Q`, as [`page`](Self::page) does. A record with a field that
    /// doesn't fit is decoded without it, if the listing [keeps](Paginate::omit) such fields.
    pub fn page_of<Q: Paginate>(self) -> Request<ListPage<Result<Q::Item, InvalidRecord>>> {
        self.read_by(|response, reader| crate::request::page::<Q::Envelope, Q::Item>(response, reader, Q::omit))
    }
}
