//! Listings that grow at the end that a scan runs to: where it stops. Pure.
//!
//! Every page brings records then, and the last known one never stands alone. The scan promises what stood there when it
//! began, and that has been delivered once the end was seen to move on: a page with room for more is asked for again, and
//! begins with the very records that it had, with others behind them. So what it had was all that there was.

use super::{Identity, Total};

/// How many pages in a row must bring records and have room for more before a page is asked for again.
const SUSPICIOUS: u32 = 3;

/// How often in a row the same page must come with more behind it. Once may be a page that came short.
const PROOF: u32 = 2;

/// How many pages go by without asking again, after a page that came as it was.
const CALM: u32 = 16;

/// How many full pages beyond the first total are read, where the log grows faster than it is read.
const PAGES_BEYOND: u64 = 8;

/// Whether the scan runs after an end that moves on.
#[derive(Debug, Default)]
pub(super) struct Chase {
    in_a_row: u32,
    /// The page that is asked for again.
    page: Option<(u64, Vec<Identity>)>,
    grew: u32,
    calm: u32,
    /// The total of the first response, and of the last one.
    totals: Option<(u64, u64)>,
    /// A total fell, or was less than what stood there.
    dubious: bool,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    GoOn,
    /// The same page again.
    Again,
    /// All that stood there when the scan began was delivered.
    Stop,
}

impl Chase {
    /// Takes a page, whether it had room for more, and whether its last record is new.
    pub(super) fn note(&mut self, offset: u64, page: &[Identity], has_room: bool, is_news: bool) -> Next {
        if let Some((asked, before)) = self.page.take() {
            let has_grown = asked == offset && page.len() > before.len() && page.starts_with(&before);
            self.grew = if has_grown { self.grew + 1 } else { 0 };
            return match self.grew {
                PROOF.. => Next::Stop,
                1.. if has_room => self.again(offset, page),
                _ => {
                    (self.in_a_row, self.calm) = (0, CALM);
                    Next::GoOn
                }
            };
        }
        self.calm = self.calm.saturating_sub(1);
        self.in_a_row = if has_room && is_news { self.in_a_row + 1 } else { 0 };
        if self.in_a_row >= SUSPICIOUS && self.calm == 0 { self.again(offset, page) } else { Next::GoOn }
    }

    fn again(&mut self, offset: u64, page: &[Identity]) -> Next {
        self.page = Some((offset, page.to_vec()));
        Next::Again
    }

    /// Takes the total of a response that ends before `behind`.
    pub(super) fn note_total(&mut self, total: Option<u64>, behind: u64) {
        let Some(total) = total else {
            self.dubious = true;
            return;
        };
        let (first, last) = self.totals.unwrap_or((total, total));
        self.dubious |= total < last || total < behind;
        self.totals = Some((first, total));
    }

    /// Whether the log grows faster than it is read, and what the first total counted was passed long ago.
    pub(super) fn is_outrun(&self, meaning: Total, delivered: u64, limit: u32) -> bool {
        let beyond = PAGES_BEYOND * u64::from(limit);
        self.totals.is_some_and(|(first, last)| {
            !self.dubious && meaning != Total::OfPage && last > first && delivered >= first.saturating_add(beyond)
        })
    }
}
