//! Listings: what a page is, and how all of them are read without losing a record.
//!
//! # How a listing is read
//!
//! Offsets shift while one reads: a record added at the head pushes the rest down, a removed one pulls it up. Servers
//! cut page sizes, send a page short, or answer empty for a moment. Striding from offset to offset, and ending at a short
//! or an empty page, loses records. [`Listing::pages`] and [`Listing::items`] do neither:
//!
//! 1. Every request but the first starts at a record that is already known, one record of overlap: at the place where
//!    it was last seen.
//! 2. What follows the *last* known record of an answer comes next. Unknown records before it were added meanwhile and
//!    are given too; known ones are not given twice.
//! 3. If nothing in an answer is known, the place was lost: the answer is dropped, and the place is looked for further up
//!    and further down, until a record is met that is known. If none is left, the listing is read from its head.
//! 4. Only one thing ends a listing: a known record *alone* in an answer that had room for more. (Or a single answer that
//!    holds all that the documented total counts.) A short page doesn't, and neither does an empty one.
//!
//! It costs one request at the end of a listing whose API documents no total. What this promises and what it doesn't, the
//! conditions of the verdict, and the costs are in [`guarantees`](crate::guarantees).

mod ahead;
mod ask;
mod canonical;
mod chase;
mod climb;
mod collected;
mod cursor;
mod drift;
mod entry;
mod extent;
mod head;
mod identity;
mod items;
mod known;
mod listing;
mod locate;
#[cfg(all(test, feature = "testing"))]
mod model;
mod pages;
mod part;
mod raw;
mod since;
mod summary;
mod walk;

use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;

pub use collected::Collected;
pub use cursor::Cursor;
pub use entry::{Entry, UnreadableRecord};
pub use identity::Identity;
pub use items::{Entries, EntriesWithCursor, Items, WithCursor};
pub use listing::Listing;
pub use pages::{Pages, SummaryHandle};
pub use part::{Merged, Part, PartRead, merge};
pub use raw::{Raw, WithRaw};
pub use summary::{Cut, Doubt, Summary, Verdict};

use crate::error::{ApiError, Error};
use crate::json::Json;
use crate::omitted::OmittedField;
use crate::request::Request;
use crate::transport::decode::DecodeError;

