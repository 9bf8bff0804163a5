//! The walk upwards: from an already seen record towards the head, the oldest record first. Does no I/O.
//!
//! It mirrors the rules of the walk down: windows reach below the first seen record, what stands before the first
//! seen record of a page comes next, and a seen record first at offset 0 proves the end. A record is *seen* if the
//! cursor holds it or this walk delivered it. If a page holds no seen record, the position is looked for from the
//! head, because this walk hasn't delivered what lies below the seen records.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use crate::page::fetch::prefetch::PrefetchHint;
use crate::page::summary::{Counters, End};
use crate::page::walk::drift::Drift;
use crate::page::walk::plan::{Plan, Rules};
use crate::page::walk::recent::RecentKeys;
use crate::page::walk::{Delivery, Walk};
use crate::page::{RecordKey, Stability, Window};

/// How many windows below the position are looked at before it is looked for from the head again.
const BELOW: u32 = 32;

/// How many windows in a row may come no closer to the head before the walk ends behind the record that was newest at
/// its start.
const OUTRUN: u32 = 8;

/// The same limit for windows without a new record, if that record hasn't been seen again.
const LONG_OUTRUN: u32 = 64;

/// A walk from the records that a cursor holds to the head of their listing.
#[derive(Debug)]
pub(crate) struct TowardHead {
    plan: Plan,
    /// The fingerprints of the cursor's head, and the records that this walk delivered.
    cursor_head: HashSet<u64>,
    delivered: RecentKeys,
    stage: Stage,
    /// The most records that were passed while looking for the position.
    passed: u64,
    /// The most records in a page so far.
    largest: usize,
    /// The page size to expect from the server; 0 while it is unknown.
    size: usize,
    empty: u32,
    drift: Drift,
    /// Where the first seen record stood last, while it is searched for below that.
    left: Option<u64>,
    /// The first record that was seen: the newest one at the start.
    newest: Option<RecordKey>,
    has_newest: bool,
    /// The offset of the lowest seen record that stood alone while the position was looked for.
    lone: Option<u64>,
    /// The walk started at that one.
    is_from_lone: bool,
    /// The lowest offset of a window on the way up, and how many windows since then came no lower.
    highest: u64,
    outrun: u32,
    end: Option<End>,
    counters: Counters,
}

#[derive(Debug)]
enum Stage {
    /// Looks for the first seen record from the head on; delivers nothing.
    Locate(Box<Walk>),
    /// The first seen record was last seen at this offset.
    Up(u64),
    /// The first seen record stands further down than before: the next offset, and how many windows were requested.
    Below(u64, u32),
    /// Only a seen record that stands alone was found, at this offset.
    Lone(u64),
}

