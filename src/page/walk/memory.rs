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
        let near = run.iter().zip(0..).map(|(id, distance)| (*id, distance));
        Self { distances: far.chain(near).collect(), run: u32::try_from(run.len()).unwrap_or(u32::MAX) }
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
