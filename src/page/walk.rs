//! The walk: which window to ask for next, and what of its answer is new. Pure.
//!
//! A dialogue: [`Walk::window`] says what to ask for, [`Walk::observe`] takes what was answered, until it has ended.

use std::collections::HashSet;

use super::ahead::Forecast;
use super::chase::{Chase, Next};
use super::cursor::Cursor;
use super::drift::Drift;
use super::head::Head;
use super::known::Known;
use super::locate::{Found, Locator, Memory};
use super::summary::{Doubt, End, Tally};
use super::{GrowingEnd, Identity, Order, Total, Window};

/// How many pages of the head are read again at most where records keep their order.
const HEAD_PAGES: u32 = 8;

/// What a walk is told before it begins.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) start: u64,
    pub(super) limit: u32,
    pub(super) total: Total,
    pub(super) order: Order,
    /// How many identities are remembered.
    pub(super) remembered: usize,
    /// How many more requests may bring nothing than bring something.
    pub(super) budget: u64,
    pub(super) growing_end: GrowingEnd,
    pub(super) rules: Rules,
}

/// Which rules hold. All of them; each can be switched off alone in tests, to show what it's good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    /// R1: windows overlap by a record that is known.
    pub(super) overlap: bool,
    /// R2: what comes next is what follows the last known record, wherever in the answer that stands.
    pub(super) last_known: bool,
    /// R3: go back if nothing is known.
    pub(super) go_back: bool,
    /// R4: only a known record alone ends a listing.
    pub(super) prove_end: bool,
    /// A total ends a listing only where it's known to be one.
    pub(super) doubt_total: bool,
    /// Read the head again in the end.
    pub(super) read_head: bool,
    /// Ask again where an answer is empty.
    pub(super) ask_twice: bool,
}

impl Rules {
    pub(super) const ALL: Self = Self {
        overlap: true,
        last_known: true,
        go_back: true,
        prove_end: true,
        doubt_total: true,
        read_head: true,
        ask_twice: true,
    };
}

/// A walk from a place in a listing to its end.
#[derive(Debug)]
pub(super) struct Walk {
    plan: Plan,
    pass: Pass,
    /// What was given before the head is read again; `None` until then.
    given: Option<Known>,
    head: Head,
    /// The answer that comes next was asked for before the one that came last was there: it may be older than that.
    early: bool,
    /// The largest answer so far: what the server has shown that it gives.
    largest: usize,
    latest: Option<Latest>,
    /// How a proved end was reached, while the head is still to be read.
    proof: Option<End>,
    end: Option<End>,
    resumed: bool,
    /// The position of its cursor is still being looked for.
    is_resuming: bool,
    /// What a cursor remembers of the records before the position.
    before: Memory,
    /// How many were delivered before it was resumed.
    delivered_before: u64,
    chase: Chase,
    /// The last record of the last page, and how many that had, if it was known and there was room for more.
    tail: Option<(u64, usize)>,
    /// The position was pushed down, as records came to the head.
    has_grown: bool,
    /// How many pages of the head were read again.
    head_pages: u32,
    tally: Tally,
}

/// The last answer.
#[derive(Clone, Copy, Debug)]
struct Latest {
    received: usize,
    /// The offset behind its last record.
    behind: u64,
    total: Option<u64>,
    /// Whether it was as long as it could be, by what was asked for or what the server gives.
    full: bool,
    is_first: bool,
}

/// One way through the listing, from some place towards its end.
#[derive(Debug, Default)]
struct Pass {
    /// Where the next window begins.
    offset: u64,
    /// Where the last known record was seen.
    position: Option<u64>,
    drift: Drift,
    /// Set while the position is looked for.
    locator: Option<Locator>,
    /// The position is nowhere: the next response is the head's.
    restart: bool,
    /// What was met on this way. Everything before a record of it was met too.
    known: Known,
    /// Set while the place is lost and the listing is read anew from its head: what was met since. `known` is kept whole
    /// until a record of it is met.
    anew: Option<Known>,
    /// By how many records windows overlap beyond the one: more where the place was lost, as it will be again.
    margin: u64,
    /// Where in the next answer the last known record is if nothing changes.
    expected: u64,
    /// The position is being looked for.
    is_lost: bool,
    /// There was nothing from here on.
    beyond: Option<u64>,
    /// How often in a row the window was empty.
    empty: u32,
    /// Whether the window begins where a known record was, though the answers have single records: one that goes on from
    /// a cursor, or goes back.
    on_known: bool,
}

