//! Random scans of logs that change between any two requests, from servers that misbehave.
//!
//! Each case is a log, the changes to it before each request, and a scan of it that stops and resumes. `check` says
//! what must hold in the end, and `history` when a scan may skip a record, because no client could know of it. Each
//! rule is also switched off alone, to show that the model notices.
//!
//! The environment variable `MODEL_CASES` sets the number of cases. Without it there are 2,000, 1,000 scans towards the
//! head, and 4,000 that resume. `MODEL_SEED`, from 0 to 255, chooses others.
//! With `MODEL_SURVEY`, all failures are printed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod case;
mod changing_log;
mod check;
mod history;
mod network;
mod resumed;
mod scan;
mod steady;
mod toward_head;
mod verify;

use std::sync::{Arc, Mutex};

use case::{Case, Change, busy_case, case, plain};
use changing_log::ChangingLog;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use scan::Parts;

use crate::integration::SortOrder;
use crate::page::walk::plan::Rules;
use crate::page::{Stability, TotalScope};
use crate::testing::FakeTotal;

fn run(case: &Case, rules: Rules) -> (Result<(), String>, Parts, Arc<Mutex<ChangingLog>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (parts, changing) = runtime.block_on(case.read(rules));
    let changed = changing.lock().unwrap();
    let checked = if rules == Rules::ALL {
        case.check(&parts, &changed)
    } else {
        // Too many requests or a repeat wouldn't show what a rule is good for: a loss does.
        case.check_missed(&parts, &changed).and_then(|()| case.check_read(&parts, &changed))
    };
    drop(changed);
    (checked, parts, changing)
}

/// How many cases to run.
fn cases(unless_set: u32) -> u32 {
    std::env::var("MODEL_CASES").map_or(unless_set, |it| it.parse().unwrap())
}

fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    TestRunner::new_with_rng(config, rng())
}

/// The same cases every time, so that a new failure comes from a change of the code; or those of another seed.
fn rng() -> TestRng {
    match std::env::var("MODEL_SEED") {
        Ok(seed) => TestRng::from_seed(RngAlgorithm::ChaCha, &[seed.parse().unwrap(); 32]),
        Err(_) => TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    }
}

/// The outcome of a case. If `MODEL_SURVEY` is set, a failure is printed, and the run goes on.
fn failed(
    checked: Result<(), String>,
    case: &impl std::fmt::Debug,
    more: impl Fn() -> String,
) -> Result<(), TestCaseError> {
    match checked {
        Err(why) if std::env::var_os("MODEL_SURVEY").is_some() => {
            println!("FOUND {why:.300} in {case:?}");
            Ok(())
        }
        checked => checked.map_err(|why| TestCaseError::fail(format!("{why}\n{}", more()))),
    }
}

#[test]
fn no_scan_that_skips_a_record_claims_to_be_complete_whatever_happens() {
    let cases = cases(2_000);
    let seen = std::cell::Cell::new([0u32; 7]);
    runner(cases)
        .run(&case(), |case| {
            let (checked, parts, changing) = run(&case, Rules::ALL);
            let changing = changing.lock().unwrap();
            let mut counts = seen.get();
            let last = parts.last().unwrap();
            counts[0] += u32::from(parts.iter().any(|it| it.summary.lost_positions > 0));
            counts[1] += u32::from(changing.history.clamped);
            counts[2] += u32::from(!changing.history.moved.is_empty());
            counts[3] += u32::from(parts.iter().skip(1).any(|it| !it.delivered.is_empty()));
            counts[4] += u32::from(last.summary.verdict.is_complete());
            if !last.summary.verdict.is_incomplete() && !case.is_misconfigured() {
                counts[5] += 1;
                counts[6] += u32::from(changing.history.excuse().is_none());
            }
            seen.set(counts);
            failed(checked, &case, || format!("{changing:?}\n{parts:.200?}"))
        })
        .unwrap();
    let [lost, clamped, moved, resumed, complete, ended, held] = seen.get();
    println!(
        "{cases} cases: {lost} lost the position, {clamped} clamped, {moved} moved, {resumed} resumed, \
         {complete} complete; of {ended} that reached the end, {held} had to skip nothing"
    );
    for (what, count) in [("a lost position", lost), ("a clamp", clamped), ("a move", moved), ("a resume", resumed)] {
        assert!(count >= cases / 5, "only {count} of {cases} cases have {what}");
    }
    assert!(held * 3 >= ended * 2, "only {held} of {ended} scans had to skip nothing");
    assert!(complete >= cases / 40, "only {complete} of {cases} cases are complete");
}

