//! What must hold of a scan.

use crate::integration::SortOrder;
use crate::page::walk::model::case::{Case, Change};
use crate::page::walk::model::changing_log::ChangingLog;
use crate::page::walk::model::scan::{Part, Parts, TOO_MANY};
use crate::page::walk::position::most_requests;
use crate::page::{Doubt, Stability, Summary, TotalScope, Verdict};
use crate::testing::FakeTotal;

impl Case {
    /// Checks what holds of any scan, whatever happened.
    pub(super) fn check(&self, parts: &Parts, changing: &ChangingLog) -> Result<(), String> {
        self.check_missed(parts, changing)?;
        for (index, part) in parts.iter().enumerate() {
            let page_size = if index == 0 { self.page_size } else { self.later_size };
            let most = self.remembered.map_or(usize::MAX, |it| it.max(2 * page_size as usize));
            // Two rows of an invalid record are two records, one behind the other. And one looks new once the record
            // before it is another, or has become invalid itself.
            let has_neighbours_changed = changing.history.alike || self.changes_of_content() > 1;
            let twice = part.twice.iter().filter(|(id, _)| !(has_neighbours_changed && changing.is_spoiled(*id)));
            if let Some((id, apart)) = twice.into_iter().find(|(_, apart)| *apart < most) {
                return Err(format!("{id} was delivered again {apart} records later: {:?}", part.delivered));
            }
            let (requests, delivered) = (part.summary.requests, part.delivered.len());
            if part.requests > requests + part.failed {
                return Err(format!("{} requests, and the summary counts {requests}", part.requests));
            }
            // Where larger offsets are clamped to a page of records that are alike, the listing has no end.
            let endless = changing.history.alike && changing.history.clamped;
            // Neither has one that grows at its end as fast as it is scanned, or anywhere by nearly a page each time,
            // or of which only the growing section can be reached. (A record that moves there is new again once its
            // key is forgotten.)
            let growth = match self.steady {
                Some(Change::Grow(count)) => u64::from(count),
                Some(Change::Insert(_)) => 1,
                Some(Change::Move(_)) if self.remembered.is_some() => 1,
                _ => 0,
            };
            let is_outrun = 2 * growth + 1 >= self.smallest_page().min(page_size.into());
            let grows_on = self.order == SortOrder::Asc || changing.history.misplaced || is_outrun;
            let endless = endless || (growth > 0 && grows_on);
            // Each row of an invalid record is a new record, one behind the other.
            let is_invalid = |it: &Change| matches!(it, Change::Spoil(_) | Change::SpoilAlike(_));
            let mut all = self.changes.iter().chain(&self.meanwhile).chain(&self.steady);
            let is_doubled = all.clone().any(|it| matches!(it, Change::Duplicate(_)));
            let endless = endless || (self.steady.is_some() && is_doubled && all.any(is_invalid));
            // The pages prefetched in vain come on top.
            let search = if index == 0 { 0 } else { most_requests(TOO_MANY as u64, page_size) };
            let responses = 2 * delivered as u64 + 201 + search;
            let most = if self.prefetch > 1 { 3 * responses + 2 * self.prefetch as u64 } else { responses };
            if requests > most || (delivered > TOO_MANY && !endless) {
                return Err(format!(
                    "{requests} requests, and not {most}, for {delivered} records: {:?}",
                    &part.delivered[..delivered.min(100)]
                ));
            }
        }
        if changing.changes == 0 && self.stops.is_empty() && !self.jitter && !self.is_misconfigured() {
            self.check_quiet(&parts[0].summary, parts)?;
        }
        Ok(())
    }

