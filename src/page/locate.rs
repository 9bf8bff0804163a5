//! Finds the position again in a listing that was shifted, where not all of the records before it are remembered. Pure.
//!
//! A scan that resumes from a cursor, or that began at an offset, remembers the records it delivered itself and a run of
//! 64 before these. What was added at the head since pushes the position down, what was removed pulls it up, and on
//! either side there are records that the scan has never heard of. So it looks both ways in turn, by as much as it can
//! without stepping over the run, and goes by estimates where it finds a record that is known to be some way off.

use std::collections::HashMap;

use super::known::Known;
use super::{Identity, Order};

/// How many of the records that a scan delivered last are looked for.
const RUN: usize = 4_096;

/// How many records of the run must stand in their order for it to be where it is, where records may move on their own.
const CHAIN: usize = 3;

/// How many estimates are tried.
const ESTIMATES: usize = 4;

/// How many windows further up are looked at first.
const UPS_FIRST: u32 = 2;

/// After so many windows with the same first record in a row, all further ones are taken to begin with it.
const CLAMPED: u32 = 3;

/// So many records of a run may be stepped over beside the half of it.
const FEW: u64 = 8;

/// How far below where it was a position is looked for, in any case.
const FAR: u64 = 1_024;

/// However far the position is, and however little the server returns at once, it isn't looked for longer than this.
const MOST_REQUESTS: u64 = 4_096;

/// What a response showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The run, or what is left of it: what follows its last record is next.
    Ground,
    /// Not the position. Ask at this offset.
    Ask(u64),
    /// It isn't anywhere: the listing is to be scanned from its head.
    Nowhere,
}

/// What is remembered of the records before the position: how far each is from the last one delivered.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    distances: HashMap<u64, u32>,
    /// How many of the last ones are remembered without a gap.
    run: u32,
}

impl Memory {
    /// `run`: the records delivered last, the last one first, without a gap. `landmarks`: some further ones.
    pub(super) fn new<'a>(run: &[u64], landmarks: impl Iterator<Item = (&'a Identity, u32)>) -> Self {
        let far = landmarks.map(|(id, distance)| (id.fingerprint(), distance));
        let near = run.iter().zip(0..).map(|(id, distance)| (*id, distance));
        Self { distances: far.chain(near).collect(), run: u32::try_from(run.len()).unwrap_or(u32::MAX) }
    }

    /// The records that a scan remembers itself, behind what it was begun with.
    pub(super) fn of(known: &Known, before: &Self) -> Self {
        let mut memory = Self::default();
        for id in known.iter_back().take(RUN) {
            if let Some(distance) = known.distance(id).and_then(|it| u32::try_from(it).ok()) {
                memory.distances.insert(id.fingerprint(), distance);
                memory.run = memory.run.max(distance.saturating_add(1));
            }
        }
        if u64::from(memory.run) == known.count() {
            let count = memory.run;
            for (id, distance) in &before.distances {
                memory.distances.entry(*id).or_insert(distance.saturating_add(count));
            }
            memory.run = memory.run.saturating_add(before.run);
        }
        memory
    }

    pub(super) fn contains(&self, id: &Identity) -> bool {
        !self.distances.is_empty() && self.distances.contains_key(&id.fingerprint())
    }

    fn distance(&self, id: &Identity) -> Option<u32> {
        self.distances.get(&id.fingerprint()).copied()
    }
}

/// How many requests may look for a position: twice as many as a scan from the head would take, and a few.
pub(super) fn most_requests(origin: u64, limit: u32) -> u64 {
    let stride = u64::from(limit).max(2) - 1;
    (2 * (origin.saturating_add(FAR) / stride)).saturating_add(64).min(MOST_REQUESTS)
}

