//! The merge of any logs: every record once, in the order of its log, and by time where the logs are in order.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use actionlog::Result;
use actionlog::record::{Ident, LogRecord, TimeMeaning, Timestamp};
use actionlog::timeline::{Order, Timeline};
use chrono::{DateTime, Utc};
use futures_util::Stream;
use proptest::prelude::*;

/// A record of a custom log: its log, its number in the log, and its time in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Custom {
    pub(super) log: usize,
    pub(super) number: usize,
    pub(super) time: Option<i64>,
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

pub(super) fn at(seconds: i64) -> DateTime<Utc> {
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
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

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
