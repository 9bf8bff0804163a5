//! Scans that resume from a cursor, in logs that have changed meanwhile.

use super::*;
use crate::cursor::{Fingerprint, Learned, Position};

/// Scans a log in pages of ten until it has delivered so many records. Returns the cursor behind the last one.
fn stopped(order: Stability, log: &Log, delivered: u64) -> Cursor {
    let mut walk = Walk::new(Plan { order, ..plan(10) });
    let mut position = Position::at(0);
    while position.delivered < delivered {
        let Some(window) = walk.window() else { break };
        let from = usize::try_from(window.offset).unwrap_or(usize::MAX);
        let page = keys(log.records.iter().copied().skip(from).take(10));
        for (id, delivery) in page.iter().zip(walk.observe(&page, None)) {
            if let Delivery::Next(offset) = delivery
                && position.delivered < delivered
            {
                position.advance(id.clone(), offset);
                position.delivered += 1;
            }
        }
    }
    let learned =
        Learned { totals: None, whole: true, many: true, unoverlapped: false, shift: walk.shift(), gone: walk.gone() };
    position.cursor(Fingerprint::default(), walk.anchors(), learned)
}

/// What a resumed scan requests and delivers of a log of 200 records.
#[derive(Debug, PartialEq)]
struct Rest {
    offsets: Vec<u64>,
    next: usize,
    late: usize,
    shift: Option<u64>,
    lost: u64,
}

/// Resumes behind so many records of a log that has changed. Checks that nothing is missing and nothing comes again.
fn rest(order: Stability, delivered: u64, change: &dyn Fn(&mut Vec<i64>)) -> Rest {
    let mut log = Log::of(1..=200);
    let cursor = stopped(order, &log, delivered);
    change(&mut log.records);
    let mut walk = Direction::Down(Box::new(Walk::resume(Plan { order, ..plan(10) }, &cursor)));
    let seen = read(&mut walk, &mut log, |_, _| {});
    assert_eq!(walk.end(), Some(End::Proved), "{seen:?}");
    let all: Vec<_> = seen.next.iter().chain(&seen.late).copied().collect();
    let behind = delivered.cast_signed() + 1..=200;
    assert!(log.records.iter().filter(|it| behind.contains(it)).all(|it| all.contains(it)), "{seen:?}");
    assert!(!all.iter().any(|it| (1..behind.clone().min().unwrap_or(1)).contains(it)), "{seen:?}");
    let Direction::Down(walk) = walk else { panic!("it goes down") };
    let (next, late) = (seen.next.len(), seen.late.len());
    Rest { offsets: seen.offsets, next, late, shift: walk.shift(), lost: walk.counters.lost_positions }
}

/// What has happened to a log; the offsets of the scan that resumes; how many records it delivers, how many of them
/// late; by how much the log has shifted, as far as the scan knows.
type Resumed<'a> = (&'a str, &'a dyn Fn(&mut Vec<i64>), &'a [u64], (usize, usize, Option<u64>));

fn check(order: Stability, (what, change, offsets, (next, late, shift)): Resumed<'_>) {
    // Any other request looks for the position.
    let lost = u64::from(offsets.get(1) != Some(&158));
    let expected = Rest { offsets: offsets.to_vec(), next, late, shift, lost };
    assert_eq!(rest(order, 150, change), expected, "{what}, {order:?}");
}

