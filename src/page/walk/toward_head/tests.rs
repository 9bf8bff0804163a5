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

/// What happens to a log, newest first, before a request.
type Change<'a> = (&'a str, &'a dyn Fn(&mut Vec<i64>));

/// Adds so many newer records at the head.
fn grow(records: &mut Vec<i64>, by: i64) {
    let newest = records.first().map_or(1_000, |it| it.max(&1_000) + 1);
    records.splice(0..0, (newest..newest + by).rev());
}

#[test]
fn whatever_comes_or_goes_on_the_way_no_newer_record_is_hidden_or_delivered_twice() {
    let changes: [Change<'_>; 7] = [
        ("1 comes", &|it| grow(it, 1)),
        ("5 come", &|it| grow(it, 5)),
        ("10 come", &|it| grow(it, 10)),
        ("30 come", &|it| grow(it, 30)),
        ("the newest 5 go", &|it| drop(it.drain(..5))),
        ("15 in the middle go", &|it| drop(it.drain(40..55))),
        ("2 of the cursor's go", &|it| it.retain(|id| ![10, 9].contains(id))),
    ];
    for (order, turn) in
        [Stability::Stable, Stability::Unstable].into_iter().flat_map(|it| (0..20).map(move |n| (it, n)))
    {
        for (what, change) in changes {
            let mut walk = up(order, (1..=10).rev());
            let mut log = Log::of((1..=100).rev());
            let seen = read(&mut walk, &mut log, |at, records| {
                if at == turn {
                    change(records)
                }
            });
            let what = format!("{what} at {turn}, {order:?}: {seen:?}");
            assert_eq!(walk.end(), Some(End::Proved), "{what}");
            let mut delivered = [seen.next.clone(), seen.late.clone()].concat();
            delivered.sort_unstable();
            assert!(log.records.iter().filter(|it| **it > 10).all(|it| delivered.contains(it)), "{what}");
            assert!(delivered.windows(2).all(|two| two[0] < two[1]), "twice: {what}");
            assert!(seen.next.is_sorted() && seen.late.is_empty(), "{what}");
            assert!(seen.offsets.len() <= 50, "{}: {what}", seen.offsets.len());
        }
    }
}

#[test]
fn a_record_that_comes_among_those_on_the_page_at_hand_is_late_where_they_were_delivered() {
    for order in [Stability::Stable, Stability::Unstable] {
        let mut late = Vec::new();
        for (turn, below) in (0..8).flat_map(|turn| (11..=30).map(move |below| (turn, below))) {
            let mut walk = up(order, (1..=10).rev());
            let seen = read(&mut walk, &mut Log::of((1..=30).rev()), |at, records| {
                if at == turn {
                    records.insert(usize::try_from(31 - below).unwrap_or(0), 500);
                }
            });
            let what = format!("below {below} at {turn}, {order:?}: {seen:?}");
            assert_eq!(walk.end(), Some(End::Proved), "{what}");
            let others: Vec<_> = seen.next.iter().copied().filter(|it| *it != 500).collect();
            assert_eq!(others, (11..=30).collect::<Vec<_>>(), "{what}");
            let times = seen.next.iter().chain(&seen.late).filter(|it| **it == 500).count();
            assert_eq!((times <= 1, walk.counters().inserted), (true, seen.late.len() as u64), "{what}");
            if !seen.late.is_empty() {
                late.push((turn, below));
            }
        }
        assert!(!late.is_empty(), "{order:?}");
    }
}

#[test]
fn a_log_that_outgrows_the_walk_ends_it_behind_what_stood_there_at_first() {
    for order in [Stability::Stable, Stability::Unstable] {
        for (by, end) in [(3, End::Proved), (7, End::Grew), (8, End::Grew)] {
            let mut walk = up(order, (1..=10).rev());
            let seen = read(&mut walk, &mut Log::of((1..=40).rev()), |turn, records| {
                if turn > 0 {
                    grow(records, by);
                }
            });
            assert_eq!(walk.end(), Some(end), "{order:?} {by}");
            assert!((11..=40).all(|it| seen.next.contains(&it)) && seen.next.is_sorted(), "{order:?} {by}: {seen:?}");
            assert!(seen.offsets.len() <= 40, "{order:?} {by}: {seen:?}");
        }
    }
}
