//! Errors of polls, the wait behind them, shutdowns and dropped calls, under paused time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actionlog::follow::{MemoryCheckpoints, RunError, StartFrom};
use actionlog::page::Growth;
use actionlog::testing::{FakeServer, Fault};
use actionlog::{ArklowClient, ErrorKind, RetryPolicy};
use tokio::time::Instant;

use crate::follow::{SECOND, catch_up, changed, event, events, fake_with_events, new, shorts};
use crate::support::{self, builder, fake_with_logs};

#[tokio::test(start_paused = true)]
async fn what_cannot_be_followed_is_refused_before_anything_is_sent() {
    use actionlog::integration::LogsQuery;

    let server = fake_with_logs(3);
    let client = support::integration(&server);
    let all = client.logs().list(());
    let cursor = all.clone().collect().await.cursor.unwrap();
    let before = server.requests().len();
    let sorted = client.logs().list(LogsQuery::new().sort("status"));
    let refused = [
        (sorted.clone().follow(), "set `Listing::growth`"),
        (all.clone().max_items(3).follow(), "`max_items`"),
        (all.clone().max_pages(3).follow(), "`max_pages`"),
        (all.clone().start_offset(3).follow(), "`start_offset`"),
        (all.clone().since(chrono::Utc::now()).follow(), "`since`"),
        (all.clone().resume(cursor.clone()).follow(), "`resume`"),
        (all.clone().newer_than(cursor).follow(), "`newer_than`"),
        (all.clone().page_size(0).follow(), "page size"),
    ];
    for (mut follow, expected) in refused {
        let error = follow.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{expected}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(follow.next().await.is_none(), "{expected}");
    }
    assert_eq!(server.requests().len(), before);
    // Who knows better says so.
    let mut follow = sorted.growth(Growth::AtHead).follow();
    assert_eq!(follow.next().await.unwrap().unwrap().changes.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_poll_the_next_one_goes_on_and_a_wait_of_an_hour_is_kept() {
    let server = fake_with_events(30);
    let mut follow = events(&server);
    catch_up(&mut follow).await;
    server.unleash().add_raw("default", 1, event(31, "success"));
    server.fail_next(Fault::StatusWith {
        status: 503,
        headers: vec![("retry-after".into(), "3600".into())],
        body: "{}".into(),
    });
    let error = follow.next().await.unwrap().unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert_eq!(error.retry_after(), Some(3600 * SECOND));
    let (begin, before) = (Instant::now(), server.requests().len());
    assert_eq!(changed(&mut follow).await, ["+31"]);
    assert!(begin.elapsed() >= 3600 * SECOND, "{:?}", begin.elapsed());
    assert_eq!(server.requests().len() - before, 1);
}

#[tokio::test(start_paused = true)]
async fn try_next_returns_an_error_once_and_nothing_behind_the_end() {
    let server = fake_with_events(3);
    let mut follow = events(&server);
    server.fail_next(Fault::Status(503));
    assert!(follow.try_next().await.unwrap_err().is_transient());
    assert_eq!(shorts(&follow.try_next().await.unwrap().unwrap()), new((1..=3).rev()));
    server.before_each(|server| _ = server.fail_next(Fault::Status(404)));
    while !follow.try_next().await.is_err_and(|error| !error.is_transient()) {}
    assert!(follow.try_next().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_loop_goes_on_after_a_transient_error_and_ends_with_any_other() {
    let server = fake_with_events(3);
    let store = MemoryCheckpoints::new();
    server.fail_next(Fault::Status(503));
    let mut all = Vec::new();
    let result = events(&server)
        .run(&store, |batch| {
            all.extend(shorts(&batch));
            server.before_each(|server| _ = server.fail_next(Fault::Status(404)));
            async { Ok::<_, std::convert::Infallible>(()) }
        })
        .await;
    assert_eq!(all, new((1..=3).rev()));
    let Err(RunError::Follow(error)) = result else { panic!("{result:?}") };
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::NotFound, false));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_for_a_day_is_followed_again() {
    let server = fake_with_events(30);
    let mut follow = events(&server);
    catch_up(&mut follow).await;
    let away = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&away);
    server.before_each(move |server| {
        if flag.load(Ordering::Relaxed) {
            server.fail_next(Fault::Reset);
        }
    });
    let begin = Instant::now();
    let mut errors = 0;
    while begin.elapsed() < 86_400 * SECOND {
        let error = follow.next().await.unwrap().unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        errors += 1;
    }
    // Every 30 s, and not in a hot loop.
    assert!((2_800..2_900).contains(&errors), "{errors}");
    away.store(false, Ordering::Relaxed);
    server.unleash().add_raw("default", 1, event(31, "success"));
    assert_eq!(changed(&mut follow).await, ["+31"]);
}

#[tokio::test(start_paused = true)]
async fn a_401_ends_a_follower_at_first_and_later_only_after_ten_minutes() {
    let server = fake_with_events(3);
    server.unleash().accept_token("another");
    let mut follow = events(&server);
    let error = follow.next().await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Unauthorized, false));
    assert!(follow.next().await.is_none());

    let server = fake_with_events(3);
    for (set, least, most) in [(None, 600, 632), (Some(60 * SECOND), 60, 95)] {
        let mut follow = events(&server);
        if let Some(time) = set {
            follow = follow.auth_grace(time);
        }
        catch_up(&mut follow).await;
        server.before_each(|server| _ = server.fail_next(Fault::Status(401)));
        // Until the first poll that fails.
        let first = follow.next().await.unwrap().unwrap_err();
        assert!(first.is_transient());
        let begin = Instant::now();
        let last = loop {
            let error = follow.next().await.unwrap().unwrap_err();
            if !error.is_transient() {
                break error;
            }
        };
        assert_eq!(last.kind(), ErrorKind::Unauthorized);
        assert!((least..=most).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
        assert!(follow.next().await.is_none());
        server.before_each(|_| {});
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_the_stream_behind_a_whole_batch() {
    let server = fake_with_events(120);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut follow = events(&server).shutdown_on(async { drop(stopped.await) });
    let first = follow.next().await.unwrap().unwrap();
    assert_eq!(first.changes.len(), 50);
    drop(stop);
    assert!(follow.next().await.is_none());
    assert!(follow.next().await.is_none());
    // The next run goes on behind that batch.
    let mut follow = events(&server).start_from(StartFrom::Checkpoint(first.checkpoint));
    assert_eq!(catch_up(&mut follow).await, new((1..=70).rev()));
    // In the middle of a wait, it ends at once.
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut follow = events(&server).poll_interval(3600 * SECOND).shutdown_on(async { drop(stopped.await) });
    catch_up(&mut follow).await;
    let begin = Instant::now();
    tokio::spawn(async move {
        tokio::time::sleep(SECOND).await;
        drop(stop);
    });
    assert!(follow.next().await.is_none());
    assert_eq!(begin.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn dropping_next_loses_nothing_and_dropping_the_follower_ends_its_requests() {
    let server = fake_with_events(120);
    let client = builder("http://localhost").http_client(server.http_client().latency(SECOND)).build().unwrap();
    let mut follow = client.action_set_events().list(("default", 1)).follow();
    let mut changes = Vec::new();
    while changes.len() < 120 {
        if let Ok(batch) = tokio::time::timeout(Duration::from_millis(70), follow.next()).await {
            changes.extend(shorts(&batch.unwrap().unwrap()));
        }
    }
    assert_eq!(changes, new((1..=120).rev()));
    let requests = server.requests().len();
    assert!(requests <= 8, "{requests}");
    drop(follow);
    tokio::time::sleep(600 * SECOND).await;
    assert_eq!(server.requests().len(), requests);
}

#[tokio::test(start_paused = true)]
async fn errors_beside_records_are_reported_and_remove_nothing() {
    let server = FakeServer::new();
    server.arklow().add_sample_records("4711", 60);
    let client = ArklowClient::builder("4711").api_key("any").http_client(server.http_client());
    let client = client.retry(RetryPolicy::never()).build().unwrap();
    let mut follow = client.records().list(()).follow();
    while !follow.next().await.unwrap().unwrap().progress.caught_up {}
    server.arklow().trouble("E1", "a shard is away");
    let hidden = server.arklow().log("4711").remove(20).unwrap();
    let (mut errors, begin) = (0, Instant::now());
    while begin.elapsed() < 600 * SECOND {
        match follow.next().await.unwrap() {
            Ok(batch) => assert!(batch.changes.is_empty(), "{batch:?}"),
            Err(error) => {
                assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Partial, true));
                errors += 1;
            }
        }
    }
    assert_eq!(errors, 1, "the same errors are reported once");
    server.arklow().clear_trouble();
    server.arklow().log("4711").insert_raw(20, hidden);
    for _ in 0..20 {
        assert!(follow.next().await.unwrap().unwrap().changes.is_empty());
    }
}
