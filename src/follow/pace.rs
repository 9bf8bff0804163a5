//! When a follower looks at its listing again.

use std::time::Duration;

use tokio::time::Instant;

use crate::follow::machine::Work;

/// At least every tenth sweep reads the whole lookback.
const WHOLE: u64 = 10;

/// A time that counts as never.
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// How often a follower polls, sweeps and scans, and when it does so next.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    pub(super) poll: Duration,
    pub(super) most: Duration,
    pub(super) sweep: Option<Duration>,
    pub(super) scan: Option<Duration>,
    /// How many polls in a row brought nothing.
    idle: u32,
    next_poll: Option<Instant>,
    next_sweep: Option<Instant>,
    next_scan: Option<Instant>,
    sweeps: u64,
    /// A full scan begins: the next sweep is one of the whole lookback.
    is_whole: bool,
    /// The last round wasn't one of a full scan: if one is under way, its next page is due, however short the other
    /// intervals are.
    owes_scan: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(5),
            most: Duration::from_secs(30),
            sweep: Some(Duration::from_secs(60)),
            scan: None,
            idle: 0,
            next_poll: None,
            next_sweep: None,
            next_scan: None,
            sweeps: 0,
            is_whole: false,
            owes_scan: false,
        }
    }
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Round(Work),
    /// Nothing before this time.
    At(Instant),
}

impl Pace {
    /// Returns what is due now. `wants_sweep`: a sweep is due with the next poll.
    pub(super) fn due(&mut self, now: Instant, is_behind: bool, wants_sweep: bool, is_refreshing: bool) -> Due {
        let is_due = |time: Option<Instant>| time.is_none_or(|it| it <= now);
        let sweep_is_due = self.next_sweep.is_some_and(|it| it <= now);
        if is_behind || self.next_poll.is_none() {
            return Due::Round(Work::Poll);
        }
        if is_refreshing && self.owes_scan {
            return Due::Round(Work::Refresh);
        }
        if sweep_is_due || self.is_whole || (wants_sweep && is_due(self.next_poll)) {
            let whole = std::mem::take(&mut self.is_whole) || self.sweeps.is_multiple_of(WHOLE);
            self.sweeps += 1;
            return Due::Round(Work::Sweep { whole });
        }
        if is_due(self.next_poll) {
            return Due::Round(Work::Poll);
        }
        if is_refreshing {
            return Due::Round(Work::Refresh);
        }
        let times = [self.next_poll, self.next_sweep, self.next_scan];
        Due::At(times.into_iter().flatten().min().unwrap_or(now))
    }

    /// Whether a full scan is due.
    pub(super) fn is_scan_due(&self, now: Instant) -> bool {
        self.next_scan.is_some_and(|it| it <= now)
    }

    /// Notes that a full scan was due, and whether it has begun.
    pub(super) fn note_scan(&mut self, now: Instant, has_begun: bool) {
        self.next_scan = self.scan.map(|it| after(now, it));
        self.is_whole |= has_begun;
    }

    /// Notes the end of a round.
    pub(super) fn note_round(&mut self, now: Instant, work: Work, has_changed: bool) {
        self.owes_scan = work != Work::Refresh;
        if work == Work::Refresh {
            return;
        }
        self.idle = if has_changed { 0 } else { self.idle.saturating_add(1) };
        self.next_poll = Some(after(now, self.interval()));
        if matches!(work, Work::Sweep { .. }) || self.next_sweep.is_none() {
            self.next_sweep = self.sweep.map(|it| after(now, it));
        }
        if self.next_scan.is_none() {
            self.next_scan = self.scan.map(|it| after(now, it));
        }
    }

    /// The wait before the next poll: doubled with each one that brings nothing, and up to a tenth longer or shorter,
    /// so that many followers don't poll in step.
    fn interval(&self) -> Duration {
        let doublings = self.idle.saturating_sub(1).min(20);
        let interval = self.poll.saturating_mul(1 << doublings).min(self.most.max(self.poll)).min(NEVER);
        interval.mul_f64(0.9 + 0.2 * fastrand::f64())
    }
}

/// The time so long after this one, a millisecond at least: with no wait at all, a server would be polled in a hot
/// loop.
fn after(now: Instant, wait: Duration) -> Instant {
    now + wait.clamp(Duration::from_millis(1), NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_doubles_while_polls_bring_nothing_and_is_short_again_behind_a_change() {
        let mut pace = Pace::default();
        let now = Instant::now();
        let mut wait = |has_changed| {
            pace.note_round(now, Work::Poll, has_changed);
            let Due::At(time) = pace.due(now, false, false, false) else { return 0.0 };
            (time - now).as_secs_f64()
        };
        for (has_changed, expected) in
            [(true, 5.0), (false, 5.0), (false, 10.0), (false, 20.0), (false, 30.0), (false, 30.0), (true, 5.0)]
        {
            let wait = wait(has_changed);
            assert!((0.9 * expected..=1.1 * expected).contains(&wait), "{wait} and not {expected}");
        }
    }

    /// A pace whose first poll ended at `now`.
    fn polled(now: Instant) -> Pace {
        let mut pace = Pace { scan: Some(Duration::from_secs(100)), ..Pace::default() };
        assert_eq!(pace.due(now, false, false, false), Due::Round(Work::Poll), "the first one");
        pace.note_round(now, Work::Poll, true);
        pace
    }

    #[test]
    fn a_follower_that_is_behind_polls_at_once_and_any_other_when_its_time_has_come() {
        let now = Instant::now();
        let mut pace = polled(now);
        assert_eq!(pace.due(now, true, false, false), Due::Round(Work::Poll));
        let Due::At(time) = pace.due(now, false, false, false) else { panic!("it polls at once") };
        assert_eq!(pace.due(time, false, false, false), Due::Round(Work::Poll));
        assert_eq!(pace.due(time, false, true, false), Due::Round(Work::Sweep { whole: true }));
    }

    #[test]
    fn every_tenth_sweep_reads_the_whole_lookback() {
        let mut now = Instant::now();
        let mut pace = polled(now);
        for sweep in 0..=20 {
            now += Duration::from_secs(60);
            let whole = sweep % 10 == 0;
            assert_eq!(pace.due(now, false, false, false), Due::Round(Work::Sweep { whole }), "{sweep}");
            pace.note_round(now, Work::Sweep { whole }, false);
        }
    }

    #[test]
    fn a_full_scan_is_due_once_in_its_interval() {
        let now = Instant::now();
        let mut pace = polled(now);
        let later = |seconds| now + Duration::from_secs(seconds);
        assert_eq!([0, 99, 100].map(|it| pace.is_scan_due(later(it))), [false, false, true]);
        pace.note_scan(later(100), true);
        assert_eq!([100, 199, 200].map(|it| pace.is_scan_due(later(it))), [false, false, true]);
    }
}
