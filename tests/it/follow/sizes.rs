//! How large checkpoints are.

use actionlog::integration::{LogsQuery, SortOrder};
use actionlog::page::{Growth, Stability};
use actionlog::testing::FakeServer;

use crate::follow::SECOND;
use crate::support::integration;

/// A server with logs whose ids have this many characters, and which aren't final.
fn fake_with_open_logs(length: usize, records: usize) -> FakeServer {
    let server = FakeServer::new();
    for id in 0..records {
        server.integration().add_raw(open_log(length, id));
    }
    server
}

fn open_log(length: usize, id: usize) -> String {
    // (A number would show which end of the listing grows.)
    let width = length - 1;
    let fields = r#""integrationId":"i","actionType":"sync","entityType":"e","status":"pending""#;
    format!(r#"{{"_id":"x{id:0width$}",{fields},"createdAt":"2026-01-01T00:00:00.123Z"}}"#)
}

/// The largest checkpoint of a follower that reads these logs, and then all of them again.
async fn largest(server: &FakeServer, order: SortOrder) -> usize {
    let listing = integration(server).logs().list(LogsQuery::new().order(order));
    let mut follow = listing.follow().full_scan_interval(30 * SECOND);
    let mut largest = 0;
    loop {
        let batch = follow.next().await.unwrap().unwrap();
        largest = largest.max(batch.checkpoint.to_string().len());
        if batch.progress.full_scans > 0 {
            return largest;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_of_a_thousand_records_is_as_large_as_documented_for_the_length_of_their_ids() {
    for (length, most) in [(24, 55_000), (36, 67_000), (512, 560_000)] {
        let server = fake_with_open_logs(length, 1_500);
        for order in [SortOrder::Desc, SortOrder::Asc] {
            let largest = largest(&server, order).await;
            assert!((most - 20_000..most).contains(&largest), "{length} characters: {largest} bytes");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_of_a_first_scan_that_reads_again_from_the_head_takes_twice_as_much() {
    let server = fake_with_open_logs(24, 4_000);
    let mut follow = integration(&server).logs().list(()).follow();
    let (mut delivered, mut largest, mut has_moved) = (0, 0, false);
    loop {
        let batch = follow.next().await.unwrap().unwrap();
        delivered += batch.changes.len();
        largest = largest.max(batch.checkpoint.to_string().len());
        if delivered >= 2_000 && !has_moved {
            has_moved = true;
            // All that was delivered last is gone, and more came than are remembered: it begins again at the head, and
            // remembers what it delivers there beside what it had delivered.
            let log = server.integration().log();
            (0..1_600).for_each(|_| drop(log.remove(1_000)));
            for id in 4_000..5_500 {
                log.add_raw(open_log(24, id));
            }
        }
        if batch.progress.caught_up {
            break;
        }
    }
    // More than a table of one lookback, so that both are in it.
    assert!((60_000..2 * 55_000).contains(&largest), "{largest}");
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_of_a_walk_to_the_end_that_reads_again_from_the_head_takes_twice_as_much() {
    let server = fake_with_open_logs(24, 4_000);
    let listing = integration(&server).logs().list(LogsQuery::new().order(SortOrder::Asc));
    let mut follow = listing.stability(Stability::Unstable).follow();
    let (mut largest, mut has_moved) = (0, false);
    loop {
        let batch = follow.next().await.unwrap().unwrap();
        largest = largest.max(batch.checkpoint.to_string().len());
        if batch.progress.caught_up && has_moved {
            break;
        }
        if batch.progress.caught_up {
            has_moved = true;
            // The last ones are gone, by which the position is found again.
            let log = server.integration().log();
            (0..100).for_each(|_| drop(log.remove(0)));
            for id in 4_000..4_010 {
                log.add_raw(open_log(24, id));
            }
        }
    }
    assert!((60_000..2 * 55_000).contains(&largest), "{largest}");
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_of_a_follower_that_looks_at_both_ends_takes_twice_as_much() {
    let server = fake_with_open_logs(24, 1_500);
    let listing = integration(&server).logs().list(()).growth(Growth::OneEnd);
    let mut follow = listing.follow();
    let mut largest = 0;
    loop {
        let batch = follow.next().await.unwrap().unwrap();
        largest = largest.max(batch.checkpoint.to_string().len());
        if batch.progress.caught_up {
            break;
        }
    }
    assert!((60_000..2 * 55_000).contains(&largest), "{largest}");
}
