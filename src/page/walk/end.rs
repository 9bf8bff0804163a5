//! Decides whether a page ends the listing (R4), and which doubt remains about completeness.

use std::collections::HashSet;

use crate::page::summary::{Doubt, End};
use crate::page::walk::growing_end::Next;
use crate::page::walk::observe::PageView;
use crate::page::walk::plan::HeadAgain;
use crate::page::walk::recent::RecentKeys;
use crate::page::walk::{Probe, Scan, Walk};
use crate::page::{GrowingEnd, RecordKey, Stability, TotalScope};

/// How many pages of the head are scanned again at most where the order is stable.
const HEAD_PAGES: u32 = 8;

/// How many pages in a row must end with the same record as the page before, until a scan without totals takes it for
/// the last one.
const STALLS: u32 = 6;

impl Walk {
    /// R4. Ends the pass if this page proves that nothing follows.
    pub(super) fn note_end(&mut self, page: &[RecordKey], view: &PageView, total: Option<u64>) {
        let on_head = self.is_on_head();
        let alone = page.len() == 1 && view.last_seen == Some(0) && !self.singles();
        if !alone {
            self.scan.probe = Probe::No;
        }
        if alone && !on_head {
            self.counters.end_denied = total.is_some_and(|total| total != view.behind);
        }
        // A prefetched page may be older than the page before. A record that moved to the end in between is in neither.
        let outdated = self.is_prefetched && self.counters.shifted && self.plan.order == Stability::Unstable;
        self.head_pages += u32::from(on_head);
        if on_head && self.head.is_reached() {
            self.end_head();
        } else if on_head && self.is_enough_of_head() {
            self.end = self.proven_end;
        } else if outdated {
            // Requested again, the page is current.
        } else if alone && !on_head && self.plan.probes_end && total != Some(view.behind) {
            self.probe_end(view);
        } else if self.is_whole(page, total) || alone || (self.has_room(page) && !self.plan.rules.prove_end) {
            self.reach_end(End::Proved);
        } else if let Some(end) = self.stalled_end(page, view, total) {
            self.reach_end(end);
        } else if self.plan.growing_end == GrowingEnd::StopBehindStart {
            if on_head { self.note_growth_on_head(view, total) } else { self.note_growth(page, view, total) }
        }
    }

    /// Whether the second scan of the head has taken as many pages as it may.
    fn is_enough_of_head(&self) -> bool {
        // In a stable order, records above the old head are newer than the scan, which doesn't promise them.
        // A verified scan wants to see the old head. In a log that grows by less than a page before each request, that
        // takes about as many requests as the scan at most.
        let most = match self.plan.head_again {
            HeadAgain::ToExplain => u64::from(HEAD_PAGES) + self.counters.requests / 2,
            _ => u64::from(HEAD_PAGES),
        };
        self.plan.order == Stability::Stable && u64::from(self.head_pages) >= most
    }

    /// Requests what follows a record that stood alone.
    fn probe_end(&mut self, view: &PageView) {
        // A server that limits pages by their size may return a record alone before a large one.
        let shift = self.scan.drift.predicted().max(0).unsigned_abs();
        self.scan.offset = view.behind.saturating_add(shift);
        self.scan.probe = if self.scan.probe == Probe::Denied { Probe::Striding } else { Probe::Asking };
    }

    /// R4 for a listing that shifts before every request, so that the last record never stands alone. Pages in a row
    /// with room for more end with the record delivered last, and differ in length by at least two.
    ///
    /// With a total, that proves the end if the total counts nothing after the page. Without one, a server that cuts
    /// pages by their size does the same before a large record. Then the scan ends after several such pages, and says
    /// that the end isn't proved.
    fn stalled_end(&mut self, page: &[RecordKey], view: &PageView, total: Option<u64>) -> Option<End> {
        // A page may end with another seen record because the server returns fewer records than before.
        let is_last = page.last().is_some_and(|last| self.scan.current().distance(last) == Some(0));
        let ends = self.has_room(page) && !view.ends_new && !view.singles && is_last;
        let now = page.last().filter(|_| ends).map(|last| (last.fingerprint(), page.len()));
        let before = std::mem::replace(&mut self.last_end, now);
        let again = before.zip(now).filter(|(before, now)| before.0 == now.0);
        self.stalls = if again.is_some() { self.stalls + 1 } else { 0 };
        let differs = again.is_some_and(|(before, now)| before.1.abs_diff(now.1) > 1);
        match total.filter(|_| self.plan.total != TotalScope::Page) {
            Some(total) => (differs && total == view.behind).then_some(End::Proved),
            None => (differs && self.stalls >= STALLS).then_some(End::Stalled),
        }
    }

