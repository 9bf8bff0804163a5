//! Reads the lookback again: what has changed, what came late, and what is gone. Does no I/O.
//!
//! A record is *gone* if a page shows both of its neighbours and not the record, in two sweeps in a row, and no page
//! between showed it elsewhere. The first record of the listing and the last one are neighbours of nothing.

use std::collections::{HashMap, HashSet};

use crate::follow::gap::GapReason;
use crate::follow::machine::compare::{Comparison, View};
use crate::follow::machine::poll::BELOW;
use crate::follow::machine::table::{Entry, Table};
use crate::follow::machine::{Found, Kind, Machine, Phase, Side, Sighting, Task, keys};
use crate::page::summary::End;
use crate::page::walk::plan::Plan;
use crate::page::walk::{Delivery, Walk};
use crate::page::{RecordKey, Window};

/// In so many sweeps a record has to be missing to be reported.
const TWICE: u8 = 2;

/// How many sweeps in a row must find a final record unchanged before it isn't read any more.
const QUIET: u8 = 2;

/// How often in a row the lookback is read again for late records that no page showed together with a known one. Once
/// is enough, unless the listing changes meanwhile.
const AGAIN: u32 = 8;

/// Where records may move, a page with fewer known ones shows nothing about those that it doesn't show.
const FEW: usize = 3;

/// A walk over the lookback.
#[derive(Debug)]
pub(super) struct Sweep {
    walk: Walk,
    side: Side,
    /// Reads all of the lookback, even where nothing can change.
    whole: bool,
    is_first_page: bool,
    /// The last page ended with a known record.
    ends_known: bool,
    /// It has come to the position of the polls.
    has_passed: bool,
    /// The last known record of the pages so far.
    lowest: Option<RecordKey>,
    /// The last page ended with the oldest remembered record.
    bottom: Option<u64>,
    /// The page before didn't show the position.
    was_lost: bool,
    /// Unknown records that were passed. It isn't known whether they are late or old ground.
    passed: Vec<u64>,
    /// Those of them below which a known record stands: they are late, or have moved.
    late: HashSet<u64>,
    /// Those that the round before found to be late: they are delivered.
    wanted: HashSet<u64>,
    /// How often it was begun again. Only the first time counts for what is missing.
    round: u32,
    /// Towards the end: how many records below the lookback it began.
    below: u64,
    /// Towards the end: it began at the first record of the listing.
    is_from_first: bool,
    /// Towards the end: it passed unknown records before it came to a known one.
    leads_unknown: bool,
    /// Up to which offset the listing was read.
    deepest: u64,
    /// Where records move: the ranks of those that it has read. `None` once its pages show no order together.
    ranks: Option<HashMap<u64, usize>>,
    /// Where the last page began, and with which record it ended.
    offset: u64,
    last: Option<Sighting>,
}

impl Sweep {
    pub(super) fn window(&self) -> Option<Window> {
        self.walk.window()
    }
}

impl Machine {
    pub(super) fn begin_sweep(&mut self, whole: bool) {
        self.wants_sweep = false;
        self.sweeps += 1;
        let below = u64::from(self.settings.plan.limit);
        self.task = Some(Task::Sweep(Box::new(self.sweep(whole, 0, below))));
    }

    /// `below`: how many records below the lookback it begins, towards the end.
    fn sweep(&self, whole: bool, round: u32, below: u64) -> Sweep {
        // While both ends are followed, in turn.
        let side = self.side().unwrap_or(if self.sweeps % 2 == 1 { Side::Head } else { Side::End });
        let remembered = self.settings.remembered();
        let start = match (side, &self.state.position) {
            // Late records push known ones down: a page below the lookback shows what they stand above.
            (Side::End, Some(position)) => {
                (position.offset + 1).saturating_sub((remembered as u64).saturating_add(below))
            }
            _ => 0,
        };
        let plan = Plan { start, remembered, ..self.settings.plan.clone() };
        Sweep {
            walk: Walk::new(plan),
            side,
            whole,
            is_first_page: true,
            ends_known: false,
            has_passed: false,
            lowest: None,
            bottom: None,
            was_lost: false,
            passed: Vec::new(),
            late: HashSet::new(),
            wanted: HashSet::new(),
            round,
            below,
            is_from_first: start == 0,
            leads_unknown: false,
            deepest: 0,
            ranks: (!self.is_stable()).then(HashMap::new),
            offset: 0,
            last: None,
        }
    }

