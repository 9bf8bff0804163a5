//! Which windows a walk towards the head requests, and what it delivers, in logs that are listed newest first.

use super::*;
use crate::page::summary::End;
use crate::page::walk::tests::{Log, Seen, key, plan, read};

/// A walk from a cursor that holds these records of the head, in pages of ten.
fn up(order: Stability, head: impl IntoIterator<Item = i64>) -> Direction {
    let head: Vec<_> = head.into_iter().map(|id| key(id).fingerprint()).collect();
    Direction::Up(Box::new(TowardHead::new(Plan { order, ..plan(10) }, &head)))
}

/// Reads a log that doesn't change.
fn still(walk: &mut Direction, log: &mut Log) -> (Seen, Option<End>) {
    let seen = read(walk, log, |_, _| {});
    (seen, walk.end())
}

fn delivered(offsets: &[u64], next: impl IntoIterator<Item = i64>) -> Seen {
    Seen { offsets: offsets.to_vec(), next: next.into_iter().collect(), late: Vec::new() }
}

#[test]
fn newer_records_come_oldest_first_from_windows_that_reach_below_the_first_seen_one() {
    for order in [Stability::Stable, Stability::Unstable] {
        let found = still(&mut up(order, (1..=10).rev()), &mut Log::of((1..=20).rev()));
        assert_eq!(found, (delivered(&[0, 9, 1, 0], 11..=20), Some(End::Proved)), "{order:?}");
        // Nothing came.
        let found = still(&mut up(order, (1..=10).rev()), &mut Log::of((1..=10).rev()));
        assert_eq!(found, (delivered(&[0], []), Some(End::Proved)), "{order:?}");
    }
}

#[test]
fn single_records_are_read_one_after_the_other_and_leave_the_end_unproved() {
    let mut log = Log { longest: 1, ..Log::of((1..=5).rev()) };
    let (seen, end) = still(&mut up(Stability::Stable, [3, 2, 1]), &mut log);
    assert_eq!((&seen.next[..], end), (&[4, 5][..], Some(End::Unproved)));
    // Where single records were requested, there is nothing to doubt.
    let head = [3, 2, 1].map(|id| key(id).fingerprint());
    let mut walk = Direction::Up(Box::new(TowardHead::new(plan(1), &head)));
    assert_eq!(still(&mut walk, &mut log), (delivered(&[0, 1, 2, 1, 0], [4, 5]), Some(End::Proved)));
}

#[test]
fn all_of_a_log_that_was_empty_is_newer() {
    for (has_total, offsets) in [(false, &[0, 4, 0][..]), (true, &[0])] {
        let mut log = Log { has_total, ..Log::of((1..=5).rev()) };
        let found = still(&mut up(Stability::Stable, []), &mut log);
        assert_eq!(found, (delivered(offsets, 1..=5), Some(End::Proved)), "{has_total}");
    }
    let found = still(&mut up(Stability::Stable, []), &mut Log::of([]));
    assert_eq!(found, (delivered(&[0, 0], []), Some(End::Proved)));
}

#[test]
fn a_log_without_any_record_of_the_cursor_is_lost() {
    for order in [Stability::Stable, Stability::Unstable] {
        let found = still(&mut up(order, [5, 4, 3]), &mut Log::of((11..=20).rev()));
        assert_eq!(found, (delivered(&[0, 9], []), Some(End::Lost)), "{order:?}");
    }
}

#[test]
fn the_last_record_of_the_cursor_that_is_left_is_enough_wherever_it_stands() {
    for order in [Stability::Stable, Stability::Unstable] {
        // At the end of the log.
        let (seen, end) = still(&mut up(order, [10, 9, 8]), &mut Log::of((10..=20).rev()));
        assert_eq!((seen.next, end), ((11..=20).collect(), Some(End::Proved)), "{order:?}");
        // Above records that the cursor doesn't hold.
        let mut log = Log::of((100..=120).rev().chain((1..=50).rev()));
        let (seen, end) = still(&mut up(order, (51..=100).rev()), &mut log);
        assert_eq!((seen.next, end), ((101..=120).collect(), Some(End::Proved)), "{order:?}");
    }
}
