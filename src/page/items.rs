//! A listing as a stream of records.

use std::collections::VecDeque;
use std::fmt;
use std::iter;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_util::StreamExt;

use crate::cursor::Cursor;
use crate::error::{ApiError, Error, ErrorKind, Result};
use crate::page::pages::{Candidate, Pages};
use crate::page::summary::Summary;
use crate::page::summary::SummaryHandle;
use crate::page::{InvalidRecord, Paginate, PartRead};

/// A scan of a listing, as a stream of records. It follows the rules of [the module](crate::page).
///
/// An invalid record is an `Err` for which [`is_record`](Error::is_record) returns `true`, and the stream continues
/// after it. An adaptor that stops at the first error (`try_next`, `try_collect`) stops there too: see
/// [`with_invalid`](Self::with_invalid).
///
/// Created by [`Listing::items`](crate::page::Listing::items). The stream is lazy: it sends nothing until it is polled,
/// and keeps no more requests in flight than [`prefetch`](crate::page::Listing::prefetch) allows.
#[must_use = "streams do nothing unless polled: call `next`"]
pub struct Items<Q: Paginate> {
    entries: WithInvalid<Q>,
}

impl<Q: Paginate> Items<Q> {
    pub(super) fn new(pages: Pages<Q>) -> Self {
        Self { entries: WithInvalid { pages, ready: VecDeque::new(), errors: Vec::new() } }
    }

    /// Yields invalid records as values instead of errors.
    ///
    /// ```
    /// # #[cfg(feature = "testing")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// use actionlog::{InvalidRecord, UnleashClient, testing::FakeServer};
    /// use futures_util::TryStreamExt;
    ///
    /// let server = FakeServer::new();
    /// server.unleash().add_sample_events("default", 7, 2).add_raw("default", 7, r#"{"id": 9}"#);
    /// let client = UnleashClient::builder("http://localhost").api_key("any").http_client(server.http_client());
    /// let client = client.build()?;
    ///
    /// let mut entries = client.action_set_events().list(("default", 7)).items().with_invalid();
    /// let (mut records, mut invalid) = (0, Vec::new());
    /// while let Some(entry) = entries.try_next().await? {
    ///     match entry {
    ///         Ok(_) => records += 1,
    ///         Err(record) => invalid.push(record.raw().to_string()),
    ///     }
    /// }
    /// assert_eq!((records, invalid), (2, vec![r#"{"id": 9}"#.to_owned()]));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "testing"))] fn main() {}
    /// ```
    pub fn with_invalid(self) -> WithInvalid<Q> {
        self.entries
    }

    /// Yields each record with the cursor behind it, so that you can store the outcome of a record together with where
    /// to resume. This is safe with adaptors that poll ahead of your processing (`chunks`, `buffered`), because each
    /// cursor travels with its record.
    ///
    /// For an invalid record, the cursor is in the error; [`with_invalid`](WithCursor::with_invalid) yields the record
    /// as a value, with its cursor.
    pub fn with_cursor(self) -> WithCursor<Q> {
        WithCursor { items: self }
    }

    /// Returns the stream and a handle to its summary. The handle stays with you when you pass the stream to an
    /// adaptor.
    ///
    /// ```
    /// # #[cfg(feature = "testing")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// use actionlog::{UnleashClient, testing::FakeServer};
    /// use futures_util::TryStreamExt;
    ///
    /// let server = FakeServer::new();
    /// server.unleash().add_sample_events("default", 7, 120);
    /// let client = UnleashClient::builder("http://localhost").api_key("any").http_client(server.http_client());
    /// let client = client.build()?;
    ///
    /// let (events, summary) = client.action_set_events().list(("default", 7)).items().summarised();
    /// let ids: Vec<_> = events.map_ok(|it| it.id).try_collect().await?;
    /// assert_eq!(summary.get().delivered, ids.len() as u64);
    /// println!("{}", summary.get().verdict);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "testing"))] fn main() {}
    /// ```
    pub fn summarised(mut self) -> (Self, SummaryHandle) {
        let handle = self.entries.pages.handle();
        (self, handle)
    }

