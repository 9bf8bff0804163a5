//! Finds a lost position in a listing that has shifted, where not all of the records before it are remembered. Does no
//! I/O.
//!
//! A scan that resumed from a cursor, or that started at an offset, remembers the records that it delivered itself and
//! a *run* of 64 before these. Records added at the head since push the position down, removed ones pull it up, and on
//! either side there are records that the scan has never seen. So the search looks in both directions in turn, by steps
//! that are as wide as possible without stepping over the run. Where it finds a record whose distance from
//! the position it remembers, it estimates the position from that.

mod estimate;
mod head;
#[cfg(test)]
mod tests;

use crate::page::walk::memory::Memory;
use crate::page::{RecordKey, Stability};

/// How many records of the run must stand in their order to locate it, where records may move.
const CHAIN: usize = 3;

/// How many windows further up are looked at before the first one further down.
const UPS_FIRST: u32 = 2;

/// After so many windows in a row that start with the same record, the server is taken to clamp larger offsets.
const CLAMPED: u32 = 3;

/// How many of the last records may be gone.
const FEW_GONE: u32 = 5;

/// Up to so many pages from the head, a scan that was resumed doesn't look for its position, but scans them again.
const SHALLOW_PAGES: u64 = 3;

/// How many records of a run may be stepped over beside half of it.
const FEW: u64 = 8;

/// How far below its old offset a position is looked for in any case.
const FAR: u64 = 1_024;

/// The maximum number of requests of a search, however far the position is, and however few records the server returns
/// at once.
const MOST_REQUESTS: u64 = 4_096;

/// The result of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The run, or what is left of it, is here: what follows its last record is next.
    Here,
    /// The position isn't here: request this offset next.
    Request(u64),
    /// The position is nowhere: scan the listing from its head.
    Nowhere,
}

/// Returns how many requests may look for a position: twice as many as a scan from the head would take, plus a few.
pub(super) fn most_requests(origin: u64, limit: u32) -> u64 {
    let stride = u64::from(limit).max(2) - 1;
    (2 * (origin.saturating_add(FAR) / stride)).saturating_add(64).min(MOST_REQUESTS)
}

/// The search for a position.
#[derive(Debug)]
pub(super) struct Locator {
    memory: Memory,
    head: Vec<u64>,
    order: Stability,
    /// The offset where the last record was.
    origin: u64,
    /// How many records behind the listing's first one the last record was delivered.
    depth: u64,
    /// The next windows in both directions. `None` where there is nothing further.
    down: Option<u64>,
    up: Option<u64>,
    /// The direction of the last window.
    way: Way,
    /// Whether the last step of the alternating search went down.
    last_was_down: bool,
    /// How many windows lay further up.
    ups: u32,
    /// One of them followed a page with records.
    has_stepped_up: bool,
    /// An offset behind the listing's end, by an empty response.
    end: u64,
    /// The step upwards while responses are empty.
    stride: u64,
    /// The most records in a response of this search.
    size: u64,
    /// The distance of the first record of the run that was found from the last delivered one.
    found_from: u32,
    /// The offset of the last record of the run that was found.
    found_to: u64,
    /// The offset where the last record should be by that.
    found_at: u64,
    /// The offset where the listing's old head should be by that.
    head_at: u64,
    /// How many pages were read to look for the old head.
    head_pages: u32,
    /// How much further down the old head stands.
    head_shift: u64,
    /// How many of the records between the head and the position are gone, at least.
    gone: u64,
    /// A window that shows the position, from which the search skipped to the last record.
    certain: Option<u64>,
    /// The last estimate is from a record of the run.
    is_near: bool,
    /// The estimates that were tried.
    tried: Vec<u64>,
    /// The first record of the last window on the way down, and how often in a row it was the same.
    above: Option<u64>,
    same: u32,
    /// The remembered record outside of the run that is closest to the position: its distance, and its offset.
    landmark: Option<(u32, u64)>,
    left: u64,
    limit: u64,
    /// The scan began at the head, and was resumed.
    from_head: bool,
    /// The scan lost the position itself, a few requests after it delivered the last record.
    is_recent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// At the old offset of the position.
    Origin,
    Down,
    Up,
    /// At an estimate from the offset of a remembered record.
    Estimate,
    /// At a remembered record, because the run is gone.
    Landmark,
    /// At the offset where the old head should be, if the run that was found at this offset was pushed there.
    Head(u64),
    /// Back at the run.
    Confirmed,
}

