//! The summary of a scan, and its verdict: whether the scan is known to be complete.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::page::TotalScope;

/// How a scan went: what was delivered, what was dropped, and whether it is complete.
///
/// Returned by [`Listing::collect`](crate::page::Listing::collect) beside the records, and by
/// [`Items::summarised`](crate::page::Items::summarised) beside a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// How many records were delivered, late and invalid ones included. A scan that
    /// [resumed](crate::page::Listing::resume) counts from its cursor.
    pub delivered: u64,
    /// How many of them were delivered late: they were added at the head of the listing, or moved there, during the
    /// scan.
    pub late: u64,
    /// How many of them were invalid.
    pub invalid: u64,
    /// How many records came again and were dropped, except for the one by which each window overlaps.
    pub repeats: u64,
    /// How often the position in the listing was lost and found again by going back.
    pub lost_positions: u64,
    /// The smallest and the largest total that the server sent, if it sent any.
    pub totals: Option<(u64, u64)>,
    /// How many times the listing was scanned: more than once only with [`verify`](crate::page::Listing::verify). The
    /// other numbers cover all scans.
    pub scans: u32,
    /// How many responses came, plus how many requests had been sent [ahead](crate::page::Listing::prefetch) and were
    /// dropped because their pages were no longer wanted. Failed requests don't count.
    pub requests: u64,
    /// Whether [`since`](crate::page::Listing::since) had to scan to the listing's end, because there were no
    /// descending timestamps to stop by: the records weren't sorted by time, or all had the same timestamp, or none.
    pub scanned_to_end: bool,
    /// Whether the scan is complete.
    pub verdict: Verdict,
}

/// Whether a scan delivered all records of its listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// Every record that stood in the listing from the first request to the last was delivered. (With
    /// [`since`](crate::page::Listing::since): every such record that is new enough. A server that sends a wrong total
    /// is [the exception](crate::guarantees#records-that-move).)
    ///
    /// The scan started at the head and its end was proved. [`Proof`] says what shows that nothing is missing. The
    /// exact conditions are in [`guarantees`](crate::guarantees#the-verdict).
    Complete(Proof),
    /// The end was proved and no record is known to be missing, but there is no total to check the count against, or
    /// the total doesn't confirm it.
    Unverified(Doubt),
    /// Records are missing, or may be.
    Incomplete(Cause),
}

/// What shows that a scan is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Proof {
    /// The server sent the same total throughout, and as many distinct records were delivered, in a stable order.
    Total,
    /// A second scan saw the same records in the same order: see [`verify`](crate::page::Listing::verify).
    SecondScan,
}

/// Why a scan that reached its end isn't [`Complete`](Verdict::Complete).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Doubt {
    /// The server sent no total, or none that is known to count the listing.
    NoTotal,
    /// The total changed during the scan.
    TotalMoved,
    /// The total differs from the number of records that were delivered.
    TotalDiffers,
    /// The head of the listing had changed when it was read again.
    Reordered,
    /// As many records came as the total counts, but they may have moved during the scan, and one that moved may have
    /// hidden another. If you know that they don't move, set [`Listing::stability`](crate::page::Listing::stability).
    OrderMayChange,
    /// The pages had single records, which can't overlap: one that was removed may have hidden another. This is so with
    /// a page size of 1, and for a listing of one record.
    SingleRecords,
    /// Records moved, and more were seen than the scan remembers: one may have been delivered twice and stand for
    /// another.
    BeyondMemory,
    /// Invalid records without an id and with the same raw JSON can't be told apart.
    Alike,
    /// The scan stopped at records older than [`since`](crate::page::Listing::since).
    Since,
    /// Only records newer than the head of a cursor were requested.
    OnlyNewer,
    /// The listing grew at its end during the scan: the scan stopped behind the records that stood there when it
    /// started. See [`Listing::growing_end`](crate::page::Listing::growing_end).
    GrewAtEnd,
    /// The listing kept shifting, the last record never stood alone in a page, and there was no total: pages kept
    /// ending with it, or growing behind it. A server that limits pages by their size returns such pages, too.
    EndUnproved,
    /// With [`verify`](crate::page::Listing::verify): no two scans in a row saw the same records in the same order, or
    /// the listing shifted in a way that new records at its head don't explain. Or the scan resumed from a cursor of a
    /// scan to which that happened.
    ScansDiffer,
    /// Parts overlap by an unknown number of records, so the number of distinct records is unknown.
    Overlap,
}

