//! Looks at the growing end of a listing, and reads what came. Does no I/O.

use std::collections::HashSet;

use crate::follow::gap::GapReason;
use crate::follow::machine::compare::{Comparison, View};
use crate::follow::machine::order::newest_side;
use crate::follow::machine::state::ScanPosition;
use crate::follow::machine::table::{Entry, Table};
use crate::follow::machine::{CatchUp, Found, Kind, Machine, Phase, Side, Sighting, Tail, Task, keys};
use crate::page::RecordKey;
use crate::page::summary::End;
use crate::page::walk::toward_head::TowardHead;
use crate::page::walk::{Delivery, Walk};

/// Where a walk can start over without a gap: with fewer records than these, it can't tell a shift from a move.
const CHAIN: usize = 3;

/// In so many times the lookback, a walk looks for the remembered records that it isn't shown.
pub(super) const BELOW: u64 = 4;

impl Machine {
    /// `gap`: that of the round before.
    pub(super) fn begin_poll(&mut self, gap: Option<GapReason>) {
        match self.side() {
            // Where there was nothing at all, no position is looked for.
            Some(Side::End) if gap != Some(GapReason::Emptied) => self.begin_tail(Tail::default()),
            _ => self.task = Some(Task::Poll(0)),
        }
    }

    pub(super) fn observe_poll(&mut self, tries: u8, page: &[Sighting], total: Option<u64>) -> Vec<Found> {
        match page.len() {
            // It is empty at both ends, as it was.
            0 if self.state.is_blank() => self.finish(false),
            // An empty page may be a transient fault of the server.
            0 if tries == 0 => self.task = Some(Task::Poll(1)),
            0 => self.state.gap = Some(GapReason::Emptied),
            _ if self.side() == Some(Side::End) => self.begin_tail(Tail::default()),
            _ => return self.look(page, total),
        }
        Vec::new()
    }

    /// Takes the page at the head. Sets a task where it doesn't reach down to known ground.
    pub(super) fn look(&mut self, page: &[Sighting], total: Option<u64>) -> Vec<Found> {
        if self.side().is_none()
            && let Some(side) = newest_side(page)
        {
            self.decide(side);
            if side == Side::End {
                self.begin_tail(Tail::default());
                return Vec::new();
            }
        }
        let is_undecided = self.side().is_none();
        if is_undecided && self.state.is_blank() {
            // The first records of a listing that was empty: they are read in its order, as at the beginning.
            self.state.restart(&self.settings);
            self.is_behind = true;
            return Vec::new();
        }
        let mut seen = self.compare(View::new(Side::Head, page));
        if seen.is_replaced() {
            self.lose_anchors(GapReason::AnchorsGone);
            return seen.found;
        }
        if is_undecided && seen.found.iter().any(|it| it.kind == Kind::New) {
            self.decide(Side::Head);
        }
        if seen.unresolved.is_empty() || (self.side().is_none() && seen.ends_unknown(Side::Head)) {
            self.end_poll();
        } else if self.is_at_bottom(Side::Head, &seen) {
            seen.found.extend(self.learn(Side::Head, page, &seen.unresolved));
            self.end_poll();
        } else {
            return self.begin_catch_up(seen, page, total);
        }
        seen.found
    }

    /// While both ends are followed, the other one is next.
    fn end_poll(&mut self) {
        if self.side().is_none() { self.begin_tail(Tail::default()) } else { self.finish(false) }
    }

