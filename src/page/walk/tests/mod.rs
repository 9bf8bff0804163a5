//! What the tests of the walk share: a plan, keys, and a log that a walk reads without a client.

mod resumed;
mod single;

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

/// A scan of the records from 1 to 100, of which the fourth request finds this.
type Disturbed<'a> = (&'a str, &'a dyn Fn(&mut Vec<i64>), &'a [u64], (usize, Option<u64>, u64, u64));

/// Moves `count` records from this index on to another one.
fn shift_block(records: &mut Vec<i64>, from: usize, count: usize, to: usize) {
    let block: Vec<_> = records.drain(from..from + count).collect();
    records.splice(to..to, block);
}

/// Reads the listing in pages of ten, and checks what is delivered, how, and by which windows from the fifth on.
fn check_disturbed(order: Stability, (what, change, offsets, (late, shift, lost, inserted)): Disturbed<'_>) {
    let mut walk = down(Plan { order, ..plan(10) });
    let mut log = Log::of(1..=100);
    let seen = read(&mut walk, &mut log, |turn, records| {
        if turn == 3 {
            change(records)
        }
    });
    let Direction::Down(walk) = walk else { return };
    let missing: Vec<_> = (1..=100).filter(|it| log.records.contains(it)).collect();
    let missing: Vec<_> = missing.iter().filter(|it| !seen.next.contains(it) && !seen.late.contains(it)).collect();
    assert_eq!((missing.len(), walk.end()), (0, Some(End::Proved)), "{what}: {seen:?}");
    assert_eq!((seen.late.len(), walk.shift()), (late, shift), "{what}: {seen:?}");
    assert_eq!((walk.counters.lost_positions, walk.counters.inserted), (lost, inserted), "{what}: {seen:?}");
    // In an unstable order the head is read again in any case.
    let mut expected = offsets.to_vec();
    if order == Stability::Unstable && !walk.has_grown {
        expected.push(0);
    }
    assert_eq!(seen.offsets[4..], expected, "{what}");
    let has_shifted = shift != Some(0);
    let doubt = match order {
        // The head isn't what it was.
        Stability::Stable if walk.has_grown => Some(Doubt::Reordered),
        Stability::Stable => None,
        Stability::Unstable if has_shifted => Some(Doubt::Reordered),
        Stability::Unstable => Some(Doubt::OrderMayChange),
    };
    assert_eq!((walk.doubt(0), walk.doubt_beside_total()), (Some(Doubt::NoTotal), doubt), "{what}");
}

#[test]
fn records_that_come_during_a_scan_cost_a_few_requests_and_are_delivered_late() {
    let came: [Disturbed<'_>; 6] = [
        ("none", &|_| {}, &[36, 45, 54, 63, 72, 81, 90, 99], (0, Some(0), 0, 0)),
        (
            "5 at the head",
            &|it| drop(it.splice(0..0, 1_000..1_005)),
            &[36, 45, 54, 63, 72, 81, 90, 99, 104, 0],
            (5, Some(5), 0, 0),
        ),
        // As many as a page brings: the first window further down is too far.
        (
            "9 at the head",
            &|it| drop(it.splice(0..0, 1_000..1_009)),
            &[45, 36, 45, 54, 63, 72, 81, 90, 99, 108, 0, 9],
            (9, Some(9), 0, 0),
        ),
        (
            "10 at the head",
            &|it| drop(it.splice(0..0, 1_000..1_010)),
            &[37, 46, 55, 64, 73, 82, 91, 100, 109, 0, 9],
            (10, Some(10), 0, 0),
        ),
        (
            "30 at the head",
            &|it| drop(it.splice(0..0, 1_000..1_030)),
            &[57, 66, 75, 84, 93, 102, 111, 120, 129, 0, 9, 18, 27],
            (30, None, 0, 3),
        ),
        (
            "5 behind the last",
            &|it| it.extend(1_000..1_005),
            &[36, 45, 54, 63, 72, 81, 90, 99, 104],
            (0, Some(0), 0, 0),
        ),
    ];
    for order in [Stability::Stable, Stability::Unstable] {
        came.iter().for_each(|it| check_disturbed(order, *it));
    }
}

#[test]
fn records_that_go_or_move_during_a_scan_cost_a_few_requests_and_hide_no_other() {
    let moved: [Disturbed<'_>; 8] = [
        (
            "1 before the position goes",
            &|it| _ = it.remove(27),
            &[18, 26, 35, 44, 53, 62, 71, 80, 89, 98],
            (0, None, 1, 0),
        ),
        ("5 before it", &|it| drop(it.drain(23..28)), &[18, 26, 35, 44, 53, 62, 71, 80, 89, 94], (0, None, 1, 0)),
        ("20 before it", &|it| drop(it.drain(8..28)), &[18, 0, 8, 17, 26, 35, 44, 53, 62, 71, 79], (0, None, 1, 0)),
        ("20 behind it", &|it| drop(it.drain(28..48)), &[36, 45, 54, 63, 72, 79], (0, Some(0), 0, 0)),
        ("the last 20", &|it| it.truncate(80), &[36, 45, 54, 63, 72, 79], (0, Some(0), 0, 0)),
        (
            "the last 20 do",
            &|it| shift_block(it, 80, 20, 0),
            &[47, 56, 65, 74, 83, 92, 99, 0, 9, 18],
            (20, Some(20), 0, 0),
        ),
        (
            "the first 5 move to the end",
            &|it| shift_block(it, 0, 5, 95),
            &[18, 26, 35, 44, 53, 62, 71, 80, 89, 98, 99],
            (5, None, 1, 5),
        ),
        (
            "5 before the position move down",
            &|it| shift_block(it, 23, 5, 50),
            &[18, 26, 35, 44, 53, 62, 71, 80, 89, 98, 99],
            (5, None, 1, 5),
        ),
    ];
    for order in [Stability::Stable, Stability::Unstable] {
        moved.iter().for_each(|it| check_disturbed(order, *it));
    }
}

