//! The walk the other way: from a known record towards the head, the oldest first. Pure.
//!
//! The rules mirrored: windows reach below the first known record, what stands before the first known record of an answer
//! comes next, and a known record first at offset 0 is the end. Where nothing is known, the place is looked for from the
//! head, as what lies below the known records wasn't given by this walk.

use std::collections::HashSet;

use super::ahead::Forecast;
use super::drift::Drift;
use super::known::Known;
use super::summary::{End, Tally};
use super::walk::{Give, Plan, Rules, Walk};
use super::{Identity, Order, Window};

/// How many windows below the place it's looked for before it's looked for from the head again.
const BELOW: u32 = 32;

/// How many windows in a row may come no closer to the head before a climb ends behind what stood there when it began.
const OUTRUN: u32 = 8;

/// And how many if the record that stood there isn't met.
const LONG_OUTRUN: u32 = 64;

/// A walk from known records to the head of their listing.
#[derive(Debug)]
pub(super) struct Climb {
    plan: Plan,
    /// The fingerprints of what was known before, and what was given since.
    known: HashSet<u64>,
    given: Known,
    stage: Stage,
    /// The most records that were passed on the way to the place.
    passed: u64,
    /// The largest answer so far.
    largest: usize,
    /// How much the server is taken to give at once; 0 if that isn't known.
    size: usize,
    empty: u32,
    drift: Drift,
    /// The first record that was met: the newest when it began.
    newest: Option<Identity>,
    has_newest: bool,
    /// The lowest known record that was met on the way to the place, standing alone: where it stood.
    lone: Option<u64>,
    /// The lowest offset of a window on the way up, and how many windows since came no lower.
    highest: u64,
    outrun: u32,
    end: Option<End>,
    tally: Tally,
}

#[derive(Debug)]
enum Stage {
    /// The first known record is looked for from the head; nothing is given.
    Locate(Box<Walk>),
    /// The first known record was last seen here.
    Climb(u64),
    /// It stands further down than it was seen; so many windows were looked at.
    Below(u64, u32),
    /// Nothing but a lone known record was found: it's at this offset.
    Lone(u64),
}

