//! What the tests of the walk share: a plan, keys, and a log that a walk reads without a client.

use super::*;
use crate::page::walk::plan::{HeadAgain, Rules};
use crate::page::walk::toward_head::Direction;
use crate::page::{Doubt, GrowingEnd, Growth, Stability};

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

/// What a test changes about a walk.
type Change<'a> = &'a dyn Fn(&mut Walk);

/// The doubt about a scan whose end was proved, but for what `set` says.
fn doubt(order: Stability, set: impl FnOnce(&mut Walk)) -> Option<Doubt> {
    let mut walk = Walk::new(Plan { order, ..plan(10) });
    walk.end = Some(End::Proved);
    set(&mut walk);
    walk.doubt_beside_total()
}

#[test]
fn each_reason_for_doubt_is_named_whatever_the_total_is() {
    let stable: [(Change<'_>, Option<Doubt>); 9] = [
        (&|_| {}, None),
        (&|it| it.end = Some(End::Unproved), Some(Doubt::SingleRecords)),
        (&|it| it.counters.unoverlapped = true, Some(Doubt::SingleRecords)),
        (&|it| it.counters.end_denied = true, Some(Doubt::TotalDiffers)),
        (&|it| it.end = Some(End::Stalled), Some(Doubt::EndUnproved)),
        (&|it| it.end = Some(End::GrewUnproved), Some(Doubt::EndUnproved)),
        (&|it| it.counters.alike = true, Some(Doubt::Alike)),
        (&|it| it.counters.reordered = true, Some(Doubt::Reordered)),
        (&|it| it.counters.shifted = true, None),
    ];
    for (index, (set, expected)) in stable.into_iter().enumerate() {
        assert_eq!(doubt(Stability::Stable, set), expected, "{index}");
    }
    assert_eq!(doubt(Stability::Unstable, |_| {}), Some(Doubt::OrderMayChange));
    assert_eq!(doubt(Stability::Unstable, |it| it.counters.shifted = true), Some(Doubt::Reordered));
}

#[test]
fn a_shift_is_beyond_memory_after_a_disturbed_resume_or_in_a_log_longer_than_the_memory() {
    for (shifted, resumed, late, lost, forgotten, expected) in [
        (true, false, 1, 0, false, None),
        (true, true, 0, 0, false, None),
        (false, true, 1, 0, false, None),
        (true, true, 1, 0, false, Some(Doubt::BeyondMemory)),
        (true, true, 0, 1, false, Some(Doubt::BeyondMemory)),
        (true, false, 0, 0, true, Some(Doubt::BeyondMemory)),
        (false, false, 0, 0, true, None),
    ] {
        let found = doubt(Stability::Stable, |it| {
            it.resumed = resumed;
            (it.counters.shifted, it.counters.has_forgotten) = (shifted, forgotten);
            (it.counters.late, it.counters.lost_positions) = (late, lost);
        });
        assert_eq!(found, expected, "{shifted} {resumed} {late} {lost} {forgotten}");
    }
}

#[test]
fn scans_can_be_compared_if_their_end_is_proved_and_no_record_may_stand_for_another() {
    for (end, seen, unoverlapped, alike, expected) in [
        (Some(End::Proved), 5, false, false, true),
        (Some(End::Proved), 5, true, false, false),
        (Some(End::Proved), 5, false, true, false),
        (Some(End::Unproved), 1, false, false, true),
        (Some(End::Unproved), 2, false, false, false),
        (Some(End::Stalled), 5, false, false, false),
        (None, 0, false, false, false),
    ] {
        let mut walk = Walk::new(plan(10));
        walk.end = end;
        (walk.counters.seen, walk.counters.unoverlapped) = (seen, unoverlapped);
        if alike {
            walk.note_alike();
        }
        assert_eq!(walk.is_comparable(), expected, "{end:?} {seen} {unoverlapped} {alike}");
        assert_eq!(walk.unoverlapped(), unoverlapped);
    }
}

#[test]
fn a_server_returns_many_records_once_a_page_had_two() {
    let mut walk = Walk::new(plan(10));
    for (page, many) in [(keys([]), false), (keys([1]), false), (keys([1, 2]), true), (keys([2]), true)] {
        walk.observe(&page, None);
        assert_eq!(walk.returns_many(), many, "{page:?}");
    }
}

#[test]
fn pages_are_prefetched_only_where_the_next_windows_are_predictable() {
    let after = |received, total, scope, set: Change<'_>| {
        let mut walk = Walk::new(Plan { total: scope, ..plan(10) });
        assert_eq!(walk.prefetch_hint(), None, "before the first page");
        walk.observe(&keys(1..=received), total);
        set(&mut walk);
        walk.prefetch_hint().map(|it| (it.step, it.end))
    };
    let (listing, unknown) = (TotalScope::Listing, TotalScope::Unknown);
    for (received, total, scope, expected) in [
        (10, None, listing, Some((9, None))),
        (10, Some(30), listing, Some((9, Some(30)))),
        (10, Some(30), unknown, Some((9, Some(30)))),
        // A number that isn't above the page's end may be that of the page.
        (10, Some(10), unknown, Some((9, None))),
        (5, None, listing, None),
        (5, Some(8), listing, Some((4, Some(8)))),
        (5, Some(8), unknown, Some((4, Some(8)))),
        (5, Some(5), listing, None),
        (5, Some(5), unknown, None),
    ] {
        assert_eq!(after(received, total, scope, &|_| {}), expected, "{received} of {total:?}, {scope:?}");
    }
    let disturbed: [(&str, Change<'_>); 5] = [
        ("an empty page", &|it| it.scan.empty = 1),
        ("windows that overlap by more", &|it| it.scan.expected = 1),
        ("a restart", &|it| it.scan.restart(10)),
        ("the head again", &|it| it.first_pass = Some(RecentKeys::new(10))),
        ("a search", &|it| {
            it.scan.locator = Some(Locator::new(Memory::default(), Vec::new(), Stability::Stable, 0, 0, 10));
        }),
    ];
    for (what, set) in disturbed {
        assert_eq!(after(10, Some(30), listing, set), None, "{what}");
    }
}