impl TowardHead {
    /// Starts from the fingerprints of the records that a cursor holds of the head, the first one first.
    pub(crate) fn new(mut plan: Plan, head: &[u64]) -> Self {
        plan.widen();
        Self {
            cursor_head: head.iter().copied().collect(),
            delivered: RecentKeys::new(plan.remembered),
            stage: Stage::locate(&plan),
            plan,
            passed: 0,
            largest: 0,
            size: 0,
            empty: 0,
            drift: Drift::default(),
            left: None,
            newest: None,
            has_newest: false,
            lone: None,
            is_from_lone: false,
            highest: u64::MAX,
            outrun: 0,
            end: None,
            counters: Counters::default(),
        }
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn end(&self) -> Option<End> {
        self.end
    }

    fn stop(&mut self, end: End) {
        self.end.get_or_insert(end);
    }

    fn returns_many(&self) -> bool {
        self.largest > 1
    }

    fn alike(&self, id: &RecordKey) -> Option<&RecordKey> {
        self.delivered.alike(id)
    }

    pub(crate) fn window(&self) -> Option<Window> {
        let limit = self.plan.limit;
        match (&self.end, &self.stage) {
            (Some(_), _) => None,
            (None, Stage::Locate(walk)) => walk.window(),
            (None, Stage::Up(position)) => {
                let size = if self.size == 0 { u64::from(limit) } else { u64::from(limit).min(self.size as u64) };
                // Reach some records below the first seen one: records added at the head meanwhile push it down.
                let below = if size < 2 { 0 } else { (size / 4).max(1) };
                let position = position.saturating_add_signed(self.drift.predicted());
                Some(Window { offset: position.saturating_add(below).saturating_sub(size), limit })
            }
            (None, Stage::Below(offset, _) | Stage::Lone(offset)) => Some(Window { offset: *offset, limit }),
        }
    }

    /// Takes the response to [`window`](Self::window). The records are to be delivered from the last to the first.
    pub(crate) fn observe(&mut self, page: &[RecordKey], total: Option<u64>) -> Vec<Delivery> {
        let mut deliveries = vec![Delivery::Skip; page.len()];
        let Some(window) = self.window() else { return deliveries };
        self.counters.note_response();
        self.counters.note_total(self.plan.total, total, page.len());
        self.drift.note_request();
        if self.newest.is_none() {
            self.newest = page.first().cloned();
        }
        self.largest = self.largest.max(page.len());
        self.size = self.size.max(page.len());
        let first_seen = self.first_seen(page);
        match (&mut self.stage, first_seen) {
            (_, Some(first)) => self.deliver_before(window.offset, page, first, &mut deliveries),
            (Stage::Locate(walk), None) => {
                let _ = walk.observe(page, total);
                // Passing unknown records on the way to the position is productive, but only once, however often it is
                // looked for.
                if walk.counters().seen > self.passed {
                    self.passed = walk.counters().seen;
                    self.counters.note_productive();
                }
                let (end, passed) = (walk.end(), walk.counters().seen);
                self.note_lone(window.offset, page);
                self.end_locating(end, passed, window.offset, page, &mut deliveries);
            }
            (Stage::Up(_) | Stage::Below(..), None) if self.largest < 2 && !page.is_empty() => {
                // Single records can't overlap: this one is taken for the next.
                self.deliver_before(window.offset, page, page.len(), &mut deliveries);
            }
            (Stage::Up(_) | Stage::Below(..) | Stage::Lone(_), None) => self.lose_position(window.offset, page),
        }
        let delivered = deliveries.iter().filter(|it| **it != Delivery::Skip).count() as u64;
        self.counters.note_delivered(delivered);
        if self.counters.is_over(self.plan.max_unproductive_requests) {
            self.stop(End::Lost);
        }
        deliveries
    }

    /// Notes the offset of the lowest seen record that stood alone while the position was looked for.
    fn note_lone(&mut self, offset: u64, page: &[RecordKey]) {
        if let Some(index) = page.iter().rposition(|id| self.cursor_head.contains(&id.fingerprint())) {
            self.lone = Some(offset.saturating_add(index as u64));
        }
    }

    /// Takes the end of the listing, where the position wasn't found before it.
    fn end_locating(
        &mut self,
        end: Option<End>,
        passed: u64,
        offset: u64,
        page: &[RecordKey],
        deliveries: &mut [Delivery],
    ) {
        match end {
            None => {}
            // The listing was empty before: all records are new, from the end on.
            Some(End::Proved | End::Unproved | End::Grew) if self.cursor_head.is_empty() => match page.len() {
                0 if passed == 0 => self.stop(End::Proved),
                // Single records end where nothing is behind them.
                length => self.deliver_before(offset, page, length, deliveries),
            },
            // Start at the lowest record that stands alone: every unknown record above it is delivered, and none is
            // skipped.
            Some(End::Proved | End::Unproved | End::Grew) if self.lone.is_some() => {
                self.stage = Stage::Lone(self.lone.take().unwrap_or_default());
                self.is_from_lone = true;
            }
            Some(_) => self.stop(End::Lost),
        }
    }

    /// Takes a page without a seen record on the way up.
    fn lose_position(&mut self, offset: u64, page: &[RecordKey]) {
        self.empty += 1;
        // An empty page may be a hiccup.
        if page.is_empty() && self.empty < 2 {
            return;
        }
        self.empty = 0;
        self.counters.lost_positions += 1;
        self.counters.shifted = true;
        if self.drift.predicted() != 0 {
            self.drift.was_wrong();
        }
        if let Stage::Up(position) = self.stage {
            self.left = Some(position);
        }
        let looked = if let Stage::Below(_, looked) = self.stage { looked } else { 0 };
        // The server may return less than before, so that the window ended above the position.
        self.size = page.len();
        // Most likely records added at the head pushed the position down, and what stands here is newer.
        self.stage = if page.len() > 1 && looked < BELOW && !matches!(self.stage, Stage::Lone(_)) {
            Stage::Below(offset.saturating_add(page.len() as u64 - 1), looked + 1)
        } else {
            Stage::locate(&self.plan)
        };
    }

    /// Delivers what stands before the first seen record.
    fn deliver_before(&mut self, offset: u64, page: &[RecordKey], first: usize, deliveries: &mut [Delivery]) {
        self.empty = 0;
        // Where it stood before the position was lost counts, too, or the shift that loses it would never be seen.
        let before = match self.stage {
            Stage::Up(position) => Some(position),
            Stage::Below(..) => self.left,
            _ => None,
        };
        self.left = None;
        if let Some(position) = before {
            let now = offset.saturating_add(first as u64);
            self.drift.note_shift(now.cast_signed().wrapping_sub(position.cast_signed()));
            self.counters.shifted |= now != position;
        }
        // Records inserted between those that this walk delivered are new as well. Records below them may be old.
        let ours = page.iter().rposition(|id| self.delivered.contains(id)).unwrap_or(0);
        let mut next = 0;
        for (index, id) in page.iter().enumerate().rev() {
            if self.has_seen(id) {
                self.counters.repeats += 1;
            } else if index < first || index < ours {
                let is_next = index < first;
                deliveries[index] =
                    if is_next { Delivery::Next(offset.saturating_add(index as u64)) } else { Delivery::Late };
                next += u64::from(is_next);
                self.counters.inserted += u64::from(!is_next);
                self.delivered.add(id.clone());
            }
            self.has_newest |= self.newest.as_ref() == Some(id);
        }
        self.stage = Stage::Up(offset);
        self.drift.predict(next == 0 || before.is_some_and(|it| it < offset), self.size as u64);
        self.note_progress(offset, page, next > 0);
    }

    /// Ends the walk at the head, or if the log grows faster than the walk approaches its head.
    fn note_progress(&mut self, offset: u64, page: &[RecordKey], is_productive: bool) {
        if offset == 0 {
            self.end = Some(if self.largest < 2 && page.len() < 2 && self.plan.limit > 1 {
                End::Unproved
            } else {
                End::Proved
            });
            return;
        }
        // Only the records that stood there at the start are promised.
        // Until they are delivered, each new record brings the walk closer to the newest of them.
        let is_closer = offset < self.highest || (is_productive && !self.has_newest);
        self.outrun = if is_closer { 0 } else { self.outrun + 1 };
        self.highest = self.highest.min(offset);
        if self.outrun >= if self.has_newest { OUTRUN } else { LONG_OUTRUN } {
            // Without the record that was the newest at first, not all that stood there then was delivered.
            self.stop(if self.has_newest { End::Grew } else { End::Lost });
        }
    }

    /// Returns where the seen records begin: at one with another seen record behind it. Where records may move, one
    /// that stands alone may have moved there.
    fn first_seen(&self, page: &[RecordKey]) -> Option<usize> {
        let seen: Vec<_> = page.iter().map(|id| self.has_seen(id)).collect();
        let alone = seen.iter().position(|it| *it);
        if self.plan.order == Stability::Stable || matches!(self.stage, Stage::Lone(_)) {
            return alone;
        }
        let pair = seen.windows(2).position(|two| two[0] && two[1]);
        let last = page.len().checked_sub(1)?;
        pair.or_else(|| match self.stage {
            // The record behind the last one isn't in this page. On the way up it was seen before, and in a listing of
            // one there is none.
            Stage::Up(_) | Stage::Below(..) => seen[last].then_some(last),
            Stage::Locate(_) | Stage::Lone(_) => {
                (seen[last] && (last == 0 || self.cursor_head.len() == 1)).then_some(last)
            }
        })
        .or_else(|| {
            let is_up = matches!(self.stage, Stage::Up(_) | Stage::Below(..));
            // Until a record above it is delivered, that one still stands alone.
            let lone = if is_up && self.is_from_lone { seen.iter().rposition(|it| *it) } else { None };
            lone.or(alone.filter(|_| self.cursor_head.len() == 1)).filter(|_| self.delivered.is_empty())
        })
    }

    fn has_seen(&self, id: &RecordKey) -> bool {
        self.delivered.contains(id) || self.cursor_head.contains(&id.fingerprint())
    }
}

impl Stage {
    fn locate(plan: &Plan) -> Self {
        // The rules of the walk down make sure that the position isn't passed unseen.
        let rules = Rules { read_head: false, ..plan.rules };
        Self::Locate(Box::new(Walk::new(Plan { start: 0, rules, ..plan.clone() })))
    }
}

/// A walk in either direction.
#[derive(Debug)]
pub(in crate::page) enum Direction {
    Down(Box<Walk>),
    Up(Box<TowardHead>),
}

macro_rules! either {
    ($direction:expr, $way:ident => $call:expr) => {
        match $direction {
            Self::Down($way) => $call,
            Self::Up($way) => $call,
        }
    };
}

impl Direction {
    /// Predicts the windows behind the next one. The walk up can't predict them.
    pub(in crate::page) fn prefetch_hint(&self) -> Option<PrefetchHint> {
        match self {
            Self::Down(walk) => walk.prefetch_hint(),
            Self::Up(_) => None,
        }
    }

