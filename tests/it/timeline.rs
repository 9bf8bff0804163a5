//! Several logs as one stream: the order, what one log does to the others, and what the timeline says about itself.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use actionlog::arklow::RecordsQuery;
use actionlog::observe::Event;
use actionlog::page::{Cause, Doubt, Proof, Raw, Verdict};
use actionlog::record::{Ident, LogRecord, TimeMeaning, Timestamp};
use actionlog::testing::{FakeServer, Fault, InMemory, models};
use actionlog::timeline::{Live, LogState, OnError, Order, Timeline};
use actionlog::{AnyRecord, ArklowClient, Error, ErrorKind, IntegrationClient, Result, RetryPolicy, UnleashClient};
use chrono::{DateTime, Utc};
use futures_util::{FutureExt, Stream, StreamExt, stream};
use proptest::prelude::*;
use tokio::time::{Instant, timeout};

use crate::support::log_text;

/// A record of a custom log: its log, its number in the log, and its time in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Custom {
    log: usize,
    number: usize,
    time: Option<i64>,
}

impl LogRecord for Custom {
    fn source(&self) -> &str {
        "custom"
    }

    fn key(&self) -> Ident<'_> {
        (self.number as i64).into()
    }

    fn timestamp(&self) -> Option<Timestamp> {
        self.time.map(|it| Timestamp::new(at(it), TimeMeaning::Created))
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

/// The records of the logs with these times.
fn logs(times: &[Vec<Option<i64>>]) -> Vec<Vec<Custom>> {
    let log = |(log, times): (usize, &Vec<Option<i64>>)| {
        times.iter().enumerate().map(|(number, time)| Custom { log, number, time: *time }).collect()
    };
    times.iter().enumerate().map(log).collect()
}

/// Yields its records, each after this number of pending polls.
struct Halting {
    records: VecDeque<Custom>,
    halts: VecDeque<u8>,
    taken: Arc<AtomicUsize>,
}

impl Stream for Halting {
    type Item = Result<Custom>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(halts) = self.halts.front_mut() {
            if *halts > 0 {
                *halts -= 1;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.halts.pop_front();
        }
        let record = self.records.pop_front();
        self.taken.fetch_add(usize::from(record.is_some()), Ordering::SeqCst);
        Poll::Ready(record.map(Ok))
    }
}

/// Merges the logs, and returns the records, and the most that were taken from the logs and not yielded yet.
fn merge(order: Order, logs: &[Vec<Custom>], halts: &[u8]) -> (Vec<Custom>, usize) {
    let taken = Arc::new(AtomicUsize::new(0));
    let mut timeline = Timeline::<Custom>::with_order(order);
    for (index, records) in logs.iter().enumerate() {
        let halts = halts.iter().cycle().skip(index * 7).take(if halts.is_empty() { 0 } else { records.len() + 1 });
        let (records, halts) = (records.iter().copied().collect(), halts.copied().collect());
        let stream = Halting { records, halts, taken: Arc::clone(&taken) };
        timeline = timeline.stream(format!("log {index}"), stream, None);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut merged, mut most) = (Vec::new(), 0);
        while let Some((name, record)) = timeline.try_next().await.unwrap() {
            assert_eq!(&*name, format!("log {}", record.log));
            most = most.max(taken.load(Ordering::SeqCst) - merged.len());
            merged.push(record);
        }
        assert_eq!(timeline.summary().delivered(), merged.len() as u64);
        (merged, most)
    })
}

