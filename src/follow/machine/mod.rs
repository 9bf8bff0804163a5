//! The rules by which a follower keeps up with a listing. Does no I/O and knows no clock.
//!
//! A driver starts a round of [`Work`], and alternates [`Machine::window`] and [`Machine::observe`] until there is no
//! window. The windows come from the walks of [`page`](crate::page): this module decides which walk is on, and what a
//! page means for the records that the follower remembers.
//!
//! - `table` holds these: the newest records, in order, each with a digest.
//! - `compare` compares a page with the table: which record is new, late or changed. It is the one rule that all walks
//!   share.
//! - `poll` looks at the growing end, and catches up. `sweep` reads the lookback again. `scan` reads a listing that
//!   isn't known yet, or all of it again.
//! - `order` finds out which end grows where that is undocumented.

mod compare;
#[cfg(test)]
mod model;
pub(crate) mod order;
mod poll;
mod scan;
pub(crate) mod state;
mod sweep;
pub(crate) mod table;
#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::cursor::Fingerprint;
use crate::follow::gap::GapReason;
use crate::follow::machine::scan::{Refresh, Scan};
use crate::follow::machine::state::{Phase, State};
use crate::follow::machine::sweep::Sweep;
use crate::page::fetch::prefetch::PrefetchHint;
use crate::page::walk::Walk;
use crate::page::walk::plan::Plan;
use crate::page::walk::toward_head::TowardHead;
use crate::page::{RecordKey, Window};

/// The end of a listing at which its newest records stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Side {
    Head,
    End,
}

/// A record of a page.
#[derive(Clone, Debug)]
pub(crate) struct Sighting {
    pub(crate) key: RecordKey,
    pub(crate) digest: u64,
    pub(crate) is_final: Option<bool>,
    pub(crate) time: Option<DateTime<Utc>>,
}

/// A change to deliver: the record at this index of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) index: usize,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    New,
    Late,
    Updated,
}

/// Where a follower without a checkpoint begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Begin {
    Beginning,
    Latest,
    Since(DateTime<Utc>),
}

/// The most records that are remembered, whatever is set: depths in the listing are computed from it.
const MOST: usize = usize::MAX / 64;

/// What a round does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Look for new records, and begin if there is no state yet.
    Poll,
    /// Read the lookback again; all of it, even where nothing can change any more.
    Sweep { whole: bool },
    /// The next page of a full scan.
    Refresh,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// How the listing is walked. Starts at 0, and reads no head twice: catching up does more than that.
    pub(crate) plan: Plan,
    pub(crate) listing: Fingerprint,
    /// The end that grows, if that is known.
    pub(crate) side: Option<Side>,
    pub(crate) lookback: usize,
    /// How many records are remembered at least, if the listing has them.
    pub(crate) least: usize,
    /// How far out of order the times may be.
    pub(crate) tolerance: Duration,
}

impl Settings {
    /// How many records the table holds: two pages at least, so that a poll never reaches its end.
    pub(crate) fn remembered(&self) -> usize {
        let two_pages = usize::try_from(self.plan.limit).unwrap_or(usize::MAX).saturating_mul(2);
        self.lookback.max(two_pages).max(self.least).min(MOST)
    }
}

/// The walk of a round.
#[derive(Debug)]
enum Task {
    /// Look at page 0 to see which end grows, before anything else.
    Probe(Begin),
    /// Read the listing for the first time.
    Scan(Box<Scan>),
    /// Look at the head. It was empty so many times.
    Poll(u8),
    /// Read what came at the head, oldest first.
    CatchUp(Box<CatchUp>),
    /// Read what came at the end.
    Tail(Box<Walk>, Tail),
    Sweep(Box<Sweep>),
    Refresh(Box<Refresh>),
}

#[derive(Debug)]
struct CatchUp {
    walk: TowardHead,
    /// If no known record is found, these records stay known: up to this one, which stands in the page at the head.
    known: Option<RecordKey>,
    /// What was remembered when it began. What it delivers may push some of that out of the table.
    remembered: HashSet<u64>,
}

#[derive(Debug, Default)]
struct Tail {
    /// Nothing is delivered: the follower begins at the newest record.
    silent: bool,
    /// The walk began at an offset that a total pointed to.
    guessed: bool,
    /// It goes on from a checkpoint that was stored while it read again from the head.
    is_again: bool,
    /// Where its last page began, and whether that was further down than the one before.
    offset: Option<u64>,
    goes_on: bool,
    /// The last new record that ended a page.
    newest: Option<RecordKey>,
    /// The first and the last record that it delivered below remembered ones to which it hasn't come.
    below: Option<(RecordKey, RecordKey)>,
    /// Records that came late for the walk, and may be old ground for the follower: a sweep decides.
    passed_over: HashSet<u64>,
}

