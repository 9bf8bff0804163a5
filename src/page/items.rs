//! A listing as a stream of records.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_util::StreamExt;

use super::cursor::Cursor;
use super::pages::{Given, Pages, SummaryHandle};
use super::summary::Summary;
use super::{Entry, Paginate, PartRead};
use crate::error::{ApiError, Error, ErrorKind, Result};

/// Reads a listing record by record, by the rules of [the module](crate::page).
///
/// A record that can't be read is an `Err` that [says so](Error::is_record), and the next one comes after it. An adaptor
/// that ends at the first error (`try_next`, `try_collect`) ends there too: see [`or_raw`](Self::or_raw).
///
/// Made by [`Listing::items`](super::Listing::items); lazy: nothing is asked for until it's polled, and then no more pages
/// are under way than [`prefetch`](super::Listing::prefetch) says.
#[must_use = "streams do nothing unless polled"]
pub struct Items<Q: Paginate> {
    entries: Entries<Q>,
}

impl<Q: Paginate> Items<Q> {
    pub(super) fn new(pages: Pages<Q>) -> Self {
        Self { entries: Entries { pages, ready: VecDeque::new(), errors: Vec::new() } }
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

    /// The same records, each with the place behind it: what was done with a record can be stored together with where to
    /// go on. Safe with adaptors that read ahead of what is done (`chunks`, `buffered`), as the place travels along.
    ///
    /// The place behind a record that can't be read is in its error; [`or_raw`](WithCursor::or_raw) yields it as a value,
    /// with its cursor.
    pub fn with_cursor(self) -> WithCursor<Q> {
        WithCursor { items: self }
    }

    /// A handle to how the reading goes, which stays when the stream is given to an adaptor.
    ///
    /// ```
    /// # #[cfg(feature = "testing")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// use actionlog::{UnleashClient, testing::World};
    /// use futures_util::TryStreamExt;
    ///
    /// let world = World::new();
    /// world.unleash().add_sample_events("default", 7, 120);
    /// let client = UnleashClient::builder("http://localhost").api_key("any").exchange(world.exchange()).build()?;
    ///
    /// let (events, summary) = client.action_set_events().list(("default", 7)).items().summarised();
    /// let ids: Vec<_> = events.map_ok(|it| it.id).try_collect().await?;
    /// assert_eq!(summary.get().seen, ids.len() as u64);
    /// println!("{}", summary.get().verdict);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "testing"))] fn main() {}
    /// ```
    pub fn summarised(mut self) -> (Self, SummaryHandle) {
        let handle = self.entries.pages.handle();
        (self, handle)
    }

    /// The cursor behind the record that was yielded last. `None` if the query can't be asked for.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.entries.cursor()
    }

    /// For a [part](super::Listing::part) of a listing: what its reading came to so far, for [`merge`](super::merge).
    pub fn part_read(&self) -> Option<PartRead> {
        self.entries.part_read()
    }

    /// How the reading went so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.entries.summary()
    }

    /// The next record. `None` at the end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Record`] for a record that can't be read, [`ErrorKind::Partial`] where the server gave errors
    /// beside records; the stream goes on after both. Otherwise what kept the next page from being read: after an error
    /// that [may pass](Error::is_transient), calling again asks anew, after a wait inside of the call: as long as the
    /// error [says](Error::retry_after), or else 1 s, doubled with each error in a row up to 30 s. After any other, and
    /// after [too many in a row](super::Listing::max_consecutive_errors), the stream has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the request goes on when it is called again.
    pub async fn next(&mut self) -> Option<Result<Q::Item>> {
        StreamExt::next(self).await
    }

    /// [`next`](Self::next), for `while let Some(record) = items.try_next().await?`. `Ok(None)` at the end.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next); the stream goes on after those that it goes on after there.
    pub async fn try_next(&mut self) -> Result<Option<Q::Item>> {
        self.next().await.transpose()
    }
}

impl<Q: Paginate> Stream for Items<Q> {
    type Item = Result<Q::Item>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let entry = ready!(self.entries.poll_next_unpin(cx));
        Poll::Ready(entry.map(|entry| match entry?.into_result() {
            Ok(record) => Ok(record),
            Err(error) => Err(self.entries.pages.with_cursor(error)),
        }))
    }
}

impl<Q: Paginate> fmt::Debug for Items<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").field("entries", &self.entries).finish()
    }
}

/// Records, each with the place behind it: see [`Items::with_cursor`].
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct WithCursor<Q: Paginate> {
    items: Items<Q>,
}

impl<Q: Paginate> WithCursor<Q> {
    /// The next record, and the place behind it. `None` at the end.
    ///
    /// # Errors
    ///
    /// As [`Items::next`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the request goes on when it is called again.
    pub async fn next(&mut self) -> Option<Result<(Q::Item, Cursor)>> {
        StreamExt::next(self).await
    }

    /// [`next`](Self::next), for `while let Some((record, cursor)) = records.try_next().await?`. `Ok(None)` at the end.
    ///
    /// # Errors
    ///
    /// As [`Items::next`].
    pub async fn try_next(&mut self) -> Result<Option<(Q::Item, Cursor)>> {
        self.next().await.transpose()
    }

    /// The same records and cursors, with an unreadable record as a value, and not as an error.
    pub fn or_raw(self) -> EntriesWithCursor<Q> {
        self.items.or_raw().with_cursor()
    }