    /// Returns the cursor behind the last record that was yielded. `None` if the query is invalid.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.entries.cursor()
    }

    /// Returns the outcome of a [part](crate::page::Listing::part) of a listing so far, for
    /// [`merge`](crate::page::merge).
    pub fn part_read(&self) -> Option<PartRead> {
        self.entries.part_read()
    }

    /// Returns the summary of the scan so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.entries.summary()
    }

    /// Returns the next record, or `None` at the end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRecord`] for an invalid record, and [`ErrorKind::Partial`] if the server sent errors beside
    /// records. The stream continues after both.
    ///
    /// Otherwise, the error of the next page. After a [transient](Error::is_transient) error, the next call requests
    /// the page again, after a wait inside of the call: as long as [`retry_after`](Error::retry_after) says, or else 1
    /// s, doubled with each error in a row up to 30 s. After any other error, and after [too many in a
    /// row](crate::page::Listing::max_consecutive_errors), the stream has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the next call continues the same request.
    pub async fn next(&mut self) -> Option<Result<Q::Item>> {
        StreamExt::next(self).await
    }

    /// Like [`next`](Self::next), for use in `while let Some(record) = items.try_next().await?`. Returns `Ok(None)` at
    /// the end.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next). The stream continues after the same errors.
    pub async fn try_next(&mut self) -> Result<Option<Q::Item>> {
        self.next().await.transpose()
    }
}

