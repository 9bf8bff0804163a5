//! A copy of a listing, as a caller keeps it, and what must hold of it.

use std::collections::{HashMap, HashSet};

use crate::cursor::Fingerprint;
use crate::follow::checkpoint::Checkpoint;
use crate::follow::gap::GapReason;
use crate::follow::machine::model::case::{Case, Event, Step};
use crate::follow::machine::model::world::World;
use crate::follow::machine::table::Table;
use crate::follow::machine::{Begin, Kind, Machine, Phase, Side, Sighting, Task, Work};
use crate::page::{Stability, Window};

/// What the caller did to the copy.
#[derive(Clone, Debug)]
enum Applied {
    /// The state of a record, at this request; at so many requests before, the record wasn't there.
    Upsert {
        id: i64,
        state: u64,
        at: u64,
        absent: u64,
        /// It came as new, and began with this state.
        ordered: Option<u64>,
        is_by_scan: bool,
    },
    Remove(i64),
    /// The follower lost its hold at this request: what was delivered before may come again, but for these states that
    /// it remembers.
    Gap {
        kept: Vec<u64>,
        at: u64,
    },
}

/// A record of the copy.
#[derive(Clone, Copy, Debug)]
struct Copied {
    state: u64,
    at: u64,
    absent: u64,
}

pub(super) struct Copy<'a> {
    case: &'a Case,
    world: World,
    machine: Machine,
    events: std::vec::IntoIter<Event>,
    /// All that was done. The next three are made of it.
    applied: Vec<Applied>,
    copy: HashMap<i64, Copied>,
    /// The states that were delivered since the last gap.
    delivered: HashSet<u64>,
    /// The records that came as new, one after another, by their first states.
    ordered: Vec<u64>,
    /// What was stored: the checkpoint, and the length of `applied`, in the same transaction.
    stored: Vec<(String, usize)>,
    kill_in: Option<(u8, u8)>,
    has_begun: bool,
    /// The first scan has lost its position.
    is_lost: bool,
    /// The page is one of a full scan.
    is_full_scan: bool,
    /// Records that stood below all remembered ones when they were first seen, after something had been forgotten.
    old_ground: HashSet<i64>,
    /// All remembered records were gone once, or the follower looked for its position below them.
    has_gone_below: bool,
    /// How many records were removed since the last sweep began.
    removed: usize,
    /// The request at which it last lost its hold.
    gap_at: u64,
    trouble: Option<String>,
    /// The log has what is remembered, too.
    is_verbose: bool,
    log: Vec<String>,
}

impl<'a> Copy<'a> {
    pub(super) fn new(case: &'a Case) -> Self {
        Self {
            case,
            world: World::with(case.records, case.is_undecided),
            machine: Machine::new(case.settings(), case.begin()),
            events: case.events.clone().into_iter(),
            applied: Vec::new(),
            copy: HashMap::new(),
            delivered: HashSet::new(),
            ordered: Vec::new(),
            stored: Vec::new(),
            kill_in: None,
            has_begun: false,
            is_lost: false,
            is_full_scan: false,
            old_ground: HashSet::new(),
            has_gone_below: false,
            removed: 0,
            gap_at: 0,
            trouble: None,
            is_verbose: std::env::var_os("MODEL_CASE").is_some(),
            log: Vec::new(),
        }
    }

    /// What happened, as far as a reader can take it in.
    pub(super) fn log(&self) -> String {
        let most = if std::env::var_os("MODEL_CASE").is_some() { usize::MAX } else { 200 };
        let first = self.log.len().min(most);
        let last = self.log.len().saturating_sub(100).max(first);
        [&self.log[..first], &self.log[last..]].concat().join("\n")
    }

    fn fail(&mut self, why: String) {
        self.log.push(format!("!! {why}"));
        self.trouble.get_or_insert(why);
    }

