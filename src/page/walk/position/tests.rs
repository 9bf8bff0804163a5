//! Which windows a search requests, and what it takes for the position.

use super::*;
use crate::page::walk::tests::{key, keys};

const STABLE: Stability = Stability::Stable;
const UNSTABLE: Stability = Stability::Unstable;

/// What is remembered behind record `last`: the last `run` records, and some that are further away.
fn memory(last: i64, run: i64, landmarks: &[i64]) -> Memory {
    let run: Vec<_> = (0..run).map(|distance| key(last - distance).fingerprint()).collect();
    let far: Vec<_> = landmarks.iter().map(|id| (key(*id), u32::try_from(last - id).unwrap())).collect();
    Memory::new(&run, far.iter().map(|(id, distance)| (id, *distance)))
}

/// The search for a position behind record 1,500 of a log whose first record is 1, in pages of 100.
fn behind_1500(order: Stability, landmarks: &[i64]) -> Locator {
    let head = (1..=65).map(|id| key(id).fingerprint()).collect();
    Locator::new(memory(1_500, 64, landmarks), head, order, 1_499, 1_499, 100).of_cursor(true)
}

/// Searches a log. Returns the offsets of the windows, and how the search ended.
fn search(mut locator: Locator, log: &[i64]) -> (Vec<u64>, Found) {
    let mut offsets = vec![locator.origin];
    loop {
        let offset = *offsets.last().unwrap();
        let from = usize::try_from(offset).unwrap().min(log.len());
        let page = keys(log[from..].iter().copied().take(usize::try_from(locator.limit).unwrap()));
        let found = if page.is_empty() { locator.examine_empty(offset) } else { locator.examine(offset, &page) };
        match found {
            Found::Request(next) => offsets.push(next),
            end => return (offsets, end),
        }
    }
}

/// A log of 3,000 records, to which so many were added at its head, or of which so many of the first were removed.
fn shifted(by: i64) -> Vec<i64> {
    (1 - by..=3_000).collect()
}

#[test]
fn any_record_of_the_run_shows_the_position_where_records_keep_their_order() {
    // The first window begins with the last record, or ends with the first one of the run.
    for by in [0, 1, 99, 162] {
        assert_eq!(search(behind_1500(STABLE, &[]), &shifted(by)), (vec![1_499], Found::Here), "{by}");
    }
}

#[test]
fn a_search_looks_further_up_twice_and_then_in_both_directions_in_turn() {
    for (by, offsets) in [
        (-1, &[1_499, 1_400][..]),
        (-100, &[1_499, 1_400, 1_262]),
        (163, &[1_499, 1_400, 1_262, 1_637]),
        (300, &[1_499, 1_400, 1_262, 1_637]),
        (-300, &[1_499, 1_400, 1_262, 1_637, 1_124]),
        (500, &[1_499, 1_400, 1_262, 1_637, 1_124, 1_775, 986, 1_913]),
    ] {
        assert_eq!(search(behind_1500(STABLE, &[]), &shifted(by)), (offsets.to_vec(), Found::Here), "{by}");
    }
}

#[test]
fn a_search_steps_over_no_run_of_which_up_to_five_of_the_last_records_are_gone() {
    for order in [STABLE, UNSTABLE] {
        for gone in 0..=5 {
            for by in (-1_400..1_500).step_by(37) {
                let log: Vec<_> = shifted(by).into_iter().filter(|id| *id <= 1_500 - gone || *id > 1_500).collect();
                let (offsets, end) = search(behind_1500(order, &[]), &log);
                assert_eq!(end, Found::Here, "{order:?} {gone} {by}: {offsets:?}");
                let windows = u64::try_from(by.abs()).unwrap() / 99;
                assert!(offsets.len() as u64 <= 2 * windows + 8, "{order:?} {gone} {by}: {offsets:?}");
            }
        }
    }
}

#[test]
fn a_remembered_record_further_away_shows_where_to_look() {
    // 256 records before the last one, and in the first window.
    assert_eq!(search(behind_1500(STABLE, &[1_244]), &shifted(300)), (vec![1_499, 1_799], Found::Here));
    // Where records may move, three of the run must stand there; and the head where it should be by that.
    assert_eq!(search(behind_1500(UNSTABLE, &[1_244]), &shifted(300)), (vec![1_499, 1_797, 300, 1_799], Found::Here));
}

#[test]
fn a_run_that_stands_further_down_is_the_position_if_the_head_was_pushed_down_as_well() {
    for by in [1_u64, 50] {
        let found = search(behind_1500(UNSTABLE, &[]), &shifted(by.cast_signed()));
        assert_eq!(found, (vec![1_499, by, 1_499 + by], Found::Here), "{by}");
    }
    // The last three records moved down past twenty others.
    let log: Vec<_> = (1..=1_497).chain(1_501..=1_520).chain(1_498..=1_500).chain(1_521..=3_000).collect();
    let offsets = vec![1_499, 20, 120, 220, 320, 420, 520, 620, 720];
    assert_eq!(search(behind_1500(UNSTABLE, &[]), &log), (offsets, Found::Nowhere));
}
