//! What a scan costs that resumes from a cursor after the listing has changed: how many records are delivered again,
//! and how many requests it makes. The table in `guarantees` shows these numbers. (The model of the walk resumes random
//! scans.)

use std::collections::BTreeSet;

use actionlog::page::{Cause, Stability};
use actionlog::testing::FakeServer;
use actionlog::{Cursor, ErrorKind, IntegrationClient, UnleashClient, Verdict};

use crate::docs;
use crate::support::{fake_with_logs, log_text};

/// A scan that was stopped, a log that changed meanwhile, and a scan that resumed.
#[derive(Clone, Copy, Debug)]
struct Stop {
    records: u64,
    stopped_behind: u64,
    page_size: u32,
    order: Stability,
    /// The number of records added at the head meanwhile.
    growth: u64,
    /// Which of the records delivered last were removed meanwhile: how many in a row, and how far above the last one.
    removed: u64,
    removed_from: u64,
    /// Those that were removed beside them: bit 0 stands for the last one, bit 1 for the one above it, and so on.
    scattered: u32,
    /// How many were removed further up, where they are between the old head and the records that a cursor remembers.
    above: u64,
}

/// How many of the listing's first records a cursor remembers, and of the last delivered ones.
const RUN: u64 = 64;

/// The result of the resumed scan.
#[derive(Clone, Debug)]
struct Resumed {
    repeats: u64,
    requests: u64,
    missing: Vec<u64>,
    verdict: Verdict,
}

impl Stop {
    /// The same without changes meanwhile.
    fn undisturbed(self) -> Self {
        Self { growth: 0, removed: 0, scattered: 0, above: 0, ..self }
    }

    /// The indexes of the records that were removed meanwhile, in the order in which they are removed.
    fn indexes(self) -> impl Iterator<Item = u64> {
        // Newest first: the records delivered last are right before index `stopped_behind`.
        let in_a_row =
            (self.removed_from..self.removed_from + self.removed).map(move |it| self.stopped_behind - 1 - it);
        let scattered = (0..u32::BITS).filter(move |bit| self.scattered >> bit & 1 == 1);
        let scattered = scattered.map(move |bit| self.stopped_behind - 1 - u64::from(bit));
        in_a_row.chain(scattered).chain((0..self.above).map(|_| RUN))
    }

    async fn resume(self) -> Resumed {
        let fake = fake_with_logs(self.records);
        let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(fake.http_client());
        let listing =
            client.build().unwrap().logs().list(()).page_size(self.page_size).stability(self.order).prefetch(1);
        let mut logs = listing.clone().items();
        let mut first = BTreeSet::new();
        while (first.len() as u64) < self.stopped_behind
            && let Some(log) = logs.next().await
        {
            first.insert(log.unwrap().id.to_string().parse::<u64>().unwrap());
        }
        let cursor = serde_json::to_string(&logs.cursor().unwrap()).unwrap();
        drop(logs);
        for index in self.indexes() {
            fake.integration().log().remove(usize::try_from(index).unwrap());
        }
        for id in 0..self.growth {
            fake.integration().add_raw(log_text(self.records + 1 + id));
        }
        let read = listing.resume(serde_json::from_str::<Cursor>(&cursor).unwrap()).collect().await;
        assert!(read.error.is_none(), "{self:?}: {:?}", read.error);
        let second: Vec<u64> = read.items.iter().map(|it| it.id.to_string().parse().unwrap()).collect();
        let repeats = second.iter().filter(|it| first.contains(it)).count() as u64;
        let missing = (1..=self.records - self.stopped_behind).filter(|it| !second.contains(it)).collect();
        Resumed { repeats, requests: read.summary.requests, missing, verdict: read.summary.verdict }
    }
}

/// Whether the resumed scan keeps what `guarantees` promises.
fn check(rest: &Resumed, resumed: &Resumed, stop: Stop) {
    let windows = stop.growth.div_ceil(u64::from(stop.page_size) - 1);
    // The head is recognized by its first four records.
    let head_changed = stop.indexes().any(|index| index < 4);
    let further_up = if stop.above > 0 { stop.above.div_ceil(stop.page_size.into()) + 6 } else { 0 };
    let most = rest.requests + 2 * windows + 4 + u64::from(head_changed) + further_up;
    let why = format!("{resumed:?}, and {rest:?} with nothing changed");
    assert!(resumed.missing.is_empty(), "missing: {why}");
    assert!(resumed.repeats <= u64::from(stop.page_size), "repeated: {why}");
    assert!(resumed.requests <= most, "more than {most}: {why}");
    assert!(!resumed.verdict.is_incomplete(), "{why}");
}

/// The numbers of stops, in the order of their fields, but for the order of the listing.
type Numbers = (u64, u64, u32, u64, u64, u64, u32);

