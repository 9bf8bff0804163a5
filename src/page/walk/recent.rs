//! The records that a scan has seen recently, by which it recognizes repeats. Does no I/O.

use std::collections::{HashMap, VecDeque};

use crate::page::RecordKey;
use crate::page::walk::head::ANCHORS;

/// The keys of the records that were seen last: a bounded number, in the order in which they were seen.
#[derive(Debug, Default)]
pub(super) struct RecentKeys {
    /// Each key with its number among the records that followed one another. `None` for a record that stands elsewhere.
    numbers: HashMap<RecordKey, Option<u64>>,
    /// How many records followed one another.
    next: u64,
    /// How many of these numbers belong to no record any more, as it was numbered again.
    renumbered: u64,
    order: VecDeque<RecordKey>,
    most: usize,
    forgotten: bool,
}

impl RecentKeys {
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Returns the keys, the last one first.
    pub(super) fn iter_back(&self) -> impl Iterator<Item = &RecordKey> {
        self.order.iter().rev()
    }

    /// Returns the fingerprints of the records that were seen first, or none if they are forgotten.
    pub(super) fn first_ones(&self) -> Vec<u64> {
        let some = if self.forgotten { 0 } else { ANCHORS };
        self.order.iter().take(some).map(RecordKey::fingerprint).collect()
    }

    pub(super) fn contains(&self, id: &RecordKey) -> bool {
        self.numbers.contains_key(id)
    }

    /// Returns the last key with the same raw JSON.
    pub(super) fn alike(&self, id: &RecordKey) -> Option<&RecordKey> {
        self.order.iter().rev().find(|it| it.is_alike(id))
    }

    /// Returns the key that was seen `before` keys before the last.
    pub(super) fn nth_last(&self, before: u64) -> Option<&RecordKey> {
        self.order.iter().nth_back(usize::try_from(before).ok()?)
    }

    /// Adds a record that stands somewhere before the last. Returns the one that is forgotten for it, if any.
    pub(super) fn add(&mut self, id: RecordKey) -> Option<RecordKey> {
        self.insert(id, None)
    }

    /// Adds the record that stands right behind the last. Returns the one that is forgotten for it, if any.
    pub(super) fn add_next(&mut self, id: RecordKey) -> Option<RecordKey> {
        let number = self.next;
        self.next += 1;
        self.insert(id, Some(number))
    }

    /// Adds records that stand somewhere before the last. Those that are here already push out none that was seen
    /// after them.
    pub(super) fn add_all(&mut self, others: Self) {
        let (seen, new): (Vec<_>, Vec<_>) = others.order.into_iter().partition(|id| self.contains(id));
        for id in seen {
            self.numbers.insert(id, None);
        }
        for id in new {
            self.insert(id, None);
        }
    }

    /// Notes that an already seen record stands right behind the last one now.
    pub(super) fn move_behind(&mut self, id: &RecordKey) {
        if let Some(number) = self.numbers.get_mut(id) {
            self.renumbered += u64::from(number.is_some());
            *number = Some(self.next);
            self.next += 1;
        }
    }

    fn insert(&mut self, id: RecordKey, number: Option<u64>) -> Option<RecordKey> {
        if self.forgotten && self.numbers.len() == self.numbers.capacity() {
            // Removed keys leave tombstones, for which the table would double. Dropping it first means that there are
            // never two.
            let numbers = std::mem::take(&mut self.numbers);
            let kept: Vec<_> = self.order.iter().map(|id| numbers.get(id).copied().flatten()).collect();
            drop(numbers);
            self.numbers.reserve(self.order.len() + 1);
            self.numbers.extend(self.order.iter().cloned().zip(kept));
        }
        if self.numbers.insert(id.clone(), number).is_none() {
            self.order.push_back(id);
        }
        let oldest = if self.order.len() > self.most { self.order.pop_front() } else { None }?;
        self.numbers.remove(&oldest);
        self.forgotten = true;
        Some(oldest)
    }

    /// Returns how many records followed one another, forgotten ones included.
    pub(super) fn count(&self) -> u64 {
        self.next - self.renumbered
    }

    /// Returns whether this is the distance of the first one of these from the last.
    pub(super) fn is_first(&self, distance: u64) -> bool {
        distance + 1 == self.next
    }

    /// Returns how far before the last record this one stands, if it is remembered.
    pub(super) fn distance(&self, id: &RecordKey) -> Option<u64> {
        let number = self.numbers.get(id).copied().flatten()?;
        Some((self.next - 1).saturating_sub(number))
    }

    /// Returns whether more records were seen than are remembered.
    pub(super) fn has_forgotten(&self) -> bool {
        self.forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A memory of so many records that these were added to, one behind the other.
    fn memory(most: usize, ids: impl IntoIterator<Item = i64>) -> RecentKeys {
        let mut memory = RecentKeys::new(most);
        for id in ids {
            memory.add_next(RecordKey::from(id));
        }
        memory
    }

    #[test]
    fn records_that_are_remembered_already_push_out_none_that_was_seen_after_them() {
        let mut seen = memory(4, 1..=4);
        // 5 is new, and forgets 1, which was seen again behind it.
        seen.add_all(memory(4, [2, 5, 1]));
        let kept: Vec<_> = seen.iter_back().cloned().collect();
        assert_eq!(kept, [5, 4, 3, 2].map(RecordKey::from));
        assert_eq!(seen.distance(&RecordKey::from(2)), None, "2 stands elsewhere now");
        assert_eq!(seen.distance(&RecordKey::from(4)), Some(0));
    }

    #[test]
    fn the_record_that_is_forgotten_for_another_is_returned() {
        let mut seen = memory(2, 1..=2);
        assert_eq!(seen.add_next(RecordKey::from(2)), None);
        assert_eq!(seen.add_next(RecordKey::from(3)), Some(RecordKey::from(1)));
        assert_eq!(seen.add(RecordKey::from(4)), Some(RecordKey::from(2)));
    }
}
