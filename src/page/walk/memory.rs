//! What a scan remembers of the records before its position, to find that again. Does no I/O.

use std::collections::HashMap;

use crate::page::RecordKey;
use crate::page::walk::recent::RecentKeys;

/// How many of the records that a scan delivered last are looked for.
const RUN: usize = 4_096;

/// The remembered records before the position, with the distance of each from the last delivered one.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    distances: HashMap<u64, u32>,
    /// How many of the last records are remembered without a gap.
    pub(super) run: u32,
}

impl Memory {
    /// `run`: the last delivered records without a gap, the last one first. `landmarks`: some that are further away.
    pub(super) fn new<'a>(run: &[u64], landmarks: impl Iterator<Item = (&'a RecordKey, u32)>) -> Self {
        let far = landmarks.map(|(id, distance)| (id.fingerprint(), distance));
        let mut memory = Self { distances: far.collect(), run: 0 };
        memory.extend(run.iter().copied());
        memory
    }

    /// Adds a longer run without a gap, the last record first, as far as records are looked for.
    pub(super) fn extend(&mut self, run: impl Iterator<Item = u64>) {
        for (id, distance) in run.take(RUN).zip(0..) {
            self.distances.insert(id, distance);
            self.run = self.run.max(distance + 1);
        }
    }

    /// The records that a scan remembers itself, plus what it remembered at its start.
    pub(super) fn of(seen: &RecentKeys, before: &Self) -> Self {
        let mut memory = Self::default();
        for id in seen.iter_back().take(RUN) {
            if let Some(distance) = seen.distance(id).and_then(|it| u32::try_from(it).ok()) {
                memory.distances.insert(id.fingerprint(), distance);
                memory.run = memory.run.max(distance.saturating_add(1));
            }
        }
        if memory.run.checked_sub(1).map_or(seen.count() == 0, |first| seen.is_first(first.into())) {
            let count = memory.run;
            for (id, distance) in &before.distances {
                memory.distances.entry(*id).or_insert(distance.saturating_add(count));
            }
            memory.run = memory.run.saturating_add(before.run);
        }
        memory
    }

    pub(super) fn contains(&self, id: &RecordKey) -> bool {
        !self.distances.is_empty() && self.distances.contains_key(&id.fingerprint())
    }

    pub(super) fn distance(&self, id: &RecordKey) -> Option<u32> {
        self.distance_of(id.fingerprint())
    }

    /// The same for a record of which only the fingerprint is known.
    pub(super) fn distance_of(&self, fingerprint: u64) -> Option<u32> {
        self.distances.get(&fingerprint).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::walk::tests::{key, keys};

    fn fingerprints(ids: impl IntoIterator<Item = i64>) -> Vec<u64> {
        ids.into_iter().map(|id| key(id).fingerprint()).collect()
    }

    fn seen(most: usize, ids: impl IntoIterator<Item = i64>) -> RecentKeys {
        let mut seen = RecentKeys::new(most);
        keys(ids).into_iter().for_each(|id| seen.add_next(id));
        seen
    }

    /// What a cursor remembers behind record 100: three records without a gap, and two of those before.
    fn before() -> Memory {
        let landmarks = [(key(100), 0), (key(90), 10), (key(50), 50)];
        Memory::new(&fingerprints([100, 99, 98]), landmarks.iter().map(|(id, distance)| (id, *distance)))
    }

    fn distances(memory: &Memory, ids: impl IntoIterator<Item = i64>) -> Vec<Option<u32>> {
        ids.into_iter().map(|id| memory.distance(&key(id))).collect()
    }

    #[test]
    fn a_cursor_remembers_its_run_and_what_is_further_away() {
        let memory = before();
        assert_eq!(memory.run, 3);
        assert_eq!(distances(&memory, [100, 98, 97, 90, 50]), [Some(0), Some(2), None, Some(10), Some(50)]);
        assert!(memory.contains(&key(90)) && !memory.contains(&key(97)) && !Memory::default().contains(&key(90)));
    }

    #[test]
    fn what_a_scan_has_seen_since_its_cursor_stands_between_that_and_the_position() {
        let memory = Memory::of(&seen(9, 101..=104), &before());
        assert_eq!(memory.run, 7);
        assert_eq!(distances(&memory, [104, 101, 100, 98, 50]), [Some(0), Some(3), Some(4), Some(6), Some(54)]);
        // Before the first record, the cursor's memory is all there is.
        for nothing in [seen(9, []), {
            let mut elsewhere = seen(9, []);
            elsewhere.add(key(300));
            elsewhere
        }] {
            let memory = Memory::of(&nothing, &before());
            assert_eq!((memory.run, distances(&memory, [100, 50])), (3, vec![Some(0), Some(50)]));
        }
        // A record that is in both stands where it was seen last.
        let memory = Memory::of(&seen(9, [101, 99]), &before());
        assert_eq!(distances(&memory, [99, 101, 100]), [Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn with_a_gap_between_them_a_cursor_says_nothing_about_what_a_scan_has_seen() {
        let memory = Memory::of(&seen(3, 101..=104), &before());
        assert_eq!((memory.run, distances(&memory, [104, 102, 101, 100])), (3, vec![Some(0), Some(2), None, None]));
        // So many are looked for, and no more.
        let count = RUN as i64;
        for (more, run, first) in [(0, RUN + 3, Some(RUN as u32)), (1, RUN, None)] {
            let memory = Memory::of(&seen(RUN + 9, 101..=100 + count + more), &before());
            assert_eq!((memory.run as usize, memory.distance(&key(100))), (run, first));
        }
    }
}
