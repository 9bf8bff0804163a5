//! The follower's rules against a listing that changes between any two requests and responds badly, with polls, sweeps,
//! full scans, kills and restarts from any stored checkpoint.
//!
//! What must hold is in `copy`: in the end the copy has every record that is there, in its last state; nothing was
//! reported as removed that was there; new records came oldest first, and none came twice but where that is documented;
//! and an idle follower sends no more requests than are documented.
//!
//! The environment variable `MODEL_CASES` sets the number of cases, 300 unless set. `MODEL_SEED`, from 0 to 255,
//! chooses others. With `MODEL_SURVEY`, all failures are printed, each with the least case found, and the run goes on.
//! With `MODEL_CASE`, only the cases of these numbers are run; of a single one, the log is printed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod case;
mod copy;
mod found;
mod undecided;
mod world;

use case::{Case, Event, Step, case};
use copy::Copy;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::follow::machine::Side;
use crate::page::Stability;

fn run(case: &Case) -> Result<(), String> {
    let mut copy = Copy::new(case);
    copy.run();
    copy.check().map_err(|why| format!("{why}\n{}", copy.log()))
}

/// What the cases of tests begin from: a stable listing with its newest record first, and nothing that happens.
const QUIET: Case = Case {
    records: 0,
    page_size: 2,
    lookback: 1,
    side: Side::Head,
    is_undecided: false,
    order: Stability::Stable,
    begin: 0,
    has_total: false,
    events: Vec::new(),
    steps: Vec::new(),
};

fn cases(unless_set: u32) -> u32 {
    std::env::var("MODEL_CASES").map_or(unless_set, |it| it.parse().unwrap())
}

/// The same cases every time, so that a new failure comes from a change of the code; or those of another seed.
fn rng() -> TestRng {
    match std::env::var("MODEL_SEED") {
        Ok(seed) => TestRng::from_seed(RngAlgorithm::ChaCha, &[seed.parse().unwrap(); 32]),
        Err(_) => TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    }
}

/// Prints all failures, each with the least case found that fails in the same way.
fn survey(mut runner: TestRunner, cases: u32) {
    let way = |why: &str| why.lines().next().unwrap_or_default().replace(|it: char| it.is_ascii_digit(), "");
    let only = std::env::var("MODEL_CASE").unwrap_or_default();
    let only: Vec<u32> = only.split_whitespace().map(|it| it.parse().unwrap()).collect();
    let mut found = 0;
    for number in 0..only.last().map_or(cases, |it| it + 1) {
        let mut tree = case().new_tree(&mut runner).unwrap();
        if !only.is_empty() && !only.contains(&number) {
            continue;
        }
        let Err(why) = run(&tree.current()) else { continue };
        found += 1;
        let (mut least, mut tries) = ((tree.current(), why), 0);
        let mut has_more = only.len() < 2 && tree.simplify();
        while has_more && tries < 4_000 {
            tries += 1;
            has_more = match run(&tree.current()) {
                Err(why) if way(&why) == way(&least.1) => {
                    least = (tree.current(), why);
                    tree.simplify()
                }
                _ => tree.complicate(),
            };
        }
        println!("FOUND case {number}: {:.100} in {:?}", least.1.lines().next().unwrap_or_default(), least.0);
        if only.len() == 1 {
            println!("{}", least.1);
        }
    }
    println!("{found} of {cases} cases fail");
}

#[test]
fn a_copy_ends_up_with_every_record_in_its_last_state_whatever_happens() {
    let cases = cases(300);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 4_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, rng());
    if ["MODEL_SURVEY", "MODEL_CASE"].into_iter().any(|it| std::env::var_os(it).is_some()) {
        return survey(runner, cases);
    }
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
        order: Stability::Unstable,
        events,
        steps: vec![Step::Sweep, Step::Poll, Step::Kill(57, 248), Step::Poll, Step::Poll, Step::Poll],
        ..QUIET
    };
    run(&case).unwrap();
}

#[test]
fn a_first_scan_that_began_again_does_not_step_over_what_came_meanwhile() {
    use Event::{Burst, Empty, Grow, Nothing};
    // An empty page in the search for the position makes the scan begin again at the head. The log grows faster then,
    // and the next window lies on records of before.
    let case = Case {
        records: 2,
        page_size: 2,
        events: vec![Nothing, Burst(1), Nothing, Empty, Nothing, Grow(2), Grow(3)],
        steps: vec![Step::Poll],
        ..QUIET
    };
    for order in [Stability::Stable, Stability::Unstable] {
        run(&Case { order, ..case.clone() }).unwrap();
    }
}

