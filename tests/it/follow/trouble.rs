//! What goes wrong with servers and logs that are followed, row by row of the chapter's table: what the caller sees,
//! that it is the truth, and that they can go on.

use actionlog::follow::{Change, Checkpoint, GapReason, StartFrom};
use actionlog::testing::{FakeServer, Fault};

use crate::follow::{SECOND, catch_up, changed, event, events, fake_with_events, shorts};

#[tokio::test(start_paused = true)]
async fn a_server_that_was_emptied_is_a_gap_and_nothing_is_reported_as_removed() {
    let server = fake_with_events(120);
    let mut follow = events(&server);
    catch_up(&mut follow).await;
    let log = server.unleash().log("default", 1);
    let texts = log.raw_records();
    while log.remove(0).is_some() {}
    for _ in 0..30 {
        let batch = follow.next().await.unwrap().unwrap();
        assert!(batch.changes.is_empty(), "{batch:?}");
        assert_eq!(batch.progress.gap.map(|it| it.reason), Some(GapReason::Emptied));
        assert!(!batch.progress.caught_up);
    }
    // The records come back: none of them is delivered again.
    for text in texts.iter().rev() {
        log.add_raw(text.clone());
    }
    log.add_raw(event(121, "success"));
    assert_eq!(changed(&mut follow).await, ["+121"]);
    let batch = follow.next().await.unwrap().unwrap();
    assert_eq!(batch.progress.gap, None);
}

