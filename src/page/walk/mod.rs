//! The walk decides which window a scan requests next and which records of a page are new. It is pure: it never waits.
//!
//! A driver alternates two calls until [`Walk::end`] is set: [`Walk::window`] returns the next window, and
//! [`Walk::observe`] takes the page that came for it.
//!
//! - `plan` holds what the scan was asked to do, and which rules are on.
//! - `observe` handles one page: R1 to R3 of [`page`](crate::page).
//! - `end` decides whether a page ends the listing (R4), and which doubt remains.
//! - `position` finds the position again after the listing shifted by an unknown number of records.
//! - `drift` predicts the shift of a listing that changes before every request.
//! - `growing_end` stops a scan whose listing grows at the end that the scan runs to.
//! - `head` remembers the first records; `recent` the records seen last; `memory` what a cursor remembers, too.
//! - `toward_head` is the walk in the other direction, for `newer_than`.

mod drift;
mod end;
mod growing_end;
mod head;
mod memory;
#[cfg(all(test, feature = "testing"))]
mod model;
mod observe;
pub(crate) mod plan;
mod position;
mod recent;
pub(crate) mod since;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod toward_head;
pub(super) mod verify;

use crate::cursor::Cursor;
use crate::page::fetch::prefetch::PrefetchHint;
use crate::page::summary::{Counters, End};
use crate::page::walk::drift::{Drift, Losses, PrefetchCooldown, Tail};
use crate::page::walk::growing_end::Chase;
use crate::page::walk::head::Head;
use crate::page::walk::memory::Memory;
use crate::page::walk::plan::Plan;
use crate::page::walk::position::Locator;
use crate::page::walk::recent::RecentKeys;
use crate::page::{RecordKey, TotalScope, Window};

/// How often a scan restarts from the head at most.
const MOST_RESTARTS: u32 = 16;

/// A walk from an offset of a listing to its end.
#[derive(Debug)]
pub(crate) struct Walk {
    plan: Plan,
    scan: Scan,
    /// The records delivered before the head was scanned a second time. `None` until then.
    first_pass: Option<RecentKeys>,
    head: Head,
    /// The records delivered next continue the head.
    continues_head: bool,
    /// The head as it stood when a resumed scan restarted there: the second scan of the head compares with this one,
    /// as few of the records before the cursor may be left.
    restart_head: Option<Head>,
    /// The next page was requested before the previous one arrived, so it may be the older view of the two.
    is_prefetched: bool,
    /// The largest page so far. The server returns at least so many records at once.
    largest_page: usize,
    last_page: Option<Latest>,
    /// How the end was proved, while the head is scanned a second time.
    proven_end: Option<End>,
    end: Option<End>,
    resumed: bool,
    /// The position of the cursor isn't found yet.
    is_resuming: bool,
    /// Where the last record before the cursor stands, until the walk delivers another.
    resumed_at: Option<u64>,
    /// What the cursor remembers of the records before its position.
    before: Memory,
    /// How many records were delivered before the scan was resumed.
    delivered_before: u64,
    /// How many of the delivered records are known to be gone.
    gone: u64,
    chase: Chase,
    /// Of the previous page, if it ended with the record delivered last and had room for more: that record, and the
    /// page's length.
    last_end: Option<(u64, usize)>,
    /// How many pages in a row ended like that.
    stalls: u32,
    tail: Tail,
    prefetch_cooldown: PrefetchCooldown,
    /// The head was requested to see whether the server returns more than one record at once.
    has_probed: bool,
    /// Records were added before the position since the scan began.
    has_grown: bool,
    /// How often the scan restarted from the head because its position was nowhere.
    restarts: u32,
    /// How many pages the second scan of the head took so far.
    head_pages: u32,
    /// The fingerprints of records that the second scan of the head delivered before the scan was resumed. What stands
    /// above them came since, and was delivered or is newer than the scan: they are passed over until one of these
    /// comes. Otherwise a scan of a growing log that is stopped again and again would deliver them each time.
    late_before: Vec<u64>,
    /// The second scan of the head has come to one of them.
    has_late_before: bool,
    counters: Counters,
}

/// The page received last.
#[derive(Clone, Copy, Debug)]
struct Latest {
    received: usize,
    /// The offset after its last record.
    behind: u64,
    total: Option<u64>,
    /// Whether it was as long as the request or the server allows.
    full: bool,
    is_first: bool,
}

