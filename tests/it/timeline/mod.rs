//! Several logs as one stream: the order, what one log does to the others, and what the timeline says about itself.

mod live;
mod merge;
mod trouble;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actionlog::arklow::RecordsQuery;
use actionlog::observe::Event;
use actionlog::page::{Cause, Doubt, Proof, Raw, Verdict};
use actionlog::record::LogRecord;
use actionlog::testing::{FakeServer, Fault, InMemory};
use actionlog::timeline::{LogState, OnError, Order, Timeline};
use actionlog::{AnyRecord, ArklowClient, Error, ErrorKind, IntegrationClient, RetryPolicy, UnleashClient};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout};

use crate::support::log_text;

fn arklow(server: InMemory) -> ArklowClient {
    ArklowClient::builder("4711").api_key("any").http_client(server).retry(RetryPolicy::never()).build().unwrap()
}

fn unleash(server: InMemory) -> UnleashClient {
    let client = UnleashClient::builder("http://localhost").api_key("any").http_client(server);
    client.retry(RetryPolicy::never()).build().unwrap()
}

fn integration(server: InMemory) -> IntegrationClient {
    let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(server);
    client.retry(RetryPolicy::never()).build().unwrap()
}

/// A fake with so many samples in each log.
fn samples(records: usize) -> FakeServer {
    let server = FakeServer::new();
    server.arklow().add_sample_records("4711", records);
    server.integration().add_sample_logs(records);
    server.unleash().add_sample_events("default", 7, records);
    server
}

/// A timeline of the three logs of a fake.
fn three(server: &FakeServer) -> Timeline {
    Timeline::newest_first()
        .scan("refunds", arklow(server.http_client()).records().list(()))
        .scan("shop", integration(server.http_client()).logs().list(()))
        .scan("flags", unleash(server.http_client()).action_set_events().list(("default", 7)))
}

async fn all(timeline: &mut Timeline) -> (Vec<(Arc<str>, AnyRecord)>, Vec<Error>) {
    let (mut records, mut errors) = (Vec::new(), Vec::new());
    while let Some(entry) = timeline.next().await {
        match entry {
            Ok(entry) => records.push(entry),
            Err(error) => errors.push(error),
        }
    }
    (records, errors)
}

#[tokio::test]
async fn three_logs_come_as_one_by_time_with_the_worst_of_their_verdicts() {
    let server = samples(120);
    let mut timeline = three(&server);
    assert_eq!(timeline.summary().verdict, Verdict::Incomplete(Cause::NotFinished));
    let (records, errors) = all(&mut timeline).await;
    assert_eq!((records.len(), errors.len()), (360, 0));
    let times: Vec<_> = records.iter().map(|(_, it)| it.timestamp().unwrap().time).collect();
    let summary = timeline.summary();
    // The samples of Arklow are listed by their creation, and their time is their last change.
    let out_of_order = summary.logs.iter().map(|it| it.out_of_order).sum::<u64>();
    let mut reached = times[0];
    let late = times.iter().filter(|it| {
        reached = reached.min(**it);
        **it > reached
    });
    assert_eq!(late.count() as u64, out_of_order);
    assert!(out_of_order < 40, "{out_of_order}");
    assert!(summary.logs.iter().all(|it| it.state == LogState::Ended && it.delivered == 120));
    assert_eq!(summary.verdict, summary.logs.iter().map(|it| it.verdict()).reduce(Verdict::worse).unwrap());
    assert!(matches!(summary.verdict, Verdict::Unverified(_)), "{}", summary.verdict);
    assert_eq!(summary.log("flags").unwrap().scan.as_ref().unwrap().verdict, Verdict::Unverified(Doubt::NoTotal));
}

#[tokio::test]
async fn a_timeline_of_verified_scans_is_complete() {
    let server = samples(60);
    let mut timeline = Timeline::newest_first()
        .scan("refunds", arklow(server.http_client()).records().list(()).verify())
        .scan("shop", integration(server.http_client()).logs().list(()).verify())
        .scan("flags", unleash(server.http_client()).action_set_events().list(("default", 7)).verify());
    let (records, errors) = all(&mut timeline).await;
    assert_eq!((records.len(), errors.len()), (180, 0));
    assert_eq!(timeline.summary().verdict, Verdict::Complete(Proof::SecondScan));
}

