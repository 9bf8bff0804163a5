//! The walk the other way: from a known record towards the head, the oldest first. Pure.
//!
//! The rules mirrored: windows reach below the first known record, what stands before the first known record of an answer
//! comes next, and a known record first at offset 0 is the end. Where nothing is known, the place is looked for from the
//! head, as what lies below the known records wasn't given by this walk.

use super::ahead::Forecast;
use super::known::Known;
use super::summary::{End, Tally};
use super::walk::{Give, Plan, Rules, Walk};
use super::{Identity, Window};

/// A walk from known records to the head of their listing.
#[derive(Debug)]
pub(super) struct Climb {
    plan: Plan,
    /// What was known before, and what was given since.
    known: Known,
    given: Known,
    stage: Stage,
    /// The most records that were passed on the way to the place.
    passed: u64,
    /// The largest answer so far.
    largest: usize,
    /// How much the server is taken to give at once; 0 if that isn't known.
    size: usize,
    empty: u32,
    end: Option<End>,
    tally: Tally,
}

#[derive(Debug)]
enum Stage {
    /// The first known record is looked for from the head; nothing is given.
    Locate(Box<Walk>),
    /// The first known record was last seen here.
    Climb(u64),
}

impl Climb {
    /// To the head from the records that a cursor knows there, the first one first.
    pub(super) fn new(plan: Plan, head: &[Identity]) -> Self {
        let mut known = Known::new(plan.remembered.max(head.len()));
        for id in head.iter().rev() {
            known.add(id.clone());
        }
        let given = Known::new(plan.remembered);
        let stage = Stage::locate(&plan);
        Self { plan, known, given, stage, passed: 0, largest: 0, size: 0, empty: 0, end: None, tally: Tally::default() }
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
        self.given.alike(id).or_else(|| self.known.alike(id))
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
                Some(Window { offset: (place + below).saturating_sub(size), limit })
            }
        }
    }

    /// Takes the answer to [`window`](Self::window). What is to be given is to be given from the last to the first.
    pub(super) fn observe(&mut self, answer: &[Identity], total: Option<u64>) -> Vec<Give> {
        let mut give = vec![Give::No; answer.len()];
        let Some(window) = self.window() else { return give };
        self.tally.requests += 1;
        self.tally.note_total(self.plan.total, total, answer.len());
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
                match walk.end() {
                    None => {}
                    // An empty listing before: all of it is new, from its end on.
                    Some(End::Proved | End::Unproved) if self.known.is_empty() => match answer.len() {
                        0 if walk.tally().seen == 0 => self.stop(End::Proved),
                        // Single records end where nothing is behind them.
                        length => self.climb(window.offset, answer, length, &mut give),
                    },
                    Some(_) => self.stop(End::Lost),
                }
            }
            (Stage::Climb(_), None) if self.largest < 2 && !answer.is_empty() => {
                // Single records can't overlap: it's taken for the next.
                self.climb(window.offset, answer, answer.len(), &mut give);
            }
            (Stage::Climb(_), None) => {
                self.empty += 1;
                // An empty answer may be a hiccup.
                if !answer.is_empty() || self.empty > 1 {
                    self.empty = 0;
                    // The server may give less than it did, so that the window ended above the place.
                    self.size = answer.len();
                    self.tally.lost_places += 1;
                    self.tally.shifted = true;
                    self.stage = Stage::locate(&self.plan);
                }
            }
        }
        let given = give.iter().filter(|it| **it != Give::No).count() as u64;
        self.tally.gave(given);
        if self.tally.is_over(self.plan.budget) {
            self.stop(End::Lost);
        }
        give
    }

    /// What stands before the first known record comes next.
    fn climb(&mut self, offset: u64, answer: &[Identity], first: usize, give: &mut [Give]) {
        self.empty = 0;
        // What was put between records that this walk gave is new as well. Below them it may be old.
        let ours = answer.iter().rposition(|id| self.given.contains(id)).unwrap_or(0);
        for (index, id) in answer.iter().enumerate().rev() {
            if self.knows(id) {
                self.tally.repeats += 1;
            } else if index < first || index < ours {
                let next = index < first;
                give[index] = if next { Give::Next(offset.saturating_add(index as u64)) } else { Give::Late };
                self.tally.inserted += u64::from(!next);
                self.given.add(id.clone());
            }
        }
        self.stage = Stage::Climb(offset);
        if offset == 0 {
            self.end = Some(if self.largest < 2 && answer.len() < 2 && self.plan.limit > 1 {
                End::Unproved
            } else {
                End::Proved
            });
        }
    }

    /// Where known ground begins: at a known record with another behind it. One that stands alone may have moved there.
    fn first_known(&self, answer: &[Identity]) -> Option<usize> {
        let known: Vec<_> = answer.iter().map(|id| self.knows(id)).collect();
        let pair = known.windows(2).position(|two| two[0] && two[1]);
        let last = answer.len().checked_sub(1)?;
        pair.or_else(|| match self.stage {
            // What is behind the last isn't seen; on the way up it was, and in a listing of one there's nothing.
            Stage::Climb(_) => known[last].then_some(last),
            Stage::Locate(_) => (known[last] && (last == 0 || self.known.is_single())).then_some(last),
        })
        .or_else(|| known.iter().position(|it| *it).filter(|_| self.known.is_single() && self.given.is_empty()))
    }

    fn knows(&self, id: &Identity) -> bool {
        self.known.contains(id) || self.given.contains(id)
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
