//! Listings that grow at the end that a scan runs to: where the scan stops. Does no I/O.
//!
//! In such a listing every page brings new records, and the last already seen one never stands alone. The scan promises
//! the records that stood there when it started. They have been delivered once the end is seen to move: a page with
//! room for more is requested again, and starts with the same records, with others behind them. So the first response
//! held all records up to the end.

use crate::page::summary::End;
use crate::page::walk::plan::Plan;
use crate::page::{Growth, RecordKey, TotalScope};

/// How many pages in a row must bring records and have room for more before a page is requested again.
const SUSPICIOUS: u32 = 3;

/// How often a page that is requested again must come with more records. Once may be a page that came short.
const PROOF: u32 = 2;

/// How many pages pass before a page is requested again, after one that hadn't grown.
const CALM: u32 = 16;

/// How many full pages beyond the first total are read, where the log grows faster than it is scanned; and, where new
/// records may come elsewhere than at the end, how many pages in a row must come no closer to it.
const PAGES_BEYOND: u64 = 8;

/// Detects that the scan runs after an end that moves.
#[derive(Debug, Default)]
pub(super) struct Chase {
    in_a_row: u32,
    /// The page that is requested again.
    page: Option<(u64, Vec<RecordKey>)>,
    grew: u32,
    calm: u32,
    /// The totals of the first and the last response.
    totals: Option<(u64, u64)>,
    /// The fewest records that were left behind a page by its total.
    least_left: Option<u64>,
    /// How many pages since then came no closer to the end.
    no_closer: u64,
    /// The total of the last response, if it may count the listing.
    counted: Option<u64>,
    /// By the total, the page that is requested again reached up to the end.
    is_at_end: bool,
    /// A total was less than the number of records up to the end of its page, so it counts something else.
    dubious: bool,
}

/// What the scan does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    GoOn,
    /// Request the same page again.
    Again,
    /// Stop: every record that stood there at the start was delivered, if the page did reach up to the end.
    Stop {
        /// The total showed that it did.
        proved: bool,
    },
}

impl Chase {
    /// Notes a page, whether it had room for more, and whether its last record is new.
    pub(super) fn note(&mut self, offset: u64, page: &[RecordKey], has_room: bool, is_news: bool) -> Next {
        if let Some((asked, before)) = self.page.take() {
            // If records are removed at the other end, the first ones have left the page.
            let rest = page.first().and_then(|first| before.iter().position(|it| it == first)).map(|it| &before[it..]);
            let has_grown = asked == offset && rest.is_some_and(|it| page.len() > it.len() && page.starts_with(it));
            self.grew = if has_grown { self.grew + 1 } else { 0 };
            return match self.grew {
                PROOF.. => Next::Stop { proved: self.is_at_end },
                1.. if has_room => self.again(offset, page),
                grew => {
                    // It has grown by so much that it is full: try another page soon.
                    (self.in_a_row, self.calm) = (0, if grew > 0 { 0 } else { CALM });
                    Next::GoOn
                }
            };
        }
        self.calm = self.calm.saturating_sub(1);
        self.in_a_row = if has_room && is_news { self.in_a_row + 1 } else { 0 };
        if self.in_a_row >= SUSPICIOUS && self.calm == 0 {
            self.is_at_end = self.counted == Some(offset.saturating_add(page.len() as u64));
            self.again(offset, page)
        } else {
            Next::GoOn
        }
    }

    fn again(&mut self, offset: u64, page: &[RecordKey]) -> Next {
        self.page = Some((offset, page.to_vec()));
        Next::Again
    }

    /// Returns whether the total counts records behind the page whose total was noted last.
    pub(super) fn has_more(&self, behind: u64) -> bool {
        self.counted.is_some_and(|it| it > behind)
    }

    /// Notes the total of a response whose records end before the offset `behind`, and whether it may count the
    /// listing.
    pub(super) fn note_total(&mut self, total: Option<u64>, behind: u64, may_count: bool) {
        self.counted = None;
        let Some(total) = total else { return };
        // A total that falls is no reason for doubt: records are removed from growing logs, too.
        self.dubious |= total < behind;
        self.totals = Some((self.totals.map_or(total, |(first, _)| first), total));
        let left = total.saturating_sub(behind);
        let is_closer = self.least_left.is_none_or(|least| left < least);
        self.no_closer = if is_closer { 0 } else { self.no_closer + 1 };
        self.least_left = Some(self.least_left.map_or(left, |least| least.min(left)));
        self.counted = Some(total).filter(|_| may_count && !self.dubious);
    }

