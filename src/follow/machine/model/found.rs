//! Cases that random ones came to, each with the rule that was missing.

use super::case::{Case, Event, Step};
use super::{QUIET, run};
use crate::follow::machine::Side;
use crate::page::Stability;

#[test]
fn an_old_record_that_moved_above_new_ones_does_not_hide_them_from_a_scan_since_a_time() {
    use Event::{Burst, Clamp, Insert, Move, Nothing, Retire};
    let mut events = vec![Insert(165), Insert(161), Nothing, Nothing, Retire(1), Burst(18), Move(255), Burst(13)];
    events.push(Clamp(2));
    let mut steps = vec![Step::Poll, Step::FullScan, Step::Poll, Step::Poll, Step::Sweep, Step::Poll, Step::Sweep];
    steps.extend([Step::Poll, Step::Poll]);
    let case =
        Case { records: 42, page_size: 8, lookback: 75, order: Stability::Unstable, begin: 2, events, steps, ..QUIET };
    run(&case).unwrap();
}

#[test]
fn a_late_record_is_delivered_where_all_records_below_it_are_gone() {
    use Event::{Delete, Grow, Insert, Nothing};
    let case = Case {
        records: 36,
        page_size: 3,
        lookback: 58,
        side: Side::End,
        events: vec![Grow(1), Nothing, Nothing, Insert(222), Delete(243, 2), Delete(235, 3)],
        steps: vec![Step::Poll],
        ..QUIET
    };
    run(&case).unwrap();
}

#[test]
fn a_late_record_between_two_pages_of_a_sweep_is_delivered() {
    use Event::{Clamp, Delete, Grow, Hide, Insert, Unhide};
    let events = vec![Unhide, Hide(0), Hide(0), Insert(122), Grow(3), Clamp(4), Delete(223, 2), Insert(183)];
    let case = Case { records: 21, page_size: 9, order: Stability::Unstable, events, steps: vec![Step::Poll], ..QUIET };
    run(&case).unwrap();
}

#[test]
fn a_late_record_is_delivered_where_records_were_removed_from_the_lookback() {
    use Event::{Change, Delete, Insert, Nothing, Restore, Retire};
    let mut events = vec![Nothing, Nothing, Insert(0), Insert(0), Nothing, Insert(0), Nothing, Retire(1)];
    events.extend([Delete(207, 3), Change(0), Nothing, Nothing, Restore(19), Nothing, Nothing, Insert(0), Insert(0)]);
    events.extend([Insert(0), Insert(91), Nothing]);
    let steps = vec![Step::Poll, Step::Sweep, Step::Poll, Step::Poll, Step::Sweep, Step::Sweep, Step::Sweep];
    run(&Case { records: 34, page_size: 5, lookback: 24, events, steps, ..QUIET }).unwrap();
}

#[test]
fn a_first_scan_that_is_killed_while_it_reads_again_from_the_head_repeats_nothing_that_it_remembers() {
    use Event::{Change, Finish, Grow};
    let case = |records, page_size, lookback, events, kill| Case {
        records,
        page_size,
        lookback,
        events,
        steps: vec![kill, Step::Poll],
        ..QUIET
    };
    // What came above the position is remembered, too.
    run(&case(1, 4, 1, vec![Change(0), Grow(5)], Step::Kill(113, 0))).unwrap();
    run(&case(16, 3, 33, vec![Change(0), Grow(3), Grow(3)], Step::Kill(2, 130))).unwrap();
    // A record that changed meanwhile is delivered once.
    run(&case(1, 3, 9, vec![Change(0), Grow(2), Grow(2), Finish(205)], Step::Kill(115, 130))).unwrap();
}

