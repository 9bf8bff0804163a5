//! Live logs: what is held back for whom, and for how long.

use std::time::Duration;

use actionlog::follow::{Change, StartFrom};
use actionlog::testing::{Fault, models};
use actionlog::timeline::{Live, Order, Timeline};
use actionlog::{AnyRecord, ErrorKind, LogRecord, Result};
use chrono::{DateTime, Utc};
use futures_util::{FutureExt, Stream, stream};
use tokio::time::{Instant, timeout};

use crate::timeline::merge::{Custom, at};
use crate::timeline::{arklow, integration, samples, unleash};

/// A live log of what is sent to it.
pub(super) fn live()
-> (tokio::sync::mpsc::UnboundedSender<Result<Live<Custom>>>, impl Stream<Item = Result<Live<Custom>>>) {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    (sender, stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) }))
}

pub(super) fn record(log: usize, time: i64) -> Result<Live<Custom>> {
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

async fn next_of(timeline: &mut Timeline<Change<AnyRecord>>) -> (String, Change<AnyRecord>) {
    let (log, change) = timeline.next().await.unwrap().unwrap();
    (log.to_string(), change)
}

fn time(change: &Change<AnyRecord>) -> DateTime<Utc> {
    change.record().unwrap().timestamp().unwrap().time
}

#[tokio::test(start_paused = true)]
async fn followers_come_as_one_oldest_first_and_a_silent_one_holds_up_the_others_for_so_long() {
    let server = samples(5);
    let shop = integration(server.http_client()).logs().list(()).follow().start_from(StartFrom::Latest);
    let flags = unleash(server.http_client()).action_set_events().list(("default", 7)).follow();
    let mut timeline = Timeline::<Change<AnyRecord>>::with_order(Order::OldestFirst)
        .follow("shop", shop)
        .follow("flags", flags.start_from(StartFrom::Latest))
        .max_wait(Duration::from_secs(60));
    // Nothing of what is there already.
    assert!(timeout(Duration::from_secs(20), timeline.next()).await.is_err());
    server.integration().add_sample_logs(4);
    server.unleash().add_sample_events("default", 7, 5);
    let began = Instant::now();
    let mut times = Vec::new();
    let mut named = std::collections::BTreeMap::<_, u32>::new();
    for _ in 0..8 {
        let (log, change) = next_of(&mut timeline).await;
        assert!(matches!(change, Change::New(_)), "{change:?}");
        times.push(time(&change));
        *named.entry(log).or_default() += 1;
    }
    assert!(times.is_sorted(), "{times:?}");
    assert!(named.len() == 2 && named.values().all(|it| *it == 4), "{named:?}");
    // The newest of all is newer than what the other log has reached.
    let (last, change) = next_of(&mut timeline).await;
    assert!(time(&change) > times[7] && began.elapsed() > Duration::from_secs(60), "{last} {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(120));
    let summary = timeline.summary();
    assert!(summary.logs.iter().all(|it| it.delivered >= 4 && (it.out_of_order, &it.gap) == (0, &None)));
    assert!(summary.verdict.is_incomplete());

    // An error of one has its name, and the follower goes on.
    server.fail_next_at("/api/admin/projects/default/actions/7/events", Fault::Status(503));
    server.unleash().add_sample_events("default", 7, 1);
    let error = timeline.next().await.unwrap().unwrap_err();
    assert_eq!((error.log(), error.is_transient()), (Some("flags"), true));
    assert_eq!(next_of(&mut timeline).await.0, "flags");
}

#[tokio::test(start_paused = true)]
async fn a_follower_of_arklow_requests_the_state_and_a_timeline_says_so() {
    let server = samples(3);
    let follow = arklow(server.http_client()).records().list(()).follow();
    let mut timeline = Timeline::<Change<AnyRecord>>::with_order(Order::OldestFirst).follow("refunds", follow);
    for _ in 0..3 {
        assert!(next_of(&mut timeline).await.1.record().unwrap().timestamp().is_some());
    }
    assert!(timeline.summary().log("refunds").unwrap().requested_timestamps);
}