/// What an API says of one of its listings: how a part of it is asked for, and how its records are told apart.
///
/// Pure: nothing here waits. Implement it for a listing of your own and read it with a client's `listing`; the rules
/// above hold for it as they do for the listings of this crate.
///
/// ```
/// use std::num::NonZeroU32;
/// use actionlog::page::{Envelope, Identity, Listed, PageSizes, Paginate};
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
/// struct Around;
///
/// #[derive(serde::Deserialize)]
/// struct Body<R> { #[serde(rename = "integrationEvents")] events: Vec<R> }
///
/// impl Envelope for Around {
///     type Of<R: DeserializeOwned> = Body<R>;
///
///     fn open<R: DeserializeOwned>(body: Body<R>) -> Result<Listed<R>, DecodeError> {
///         Ok(Listed::new(body.events))
///     }
/// }
///
/// impl Paginate for IntegrationEvents {
///     type Item = Event;
///     type Envelope = Around;
///
///     fn request(&self) -> Request<()> {
///         Request::get("api/admin/addons/{id}/events", [self.integration])
///     }
///
///     fn identity(event: &Event) -> Identity {
///         Identity::from(event.id.as_str())
///     }
///
///     fn page_sizes(&self) -> PageSizes {
///         PageSizes::up_to(50)
///     }
/// }
/// # fn main() {}
/// ```
pub trait Paginate: Clone + fmt::Debug + Send + Sync + Unpin + 'static {
    /// A record.
    type Item: DeserializeOwned + Send + Unpin + 'static;

    /// The JSON around the records of an answer.
    type Envelope: Envelope;

    /// Asks for the listing: all of the request but the window, made once for a reading. How the answers are read follows
    /// from the two types.
    fn request(&self) -> Request<()>;

    /// Adds a window to it: in the parameters `offset` and `limit` unless said otherwise.
    fn window<T>(&self, request: Request<T>, window: Window) -> Request<T> {
        request.shape("limit", window.limit).shape("offset", window.offset)
    }

    /// What tells a record from the others.
    fn identity(item: &Self::Item) -> Identity;

    /// How many records may be asked for at once.
    fn page_sizes(&self) -> PageSizes;

    /// Whether records keep their places relative to each other. [`Order::MayChange`] unless said otherwise, which costs a
    /// request at the end: the head is read again, for what moved there.
    fn order(&self) -> Order {
        Order::MayChange
    }

    /// Which end of the listing new records come to. [`Growth::Unknown`] unless said otherwise, and then
    /// [`newer_than`](Listing::newer_than) is refused.
    fn growth(&self) -> Growth {
        Growth::Unknown
    }

    /// Whether this listing's records bear a time, that [`time_of`](Self::time_of) tells. They don't unless said
    /// otherwise.
    fn bears_time(&self) -> bool {
        false
    }

    /// The time of a record, by which [`since`](Listing::since) goes.
    fn time_of(item: &Self::Item) -> Option<DateTime<Utc>> {
        let _ = item;
        None
    }

    /// Keeps, in a record, the fields of it that didn't fit and that it was read without, and gives `true`. `raw` is the
    /// whole record, as the server sent it.
    ///
    /// Where it gives `false`, as it does unless said otherwise, a record of which anything doesn't fit is
    /// [unreadable](Entry::Unreadable): what is left out without a word is lost. The records of this crate's own listings
    /// keep them; see [`strictness`](crate::strictness).
    fn omit(item: &mut Self::Item, fields: Vec<OmittedField>, raw: &Json) -> bool {
        let _ = (item, fields, raw);
        false
    }

    /// What the total in an answer counts. [`Total::Open`] unless said otherwise.
    fn total(&self) -> Total {
        Total::Open
    }
}

/// Which part of a listing is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// How many records are skipped.
    pub offset: u64,
    /// How many are asked for.
    pub limit: u32,
}

/// How many records an API gives at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSizes {
    pub(crate) usual: u32,
    pub(crate) largest: Option<u32>,
}

impl PageSizes {
    /// From 1 to `largest`; the largest is asked for unless the caller says otherwise.
    #[must_use]
    pub const fn up_to(largest: u32) -> Self {
        Self { usual: largest, largest: Some(largest) }
    }

    /// No documented largest; `usual` is asked for unless the caller says otherwise.
    #[must_use]
    pub const fn unbounded(usual: u32) -> Self {
        Self { usual, largest: None }
    }
}

/// What the total of an answer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Total {
    /// All records of the listing: it may prove the end.
    OfListing,
    /// The records of the page: it says nothing.
    OfPage,
    /// Not known which. It ends no listing, and counts for the verdict only if it can't be a page's: if it differed from the
    /// number of the records beside it at least once.
    Open,
}

/// Whether records keep their places relative to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// They do: the order is by something that doesn't change.
    Fixed,
    /// They may not, or it isn't known.
    MayChange,
}

/// Which end of a listing new records come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Growth {
    /// To its head: the newest come first.
    AtHead,
    /// To its end: the newest come last.
    AtEnd,
    /// To either, or in between, or nobody knows.
    Unknown,
}

/// What a scan does with a listing that grows at the end it runs to, as one listed oldest first does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GrowingEnd {
    /// Stop once everything was delivered that stood there when the scan began.
    #[default]
    StopBehindStart,
    /// Keep scanning for as long as there is more. Such a scan may never end.
    Chase,
}

/// What an answer to a listing holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed<R> {
    pub(crate) records: Vec<R>,
    pub(crate) total: Option<u64>,
    pub(crate) errors: Vec<ApiError>,
}

impl<R> Listed<R> {
    /// Records, in the answer's order.
    #[must_use]
    pub fn new(records: Vec<R>) -> Self {
        Self { records, total: None, errors: Vec::new() }
    }

