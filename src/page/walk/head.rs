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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::walk::tests::{key, keys};

    fn anchors(ids: impl IntoIterator<Item = i64>) -> Vec<u64> {
        ids.into_iter().map(|id| key(id).fingerprint()).collect()
    }

    /// A head of these records, compared with those.
    fn compared(first: impl IntoIterator<Item = i64>, then: impl IntoIterator<Item = i64>) -> Head {
        let mut head = Head::of(&anchors(first));
        head.start_comparison();
        then.into_iter().for_each(|id| head.compare(&key(id)));
        head
    }

    #[test]
    fn the_first_65_records_are_kept_or_all_of_a_longer_first_page() {
        for (page_size, kept) in [(1, 65), (64, 65), (66, 66), (80, 80)] {
            let mut head = Head::default();
            (1..=100).for_each(|id| head.keep(&key(id), page_size));
            assert_eq!(head.anchors(), anchors(1..=kept), "pages of {page_size}");
            assert!(head.contains(&key(kept)) && !head.contains(&key(kept + 1)));
        }
    }

    #[test]
    fn pages_extend_the_head_as_long_as_they_overlap() {
        let mut head = Head::default();
        head.extend(&keys(1..=3), 10);
        head.extend(&keys([2, 3, 4, 5]), 10);
        assert_eq!(head.anchors(), anchors(1..=5));
        // Between these and the head there may be others.
        head.extend(&keys([7, 8]), 10);
        head.extend(&keys([5, 6]), 10);
        assert_eq!(head.anchors(), anchors(1..=5));
        // With as many as are needed the head is complete.
        for (first, kept) in [(64, 66), (65, 65), (70, 70)] {
            let mut head = Head::default();
            head.extend(&keys(1..=first), 100);
            head.extend(&keys(first..=first + 2), 100);
            head.extend(&keys(first + 2..=first + 9), 100);
            assert_eq!(head.anchors(), anchors(1..=kept), "{first}");
        }
    }

    #[test]
    fn a_head_is_unchanged_if_its_first_four_records_stand_where_they_stood() {
        for seen in 0..4 {
            assert!(!compared(1..=9, 1..=seen).is_same(), "{seen}");
            assert!(!compared(1..=9, 1..=seen).is_reached(), "{seen}");
        }
        assert!(compared(1..=9, 1..=4).is_same());
        assert!(compared(1..=9, [1, 2, 3, 4, 8]).is_same());
        for other in [[7, 2, 3, 4], [1, 7, 3, 4], [1, 2, 7, 4], [1, 2, 3, 7], [20, 1, 2, 3]] {
            assert!(!compared(1..=9, other).is_same(), "{other:?}");
        }
        // A shorter one has no more.
        assert!(!compared(1..=2, [1]).is_same());
        assert!(compared(1..=2, [1, 2]).is_same());
        // Before the second look nothing is.
        assert!(!Head::of(&anchors(1..=2)).is_same());
    }

    #[test]
    fn two_records_of_the_head_in_their_order_are_the_old_head() {
        for (then, is_reached) in [
            (&[20, 1, 2][..], true),
            (&[20, 5, 8], true),
            (&[20, 2, 1], false),
            (&[20, 1, 1], false),
            (&[20, 1, 21, 2], false),
            (&[20, 1, 21, 2, 3], true),
            (&[20, 21], false),
            (&[2, 3], true),
        ] {
            let head = compared(1..=9, then.iter().copied());
            assert_eq!((head.is_reached(), head.is_same()), (is_reached, false), "{then:?}");
        }
        // Where the head is a single record, that one.
        assert!(compared([1], [20, 1]).is_reached());
        assert!(!compared([1], [20, 21]).is_reached());
    }

    #[test]
    fn what_stands_above_the_first_record_of_the_head_is_counted_once() {
        assert_eq!(compared(1..=9, [20, 21]).above(), None);
        assert_eq!(compared(1..=9, [20, 21, 1, 22, 1]).above(), Some(2));
        assert_eq!(compared(1..=9, [1]).above(), Some(0));
        // Below the old head nothing counts any more.
        assert_eq!(compared(1..=9, [20, 2, 3, 1]).above(), None);
    }
}