/// What to do with a record of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Give {
    /// Nothing: it was given before.
    No,
    /// Give it: it comes next in the listing, at this place.
    Next(u64),
    /// Give it: it stands before what was given already.
    Late,
}

impl Walk {
    pub(super) fn new(mut plan: Plan) -> Self {
        plan.widen();
        let pass = Pass { offset: plan.start, known: Known::new(plan.remembered), ..Pass::default() };
        Self {
            plan,
            pass,
            given: None,
            head: Head::default(),
            early: false,
            largest: 0,
            latest: None,
            proof: None,
            end: None,
            resumed: false,
            is_resuming: false,
            before: Memory::default(),
            delivered_before: 0,
            chase: Chase::default(),
            tail: None,
            has_grown: false,
            head_pages: 0,
            tally: Tally::default(),
        }
    }

    /// A walk that goes on from a cursor.
    pub(super) fn resume(mut plan: Plan, cursor: &Cursor) -> Self {
        if cursor.seen() == 0 {
            // Nothing was given yet: it begins where that one would have.
            plan.start = cursor.place();
        }
        let mut walk = Self::new(plan);
        walk.pass.offset = cursor.place();
        walk.largest = if cursor.gives_many() { 2 } else { 0 };
        walk.head = Head::of(cursor.head());
        if cursor.seen() == 0 {
            return walk;
        }
        walk.resumed = true;
        walk.delivered_before = cursor.seen();
        walk.is_resuming = true;
        for id in cursor.known() {
            walk.pass.known.add(id);
        }
        let memory = Memory::new(cursor.run(), cursor.landmarks());
        let (place, depth) = (cursor.place(), cursor.seen() - 1);
        let locator =
            Locator::new(memory.clone(), cursor.head().to_vec(), walk.plan.order, place, depth, walk.plan.limit);
        walk.before = memory;
        walk.pass.on_known = true;
        walk.pass.position = Some(cursor.place());
        walk.pass.locator = Some(locator);
        walk.tally.resume(cursor.totals());
        walk.tally.strode = cursor.strode();
        walk
    }

