//! The old head of a listing, whose records stand above the run: where it stands shows whether the listing shifted, or
//! the run moved. Does no I/O.

use crate::page::RecordKey;
use crate::page::walk::position::{CHAIN, FEW, Found, Locator, Way, last_by};

/// How many pages are read to look for the old head, where records between it and the run may be gone.
const HEAD_PAGES: u32 = 8;

impl Locator {
    /// The run was found in the window at `found`, and this page begins where the old head should be by that. If the
    /// head is here, the listing shifted; if it isn't, only the run moved.
    pub(super) fn examine_head(&mut self, found: u64, offset: u64, page: &[RecordKey]) -> Found {
        let behind = offset.saturating_add(page.len() as u64);
        self.head_pages += 1;
        match self.head_shift(offset, page) {
            Some(shift) => {
                (self.way, self.head_shift) = (Way::Confirmed, shift);
                // The listing may have shifted by as much since the run was found, and shift as much once more. A
                // window that starts too far up confirms the run, too.
                if shift <= FEW.max((self.size + u64::from(self.memory.run) / 2) / 2) {
                    return self.request(self.found_to);
                }
                // But the run mustn't be stepped over.
                let next = shift.min(self.size / 2);
                self.request(found.saturating_add(shift).saturating_add(next))
            }
            // Only the first of the head are gone. A scan from the head repeats none.
            None if self.is_all_remembered() && self.lacks_first(page) => Found::Nowhere,
            // Some records between the head and the run may be gone: then the head stands further down.
            None if behind < self.head_at.saturating_add(FEW) && !page.is_empty() => self.request(behind),
            // A scan from the head repeats none.
            None if self.is_all_remembered() => Found::Nowhere,
            None if behind < found && self.goes_on() && !page.is_empty() => self.request(behind),
            // Records moved there together; the listing didn't shift by as much.
            None => {
                self.head.clear();
                self.next()
            }
        }
    }

    /// Whether to look for the old head further down.
    fn goes_on(&self) -> bool {
        !self.is_recent && self.head_pages < HEAD_PAGES
    }

    /// The old head was found, and then the run in this page.
    pub(super) fn note_gone(&mut self, offset: u64, page_len: usize, remembered: &[(usize, u32)]) {
        let Some((index, distance)) = remembered.last().copied() else { return };
        let now = last_by(offset, (index, distance));
        // (What was added meanwhile has pushed the head down, too.)
        self.gone = self.head_shift.saturating_sub(now.saturating_sub(self.found_at));
        if index + 1 < page_len {
            self.gone = self.gone.saturating_add(distance.into());
        }
    }

    /// How many of the records between the head and the position are gone, as far as the search has shown it.
    pub(in crate::page::walk) fn gone(&self) -> u64 {
        self.gone
    }

    /// Returns the records of the head that were delivered before the part of the run that was found.
    pub(super) fn others(&self) -> Vec<u64> {
        let is_of_run = |id: &u64| self.memory.distance_of(*id).is_some_and(|it| it <= self.found_from);
        self.head.iter().copied().filter(|it| !is_of_run(it)).collect()
    }

    /// Returns by how much the listing was pushed down since the run was found, if what is left of its old head stands
    /// in a page that starts where the head should be. `None` if it doesn't.
    pub(super) fn head_shift(&self, offset: u64, page: &[RecordKey]) -> Option<u64> {
        let others = self.others();
        let there = page.iter().zip(0u64..).filter_map(|(id, index)| {
            let rank = others.iter().position(|it| *it == id.fingerprint())?;
            Some((rank, index))
        });
        let there: Vec<_> = there.take(CHAIN).collect();
        let (rank, index) = *there.first()?;
        // Some of the run may be gone, so that the head is off by a few; and some of the head may lie in the part that
        // isn't seen.
        let room = page.len() - usize::try_from(index).ok()?;
        let enough = there.len() >= 2.min(others.len()).min(room);
        // The page shows the first of these records: later ones may have moved there together with the run.
        let is_head = rank == 0 && enough && there.is_sorted();
        // The head stands further up than that if several records moved down together past others.
        if is_head { offset.saturating_add(index).checked_sub(self.head_at) } else { None }
    }

    /// Whether a page shows records of the head, and not the first of them.
    pub(super) fn lacks_first(&self, page: &[RecordKey]) -> bool {
        let others = self.others();
        let shows = |id: &u64| page.iter().any(|it| it.fingerprint() == *id);
        others.split_first().is_some_and(|(first, rest)| !shows(first) && rest.iter().any(shows))
    }
}
