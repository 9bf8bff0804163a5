//! What a stream of pages reports about itself: its cursor, its summary with the verdict, and the outcome of a part.

use crate::cursor::{Cursor, Learned};
use crate::error::Error;
use crate::page::Paginate;
use crate::page::pages::{Pages, State};
use crate::page::split::{Outcome, PartRead};
use crate::page::summary::{Cause, Doubt, End, Proof, Summary, SummaryHandle, Verdict};
use crate::page::walk::since::Since;
use crate::page::walk::toward_head::Direction;
use crate::page::walk::verify::{Verification, merged};

impl<Q: Paginate> Pages<Q> {
    /// Returns the cursor behind the last page that was yielded. `None` if the query is invalid.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        let listing = self.listing.as_ref().ok()?.clone();
        let resumed = self.settings.resume.as_ref();
        let all = !self.counts.partial && !self.counts.skipped;
        let whole = self.plan.start == 0 && all && resumed.is_none_or(Cursor::is_whole);
        let (anchors, totals) = match (&self.walk, resumed) {
            // The cursor stands at the end of the first scan, while the walk is another one.
            (Direction::Down(_), _) if self.is_again() => (&[][..], self.first_scan.0),
            (Direction::Down(walk), _) => (walk.anchors(), walk.counters().all_totals()),
            // A scan towards the head learns nothing about the listing below it, so the cursor's totals stay.
            (Direction::Up(_), cursor) => (&[][..], cursor.and_then(Cursor::totals)),
        };
        let unoverlapped = self.walk.unoverlapped() || resumed.is_some_and(Cursor::unoverlapped);
        let many = self.walk.returns_many() || resumed.is_some_and(Cursor::returns_many);
        let (shift, gone) = match &self.walk {
            Direction::Down(walk) if !self.is_again() => (walk.shift(), walk.gone()),
            Direction::Down(_) => (self.first_scan.1, self.first_scan.2),
            Direction::Up(_) => (None, resumed.map_or(0, Cursor::gone)),
        };
        Some(self.position.cursor(listing, anchors, Learned { totals, whole, many, unoverlapped, shift, gone }))
    }

    /// Returns the outcome of a [part](crate::page::Listing::part) of a listing so far, for
    /// [`merge`](crate::page::merge).
    pub fn part_read(&self) -> Option<PartRead> {
        let Direction::Down(walk) = &self.walk else { return None };
        let ended = matches!(walk.end(), Some(End::Proved | End::Unproved | End::Stalled))
            && matches!(self.state, State::Ended);
        let counters = walk.counters();
        Some(self.run.as_ref()?.read(Outcome {
            ended: ended && !self.counts.cut,
            doubt: walk.doubt_beside_total(),
            totals: counters.totals,
            has_total: counters.has_total(),
            partial: self.counts.partial,
            shift: walk.shift(),
            cut: match self.verdict() {
                Verdict::Incomplete(cut) => Some(cut),
                Verdict::Complete(_) | Verdict::Unverified(_) => None,
            },
        }))
    }

    /// Returns the summary of the scan so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let counters = self.walk.counters();
        let earlier = self.verification.as_ref().map(Verification::earlier).unwrap_or_default();
        Summary {
            delivered: self.counts.delivered,
            late: self.counts.late,
            invalid: self.counts.invalid,
            repeats: counters.repeats + earlier.repeats,
            lost_positions: counters.lost_positions + earlier.lost_positions,
            totals: merged(earlier.totals, counters.totals),
            requests: counters.requests + earlier.requests + self.prefetcher.dropped(),
            scans: earlier.scans + 1,
            scanned_to_end: self.since.as_ref().is_some_and(Since::scans_to_end),
            verdict: self.verdict(),
        }
    }

    /// Whether the listing was scanned again, or is, to verify the first scan.
    pub(super) fn is_again(&self) -> bool {
        self.verification.as_ref().is_some_and(Verification::is_again)
    }

    fn verdict(&self) -> Verdict {
        let part = self.settings.is_part();
        let cut = match self.walk.end() {
            _ if !matches!(self.state, State::Ended) => Some(Cause::NotFinished),
            _ if self.counts.cut && self.run.is_some() => Some(Cause::Parts),
            _ if self.counts.cut => Some(Cause::MaxItems),
            None => Some(Cause::NotFinished),
            Some(End::Lost) if !self.is_again() => Some(Cause::Lost),
            Some(End::Emptied) if !self.is_again() => Some(Cause::Emptied),
            Some(End::MaxItems) => Some(Cause::MaxItems),
            Some(End::MaxPages) => Some(Cause::MaxPages),
            Some(End::Failed) => Some(Cause::Failed),
            Some(_) if self.counts.partial => Some(Cause::PartialErrors),
            Some(_) if part => Some(Cause::Parts),
            Some(_) if self.plan.start > 0 => Some(Cause::StartOffset),
            Some(_) if self.settings.resume.as_ref().is_some_and(|it| !it.is_whole()) => Some(Cause::EarlierPart),
            Some(_) => None,
        };
        if let Some(cut) = cut {
            return Verdict::Incomplete(cut);
        }
        let before = self.settings.resume.as_ref().map_or(0, Cursor::delivered);
        let doubt = match self.walk.end() {
            Some(End::Since) => Some(Doubt::Since),
            Some(End::Grew) => Some(Doubt::GrewAtEnd),
            end => match &self.walk {
                Direction::Down(walk) => walk.doubt(before),
                Direction::Up(_) if end == Some(End::Unproved) => Some(Doubt::SingleRecords),
                Direction::Up(_) => Some(Doubt::OnlyNewer),
            },
        };
        let has_ended_well = self.walk.end().is_some_and(End::is_reached);
        let is_verifiable = self.is_again() || (doubt.is_some() && has_ended_well);
        if let (Direction::Down(walk), Some(verification), true) = (&self.walk, &self.verification, is_verifiable) {
            return verification.doubt(walk).map_or(Verdict::Complete(Proof::SecondScan), Verdict::Unverified);
        }
        doubt.map_or(Verdict::Complete(Proof::Total), Verdict::Unverified)
    }

    /// Returns a handle to the summary, which stays with the caller when the stream is passed to an adaptor.
    pub(super) fn handle(&mut self) -> SummaryHandle {
        let summary = self.summary();
        self.handle.get_or_insert_with(|| SummaryHandle::new(summary)).clone()
    }

    pub(super) fn report(&self) {
        if let Some(handle) = &self.handle {
            handle.set(self.summary());
        }
    }

    pub(super) fn with_cursor(&self, error: Error) -> Error {
        // A scan that can't start is to resume where it should have.
        error.with_cursor(self.cursor().or_else(|| self.settings.resume.clone()))
    }
}