#[test]
fn a_scan_goes_on_behind_its_cursor_wherever_the_listing_has_shifted_to() {
    let came = |by: i64| move |it: &mut Vec<i64>| drop(it.splice(0..0, 1_000..1_000 + by));
    let (one, five, thirty) = (came(1), came(5), came(30));
    let stable: [Resumed<'_>; 4] = [
        ("nothing", &|_| {}, &[149, 158, 167, 176, 185, 194, 199], (50, 0, Some(0))),
        ("1 came", &one, &[149, 158, 167, 176, 185, 194, 200], (50, 0, Some(1))),
        ("5 came", &five, &[149, 158, 167, 176, 185, 194, 203, 204], (50, 0, Some(5))),
        ("30 came", &thirty, &[149, 158, 167, 176, 185, 194, 203, 212, 221, 229], (50, 0, Some(30))),
    ];
    stable.into_iter().for_each(|it| check(Stability::Stable, it));
    // Where records may move, the head shows whether the listing has shifted. In the end it is read again.
    let unstable: [Resumed<'_>; 5] = [
        ("nothing", &|_| {}, &[149, 158, 167, 176, 185, 194, 199, 0], (50, 0, Some(0))),
        ("1 came", &one, &[149, 1, 150, 158, 167, 176, 185, 194, 200, 0], (50, 1, Some(1))),
        ("5 came", &five, &[149, 5, 154, 162, 171, 180, 189, 198, 204, 0], (50, 5, Some(5))),
        ("30 came", &thirty, &[149, 30, 158, 167, 176, 184, 193, 202, 211, 220, 229, 0, 9, 18, 27], (50, 30, Some(30))),
        (
            "5 moved to the head",
            &|it| it.rotate_right(5),
            &[149, 5, 154, 162, 171, 180, 189, 198, 199, 0],
            (45, 5, Some(5)),
        ),
    ];
    unstable.into_iter().for_each(|it| check(Stability::Unstable, it));
}

#[test]
fn a_position_of_which_the_last_records_are_gone_is_found_further_up() {
    for order in [Stability::Stable, Stability::Unstable] {
        let gone: [Resumed<'_>; 4] = [
            (
                "1 gone",
                &|it| drop(it.drain(149..150)),
                &[149, 140, 148, 157, 166, 175, 184, 193, 198],
                (50, 0, Some(0)),
            ),
            (
                "5 gone",
                &|it| drop(it.drain(145..150)),
                &[149, 140, 148, 157, 166, 175, 184, 193, 194],
                (50, 0, Some(0)),
            ),
            (
                "10 gone",
                &|it| drop(it.drain(140..150)),
                &[149, 140, 122, 131, 139, 148, 157, 166, 175, 184, 189],
                (50, 0, Some(0)),
            ),
            (
                "the first 10",
                &|it| drop(it.drain(..10)),
                &[149, 140, 122, 131, 139, 148, 157, 166, 175, 184, 189],
                (50, 0, None),
            ),
        ];
        for (what, change, offsets, rest) in gone {
            let head: &[u64] = if order == Stability::Unstable { &[0] } else { &[] };
            check(order, (what, change, &[offsets, head].concat(), rest));
        }
    }
}

#[test]
fn a_position_near_the_head_is_not_searched_for_and_the_head_is_read_instead() {
    let came = |by: i64| move |it: &mut Vec<i64>| drop(it.splice(0..0, 1_000..1_000 + by));
    for order in [Stability::Stable, Stability::Unstable] {
        for (change, next) in [
            (&came(30) as &dyn Fn(&mut Vec<i64>), 215),
            (&came(100) as &dyn Fn(&mut Vec<i64>), 285),
            (&|it| drop(it.drain(14..15)), 185),
            (&|it| drop(it.drain(..15)), 185),
        ] {
            let found = rest(order, 15, change);
            assert_eq!(found.offsets[..4], [14, 0, 9, 18], "{order:?}: {found:?}");
            assert_eq!((found.next, found.late, found.shift), (next, 0, None), "{order:?}: {found:?}");
        }
    }
}

#[test]
fn where_all_delivered_records_are_gone_the_listing_is_read_from_its_head() {
    for order in [Stability::Stable, Stability::Unstable] {
        let found = rest(order, 150, &|it| drop(it.drain(..150)));
        assert_eq!((found.next, found.late, found.shift), (50, 0, None), "{order:?}: {found:?}");
        assert!(found.offsets.len() <= 20, "{order:?}: {found:?}");
        let found = rest(order, 150, &|it| {
            it.clear();
            it.extend(1_000..1_200);
        });
        assert_eq!((found.next, found.late, found.shift), (200, 0, None), "{order:?}: {found:?}");
        assert!(found.offsets.len() <= 35, "{order:?}: {found:?}");
    }
}