/// Why a scan isn't complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// The scan hasn't reached the end yet, or was dropped before.
    NotFinished,
    /// An error ended the scan.
    Failed,
    /// The scan reached [`max_items`](crate::page::Listing::max_items), or the limit of
    /// [`collect`](crate::page::Listing::collect).
    MaxItems,
    /// The scan reached [`max_pages`](crate::page::Listing::max_pages).
    MaxPages,
    /// The scan didn't start at the head.
    StartOffset,
    /// The position in the listing was lost, or no new record came, for more requests than
    /// [`max_unproductive_requests`](crate::page::Listing::max_unproductive_requests) allows. Or the scan started at
    /// the head again 16 times. Or records came in the middle as fast as they were read: by the total, 64
    /// pages together came no closer to the end.
    Lost,
    /// All records that were read are gone, and so are all others.
    Emptied,
    /// The server sent errors beside records.
    PartialErrors,
    /// The scan resumed from a cursor whose scan had gaps.
    EarlierPart,
    /// Only a [part](crate::page::Part) of the listing was scanned, or the parts of it don't meet.
    Parts,
}

impl Verdict {
    /// Returns whether the verdict is [`Complete`](Self::Complete).
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(self, Self::Complete(_))
    }

    /// Returns whether nothing is wrong as far as can be known, and completeness can't be proved: the server sends no
    /// total, its order is undocumented, or the scan was asked for less than all. This is normal for some listings, and
    /// the same on every scan; [`verify`](crate::page::Listing::verify) proves more.
    #[must_use]
    pub fn is_unprovable(&self) -> bool {
        matches!(self, Self::Unverified(doubt) if !doubt.is_suspicious())
    }

    /// Returns whether the scan reached the end, but something moved or doesn't add up. Normal for a listing that
    /// changes while it is scanned. If it happens on every scan, or in a listing at rest, find out why:
    /// [`verdicts`](crate::verdicts) says how.
    #[must_use]
    pub fn is_suspicious(&self) -> bool {
        matches!(self, Self::Unverified(doubt) if doubt.is_suspicious())
    }

    /// Returns whether the verdict is [`Incomplete`](Self::Incomplete).
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        matches!(self, Self::Incomplete(_))
    }

    /// Returns the worse of two verdicts: incomplete is worse than unverified, which is worse than complete. If both
    /// are equally bad, returns this one.
    ///
    /// ```
    /// use actionlog::page::{Cause, Doubt, Proof, Verdict};
    ///
    /// let (doubt, cause) = (Verdict::Unverified(Doubt::NoTotal), Verdict::Incomplete(Cause::MaxItems));
    /// assert_eq!(Verdict::Complete(Proof::Total).worse(doubt), doubt);
    /// assert_eq!(doubt.worse(cause), cause);
    /// assert_eq!(cause.worse(doubt), cause);
    /// ```
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        if other.badness() > self.badness() { other } else { self }
    }

    fn badness(&self) -> u8 {
        match self {
            _ if self.is_complete() => 0,
            _ if self.is_incomplete() => 2,
            _ => 1,
        }
    }
}

impl Doubt {
    /// Returns whether records moved, or numbers don't add up. See [`Verdict::is_suspicious`].
    #[must_use]
    pub fn is_suspicious(&self) -> bool {
        match self {
            Self::TotalMoved
            | Self::TotalDiffers
            | Self::Reordered
            | Self::BeyondMemory
            | Self::EndUnproved
            | Self::ScansDiffer => true,
            Self::NoTotal
            | Self::OrderMayChange
            | Self::SingleRecords
            | Self::Alike
            | Self::Since
            | Self::OnlyNewer
            | Self::GrewAtEnd
            | Self::Overlap => false,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete(Proof::Total) => f.write_str("complete: as many records as the total counts"),
            Self::Complete(Proof::SecondScan) => f.write_str("complete: two scans in a row agree"),
            Self::Unverified(doubt) => write!(f, "unverified: {}", doubt.reason()),
            Self::Incomplete(cause) => write!(f, "incomplete: {}", cause.reason()),
        }
    }
}