impl<Q: Paginate> Stream for Items<Q> {
    type Item = Result<Q::Item>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let entry = ready!(self.entries.poll_next_unpin(cx));
        Poll::Ready(entry.map(|entry| match entry?.map_err(Error::from) {
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

/// A stream of records, each with the cursor behind it: see [`Items::with_cursor`].
#[derive(Debug)]
#[must_use = "streams do nothing unless polled: call `next`"]
pub struct WithCursor<Q: Paginate> {
    items: Items<Q>,
}

impl<Q: Paginate> WithCursor<Q> {
    /// Returns the next record and the cursor behind it, or `None` at the end.
    ///
    /// # Errors
    ///
    /// As [`Items::next`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the next call continues the same request.
    pub async fn next(&mut self) -> Option<Result<(Q::Item, Cursor)>> {
        StreamExt::next(self).await
    }

    /// Like [`next`](Self::next), for use in `while let Some((record, cursor)) = records.try_next().await?`. Returns
    /// `Ok(None)` at the end.
    ///
    /// # Errors
    ///
    /// As [`Items::next`].
    pub async fn try_next(&mut self) -> Result<Option<(Q::Item, Cursor)>> {
        self.next().await.transpose()
    }

    /// Yields invalid records as values instead of errors.
    pub fn with_invalid(self) -> WithInvalidAndCursor<Q> {
        self.items.with_invalid().with_cursor()
    }

    /// Returns the outcome of a [part](crate::page::Listing::part) of a listing so far, for
    /// [`merge`](crate::page::merge). Store it along with the cursor, so that a job that dies loses neither.
    pub fn part_read(&self) -> Option<PartRead> {
        self.items.part_read()
    }

    /// Returns the summary of the scan so far.
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

/// Returns the cursor behind a record. A stream that has yielded a record always has one.
fn behind(cursor: Option<Cursor>) -> Result<Cursor> {
    cursor
        .ok_or_else(|| Error::new(ErrorKind::InvalidRequest, "the stream has no cursor, because its query is invalid"))
}

/// A stream of valid and invalid records, each with the cursor behind it: see [`WithInvalid::with_cursor`].
#[derive(Debug)]
#[must_use = "streams do nothing unless polled: call `next`"]
pub struct WithInvalidAndCursor<Q: Paginate> {
    entries: WithInvalid<Q>,
}

impl<Q: Paginate> WithInvalidAndCursor<Q> {
    /// Returns the next valid or invalid record and the cursor behind it, or `None` at the end.
    ///
    /// # Errors
    ///
    /// As [`WithInvalid::next`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the next call continues the same request.
    pub async fn next(&mut self) -> Option<Result<(Result<Q::Item, InvalidRecord>, Cursor)>> {
        StreamExt::next(self).await
    }

    /// Like [`next`](Self::next), for use in `while let Some((entry, cursor)) = entries.try_next().await?`. Returns
    /// `Ok(None)` at the end.
    ///
    /// # Errors
    ///
    /// As [`WithInvalid::next`].
    pub async fn try_next(&mut self) -> Result<Option<(Result<Q::Item, InvalidRecord>, Cursor)>> {
        self.next().await.transpose()
    }

    /// Returns the outcome of a [part](crate::page::Listing::part) of a listing so far, for
    /// [`merge`](crate::page::merge).
    pub fn part_read(&self) -> Option<PartRead> {
        self.entries.part_read()
    }

    /// Returns the summary of the scan so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.entries.summary()
    }
}

impl<Q: Paginate> Stream for WithInvalidAndCursor<Q> {
    type Item = Result<(Result<Q::Item, InvalidRecord>, Cursor)>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let entry = ready!(self.entries.poll_next_unpin(cx));
        Poll::Ready(entry.map(|entry| Ok((entry?, behind(self.entries.cursor())?))))
    }
}

/// A stream of records that yields invalid records as values: see [`Items::with_invalid`].
#[must_use = "streams do nothing unless polled: call `next`"]
pub struct WithInvalid<Q: Paginate> {
    pages: Pages<Q>,
    ready: VecDeque<Candidate<Q::Item>>,
    /// The errors that the server sent beside records. They are yielded behind the records of their page.
    errors: Vec<ApiError>,
}

impl<Q: Paginate> WithInvalid<Q> {
    /// Returns the next valid or invalid record, or `None` at the end.
    ///
    /// # Errors
    ///
    /// As [`Items::next`], except that an invalid record is not an error here.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the next call continues the same request.
    pub async fn next(&mut self) -> Option<Result<Result<Q::Item, InvalidRecord>>> {
        StreamExt::next(self).await
    }

    /// Like [`next`](Self::next), for use in `while let Some(entry) = entries.try_next().await?`. Returns `Ok(None)` at
    /// the end.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub async fn try_next(&mut self) -> Result<Option<Result<Q::Item, InvalidRecord>>> {
        self.next().await.transpose()
    }

    /// Yields each valid or invalid record with the cursor behind it.
    ///
    /// ```
    /// # #[cfg(feature = "testing")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// use actionlog::{UnleashClient, testing::FakeServer};
    ///
    /// let server = FakeServer::new();
    /// server.unleash().add_sample_events("default", 7, 2).add_raw("default", 7, r#"{"id": 9}"#);
    /// let client = UnleashClient::builder("http://localhost").api_key("any").http_client(server.http_client());
    /// let client = client.build()?;
    ///
    /// let mut entries = client.action_set_events().list(("default", 7)).items().with_invalid().with_cursor();
    /// while let Some((entry, cursor)) = entries.try_next().await? {
    ///     match entry {
    ///         Ok(event) => println!("{}", event.id),
    ///         Err(record) => eprintln!("invalid: {}", record.raw()),
    ///     }
    ///     // Store `cursor` now: both kinds of record are processed.
    ///     assert!(cursor.delivered() > 0);
    /// }
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "testing"))] fn main() {}
    /// ```
    pub fn with_cursor(self) -> WithInvalidAndCursor<Q> {
        WithInvalidAndCursor { entries: self }
    }

    /// Returns the cursor behind the last record that was yielded. `None` if the query is invalid.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.pages.cursor()
    }

    /// Returns the outcome of a [part](crate::page::Listing::part) of a listing so far, for
    /// [`merge`](crate::page::merge).
    pub fn part_read(&self) -> Option<PartRead> {
        self.pages.part_read()
    }

    /// Returns the summary of the scan so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.pages.summary()
    }
}

impl<Q: Paginate> Stream for WithInvalid<Q> {
    type Item = Result<Result<Q::Item, InvalidRecord>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { pages, ready, errors } = &mut *self;
        let entry = loop {
            let next = iter::from_fn(|| ready.pop_front()).find_map(|it| pages.deliver(it));
            if let Some(entry) = next {
                break Some(Ok(entry));
            }
            // The records come first, so that an adaptor that stops at the error has them.
            if !errors.is_empty() {
                let error = Error::new(ErrorKind::Partial, "the server sent errors beside the records")
                    .with_api(Some(ApiError::first_of(std::mem::take(errors))));
                break Some(Err(pages.with_cursor(error)));
            }
            match ready!(pages.poll_page(cx)) {
                Some(Ok((page, records))) => (*ready, *errors) = (records.into(), page.errors),
                Some(Err(error)) => break Some(Err(error)),
                None => break None,
            }
        };
        pages.report();
        Poll::Ready(entry)
    }
}

impl<Q: Paginate> fmt::Debug for WithInvalid<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithInvalid").field("pages", &self.pages).field("ready", &self.ready.len()).finish()
    }
}
