//! Which chunks count as delivered, and which scans agree.

use super::*;
use crate::page::Stability;
use crate::page::walk::tests::{Log, key, keys, plan};

fn sequence(fingerprints: &[u64]) -> Sequence {
    fingerprints.iter().fold(Sequence::default(), |mut all, it| {
        all.push(*it);
        all
    })
}

/// What the first scan delivered, by the fingerprints of its records.
fn delivered(fingerprints: impl IntoIterator<Item = u64>) -> Delivered {
    let mut delivered = Delivered::new(10);
    fingerprints.into_iter().for_each(|it| delivered.push(it));
    delivered
}

/// Whether a later scan finds a chunk of these records delivered.
fn has(delivered: &mut Delivered, chunk: &[u64]) -> bool {
    for (index, fingerprint) in chunk.iter().enumerate() {
        assert_eq!(delivered.add(*fingerprint), fingerprint & delivered.mask == 0, "record {index}");
    }
    delivered.end_chunk()
}

#[test]
fn a_chunk_was_delivered_if_all_of_its_records_were() {
    let mut delivered = delivered([1, 2, 64, 5, 6, 128, 7]);
    assert_eq!(delivered.chunks, [(64, 67), (128, 139)]);
    delivered.begin();
    // Also the last one, which no record ended.
    for chunk in [&[1, 2, 64][..], &[5, 6, 128], &[7]] {
        assert!(has(&mut delivered, chunk), "{chunk:?}");
    }
    for chunk in [&[1, 64][..], &[5, 6, 8, 128], &[9]] {
        assert!(!has(&mut delivered, chunk), "{chunk:?}");
        // It was delivered by this.
        assert!(has(&mut delivered, chunk), "{chunk:?}");
    }
    // So was one without a record.
    assert!(delivered.end_chunk());
}

#[test]
fn with_too_many_chunks_half_of_them_are_joined_to_the_next() {
    let most = MOST_CHUNKS as u64;
    let all = delivered((1..=most).map(|it| it * 64));
    assert_eq!((all.chunks.len(), all.longest()), (MOST_CHUNKS, 64 * 64));
    // One more, which is no end any more.
    let mut joined = delivered((1..=most + 1).map(|it| it * 64));
    assert_eq!((joined.chunks.len(), joined.longest()), (MOST_CHUNKS / 2, 128 * 64));
    assert_eq!(joined.chunks[..2], [(128, 64 + 128), (256, 192 + 256)]);
    joined.begin();
    assert!(has(&mut joined, &[(most + 1) * 64]));
    // One more, which still is an end: nothing is left over.
    let mut joined = delivered((2..=most + 2).map(|it| it * 64));
    assert_eq!(joined.chunks[..2], [(128, 128), (256, 192 + 256)]);
    joined.begin();
    assert!(!joined.sums.contains(&0) && joined.sums.len() == MOST_CHUNKS / 2 + 1);
}

#[test]
fn two_scans_agree_if_the_records_of_the_first_follow_one_another_in_the_second() {
    let seen = |shift, fingerprints: &[u64]| {
        let base = Scanned { sequence: sequence(&[1, 2, 3]), shift };
        let mut again = Again::default();
        fingerprints.iter().for_each(|it| again.push(*it, Some(&base)));
        again.agrees(&base)
    };
    for (shift, fingerprints, agree) in [
        (Some(0), &[1, 2, 3][..], true),
        (Some(0), &[9, 1, 2, 3, 4, 5], true),
        (Some(1), &[9, 1, 2, 3], true),
        (Some(2), &[9, 1, 2, 3], false),
        (Some(1), &[1, 2, 3], false),
        (None, &[9, 1, 2, 3], false),
        (Some(0), &[1, 3, 2], false),
        (Some(0), &[1, 2], false),
        (Some(0), &[2, 3], false),
        (Some(0), &[1, 9, 2, 3], false),
        (Some(0), &[], false),
    ] {
        assert_eq!(seen(shift, fingerprints), agree, "{shift:?} {fingerprints:?}");
    }
    let empty = Scanned { sequence: Sequence::default(), shift: None };
    let mut again = Again::default();
    assert!(again.agrees(&empty));
    again.push(1, Some(&empty));
    assert!(!again.agrees(&empty));
}

