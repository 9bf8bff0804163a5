//! What the rounds of a follower request and deliver, in listings that a test changes.

#![allow(clippy::unwrap_used)]

mod scans;
mod sweeps;

use super::*;
use crate::page::walk::plan::Rules;
use crate::page::walk::tests::plan;
use crate::page::{Stability, TotalScope};

const SIDES: [Side; 2] = [Side::Head, Side::End];
const ORDERS: [Stability; 2] = [Stability::Stable, Stability::Unstable];

/// A record of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    id: i64,
    state: u64,
    is_final: bool,
}

/// A listing, and what follows it in pages of ten.
struct Followed {
    machine: Machine,
    /// The newest record first, whatever the order of the listing.
    rows: Vec<Row>,
    side: Side,
    /// The total that the server sends.
    total: Option<u64>,
}

/// What a round delivered, and the offsets that it requested. `+7` is new, `~7` late, `=7` updated, `-7` removed.
type Done = (String, Vec<u64>);

/// Records with these ids, the largest first.
fn rows(ids: impl DoubleEndedIterator<Item = i64>) -> Vec<Row> {
    ids.rev().map(|id| Row { id, state: 0, is_final: false }).collect()
}

/// The time of a record: a minute lies between two.
pub(super) fn time(id: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + 60 * id, 0).unwrap()
}

/// The settings of a follower that reads pages of ten.
pub(super) fn settings(side: Option<Side>, order: Stability, lookback: usize) -> Settings {
    let mut rules = Rules::ALL;
    rules.read_head = false;
    Settings {
        plan: Plan { total: TotalScope::Unknown, order, rules, ..plan(10) },
        listing: Fingerprint::default(),
        side,
        lookback,
        least: 4,
        tolerance: Duration::from_secs(300),
    }
}

impl Followed {
    /// A listing of these records, in which the newest stand at `side`, before anything was read of it.
    fn of(settings: Settings, begin: Begin, side: Side, ids: impl DoubleEndedIterator<Item = i64>) -> Self {
        Self { machine: Machine::new(settings, begin), rows: rows(ids), side, total: None }
    }

    /// The same, once all of it was delivered. Forty records are remembered.
    fn caught_up(side: Side, order: Stability, ids: impl DoubleEndedIterator<Item = i64>) -> Self {
        let mut log = Self::of(settings(Some(side), order, 40), Begin::Beginning, side, ids);
        log.poll();
        assert!(log.machine.is_caught_up());
        log
    }

    fn poll(&mut self) -> Done {
        self.round(Work::Poll)
    }

    fn sweep(&mut self) -> Done {
        self.round(Work::Sweep { whole: false })
    }

    fn whole_sweep(&mut self) -> Done {
        self.round(Work::Sweep { whole: true })
    }

    fn round(&mut self, work: Work) -> Done {
        self.round_with(work, |_, _| {})
    }

    /// Runs a round. `before` changes the listing before each request, the first of which is 0.
    fn round_with(&mut self, work: Work, mut before: impl FnMut(usize, &mut Vec<Row>)) -> Done {
        let (mut found, mut offsets) = (Vec::new(), Vec::new());
        self.machine.start(work);
        while let Some(window) = self.machine.window() {
            assert!(offsets.len() < 1_000, "it goes on and on: {offsets:?}");
            before(offsets.len(), &mut self.rows);
            offsets.push(window.offset);
            let page = self.page(window);
            found.extend(self.machine.observe(&page, self.total).iter().map(|it| {
                let mark = match it.kind {
                    Kind::New => '+',
                    Kind::Late => '~',
                    Kind::Updated => '=',
                };
                format!("{mark}{}", page[it.index].key)
            }));
        }
        for key in self.machine.take_gone() {
            if self.machine.forget(&key) {
                found.push(format!("-{key}"));
            }
        }
        (found.join(" "), offsets)
    }

    fn page(&self, window: Window) -> Vec<Sighting> {
        let mut listed = self.rows.clone();
        if self.side == Side::End {
            listed.reverse();
        }
        let page = listed.into_iter().skip(usize::try_from(window.offset).unwrap()).take(window.limit as usize);
        let sighting = |it: Row| Sighting {
            key: RecordKey::from(it.id),
            digest: it.id.cast_unsigned() * 1_000 + it.state,
            is_final: Some(it.is_final),
            time: Some(time(it.id)),
        };
        page.map(sighting).collect()
    }

