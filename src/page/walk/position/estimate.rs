//! Where a position should be by the distance of a remembered record, which is looked at before the listing is searched
//! further. Does no I/O.

use crate::page::Stability;
use crate::page::walk::position::{CHAIN, Found, Locator, Way};

/// How many estimates are tried.
const ESTIMATES: usize = 4;

/// How many are tried of a cursor's position: much may have gone since.
const MORE_ESTIMATES: usize = 8;

/// If more than so many pages lie between a page and the last record, the search skips them.
const SKIPPED_PAGES: u64 = 4;

impl Locator {
    /// The page shows the position, but may end far above it. If so, requests where the last record should be: in pages
    /// of a few records, many would lie between.
    pub(super) fn skip_to_last(&mut self, offset: u64, page_len: usize, remembered: &[(usize, u32)]) -> Found {
        let far = SKIPPED_PAGES * (page_len.max(2) as u64 - 1);
        let ends_above = remembered.last().is_some_and(|it| it.0 + 1 == page_len && u64::from(it.1) > far);
        if ends_above && !self.is_recent && self.tried.is_empty() {
            self.size = self.size.max(page_len as u64);
            if let Some(target) = self.estimate(offset, remembered) {
                self.way = Way::Estimate;
                self.certain = Some(offset);
                return self.request(target);
            }
        }
        Found::Here
    }

    /// Returns where the position should be by the lowest remembered record.
    pub(super) fn estimate(&mut self, offset: u64, remembered: &[(usize, u32)]) -> Option<u64> {
        // Where the last record itself is seen without those before it, the window before this one shows more.
        let (index, distance) = *remembered.last().filter(|(_, distance)| *distance > 0 || !self.is_recent)?;
        let at = offset.saturating_add(index as u64);
        if self.landmark.is_none_or(|(closest, _)| distance < closest) {
            self.landmark = Some((distance, at));
        }
        // Start some records before it, to see several of the run.
        let lead = if self.order == Stability::Stable { 0 } else { CHAIN as u64 - 1 };
        let target = at.saturating_add(distance.into()).saturating_sub(lead);
        // If the records behind the remembered one are gone, look at those before it.
        let above = at.saturating_sub(self.size.max(2) - 1);
        let is_new = |it: &u64| *it != offset && *it < self.end && !self.tried.contains(it);
        let target = [target, above].into_iter().find(is_new).filter(|_| self.tried.len() < self.most_estimates())?;
        self.is_near = distance < self.memory.run;
        self.tried.push(target);
        Some(target)
    }

    /// The run isn't at the estimate: tries further up, or starts at the landmark.
    pub(super) fn doubt_estimate(&mut self, offset: u64) -> Found {
        // Some of its last records were removed, or some of those before it: then it ends further up. (The origin was
        // examined first.)
        let spare = if self.is_near || self.is_recent { 0 } else { self.spare() };
        // (A short page near the end says little about how many records the server returns at once.)
        let short = if self.is_recent { 0 } else { u64::from(self.memory.run) / 2 };
        let near = (self.size.max(2) - 1).max(self.limit.saturating_sub(1).min(short));
        let above = offset.saturating_sub(spare.max(near));
        if above != self.origin && !self.tried.contains(&above) && self.tried.len() < self.most_estimates() {
            self.tried.push(above);
            return self.request(above);
        }
        if let Some(offset) = self.certain.take() {
            (self.way, self.found_to, self.found_at) = (Way::Confirmed, offset, offset);
            return self.request(offset);
        }
        match self.landmark.filter(|_| self.order == Stability::Stable) {
            // The run is gone. Where records keep their order, what follows the landmark is what follows the run, too.
            Some((_, at)) => {
                self.way = Way::Landmark;
                self.request(at)
            }
            None => self.next(),
        }
    }

    /// How many estimates are tried.
    fn most_estimates(&self) -> usize {
        if self.is_recent { ESTIMATES } else { MORE_ESTIMATES }
    }
}
