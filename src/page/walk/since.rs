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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap_or_default()
    }

    /// Whether the scan is past the time, and whether it has to go to the end, after records of these times.
    fn after(times: &[i64]) -> (bool, bool) {
        let mut since = Since::new(at(0), Since::TOLERANCE);
        for time in times {
            since.wants(at(*time), true);
        }
        (since.is_past(), since.scans_to_end())
    }

    #[test]
    fn only_later_records_are_wanted() {
        let mut since = Since::new(at(0), Duration::ZERO);
        assert_eq!([1, 0, -1, 2].map(|it| since.wants(at(it), true)), [true, false, false, true]);
        assert_eq!([1, 0].map(|it| since.wants(at(it), false)), [true, false]);
    }

    #[test]
    fn a_scan_is_past_the_time_once_a_record_is_older_by_more_than_the_tolerance() {
        let (on, past, to_end) = ((false, false), (true, false), (false, true));
        assert_eq!(after(&[]), on);
        assert_eq!(after(&[10, 0, -300]), on);
        assert_eq!(after(&[10, 0, -301]), past);
        assert_eq!(after(&[10, 10, -301]), past);
        // Records that are all of one time, or of ascending ones, show no order to stop by.
        assert_eq!(after(&[-301]), to_end);
        assert_eq!(after(&[-301, -301]), to_end);
        assert_eq!(after(&[-301, -302]), past);
        assert_eq!(after(&[10, 20, -301]), to_end);
        assert_eq!(after(&[10, 20]), to_end);
    }

    #[test]
    fn a_record_that_is_delivered_late_says_nothing_about_the_order() {
        let mut since = Since::new(at(0), Since::TOLERANCE);
        since.wants(at(10), true);
        since.wants(at(20), false);
        since.wants(at(-400), false);
        assert_eq!((since.is_past(), since.scans_to_end()), (false, false));
        since.wants(at(-400), true);
        assert_eq!((since.is_past(), since.scans_to_end()), (true, false));
    }

    #[test]
    fn a_listing_of_records_without_a_time_is_scanned_to_its_end() {
        let mut since = Since::new(at(0), Since::TOLERANCE);
        since.miss();
        assert!(since.scans_to_end());
        // Others show the order.
        since.wants(at(10), true);
        assert!(!since.scans_to_end());
    }

    #[test]
    fn a_tolerance_that_reaches_beyond_all_times_is_never_exceeded() {
        for tolerance in [Duration::MAX, Duration::from_secs(1 << 50)] {
            let mut since = Since::new(at(0), tolerance);
            for time in [10, i64::from(i32::MIN)] {
                since.wants(at(time), true);
            }
            assert!(!since.is_past() && !since.scans_to_end());
        }
    }
}
