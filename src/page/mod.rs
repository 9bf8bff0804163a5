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
//! 3. If nothing in an answer is known, the place was lost: the answer is dropped, and the walk goes back, by more and
//!    more, until it meets a record that it knows. If none is left, it reads on from the head.
//! 4. Only one thing ends a listing: a known record *alone* in an answer that had room for more. (Or an answer shorter
//!    than asked that ends where the documented total says.) A short page doesn't, and neither does an empty one.
//!
//! It costs one request at the end of a listing whose API documents no total. What this promises and what it doesn't, the
//! conditions of the verdict, and the costs are in [`guarantees`](crate::guarantees).

mod ahead;
mod ask;
mod climb;
mod collected;
mod cursor;
mod items;
mod known;
mod listing;
#[cfg(all(test, feature = "testing"))]
mod model;
mod pages;
mod part;
mod raw;
mod since;
mod summary;
mod walk;

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use collected::Collected;
pub use cursor::Cursor;
pub use items::{Entries, Items, WithCursor};
pub use listing::Listing;
pub use pages::{Pages, SummaryHandle};
pub use part::{Merged, Part, PartRead, merge};
pub use raw::{Raw, WithRaw};
pub use summary::{Cut, Doubt, Summary, Verdict};

use crate::error::{ApiError, Error, ErrorKind};
use crate::json::Json;
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

    /// Whether what is newest comes first, so that [`newer_than`](Listing::newer_than) finds it at the head. It does
    /// unless said otherwise.
    fn newest_first(&self) -> bool {
        true
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

/// What tells one record of a listing from the others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity(Id);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Id {
    Number(i64),
    Text(Arc<str>),
    /// Of a record that can't be read: of its text, and of the record before it, as others may have the same text.
    /// Behind a pointer: these are few, and would make all others twice as large.
    Hash(Arc<(u128, u128)>),
}

impl From<i64> for Identity {
    fn from(id: i64) -> Self {
        Self(Id::Number(id))
    }
}

impl From<&str> for Identity {
    fn from(id: &str) -> Self {
        Self(Id::Text(id.into()))
    }
}

impl Identity {
    /// Of a record that has no id: of its text, told from others of the same text by the record before it.
    fn of_raw(raw: &Json, before: Option<&Self>) -> Self {
        let before = before.map_or(0, |before| match &before.0 {
            Id::Number(id) => hash(&id.to_be_bytes()),
            Id::Text(id) => hash(id.as_bytes()),
            Id::Hash(hashes) => hash(&[hashes.0.to_be_bytes(), hashes.1.to_be_bytes()].concat()),
        });
        Self(Id::Hash(Arc::new((hash(raw.as_str().as_bytes()), before))))
    }

    fn is_unreadable(&self) -> bool {
        matches!(self.0, Id::Hash(..))
    }

    /// Whether both are of records of the same text.
    fn is_alike(&self, other: &Self) -> bool {
        matches!((&self.0, &other.0), (Id::Hash(one), Id::Hash(other)) if one.0 == other.0)
    }
}

/// SipHash with its zero key: the same over runs, machines and versions.
fn hash(bytes: &[u8]) -> u128 {
    siphasher::sip128::SipHasher24::new().hash(bytes).as_u128()
}

/// As a text with its kind before it: the same under every format and every feature of serde_json.
impl Serialize for Identity {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Id::Number(id) => to.collect_str(&format_args!("n{id}")),
            Id::Text(id) => to.collect_str(&format_args!("t{id}")),
            Id::Hash(hashes) => to.collect_str(&format_args!("h{:032x}.{:032x}", hashes.0, hashes.1)),
        }
    }
}

impl<'de> Deserialize<'de> for Identity {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let id = text.split_at_checked(1).and_then(|(kind, id)| match kind {
            "n" => Some(Id::Number(id.parse().ok()?)),
            "t" => Some(Id::Text(id.into())),
            "h" => {
                let (text, before) = id.split_once('.')?;
                Some(Id::Hash(Arc::new((u128::from_str_radix(text, 16).ok()?, u128::from_str_radix(before, 16).ok()?))))
            }
            _ => None,
        });
        id.map(Self).ok_or_else(|| serde::de::Error::custom("not an identity"))
    }
}

/// A record of an answer, or what came in a record's place.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry<T> {
    /// A record.
    Record(T),
    /// Something that can't be read as a record. Those before and after it can.
    Unreadable(UnreadableRecord),
}

impl<T> Entry<T> {
    /// The record, or the error that it can't be read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Record`] for an unreadable one.
    pub fn into_result(self) -> Result<T, Error> {
        match self {
            Self::Record(record) => Ok(record),
            Self::Unreadable(record) => Err(record.into_error()),
        }
    }
}

/// A record that can't be read: where it stood, why, and its text.
#[derive(Clone, PartialEq, Eq)]
pub struct UnreadableRecord {
    index: usize,
    id: Option<String>,
    path: String,
    reason: String,
    raw: Json,
}

impl UnreadableRecord {
    pub(crate) fn new(index: usize, path: String, reason: String, raw: Json) -> Self {
        Self { index, id: id_of(&raw), path, reason, raw }
    }

    /// Its place in the answer that it came in, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Its id, if it has one that can be read.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The path, inside the record, of what doesn't fit; empty for the record as a whole.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What was expected there. Says nothing of what stands there.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The record, as the server sent it.
    #[must_use]
    pub fn raw(&self) -> &Json {
        &self.raw
    }

    pub(crate) fn into_error(self) -> Error {
        let place = if self.path.is_empty() { String::new() } else { format!(" at {}", self.path) };
        Error::new(
            ErrorKind::Record,
            format!("record {} of its answer can't be read{place}: {}", self.index, self.reason),
        )
        .with_record(self)
    }
}

/// `id` or `_id`, a text or a whole number, not more than an id is long.
fn id_of(raw: &Json) -> Option<String> {
    #[derive(Deserialize)]
    struct Identified {
        id: Option<Json>,
        _id: Option<Json>,
    }
    let Identified { id, _id } = raw.parse().ok()?;
    let id = _id.or(id)?;
    let number = |id: &Json| id.as_str().bytes().all(|it| matches!(it, b'0'..=b'9' | b'-' | b'.'));
    let text = id.parse::<String>().ok().or_else(|| number(&id).then(|| id.as_str().to_owned()))?;
    (text.len() <= 64 && !text.chars().any(char::is_control)).then_some(text)
}

/// Shows where and why, and not the record.
impl fmt::Debug for UnreadableRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnreadableRecord")
            .field("index", &self.index)
            .field("path", &self.path)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
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
    /// [`ErrorKind::Record`].
    pub fn into_records(self) -> Result<Vec<T>, Error> {
        self.entries.into_iter().map(Entry::into_result).collect()
    }
}
