//! What sweeps find in the lookback: changes, late records, and records that are gone.

use std::collections::HashSet;

use super::*;

/// The offsets of a sweep over 40 of `records` records, from the head or to the end.
fn swept(side: Side, records: u64) -> Vec<u64> {
    match side {
        Side::Head => vec![0, 9, 18, 27, 36],
        Side::End => (0..6).map(|page| records - 50 + 9 * page).chain([records - 1]).collect(),
    }
}

#[test]
fn a_change_is_found_by_the_next_sweep_down_to_the_oldest_remembered_record() {
    everywhere(|side, order| {
        let mut log = Followed::caught_up(side, order, 1..=60);
        assert_eq!(log.sweep(), (String::new(), swept(side, 60)));
        for id in [60, 51, 42, 21] {
            log.change(id);
            assert_eq!(log.sweep(), (format!("={id}"), swept(side, 60)));
            assert_eq!(log.sweep().0, "");
        }
        log.change(20);
        assert_eq!(log.sweep().0, "");
        assert!(log.machine.is_caught_up() && log.gap().is_none());
    });
}

#[test]
fn a_late_record_is_delivered_once_down_to_the_oldest_remembered_record() {
    everywhere(|side, order| {
        for above in [90, 89, 81, 75, 60, 53, 52, 51] {
            let mut log = Followed::caught_up(side, order, 1..=90);
            log.insert_above(above, 200..=200);
            let expected = if above == 90 { "+200" } else { "~200" };
            assert_eq!(log.sweep().0, expected, "above {above}");
            for _ in 0..2 {
                assert_eq!((log.sweep().0, log.poll().0), (String::new(), String::new()), "above {above}");
            }
        }
        // Old ground.
        for above in [50, 40, 20] {
            let mut log = Followed::caught_up(side, order, 1..=90);
            log.insert_above(above, 200..=200);
            assert_eq!(log.sweep().0, "", "above {above}");
        }
    });
}

#[test]
fn a_row_of_late_records_is_delivered_however_long_it_is() {
    everywhere(|side, order| {
        for count in [1, 5, 8, 9, 10, 12, 25] {
            let mut log = Followed::caught_up(side, order, 1..=60);
            log.insert_above(45, 200..200 + count);
            let mut delivered: Vec<_> = log.sweep().0.split(' ').map(str::to_owned).collect();
            delivered.sort();
            assert_eq!(delivered.join(" "), all('~', 200..200 + count));
            assert_eq!((log.sweep().0, log.poll().0), (String::new(), String::new()), "{count}");
        }
    });
}

#[test]
fn of_a_row_of_late_records_that_is_longer_than_the_lookback_those_within_it_are_delivered() {
    everywhere(|side, order| {
        for count in [26, 40, 60, 120] {
            let mut log = Followed::caught_up(side, order, 1..=600);
            log.insert_above(585, 700..700 + count);
            let delivered = log.sweep().0;
            for id in 700 + count - 25..700 + count {
                assert!(delivered.contains(&format!("~{id}")), "{id} of {count}: {delivered}");
            }
            assert_eq!((log.poll().0, log.gap()), (String::new(), None), "{count}");
            let _ = (log.sweep(), log.sweep());
            let most = swept(side, 600).len() + 5;
            let (delivered, offsets) = log.sweep();
            assert_eq!(delivered, "", "{count}");
            assert!(offsets.len() <= most, "{count}: {offsets:?}");
        }
    });
}

#[test]
fn a_sweep_that_looks_for_its_position_further_up_delivers_no_old_ground() {
    everywhere(|side, order| {
        let mut log = Followed::caught_up(side, order, 1..=90);
        let (delivered, _) = log.round_with(Work::Sweep { whole: true }, |request, rows| match request {
            2 => drop(rows.drain(5..35)),
            3 => rows.splice(20..20, super::rows(200..=203)).for_each(drop),
            _ => {}
        });
        assert!(!delivered.contains("~1") && !delivered.contains("~3") && !delivered.contains("~4"), "{delivered}");
    });
}