    pub(super) fn check_missed(&self, parts: &Parts, changing: &ChangingLog) -> Result<(), String> {
        let verdict = parts.last().unwrap().summary.verdict;
        let missed: Vec<_> =
            changing.throughout.iter().copied().filter(|it| !changing.delivered.contains(it)).collect();
        // The client can't check its configuration: a total that is wrong may end a listing anywhere.
        if missed.is_empty() || verdict.is_incomplete() || self.is_misconfigured() {
            return Ok(());
        }
        let failure = || Err(format!("the verdict is {verdict}, and {missed:?} are missing"));
        if verdict.is_complete() {
            return failure();
        }
        // A few records that moved to the head are found there in the end. (Not those that a delivered record passed
        // on its way.)
        let moves = self.changes.iter().filter(|it| matches!(it, Change::Move(_))).count();
        let only_moves = self.changes.iter().all(|it| matches!(it, Change::Move(_) | Change::Nothing));
        let only_moves = only_moves && self.steady.is_none();
        // Records inserted as fast as the log is scanned look like records added at its end, where the API says that
        // they are.
        let comes_ahead = self.changes.iter().chain(&self.steady).any(|it| matches!(it, Change::Insert(_)));
        let is_at_end = self.order == SortOrder::Asc;
        let outrun = verdict == Verdict::Unverified(Doubt::GrewAtEnd) && comes_ahead && is_at_end;
        // Pages that the server cuts look like the last one of a log that keeps shifting; the verdict says so.
        let is_cut = changing.history.clamped || comes_ahead;
        let outrun = outrun || (verdict == Verdict::Unverified(Doubt::EndUnproved) && is_cut);
        let excused = changing.history.excuse().is_some() || outrun;
        if only_moves && moves <= 3 && self.page_size >= 8 && self.stops.is_empty() && !excused {
            return Err(format!("{missed:?} moved and were not found again"));
        }
        // Whatever else happened, in one part or in several: a record that didn't move is delivered.
        let kept = missed.iter().any(|it| !changing.history.moved.contains(it));
        if kept && !excused { failure() } else { Ok(()) }
    }

    /// If nothing happens, the scan reaches the end.
    pub(super) fn check_read(&self, parts: &Parts, changing: &ChangingLog) -> Result<(), String> {
        let verdict = parts.last().unwrap().summary.verdict;
        let quiet = changing.changes == 0 && !self.jitter && !self.is_misconfigured();
        if quiet && verdict.is_incomplete() { Err(format!("a quiet log is {verdict}")) } else { Ok(()) }
    }

    /// If nothing happens, all records are delivered in order, with the documented number of requests and the verdict
    /// that the total allows.
    fn check_quiet(&self, summary: &Summary, parts: &[Part]) -> Result<(), String> {
        let (n, size) = (u64::from(self.records), u64::from(self.page_size));
        let ids: Vec<u64> = match self.order {
            SortOrder::Desc => (1..=n).rev().collect(),
            SortOrder::Asc => (1..=n).collect(),
        };
        let delivered: Vec<_> = parts.iter().flat_map(|it| it.delivered.iter().copied()).collect();
        if delivered != ids {
            return Err(format!("out of order, or not all: {delivered:?}"));
        }
        let by_total = self.total_scope == TotalScope::Listing && self.count == FakeTotal::All;
        let again = u64::from(self.stability() == Stability::Unstable);
        let head = |size: u64| again * (n.min(4) - 1).div_ceil((size - 1).max(1)).max(1);
        let expected = match (n, size) {
            (0, _) => 2,
            // One at a time, two empty responses, and the first four again.
            (_, 1) => n + 2 + again * n.min(4),
            // A single record looks like a server that returns single records: two empty responses.
            (1, _) if !by_total => 1 + 2 + again,
            _ => {
                let windows = 1 + n.saturating_sub(size).div_ceil(size - 1);
                // Where a single window had room for all records, there is nothing to prove.
                windows + u64::from(!(by_total && n < size)) + head(size)
            }
        };
        // At the end, at most so many pages are prefetched in vain.
        if !(expected..expected + self.prefetch as u64).contains(&summary.requests) {
            return Err(format!("{} requests for {n} records by {size}, not {expected}", summary.requests));
        }
        let true_total = self.count == FakeTotal::All && self.stability() == Stability::Stable;
        let complete = match self.total_scope {
            TotalScope::Page => false,
            TotalScope::Listing => true_total && (size > 1 || n == 0),
            // A total that may as well be the page's count proves nothing.
            _ => true_total && n > 1 && size > 1,
        };
        match summary.verdict {
            Verdict::Complete(_) if complete => Ok(()),
            Verdict::Unverified(_) if !complete => Ok(()),
            verdict => Err(format!("{verdict} where complete is {complete}")),
        }
    }
}
