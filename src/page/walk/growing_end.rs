//! Listings that grow at the end that a scan runs to: where the scan stops. Does no I/O.
//!
//! In such a listing every page brings new records, and the last already seen one never stands alone. The scan promises
//! the records that stood there when it started. They have been delivered once the end is seen to move: a page with
//! room for more is requested again, and starts with the same records, with others behind them. So the first response
//! held all records up to the end.

use crate::page::summary::End;
use crate::page::walk::plan::Plan;
use crate::page::{Growth, RecordKey, Stability, TotalScope};

/// How many pages in a row must bring records and have room for more before a page is requested again.
const SUSPICIOUS: u32 = 3;

/// How often a page that is requested again must come with more records. Once may be a page that came short.
const PROOF: u32 = 2;

/// How many pages pass before a page is requested again, after one that hadn't grown.
const CALM: u32 = 16;

/// How many full pages beyond the first total are read, where the log grows faster than it is scanned; and, where new
/// records may come elsewhere than at the end, how many pages together must come no closer to it.
const PAGES_BEYOND: u64 = 8;

/// How many requests are made once a scan has delivered more than the first total counted, where new records come at
/// the end alone.
const REQUESTS_BEYOND: u32 = 8;

/// By the totals of so many of them, no more than a page was left. (Totals that mean nothing are anywhere.)
const NEAR_END: u32 = 4;

/// How many full pages beyond the first total are read, and how many pages together must come no closer to the end,
/// until a scan whose position shifts as well is given up.
const PAGES_IN_VAIN: u64 = 64;

/// How many pages of the same length must bring records, where the request asks for more, before one of them is
/// requested again. Each time twice as many as before: a server that limits pages to fewer records looks the same.
const ALIKE: u64 = 64;

/// Detects that the scan runs after an end that moves.
#[derive(Debug, Default)]
pub(super) struct Chase {
    in_a_row: u32,
    /// The length of the last pages, and how many of them had it.
    alike: (usize, u64),
    /// How often such a page was requested again.
    tried: u32,
    /// The page that is requested again.
    page: Option<(u64, Vec<RecordKey>)>,
    grew: u32,
    calm: u32,
    /// The totals of the first and the last response.
    totals: Option<(u64, u64)>,
    /// How many records were left behind the page that came closest to the end, by its total.
    left: Option<u64>,
    /// By how many more records than before the next page may leave. Where many come once, the others don't count.
    most_more: i64,
    few: Progress,
    many: Progress,
    /// How many requests were made since the scan has delivered more than the first total counted.
    beyond: u32,
    /// How many of these came so near the end that a page had room for the rest.
    near_end: u32,
    /// How many records the last request asked for.
    limit: u32,
    /// The total of the last response, if it may count the listing.
    counted: Option<u64>,
    /// The totals may count the listing rather than a page.
    may_count: bool,
    /// By the total, the page that is requested again reached up to the end.
    is_at_end: bool,
    /// A total was less than the number of records up to the end of its page, so it counts something else.
    dubious: bool,
}

/// Whether a number of pages together came closer to the end.
#[derive(Debug, Default)]
struct Progress {
    /// By how many more records than before the pages so far left behind them.
    more: i64,
    pages: u64,
    /// The pages before these came no closer together.
    was_none: bool,
}

impl Progress {
    /// Notes by how many more records than the page before a page left, where `most` pages count together.
    fn note(&mut self, more: i64, most: u64) {
        self.more = self.more.saturating_add(more);
        self.pages += 1;
        if self.pages == most {
            *self = Self { was_none: self.more >= 0, ..Self::default() };
        }
    }

