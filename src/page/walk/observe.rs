//! Handles one page: whether it shows the position (R3), which of its records are new (R2), and which window is next
//! (R1).

use crate::page::walk::drift::Drift;
use crate::page::walk::head::Head;
use crate::page::walk::memory::Memory;
use crate::page::walk::position::{Found, Locator};
use crate::page::walk::{Delivery, Probe, Walk};
use crate::page::{RecordKey, Stability};

/// After so many pages of one record each, the head is requested once to see whether the server returns more at once.
const PROBE: u64 = 8;

/// Where a page stands, and which of its records were seen before.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageView {
    pub(super) offset: u64,
    pub(super) behind: u64,
    /// No record was seen before this page.
    is_first: bool,
    /// Its last record is new.
    pub(super) ends_new: bool,
    /// All pages so far had one record, this one included.
    pub(super) singles: bool,
    /// The index at which the last seen record was expected.
    expected: usize,
    /// The index of the last record that was seen before.
    pub(super) last_seen: Option<usize>,
    /// That one is another than the record delivered last, which stands before it now.
    is_passed: bool,
    /// How far after that one the record delivered last stands, as a page may end before it. `None` if unknown.
    further: Option<u64>,
    /// The offset at which the record stands that was delivered last before this page. `None` if unknown.
    found: Option<u64>,
}

impl Walk {
    pub(super) fn observe_records(&mut self, page: &[RecordKey], total: Option<u64>, deliveries: &mut [Delivery]) {
        self.scan.empty = 0;
        self.scan.drift.note_request();
        if !self.shows_position(page) {
            return;
        }
        let view = self.view(page);
        self.note_shift(page, &view);
        self.mark(page, &view, deliveries);
        self.set_next_window(page, &view, deliveries);
        self.note_end(page, &view, total);
    }

    /// Compares a page with the records seen so far.
    fn view(&self, page: &[RecordKey]) -> PageView {
        // What a restarted pass comes to again is read on, unless all that follows it was seen.
        let rejoins = self.rejoins(page);
        let last_seen = page.iter().rposition(|id| if rejoins { self.has_seen(id) } else { self.is_of_pass(id) });
        let is_full = page.len() >= self.largest_page.min(self.plan.limit as usize);
        let passed = last_seen.and_then(|it| self.passed(&page[..=it]));
        let further = match last_seen.filter(|_| is_full && passed.is_none()) {
            Some(it) => self.further(&page[..=it]),
            None => Some(0),
        };
        let offset = self.scan.offset;
        let found = match passed {
            Some((index, distance)) => Some(index as u64 + distance),
            None => last_seen.zip(further).map(|(index, further)| index as u64 + further),
        };
        PageView {
            offset,
            behind: offset.saturating_add(page.len() as u64),
            is_first: self.scan.seen.is_empty(),
            ends_new: last_seen.is_none_or(|it| it + 1 < page.len()),
            singles: self.singles(),
            expected: usize::try_from(self.scan.expected).unwrap_or(usize::MAX),
            last_seen,
            is_passed: passed.is_some(),
            // A page with room for it would show it: it was removed.
            further,
            found: found.map(|it| offset.saturating_add(it)),
        }
    }

    /// The record of `seen` that was delivered latest, if its last one is another one that stands behind it now: its
    /// index, and its distance from the record delivered last.
    fn passed(&self, seen: &[RecordKey]) -> Option<(usize, u64)> {
        let all = self.scan.current();
        let (last, before) = seen.split_last().filter(|(_, before)| !before.is_empty())?;
        // One without a number was seen elsewhere before.
        let distance = all.distance(last).unwrap_or(u64::MAX);
        let distances = before.iter().enumerate().filter_map(|(index, id)| Some((index, all.distance(id)?)));
        distances.min_by_key(|(_, distance)| *distance).filter(|(_, least)| *least < distance)
    }

    /// How far after the last record of `seen` the one delivered last stands. `None` if unknown.
    fn further(&self, seen: &[RecordKey]) -> Option<u64> {
        let all = self.scan.current();
        let (last, before) = seen.split_last()?;
        let distance = all.distance(last)?;
        if distance > 0 && self.scan.losses.are_frequent() {
            // Others were added between the two: a window that skips to the latter would miss it again.
            return None;
        }
        // A record without its neighbour may have moved on its own.
        let is_alone = before.last().is_some_and(|it| all.distance(it) != Some(distance + 1));
        if distance > 0 && is_alone && self.plan.order == Stability::Unstable { None } else { Some(distance) }
    }