/// Checks stops in both orders.
async fn check_all(stops: &[Numbers]) {
    for &(records, stopped_behind, page_size, growth, removed, removed_from, scattered) in stops {
        for order in [Stability::Stable, Stability::Unstable] {
            let plain = Stop { order, ..PLAIN };
            let stop = Stop { records, stopped_behind, page_size, growth, removed, removed_from, scattered, ..plain };
            check(&stop.undisturbed().resume().await, &stop.resume().await, stop);
        }
    }
}

#[tokio::test]
async fn a_resumed_scan_of_whose_first_records_few_are_left_does_not_read_the_listing_twice() {
    check_all(&[
        (67, 4, 3, 0, 1, 0, 0),
        (67, 4, 3, 0, 3, 1, 0),
        (374, 2, 7, 2, 1, 1, 0),
        (380, 2, 3, 479, 2, 0, 0),
        (383, 5, 10, 486, 5, 0, 0),
        (399, 1, 4, 47, 1, 0, 0),
        (85, 6, 3, 5, 0, 0, 0b11_1110),
        // Stopped behind the last record, or near it, with records removed there.
        (185, 185, 3, 0, 0, 0, 0b1_0010_0000_0001),
        (21, 18, 3, 0, 0, 0, 0b110_0101),
    ])
    .await;
}

#[tokio::test]
async fn a_scan_that_stopped_near_an_end_that_moved_up_since_finds_its_position() {
    check_all(&[
        (138, 134, 3, 0, 0, 0, 598_018),
        (184, 179, 7, 0, 5, 7, 0),
        (103, 99, 24, 0, 0, 0, 88_064),
        (367, 362, 11, 0, 0, 0, 68_928),
        (136, 132, 10, 0, 0, 0, 24_641),
        (227, 223, 10, 0, 4, 10, 0),
        (29, 24, 8, 0, 5, 7, 0),
        (43, 39, 3, 0, 4, 7, 0),
        (101, 96, 6, 0, 5, 7, 0),
        (20, 18, 8, 0, 0, 0, 1),
        (112, 108, 3, 0, 0, 0, 15),
        (268, 266, 4, 418, 5, 6, 0),
        (173, 168, 14, 0, 5, 1, 0),
        (132, 18, 7, 5, 4, 14, 0),
        (18, 18, 7, 5, 1, 17, 0),
        (46, 42, 3, 0, 5, 11, 0),
        (40, 36, 3, 0, 5, 8, 0),
        (159, 155, 3, 0, 5, 0, 0),
        (170, 169, 24, 4, 0, 0, 0b10_0111),
    ])
    .await;
}

/// A stop in a listing that doesn't change.
const PLAIN: Stop = Stop {
    records: 10_000,
    stopped_behind: 8_000,
    page_size: 50,
    order: Stability::Stable,
    growth: 0,
    removed: 0,
    removed_from: 0,
    scattered: 0,
    above: 0,
};

/// The table of `guarantees`, from measurements.
#[tokio::test]
async fn the_table_of_what_resuming_costs_is_true() {
    let mut rows = Vec::new();
    for (what, stop) in [
        ("nothing", PLAIN),
        ("1 record came", Stop { growth: 1, ..PLAIN }),
        ("10 records came", Stop { growth: 10, ..PLAIN }),
        ("100 records came", Stop { growth: 100, ..PLAIN }),
        ("500 records came", Stop { growth: 500, ..PLAIN }),
        ("the last 5 were removed", Stop { removed: 5, ..PLAIN }),
        ("the last 64 were removed", Stop { removed: 64, ..PLAIN }),
        ("1,000 before the last were removed", Stop { removed: 1_000, removed_from: 100, ..PLAIN }),
        ("100 came, and the last 5 were removed", Stop { growth: 100, removed: 5, ..PLAIN }),
    ] {
        let mut cells = Vec::new();
        for order in [Stability::Stable, Stability::Unstable] {
            let rest = Stop { order, ..PLAIN }.resume().await;
            let resumed = Stop { order, ..stop }.resume().await;
            assert!(resumed.missing.is_empty(), "{what}: {resumed:?}");
            cells.push(format!("{} and {}", resumed.repeats, resumed.requests - rest.requests));
        }
        rows.push(format!("| {what} | {} |", cells.join(" | ")));
    }
    let head = "| meanwhile | stable order | unstable order |\n|---|---|---|";
    let table = format!("{head}\n{}\n", rows.join("\n"));
    docs::table(&["src/guarantees.md", "src/guide/backfill_then_follow.md"], "what resuming costs", &table);
}

#[tokio::test]
async fn a_position_below_many_records_that_are_gone_is_found() {
    for (records, stopped_behind, page_size, growth, above) in [(168, 160, 6, 34, 22), (173, 138, 3, 0, 7)] {
        for order in [Stability::Stable, Stability::Unstable] {
            let stop = Stop { records, stopped_behind, page_size, order, growth, above, ..PLAIN };
            check(&stop.undisturbed().resume().await, &stop.resume().await, stop);
        }
    }
}