#[test]
fn what_came_late_while_a_first_scan_read_again_from_the_head_stays_remembered() {
    use Event::{Burst, Clamp, Delete, Insert, Nothing, Restore, Short};
    let mut events = vec![Short, Insert(4), Nothing, Insert(0), Nothing, Nothing, Short, Insert(50), Nothing];
    events.extend([Insert(12), Insert(71), Insert(77), Delete(15, 1), Clamp(3), Burst(13), Restore(25), Nothing]);
    events.extend([Nothing, Nothing, Restore(1)]);
    run(&Case { records: 65, page_size: 3, lookback: 33, events, steps: vec![Step::Poll], ..QUIET }).unwrap();
}

#[test]
fn a_first_scan_that_is_killed_while_it_reads_again_from_the_head_passes_over_nothing() {
    use Event::{Burst, Change, Empty, Grow, Nothing, Short};
    // The position of before stands further down than the new one: what is between them isn't read yet.
    let mut events = vec![Change(0), Change(0), Change(0), Nothing, Nothing, Nothing, Grow(2), Grow(3), Change(0)];
    events.extend([Nothing, Burst(4), Change(0), Nothing, Grow(4), Short, Nothing, Change(0), Empty, Nothing]);
    events.extend([Nothing, Change(0), Nothing, Nothing, Grow(5)]);
    let mut steps = vec![Step::Poll, Step::Sweep, Step::Poll, Step::Poll, Step::Poll, Step::Poll, Step::Poll];
    steps.extend([Step::Kill(113, 164), Step::Poll, Step::Poll]);
    run(&Case { records: 15, page_size: 3, order: Stability::Unstable, events, steps, ..QUIET }).unwrap();
}

#[test]
fn a_walk_to_the_end_that_goes_back_to_old_ground_delivers_nothing_of_it_again() {
    use Event::{Burst, Change, Clamp, Delete, Empty, EmptyAll, Expire, Grow, Insert, Nothing, Restore, Retire};
    let case = |records, page_size, begin, events| Case {
        records,
        page_size,
        side: Side::End,
        begin,
        events,
        steps: vec![Step::Poll],
        ..QUIET
    };
    // All remembered records are gone, and a late one stands among those before them.
    let mut events = vec![Restore(26), Expire(6), Change(0), Expire(1), Nothing, Nothing, Expire(1), Nothing];
    events.extend([Expire(1), Insert(0), Nothing, Insert(0), Restore(15), Insert(231), Nothing, Insert(0), Clamp(2)]);
    events.push(Delete(112, 5));
    run(&case(78, 2, 0, events)).unwrap();
    let mut events = vec![Nothing, Nothing, Grow(5), Nothing, Grow(3), Insert(0), Change(0), Nothing, Insert(212)];
    events.extend([Nothing, Delete(54, 2), Nothing, Nothing, Insert(0), Nothing, Expire(4), Nothing, Grow(2)]);
    events.push(Delete(0, 2));
    run(&case(14, 3, 2, events)).unwrap();
    let mut events = vec![EmptyAll, Grow(5), Burst(5), Insert(171), Insert(0), Grow(2), Nothing, Delete(0, 1)];
    events.extend([Change(0), Restore(7), Empty]);
    run(&case(0, 8, 0, events)).unwrap();
    // It had begun again before, and had found nothing of what was remembered then.
    let mut events = vec![Restore(27), Retire(8), Expire(6), Empty, Change(0), Delete(0, 3), Nothing, Nothing];
    events.extend([Restore(14), Insert(218), Nothing, Nothing, Delete(0, 1), Delete(128, 5)]);
    run(&case(78, 2, 0, events)).unwrap();
}

#[test]
fn a_record_that_changes_in_a_listing_followed_at_both_ends_is_delivered_once() {
    use Event::{Change, Clamp, Delete, Expire, Grow, Insert, Nothing, Restore};
    let mut events = vec![Nothing, Restore(5), Change(0), Nothing, Grow(4), Grow(3), Clamp(2), Grow(4), Clamp(2)];
    events.extend([Clamp(5), Delete(0, 4), Grow(2), Nothing, Nothing, Nothing, Delete(0, 3), Change(194), Grow(1)]);
    events.extend([Grow(5), Nothing, Nothing, Clamp(5), Restore(20), Expire(1), Nothing, Delete(0, 2), Insert(144)]);
    events.extend([Nothing, Delete(16, 5)]);
    let case = Case {
        records: 32,
        page_size: 5,
        side: Side::End,
        is_undecided: true,
        begin: 1,
        events,
        steps: vec![Step::FullScan],
        ..QUIET
    };
    run(&case).unwrap();
}

