//! The follower's rules against a listing that changes between any two requests and responds badly, with polls, sweeps,
//! full scans, kills and restarts from any stored checkpoint.
//!
//! What must hold is in `Copy::check`: in the end the copy has every record that is there, in its last state, and
//! nothing was reported as removed that was there.
//!
//! `MODEL_CASES` sets the number of cases, 300 unless set.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use world::{World, time};

use crate::cursor::Fingerprint;
use crate::follow::checkpoint::Checkpoint;
use crate::follow::machine::{Begin, Kind, Machine, Phase, Settings, Side, Sighting, Work};
use crate::page::walk::plan::{HeadAgain, Plan, Rules};
use crate::page::{GrowingEnd, Stability, TotalScope};

/// Something that happens before a request. Places are taken modulo what there is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Nothing,
    /// New records.
    Grow(u8),
    /// Many new records.
    Burst(u8),
    /// A record that comes late.
    Insert(u8),
    /// A record changes, and may be final from then on.
    Change(u8),
    Finish(u8),
    /// Records go, from this place on; the oldest, the newest.
    Delete(u8, u8),
    Retire(u8),
    Expire(u8),
    /// A record leaves the listing, and the last one that did comes back.
    Hide(u8),
    Unhide,
    /// A record moves to where the newest stand.
    Move(u8),
    /// Many of the newest are gone, as after a restore from a backup.
    Restore(u8),
    EmptyAll,
    /// From now on the server returns this many at most.
    Clamp(u8),
    /// The response is empty, or a record short.
    Empty,
    Short,
}

/// What the follower does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Poll,
    Sweep,
    FullScan,
    /// The process dies after so many more requests, and starts again from one of the checkpoints it stored.
    Kill(u8, u8),
}

#[derive(Clone, Debug)]
struct Case {
    records: u8,
    page_size: u32,
    lookback: usize,
    side: Side,
    /// The follower doesn't know which end grows.
    is_undecided: bool,
    order: Stability,
    /// The time of a record is its place in this order, for `Since`.
    begin: u8,
    has_total: bool,
    events: Vec<Event>,
    steps: Vec<Step>,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        10 => Just(Event::Nothing),
        4 => (1..6u8).prop_map(Event::Grow),
        1 => (1..20u8).prop_map(Event::Burst),
        2 => any::<u8>().prop_map(Event::Insert),
        3 => any::<u8>().prop_map(Event::Change),
        2 => any::<u8>().prop_map(Event::Finish),
        2 => (any::<u8>(), 1..6u8).prop_map(|(at, count)| Event::Delete(at, count)),
        1 => (1..9u8).prop_map(Event::Retire),
        1 => (1..9u8).prop_map(Event::Expire),
        1 => any::<u8>().prop_map(Event::Hide),
        1 => Just(Event::Unhide),
        1 => any::<u8>().prop_map(Event::Move),
        1 => (1..30u8).prop_map(Event::Restore),
        1 => (2..9u8).prop_map(Event::Clamp),
        1 => Just(Event::Empty),
        1 => Just(Event::Short),
    ]
}