    /// Adds records where the newest stand.
    fn grow(&mut self, ids: impl DoubleEndedIterator<Item = i64>) {
        self.rows.splice(0..0, rows(ids));
    }

    fn row(&mut self, id: i64) -> &mut Row {
        self.rows.iter_mut().find(|it| it.id == id).unwrap()
    }

    fn change(&mut self, id: i64) {
        self.row(id).state += 1;
    }

    fn remove(&mut self, ids: &[i64]) {
        self.rows.retain(|it| !ids.contains(&it.id));
    }

    /// Adds records right above another one, on its newer side.
    fn insert_above(&mut self, other: i64, ids: impl DoubleEndedIterator<Item = i64>) {
        let at = self.rows.iter().position(|it| it.id == other).unwrap();
        self.rows.splice(at..at, rows(ids));
    }

    fn gap(&self) -> Option<GapReason> {
        self.machine.state().gap
    }
}

/// `+1 +2 +3`, if the mark is `+`.
fn all(mark: char, ids: impl Iterator<Item = i64>) -> String {
    ids.map(|it| format!("{mark}{it}")).collect::<Vec<_>>().join(" ")
}

fn done(delivered: impl Into<String>, offsets: &[u64]) -> Done {
    (delivered.into(), offsets.to_vec())
}

/// For each side and each order.
fn everywhere(mut check: impl FnMut(Side, Stability)) {
    for (side, order) in SIDES.into_iter().flat_map(|side| ORDERS.map(|order| (side, order))) {
        println!("{side:?}, {order:?}");
        check(side, order);
    }
}

#[test]
fn what_came_between_two_polls_is_delivered_oldest_first_and_an_idle_poll_is_one_request() {
    everywhere(|side, order| {
        let mut log = Followed::caught_up(side, order, 1..=60);
        let idle = |last: u64| if side == Side::Head { vec![0] } else { vec![last] };
        assert_eq!(log.poll(), (String::new(), idle(59)));
        log.grow(61..=63);
        assert_eq!(log.poll().0, all('+', 61..=63));
        assert_eq!(log.poll(), (String::new(), idle(62)));
        // More than a page.
        log.grow(64..=90);
        let (delivered, offsets) = log.poll();
        assert_eq!(delivered, all('+', 64..=90));
        let expected: &[u64] = match (side, order) {
            (Side::Head, Stability::Stable) => &[0, 9, 18, 10, 2, 0],
            (Side::Head, Stability::Unstable) => &[0, 9, 18, 27, 19, 11, 3, 0],
            (Side::End, _) => &[62, 71, 80, 89],
        };
        assert_eq!(offsets, expected);
        assert_eq!(log.poll(), (String::new(), idle(89)));
        assert!(log.machine.is_caught_up() && !log.machine.is_behind() && !log.machine.wants_sweep());
    });
}

#[test]
fn records_that_left_the_lookback_before_they_were_final_are_counted() {
    everywhere(|side, order| {
        let mut log = Followed::caught_up(side, order, 1..=60);
        let left = |log: &Followed| {
            let left = &log.machine.state().left;
            (left.count, left.oldest.clone().map(|it| it.0))
        };
        // Towards the head they are passed from the newest to the oldest.
        assert_eq!(left(&log), (20, Some(RecordKey::from(1_i64))));
        log.grow(61..=63);
        log.poll();
        assert_eq!(left(&log), (23, Some(RecordKey::from(1_i64))));
        log.row(24).is_final = true;
        log.sweep();
        log.grow(64..=64);
        log.poll();
        assert_eq!(left(&log), (23, Some(RecordKey::from(1_i64))));
    });
}

