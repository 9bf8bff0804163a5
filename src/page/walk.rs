//! The walk: which window to ask for next, and what of its answer is new. Pure.
//!
//! A dialogue: [`Walk::window`] says what to ask for, [`Walk::observe`] takes what was answered, until it has ended.

use super::ahead::Forecast;
use super::cursor::Cursor;
use super::head::Head;
use super::known::Known;
use super::summary::{Doubt, End, Tally};
use super::{Identity, Order, Total, Window};

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
    /// What was met on this way. Everything before a record of it was met too.
    known: Known,
    /// Set while the place is lost and the listing is read anew from its head: what was met since. `known` is kept whole
    /// until a record of it is met.
    anew: Option<Known>,
    /// How often in a row it went back.
    steps_back: u32,
    /// By how many records windows overlap beyond the one: more where the place was lost, as it will be again.
    margin: u64,
    /// Where in the next answer the last known record is if nothing changes.
    expected: u64,
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
        walk.resumed = cursor.seen() > 0;
        walk.pass.offset = cursor.place();
        walk.pass.on_known = walk.resumed;
        walk.largest = if cursor.gives_many() { 2 } else { 0 };
        walk.head = Head::of(cursor.head());
        for id in cursor.known() {
            walk.pass.known.add(id);
        }
        if walk.resumed {
            walk.pass.known.resume(cursor.run());
            walk.tally.resume(cursor.totals());
            walk.tally.strode = cursor.strode();
        }
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
        let steady = pass.anew.is_none() && pass.steps_back == 0 && pass.expected == 0 && pass.empty == 0;
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
        let rules = self.plan.rules;
        let singles = self.singles();
        let on_head = self.given.is_some();
        let pass = &mut self.pass;
        pass.empty = 0;
        let first = pass.known.is_empty();
        let last_known = answer.iter().rposition(|id| pass.knows(id));
        // A known record behind unknown ones may have moved there, past others; where the answer begins with a known one,
        // everything from there on is seen.
        let astray = last_known.is_some() && pass.offset > 0 && !pass.knows(&answer[0]);
        if (last_known.is_none() || astray) && !first && (!singles || pass.on_known) && rules.go_back {
            if self.lose_place() {
                return;
            }
            // Not even the head is known: what was read is gone, or far down. Read on from here until it's met.
            self.pass.anew.get_or_insert_with(|| Known::new(self.plan.remembered));
        }
        let pass = &mut self.pass;
        let expected = usize::try_from(pass.expected).unwrap_or(usize::MAX);
        // Single records don't overlap: there a known one is what tells.
        if !first && (if singles { last_known.is_some() } else { last_known != Some(expected) }) {
            self.tally.shifted = true;
        } else if pass.steps_back == 0 {
            pass.margin /= 2;
        }
        pass.steps_back = 0;
        pass.on_known = false;
        let met = pass.anew.is_some() && answer.iter().any(|id| pass.known.contains(id));
        // On known ground up to here; what comes behind is next.
        let next_from = last_known.map_or(0, |it| it + 1);
        for (index, (id, give)) in answer.iter().zip(give.iter_mut()).enumerate() {
            let new = if rules.last_known { !pass.knows(id) } else { first || index > 0 };
            if new && id.is_unreadable() && pass.known.alike(id).is_some() {
                self.tally.alike = true;
            }
            if new {
                pass.anew.as_mut().unwrap_or(&mut pass.known).add(id.clone());
            }
            if let Some(given) = &mut self.given {
                // Behind what was the head comes what was given by the walk that this one goes on with, which remembers little of it.
                let before = self.resumed && self.head.is_met();
                if !before && !given.contains(id) && !self.head.contains(id) {
                    *give = Give::Late;
                    self.tally.late += 1;
                    given.add(id.clone());
                }
                if new {
                    self.head.meet(id);
                }
            } else if new {
                *give =
                    if index >= next_from { Give::Next(pass.offset.saturating_add(index as u64)) } else { Give::Late };
                if index < next_from {
                    self.tally.inserted += 1;
                } else if self.plan.start == 0 && pass.anew.is_none() && !self.resumed {
                    self.head.keep(id, self.plan.limit);
                }
            }
            if *give == Give::No && Some(index) != last_known && index >= expected && !on_head {
                self.tally.repeats += 1;
            }
        }
        if met {
            // Back on known ground.
            for id in pass.anew.take().into_iter().flat_map(Known::into_order) {
                pass.known.add(id);
            }
        }
        let received = answer.len() as u64;
        let behind = self.pass.offset.saturating_add(received);
        let alone = received == 1 && last_known == Some(0) && !singles;
        let short = received < u64::from(self.plan.limit);
        let news = last_known.is_none_or(|it| it + 1 < answer.len());
        // A server that takes no larger offset answers with the same page at each: where that is shows by what is known
        // in it, and if nothing is, as at the first window of a walk from an offset, then it doesn't.
        let in_place = self.pass.offset == 0 || singles || last_known == Some(expected) || !rules.doubt_total;
        let by_total = short && (news || self.pass.offset == 0) && in_place && self.may_end_by(total, behind);
        // One record of overlap; single records have none to spare. At the end it must stand alone.
        let overlaps = !self.singles() && rules.overlap;
        self.pass.expected = if overlaps && news { self.pass.margin.min(received - 1) } else { 0 };
        self.pass.offset = behind - u64::from(overlaps) - self.pass.expected;
        self.tally.strode |= singles && !first && give.contains(&Give::Next(behind - 1));
        if alone && !on_head {
            self.tally.end_denied = total.is_some_and(|total| total != behind);
        }
        // What moved to the end since then isn't in it, and wasn't in those before it any more, which may be newer.
        let outdated = self.early && self.tally.shifted && self.plan.order == Order::MayChange;
        if on_head && self.head.is_met() {
            self.end_head();
        } else if outdated {
            // Asked for anew, it tells.
        } else if by_total {
            self.reach_end(if singles && behind > 1 { End::Unproved } else { End::Proved });
        } else if alone || (short && !rules.prove_end) {
            self.reach_end(End::Proved);
        }
    }

    fn observe_empty(&mut self) {
        let singles = self.singles();
        let pass = &mut self.pass;
        pass.empty += 1;
        let first = pass.known.is_empty();
        let offset = pass.offset;
        let patience = if self.plan.rules.ask_twice { 1 } else { 0 };
        if pass.empty <= patience {
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
            self.lose_place();
        }
    }

    /// Nothing in an answer is known. Goes back, and says whether it can.
    fn lose_place(&mut self) -> bool {
        self.tally.lost_places += u64::from(self.pass.steps_back == 0);
        self.tally.shifted = true;
        let behind_the_head = self.pass.offset > 0;
        if behind_the_head {
            self.pass.step_back(self.plan.limit);
        }
        behind_the_head
    }

    /// The end of the listing. Records may have moved to its head meanwhile: then that is read again first.
    fn reach_end(&mut self, end: End) {
        if self.given.is_some() {
            return self.end_head();
        }
        let may_have_moved = self.tally.shifted || self.plan.order == Order::MayChange;
        let from_head = self.plan.start == 0 && !self.head.anchors().is_empty();
        if !(may_have_moved && from_head && self.plan.rules.read_head) {
            self.end = Some(end);
            return;
        }
        self.proof = Some(end);
        let pass = Pass { known: Known::new(self.plan.remembered), ..Pass::default() };
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

    /// Whether a total ends the listing: only one that is known to be a total. One that merely can't be a page's count
    /// may still be any number; where it happens to fit, the end is proved in the usual way.
    fn may_end_by(&self, total: Option<u64>, behind: u64) -> bool {
        let known = self.plan.total == Total::OfListing || !self.plan.rules.doubt_total;
        known && total == Some(behind)
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

impl Plan {
    /// With less than two pages, a page that comes again and again would be news again and again.
    pub(super) fn widen(&mut self) {
        let two_pages = usize::try_from(self.limit).unwrap_or(usize::MAX).saturating_mul(2);
        self.remembered = self.remembered.max(two_pages);
    }
}

impl Pass {
    fn knows(&self, id: &Identity) -> bool {
        self.known.contains(id) || self.anew.as_ref().is_some_and(|anew| anew.contains(id))
    }

    fn step_back(&mut self, limit: u32) {
        let stride = u64::from(limit.saturating_sub(1).max(1)).saturating_mul(1 << self.steps_back.min(40));
        self.steps_back += 1;
        self.on_known = true;
        self.margin = (2 * self.margin + 1).min(u64::from(limit / 4));
        // Where it is now isn't known.
        self.expected = u64::MAX;
        self.offset = self.offset.saturating_sub(stride);
    }
}