    /// Looks for the records that the page at the head doesn't show. Those that it shows may have moved there, or stand
    /// above a long row of late ones.
    fn begin_catch_up(&mut self, seen: Comparison, page: &[Sighting], total: Option<u64>) -> Vec<Found> {
        let shown: HashSet<_> = page.iter().map(|it| &it.key).collect();
        let table = self.state.head.iter().flat_map(Table::iter);
        let mut anchors: Vec<_> = table.filter(|it| !shown.contains(&it.key)).map(|it| it.key.fingerprint()).collect();
        let is_stable = self.is_stable();
        let certain = seen.lowest.clone().filter(|_| seen.ends_unknown(Side::Head));
        if anchors.is_empty() && certain.is_some() {
            self.finish(false);
            return seen.found;
        }
        if anchors.is_empty() {
            anchors.extend(self.state.head.iter().flat_map(Table::iter).map(|it| it.key.fingerprint()));
        }
        self.wants_sweep |= seen.any_known;
        let known = certain.filter(|_| is_stable).map(|(_, key)| key);
        let mut found = seen.found;
        found.extend(self.observe_catch_up(self.catch_up(&anchors, known), page, total));
        found
    }

    /// A walk to the head from the closest of these records.
    pub(super) fn catch_up(&self, anchors: &[u64], known: Option<RecordKey>) -> Box<CatchUp> {
        let walk = TowardHead::new(self.settings.plan.clone(), anchors);
        let table = self.state.head.iter().flat_map(Table::iter);
        Box::new(CatchUp { walk, known, remembered: table.map(|it| it.key.fingerprint()).collect() })
    }

    pub(super) fn observe_catch_up(
        &mut self,
        mut catch_up: Box<CatchUp>,
        page: &[Sighting],
        total: Option<u64>,
    ) -> Vec<Found> {
        let CatchUp { walk, known, remembered } = &mut *catch_up;
        let offset = walk.window().map_or(0, |it| it.offset);
        let deliveries = walk.observe(&keys(page), total);
        let is_forced = |(record, delivery): (&Sighting, &Delivery)| {
            *delivery != Delivery::Skip && !remembered.contains(&record.key.fingerprint())
        };
        let forced: Vec<_> = page.iter().zip(&deliveries).map(is_forced).collect();
        let seen = self.compare(View::new(Side::Head, page).forced(&forced).of_catch_up());
        let begins_new = offset == 0 && seen.found.iter().any(|it| it.index == 0 && it.kind != Kind::Updated);
        if begins_new || (self.is_stable() && seen.any_known && seen.has_new(|_| true)) {
            // What came stands above what was known: this end grows. (Below a known one, it may have come late. Where
            // records keep their order, any new one shows that; elsewhere, the first one of all.)
            self.decide(Side::Head);
        }
        let length = self.state.head.as_ref().map_or(0, Table::len) as u64;
        let is_far = self.is_stable() && offset > BELOW * length.max(self.settings.remembered() as u64);
        let (end, known) = (walk.end(), known.clone());
        let has_come = deliveries.iter().any(|it| *it != Delivery::Skip);
        match end {
            None if known.is_some() && is_far && !has_come => self.lose_position(known, false),
            None => self.task = Some(Task::CatchUp(catch_up)),
            Some(End::Lost | End::Emptied) => self.lose_position(known, page.is_empty() && offset == 0),
            Some(_) if self.side().is_none() => self.end_poll(),
            Some(end) => {
                self.forget_unseen(known);
                self.finish(matches!(end, End::Grew | End::GrewUnproved));
            }
        }
        seen.found
    }

    /// A sweep has looked for the remembered records below this one. Where records move, those that it neither saw nor
    /// missed are gone.
    fn forget_unseen(&mut self, known: Option<RecordKey>) {
        let (sweeps, is_stable) = (self.sweeps, self.is_stable());
        let Some(table) = self.state.head.as_mut().filter(|_| !is_stable) else { return };
        let Some(index) = known.and_then(|it| table.index(&it)) else { return };
        let is_left = |(at, it): &(usize, &Entry)| *at <= index || !it.is_out_of_sight(sweeps);
        let left: Vec<_> = table.iter().enumerate().filter(is_left).map(|(_, it)| it.clone()).collect();
        if left.len() < table.len() {
            *table = Table::of(left, self.settings.remembered());
            self.state.has_left = true;
        }
    }

