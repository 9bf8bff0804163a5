//! Logs and settings that a timeline mustn't trip over: endless waits, errors in a row, runtimes that have ended.

use std::time::Duration;

use actionlog::follow::{Change, StartFrom};
use actionlog::page::{Cause, Doubt, Verdict};
use actionlog::testing::{FakeServer, Fault, models, sample};
use actionlog::timeline::{Live, LogState, OnError, Order, Timeline};
use actionlog::{AnyRecord, ErrorKind, IntegrationClient, LogRecord, Result};
use chrono::{TimeDelta, Utc};
use futures_util::{FutureExt, StreamExt, stream};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, advance, timeout};

use crate::timeline::live::{live, record};
use crate::timeline::merge::{Custom, at};
use crate::timeline::{arklow, integration, samples, unleash};

fn custom(time: i64) -> Result<Custom> {
    Ok(Custom { log: 0, number: 0, time: Some(time) })
}

#[tokio::test(start_paused = true)]
async fn the_longest_wait_is_no_limit_and_no_panic() {
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let mut timeline = Timeline::<Custom>::with_order(order)
            .stream("silent", stream::pending::<Result<Custom>>(), None)
            .live("silent too", stream::pending::<Result<Live<Custom>>>())
            .stream("one", stream::iter([custom(1)]), None)
            .max_wait(Duration::MAX);
        assert!(timeout(Duration::from_secs(3_600), timeline.next()).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_keeps_failing_is_waited_for_once_however_many_errors_it_has() {
    let (server, down) = (samples(50), FakeServer::new());
    down.before_each(|server| {
        server.fail_next(Fault::Status(503));
    });
    let mut timeline = Timeline::newest_first()
        .scan("flags", unleash(server.http_client()).action_set_events().list(("default", 7)))
        .scan("down", integration(down.http_client()).logs().list(()))
        .on_error(OnError::Wait)
        .max_wait(Duration::from_secs(10));
    let began = Instant::now();
    let mut records = 0;
    while records < 50 {
        records += i32::from(timeline.next().await.unwrap().is_ok());
    }
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(timeline.summary().log("down").unwrap().state, LogState::LeftBehind);
}

#[tokio::test(start_paused = true)]
async fn a_handle_counts_how_long_a_timeline_waits_although_nobody_polls_it() {
    let mut timeline = Timeline::<Custom>::with_order(Order::NewestFirst)
        .stream("silent", stream::pending::<Result<Custom>>(), None)
        .stream("one", stream::iter([custom(1)]), None);
    let handle = timeline.handle();
    assert!(timeline.next().now_or_never().is_none());
    advance(Duration::from_secs(7)).await;
    let summary = handle.summary();
    assert_eq!(summary.log("silent").unwrap().waited, Some(Duration::from_secs(7)));
    assert!(summary.to_string().contains("waiting for it for 7 s"), "{summary}");
}

#[tokio::test]
async fn a_stream_without_a_summary_that_ended_with_an_error_is_incomplete() {
    let failed = || Err(models::error(ErrorKind::Forbidden));
    for (entries, verdict) in [
        (vec![failed()], Verdict::Incomplete(Cause::Failed)),
        (vec![custom(2), failed()], Verdict::Incomplete(Cause::Failed)),
        (vec![failed(), custom(2)], Verdict::Unverified(Doubt::NoTotal)),
        (vec![], Verdict::Unverified(Doubt::NoTotal)),
    ] {
        let mut timeline = Timeline::<Custom>::with_order(Order::NewestFirst).stream("a", stream::iter(entries), None);
        while timeline.next().await.is_some() {}
        assert_eq!(timeline.summary().verdict, verdict, "{}", timeline.summary());
    }
    // So is a follower that was refused.
    let server = samples(3);
    server.fail_next(Fault::Status(403));
    let follow = integration(server.http_client()).logs().list(()).follow();
    let mut timeline = Timeline::<Change<AnyRecord>>::with_order(Order::OldestFirst).follow("shop", follow);
    assert_eq!(timeline.next().await.unwrap().unwrap_err().kind(), ErrorKind::Forbidden);
    assert!(timeline.next().await.is_none());
    assert_eq!(timeline.summary().verdict, Verdict::Incomplete(Cause::Failed));
}

#[tokio::test(start_paused = true)]
async fn a_live_log_that_is_well_again_is_waited_for() {
    let ((a, from_a), (b, from_b)) = (live(), live());
    let mut timeline = Timeline::<Custom>::with_order(Order::OldestFirst).live("a", from_a).live("b", from_b);
    b.send(Err(models::error(ErrorKind::Timeout))).unwrap();
    assert_eq!(timeline.next().await.unwrap().unwrap_err().log(), Some("b"));
    assert_eq!(timeline.summary().log("b").unwrap().state, LogState::LeftBehind);
    a.send(record(0, 100)).unwrap();
    assert!(timeline.next().now_or_never().is_some());
    // It says how far it is, so it hasn't failed any more.
    b.send(Ok(Live::Reached(at(100)))).unwrap();
    assert!(timeline.next().now_or_never().is_none());
    assert_eq!(timeline.summary().log("b").unwrap().state, LogState::Ready);
    a.send(record(0, 110)).unwrap();
    assert!(timeline.next().now_or_never().is_none());
    b.send(record(1, 105)).unwrap();
    assert_eq!(timeline.next().now_or_never().unwrap().unwrap().unwrap().1.time, Some(105));
}

#[tokio::test(start_paused = true)]
async fn live_records_of_the_same_time_come_in_the_order_of_the_logs() {
    // Whichever comes first, and though the other log has reached that time.
    for first in [0, 1] {
        let ((a, from_a), (b, from_b)) = (live(), live());
        let mut timeline = Timeline::<Custom>::with_order(Order::OldestFirst).live("a", from_a).live("b", from_b);
        a.send(Ok(Live::Reached(at(100)))).unwrap();
        b.send(Ok(Live::Reached(at(100)))).unwrap();
        let mut order = Vec::new();
        for log in [first, 1 - first] {
            [&a, &b][log].send(record(log, 100)).unwrap();
            order.extend(timeline.next().now_or_never().map(|it| it.unwrap().unwrap().1.log));
        }
        // The first log may have another record of that time, so the second one's waits.
        if order.len() < 2 {
            order.push(timeline.next().await.unwrap().unwrap().1.log);
        }
        assert_eq!(order, [0, 1], "{first} came first");
    }
}

#[tokio::test]
async fn a_live_log_that_says_nothing_but_how_far_it_is_lets_others_run() {
    let chatty = stream::iter(0..).map(|second| Ok::<_, actionlog::Error>(Live::<Custom>::Reached(at(second))));
    let mut timeline = Timeline::<Custom>::with_order(Order::OldestFirst)
        .live("chatty", chatty.take(10_000_000))
        .stream("one", stream::iter([custom(1_000)]), None);
    assert_eq!(timeline.next().await.unwrap().unwrap().1.time, Some(1_000));
    assert!(!timeline.summary().logs[0].state.eq(&LogState::Ended));
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn what_waits_in_a_runtime_that_has_ended_goes_on_in_another() {
    let mut timeline = Timeline::<Custom>::with_order(Order::NewestFirst)
        .stream("silent", stream::pending::<Result<Custom>>(), None)
        .stream("one", stream::iter([custom(1)]), None)
        .max_wait(Duration::from_millis(300));
    let server = samples(3);
    let shop = integration(server.http_client()).logs().list(());
    let mut follow = shop.follow().start_from(StartFrom::Latest).poll_interval(Duration::from_millis(300));
    let ended = runtime();
    ended.block_on(async {
        assert!(timeout(Duration::from_millis(20), timeline.next()).await.is_err());
        while timeout(Duration::from_millis(100), follow.next()).await.is_ok() {}
    });
    drop(ended);
    // In the background runtime.
    assert_eq!(timeline.blocking().next().unwrap().unwrap().1.time, Some(1));
    server.integration().add_sample_logs(1);
    let mut batches = follow.blocking();
    let changes = batches.by_ref().map(|it| it.unwrap().changes).find(|it| !it.is_empty());
    assert_eq!(changes.unwrap().len(), 1);
    runtime().block_on(async move { drop(batches) });
}

#[tokio::test]
async fn a_scan_without_the_state_is_resumed_by_a_timeline_that_requests_it() {
    let server = samples(120);
    let listing = arklow(server.http_client()).records().list(());
    let mut records = listing.clone().items().with_cursor();
    let mut cursor = None;
    for _ in 0..30 {
        cursor = Some(records.try_next().await.unwrap().unwrap().1);
    }
    let mut timeline = Timeline::newest_first().scan("refunds", listing.resume(cursor.unwrap()));
    let mut rest = 0;
    while let Some((_, record)) = timeline.try_next().await.unwrap() {
        assert!(record.timestamp().is_some());
        rest += 1;
    }
    assert!(timeline.summary().log("refunds").unwrap().requested_timestamps);
    assert_eq!(rest, 90);
}

#[tokio::test(start_paused = true)]
async fn pages_of_new_records_of_two_followers_come_in_the_order_of_time() {
    let server = samples(5);
    let shop = integration(server.http_client()).logs().list(()).page_size(20).follow();
    let flags = unleash(server.http_client()).action_set_events().list(("default", 7)).page_size(20).follow();
    let mut timeline = Timeline::<Change<AnyRecord>>::with_order(Order::OldestFirst)
        .follow("shop", shop.start_from(StartFrom::Latest))
        .follow("flags", flags.start_from(StartFrom::Latest))
        .max_wait(Duration::from_secs(120));
    assert!(timeout(Duration::from_secs(20), timeline.next()).await.is_err());
    server.integration().add_sample_logs(130);
    server.unleash().add_sample_events("default", 7, 130);
    let mut times = Vec::new();
    for _ in 0..260 {
        let (_, change) = timeline.next().await.unwrap().unwrap();
        times.push(change.record().unwrap().timestamp().unwrap().time);
    }
    let summary = timeline.summary();
    assert!(times.is_sorted(), "{summary}");
    assert_eq!(summary.logs.iter().map(|it| it.out_of_order).sum::<u64>(), 0);
}

/// A log with a record of this time, in seconds from now.
fn log_text(id: &str, seconds: i64) -> String {
    let mut log = sample::action_logs(1).remove(0);
    log["_id"] = id.into();
    log["createdAt"] = (Utc::now() + TimeDelta::seconds(seconds)).to_rfc3339().into();
    log.to_string()
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_saw_a_time_far_in_the_future_still_holds_back_the_others() {
    let (one, other) = (samples(5), samples(5));
    one.integration().add_raw(log_text("far", 2_000_000_000));
    let follow =
        |server: &FakeServer| integration(server.http_client()).logs().list(()).follow().start_from(StartFrom::Latest);
    let mut timeline = Timeline::<Change<AnyRecord>>::with_order(Order::OldestFirst)
        .follow("one", follow(&one))
        .follow("other", follow(&other))
        // Longer than the longest wait between two polls, whatever their jitter, from the first of these times on.
        .max_wait(Duration::from_secs(180));
    assert!(timeout(Duration::from_secs(20), timeline.next()).await.is_err());
    other.integration().add_raw(log_text("late", 900));
    // Both have been polled, and the one may still have an earlier record.
    assert!(timeout(Duration::from_secs(40), timeline.next()).await.is_err());
    one.integration().add_raw(log_text("early", 800));
    let ids = [timeline.next().await, timeline.next().await].map(|it| it.unwrap().unwrap().1.into_record().unwrap());
    assert_eq!(ids.map(|it| it.key().to_string()), ["early", "late"]);
}

/// With the client's own retries and timeouts.
#[tokio::test(start_paused = true)]
async fn a_log_that_fails_or_never_responds_holds_up_the_others_once_at_most_for_a_timeout() {
    for (fault, seconds) in [(Fault::Status(503), 0..=5), (Fault::Reset, 0..=5), (Fault::Hang, 120..=120)] {
        let (server, down) = (samples(50), FakeServer::new());
        let shown = format!("{fault:?}");
        down.before_each(move |server| {
            server.fail_next(fault.clone());
        });
        let client = IntegrationClient::builder("http://localhost").api_key("any");
        let client = client.http_client(down.http_client()).build().unwrap();
        let mut timeline = Timeline::newest_first()
            .scan("flags", unleash(server.http_client()).action_set_events().list(("default", 7)))
            .scan("down", client.logs().list(()));
        let began = Instant::now();
        let mut records = 0;
        while records < 50 {
            records += i32::from(timeline.next().await.unwrap().is_ok());
        }
        let took = began.elapsed().as_secs();
        assert!(seconds.contains(&took), "{shown}: {took} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_is_well_again_has_not_failed() {
    let server = samples(3);
    let follow = integration(server.http_client()).logs().list(()).follow().start_from(StartFrom::Latest);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let follow = follow.shutdown_on(async { drop(stopped.await) });
    let mut timeline = Timeline::<Change<AnyRecord>>::with_order(Order::OldestFirst).follow("shop", follow);
    assert!(timeout(Duration::from_secs(60), timeline.next()).await.is_err());
    (0..4).for_each(|_| {
        server.fail_next(Fault::Status(503));
    });
    let error = timeout(Duration::from_secs(600), timeline.next()).await.unwrap().unwrap().unwrap_err();
    assert_eq!((error.kind(), timeline.summary().logs[0].failed), (ErrorKind::Server, true));
    // The log is quiet: no record says that it is well again.
    while let Ok(entry) = timeout(Duration::from_secs(600), timeline.next()).await {
        assert_eq!(entry.unwrap().unwrap_err().kind(), ErrorKind::Server);
    }
    assert!(!timeline.summary().logs[0].failed);
    stop.send(()).unwrap();
    assert!(timeline.next().await.is_none());
    assert!(!timeline.summary().verdict.is_incomplete(), "{}", timeline.summary());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_refused_and_never_ends_holds_up_nobody() {
    for on_error in [OnError::GoOn, OnError::Wait] {
        let refused = stream::iter([Err(models::error(ErrorKind::Forbidden))]).chain(stream::pending());
        let mut timeline = Timeline::<Custom>::with_order(Order::NewestFirst)
            .stream("refused", refused, None)
            .stream("one", stream::iter([custom(2), custom(1)]), None)
            .on_error(on_error);
        let next = async |timeline: &mut Timeline<Custom>| timeout(Duration::from_secs(3_600), timeline.next()).await;
        assert_eq!(next(&mut timeline).await.unwrap().unwrap().unwrap_err().log(), Some("refused"));
        for time in [2, 1] {
            assert_eq!(next(&mut timeline).await.unwrap().unwrap().unwrap().1.time, Some(time), "{on_error:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn errors_of_a_log_come_in_their_order() {
    let (log, from_log) = live();
    let mut timeline = Timeline::<Custom>::with_order(Order::OldestFirst).live("a", from_log);
    let kinds = [ErrorKind::Timeout, ErrorKind::Server, ErrorKind::Connect];
    kinds.into_iter().for_each(|kind| log.send(Err(models::error(kind))).unwrap());
    for kind in kinds {
        assert_eq!(timeline.next().await.unwrap().unwrap_err().kind(), kind);
    }
}

#[tokio::test(start_paused = true)]
async fn a_live_log_that_is_not_waited_for_any_more_is_said_to_be_left_behind() {
    let ((a, from_a), (_b, from_b)) = (live(), live());
    let mut timeline = Timeline::<Custom>::with_order(Order::OldestFirst).live("a", from_a).live("silent", from_b);
    a.send(record(0, 1)).unwrap();
    assert!(timeline.next().now_or_never().is_none());
    assert_eq!(timeline.summary().waiting_for().collect::<Vec<_>>(), ["silent"]);
    assert!(timeline.next().await.unwrap().is_ok());
    assert_eq!(timeline.summary().log("silent").unwrap().state, LogState::LeftBehind);
    assert_eq!(timeline.summary().waiting_for().count(), 0);
    // The next record waits for it again.
    a.send(record(0, 2)).unwrap();
    assert!(timeline.next().now_or_never().is_none());
    assert_eq!(timeline.summary().waiting_for().collect::<Vec<_>>(), ["silent"]);
}