    /// Whether they came no closer, and the pages since haven't either.
    fn is_none(&self) -> bool {
        self.was_none && self.more >= 0
    }
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
    /// That of the next scan of the same listing, or of its head: a total that was wrong is not believed again.
    pub(super) fn for_next_pass(&self) -> Self {
        Self { dubious: self.dubious, ..Self::default() }
    }

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
        if self.in_a_row >= SUSPICIOUS && self.calm == 0 { self.try_again(offset, page) } else { Next::GoOn }
    }

    /// Requests this page again, to see whether it grows.
    pub(super) fn try_again(&mut self, offset: u64, page: &[RecordKey]) -> Next {
        self.is_at_end = self.counted == Some(offset.saturating_add(page.len() as u64));
        self.again(offset, page)
    }

    /// Notes the length of a page, and whether it brought records although the request asks for more. Returns whether
    /// so many pages in a row had that length that it is time to see whether they grow: a log shorter than a page that
    /// grows by its own length shows no other sign.
    pub(super) fn are_all_alike(&mut self, length: usize, is_short: bool) -> bool {
        let (before, count) = self.alike;
        let count = if is_short && length == before { count + 1 } else { u64::from(is_short) };
        let is_due = count >= ALIKE << self.tried.min(32);
        self.tried += u32::from(is_due);
        self.alike = (length, if is_due { 0 } else { count });
        is_due
    }

    fn again(&mut self, offset: u64, page: &[RecordKey]) -> Next {
        self.page = Some((offset, page.to_vec()));
        Next::Again
    }

    /// Returns whether the total counts records behind the page whose total was noted last.
    pub(super) fn has_more(&self, behind: u64) -> bool {
        self.counted.is_some_and(|it| it > behind)
    }

    /// Notes a request for up to `limit` records, and how many were delivered before it.
    pub(super) fn note_request(&mut self, limit: u32, delivered: u64) {
        self.beyond += u32::from(self.totals.is_some_and(|(first, _)| delivered > first));
        self.limit = limit;
        self.most_more = self.most_more.saturating_add(2 * i64::from(limit));
    }

    /// Notes the total of a response whose records end before the offset `behind`, and whether it may count the
    /// listing.
    pub(super) fn note_total(&mut self, total: Option<u64>, behind: u64, may_count: bool) {
        self.counted = None;
        self.may_count |= may_count;
        let Some(total) = total else { return };
        // A total that falls is no reason for doubt: records are removed from growing logs, too.
        self.dubious |= total < behind;
        let is_near_end = self.beyond > 0 && total.saturating_sub(behind) <= u64::from(self.limit);
        self.near_end += u32::from(is_near_end);
        let (first, last) = self.totals.unwrap_or((total, total));
        self.totals = Some((first, total));
        self.note_left(total.saturating_sub(behind), total.saturating_sub(last));
        self.counted = Some(total).filter(|_| may_count && !self.dubious);
    }

    /// Notes how many records a page left behind it, and how many came before it. A scan that has lost its position
    /// reads what it has read before: until it has come as far again, only what comes meanwhile counts.
    fn note_left(&mut self, left: u64, came: u64) {
        let before = self.left.unwrap_or(left);
        let left = left.min(before.saturating_add(came));
        if self.left.replace(left).is_some() {
            let more = left.cast_signed().saturating_sub(before.cast_signed()).min(self.most_more);
            self.few.note(more, PAGES_BEYOND);
            self.many.note(more, PAGES_IN_VAIN);
            self.most_more = 0;
        }
    }

    /// Returns whether the log grows faster than it is scanned, and the scan is well past the first total: the end to
    /// stop with. Where new records come at an end only, all that the first total counted was delivered. Elsewhere they
    /// may have pushed some of it down, so the scan goes on as long as it comes closer to the end.
    pub(super) fn outrun(&self, plan: &Plan, delivered: u64, has_shifted: bool) -> Option<End> {
        let is_past = self.is_past(plan, delivered, PAGES_BEYOND);
        let is_beyond = self.beyond >= REQUESTS_BEYOND && self.near_end >= NEAR_END && self.has_total(plan);
        match plan.growth {
            // Records that go at the head push none down.
            Growth::AtEnd if plan.order == Stability::Stable => (is_past || is_beyond).then_some(End::Grew),
            _ if has_shifted => None,
            Growth::AtEnd | Growth::OneEnd => is_past.then_some(End::Grew),
            _ => (is_past && self.few.is_none()).then_some(End::GrewUnproved),
        }
    }

    /// Returns whether the total shows that the scan comes no closer to the end, however long it goes on.
    pub(super) fn is_in_vain(&self, plan: &Plan, delivered: u64) -> bool {
        self.many.is_none() && self.is_past(plan, delivered, PAGES_IN_VAIN)
    }

    /// Returns whether the total shows that a second scan of the head comes no closer to the end.
    pub(super) fn is_endless(&self, plan: &Plan) -> bool {
        self.many.is_none() && self.has_total(plan)
    }

    /// Whether the total may count the listing.
    fn has_total(&self, plan: &Plan) -> bool {
        !self.dubious && plan.total != TotalScope::Page && self.may_count
    }

    /// Whether the scan has delivered so many full pages more than the total first counted. (The total itself needn't
    /// have risen: as many records may go elsewhere.)
    fn is_past(&self, plan: &Plan, delivered: u64, pages: u64) -> bool {
        let totals = self.totals.filter(|_| self.has_total(plan));
        let beyond = pages * u64::from(plan.limit);
        totals.is_some_and(|(first, _)| delivered >= first.saturating_add(beyond))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::walk::tests::{keys, plan};

    const STOP: Next = Next::Stop { proved: false };

    /// Notes the total of a response to a request for ten records.
    fn note(chase: &mut Chase, total: Option<u64>, behind: u64, may_count: bool) {
        chase.note_request(10, behind);
        chase.note_total(total, behind, may_count);
    }

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
                note(&mut chase, Some(total), 13, may_count);
                chase.note(10, &keys(1..=3), true, true);
            }
            // The totals of later responses count other records.
            note(&mut chase, Some(20), 14, true);
            chase.note(10, &keys(1..=4), true, true);
            assert_eq!(chase.note(10, &keys(1..=5), true, true), Next::Stop { proved }, "{total} {may_count}");
        }
    }

    #[test]
    fn a_total_shows_that_more_follows_unless_it_may_count_something_else() {
        let more = |totals: &[(Option<u64>, u64)], may_count| {
            let mut chase = Chase::default();
            totals.iter().for_each(|(total, behind)| note(&mut chase, *total, *behind, may_count));
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
            totals.iter().for_each(|(total, behind)| note(&mut chase, Some(*total), *behind, true));
            chase.outrun(&Plan { growth, total, ..plan(10) }, delivered, false)
        };
        let listing = TotalScope::Listing;
        for growth in [Growth::AtEnd, Growth::OneEnd] {
            assert_eq!(outrun(growth, listing, &[(100, 10), (101, 20)], 180), Some(End::Grew));
            // As many went at the head as came.
            assert_eq!(outrun(growth, listing, &[(100, 10), (99, 20)], 180), Some(End::Grew));
            assert_eq!(outrun(growth, TotalScope::Unknown, &[(100, 10), (101, 20)], 180), Some(End::Grew));
            for (total, totals, delivered) in [
                (listing, &[(100, 10), (101, 20)][..], 179),
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
    fn a_scan_ends_eight_requests_behind_the_first_total_where_records_come_at_the_end_alone() {
        let outrun_at = |behind, growth, order, requests: u64, has_shifted| {
            let mut chase = Chase::default();
            chase.note_total(Some(100), 10, true);
            for _ in 0..requests {
                // One more comes at the end, and one goes at the head.
                chase.note_request(10, 101);
                chase.note_total(Some(100), behind, true);
            }
            chase.outrun(&Plan { growth, order, ..plan(10) }, 101, has_shifted)
        };
        let outrun = |growth, order, requests, has_shifted| outrun_at(100, growth, order, requests, has_shifted);
        assert_eq!(outrun_at(90, Growth::AtEnd, Stability::Stable, 8, false), Some(End::Grew));
        // By the total, more than a page is left.
        assert_eq!(outrun_at(89, Growth::AtEnd, Stability::Stable, 8, false), None);
        for has_shifted in [false, true] {
            assert_eq!(outrun(Growth::AtEnd, Stability::Stable, 7, has_shifted), None);
            assert_eq!(outrun(Growth::AtEnd, Stability::Stable, 8, has_shifted), Some(End::Grew));
            assert_eq!(outrun(Growth::AtEnd, Stability::Unstable, 8, has_shifted), None);
            assert_eq!(outrun(Growth::OneEnd, Stability::Stable, 8, has_shifted), None);
        }
    }

    #[test]
    fn where_records_may_come_anywhere_a_scan_also_ends_only_if_it_comes_no_closer() {
        for growth in [Growth::AtHead, Growth::Unknown] {
            for (closer, expected) in [(None, Some(End::GrewUnproved)), (Some(3), None), (Some(8), None)] {
                let mut chase = Chase::default();
                note(&mut chase, Some(100), 10, true);
                for turn in 1..=PAGES_BEYOND {
                    // As many came as were read, or at one turn fewer.
                    let by = if closer.is_some_and(|it| it <= turn) { 1 } else { 0 };
                    note(&mut chase, Some(100 + 10 * turn - by), 10 + 10 * turn, true);
                    let end = chase.outrun(&Plan { growth, ..plan(10) }, 1_000, false);
                    assert_eq!(end, expected.filter(|_| turn == PAGES_BEYOND), "{growth:?} {closer:?} {turn}");
                }
            }
        }
    }

    #[test]
    fn a_burst_is_no_reason_to_stop() {
        // One record when the scan began; then a thousand, at once.
        for growth in [Growth::AtHead, Growth::Unknown] {
            let plan = Plan { growth, ..plan(2) };
            let mut chase = Chase::default();
            note(&mut chase, Some(1), 1, true);
            for delivered in 1..1_000 {
                note(&mut chase, Some(1_000), delivered, true);
                assert_eq!(chase.outrun(&plan, delivered, false), None);
                assert!(!chase.is_in_vain(&plan, delivered));
            }
        }
    }

    #[test]
    fn bursts_that_end_are_no_reason_to_stop_while_a_scan_catches_up() {
        for growth in [Growth::AtHead, Growth::Unknown] {
            let plan = Plan { growth, ..plan(10) };
            let mut chase = Chase::default();
            let total = |page: u64| 100 + 60 * page.min(40);
            for page in 0..=270 {
                note(&mut chase, Some(total(page)), 9 * page + 10, true);
                if page > 64 {
                    assert!(!chase.is_in_vain(&plan, 9 * page + 10), "{page}");
                    assert_eq!(chase.outrun(&plan, 9 * page + 10, false), None, "{page}");
                }
            }
        }
    }

    #[test]
    fn a_scan_is_in_vain_if_64_pages_come_no_closer_to_the_end_and_64_pages_lie_behind_the_first_total() {
        let in_vain = |pages: u64, growth: u64, total, delivered| {
            let mut chase = Chase::default();
            (0..=pages).for_each(|turn| note(&mut chase, Some(100 + growth * turn), 10 + 10 * turn, true));
            chase.is_in_vain(&Plan { total, growth: Growth::AtHead, ..plan(10) }, delivered)
        };
        assert!(in_vain(64, 10, TotalScope::Listing, 740));
        assert!(in_vain(64, 10, TotalScope::Unknown, 740));
        assert!(!in_vain(63, 10, TotalScope::Listing, 740));
        assert!(!in_vain(64, 10, TotalScope::Listing, 739));
        // A total of the page says nothing, and with one record less it comes closer each time.
        assert!(!in_vain(64, 10, TotalScope::Page, 740));
        assert!(!in_vain(64, 9, TotalScope::Listing, 740));
        // Without any total, nothing tells.
        assert!(!Chase::default().is_in_vain(&plan(10), 10_000));
    }

    #[test]
    fn of_64_pages_of_one_length_one_is_requested_again_then_of_128() {
        let mut chase = Chase::default();
        for needed in [64, 128, 256] {
            for turn in 1..=needed {
                assert_eq!(chase.are_all_alike(3, true), turn == needed, "{turn} of {needed}");
            }
        }
        // A page of another length, or one that isn't short, starts the count again.
        for (length, is_short) in [(4, true), (3, false)] {
            let mut chase = Chase::default();
            (0..63).for_each(|_| assert!(!chase.are_all_alike(3, true)));
            assert!(!chase.are_all_alike(length, is_short));
            (0..63).for_each(|_| assert!(!chase.are_all_alike(3, true)));
            assert!(chase.are_all_alike(3, true));
        }
    }
}