/// The search for a position.
#[derive(Debug)]
pub(super) struct Locator {
    memory: Memory,
    head: Vec<u64>,
    order: Order,
    /// Where the last record was.
    origin: u64,
    /// How far behind the listing's first record it was delivered.
    depth: u64,
    /// The windows that come next, either way. `None` where there is nothing further.
    down: Option<u64>,
    up: Option<u64>,
    /// Which way the window that was asked for last lay.
    way: Way,
    /// Which of the two ways was looked last.
    last_was_down: bool,
    /// How many windows lay further up.
    ups: u32,
    /// Behind the listing's end, as an empty response showed.
    end: u64,
    /// By how much windows stepped up while the responses were empty.
    stride: u64,
    /// The most records that a response of this search held.
    size: u64,
    /// How far before the last record the first one of the run is that was found.
    found_from: u32,
    /// Where the last one of it stood.
    found_to: u64,
    /// Where the listing's head should be by that.
    head_at: u64,
    /// Estimates that were tried.
    tried: Vec<u64>,
    /// The first record of the last window on the way down, and how often in a row it was that.
    above: Option<u64>,
    same: u32,
    /// A known record that isn't of the run, the one closest to the position: how far from it, and where.
    landmark: Option<(u32, u64)>,
    left: u64,
    limit: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Where the position was.
    Origin,
    Down,
    Up,
    /// Where a known record says that it should be.
    Estimate,
    /// Where a known record stands, and the run is gone.
    Landmark,
    /// Where the listing's head should be by now, if the run that was found at this offset was pushed there.
    Head(u64),
    /// Back at the run.
    Confirmed,
}

/// What known records tell of the position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ground {
    Certain,
    /// The run is there in its order, so that the last record should be at this offset; but several may have moved together.
    Shifted {
        to: u64,
        head: u64,
    },
}

