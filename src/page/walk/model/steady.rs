//! Logs that get records before every request, for ever: thousands of scans a second, one page at a time, straight at
//! the walk.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{cases, runner};
use crate::page::summary::End;
use crate::page::walk::plan::Plan;
use crate::page::walk::tests::plan;
use crate::page::walk::{Delivery, Walk};
use crate::page::{Growth, RecordKey, Stability, TotalScope};

/// A scan that delivers so many records doesn't end.
const TOO_MANY: usize = 100_000;

/// Where records come: below so many of the first, above so many of the last, or behind so many tenths of the log.
#[derive(Clone, Copy, Debug)]
enum At {
    Head(usize),
    End(usize),
    Tenths(usize),
}

/// A log with the records from `records` down to 1, and its changes before every request but the first.
#[derive(Clone, Debug)]
struct Steady {
    records: i64,
    page_size: u32,
    order: Stability,
    has_total: bool,
    at: At,
    growth: usize,
    /// Blocks that move before a request: from which 256th of the log, how many records, and to which 256th.
    moves: Vec<Option<(u8, u8, u8)>>,
}

#[derive(Debug)]
struct Outcome {
    requests: u64,
    new: u64,
    missing: Vec<i64>,
    /// `None` if the scan delivered too many records.
    end: Option<End>,
}

impl Steady {
    fn plan(&self) -> Plan {
        Plan {
            total: TotalScope::Unknown,
            order: self.order,
            max_unproductive_requests: 200,
            growth: if matches!(self.at, At::End(0)) { Growth::AtEnd } else { Growth::AtHead },
            ..plan(self.page_size)
        }
    }

    fn change(&self, log: &mut Vec<i64>, next: &mut i64, moved: Option<(u8, u8, u8)>) {
        for _ in 0..self.growth {
            let index = match self.at {
                At::Head(below) => below.min(log.len()),
                At::End(above) => log.len().saturating_sub(above),
                At::Tenths(tenths) => log.len() * tenths / 10,
            };
            log.insert(index, *next);
            *next += 1;
        }
        if let Some((from, count, to)) = moved.filter(|_| !log.is_empty()) {
            let (from, to) = (usize::from(from) * log.len() / 256, usize::from(to) * log.len() / 256);
            let block: Vec<i64> = log.drain(from..(from + usize::from(count)).min(log.len())).collect();
            let to = to.min(log.len());
            log.splice(to..to, block);
        }
    }

    fn scan(&self) -> Outcome {
        let mut walk = Walk::new(self.plan());
        let mut log: Vec<i64> = (1..=self.records).rev().collect();
        let (mut next, mut requests, mut delivered) = (self.records + 1, 0, BTreeSet::new());
        let mut moves = self.moves.iter().copied();
        while let Some(window) = walk.window().filter(|_| delivered.len() < TOO_MANY) {
            if requests > 0 {
                self.change(&mut log, &mut next, moves.next().flatten());
            }
            requests += 1;
            let from = usize::try_from(window.offset).map_or(log.len(), |it| it.min(log.len()));
            let ids = &log[from..(from + window.limit as usize).min(log.len())];
            let page: Vec<RecordKey> = ids.iter().map(|id| RecordKey::from(*id)).collect();
            let deliveries = walk.observe(&page, self.has_total.then_some(log.len() as u64));
            let new = ids.iter().zip(deliveries).filter(|(_, delivery)| *delivery != Delivery::Skip);
            delivered.extend(new.map(|(id, _)| *id));
        }
        Outcome {
            requests,
            new: delivered.iter().filter(|id| **id > self.records).count() as u64,
            missing: (1..=self.records).filter(|id| !delivered.contains(id)).collect(),
            end: walk.end(),
        }
    }

    /// How many requests more than of the same log at rest, without those that the new records take.
    fn extra(&self, outcome: &Outcome) -> u64 {
        let rest = Self { growth: 0, ..self.clone() }.scan();
        outcome.requests.saturating_sub(rest.requests + outcome.new / u64::from(self.page_size - 1))
    }
}

/// Logs of three sizes in pages of seven sizes, with every growth from one record to all but one of a page's new ones.
fn logs(order: Stability, places: &[At], page_sizes: &[u32]) -> Vec<Steady> {
    let mut logs = Vec::new();
    for (&page_size, &at) in page_sizes.iter().flat_map(|size| places.iter().map(move |at| (size, at))) {
        for growth in [1, 2, 3, 4, 5, 7, 12, 30].into_iter().filter(|it| it + 1 < page_size as usize) {
            for (records, has_total) in [(12, false), (12, true), (57, false), (57, true), (230, false), (230, true)] {
                logs.push(Steady { records, page_size, order, has_total, at, growth, moves: Vec::new() });
            }
        }
    }
    logs
}

fn check(logs: Vec<Steady>) {
    for log in logs {
        let outcome = log.scan();
        let is_read = matches!(outcome.end, Some(End::Proved | End::Stalled | End::GrewUnproved));
        assert!(is_read && outcome.missing.is_empty(), "{log:?}: {outcome:?}");
        let extra = log.extra(&outcome);
        assert!(extra <= 15.max(outcome.requests / 15), "{extra} more: {log:?}: {outcome:?}");
    }
}