    /// Returns whether the scan restarted at the head and still looks for a record that it has already seen.
    pub(in crate::page) fn has_restarted(&self) -> bool {
        matches!(self, Self::Down(walk) if walk.has_restarted())
    }

    pub(in crate::page) fn note_prefetched(&mut self, early: bool) {
        if let Self::Down(walk) = self {
            walk.note_prefetched(early);
        }
    }

    pub(in crate::page) fn window(&self) -> Option<Window> {
        either!(self, way => way.window())
    }

    pub(in crate::page) fn observe(&mut self, page: &[RecordKey], total: Option<u64>) -> Vec<Delivery> {
        either!(self, way => way.observe(page, total))
    }

    pub(in crate::page) fn end(&self) -> Option<End> {
        either!(self, way => way.end())
    }

    pub(in crate::page) fn stop(&mut self, end: End) {
        either!(self, way => way.stop(end));
    }

    pub(in crate::page) fn counters(&self) -> &Counters {
        either!(self, way => way.counters())
    }

    pub(in crate::page) fn alike(&self, id: &RecordKey) -> Option<&RecordKey> {
        either!(self, way => way.alike(id))
    }

    /// Returns whether records were read one at a time, without an overlap.
    pub(in crate::page) fn unoverlapped(&self) -> bool {
        matches!(self, Self::Down(walk) if walk.unoverlapped())
    }

    /// Notes that a record was recognized by its raw JSON alone.
    pub(in crate::page) fn note_alike(&mut self) {
        if let Self::Down(walk) = self {
            walk.note_alike();
        }
    }

    /// Returns whether the server has shown that it returns more than one record at once.
    pub(in crate::page) fn returns_many(&self) -> bool {
        either!(self, way => way.returns_many())
    }

    pub(in crate::page) fn is_up(&self) -> bool {
        matches!(self, Self::Up(_))
    }

    /// Returns whether the head is being read again, at the end of the walk down.
    pub(in crate::page) fn is_on_head(&self) -> bool {
        matches!(self, Self::Down(walk) if walk.is_on_head())
    }
}