    pub(super) fn observe_sweep(&mut self, mut sweep: Box<Sweep>, page: &[Sighting], total: Option<u64>) -> Vec<Found> {
        let is_first = std::mem::take(&mut sweep.is_first_page);
        if is_first && self.side() == Some(Side::Head) {
            return self.sweep_head(sweep, page, total);
        }
        let offset = sweep.window().map_or(0, |it| it.offset);
        let deliveries = sweep.walk.observe(&keys(page), total);
        if sweep.side == Side::End && sweep.walk.has_restarted() {
            // What it passes from here on is old ground. A poll finds the position by more than this sweep has seen.
            self.finish(true);
            return Vec::new();
        }
        // Towards the end, what follows a known record in the walk is new or late, wherever that record has moved from.
        let follows_known = self.side() == Some(Side::End) && sweep.ends_known;
        let is_forced = |(record, delivery): (&Sighting, &Delivery)| {
            sweep.wanted.contains(&record.key.fingerprint()) || (follows_known && matches!(delivery, Delivery::Next(_)))
        };
        let forced: Vec<_> = page.iter().zip(&deliveries).map(is_forced).collect();
        let above = sweep.lowest.as_ref().filter(|_| sweep.side == Side::Head);
        let is_oldest = sweep.side == Side::End && offset == 0;
        let seen = self.compare(View::new(sweep.side, page).forced(&forced).of_sweep(above).at_oldest(is_oldest));
        if follows_known && !seen.unresolved.is_empty() {
            // The walk lost its position, and has passed these: a poll reads them.
            self.finish(true);
            return seen.found;
        }
        sweep.ends_known |=
            !sweep.walk.is_lost() && seen.any_known && seen.unresolved.iter().all(|it| it + 1 < page.len());
        // (It may be gone: behind what is delivered here, a poll finds all that is newer, and knows it by the table.)
        sweep.has_passed |= !sweep.walk.is_lost() && seen.found.iter().any(|it| it.kind != Kind::Updated);
        if sweep.side == Side::End {
            self.move_position(&mut sweep, offset, page);
        }
        self.decide_by(&sweep, page, &seen);
        let late = self.go_down(sweep, offset, page, &seen);
        let mut found = seen.found;
        found.extend(late);
        found
    }

    /// A new record beside known ones shows which end grows: at the end, if it is the last one of the listing.
    fn decide_by(&mut self, sweep: &Sweep, page: &[Sighting], seen: &Comparison) {
        let is_end = matches!(sweep.walk.end(), Some(End::Proved));
        let is_there = |index: usize| sweep.side == Side::Head || (is_end && index + 1 == page.len());
        if self.side().is_none() && seen.any_known && seen.has_new(is_there) {
            self.decide(sweep.side);
        }
    }

    /// What stands behind the position is delivered now: a poll goes on behind it.
    fn move_position(&mut self, sweep: &mut Sweep, offset: u64, page: &[Sighting]) {
        let is_lost = sweep.walk.is_lost();
        sweep.has_passed |= !is_lost && self.state.position.as_ref().is_some_and(|it| it.is_in(page));
        let Some(last) = page.last() else { return };
        let index = self.state.end.as_ref().and_then(|it| it.index(&last.key));
        let is_end = matches!(sweep.walk.end(), Some(End::Proved));
        if index == Some(0) || (index.is_some() && !is_lost && (sweep.has_passed || is_end)) {
            let is_stable = self.is_stable();
            self.state.end_at(&last.key, offset.saturating_add(page.len() as u64 - 1), is_stable);
        }
    }