/// What the remembered records of a page show about the position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Evidence {
    Certain,
    /// The run stands here in its order, so the last record should be at the offset `to`. But several records may have
    /// moved together.
    Shifted {
        to: u64,
        head: u64,
    },
}

/// Where the last delivered record should be, by a remembered one in a page that begins at `offset`: its index there,
/// and its distance from the last one.
fn last_by(offset: u64, (index, distance): (usize, u32)) -> u64 {
    offset.saturating_add(index as u64).saturating_add(distance.into())
}

impl Locator {
    /// Looks for the remembered records, starting at the offset `origin`, in pages of `limit`.
    ///
    /// `head` are the listing's first records at the start of the scan.
    pub(super) fn new(memory: Memory, head: Vec<u64>, order: Stability, origin: u64, depth: u64, limit: u32) -> Self {
        let stride = u64::from(limit).max(2) - 1;
        let left = most_requests(origin, limit);
        // A page may have held more records than were delivered of it.
        let head =
            head.into_iter().take(usize::try_from(depth).map_or(usize::MAX, |it| it.saturating_add(1))).collect();
        Self {
            memory,
            head,
            order,
            origin,
            depth,
            down: None,
            up: None,
            way: Way::Origin,
            last_was_down: false,
            ups: 0,
            has_stepped_up: false,
            end: u64::MAX,
            stride,
            size: 0,
            found_from: 0,
            found_to: 0,
            found_at: 0,
            head_at: 0,
            head_pages: 0,
            head_shift: 0,
            gone: 0,
            certain: None,
            is_near: false,
            tried: Vec::new(),
            above: None,
            same: 0,
            landmark: None,
            left,
            limit: limit.into(),
            from_head: false,
            is_recent: true,
        }
    }

    /// Notes that the position is that of a cursor, and whether its scan began at the head.
    pub(super) fn of_cursor(mut self, from_head: bool) -> Self {
        (self.from_head, self.is_recent) = (from_head, false);
        self
    }

    /// Replaces what is remembered of the records before the position.
    pub(super) fn remember(&mut self, memory: &Memory) {
        self.memory.clone_from(memory);
    }

    /// Examines the records that stand from `offset` on.
    pub(super) fn examine(&mut self, offset: u64, page: &[RecordKey]) -> Found {
        let remembered = self.remembered(page);
        let evidence = self.evidence(&remembered, offset, page.len());
        match (self.way, evidence) {
            (Way::Landmark, _) if !remembered.is_empty() => return Found::Here,
            (Way::Confirmed, _) if !remembered.is_empty() => {
                self.note_gone(offset, page.len(), &remembered);
                return Found::Here;
            }
            (Way::Confirmed, _) if offset != self.found_to => return self.request(self.found_to),
            (Way::Head(found), _) => return self.examine_head(found, offset, page),
            (_, Some(Evidence::Certain)) => return self.skip_to_last(offset, page.len(), &remembered),
            (_, Some(Evidence::Shifted { to, head })) => {
                if let Some(found) = self.examine_shifted(to, head, offset, &remembered) {
                    return found;
                }
            }
            (_, None) => {}
        }
        // Too few records were delivered to tell a shift from a move. A scan from the head repeats only these.
        let is_unclear = self.order == Stability::Unstable && (self.memory.run as usize) < CHAIN;
        if is_unclear || self.is_shallow() {
            return Found::Nowhere;
        }
        self.note_windows(offset, page.len() as u64);
        if self.is_clamped(page) {
            self.end = self.end.min(offset);
        }
        if self.way == Way::Estimate && (remembered.is_empty() || self.certain.is_some()) {
            return self.doubt_estimate(offset);
        }
        if let Some(target) = self.estimate(offset, &remembered) {
            self.way = Way::Estimate;
            return self.request(target);
        }
        self.next()
    }

