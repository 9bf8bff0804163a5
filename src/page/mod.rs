//! Listings: one page of a listing, and scans that read all pages without losing a record.
//!
//! # How a scan works
//!
//! Offsets shift during a scan: a record added at the head pushes the rest down, a removed record pulls it up. Servers
//! cut page sizes, send short pages, or send an empty page for a moment. Stepping from offset to offset, and stopping
//! at a short or an empty page, loses records. [`Listing::pages`] and [`Listing::items`] do neither. A *window* is one
//! offset and limit:
//!
//! 1. Every window but the first starts at a record that was already seen, at the position where it was last seen. So
//!    windows overlap by one record.
//! 2. What follows the *last* already seen record of a page comes next. Unseen records before it were added meanwhile
//!    and are yielded too; already seen records are not yielded twice.
//! 3. If a page holds no already seen record, the position is lost: the page is dropped, and the scan looks further up
//!    and further down until it finds an already seen record. If none is left, the listing is scanned from its head.
//! 4. Only one thing ends a scan: an already seen record *alone* in a page that had room for more. (Or a single page
//!    that holds as many records as the documented total counts.) A short page doesn't end it, and neither does an
//!    empty one.
//!
//! This costs one request at the end of a listing whose API documents no total. [`guarantees`](crate::guarantees)
//! states what a scan promises and what it doesn't, the conditions of its *verdict* (whether it is known to be
//! complete), and the costs.

mod again;
#[cfg(feature = "blocking")]
mod blocking;
pub(crate) mod check;
mod collected;
mod cursor_errors;
pub(crate) mod fetch;
mod items;
mod listing;
mod listing_parts;
mod listing_verify;
pub(crate) mod opened;
mod pages;
mod raw;
mod report;
mod settings;
mod split;
pub(crate) mod summary;
pub(crate) mod walk;

use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;

pub use crate::cursor::Cursor;
pub use crate::decode::envelope::{Envelope, ListPage};
pub use crate::error::InvalidRecord;
pub use crate::values::record_key::RecordKey;
pub use collected::Collected;
pub use items::{Items, WithCursor, WithInvalid, WithInvalidAndCursor};
pub use listing::Listing;
pub use pages::Pages;
pub use raw::{Raw, WithRaw};
pub use split::{Merged, Part, PartRead, merge};
pub use summary::{Cause, Doubt, Proof, Summary, SummaryHandle, Verdict};

use crate::decode::omitted::OmittedField;
use crate::error::{ApiError, Error};
use crate::request::Request;
use crate::values::json::Json;