#[test]
fn a_late_record_that_leaves_the_lookback_in_its_own_page_is_delivered_once() {
    use Event::{Burst, Change, Clamp, Delete, Expire, Grow, Insert, Nothing, Restore};
    let mut events = vec![Nothing, Insert(0), Nothing, Nothing, Nothing, Insert(86), Delete(0, 2), Grow(2), Nothing];
    events.extend([Change(0), Restore(16), Expire(3), Clamp(6), Insert(56), Insert(55), Nothing, Insert(0), Insert(0)]);
    events.extend([Nothing, Nothing, Grow(3), Grow(2), Grow(1), Clamp(4), Burst(10), Restore(1), Nothing, Nothing]);
    run(&Case { records: 77, page_size: 6, lookback: 20, events, steps: vec![Step::Poll], ..QUIET }).unwrap();
}

#[test]
fn a_walk_that_begins_again_and_is_back_at_once_keeps_what_it_remembered_in_order() {
    use Event::{Change, Delete, Empty, Expire, Insert, Nothing, Short, Unhide};
    let events = vec![
        Expire(5),
        Short,
        Nothing,
        Insert(211),
        Nothing,
        Nothing,
        Nothing,
        Nothing,
        Delete(212, 4),
        Empty,
        Insert(0),
        Insert(185),
        Nothing,
        Nothing,
        Delete(99, 3),
        Change(0),
        Nothing,
        Insert(38),
        Unhide,
    ];
    let steps = vec![Step::Poll];
    run(&Case { records: 50, page_size: 6, side: Side::End, order: Stability::Unstable, events, steps, ..QUIET })
        .unwrap();
}

#[test]
fn a_late_record_of_a_listing_followed_at_both_ends_is_remembered_at_both() {
    use Event::{Change, Clamp, Grow, Insert, Nothing};
    let events = vec![
        Clamp(3),
        Grow(2),
        Insert(0),
        Insert(0),
        Clamp(3),
        Nothing,
        Nothing,
        Change(0),
        Nothing,
        Nothing,
        Grow(1),
        Insert(26),
    ];
    let steps = vec![Step::Poll, Step::Sweep, Step::Poll];
    run(&Case { records: 15, page_size: 3, lookback: 25, side: Side::End, is_undecided: true, events, steps, ..QUIET })
        .unwrap();
}

#[test]
fn what_a_walk_to_the_end_finds_below_all_remembered_records_is_remembered() {
    use Event::{Burst, Change, Grow, Insert, Nothing, Restore};
    let events = vec![
        Nothing,
        Change(0),
        Nothing,
        Change(0),
        Nothing,
        Insert(0),
        Nothing,
        Burst(11),
        Grow(1),
        Insert(0),
        Nothing,
        Nothing,
        Insert(146),
        Restore(24),
        Nothing,
        Nothing,
        Change(0),
        Insert(41),
    ];
    let steps = vec![Step::FullScan];
    run(&Case { records: 9, page_size: 10, side: Side::End, events, steps, ..QUIET }).unwrap();
}

#[test]
fn a_record_that_changed_while_a_walk_read_again_from_the_head_is_delivered_once() {
    use Event::{Burst, Change, Clamp, Delete, Nothing, Retire};
    let events = vec![
        Delete(0, 5),
        Nothing,
        Nothing,
        Nothing,
        Burst(2),
        Clamp(5),
        Nothing,
        Nothing,
        Retire(5),
        Change(91),
        Nothing,
        Nothing,
        Nothing,
        Delete(133, 3),
        Nothing,
    ];
    let steps = vec![Step::Poll, Step::Sweep, Step::Poll];
    run(&Case { records: 31, page_size: 10, side: Side::End, begin: 2, has_total: true, events, steps, ..QUIET })
        .unwrap();
}

