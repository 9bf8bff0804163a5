//! How many requests of a scan may be in flight: fewer when the server refuses requests or slows down, and more again
//! slowly.

use std::time::Duration;

/// A page is slow if it took so many times as long as the fastest one,
const SLOWER: u32 = 3;

/// and longer by this much: a server that responds at once may take a little longer at any time.
const SLOWER_BY: Duration = Duration::from_millis(100);

/// After so many slow pages in a row fewer are requested at once.
const SLOW: u32 = 2;

/// After so many pages that weren't slow one more is requested at once.
const GOOD: u32 = 8;

/// The number of requests in flight, between one and the number that the caller allows.
#[derive(Debug)]
pub(super) struct Pace {
    most: usize,
    now: usize,
    fastest: Option<Duration>,
    slow: u32,
    good: u32,
}

impl Pace {
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), now: most.max(1), fastest: None, slow: 0, good: 0 }
    }

    /// Returns how many requests may be in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.now
    }

    /// Notes a page, how long it took, and whether the server refused an attempt at it with a 429.
    pub(super) fn note(&mut self, took: Duration, was_refused: bool) {
        if was_refused {
            return self.slow_down();
        }
        if self.now == 1 {
            // Alone, a request can't be slow because of others: this is what the server takes now.
            self.fastest = Some(took);
        }
        let fastest = self.fastest.map_or(took, |it| it.min(took));
        self.fastest = Some(fastest);
        if took > fastest * SLOWER && took > fastest + SLOWER_BY {
            self.slow += 1;
            if self.slow >= SLOW {
                self.slow_down();
            }
            return;
        }
        self.slow = 0;
        self.good += 1;
        if self.good >= GOOD {
            self.good = 0;
            self.now = (self.now + 1).min(self.most);
        }
    }

    fn slow_down(&mut self) {
        (self.slow, self.good) = (0, 0);
        self.now = (self.now / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Duration = Duration::from_millis(50);

    fn noted(pace: &mut Pace, took: Duration, times: u32) -> usize {
        (0..times).for_each(|_| pace.note(took, false));
        pace.in_flight()
    }

    #[test]
    fn a_refusal_halves_the_requests_in_flight_and_each_eight_good_pages_add_one() {
        let mut pace = Pace::new(8);
        for expected in [4, 2, 1, 1] {
            pace.note(USUAL, true);
            assert_eq!(pace.in_flight(), expected);
        }
        assert_eq!(noted(&mut pace, USUAL, 7), 1);
        for expected in [2, 3, 4, 5, 6, 7, 8, 8] {
            assert_eq!(noted(&mut pace, USUAL, 8), expected);
        }
    }

    #[test]
    fn two_slow_pages_in_a_row_halve_them_and_a_single_one_or_a_small_difference_does_not() {
        let mut pace = Pace::new(4);
        assert_eq!(noted(&mut pace, USUAL, 1), 4);
        assert_eq!(noted(&mut pace, USUAL * 4, 1), 4);
        assert_eq!(noted(&mut pace, USUAL, 1), 4);
        assert_eq!(noted(&mut pace, USUAL * 4, 2), 2);
        let mut quick = Pace::new(4);
        noted(&mut quick, Duration::from_millis(1), 1);
        assert_eq!(noted(&mut quick, Duration::from_millis(90), 100), 4);
    }

    #[test]
    fn a_page_is_slow_if_it_takes_more_than_three_times_as_long_and_more_than_100_ms_longer() {
        for (fastest, longest) in [(100, 300), (10, 110), (1, 101), (50, 150), (51, 153)] {
            let ms = Duration::from_millis;
            for (took, expected) in [(ms(longest), 4), (ms(longest) + Duration::from_nanos(1), 2)] {
                let mut pace = Pace::new(4);
                noted(&mut pace, ms(fastest), 1);
                assert_eq!(noted(&mut pace, took, 2), expected, "{took:?} after {fastest} ms");
            }
        }
    }

    #[test]
    fn a_server_that_stays_slow_is_the_new_measure() {
        let mut pace = Pace::new(4);
        noted(&mut pace, USUAL, 1);
        assert_eq!(noted(&mut pace, USUAL * 20, 4), 1);
        assert_eq!(noted(&mut pace, USUAL * 20, 24), 4);
    }
}