    /// Returns the remembered records of a page: the index of each, and its distance from the last one.
    fn remembered(&self, page: &[RecordKey]) -> Vec<(usize, u32)> {
        let all = page.iter().enumerate().filter_map(|(index, id)| Some((index, self.memory.distance(id)?)));
        let mut all: Vec<(usize, u32)> = all.collect();
        if self.is_recent
            && let Some(last) = all.iter().position(|(_, distance)| *distance == 0)
        {
            // What stands behind the last record was delivered long ago, and is pushed down with it.
            all.truncate(last + 1);
        }
        all
    }

    /// The run stands in this page in its order, so the last record should be at the offset `to`, and the old head at
    /// `head`. `None` if there is no head left to confirm it.
    fn examine_shifted(&mut self, to: u64, head: u64, offset: u64, remembered: &[(usize, u32)]) -> Option<Found> {
        // The records delivered before the run show whether only the run moved.
        self.found_from = remembered.iter().map(|(_, distance)| *distance).max().unwrap_or_default();
        // Going up re-reads records and skips none. And if all delivered records stand here together, the records that
        // they passed stand at the head now.
        if to <= self.origin {
            self.gone = self.origin - to;
        }
        if to <= self.origin || (!self.head.is_empty() && self.others().is_empty()) {
            return Some(Found::Here);
        }
        if self.head.is_empty() {
            return None;
        }
        let (index, distance) = remembered.last().copied().unwrap_or_default();
        self.found_to = offset.saturating_add(index as u64);
        self.found_at = last_by(offset, (index, distance));
        self.head_at = head;
        self.way = Way::Head(offset);
        Some(self.request(head))
    }

    /// Returns whether all delivered records are remembered, and so few that a scan from the head takes no longer than
    /// a search. If a few of them are gone, the rest may not show the position at all.
    fn is_shallow(&self) -> bool {
        let too_few = self.order == Stability::Unstable && self.memory.run < FEW_GONE + CHAIN as u32;
        let near = self.depth < SHALLOW_PAGES * (self.limit.max(2) - 1);
        self.is_all_remembered() && (near || too_few)
    }

    /// Returns whether all delivered records are remembered, so that a scan from the head repeats none.
    fn is_all_remembered(&self) -> bool {
        self.from_head && self.depth < self.memory.run.into()
    }

    /// Returns whether the same page came for several windows further down: the server clamps larger offsets.
    fn is_clamped(&mut self, page: &[RecordKey]) -> bool {
        if self.way == Way::Down {
            let first = page.first().map(RecordKey::fingerprint);
            self.same = if std::mem::replace(&mut self.above, first) == first { self.same + 1 } else { 0 };
        }
        self.same >= CLAMPED
    }

    /// Takes an empty response at `offset`: the listing ends before it.
    pub(super) fn examine_empty(&mut self, offset: u64) -> Found {
        self.end = self.end.min(offset);
        self.down = None;
        if self.way == Way::Estimate {
            return self.doubt_estimate(offset);
        }
        match self.way {
            Way::Confirmed if offset != self.found_to => return self.request(self.found_to),
            // Everything here is behind the end: double the steps until a page has records.
            Way::Origin | Way::Up if self.size == 0 => {
                self.up = (offset > 0).then(|| offset.saturating_sub(self.stride));
                self.stride = self.stride.saturating_mul(2);
            }
            _ => {}
        }
        self.next()
    }

