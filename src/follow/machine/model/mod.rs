//! The follower's rules against a listing that changes between any two requests and responds badly, with polls, sweeps,
//! full scans, kills and restarts from any stored checkpoint.
//!
//! What must hold is in `copy`: in the end the copy has every record that is there, in its last state; nothing was
//! reported as removed that was there; new records came oldest first, and none came twice but where that is documented;
//! and an idle follower sends no more requests than are documented.
//!
//! `MODEL_CASES` sets the number of cases, 300 unless set.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod case;
mod copy;
mod world;

use case::{Case, Event, Step, case};
use copy::Copy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::follow::machine::Side;
use crate::page::Stability;

fn run(case: &Case) -> Result<(), String> {
    let mut copy = Copy::new(case);
    copy.run();
    copy.check().map_err(|why| format!("{why}\n{}", copy.log()))
}

fn cases(unless_set: u32) -> u32 {
    std::env::var("MODEL_CASES").map_or(unless_set, |it| it.parse().unwrap())
}

#[test]
fn a_copy_ends_up_with_every_record_in_its_last_state_whatever_happens() {
    let config = Config { cases: cases(300), failure_persistence: None, max_shrink_iters: 4_000, ..Config::default() };
    // The same cases every time: a failure is one that the change made.
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    runner.run(&case(), |case| run(&case).map_err(TestCaseError::fail)).unwrap();
}

#[test]
fn a_record_that_records_which_moved_in_a_row_hide_from_a_poll_is_found_by_the_next_sweep() {
    use Event::{Clamp, Empty, Expire, Grow, Hide, Insert, Move, Nothing};
    let mut events = vec![Insert(0), Hide(57), Clamp(2), Nothing, Insert(0), Clamp(3), Expire(6), Empty, Nothing];
    events.extend([Nothing, Grow(2), Move(74), Move(33), Grow(3), Nothing]);
    let case = Case {
        records: 53,
        page_size: 12,
        lookback: 1,
        side: Side::Head,
        is_undecided: false,
        order: Stability::Unstable,
        begin: 0,
        has_total: false,
        events,
        steps: vec![Step::Sweep, Step::Poll, Step::Kill(57, 248), Step::Poll, Step::Poll, Step::Poll],
    };
    run(&case).unwrap();
}
