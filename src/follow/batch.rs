//! What a follower yields: batches of changes, and how it stands.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::error::InvalidRecord;
use crate::follow::checkpoint::Checkpoint;
use crate::follow::gap::Gap;
use crate::page::RecordKey;

/// Where a follower starts.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum StartFrom {
    /// Behind the batch that this checkpoint came with.
    Checkpoint(Checkpoint),
    /// At the beginning: every record that is in the listing is delivered, and then what comes.
    #[default]
    Beginning,
    /// At the end: only what comes from now on is delivered. Changes of the records of the
    /// [lookback](crate::follow::Follow::lookback) are delivered, too.
    Latest,
    /// At this time: the records after it are delivered, oldest first where the newest come first in the listing. Needs
    /// a listing whose records have [timestamps](crate::Paginate::timestamp), and stand in their order: where an older
    /// record has moved ahead of newer ones, those may be missed. The tolerance is that of
    /// [`since_tolerance`](crate::Listing::since_tolerance).
    Since(DateTime<Utc>),
}

/// Some changes, at most a page of them, and the checkpoint behind them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Batch<R> {
    /// The changes, to be applied in this order. Empty if a poll brought nothing.
    pub changes: Vec<Change<R>>,
    /// Covers this batch and all before it. Store it together with the changes, or after them.
    pub checkpoint: Checkpoint,
    /// How the follower stands behind this batch.
    pub progress: Progress,
}

impl<R> Batch<R> {
    /// Converts the records of all changes, and keeps the checkpoint and the progress.
    ///
    /// ```
    /// # fn example(batch: actionlog::follow::Batch<actionlog::unleash::ActionSetEvent>) {
    /// use actionlog::AnyRecord;
    ///
    /// // So that one function applies the batches of all three logs.
    /// let batch = batch.map(AnyRecord::from);
    /// # }
    /// # fn main() {}
    /// ```
    pub fn map<T>(self, mut convert: impl FnMut(R) -> T) -> Batch<T> {
        let Self { changes, checkpoint, progress } = self;
        let changes = changes.into_iter().map(|it| it.map(&mut convert)).collect();
        Batch { changes, checkpoint, progress }
    }
}

/// A change of one record.
///
/// Write each change so that doing it twice is the same as once: replace the row of the record's id, or delete it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change<R> {
    /// A record that is newer than all before it.
    New(R),
    /// A record that wasn't seen before, and stands behind one that was.
    Late(R),
    /// A record as it is now: it was delivered before, or is older than what was asked for, and has changed.
    Updated(R),
    /// The record with this key is gone: twice in a row, a page showed the records around it and not the record.
    Removed(RecordKey),
    /// A record that doesn't fit its model, new or changed, as raw JSON.
    Invalid(InvalidRecord),
}

impl<R> Change<R> {
    /// The record, if there is one that is valid.
    #[must_use]
    pub fn record(&self) -> Option<&R> {
        match self {
            Self::New(record) | Self::Late(record) | Self::Updated(record) => Some(record),
            Self::Removed(_) | Self::Invalid(_) => None,
        }
    }

    /// The record by value, if there is one that is valid.
    #[must_use]
    pub fn into_record(self) -> Option<R> {
        match self {
            Self::New(record) | Self::Late(record) | Self::Updated(record) => Some(record),
            Self::Removed(_) | Self::Invalid(_) => None,
        }
    }

    /// Converts the record, if there is one that is valid.
    pub fn map<T>(self, convert: impl FnOnce(R) -> T) -> Change<T> {
        match self {
            Self::New(record) => Change::New(convert(record)),
            Self::Late(record) => Change::Late(convert(record)),
            Self::Updated(record) => Change::Updated(convert(record)),
            Self::Removed(key) => Change::Removed(key),
            Self::Invalid(record) => Change::Invalid(record),
        }
    }
}

/// How a follower stands.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// Whether the last poll reached the newest record. Before that, `lag` says nothing about the records that are
    /// still to come.
    pub caught_up: bool,
    /// The latest timestamp of a record that was seen.
    pub newest: Option<DateTime<Utc>>,
    /// How long ago that is, by this machine's clock; zero if it is in the future. It grows while nothing happens, so a
    /// large one is no sign of trouble by itself; and two clocks may differ.
    pub lag: Option<Duration>,
    /// The oldest record seen that isn't in a final state: its changes are still to come.
    pub oldest_open: Option<OpenRecord>,
    /// How many records left the lookback before they were final. Only a
    /// [full scan](crate::follow::Follow::full_scan_interval) sees their changes.
    pub open_behind: u64,
    /// The follower lost its hold on the listing: records may have come and gone unseen.
    pub gap: Option<Gap>,
    /// How many full scans have ended.
    pub full_scans: u64,
    /// Whether a full scan is under way: unchanged records may be delivered as [`Change::Updated`].
    pub full_scan_running: bool,
}

/// A record that isn't in a final state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenRecord {
    /// Its key.
    pub key: RecordKey,
    /// Its timestamp, if it has one.
    pub timestamp: Option<DateTime<Utc>>,
}