    /// No anchor was found below the head.
    fn lose_position(&mut self, known: Option<RecordKey>, is_empty: bool) {
        let table = self.state.head.as_mut();
        match known.zip(table).and_then(|(key, table)| Some((table.index(&key)?, table))) {
            _ if is_empty => self.state.gap = Some(GapReason::Emptied),
            // The records below the one that the head shows are gone: what stands there now is old ground.
            Some((index, _)) => {
                self.give_up_below(Side::Head, index);
                self.finish(false);
            }
            None => self.lose_anchors(GapReason::AnchorsGone),
        }
    }

    pub(super) fn begin_tail(&mut self, tail: Tail) {
        let tail = Tail { is_again: self.state.before.is_some(), ..tail };
        let mut walk = self.state.walk(&self.settings);
        if let (true, Some(end), Some(position)) = (self.is_stable(), &self.state.end, &self.state.position) {
            // Where records keep their order, each of them shows the position.
            let since = end.iter().position(|it| position.is_at(Some(&it.key)));
            walk.remember_before(end.iter().skip(since.unwrap_or(end.len())).map(|it| it.key.fingerprint()));
        }
        self.task = Some(Task::Tail(Box::new(walk), tail));
    }

    pub(super) fn observe_tail(
        &mut self,
        mut walk: Box<Walk>,
        mut tail: Tail,
        page: &[Sighting],
        total: Option<u64>,
    ) -> Vec<Found> {
        let offset = walk.window().map_or(0, |it| it.offset);
        tail.goes_on = tail.offset.replace(offset).is_some_and(|before| offset >= before);
        if let Some(position) = &mut self.state.position {
            position.shift(page, offset);
        }
        let begins_again = walk.begins_again() && !page.is_empty();
        let deliveries = walk.observe(&keys(page), total);
        let is_news = offset == 0 && deliveries.first().is_some_and(|it| *it != Delivery::Skip);
        let is_unknown = |it: &Sighting| !self.state.head.iter().any(|head| head.contains(&it.key));
        if is_news && self.side().is_none() && page.first().is_some_and(is_unknown) {
            // The position is lost because records came at the head.
            return self.look(page, total);
        }
        if let Some(end) = self.state.end.as_mut().filter(|_| begins_again) {
            // It reads everything again, from the head. What was remembered still tells what has changed.
            if end.len() >= CHAIN {
                self.state.gap = Some(GapReason::AnchorsGone);
            }
            self.state.before = Some(std::mem::replace(end, Table::new(self.settings.remembered())));
            self.state.has_left = true;
            if let Some(position) = &mut self.state.position {
                position.begin_again();
            }
        }
        self.go_along(walk, tail, page, &deliveries)
    }

    /// Takes a page of a walk to the end that grows.
    pub(super) fn go_along(
        &mut self,
        walk: Box<Walk>,
        mut tail: Tail,
        page: &[Sighting],
        deliveries: &[Delivery],
    ) -> Vec<Found> {
        let mut forced: Vec<_> = deliveries.iter().map(|it| *it != Delivery::Skip).collect();
        let passed = self.passed(&walk, &tail, page, deliveries);
        self.begin_below(page, &passed, tail.goes_on);
        if let (Some(End::Proved), Some(last), false) = (walk.end(), forced.last_mut(), self.is_stable()) {
            // The walk may have delivered it long ago. If it moved here, it has changed.
            *last = true;
        }
        // Before the end is proved, what is remembered above the records of this page may stand in the next one.
        self.is_newest =
            self.side() == Some(Side::End) && !walk.has_restarted() && matches!(walk.end(), Some(End::Proved));
        let shows_above = |last: &RecordKey, end: &Table| {
            let above = end.index(last).unwrap_or_default();
            page.iter().any(|it| end.index(&it.key).is_some_and(|it| it < above))
        };
        let end = self.state.end.as_ref();
        tail.below.take_if(|(_, last)| end.is_some_and(|end| shows_above(last, end)));
        let seen = self.compare(View::new(Side::End, page).forced(&forced).passed(&passed).silent(tail.silent));
        let is_late = |it: &&usize| deliveries[**it] == Delivery::Late;
        tail.passed_over.extend(seen.unresolved.iter().filter(is_late).map(|it| page[*it].key.fingerprint()));
        if let Some((first, last)) = seen.below.clone() {
            tail.below = Some((tail.below.map_or(first, |(first, _)| first), last));
        }
        self.rejoin(&walk, &mut tail, page);
        self.advance_position(&walk, page, deliveries);
        self.decide_at_end(&walk, &mut tail, page, &seen);
        if matches!(walk.end(), Some(End::Proved)) {
            self.end_at_last(&tail, page);
        }
        self.go_on_or_end(walk, tail, page);
        seen.found
    }

