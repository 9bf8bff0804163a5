//! What the tests of the walk share: a plan, keys, and a log that a walk reads without a client.

use super::*;
use crate::page::walk::plan::{HeadAgain, Rules};
use crate::page::walk::toward_head::Direction;
use crate::page::{GrowingEnd, Growth, Stability};

/// The plan of a scan with the usual settings, in pages of `limit`.
pub(crate) fn plan(limit: u32) -> Plan {
    Plan {
        start: 0,
        limit,
        total: TotalScope::Listing,
        order: Stability::Stable,
        remembered: 10_000,
        max_unproductive_requests: 100,
        growing_end: GrowingEnd::StopBehindStart,
        growth: Growth::Unknown,
        head_again: HeadAgain::WhereNeeded,
        probes_end: false,
        rules: Rules::ALL,
    }
}

pub(super) fn key(id: i64) -> RecordKey {
    RecordKey::from(id)
}

pub(super) fn keys(ids: impl IntoIterator<Item = i64>) -> Vec<RecordKey> {
    ids.into_iter().map(key).collect()
}

/// A log that a walk reads without a client.
pub(super) struct Log {
    /// Its records, in the order of the listing.
    pub(super) records: Vec<i64>,
    pub(super) has_total: bool,
    /// How many records a page has at most, whatever was requested.
    pub(super) longest: usize,
}

impl Log {
    pub(super) fn of(records: impl IntoIterator<Item = i64>) -> Self {
        Self { records: records.into_iter().collect(), has_total: false, longest: usize::MAX }
    }
}

/// What a walk requested, and what it delivered, in this order.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Seen {
    pub(super) offsets: Vec<u64>,
    pub(super) next: Vec<i64>,
    pub(super) late: Vec<i64>,
}

/// Reads a log until the walk ends. `before` changes it before each request, the first of which is 0.
pub(super) fn read(walk: &mut Direction, log: &mut Log, mut before: impl FnMut(usize, &mut Vec<i64>)) -> Seen {
    let mut seen = Seen::default();
    while let Some(window) = walk.window() {
        assert!(seen.offsets.len() < 1_000, "it goes on and on: {seen:?}");
        before(seen.offsets.len(), &mut log.records);
        seen.offsets.push(window.offset);
        let from = usize::try_from(window.offset).unwrap_or(usize::MAX).min(log.records.len());
        let limit = log.longest.min(window.limit as usize);
        let mut page: Vec<_> = log.records[from..].iter().copied().take(limit).collect();
        let mut deliveries = walk.observe(&keys(page.clone()), log.has_total.then_some(log.records.len() as u64));
        if walk.is_up() {
            page.reverse();
            deliveries.reverse();
        }
        for (id, delivery) in page.into_iter().zip(deliveries) {
            match delivery {
                Delivery::Next(_) => seen.next.push(id),
                Delivery::Late => seen.late.push(id),
                Delivery::Skip => {}
            }
        }
    }
    seen
}

fn down(plan: Plan) -> Direction {
    Direction::Down(Box::new(Walk::new(plan)))
}

/// Adds records right before the last one.
fn grow_before_last(records: &mut Vec<i64>, by: usize) {
    let last = records.len() - 1;
    let new = records.len() as i64 * 1_000;
    records.splice(last..last, (0..by as i64).map(|it| new + it));
}

#[test]
fn a_log_that_was_emptied_is_asked_for_three_times_at_offset_0() {
    let mut walk = down(plan(10));
    let seen = read(&mut walk, &mut Log::of(1..=30), |turn, records| {
        if turn == 1 {
            records.clear();
        }
    });
    assert_eq!(walk.end(), Some(End::Emptied));
    assert_eq!(seen.offsets.iter().rev().take_while(|it| **it == 0).count(), 3, "{seen:?}");
    assert_eq!(seen.next, (1..=10).collect::<Vec<_>>());
    // One empty page more or less is a fault of the server.
    for empty in [1, 2] {
        let mut walk = down(plan(10));
        let mut kept = Vec::new();
        let mut zeros = 0;
        let seen = read(&mut walk, &mut Log::of(1..=30), |turn, records| {
            if turn == 1 {
                kept = std::mem::take(records);
            }
            zeros = if turn > 2 { zeros + 1 } else { 0 };
            if zeros > empty {
                records.append(&mut kept);
            }
        });
        assert_eq!((seen.next.len(), walk.end()), (30, Some(End::Proved)), "{empty}: {seen:?}");
    }
}

#[test]
fn a_log_that_grows_right_before_its_last_record_is_scanned_to_its_end() {
    for (has_total, total) in [(false, TotalScope::Listing), (true, TotalScope::Listing), (true, TotalScope::Page)] {
        for by in [[2, 5], [2, 3], [3, 3]] {
            let mut walk = down(Plan { total, ..plan(10) });
            let mut log = Log { has_total, ..Log::of((1..=30).chain([999_999])) };
            let mut seen = read(&mut walk, &mut log, |turn, records| grow_before_last(records, by[turn % 2]));
            assert_eq!(walk.end(), Some(End::Proved), "{has_total} {total:?} {by:?}: {seen:?}");
            // At rest it takes 4 requests.
            assert!(seen.offsets.len() <= 4 + 15, "{has_total} {total:?} {by:?}: {seen:?}");
            seen.next.append(&mut seen.late);
            assert!((1..=30).chain([999_999]).all(|it| seen.next.contains(&it)), "{seen:?}");
        }
    }
}
