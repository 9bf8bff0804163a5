//! Live logs: what is held back for whom, and for how long.

use std::time::Duration;

use actionlog::testing::models;
use actionlog::timeline::{Live, Order, Timeline};
use actionlog::{ErrorKind, Result};
use futures_util::{FutureExt, Stream, stream};
use tokio::time::Instant;

use crate::timeline::merge::{Custom, at};

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