#[test]
fn a_sweep_that_goes_back_up_takes_no_old_ground_for_late() {
    use Event::{Change, Delete, Grow, Insert, Nothing};
    let events = vec![
        Nothing,
        Nothing,
        Grow(1),
        Nothing,
        Nothing,
        Grow(5),
        Delete(91, 4),
        Change(0),
        Delete(19, 1),
        Nothing,
        Nothing,
        Insert(89),
        Nothing,
        Grow(1),
        Insert(147),
        Delete(0, 1),
    ];
    let steps = vec![Step::Poll, Step::Poll, Step::Poll, Step::Poll, Step::Poll, Step::Sweep];
    run(&Case { records: 25, page_size: 9, begin: 2, events, steps, ..QUIET }).unwrap();
}

#[test]
fn a_sweep_looks_further_down_once_for_remembered_records_that_are_gone() {
    use Event::{Burst, Delete, Insert, Move, Nothing, Retire};
    let events = vec![
        Nothing,
        Move(128),
        Burst(10),
        Nothing,
        Insert(0),
        Nothing,
        Insert(0),
        Retire(4),
        Nothing,
        Insert(0),
        Delete(56, 3),
    ];
    let steps = vec![Step::Poll, Step::Poll];
    run(&Case { records: 6, page_size: 9, side: Side::End, order: Stability::Unstable, events, steps, ..QUIET })
        .unwrap();
}

#[test]
fn a_late_record_above_the_oldest_remembered_one_is_delivered_where_records_move() {
    use Event::{Burst, Change, Delete, Expire, Insert, Move, Nothing, Retire, Unhide};
    let events = vec![
        Unhide,
        Nothing,
        Burst(1),
        Expire(1),
        Insert(0),
        Insert(124),
        Move(128),
        Delete(0, 2),
        Delete(128, 4),
        Change(0),
        Insert(139),
        Retire(1),
    ];
    let steps = vec![Step::Poll, Step::Poll, Step::Sweep];
    run(&Case { records: 24, page_size: 10, order: Stability::Unstable, begin: 2, events, steps, ..QUIET }).unwrap();
}

#[test]
fn a_listing_that_is_emptied_while_a_walk_reads_again_from_the_head_is_a_gap() {
    use Event::{Change, Delete, EmptyAll, Insert, Nothing, Retire, Short};
    let events = vec![
        Nothing,
        Nothing,
        Retire(1),
        Nothing,
        Insert(0),
        Nothing,
        Delete(109, 2),
        Nothing,
        Nothing,
        Insert(12),
        Change(0),
        Change(0),
        Change(0),
        Short,
        Nothing,
        Insert(12),
        Nothing,
        Nothing,
        Nothing,
        Nothing,
        EmptyAll,
        Change(0),
    ];
    let steps = vec![Step::FullScan, Step::Kill(247, 129), Step::Sweep, Step::Sweep];
    run(&Case { records: 47, page_size: 11, side: Side::End, order: Stability::Unstable, events, steps, ..QUIET })
        .unwrap();
}

#[test]
fn what_a_sweep_delivers_while_it_looks_for_its_position_moves_that_of_the_polls() {
    use Event::{Burst, Change, Clamp, Delete, Empty, Grow, Insert, Nothing, Retire, Short};
    let mut events = vec![Nothing, Delete(74, 3), Clamp(3), Grow(2), Burst(1), Grow(4), Nothing, Nothing, Nothing];
    events.extend([Nothing, Empty, Clamp(4), Nothing, Insert(52), Nothing, Change(0), Nothing, Nothing, Nothing]);
    events.extend([Delete(240, 1), Insert(18), Nothing, Short, Retire(3), Burst(4)]);
    let steps = vec![Step::Poll, Step::Sweep, Step::Poll, Step::Sweep, Step::Poll];
    run(&Case { records: 7, page_size: 4, lookback: 14, side: Side::End, events, steps, ..QUIET }).unwrap();
}