/// One pass over the listing, towards its end. The second scan of the head is a separate pass.
#[derive(Debug, Default)]
struct Scan {
    /// Where the next window begins.
    offset: u64,
    /// The offset at which the last seen record stood.
    position: Option<u64>,
    /// That was another record than the one delivered last, and it is unknown how far before that it stands.
    is_short: bool,
    drift: Drift,
    /// Set while the position is searched for.
    locator: Option<Locator>,
    /// The search failed: the next page is the head's, and the scan restarts there.
    restart: bool,
    /// The records seen on this pass. Everything before one of them was seen, too.
    seen: RecentKeys,
    /// Set while the scan has restarted from the head, until it comes to one of `seen` again.
    restarted: Option<Restart>,
    /// It restarted again before that, so that `seen` has records of several passes, and others stand between them.
    is_mixed: bool,
    /// By how many records windows overlap beyond the one. It grows when the position is lost, as that tends to repeat.
    extra_overlap: u64,
    /// The index in the next page at which the last seen record stands if nothing changes.
    expected: u64,
    /// The position is lost.
    is_lost: bool,
    losses: Losses,
    /// A page from this offset on was empty.
    beyond: Option<u64>,
    /// How many pages in a row were empty.
    empty: u32,
    /// Although pages have one record each, the window begins at a seen record, as it does after a cursor or a step
    /// back.
    on_seen: bool,
    probe: Probe,
}

/// Whether a request shows that nothing follows a record that stood alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Probe {
    #[default]
    No,
    /// The next window begins after that record.
    Asking,
    /// Something followed it: the window that begins at it is requested again.
    Denied,
    /// It stood alone again: the next window begins after it, and is taken for the next.
    Striding,
}

/// What to do with a record of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Skip it: it was delivered before.
    Skip,
    /// Deliver it: it is the next one of the listing, at this offset.
    Next(u64),
    /// Deliver it late: it stands before records that were delivered.
    Late,
}

impl Walk {
    pub(crate) fn new(mut plan: Plan) -> Self {
        plan.widen();
        let scan = Scan { offset: plan.start, seen: RecentKeys::new(plan.remembered), ..Scan::default() };
        Self {
            continues_head: plan.start == 0,
            plan,
            scan,
            first_pass: None,
            head: Head::default(),
            restart_head: None,
            is_prefetched: false,
            largest_page: 0,
            last_page: None,
            proven_end: None,
            end: None,
            resumed: false,
            is_resuming: false,
            resumed_at: None,
            before: Memory::default(),
            delivered_before: 0,
            gone: 0,
            chase: Chase::default(),
            last_end: None,
            stalls: 0,
            tail: Tail::default(),
            prefetch_cooldown: PrefetchCooldown::default(),
            has_probed: false,
            has_grown: false,
            restarts: 0,
            head_pages: 0,
            late_before: Vec::new(),
            has_late_before: false,
            counters: Counters::default(),
        }
    }

    /// A walk of the same listing after another one, which has seen by how much the listing shifts, and whether its
    /// totals may be wrong.
    fn again(plan: Plan, before: &Self) -> Self {
        let mut walk = Self::new(plan);
        walk.scan.drift = before.scan.drift.for_next_pass();
        walk.chase = before.chase.for_next_pass();
        walk
    }

    /// A walk that resumes from a cursor.
    pub(crate) fn resume(mut plan: Plan, cursor: &Cursor) -> Self {
        if cursor.delivered() == 0 {
            // Nothing was delivered: the scan begins where the first one would have.
            plan.start = cursor.offset();
        }
        let mut walk = Self::new(plan);
        walk.scan.offset = cursor.offset();
        walk.largest_page = if cursor.returns_many() { 2 } else { 0 };
        // The first page may have held more records than were delivered of it.
        let delivered = usize::try_from(cursor.delivered()).unwrap_or(usize::MAX);
        walk.head = Head::of(&cursor.head()[..cursor.head().len().min(delivered)]);
        if cursor.delivered() == 0 {
            return walk;
        }
        walk.resumed = true;
        // All that was delivered is the head: what comes next continues it. With the last of these records removed, too
        // few might be left to recognize it by.
        walk.continues_head = walk.plan.start == 0 && walk.head.anchors().len() == delivered;
        walk.late_before = cursor.late().to_vec();
        walk.delivered_before = cursor.delivered();
        walk.gone = cursor.gone();
        walk.is_resuming = true;
        for id in cursor.keys() {
            walk.scan.seen.add(id);
        }
        let memory = Memory::new(cursor.run(), cursor.landmarks());
        let (offset, depth) = (cursor.offset(), cursor.depth());
        let locator =
            Locator::new(memory.clone(), walk.anchors().to_vec(), walk.plan.order, offset, depth, walk.plan.limit)
                .of_cursor(walk.plan.start == 0 && cursor.is_whole());
        walk.before = memory;
        walk.scan.on_seen = true;
        walk.scan.position = Some(cursor.offset());
        walk.scan.locator = Some(locator);
        walk.counters.resume(cursor.totals(), cursor.shift());
        walk.resumed_at = Some(cursor.offset());
        walk.counters.unoverlapped = cursor.unoverlapped();
        walk
    }