    fn has_seen(&self, id: &RecordKey) -> bool {
        // On the second scan of the head, only records seen on that pass count.
        self.scan.has_seen(id) || (self.first_pass.is_none() && self.before.contains(id))
    }

    /// Whether a record shows where this pass stands. After a restart from the head, only those do that were seen
    /// since: between them and the others are records that came meanwhile.
    fn is_of_pass(&self, id: &RecordKey) -> bool {
        match &self.scan.restarted {
            Some(restarted) => restarted.passed.contains(id),
            None => self.has_seen(id),
        }
    }

    /// Whether a restarted pass comes to a record of the first one. If it has restarted more than once, records don't
    /// stand where they did: it reads on, and jumps nowhere.
    fn rejoins(&self, page: &[RecordKey]) -> bool {
        let is_first_restart = self.restarts < 2 && self.scan.restarted.is_some() && !self.scan.is_mixed;
        is_first_restart && page.iter().any(|id| self.scan.seen.contains(id))
    }

    /// R3. Whether the page shows where the scan stands. If it doesn't, the next window is set.
    fn shows_position(&mut self, page: &[RecordKey]) -> bool {
        if let Some(shows) = self.probe(page) {
            return shows;
        }
        let singles = self.singles();
        let scan = &mut self.scan;
        if std::mem::take(&mut scan.restart) {
            // The records seen are gone, or far down. Scan from the head until one of them comes.
            scan.restart(self.plan.remembered);
            return true;
        }
        if !self.plan.rules.go_back || scan.seen.is_empty() || (singles && !scan.on_seen) {
            return true;
        }
        if self.goes_on_despite_losses(page) {
            return true;
        }
        if self.scan.locator.is_some() {
            return self.locate(|locator, offset| locator.examine(offset, page));
        }
        if !self.may_be_elsewhere(page) && page.iter().any(|id| self.is_of_pass(id)) {
            return true;
        }
        if self.scan.drift.predicted() > 0 {
            // The listing shifted less than predicted: look where the record stood.
            self.scan.unpredict();
            return false;
        }
        self.locate(|locator, offset| locator.examine(offset, page))
    }

    /// In an unstable order, a seen record after unseen ones may have moved there, past others that are still to come.
    /// A page that begins with a seen record skips nothing. In a stable order, any seen record shows the position.
    fn may_be_elsewhere(&self, page: &[RecordKey]) -> bool {
        let begins_unseen = || self.scan.offset > 0 && !page.first().is_some_and(|it| self.is_of_pass(it));
        // Behind the position, a seen record that moved there, or that is listed twice, may begin the window as well.
        let is_behind = || self.scan.drift.predicted() > 0 && !self.continues(page);
        self.plan.order == Stability::Unstable && (begins_unseen() || is_behind()) && !self.is_pushed_at_end(page)
    }

    /// In an unstable order: whether the position was lost so often lately that the scan goes on where it sees the
    /// record delivered last, wherever in the page that one is. That one may have moved there alone; but a scan that
    /// looks for three records in their order each time would never end.
    fn goes_on_despite_losses(&mut self, page: &[RecordKey]) -> bool {
        let keys = self.scan.current();
        let applies = self.plan.order == Stability::Unstable && !self.is_resuming && self.scan.losses.are_frequent();
        if !(applies && page.iter().any(|it| keys.distance(it) == Some(0))) {
            return false;
        }
        let expected = page.get(usize::try_from(self.scan.expected).unwrap_or(usize::MAX));
        let is_expected = expected.is_some_and(|it| keys.distance(it) == Some(0));
        if !is_expected {
            self.scan.losses.note_loss();
        }
        self.scan.locator = None;
        true
    }

    /// Whether a page shows the position that was requested to see what follows a record that stood alone. `None` if it
    /// wasn't, or holds a seen record.
    fn probe(&mut self, page: &[RecordKey]) -> Option<bool> {
        let scan = &mut self.scan;
        let probe = scan.probe;
        if !matches!(probe, Probe::Asking | Probe::Striding) {
            return None;
        }
        scan.probe = Probe::No;
        if page.iter().any(|id| scan.has_seen(id)) {
            return None;
        }
        if probe == Probe::Asking {
            // Was it added just now, or does the server return the record before it alone?
            scan.probe = Probe::Denied;
            scan.offset = scan.position.unwrap_or(scan.offset);
            return Some(false);
        }
        // Nothing shows that this is what comes next, but it is there.
        self.counters.unoverlapped = true;
        Some(true)
    }

