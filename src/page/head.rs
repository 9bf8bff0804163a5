//! The head of a listing, as it was and as it is.

use super::Identity;

/// How many of the listing's first records are kept at least, to recognise its head again, and to climb to it later. A
/// first page, if that's longer: when it's read again, none of it is new.
pub(super) const ANCHORS: usize = 65;

/// How many of them must stand where they stood for the head to be the same.
const SAME: usize = 4;

/// The first records of a listing, and what is met of them when its head is read again.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Their fingerprints, as they came.
    anchors: Vec<u64>,
    /// How many records were met on the second way, and whether they were the anchors, in order.
    met: usize,
    same: bool,
    /// The anchor that was met last, if it was the last record met.
    last_anchor: Option<usize>,
}

impl Head {
    pub(super) fn of(anchors: &[u64]) -> Self {
        Self { anchors: anchors.to_vec(), ..Self::default() }
    }

    pub(super) fn anchors(&self) -> &[u64] {
        &self.anchors
    }

    pub(super) fn contains(&self, id: &Identity) -> bool {
        self.anchors.contains(&id.fingerprint())
    }

    /// Keeps the next record of the first way, unless there are enough.
    pub(super) fn keep(&mut self, id: &Identity, page_size: u32) {
        if self.anchors.len() < ANCHORS.max(page_size as usize) {
            self.anchors.push(id.fingerprint());
        }
    }

    /// The second way begins.
    pub(super) fn read_again(&mut self) {
        self.same = true;
    }

    /// Takes the next record of the listing as it is now.
    pub(super) fn meet(&mut self, id: &Identity) {
        if self.is_met() {
            return;
        }
        let id = id.fingerprint();
        let anchor = self.anchors.iter().position(|it| *it == id);
        self.same &= self.met >= self.must_meet() || self.anchors.get(self.met) == Some(&id);
        self.met += 1;
        // Two anchors in a row, in their order: old ground. (One, where there is no more.)
        let in_a_row = anchor > self.last_anchor && (self.last_anchor.is_some() || self.anchors.len() == 1);
        self.last_anchor = if in_a_row && !self.same { Some(usize::MAX) } else { anchor };
    }

    /// Whether what was the head has been met again.
    pub(super) fn is_met(&self) -> bool {
        self.last_anchor == Some(usize::MAX) || self.is_same()
    }

    /// Whether it's the same as it was.
    pub(super) fn is_same(&self) -> bool {
        self.same && self.met >= self.must_meet()
    }

    fn must_meet(&self) -> usize {
        self.anchors.len().min(SAME)
    }
}
