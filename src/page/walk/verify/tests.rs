//! Which chunks count as delivered, and which scans agree.

use super::*;

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
