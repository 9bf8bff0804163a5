//! Proof by a second scan: a listing is scanned again, and both scans are compared. Does no I/O.
//!
//! If two scans, one after the other, see the same records in the same order, that is what stood in the listing between
//! them. A record that both miss must have moved across the position of both while as many records came at the head.
//! (Afek et al., "Atomic Snapshots of Shared Memory", JACM 1993, call this a double collect.)
//!
//! Memory is bounded: a scan is compared by a hash of its sequence. What was delivered is remembered as the last keys,
//! and as sums of chunks of keys. A chunk ends at a record whose own hash says so, so that chunks are the same in both
//! scans wherever records were added or removed before them.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use crate::cursor::sequence::Sequence;
use crate::page::walk::plan::{HeadAgain, Plan};
use crate::page::walk::recent::RecentKeys;
use crate::page::walk::{Delivery, Walk};
use crate::page::{Doubt, RecordKey};

/// One record in so many ends a chunk, at first.
const CHUNK: u64 = 64;

/// How many times as long as the usual chunk one is held at most. What is longer is delivered again.
const LONGEST: u64 = 64;

/// How many chunks are remembered. With more, chunks are made twice as long.
const MOST_CHUNKS: usize = 1 << 15;

/// A scan that has ended, as the next one is compared with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scanned {
    pub(crate) sequence: Sequence,
    /// By how many records the listing was seen to shift. `None` if a position was lost, or a shift can't be explained
    /// by records that were added at the head.
    pub(crate) shift: Option<u64>,
}

/// Scans a listing again until two scans in a row agree. `E` is a record, or an invalid one.
#[derive(Debug)]
pub(crate) struct Verification<E> {
    plan: Plan,
    /// How many more scans may be made.
    left: u32,
    /// The scan before the current one, if it can be compared.
    base: Option<Scanned>,
    /// The first record of the scan before the current one.
    first: Option<u64>,
    again: Option<Again>,
    delivered: Delivered,
    /// The records of the current chunk that aren't remembered as delivered.
    held: Vec<(RecordKey, E)>,
    is_resumed: bool,
    /// The fingerprints of the last records before the cursor.
    before: Vec<u64>,
    /// More records stood above the first one than may be held, so that they weren't delivered.
    has_dropped: bool,
    has_agreed: bool,
    earlier: Earlier,
}

/// What the summary counts of the scans before the current one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Earlier {
    pub(crate) scans: u32,
    pub(crate) requests: u64,
    pub(crate) repeats: u64,
    pub(crate) lost_positions: u64,
    pub(crate) totals: Option<(u64, u64)>,
}

/// The second scan, or a later one, while it runs.
#[derive(Debug, Default)]
struct Again {
    /// All of its records.
    sequence: Sequence,
    /// How many of its records stand above the first one of the scan before.
    above: u64,
    /// Its records from that one on, up to as many as the scan before saw.
    same: Option<Sequence>,
}

/// What was delivered.
#[derive(Debug)]
struct Delivered {
    last: RecentKeys,
    /// The chunks of the first scan in their order: the fingerprint of the record that ends each, and the sum of the
    /// fingerprints in it.
    chunks: Vec<(u64, u64)>,
    /// The sums of the chunks whose records were delivered, from the second scan on.
    sums: HashSet<u64>,
    /// A record whose fingerprint has none of these bits ends a chunk.
    mask: u64,
    /// The sum of the current chunk.
    sum: u64,
    is_begun: bool,
}

/// Where a record of a later scan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Above the first record of the scan before, as far as is known.
    Above,
    /// Among as many records as the scan before saw.
    Within,
    /// Below those.
    Below,
}

impl<E> Verification<E> {
    /// `scans`: how many scans may be made in all, two at least. `before`: the last records before the cursor that the
    /// scan resumed from, if it did. A cursor doesn't tell what else was delivered before it.
    pub(crate) fn new(plan: &Plan, scans: u32, before: Option<&[u64]>) -> Self {
        let mut plan = plan.clone();
        plan.widen();
        Self {
            left: scans.max(2) - 1,
            base: None,
            first: None,
            again: None,
            delivered: Delivered::new(plan.remembered),
            held: Vec::new(),
            plan,
            is_resumed: before.is_some(),
            before: before.unwrap_or_default().to_vec(),
            has_dropped: false,
            has_agreed: false,
            earlier: Earlier::default(),
        }
    }

    /// Whether the listing was scanned again, or is.
    pub(crate) fn is_again(&self) -> bool {
        self.again.is_some()
    }

    /// Whether two scans in a row agreed.
    pub(crate) fn has_agreed(&self) -> bool {
        self.has_agreed
    }

    pub(crate) fn earlier(&self) -> Earlier {
        self.earlier
    }

