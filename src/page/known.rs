use std::collections::{HashSet, VecDeque};

use super::Identity;

/// The identities met last, a bounded number of them, in the order in which they were met.
#[derive(Debug, Default)]
pub(super) struct Known {
    set: HashSet<Identity>,
    order: VecDeque<Identity>,
    most: usize,
    forgotten: bool,
    /// Fingerprints of some that were met before all of these, by a scan that this one resumes.
    before: HashSet<u64>,
}

impl Known {
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), ..Self::default() }
    }

    /// Also knows these, of which there are only fingerprints.
    pub(super) fn resume(&mut self, before: &[u64]) {
        self.before = before.iter().copied().collect();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(super) fn contains(&self, id: &Identity) -> bool {
        self.set.contains(id) || (!self.before.is_empty() && self.before.contains(&id.fingerprint()))
    }

    /// The last one of the same text.
    pub(super) fn alike(&self, id: &Identity) -> Option<&Identity> {
        self.order.iter().rev().find(|it| it.is_alike(id))
    }

    /// The one that was met so many before the last.
    pub(super) fn nth_last(&self, before: u64) -> Option<&Identity> {
        self.order.iter().nth_back(usize::try_from(before).ok()?)
    }

    pub(super) fn add(&mut self, id: Identity) {
        if self.forgotten && self.set.len() == self.set.capacity() {
            // What was removed leaves its traces, for which the table would double. Dropped first, there's never a second.
            self.set = HashSet::new();
            self.set.reserve(self.order.len() + 1);
            self.set.extend(self.order.iter().cloned());
        }
        if self.set.insert(id.clone()) {
            self.order.push_back(id);
        }
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
            self.forgotten = true;
        }
    }

    /// Whether more were met than are remembered.
    pub(super) fn has_forgotten(&self) -> bool {
        self.forgotten
    }

    pub(super) fn into_order(self) -> VecDeque<Identity> {
        self.order
    }
}