/// Describes one listing endpoint: how to request a window of it, and how to tell its records apart.
///
/// Implementations do no I/O. Implement it for a custom listing and scan it with the `listing` method of a client; the
/// rules above apply as they do to the listings of this crate.
///
/// ```
/// use std::num::NonZeroU32;
/// use actionlog::page::{Envelope, RecordKey, ListPage, PageSizes, Paginate};
/// use actionlog::{DecodeError, Request};
/// use serde::de::DeserializeOwned;
///
/// /// The events of one integration of an Unleash server.
/// #[derive(Clone, Debug)]
/// struct IntegrationEvents { integration: u32 }
///
/// #[derive(Debug, serde::Deserialize)]
/// struct Event { id: String, state: String }
///
/// /// The JSON around the records.
/// struct ListEnvelope;
///
/// #[derive(serde::Deserialize)]
/// struct Body<R> { #[serde(rename = "integrationEvents")] events: Vec<R> }
///
/// impl Envelope for ListEnvelope {
///     type Of<R: DeserializeOwned> = Body<R>;
///
///     fn open<R: DeserializeOwned>(body: Body<R>) -> Result<ListPage<R>, DecodeError> {
///         Ok(ListPage::new(body.events))
///     }
/// }
///
/// impl Paginate for IntegrationEvents {
///     type Item = Event;
///     type Envelope = ListEnvelope;
///
///     fn request(&self) -> Request<()> {
///         Request::get("api/admin/addons/{id}/events", [self.integration])
///     }
///
///     fn record_key(event: &Event) -> RecordKey {
///         RecordKey::from(event.id.as_str())
///     }
///
///     fn page_sizes(&self) -> PageSizes {
///         PageSizes::up_to(50)
///     }
/// }
/// # fn main() {}
/// ```
pub trait Paginate: Clone + fmt::Debug + Send + Sync + Unpin + 'static {
    /// A record of the listing.
    type Item: DeserializeOwned + Send + Unpin + 'static;

    /// The JSON around the records in a response.
    type Envelope: Envelope;

    /// Returns the request for the listing, without a window. A scan calls this once. The two associated types
    /// determine how responses are decoded.
    fn request(&self) -> Request<()>;

    /// Adds a window to the request. The default sets the parameters `offset` and `limit`.
    fn window<T>(&self, request: Request<T>, window: Window) -> Request<T> {
        request.view_param("limit", window.limit).view_param("offset", window.offset)
    }

    /// Returns the key that tells a record from the others.
    fn record_key(item: &Self::Item) -> RecordKey;

    /// Returns how many records may be requested per page.
    fn page_sizes(&self) -> PageSizes;

    /// Returns whether records keep their positions relative to each other. The default, [`Stability::Unstable`], costs
    /// a request at the end of a scan: the head is read again, for records that moved there.
    fn stability(&self) -> Stability {
        Stability::Unstable
    }

    /// Returns at which end of the listing new records are added. With the default, [`Growth::Unknown`],
    /// [`newer_than`](Listing::newer_than) fails.
    fn growth(&self) -> Growth {
        Growth::Unknown
    }

    /// Returns whether the records of this listing have a [`timestamp`](Self::timestamp). The default is `false`.
    fn has_timestamps(&self) -> bool {
        false
    }

    /// Returns the time of a record, which [`since`](Listing::since) filters by. The default is `None`.
    fn timestamp(item: &Self::Item) -> Option<DateTime<Utc>> {
        let _ = item;
        None
    }

    /// Returns whether a record is in a final state, so that it doesn't change any more. A follower reads the records
    /// again that aren't: see [`Listing::follow`]. The default is `None`: the listing doesn't say.
    fn is_final(item: &Self::Item) -> Option<bool> {
        let _ = item;
        None
    }

    /// Returns this listing with what its records need to have a [`timestamp`](Self::timestamp), if they have one only
    /// on request and the query doesn't request it. A [`Timeline`](crate::timeline::Timeline) then does. The default is
    /// `None`.
    fn requesting_timestamps(&self) -> Option<Self> {
        None
    }

    /// Keeps the fields that didn't fit the model in the record that was decoded without them, and returns `true`.
    /// `raw` is the whole record, as the server sent it.
    ///
    /// With the default, `false`, a record with any field that doesn't fit is [invalid](InvalidRecord): a field dropped
    /// in silence would be lost. The records of this crate's own listings keep such fields; see
    /// [`strictness`](crate::strictness).
    fn omit(item: &mut Self::Item, fields: Vec<OmittedField>, raw: &Json) -> bool {
        let _ = (item, fields, raw);
        false
    }

    /// Returns what the total in a response counts. The default is [`TotalScope::Unknown`].
    fn total_scope(&self) -> TotalScope {
        TotalScope::Unknown
    }
}

/// The part of a listing that one request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// How many records to skip.
    pub offset: u64,
    /// How many records to return at most.
    pub limit: u32,
}

/// How many records an API returns per page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSizes {
    pub(crate) usual: u32,
    largest: Option<u32>,
}

impl PageSizes {
    /// Page sizes from 1 to `largest`. The default is `largest`.
    #[must_use]
    pub const fn up_to(largest: u32) -> Self {
        Self { usual: largest, largest: Some(largest) }
    }

    /// Page sizes without a documented maximum. The default is `usual`.
    #[must_use]
    pub const fn unbounded(usual: u32) -> Self {
        Self { usual, largest: None }
    }
}

/// What the total in a response counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TotalScope {
    /// All records of the listing. Such a total may prove the end.
    Listing,
    /// The records of the page. Such a total proves nothing.
    Page,
    /// Undocumented. Such a total ends no scan, and counts for the verdict only if it can't be that of a page: if it
    /// differed from the number of records beside it at least once.
    Unknown,
}

/// Whether records keep their positions relative to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stability {
    /// They do: the order is by something that doesn't change.
    Stable,
    /// They may move, or the order is undocumented.
    Unstable,
}