    /// Whether the page is the whole listing: it begins at offset 0, has room for more, and the total counts exactly
    /// its records. One response is one view. Over several pages, a clamped offset or a row listed twice makes a total
    /// fit by chance.
    fn is_whole(&self, page: &[RecordKey], total: Option<u64>) -> bool {
        let counts_listing = self.plan.total == TotalScope::Listing || !self.plan.rules.doubt_total;
        let is_all =
            self.has_room(page) && total == Some(page.len() as u64) && self.last_page.map(|it| it.behind) == total;
        counts_listing && is_all && page.iter().collect::<HashSet<_>>().len() == page.len()
    }

    /// Stops a scan whose listing grows at its end as fast as it is read.
    fn note_growth(&mut self, page: &[RecordKey], view: &PageView, total: Option<u64>) {
        let may_count = self.counters.may_count_listing(self.plan.total);
        self.chase.note_total(total, view.behind, may_count);
        let has_more = self.chase.has_more(view.behind);
        let has_room = page.len() < self.largest_page.min(self.plan.limit as usize) && !has_more;
        let is_short = self.has_room(page) && view.ends_new && !has_more && !view.singles;
        let is_due = self.chase.are_all_alike(page.len(), is_short);
        let (delivered, has_shifted) = (self.counters.seen, self.counters.shifted);
        let outrun = self.chase.outrun(&self.plan, delivered, has_shifted).filter(|_| !view.singles);
        let next = match self.chase.note(view.offset, page, has_room, view.ends_new) {
            Next::GoOn if is_due => self.chase.try_again(view.offset, page),
            next => next,
        };
        match (next, outrun) {
            (Next::Stop { proved: true }, _) => self.reach_end(End::Grew),
            // A server that limits pages by their size, or to fewer records than before, looks like that, too.
            (Next::Stop { proved: false }, _) => self.reach_end(End::GrewUnproved),
            (_, Some(end)) => self.reach_end(end),
            // Records come below the position as fast as they are read, and what stood there is pushed away.
            _ if self.chase.is_in_vain(&self.plan, self.counters.seen) => self.stop(End::Lost),
            (Next::Again, None) => {
                self.scan.offset = view.offset;
                self.scan.expected = page.len() as u64 - 1;
            }
            (Next::GoOn, None) => {}
        }
    }

    /// Stops a second scan of the head whose listing grows as fast as it is read, where the old head is nowhere.
    fn note_growth_on_head(&mut self, view: &PageView, total: Option<u64>) {
        self.chase.note_total(total, view.behind, self.counters.may_count_listing(self.plan.total));
        if self.chase.is_endless(&self.plan) {
            self.give_up_head();
        }
    }

    pub(super) fn observe_empty(&mut self) {
        let singles = self.singles();
        if matches!(self.scan.probe, Probe::Asking | Probe::Striding) {
            return self.reach_end(End::Proved);
        }
        let scan = &mut self.scan;
        scan.drift.note_request();
        if scan.drift.predicted() > 0 {
            // The listing shifted less than predicted, and the window began after its end.
            return scan.unpredict();
        }
        scan.empty += 1;
        scan.beyond = Some(scan.beyond.map_or(scan.offset, |it| it.min(scan.offset)));
        let first = scan.seen.is_empty();
        let offset = scan.offset;
        let patience = if self.plan.rules.ask_twice { 1 } else { 0 };
        if scan.empty <= patience && (scan.locator.is_none() || offset == 0) {
            // An empty page may be a transient fault of the server. Ask again.
        } else if first {
            self.reach_end(if offset == 0 { End::Proved } else { End::Unproved });
        } else if !self.plan.rules.prove_end {
            self.reach_end(End::Proved);
        } else if singles && scan.offset > 0 && !scan.on_seen {
            self.reach_end(End::Unproved);
        } else if scan.offset == 0 {
            if scan.empty > 2 * patience {
                self.stop(End::Emptied);
            }
        } else {
            scan.empty = 0;
            self.locate(|locator, offset| locator.examine_empty(offset));
        }
    }