    /// Notes a record that the first scan delivered.
    pub(crate) fn note_delivered(&mut self, id: &RecordKey, delivery: Delivery) {
        if self.is_again() {
            return;
        }
        self.delivered.last.add(id.clone());
        if matches!(delivery, Delivery::Next(_)) {
            self.delivered.push(id.fingerprint());
        }
    }

    /// Takes a record of a later scan. What may not have been delivered is held until its chunk ends, and appended to
    /// `late` then unless the chunk was delivered.
    pub(crate) fn take(&mut self, id: RecordKey, entry: E, delivery: Delivery, late: &mut Vec<(RecordKey, E)>) {
        let Delivery::Next(_) = delivery else {
            // A late record stands before others that this scan has seen, and is in no chunk.
            let is_held = self.held.iter().any(|(held, _)| *held == id);
            if delivery == Delivery::Late && !is_held && !self.delivered.last.contains(&id) {
                self.delivered.last.add(id.clone());
                late.push((id, entry));
            }
            return;
        };
        let fingerprint = id.fingerprint();
        if self.first == Some(fingerprint) && (!self.is_resumed || self.place() == Place::Above) {
            // The chunks of the scan before begin at this record.
            self.end_chunk(late);
        }
        if let Some(again) = &mut self.again {
            again.push(fingerprint, self.base.as_ref());
        }
        let is_end = self.delivered.add(fingerprint);
        let place = self.place();
        // What was delivered before a cursor is unknown, but not what came to the ends of the listing since.
        let may_be_new = !self.is_resumed || (place != Place::Within && !self.before.contains(&fingerprint));
        if may_be_new && !self.delivered.last.contains(&id) {
            self.held.push((id, entry));
        }
        let is_unsure = self.is_resumed && place == Place::Above;
        if is_unsure && self.held.len() > self.plan.remembered {
            self.has_dropped = true;
            self.held.clear();
        }
        if is_end && !is_unsure {
            self.end_chunk(late);
        } else if self.held.len() as u64 > self.delivered.longest() && !is_unsure {
            self.deliver_held(late);
        }
    }

    /// Takes the end of a later scan.
    pub(crate) fn flush(&mut self, late: &mut Vec<(RecordKey, E)>) {
        if self.is_resumed && self.place() == Place::Above {
            return self.held.clear();
        }
        self.end_chunk(late);
    }

    fn end_chunk(&mut self, late: &mut Vec<(RecordKey, E)>) {
        let was_delivered = self.delivered.end_chunk();
        if was_delivered && !self.is_resumed {
            self.held.clear();
        }
        self.deliver_held(late);
    }

    fn deliver_held(&mut self, late: &mut Vec<(RecordKey, E)>) {
        for (id, entry) in self.held.drain(..) {
            self.delivered.last.add(id.clone());
            late.push((id, entry));
        }
    }

    /// Where the last record of the current scan stands.
    fn place(&self) -> Place {
        let base = self.base.map_or(0, |base| base.sequence.count);
        match self.again.as_ref().and_then(|again| Some((again.sequence.count - again.above, again.same?))) {
            None => Place::Above,
            Some((from_first, _)) if from_first > base => Place::Below,
            Some(_) => Place::Within,
        }
    }

    /// Ends a scan: the first one, as `scanned`, or a later one. Returns the walk of the next scan, if there is to be
    /// one.
    pub(crate) fn end_scan(&mut self, walk: &Walk, first: Scanned) -> Option<Walk> {
        let scanned = match &self.again {
            None => first,
            Some(again) => {
                let scanned = Scanned { sequence: again.sequence, shift: walk.shift() };
                self.has_agreed = walk.is_comparable()
                    && !self.has_dropped
                    && self.base.is_some_and(|base| again.agrees(&base) && scanned.is_explained(walk.above_head()));
                scanned
            }
        };
        let base = Some(scanned).filter(|it| it.shift.is_some() && walk.is_comparable());
        // Without a scan to compare the next one with, it takes two more.
        let needed = if base.is_some() { 1 } else { 2 };
        // A first scan that isn't resumed didn't read the head again, so there is always a second one.
        let is_over =
            if self.is_resumed { self.is_again() || base.is_none() } else { self.is_again() && self.left < needed };
        if self.has_agreed || is_over || self.left == 0 {
            return None;
        }
        (self.base, self.first) = (base, scanned.sequence.first());
        self.left -= 1;
        self.again = Some(Again::default());
        self.delivered.begin();
        self.earlier.add(walk);
        let plan = Plan { start: 0, head_again: HeadAgain::ToExplain, probes_end: true, ..self.plan.clone() };
        Some(Walk::again(plan, walk))
    }