#[test]
fn a_shift_is_explained_by_as_many_records_above_the_first_one() {
    let scanned = |shift| Scanned { sequence: sequence(&[1]), shift };
    assert!(scanned(Some(2)).is_explained(Some(2)) && !scanned(Some(2)).is_explained(Some(1)));
    assert!(!scanned(None).is_explained(Some(9)) && !scanned(Some(0)).is_explained(None));
    // Of an empty listing nothing can have moved.
    assert!(Scanned { sequence: Sequence::default(), shift: None }.is_explained(None));
}

#[test]
fn the_totals_of_several_scans_are_the_smallest_and_the_largest() {
    let cases = [
        (Some((3, 5)), Some((4, 9)), Some((3, 9))),
        (Some((4, 9)), Some((3, 5)), Some((3, 9))),
        (None, Some((3, 5)), Some((3, 5))),
        (Some((3, 5)), None, Some((3, 5))),
        (None, None, None),
    ];
    for (one, other, both) in cases {
        assert_eq!(merged(one, other), both);
    }
}

/// What the scans of a log delivered.
#[derive(Debug, PartialEq)]
struct Verified {
    first: Vec<i64>,
    late: Vec<i64>,
    scans: u32,
    doubt: Option<Doubt>,
}

/// Scans a log again and again, as long as the verification wants it. `before` changes it before each request: that of
/// this number of the scan of that number, the first of which are 0.
fn verified(
    plan: Plan,
    mut verification: Verification<i64>,
    mut walk: Walk,
    log: &mut Log,
    mut before: impl FnMut(u32, usize, &mut Vec<i64>),
) -> Verified {
    let (mut first, mut late, mut sequence, mut scans) = (Vec::new(), Vec::new(), Sequence::default(), 0);
    loop {
        let mut turn = 0;
        while let Some(window) = walk.window() {
            before(scans, turn, &mut log.records);
            turn += 1;
            let page: Vec<_> =
                log.records.iter().copied().skip(window.offset as usize).take(plan.limit as usize).collect();
            let deliveries = walk.observe(&keys(page.clone()), log.has_total.then_some(log.records.len() as u64));
            let new = page.into_iter().zip(deliveries).filter(|it| it.1 != Delivery::Skip);
            for (id, delivery) in new {
                if verification.is_again() {
                    verification.take(key(id), id, delivery, &mut late);
                } else {
                    verification.note_delivered(&key(id), delivery);
                    first.push(id);
                    if matches!(delivery, Delivery::Next(_)) {
                        sequence.push(key(id).fingerprint());
                    }
                }
            }
            if verification.is_again() && walk.end().is_some() {
                verification.flush(&mut late);
            }
        }
        scans += 1;
        let scanned = Scanned { sequence, shift: walk.shift() };
        let Some(next) = verification.end_scan(&walk, scanned) else { break };
        walk = next;
    }
    let late = late.into_iter().map(|it| it.1).collect();
    Verified { first, late, scans, doubt: verification.doubt(&walk) }
}

/// The same for a log from its beginning, scanned `most` times at most.
fn scanned(order: Stability, most: u32, log: &mut Log, before: impl FnMut(u32, usize, &mut Vec<i64>)) -> Verified {
    let plan = Plan { order, remembered: 20, ..plan(10) };
    let first = Plan { head_again: HeadAgain::Never, probes_end: true, ..plan.clone() };
    verified(plan.clone(), Verification::new(&plan, most, None), Walk::new(first), log, before)
}

/// What happens to a log at the third request of a scan of this number.
type Changes<'a> = &'a dyn Fn(u32, &mut Vec<i64>);

/// Scans a log of 30 records in pages of ten, four times at most.
fn four_times(order: Stability, change: Changes<'_>) -> Verified {
    scanned(order, 4, &mut Log::of(1..=30), |scan, turn, records| {
        if turn == 2 {
            change(scan, records);
        }
    })
}

/// A change of one scan.
fn at(number: u32, change: fn(&mut Vec<i64>)) -> impl Fn(u32, &mut Vec<i64>) {
    move |scan, records| {
        if scan == number {
            change(records);
        }
    }
}

