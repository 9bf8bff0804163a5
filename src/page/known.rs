use std::collections::{HashMap, VecDeque};

use super::Identity;
use super::head::ANCHORS;

/// The identities met last, a bounded number of them, in the order in which they were met.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Each with its number among those that came next, one behind the other. `None` for one that stands elsewhere.
    numbers: HashMap<Identity, Option<u64>>,
    /// How many came next.
    next: u64,
    order: VecDeque<Identity>,
    most: usize,
    forgotten: bool,
}

impl Known {
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The one met last first.
    pub(super) fn iter_back(&self) -> impl Iterator<Item = &Identity> {
        self.order.iter().rev()
    }

    /// Fingerprints of those met first, none if they are forgotten.
    pub(super) fn first_ones(&self) -> Vec<u64> {
        let some = if self.forgotten { 0 } else { ANCHORS };
        self.order.iter().take(some).map(Identity::fingerprint).collect()
    }

    pub(super) fn contains(&self, id: &Identity) -> bool {
        self.numbers.contains_key(id)
    }

    /// The last one of the same text.
    pub(super) fn alike(&self, id: &Identity) -> Option<&Identity> {
        self.order.iter().rev().find(|it| it.is_alike(id))
    }

    /// The one that was met so many before the last.
    pub(super) fn nth_last(&self, before: u64) -> Option<&Identity> {
        self.order.iter().nth_back(usize::try_from(before).ok()?)
    }

    /// Adds one that stands somewhere before the last.
    pub(super) fn add(&mut self, id: Identity) {
        self.insert(id, None);
    }

    /// Adds the one that stands right behind the last.
    pub(super) fn add_next(&mut self, id: Identity) {
        let number = self.next;
        self.next += 1;
        self.insert(id, Some(number));
    }

    fn insert(&mut self, id: Identity, number: Option<u64>) {
        if self.forgotten && self.numbers.len() == self.numbers.capacity() {
            // What was removed leaves its traces, for which the table would double. Dropped first, there's never a second.
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

    /// How many came next, those counted that are forgotten.
    pub(super) fn count(&self) -> u64 {
        self.next
    }

    /// How far before the last one it stands, if that is known.
    pub(super) fn distance(&self, id: &Identity) -> Option<u64> {
        let number = self.numbers.get(id).copied().flatten()?;
        Some((self.next - 1).saturating_sub(number))
    }

    /// Whether more were met than are remembered.
    pub(super) fn has_forgotten(&self) -> bool {
        self.forgotten
    }

    pub(super) fn into_order(self) -> VecDeque<Identity> {
        self.order
    }
}
