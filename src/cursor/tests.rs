//! What a cursor holds of a position, and which cursors are refused.

use serde::de::IntoDeserializer;
use serde::de::value::SeqDeserializer;

use super::*;
use crate::cursor::sequence::Set;

const LEARNED: Learned =
    Learned { totals: None, whole: true, many: true, unoverlapped: false, shift: Some(0), gone: 0 };

fn key(id: u64) -> RecordKey {
    RecordKey::from(i64::try_from(id).unwrap())
}

fn fingerprints(ids: impl IntoIterator<Item = u64>) -> Vec<u64> {
    ids.into_iter().map(|id| key(id).fingerprint()).collect()
}

fn listing() -> Fingerprint {
    let selects = [("a", "1"), ("b", "2")].map(|(name, value)| (name.into(), value.into()));
    Fingerprint::new("https://here".to_owned(), "/logs".to_owned(), selects.into_iter())
}

/// The cursor behind the record of this number, the first of which is 1.
fn behind(number: u64) -> Cursor {
    let mut position = Position::at(0);
    (1..=number).for_each(|id| position.advance(key(id), id));
    position.delivered = number;
    position.cursor(listing(), &fingerprints(1..=number.min(70)), LEARNED)
}

fn distances(cursor: &Cursor) -> Vec<u64> {
    cursor.landmarks().map(|(_, distance)| distance.into()).collect()
}

#[test]
fn a_cursor_holds_the_last_five_keys_and_some_further_up_at_least_as_far_as_is_wanted() {
    let mut position = Position::at(0);
    for number in 1..=2_500_u64 {
        position.advance(key(number), number);
        let cursor = position.cursor(listing(), &[], LEARNED);
        // Further up, each 64th record is kept: the nearest of these that is far enough is taken.
        let far = [64, 128, 256, 512, 1024]
            .map(|wanted| (wanted..wanted + 64).find(|it| (number - it.min(&number)) % 64 == 0));
        let far = far.into_iter().flatten().filter(|distance| *distance < number);
        let expected: Vec<_> = (0..number.min(5)).chain(far).collect();
        assert_eq!(distances(&cursor), expected, "behind record {number}");
        let keys: Vec<_> = cursor.landmarks().map(|(id, _)| id.clone()).collect();
        assert_eq!(keys, expected.iter().map(|it| key(number - it)).collect::<Vec<_>>());
        assert_eq!(cursor.run(), fingerprints((number.saturating_sub(63).max(1)..=number).rev()));
        assert_eq!(cursor.offset(), number);
    }
    // What no cursor will hold isn't kept.
    assert!(position.landmarks.len() < 30, "{}", position.landmarks.len());
}

#[test]
fn a_position_that_was_resumed_has_the_cursor_that_it_came_from_and_goes_on_like_any_other() {
    for number in [0, 1, 4, 5, 6, 63, 64, 65, 70, 200, 1_100, 2_500] {
        let cursor = behind(number);
        let mut position = Position::resume(&cursor);
        assert_eq!(position.cursor(listing(), &fingerprints(1..=number.min(70)), LEARNED), cursor, "{number}");
        assert_eq!(cursor.delivered(), number);
        for id in number + 1..=number + 700 {
            position.advance(key(id), id);
        }
        let cursor = position.cursor(listing(), &[], LEARNED);
        assert_eq!(cursor.run(), fingerprints((number + 637..=number + 700).rev()));
        assert_eq!(distances(&cursor)[..5], [0, 1, 2, 3, 4]);
        let far = distances(&cursor)[5..].to_vec();
        for (distance, wanted) in far.iter().zip([64, 128, 256, 512]) {
            assert!((wanted..wanted + 64).contains(distance), "{number}: {far:?}");
        }
        assert!(far.len() >= 4, "{number}: {far:?}");
        assert!(cursor.landmarks().all(|(id, distance)| *id == key(number + 700 - u64::from(distance))));
        let all = (1..=number + 700).fold(Sequence::default(), |mut all, id| {
            all.push(key(id).fingerprint());
            all
        });
        assert_eq!(cursor.0.sequence, all);
    }
}