    /// For a [part](super::Listing::part) of a listing: what its reading came to so far, for [`merge`](super::merge). To be
    /// stored along with the cursor, so that a job that dies loses neither.
    pub fn part_read(&self) -> Option<PartRead> {
        self.items.part_read()
    }

    /// How the reading went so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.items.summary()
    }
}

impl<Q: Paginate> Stream for WithCursor<Q> {
    type Item = Result<(Q::Item, Cursor)>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(self.items.poll_next_unpin(cx));
        Poll::Ready(item.map(|item| item.and_then(|item| Ok((item, behind(self.items.cursor())?)))))
    }
}

/// The cursor behind a record. There is one wherever a record came from.
fn behind(cursor: Option<Cursor>) -> Result<Cursor> {
    cursor.ok_or_else(|| Error::new(ErrorKind::InvalidRequest, "no place"))
}

/// Records, and unreadable records as values, each with the cursor behind it: see [`Entries::with_cursor`].
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct EntriesWithCursor<Q: Paginate> {
    entries: Entries<Q>,
}

impl<Q: Paginate> EntriesWithCursor<Q> {
    /// The next record, or the unreadable one in its place, and the cursor behind it. `None` at the end.
    ///
    /// # Errors
    ///
    /// As [`Entries::next`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the request goes on when it is called again.
    pub async fn next(&mut self) -> Option<Result<(Entry<Q::Item>, Cursor)>> {
        StreamExt::next(self).await
    }

    /// [`next`](Self::next), for `while let Some((entry, cursor)) = entries.try_next().await?`. `Ok(None)` at the end.
    ///
    /// # Errors
    ///
    /// As [`Entries::next`].
    pub async fn try_next(&mut self) -> Result<Option<(Entry<Q::Item>, Cursor)>> {
        self.next().await.transpose()
    }

    /// For a [part](super::Listing::part) of a listing: what its reading came to so far, for [`merge`](super::merge).
    pub fn part_read(&self) -> Option<PartRead> {
        self.entries.part_read()
    }

    /// How the reading went so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.entries.summary()
    }
}

impl<Q: Paginate> Stream for EntriesWithCursor<Q> {
    type Item = Result<(Entry<Q::Item>, Cursor)>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let entry = ready!(self.entries.poll_next_unpin(cx));
        Poll::Ready(entry.map(|entry| Ok((entry?, behind(self.entries.cursor())?))))
    }
}

/// Reads a listing record by record, with what can't be read as a value: see [`Items::or_raw`].
#[must_use = "streams do nothing unless polled"]
pub struct Entries<Q: Paginate> {
    pages: Pages<Q>,
    ready: VecDeque<Given<Q::Item>>,
    /// The server's own errors, told behind the records that they came with.
    errors: Vec<ApiError>,
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

    /// [`next`](Self::next), for `while let Some(entry) = entries.try_next().await?`. `Ok(None)` at the end.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub async fn try_next(&mut self) -> Result<Option<Entry<Q::Item>>> {
        self.next().await.transpose()
    }

    /// The same, each with the cursor behind it: unreadable records too have a place to go on from.
    ///
    /// ```
    /// # #[cfg(feature = "testing")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// use actionlog::{Entry, UnleashClient, testing::World};
    ///
    /// let world = World::new();
    /// world.unleash().add_sample_events("default", 7, 2).add_raw("default", 7, r#"{"id": 9}"#);
    /// let client = UnleashClient::builder("http://localhost").api_key("any").exchange(world.exchange()).build()?;
    ///
    /// let mut entries = client.action_set_events().list(("default", 7)).items().or_raw().with_cursor();
    /// while let Some((entry, cursor)) = entries.try_next().await? {
    ///     match entry {
    ///         Entry::Record(event) => println!("{}", event.id),
    ///         Entry::Unreadable(record) => eprintln!("put aside: {}", record.raw()),
    ///     }
    ///     // Store `cursor` now: both kinds are done with.
    ///     assert!(cursor.seen() > 0);
    /// }
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "testing"))] fn main() {}
    /// ```
    pub fn with_cursor(self) -> EntriesWithCursor<Q> {
        EntriesWithCursor { entries: self }
    }

    /// The place behind what was given last. `None` if the query can't be asked for.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.pages.cursor()
    }

    /// For a [part](super::Listing::part) of a listing: what its reading came to so far, for [`merge`](super::merge).
    pub fn part_read(&self) -> Option<PartRead> {
        self.pages.part_read()
    }

    /// How the reading went so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.pages.summary()
    }

    fn poll_entry(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Entry<Q::Item>>>> {
        loop {
            while let Some(given) = self.ready.pop_front() {
                if let Some(entry) = self.pages.give(given) {
                    return Poll::Ready(Some(Ok(entry)));
                }
            }
            if !self.errors.is_empty() {
                let errors = std::mem::take(&mut self.errors);
                let error = Error::new(ErrorKind::Partial, "the server gave errors beside the records")
                    .with_api(Some(ApiError::first_of(errors)));
                return Poll::Ready(Some(Err(self.pages.with_cursor(error))));
            }
            match ready!(self.pages.poll_batch(cx)) {
                Some(Ok(batch)) => {
                    self.ready = batch.records.into();
                    self.errors = batch.errors;
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl<Q: Paginate> Stream for Entries<Q> {
    type Item = Result<Entry<Q::Item>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let entry = ready!(self.poll_entry(cx));
        self.pages.report();
        Poll::Ready(entry)
    }
}

impl<Q: Paginate> fmt::Debug for Entries<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries").field("pages", &self.pages).field("ready", &self.ready.len()).finish()
    }
}
