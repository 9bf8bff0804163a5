//! The `since` filter: which records are new enough, and when to stop. Does no I/O.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// Filters records by their timestamps, and detects when no more can be new enough.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Since {
    after: DateTime<Utc>,
    tolerance: Duration,
    /// The timestamp of the last record, and whether no record so far was newer than the one before it.
    last: Option<DateTime<Utc>>,
    in_order: bool,
    /// Whether a timestamp was older than the one before it: without that there is no order to stop by.
    descended: bool,
    /// Whether a record had no timestamp.
    timeless: bool,
}

impl Since {
    pub(crate) const TOLERANCE: Duration = Duration::from_secs(300);

    pub(crate) fn new(after: DateTime<Utc>, tolerance: Duration) -> Self {
        Self { after, tolerance, last: None, in_order: true, descended: false, timeless: false }
    }

    /// Notes the timestamp of a record, and returns whether the record is new enough. `next`: the record comes next in
    /// the listing, and not late.
    pub(crate) fn wants(&mut self, time: DateTime<Utc>, next: bool) -> bool {
        if next {
            self.in_order &= self.last.is_none_or(|last| time <= last);
            self.descended |= self.last.is_some_and(|last| time < last);
            self.last = Some(time);
        }
        time > self.after
    }

    /// Notes a record without a timestamp.
    pub(crate) fn miss(&mut self) {
        self.timeless = true;
    }

    /// Returns whether all further records are too old.
    pub(crate) fn is_past(&self) -> bool {
        self.in_order && self.descended && self.is_beyond()
    }

    /// Returns whether the scan has to go to the listing's end, because there is no order to stop by.
    pub(crate) fn scans_to_end(&self) -> bool {
        let no_time = self.timeless && self.last.is_none();
        !self.in_order || no_time || (self.is_beyond() && !self.is_past())
    }

    /// Returns whether the last record was too old by more than the tolerance.
    fn is_beyond(&self) -> bool {
        let tolerance = TimeDelta::from_std(self.tolerance).unwrap_or(TimeDelta::MAX);
        let oldest = self.after.checked_sub_signed(tolerance).unwrap_or(DateTime::<Utc>::MIN_UTC);
        self.last.is_some_and(|last| last < oldest)
    }
}
