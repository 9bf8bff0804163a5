//! What a process that starts again doesn't know.

use actionlog::follow::{Follow, GapReason, StartFrom};
use actionlog::integration::{LogListing, LogsQuery, SortOrder};
use actionlog::page::Stability;
use actionlog::testing::FakeServer;

use crate::follow::{catch_up, event, events, fake_with_events};
use crate::support::{fake_with_logs, integration, log_text};

#[tokio::test(start_paused = true)]
async fn a_record_of_a_batch_that_was_not_stored_is_not_removed_if_it_is_gone_by_the_restart() {
    let server = fake_with_events(100);
    let mut follow = events(&server);
    let _ = catch_up(&mut follow).await;
    let stored = follow.next().await.unwrap().unwrap().checkpoint;
    server.unleash().add_raw("default", 1, event(101, "success"));
    assert_eq!(catch_up(&mut follow).await, ["+101"]);
    drop(follow);

    server.unleash().log("default", 1).remove_ids([101, 50]);
    let mut follow = events(&server).start_from(StartFrom::Checkpoint(stored));
    let mut changes = Vec::new();
    for _ in 0..300 {
        changes.extend(crate::follow::shorts(&follow.next().await.unwrap().unwrap()));
    }
    assert_eq!(changes, ["-50"]);
}

/// A listing that grows at its end, and whose records may move.
fn growing_at_end(server: &FakeServer, start: StartFrom) -> Follow<LogListing> {
    let listing = integration(server).logs().list(LogsQuery::new().order(SortOrder::Asc));
    listing.page_size(50).stability(Stability::Unstable).follow().start_from(start)
}

/// A walk to the end loses its position. Returns how many records are delivered again, and whether the batches behind
/// the first one report the gap. `restarts`: behind the first batch, another process goes on.
async fn lose_the_end(restarts: bool) -> (usize, bool) {
    let server = fake_with_logs(2_000);
    let mut follow = growing_at_end(&server, StartFrom::Beginning);
    while !follow.next().await.unwrap().unwrap().progress.caught_up {}
    // More than the records that a position is found again by.
    (0..100).for_each(|_| drop(server.integration().log().remove(0)));
    for id in 2_001..=2_005 {
        server.integration().add_raw(log_text(id));
    }
    let (mut again, mut reported, mut has_gap) = (0, true, false);
    loop {
        let batch = follow.next().await.unwrap().unwrap();
        let ids = batch.changes.iter().filter_map(|it| it.record()?.id.as_str().parse().ok());
        again += ids.filter(|it: &u64| *it <= 2_000).count();
        if batch.progress.caught_up {
            return (again, reported);
        }
        let is_gap = batch.progress.gap.is_some_and(|it| it.reason == GapReason::AnchorsGone);
        reported &= is_gap || !has_gap;
        if is_gap && !has_gap {
            has_gap = true;
            if restarts {
                follow = growing_at_end(&server, StartFrom::Checkpoint(batch.checkpoint));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_while_a_walk_to_the_end_begins_again_repeats_no_more_and_reports_the_gap_until_it_has_come_to_it() {
    let (again, is_reported) = lose_the_end(false).await;
    let (after_restart, is_reported_again) = lose_the_end(true).await;
    assert!(is_reported && is_reported_again);
    assert!((1_000..=1_010).contains(&again), "{again}");
    assert_eq!(after_restart, again);
}
