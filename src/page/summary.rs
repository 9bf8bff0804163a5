//! What a reading came to, and whether it's all.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Total;

/// How a reading of a listing went: what was given, what was dropped, and whether it is all.
///
/// From [`Listing::collect`](super::Listing::collect) beside the records, or from
/// [`Items::summarised`](super::Items::summarised) beside a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// How many records were given, late and unreadable ones counted. Counts from the cursor for a reading that
    /// [went on](super::Listing::resume).
    pub seen: u64,
    /// How many of them were given late: they came to the head of the listing, or moved there, while it was read.
    pub late: u64,
    /// How many of them could not be read.
    pub unreadable: u64,
    /// How many came again and were dropped, but for the one by which each window overlaps.
    pub repeats: u64,
    /// How often the place in the listing was lost, and found again by going back.
    pub lost_places: u64,
    /// The smallest and the largest total that the server gave, if it gave any.
    pub totals: Option<(u64, u64)>,
    /// How many answers came; and how many requests had gone out that were dropped then, as what they asked for
    /// [ahead](super::Listing::prefetch) wasn't wanted any more. Failed requests aren't counted.
    pub requests: u64,
    /// Whether there was no order of times to stop by, so that [`since`](super::Listing::since) had to read on to the
    /// listing's end: the records weren't in it, or all had the same time, or none.
    pub read_on: bool,
    /// Whether this is all.
    pub verdict: Verdict,
}

/// Whether a reading gave all records of its listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// Every record that stood in the listing from the first request to the last was given. (With
    /// [`since`](super::Listing::since): every such one that is new enough. A server that lies about its total is
    /// [the exception](crate::guarantees#records-that-move).)
    ///
    /// The reading began at the head, its end was proved, the server gave one and the same total throughout, and as many
    /// distinct records were given. The exact conditions are in [`guarantees`](crate::guarantees#the-verdict).
    Complete,
    /// The end was proved and nothing is known to be missing, but there is no total to hold against it, or it doesn't
    /// bear it out.
    AsFarAsKnown(Doubt),
    /// Something is missing, or may be.
    Truncated(Cut),
}

/// Why a reading that came to its end isn't called complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Doubt {
    /// The server gives no total, or none that is known to be one.
    NoTotal,
    /// The total changed while it was read.
    TotalMoved,
    /// The total is another number than that of the records given.
    TotalDiffers,
    /// The head of the listing wasn't as before when it was read again.
    Reordered,
    /// All records came that the total counts, but they may have moved while they were read, and one that moved may have
    /// hidden another. Say by [`Listing::order`](super::Listing::order) that they don't, if you know.
    OrderMayChange,
    /// The answers had single records, which can't overlap: one that was removed may have hidden another. So it is with a
    /// page size of 1, and with a listing of one record.
    SingleRecords,
    /// Records moved, and more were read than are remembered: one may have been given twice and stand for another.
    BeyondMemory,
    /// Records of the same text, unreadable and without an id, can't be told apart.
    Alike,
    /// It ended at records older than was asked for.
    Since,
    /// Only what is newer than a cursor's head was read.
    OnlyNewer,
    /// The listing grew at its end while it was scanned: the scan stopped behind what stood there when it began. See
    /// [`Listing::growing_end`](super::Listing::growing_end).
    GrewAtEnd,
    /// Parts overlap by a number of records that isn't known, and so isn't the number of distinct records.
    Overlap,
}

/// Why a reading isn't whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cut {
    /// It isn't at its end yet, or was given up before.
    NotFinished,
    /// An error ended it.
    Failed,
    /// As many records were given as were asked for at most, or as [`collect`](super::Listing::collect) takes.
    MaxItems,
    /// As many pages were given as were asked for at most.
    MaxPages,
    /// It didn't begin at the head.
    StartOffset,
    /// The place in the listing was lost, or the server brought nothing new, for more requests than the budget allows.
    Lost,
    /// What had been read was gone, and so was all the rest.
    Emptied,
    /// The server gave errors of its own beside records.
    PartialErrors,
    /// It went on from a reading that wasn't whole.
    EarlierPart,
    /// It is a [part](super::Part) of the listing; or parts of it don't meet.
    Parts,
}

