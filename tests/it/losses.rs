//! Changes of a log that look like other changes: a scan loses no record by them.

use std::collections::BTreeSet;

use actionlog::integration::{LogsQuery, SortOrder};
use actionlog::page::{Doubt, Proof, Stability};
use actionlog::testing::{FakeServer, FakeTotal};
use actionlog::{Summary, Verdict};

use crate::support::{fake_with_logs, integration, log_text, next_random};

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

/// Scans 400 records in pages of 20, of which each five have the same execution time, and stand in another order at
/// each request. Returns how many are missing.
async fn scan_ties(sort: &str, stability: Option<Stability>, total: FakeTotal, seed: u64) -> (usize, Summary) {
    let server = FakeServer::new();
    server.integration().total_scope(total);
    for id in 0..400_u64 {
        let text = log_text(id).replace(r#""status""#, &format!(r#""executionTime":{},"status""#, id / 5));
        server.integration().add_raw(text);
    }
    let mut state = seed;
    server.before_each(move |server| {
        let log = server.integration().log();
        for block in 0..80 {
            let random = next_random(&mut state);
            for turn in 0..3 {
                let from = usize::try_from((random >> (40 + 4 * turn)) % 5).unwrap();
                let text = log.remove(block * 5 + from).unwrap();
                log.insert_raw(block * 5 + turn, text);
            }
        }
    });
    let listing = integration(&server).logs().list(LogsQuery::new().sort(sort)).page_size(20).prefetch(1);
    let listing = stability.map_or(listing.clone(), |stability| listing.stability(stability));
    let read = listing.collect().await;
    assert!(read.error.is_none(), "{:?}", read.error);
    let ids: BTreeSet<String> = read.items.iter().map(|it| it.id.to_string()).collect();
    (400 - ids.len(), read.summary)
}

#[tokio::test]
async fn ties_in_another_order_at_each_request_are_never_complete_and_the_verdict_says_so() {
    // Nothing is declared: a key that isn't unique makes the order unstable.
    for total in [FakeTotal::All, FakeTotal::Absent] {
        for seed in 0..60 {
            let (missing, summary) = scan_ties("executionTime", None, total, seed).await;
            let Verdict::Unverified(doubt) = summary.verdict else { panic!("{missing} are missing: {summary:?}") };
            let expected: &[_] = match total {
                FakeTotal::Absent => &[Doubt::NoTotal],
                _ if missing > 0 => &[Doubt::TotalDiffers],
                _ => &[Doubt::Reordered, Doubt::OrderMayChange],
            };
            assert!(expected.contains(&doubt), "{missing} are missing: {summary:?}");
        }
    }
}

#[tokio::test]
async fn ties_that_are_declared_stable_lose_records_and_only_a_total_shows_it() {
    for total in [FakeTotal::All, FakeTotal::Absent] {
        let mut lossy = 0;
        for seed in 0..60 {
            let (missing, summary) = scan_ties("executionTime", Some(Stability::Stable), total, seed).await;
            let expected = if total == FakeTotal::All { Doubt::TotalDiffers } else { Doubt::NoTotal };
            lossy += u32::from(missing > 0);
            assert!(missing == 0 || summary.verdict == Verdict::Unverified(expected), "{missing}: {summary:?}");
        }
        assert!(lossy > 30, "{total:?}: {lossy} of 60 scans lost records");
    }
}

#[tokio::test]
async fn the_integration_logs_sorted_by_a_unique_key_are_complete_without_a_declaration() {
    for seed in 0..10 {
        let (missing, summary) = scan_ties("_id", None, FakeTotal::All, seed).await;
        assert_eq!((missing, summary.verdict), (0, Verdict::Complete(Proof::Total)), "{summary:?}");
    }
}

#[tokio::test]
async fn a_poller_of_a_log_that_was_empty_gets_each_newer_record_once() {
    for page_size in [2, 3, 10, 100] {
        for growth in [&[3, 0, 1, 0, 1][..], &[0, 0, 2, 0, 0, 5], &[250, 0, 1, 0, 3], &[1, 0, 0, 1, 1]] {
            let world = FakeServer::new();
            let listing = integration(&world).logs().list(()).page_size(page_size).stability(Stability::Stable);
            let (mut cursor, mut next) = (listing.clone().collect().await.cursor.unwrap(), 1_u64);
            for &grown in growth {
                let expected: Vec<u64> = (next..next + grown).collect();
                expected.iter().for_each(|id| _ = world.integration().add_raw(log_text(*id)));
                next += grown;
                let newer = listing.clone().newer_than(cursor).collect().await;
                let ids: Vec<u64> = newer.items.iter().map(|it| it.id.to_string().parse().unwrap()).collect();
                assert_eq!(ids, expected, "{page_size} {growth:?}: {}", newer.summary.verdict);
                cursor = newer.cursor.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_poller_of_a_log_that_was_empty_goes_on_where_its_newest_record_is_gone() {
    for order in [Stability::Stable, Stability::Unstable] {
        let world = FakeServer::new();
        let listing = integration(&world).logs().list(()).stability(order);
        let mut cursor = listing.clone().collect().await.cursor.unwrap();
        for (grown, removes) in [(5, false), (1, false), (2, true)] {
            if removes {
                world.integration().log().remove(0).unwrap();
            }
            world.integration().add_sample_logs(grown);
            let newer = listing.clone().newer_than(cursor).collect().await;
            assert_eq!(newer.items.len(), grown, "{order:?}: {}", newer.summary.verdict);
            cursor = newer.cursor.unwrap();
        }
    }
}

#[tokio::test]
async fn a_scan_of_a_log_that_loses_an_old_record_for_each_new_one_ends() {
    for (records, page_size, every, most) in
        [(230, 100, 2, 15), (1_000, 100, 2, 15), (230, 50, 3, 15), (230, 10, 2, 25), (230, 50, 1, 15)]
    {
        let world = fake_with_logs(records);
        let query = LogsQuery::new().order(SortOrder::Asc);
        let listing = integration(&world).logs().list(query).page_size(page_size).stability(Stability::Stable);
        let at_rest = listing.clone().collect().await.summary.requests;
        let mut turn = 0;
        world.before_each(move |world| {
            turn += 1;
            if turn % every == 0 {
                world.integration().add_sample_logs(1);
                let last = world.integration().log().len() - 1;
                world.integration().log().remove(last).unwrap();
            }
        });
        let scan = listing.collect().await;
        assert!(scan.error.is_none(), "{records} {page_size} {every}: {:?}", scan.summary);
        let extra = scan.summary.requests.saturating_sub(at_rest);
        assert!(extra <= most, "{records} {page_size} {every}: {extra} more: {:?}", scan.summary);
    }
}