#[tokio::test]
async fn events_added_since_do_not_restart_a_resumed_scan() {
    for growth in [0, 1, 2, 5, 9, 10, 17, 33, 200] {
        let fake = FakeServer::new();
        fake.unleash().add_sample_events("default", 7, 1_000);
        let client =
            UnleashClient::builder("http://localhost").api_key("any").http_client(fake.http_client()).build().unwrap();
        let listing = client.action_set_events().list(("default", 7));
        let first = listing.clone().max_items(800).collect().await;
        fake.unleash().add_sample_events("default", 7, growth);
        let rest = listing.resume(first.cursor.unwrap()).collect().await;
        let seen: BTreeSet<i64> = first.items.iter().map(|it| *it.id.get()).collect();
        let again = rest.items.iter().filter(|it| seen.contains(it.id.get())).count();
        assert!(again <= 50, "{again} again after {growth}: {:?}", rest.summary);
        assert!(rest.items.len() - again >= 200, "{growth}: {:?}", rest.summary);
    }
}

#[tokio::test]
async fn a_backfill_that_is_killed_after_each_page_finishes_while_the_log_grows() {
    let fake = fake_with_logs(500);
    let mut next = 501;
    let client =
        IntegrationClient::builder("http://localhost").api_key("any").http_client(fake.http_client()).build().unwrap();
    let listing = client.logs().list(()).page_size(20);
    let mut cursor: Option<Cursor> = None;
    let mut delivered = 0;
    for kills in 0.. {
        let listing = match cursor {
            Some(cursor) => listing.clone().resume(cursor),
            None => listing.clone(),
        };
        let read = listing.max_items(30).collect().await;
        delivered += read.items.len();
        if read.summary.verdict != Verdict::Incomplete(Cause::MaxItems) {
            break;
        }
        cursor = read.cursor;
        for _ in 0..5 {
            fake.integration().add_raw(log_text(next));
            next += 1;
        }
        assert!(kills < 60, "{delivered} delivered");
    }
    // What came late once doesn't come again.
    assert!(delivered < 500 + 60 * 5, "{delivered} delivered");
}

#[tokio::test]
async fn a_cursor_with_contradictory_positions_is_rejected() {
    let fake = FakeServer::new();
    fake.integration().add_sample_logs(30);
    let client =
        IntegrationClient::builder("http://localhost").api_key("any").http_client(fake.http_client()).build().unwrap();
    let listing = client.logs().list(());
    let cursor = listing.clone().items().cursor().unwrap();
    let mut tampered = serde_json::to_value(&cursor).unwrap();
    tampered["offset"] = 10.into();
    let cursor: Cursor = serde_json::from_value(tampered).unwrap();
    let error = listing.clone().resume(cursor).items().next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(fake.requests().is_empty());
    // The cursor of a scan that began behind the head isn't whole, and is accepted.
    let honest = listing.clone().start_offset(10).items().cursor().unwrap();
    assert_eq!(listing.resume(honest).collect().await.items.len(), 20);
}