impl Locator {
    /// Looks for what is remembered from `origin` on, in pages of `limit`.
    ///
    /// `head`: the listing's first records, as they were.
    pub(super) fn new(memory: Memory, head: Vec<u64>, order: Order, origin: u64, depth: u64, limit: u32) -> Self {
        let stride = u64::from(limit).max(2) - 1;
        let left = most_requests(origin, limit);
        // A page may have held more than was delivered of it.
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
            end: u64::MAX,
            stride,
            size: 0,
            found_from: 0,
            found_to: 0,
            head_at: 0,
            tried: Vec::new(),
            above: None,
            same: 0,
            landmark: None,
            left,
            limit: limit.into(),
        }
    }

    /// Looks at the records that stand from `offset` on.
    pub(super) fn examine(&mut self, offset: u64, page: &[Identity]) -> Found {
        let known: Vec<(usize, u32)> =
            page.iter().enumerate().filter_map(|(index, id)| Some((index, self.memory.distance(id)?))).collect();
        let ground = self.ground(&known, offset);
        match (self.way, ground) {
            (Way::Landmark | Way::Confirmed, _) if !known.is_empty() => return Found::Ground,
            (Way::Head(found), _) => match self.head_shift(offset, page) {
                // By as many as may be gone from the run, or have come since. A window that begins too far up shows it, too.
                Some(..=FEW) => {
                    self.way = Way::Confirmed;
                    return self.ask(self.found_to);
                }
                Some(shift) => {
                    self.way = Way::Confirmed;
                    // It goes on to shift as it did since the run was found; but the run mustn't be stepped over.
                    let next = shift.min(self.size / 2);
                    return self.ask(found.saturating_add(shift).saturating_add(next));
                }
                // Some that were delivered between the head and the run may be gone: then it stands a little further down.
                None if offset.saturating_add(page.len() as u64) < self.head_at.saturating_add(FEW)
                    && !page.is_empty() =>
                {
                    return self.ask(offset.saturating_add(page.len() as u64));
                }
                // Records moved there together; the listing didn't shift by as much.
                None => {
                    self.head.clear();
                    return self.next();
                }
            },
            (_, Some(Ground::Certain)) => return Found::Ground,
            (_, Some(Ground::Shifted { to, head })) => {
                // What was delivered before the run tells whether that was moved alone.
                self.found_from = known.iter().map(|(_, distance)| *distance).max().unwrap_or_default();
                // Up is where records are read again, and none is skipped. And if all that was delivered stands there
                // together, whatever it was that it passed stands at the head now.
                if to <= self.origin || (!self.head.is_empty() && self.others().is_empty()) {
                    return Found::Ground;
                }
                if !self.head.is_empty() {
                    self.found_to = known.last().map_or(offset, |(index, _)| offset.saturating_add(*index as u64));
                    self.head_at = head;
                    self.way = Way::Head(offset);
                    return self.ask(head);
                }
            }
            (_, None) => {}
        }
        if self.order == Order::MayChange && (self.memory.run as usize) < CHAIN {
            // Too few were delivered to tell a shift from a move. From the head, these are all that comes again.
            return Found::Nowhere;
        }
        self.note_windows(offset, page.len() as u64);
        if self.is_clamped(page) {
            self.end = self.end.min(offset);
        }
        if self.way == Way::Estimate && known.is_empty() {
            return self.doubt_estimate(offset);
        }
        if let Some(target) = self.estimate(offset, &known) {
            self.way = Way::Estimate;
            return self.ask(target);
        }
        self.next()
    }

    /// Whether the same page came for several windows further down: the server takes no larger offset.
    fn is_clamped(&mut self, page: &[Identity]) -> bool {
        if self.way == Way::Down {
            let first = page.first().map(Identity::fingerprint);
            self.same = if std::mem::replace(&mut self.above, first) == first { self.same + 1 } else { 0 };
        }
        self.same >= CLAMPED
    }

    /// There is nothing at `offset`: the listing ends before it.
    pub(super) fn is_beyond(&mut self, offset: u64) -> Found {
        self.end = self.end.min(offset);
        self.down = None;
        if self.way == Way::Estimate {
            return self.doubt_estimate(offset);
        }
        match self.way {
            // In big steps until there's something: all of it is behind the end.
            Way::Origin | Way::Up if self.size == 0 => {
                self.up = (offset > 0).then(|| offset.saturating_sub(self.stride));
                self.stride = self.stride.saturating_mul(2);
            }
            _ => {}
        }
        self.next()
    }

    /// Whether what stands there tells where the position is.
    fn ground(&self, known: &[(usize, u32)], offset: u64) -> Option<Ground> {
        let mut run = known.iter().filter(|(_, distance)| *distance < self.memory.run);
        let first = run.next()?;
        // One is enough where records keep their order; and one that begins a window that was asked for as it should.
        let begins = first.0 == 0 && matches!(self.way, Way::Origin | Way::Up);
        if self.order == Order::Fixed || begins {
            return Some(Ground::Certain);
        }
        // In order, and no further apart than they were: some between them may be gone.
        let (mut chain, mut from, mut last) = (1, first, first);
        let mut ground = None;
        for it in run {
            let follows = it.1 < last.1 && it.0 - last.0 <= (last.1 - it.1) as usize;
            (chain, from) = if follows { (chain + 1, from) } else { (1, it) };
            last = it;
            if chain >= CHAIN {
                let at = |(index, distance): (usize, u32)| offset.saturating_add(index as u64 + u64::from(distance));
                ground = Some(Ground::Shifted { to: at(*last), head: at(*from).saturating_sub(self.depth) });
            }
        }
        ground
    }

    /// The records of the head that were delivered before the part of the run that was found.
    fn others(&self) -> Vec<u64> {
        let is_of_run = |id: &u64| self.memory.distances.get(id).is_some_and(|it| *it <= self.found_from);
        self.head.iter().copied().filter(|it| !is_of_run(it)).collect()
    }

    /// By how much the listing was pushed down since the run was found, if what was its head, or what is left of it, stands
    /// in a page that begins where it was by then. `None` if it doesn't.
    fn head_shift(&self, offset: u64, page: &[Identity]) -> Option<u64> {
        let others = self.others();
        let there = page.iter().zip(0u64..).filter_map(|(id, index)| {
            let place = others.iter().position(|it| *it == id.fingerprint())?;
            Some((place, index))
        });
        let there: Vec<_> = there.take(CHAIN).collect();
        let (place, index) = *there.first()?;
        // Some of the run may be gone, so that it's off by a few; and some of these may be in the part that isn't seen.
        let is_near = place <= FEW as usize;
        let room = page.len() - usize::try_from(index).ok()?;
        let enough = there.len() >= 2.min(others.len()).min(room);
        (is_near && enough && there.is_sorted()).then(|| {
            let now = offset.saturating_add(index).saturating_sub(place as u64);
            now.saturating_sub(self.head_at)
        })
    }

    /// Where the position should be by the lowest known record.
    fn estimate(&mut self, offset: u64, known: &[(usize, u32)]) -> Option<u64> {
        let (index, distance) = *known.last()?;
        let at = offset.saturating_add(index as u64);
        if self.landmark.is_none_or(|(closest, _)| distance < closest) {
            self.landmark = Some((distance, at));
        }
        // Some records before it, to see several of the run.
        let lead = if self.order == Order::Fixed { 0 } else { CHAIN as u64 - 1 };
        let target = at.saturating_add(distance.into()).saturating_sub(lead);
        // Or, where what comes behind it is gone, those before it.
        let above = at.saturating_sub(self.size.max(2) - 1);
        let is_new = |it: &u64| *it != offset && *it < self.end && !self.tried.contains(it);
        let target = [target, above].into_iter().find(is_new).filter(|_| self.tried.len() < ESTIMATES)?;
        self.tried.push(target);
        Some(target)
    }

    /// Which windows come next, by what was there in this one.
    fn note_windows(&mut self, offset: u64, received: u64) {
        let is_first = self.size == 0;
        self.size = self.size.max(received);
        // The run may reach from one window to the next; half of it may be gone. But the first step up is a short one, as are
        // most shifts.
        let needed = if self.order == Order::Fixed { 1 } else { CHAIN as u64 };
        let run = u64::from(self.memory.run);
        let slack = run.min(run / 2 + FEW).saturating_sub(needed);
        let near = self.size.max(2) - 1;
        let below = offset.saturating_add(received.max(2) - 1).saturating_add(slack);
        let step = if is_first { near } else { near.saturating_add(slack) };
        let above = (offset > 0).then(|| offset.saturating_sub(step));
        // A page that had room for more is the last, as a rule: below it is looked at the end.
        let is_last = received < self.limit;
        let below = (below < self.end && !(is_first && is_last)).then_some(below);
        match self.way {
            _ if is_first => (self.down, self.up) = (below, above),
            Way::Down => self.down = below,
            Way::Up if self.ups == 1 => self.up = (offset > 0).then(|| offset.saturating_sub(near + near.min(slack))),
            Way::Up => self.up = above,
            _ => {}
        }
    }

    fn next(&mut self) -> Found {
        let down = self.down.filter(|it| *it < self.end);
        let (way, target) = match (down, self.up) {
            (Some(down), None) => (Way::Down, down),
            (None, Some(up)) => (Way::Up, up),
            (Some(down), Some(_)) if self.is_downs_turn() => (Way::Down, down),
            (Some(_), Some(up)) => (Way::Up, up),
            (None, None) => match self.landmark.filter(|_| self.order == Order::Fixed && self.way != Way::Landmark) {
                Some((_, at)) => (Way::Landmark, at),
                None => return Found::Nowhere,
            },
        };
        self.last_was_down = way == Way::Down;
        self.ups += u32::from(way == Way::Up);
        match way {
            Way::Down => self.down = None,
            Way::Up => self.up = None,
            _ => {}
        }
        self.way = way;
        self.ask(target)
    }

    /// The run isn't where a known record says that it should be.
    fn doubt_estimate(&mut self, offset: u64) -> Found {
        // Some of its last records were removed: then it ends a little further up.
        let above = offset.saturating_sub(self.size.max(2) - 1);
        if !self.tried.contains(&above) && self.tried.len() < ESTIMATES {
            self.tried.push(above);
            return self.ask(above);
        }
        match self.landmark.filter(|_| self.order == Order::Fixed) {
            // It is gone. Where records keep their order, what follows the landmark is what follows the run, too.
            Some((_, at)) => {
                self.way = Way::Landmark;
                self.ask(at)
            }
            None => self.next(),
        }
    }

    /// Either way in turn, but up twice at first: as the run reaches far up, all of it is out of sight only if some of its
    /// last records were removed, or if a lot was added.
    fn is_downs_turn(&self) -> bool {
        self.ups >= UPS_FIRST && !self.last_was_down
    }

    fn ask(&mut self, target: u64) -> Found {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Found::Ask(target)
            }
            None => Found::Nowhere,
        }
    }
}
