//! The drift of a listing: by how much it shifts from request to request. Does no I/O.
//!
//! In a log that changes all the time the first already seen record never stands where it was last seen. And when the
//! scan goes towards the head, a page that is pushed down by as many records as it brings makes no progress. So the
//! next window is placed where the record should be by the last shift.

/// A steady shift is followed from this share of a page on (one in so many), where the scan makes progress.
const WORTH: u64 = 16;

/// For how many requests nothing is predicted after a wrong prediction.
const PAUSE: u32 = 4;

/// The shift of a listing, in records per request: positive if records are added at the head.
#[derive(Clone, Debug, Default)]
pub(super) struct Drift {
    /// The last two shifts, the newer one last.
    seen: [Option<i64>; 2],
    /// By how much the last window was moved down.
    predicted: i64,
    /// For how many more requests nothing is predicted.
    pause: u32,
    /// How many responses came since an already seen record was found.
    since: u32,
}

/// The record that a page without new ones ended with last: its fingerprint, its offset, and the number of the request.
#[derive(Debug, Default)]
pub(super) struct Tail(Option<(u64, u64, u64)>);

impl Tail {
    /// Notes another such page. If it ended with the same record, returns by how much that moved down per request, if
    /// it did.
    pub(super) fn note(&mut self, last: u64, offset: u64, request: u64) -> Option<i64> {
        let (before, from, since) = self.0.replace((last, offset, request))?;
        let moved = offset.checked_sub(from).filter(|moved| before == last && *moved > 0)?;
        i64::try_from(moved.div_ceil(request.saturating_sub(since).max(1))).ok()
    }
}

impl Drift {
    /// Returns what is known for another pass, which hasn't requested anything yet.
    pub(super) fn for_next_pass(&self) -> Self {
        Self { predicted: 0, since: 0, ..self.clone() }
    }

    /// Notes that the pass has a position from here on: shifts before that say nothing about it.
    pub(super) fn note_start(&mut self) {
        self.since = 0;
    }

    /// Counts a response.
    pub(super) fn note_request(&mut self) {
        self.since = self.since.saturating_add(1);
        self.pause = self.pause.saturating_sub(1);
    }

    /// Notes that the last already seen record was found this much further down than before.
    pub(super) fn note_shift(&mut self, shift: i64) {
        let per_request = shift.div_euclid(i64::from(self.since.max(1)));
        self.seen = [self.seen[1], Some(per_request)];
        self.since = 0;
    }

    /// Returns by how much to move the next window down, in pages of `size` records. `stalled`: the last response
    /// brought no new record.
    pub(super) fn predict(&mut self, stalled: bool, size: u64) -> i64 {
        self.predicted = match self.seen {
            _ if self.pause > 0 => 0,
            // Without progress, the latest shift is the best guess.
            [before, Some(latest)] if stalled => match before {
                Some(before) if before > 0 && latest > 0 => latest.min(before),
                _ => latest,
            },
            // Records removed before the position pull it up. Starting further up than needed costs less than missing
            // it.
            [Some(before), Some(latest)] if before < 0 && latest < 0 => latest.max(before),
            [Some(before), Some(latest)] => {
                let steady = latest.min(before);
                let is_worth = u64::try_from(steady).is_ok_and(|it| it.saturating_mul(WORTH) + 1 >= size);
                if steady > 0 && is_worth { steady } else { 0 }
            }
            _ => 0,
        };
        self.predicted
    }

    /// Moves the next window down by this much, unless a prediction was wrong lately. Returns by how much it is moved.
    pub(super) fn predict_by(&mut self, shift: i64) -> i64 {
        self.predicted = if self.pause > 0 { 0 } else { shift };
        self.predicted
    }

    /// Returns by how much the last window was moved down.
    pub(super) fn predicted(&self) -> i64 {
        self.predicted
    }

    /// Returns whether the listing shifts by little, if at all, in pages of `size` records.
    pub(super) fn is_calm(&self, size: u64) -> bool {
        let latest = self.seen[1].unwrap_or_default().unsigned_abs();
        self.predicted == 0 && self.pause == 0 && latest.saturating_mul(WORTH) < size
    }

    /// Notes that the window lay beyond the already seen record, because the listing shifted less than predicted.
    pub(super) fn was_wrong(&mut self) {
        *self = Self { pause: PAUSE, ..Self::default() };
    }
}