#[tokio::test]
async fn a_cursor_is_accepted_for_another_base_url_only_by_choice() {
    let fake = FakeServer::new();
    fake.integration().add_sample_logs(60);
    let at =
        |url: &str| IntegrationClient::builder(url).api_key("any").http_client(fake.http_client()).build().unwrap();
    let old = at("https://old.example").logs().list(()).page_size(10);
    let new = at("https://new.example").logs().list(()).page_size(10);
    let first = old.max_items(25).collect().await;
    let cursor = first.cursor.unwrap();
    let refused = new.clone().resume(cursor.clone()).collect().await.error.unwrap();
    assert!(refused.to_string().contains("the server"), "{refused}");
    let rebased = cursor.clone().rebase("https://new.example/").unwrap();
    assert_eq!(new.clone().resume(rebased).collect().await.items.len(), 35);
    // Only the base URL changes.
    let searched = at("https://new.example").logs().list(actionlog::integration::LogsQuery::new().search("x"));
    let error = searched.resume(cursor.clone().rebase("https://new.example").unwrap()).collect().await.error;
    assert_eq!(error.unwrap().kind(), ErrorKind::InvalidRequest);
    for wrong in ["", "new.example", "ftp://new.example", "https://user:hunter2@new.example", "https://new.example?x=1"]
    {
        let error = cursor.clone().rebase(wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{wrong}");
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[tokio::test]
async fn newer_records_are_found_while_one_record_of_the_old_head_remains() {
    for records in [20, 500] {
        for order in [Stability::Stable, Stability::Unstable] {
            for expired in [1, 4, 10, 15] {
                let fake = fake_with_logs(records);
                let client =
                    IntegrationClient::builder("http://localhost").api_key("any").http_client(fake.http_client());
                let listing = client.build().unwrap().logs().list(()).page_size(10).stability(order);
                let cursor = listing.clone().collect().await.cursor.unwrap();
                for _ in 0..expired {
                    fake.integration().log().remove(0);
                }
                for id in 0..7 {
                    fake.integration().add_raw(log_text(1_000 + id));
                }
                let sent = fake.requests().len();
                let newer = listing.newer_than(cursor).collect().await;
                let why = format!("{expired} of {records} expired, {order:?}: {:?} {:?}", newer.error, newer.summary);
                let ids: Vec<u64> = newer.items.iter().map(|it| it.id.to_string().parse().unwrap()).collect();
                assert_eq!(ids, (1_000..1_007).collect::<Vec<_>>(), "{why}");
                assert!(fake.requests().len() - sent <= 4, "{why}");
            }
        }
    }
}

#[tokio::test]
async fn newer_records_are_found_if_only_one_already_seen_record_remains() {
    for total in [actionlog::page::TotalScope::Unknown, actionlog::page::TotalScope::Listing] {
        for order in [Stability::Stable, Stability::Unstable] {
            let fake = FakeServer::new();
            // Newest first: [2, 1]. Then 2 expires, and 3 is added.
            fake.integration().add_raw(log_text(1)).add_raw(log_text(2));
            let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(fake.http_client());
            let listing = client.total_scope(total).build().unwrap().logs().list(()).stability(order);
            let cursor = listing.clone().collect().await.cursor.unwrap();
            fake.integration().log().remove(0);
            fake.integration().add_raw(log_text(3));
            let newer = listing.newer_than(cursor).collect().await;
            let ids: Vec<_> = newer.items.iter().map(|it| it.id.to_string()).collect();
            assert_eq!(ids, ["3"], "{order:?} {total:?}: {:?} {:?}", newer.error, newer.summary);
        }
    }
}

#[tokio::test]
async fn more_than_a_page_of_newer_records_is_no_failure_whatever_the_total() {
    for total in [actionlog::page::TotalScope::Unknown, actionlog::page::TotalScope::Listing] {
        for (before, after) in [(0, 1), (0, 250), (1, 101), (3, 101), (150, 1), (150, 1_001)] {
            let fake = FakeServer::new();
            for id in 0..before {
                fake.integration().add_raw(log_text(id + 1));
            }
            let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(fake.http_client());
            let listing = client.total_scope(total).build().unwrap().logs().list(());
            let cursor = listing.clone().collect().await.cursor.unwrap();
            for id in 0..after {
                fake.integration().add_raw(log_text(10_000 + id));
            }
            let newer = listing.newer_than(cursor).collect().await;
            let why = format!("{after} after {before}, {total:?}: {:?} {:?}", newer.error, newer.summary);
            let ids: Vec<u64> = newer.items.iter().map(|it| it.id.to_string().parse().unwrap()).collect();
            assert_eq!(ids, (10_000..10_000 + after).collect::<Vec<_>>(), "{why}");
        }
    }
}

#[tokio::test]
async fn a_dedup_window_below_two_pages_does_not_make_the_search_for_the_head_endless() {
    let fake = fake_with_logs(100);
    let client =
        IntegrationClient::builder("http://localhost").api_key("any").http_client(fake.http_client()).build().unwrap();
    let listing = client.logs().list(()).page_size(10).dedup_window(1);
    let cursor = listing.clone().collect().await.cursor.unwrap();
    for id in 101..=300 {
        fake.integration().add_raw(log_text(id));
    }
    let sent = fake.requests().len();
    let newer = listing.newer_than(cursor).collect().await;
    assert_eq!(newer.items.len(), 200, "{:?}", newer.summary);
    assert!(fake.requests().len() - sent < 100);
}

#[tokio::test]
async fn a_clamped_offset_ends_no_listing_by_its_total() {
    let fake = fake_with_logs(18);
    let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(fake.http_client());
    let client = client.total_scope(actionlog::page::TotalScope::Listing).build().unwrap();
    let mut turn = 0;
    fake.before_each(move |fake| {
        turn += 1;
        if turn == 2 {
            let log = fake.integration().log();
            for _ in 0..5 {
                log.remove(0);
            }
            // 19 is behind 9, and four records are added at the end.
            log.insert_raw(5, log_text(19));
            for id in [20, 21, 22, 23] {
                log.insert_raw(log.len(), log_text(id));
            }
        }
    });
    let read = client.logs().list(()).page_size(10).stability(Stability::Stable).prefetch(1).collect().await;
    let ids: BTreeSet<String> = read.items.iter().map(|it| it.id.to_string()).collect();
    assert!(ids.contains("1") || !read.summary.verdict.is_complete(), "{:?}", read.summary);
}