    /// Why the listing isn't verified: the doubt that remains after the last scan.
    pub(crate) fn doubt(&self, walk: &Walk) -> Option<Doubt> {
        let total = walk.trusted_total();
        // Whatever a total counts, a listing beside which it is above 0 isn't known to be empty.
        let any_total = merged(self.earlier.totals, walk.counters().totals).map_or(0, |(_, most)| most);
        let is_other = |again: &Again| {
            let is_empty = again.sequence.count == 0;
            total.is_some_and(|total| total != again.sequence.count) || (is_empty && any_total > 0)
        };
        match walk.doubt_beside_total() {
            Some(doubt @ (Doubt::Alike | Doubt::SingleRecords | Doubt::EndUnproved)) if !self.has_agreed => Some(doubt),
            // The server counts more records than it lists, or fewer.
            _ if self.again.as_ref().is_some_and(is_other) => Some(Doubt::TotalDiffers),
            _ if self.has_agreed => None,
            _ if self.has_dropped && self.place() != Place::Above => Some(Doubt::BeyondMemory),
            _ => Some(Doubt::ScansDiffer),
        }
    }
}

impl Scanned {
    /// Whether at least as many records came at the head as the listing shifted by.
    fn is_explained(&self, above: Option<u64>) -> bool {
        let is_empty = self.sequence.count == 0;
        is_empty || self.shift.zip(above).is_some_and(|(shift, above)| shift <= above)
    }
}

impl Again {
    fn push(&mut self, fingerprint: u64, base: Option<&Scanned>) {
        self.sequence.push(fingerprint);
        let Some(base) = base else { return };
        if self.same.is_none() && base.sequence.first() != Some(fingerprint) {
            self.above += 1;
            return;
        }
        let same = self.same.get_or_insert_default();
        if same.count < base.sequence.count {
            same.push(fingerprint);
        }
    }

    /// Whether this scan saw the same records in the same order, and the shifts of the scan before are explained by the
    /// records that came at the head since it began.
    fn agrees(&self, base: &Scanned) -> bool {
        match self.same {
            None => base.sequence.count == 0 && self.sequence.count == 0,
            Some(same) => same == base.sequence && base.is_explained(Some(self.above)),
        }
    }
}

impl Delivered {
    fn new(remembered: usize) -> Self {
        Self {
            last: RecentKeys::new(remembered),
            chunks: Vec::new(),
            sums: HashSet::new(),
            mask: CHUNK - 1,
            sum: 0,
            is_begun: false,
        }
    }

    /// How many records are held of one chunk at most.
    fn longest(&self) -> u64 {
        (self.mask + 1).saturating_mul(LONGEST)
    }

    /// Adds a record to the chunk. Returns whether it ends the chunk.
    fn add(&mut self, fingerprint: u64) -> bool {
        self.sum = self.sum.wrapping_add(fingerprint);
        self.is_begun = true;
        fingerprint & self.mask == 0
    }

    /// Adds a record of the first scan.
    fn push(&mut self, fingerprint: u64) {
        if !self.add(fingerprint) {
            return;
        }
        self.chunks.push((fingerprint, std::mem::take(&mut self.sum)));
        self.is_begun = false;
        if self.chunks.len() > MOST_CHUNKS {
            self.thin();
        }
    }

    /// Makes chunks twice as long: half of the records that ended one no longer do.
    fn thin(&mut self) {
        self.mask = 2 * self.mask + 1;
        let mut sum: u64 = 0;
        let mut kept = Vec::with_capacity(self.chunks.len());
        for (end, part) in self.chunks.drain(..) {
            sum = sum.wrapping_add(part);
            if end & self.mask == 0 {
                kept.push((end, std::mem::take(&mut sum)));
            }
        }
        self.is_begun |= sum != 0;
        (self.chunks, self.sum) = (kept, sum);
    }

    /// Begins the next scan.
    fn begin(&mut self) {
        self.sums.extend(self.chunks.drain(..).map(|(_, sum)| sum));
        self.chunks = Vec::new();
        self.end_chunk();
    }

    /// Ends a chunk of a later scan. Returns whether all of its records were delivered before.
    fn end_chunk(&mut self) -> bool {
        let sum = std::mem::take(&mut self.sum);
        !std::mem::take(&mut self.is_begun) || !self.sums.insert(sum)
    }
}

impl Earlier {
    fn add(&mut self, walk: &Walk) {
        let counters = walk.counters();
        self.scans += 1;
        self.requests += counters.requests;
        self.repeats += counters.repeats;
        self.lost_positions += counters.lost_positions;
        self.totals = merged(self.totals, counters.totals);
    }
}

/// The smallest and the largest of both.
pub(crate) fn merged(one: Option<(u64, u64)>, other: Option<(u64, u64)>) -> Option<(u64, u64)> {
    match (one, other) {
        (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
        (one, other) => one.or(other),
    }
}