#[test]
fn what_the_first_scan_did_not_see_is_delivered_by_the_second_and_two_that_agree_are_enough() {
    for order in [Stability::Stable, Stability::Unstable] {
        let check = |change: Changes<'_>, first: usize, late: &[i64]| {
            let found = four_times(order, change);
            assert_eq!(
                (found.first.len(), &found.late[..], found.scans, found.doubt),
                (first, late, 2, None),
                "{order:?}"
            );
        };
        check(&|_, _| {}, 30, &[]);
        // The last one moves to the head, and others come there.
        check(
            &|scan, records| {
                if scan == 0 {
                    records.rotate_right(1)
                }
            },
            29,
            &[30],
        );
        check(
            &|scan, records| {
                if scan == 0 {
                    records.insert(0, 100)
                }
            },
            30,
            &[100],
        );
        check(&|scan, records| records.insert(0, 100 + i64::from(scan)), 30, &[100, 101]);
    }
}

#[test]
fn a_log_that_changes_elsewhere_is_scanned_until_two_scans_agree() {
    for order in [Stability::Stable, Stability::Unstable] {
        let check = |change: Changes<'_>, scans: u32, late: &[i64], doubt: Option<Doubt>| {
            let found = four_times(order, change);
            assert_eq!((found.scans, found.doubt), (scans, doubt), "{order:?}");
            let mut new: Vec<_> = found.late.iter().copied().filter(|it| *it > 30).collect();
            new.sort_unstable();
            assert_eq!((found.first.len(), &new[..]), (30, late), "{order:?}: {:?}", found.late);
        };
        check(&at(0, |it| it.insert(5, 100)), 3, &[100], None);
        check(&at(0, |it| _ = it.remove(5)), 3, &[], None);
        check(&at(1, |it| it.insert(5, 100)), 4, &[100], None);
        // On the page at hand.
        check(&at(1, |it| it.insert(18, 100)), 4, &[100], None);
        check(&at(1, |it| _ = it.remove(5)), 4, &[], None);
        let each = |scan: u32, records: &mut Vec<i64>| records.insert(15, 100 + i64::from(scan));
        check(&each, 4, &[100, 101, 102], Some(Doubt::ScansDiffer));
    }
}

#[test]
fn no_more_scans_are_made_than_allowed_nor_one_that_cannot_verify_anything() {
    for (most, scans) in [(0, 2), (2, 2), (3, 2), (4, 4)] {
        let gone = |scan, turn, records: &mut Vec<i64>| {
            if (scan, turn) == (1, 2) {
                records.remove(5);
            }
        };
        let found = scanned(Stability::Stable, most, &mut Log::of(1..=30), gone);
        assert_eq!(found.scans, scans, "{most}");
        assert_eq!(found.doubt, if most < 4 { Some(Doubt::ScansDiffer) } else { None }, "{most}");
    }
}

#[test]
fn a_long_log_is_verified_though_only_a_few_of_its_records_are_remembered() {
    for order in [Stability::Stable, Stability::Unstable] {
        let found = scanned(order, 2, &mut Log::of(1..=300), |_, _, _| {});
        assert_eq!((found.late, found.doubt), (vec![], None), "{order:?}");
        let found = scanned(order, 2, &mut Log::of(1..=300), |scan, turn, records| {
            if (scan, turn) == (0, 2) {
                records.rotate_right(1);
            }
        });
        assert_eq!((found.late, found.doubt), (vec![300], None), "{order:?}");
    }
}

#[test]
fn an_emptied_log_is_verified_by_two_scans_that_find_nothing() {
    let emptied = |scan, turn, records: &mut Vec<i64>| {
        if (scan, turn) == (1, 0) {
            records.clear()
        }
    };
    let found = scanned(Stability::Stable, 4, &mut Log::of(1..=30), emptied);
    assert_eq!((found.late, found.scans, found.doubt), (vec![], 3, None));
    // And one that was empty at first, by two that find the same.
    let filled = |scan, turn, records: &mut Vec<i64>| {
        if (scan, turn) == (1, 0) {
            records.extend(1..=30)
        }
    };
    let found = scanned(Stability::Stable, 4, &mut Log::of([]), filled);
    assert_eq!((found.late, found.scans, found.doubt), ((1..=30).collect(), 3, None));
}