#[tokio::test]
async fn arklows_state_is_requested_for_its_time_and_the_timeline_says_so() {
    let server = samples(60);
    let mut timeline = three(&server);
    assert!(timeline.summary().log("refunds").unwrap().requested_timestamps);
    let (records, _) = all(&mut timeline).await;
    assert!(records.iter().all(|(_, it)| it.timestamp().is_some()));
    let asked = |server: &FakeServer| {
        let requests = server.requests();
        requests.iter().filter(|it| it.path.contains("records")).all(|it| it.parameter("include_state").is_some())
    };
    assert!(asked(&server));
    let shown = timeline.summary().to_string();
    assert!(shown.lines().next().unwrap().starts_with("refunds: 60 records, unverified: "), "{shown}");
    assert!(shown.contains("their state was requested"), "{shown}");

    // Nothing is changed in a query that has it, and in those of the other logs; raw JSON changes nothing.
    let client = arklow(server.http_client());
    let mut timeline = Timeline::<Raw<AnyRecord>>::with_order(Order::NewestFirst)
        .scan("asked", client.records().list(RecordsQuery::new().include_state()).with_raw())
        .scan("not asked", client.records().list(()).with_raw())
        .scan("flags", unleash(server.http_client()).action_set_events().list(("default", 7)).with_raw());
    let requested: Vec<_> = timeline.summary().logs.iter().map(|it| it.requested_timestamps).collect();
    assert_eq!(requested, [false, true, false]);
    while let Some((log, record)) = timeline.try_next().await.unwrap() {
        assert_eq!(record.source(), if &*log == "flags" { "unleash" } else { "arklow" });
        assert!(record.raw().as_str().contains(&record.key().to_string()));
    }
    assert!(asked(&server));
}