    /// Takes the page at the head. It is that of a poll, too: first of all comes what is new.
    fn sweep_head(&mut self, mut sweep: Box<Sweep>, page: &[Sighting], total: Option<u64>) -> Vec<Found> {
        if page.is_empty() {
            self.task = Some(Task::Poll(1));
            return Vec::new();
        }
        let mut found = self.look(page, total);
        if self.task.is_some() || self.state.phase != Phase::Steady {
            self.wants_sweep = true;
            return found;
        }
        let _ = sweep.walk.observe(&keys(page), total);
        found.extend(self.go_down(sweep, 0, page, &Comparison { any_known: true, ..Comparison::default() }));
        found
    }

    /// Decides whether the sweep goes on. Returns the late records that stand below the oldest remembered one.
    fn go_down(&mut self, mut sweep: Box<Sweep>, offset: u64, page: &[Sighting], seen: &Comparison) -> Vec<Found> {
        let side = sweep.side;
        sweep.note_page(offset, page);
        let is_end = sweep.walk.end().is_some();
        self.note_absent(&sweep, page, offset == 0, is_end);
        if !seen.unresolved.is_empty() && seen.is_replaced() {
            self.lose_anchors(GapReason::AnchorsGone);
            return Vec::new();
        }
        let is_at_bottom = self.is_at_bottom(side, seen) || sweep.follows_bottom(page, seen);
        if offset == 0 {
            sweep.forget_passed();
        }
        match (side, self.state.table_of(side)) {
            // The walk reads this page again, once it has found its position.
            _ if sweep.walk.is_lost() => sweep.was_lost = true,
            (Side::Head, Some(table)) => sweep.note_passed(page, seen, is_at_bottom, table),
            (Side::End, Some(table)) => sweep.note_between(page, table),
            (_, None) => {}
        }
        // (While both ends are followed, what stands there may be new.)
        let learns = is_at_bottom && self.side().is_some();
        let late = if learns { self.learn(side, page, &seen.unresolved) } else { Vec::new() };
        let oldest = self.state.table_of(side).and_then(|it| it.iter().next_back()).map(|it| &it.key);
        sweep.bottom = page.last().map(|it| &it.key).filter(|it| oldest == Some(it)).map(RecordKey::fingerprint);
        // Below the oldest remembered record is old ground. (Records that are gone take up entries of the table.)
        let is_bottom = is_at_bottom && self.has_seen_all(side);
        let is_open = !sweep.passed.is_empty();
        let depth = self.settings.remembered() as u64;
        let two_pages = 2 * u64::from(self.settings.plan.limit);
        let is_deep = sweep.deepest >= if is_open { depth + two_pages } else { depth };
        let is_enough = side == Side::Head && (is_bottom || is_deep);
        self.has_room &= !(is_end || is_enough);
        if is_end || is_enough || (side == Side::Head && !sweep.whole && !is_open && self.is_settled(page)) {
            self.end_sweep(*sweep);
        } else {
            self.task = Some(Task::Sweep(sweep));
        }
        late
    }

