//! The plan of a scan: what it was asked to do, and which rules are on.

use crate::page::{GrowingEnd, Growth, Stability, TotalScope};

/// The settings of a walk.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) start: u64,
    pub(crate) limit: u32,
    pub(crate) total: TotalScope,
    pub(crate) order: Stability,
    /// How many record keys are remembered.
    pub(crate) remembered: usize,
    /// By how much requests without a new record may exceed those with one.
    pub(crate) max_unproductive_requests: u64,
    pub(crate) growing_end: GrowingEnd,
    /// At which end new records appear.
    pub(crate) growth: Growth,
    pub(crate) head_again: HeadAgain,
    /// Whether to request what follows the last record before the end counts as proved. Plain scans don't: it is a
    /// request more.
    pub(crate) probes_end: bool,
    pub(crate) rules: Rules,
}

/// Whether the head is scanned a second time at the end of a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum HeadAgain {
    /// Where records may have moved there, or came there.
    #[default]
    WhereNeeded,
    /// Where records may have moved there, or the scan saw a shift that records which came there would explain.
    ToExplain,
    /// The whole listing will be scanned again instead.
    Never,
}

/// The rules that are on: all of them. Tests switch each one off alone, to show what it is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// R1: windows overlap by a record that was seen.
    pub(super) overlap: bool,
    /// R2: the records after the last seen one are next, wherever in the page that one stands.
    pub(super) last_seen: bool,
    /// R3: search for the position if no record of the page was seen.
    pub(super) go_back: bool,
    /// R4: only a seen record alone in its page ends a listing.
    pub(super) prove_end: bool,
    /// A total ends a listing only if its scope is known to be the listing.
    pub(super) doubt_total: bool,
    /// Scan the head a second time in the end.
    pub(crate) read_head: bool,
    /// Ask again after an empty page.
    pub(super) ask_twice: bool,
}

impl Rules {
    pub(crate) const ALL: Self = Self {
        overlap: true,
        last_seen: true,
        go_back: true,
        prove_end: true,
        doubt_total: true,
        read_head: true,
        ask_twice: true,
    };
}

impl Plan {
    /// Raises the number of remembered keys to two pages. With fewer, a page that is returned again and again would
    /// count as new each time.
    pub(super) fn widen(&mut self) {
        let two_pages = usize::try_from(self.limit).unwrap_or(usize::MAX).saturating_mul(2);
        self.remembered = self.remembered.max(two_pages);
    }
}