#[test]
fn a_record_that_is_gone_is_reported_by_the_second_sweep_that_shows_its_neighbours() {
    everywhere(|side, order| {
        for gone in [&[58_i64][..], &[55, 54], &[52, 51], &[43], &[35]] {
            let mut log = Followed::caught_up(side, order, 1..=60);
            log.remove(gone);
            assert_eq!(log.sweep().0, "", "{gone:?}");
            assert_eq!(log.sweep().0, all('-', gone.iter().copied()), "{gone:?}");
            assert_eq!((log.sweep().0, log.poll().0), (String::new(), String::new()), "{gone:?}");
        }
        // It came back in between.
        let mut log = Followed::caught_up(side, order, 1..=60);
        let before = log.rows.clone();
        for _ in 0..2 {
            log.remove(&[35]);
            assert_eq!(log.sweep().0, "");
            log.rows.clone_from(&before);
            assert_eq!(log.sweep().0, "");
        }
    });
}

#[test]
fn the_newest_record_is_gone_if_a_page_begins_below_it_and_the_oldest_remembered_one_never_is() {
    for side in SIDES {
        let mut log = Followed::caught_up(side, Stability::Stable, 1..=60);
        log.remove(&[60, 59]);
        assert_eq!([log.sweep().0, log.sweep().0], ["", "-60 -59"], "{side:?}");
        // What stands below the remembered ones isn't known, but for the end of the listing.
        let mut log = Followed::caught_up(side, Stability::Stable, 1..=60);
        log.remove(&[21]);
        assert_eq!([log.sweep().0, log.sweep().0, log.sweep().0], ["", "", ""], "{side:?}");
        let mut log = Followed::caught_up(side, Stability::Stable, 1..=30);
        log.remove(&[1]);
        assert_eq!([log.sweep().0, log.sweep().0], ["", "-1"], "{side:?}");
    }
}

#[test]
fn where_records_move_the_ends_of_a_page_show_nothing_about_their_neighbours() {
    // 51 ends a page, and may have moved there.
    let mut log = Followed::caught_up(Side::Head, Stability::Unstable, 1..=60);
    log.remove(&[41]);
    assert_eq!([log.sweep().0, log.sweep().0], ["", ""]);
    // One that has moved is out of order among its new neighbours.
    for (side, order) in SIDES.map(|side| (side, Stability::Unstable)) {
        let mut log = Followed::caught_up(side, order, 1..=60);
        let moved = log.rows.remove(10);
        log.rows.insert(4, moved);
        for _ in 0..3 {
            assert!(!log.sweep().0.contains('-'), "{side:?}");
        }
    }
}

#[test]
fn a_page_with_errors_beside_its_records_shows_nothing_about_those_that_it_does_not_show() {
    for side in SIDES {
        let mut log = Followed::caught_up(side, Stability::Stable, 1..=60);
        log.remove(&[55]);
        log.machine.note_partial(true);
        for _ in 0..4 {
            assert_eq!(log.sweep().0, "", "{side:?}");
        }
        log.machine.note_partial(false);
        assert_eq!([log.sweep().0, log.sweep().0], ["", "-55"], "{side:?}");
    }
}

#[test]
fn where_all_that_was_delivered_is_remembered_a_record_below_it_is_late() {
    everywhere(|side, order| {
        let mut log = Followed::caught_up(side, order, 1..=30);
        log.insert_above(2, 102..=102);
        assert_eq!(log.sweep().0, "~102");
        log.rows.extend(rows(300..=301));
        let delivered = log.sweep().0;
        assert!(["~300 ~301", "~301 ~300"].contains(&delivered.as_str()), "{delivered}");
        assert_eq!(log.sweep().0, "");
    });
}

#[test]
fn a_sweep_stops_above_records_that_are_final_and_were_found_unchanged_twice() {
    for order in ORDERS {
        let mut log = Followed::caught_up(Side::Head, order, 1..=60);
        log.rows.iter_mut().for_each(|it| it.is_final = true);
        let offsets: Vec<_> = (0..4).map(|_| log.sweep().1.len()).collect();
        assert_eq!(offsets, [5, 5, 1, 1]);
        // What changes nevertheless is found by a whole one.
        log.change(30);
        assert_eq!([log.sweep().0, log.whole_sweep().0], ["", "=30"]);
        // Down to that one, until it is quiet again.
        assert_eq!([log.sweep().1.len(), log.sweep().1.len(), log.sweep().1.len()], [4, 1, 1]);
        // An open record is read each time.
        log.row(40).is_final = false;
        log.whole_sweep();
        assert_eq!([log.sweep().1, log.sweep().1], [[0, 9, 18], [0, 9, 18]]);
    }
}

