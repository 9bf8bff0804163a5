//! Proof by a second scan: a listing is scanned again, and both scans are compared. Does no I/O.
//!
//! If two scans, one after the other, see the same records in the same order, that is what stood in the listing between
//! them. A record that both miss must have moved across the position of both while as many records came at the head.
//! (Afek et al., "Atomic Snapshots of Shared Memory", JACM 1993, call this a double collect.)
//!
//! Memory is bounded: a scan is compared by a hash of its sequence. What was delivered is remembered as the last keys,
//! and as sums of chunks of keys. A chunk ends at a record whose own hash says so, so that chunks are the same in both
//! scans wherever records were added or removed before them.

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

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(fingerprints: &[u64]) -> Sequence {
        fingerprints.iter().fold(Sequence::default(), |mut all, it| {
            all.push(*it);
            all
        })
    }

    /// What the first scan delivered, by the fingerprints of its records.
    fn delivered(fingerprints: impl IntoIterator<Item = u64>) -> Delivered {
        let mut delivered = Delivered::new(10);
        fingerprints.into_iter().for_each(|it| delivered.push(it));
        delivered
    }

    /// Whether a later scan finds a chunk of these records delivered.
    fn has(delivered: &mut Delivered, chunk: &[u64]) -> bool {
        for (index, fingerprint) in chunk.iter().enumerate() {
            assert_eq!(delivered.add(*fingerprint), fingerprint & delivered.mask == 0, "record {index}");
        }
        delivered.end_chunk()
    }

    #[test]
    fn a_chunk_was_delivered_if_all_of_its_records_were() {
        let mut delivered = delivered([1, 2, 64, 5, 6, 128, 7]);
        assert_eq!(delivered.chunks, [(64, 67), (128, 139)]);
        delivered.begin();
        // Also the last one, which no record ended.
        for chunk in [&[1, 2, 64][..], &[5, 6, 128], &[7]] {
            assert!(has(&mut delivered, chunk), "{chunk:?}");
        }
        for chunk in [&[1, 64][..], &[5, 6, 8, 128], &[9]] {
            assert!(!has(&mut delivered, chunk), "{chunk:?}");
            // It was delivered by this.
            assert!(has(&mut delivered, chunk), "{chunk:?}");
        }
        // So was one without a record.
        assert!(delivered.end_chunk());
    }

    #[test]
    fn with_too_many_chunks_half_of_them_are_joined_to_the_next() {
        let most = MOST_CHUNKS as u64;
        let all = delivered((1..=most).map(|it| it * 64));
        assert_eq!((all.chunks.len(), all.longest()), (MOST_CHUNKS, 64 * 64));
        // One more, which is no end any more.
        let mut joined = delivered((1..=most + 1).map(|it| it * 64));
        assert_eq!((joined.chunks.len(), joined.longest()), (MOST_CHUNKS / 2, 128 * 64));
        assert_eq!(joined.chunks[..2], [(128, 64 + 128), (256, 192 + 256)]);
        joined.begin();
        assert!(has(&mut joined, &[(most + 1) * 64]));
        // One more, which still is an end: nothing is left over.
        let mut joined = delivered((2..=most + 2).map(|it| it * 64));
        assert_eq!(joined.chunks[..2], [(128, 128), (256, 192 + 256)]);
        joined.begin();
        assert!(!joined.sums.contains(&0) && joined.sums.len() == MOST_CHUNKS / 2 + 1);
    }

    #[test]
    fn two_scans_agree_if_the_records_of_the_first_follow_one_another_in_the_second() {
        let seen = |shift, fingerprints: &[u64]| {
            let base = Scanned { sequence: sequence(&[1, 2, 3]), shift };
            let mut again = Again::default();
            fingerprints.iter().for_each(|it| again.push(*it, Some(&base)));
            again.agrees(&base)
        };
        for (shift, fingerprints, agree) in [
            (Some(0), &[1, 2, 3][..], true),
            (Some(0), &[9, 1, 2, 3, 4, 5], true),
            (Some(1), &[9, 1, 2, 3], true),
            (Some(2), &[9, 1, 2, 3], false),
            (Some(1), &[1, 2, 3], false),
            (None, &[9, 1, 2, 3], false),
            (Some(0), &[1, 3, 2], false),
            (Some(0), &[1, 2], false),
            (Some(0), &[2, 3], false),
            (Some(0), &[1, 9, 2, 3], false),
            (Some(0), &[], false),
        ] {
            assert_eq!(seen(shift, fingerprints), agree, "{shift:?} {fingerprints:?}");
        }
        let empty = Scanned { sequence: Sequence::default(), shift: None };
        let mut again = Again::default();
        assert!(again.agrees(&empty));
        again.push(1, Some(&empty));
        assert!(!again.agrees(&empty));
    }

    #[test]
    fn a_shift_is_explained_by_as_many_records_above_the_first_one() {
        let scanned = |shift| Scanned { sequence: sequence(&[1]), shift };
        assert!(scanned(Some(2)).is_explained(Some(2)) && !scanned(Some(2)).is_explained(Some(1)));
        assert!(!scanned(None).is_explained(Some(9)) && !scanned(Some(0)).is_explained(None));
        // Of an empty listing nothing can have moved.
        assert!(Scanned { sequence: Sequence::default(), shift: None }.is_explained(None));
    }

    #[test]
    fn the_totals_of_several_scans_are_the_smallest_and_the_largest() {
        let cases = [
            (Some((3, 5)), Some((4, 9)), Some((3, 9))),
            (Some((4, 9)), Some((3, 5)), Some((3, 9))),
            (None, Some((3, 5)), Some((3, 5))),
            (Some((3, 5)), None, Some((3, 5))),
            (None, None, None),
        ];
        for (one, other, both) in cases {
            assert_eq!(merged(one, other), both);
        }
    }
}
