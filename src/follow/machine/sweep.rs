//! Reads the lookback again: what has changed, what came late, and what is gone. Does no I/O.
//!
//! A record is *gone* if a page shows both of its neighbours and not the record, in two sweeps in a row, and no page
//! between showed it elsewhere. The first record of the listing and the last one are neighbours of nothing.

use crate::follow::batch::GapReason;
use crate::follow::machine::place::Placed;
use crate::follow::machine::table::Table;
use crate::follow::machine::{Found, Kind, Machine, Side, Sighting, Task, keys};
use crate::page::walk::plan::Plan;
use crate::page::walk::toward_head::TowardHead;
use crate::page::walk::{Delivery, Walk};
use crate::page::{Stability, Window};

/// In so many sweeps a record has to be missing to be reported.
const TWICE: u8 = 2;

/// How many sweeps in a row must find a final record unchanged before it isn't read any more.
const QUIET: u8 = 2;

/// How often in a row the lookback is read again where late records were found that no page showed together with a
/// known one.
const AGAIN: u32 = 64;

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
    /// The last records are unknown, and it isn't known whether they are late or old ground.
    is_open: bool,
    /// The last page ended with a known record.
    ends_known: bool,
    /// Unknown records were found above a known one, in a page that doesn't show it.
    again: bool,
    /// How often it was begun again. Only the first time counts for what is missing.
    round: u32,
    /// Up to which offset the listing was read.
    deepest: u64,
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
        self.task = Some(Task::Sweep(Box::new(self.sweep(whole, 0))));
    }

    fn sweep(&self, whole: bool, round: u32) -> Sweep {
        // While both ends are followed, in turn.
        let side = self.side().unwrap_or(if self.sweeps % 2 == 1 { Side::Head } else { Side::End });
        let start = match (side, &self.state.place) {
            (Side::End, Some(place)) => (place.offset + 1).saturating_sub(self.settings.remembered() as u64),
            _ => 0,
        };
        let remembered = self.settings.remembered();
        let plan = Plan { start, remembered, ..self.settings.plan.clone() };
        Sweep {
            walk: Walk::new(plan),
            side,
            whole,
            is_first_page: true,
            is_open: false,
            ends_known: false,
            again: false,
            round,
            deepest: 0,
        }
    }

    pub(super) fn observe_sweep(&mut self, mut sweep: Box<Sweep>, page: &[Sighting], total: Option<u64>) -> Vec<Found> {
        let offset = sweep.window().map_or(0, |it| it.offset);
        let is_first = std::mem::take(&mut sweep.is_first_page);
        if is_first && self.side() == Some(Side::Head) {
            if page.is_empty() {
                self.task = Some(Task::Poll(1));
                return Vec::new();
            }
            // The page at the head is that of a poll, too.
            let found = self.look(page, total);
            if self.task.is_some() || self.state.phase != crate::follow::machine::Phase::Steady {
                // First of all what is new.
                self.wants_sweep = true;
                return found;
            }
            let _ = sweep.walk.observe(&keys(page), total);
            self.go_down(sweep, offset, page, &Placed { any_known: true, ..Placed::default() });
            return found;
        }
        let deliveries = sweep.walk.observe(&keys(page), total);
        // Towards the end, what follows a known record in the walk is new or late, wherever that record has moved from.
        let is_known = sweep.side == Side::End && sweep.ends_known;
        let forced: Vec<_> = deliveries.iter().map(|it| is_known && matches!(it, Delivery::Next(_))).collect();
        let placed = self.place(sweep.side, page, &forced, false);
        if sweep.side == Side::End && sweep.ends_known && !placed.unresolved.is_empty() {
            // The walk lost its position, and has passed these: a poll reads them.
            self.finish(true);
            return placed.found;
        }
        sweep.ends_known |= placed.any_known && placed.unresolved.iter().all(|it| it + 1 < page.len());
        if let (Side::End, Some(last)) = (sweep.side, page.last())
            && self.state.end.as_ref().and_then(|it| it.index(&last.key)) == Some(0)
        {
            // What came meanwhile is delivered: a poll goes on behind it.
            self.state.end_at(&last.key, offset.saturating_add(page.len() as u64 - 1));
        }
        if self.side().is_none() && placed.any_known && placed.found.iter().any(|it| it.kind == Kind::New) {
            self.decide(sweep.side);
        }
        self.go_down(sweep, offset, page, &placed);
        placed.found
    }

    /// Decides whether the sweep goes on.
    fn go_down(&mut self, mut sweep: Box<Sweep>, offset: u64, page: &[Sighting], placed: &Placed) {
        let side = sweep.side;
        sweep.deepest = sweep.deepest.max(offset.saturating_add(page.len() as u64));
        let is_end = sweep.walk.end().is_some();
        self.note_absent(side, page, offset == 0, is_end);
        sweep.again |= sweep.is_open && placed.any_known && side == Side::Head;
        let is_bottom = placed.lowest.as_ref().is_some_and(|(_, key)| self.is_bottom(side, &key.clone()));
        sweep.is_open = match () {
            () if placed.unresolved.is_empty() => sweep.is_open && !placed.any_known,
            () if placed.is_replaced() => return self.lose_anchors(GapReason::AnchorsGone),
            () if is_bottom && placed.ends_unknown(side) => {
                // While both ends are followed, what stands there may be new.
                if self.side().is_some() {
                    self.learn(side, page, placed);
                }
                false
            }
            () => side == Side::Head,
        };
        let depth = self.settings.remembered() as u64;
        let is_deep = side == Side::Head && sweep.deepest >= depth;
        let two_pages = 2 * u64::from(self.settings.plan.limit);
        let is_enough = if sweep.is_open { sweep.deepest >= depth + two_pages } else { is_deep };
        if is_end || is_enough || (side == Side::Head && !sweep.whole && !sweep.is_open && self.is_settled(page)) {
            self.end_sweep(&sweep);
        } else {
            self.task = Some(Task::Sweep(sweep));
        }
    }

    fn end_sweep(&mut self, sweep: &Sweep) {
        let number = self.sweeps;
        let is_lost = sweep.is_open && !sweep.again && sweep.side == Side::Head;
        let last_seen =
            self.state.head.as_ref().filter(|_| is_lost).and_then(|it| it.rposition(|it| it.seen == number));
        if sweep.round == 0 {
            let tables = [&mut self.state.head, &mut self.state.end];
            for entry in tables.into_iter().flatten().flat_map(Table::iter_mut) {
                if entry.seen == number {
                    entry.quiet = if entry.missing == 0 { entry.quiet.saturating_add(1) } else { 0 };
                } else if entry.absent == number {
                    entry.missing = entry.missing.saturating_add(1);
                    if entry.missing >= TWICE {
                        self.removed.push_back(entry.key.clone());
                    }
                }
            }
        }
        if let Some(last) = last_seen {
            // A long row of late records, or old ground where the oldest remembered records are gone: those that
            // weren't seen show where known ground begins, if they are there.
            self.look_below(last, number);
        } else if sweep.again && sweep.round < AGAIN {
            self.task = Some(Task::Sweep(Box::new(self.sweep(true, sweep.round + 1))));
        } else {
            self.finish(false);
        }
    }

    /// Looks for the remembered records that a sweep didn't come to, and reads what stands above them.
    fn look_below(&mut self, last: usize, number: u64) {
        let table = self.state.head.iter().flat_map(Table::iter);
        let unseen: Vec<_> = table.filter(|it| it.seen != number).map(|it| it.key.fingerprint()).collect();
        let known = self.state.head.as_ref().and_then(|it| it.get(last)).map(|it| it.key.clone());
        if unseen.is_empty() {
            return self.finish(false);
        }
        let walk = TowardHead::new(self.settings.plan.clone(), &unseen);
        self.task = Some(Task::CatchUp(Box::new(walk), known));
    }

    /// Notes which remembered records a page doesn't show although it shows what stood around them.
    fn note_absent(&mut self, side: Side, page: &[Sighting], is_at_0: bool, is_at_end: bool) {
        if self.is_partial {
            return;
        }
        let number = self.sweeps;
        let is_stable = self.settings.plan.order == Stability::Stable;
        let (is_top, is_bottom) = match side {
            Side::Head => (is_at_0, is_at_end),
            Side::End => (is_at_end, is_at_0),
        };
        let Some(table) = self.state.table(side) else { return };
        let known = |it: &Sighting| table.index(&it.key);
        let mut shown: Vec<_> = page.iter().filter_map(known).collect();
        // What stands behind an unknown record isn't seen.
        let ends_known = |it: Option<&Sighting>| it.is_some_and(|it| table.contains(&it.key));
        let oldest = if side == Side::Head { page.last() } else { page.first() };
        let is_bottom = is_bottom && ends_known(oldest);
        if side == Side::End {
            shown.reverse();
        }
        let (Some(first), Some(last)) = (shown.first().copied(), shown.last().copied()) else { return };
        if !is_stable {
            // A record that has moved is no neighbour. In the middle of a page, it would be out of order.
            if !shown.is_sorted() || shown.len() < FEW {
                return;
            }
            shown.pop();
            shown = shown.split_off(1.min(shown.len()));
        }
        let mut between: Vec<_> = shown.windows(2).map(|it| it[0] + 1..it[1]).collect();
        if is_top {
            between.push(0..first);
        }
        if is_bottom {
            between.push(last + 1..table.len());
        }
        for index in between.into_iter().flatten() {
            if let Some(entry) = table.get_mut(index).filter(|it| it.seen != number) {
                entry.absent = number;
            }
        }
    }

    /// Whether nothing below this page can change: every remembered record there is final, and several sweeps found it
    /// unchanged.
    fn is_settled(&mut self, page: &[Sighting]) -> bool {
        let Some(table) = self.state.head.as_ref() else { return false };
        let deepest = page.iter().filter_map(|it| table.index(&it.key)).max().unwrap_or_default();
        table.iter().skip(deepest + 1).all(|it| it.is_final == Some(true) && it.quiet >= QUIET)
    }
}