impl Doubt {
    fn reason(self) -> &'static str {
        match self {
            Self::NoTotal => "no total shows how many records there are",
            Self::TotalMoved => "the total changed during the scan",
            Self::TotalDiffers => "the total differs from the number of records",
            Self::OrderMayChange => "records may have moved during the scan",
            Self::Reordered => "records were added, removed or moved during the scan",
            Self::SingleRecords => "pages of one record can't overlap",
            Self::BeyondMemory => "more records were seen than are remembered",
            Self::Alike => "invalid records can't be told apart",
            Self::Overlap => "parts overlap by an unknown number of records",
            Self::OnlyNewer => "only newer records were requested",
            Self::GrewAtEnd => "the listing grew at its end during the scan",
            Self::EndUnproved => "its end isn't proved, as it kept shifting",
            Self::ScansDiffer => "no two scans in a row agree",
            Self::Since => "the scan stopped at records older than `since`",
        }
    }
}

impl Cause {
    fn reason(self) -> &'static str {
        match self {
            Self::NotFinished => "the scan hasn't reached the end",
            Self::Failed => "an error ended the scan",
            Self::MaxItems => "`max_items` was reached",
            Self::MaxPages => "`max_pages` was reached",
            Self::StartOffset => "the scan didn't start at the head",
            Self::Lost => "the position in the listing was lost",
            Self::Emptied => "the listing was emptied during the scan",
            Self::PartialErrors => "the server sent errors beside records",
            Self::Parts => "this is a part of the listing, or its parts don't meet",
            Self::EarlierPart => "the scan before the cursor was incomplete",
        }
    }
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// An already seen record stood alone where there was room, or a reliable total confirmed the end.
    Proved,
    /// Nothing more came, and the server sends single records, which can't overlap.
    Unproved,
    /// Pages kept ending with the same record, which never stood alone, and there was no total.
    Stalled,
    /// Too many requests were unproductive.
    Lost,
    /// All records are gone.
    Emptied,
    /// `max_items` was reached.
    MaxItems,
    /// `max_pages` was reached.
    MaxPages,
    /// The rest is older than `since`.
    Since,
    /// The listing grows at its end, and what stood there at the start was delivered.
    Grew,
    /// The listing seems to grow at its end, but nothing shows that a page reached up to the end.
    GrewUnproved,
    /// An error that isn't transient.
    Failed,
}

impl End {
    /// Returns whether nothing more came: a second scan can verify that.
    pub(super) fn is_reached(self) -> bool {
        matches!(self, Self::Proved | Self::Unproved)
    }
}

/// The counters of a walk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    pub(super) requests: u64,
    /// Productive requests: those that brought a new record.
    productive: u64,
    /// Whether the last request was counted as productive.
    counted: bool,
    /// Requests that looked for the position of a cursor. They don't count as unproductive.
    pub(super) excused: u64,
    pub(super) seen: u64,
    pub(super) late: u64,
    /// Delivered although they stand before a record that was already seen.
    pub(super) inserted: u64,
    pub(super) repeats: u64,
    pub(super) lost_positions: u64,
    pub(super) totals: Option<(u64, u64)>,
    /// A response had no total.
    without_total: bool,
    /// The total counts the listing: it is documented, or it once differed from the count of its page.
    is_total: bool,
    /// By how many records the listing was seen to shift down.
    shifted_by: u64,
    /// It shifted up, its position was lost, or records came elsewhere than at its head.
    pub(super) is_disturbed: bool,
    /// A record stood elsewhere than where it was seen before.
    pub(super) shifted: bool,
    /// The head had changed when it was read again.
    pub(super) reordered: bool,
    pub(super) has_forgotten: bool,
    /// Invalid records with the same raw JSON came, or may have.
    pub(super) alike: bool,
    /// Records were read one at a time, without an overlap.
    pub(super) unoverlapped: bool,
    /// The end was proved by a record that stood where, by the total, another one follows it.
    pub(super) end_denied: bool,
}

