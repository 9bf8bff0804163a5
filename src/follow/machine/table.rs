//! The records of the lookback, newest first, each with a digest of its content. Does no I/O.

use std::collections::{HashMap, VecDeque};

use chrono::{DateTime, Utc};

use crate::page::RecordKey;

/// A record that the follower remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: RecordKey,
    pub(crate) digest: u64,
    /// Whether the record is in a final state. `None` if the listing doesn't say.
    pub(crate) is_final: Option<bool>,
    pub(crate) time: Option<DateTime<Utc>>,
    /// The sweep that saw it last, and the one that saw its neighbours without it.
    pub(crate) seen: u64,
    pub(crate) absent: u64,
    /// How many sweeps in a row found its neighbours without it.
    pub(crate) missing: u8,
    /// How many sweeps in a row found it unchanged.
    pub(crate) quiet: u8,
}

impl Entry {
    pub(crate) fn new(key: RecordKey, digest: u64, is_final: Option<bool>, time: Option<DateTime<Utc>>) -> Self {
        Self { key, digest, is_final, time, seen: 0, absent: 0, missing: 0, quiet: 0 }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_final == Some(false)
    }

    /// Whether this sweep found neither the record, nor where it would have to stand without it.
    pub(crate) fn is_out_of_sight(&self, sweep: u64) -> bool {
        self.seen != sweep && self.absent != sweep
    }
}

/// The newest records of a listing as they were last seen, a bounded number of them.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// The newest first.
    entries: VecDeque<Entry>,
    /// The number of each key: that of the first entry, less its index.
    numbers: HashMap<RecordKey, u64>,
    first: u64,
    most: usize,
}

impl Table {
    pub(crate) fn new(most: usize) -> Self {
        // Numbers start in the middle, as the table grows at both ends.
        Self { entries: VecDeque::new(), numbers: HashMap::new(), first: 1 << 62, most: most.max(1) }
    }

    pub(crate) fn of(entries: Vec<Entry>, most: usize) -> Self {
        let mut table = Self::new(most);
        for entry in entries {
            table.push_back(entry);
        }
        table
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= self.most
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut()
    }

    pub(crate) fn contains(&self, key: &RecordKey) -> bool {
        self.numbers.contains_key(key)
    }

    /// Returns the index of a record, counted from the newest.
    pub(crate) fn index(&self, key: &RecordKey) -> Option<usize> {
        let number = self.numbers.get(key)?;
        usize::try_from(self.first.wrapping_sub(*number)).ok()
    }

    /// Whether records, the newest first, show where those of the table stand. Where records move, one alone may have
    /// moved there: it takes two in a row in their order.
    pub(crate) fn is_shown<'a>(&self, keys: impl Iterator<Item = &'a RecordKey>, is_stable: bool) -> bool {
        let places: Vec<_> = keys.map(|it| self.index(it)).collect();
        let is_run = |two: &[Option<usize>]| two[0].zip(two[1]).is_some_and(|(newer, older)| newer < older);
        if is_stable { places.iter().any(Option::is_some) } else { places.windows(2).any(is_run) }
    }

    pub(crate) fn rposition(&self, is_wanted: impl FnMut(&Entry) -> bool) -> Option<usize> {
        self.entries.iter().rposition(is_wanted)
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Entry> {
        self.entries.get(index)
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut Entry> {
        self.entries.get_mut(index)
    }

    /// Adds a record that is older than all others. A full table, or one that has the record, ignores it.
    pub(crate) fn push_back(&mut self, entry: Entry) {
        if self.is_full() || self.contains(&entry.key) {
            return;
        }
        self.numbers.insert(entry.key.clone(), self.first - self.entries.len() as u64);
        self.entries.push_back(entry);
    }

    /// Adds a record right above the one at `index`, on its newer side. Returns the records that don't fit any more.
    pub(crate) fn insert(&mut self, index: usize, entry: Entry) -> Option<Entry> {
        if self.is_full() && self.numbers.len() == self.numbers.capacity() {
            // Removed keys leave tombstones, for which the map would double.
            self.numbers = HashMap::new();
            self.numbers.reserve(self.entries.len() + 1);
            self.number_again();
        }
        if index == 0 {
            self.first += 1;
            self.numbers.insert(entry.key.clone(), self.first);
            self.entries.push_front(entry);
        } else {
            self.entries.insert(index.min(self.entries.len()), entry);
            self.number_again();
        }
        let last = if self.entries.len() > self.most { self.entries.pop_back() } else { None };
        if let Some(last) = &last {
            self.numbers.remove(&last.key);
        }
        last
    }

    /// Adds the records of another table that was filled later: those that it doesn't have, as newer than its own.
    /// Returns whether some don't fit any more.
    pub(crate) fn add_newer(&mut self, other: &Self) -> bool {
        let mut has_left = false;
        for entry in other.iter().rev() {
            match self.index(&entry.key).and_then(|it| self.entries.get_mut(it)) {
                Some(known) => known.clone_from(entry),
                None => has_left |= self.insert(0, entry.clone()).is_some(),
            }
        }
        has_left
    }

    /// Moves a record towards the newest.
    pub(crate) fn raise(&mut self, from: usize, to: usize) {
        if from > to
            && let Some(entry) = self.entries.remove(from)
        {
            self.entries.insert(to, entry);
            self.number_again();
        }
    }

    /// Moves so many of the newest records below the one at this index.
    pub(crate) fn lower(&mut self, count: usize, below: usize) {
        if let Some(entries) = self.entries.make_contiguous().get_mut(..=below) {
            entries.rotate_left(count.min(below));
            self.number_again();
        }
    }

    /// Puts the records that have a rank in its order, each where another of them was.
    pub(crate) fn sort_by_rank(&mut self, rank: impl Fn(&Entry) -> Option<usize>) {
        let ranks: Vec<_> = self.entries.iter().map(rank).collect();
        let places: Vec<_> = (0..ranks.len()).filter(|it| ranks[*it].is_some()).collect();
        let mut sorted = places.clone();
        sorted.sort_by_key(|it| ranks[*it]);
        if sorted == places {
            return;
        }
        let entries: Vec<_> = sorted.iter().filter_map(|it| self.entries.get(*it).cloned()).collect();
        for (place, entry) in places.into_iter().zip(entries) {
            if let Some(old) = self.entries.get_mut(place) {
                *old = entry;
            }
        }
        self.number_again();
    }

    pub(crate) fn remove(&mut self, key: &RecordKey) -> Option<Entry> {
        let entry = self.entries.remove(self.index(key)?);
        self.numbers.remove(key);
        self.number_again();
        entry
    }

    /// Drops all records from this index on.
    pub(crate) fn truncate(&mut self, length: usize) {
        for entry in self.entries.drain(length.min(self.entries.len())..) {
            self.numbers.remove(&entry.key);
        }
    }

    fn number_again(&mut self) {
        for (index, entry) in self.entries.iter().enumerate() {
            if let Some(number) = self.numbers.get_mut(&entry.key) {
                *number = self.first - index as u64;
            } else {
                self.numbers.insert(entry.key.clone(), self.first - index as u64);
            }
        }
    }
}
