//! How a stream scans its listing again, to verify the scan before.

use std::time::Duration;

use crate::cursor::Cursor;
use crate::page::Paginate;
use crate::page::pages::{Candidate, Pages};
use crate::page::summary::End;
use crate::page::walk::Delivery;
use crate::page::walk::toward_head::Direction;
use crate::page::walk::verify::Scanned;

/// The wait before a listing without records is scanned again. A server that shows no records for a moment would show
/// none to both scans.
const EMPTY_PAUSE: Duration = Duration::from_secs(1);

impl<Q: Paginate> Pages<Q> {
    /// Begins the next scan if the last one has ended and is to be verified.
    pub(super) fn scan_again(&mut self) {
        let (Direction::Down(walk), Some(verification)) = (&self.walk, &mut self.verification) else { return };
        let is_whole = self.settings.resume.as_ref().is_none_or(Cursor::is_whole);
        let has_ended = walk.end().is_some_and(|end| !matches!(end, End::MaxItems | End::MaxPages | End::Failed));
        if !has_ended || !is_whole || self.counts.cut || self.counts.partial {
            return;
        }
        let before = self.settings.resume.as_ref().map_or(0, Cursor::delivered);
        let is_first = !verification.is_again();
        if is_first && (walk.doubt(before).is_none() || !walk.end().is_some_and(End::is_reached)) {
            return;
        }
        let next = verification.end_scan(walk, Scanned { sequence: self.position.sequence, shift: walk.shift() });
        // All that the scan saw is delivered now: what is newer than its first records is newer than the cursor. A scan
        // that lost its position may not have come down to the head of the one before, and one of an emptied log has no
        // first record.
        let is_above = next.is_some() && matches!(walk.end(), Some(End::Proved)) && !walk.anchors().is_empty();
        if is_first || is_above || (verification.has_agreed() && !walk.anchors().is_empty()) {
            self.position.keep_head(walk.anchors());
        }
        if is_first {
            self.first_scan = (walk.counters().all_totals(), walk.shift(), walk.gone());
        }
        if let Some(next) = next {
            if self.position.delivered == 0 && self.counts.delivered == 0 {
                self.requester.pause_once(EMPTY_PAUSE);
            }
            self.prefetcher.clear();
            self.walk = Direction::Down(Box::new(next));
        }
    }

    /// Returns those records of a later scan that no scan delivered, as late ones.
    pub(super) fn not_delivered(&mut self, records: Vec<Candidate<Q::Item>>) -> Vec<Candidate<Q::Item>> {
        let Some(verification) = &mut self.verification else { return records };
        let mut late = Vec::new();
        for Candidate { entry, id, delivery, .. } in records {
            if let Some(entry) = entry {
                verification.take(id, entry, delivery, &mut late);
            }
        }
        if self.walk.end().is_some() {
            verification.flush(&mut late);
        }
        let late = late.into_iter();
        late.map(|(id, entry)| Candidate { entry: Some(entry), id, delivery: Delivery::Late, from_head: true })
            .collect()
    }
}