    /// Runs a round to its end, or until the process dies. Returns the number of requests.
    fn round(&mut self, work: Work) -> u64 {
        let before = self.world.requests;
        self.machine.start(work);
        while let Some(window) = self.machine.window() {
            // (In pages of two, each request moves on by one record.)
            if self.world.requests - before > 3_000 + 4 * self.world.rows.len() as u64 {
                self.fail(format!("a round without an end: {work:?}"));
                break;
            }
            if let Some(event) = self.events.next() {
                self.log.push(format!("    {event:?}"));
                self.world.apply(event);
            }
            self.request(work, window);
            if self.machine.state().phase == Phase::Steady {
                self.has_begun = false;
            }
            if let Some((left, which)) = &mut self.kill_in {
                if *left == 0 {
                    let which = *which;
                    self.restart(which);
                    break;
                }
                *left -= 1;
            }
        }
        if matches!(work, Work::Sweep { .. }) {
            self.removed = 0;
        }
        for key in self.machine.take_gone() {
            if self.machine.forget(&key) {
                self.remove(key.to_string().parse().unwrap());
                self.removed += 1;
                self.store();
            }
        }
        self.world.requests - before
    }

    /// Sends one request, and applies what its page brings.
    fn request(&mut self, work: Work, window: Window) {
        // Records that are gone, and not yet known to be, take up entries of the lookback, until a sweep has read on
        // below them.
        let remembered: Vec<_> = self.remembered().collect();
        self.has_gone_below |= !remembered.is_empty() && remembered.iter().all(Option::is_none);
        let gone = remembered.iter().filter(|it| it.is_none()).count() + self.removed;
        let (has_left, lowest) = (self.machine.state().has_left, remembered.into_iter().flatten().max());
        let page = self.world.page(window, self.case.side, self.case.lookback().saturating_sub(gone));
        if let Some(lowest) = lowest.filter(|_| has_left) {
            self.note_old_ground(&page, lowest);
        }
        let total = self.case.has_total.then_some(self.world.rows.len() as u64);
        let (phase, gap) = (self.machine.state().phase, self.machine.state().gap);
        if phase == Phase::Start(Begin::Latest) {
            self.world.begin_here();
        }
        self.is_full_scan = matches!(self.machine.task, Some(Task::Refresh(_)));
        // Until it is known which end grows, records come in the order of the listing.
        let is_ordered = phase == Phase::Steady && self.machine.side().is_some();
        let tables = self.all_remembered();
        let found = self.machine.observe(&page, total);
        let ids: Vec<_> = page.iter().map(|it| it.key.to_string()).collect();
        self.log.push(format!("  {work:?} {}+{}: {} -> {found:?}", window.offset, window.limit, ids.join(" ")));
        let state = self.machine.state();
        self.has_gone_below |= state.is_below;
        if state.gap != gap {
            self.log.push(format!("  gap: {:?}", state.gap));
        }
        if self.is_verbose {
            if let Some(it) = &state.position {
                self.log.push(format!("      position: {it:?}"));
            }
            for (name, table) in [("head", &state.head), ("end", &state.end), ("before", &state.before)] {
                let ids: Vec<_> = table.iter().flat_map(Table::iter).map(|it| it.key.to_string()).collect();
                self.log.push(format!("      {name}: {}", ids.join(" ")));
            }
        }
        let is_gap = matches!(state.gap, Some(GapReason::AnchorsGone | GapReason::Lost)) && state.gap != gap;
        let starts_over = matches!(state.phase, Phase::Start(_)) && !matches!(phase, Phase::Start(_));
        // A first scan that loses its position starts again, and may repeat what it delivered before.
        self.is_lost |= (window.offset == 0 && self.has_begun) || self.has_lost_position();
        self.is_lost &= phase == Phase::Scanning;
        // Up to so many records, it remembers all of them, also when it is killed.
        let is_forgotten = self.is_lost && self.copy.len() > self.case.settings().remembered();
        if is_gap || starts_over || is_forgotten {
            self.apply(Applied::Gap { kept: self.remembered_before(), at: self.world.requests });
        }
        self.check_forgotten(&tables, is_ordered);
        self.has_begun |= !found.is_empty();
        for found in &found {
            self.deliver(&page[found.index], found.kind, is_ordered);
        }
        if starts_over {
            // What this page has shown comes again, too.
            self.apply(Applied::Gap { kept: Vec::new(), at: self.world.requests });
        }
        self.store();
    }