    /// Notes more of the records before a resumed walk than its cursor holds: without a gap, the last one first.
    pub(crate) fn remember_before(&mut self, run: impl Iterator<Item = u64>) {
        self.before.extend(run);
        if let Some(locator) = &mut self.scan.locator {
            locator.remember(&self.before);
        }
    }

    /// Whether the head is being scanned a second time.
    fn is_on_head(&self) -> bool {
        self.first_pass.is_some()
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether the walk dropped the last page, because it didn't show the position.
    pub(crate) fn is_lost(&self) -> bool {
        self.scan.is_lost
    }

    #[cfg(test)]
    pub(crate) fn has_lost_position(&self) -> bool {
        self.counters.lost_positions > 0
    }

    pub(crate) fn end(&self) -> Option<End> {
        self.end
    }

    /// Whether the walk, or the one that it resumes, has delivered a record that is in the last page.
    pub(crate) fn has_delivered(&self, key: &RecordKey) -> bool {
        self.scan.has_seen(key) || self.before.contains(key)
    }

    /// The seen record with the same raw JSON as an invalid one at the start of a page: the one expected there, or else
    /// the last.
    fn alike(&self, id: &RecordKey) -> Option<&RecordKey> {
        // Windows may overlap by several records with the same raw JSON. If the first of them were taken for the last,
        // the others would count as new on every page.
        if let Some(expected) = self.scan.current().nth_last(self.scan.expected).filter(|it| it.is_alike(id)) {
            return Some(expected);
        }
        let restarted = self.scan.restarted.as_ref().and_then(|it| it.passed.alike(id));
        restarted.or_else(|| self.scan.seen.alike(id)).or_else(|| self.first_pass.as_ref()?.alike(id))
    }

    pub(crate) fn anchors(&self) -> &[u64] {
        self.head.anchors()
    }

    /// Whether records came one at a time, so that windows didn't overlap.
    pub(crate) fn unoverlapped(&self) -> bool {
        self.counters.unoverlapped
    }

    /// Notes that a record was recognised by its raw JSON alone.
    fn note_alike(&mut self) {
        self.counters.alike = true;
    }

    pub(crate) fn returns_many(&self) -> bool {
        self.largest_page > 1
    }

    /// How many of the delivered records are known to be gone.
    pub(crate) fn gone(&self) -> u64 {
        self.gone
    }

    /// Notes whether the next page was requested ahead.
    pub(crate) fn note_prefetched(&mut self, is_prefetched: bool) {
        self.is_prefetched = is_prefetched;
    }

    /// By how many records the listing was seen to shift. `None` if a position was lost or a shift is unexplained.
    pub(super) fn shift(&self) -> Option<u64> {
        self.counters.shift()
    }

    /// How many records stood above the first one when the head was read again: none, if it wasn't because nothing had
    /// shifted.
    fn above_head(&self) -> Option<u64> {
        let is_still = !self.is_on_head() && self.shift() == Some(0);
        if is_still { Some(0) } else { self.head.above() }
    }

    /// Whether this scan can be compared with another: its end was proved and no record may stand for another.
    fn is_comparable(&self) -> bool {
        // One record or none proves its end by what is empty behind it.
        let is_proved = match self.end {
            Some(End::Proved) => true,
            Some(End::Unproved) => self.counters.seen <= 1,
            _ => false,
        };
        is_proved && !self.counters.unoverlapped && !self.counters.alike
    }

    /// The total, if it is known to count the listing and stayed the same.
    fn trusted_total(&self) -> Option<u64> {
        let (least, most) = self.counters.all_totals().filter(|_| self.plan.total == TotalScope::Listing)?;
        (least == most).then_some(least)
    }

    /// Ends the walk, unless it has ended.
    pub(crate) fn stop(&mut self, end: End) {
        self.end.get_or_insert(end);
    }

    /// The window to request next. `None` once the walk has ended.
    pub(crate) fn window(&self) -> Option<Window> {
        self.end.is_none().then_some(Window { offset: self.scan.offset, limit: self.plan.limit })
    }

    /// Whether the scan restarted from the head, and hasn't come to a record seen before.
    pub(crate) fn has_restarted(&self) -> bool {
        self.scan.restarted.is_some()
    }

    /// Whether the next page is the head's because the position was nowhere: the scan restarts there.
    pub(crate) fn begins_again(&self) -> bool {
        self.scan.restart
    }

    /// The windows after the next one if nothing changes. `None` before the first page, where the position is lost, and
    /// at the end.
    pub(crate) fn prefetch_hint(&self) -> Option<PrefetchHint> {
        let scan = &self.scan;
        let steady = scan.restarted.is_none() && scan.expected == 0 && scan.empty == 0;
        // In a listing that shifts by much before each request, every prefetched page would be from elsewhere.
        let steady = steady && scan.locator.is_none() && scan.drift.is_calm(self.largest_page as u64);
        let latest = self.last_page.filter(|_| steady && !self.is_on_head() && !self.singles())?;
        let is_total = self.plan.total == TotalScope::Listing;
        let end = latest.total.filter(|it| is_total || *it > latest.behind);
        // A page shorter than the request and than the page before may be the last one, unless a total says more. The
        // first page may be cut by the server; there, a number that may be a total is enough.
        let is_full = latest.full && !self.prefetch_cooldown.is_on();
        let more = is_full || ((is_total || latest.is_first) && end.is_some_and(|it| it > latest.behind));
        let step = u64::try_from(latest.received).ok()?.checked_sub(1).filter(|it| *it > 0 && more)?;
        Some(PrefetchHint { step, end })
    }

    /// Takes the page for [`window`](Self::window), and returns what to do with each of its records.
    pub(crate) fn observe(&mut self, page: &[RecordKey], total: Option<u64>) -> Vec<Delivery> {
        self.counters.note_response();
        self.chase.note_request(self.plan.limit, self.counters.seen);
        self.counters.note_total(self.plan.total, total, page.len());
        self.largest_page = self.largest_page.max(page.len());
        let full = page.len() as u64 >= u64::from(self.plan.limit)
            || self.last_page.is_some_and(|latest| latest.received == page.len());
        let behind = self.scan.offset.saturating_add(page.len() as u64);
        let is_first = self.last_page.is_none();
        let is_shorter = self.last_page.is_some_and(|latest| page.len() < latest.received);
        self.last_page = Some(Latest { received: page.len(), behind, total, full, is_first });
        let mut deliveries = vec![Delivery::Skip; page.len()];
        if page.is_empty() {
            self.observe_empty();
        } else {
            self.observe_records(page, total, &mut deliveries);
        }
        let delivered = deliveries.iter().filter(|it| **it != Delivery::Skip).count() as u64;
        self.counters.note_delivered(delivered);
        let ends_new = matches!(deliveries.last(), Some(Delivery::Next(_)));
        self.prefetch_cooldown.note(is_shorter || !ends_new);
        // Each restart brings what came to the head meanwhile, so that all of its requests may be productive.
        if self.counters.is_over(self.plan.max_unproductive_requests) || self.restarts > MOST_RESTARTS {
            if self.is_on_head() {
                self.give_up_head();
            } else {
                self.stop(End::Lost);
            }
        }
        deliveries
    }

    /// Whether the server could have returned more records than the page has.
    fn has_room(&self, page: &[RecordKey]) -> bool {
        page.len() < self.plan.limit as usize
    }

    /// Whether the server has returned no more than one record at once so far.
    fn singles(&self) -> bool {
        self.largest_page == 1 || self.plan.limit < 2
    }
}

/// What a pass has seen since it restarted from the head.
#[derive(Debug)]
struct Restart {
    /// The records that it passed.
    passed: RecentKeys,
    /// Those that it delivered. The others don't count as remembered: they would push these out.
    delivered: RecentKeys,
}

impl Scan {
    /// Takes the prediction back: the next window begins where the last seen record stood.
    fn unpredict(&mut self) {
        self.drift.was_wrong();
        if let Some(position) = self.position {
            self.offset = position;
        }
        self.expected = 0;
    }

    /// The keys by which this pass numbers its records: those since the restart, if it restarted.
    fn current(&self) -> &RecentKeys {
        self.restarted.as_ref().map_or(&self.seen, |it| &it.passed)
    }

    fn current_mut(&mut self) -> &mut RecentKeys {
        self.restarted.as_mut().map_or(&mut self.seen, |it| &mut it.passed)
    }

    /// Restarts the pass from the head.
    fn restart(&mut self, remembered: usize) {
        self.is_mixed |= self.restarted.is_some();
        self.rejoin();
        self.restarted = Some(Restart { passed: RecentKeys::new(remembered), delivered: RecentKeys::new(remembered) });
    }

    /// Ends a restart: its records stand before those of the pass.
    fn rejoin(&mut self) {
        if let Some(Restart { passed, delivered }) = self.restarted.take() {
            self.seen.unnumber(&passed);
            self.seen.add_all(delivered);
        }
    }

    fn has_seen(&self, id: &RecordKey) -> bool {
        self.seen.contains(id) || self.restarted.as_ref().is_some_and(|it| it.delivered.contains(id))
    }
}