fn calm_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => Just(Event::Nothing),
        4 => (1..6u8).prop_map(Event::Grow),
        1 => (1..20u8).prop_map(Event::Burst),
        3 => any::<u8>().prop_map(Event::Change),
        2 => any::<u8>().prop_map(Event::Finish),
        1 => (3..9u8).prop_map(Event::Clamp),
        1 => Just(Event::Empty),
        1 => Just(Event::Short),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Poll),
        3 => Just(Step::Sweep),
        1 => Just(Step::FullScan),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(after, which)| Step::Kill(after, which)),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let any_kind = prop::collection::vec(event(), 0..60).boxed();
    let calm = prop::collection::vec(calm_event(), 0..60).boxed();
    let one_kind = (event(), 1..30usize).prop_map(|(event, count)| vec![event; count]).boxed();
    let emptied = (prop::collection::vec(event(), 0..30), 0..30usize)
        .prop_map(|(mut events, at)| {
            events.insert(at.min(events.len()), Event::EmptyAll);
            events
        })
        .boxed();
    let events = prop_oneof![5 => any_kind, 4 => calm, 1 => one_kind, 1 => emptied];
    let side = prop_oneof![Just(Side::Head), Just(Side::End)];
    let order = prop_oneof![Just(Stability::Stable), Just(Stability::Unstable)];
    let lookback = prop_oneof![1..20usize, 20..90usize];
    let shape = (0..90u8, 2..14u32, lookback);
    let told = (side, prop::bool::weighted(0.2), order, 0..3u8, any::<bool>());
    (shape, told, events, prop::collection::vec(step(), 1..24)).prop_map(|(shape, told, mut events, steps)| {
        let (records, page_size, lookback) = shape;
        let (side, is_undecided, order, begin, has_total) = told;
        let moves = |it: &Event| matches!(it, Event::Move(_) | Event::Unhide);
        let order = if events.iter().any(moves) { Stability::Unstable } else { order };
        // A server is empty for a moment: never twice in a row.
        let mut last = 3;
        for event in &mut events {
            last += 1;
            if *event == Event::Empty {
                (*event, last) = if last < 3 { (Event::Nothing, last) } else { (*event, 0) };
            }
        }
        let mut case =
            Case { records, page_size, lookback, side, is_undecided, order, begin, has_total, events, steps };
        // While both ends are followed, only what comes at an end is promised, and what changes.
        case.is_undecided &= case.is_calm();
        case
    })
}

impl Case {
    fn settings(&self) -> Settings {
        let mut rules = Rules::ALL;
        rules.read_head = false;
        Settings {
            plan: Plan {
                start: 0,
                limit: self.page_size,
                total: TotalScope::Unknown,
                order: self.order,
                remembered: 10_000,
                max_unproductive_requests: 200,
                growing_end: GrowingEnd::StopBehindStart,
                head_again: HeadAgain::default(),
                probes_end: false,
                rules,
            },
            listing: Fingerprint::default(),
            side: (!self.is_undecided).then_some(self.side),
            lookback: self.lookback,
            least: 4,
            tolerance: Duration::from_secs(300),
        }
    }

    fn begin(&self) -> Begin {
        match self.begin {
            0 => Begin::Beginning,
            1 => Begin::Latest,
            _ => Begin::Since(self.since()),
        }
    }

    fn since(&self) -> chrono::DateTime<chrono::Utc> {
        time(i64::from(self.records) / 2)
    }

    /// Nothing goes, and nothing comes anywhere but where the newest stand.
    fn is_calm(&self) -> bool {
        self.events.iter().all(|it| {
            matches!(
                it,
                Event::Nothing
                    | Event::Grow(_)
                    | Event::Burst(_)
                    | Event::Change(_)
                    | Event::Finish(_)
                    | Event::Clamp(_)
                    | Event::Empty
                    | Event::Short
            )
        })
    }
}

/// A copy of the listing, as a caller keeps it.
struct Copy<'a> {
    case: &'a Case,
    world: World,
    machine: Machine,
    events: std::vec::IntoIter<Event>,
    copy: HashMap<i64, u64>,
    /// In which run each state was delivered last.
    delivered_in: HashMap<u64, u32>,
    /// At how many requests each record was missing when it was delivered last.
    absent_when_delivered: HashMap<i64, u64>,
    /// What was stored: the checkpoint, and the copy in the same transaction.
    stored: Vec<String>,
    run: u32,
    newest_new: i64,
    kill_in: Option<(u8, u8)>,
    had_gap: bool,
    has_begun: bool,
    was_full_scan: bool,
    trouble: Option<String>,
    log: Vec<String>,
}

impl<'a> Copy<'a> {
    fn new(case: &'a Case) -> Self {
        Self {
            case,
            world: World::with(case.records),
            machine: Machine::new(case.settings(), case.begin()),
            events: case.events.clone().into_iter(),
            copy: HashMap::new(),
            delivered_in: HashMap::new(),
            absent_when_delivered: HashMap::new(),
            stored: Vec::new(),
            run: 0,
            newest_new: 0,
            kill_in: None,
            had_gap: false,
            has_begun: false,
            was_full_scan: false,
            trouble: None,
            log: Vec::new(),
        }
    }