    /// Notes the records of a page that stand below this depth.
    fn note_old_ground(&mut self, page: &[Sighting], lowest: usize) {
        let ids = page.iter().map(|it| it.key.to_string().parse().unwrap());
        let is_below = |id: &i64| self.world.depth(*id).is_some_and(|it| it > lowest);
        let old: Vec<i64> = ids.filter(is_below).filter(|it| !self.copy.contains_key(it)).collect();
        self.old_ground.extend(old);
    }

    /// Where records may move, a shift can't always be distinguished from a move.
    fn may_move(&self) -> bool {
        self.case.order == Stability::Unstable && !self.case.is_calm()
    }

    /// Where records may move, one remembered record shows nothing of what stands beside it, and neither do two.
    fn shows_what_stands_beside(&self) -> bool {
        let shows = self.world.page_size(self.case.page_size) > 2 && self.remembered().flatten().count() > 2;
        self.case.order == Stability::Stable || shows
    }

    /// Where each remembered record stands, if it is there.
    fn remembered(&self) -> impl Iterator<Item = Option<usize>> {
        let state = self.machine.state();
        let entries = [&state.head, &state.end].into_iter().flatten().flat_map(|it| it.iter());
        entries.map(|it| self.world.depth(it.key.to_string().parse().unwrap()))
    }

    /// The ids in all tables.
    fn all_remembered(&self) -> HashSet<i64> {
        self.tables().flat_map(Table::iter).map(|it| it.key.to_string().parse().unwrap()).collect()
    }

    fn tables(&self) -> impl Iterator<Item = &Table> {
        let state = self.machine.state();
        [&state.head, &state.end, &state.before].into_iter().flatten()
    }

    /// One of these records that the copy has, and the log no longer.
    fn first_gone(&self, ids: impl IntoIterator<Item = i64>) -> Option<i64> {
        ids.into_iter().find(|id| self.world.depth(*id).is_none() && self.copy.contains_key(id))
    }

    /// A remembered record that is gone is reported as removed, unless newer ones push it out of the lookback, or there
    /// is a gap.
    fn check_forgotten(&mut self, before: &HashSet<i64>, is_steady: bool) {
        let has_gap = self.machine.state().gap.is_some();
        if !is_steady || self.tables().any(Table::is_full) || has_gap || self.case.order == Stability::Unstable {
            return;
        }
        if let Some(id) = self.first_gone(before - &self.all_remembered()) {
            self.fail(format!("{id} is gone, and was forgotten without a gap"));
        }
    }

    /// The states that a walk to the end remembers while it reads again from the head.
    fn remembered_before(&self) -> Vec<u64> {
        let state = self.machine.state();
        let before = state.before.iter().filter(|_| state.phase == Phase::Steady);
        before.flat_map(Table::iter).map(|it| it.digest).collect()
    }

    fn has_lost_position(&self) -> bool {
        matches!(&self.machine.task, Some(Task::Scan(scan)) if scan.walk.has_lost_position())
    }

