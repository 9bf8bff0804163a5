//! The walk, carried out: pages and items as streams.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_util::StreamExt;
use tokio::time::sleep;

use super::listing::ask;
use super::walk::{End, Walk};
use super::{Entry, Identity, Listed, Page, Paginate};
use crate::error::{ApiError, Error, ErrorKind, Result};
use crate::transport::{CallOptions, Transport};

/// A stream is polled again after an error that may pass, and then waits this long unless the server says otherwise;
/// doubled with each error in a row.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How much of a listing is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) start: u64,
    pub(super) limit: u32,
    pub(super) max_items: Option<u64>,
    pub(super) max_pages: Option<u64>,
}

/// Reads a listing page by page, by the rules of [the module](crate::page).
///
/// Each page holds the records that are new since the page before. Made by [`Listing::pages`](super::Listing::pages);
/// lazy, and the connection is idle between polls.
#[must_use = "streams do nothing unless polled"]
pub struct Pages<Q: Paginate> {
    transport: Transport,
    query: Q,
    options: CallOptions,
    extent: Extent,
    walk: Walk,
    state: State<Q::Item>,
    errors_in_a_row: u32,
    items: u64,
    pages: u64,
}

/// A page on its way.
type Asked<T> = BoxFuture<'static, Result<Listed<Entry<T>>>>;

enum State<T> {
    /// Nothing under way.
    Idle,
    /// The request that `walk.window()` names, after a pause if there was an error.
    Asking(Asked<T>),
    Ended,
}

impl<Q: Paginate> Pages<Q> {
    pub(super) fn new(transport: Transport, query: Q, options: CallOptions, extent: Extent) -> Self {
        let walk = Walk::new(extent.start, extent.limit, query.total());
        Self { transport, query, options, extent, walk, state: State::Idle, errors_in_a_row: 0, items: 0, pages: 0 }
    }

    /// The next page. `None` at the end.
    ///
    /// # Errors
    ///
    /// What kept the page from being read. After an error that [may pass](Error::is_transient), calling again asks for
    /// the same page, after a wait; after any other the stream has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the request goes on when it is called again.
    pub async fn next(&mut self) -> Option<Result<Page<Q::Item>>> {
        StreamExt::next(self).await
    }

    /// The next request, or how the reading ended.
    fn ask(&self) -> Result<Asked<Q::Item>, Option<End>> {
        if self.is_full() {
            return Err(None);
        }
        let request = ask(&self.query, self.walk.window().map_err(Some)?);
        let transport = self.transport.clone();
        let options = self.options;
        let errors = self.errors_in_a_row;
        Ok(Box::pin(async move {
            if errors > 0 {
                sleep(PAUSE.saturating_mul(1 << (errors - 1).min(6)).min(LONGEST_PAUSE)).await;
            }
            transport.send(&request, options).await
        }))
    }

    /// What of an answer is new, as a page.
    fn take(&mut self, mut listed: Listed<Entry<Q::Item>>) -> Option<Page<Q::Item>> {
        let window = self.walk.window().ok()?;
        let ids: Vec<Identity> = listed
            .records
            .iter()
            .map(|entry| match entry {
                Entry::Record(record) => Q::identity(record),
                Entry::Unreadable(record) => Identity::of_raw(record.raw()),
            })
            .collect();
        let give = self.walk.observe(&ids, listed.total);
        let mut give = give.into_iter();
        listed.records.retain(|_| give.next().unwrap_or(false));
        if let Some(most) = self.extent.max_items {
            let room = most.saturating_sub(self.items);
            listed.records.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        }
        self.items += listed.records.len() as u64;
        if listed.records.is_empty() && listed.errors.is_empty() {
            return None;
        }
        self.pages += 1;
        Some(Page::of(window, listed, self.query.total()))
    }

    fn is_full(&self) -> bool {
        self.extent.max_items.is_some_and(|most| self.items >= most)
            || self.extent.max_pages.is_some_and(|most| self.pages >= most)
    }
}

impl<Q: Paginate> Stream for Pages<Q> {
    type Item = Result<Page<Q::Item>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::Ended => return Poll::Ready(None),
                State::Idle => match this.ask() {
                    Ok(request) => this.state = State::Asking(request),
                    Err(end) => {
                        this.state = State::Ended;
                        if let Some(error) = end.and_then(truncated) {
                            return Poll::Ready(Some(Err(error)));
                        }
                    }
                },
                State::Asking(request) => {
                    let answer = ready!(request.as_mut().poll(cx));
                    this.state = State::Idle;
                    match answer {
                        Ok(listed) => {
                            this.errors_in_a_row = 0;
                            if let Some(page) = this.take(listed) {
                                return Poll::Ready(Some(Ok(page)));
                            }
                        }
                        Err(error) => {
                            this.errors_in_a_row += 1;
                            if !error.is_transient() {
                                this.state = State::Ended;
                            }
                            return Poll::Ready(Some(Err(error)));
                        }
                    }
                }
            }
        }
    }
}