#[test]
fn what_a_first_scan_delivered_before_it_began_again_twice_stays_remembered() {
    use Event::{Burst, Change, Empty, Expire, Grow, Hide, Insert, Move, Nothing, Unhide};
    let case = |records, lookback, events| Case {
        records,
        page_size: 2,
        lookback,
        order: Stability::Unstable,
        events,
        steps: vec![Step::Poll, Step::Sweep],
        ..QUIET
    };
    // One record comes back above them.
    let mut events = vec![Nothing, Grow(2), Nothing, Nothing, Nothing, Nothing, Hide(0), Nothing, Insert(0), Insert(0)];
    events.extend([Hide(69), Nothing, Nothing, Nothing, Unhide]);
    run(&case(3, 1, events)).unwrap();
    // One of them changes between two of the beginnings.
    let mut events = vec![Nothing, Expire(3), Nothing, Grow(3), Nothing, Empty, Insert(0), Move(43), Change(0)];
    events.extend([Change(0), Burst(4), Nothing, Nothing, Expire(1), Expire(1), Grow(2), Move(207), Hide(0), Hide(0)]);
    events.extend([Empty, Insert(0), Insert(0), Hide(69), Nothing, Nothing, Nothing, Change(0), Nothing, Unhide]);
    events.push(Insert(0));
    run(&case(5, 26, events)).unwrap();
}

#[test]
fn a_position_that_is_gone_moves_on_with_what_a_sweep_delivers_behind_it() {
    use Event::{Burst, Change, Grow, Hide, Insert, Nothing, Restore, Short};
    let mut events = vec![Insert(0), Nothing, Insert(0), Nothing, Nothing, Short, Nothing, Short, Insert(0), Nothing];
    // During the sweep, the newest go and more come than are remembered. Then the process is killed.
    events.extend([Nothing, Hide(4), Insert(4), Nothing, Nothing, Restore(8), Nothing, Burst(11), Nothing, Nothing]);
    events.extend([Change(0), Grow(3), Nothing, Restore(1), Nothing]);
    let case = Case {
        records: 62,
        page_size: 8,
        lookback: 43,
        side: Side::End,
        events,
        steps: vec![Step::Poll, Step::Kill(251, 0), Step::Sweep, Step::Poll],
        ..QUIET
    };
    run(&case).unwrap();
}

#[test]
fn a_catch_up_whose_anchor_is_forgotten_on_the_way_delivers_nothing_again() {
    use Event::{Burst, Clamp, Grow, Nothing};
    let mut events = vec![Clamp(4), Nothing, Nothing, Clamp(5), Nothing, Nothing, Nothing, Nothing, Nothing, Nothing];
    // During the sweep, more come than are remembered.
    events.extend([Nothing, Burst(15), Nothing, Nothing, Grow(5), Grow(2)]);
    let case = Case {
        records: 14,
        page_size: 5,
        order: Stability::Unstable,
        begin: 2,
        events,
        steps: vec![Step::Poll, Step::Sweep],
        ..QUIET
    };
    run(&case).unwrap();
}

#[test]
fn where_all_remembered_records_at_the_end_are_gone_an_idle_poll_is_one_request() {
    use Event::{Grow, Insert, Nothing, Restore};
    let mut events = vec![Insert(0), Nothing, Nothing, Nothing, Nothing, Grow(1), Insert(0), Insert(0), Nothing];
    events.extend([Insert(0), Nothing, Restore(1), Nothing, Insert(0), Nothing, Restore(1), Restore(12)]);
    let case = Case {
        records: 30,
        page_size: 6,
        side: Side::End,
        begin: 2,
        events,
        steps: vec![Step::Poll, Step::FullScan, Step::Poll, Step::Poll],
        ..QUIET
    };
    run(&case).unwrap();
}

#[test]
fn a_first_scan_goes_on_where_a_server_returns_more_records_at_once_than_before() {
    use Event::{Burst, Clamp, Empty, Grow, Nothing, Short};
    let mut events = vec![Nothing, Nothing, Grow(3), Nothing, Short, Nothing, Grow(1), Grow(2), Grow(2), Nothing];
    events.extend([Nothing, Burst(8), Clamp(3), Nothing, Empty, Nothing, Nothing, Nothing, Nothing, Nothing, Clamp(5)]);
    events.extend([Clamp(3), Nothing, Nothing, Clamp(4)]);
    let case = Case { records: 33, page_size: 5, events, steps: vec![Step::Poll], ..QUIET };
    run(&case).unwrap();
}