    /// Returns whether the record delivered last is in the page, or may follow on it.
    fn continues(&self, page: &[RecordKey]) -> bool {
        let is_full = page.len() >= self.largest_page.min(self.plan.limit as usize);
        let may_follow = is_full && page.last().is_some_and(|it| self.is_of_pass(it));
        may_follow || page.iter().any(|it| self.scan.current().distance(it) == Some(0))
    }

    /// Whether the record delivered last is the last one of the listing, and stands a little below where it did. If
    /// others were added before it, or it passed them, they all are in this page, and are delivered.
    fn is_pushed_at_end(&self, page: &[RecordKey]) -> bool {
        let is_last = page.last().is_some_and(|last| self.scan.current().distance(last) == Some(0));
        is_last && self.has_room(page) && self.scan.position == Some(self.scan.offset) && !self.scan.is_short
    }

    /// Starts a search for the position.
    fn locator(&self) -> Locator {
        let scan = &self.scan;
        let memory = match &scan.restarted {
            Some(restarted) => Memory::of(&restarted.passed, &Memory::default()),
            None => Memory::of(&scan.seen, &self.before),
        };
        let position = scan.position.unwrap_or(scan.offset);
        // A pass that began at the head itself is checked against the head it saw, not the one of the first pass.
        let began_at_head = scan.restarted.is_some() || self.first_pass.is_some();
        let (head, delivered) = match scan.current() {
            keys if began_at_head => (keys.first_ones(), keys.count()),
            _ => (self.head.anchors().to_vec(), (self.delivered_before + scan.seen.count()).saturating_sub(self.gone)),
        };
        let depth = delivered.saturating_sub(1);
        Locator::new(memory, head, self.plan.order, position, depth, self.plan.limit)
    }

    /// Runs a step of the search for the position. Returns whether it was found.
    pub(super) fn locate(&mut self, look: impl FnOnce(&mut Locator, u64) -> Found) -> bool {
        let locator = self.scan.locator.take().unwrap_or_else(|| self.locator());
        let (limit, scan) = (self.plan.limit, &mut self.scan);
        let locator = scan.locator.insert(locator);
        let found = look(locator, scan.offset);
        if found == Found::Here {
            self.gone = self.gone.saturating_add(locator.gone());
            scan.locator = None;
            if std::mem::take(&mut self.is_resuming) {
                self.has_grown = scan.offset > scan.position.unwrap_or_default();
                // What was added between two scans says nothing about the rate during this one.
                (scan.drift, scan.position, scan.is_short) = (Drift::default(), None, false);
            }
            return true;
        }
        if !self.is_resuming || found == Found::Nowhere {
            self.counters.is_disturbed = true;
        }
        // The search after a stop is limited by the locator, so its requests don't count as unproductive.
        self.counters.excused += u64::from(self.is_resuming);
        if !scan.is_lost {
            self.counters.lost_positions += 1;
            scan.losses.note_loss();
            // The position is likely to be lost again: let windows overlap by more for a while.
            scan.extra_overlap = (2 * scan.extra_overlap + 1).min(u64::from(limit / 4));
        }
        self.counters.shifted = true;
        (scan.is_lost, scan.on_seen, scan.expected) = (true, true, u64::MAX);
        match found {
            Found::Request(offset) => scan.offset = offset,
            Found::Here | Found::Nowhere => self.go_to_head(),
        }
        false
    }

    /// The position is nowhere: the next page is the head's.
    fn go_to_head(&mut self) {
        let scan = &mut self.scan;
        (scan.locator, scan.offset, scan.position, scan.restart) = (None, 0, None, true);
        scan.drift = scan.drift.for_next_pass();
        if std::mem::take(&mut self.is_resuming) {
            // Nothing was lost on the way: the windows from the head on needn't overlap by more than others.
            scan.extra_overlap = 0;
            self.restart_head = Some(Head::default());
        } else {
            self.restarts += 1;
        }
    }