    /// Returns whether the log grows faster than it is scanned, and the scan is well past the first total: the end to
    /// stop with. Where new records come at an end only, all that the first total counted was delivered. Elsewhere they
    /// may have pushed some of it down, so the scan goes on as long as it comes closer to the end.
    pub(super) fn outrun(&self, plan: &Plan, delivered: u64) -> Option<End> {
        let (first, last) = self.totals.filter(|_| !self.dubious && plan.total != TotalScope::Page)?;
        let beyond = PAGES_BEYOND * u64::from(plan.limit);
        let is_past = last > first && delivered >= first.saturating_add(beyond);
        match plan.growth {
            Growth::AtEnd | Growth::OneEnd => is_past.then_some(End::Grew),
            _ => (is_past && self.no_closer >= PAGES_BEYOND).then_some(End::GrewUnproved),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::walk::tests::{keys, plan};

    const STOP: Next = Next::Stop { proved: false };

    /// A chase that requests the page of records 1 to 3 at offset 10 again.
    fn asking() -> Chase {
        let mut chase = Chase::default();
        for turn in 1..=SUSPICIOUS {
            let next = chase.note(10, &keys(1..=3), true, true);
            assert_eq!(next, if turn < SUSPICIOUS { Next::GoOn } else { Next::Again });
        }
        chase
    }

    #[test]
    fn a_page_is_requested_again_after_three_in_a_row_with_new_records_and_room() {
        for (has_room, is_news) in [(false, true), (true, false)] {
            let mut chase = Chase::default();
            for _ in 0..9 {
                assert_eq!(chase.note(10, &keys(1..=3), true, true), Next::GoOn);
                assert_eq!(chase.note(10, &keys(1..=3), true, true), Next::GoOn);
                assert_eq!(chase.note(10, &keys(1..=3), has_room, is_news), Next::GoOn);
            }
        }
        asking();
    }

    #[test]
    fn a_scan_stops_once_a_page_has_grown_twice_in_a_row() {
        let mut chase = asking();
        assert_eq!(chase.note(10, &keys(1..=4), true, true), Next::Again);
        assert_eq!(chase.note(10, &keys(1..=5), true, true), STOP);
        // Also if the first records are gone meanwhile, as long as others came.
        let mut chase = asking();
        assert_eq!(chase.note(10, &keys(2..=4), true, true), Next::Again);
        assert_eq!(chase.note(10, &keys(4..=5), true, true), STOP);
        // The second time it may be full.
        let mut chase = asking();
        assert_eq!(chase.note(10, &keys(1..=4), true, true), Next::Again);
        assert_eq!(chase.note(10, &keys(1..=9), false, true), STOP);
    }

    #[test]
    fn a_page_that_has_not_grown_is_no_end_and_none_is_requested_again_for_16_pages() {
        for (offset, page) in [
            (10, keys(1..=3)),
            (10, keys(1..=2)),
            (10, keys(2..=3)),
            (10, keys([1, 2, 4, 5])),
            (10, keys(4..=9)),
            (10, keys([])),
            (11, keys(1..=4)),
        ] {
            let mut chase = asking();
            assert_eq!(chase.note(offset, &page, true, true), Next::GoOn, "{page:?}");
            for _ in 1..CALM {
                assert_eq!(chase.note(10, &keys(1..=3), true, true), Next::GoOn);
            }
            assert_eq!(chase.note(10, &keys(1..=3), true, true), Next::Again, "{page:?}");
            // What had grown before that doesn't count.
            assert_eq!(chase.note(10, &keys(1..=4), true, true), Next::Again);
        }
    }

    #[test]
    fn a_page_that_grew_until_it_was_full_is_followed_by_another_try_at_once() {
        let mut chase = asking();
        assert_eq!(chase.note(10, &keys(1..=9), false, true), Next::GoOn);
        assert_eq!(chase.note(20, &keys(11..=13), true, true), Next::GoOn);
        assert_eq!(chase.note(20, &keys(11..=13), true, true), Next::GoOn);
        assert_eq!(chase.note(20, &keys(11..=13), true, true), Next::Again);
    }

    #[test]
    fn a_total_that_ends_with_the_page_proves_that_it_reached_the_end() {
        for (total, may_count, proved) in [(13, true, true), (13, false, false), (14, true, false), (12, true, false)] {
            let mut chase = Chase::default();
            for _ in 0..SUSPICIOUS {
                chase.note_total(Some(total), 13, may_count);
                chase.note(10, &keys(1..=3), true, true);
            }
            // The totals of later responses count other records.
            chase.note_total(Some(20), 14, true);
            chase.note(10, &keys(1..=4), true, true);
            assert_eq!(chase.note(10, &keys(1..=5), true, true), Next::Stop { proved }, "{total} {may_count}");
        }
    }

    #[test]
    fn a_total_shows_that_more_follows_unless_it_may_count_something_else() {
        let more = |totals: &[(Option<u64>, u64)], may_count| {
            let mut chase = Chase::default();
            totals.iter().for_each(|(total, behind)| chase.note_total(*total, *behind, may_count));
            (chase.has_more(12), chase.has_more(13), chase.has_more(14))
        };
        assert_eq!(more(&[(Some(13), 10)], true), (true, false, false));
        assert_eq!(more(&[(Some(13), 13)], true), (true, false, false));
        assert_eq!(more(&[(Some(13), 10)], false), (false, false, false));
        assert_eq!(more(&[(Some(13), 10), (None, 12)], true), (false, false, false));
        // It was too small for its page once.
        assert_eq!(more(&[(Some(9), 10), (Some(20), 12)], true), (false, false, false));
    }

    #[test]
    fn a_log_that_outruns_its_scan_ends_it_eight_pages_behind_the_first_total() {
        let outrun = |growth, total, totals: &[(u64, u64)], delivered| {
            let mut chase = Chase::default();
            totals.iter().for_each(|(total, behind)| chase.note_total(Some(*total), *behind, true));
            chase.outrun(&Plan { growth, total, ..plan(10) }, delivered)
        };
        let listing = TotalScope::Listing;
        for growth in [Growth::AtEnd, Growth::OneEnd] {
            assert_eq!(outrun(growth, listing, &[(100, 10), (101, 20)], 180), Some(End::Grew));
            assert_eq!(outrun(growth, TotalScope::Unknown, &[(100, 10), (101, 20)], 180), Some(End::Grew));
            for (total, totals, delivered) in [
                (listing, &[(100, 10), (101, 20)][..], 179),
                (listing, &[(100, 10), (100, 20)], 180),
                (listing, &[(100, 10), (99, 20)], 180),
                (listing, &[], 1_000),
                (TotalScope::Page, &[(100, 10), (101, 20)], 180),
                // A total that was too small once counts something else.
                (listing, &[(100, 101), (101, 20)], 180),
            ] {
                assert_eq!(outrun(growth, total, totals, delivered), None, "{totals:?} {delivered}");
            }
        }
    }

    #[test]
    fn where_records_may_come_anywhere_a_scan_also_ends_only_if_it_comes_no_closer() {
        for growth in [Growth::AtHead, Growth::Unknown] {
            for (closer, expected) in [(None, Some(End::GrewUnproved)), (Some(3), None), (Some(8), None)] {
                let mut chase = Chase::default();
                chase.note_total(Some(100), 10, true);
                for turn in 1..=PAGES_BEYOND {
                    // As many came as were read, or at one turn fewer.
                    let by = if closer.is_some_and(|it| it <= turn) { 1 } else { 0 };
                    chase.note_total(Some(100 + 10 * turn - by), 10 + 10 * turn, true);
                    let end = chase.outrun(&Plan { growth, ..plan(10) }, 1_000);
                    assert_eq!(end, expected.filter(|_| turn == PAGES_BEYOND), "{growth:?} {closer:?} {turn}");
                }
            }
        }
    }
}