    /// A new record that follows known ones shows that the end grows, if it is the last one of the listing: others may
    /// have come late.
    fn decide_at_end(&mut self, walk: &Walk, tail: &mut Tail, page: &[Sighting], seen: &Comparison) {
        let Some(last) = page.last().filter(|_| self.state.before.is_none() && self.side().is_none()) else { return };
        if seen.any_known && seen.has_new(|index| index + 1 == page.len()) {
            tail.newest = Some(last.key.clone());
        }
        let is_end = matches!(walk.end(), Some(End::Proved | End::Unproved | End::Grew | End::GrewUnproved));
        if is_end && tail.newest.as_ref() == Some(&last.key) {
            self.decide(Side::End);
        }
    }

    /// The records of a page that the walk delivered earlier. Where records move, they may have changed since.
    fn passed(&self, walk: &Walk, tail: &Tail, page: &[Sighting], deliveries: &[Delivery]) -> Vec<bool> {
        let is_passed = |(record, delivery): (&Sighting, &Delivery)| {
            let is_known = *delivery == Delivery::Skip && walk.has_delivered(&record.key);
            self.is_stable() && is_known && !tail.passed_over.contains(&record.key.fingerprint())
        };
        page.iter().zip(deliveries).map(is_passed).collect()
    }

    /// The walk found what it had delivered before the remembered records: they are known again one after another.
    /// (On its way down, it may also jump over some of that.)
    fn begin_below(&mut self, page: &[Sighting], passed: &[bool], goes_on: bool) {
        let is_below = self.state.is_below;
        let above = self.state.before.as_ref().filter(|_| is_below);
        let Some(end) = self.state.end.as_mut().filter(|it| !it.is_empty()) else { return };
        let shows = |table: &Table| page.iter().any(|it| table.contains(&it.key));
        if goes_on || !passed.contains(&true) || shows(end) || above.is_some_and(shows) {
            return;
        }
        let end = std::mem::replace(end, Table::new(self.settings.remembered()));
        match &mut self.state.before {
            // It goes back once more.
            Some(before) if is_below => end.iter().for_each(|it| before.push_back(it.clone())),
            Some(before) => _ = before.add_newer(&end),
            before => *before = Some(end),
        }
        (self.state.is_below, self.state.has_left) = (true, true);
    }

    /// A walk that began again further up goes on where it was before. What it passes over stays remembered.
    fn rejoin(&mut self, walk: &Walk, tail: &mut Tail, page: &[Sighting]) {
        let (is_end, is_stable) = (walk.end().is_some(), self.is_stable());
        let shown = page.iter().rev().map(|it| &it.key);
        let has_come = |it: &Table| !walk.has_restarted() && (!tail.is_again || it.is_shown(shown, is_stable));
        if !self.state.before.as_ref().is_some_and(|it| is_end || has_come(it)) {
            return;
        }
        let (Some(before), Some(end)) = (self.state.before.take(), &mut self.state.end) else { return };
        let Some(joint) = end.iter().position(|it| before.contains(&it.key)) else {
            if is_end {
                self.state.note_unseen(&before);
            }
            self.state.before = Some(before).filter(|_| !is_end);
            self.state.is_below &= !is_end;
            return;
        };
        self.state.is_below = false;
        let key = |index: usize| end.get(index).map(|it| it.key.clone());
        tail.below = joint.checked_sub(1).and_then(key).zip(key(0));
        *end = join(&before, end, self.settings.remembered());
    }

