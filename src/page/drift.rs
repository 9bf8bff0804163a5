//! By how much a listing shifts from request to request. Pure.
//!
//! In a log that changes all the time the first known record never stands where it was seen, and on the way to the head a
//! page that is pushed down by as much as it brings makes no progress. So the next window is placed where the shift seen
//! last says that the record will be.

/// From this share of a page on, a steady shift is worth to be followed where there is progress: one in so many.
const WORTH: u64 = 16;

/// So many requests go by without a prediction after one that was wrong.
const PAUSE: u32 = 4;

/// The shift of a listing, in records per request: positive for what comes at the head.
#[derive(Clone, Debug, Default)]
pub(super) struct Drift {
    /// The last two that were seen, the newer one last.
    seen: [Option<i64>; 2],
    /// By how much the window that was asked for last was moved on.
    predicted: i64,
    /// How many requests no prediction is made for.
    pause: u32,
    /// How many responses came since the last record was seen.
    since: u32,
}

impl Drift {
    /// A response came.
    pub(super) fn note_request(&mut self) {
        self.since = self.since.saturating_add(1);
        self.pause = self.pause.saturating_sub(1);
    }

    /// The last known record was found this much further on than it had been seen.
    pub(super) fn note_shift(&mut self, shift: i64) {
        let per_request = shift.div_euclid(i64::from(self.since.max(1)));
        self.seen = [self.seen[1], Some(per_request)];
        self.since = 0;
    }

    /// By how much to move the next window on, in pages of `size` records. `stalled`: the last response brought nothing new.
    pub(super) fn predict(&mut self, stalled: bool, size: u64) -> i64 {
        self.predicted = match self.seen {
            _ if self.pause > 0 => 0,
            // Where no progress is made, the latest shift is the best guess.
            [before, Some(latest)] if stalled => match before {
                Some(before) if before > 0 && latest > 0 => latest.min(before),
                _ => latest,
            },
            // What goes from before the position pulls it up. To begin further up than needed costs less than to miss it.
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

    /// By how much the window that was asked for last was moved on.
    pub(super) fn predicted(&self) -> i64 {
        self.predicted
    }

    /// Whether the listing shifts by little, if at all, in pages of `size` records.
    pub(super) fn is_calm(&self, size: u64) -> bool {
        let latest = self.seen[1].unwrap_or_default().unsigned_abs();
        self.predicted == 0 && self.pause == 0 && latest.saturating_mul(WORTH) < size
    }

    /// The window lay beyond the known record, as the listing didn't shift that far.
    pub(super) fn was_wrong(&mut self) {
        *self = Self { pause: PAUSE, ..Self::default() };
    }
}