#[test]
fn the_furthest_key_is_held_for_64_records_beyond_its_distance() {
    // The last key behind this one stands 512 records closer, and only comes to its distance long after.
    let cursor = behind(2_496);
    assert_eq!(distances(&cursor)[5..], [64, 128, 256, 512, 1_024]);
    let mut position = Position::resume(&cursor);
    for more in 1..=200 {
        position.advance(key(2_496 + more), 2_496 + more);
        let cursor = position.cursor(listing(), &[], LEARNED);
        let furthest = distances(&cursor).into_iter().find(|it| *it >= 1_024);
        assert_eq!(furthest, Some(1_024 + more).filter(|_| more <= 64), "after {more}");
    }
}

#[test]
fn a_listing_that_shifts_moves_the_offset_and_nothing_else() {
    let mut position = Position::resume(&behind(9));
    position.shift(12);
    let mut expected = behind(9);
    expected.0.offset = 12;
    assert_eq!(position.cursor(listing(), &[], LEARNED), expected);
}

#[test]
fn the_head_is_that_of_the_walk_until_the_position_has_its_own() {
    let seen = fingerprints(1..=100);
    // A cursor from before the first record knows no head.
    let fresh = Position::resume(&Position::at(0).cursor(listing(), &[], LEARNED));
    assert_eq!(fresh.cursor(listing(), &seen, LEARNED).head(), &seen[..64]);
    let old = Position::resume(&behind(9));
    assert_eq!(old.cursor(listing(), &seen[50..], LEARNED).head(), &seen[..9]);
    let mut kept = Position::at(0);
    kept.keep_head(&seen);
    assert_eq!(kept.cursor(listing(), &seen[50..], LEARNED).head(), &seen[..64]);
    let mut risen = Position::resume(&behind(9));
    for count in 1..=100 {
        risen.rise(&key(1_000 + count));
        let newer = (1..=count).rev().map(|it| 1_000 + it);
        let expected: Vec<_> = fingerprints(newer.chain(1..=9)).into_iter().take(64).collect();
        assert_eq!(risen.cursor(listing(), &[], LEARNED).head(), expected);
    }
}

#[test]
fn the_last_64_records_that_came_late_are_remembered() {
    let mut position = Position::at(0);
    for count in 1..=130_u64 {
        position.note_late(&key(count));
        let cursor = position.cursor(listing(), &[], LEARNED);
        assert_eq!(cursor.late(), fingerprints((count.saturating_sub(63).max(1)..=count).rev()));
        position = Position::resume(&cursor);
    }
}

#[test]
fn a_cursor_is_refused_with_what_is_wrong_with_it() {
    let good = behind(9);
    assert_eq!(good.problem(&listing()), None);
    assert_eq!(Position::at(0).cursor(listing(), &[], LEARNED).problem(&listing()), None);
    // From behind the head, before any record.
    let begun = Position::at(10).cursor(listing(), &[], Learned { whole: false, ..LEARNED });
    assert_eq!(begun.problem(&listing()), None);
    assert!(!begun.is_fresh() && !good.is_fresh() && behind(0).is_fresh());
    let broken = |change: fn(&mut Content), what: &str| {
        let mut cursor = good.clone();
        change(&mut cursor.0);
        let problem = cursor.problem(&listing()).unwrap();
        assert!(problem.contains(what), "{problem}");
    };
    broken(|it| it.version = 2, "the cursor has version 2");
    broken(|it| (it.keys.clear(), it.distances.clear()).0, "no record key");
    broken(|it| it.distances.push(9), "a distance for each");
    broken(|it| it.keys.push(key(0)), "a distance for each");
    broken(|it| it.delivered = 0, "its position isn't the first");
    broken(|it| it.listing.origin.push('x'), "these differ: the server");
    broken(|it| it.listing.path.push('x'), "these differ: the path");
    broken(|it| drop(it.listing.parameters.insert("c".to_owned(), String::new())), "these differ: the parameter c");
    broken(|it| it.listing.parameters.clear(), "these differ: the parameter a, the parameter b");
    broken(|it| it.listing.parameters.values_mut().for_each(|it| it.push('x')), "the parameter a, the parameter b");
}