    /// Notes by how much the last seen record moved since the previous page.
    fn note_shift(&mut self, page: &[RecordKey], view: &PageView) {
        let scan = &mut self.scan;
        let found = view.found;
        let shift = found
            .zip(scan.position.filter(|_| !scan.is_short))
            .map(|(now, before)| now.cast_signed().wrapping_sub(before.cast_signed()));
        // Pages of one record don't overlap, so that any seen record there is a shift.
        let has_shifted =
            if view.singles { view.last_seen.is_some() } else { shift != Some(0) && scan.position.is_some() };
        if !view.is_first && has_shifted {
            self.counters.shifted = true;
        }
        if !view.is_first && self.first_pass.is_none() {
            // Before it delivers anything, a resumed walk goes by what the cursor knows of the distances.
            let resumed = self.resumed_at.take().filter(|_| scan.seen.count() == 0);
            let before = resumed.and(view.last_seen).and_then(|index| {
                let distance = self.before.distance(page.get(index)?)?;
                Some(view.offset.saturating_add(index as u64).saturating_add(distance.into()))
            });
            self.resumed_at = before;
            let (from, now) = if resumed.is_some() { (resumed, before) } else { (scan.position, found) };
            let by = now.zip(from).map(|(now, before)| now.checked_sub(before));
            let is_apart = view.singles && view.last_seen.is_none();
            self.counters.note_shift(by.unwrap_or(is_apart.then_some(0)));
        }
        if view.last_seen == Some(view.expected) && !scan.is_lost {
            scan.extra_overlap /= 2;
            scan.losses.note_expected();
        }
        self.has_grown |= shift.is_some_and(|it| it > 0);
        match shift {
            None if scan.position.is_some() => scan.drift.note_unknown(),
            None => scan.drift.note_start(),
            Some(shift) if !view.singles => scan.drift.note_shift(shift),
            Some(_) => {}
        }
        (scan.on_seen, scan.is_lost) = (false, false);
    }

    /// R2. Decides for each record of a page whether it is delivered.
    fn mark(&mut self, page: &[RecordKey], view: &PageView, deliveries: &mut [Delivery]) {
        let rules = self.plan.rules;
        let on_head = self.first_pass.is_some();
        let rejoins = self.rejoins(page);
        if let Some(head) = &mut self.restart_head {
            head.extend(page, self.plan.limit);
        }
        // Everything before this index was passed; what follows is next.
        let next_from = view.last_seen.map_or(0, |it| it + 1);
        let behind_from =
            view.last_seen.and_then(|last| self.behind_from(&page[..=last], view.is_passed)).unwrap_or(page.len());
        for (index, (id, delivery)) in page.iter().zip(deliveries.iter_mut()).enumerate() {
            let is_new = if rules.last_seen { !self.has_seen(id) } else { view.is_first || index > 0 };
            let is_next = index >= next_from;
            if is_new {
                self.note_alike_of(id);
            }
            let is_behind = index >= behind_from && !is_next;
            if is_new || !(rejoins || self.is_of_pass(id)) {
                self.remember(id, is_new, is_next || is_behind);
            } else if is_behind {
                self.scan.current_mut().move_behind(id);
            }
            *delivery = match is_new {
                _ if on_head => self.mark_on_head(id, is_new),
                true if is_next => self.mark_next(id, view.offset.saturating_add(index as u64)),
                true => self.mark_inserted(),
                false => Delivery::Skip,
            };
            if *delivery == Delivery::Skip && Some(index) != view.last_seen && index >= view.expected && !on_head {
                self.counters.repeats += 1;
            }
        }
        if rejoins {
            // The restarted pass has come to a record of the first one. All records of the restarted pass stand before
            // it.
            self.scan.rejoin();
        }
    }

    /// The index from which on the records of a page up to the last seen one stand behind the record delivered last:
    /// records were added before that one, or delivered ones moved behind it. `None` if there are none. Otherwise the
    /// listing's last record would count as one delivered long ago, once records were added before it.
    fn behind_from(&self, seen: &[RecordKey], is_passed: bool) -> Option<usize> {
        let all = self.scan.current();
        let last = seen.last().filter(|_| seen.len() > 1)?;
        if !is_passed && all.distance(last)? > 0 {
            return None;
        }
        let mut above = u64::MAX;
        seen.iter().position(|id| {
            let distance = all.distance(id).filter(|it| *it < above);
            above = distance.unwrap_or_default();
            distance.is_none()
        })
    }

    /// Notes whether a new record is an invalid one with the raw JSON of another.
    fn note_alike_of(&mut self, id: &RecordKey) {
        self.counters.alike |= id.is_unreadable() && self.scan.seen.alike(id).is_some();
    }

    /// Adds a record to those seen on this pass.
    fn remember(&mut self, id: &RecordKey, is_new: bool, is_next: bool) {
        if let Some(restarted) = self.scan.restarted.as_mut().filter(|_| is_new) {
            restarted.delivered.add(id.clone());
        }
        let keys = self.scan.current_mut();
        if is_next { keys.add_next(id.clone()) } else { keys.add(id.clone()) }
    }