#[test]
fn a_late_record_that_a_poll_passed_over_is_delivered_by_a_sweep() {
    use Event::{Expire, Grow, Insert, Retire};
    let events = vec![Grow(4), Grow(1), Insert(29), Retire(7), Insert(0), Insert(0), Grow(3), Expire(2)];
    run(&Case { records: 4, page_size: 9, side: Side::End, events, steps: vec![Step::Poll], ..QUIET }).unwrap();
}

#[test]
fn what_a_walk_to_the_end_passes_again_is_remembered_where_it_stands() {
    use Event::{Burst, Change, Clamp, Delete, Empty, Expire, Grow, Insert, Nothing, Restore, Retire, Short};
    let case = |records, page_size, events, steps| Case { records, page_size, side: Side::End, events, steps, ..QUIET };
    // It goes back to what it delivered before all that is remembered, and comes to that again.
    let mut events = vec![Nothing, Nothing, Burst(1), Nothing, Nothing, Nothing, Nothing, Nothing, Burst(10), Nothing];
    events.push(Retire(4));
    run(&case(14, 2, events, vec![Step::Poll])).unwrap();
    let mut events = vec![Grow(1), Delete(0, 2), Delete(0, 5), Nothing, Change(0), Nothing, Nothing, Nothing];
    events.extend([Change(0), Change(0), Expire(7), Expire(8), Insert(0), Insert(0), Burst(3), Nothing, Expire(1)]);
    events.extend([Nothing, Retire(7)]);
    run(&case(29, 3, events, vec![Step::Poll, Step::FullScan])).unwrap();
    let mut events = vec![Nothing, Grow(5), Grow(4), Clamp(6), Insert(12), Grow(1), Clamp(6), Grow(1), Grow(3)];
    events.extend([Grow(5), Insert(8), Nothing, Change(0), Insert(0), Delete(0, 2), Empty, Nothing, Retire(4)]);
    run(&case(13, 12, events, vec![Step::Poll, Step::FullScan])).unwrap();
    // It begins again, and jumps over what it knows.
    let mut events = vec![Burst(7), Clamp(6), Nothing, Nothing, Nothing, Nothing, Nothing, Nothing, Nothing, Nothing];
    events.extend([Clamp(7), Nothing, Nothing, Grow(1), Delete(48, 3), Short, Clamp(2), Clamp(2), Nothing]);
    events.extend([Retire(2), Empty]);
    let steps = vec![Step::Kill(48, 0), Step::Poll, Step::Sweep, Step::Poll];
    run(&Case { lookback: 20, ..case(50, 9, events, steps) }).unwrap();
    // Many of the last ones are gone.
    let mut events = vec![Change(0), Nothing, Restore(12), Nothing, Restore(15), Empty, Grow(5), Change(0), Grow(3)];
    events.extend([Restore(26), Burst(11), Change(0), Change(0), Change(0), Nothing, Delete(0, 4), Nothing, Nothing]);
    events.extend([Delete(20, 5), Nothing, Burst(8), Nothing, Nothing, Nothing, Grow(2), Retire(1), Nothing]);
    events.extend([Clamp(2), Nothing, Delete(21, 2), Nothing, Nothing]);
    run(&Case { lookback: 45, ..case(47, 10, events, vec![Step::FullScan]) }).unwrap();
}

#[test]
fn a_sweep_that_reads_the_first_full_page_shows_that_the_server_returns_more_than_one_record() {
    use Event::{Burst, Nothing};
    let steps = vec![Step::Poll, Step::Kill(0, 153), Step::Poll, Step::Sweep, Step::Poll, Step::Poll];
    let events = vec![Nothing, Burst(13)];
    run(&Case { records: 1, page_size: 4, side: Side::End, events, steps, ..QUIET }).unwrap();
}