    fn end_sweep(&mut self, sweep: Sweep) {
        self.order_as_seen(&sweep);
        if sweep.round == 0 {
            self.count_absences();
        }
        // (While both ends are followed, one of them may have moved to the other end.)
        let is_lost = self.side() == Some(Side::Head) && !sweep.passed.is_empty() && sweep.late.is_empty();
        if let Some(last) = self.state.head.as_ref().filter(|_| is_lost).and_then(|it| self.last_seen(it)) {
            // A long row of late records, or old ground where the oldest remembered records are gone: those that
            // weren't seen show where known ground begins, if they are there.
            self.look_below(last);
        } else if !sweep.late.is_empty() && sweep.round < AGAIN && self.side().is_some() {
            let again = self.sweep(true, sweep.round + 1, sweep.below);
            self.task = Some(Task::Sweep(Box::new(Sweep { wanted: sweep.late, ..again })));
        } else if sweep.round < AGAIN
            && let Some(oldest) = self.hidden_below(&sweep)
        {
            self.look_deeper(&sweep, oldest);
        } else if !self.state.is_blank() && !self.has_seen_any() {
            // The listing may be empty: a poll finds out.
            self.task = Some(Task::Poll(0));
        } else {
            self.finish(false);
        }
    }

    /// Where records move, those that the sweep has read stand in its order now. The others keep their places.
    fn order_as_seen(&mut self, sweep: &Sweep) {
        let Some(ranks) = &sweep.ranks else { return };
        let from_newest = |rank: &usize| if sweep.side == Side::Head { *rank } else { usize::MAX - rank };
        if let Some(table) = self.state.table(sweep.side) {
            table.sort_by_rank(|it| ranks.get(&it.key.fingerprint()).map(from_newest));
        }
    }

    /// Whether this sweep found any remembered record.
    fn has_seen_any(&self) -> bool {
        let tables = [&self.state.head, &self.state.end];
        tables.into_iter().flatten().flat_map(Table::iter).any(|it| it.seen == self.sweeps)
    }

    /// Counts for each remembered record whether this sweep found it, or where it would have to stand without it.
    fn count_absences(&mut self) {
        // While both ends are followed, what has left one may be at the other.
        let is_decided = self.side().is_some();
        let tables = [&mut self.state.head, &mut self.state.end];
        for entry in tables.into_iter().flatten().flat_map(Table::iter_mut) {
            if entry.seen == self.sweeps {
                entry.quiet = entry.quiet.saturating_add(1);
            } else if entry.absent == self.sweeps {
                entry.missing = entry.missing.saturating_add(1);
                if is_decided && entry.missing >= TWICE {
                    self.removed.push_back(entry.key.clone());
                }
            }
        }
    }

    /// The oldest remembered record that the sweep saw where it was. Where records move, one of those below a record
    /// that it neither saw nor missed may have moved up.
    fn last_seen(&self, head: &Table) -> Option<usize> {
        let hidden = head.iter().position(|it| it.is_out_of_sight(self.sweeps)).filter(|_| !self.is_stable());
        let seen = head.rposition(|it| it.seen == self.sweeps)?;
        hidden.map_or(Some(seen), |it| it.checked_sub(1)).map(|it| it.min(seen))
    }

    /// Looks for the remembered records that a sweep didn't come to, and reads what stands above them.
    fn look_below(&mut self, last: usize) {
        let table = self.state.head.iter().flat_map(Table::iter);
        let unseen: Vec<_> = table.skip(last + 1).map(|it| it.key.fingerprint()).collect();
        let known = self.state.head.as_ref().and_then(|it| it.get(last)).map(|it| it.key.clone());
        if unseen.is_empty() {
            return self.finish(false);
        }
        self.task = Some(Task::CatchUp(self.catch_up(&unseen, known)));
    }

    /// Towards the end: the oldest remembered record that a sweep saw, if it passed unknown ones before it and older
    /// ones are remembered. If one of these still stands further down, the unknown ones came late.
    fn hidden_below(&self, sweep: &Sweep) -> Option<usize> {
        let is_whole = sweep.side == Side::End && matches!(sweep.walk.end(), Some(End::Proved | End::Unproved));
        let is_deeper = sweep.below > u64::from(self.settings.plan.limit);
        let is_cut = (sweep.leads_unknown || is_deeper) && self.side().is_some();
        let end = self.state.end.as_ref().filter(|_| is_whole && is_cut)?;
        let oldest = end.rposition(|it| it.seen == self.sweeps)?;
        (oldest + 1 < end.len()).then_some(oldest)
    }