impl Climb {
    /// To the head from the records that a cursor knows there, the first one first.
    pub(super) fn new(mut plan: Plan, head: &[u64]) -> Self {
        plan.widen();
        Self {
            known: head.iter().copied().collect(),
            given: Known::new(plan.remembered),
            stage: Stage::locate(&plan),
            plan,
            passed: 0,
            largest: 0,
            size: 0,
            empty: 0,
            drift: Drift::default(),
            newest: None,
            has_newest: false,
            lone: None,
            highest: u64::MAX,
            outrun: 0,
            end: None,
            tally: Tally::default(),
        }
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(super) fn end(&self) -> Option<End> {
        self.end
    }

    pub(super) fn stop(&mut self, end: End) {
        self.end.get_or_insert(end);
    }

    pub(super) fn gives_many(&self) -> bool {
        self.largest > 1
    }

    pub(super) fn alike(&self, id: &Identity) -> Option<&Identity> {
        self.given.alike(id)
    }

    pub(super) fn window(&self) -> Option<Window> {
        let limit = self.plan.limit;
        match (&self.end, &self.stage) {
            (Some(_), _) => None,
            (None, Stage::Locate(walk)) => walk.window(),
            (None, Stage::Climb(place)) => {
                let size = if self.size == 0 { u64::from(limit) } else { u64::from(limit).min(self.size as u64) };
                // Some way below the known record: what comes to the head meanwhile pushes it down.
                let below = if size < 2 { 0 } else { (size / 4).max(1) };
                let place = place.saturating_add_signed(self.drift.predicted());
                Some(Window { offset: place.saturating_add(below).saturating_sub(size), limit })
            }
            (None, Stage::Below(offset, _) | Stage::Lone(offset)) => Some(Window { offset: *offset, limit }),
        }
    }

    /// Takes the answer to [`window`](Self::window). What is to be given is to be given from the last to the first.
    pub(super) fn observe(&mut self, answer: &[Identity], total: Option<u64>) -> Vec<Give> {
        let mut give = vec![Give::No; answer.len()];
        let Some(window) = self.window() else { return give };
        self.tally.came();
        self.tally.note_total(self.plan.total, total, answer.len());
        self.drift.note_request();
        if self.newest.is_none() {
            self.newest = answer.first().cloned();
        }
        self.largest = self.largest.max(answer.len());
        self.size = self.size.max(answer.len());
        let first_known = self.first_known(answer);
        match (&mut self.stage, first_known) {
            (_, Some(first)) => self.climb(window.offset, answer, first, &mut give),
            (Stage::Locate(walk), None) => {
                let _ = walk.observe(answer, total);
                // What isn't known has to be passed on the way to the place; once, however often that is looked for.
                if walk.tally().seen > self.passed {
                    self.passed = walk.tally().seen;
                    self.tally.found();
                }
                let (end, passed) = (walk.end(), walk.tally().seen);
                self.note_lone(window.offset, answer);
                self.end_locating(end, passed, window.offset, answer, &mut give);
            }
            (Stage::Climb(_) | Stage::Below(..), None) if self.largest < 2 && !answer.is_empty() => {
                // Single records can't overlap: it's taken for the next.
                self.climb(window.offset, answer, answer.len(), &mut give);
            }
            (Stage::Climb(_) | Stage::Below(..) | Stage::Lone(_), None) => self.lose_place(window.offset, answer),
        }
        let given = give.iter().filter(|it| **it != Give::No).count() as u64;
        self.tally.gave(given);
        if self.tally.is_over(self.plan.budget) {
            self.stop(End::Lost);
        }
        give
    }

    /// Keeps where the lowest known record stands that was met alone on the way to the place.
    fn note_lone(&mut self, offset: u64, answer: &[Identity]) {
        if let Some(index) = answer.iter().rposition(|id| self.known.contains(&id.fingerprint())) {
            self.lone = Some(offset.saturating_add(index as u64));
        }
    }

    /// The end of the listing, and no place found on the way there.
    fn end_locating(&mut self, end: Option<End>, passed: u64, offset: u64, answer: &[Identity], give: &mut [Give]) {
        match end {
            None => {}
            // An empty listing before: all of it is new, from its end on.
            Some(End::Proved | End::Unproved | End::Grew) if self.known.is_empty() => match answer.len() {
                0 if passed == 0 => self.stop(End::Proved),
                // Single records end where nothing is behind them.
                length => self.climb(offset, answer, length, give),
            },
            // The lowest of those that stand alone: all that isn't known above it is given, and none of it skipped.
            Some(End::Proved | End::Unproved | End::Grew) if self.lone.is_some() => {
                self.stage = Stage::Lone(self.lone.take().unwrap_or_default());
            }
            Some(_) => self.stop(End::Lost),
        }
    }

    /// Nothing in an answer is known on the way up.
    fn lose_place(&mut self, offset: u64, answer: &[Identity]) {
        self.empty += 1;
        // An empty answer may be a hiccup.
        if answer.is_empty() && self.empty < 2 {
            return;
        }
        self.empty = 0;
        self.tally.lost_places += 1;
        self.tally.shifted = true;
        self.drift.was_wrong();
        let looked = if let Stage::Below(_, looked) = self.stage { looked } else { 0 };
        // What came to the head pushed it down, as a rule: what stands here is newer.
        self.stage = if answer.len() > 1 && looked < BELOW && !matches!(self.stage, Stage::Lone(_)) {
            Stage::Below(offset.saturating_add(answer.len() as u64 - 1), looked + 1)
        } else {
            // The server may give less than it did, so that the window ended above the place.
            self.size = answer.len();
            Stage::locate(&self.plan)
        };
    }

    /// What stands before the first known record comes next.
    fn climb(&mut self, offset: u64, answer: &[Identity], first: usize, give: &mut [Give]) {
        self.empty = 0;
        if let Stage::Climb(place) = self.stage {
            let now = offset.saturating_add(first as u64);
            self.drift.note_shift(now.cast_signed().wrapping_sub(place.cast_signed()));
            self.tally.shifted |= now != place;
        }
        // What was put between records that this walk gave is new as well. Below them it may be old.
        let ours = answer.iter().rposition(|id| self.given.contains(id)).unwrap_or(0);
        let mut next = 0;
        for (index, id) in answer.iter().enumerate().rev() {
            if self.knows(id) {
                self.tally.repeats += 1;
            } else if index < first || index < ours {
                let is_next = index < first;
                give[index] = if is_next { Give::Next(offset.saturating_add(index as u64)) } else { Give::Late };
                next += u64::from(is_next);
                self.tally.inserted += u64::from(!is_next);
                self.given.add(id.clone());
            }
            self.has_newest |= self.newest.as_ref() == Some(id);
        }
        self.stage = Stage::Climb(offset);
        self.drift.predict(next == 0, self.size as u64);
        if offset == 0 {
            self.end = Some(if self.largest < 2 && answer.len() < 2 && self.plan.limit > 1 {
                End::Unproved
            } else {
                End::Proved
            });
            return;
        }
        // A log may grow faster than it's climbed. What stood there when it began is all that is promised.
        self.outrun = if offset < self.highest { 0 } else { self.outrun + 1 };
        self.highest = self.highest.min(offset);
        if self.outrun >= if self.has_newest { OUTRUN } else { LONG_OUTRUN } {
            self.stop(End::Grew);
        }
    }

    /// Where known ground begins: at a known record with another behind it. One that stands alone may have moved there,
    /// where records move.
    fn first_known(&self, answer: &[Identity]) -> Option<usize> {
        let known: Vec<_> = answer.iter().map(|id| self.knows(id)).collect();
        let alone = known.iter().position(|it| *it);
        if self.plan.order == Order::Fixed || matches!(self.stage, Stage::Lone(_)) {
            return alone;
        }
        let pair = known.windows(2).position(|two| two[0] && two[1]);
        let last = answer.len().checked_sub(1)?;
        pair.or_else(|| match self.stage {
            // What is behind the last isn't seen; on the way up it was, and in a listing of one there's nothing.
            Stage::Climb(_) | Stage::Below(..) => known[last].then_some(last),
            Stage::Locate(_) | Stage::Lone(_) => (known[last] && (last == 0 || self.known.len() == 1)).then_some(last),
        })
        .or_else(|| alone.filter(|_| self.known.len() == 1 && self.given.is_empty()))
    }

    fn knows(&self, id: &Identity) -> bool {
        self.given.contains(id) || self.known.contains(&id.fingerprint())
    }
}

impl Stage {
    fn locate(plan: &Plan) -> Self {
        // By the rules of the way down, so that the place isn't passed unseen.
        let rules = Rules { read_head: false, ..plan.rules };
        Self::Locate(Box::new(Walk::new(Plan { start: 0, rules, ..plan.clone() })))
    }
}

/// Either way through a listing.
#[derive(Debug)]
pub(super) enum Route {
    Down(Box<Walk>),
    Up(Box<Climb>),
}

macro_rules! either {
    ($route:expr, $way:ident => $call:expr) => {
        match $route {
            Self::Down($way) => $call,
            Self::Up($way) => $call,
        }
    };
}

impl Route {
    /// What comes behind the next window, likely. On the way up nobody can tell.
    pub(super) fn forecast(&self) -> Option<Forecast> {
        match self {
            Self::Down(walk) => walk.forecast(),
            Self::Up(_) => None,
        }
    }