    fn fail(&mut self, why: String) {
        self.trouble.get_or_insert(why);
    }

    /// Runs a round to its end, or until the process dies. Returns the number of requests.
    fn round(&mut self, work: Work) -> u64 {
        let before = self.world.requests;
        self.machine.start(work);
        while let Some(window) = self.machine.window() {
            if self.world.requests - before > 3_000 {
                self.fail(format!("a round without an end: {work:?}"));
                break;
            }
            if let Some(event) = self.events.next() {
                self.log.push(format!("    {event:?}"));
                self.world.apply(event);
            }
            // Records that are gone, and not yet known to be, take their places in the lookback.
            let state = self.machine.state();
            let tables = [&state.head, &state.end].into_iter().flatten();
            let remembered: Vec<i64> =
                tables.flat_map(|it| it.iter()).map(|it| it.key.to_string().parse().unwrap()).collect();
            let gone = remembered.into_iter().filter(|it| self.world.row(*it).is_none()).count();
            let lookback = self.case.lookback.saturating_sub(gone);
            let page = self.world.page(window, self.case.side, lookback);
            let total = self.case.has_total.then_some(self.world.rows.len() as u64);
            let before_phase = self.machine.state().phase;
            if before_phase == Phase::Start(Begin::Latest) {
                self.world.begin_here();
            }
            let is_steady = before_phase == Phase::Steady;
            let found = self.machine.observe(&page, total);
            self.had_gap |= self.machine.state().gap.is_some();
            let ids: Vec<_> = page.iter().map(|it| it.key.to_string()).collect();
            self.log.push(format!("  {work:?} {}+{}: {} -> {found:?}", window.offset, window.limit, ids.join(" ")));
            // A first scan that loses its position starts again, and may repeat what it delivered before.
            let is_restart = before_phase == Phase::Scanning && window.offset == 0 && self.has_begun;
            self.had_gap |= is_restart && !found.is_empty();
            self.has_begun |= !found.is_empty();
            for found in &found {
                self.deliver(&page[found.index], found.kind, is_steady);
            }
            self.store();
            if let Some((left, which)) = &mut self.kill_in {
                if *left == 0 {
                    let which = *which;
                    self.restart(which);
                    break;
                }
                *left -= 1;
            }
        }
        for key in self.machine.take_gone() {
            if self.machine.forget(&key) {
                self.remove(key.to_string().parse().unwrap());
                self.store();
            }
        }
        self.world.requests - before
    }

    fn deliver(&mut self, record: &Sighting, kind: Kind, is_steady: bool) {
        let id: i64 = record.key.to_string().parse().unwrap();
        let calm = self.case.is_calm() && !self.had_gap && self.case.page_size > 2;
        let delivered_before = self.delivered_in.insert(record.digest, self.run);
        if calm && kind != Kind::Updated && delivered_before == Some(self.run) {
            self.fail(format!("{id} was delivered again as {kind:?}"));
        }
        let is_by_order = calm && kind == Kind::New && is_steady && !self.case.is_undecided;
        if is_by_order && self.run == 0 && id < self.newest_new {
            self.fail(format!("{id} came behind {}", self.newest_new));
        }
        if is_by_order {
            self.newest_new = self.newest_new.max(id);
        }
        self.copy.insert(id, record.digest);
        self.absent_when_delivered.insert(id, self.world.times_absent(id));
        if let Some(row) = self.world.row(id) {
            row.was_behind = false;
        }
    }

    fn remove(&mut self, id: i64) {
        self.log.push(format!("  removed {id}"));
        let absent = self.world.times_absent(id);
        let before = self.absent_when_delivered.get(&id).copied().unwrap_or_default();
        if absent < before.saturating_add(2) && self.world.row(id).is_some() {
            self.fail(format!("{id} was reported as removed, and is there"));
        }
        self.copy.remove(&id);
    }

