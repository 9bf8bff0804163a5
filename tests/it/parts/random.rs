//! Random logs that change while jobs scan their parts.

use std::collections::BTreeSet;

use actionlog::page::{Doubt, PartRead, Proof, Stability, TotalScope, merge};
use actionlog::testing::{FakeServer, Fault, Log};
use actionlog::{Cursor, Verdict};
use futures_util::future::join_all;
use proptest::prelude::*;

use crate::parts::{Logs, ids, listing_through, log, read};
use crate::support::Late;

/// A change of the log before a request.
#[derive(Clone, Copy, Debug)]
enum Change {
    Nothing,
    Add(usize),
    Remove(usize, usize),
    Insert(usize),
    Empty,
    Short,
    /// A record becomes invalid.
    Spoil(usize),
    /// From now on the server returns at most this many records.
    Clamp(u32),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => Just(Change::Nothing),
        2 => (1..12_usize).prop_map(Change::Add),
        3 => (0..200_usize, 1..15_usize).prop_map(|(at, count)| Change::Remove(at, count)),
        1 => (0..200_usize).prop_map(Change::Insert),
        1 => Just(Change::Empty),
        1 => Just(Change::Short),
        2 => (0..200_usize).prop_map(Change::Spoil),
        1 => (3..25_u32).prop_map(Change::Clamp),
    ]
}