    /// Whether what was known is looked for from the head anew.
    pub(super) fn is_anew(&self) -> bool {
        matches!(self, Self::Down(walk) if walk.is_anew())
    }

    pub(super) fn comes_early(&mut self, early: bool) {
        if let Self::Down(walk) = self {
            walk.comes_early(early);
        }
    }

    pub(super) fn window(&self) -> Option<Window> {
        either!(self, way => way.window())
    }

    pub(super) fn observe(&mut self, answer: &[Identity], total: Option<u64>) -> Vec<Give> {
        either!(self, way => way.observe(answer, total))
    }

    pub(super) fn end(&self) -> Option<End> {
        either!(self, way => way.end())
    }

    pub(super) fn stop(&mut self, end: End) {
        either!(self, way => way.stop(end));
    }

    pub(super) fn tally(&self) -> &Tally {
        either!(self, way => way.tally())
    }

    pub(super) fn alike(&self, id: &Identity) -> Option<&Identity> {
        either!(self, way => way.alike(id))
    }

    /// Whether records were read one at a time, without an overlap.
    pub(super) fn strode(&self) -> bool {
        matches!(self, Self::Down(walk) if walk.strode())
    }

    /// A record was recognised by its text alone.
    pub(super) fn guessed(&mut self) {
        if let Self::Down(walk) = self {
            walk.guessed();
        }
    }

    /// Whether the server has shown that it gives more than one record at once.
    pub(super) fn gives_many(&self) -> bool {
        either!(self, way => way.gives_many())
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self, Self::Up(_))
    }

    /// Whether the head is being read again, at the end of the way down.
    pub(super) fn is_on_head(&self) -> bool {
        matches!(self, Self::Down(walk) if walk.is_on_head())
    }
}
