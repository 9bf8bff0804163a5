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

    /// Adds a record that stands somewhere before the last.
    pub(super) fn add(&mut self, id: RecordKey) {
        self.insert(id, None);
    }

    /// Adds the record that stands right behind the last.
    pub(super) fn add_next(&mut self, id: RecordKey) {
        let number = self.next;
        self.next += 1;
        self.insert(id, Some(number));
    }

    /// Notes that these records stand somewhere before the last, if they are remembered.
    pub(super) fn unnumber(&mut self, others: &Self) {
        for id in &others.order {
            if let Some(number) = self.numbers.get_mut(id) {
                *number = None;
            }
        }
    }

    /// Adds records that stand somewhere before the last.
    pub(super) fn add_all(&mut self, others: Self) {
        for id in others.order {
            self.add(id);
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

    fn insert(&mut self, id: RecordKey, number: Option<u64>) {
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
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.numbers.remove(&oldest);
            self.forgotten = true;
        }
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
    use crate::page::walk::tests::key;

    fn seen(most: usize, ids: impl IntoIterator<Item = i64>) -> RecentKeys {
        let mut seen = RecentKeys::new(most);
        ids.into_iter().for_each(|id| seen.add_next(key(id)));
        seen
    }

    #[test]
    fn only_the_last_keys_are_remembered() {
        let full = seen(3, 1..=3);
        assert!(!full.has_forgotten() && full.contains(&key(1)));
        assert_eq!(full.first_ones(), [1, 2, 3].map(|id| key(id).fingerprint()));
        let over = seen(3, 1..=5);
        assert!(over.has_forgotten() && over.first_ones().is_empty());
        assert_eq!([2, 3, 4, 5].map(|id| over.distance(&key(id))), [None, Some(2), Some(1), Some(0)]);
        assert_eq!([2, 3].map(|id| over.contains(&key(id))), [false, true]);
        assert_eq!([0, 2, 3].map(|it| over.nth_last(it).cloned()), [Some(key(5)), Some(key(3)), None]);
        assert_eq!(over.count(), 5);
        // One at least.
        assert!(seen(0, 1..=2).contains(&key(2)));
        assert!(seen(3, []).is_empty() && !full.is_empty());
    }

    #[test]
    fn distances_are_right_however_many_keys_were_forgotten() {
        let mut seen = RecentKeys::new(5);
        for id in 1..=1_000 {
            seen.add_next(key(id));
            for before in 0..5.min(id) {
                assert_eq!(seen.distance(&key(id - before)), Some(before.cast_unsigned()), "{id}");
            }
            assert_eq!((seen.numbers.len(), seen.order.len()), (5.min(id as usize), 5.min(id as usize)));
        }
    }

    #[test]
    fn a_record_that_moves_behind_the_last_one_is_numbered_again_and_counted_once() {
        let mut seen = seen(9, 1..=3);
        assert!(seen.is_first(2) && !seen.is_first(1) && !seen.is_first(3));
        seen.move_behind(&key(1));
        assert_eq!([1, 3, 2].map(|id| seen.distance(&key(id))), [Some(0), Some(1), Some(2)]);
        assert_eq!(seen.count(), 3);
        // One that stood elsewhere is counted from then on.
        seen.add(key(9));
        assert_eq!((seen.distance(&key(9)), seen.count()), (None, 3));
        seen.move_behind(&key(9));
        assert_eq!((seen.distance(&key(9)), seen.distance(&key(1)), seen.count()), (Some(0), Some(1), 4));
        // And one that was never seen isn't.
        seen.move_behind(&key(10));
        assert_eq!((seen.distance(&key(9)), seen.count()), (Some(0), 4));
    }

    #[test]
    fn records_that_stand_elsewhere_keep_their_turn_and_lose_their_number() {
        let mut seen = RecentKeys::new(3);
        for id in 1..=3 {
            seen.add_next(RecordKey::from(id));
        }
        let mut again = RecentKeys::new(3);
        for id in [4, 2] {
            again.add_next(RecordKey::from(id));
        }
        seen.unnumber(&again);
        let kept: Vec<_> = seen.iter_back().cloned().collect();
        assert_eq!(kept, [3, 2, 1].map(RecordKey::from), "4 was delivered by another scan, and pushes out none");
        assert_eq!(seen.distance(&RecordKey::from(2)), None);
        assert_eq!(seen.distance(&RecordKey::from(1)), Some(2));
    }
}