    /// The page ends with the last record of the listing.
    fn end_at_last(&mut self, tail: &Tail, page: &[Sighting]) {
        let is_stable = self.is_stable();
        if let Some(offset) = tail.offset {
            // (By the table as it is before the others are lowered in it.)
            self.state.end_with(page, offset, is_stable);
        }
        if is_stable {
            self.lower_gone(tail, page);
        }
    }

    /// Where records keep their order, those that are remembered as newer than the last one of the listing are gone.
    /// What the walk delivered stands above them: otherwise it would be forgotten before they are.
    fn lower_gone(&mut self, tail: &Tail, page: &[Sighting]) {
        let (Some(end), Some(last)) = (&mut self.state.end, page.last()) else { return };
        if let Some(gone) = end.index(&last.key).filter(|it| *it > 0) {
            // (If the first one has been forgotten, all others are of this walk.)
            let lowest = end.len() - 1;
            let first = tail.below.as_ref().map(|(first, _)| end.index(first).unwrap_or(lowest));
            end.lower(gone, first.unwrap_or(gone).max(gone));
        }
    }

    /// Moves the position of a walk behind the records that it delivers.
    pub(super) fn advance_position(&mut self, walk: &Walk, page: &[Sighting], deliveries: &[Delivery]) {
        let Some(position) = &mut self.state.position else { return };
        let mut above = None;
        for (record, delivery) in page.iter().zip(deliveries) {
            match delivery {
                Delivery::Next(offset) => position.advance(&record.key, *offset),
                // Between the position and what was delivered before the walk began again.
                Delivery::Late if position.is_at(above) => position.advance(&record.key, position.offset + 1),
                _ => {}
            }
            above = Some(&record.key);
        }
        position.note(walk);
    }

    fn go_on_or_end(&mut self, walk: Box<Walk>, tail: Tail, page: &[Sighting]) {
        // A walk from the head that finds nothing doesn't know that there was something.
        let is_at_head = page.is_empty() && self.state.position.as_ref().is_some_and(ScanPosition::is_at_head);
        match walk.end() {
            None => self.task = Some(Task::Tail(walk, tail)),
            Some(End::Proved) if is_at_head && !self.state.is_blank() => self.state.gap = Some(GapReason::Emptied),
            Some(End::Emptied) => {
                if matches!(self.state.phase, Phase::Start(_)) {
                    // It hasn't begun: there is nothing to come back to.
                    self.state.position = None;
                    self.state.end = Some(Table::new(self.settings.remembered()));
                }
                self.state.gap = Some(GapReason::Emptied);
            }
            Some(End::Lost) => {
                self.lose_anchors(GapReason::Lost);
                // Not at once: the server may need a rest.
                self.is_behind = false;
            }
            Some(_) if tail.guessed && self.state.is_blank() => {
                // The total pointed behind the end.
                self.state.position = None;
                self.begin_tail(Tail { guessed: false, ..tail });
            }
            Some(end) => {
                self.state.phase = Phase::Steady;
                self.finish(matches!(end, End::Grew | End::GrewUnproved));
            }
        }
    }
}

/// What was remembered before a walk began again further up, and what it has seen since. What only one of them has
/// stands between the records that both have; that of before above the other.
fn join(before: &Table, since: &Table, most: usize) -> Table {
    let (mut entries, mut alone, mut next) = (Vec::new(), Vec::new(), 0);
    let missing = |from, to| before.iter().take(to).skip(from).filter(|it| !since.contains(&it.key)).cloned();
    for entry in since.iter() {
        let Some(at) = before.index(&entry.key) else {
            alone.push(entry.clone());
            continue;
        };
        entries.extend(missing(next, at));
        entries.append(&mut alone);
        entries.push(entry.clone());
        next = next.max(at + 1);
    }
    entries.extend(missing(next, before.len()));
    entries.append(&mut alone);
    Table::of(entries, most)
}