    fn store(&mut self) {
        // As a driver does: there is no batch before the follower has begun.
        if !matches!(self.machine.state().phase, Phase::Start(_)) {
            let checkpoint = Checkpoint::of(self.machine.state(), &Fingerprint::default());
            self.stored.push(serde_json::to_string(&checkpoint).unwrap());
        }
    }

    fn restart(&mut self, which: u8) {
        (self.kill_in, self.run, self.had_gap) = (None, self.run + 1, self.had_gap);
        // Mostly the last one.
        let back = if which < 128 { 0 } else { usize::from(which - 128) };
        let stored = self.stored.len().checked_sub(1).map(|last| &self.stored[last.saturating_sub(back)]);
        self.log.push(format!("killed, and started from {back} checkpoints before the last"));
        self.machine = match stored {
            Some(stored) => {
                let checkpoint: Checkpoint = serde_json::from_str(stored).unwrap();
                Machine::of(self.case.settings(), checkpoint.state(&self.case.settings()).unwrap())
            }
            None => Machine::new(self.case.settings(), self.case.begin()),
        };
    }

    fn run(&mut self) {
        for step in &self.case.steps {
            match step {
                Step::Poll => _ = self.round(Work::Poll),
                Step::Sweep => _ = self.round(Work::Sweep { whole: false }),
                Step::FullScan => {
                    self.was_full_scan = true;
                    self.machine.begin_refresh();
                    for _ in 0..40 {
                        self.round(Work::Refresh);
                        self.round(Work::Poll);
                    }
                }
                Step::Kill(after, which) => self.kill_in = Some((after % 16, *which)),
            }
        }
        self.events = Vec::new().into_iter();
        self.kill_in = None;
        // The world stands still: the follower comes to rest.
        for turn in 0..8 {
            self.log.push(format!("rest {turn}"));
            self.round(Work::Poll);
            while self.machine.is_behind() && self.trouble.is_none() {
                self.round(Work::Poll);
            }
            self.round(Work::Sweep { whole: true });
        }
    }

    /// What must hold in the end.
    fn check(&mut self) -> Result<(), String> {
        if let Some(trouble) = self.trouble.take() {
            return Err(trouble);
        }
        if !self.machine.is_caught_up() && !self.world.rows.is_empty() {
            return Err("it isn't caught up".to_owned());
        }
        let requests = self.round(Work::Poll);
        let is_single =
            self.world.rows.len() < 3 || self.machine.state().head.is_some() == self.machine.state().end.is_some();
        if requests != 1 && !is_single {
            return Err(format!("an idle poll takes {requests} requests"));
        }
        let lookback = self.case.lookback;
        for (depth, row) in self.world.rows.iter().enumerate() {
            let is_asked_for = match self.case.begin() {
                Begin::Beginning => true,
                Begin::Latest => !row.is_initial,
                Begin::Since(since) => row.time > since,
            };
            let copied = self.copy.get(&row.id).copied();
            let must_be_there = is_asked_for && (depth < lookback || !row.is_displaced);
            if must_be_there && copied.is_none() {
                return Err(format!("{} is missing, at {depth}", row.id));
            }
            // What wasn't asked for is delivered when it changes.
            let has_changed = self.case.begin() == Begin::Latest && row.state > self.world.first_state;
            let is_stale = copied != Some(row.state) && (is_asked_for || has_changed || copied.is_some());
            if depth < lookback && !row.was_behind && is_stale {
                return Err(format!("{} is stale, at {depth}", row.id));
            }
        }
        Ok(())
    }
}

fn run(case: &Case) -> Result<(), String> {
    let mut copy = Copy::new(case);
    copy.run();
    copy.check().map_err(|why| format!("{why}\n{}", copy.log.join("\n")))
}

fn cases(unless_set: u32) -> u32 {
    std::env::var("MODEL_CASES").map_or(unless_set, |it| it.parse().unwrap())
}

#[test]
fn a_copy_ends_up_with_every_record_in_its_last_state_whatever_happens() {
    let config = Config { cases: cases(300), failure_persistence: None, max_shrink_iters: 4_000, ..Config::default() };
    // The same cases every time: a failure is one that the change made.
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    runner.run(&case(), |case| run(&case).map_err(TestCaseError::fail)).unwrap();
}