    /// Reads the lookback again from further down. Where older remembered records stand nowhere there, they are gone,
    /// and what stands below this one is old ground.
    fn look_deeper(&mut self, sweep: &Sweep, oldest: usize) {
        if sweep.is_from_first || sweep.below > BELOW * self.settings.remembered() as u64 {
            self.give_up_below(Side::End, oldest);
            return self.finish(false);
        }
        let again = self.sweep(true, sweep.round + 1, sweep.below * 2);
        self.task = Some(Task::Sweep(Box::new(again)));
    }

    /// Notes which remembered records a page doesn't show although it shows what stood around them.
    fn note_absent(&mut self, sweep: &Sweep, page: &[Sighting], is_at_0: bool, is_at_end: bool) {
        if self.is_partial {
            return;
        }
        let side = sweep.side;
        // Behind a record that stands alone, an empty page shows the end.
        let page = if page.is_empty() && is_at_end { sweep.last.as_slice() } else { page };
        let (number, is_stable) = (self.sweeps, self.is_stable());
        let (is_top, is_bottom) = match side {
            Side::Head => (is_at_0, is_at_end),
            Side::End => (is_at_end, is_at_0),
        };
        let Some(table) = self.state.table(side) else { return };
        let mut shown: Vec<_> = page.iter().filter_map(|it| table.index(&it.key)).collect();
        if side == Side::End {
            shown.reverse();
        }
        // What stands behind an unknown record isn't seen.
        let oldest = if side == Side::Head { page.last() } else { page.first() };
        let is_bottom = is_bottom && oldest.is_some_and(|it| table.contains(&it.key));
        for index in absent(shown, is_stable, is_top, is_bottom.then_some(table.len())) {
            // (If the sweep sees it elsewhere, that counts.)
            if let Some(entry) = table.get_mut(index) {
                entry.absent = number;
            }
        }
    }

    /// Whether the sweep has seen all that it may find.
    fn has_seen_all(&self, side: Side) -> bool {
        self.state.table_of(side).is_some_and(|it| it.is_full() && !it.iter().any(|it| self.may_stand_below(it)))
    }

    /// Where records move, those that the sweep hasn't seen may stand below what it has read.
    fn may_stand_below(&self, entry: &Entry) -> bool {
        !self.is_stable() && entry.seen != self.sweeps
    }

    /// Whether nothing below this page can change: every remembered record there is final, and several sweeps found it
    /// unchanged.
    fn is_settled(&self, page: &[Sighting]) -> bool {
        let Some(table) = self.state.head.as_ref().filter(|_| !self.has_room) else { return false };
        let deepest = page.iter().filter_map(|it| table.index(&it.key)).max().unwrap_or_default();
        let is_settled = |it: &Entry| it.is_final == Some(true) && it.quiet >= QUIET;
        let is_below = |(index, it): &(usize, &Entry)| *index > deepest || self.may_stand_below(it);
        table.iter().enumerate().filter(is_below).all(|(_, it)| is_settled(it))
    }
}

impl Sweep {
    /// Whether the page shows what stands below the oldest remembered record, with which the last page ended.
    fn follows_bottom(&self, page: &[Sighting], seen: &Comparison) -> bool {
        let is_bottom = page.first().map(|it| it.key.fingerprint()) == self.bottom && self.bottom.is_some();
        is_bottom && seen.unresolved.len() + 1 == page.len() && !seen.unresolved.contains(&0)
    }