#[test]
fn each_rule_is_needed() {
    let without = [
        ("R1", Rules { overlap: false, ..Rules::ALL }),
        ("R2", Rules { last_seen: false, ..Rules::ALL }),
        ("R3", Rules { go_back: false, ..Rules::ALL }),
        ("R4", Rules { prove_end: false, ..Rules::ALL }),
        ("the doubt of totals", Rules { doubt_total: false, ..Rules::ALL }),
        ("the second scan of the head", Rules { read_head: false, ..Rules::ALL }),
        ("the second request", Rules { ask_twice: false, ..Rules::ALL }),
    ];
    for (rule, rules) in without {
        // A failure is only printed, so it isn't shrunk.
        let config = Config { cases: 1_500, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let case = case().prop_map(|case| Case { prefetch: 1, ..case });
        let caught = runner.run(&case, |case| run(&case, rules).0.map_err(TestCaseError::fail));
        match caught {
            Err(error) => println!("without {rule}: {}", error.to_string().lines().next().unwrap_or_default()),
            Ok(()) => panic!("1,500 cases don't show what {rule} is good for"),
        }
    }
}

#[test]
fn a_record_that_moves_to_the_end_while_pages_are_in_flight_is_found_there() {
    for total_scope in [TotalScope::Unknown, TotalScope::Listing] {
        for delays in 0..60 {
            for turn in 1..6 {
                let mut changes = vec![Change::Nothing; turn];
                changes.push(Change::Move(69));
                let count = if total_scope == TotalScope::Unknown { FakeTotal::Absent } else { FakeTotal::All };
                let case = Case { total_scope, count, prefetch: 4, delays, ..plain(45, 12, changes) };
                let (checked, _, changing) = run(&case, Rules::ALL);
                let missed: Vec<_> = (1..=45).filter(|it| !changing.lock().unwrap().delivered.contains(it)).collect();
                assert!(checked.is_ok() && missed.is_empty(), "{checked:?}: {missed:?} of {case:?}");
            }
        }
    }
}

#[test]
fn a_total_that_fits_a_page_of_a_clamped_offset_ends_no_scan() {
    // Offset 45 is clamped to 40, whose page has ten records: its count fits the total of 55 by chance.
    let mut changes = vec![Change::Clamp(10)];
    changes.extend([Change::Nothing; 3]);
    changes.extend([Change::ClampOffset(40)]);
    let (checked, parts, _) = run(&plain(55, 25, changes), Rules::ALL);
    let verdict = parts[0].summary.verdict;
    assert!(checked.is_ok() && verdict.is_incomplete(), "{checked:?}: {parts:?}");
}

#[test]
fn a_total_that_counts_its_page_ends_no_scan_whose_log_loses_what_it_has_read() {
    for total_scope in [TotalScope::Unknown, TotalScope::Page] {
        let order = SortOrder::Asc;
        let log = plain(25, 3, vec![Change::DeleteAllRead; 16]);
        let case = Case { order, count: FakeTotal::OfPage, total_scope, stability: Stability::Stable, ..log };
        let (checked, parts, _) = run(&case, Rules::ALL);
        assert!(checked.is_ok(), "{checked:?}: {parts:?}");
        assert_eq!(parts[0].delivered.len(), 25, "{parts:?}");
    }
}

#[test]
fn totals_that_mean_nothing_end_no_scan_of_a_log_that_loses_records() {
    for hidden in 0..=255 {
        let log = Case { total_scope: TotalScope::Unknown, jitter: true, prefetch: 2, ..plain(20, 4, Vec::new()) };
        let (checked, parts, _) = run(&Case { steady: Some(Change::Hide(hidden)), ..log }, Rules::ALL);
        assert!(checked.is_ok(), "{checked:?}: {parts:?}");
    }
}

#[test]
fn a_log_that_grows_at_its_head_is_scanned_to_an_end_whatever_moves() {
    runner(cases(2_000) / 2)
        .run(&busy_case(), |case| {
            let (checked, parts, changing) = run(&case, Rules::ALL);
            failed(checked, &case, || format!("{changing:?}\n{parts:.200?}"))
        })
        .unwrap();
}

#[test]
fn a_scan_that_restarts_from_the_head_does_not_jump_to_where_moved_records_were() {
    let quiet = Change::Nothing;
    let (early, late) = (Change::MoveRange(235, 6, 168), Change::MoveRange(209, 17, 116));
    let case = Case {
        order: SortOrder::Desc,
        total_scope: TotalScope::Unknown,
        jitter: true,
        stability: Stability::Unstable,
        steady: Some(Change::Grow(5)),
        prefetch: 3,
        delays: 8_002_485_353_351_593_547,
        ..plain(54, 12, vec![quiet, quiet, quiet, quiet, early, quiet, late])
    };
    let (checked, parts, _) = run(&case, Rules::ALL);
    assert!(checked.is_ok(), "{checked:?}");
    assert!(parts[0].summary.requests < 150, "{:?}", parts[0].summary);
}