#[derive(Debug)]
pub(crate) struct Machine {
    settings: Settings,
    state: State,
    task: Option<Task>,
    /// A full scan between two of its pages.
    refresh: Option<Box<Refresh>>,
    /// Records that are gone, to be reported.
    removed: VecDeque<RecordKey>,
    /// The number of the last sweep.
    sweeps: u64,
    caught_up: bool,
    /// The last round left records behind that the next one has to read, without a wait.
    is_behind: bool,
    /// The lookback has to be read again soon: something stands where it wasn't expected.
    wants_sweep: bool,
    finished_scan: bool,
    /// Records were forgotten that are gone: the next sweep reads on below the oldest remembered one.
    has_room: bool,
    /// The page may lack records, because the server sent errors beside them.
    is_partial: bool,
    /// The page ends where the newest records stand.
    is_newest: bool,
}

impl Machine {
    pub(crate) fn new(settings: Settings, begin: Begin) -> Self {
        let state = State::new(&settings, begin);
        Self::of(settings, state)
    }

    /// Goes on from the state of a checkpoint.
    pub(crate) fn of(settings: Settings, state: State) -> Self {
        Self {
            settings,
            state,
            task: None,
            refresh: None,
            removed: VecDeque::new(),
            sweeps: 0,
            caught_up: false,
            is_behind: false,
            wants_sweep: false,
            finished_scan: false,
            has_room: false,
            is_partial: false,
            is_newest: false,
        }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether the last round reached the newest record.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.caught_up && self.state.phase == Phase::Steady
    }

    /// Whether the next round should begin without a wait.
    pub(crate) fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Whether the lookback should be read again without waiting for its turn.
    pub(crate) fn wants_sweep(&self) -> bool {
        self.wants_sweep && self.state.phase == Phase::Steady
    }

    /// Whether a full scan is under way.
    pub(crate) fn is_refreshing(&self) -> bool {
        self.refresh.is_some() || self.state.refresh.is_some()
    }

    /// Returns whether a full scan has ended since this was last called.
    pub(crate) fn take_finished_scan(&mut self) -> bool {
        std::mem::take(&mut self.finished_scan)
    }

    /// Begins a full scan: its pages are read by rounds of [`Work::Refresh`].
    pub(crate) fn begin_refresh(&mut self) {
        if self.state.phase == Phase::Steady && self.side().is_some() && !self.is_refreshing() && !self.state.is_blank()
        {
            self.refresh = Some(Box::new(Refresh::new(&self.settings)));
        }
    }

    /// Begins a round, unless one is under way.
    pub(crate) fn start(&mut self, work: Work) {
        if self.task.is_some() {
            return;
        }
        self.is_behind = false;
        match (self.state.phase, work) {
            (Phase::Start(begin), _) => self.begin(begin),
            (Phase::Scanning, _) => self.resume_scan(),
            // It was lost, and hasn't come to its position again.
            (Phase::Steady, _) if self.state.before.is_some() => {
                self.caught_up = false;
                let gap = self.state.gap.take();
                self.state.gap = gap.filter(|it| *it == GapReason::AnchorsGone);
                self.begin_poll(gap);
            }
            (Phase::Steady, Work::Refresh) => self.resume_refresh(),
            (Phase::Steady, work) => {
                let gap = self.state.gap.take();
                self.caught_up = false;
                match work {
                    Work::Sweep { whole } if !self.state.is_blank() => self.begin_sweep(whole),
                    _ => self.begin_poll(gap),
                }
            }
        }
    }

    /// The window to request next. `None` between two rounds.
    pub(crate) fn window(&self) -> Option<Window> {
        let head = Window { offset: 0, limit: self.settings.plan.limit };
        match self.task.as_ref()? {
            Task::Probe(_) | Task::Poll(_) => Some(head),
            Task::Scan(scan) => scan.walk.window(),
            Task::CatchUp(it) => it.walk.window(),
            Task::Tail(walk, _) => walk.window(),
            Task::Sweep(sweep) => sweep.window(),
            Task::Refresh(scan) => scan.walk.window(),
        }
    }

