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