impl Change {
    fn apply(self, server: &FakeServer, log: &Log) {
        // The number of the request makes new records distinct.
        let number = server.requests().len();
        match self {
            Self::Nothing => {}
            Self::Add(count) => drop(log.add_samples(count)),
            Self::Remove(at, count) => {
                for _ in 0..count {
                    if !log.is_empty() {
                        log.remove(at % log.len());
                    }
                }
            }
            Self::Insert(at) => {
                let text = log.raw_records().into_iter().next().unwrap_or_default();
                let first = serde_json::from_str::<serde_json::Value>(&text).ok();
                if let Some(id) = first.as_ref().and_then(|it| it["_id"].as_str()) {
                    log.insert_raw(at % (log.len() + 1), text.replace(id, &format!("0000inserted{number:012}")));
                }
            }
            Self::Empty => drop(server.fail_next(Fault::EmptyOnce)),
            Self::Short => drop(server.fail_next(Fault::ShortByOne)),
            Self::Spoil(at) => {
                if !log.is_empty() {
                    log.replace(at % log.len(), format!(r#"{{"_id":{number}}}"#));
                }
            }
            Self::Clamp(most) => drop(server.integration().largest_page(most)),
        }
    }
}

/// A log that changes, and the jobs that scan it.
#[derive(Clone, Debug)]
struct Case {
    records: usize,
    parts: usize,
    page_size: u32,
    prefetch: usize,
    /// The changes, one before each request.
    changes: Vec<Change>,
    /// In which order the parts are scanned, or whether all at once.
    order: Vec<usize>,
    abreast: bool,
    /// After how many records the scan of the last part stops. If the number is even, it resumes.
    stopped: Option<usize>,
    /// Whether a part is scanned twice.
    again: bool,
    delays: u64,
    total: TotalScope,
    /// The configured stability. No record moves.
    reported: Stability,
}

prop_compose! {
    // Pages of three and more: a page of two that is one record short may be taken for the end, as in any scan.
    fn case()(
        records in 0..200_usize,
        (parts, page_size, prefetch) in (1..9_usize, 3..25_u32, prop_oneof![1..9_usize, 1..33_usize]),
        mut changes in proptest::collection::vec(change(), 0..60),
        order in proptest::collection::vec(0..9_usize, 9),
        stopped in proptest::option::of(1..40_usize),
        (abreast, again, delays) in any::<(bool, bool, u64)>(),
        total in prop_oneof![Just(TotalScope::Unknown), Just(TotalScope::Listing)],
        reported in prop_oneof![2 => Just(Stability::Stable), 1 => Just(Stability::Unstable)],
    ) -> Case {
        // Two empty responses in a row are the end of any scan. Where jobs run at once or pages are prefetched, the
        // responses between two empty ones may go to another job: allow one there.
        let (mut last, is_mixed) = (None, abreast || prefetch > 1);
        for (at, change) in changes.iter_mut().enumerate() {
            if matches!(change, Change::Empty) {
                if last.is_some_and(|last| is_mixed || at - last < 3) {
                    *change = Change::Nothing;
                } else {
                    last = Some(at);
                }
            }
        }
        Case { records, parts, page_size, prefetch, changes, order, abreast, stopped, again, delays, total, reported }
    }
}

/// Scans a part until `stop` records are delivered. Returns the cursor to resume from.
async fn begin(listing: Logs, stop: usize, delivered: &mut Vec<String>) -> (Cursor, PartRead) {
    let mut items = listing.items();
    for _ in 0..stop {
        match items.next().await {
            Some(item) => delivered.extend(item.ok().map(|it| it.id.to_string())),
            None => break,
        }
    }
    (items.cursor().unwrap(), items.part_read().unwrap())
}

impl Case {
    async fn read(&self) -> Result<(), TestCaseError> {
        let server = log(self.records);
        let listing = listing_through(Late::new(&server, self.delays), self.total).stability(self.reported);
        let listing = listing.page_size(self.page_size).prefetch(self.prefetch);
        let log = server.integration().log();
        let before = ids(&log);
        let mut parts = listing.split(self.parts).await.unwrap();
        let (mut changes, changing) = (self.changes.clone().into_iter(), log.clone());
        server.before_each(move |server| {
            if let Some(change) = changes.next() {
                change.apply(server, &changing);
            }
        });
        for (at, with) in self.order.iter().enumerate().take(parts.len()) {
            let with = with % parts.len();
            parts.swap(at, with);
        }
        let (mut reads, mut delivered) = (Vec::new(), Vec::new());
        if let Some((stop, part)) = self.stopped.zip(parts.last().cloned()) {
            parts.pop();
            let listing = listing.clone().part(part);
            let (cursor, read) = begin(listing.clone(), stop, &mut delivered).await;
            reads.push(read);
            if stop % 2 == 0 {
                // Resume, stop, and resume again.
                let (cursor, read) = begin(listing.clone().resume(cursor), stop, &mut delivered).await;
                reads.push(read);
                reads.push(begin(listing.resume(cursor), usize::MAX, &mut delivered).await.1);
            }
        }
        if self.again {
            parts.extend(parts.first().cloned());
        }
        let mut merged = None;
        for _ in 0..12 {
            if self.abreast {
                let jobs = parts.iter().map(async |part| {
                    let mut delivered = Vec::new();
                    (read(&listing, part, &mut delivered).await, delivered)
                });
                for (read, its) in join_all(jobs).await {
                    reads.push(read);
                    delivered.extend(its);
                }
            } else {
                for part in &parts {
                    reads.push(read(&listing, part, &mut delivered).await);
                }
            }
            let now = merge(&reads).unwrap();
            parts.clone_from(&now.again);
            merged = Some(now);
            if parts.is_empty() {
                break;
            }
        }
        let merged = merged.unwrap();
        prop_assert!(merged.again.is_empty(), "the parts never meet: {merged:?}");
        let after = ids(&log);
        let delivered_ids = BTreeSet::from_iter(delivered.iter().cloned());
        let missed: Vec<_> = before.intersection(&after).filter(|it| !delivered_ids.contains(*it)).collect();
        // Pages of one record can't overlap, and the verdict of such a scan reports that.
        let reported = merged.verdict.is_incomplete() || merged.verdict == Verdict::Unverified(Doubt::SingleRecords);
        prop_assert!(missed.is_empty() || reported, "{:?}: {missed:?} were missed; {reads:#?}", merged.verdict);
        prop_assert!(!merged.verdict.is_complete() || self.reported == Stability::Stable);
        let quiet = self.changes.iter().all(|it| matches!(it, Change::Nothing));
        if quiet && self.stopped.is_none() && self.total == TotalScope::Listing && self.reported == Stability::Stable {
            prop_assert_eq!(merged.verdict, Verdict::Complete(Proof::Total));
        }
        if quiet && self.stopped.is_none() && !self.again {
            prop_assert_eq!(delivered.len(), self.records);
        }
        Ok(())
    }
}

fn cases() -> u32 {
    std::env::var("MODEL_CASES").map_or(200, |it| it.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        max_shrink_iters: 500,
        // A failure is printed, and never written into the checkout.
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn records_that_stay_are_yielded_by_some_part(case in case()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(case.read())?;
    }
}