#[test]
fn a_record_that_moved_to_the_end_that_grows_does_not_decide_for_the_other_one() {
    use Event::{Burst, Change, Clamp, Delete, Insert, Move, Nothing, Restore, Unhide};
    // It was remembered at the head: a sweep of that finds it far away.
    let mut events = vec![Delete(0, 1), Restore(21), Nothing, Nothing, Nothing, Nothing, Unhide, Insert(0), Insert(0)];
    events.extend([Move(136), Change(0), Change(0), Nothing, Nothing, Nothing, Nothing, Clamp(5), Nothing, Burst(4)]);
    events.extend([Change(0), Insert(43), Nothing, Nothing, Nothing, Insert(0)]);
    let case = Case {
        records: 84,
        page_size: 5,
        lookback: 30,
        side: Side::End,
        is_undecided: true,
        order: Stability::Unstable,
        events,
        steps: vec![Step::Poll],
        ..QUIET
    };
    run(&case).unwrap();
}

#[test]
fn records_that_moved_above_others_hide_no_row_of_late_ones_from_a_sweep() {
    use Event::{Burst, Change, Clamp, Delete, Grow, Insert, Move, Nothing, Restore, Retire, Short};
    let mut events = vec![Short, Grow(4), Insert(39), Delete(58, 2), Retire(5), Nothing, Nothing, Retire(7), Nothing];
    events.extend([Change(0), Nothing, Clamp(4), Restore(2), Change(0), Burst(12), Move(184), Move(186), Burst(13)]);
    events.extend([Grow(3), Grow(4), Restore(20)]);
    let case = Case {
        records: 75,
        page_size: 7,
        lookback: 82,
        order: Stability::Unstable,
        begin: 1,
        events,
        steps: vec![Step::Poll, Step::Sweep],
        ..QUIET
    };
    run(&case).unwrap();
}

#[test]
fn a_sweep_finds_remembered_records_that_others_passed() {
    use Event::Move;
    let case = Case {
        records: 56,
        page_size: 4,
        lookback: 20,
        order: Stability::Unstable,
        begin: 1,
        events: vec![Move(101); 20],
        steps: vec![Step::Poll, Step::Poll, Step::Sweep, Step::Sweep],
        ..QUIET
    };
    run(&case).unwrap();
}

#[test]
fn late_records_below_all_others_are_found_where_only_the_oldest_stands_beside_them() {
    use Event::{Change, Expire, Insert, Nothing, Restore, Unhide};
    let mut events = vec![Nothing, Nothing, Expire(1), Expire(1), Restore(8), Restore(4), Insert(0), Nothing];
    events.extend([Change(0), Nothing, Change(0), Insert(240), Nothing, Insert(240), Nothing, Nothing, Unhide]);
    events.extend([Nothing, Nothing, Nothing, Insert(240)]);
    let case = Case {
        records: 43,
        page_size: 3,
        lookback: 37,
        side: Side::End,
        order: Stability::Unstable,
        events,
        steps: vec![Step::Poll],
        ..QUIET
    };
    run(&case).unwrap();
}

#[test]
fn what_a_first_scan_delivers_late_is_repeated_by_no_restart() {
    use Event::{Burst, Change, Clamp, Grow, Nothing, Short};
    let mut events = vec![Change(0), Grow(3), Change(0), Nothing, Change(0), Nothing, Burst(14), Grow(3), Change(0)];
    events.extend([Grow(2), Nothing, Short, Change(0), Nothing, Change(0), Change(0), Change(0), Grow(1), Nothing]);
    events.extend([Clamp(3), Nothing, Burst(5), Nothing, Nothing, Change(0), Clamp(4)]);
    let mut steps = vec![Step::Poll, Step::Poll, Step::Poll, Step::Poll, Step::Sweep, Step::Sweep, Step::Sweep];
    steps.extend([Step::Poll, Step::Poll, Step::Poll, Step::Kill(69, 167), Step::FullScan]);
    run(&Case { records: 64, page_size: 4, events, steps, ..QUIET }).unwrap();
}