    fn deliver(&mut self, record: &Sighting, kind: Kind, is_ordered: bool) {
        let id: i64 = record.key.to_string().parse().unwrap();
        // A full scan delivers what isn't remembered, changed or not.
        let is_by_scan = kind == Kind::Updated && self.is_full_scan;
        let is_again = self.delivered.contains(&record.digest) && !self.has_gone_below;
        if is_again && !self.may_move() && !is_by_scan {
            self.fail(format!("{id} was delivered again as {kind:?}"));
        }
        let is_ordered = kind == Kind::New && is_ordered;
        if is_ordered
            && !self.may_move()
            && let Some(depth) = self.world.depth(id)
            && let Some(other) = self.ordered.iter().find(|it| self.world.depth_of(**it).is_some_and(|it| it < depth))
        {
            self.fail(format!("{id} came behind that of state {other}"));
        }
        let ordered = self.world.row(id).filter(|_| is_ordered).map(|it| it.first);
        let (at, absent) = (self.world.requests, self.world.times_absent(id));
        self.apply(Applied::Upsert { id, state: record.digest, at, absent, ordered, is_by_scan });
    }

    fn remove(&mut self, id: i64) {
        self.log.push(format!("  removed {id}"));
        let absent = self.world.times_absent(id);
        let (before, at) = self.copy.get(&id).map_or((0, 0), |it| (it.absent, it.at));
        // Where records move, it may have been pushed behind the lookback.
        let is_unstable = self.case.order == Stability::Unstable;
        let is_in_lookback = |behind_at: u64| !is_unstable || behind_at <= at;
        if absent < before.saturating_add(2) && self.world.row(id).is_some_and(|it| is_in_lookback(it.behind_at)) {
            self.fail(format!("{id} was reported as removed, and is there"));
        }
        self.apply(Applied::Remove(id));
    }

    fn apply(&mut self, change: Applied) {
        self.note(&change);
        self.applied.push(change);
    }

    fn note(&mut self, change: &Applied) {
        match *change {
            Applied::Upsert { id, state, at, absent, ordered, is_by_scan } => {
                self.copy.insert(id, Copied { state, at, absent });
                if !is_by_scan {
                    self.delivered.insert(state);
                }
                self.ordered.extend(ordered);
            }
            Applied::Remove(id) => _ = self.copy.remove(&id),
            Applied::Gap { ref kept, at } => {
                self.gap_at = at;
                self.delivered.retain(|it| kept.contains(it));
                self.ordered.clear();
            }
        }
    }

    fn store(&mut self) {
        // As a driver does: there is no batch before the follower has begun.
        if !matches!(self.machine.state().phase, Phase::Start(_)) {
            let checkpoint = Checkpoint::of(self.machine.state(), &Fingerprint::default());
            self.stored.push((serde_json::to_string(&checkpoint).unwrap(), self.applied.len()));
        }
    }

    fn restart(&mut self, which: u8) {
        self.kill_in = None;
        // Mostly the last one. The copy is that of the checkpoint.
        let back = if which < 128 { 0 } else { usize::from(which - 128) };
        self.stored.truncate(self.stored.len().saturating_sub(back).max(1));
        self.log.push(format!("killed, and started from {back} checkpoints before the last"));
        let length = self.stored.last().map_or(0, |it| it.1);
        self.machine = match self.stored.last() {
            Some((stored, _)) => {
                let checkpoint: Checkpoint = serde_json::from_str(stored).unwrap();
                Machine::of(self.case.settings(), checkpoint.state(&self.case.settings()).unwrap())
            }
            None => Machine::new(self.case.settings(), self.case.begin()),
        };
        let mut applied = std::mem::take(&mut self.applied);
        applied.truncate(length);
        self.copy.clear();
        self.delivered.clear();
        self.ordered.clear();
        self.gap_at = 0;
        applied.into_iter().for_each(|it| self.apply(it));
        self.has_begun = self.machine.state().phase == Phase::Scanning;
    }