fn some_logs() -> impl Strategy<Value = Vec<Vec<Option<i64>>>> {
    // Few different times, so that many records have the same.
    let time = prop_oneof![1 => Just(None), 8 => (0_i64..30).prop_map(Some)];
    prop::collection::vec(prop::collection::vec(time, 0..25), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_merge_holds_every_record_once_in_the_order_of_its_log(
        times in some_logs(), halts in prop::collection::vec(0_u8..4, 0..20), newest in any::<bool>(),
    ) {
        let order = if newest { Order::NewestFirst } else { Order::OldestFirst };
        let logs = logs(&times);
        let (merged, most) = merge(order, &logs, &halts);
        for (index, log) in logs.iter().enumerate() {
            let of_log: Vec<_> = merged.iter().filter(|it| it.log == index).copied().collect();
            prop_assert_eq!(&of_log, log);
        }
        prop_assert_eq!(merged.len(), logs.iter().map(Vec::len).sum::<usize>());
        // One of each log, and no more, whatever the times.
        prop_assert!(most <= logs.len(), "{} of {} logs", most, logs.len());
        // Which log is faster changes nothing.
        prop_assert_eq!(&merged, &merge(order, &logs, &[]).0);
        // A record without a time comes directly behind the one before it in its log.
        for (index, record) in merged.iter().enumerate() {
            if record.time.is_none() && record.number > 0 {
                prop_assert_eq!((merged[index - 1].log, merged[index - 1].number + 1), (record.log, record.number));
            }
        }
    }

    #[test]
    fn a_merge_of_logs_in_order_is_in_order_and_ties_go_by_the_log(
        times in some_logs(), halts in prop::collection::vec(0_u8..4, 0..20), newest in any::<bool>(),
    ) {
        let sorted = |log: &Vec<Option<i64>>| {
            let mut times: Vec<_> = log.iter().flatten().copied().map(Some).collect();
            times.sort();
            if newest { times.reverse(); }
            times
        };
        let logs = logs(&times.iter().map(sorted).collect::<Vec<_>>());
        let order = if newest { Order::NewestFirst } else { Order::OldestFirst };
        let merged = merge(order, &logs, &halts).0;
        // A stable sort of all records, in the order of the logs.
        let mut expected: Vec<_> = logs.concat();
        expected.sort_by_key(|it| if newest { -it.time.unwrap() } else { it.time.unwrap() });
        prop_assert_eq!(merged, expected);
    }
}

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

/// A live log of what is sent to it.
fn live() -> (tokio::sync::mpsc::UnboundedSender<Result<Live<Custom>>>, impl Stream<Item = Result<Live<Custom>>>) {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    (sender, stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) }))
}

fn record(log: usize, time: i64) -> Result<Live<Custom>> {
    Ok(Live::Record(Custom { log, number: time as usize, time: Some(time) }))
}

#[tokio::test(start_paused = true)]
async fn records_of_live_logs_are_held_back_to_the_slowest_logs_newest_time() {
    let ((a, from_a), (b, from_b)) = (live(), live());
    let mut timeline = Timeline::<Custom>::with_order(Order::OldestFirst)
        .live("a", from_a)
        .live("b", from_b)
        .max_wait(Duration::from_secs(4));
    a.send(record(0, 100)).unwrap();
    a.send(record(0, 105)).unwrap();
    // Nothing is known of the other log.
    assert!(timeline.next().now_or_never().is_none());
    assert_eq!(timeline.summary().waiting_for().collect::<Vec<_>>(), ["b"]);
    // It is there, with an older record.
    b.send(record(1, 90)).unwrap();
    let next = timeline.next().now_or_never().unwrap().unwrap().unwrap();
    assert_eq!((&*next.0, next.1.time), ("b", Some(90)));
    // It says how far it is: what is older than that is free, and what is newer is not.
    b.send(Ok(Live::Reached(at(102)))).unwrap();
    assert_eq!(timeline.next().now_or_never().unwrap().unwrap().unwrap().1.time, Some(100));
    assert!(timeline.next().now_or_never().is_none());
    // A log that is silent holds up each record for so long, counted from when it came.
    let began = Instant::now();
    assert_eq!(timeline.next().await.unwrap().unwrap().1.time, Some(105));
    assert_eq!(began.elapsed().as_secs(), 4);
    // Many that come together are held up together, and so are more than are kept.
    let mut time = 105;
    for (burst, seconds) in [(15, 4), (1_000, 8)] {
        (1..=burst).for_each(|more| a.send(record(0, time + more)).unwrap());
        let began = Instant::now();
        for more in 1..=burst {
            assert_eq!(timeline.next().await.unwrap().unwrap().1.time, Some(time + more));
        }
        time += burst;
        assert!(began.elapsed() < Duration::from_secs(seconds + 1), "{burst}: {:?}", began.elapsed());
    }
    // What comes too late for its time comes all the same, and is counted.
    b.send(record(1, 103)).unwrap();
    a.send(record(0, 2_000)).unwrap();
    assert_eq!(timeline.next().await.unwrap().unwrap().1.time, Some(103));
    assert_eq!(timeline.summary().log("b").unwrap().out_of_order, 1);
    // An error has its log's name, and the others go on; a log that has ended holds up nobody.
    b.send(Err(models::error(ErrorKind::Timeout))).unwrap();
    assert_eq!(timeline.next().await.unwrap().unwrap_err().log(), Some("b"));
    drop(b);
    assert_eq!(timeline.next().now_or_never().unwrap().unwrap().unwrap().1.time, Some(2_000));
    drop(a);
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