    /// The end of the pass. If records may have moved to the head, or came there, the head is scanned a second time
    /// first.
    fn reach_end(&mut self, end: End) {
        if self.first_pass.is_some() {
            return self.end_head();
        }
        let may_have_moved = match self.plan.head_again {
            // In a stable order the head only explains a shift.
            HeadAgain::ToExplain => self.plan.order == Stability::Unstable || self.counters.shift() != Some(0),
            // Where the scan can't be verified, the listing isn't scanned again.
            HeadAgain::Never if end.is_reached() && !self.counters.unoverlapped => false,
            _ => self.has_grown || self.plan.order == Stability::Unstable,
        };
        let from_head = self.plan.start == 0 && !self.head.anchors().is_empty();
        if !(may_have_moved && from_head && self.plan.rules.read_head) {
            self.end = Some(end);
            return;
        }
        self.proven_end = Some(end);
        self.chase = self.chase.for_next_pass();
        let drift = self.scan.drift.for_next_pass();
        self.last_end = None;
        let scan = Scan { seen: RecentKeys::new(self.plan.remembered), drift, ..Scan::default() };
        let mut done = std::mem::replace(&mut self.scan, scan);
        self.counters.has_forgotten |= done.seen.has_forgotten();
        done.rejoin();
        self.first_pass = Some(done.seen);
        if let Some(head) = self.restart_head.take().filter(|it| !it.anchors().is_empty()) {
            self.head = head;
        }
        self.head.start_comparison();
    }

    /// Everything was delivered and the end is proved; only the records that were the head aren't found.
    pub(super) fn give_up_head(&mut self) {
        self.counters.reordered = true;
        self.end = self.proven_end;
    }

    fn end_head(&mut self) {
        self.counters.reordered |= !self.head.is_same();
        self.end = self.proven_end;
    }

    /// The doubt that remains although the end was proved.
    pub(in crate::page) fn doubt(&self, seen_before: u64) -> Option<Doubt> {
        let distinct = seen_before.saturating_add(self.counters.seen);
        if self.end == Some(End::Unproved) || self.counters.unoverlapped {
            return Some(Doubt::SingleRecords);
        }
        if matches!(self.end, Some(End::Stalled | End::GrewUnproved)) {
            return Some(Doubt::EndUnproved);
        }
        self.counters.doubt_of_total(distinct).or_else(|| self.doubt_beside_total())
    }

    /// The doubt that remains whatever the total is.
    pub(in crate::page) fn doubt_beside_total(&self) -> Option<Doubt> {
        let counters = &self.counters;
        let has_forgotten = counters.has_forgotten || self.scan.seen.has_forgotten();
        let unsure = has_forgotten || (self.resumed && counters.inserted + counters.lost_positions + counters.late > 0);
        match () {
            () if self.end == Some(End::Unproved) || counters.unoverlapped => Some(Doubt::SingleRecords),
            // If the server returned a short page, a record stood alone that isn't the last.
            () if counters.end_denied => Some(Doubt::TotalDiffers),
            () if matches!(self.end, Some(End::Stalled | End::GrewUnproved)) => Some(Doubt::EndUnproved),
            () if counters.alike => Some(Doubt::Alike),
            () if counters.reordered || (counters.shifted && self.plan.order == Stability::Unstable) => {
                Some(Doubt::Reordered)
            }
            () if unsure && counters.shifted => Some(Doubt::BeyondMemory),
            () if self.plan.order == Stability::Unstable => Some(Doubt::OrderMayChange),
            () => None,
        }
    }
}
