//! How a timeline stands: its logs, whom it waits for, and whether it is complete.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::page::{Cause, Doubt, Summary, Verdict};

/// How a timeline went, or how it stands: its logs one by one, and the worst of their verdicts.
///
/// `Display` writes a line for each log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TimelineSummary {
    /// The logs, in the order in which they were added.
    pub logs: Vec<LogSummary>,
    /// The worst verdict of a log. A timeline without logs is [`NotFinished`](Cause::NotFinished).
    pub verdict: Verdict,
}

impl TimelineSummary {
    pub(super) fn of(logs: Vec<LogSummary>) -> Self {
        let verdict = logs.iter().map(LogSummary::verdict).reduce(Verdict::worse);
        Self { logs, verdict: verdict.unwrap_or(Verdict::Incomplete(Cause::NotFinished)) }
    }

    /// Returns how many records were delivered, of all logs.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.logs.iter().map(|it| it.delivered).sum()
    }

    /// Returns the log of this name. Of several, the one that was added first.
    #[must_use]
    pub fn log(&self, name: &str) -> Option<&LogSummary> {
        self.logs.iter().find(|it| it.name == name)
    }

    /// Returns the names of the logs that the timeline is waiting for.
    pub fn waiting_for(&self) -> impl Iterator<Item = &str> {
        self.logs.iter().filter(|it| it.state == LogState::Awaited).map(|it| it.name.as_str())
    }
}

impl fmt::Display for TimelineSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, log) in self.logs.iter().enumerate() {
            f.write_str(if index > 0 { "\n" } else { "" })?;
            log.fmt(f)?;
        }
        Ok(())
    }
}

/// How one log of a timeline went, or how it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LogSummary {
    /// Its name in the timeline.
    pub name: String,
    /// How many of its records were delivered. Invalid records aren't counted here.
    pub delivered: u64,
    /// How many of these have no time, or are changes of older records. They came behind the record before them in
    /// their log; the first ones came before all others.
    pub untimed: u64,
    /// How many of these came although a record that comes behind them by its time had come before: the log isn't
    /// sorted by time, or the timeline had gone on without it.
    pub out_of_order: u64,
    /// How many invalid records it had.
    pub invalid: u64,
    /// How many other errors it had.
    pub errors: u64,
    /// Whether the last thing that came of it is one of these errors: neither a record nor, of a live log, a successful
    /// poll has come since.
    pub failed: bool,
    /// Whether the timeline asked the server for the timestamps, because the query didn't: Arklow's records have none
    /// without their [state](crate::arklow::RecordsQuery::include_state).
    pub requested_timestamps: bool,
    /// Of a follower: why records may have come and gone unseen, if they may.
    pub gap: Option<String>,
    /// The time of the last record that was delivered.
    pub reached: Option<DateTime<Utc>>,
    /// What the log is doing.
    pub state: LogState,
    /// How long the timeline has been waiting for it, if it is.
    pub waited: Option<Duration>,
    /// The summary of its scan. It may count one record more than `delivered`, which waits for its turn. `None` for a
    /// stream that was added without one.
    pub scan: Option<Summary>,
}

impl LogSummary {
    /// Returns the verdict of the log: that of its scan. A stream that was added without a summary is unverified once
    /// it has ended, and incomplete if it ended with an [error](Self::failed). A follower with a [gap](Self::gap) is
    /// incomplete.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match &self.scan {
            None if self.gap.is_some() => Verdict::Incomplete(Cause::Lost),
            Some(scan) => scan.verdict,
            None if self.state == LogState::Ended && self.failed => Verdict::Incomplete(Cause::Failed),
            None if self.state == LogState::Ended => Verdict::Unverified(Doubt::NoTotal),
            None => Verdict::Incomplete(Cause::NotFinished),
        }
    }
}

impl fmt::Display for LogSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} records, {}", self.name, self.delivered, self.verdict())?;
        let counts = [
            (self.invalid, "invalid"),
            (self.errors, "other errors"),
            (self.untimed, "without a time"),
            (self.out_of_order, "out of order"),
        ];
        for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "; {count} {what}")?;
        }
        if self.requested_timestamps {
            f.write_str("; their state was requested, for the time in it")?;
        }
        if let Some(gap) = &self.gap {
            write!(f, "; {gap}")?;
        }
        match self.state {
            LogState::Awaited => write!(f, "; waiting for it for {} s", self.waited.unwrap_or_default().as_secs()),
            LogState::LeftBehind => f.write_str("; the timeline goes on without it"),
            LogState::Ready | LogState::Ended => Ok(()),
        }
    }
}

/// What a log of a timeline is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LogState {
    /// It has a record, or nothing waits for one.
    Ready,
    /// The timeline waits for its next record, because that may come before those of other logs.
    Awaited,
    /// It failed for the moment, or took too long: the timeline goes on without it. Its records come once it has some.
    LeftBehind,
    /// It has ended.
    Ended,
}

/// A handle to the summary of a timeline, for another task while the timeline waits: see
/// [`Timeline::handle`](crate::timeline::Timeline::handle).
#[derive(Clone, Debug)]
pub struct TimelineHandle(Arc<Mutex<Seen>>);

/// A summary, and when it was made.
#[derive(Debug)]
struct Seen {
    summary: TimelineSummary,
    at: Instant,
}

impl TimelineHandle {
    pub(super) fn new(summary: TimelineSummary) -> Self {
        Self(Arc::new(Mutex::new(Seen { summary, at: Instant::now() })))
    }

    /// Returns how the timeline stood when it was last polled. For how long it has been
    /// [waiting](LogSummary::waited) is counted up to now.
    #[must_use]
    pub fn summary(&self) -> TimelineSummary {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut summary, since) = (seen.summary.clone(), seen.at.elapsed());
        drop(seen);
        summary.logs.iter_mut().filter_map(|it| it.waited.as_mut()).for_each(|it| *it = it.saturating_add(since));
        summary
    }

    pub(super) fn set(&self, summary: TimelineSummary) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Seen { summary, at: Instant::now() };
    }
}