#[test]
fn a_record_that_moved_to_the_head_before_a_scan_went_back_there_is_remembered_above_all_others() {
    use Event::{Burst, Delete, Expire, Grow, Insert, Move, Nothing, Retire};
    let mut events =
        vec![Nothing, Nothing, Nothing, Nothing, Nothing, Insert(31), Grow(1), Nothing, Retire(3), Grow(4)];
    events.extend([Delete(64, 2), Retire(2), Expire(3), Burst(11), Grow(3), Move(198)]);
    let order = Stability::Unstable;
    run(&Case { records: 25, page_size: 3, order, events, steps: vec![Step::Poll], ..QUIET }).unwrap();
}

#[test]
fn a_position_that_a_walk_comes_to_twice_is_held_once() {
    use Event::{Change, Clamp, Empty, Grow, Insert, Nothing, Restore, Unhide};
    let mut events = vec![Change(0), Unhide, Nothing, Grow(3), Empty, Nothing, Nothing, Clamp(2), Insert(21)];
    events.extend([Restore(16), Restore(8), Change(0), Nothing, Nothing]);
    let case = Case {
        records: 22,
        page_size: 6,
        side: Side::End,
        order: Stability::Unstable,
        events,
        steps: vec![Step::Poll, Step::Poll, Step::Poll],
        ..QUIET
    };
    run(&case).unwrap();
}

#[test]
fn a_record_that_comes_with_the_id_of_the_last_one_that_is_gone_is_delivered() {
    use Event::{Grow, Nothing, Restore, Reuse};
    for side in [Side::Head, Side::End] {
        // Before it is reported as removed, and after that.
        for (count, requests) in [(1, 3), (1, 30), (5, 30), (12, 30)] {
            let mut events = vec![Nothing; 12];
            events.push(Restore(count));
            events.extend(vec![Nothing; requests]);
            events.extend([Reuse, Grow(1), Nothing, Nothing, Grow(5)]);
            let mut steps = vec![Step::Poll, Step::Poll, Step::Sweep];
            steps.extend([Step::Poll, Step::Sweep].repeat(12));
            run(&Case { records: 40, page_size: 8, lookback: 20, side, events, steps, ..QUIET }).unwrap();
        }
    }
}

#[test]
fn a_search_for_known_ground_delivers_nothing_again_that_it_pushed_out_of_the_lookback() {
    use Event::{Burst, Change, Clamp, Expire, Insert, Nothing, Reuse};
    let mut events = vec![Insert(0), Nothing, Insert(0), Reuse, Insert(0), Clamp(5), Reuse, Nothing, Nothing, Nothing];
    events.extend([Expire(6), Change(0), Burst(10), Expire(1), Expire(1), Nothing]);
    let steps = vec![Step::Poll, Step::Sweep];
    run(&Case { records: 23, page_size: 11, events, steps, ..QUIET }).unwrap();
}

#[test]
fn a_sweep_that_sees_records_above_those_that_it_has_read_does_not_take_them_for_older_ones() {
    use Event::{Burst, Change, Clamp, Empty, Grow, Nothing};
    let mut events = vec![Nothing, Change(0), Nothing, Change(0), Nothing, Change(0), Change(0), Nothing, Burst(6)];
    events.extend([Clamp(6), Nothing, Nothing, Clamp(8), Nothing, Grow(2), Change(0), Burst(9), Nothing, Change(0)]);
    events.extend([Nothing, Nothing, Nothing, Nothing, Empty, Nothing]);
    let case = Case {
        records: 26,
        page_size: 13,
        order: Stability::Unstable,
        begin: 1,
        events,
        steps: vec![Step::Poll, Step::Sweep, Step::Sweep, Step::Poll, Step::Poll],
        ..QUIET
    };
    run(&case).unwrap();
}

#[test]
fn the_last_record_of_a_listing_but_one_is_reported_as_removed() {
    use Event::{Delete, Nothing};
    for (side, at) in [(Side::Head, 255), (Side::End, 255), (Side::Head, 0), (Side::End, 0)] {
        let mut events = vec![Nothing; 8];
        events.push(Delete(at, 1));
        let steps = vec![Step::Poll, Step::Poll, Step::Sweep, Step::Poll, Step::Sweep];
        run(&Case { records: 2, page_size: 5, side, events, steps, ..QUIET }).unwrap();
    }
}
