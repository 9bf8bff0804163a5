//! What a page shows of the old head of a listing, whose records stand above the run. Does no I/O.

use crate::page::RecordKey;
use crate::page::walk::position::{CHAIN, Locator};

impl Locator {
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