#[test]
fn what_a_scan_has_learned_is_in_its_cursor() {
    for (whole, many, unoverlapped) in [(true, false, false), (false, true, false), (false, false, true)] {
        let learned = Learned { totals: Some((3, 7)), whole, many, unoverlapped, shift: Some(5), gone: 2 };
        let cursor = Position::at(0).cursor(listing(), &[], learned);
        assert_eq!((cursor.is_whole(), cursor.returns_many(), cursor.unoverlapped()), (whole, many, unoverlapped));
        assert_eq!((cursor.totals(), cursor.shift()), (Some((3, 7)), Some(5)));
        assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
    }
}

#[test]
fn a_run_is_read_only_if_it_consists_of_at_most_64_fingerprints() {
    let run = Run((1..=64).collect());
    let text = serde_json::to_string(&run).unwrap();
    assert_eq!(serde_json::from_str::<Run>(&text).unwrap(), run);
    for wrong in [Run((1..=65).collect()), Run(vec![0; 100])] {
        let text = serde_json::to_string(&wrong).unwrap();
        assert!(serde_json::from_str::<Run>(&text).unwrap_err().to_string().contains("not a run"));
    }
    for wrong in ["\"AAAAAAAAAAAA\"", "\"A\"", "\"?\""] {
        assert!(serde_json::from_str::<Run>(wrong).is_err(), "{wrong}");
    }
}

/// A value of a format without field names.
fn positional(version: u32, rest: usize) -> Result<Cursor, serde::de::value::Error> {
    let values = std::iter::once(version).chain(std::iter::repeat_n(9, rest));
    let mut from = SeqDeserializer::new(values.map(IntoDeserializer::<serde::de::value::Error>::into_deserializer));
    Cursor::deserialize(serde::de::value::SeqAccessDeserializer::new(&mut from))
}

#[test]
fn without_field_names_a_cursor_of_another_version_is_known_by_its_first_value() {
    for rest in [0, 3, 30] {
        let cursor = positional(7, rest).unwrap();
        assert!(cursor.problem(&listing()).unwrap().contains("version 7"));
    }
    // Of this version, the other values are those of the fields.
    assert!(positional(VERSION, 3).unwrap_err().to_string().contains("invalid type"));
    assert!(positional(VERSION, 0).is_err());
}

#[test]
fn a_sequence_knows_its_first_record_and_a_set_is_joined_without_what_is_shared() {
    let mut sequence = Sequence::default();
    assert_eq!(sequence.first(), None);
    for id in 1..=3 {
        sequence.push(key(id).fingerprint());
        assert_eq!((sequence.count, sequence.first()), (id, Some(key(1).fingerprint())));
    }
    let set = |ids: std::ops::RangeInclusive<u64>| {
        fingerprints(ids).into_iter().fold(Set::default(), |mut set, it| {
            set.add(it);
            set
        })
    };
    assert_eq!(set(1..=6).joined(set(5..=9), set(5..=6)), Some(set(1..=9)));
    assert_ne!(set(1..=6).joined(set(5..=9), set(4..=5)), Some(set(1..=9)));
    assert_eq!(set(1..=1).joined(set(2..=2), set(1..=3)), None);
    let stored = serde_json::to_string(&set(1..=9)).unwrap();
    assert_eq!(serde_json::from_str::<Set>(&stored).unwrap(), set(1..=9));
    assert!(stored.starts_with("[9,\""), "{stored}");
}
