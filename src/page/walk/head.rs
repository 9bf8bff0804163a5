//! The head of a listing at the start of a scan, compared with the head at its end. Does no I/O.

use crate::page::RecordKey;

/// How many of the listing's first records are kept at least, to recognize the head when it is read again, and for a
/// later scan from the head upwards. If the first page is longer, all of it is kept: when it is read again, none of it
/// counts as new.
pub(super) const ANCHORS: usize = 65;

/// How many of them must stand where they stood for the head to be unchanged.
const SAME: usize = 4;

/// The first records of a listing (the anchors), and which of them were found when the head was read again.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// The fingerprints of the anchors, in order.
    anchors: Vec<u64>,
    /// How many records the second look has seen, and whether they were the anchors, in order.
    compared: usize,
    same: bool,
    /// The index of the anchor that was seen last, if it was the last record that was seen.
    last_anchor: Option<usize>,
    /// How many records the second look saw above the first anchor, once it has seen that.
    above: Option<u64>,
    /// A page didn't continue the anchors.
    is_closed: bool,
}

impl Head {
    pub(super) fn of(anchors: &[u64]) -> Self {
        Self { anchors: anchors.to_vec(), ..Self::default() }
    }

    pub(super) fn anchors(&self) -> &[u64] {
        &self.anchors
    }

    pub(super) fn contains(&self, id: &RecordKey) -> bool {
        self.anchors.contains(&id.fingerprint())
    }

    /// Keeps the next record of the first look, unless there are enough.
    pub(super) fn keep(&mut self, id: &RecordKey, page_size: u32) {
        if self.anchors.len() < ANCHORS.max(page_size as usize) {
            self.anchors.push(id.fingerprint());
        }
    }

    /// Keeps the records of the next page, whether they are new or not, as long as pages overlap.
    pub(super) fn extend(&mut self, page: &[RecordKey], page_size: u32) {
        if self.is_closed {
            return;
        }
        let from = match self.anchors.last() {
            None => Some(0),
            Some(last) => page.iter().rposition(|id| id.fingerprint() == *last).map(|it| it + 1),
        };
        page.iter().skip(from.unwrap_or(page.len())).for_each(|id| self.keep(id, page_size));
        self.is_closed = from.is_none() || self.anchors.len() >= ANCHORS;
    }

    /// Starts the second look.
    pub(super) fn start_comparison(&mut self) {
        self.same = true;
    }

    /// Notes the next record of the second look.
    pub(super) fn compare(&mut self, id: &RecordKey) {
        if self.is_reached() {
            return;
        }
        let id = id.fingerprint();
        let anchor = self.anchors.iter().position(|it| *it == id);
        self.same &= self.compared >= self.must_match() || self.anchors.get(self.compared) == Some(&id);
        if anchor == Some(0) {
            self.above.get_or_insert(self.compared as u64);
        }
        self.compared += 1;
        // Two anchors in a row, in their order, are the old head. (One, where the listing has no more.)
        let in_a_row = anchor > self.last_anchor && (self.last_anchor.is_some() || self.anchors.len() == 1);
        self.last_anchor = if in_a_row && !self.same { Some(usize::MAX) } else { anchor };
    }

    /// Returns whether the second look has reached the old head.
    pub(super) fn is_reached(&self) -> bool {
        self.last_anchor == Some(usize::MAX) || self.is_same()
    }

    /// Returns whether the head is unchanged.
    pub(super) fn is_same(&self) -> bool {
        self.same && self.compared >= self.must_match()
    }

    /// Returns how many records stood above the first anchor when the head was read again. `None` if it wasn't found.
    pub(super) fn above(&self) -> Option<u64> {
        self.above
    }

    fn must_match(&self) -> usize {
        self.anchors.len().min(SAME)
    }
}