    /// Notes the unknown records of a page, and which of those that were passed are late.
    fn note_passed(&mut self, page: &[Sighting], seen: &Comparison, is_at_bottom: bool, table: &Table) {
        let lowest = seen.lowest.as_ref().map(|(index, _)| *index);
        let in_page: Vec<_> = page.iter().map(|it| it.key.fingerprint()).collect();
        let shown = in_page.iter().position(|it| self.passed.contains(it));
        self.passed.retain(|it| !in_page.contains(it));
        // (A walk that was lost may go on further up.)
        let is_above = |lowest: usize| shown.map_or(!self.was_lost, |shown| shown < lowest);
        if lowest.or(is_at_bottom.then_some(0)).is_some_and(is_above) {
            self.late.extend(self.passed.drain(..));
        } else if self.was_lost && shown.is_none() {
            self.passed.clear();
        }
        self.was_lost = false;
        for index in seen.unresolved.iter().copied() {
            let key = in_page[index];
            if lowest.is_some_and(|lowest| index < lowest) {
                self.late.insert(key);
            } else if !is_at_bottom {
                self.passed.push(key);
            }
        }
        let lowest = page.iter().map(|it| &it.key).rfind(|it| table.contains(it));
        self.lowest = lowest.cloned().or(self.lowest.take());
    }

    /// Notes how far it has read, and in which order.
    fn note_page(&mut self, offset: u64, page: &[Sighting]) {
        self.deepest = self.deepest.max(offset.saturating_add(page.len() as u64));
        self.last = page.last().cloned().or(self.last.take());
        let is_on = offset >= std::mem::replace(&mut self.offset, offset) && !self.walk.is_lost();
        // A page that begins further up than the one before ended shows what it has read behind what it hasn't.
        let has_read =
            |it: &Sighting| self.ranks.as_ref().is_some_and(|ranks| ranks.contains_key(&it.key.fingerprint()));
        let goes_on = page.iter().skip_while(|it| has_read(it)).all(|it| !has_read(it));
        self.ranks = self.ranks.take().filter(|_| is_on && goes_on);
        if let Some(ranks) = &mut self.ranks {
            for record in page {
                let next = ranks.len();
                ranks.entry(record.key.fingerprint()).or_insert(next);
            }
        }
    }

    /// The walk begins again at the head: what it has passed stands below what it comes to now.
    fn forget_passed(&mut self) {
        self.passed.clear();
        (self.lowest, self.bottom) = (None, None);
    }

    /// Towards the end: notes the unknown records between two known ones in their order, whichever pages show them.
    fn note_between(&mut self, page: &[Sighting], table: &Table) {
        for record in page {
            let Some(index) = table.index(&record.key) else {
                if self.lowest.is_some() {
                    self.passed.push(record.key.fingerprint());
                }
                self.leads_unknown |= self.lowest.is_none();
                continue;
            };
            let passed = std::mem::take(&mut self.passed);
            if self.lowest.as_ref().and_then(|it| table.index(it)).is_some_and(|it| it > index) {
                self.late.extend(passed);
            }
            self.lowest = Some(record.key.clone());
        }
    }
}

/// The indexes of the remembered records that a page doesn't show, although it shows these around them, the newest
/// first. `is_top`: the page begins with the newest record of the listing. `bottom`: it ends with the oldest one, and
/// so many are remembered.
fn absent(mut shown: Vec<usize>, is_stable: bool, is_top: bool, bottom: Option<usize>) -> impl Iterator<Item = usize> {
    let (first, last) = (shown.first().copied(), shown.last().copied());
    // A record that has moved is no neighbour. In the middle of a page, it would be out of order.
    let shows_nothing = !is_stable && (!shown.is_sorted() || shown.len() < FEW);
    if !is_stable {
        shown.pop();
        shown = shown.split_off(1.min(shown.len()));
    }
    let mut between: Vec<_> = shown.windows(2).map(|it| it[0] + 1..it[1]).collect();
    if let Some(first) = first.filter(|_| is_top) {
        between.push(0..first);
    }
    if let Some((last, length)) = last.zip(bottom) {
        between.push(last + 1..length);
    }
    if shows_nothing {
        between.clear();
    }
    between.into_iter().flatten()
}