#[tokio::test]
async fn no_more_than_a_page_of_each_log_is_held() {
    let server = samples(200);
    let received = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&received);
    let observe = move |event: &Event<'_>| {
        if let Event::PageRead(page) = event {
            count.fetch_add(page.new, Ordering::SeqCst);
        }
    };
    let integration = IntegrationClient::builder("http://localhost").api_key("any").http_client(server.http_client());
    let integration = integration.observer(observe.clone()).build().unwrap();
    let unleash = UnleashClient::builder("http://localhost").api_key("any").http_client(server.http_client());
    let unleash = unleash.observer(observe.clone()).build().unwrap();
    let arklow = ArklowClient::builder("4711").api_key("any").http_client(server.http_client());
    let arklow = arklow.observer(observe).build().unwrap();
    let mut timeline = Timeline::newest_first()
        .scan("a", integration.logs().list(()).page_size(10))
        .scan("b", unleash.action_set_events().list(("default", 7)).page_size(10))
        .scan("c", arklow.records().list(()).page_size(10));
    let (mut delivered, mut most) = (0, 0);
    while timeline.try_next().await.unwrap().is_some() {
        most = most.max(received.load(Ordering::SeqCst) - delivered);
        delivered += 1;
    }
    assert_eq!(delivered, 600);
    assert!((20..=30).contains(&most), "{most} records of 3 logs with pages of 10");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_keeps_failing_holds_up_nobody_and_its_errors_have_its_name() {
    let (server, down) = (samples(50), FakeServer::new());
    down.before_each(|server| {
        server.fail_next(Fault::Status(503));
    });
    let mut timeline = three(&server).scan("down", integration(down.http_client()).logs().list(()));
    let began = Instant::now();
    let (mut records, mut errors) = (0, Vec::new());
    while let Some(entry) = timeline.next().await {
        match entry {
            Ok((log, _)) => {
                assert_ne!(&*log, "down");
                records += 1;
                assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
                if records == 100 {
                    assert_eq!(timeline.summary().log("down").unwrap().state, LogState::LeftBehind);
                }
            }
            Err(error) => errors.push(error),
        }
    }
    assert_eq!((records, errors.len()), (150, 30));
    for error in &errors {
        assert_eq!((error.log(), error.kind()), (Some("down"), ErrorKind::Server));
        assert!(error.to_string().starts_with("down: "), "{error}");
        assert!(format!("{error:?}").contains(r#"log: "down""#));
    }
    let summary = timeline.summary();
    let down = summary.log("down").unwrap();
    assert_eq!((summary.verdict, down.errors, down.state), (Verdict::Incomplete(Cause::Failed), 30, LogState::Ended));
}

#[tokio::test(start_paused = true)]
async fn a_log_that_recovers_comes_late_or_is_waited_for() {
    for (on_error, late) in [(OnError::GoOn, true), (OnError::Wait, false)] {
        let (server, shaky) = (samples(120), samples(120));
        let listing = integration(shaky.http_client()).logs().list(()).page_size(20).prefetch(1);
        let mut timeline = Timeline::newest_first()
            .scan("flags", unleash(server.http_client()).action_set_events().list(("default", 7)))
            .scan("shaky", listing)
            .on_error(on_error);
        // Its second page fails once.
        for _ in 0..10 {
            timeline.next().await.unwrap().unwrap();
        }
        shaky.fail_next(Fault::Status(503));
        let (records, errors) = all(&mut timeline).await;
        assert_eq!((records.len(), errors.len()), (230, 1));
        let out_of_order = timeline.summary().log("shaky").unwrap().out_of_order;
        assert_eq!(out_of_order > 0, late, "{on_error:?}: {out_of_order}");
    }
}

#[tokio::test]
async fn logs_that_are_empty_refused_or_cut_end_alone() {
    let server = samples(40);
    server.fail_next_at("/api/admin/projects/default/actions/9/events", Fault::Status(403));
    server.unleash().add_raw("default", 7, r#"{"id": "none"}"#);
    let flags = unleash(server.http_client());
    let mut timeline = Timeline::newest_first()
        .scan("empty", flags.action_set_events().list(("default", 8)))
        .scan("refused", flags.action_set_events().list(("default", 9)))
        .scan("cut", integration(server.http_client()).logs().list(()).max_items(5))
        .scan("flags", flags.action_set_events().list(("default", 7)));
    let (records, errors) = all(&mut timeline).await;
    assert_eq!(records.len(), 45);
    let mut named: Vec<_> = errors.iter().map(|it| (it.log().unwrap(), it.kind())).collect();
    named.sort_by_key(|it| it.0);
    assert_eq!(named, [("flags", ErrorKind::InvalidRecord), ("refused", ErrorKind::Forbidden)]);
    let summary = timeline.summary();
    let verdict = |log: &str| summary.log(log).unwrap().verdict();
    assert_eq!(verdict("refused"), Verdict::Incomplete(Cause::Failed));
    assert_eq!(verdict("cut"), Verdict::Incomplete(Cause::MaxItems));
    assert!(!verdict("empty").is_incomplete() && !verdict("flags").is_incomplete());
    // Of two that are equally bad, the first.
    assert_eq!(summary.verdict, verdict("refused"));
    assert_eq!((summary.log("flags").unwrap().invalid, summary.log("flags").unwrap().errors), (1, 0));

    // Without logs there is nothing, and nothing is claimed.
    let mut nothing = Timeline::newest_first();
    assert!(nothing.next().await.is_none());
    assert!(nothing.summary().verdict.is_incomplete());
}

#[tokio::test(start_paused = true)]
async fn a_slow_log_is_waited_for_and_said_to_be_and_only_as_long_as_set() {
    let (server, slow) = (samples(30), FakeServer::new());
    slow.integration().add_raw(log_text(1));
    let slow = || integration(slow.http_client().latency(Duration::from_secs(20)));
    let flags = || unleash(server.http_client()).action_set_events().list(("default", 7));
    let began = Instant::now();
    let mut timeline = Timeline::newest_first().scan("flags", flags()).scan("slow", slow().logs().list(()));
    let handle = timeline.handle();
    assert!(timeout(Duration::from_secs(5), timeline.next()).await.is_err());
    let summary = handle.summary();
    assert_eq!(summary.waiting_for().collect::<Vec<_>>(), ["slow"]);
    assert_eq!((summary.log("flags").unwrap().state, summary.delivered()), (LogState::Ready, 0));
    assert!(timeline.next().await.unwrap().is_ok());
    assert_eq!(began.elapsed().as_secs(), 20);
    // The record without a time came first, from the log that was slow.
    assert_eq!((handle.summary().waiting_for().count(), handle.summary().log("slow").unwrap().untimed), (0, 1));

    let began = Instant::now();
    let mut timeline = Timeline::newest_first().scan("flags", flags()).scan("slow", slow().logs().list(()));
    timeline = timeline.max_wait(Duration::from_secs(3));
    for _ in 0..30 {
        timeline.next().await.unwrap().unwrap();
    }
    // It is waited for once, not once a record.
    assert_eq!(began.elapsed().as_secs(), 3);
    assert_eq!(timeline.summary().log("slow").unwrap().state, LogState::LeftBehind);
    assert_eq!(&*timeline.next().await.unwrap().unwrap().0, "slow");
    assert!(timeline.next().await.is_none());
}

#[test]
fn a_timeline_can_be_moved_between_threads_and_blocks_where_there_is_no_runtime() {
    let server = samples(30);
    let timeline = three(&server);
    let records = std::thread::spawn(move || {
        let mut timeline = timeline.blocking();
        let records = (&mut timeline).map(Result::unwrap).fold(0, |records, _| records + 1);
        (records, timeline.summary().delivered())
    });
    assert_eq!(records.join().unwrap(), (90, 90));
}

#[tokio::test]
async fn a_stream_takes_its_verdict_from_the_handle_of_its_scan() {
    let server = samples(30);
    let client = integration(server.http_client());
    let (logs, summary) = client.logs().list(()).items().summarised();
    let mut timeline = Timeline::newest_first()
        .stream(
            "half",
            logs.enumerate().filter_map(|(index, it)| async move { (index % 2 == 0).then_some(it) }),
            summary,
        )
        .stream("custom", client.logs().list(()).items(), None);
    let (records, _) = all(&mut timeline).await;
    assert_eq!(records.len(), 45);
    let summary = timeline.summary();
    assert_eq!(summary.log("half").unwrap().scan.as_ref().unwrap().delivered, 30);
    assert_eq!(summary.log("custom").unwrap().verdict(), Verdict::Unverified(Doubt::NoTotal));
}
