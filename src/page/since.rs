use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// Which records are new enough, and whether there may be more of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since {
    after: DateTime<Utc>,
    slack: Duration,
    /// The time of the last record, and whether each so far was no newer than the one before.
    last: Option<DateTime<Utc>>,
    in_order: bool,
    /// Whether a time was older than the one before: times that are all the same have no order to go by.
    descended: bool,
    /// A record had no time.
    timeless: bool,
}

impl Since {
    pub(super) const SLACK: Duration = Duration::from_secs(300);

    pub(super) fn new(after: DateTime<Utc>, slack: Duration) -> Self {
        Self { after, slack, last: None, in_order: true, descended: false, timeless: false }
    }

    pub(super) fn with_slack(self, slack: Duration) -> Self {
        Self { slack, ..self }
    }

    /// Takes the time of a record. `next`: whether it comes next in the listing, and not late.
    pub(super) fn wants(&mut self, time: DateTime<Utc>, next: bool) -> bool {
        if next {
            self.in_order &= self.last.is_none_or(|last| time <= last);
            self.descended |= self.last.is_some_and(|last| time < last);
            self.last = Some(time);
        }
        time > self.after
    }

    /// A record has no time to go by.
    pub(super) fn miss(&mut self) {
        self.timeless = true;
    }

    /// Whether what comes now is all too old.
    pub(super) fn is_past(&self) -> bool {
        self.in_order && self.descended && self.is_beyond()
    }

    /// Whether it has to read to the listing's end, as there's no order to stop by.
    pub(super) fn reads_on(&self) -> bool {
        let no_time = self.timeless && self.last.is_none();
        !self.in_order || no_time || (self.is_beyond() && !self.is_past())
    }

    /// Whether the last record was too old, by more than the slack.
    fn is_beyond(&self) -> bool {
        let slack = TimeDelta::from_std(self.slack).unwrap_or(TimeDelta::MAX);
        let oldest = self.after.checked_sub_signed(slack).unwrap_or(DateTime::<Utc>::MIN_UTC);
        self.last.is_some_and(|last| last < oldest)
    }
}