impl Counters {
    /// Counts a response.
    pub(super) fn note_response(&mut self) {
        self.requests += 1;
        self.counted = false;
    }

    pub(super) fn note_total(&mut self, meaning: TotalScope, total: Option<u64>, received: usize) {
        let Some(total) = total else {
            self.without_total = true;
            return;
        };
        self.is_total |= match meaning {
            TotalScope::Listing => true,
            TotalScope::Page => false,
            TotalScope::Unknown => total != received as u64,
        };
        let (least, most) = self.totals.unwrap_or((total, total));
        self.totals = Some((least.min(total), most.max(total)));
    }

    /// Returns whether the totals may count the listing rather than a page.
    pub(super) fn may_count_listing(&self, meaning: TotalScope) -> bool {
        meaning == TotalScope::Listing || self.is_total
    }

    /// Counts how far an already seen record moved down; `None` if it moved up or that is unknown.
    pub(super) fn note_shift(&mut self, by: Option<u64>) {
        self.is_disturbed |= by.is_none();
        self.shifted_by = self.shifted_by.saturating_add(by.unwrap_or_default());
    }

    /// Returns by how many records the listing was seen to shift down. `None` if it was disturbed otherwise.
    pub(super) fn shift(&self) -> Option<u64> {
        (!self.is_disturbed).then_some(self.shifted_by)
    }

    /// Counts the new records of a response.
    pub(super) fn note_delivered(&mut self, records: u64) {
        self.seen += records;
        if records > 0 {
            self.note_productive();
        }
    }

    /// Counts the last response as productive, even where nothing of it is delivered.
    pub(super) fn note_productive(&mut self) {
        self.productive += u64::from(!self.counted);
        self.counted = true;
    }

    /// Returns whether the unproductive requests exceed the productive ones by more than this.
    pub(super) fn is_over(&self, max_unproductive_requests: u64) -> bool {
        self.requests > max_unproductive_requests.saturating_add(2 * self.productive).saturating_add(self.excused)
    }

    /// Returns the smallest and the largest total, if every response had one.
    pub(crate) fn all_totals(&self) -> Option<(u64, u64)> {
        self.totals.filter(|_| !self.without_total)
    }

    /// Sets the totals that the scan had seen before the cursor it resumes from.
    pub(super) fn resume(&mut self, totals: Option<(u64, u64)>, shift: Option<u64>) {
        self.totals = totals;
        self.without_total = totals.is_none();
        self.note_shift(shift);
    }

    /// Returns whether the server's total counts the listing and came with every response.
    pub(super) fn has_total(&self) -> bool {
        self.is_total && self.all_totals().is_some()
    }

    pub(super) fn doubt_of_total(&self, distinct: u64) -> Option<Doubt> {
        match self.totals {
            None => Some(Doubt::NoTotal),
            _ if self.without_total || !self.is_total => Some(Doubt::NoTotal),
            Some((least, most)) if least != most => Some(Doubt::TotalMoved),
            Some((total, _)) if total != distinct => Some(Doubt::TotalDiffers),
            Some(_) => None,
        }
    }
}

/// A handle to the summary of a scan whose stream is elsewhere: see
/// [`Items::summarised`](crate::page::Items::summarised).
#[derive(Clone, Debug)]
pub struct SummaryHandle(Arc<Mutex<Summary>>);

impl SummaryHandle {
    /// Returns the summary of the scan up to the last record that was yielded. Until the stream has returned `None`, or
    /// the error that ends it, the verdict is [`NotFinished`](Cause::NotFinished).
    #[must_use]
    pub fn get(&self) -> Summary {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn new(summary: Summary) -> Self {
        Self(Arc::new(Mutex::new(summary)))
    }

    pub(super) fn set(&self, summary: Summary) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = summary;
    }
}
