//! Servers that return one record at once: windows can't overlap, and nothing proves the end.

use super::*;

/// Scans a log that returns single records, in pages of `limit`. Returns the offsets, and the late records.
fn singles(
    (order, limit): (Stability, u32),
    records: i64,
    before: impl FnMut(usize, &mut Vec<i64>),
) -> (Vec<u64>, Vec<i64>) {
    let mut walk = down(Plan { order, ..plan(limit) });
    let mut log = Log { longest: 1, ..Log::of(1..=records) };
    let seen = read(&mut walk, &mut log, before);
    let Direction::Down(walk) = walk else { panic!("it goes down") };
    assert_eq!((walk.end(), walk.doubt(0)), (Some(End::Unproved), Some(Doubt::SingleRecords)), "{seen:?}");
    (seen.offsets, seen.late)
}

#[test]
fn single_records_are_read_one_after_another_and_the_end_is_asked_for_twice() {
    for limit in [1, 10] {
        for (records, offsets) in [(1, &[0, 1, 1][..]), (2, &[0, 1, 2, 2]), (5, &[0, 1, 2, 3, 4, 5, 5])] {
            let found = singles((Stability::Stable, limit), records, |_, _| {});
            assert_eq!(found, (offsets.to_vec(), vec![]), "{records} by {limit}");
            // In an unstable order, so many of the head are compared.
            let head: Vec<_> = (0..records.cast_unsigned().min(4)).collect();
            let found = singles((Stability::Unstable, limit), records, |_, _| {});
            assert_eq!(found, ([offsets, &head].concat(), vec![]), "{records} by {limit}");
        }
    }
}

#[test]
fn after_eight_single_records_the_head_shows_whether_the_server_returns_more_at_once() {
    let all: Vec<_> = (0..=12).collect();
    let (offsets, _) = singles((Stability::Stable, 1), 12, |_, _| {});
    assert_eq!(offsets, [&all[..], &[12]].concat(), "one was asked for");
    let (offsets, _) = singles((Stability::Stable, 10), 12, |_, _| {});
    assert_eq!(offsets[..8 + 13], [&all[..8], &all].concat(), "it doesn't");
    // It has more since.
    let mut walk = down(plan(10));
    let mut log = Log::of([1]);
    let seen = read(&mut walk, &mut log, |turn, records| {
        if turn == 1 {
            records.extend(2..=30)
        }
    });
    assert_eq!((seen.next, walk.end()), ((1..=30).collect(), Some(End::Proved)));
}

#[test]
fn of_a_hundred_single_records_none_is_requested_again_to_see_whether_its_page_grows() {
    let all: Vec<_> = (0..=100).collect();
    let (offsets, _) = singles((Stability::Stable, 10), 100, |_, _| {});
    assert_eq!(offsets[..8 + 101], [&all[..8], &all].concat());
}

#[test]
fn a_record_that_comes_at_the_head_meanwhile_is_late_and_one_that_goes_hides_another() {
    for order in [Stability::Stable, Stability::Unstable] {
        let (offsets, late) = singles((order, 1), 3, |turn, records| {
            if turn == 2 {
                records.insert(0, 100);
            }
        });
        assert_eq!((offsets, late), (vec![0, 1, 2, 3, 4, 4, 0, 1, 2], vec![100]), "{order:?}");
    }
    let gone = |turn, records: &mut Vec<i64>| {
        if turn == 2 {
            records.remove(0);
        }
    };
    assert_eq!(singles((Stability::Stable, 1), 5, gone), (vec![0, 1, 2, 3, 4, 4], vec![]));
    // Where the head is read again, it is found there.
    assert_eq!(singles((Stability::Unstable, 1), 5, gone).1, [3]);
}