fn truncated(end: End) -> Option<Error> {
    let why = match end {
        End::Proved | End::Unproved => return None,
        End::Lost => "the place in it could not be found again",
        End::Emptied => "it was emptied while it was read",
    };
    Some(Error::new(ErrorKind::Truncated, format!("the listing was not read to its end: {why}")))
}

impl<Q: Paginate> fmt::Debug for Pages<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages")
            .field("query", &self.query)
            .field("items", &self.items)
            .field("pages", &self.pages)
            .finish_non_exhaustive()
    }
}

/// Reads a listing record by record, by the rules of [the module](crate::page).
///
/// A record that can't be read is an `Err` that [says so](Error::is_record), and the next one comes after it. An adaptor
/// that ends at the first error (`try_next`, `try_collect`) ends there too: see [`or_raw`](Self::or_raw).
///
/// Made by [`Listing::items`](super::Listing::items); lazy, and a page is asked for when the one before is used up.
#[must_use = "streams do nothing unless polled"]
pub struct Items<Q: Paginate> {
    entries: Entries<Q>,
}

impl<Q: Paginate> Items<Q> {
    pub(super) fn new(pages: Pages<Q>) -> Self {
        Self { entries: Entries { pages, ready: VecDeque::new() } }
    }

    /// The same records, with one that can't be read as a value of its own, and not as an error.
    ///
    /// ```
    /// # #[cfg(feature = "testing")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// use actionlog::{Entry, UnleashClient, testing::World};
    /// use futures_util::TryStreamExt;
    ///
    /// let world = World::new();
    /// world.unleash().add_sample_events("default", 7, 2).add_raw("default", 7, r#"{"id": 9}"#);
    /// let client = UnleashClient::builder("http://localhost").api_key("any").exchange(world.exchange()).build()?;
    ///
    /// let mut entries = client.action_set_events().list(("default", 7)).items().or_raw();
    /// let (mut records, mut unreadable) = (0, Vec::new());
    /// while let Some(entry) = entries.try_next().await? {
    ///     match entry {
    ///         Entry::Record(_) => records += 1,
    ///         Entry::Unreadable(record) => unreadable.push(record.raw().to_string()),
    ///     }
    /// }
    /// assert_eq!((records, unreadable), (2, vec![r#"{"id": 9}"#.to_owned()]));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "testing"))] fn main() {}
    /// ```
    pub fn or_raw(self) -> Entries<Q> {
        self.entries
    }

    /// The next record. `None` at the end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Record`] for a record that can't be read, [`ErrorKind::Partial`] where the server gave errors
    /// beside records; the stream goes on after both. Otherwise what kept the next page from being read: after an error
    /// that [may pass](Error::is_transient), calling again asks anew, after a wait; after any other the stream has
    /// ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the request goes on when it is called again.
    pub async fn next(&mut self) -> Option<Result<Q::Item>> {
        StreamExt::next(self).await
    }
}

impl<Q: Paginate> Stream for Items<Q> {
    type Item = Result<Q::Item>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let entry = ready!(self.entries.poll_next_unpin(cx));
        Poll::Ready(entry.map(|entry| entry.and_then(Entry::into_result)))
    }
}

impl<Q: Paginate> fmt::Debug for Items<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").field("entries", &self.entries).finish()
    }
}

/// Reads a listing record by record, with what can't be read as a value: see [`Items::or_raw`].
#[must_use = "streams do nothing unless polled"]
pub struct Entries<Q: Paginate> {
    pages: Pages<Q>,
    ready: VecDeque<Result<Entry<Q::Item>>>,
}

impl<Q: Paginate> Entries<Q> {
    /// The next record, or what came in a record's place. `None` at the end.
    ///
    /// # Errors
    ///
    /// As [`Items::next`], but for unreadable records, which are none here.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the request goes on when it is called again.
    pub async fn next(&mut self) -> Option<Result<Entry<Q::Item>>> {
        StreamExt::next(self).await
    }
}

impl<Q: Paginate> Stream for Entries<Q> {
    type Item = Result<Entry<Q::Item>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(entry) = this.ready.pop_front() {
                return Poll::Ready(Some(entry));
            }
            match ready!(this.pages.poll_next_unpin(cx)) {
                Some(Ok(page)) => {
                    this.ready.extend(page.entries.into_iter().map(Ok));
                    if !page.errors.is_empty() {
                        let error = Error::new(ErrorKind::Partial, "the server gave errors beside the records")
                            .with_api(Some(ApiError::first_of(page.errors)));
                        this.ready.push_back(Err(error));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl<Q: Paginate> fmt::Debug for Entries<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries").field("pages", &self.pages).field("ready", &self.ready.len()).finish()
    }
}