#[tokio::test(start_paused = true)]
async fn where_no_remembered_record_is_left_there_is_a_gap_and_everything_comes_again() {
    let server = fake_with_events(120);
    let mut follow = events(&server);
    catch_up(&mut follow).await;
    let log = server.unleash().log("default", 1);
    while log.remove(0).is_some() {}
    for id in 500..530 {
        log.add_raw(event(id, "success"));
    }
    let mut changes = Vec::new();
    let mut gaps = 0;
    while changes.len() < 30 {
        let batch = follow.next().await.unwrap().unwrap();
        gaps += u32::from(batch.progress.gap.map(|it| it.reason) == Some(GapReason::AnchorsGone));
        changes.extend(shorts(&batch));
    }
    assert!(gaps > 0);
    assert_eq!(changes, (500..530).rev().map(|it| format!("+{it}")).collect::<Vec<_>>());
    loop {
        let batch = follow.next().await.unwrap().unwrap();
        assert!(batch.changes.is_empty());
        if batch.progress.gap.is_none() {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_restored_and_reuses_ids_loses_nothing() {
    // The backup is 30 records old; others come with the ids of those that are lost.
    let server = fake_with_events(200);
    let mut follow = events(&server);
    catch_up(&mut follow).await;
    let log = server.unleash().log("default", 1);
    (0..30).for_each(|_| drop(log.remove(0)));
    for id in 171..=180 {
        log.add_raw(event(id, "failed"));
    }
    let mut states = std::collections::BTreeMap::new();
    for _ in 0..40 {
        for change in follow.next().await.unwrap().unwrap().changes {
            match &change {
                Change::Removed(key) => drop(states.remove(&key.to_string())),
                change => {
                    let event = change.record().unwrap();
                    states.insert(event.id.to_string(), event.state.to_string());
                }
            }
        }
    }
    let expected = (171..=180).map(|it| (it.to_string(), "failed".to_owned())).collect();
    assert_eq!(states, expected);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_restored_from_long_ago_and_reuses_every_remembered_id_is_read_again() {
    let server = fake_with_events(400);
    let mut follow = events(&server).lookback(100);
    catch_up(&mut follow).await;
    let log = server.unleash().log("default", 1);
    (0..300).for_each(|_| drop(log.remove(0)));
    // By the next poll, the new records reach as far as the lost ones did.
    for id in 101..=390 {
        log.add_raw(event(id, "failed"));
    }
    let mut failed = std::collections::BTreeSet::new();
    let mut gaps = 0;
    for _ in 0..60 {
        let batch = follow.next().await.unwrap().unwrap();
        gaps += u32::from(batch.progress.gap.is_some());
        let records = batch.changes.iter().filter_map(Change::record);
        failed.extend(
            records.filter(|it| it.state == actionlog::unleash::ActionSetEventState::Failed).map(|it| *it.id.get()),
        );
    }
    assert!(gaps > 0);
    assert_eq!(failed, (101..=390).collect());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_changes_its_page_size_loses_nothing() {
    let server = fake_with_events(300);
    let mut follow = events(&server);
    catch_up(&mut follow).await;
    let mut id = 300;
    for size in [7, 50, 2, 20] {
        server.unleash().largest_page(size);
        for _ in 0..35 {
            id += 1;
            server.unleash().add_raw("default", 1, event(id, "success"));
        }
        let expected: Vec<_> = (id - 34..=id).map(|it| format!("+{it}")).collect();
        assert_eq!(catch_up(&mut follow).await, expected, "{size}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_never_settles_stays_reported_and_doesnt_keep_the_sweeps_deep() {
    let server = fake_with_events(1);
    server.unleash().add_raw("default", 1, event(2, "started"));
    for id in 3..=600 {
        server.unleash().add_raw("default", 1, event(id, "success"));
    }
    let mut follow = events(&server).lookback(200).max_poll_interval(5 * SECOND);
    catch_up(&mut follow).await;
    let progress = follow.next().await.unwrap().unwrap().progress;
    assert_eq!(progress.oldest_open.unwrap().key.to_string(), "2");
    assert_eq!(progress.open_behind, 1);
    // Everything within the lookback is final: after two sweeps, the next ones are short.
    tokio::time::timeout(300 * SECOND, async { while follow.next().await.is_some() {} }).await.unwrap_err();
    let before = server.requests().len();
    tokio::time::timeout(600 * SECOND, async { while follow.next().await.is_some() {} }).await.unwrap_err();
    let requests = server.requests().len() - before;
    assert!((100..=140).contains(&requests), "{requests} requests in ten minutes, with one whole sweep among them");
    // A full scan finds out that it settled after all.
    server.unleash().log("default", 1).replace(598, event(2, "success"));
    let mut follow = events(&server)
        .lookback(200)
        .full_scan_interval(100 * SECOND)
        .start_from(StartFrom::Checkpoint(follow.next().await.unwrap().unwrap().checkpoint));
    loop {
        let batch = follow.next().await.unwrap().unwrap();
        if batch.progress.full_scans == 1 {
            assert_eq!((batch.progress.oldest_open, batch.progress.open_behind), (None, 0));
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_scan_delivers_what_is_behind_the_lookback_and_polls_go_on() {
    let server = fake_with_events(2_000);
    let client = crate::support::builder("http://localhost").http_client(server.http_client().latency(SECOND)).build();
    let listing = client.unwrap().action_set_events().list(("default", 1));
    let mut follow = listing
        .follow()
        .lookback(100)
        .full_scan_interval(120 * SECOND)
        .start_from(StartFrom::Latest)
        .max_poll_interval(5 * SECOND);
    catch_up(&mut follow).await;
    server.unleash().log("default", 1).replace(1_500, event(500, "failed"));
    let (mut updated, mut added, mut came) = (std::collections::BTreeSet::new(), false, false);
    loop {
        let batch = follow.next().await.unwrap().unwrap();
        assert!(batch.changes.len() <= 50);
        for change in &batch.changes {
            match change {
                Change::Updated(event) => _ = updated.insert(*event.id.get()),
                Change::New(event) => came |= *event.id.get() == 2_001,
                other => panic!("{other:?}"),
            }
        }
        if updated.len() > 500 && !added {
            assert!(batch.progress.full_scan_running);
            added = true;
            server.unleash().add_raw("default", 1, event(2_001, "success"));
        }
        if batch.progress.full_scans > 0 {
            break;
        }
    }
    assert!(updated.len() >= 1_890, "{}", updated.len());
    assert!(updated.contains(&500) && came);
}

#[tokio::test(start_paused = true)]
async fn equal_timestamps_and_thousands_between_two_polls_are_no_trouble() {
    // All events of this test have the same time.
    let server = fake_with_events(30);
    let mut follow = events(&server);
    catch_up(&mut follow).await;
    for id in 31..=5_030 {
        server.unleash().add_raw("default", 1, event(id, "success"));
    }
    let expected: Vec<_> = (31..=5_030).map(|it| format!("+{it}")).collect();
    let mut changes = Vec::new();
    loop {
        let batch = follow.next().await.unwrap().unwrap();
        assert!(batch.changes.len() <= 50);
        changes.extend(shorts(&batch));
        if batch.progress.caught_up {
            break;
        }
    }
    assert_eq!(changes, expected);
}

#[tokio::test(start_paused = true)]
async fn records_deleted_at_the_anchor_are_no_trouble() {
    let server = fake_with_events(300);
    let mut follow = events(&server);
    catch_up(&mut follow).await;
    let log = server.unleash().log("default", 1);
    // The newest hundred are gone, and ten come.
    (0..100).for_each(|_| drop(log.remove(0)));
    for id in 301..=310 {
        log.add_raw(event(id, "success"));
    }
    assert_eq!(changed(&mut follow).await, (301..=310).map(|it| format!("+{it}")).collect::<Vec<_>>());
    let mut removed = Vec::new();
    while removed.len() < 100 {
        let batch = follow.next().await.unwrap().unwrap();
        assert!(batch.changes.len() <= 50);
        removed.extend(shorts(&batch));
    }
    assert_eq!(removed, (201..=300).rev().map(|it| format!("-{it}")).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_changes_the_lag_and_nothing_else() {
    // The records are of years ago by one clock, and of the future by another.
    for (time, is_zero) in [("1999-01-01T00:00:00Z", false), ("2199-01-01T00:00:00Z", true)] {
        let server = FakeServer::new();
        let mut record: serde_json::Value = serde_json::from_str(&event(1, "success")).unwrap();
        record["createdAt"] = time.into();
        server.unleash().add_raw("default", 1, record.to_string());
        let mut follow = events(&server);
        let batch = follow.next().await.unwrap().unwrap();
        assert_eq!(shorts(&batch), ["+1"]);
        assert_eq!(batch.progress.lag.unwrap().is_zero(), is_zero);
        server.unleash().add_raw("default", 1, event(2, "success"));
        assert_eq!(changed(&mut follow).await, ["+2"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_follower_restarted_behind_a_clock_that_was_set_goes_on_from_its_checkpoint() {
    // What decides is how the machine's clock and the times of records and checkpoints differ, whichever was set.
    let (day, year) = (chrono::Duration::days(1), chrono::Duration::days(365));
    let since = chrono::Utc::now() - chrono::Duration::hours(1);
    for start in [StartFrom::Beginning, StartFrom::Since(since)] {
        let server = FakeServer::new();
        let add = |id: i64, by: chrono::Duration| {
            let mut record: serde_json::Value = serde_json::from_str(&event(id, "started")).unwrap();
            record["createdAt"] = (chrono::Utc::now() + by).to_rfc3339().into();
            server.unleash().add_raw("default", 1, record.to_string());
        };
        (1..=60).for_each(|id| add(id, chrono::Duration::zero()));
        let mut follow = events(&server).start_from(start.clone());
        assert_eq!(catch_up(&mut follow).await.len(), 60, "{start:?}");
        let mut checkpoint = follow.next().await.unwrap().unwrap().checkpoint;
        // Forward a year, and back a day.
        for (first, by) in [(61, year), (131, year - day)] {
            (first..first + 70).for_each(|id| add(id, by));
            let mut follow = events(&server).start_from(StartFrom::Checkpoint(checkpoint));
            let expected: Vec<_> = (first..first + 70).map(|it| format!("+{it}")).collect();
            assert_eq!(catch_up(&mut follow).await, expected, "{start:?}");
            let batch = follow.next().await.unwrap().unwrap();
            assert_eq!((batch.progress.gap, batch.progress.lag.unwrap().is_zero()), (None, true));
            assert_eq!(batch.progress.oldest_open.unwrap().key.to_string(), "1");
            // A change of what was there before is noticed.
            let log = server.unleash().log("default", 1);
            log.replace(70, event(first - 1, "success"));
            assert_eq!(changed(&mut follow).await, [format!("={}", first - 1)]);
            checkpoint = follow.next().await.unwrap().unwrap().checkpoint;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_follower_restarted_with_another_page_size_or_lookback_goes_on_from_its_checkpoint() {
    let server = fake_with_events(300);
    let mut follow = events(&server).lookback(100);
    catch_up(&mut follow).await;
    let mut checkpoint = follow.next().await.unwrap().unwrap().checkpoint;
    let mut id = 300;
    for (page_size, lookback) in [(7, 100), (100, 20), (2, 250), (50, 1_000), (20, 100)] {
        for _ in 0..35 {
            id += 1;
            server.unleash().add_raw("default", 1, event(id, "success"));
        }
        let listing = crate::follow::unleash(&server).action_set_events().list(("default", 1)).page_size(page_size);
        let start = StartFrom::Checkpoint(checkpoint);
        let mut follow = listing.follow().lookback(lookback).start_from(start);
        let expected: Vec<_> = (id - 34..=id).map(|it| format!("+{it}")).collect();
        assert_eq!(catch_up(&mut follow).await, expected, "{page_size} {lookback}");
        for _ in 0..20 {
            let batch = follow.next().await.unwrap().unwrap();
            assert!(batch.changes.is_empty() && batch.progress.gap.is_none(), "{page_size} {lookback}: {batch:?}");
        }
        checkpoint = follow.next().await.unwrap().unwrap().checkpoint;
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_the_middle_of_anything_goes_on_from_the_checkpoint() {
    let server = fake_with_events(230);
    let mut checkpoint: Option<Checkpoint> = None;
    let mut changes = Vec::new();
    // A new process for each batch.
    for turn in 0..12 {
        let mut follow = events(&server);
        if let Some(checkpoint) = &checkpoint {
            let stored: Checkpoint = serde_json::from_str(&serde_json::to_string(checkpoint).unwrap()).unwrap();
            follow = follow.start_from(StartFrom::Checkpoint(stored));
        }
        let batch = follow.next().await.unwrap().unwrap();
        changes.extend(shorts(&batch));
        checkpoint = Some(batch.checkpoint);
        if turn == 6 {
            for id in 231..=350 {
                server.unleash().add_raw("default", 1, event(id, "success"));
            }
        }
    }
    let old = (1..=230).rev().map(|it| format!("+{it}"));
    let new = (231..=350).map(|it| format!("+{it}"));
    assert_eq!(changes, old.chain(new).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn failing_polls_in_between_cost_nothing() {
    let server = fake_with_events(230);
    let mut follow = events(&server);
    let mut changes = Vec::new();
    for turn in 0.. {
        if turn % 2 == 0 {
            server.fail_next(if turn % 4 == 0 { Fault::Status(503) } else { Fault::EmptyOnce });
        }
        match follow.next().await.unwrap() {
            Ok(batch) if batch.progress.caught_up => break,
            Ok(batch) => changes.extend(shorts(&batch)),
            Err(error) => assert!(error.is_transient()),
        }
    }
    assert_eq!(changes, (1..=230).rev().map(|it| format!("+{it}")).collect::<Vec<_>>());
}