    pub(super) fn run(&mut self) {
        for step in &self.case.steps {
            match step {
                Step::Poll => _ = self.round(Work::Poll),
                Step::Sweep => _ = self.round(Work::Sweep { whole: false }),
                Step::FullScan => {
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
            self.check_gap();
            self.round(Work::Sweep { whole: true });
            self.check_gap();
        }
    }

    /// An empty listing is a gap as long as it lasts, if it wasn't empty before.
    fn check_gap(&mut self) {
        let gap = self.machine.state().gap;
        if self.world.rows.is_empty() && !self.machine.state().is_blank() && gap != Some(GapReason::Emptied) {
            self.fail(format!("the gap of an empty listing is {gap:?}"));
        }
    }

    /// What must hold in the end.
    pub(super) fn check(&mut self) -> Result<(), String> {
        if let Some(trouble) = self.trouble.take() {
            return Err(trouble);
        }
        if !self.machine.is_caught_up() && !self.world.rows.is_empty() {
            return Err("it isn't caught up".to_owned());
        }
        self.check_requests()?;
        let lookback = self.case.lookback();
        let is_decided = self.machine.side().is_some();
        let shows = self.shows_what_stands_beside();
        let is_stable = self.case.order == Stability::Stable;
        if is_stable
            && is_decided
            && !self.world.rows.is_empty()
            && let Some(id) = self.first_gone(self.all_remembered())
        {
            return Err(format!("{id} is gone, and wasn't reported as removed"));
        }
        let Self { world, copy, case, old_ground, gap_at, .. } = self;
        let gap_at = *gap_at;
        for (depth, row) in world.rows.iter().enumerate() {
            let is_asked_for = match case.begin() {
                Begin::Beginning => true,
                Begin::Latest => !row.is_initial,
                // Where records move, times don't show where to begin.
                Begin::Since(since) => row.time > since && !(row.is_initial && world.has_moved),
            };
            // (Another record may have had its id.)
            let copied = copy.get(&row.id).filter(|it| it.state >= row.first);
            // Of what wasn't asked for, no change is known that came before the follower began again.
            let began_again = !is_asked_for && copied.map_or(0, |it| it.at) < gap_at;
            // What moved may hide what it passed, and an end that isn't known yet what comes late.
            let is_in_lookback = depth < lookback && row.behind_at == 0;
            let is_found = !(row.is_displaced || world.has_moved)
                || (is_in_lookback && is_decided && shows && !old_ground.contains(&row.id));
            if is_asked_for && is_found && copied.is_none() {
                return Err(format!("{} is missing, at {depth}", row.id));
            }
            // What wasn't asked for is delivered when it changes.
            let has_changed = case.begin() == Begin::Latest && row.state > world.first_state;
            let is_stale =
                copied.map(|it| it.state) != Some(row.state) && (is_asked_for || has_changed || copied.is_some());
            let was_behind =
                row.behind_at > copied.map_or(0, |it| it.at) || old_ground.contains(&row.id) || began_again;
            if depth < lookback && !was_behind && is_stale && (is_found || copied.is_some()) {
                return Err(format!("{} is stale, at {depth}", row.id));
            }
        }
        Ok(())
    }

    /// An idle poll is one request. It is two where the listing is empty, or the end that grows unknown; and a single
    /// record at an end that may grow is looked at four times more. An idle sweep reads the lookback once.
    fn check_requests(&mut self) -> Result<(), String> {
        let requests = self.round(Work::Poll);
        let (length, side) = (self.world.rows.len(), self.machine.side());
        let most = match side {
            Some(_) if length > 1 => 1,
            Some(Side::Head) if length == 1 => 1,
            _ if length != 1 => 2,
            _ => 5,
        };
        if requests > most {
            return Err(format!("an idle poll takes {requests} requests"));
        }
        let requests = self.round(Work::Sweep { whole: true });
        let settings = self.case.settings();
        let step = (self.world.page_size(settings.plan.limit) - 1).max(1);
        let most = (settings.remembered() + 2 * self.case.page_size as usize).div_ceil(step) as u64 + 3;
        if requests > most {
            return Err(format!("an idle sweep takes {requests} requests and not {most}"));
        }
        Ok(())
    }
}