    /// A new record after the last seen one: it is delivered, and kept if it belongs to the listing's head.
    fn mark_next(&mut self, id: &RecordKey, offset: u64) -> Delivery {
        if self.continues_head && self.scan.restarted.is_none() {
            self.head.keep(id, self.plan.limit);
        }
        Delivery::Next(offset)
    }

    /// A new record before the last seen one: it came in the middle, or at the head during the first requests.
    fn mark_inserted(&mut self) -> Delivery {
        self.counters.is_disturbed = true;
        self.counters.inserted += 1;
        Delivery::Late
    }

    /// A record on the second scan of the head: it is delivered unless the first pass or an earlier scan delivered it.
    fn mark_on_head(&mut self, id: &RecordKey, is_new: bool) -> Delivery {
        let is_late_before = self.late_before.contains(&id.fingerprint());
        if is_late_before {
            self.has_late_before = true;
        }
        // Above the records that came late before the stop, and behind the old head, everything was delivered or is
        // newer than the scan, and a cursor remembers few of them.
        let is_above = is_late_before || !(self.late_before.is_empty() || self.has_late_before);
        let was_before = is_above || (self.resumed && self.head.is_reached());
        let was_delivered = was_before || self.head.contains(id) || self.before.contains(id);
        let unseen = self.first_pass.as_mut().filter(|it| !was_delivered && !it.contains(id));
        let delivery = unseen.map_or(Delivery::Skip, |delivered| {
            delivered.add(id.clone());
            self.counters.late += 1;
            Delivery::Late
        });
        if is_new {
            self.head.compare(id);
        }
        delivery
    }

    /// R1. The next window begins at the last seen record: where it stands now, or where it will stand if the listing
    /// keeps shifting.
    fn set_next_window(&mut self, page: &[RecordKey], view: &PageView, deliveries: &[Delivery]) {
        let singles = self.singles();
        let overlap_rule = self.plan.rules.overlap;
        let overlaps = !singles && overlap_rule;
        let received = page.len() as u64;
        let scan = &mut self.scan;
        scan.expected = if overlaps && view.ends_new { scan.extra_overlap.min(received - 1) } else { 0 };
        // If a page of seen records only ends before the record delivered last, the next window skips to that, unless
        // an empty page showed that the listing ends earlier.
        scan.beyond = scan.beyond.filter(|it| *it >= view.behind);
        let is_there = |further: &u64| scan.beyond.is_none_or(|it| (view.behind - 1).saturating_add(*further) < it);
        let further = view.further.filter(|_| overlaps && !view.ends_new).filter(is_there).unwrap_or_default();
        let is_stalled = !view.ends_new && further == 0;
        scan.position = Some((view.behind - 1).saturating_add(further));
        scan.is_short = !view.ends_new && view.further.is_none();
        let shift = if overlaps { self.predict(page, view, is_stalled) } else { 0 };
        let scan = &mut self.scan;
        // Windows overlap by one record, which stands alone at the end of the listing. Pages of one record can't
        // overlap.
        let offset = (view.behind - u64::from(overlaps) - scan.expected).saturating_add(further);
        scan.offset = offset.saturating_add_signed(shift);
        // A short log that grows while it is scanned shows one record at each offset, as a server does that returns
        // single records. The head tells them apart.
        let may_be_growth = view.singles && !view.is_first && (!view.ends_new || self.counters.requests == PROBE);
        if may_be_growth && self.plan.limit > 1 && self.plan.start == 0 && !self.has_probed && overlap_rule {
            self.has_probed = true;
            scan.offset = 0;
        }
        self.counters.unoverlapped |=
            view.singles && !view.is_first && deliveries.contains(&Delivery::Next(view.behind - 1));
    }

    /// Returns by how much to move the next window down, because the listing shifts before each request.
    fn predict(&mut self, page: &[RecordKey], view: &PageView, is_stalled: bool) -> i64 {
        let shift = self.scan.drift.predict(is_stalled, page.len() as u64);
        let Some(last) = page.last().filter(|_| is_stalled && !view.singles) else { return shift };
        // Records that are added right before the last ones shift nothing else.
        match self.tail.note(last.fingerprint(), view.behind - 1, self.counters.requests) {
            Some(by) if shift == 0 => self.scan.drift.predict_by(by),
            _ => shift,
        }
    }
}