    /// Whether the head is being read again.
    pub(super) fn is_on_head(&self) -> bool {
        self.given.is_some()
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(super) fn end(&self) -> Option<End> {
        self.end
    }

    /// The known record of the same text as an unreadable one that comes first in an answer: the one that is expected
    /// there, or else the last.
    pub(super) fn alike(&self, id: &Identity) -> Option<&Identity> {
        // Windows may overlap by several of the same text. To take the first of them for the last would make news of the
        // others, each time anew.
        let met = self.pass.anew.as_ref().unwrap_or(&self.pass.known);
        if let Some(expected) = met.nth_last(self.pass.expected).filter(|it| it.is_alike(id)) {
            return Some(expected);
        }
        let anew = self.pass.anew.as_ref().and_then(|it| it.alike(id));
        anew.or_else(|| self.pass.known.alike(id)).or_else(|| self.given.as_ref()?.alike(id))
    }

    pub(super) fn anchors(&self) -> &[u64] {
        self.head.anchors()
    }

    /// Whether records were read one at a time, without an overlap.
    pub(super) fn strode(&self) -> bool {
        self.tally.strode
    }

    /// A record was recognised by its text alone.
    pub(super) fn guessed(&mut self) {
        self.tally.alike = true;
    }

    pub(super) fn gives_many(&self) -> bool {
        self.largest > 1
    }

    /// Whether the answer that comes next was read ahead.
    pub(super) fn comes_early(&mut self, early: bool) {
        self.early = early;
    }

    /// Ends it from outside.
    pub(super) fn stop(&mut self, end: End) {
        self.end.get_or_insert(end);
    }

    /// What to ask for next. `None` once it has ended.
    pub(super) fn window(&self) -> Option<Window> {
        self.end.is_none().then_some(Window { offset: self.pass.offset, limit: self.plan.limit })
    }

    /// Whether nothing of what was read could be found, and the listing is read from its head until it is.
    pub(super) fn is_anew(&self) -> bool {
        self.pass.anew.is_some()
    }

    /// What comes behind the next window if nothing changes. `None` where that can't be told: before the first answer, where
    /// the place is lost, at the end.
    pub(super) fn forecast(&self) -> Option<Forecast> {
        let pass = &self.pass;
        let steady = pass.anew.is_none() && pass.expected == 0 && pass.empty == 0;
        // Where the listing shifts by much from request to request, each request made early would count as one.
        let steady = steady && pass.locator.is_none() && pass.drift.is_calm(self.largest as u64);
        let latest = self.latest.filter(|_| steady && !self.is_on_head() && !self.singles())?;
        let is_total = self.plan.total == Total::OfListing;
        let end = latest.total.filter(|it| is_total || *it > latest.behind);
        // One that is shorter than asked for and than the one before may be the last, unless a total says more. (The first may
        // be cut by the server: there a number that may be a total is enough.)
        let more = latest.full || ((is_total || latest.is_first) && end.is_some_and(|it| it > latest.behind));
        let step = u64::try_from(latest.received).ok()?.checked_sub(1).filter(|it| *it > 0 && more)?;
        Some(Forecast { step, end })
    }

    /// Takes the answer to [`window`](Self::window), and says what to do with each of its records.
    pub(super) fn observe(&mut self, answer: &[Identity], total: Option<u64>) -> Vec<Give> {
        self.tally.came();
        self.tally.note_total(self.plan.total, total, answer.len());
        self.largest = self.largest.max(answer.len());
        let full = answer.len() as u64 >= u64::from(self.plan.limit)
            || self.latest.is_some_and(|latest| latest.received == answer.len());
        let behind = self.pass.offset.saturating_add(answer.len() as u64);
        let is_first = self.latest.is_none();
        self.latest = Some(Latest { received: answer.len(), behind, total, full, is_first });
        let mut give = vec![Give::No; answer.len()];
        if answer.is_empty() {
            self.observe_empty();
        } else {
            self.observe_records(answer, total, &mut give);
        }
        let given = give.iter().filter(|it| **it != Give::No).count() as u64;
        self.tally.gave(given);
        if self.tally.is_over(self.plan.budget) {
            if self.is_on_head() {
                // All was given and the end was proved before; only what the head was is gone.
                self.tally.reordered = true;
                self.end = self.proof;
            } else {
                self.stop(End::Lost);
            }
        }
        give
    }

    fn observe_records(&mut self, answer: &[Identity], total: Option<u64>, give: &mut [Give]) {
        self.pass.empty = 0;
        self.pass.drift.note_request();
        if !self.is_on_ground(answer) {
            return;
        }
        let seen = self.see(answer);
        self.note_shift(&seen);
        self.mark(answer, &seen, give);
        self.set_next_window(answer, &seen, give);
        self.note_end(answer, &seen, total);
    }

    /// What of a page is known.
    fn see(&self, answer: &[Identity]) -> Seen {
        let last_known = answer.iter().rposition(|id| self.knows(id));
        let is_full = answer.len() >= self.largest.min(self.plan.limit as usize);
        Seen {
            offset: self.pass.offset,
            behind: self.pass.offset.saturating_add(answer.len() as u64),
            is_first: self.pass.known.is_empty(),
            is_news: last_known.is_none_or(|it| it + 1 < answer.len()),
            singles: self.singles(),
            expected: usize::try_from(self.pass.expected).unwrap_or(usize::MAX),
            last_known,
            // Where there was room for it, it isn't there any more.
            further: last_known.filter(|_| is_full).map_or(Some(0), |it| self.further(&answer[..=it])),
        }
    }

    /// How far behind the last record of `known` the last one delivered stands. `None` where that can't be told.
    fn further(&self, known: &[Identity]) -> Option<u64> {
        let all = self.pass.anew.as_ref().unwrap_or(&self.pass.known);
        let (last, before) = known.split_last()?;
        let distance = all.distance(last)?;
        // One that stands there by itself may have moved.
        let is_alone = before.last().is_some_and(|it| all.distance(it) != Some(distance + 1));
        if distance > 0 && is_alone && self.plan.order == Order::MayChange { None } else { Some(distance) }
    }

    fn knows(&self, id: &Identity) -> bool {
        // When the head is read again, only that counts as known which was met on this way.
        self.pass.knows(id) || (self.given.is_none() && self.before.contains(id))
    }

    /// R3. Whether it can be told from a page what comes next; if not, where to ask instead is settled.
    fn is_on_ground(&mut self, answer: &[Identity]) -> bool {
        let singles = self.singles();
        let pass = &mut self.pass;
        if std::mem::take(&mut pass.restart) {
            // Not even the head is known: what was read is gone, or far down. Read on from here until it's met.
            pass.anew.get_or_insert_with(|| Known::new(self.plan.remembered));
            return true;
        }
        if !self.plan.rules.go_back || pass.known.is_empty() || (singles && !pass.on_known) {
            return true;
        }
        if self.pass.locator.is_some() {
            return self.locate(|locator, offset| locator.examine(offset, answer));
        }
        // A known record behind unknown ones may have moved there, past others; where the answer begins with a known one,
        // everything from there on is seen. Where none moves, any known one tells.
        let may_be_elsewhere = self.plan.order == Order::MayChange
            && self.pass.offset > 0
            && !answer.first().is_some_and(|it| self.knows(it));
        if !may_be_elsewhere && answer.iter().any(|id| self.knows(id)) {
            return true;
        }
        if self.pass.drift.predicted() > 0 {
            // The listing didn't shift as far as it had: the record is where it was seen, or not as far from there.
            self.pass.unpredict();
            return false;
        }
        self.locate(|locator, offset| locator.examine(offset, answer))
    }

    /// Looks for the position. Whether it was found.
    fn locate(&mut self, look: impl FnOnce(&mut Locator, u64) -> Found) -> bool {
        let (order, limit, pass) = (self.plan.order, self.plan.limit, &mut self.pass);
        let locator = pass.locator.get_or_insert_with(|| {
            let memory = match &pass.anew {
                Some(anew) => Memory::of(anew, &Memory::default()),
                None => Memory::of(&pass.known, &self.before),
            };
            let position = pass.position.unwrap_or(pass.offset);
            // What began at the head anew has a head of its own.
            let anew = pass.anew.as_ref().or_else(|| self.given.is_some().then_some(&pass.known));
            let (head, delivered) = match anew {
                Some(known) => (known.first_ones(), known.count()),
                None => (self.head.anchors().to_vec(), self.delivered_before + pass.known.count()),
            };
            Locator::new(memory, head, order, position, delivered.saturating_sub(1), limit)
        });
        let found = look(locator, pass.offset);
        if found == Found::Ground {
            pass.locator = None;
            if std::mem::take(&mut self.is_resuming) {
                self.has_grown = pass.offset > pass.position.unwrap_or_default();
                // What came while nobody read says nothing of how fast it comes.
                (pass.drift, pass.position) = (Drift::default(), None);
            }
            return true;
        }
        // A search after a stop is bounded by itself, and doesn't count against the requests that bring nothing.
        self.tally.excused += u64::from(self.is_resuming);
        if !pass.is_lost {
            self.tally.lost_places += 1;
            // It will be lost again: windows overlap by more for a while.
            pass.margin = (2 * pass.margin + 1).min(u64::from(limit / 4));
        }
        self.tally.shifted = true;
        (pass.is_lost, pass.on_known, pass.expected) = (true, true, u64::MAX);
        match found {
            Found::Ask(offset) => pass.offset = offset,
            Found::Ground | Found::Nowhere => {
                pass.locator = None;
                self.is_resuming = false;
                (pass.offset, pass.position, pass.restart) = (0, None, true);
                pass.drift = Drift::default();
            }
        }
        false
    }

    /// By how much the last known record stands elsewhere than it was seen.
    fn note_shift(&mut self, seen: &Seen) {
        let pass = &mut self.pass;
        let found = seen.last_known.zip(seen.further);
        let found = found.map(|(index, further)| seen.offset.saturating_add(index as u64).saturating_add(further));
        let shift = found.zip(pass.position).map(|(now, before)| now.cast_signed().wrapping_sub(before.cast_signed()));
        // Single records don't overlap: there a known one is what tells.
        let has_shifted =
            if seen.singles { seen.last_known.is_some() } else { shift != Some(0) && pass.position.is_some() };
        if !seen.is_first && has_shifted {
            self.tally.shifted = true;
        }
        if seen.last_known == Some(seen.expected) && !pass.is_lost {
            pass.margin /= 2;
        }
        self.has_grown |= shift.is_some_and(|it| it > 0);
        if let Some(shift) = shift.filter(|_| !seen.singles) {
            pass.drift.note_shift(shift);
        }
        (pass.on_known, pass.is_lost) = (false, false);
    }

    /// R2. What to do with each record of a page.
    fn mark(&mut self, answer: &[Identity], seen: &Seen, give: &mut [Give]) {
        let rules = self.plan.rules;
        let on_head = self.given.is_some();
        let met = self.pass.anew.is_some() && answer.iter().any(|id| self.pass.known.contains(id));
        // On known ground up to here; what comes behind is next.
        let next_from = seen.last_known.map_or(0, |it| it + 1);
        for (index, (id, give)) in answer.iter().zip(give.iter_mut()).enumerate() {
            let new = if rules.last_known { !self.knows(id) } else { seen.is_first || index > 0 };
            let pass = &mut self.pass;
            if new && id.is_unreadable() && pass.known.alike(id).is_some() {
                self.tally.alike = true;
            }
            if new {
                let known = pass.anew.as_mut().unwrap_or(&mut pass.known);
                if index >= next_from { known.add_next(id.clone()) } else { known.add(id.clone()) }
            }
            if let Some(given) = &mut self.given {
                // Behind what was the head comes what was given by the walk that this one goes on with, which remembers little of it.
                let before = self.resumed && self.head.is_met();
                if !before && !given.contains(id) && !self.head.contains(id) && !self.before.contains(id) {
                    *give = Give::Late;
                    self.tally.late += 1;
                    given.add(id.clone());
                }
                if new {
                    self.head.meet(id);
                }
            } else if new {
                if index >= next_from {
                    *give = Give::Next(seen.offset.saturating_add(index as u64));
                } else {
                    *give = Give::Late;
                    self.tally.inserted += 1;
                }
                if index >= next_from && self.plan.start == 0 && pass.anew.is_none() && !self.resumed {
                    self.head.keep(id, self.plan.limit);
                }
            }
            if *give == Give::No && Some(index) != seen.last_known && index >= seen.expected && !on_head {
                self.tally.repeats += 1;
            }
        }
        if met {
            // Back on known ground, which all of these stand before.
            for id in self.pass.anew.take().into_iter().flat_map(Known::into_order) {
                self.pass.known.add(id);
            }
        }
    }

    /// R1. The next window begins at the last known record: where it stands now, or where it will if the listing goes on to
    /// shift as it did.
    fn set_next_window(&mut self, answer: &[Identity], seen: &Seen, give: &[Give]) {
        let singles = self.singles();
        let overlaps = !singles && self.plan.rules.overlap;
        let received = answer.len() as u64;
        let pass = &mut self.pass;
        pass.expected = if overlaps && seen.is_news { pass.margin.min(received - 1) } else { 0 };
        // A page of nothing but records from further up ends before the one that was looked for.
        pass.beyond = pass.beyond.filter(|it| *it >= seen.behind);
        let is_there = |further: &u64| pass.beyond.is_none_or(|it| (seen.behind - 1).saturating_add(*further) < it);
        let further = seen.further.filter(|_| overlaps && !seen.is_news).filter(is_there).unwrap_or_default();
        let is_stalled = !seen.is_news && further == 0;
        pass.position = Some((seen.behind - 1).saturating_add(further));
        let shift = if overlaps { pass.drift.predict(is_stalled, received) } else { 0 };
        // One record of overlap; single records have none to spare. At the end it must stand alone.
        let offset = (seen.behind - u64::from(overlaps) - pass.expected).saturating_add(further);
        pass.offset = offset.saturating_add_signed(shift);
        self.tally.strode |= seen.singles && !seen.is_first && give.contains(&Give::Next(seen.behind - 1));
    }

    /// R4. Whether a page ends the listing.
    fn note_end(&mut self, answer: &[Identity], seen: &Seen, total: Option<u64>) {
        let rules = self.plan.rules;
        let on_head = self.is_on_head();
        let received = answer.len() as u64;
        let has_room = received < u64::from(self.plan.limit);
        let alone = received == 1 && seen.last_known == Some(0) && !self.singles();
        if alone && !on_head {
            self.tally.end_denied = total.is_some_and(|total| total != seen.behind);
        }
        // What moved to the end since then isn't in it, and wasn't in those before it any more, which may be newer.
        let outdated = self.early && self.tally.shifted && self.plan.order == Order::MayChange;
        if on_head {
            self.head_pages += 1;
        }
        // Where none moves, what stands at the head is newer than the scan: some of it is delivered, and nothing is owed.
        let is_enough = on_head && self.plan.order == Order::Fixed && self.head_pages >= HEAD_PAGES;
        if on_head && self.head.is_met() {
            self.end_head();
        } else if is_enough {
            self.end = self.proof;
        } else if outdated {
            // Asked for anew, it tells.
        } else if self.is_whole(answer, total)
            || alone
            || self.ends_again(answer, seen)
            || (has_room && !rules.prove_end)
        {
            self.reach_end(End::Proved);
        } else if !on_head && self.plan.growing_end == GrowingEnd::StopBehindStart {
            self.note_growth(answer, seen, total);
        }
    }

    /// R4, where the end shifts: whether two pages in a row had room for more and ended at the same known record, one of them
    /// with more records than the other. So the server gives more than the shorter one had, and there was no more.
    fn ends_again(&mut self, answer: &[Identity], seen: &Seen) -> bool {
        let has_room = answer.len() < self.plan.limit as usize;
        // It ends the page, and not only that: it's the last one delivered.
        let known = self.pass.anew.as_ref().unwrap_or(&self.pass.known);
        let is_last = answer.last().is_some_and(|last| known.distance(last) == Some(0));
        let ends = has_room && !seen.is_news && !seen.singles && is_last;
        let now = answer.last().filter(|_| ends).map(|last| (last.fingerprint(), answer.len()));
        let before = std::mem::replace(&mut self.tail, now);
        before.zip(now).is_some_and(|(before, now)| before.0 == now.0 && before.1.abs_diff(now.1) > 1)
    }

    /// Whether a page holds the whole listing: it begins at its head, and the total counts just its records. One response
    /// is one view, so nothing else was there.
    fn is_whole(&self, answer: &[Identity], total: Option<u64>) -> bool {
        let known = self.plan.total == Total::OfListing || !self.plan.rules.doubt_total;
        let has_room = answer.len() < self.plan.limit as usize;
        let is_all = has_room && total == Some(answer.len() as u64) && self.latest.map(|it| it.behind) == total;
        known && is_all && answer.iter().collect::<HashSet<_>>().len() == answer.len()
    }

    /// Whether the end moves on as fast as it's read.
    fn note_growth(&mut self, answer: &[Identity], seen: &Seen, total: Option<u64>) {
        let has_room = answer.len() < self.largest.min(self.plan.limit as usize);
        self.chase.note_total(total, seen.behind);
        let outrun = !self.tally.shifted
            && !seen.singles
            && self.chase.is_outrun(self.plan.total, self.tally.seen, self.plan.limit);
        match self.chase.note(seen.offset, answer, has_room, seen.is_news) {
            Next::Stop => self.reach_end(End::Grew),
            _ if outrun => self.reach_end(End::Grew),
            Next::Again => {
                self.pass.offset = seen.offset;
                self.pass.expected = answer.len() as u64 - 1;
            }
            Next::GoOn => {}
        }
    }

    fn observe_empty(&mut self) {
        let singles = self.singles();
        let pass = &mut self.pass;
        pass.drift.note_request();
        if pass.drift.predicted() > 0 {
            // Beyond the end, as the listing didn't shift as far as it had.
            return pass.unpredict();
        }
        pass.empty += 1;
        pass.beyond = Some(pass.beyond.map_or(pass.offset, |it| it.min(pass.offset)));
        let first = pass.known.is_empty();
        let offset = pass.offset;
        let patience = if self.plan.rules.ask_twice { 1 } else { 0 };
        if pass.empty <= patience && (pass.locator.is_none() || offset == 0) {
            // It may be a hiccup.
        } else if first {
            self.reach_end(if offset == 0 { End::Proved } else { End::Unproved });
        } else if !self.plan.rules.prove_end {
            self.reach_end(End::Proved);
        } else if singles && pass.offset > 0 && !pass.on_known {
            self.reach_end(End::Unproved);
        } else if pass.offset == 0 {
            if pass.empty > 2 * patience {
                self.stop(End::Emptied);
            }
        } else {
            pass.empty = 0;
            self.locate(|locator, offset| locator.is_beyond(offset));
        }
    }

    /// The end of the listing. Records may have moved to its head meanwhile: then that is read again first.
    fn reach_end(&mut self, end: End) {
        if self.given.is_some() {
            return self.end_head();
        }
        let may_have_moved = self.has_grown || self.plan.order == Order::MayChange;
        let from_head = self.plan.start == 0 && !self.head.anchors().is_empty();
        if !(may_have_moved && from_head && self.plan.rules.read_head) {
            self.end = Some(end);
            return;
        }
        self.proof = Some(end);
        let drift = self.pass.drift.clone();
        self.tail = None;
        let pass = Pass { known: Known::new(self.plan.remembered), drift, ..Pass::default() };
        let done = std::mem::replace(&mut self.pass, pass);
        self.tally.forgot |= done.known.has_forgotten();
        let mut given = done.known;
        for id in done.anew.into_iter().flat_map(Known::into_order) {
            given.add(id);
        }
        self.given = Some(given);
        self.head.read_again();
    }

    fn end_head(&mut self) {
        self.tally.reordered |= !self.head.is_same();
        self.end = self.proof;
    }

    /// Whether the server gives no more than one record at once, as far as it has shown.
    fn singles(&self) -> bool {
        self.largest == 1 || self.plan.limit < 2
    }

    /// What stands against calling it complete, though its end was proved.
    pub(super) fn doubt(&self, seen_before: u64) -> Option<Doubt> {
        let distinct = seen_before.saturating_add(self.tally.seen);
        if self.end == Some(End::Unproved) || self.tally.strode {
            return Some(Doubt::SingleRecords);
        }
        self.tally.doubt_of_total(distinct).or_else(|| self.doubt_beside_total())
    }

    /// What stands against it whatever the total is.
    pub(super) fn doubt_beside_total(&self) -> Option<Doubt> {
        let tally = &self.tally;
        let forgot = tally.forgot || self.pass.known.has_forgotten();
        let unsure = forgot || (self.resumed && tally.inserted + tally.lost_places + tally.late > 0);
        match () {
            () if self.end == Some(End::Unproved) || tally.strode => Some(Doubt::SingleRecords),
            // A page that came short leaves a record alone that isn't the last.
            () if tally.end_denied => Some(Doubt::TotalDiffers),
            () if tally.alike => Some(Doubt::Alike),
            () if tally.reordered || (tally.shifted && self.plan.order == Order::MayChange) => Some(Doubt::Reordered),
            () if unsure && tally.shifted => Some(Doubt::BeyondMemory),
            () if self.plan.order == Order::MayChange => Some(Doubt::OrderMayChange),
            () => None,
        }
    }
}

/// What of a page is known, and where it stands.
#[derive(Clone, Copy, Debug)]
struct Seen {
    offset: u64,
    behind: u64,
    /// Nothing was known before it.
    is_first: bool,
    /// Its last record is new.
    is_news: bool,
    /// The server has given single records only, this page included.
    singles: bool,
    /// Where in it the last known record was expected.
    expected: usize,
    last_known: Option<usize>,
    /// How far behind that the last record delivered stands, as a page may end before it. `None` where that can't be told.
    further: Option<u64>,
}

impl Plan {
    /// With less than two pages, a page that comes again and again would be news again and again.
    pub(super) fn widen(&mut self) {
        let two_pages = usize::try_from(self.limit).unwrap_or(usize::MAX).saturating_mul(2);
        self.remembered = self.remembered.max(two_pages);
    }
}

impl Pass {
    /// Back to where the last known record was seen.
    fn unpredict(&mut self) {
        self.drift.was_wrong();
        if let Some(position) = self.position {
            self.offset = position;
        }
        self.expected = 0;
    }

    fn knows(&self, id: &Identity) -> bool {
        self.known.contains(id) || self.anew.as_ref().is_some_and(|anew| anew.contains(id))
    }
}