    /// Returns what the remembered records of a page show about the position.
    fn evidence(&self, remembered: &[(usize, u32)], offset: u64, page_len: usize) -> Option<Evidence> {
        let mut run = remembered.iter().filter(|(_, distance)| *distance < self.memory.run);
        let first = run.next()?;
        // One record is enough where records keep their order, or if it is the first of a window, as predicted.
        let begins = first.0 == 0 && matches!(self.way, Way::Origin | Way::Up);
        // Below the position, several records that moved there together may begin a window as well.
        let is_below = self.way == Way::Origin && offset.saturating_add(first.1.into()) > self.origin;
        if self.order == Stability::Stable || (begins && !is_below) {
            return Some(Evidence::Certain);
        }
        // In order, and no further apart than they were: some between them may be gone.
        let needed = if begins { CHAIN.min(first.1 as usize + 1) } else { CHAIN };
        let (mut chain, mut from, mut last) = (1, first, first);
        let mut evidence = None;
        for it in run {
            let follows = it.1 < last.1 && it.0 - last.0 <= (last.1 - it.1) as usize;
            (chain, from) = if follows { (chain + 1, from) } else { (1, it) };
            last = it;
            if chain >= needed {
                let head = last_by(offset, *from).saturating_sub(self.depth);
                evidence = Some(Evidence::Shifted { to: last_by(offset, *last), head });
            }
        }
        // If many of the last records are gone from where they should be, the others may have moved away from them.
        let is_cut = last.0 + 1 < page_len && last.1 > FEW_GONE;
        evidence.filter(|_| !is_cut)
    }

    /// Sets the next windows in both directions, by the records of this one.
    fn note_windows(&mut self, offset: u64, received: u64) {
        let is_first = self.size == 0;
        self.size = self.size.max(received);
        // The first step up is short, because most shifts are.
        let spare = self.spare();
        let near = self.size.max(2) - 1;
        let below = offset.saturating_add(received.max(2) - 1).saturating_add(spare);
        let far = near.saturating_add(spare);
        // A short page near the end says little about how many records the server returns at once.
        let short = if received < self.limit { far.min(self.limit.max(2) - 1).max(near) } else { near };
        // Too few records to tell anything by, right before the end: go on as far as on the way here.
        let short = if received < CHAIN as u64 { short.max(self.stride.min(far)) } else { short };
        let step = if is_first { short } else { far };
        let above = (offset > 0).then(|| offset.saturating_sub(step));
        // A page with room for more is most likely the last one: look below it at the end of the search.
        let is_last = received < self.limit;
        let below = (below < self.end && !(is_first && is_last)).then_some(below);
        match self.way {
            _ if is_first => (self.down, self.up) = (below, above),
            Way::Down => self.down = below,
            Way::Up if !self.has_stepped_up => {
                self.has_stepped_up = true;
                self.up = (offset > 0).then(|| offset.saturating_sub(near + near.min(spare)));
            }
            Way::Up => self.up = above,
            _ => {}
        }
    }

    /// How many records may lie between two windows: the run may reach from one to the next, and a few of it may be
    /// gone.
    fn spare(&self) -> u64 {
        let needed = if self.order == Stability::Stable { 1 } else { CHAIN as u64 };
        let run = u64::from(self.memory.run);
        run.saturating_sub(FEW_GONE.into()).min(run / 2 + FEW).saturating_sub(needed)
    }

    fn next(&mut self) -> Found {
        let down = self.down.filter(|it| *it < self.end);
        let (way, target) = match (down, self.up) {
            (Some(down), None) => (Way::Down, down),
            (None, Some(up)) => (Way::Up, up),
            (Some(down), Some(_)) if self.is_downs_turn() => (Way::Down, down),
            (Some(_), Some(up)) => (Way::Up, up),
            (None, None) => {
                match self.landmark.filter(|_| self.order == Stability::Stable && self.way != Way::Landmark) {
                    Some((_, at)) => (Way::Landmark, at),
                    None => return Found::Nowhere,
                }
            }
        };
        self.last_was_down = way == Way::Down;
        self.ups += u32::from(way == Way::Up);
        match way {
            Way::Down => self.down = None,
            Way::Up => self.up = None,
            _ => {}
        }
        self.way = way;
        self.request(target)
    }

    /// Alternates between the two directions, but goes up twice at first: the run reaches far up, so all of it is out
    /// of sight only if some of its last records were removed, or if many were added.
    fn is_downs_turn(&self) -> bool {
        self.ups >= UPS_FIRST && !self.last_was_down
    }

    fn request(&mut self, target: u64) -> Found {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Found::Request(target)
            }
            None => Found::Nowhere,
        }
    }
}
