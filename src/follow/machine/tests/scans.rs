//! How followers begin, and their full scans.

use super::*;

fn begun(side: Side, order: Stability, begin: Begin, records: i64) -> Followed {
    Followed::of(settings(Some(side), order, 25), begin, side, 1..=records)
}

#[test]
fn a_listing_is_read_from_its_first_page_to_its_last_and_then_where_it_grows() {
    everywhere(|side, order| {
        let (delivered, offsets) = begun(side, order, Begin::Beginning, 60).poll();
        let pages = [0, 9, 18, 27, 36, 45, 54, 59];
        match side {
            Side::Head => assert_eq!((delivered, offsets), (all('+', (1..=60).rev()), [&pages[..], &[0]].concat())),
            Side::End => assert_eq!((delivered, offsets), (all('+', 1..=60), pages.to_vec())),
        }
    });
}

#[test]
fn from_the_latest_on_only_what_comes_and_what_changes_in_the_lookback_is_delivered() {
    everywhere(|side, order| {
        let mut log = begun(side, order, Begin::Latest, 60);
        let offsets: &[u64] = match side {
            Side::Head => &[0, 9, 18],
            Side::End => &[0, 9, 18, 27, 36, 45, 54, 59],
        };
        assert_eq!(log.poll(), done("", offsets));
        assert!(log.machine.is_caught_up());
        log.grow(61..=62);
        assert_eq!(log.poll().0, "+61 +62");
        for (id, expected) in [(55, "=55"), (39, "=39"), (37, ""), (30, "")] {
            log.change(id);
            assert_eq!(log.sweep().0, expected, "{id}");
        }
        log.insert_above(50, 200..=200);
        assert_eq!(log.sweep().0, "~200");
    });
}

#[test]
fn a_total_shows_where_the_latest_records_of_a_listing_stand_that_grows_at_its_end() {
    for order in ORDERS {
        let mut log = begun(Side::End, order, Begin::Latest, 60);
        log.total = Some(60);
        assert_eq!(log.poll(), done("", &[0, 35, 44, 53, 59]), "{order:?}");
        log.grow(61..=62);
        assert_eq!(log.poll().0, "+61 +62");
        // With fewer records than are remembered, all of them are read.
        let mut log = begun(Side::End, order, Begin::Latest, 20);
        log.total = Some(20);
        assert_eq!(log.poll(), done("", &[0, 9, 18, 19]), "{order:?}");
        // It counts something else: the listing is read from its head.
        let mut log = begun(Side::End, order, Begin::Latest, 60);
        log.total = Some(90);
        let (delivered, offsets) = log.poll();
        assert_eq!((delivered.as_str(), &offsets[..2]), ("", &[0, 65][..]), "{order:?}");
        assert!(log.machine.is_caught_up());
        log.grow(61..=62);
        assert_eq!(log.poll().0, "+61 +62");
        // It is that of the page.
        let mut settings = settings(Some(Side::End), order, 25);
        settings.plan.total = TotalScope::Page;
        let mut log = Followed::of(settings, Begin::Latest, Side::End, 1..=60);
        log.total = Some(60);
        assert_eq!(log.poll().1, [0, 9, 18, 27, 36, 45, 54, 59], "{order:?}");
    }
}

#[test]
fn since_a_time_newer_records_are_delivered_oldest_first_and_older_ones_where_they_change() {
    everywhere(|side, order| {
        let mut log = begun(side, order, Begin::Since(time(50)), 60);
        let offsets: &[u64] = match side {
            // It goes past the time by the tolerance of five minutes, and then back.
            Side::Head => &[0, 9, 0, 9, 1, 0],
            Side::End => &[0, 9, 18, 27, 36, 45, 54, 59],
        };
        assert_eq!(log.poll(), done(all('+', 51..=60), offsets));
        log.grow(61..=62);
        assert_eq!(log.poll().0, "+61 +62");
        log.change(55);
        log.change(48);
        let delivered = log.sweep().0;
        assert!(["=55 =48", "=48 =55"].contains(&delivered.as_str()), "{delivered}");
    });
}

#[test]
fn where_nothing_is_older_than_the_time_everything_is_delivered() {
    everywhere(|side, order| {
        let (delivered, _) = begun(side, order, Begin::Since(time(0)), 30).poll();
        let mut delivered: Vec<_> = delivered.split(' ').collect();
        delivered.sort_by_key(|it| it[1..].parse::<i64>().unwrap());
        assert_eq!(delivered.join(" "), all('+', 1..=30));
    });
}

#[test]
fn an_old_record_that_stands_above_newer_ones_does_not_end_the_search_for_a_time() {
    let mut log = begun(Side::Head, Stability::Unstable, Begin::Since(time(50)), 60);
    let moved = log.rows.pop().unwrap();
    log.rows.insert(9, moved);
    assert_eq!(log.poll().0, all('+', 51..=60));
}

