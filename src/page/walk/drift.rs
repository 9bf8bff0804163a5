//! The drift of a listing: by how much it shifts from request to request. Does no I/O.
//!
//! In a log that changes all the time the first already seen record never stands where it was last seen. And when the
//! scan goes towards the head, a page that is pushed down by as many records as it brings makes no progress. So the
//! next window is placed where the record should be by the last shift.

/// A steady shift is followed from this share of a page on (one in so many), where the scan makes progress.
const WORTH: u64 = 16;

/// For how many requests nothing is predicted after a wrong prediction.
const PAUSE: u32 = 4;

/// By how much a lost position raises the score of [`Losses`]. Each page that was expected lowers it by one.
const LOSS: u32 = 64;

/// From this score on, positions are lost too often to search for each.
const OFTEN: u32 = 160;

/// The highest score.
const MOST_LOSSES: u32 = 256;

/// For how many pages nothing is prefetched after one that should have been longer, at first and at most.
const FIRST_PAUSE: u32 = 4;
const LAST_PAUSE: u32 = 1_024;

/// Within so many pages after a pause, the next one is twice as long.
const SOON: u32 = 256;

/// How often the position was lost lately. In an unstable order, a listing that gets records in the middle before every
/// request would lose it with each page, and the scan would make no progress.
#[derive(Debug, Default)]
pub(super) struct Losses(u32);

impl Losses {
    /// Notes that the position was lost, or would have been.
    pub(super) fn note_loss(&mut self) {
        self.0 = (self.0 + LOSS).min(MOST_LOSSES);
    }

    /// Notes a page that showed the position where it was expected.
    pub(super) fn note_expected(&mut self) {
        self.0 = self.0.saturating_sub(1);
    }

    pub(super) fn are_frequent(&self) -> bool {
        self.0 >= OFTEN
    }
}

/// When to prefetch nothing. A page that is shorter than the one before, that ends with a seen record, or that doesn't
/// show the position, tells that the windows behind it are requested in vain. In a log that grows with every request,
/// each of these moves the end further away: so each such page doubles the pause, until the scan comes closer again.
#[derive(Debug, Default)]
pub(super) struct PrefetchCooldown {
    /// For how many more pages nothing is prefetched.
    left: u32,
    /// The length of the last pause, and how many pages came since.
    last: u32,
    since: u32,
}

impl PrefetchCooldown {
    /// Notes a page, and whether the windows behind it were requested in vain.
    pub(super) fn note(&mut self, in_vain: bool) {
        match self.left {
            0 if in_vain => {
                self.last =
                    if self.since < SOON { (2 * self.last).clamp(FIRST_PAUSE, LAST_PAUSE) } else { FIRST_PAUSE };
                (self.left, self.since) = (self.last, 0);
            }
            0 => self.since = self.since.saturating_add(1),
            _ if in_vain => self.left = self.last,
            _ => self.left -= 1,
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.left > 0
    }
}

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