const PLACES: [At; 13] = [
    At::Head(0),
    At::Head(1),
    At::Head(3),
    At::Head(9),
    At::Tenths(1),
    At::Tenths(3),
    At::Tenths(5),
    At::Tenths(6),
    At::Tenths(8),
    At::Tenths(9),
    At::End(9),
    At::End(3),
    At::End(1),
];

#[test]
fn a_log_that_gets_records_anywhere_before_every_request_costs_15_requests_more_at_most() {
    check(logs(Stability::Stable, &PLACES, &[3, 4, 5, 6, 10, 20, 50]));
}

#[test]
fn so_does_one_in_an_unstable_order_in_small_pages() {
    check(logs(Stability::Unstable, &PLACES, &[3, 4, 5, 6]));
}

/// Logs that get most of a page of records before each request, a page, or two.
fn outrunning_logs(order: Stability) -> Vec<Steady> {
    let (has_total, mut logs) = (true, Vec::new());
    for (page_size, &at) in [3, 8, 20].into_iter().flat_map(|size| PLACES.iter().map(move |at| (size, at))) {
        let size = page_size as usize;
        for growth in [6 * size / 10, 8 * size / 10, size, 2 * size] {
            for records in [12, 230] {
                logs.push(Steady { records, page_size, order, has_total, at, growth, moves: Vec::new() });
            }
        }
    }
    logs
}

#[test]
fn a_scan_that_records_in_the_middle_outrun_ends_by_the_total_and_says_what_it_missed() {
    for order in [Stability::Stable, Stability::Unstable] {
        for log in outrunning_logs(order) {
            let outcome = log.scan();
            assert!(outcome.end.is_some(), "{log:?}: {outcome:?}");
            let is_told = outcome.missing.is_empty() || outcome.end != Some(End::Proved);
            assert!(is_told, "{log:?}: {outcome:?}");
        }
    }
}

#[test]
fn so_does_one_of_any_length_whatever_moves_and_however_often_the_position_is_lost() {
    let moves = prop::collection::vec(prop::option::weighted(0.25, (any::<u8>(), 2..20u8, any::<u8>())), 0..24);
    let at =
        prop_oneof![(0..10usize).prop_map(At::Tenths), (0..40usize).prop_map(At::Head), (1..40usize).prop_map(At::End)];
    let order = prop_oneof![3 => Just(Stability::Unstable), 1 => Just(Stability::Stable)];
    let logs = (0..400i64, 3..25u32, 40..200usize, at, order, moves).prop_map(
        |(records, page_size, share, at, order, moves)| {
            let growth = page_size as usize * share / 100;
            Steady { records, page_size, order, has_total: true, at, growth: growth.max(1), moves }
        },
    );
    runner(cases(2_000))
        .run(&logs, |log| {
            let outcome = log.scan();
            let is_told = outcome.missing.is_empty() || outcome.end != Some(End::Proved) || !log.moves.is_empty();
            prop_assert!(outcome.end.is_some() && is_told, "{:?}", outcome);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_log_shorter_than_a_page_that_grows_by_its_length_ends_without_a_total() {
    for (records, page_size) in [(2, 5), (5, 20), (9, 20), (19, 50), (30, 100)] {
        let growth = usize::try_from(records).unwrap();
        let (order, at) = (Stability::Stable, At::End(0));
        let log = Steady { records, page_size, order, has_total: false, at, growth, moves: Vec::new() };
        let outcome = log.scan();
        assert!(outcome.missing.is_empty() && outcome.end == Some(End::GrewUnproved), "{log:?}: {outcome:?}");
        assert!(outcome.requests < 100, "{log:?}: {outcome:?}");
    }
}

#[test]
fn a_log_that_grows_at_its_head_ends_whatever_moves_and_however_often_the_position_is_lost() {
    let moves = prop::collection::vec(prop::option::weighted(0.25, (any::<u8>(), 2..20u8, any::<u8>())), 1..24);
    let logs =
        (0..60i64, 1..6usize, 0..4u32, any::<bool>(), moves).prop_map(|(records, growth, room, has_total, moves)| {
            Steady {
                records,
                page_size: 2 * u32::try_from(growth).unwrap() + 2 + room,
                order: Stability::Unstable,
                has_total,
                at: At::Head(0),
                growth,
                moves,
            }
        });
    runner(cases(2_000) * 10)
        .run(&logs, |log| {
            let outcome = log.scan();
            prop_assert!(outcome.end.is_some(), "{:?}", outcome);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_shift_that_is_unknown_is_not_predicted_again_for_ever() {
    // After the blocks moved, each page of the head began with one new record, and the window stayed there.
    let quiet = None;
    let moves = [quiet, quiet, quiet, quiet, Some((254, 15, 104)), Some((13, 15, 235)), Some((210, 12, 239))];
    let moves = [&moves[..], &[Some((53, 13, 227)), Some((3, 14, 39))]].concat();
    let log = Steady {
        records: 54,
        page_size: 5,
        order: Stability::Unstable,
        has_total: true,
        at: At::Head(0),
        growth: 1,
        moves,
    };
    let outcome = log.scan();
    assert_eq!(outcome.end, Some(End::Proved), "{outcome:?}");
    assert!(outcome.requests < 60, "{outcome:?}");
}