#[test]
fn a_full_scan_delivers_what_is_behind_the_lookback_a_page_a_round_and_counts() {
    everywhere(|side, order| {
        let mut log = begun(side, order, Begin::Beginning, 60);
        log.poll();
        let behind = log.machine.state().left.clone();
        log.row(7).is_final = true;
        log.machine.begin_refresh();
        let mut delivered = Vec::new();
        for _ in 0..8 {
            assert!(log.machine.is_refreshing() && !log.machine.take_finished_scan());
            let (page, offsets) = log.round(Work::Refresh);
            assert_eq!(offsets.len(), 1);
            delivered.extend(page.split_whitespace().map(str::to_owned));
            assert_eq!(log.poll().0, "", "polls go on");
        }
        assert!(!log.machine.is_refreshing() && log.machine.take_finished_scan());
        assert!(!log.machine.take_finished_scan(), "once");
        assert_eq!(log.machine.state().scans, 1);
        delivered.sort_by_key(|it| it[1..].parse::<i64>().unwrap());
        assert_eq!(delivered.join(" "), all('=', 1..=35));
        // One of those that are open isn't any more.
        let left = &log.machine.state().left;
        assert_eq!((left.count, &left.oldest), (behind.count - 1, &behind.oldest));
        assert_eq!(log.round(Work::Refresh), done("", &[]));
    });
}

#[test]
fn a_full_scan_goes_on_from_a_checkpoint_and_leaves_the_count_of_open_records() {
    everywhere(|side, order| {
        let mut log = begun(side, order, Begin::Beginning, 60);
        log.poll();
        let open = log.machine.state().left.count;
        log.machine.begin_refresh();
        let mut delivered = Vec::new();
        for turn in 0..8 {
            let (page, offsets) = log.round(Work::Refresh);
            delivered.extend(page.split_whitespace().map(str::to_owned));
            assert_eq!(offsets.len(), 1);
            if turn == 3 {
                log.machine = Machine::of(settings(Some(side), order, 25), log.machine.state().clone());
                assert!(log.machine.is_refreshing());
                // A second one doesn't begin.
                log.machine.begin_refresh();
            }
        }
        delivered.sort_by_key(|it| it[1..].parse::<i64>().unwrap());
        assert_eq!(delivered.join(" "), all('=', 1..=35));
        assert_eq!((log.machine.state().scans, log.machine.state().left.count), (1, open));
    });
}

#[test]
fn a_first_scan_goes_on_from_a_checkpoint_behind_its_last_page() {
    everywhere(|side, order| {
        let mut log = begun(side, order, Begin::Beginning, 60);
        let mut delivered = Vec::new();
        log.machine.start(Work::Poll);
        for _ in 0..3 {
            let page = log.page(log.machine.window().unwrap());
            delivered.extend(log.machine.observe(&page, None).iter().map(|it| format!("+{}", page[it.index].key)));
        }
        log.machine = Machine::of(settings(Some(side), order, 25), log.machine.state().clone());
        let (rest, offsets) = log.poll();
        assert_eq!(offsets[0], 27, "the last record of the third page");
        delivered.push(rest);
        let expected = if side == Side::Head { all('+', (1..=60).rev()) } else { all('+', 1..=60) };
        assert_eq!(delivered.join(" "), expected);
    });
}

#[test]
fn ids_in_order_show_which_end_grows_and_until_then_both_are_polled() {
    everywhere(|side, order| {
        let undecided = |records| Followed::of(settings(None, order, 25), Begin::Beginning, side, 1..=records);
        let mut log = undecided(30);
        log.poll();
        let idle = if side == Side::Head { 0 } else { 29 };
        assert_eq!(log.poll(), done("", &[idle]));
        // Too few to tell.
        let mut log = undecided(5);
        let first = if side == Side::Head { all('+', (1..=5).rev()) } else { all('+', 1..=5) };
        assert_eq!(log.poll(), done(first, &[0, 4]));
        assert_eq!(log.poll(), done("", &[0, 4]));
        log.grow(61..=62);
        assert_eq!(log.poll().0, "+61 +62");
        let idle = if side == Side::Head { 0 } else { 6 };
        assert_eq!(log.poll(), done("", &[idle]), "the new records showed it");
    });
}

#[test]
fn from_the_latest_on_nothing_is_delivered_while_it_is_unknown_which_end_grows() {
    everywhere(|side, order| {
        for records in [5, 30] {
            let mut log = Followed::of(settings(None, order, 25), Begin::Latest, side, 1..=records);
            assert_eq!([log.poll().0, log.poll().0], ["", ""]);
            log.grow(61..=62);
            assert_eq!(log.poll().0, "+61 +62");
            log.change(4);
            let delivered = [log.sweep().0, log.sweep().0].concat();
            assert_eq!(delivered, if records == 5 { "=4" } else { "" });
        }
    });
}

#[test]
fn a_page_with_ids_in_order_shows_a_poll_which_end_grows() {
    everywhere(|side, order| {
        let mut log = Followed::of(settings(None, order, 25), Begin::Beginning, side, 1..=5);
        log.poll();
        log.grow(6..=12);
        assert_eq!(log.poll().0, all('+', 6..=12));
        let idle = if side == Side::Head { 0 } else { 11 };
        assert_eq!(log.poll(), done("", &[idle]));
    });
}