#[test]
fn a_listing_that_is_empty_is_asked_for_again_and_is_a_gap_as_long_as_it_lasts() {
    everywhere(|side, order| {
        let mut log = Followed::caught_up(side, order, 1..=60);
        let all = std::mem::take(&mut log.rows);
        for turn in 0..3 {
            let (delivered, offsets) = if turn == 1 { log.sweep() } else { log.poll() };
            assert!(delivered.is_empty() && offsets.len() <= 6, "{offsets:?}");
            // No position is looked for again.
            assert!(turn < 2 || offsets == [0, 0], "{offsets:?}");
            assert_eq!((log.gap(), log.machine.is_caught_up()), (Some(GapReason::Emptied), false));
        }
        log.rows = all;
        assert_eq!(log.poll().0, "");
        assert_eq!((log.gap(), log.machine.is_caught_up()), (None, true));
        // A single empty page is a fault of the server, and none.
        for work in [Work::Poll, Work::Sweep { whole: true }] {
            let mut kept = Vec::new();
            let (delivered, _) = log.round_with(work, |turn, rows| match turn {
                0 => kept = std::mem::take(rows),
                _ => rows.append(&mut kept),
            });
            assert_eq!((delivered, log.gap(), log.machine.is_caught_up()), (String::new(), None, true), "{work:?}");
        }
    });
}

#[test]
fn a_listing_that_was_empty_from_the_start_is_no_gap() {
    everywhere(|side, order| {
        for begin in [Begin::Beginning, Begin::Latest, Begin::Since(time(0))] {
            let mut log = Followed::of(settings(Some(side), order, 40), begin, side, 0..0);
            for _ in 0..3 {
                let (delivered, offsets) = log.poll();
                assert!(delivered.is_empty() && offsets.len() <= 3, "{begin:?} {offsets:?}");
                assert_eq!(log.gap(), None, "{begin:?}");
            }
            log.grow(1..=3);
            let (mut delivered, _) = log.poll();
            if log.machine.is_behind() {
                delivered += &log.poll().0;
            }
            assert_eq!(delivered, all('+', 1..=3), "{begin:?}");
        }
    });
}

#[test]
fn where_all_remembered_records_are_gone_there_is_a_gap_and_all_is_read_again() {
    everywhere(|side, order| {
        for work in [Work::Poll, Work::Sweep { whole: false }] {
            let mut log = Followed::caught_up(side, order, 1..=60);
            log.rows = rows(100..=120);
            let (mut delivered, _) = log.round(work);
            assert_eq!(log.gap(), Some(GapReason::AnchorsGone), "{work:?}");
            if log.machine.is_behind() {
                delivered += &log.poll().0;
            }
            let expected = match side {
                Side::Head => all('+', (100..=120).rev()),
                Side::End => all('+', 100..=120),
            };
            assert_eq!((delivered, log.gap()), (expected, Some(GapReason::AnchorsGone)), "{work:?}");
            assert_eq!((log.poll().0.as_str(), log.gap()), ("", None), "{work:?}");
        }
    });
}

#[test]
fn known_ids_that_belong_to_other_records_now_are_no_anchors() {
    for order in ORDERS {
        let with = |is_final: &dyn Fn(i64) -> bool, changed: &[i64]| {
            let mut log = Followed::caught_up(Side::Head, order, 1..=60);
            log.rows.iter_mut().for_each(|it| (it.is_final, it.state) = (is_final(it.id), 1));
            log.sweep();
            changed.iter().for_each(|it| log.change(*it));
            log.poll();
            log.gap()
        };
        let page: Vec<_> = (51..=60).collect();
        assert_eq!(with(&|_| true, &page), Some(GapReason::AnchorsGone), "{order:?}");
        assert_eq!(with(&|it| it == 55, &page), Some(GapReason::AnchorsGone), "{order:?}");
        // One is as it was; none was final, so that all may have changed.
        assert_eq!(with(&|_| true, &page[1..]), None, "{order:?}");
        assert_eq!(with(&|_| false, &page), None, "{order:?}");
    }
}

#[test]
fn three_known_records_that_were_final_and_all_changed_are_other_ones_and_two_are_not() {
    for (records, gap) in [(3, Some(GapReason::AnchorsGone)), (2, None)] {
        let mut log = Followed::caught_up(Side::Head, Stability::Stable, 1..=records);
        log.rows.iter_mut().for_each(|it| it.is_final = true);
        log.sweep();
        log.rows.iter_mut().for_each(|it| it.state = 7);
        log.poll();
        assert_eq!(log.gap(), gap, "{records}");
    }
}