    /// The windows that are likely to follow, where a long listing is read.
    pub(crate) fn prefetch_hint(&self) -> Option<PrefetchHint> {
        match self.task.as_ref()? {
            Task::Scan(scan) if scan.reads_all() => scan.walk.prefetch_hint(),
            Task::Tail(walk, _) => walk.prefetch_hint(),
            _ => None,
        }
    }

    /// Notes whether the next page was requested ahead.
    pub(crate) fn note_prefetched(&mut self, early: bool) {
        match &mut self.task {
            Some(Task::Scan(scan)) => scan.walk.note_prefetched(early),
            Some(Task::Tail(walk, _)) => walk.note_prefetched(early),
            _ => {}
        }
    }

    /// The remembered key of an invalid record with the same raw JSON as one that begins a page.
    pub(crate) fn alike(&self, key: &RecordKey) -> Option<RecordKey> {
        let tables = [&self.state.head, &self.state.end];
        tables.into_iter().flatten().find_map(|table| table.alike(key))
    }

    /// Notes whether the next page may lack records: it then shows nothing about those that it doesn't show.
    pub(crate) fn note_partial(&mut self, is_partial: bool) {
        self.is_partial = is_partial;
    }

    /// Takes the page for [`window`](Self::window), and returns the changes to deliver, in order. The state is that
    /// behind them.
    pub(crate) fn observe(&mut self, page: &[Sighting], total: Option<u64>) -> Vec<Found> {
        for record in page {
            self.state.newest = self.state.newest.max(record.time);
        }
        if let Some(position) = &mut self.state.position {
            position.note_page(page);
        }
        self.is_newest = self.side() == Some(Side::Head) && self.window().is_some_and(|it| it.offset == 0);
        match self.task.take() {
            None => Vec::new(),
            Some(Task::Probe(begin)) => self.observe_probe(begin, page, total),
            Some(Task::Scan(scan)) => self.observe_scan(scan, page, total),
            Some(Task::Poll(tries)) => self.observe_poll(tries, page, total),
            Some(Task::CatchUp(catch_up)) => self.observe_catch_up(catch_up, page, total),
            Some(Task::Tail(walk, tail)) => self.observe_tail(walk, tail, page, total),
            Some(Task::Sweep(sweep)) => self.observe_sweep(sweep, page, total),
            Some(Task::Refresh(scan)) => self.observe_refresh(scan, page, total),
        }
    }

    /// Takes the records that the last sweep found to be gone.
    pub(crate) fn take_gone(&mut self) -> VecDeque<RecordKey> {
        std::mem::take(&mut self.removed)
    }

    /// Forgets a record that is gone. Returns `false` if it was seen again meanwhile, or is forgotten already.
    pub(crate) fn forget(&mut self, key: &RecordKey) -> bool {
        let mut is_gone = false;
        for table in [&mut self.state.head, &mut self.state.end].into_iter().flatten() {
            if table.index(key).and_then(|it| table.get(it)).is_some_and(|it| it.missing > 1) {
                is_gone |= table.remove(key).is_some();
            }
        }
        self.has_room |= is_gone;
        is_gone
    }

    /// The remembered records below the one at this index weren't found: what stands there now is old ground.
    fn give_up_below(&mut self, side: Side, index: usize) {
        let Some(table) = self.state.table(side).filter(|it| it.len() > index + 1) else { return };
        table.truncate(index + 1);
        self.state.has_left = true;
        self.state.gap = Some(GapReason::RemovalsUnseen);
    }

    /// The end that grows, as far as it is known.
    fn side(&self) -> Option<Side> {
        match (&self.state.head, &self.state.end) {
            (Some(_), None) => Some(Side::Head),
            (None, Some(_)) => Some(Side::End),
            _ => None,
        }
    }

    /// Only one end grows: this one.
    fn decide(&mut self, side: Side) {
        match side {
            Side::Head => {
                self.state.end = None;
                if self.state.phase == Phase::Steady {
                    (self.state.position, self.state.before, self.state.is_below) = (None, None, false);
                }
            }
            Side::End => self.state.head = None,
        }
    }

    /// Ends the round at the newest record.
    fn finish(&mut self, is_behind: bool) {
        self.caught_up = !is_behind;
        self.is_behind = is_behind;
    }

    /// Ends the round without an anchor: what comes next is read as for the first time.
    fn lose_anchors(&mut self, reason: GapReason) {
        self.state.gap = Some(reason);
        self.state.restart(&self.settings);
        self.is_behind = true;
    }
}

/// The keys of a page.
fn keys(page: &[Sighting]) -> Vec<RecordKey> {
    page.iter().map(|it| it.key.clone()).collect()
}