#[test]
fn where_a_record_is_gone_a_sweep_reads_on_and_remembers_one_more_below() {
    for order in ORDERS {
        let mut log = Followed::caught_up(Side::Head, order, 1..=60);
        log.rows.iter_mut().for_each(|it| it.is_final = true);
        log.remove(&[58]);
        assert_eq!([log.sweep().0, log.sweep().0], ["", "-58"]);
        log.sweep();
        log.change(20);
        assert_eq!(log.whole_sweep().0, "=20", "{order:?}");
        // That is all there is room for.
        log.change(19);
        assert_eq!(log.whole_sweep().0, "", "{order:?}");
    }
}

#[test]
fn new_records_are_delivered_by_a_sweep_as_by_a_poll() {
    everywhere(|side, order| {
        for count in [1, 8, 30] {
            let mut log = Followed::caught_up(side, order, 1..=60);
            log.grow(61..=60 + count);
            let mut delivered = log.sweep().0;
            if log.machine.is_behind() || !log.machine.is_caught_up() {
                delivered += &log.poll().0;
            }
            assert_eq!(delivered, all('+', 61..=60 + count));
            assert_eq!(log.poll().0, "");
        }
    });
}

#[test]
fn while_it_is_unknown_which_end_grows_both_are_swept_in_turn() {
    let mut log =
        Followed::of(settings(None, Stability::Stable, 20), Begin::Beginning, Side::End, [7, 3, 5].into_iter());
    assert_eq!(log.poll().0, "+7 +3 +5");
    for id in [7, 3, 5] {
        log.change(id);
        let two = [log.sweep().0, log.sweep().0].concat();
        assert_eq!(two, format!("={id}"));
    }
    // Gone from one, it may stand at the other.
    log.remove(&[3]);
    assert_eq!([0; 5].map(|_| log.sweep().0), [""; 5]);
}

#[test]
fn the_newest_that_go_are_reported_or_a_gap_is() {
    for side in [Side::Head, Side::End] {
        for (lookback, count, limit) in [(64, 200, 10), (64, 1_500, 10), (300, 900, 50)] {
            for gone in
                [1, 5, 31, 40, 62, 63, 64, 66, 100, 130, 290, 297, 299, 300, 340].into_iter().filter(|it| *it < count)
            {
                for came in [0, 1, 3, 30] {
                    let case = format!("{side:?}, {gone} of {count}, {came} came, lookback {lookback}");
                    let settings = settings(Some(side), Stability::Stable, lookback);
                    let settings = Settings { plan: Plan { limit, ..settings.plan }, ..settings };
                    let mut log = Followed::of(settings, Begin::Beginning, side, 1..=count);
                    log.poll();
                    log.remove(&(count + 1 - gone..=count).collect::<Vec<_>>());
                    log.grow(count + 1..=count + came);
                    let (mut found, mut gap) = (Vec::new(), None);
                    for turn in 0..6 {
                        let (delivered, _) = if turn % 2 == 0 { log.poll() } else { log.whole_sweep() };
                        gap = gap.or(log.gap());
                        found.extend(delivered.split(' ').filter(|it| !it.is_empty()).map(str::to_owned));
                    }
                    let removed = found.iter().filter(|it| it.starts_with('-')).count();
                    let number = |it: &String| it[1..].parse::<i64>().unwrap();
                    let old = found.iter().filter(|it| !it.starts_with('-') && number(it) <= count).count();
                    let new: HashSet<_> = found.iter().map(number).filter(|it| *it > count).collect();
                    assert_eq!(new.len(), usize::try_from(came).unwrap(), "{case}");
                    assert!(
                        gap.is_some() || (removed, old) == (usize::try_from(gone).unwrap(), 0),
                        "{case}: {found:?}"
                    );
                    let left = i64::try_from(lookback).unwrap() - gone;
                    assert!(gap.is_none() || left <= gone, "{case}: {gap:?}");
                    // As far as a cursor knows single records.
                    assert!(gap != Some(GapReason::RemovalsUnseen) || old <= 1_088, "{case}: {old} again");
                }
            }
        }
    }
}
