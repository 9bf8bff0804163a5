//! Changes of a log that look like other changes: a scan loses no record by them.

use std::collections::BTreeSet;

use actionlog::integration::{LogsQuery, SortOrder};
use actionlog::page::Stability;
use actionlog::testing::FakeServer;

use crate::support::{fake_with_logs, integration, log_text};

#[tokio::test]
async fn a_record_of_the_first_page_that_moves_to_the_head_while_a_scan_is_stopped_is_delivered() {
    let world = fake_with_logs(200);
    let client = integration(&world);
    let listing = client.logs().list(()).page_size(40).stability(Stability::Unstable).prefetch(1);
    let first = listing.clone().max_items(8).collect().await;
    world.integration().log().move_to_head(39);
    let rest = listing.resume(first.cursor.unwrap()).collect().await;
    assert!(rest.items.iter().any(|it| it.id == "161"), "{:?}", rest.summary);
}

#[tokio::test]
async fn all_newer_records_are_delivered_or_the_verdict_says_so() {
    for (page_size, grown, count) in
        [(100, 5_000, 30), (100, 5_000, 25), (10, 300, 2), (50, 2_000, 12), (20, 1_000, 7), (3, 300, 1)]
    {
        let world = fake_with_logs(200);
        let client = integration(&world);
        let listing = client.logs().list(()).page_size(page_size).stability(Stability::Stable);
        let cursor = listing.clone().collect().await.cursor.unwrap();
        for id in 1_000..1_000 + grown {
            world.integration().add_raw(log_text(id));
        }
        let mut next = 100_000;
        world.before_each(move |world| {
            for _ in 0..count {
                world.integration().add_raw(log_text(next));
                next += 1;
            }
        });
        let newer = listing.newer_than(cursor).collect().await;
        let ids: BTreeSet<u64> = newer.items.iter().map(|it| it.id.to_string().parse().unwrap()).collect();
        let missing = (1_000..1_000 + grown).filter(|it| !ids.contains(it)).count();
        assert!(
            missing == 0 || newer.summary.verdict.is_incomplete(),
            "{page_size} {grown} {count}: {missing} {:?}",
            newer.summary
        );
    }
}

#[tokio::test]
async fn a_block_that_moved_down_past_others_while_stopped_hides_none_of_them() {
    // 62 records are delivered. The last 31 of them move past the eight behind them.
    let (n, stop, block, past) = (185u64, 62usize, 31usize, 8usize);
    let world = fake_with_logs(n);
    let client = integration(&world);
    let listing = client.logs().list(()).page_size(22).stability(Stability::Unstable).prefetch(1);
    let first = listing.clone().max_items(stop as u64).collect().await;
    let log = world.integration().log();
    let moved: Vec<_> = (0..block).map(|_| log.remove(stop - block).unwrap()).collect();
    for (index, text) in moved.into_iter().enumerate() {
        log.insert_raw(stop - block + past + index, text);
    }
    let rest = listing.resume(first.cursor.unwrap()).collect().await;
    let ids: BTreeSet<u64> =
        first.items.iter().chain(&rest.items).map(|it| it.id.to_string().parse().unwrap()).collect();
    let missing: Vec<_> = (1..=n).filter(|it| !ids.contains(it)).collect();
    assert!(missing.is_empty(), "{missing:?} {:?}", rest.summary);
}

#[tokio::test]
async fn a_log_of_one_record_that_grows_before_every_request_is_scanned_to_its_end() {
    let world = FakeServer::new();
    world.integration().add_raw(log_text(1));
    let client = integration(&world);
    let (mut first, mut next) = (true, 2);
    world.before_each(move |world| {
        if !std::mem::take(&mut first) {
            world.integration().add_raw(log_text(next));
            next += 1;
        }
    });
    let read = client.logs().list(()).collect().await;
    assert!(read.error.is_none() && read.summary.requests < 20, "{:?} {:?}", read.error, read.summary);
}

#[tokio::test]
async fn a_log_of_steady_length_listed_oldest_first_is_scanned_to_its_end() {
    let world = fake_with_logs(230);
    let client = integration(&world);
    let mut next = 231;
    world.before_each(move |world| {
        let log = world.integration().log();
        log.add_raw(log_text(next));
        next += 1;
        log.remove(log.len() - 1);
    });
    let query = LogsQuery::new().order(SortOrder::Asc);
    let read = client.logs().list(query).max_items(2_000).collect().await;
    assert!(!read.summary.verdict.is_incomplete(), "{:?}", read.summary);
}