    /// With a total, where the answer has one.
    #[must_use = "returns the changed value"]
    pub fn with_total(mut self, total: Option<u64>) -> Self {
        self.total = total;
        self
    }

    /// With errors that the server gave beside the records.
    #[must_use = "returns the changed value"]
    pub fn with_errors(mut self, errors: Vec<ApiError>) -> Self {
        self.errors = errors;
        self
    }

    /// The records, in the answer's order.
    #[must_use]
    pub fn records(&self) -> &[R] {
        &self.records
    }

    /// The records, owned.
    #[must_use]
    pub fn into_records(self) -> Vec<R> {
        self.records
    }

    /// The total, where the answer has one.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// The errors that the server gave beside the records.
    #[must_use]
    pub fn errors(&self) -> &[ApiError] {
        &self.errors
    }

    pub(crate) fn map<S>(self, change: impl FnMut(R) -> S) -> Listed<S> {
        Listed { records: self.records.into_iter().map(change).collect(), total: self.total, errors: self.errors }
    }
}

/// The JSON around a page's records, whatever the records are read as.
///
/// Made for both ways to read a page: in one pass with the records typed, and, if one of them doesn't fit, with each kept
/// raw to be read on its own.
pub trait Envelope: 'static {
    /// The body of an answer, with records read as `R`.
    type Of<R: DeserializeOwned>: DeserializeOwned;

    /// Takes the records, and what stands beside them, out of a body.
    ///
    /// # Errors
    ///
    /// If the body says that the server refused, or has no list where one belongs: an absent list is not an empty one.
    fn open<R: DeserializeOwned>(body: Self::Of<R>) -> Result<Listed<R>, DecodeError>;
}

/// One page of a listing.
///
/// Iterating over it, or over a reference to it, yields each record, or the error that it is unreadable, as
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
    /// The records, and what came in a record's place, in the server's order.
    pub entries: Vec<Entry<T>>,
    /// The window that was asked for.
    pub window: Window,
    /// The total that the answer gave. What it counts differs from API to API.
    pub total: Option<u64>,
    /// Errors that the server gave beside the records: something may be missing.
    pub errors: Vec<ApiError>,
    /// Whether there is more behind this page.
    pub more: More,
}

/// Whether there is more behind a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum More {
    /// There was when the page was made.
    Yes,
    /// There was not.
    No,
    /// The answer doesn't say. A page that is shorter than asked, or empty, is no proof that it's the last.
    Unknown,
}

impl<T> Page<T> {
    /// `received`: how many records the answer had, those included that were known.
    pub(crate) fn of(window: Window, listed: Listed<Entry<T>>, received: usize, total: Total) -> Self {
        let end = window.offset.saturating_add(received as u64);
        let believed = match total {
            Total::OfListing => true,
            Total::Open => listed.total.is_some_and(|total| total > received as u64),
            Total::OfPage => false,
        };
        let more = match listed.total.filter(|_| believed) {
            Some(total) if total > end => More::Yes,
            Some(total) if total == end && received > 0 => More::No,
            _ => More::Unknown,
        };
        Self { entries: listed.records, window, total: listed.total, errors: listed.errors, more }
    }

    /// The records that could be read.
    pub fn records(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Record(record) => Some(record),
            Entry::Unreadable(_) => None,
        })
    }

    /// The records, owned, or the error of the first that can't be read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Record`](crate::ErrorKind::Record).
    pub fn into_records(self) -> Result<Vec<T>, Error> {
        self.into_iter().collect()
    }

    /// How many records the page has, unreadable ones counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the page has no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<T> IntoIterator for Page<T> {
    type Item = Result<T, Error>;
    type IntoIter = std::iter::Map<std::vec::IntoIter<Entry<T>>, fn(Entry<T>) -> Result<T, Error>>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter().map(Entry::into_result)
    }
}

impl<'a, T> IntoIterator for &'a Page<T> {
    type Item = Result<&'a T, Error>;
    type IntoIter = std::iter::Map<std::slice::Iter<'a, Entry<T>>, fn(&'a Entry<T>) -> Result<&'a T, Error>>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter().map(Entry::as_result)
    }
}