#[test]
fn a_late_record_at_the_foot_of_a_page_asks_for_a_sweep_at_once() {
    for order in ORDERS {
        let mut log = Followed::caught_up(Side::Head, order, 1..=60);
        log.insert_above(51, 200..=200);
        assert_eq!(log.poll().0, "~200");
        assert!(log.machine.wants_sweep(), "{order:?}");
        log.sweep();
        assert!(!log.machine.wants_sweep(), "{order:?}");
    }
}

#[test]
fn a_sweep_before_there_is_anything_to_sweep_is_a_poll() {
    everywhere(|side, order| {
        let mut log = Followed::of(settings(Some(side), order, 40), Begin::Beginning, side, 0..0);
        log.poll();
        assert_eq!(log.sweep().1[0], 0);
        log.grow(1..=3);
        let (delivered, _) = log.sweep();
        assert_eq!(delivered.len(), "+1 +2 +3".len(), "{delivered}");
    });
}

#[test]
fn windows_are_prefetched_where_all_of_a_long_listing_is_read() {
    for (begin, side, is_prefetched) in [
        (Begin::Beginning, Side::Head, true),
        (Begin::Since(time(0)), Side::Head, true),
        (Begin::Latest, Side::Head, false),
        (Begin::Beginning, Side::End, true),
    ] {
        let mut log = Followed::of(settings(Some(side), Stability::Stable, 40), begin, side, 1..=60);
        log.machine.start(Work::Poll);
        assert!(log.machine.prefetch_hint().is_none(), "before the first page");
        let page = log.page(log.machine.window().unwrap());
        log.machine.observe(&page, None);
        assert_eq!(log.machine.prefetch_hint().is_some(), is_prefetched, "{begin:?} {side:?}");
    }
}

#[test]
fn a_remembered_invalid_record_is_known_by_its_json_whatever_stands_before_it() {
    let raw = crate::values::json::Json::from_text(r#"{"name":"no id"}"#).unwrap();
    let key = |before: i64| RecordKey::of_raw(&raw, Some(&RecordKey::from(before)));
    for side in SIDES {
        let mut log = Followed::of(settings(Some(side), Stability::Stable, 40), Begin::Beginning, side, 1..=3);
        log.machine.start(Work::Poll);
        let mut page = log.page(log.machine.window().unwrap());
        page[1].key = key(3);
        log.machine.observe(&page, None);
        assert_eq!(log.machine.alike(&key(9)), Some(key(3)), "{side:?}");
        assert_eq!(log.machine.alike(&RecordKey::from(9_i64)), None, "{side:?}");
    }
}

#[test]
fn a_full_scan_begins_only_once_the_newest_records_are_known() {
    everywhere(|side, order| {
        let begins = |log: &mut Followed| {
            log.machine.begin_refresh();
            log.machine.is_refreshing()
        };
        let mut log = Followed::of(settings(Some(side), order, 40), Begin::Beginning, side, 1..=30);
        assert!(!begins(&mut log), "nothing was read");
        log.poll();
        assert!(begins(&mut log));
        let mut log = Followed::of(settings(Some(side), order, 40), Begin::Beginning, side, 0..0);
        log.poll();
        assert!(!begins(&mut log), "it is empty");
        let mut log = Followed::of(settings(None, order, 40), Begin::Beginning, side, 1..=3);
        log.poll();
        assert!(!begins(&mut log), "it is unknown which end grows");
    });
}

#[test]
fn where_only_the_newest_remembered_records_are_left_what_stands_below_them_is_old_ground() {
    for old in [15, 1_500] {
        let mut log = Followed::caught_up(Side::Head, Stability::Stable, 10_001..=10_060);
        log.rows = rows(1..=old);
        log.grow(10_056..=10_060);
        let (delivered, offsets) = log.poll();
        // It looks for the others down to four times the lookback.
        assert!(delivered.is_empty() && offsets.len() <= 22, "{delivered} {offsets:?}");
        assert_eq!((log.gap(), log.machine.is_caught_up()), (Some(GapReason::RemovalsUnseen), true));
        assert_eq!(log.poll(), done("", &[0]));
        log.grow(10_061..=10_062);
        assert_eq!(log.poll().0, "+10061 +10062");
        for id in [10_056, 10_060] {
            log.change(id);
            assert_eq!(log.poll().0, format!("={id}"));
        }
    }
}