    /// Notes that it is unknown by how much the listing shifted since the last page.
    pub(super) fn note_unknown(&mut self) {
        (self.seen, self.since) = ([None; 2], 0);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A drift that has seen these shifts, with a request before each.
    fn seen(shifts: impl IntoIterator<Item = i64>) -> Drift {
        let mut drift = Drift::default();
        for shift in shifts {
            drift.note_request();
            drift.note_shift(shift);
        }
        drift
    }

    #[test]
    fn a_steady_shift_is_followed_from_a_sixteenth_of_a_page_on() {
        for (shift, size, expected) in [(6, 97, 6), (6, 98, 0), (7, 98, 7), (1, 17, 1), (1, 18, 0), (0, 1, 0)] {
            let mut drift = seen([shift, shift]);
            assert_eq!(drift.predict(false, size), expected, "{shift} in pages of {size}");
            assert_eq!(drift.predicted(), expected);
        }
    }

    #[test]
    fn of_two_shifts_the_one_that_steps_over_less_is_followed() {
        let cases = [
            ([5, 7], 5),
            ([7, 5], 5),
            ([-5, -7], -5),
            ([-7, -5], -5),
            ([-3, 5], 0),
            ([5, -3], 0),
            ([0, 5], 0),
            ([5, 0], 0),
            ([-3, 0], 0),
            ([0, -3], 0),
        ];
        for (shifts, expected) in cases {
            assert_eq!(seen(shifts).predict(false, 20), expected, "{shifts:?}");
        }
        // One shift alone may be an exception.
        assert_eq!(seen([7]).predict(false, 20), 0);
        assert_eq!(seen([-7]).predict(false, 20), 0);
    }

    #[test]
    fn without_progress_the_latest_shift_is_followed_however_small() {
        let cases = [([7, 5], 5), ([5, 7], 5), ([-2, 7], 7), ([0, 7], 7), ([2, -7], -7), ([-2, -7], -7), ([2, 0], 0)];
        for (shifts, expected) in cases {
            assert_eq!(seen(shifts).predict(true, 1_000), expected, "{shifts:?}");
        }
        assert_eq!(seen([7]).predict(true, 1_000), 7);
        assert_eq!(seen([]).predict(true, 1_000), 0);
    }

    #[test]
    fn a_shift_over_several_requests_counts_for_each_of_them() {
        for (requests, shift, each) in [(0, 7, 7), (1, 7, 7), (3, 7, 2), (3, -7, -3)] {
            let mut drift = Drift::default();
            // What came before the start says nothing about the shift.
            (0..9).for_each(|_| drift.note_request());
            drift.note_start();
            (0..requests).for_each(|_| drift.note_request());
            drift.note_shift(shift);
            assert_eq!(drift.predict(true, 10), each, "{shift} over {requests}");
            // The next shift counts from here.
            drift.note_request();
            drift.note_shift(-40);
            assert_eq!(drift.predict(true, 10), -40);
        }
    }

    #[test]
    fn after_a_wrong_prediction_nothing_is_predicted_for_four_requests_and_nothing_is_calm() {
        let mut drift = seen([5, 5]);
        assert_eq!(drift.predict(false, 10), 5);
        drift.was_wrong();
        assert_eq!(drift.predicted(), 0);
        for _ in 0..PAUSE {
            assert_eq!((drift.predict(true, 10), drift.predict_by(3), drift.predicted()), (0, 0, 0));
            assert!(!drift.is_calm(1_000));
            drift.note_request();
        }
        // The shifts before that are forgotten; those since then are followed afterwards.
        assert_eq!(drift.predict(true, 10), 0);
        assert!(drift.is_calm(1_000));
        assert_eq!((drift.predict_by(3), drift.predicted()), (3, 3));
    }

    #[test]
    fn what_is_seen_after_a_wrong_prediction_is_followed_only_later() {
        let mut drift = Drift::default();
        drift.was_wrong();
        for turn in 1..=PAUSE {
            drift.note_request();
            drift.note_shift(5);
            let expected = if turn < PAUSE { 0 } else { 5 };
            assert_eq!((drift.predict(true, 10), drift.predict(false, 10)), (expected, expected), "{turn}");
        }
    }

    #[test]
    fn a_listing_is_calm_if_it_shifts_by_less_than_a_sixteenth_of_a_page_and_nothing_is_predicted() {
        for shift in [6, -6] {
            assert!(seen([shift]).is_calm(97));
            assert!(!seen([shift]).is_calm(96));
        }
        assert!(Drift::default().is_calm(1));
        let mut drift = Drift::default();
        drift.predict_by(-1);
        assert!(!drift.is_calm(1_000));
    }

    #[test]
    fn another_pass_keeps_the_shifts_and_begins_without_a_prediction() {
        let mut drift = seen([5, 5]);
        drift.predict(false, 10);
        (0..9).for_each(|_| drift.note_request());
        let mut next = drift.for_next_pass();
        assert_eq!(next.predicted(), 0);
        assert_eq!(next.predict(false, 10), 5);
        next.note_request();
        next.note_shift(4);
        assert_eq!(next.predict(true, 10), 4);
    }

    #[test]
    fn the_last_record_that_moves_down_between_two_pages_shows_by_how_much_for_each_request() {
        let mut tail = Tail::default();
        assert_eq!(tail.note(1, 10, 3), None);
        for (last, offset, request, expected) in [
            (1, 13, 5, Some(2)),
            (1, 14, 6, Some(1)),
            (1, 14, 7, None),
            (1, 12, 8, None),
            (2, 20, 9, None),
            (2, 25, 9, Some(5)),
        ] {
            assert_eq!(tail.note(last, offset, request), expected, "{last} at {offset} by request {request}");
        }
    }

    #[test]
    fn positions_are_lost_often_after_three_losses_until_so_many_pages_were_expected() {
        let mut losses = Losses::default();
        for loss in 1..=9 {
            losses.note_loss();
            assert_eq!(losses.are_frequent(), loss > 2, "{loss}");
        }
        // However often it was lost before.
        for _ in 0..MOST_LOSSES - OFTEN {
            assert!(losses.are_frequent());
            losses.note_expected();
        }
        assert!(losses.are_frequent());
        losses.note_expected();
        assert!(!losses.are_frequent());
    }

    /// How many pages nothing is prefetched behind one that shows that prefetching was in vain.
    fn pause(cooldown: &mut PrefetchCooldown) -> u32 {
        cooldown.note(true);
        let mut pages = 0;
        while cooldown.is_on() {
            cooldown.note(false);
            pages += 1;
        }
        pages
    }

    #[test]
    fn each_page_that_shows_that_prefetching_was_in_vain_doubles_the_pause_up_to_a_limit() {
        let mut cooldown = PrefetchCooldown::default();
        assert!(!cooldown.is_on());
        let pauses: Vec<_> = (0..11).map(|_| pause(&mut cooldown)).collect();
        assert_eq!(pauses, [4, 8, 16, 32, 64, 128, 256, 512, 1_024, 1_024, 1_024]);
        // During a pause, it begins again.
        let mut cooldown = PrefetchCooldown::default();
        cooldown.note(true);
        cooldown.note(false);
        assert_eq!(pause(&mut cooldown), 4);
    }

    #[test]
    fn the_pause_is_short_again_after_256_pages_that_came_as_expected() {
        for (pages, expected) in [(SOON - 1, 8), (SOON, 4), (SOON + 1, 4)] {
            let mut cooldown = PrefetchCooldown::default();
            pause(&mut cooldown);
            (0..pages).for_each(|_| cooldown.note(false));
            assert_eq!(pause(&mut cooldown), expected, "{pages}");
        }
    }
}