/// At which end of a listing new records are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Growth {
    /// At its head: the newest records come first.
    AtHead,
    /// At its end: the newest records come last.
    AtEnd,
    /// At one of its ends, and it is undocumented at which.
    OneEnd,
    /// At either end, in between, or undocumented.
    Unknown,
}

/// What a scan does with a listing that grows at the end it runs to, as one listed oldest first does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GrowingEnd {
    /// Stop once every record was delivered that stood in the listing when the scan started.
    #[default]
    StopBehindStart,
    /// Keep scanning for as long as there are more records. Such a scan may never end.
    Chase,
}

/// One page of a listing.
///
/// Iterating over a page, or over a reference to it, yields each record, or an error for an invalid record, as
/// [`Items`] does.
///
/// ```no_run
/// # async fn example(client: actionlog::IntegrationClient) -> actionlog::Result<()> {
/// for log in client.logs().list(()).page().await? {
///     println!("{}", log?.id);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Page<T> {
    /// The valid and the invalid records, in the server's order.
    pub entries: Vec<Result<T, InvalidRecord>>,
    /// The window that was requested.
    pub window: Window,
    /// The total in the response. What it counts depends on the API.
    pub total: Option<u64>,
    /// Errors that the server sent beside the records. Records may be missing.
    pub errors: Vec<ApiError>,
    /// Whether there are more records behind this page.
    pub more: More,
}

/// Whether there are more records behind a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum More {
    /// There were when the server made the page.
    Yes,
    /// There were none.
    No,
    /// The response doesn't say. A page that is short or empty doesn't prove that it is the last.
    Unknown,
}

impl<T> Page<T> {
    /// `received` is the number of records in the response, already seen ones included.
    pub(crate) fn of(
        window: Window,
        listed: ListPage<Result<T, InvalidRecord>>,
        received: usize,
        total: TotalScope,
    ) -> Self {
        let end = window.offset.saturating_add(received as u64);
        let is_reliable = match total {
            TotalScope::Listing => true,
            // A total above the page's count can't be that of the page.
            TotalScope::Unknown => listed.total.is_some_and(|total| total > received as u64),
            TotalScope::Page => false,
        };
        let more = match listed.total.filter(|_| is_reliable) {
            Some(total) if total > end => More::Yes,
            // An empty page proves nothing: its offset may lie behind the end.
            Some(total) if total == end && received > 0 => More::No,
            _ => More::Unknown,
        };
        Self { entries: listed.records, window, total: listed.total, errors: listed.errors, more }
    }

    /// Returns an iterator over the records: each record, or an error for an invalid one.
    ///
    /// ```
    /// # async fn example(client: actionlog::UnleashClient) -> actionlog::Result<()> {
    /// let page = client.action_set_events().list(("default", 1)).page().await?;
    /// let invalid = page.iter().filter(Result::is_err).count();
    /// println!("{} records, of which {invalid} are invalid", page.len());
    /// # Ok(())
    /// # }
    /// ```
    pub fn iter(&self) -> <&Self as IntoIterator>::IntoIter {
        self.into_iter()
    }

    /// Returns the valid records.
    pub fn records(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().filter_map(|entry| entry.as_ref().ok())
    }

    /// Returns the records by value, or the error of the first invalid record.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRecord`](crate::ErrorKind::InvalidRecord).
    pub fn into_records(self) -> Result<Vec<T>, Error> {
        self.into_iter().collect()
    }

    /// Returns the number of records, invalid ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether the page has no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<T> IntoIterator for Page<T> {
    type Item = Result<T, Error>;
    type IntoIter =
        std::iter::Map<std::vec::IntoIter<Result<T, InvalidRecord>>, fn(Result<T, InvalidRecord>) -> Result<T, Error>>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter().map(|it| it.map_err(Error::from))
    }
}

impl<'a, T> IntoIterator for &'a Page<T> {
    type Item = Result<&'a T, Error>;
    type IntoIter = std::iter::Map<
        std::slice::Iter<'a, Result<T, InvalidRecord>>,
        fn(&'a Result<T, InvalidRecord>) -> Result<&'a T, Error>,
    >;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter().map(|it| it.as_ref().map_err(|it| it.clone().into()))
    }
}