impl Verdict {
    /// Whether all is there, for certain.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        *self == Self::Complete
    }

    /// Whether something is missing, or may be.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        matches!(self, Self::Truncated(_))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, why) = match self {
            Self::Complete => return f.write_str("complete"),
            Self::AsFarAsKnown(doubt) => (
                "all as far as is known",
                match doubt {
                    Doubt::NoTotal => "the server gives no total",
                    Doubt::TotalMoved => "the total changed meanwhile",
                    Doubt::TotalDiffers => "the total is another number",
                    Doubt::OrderMayChange => "records may have moved meanwhile",
                    Doubt::Reordered => "records came, went or moved meanwhile",
                    Doubt::SingleRecords => "the server gives single records",
                    Doubt::BeyondMemory => "more was read than is remembered",
                    Doubt::Alike => "unreadable records can't be told apart",
                    Doubt::Overlap => "parts overlap by an unknown number of records",
                    Doubt::OnlyNewer => "only what is newer was read",
                    Doubt::GrewAtEnd => "it grew at its end while it was scanned",
                    Doubt::Since => "it ended at older records than asked for",
                },
            ),
            Self::Truncated(cut) => (
                "truncated",
                match cut {
                    Cut::NotFinished => "not at its end",
                    Cut::Failed => "an error ended it",
                    Cut::MaxItems => "as many records as asked for at most",
                    Cut::MaxPages => "as many pages as asked for at most",
                    Cut::StartOffset => "not begun at the head",
                    Cut::Lost => "the place was lost",
                    Cut::Emptied => "emptied meanwhile",
                    Cut::PartialErrors => "the server gave errors beside records",
                    Cut::Parts => "a part of it, or parts that don't meet",
                    Cut::EarlierPart => "the part before wasn't whole",
                },
            ),
        };
        write!(f, "{what}: {why}")
    }
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A known record stood alone where there was room, or a total that may be believed said so.
    Proved,
    /// Nothing more came, and the server gives single records, which can't overlap.
    Unproved,
    /// Too many requests brought nothing.
    Lost,
    /// What was there is gone.
    Emptied,
    /// As many as were asked for.
    MaxItems,
    /// As many pages as were asked for.
    MaxPages,
    /// The rest is older than asked for.
    Since,
    /// The listing grows at its end, and what stood there at first was given.
    Grew,
    /// An error that doesn't pass.
    Failed,
}

/// What a walk counts as it goes.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) requests: u64,
    /// Requests that brought something new.
    fruitful: u64,
    /// The last request was counted as one of these.
    counted: bool,
    /// Requests that looked for the position of a cursor, and don't count as bringing nothing.
    pub(super) excused: u64,
    pub(super) seen: u64,
    pub(super) late: u64,
    /// Given although they stand before what was known.
    pub(super) inserted: u64,
    pub(super) repeats: u64,
    pub(super) lost_places: u64,
    pub(super) totals: Option<(u64, u64)>,
    /// An answer had no total.
    without_total: bool,
    /// A total that differs from its page's count, or is documented: it isn't the page's.
    is_total: bool,
    /// Something stood elsewhere than where it was seen before.
    pub(super) shifted: bool,
    /// The head isn't what it was.
    pub(super) reordered: bool,
    pub(super) forgot: bool,
    /// Unreadable records of the same text came, or may have.
    pub(super) alike: bool,
    /// Records were read one at a time, without an overlap.
    pub(super) strode: bool,
    /// The end was proved by a record that stood where the total says another is behind it.
    pub(super) end_denied: bool,
}

impl Tally {
    /// An answer came.
    pub(super) fn came(&mut self) {
        self.requests += 1;
        self.counted = false;
    }

    pub(super) fn note_total(&mut self, meaning: Total, total: Option<u64>, received: usize) {
        let Some(total) = total else {
            self.without_total = true;
            return;
        };
        self.is_total |= match meaning {
            Total::OfListing => true,
            Total::OfPage => false,
            Total::Open => total != received as u64,
        };
        let (least, most) = self.totals.unwrap_or((total, total));
        self.totals = Some((least.min(total), most.max(total)));
    }

    /// An answer brought so many that are new.
    pub(super) fn gave(&mut self, records: u64) {
        self.seen += records;
        if records > 0 {
            self.found();
        }
    }

    /// An answer was of use, though nothing of it is given.
    pub(super) fn found(&mut self) {
        self.fruitful += u64::from(!self.counted);
        self.counted = true;
    }

    /// Whether requests without news exceed those with news by more than this.
    pub(super) fn is_over(&self, budget: u64) -> bool {
        self.requests > budget.saturating_add(2 * self.fruitful).saturating_add(self.excused)
    }

    /// The smallest and the largest total, if every answer had one.
    pub(super) fn all_totals(&self) -> Option<(u64, u64)> {
        self.totals.filter(|_| !self.without_total)
    }

    /// For a walk that goes on: what was given before had this total.
    pub(super) fn resume(&mut self, totals: Option<(u64, u64)>) {
        self.totals = totals;
        self.without_total = totals.is_none();
    }

    /// Whether what the server gives is a total, and came with every answer.
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
