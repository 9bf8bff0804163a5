//! Cases in which it isn't known which end of the listing grows.

#![allow(clippy::unwrap_used)]

use super::case::{Case, Event, Step};
use super::{QUIET, run};
use crate::follow::machine::Side;
use crate::page::Stability;

/// A listing in pages of this size that is polled twice.
fn polled(records: u8, page_size: u32, order: Stability, events: Vec<Event>) -> Case {
    let steps = vec![Step::Poll, Step::Poll];
    Case { records, page_size, is_undecided: true, order, events, steps, ..QUIET }
}

#[test]
fn records_at_the_head_that_push_a_position_out_of_sight_show_that_the_head_grows() {
    use Event::{Burst, Grow, Nothing, Retire};
    for order in [Stability::Stable, Stability::Unstable] {
        run(&polled(4, 3, order, vec![Nothing, Nothing, Nothing, Nothing, Burst(2)])).unwrap();
        run(&polled(4, 8, order, vec![Nothing, Nothing, Retire(3), Grow(1), Nothing, Nothing, Grow(1)])).unwrap();
    }
}

#[test]
fn a_record_that_comes_late_beside_the_old_end_does_not_decide_which_end_grows() {
    use Event::{Clamp, Expire, Grow, Insert, Nothing, Unhide};
    let mut events = vec![Insert(0), Grow(2), Insert(0), Nothing, Nothing, Insert(214), Nothing, Nothing, Expire(1)];
    events.extend([Nothing, Nothing, Grow(1), Nothing, Nothing, Clamp(2), Nothing, Unhide]);
    run(&Case { lookback: 5, side: Side::End, ..polled(2, 2, Stability::Unstable, events) }).unwrap();
}

#[test]
fn a_record_that_comes_late_at_the_end_of_a_page_does_not_decide_which_end_grows() {
    use Event::{Burst, Change, Delete, Expire, Insert, Nothing, Unhide};
    let mut events = vec![Expire(1), Nothing, Delete(136, 4), Insert(158), Change(0), Nothing, Nothing, Burst(8)];
    events.extend([Nothing, Nothing, Insert(204), Change(0), Insert(0), Insert(0), Nothing, Insert(0), Nothing]);
    events.extend([Nothing, Nothing, Nothing, Unhide]);
    run(&polled(18, 5, Stability::Unstable, events)).unwrap();
}

#[test]
fn a_first_scan_whose_last_page_grows_for_another_reason_is_read_to_its_end() {
    use Event::{Change, Clamp, Grow, Nothing, Short};
    for begin in [0, 1] {
        let events = vec![Nothing, Clamp(3), Change(0), Short, Nothing, Clamp(4), Nothing, Grow(1)];
        run(&Case { begin, ..polled(28, 7, Stability::Stable, events) }).unwrap();
    }
}

#[test]
fn what_comes_at_the_head_during_a_sweep_is_not_taken_for_new_at_the_end() {
    use Event::{Change, Clamp, Grow, Nothing, Short};
    let mut events = vec![Grow(4), Change(0), Change(0), Nothing, Change(0), Nothing, Short, Change(0), Short];
    events.extend([Clamp(3), Nothing, Grow(1), Nothing, Grow(3), Grow(5), Change(0), Grow(2), Nothing, Nothing]);
    events.extend([Grow(2), Grow(2), Grow(2), Clamp(4), Change(0)]);
    let steps = vec![Step::Poll, Step::Sweep, Step::Sweep];
    run(&Case { records: 22, page_size: 7, lookback: 28, is_undecided: true, events, steps, ..QUIET }).unwrap();
}

#[test]
fn what_comes_at_the_head_decides_before_it_has_pushed_out_what_was_known_there() {
    use Event::{Burst, Change, Grow, Nothing};
    let mut events = vec![Change(0), Grow(5), Nothing, Nothing, Change(0), Change(0), Change(0), Grow(2), Grow(1)];
    events.extend([Grow(4), Nothing, Grow(5), Burst(7), Grow(3), Grow(2), Nothing, Nothing, Burst(3), Grow(5)]);
    events.extend([Nothing, Change(0), Nothing, Change(0), Change(0), Nothing, Nothing, Nothing, Change(0), Nothing]);
    events.extend([Grow(4), Grow(5)]);
    let case = Case { records: 21, page_size: 6, is_undecided: true, events, steps: vec![Step::FullScan], ..QUIET };
    run(&case).unwrap();
}