/// The offsets of a scan of so many records in pages of ten, and its end.
fn offsets(plan: Plan, records: i64, total: bool, before: impl FnMut(usize, &mut Vec<i64>)) -> (Vec<u64>, Option<End>) {
    let mut walk = down(plan);
    let mut log = Log { has_total: total, ..Log::of(1..=records) };
    let seen = read(&mut walk, &mut log, before);
    (seen.offsets, walk.end())
}

#[test]
fn a_total_of_the_listing_ends_a_scan_of_one_page_and_no_longer_one() {
    let at = |offsets: &[u64]| (offsets.to_vec(), Some(End::Proved));
    for (records, scope, expected) in [
        (5, TotalScope::Listing, at(&[0])),
        (5, TotalScope::Unknown, at(&[0, 4])),
        (5, TotalScope::Page, at(&[0, 4])),
        // With ten, others might follow.
        (10, TotalScope::Listing, at(&[0, 9])),
        (15, TotalScope::Listing, at(&[0, 9, 14])),
    ] {
        assert_eq!(
            offsets(Plan { total: scope, ..plan(10) }, records, true, |_, _| {}),
            expected,
            "{records} {scope:?}"
        );
    }
    // One that is listed twice may stand for another.
    let mut walk = Walk::new(plan(10));
    walk.observe(&keys([1, 2, 1]), Some(3));
    assert_eq!(walk.end(), None);
}

#[test]
fn an_empty_page_is_asked_for_again_and_ends_a_scan_that_began_there() {
    assert_eq!(offsets(plan(10), 0, false, |_, _| {}), (vec![0, 0], Some(End::Proved)));
    let start = |start| Plan { start, ..plan(10) };
    assert_eq!(offsets(start(5), 5, false, |_, _| {}), (vec![5, 5], Some(End::Unproved)));
    assert_eq!(offsets(start(5), 7, false, |_, _| {}), (vec![5, 6], Some(End::Proved)));
    // It was a fault.
    let mut kept = Vec::new();
    let read = offsets(plan(10), 15, false, |turn, records| match turn {
        0 => kept = std::mem::take(records),
        _ => records.append(&mut kept),
    });
    assert_eq!(read, (vec![0, 0, 9, 14], Some(End::Proved)));
}

#[test]
fn a_scan_to_be_verified_asks_what_follows_the_last_record_unless_a_total_says_it() {
    let plan = Plan { probes_end: true, ..plan(10) };
    assert_eq!(offsets(plan.clone(), 15, true, |_, _| {}), (vec![0, 9, 14], Some(End::Proved)));
    assert_eq!(offsets(plan.clone(), 15, false, |_, _| {}), (vec![0, 9, 14, 15], Some(End::Proved)));
    // One came just then, and is read.
    let grown = |turn: usize, records: &mut Vec<i64>| {
        if turn == 3 {
            records.push(16)
        }
    };
    assert_eq!(offsets(plan, 15, false, grown), (vec![0, 9, 14, 15, 14, 15, 16], Some(End::Proved)));
}

#[test]
fn the_head_is_read_again_where_that_may_show_more_and_only_so_much_of_it() {
    use HeadAgain::{Never, ToExplain, WhereNeeded};
    let head = |head_again, order, start, change: &dyn Fn(&mut Vec<i64>)| {
        let plan = Plan { head_again, order, start, ..plan(10) };
        let (offsets, _) = offsets(plan, 100, false, |turn, records| {
            if turn == 3 {
                change(records)
            }
        });
        let last = offsets.iter().skip(1).rposition(|it| *it == 0);
        last.map_or(0, |it| offsets.len() - it - 1)
    };
    let (stable, unstable) = (Stability::Stable, Stability::Unstable);
    let grow = |by: i64| move |records: &mut Vec<i64>| drop(records.splice(0..0, 1_000..1_000 + by));
    for (head_again, order, start, by, expected) in [
        (WhereNeeded, stable, 0, 0, 0),
        (WhereNeeded, unstable, 0, 0, 1),
        (WhereNeeded, stable, 0, 5, 1),
        (WhereNeeded, stable, 1, 5, 0),
        (WhereNeeded, stable, 0, 50, 6),
        (ToExplain, stable, 0, 0, 0),
        (ToExplain, unstable, 0, 0, 1),
        (ToExplain, stable, 0, 5, 1),
        (Never, stable, 0, 5, 0),
        (Never, unstable, 0, 5, 0),
    ] {
        assert_eq!(head(head_again, order, start, &grow(by)), expected, "{head_again:?} {order:?} {start} {by}");
    }
    // A shift that nothing explains yet.
    let gone = |records: &mut Vec<i64>| drop(records.drain(23..28));
    assert_eq!([WhereNeeded, ToExplain, Never].map(|it| head(it, stable, 0, &gone)), [0, 1, 0]);
}
