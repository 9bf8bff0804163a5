//! Scans towards the head of such a log.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use crate::integration::SortOrder;
use crate::page::walk::model::case::{Case, Change, LARGE, block, one_empty, plain};
use crate::page::walk::model::changing_log::ChangingLog;
use crate::page::walk::model::scan::release;
use crate::page::walk::model::{cases, failed, runner};
use crate::page::{Stability, TotalScope, Verdict};
use crate::testing::FakeServer;

/// A log that is scanned, grows, and is scanned towards its head while it changes.
#[derive(Clone, Debug)]
struct HeadCase {
    records: u8,
    grown: u8,
    page_size: u32,
    changes: Vec<Change>,
    /// The change before every request, forever.
    steady: Option<Change>,
    /// After how many records the scan stops and resumes from its cursor.
    stop: usize,
    /// The configured scope of the total, which is the listing's, and the configured stability.
    total_scope: TotalScope,
    stability: Stability,
    remembered: Option<usize>,
}

/// The outcome of a scan towards the head.
#[derive(Debug)]
struct Outcome {
    /// The records delivered in each of the two parts.
    parts: [Vec<u64>; 2],
    verdict: Verdict,
}

impl HeadCase {
    async fn scan(&self) -> (Outcome, Arc<Mutex<ChangingLog>>) {
        let case = Case {
            order: SortOrder::Desc,
            total_scope: self.total_scope,
            stability: self.stability,
            remembered: self.remembered,
            ..plain(self.records, self.page_size, Vec::new())
        };
        let server = FakeServer::new();
        let (client, changing) = case.client(&server);
        let mut listing = client.logs().list(()).page_size(self.page_size).stability(self.stability());
        if let Some(remembered) = self.remembered {
            listing = listing.dedup_window(remembered);
        }
        let cursor = listing.clone().collect().await.cursor.unwrap();
        changing.lock().unwrap().grow_for_scan_toward_head(self.grown.into());

        let (mut changes, steady, hooked) = (self.changes.clone().into_iter(), self.steady, Arc::clone(&changing));
        let mut turn = 0;
        server.before_each(move |server| {
            turn += 1;
            if turn > 1 {
                for change in changes.next().into_iter().chain(steady) {
                    hooked.lock().unwrap().apply(server, change);
                }
            }
        });
        // Stop in the middle, and resume from the cursor's string.
        let mut logs = listing.clone().newer_than(cursor).items();
        let mut first = Vec::new();
        while first.len() < self.stop
            && let Some(Ok(log)) = logs.next().await
        {
            first.push(changing.lock().unwrap().note_delivered(log.id.get()));
        }
        let cursor = serde_json::to_string(&logs.cursor().unwrap()).unwrap();
        changing.lock().unwrap().begin_part();
        let mut logs = listing.newer_than(serde_json::from_str(&cursor).unwrap()).items();
        let mut rest = Vec::new();
        while let Some(Ok(log)) = logs.next().await
            && rest.len() < 1_000
        {
            rest.push(changing.lock().unwrap().note_delivered(log.id.get()));
        }
        release(&server);
        (Outcome { parts: [first, rest], verdict: logs.summary().verdict }, changing)
    }

    /// The stability that the client is configured with: never stable where records move.
    fn stability(&self) -> Stability {
        let moves = |it: &Change| matches!(it, Change::Move(_) | Change::MoveRange(..) | Change::Unhide);
        if self.changes.iter().any(moves) { Stability::Unstable } else { self.stability }
    }

    fn check(&self, outcome: &Outcome, changing: &ChangingLog) -> Result<(), String> {
        let seen = &changing.history;
        for part in &outcome.parts {
            let mut sorted = part.clone();
            sorted.sort_unstable();
            // A record whose key is forgotten may come again.
            if let Some(twice) = sorted.windows(2).find(|two| two[0] == two[1] && self.remembered.is_none()) {
                return Err(format!("{} was delivered twice", twice[0]));
            }
        }
        let first_new = u64::from(self.records) + 1;
        let newcomers: Vec<_> = outcome
            .parts
            .concat()
            .into_iter()
            .filter(|it| (first_new..first_new + u64::from(self.grown)).contains(it))
            .collect();
        let calm = !self.changes.iter().chain(&self.steady).any(|it| {
            matches!(
                it,
                Change::Delete(..)
                    | Change::Retire(_)
                    | Change::Hide(_)
                    | Change::Move(_)
                    | Change::MoveRange(..)
                    | Change::Expire(_)
                    | Change::Unhide
                    | Change::Insert(_)
            )
        });
        if outcome.verdict.is_incomplete() {
            let room = self.page_size > 2 && !seen.single && !seen.clamped;
            return if calm && room { Err("the scan failed although nothing was removed".to_owned()) } else { Ok(()) };
        }
        let missed: Vec<_> = changing
            .throughout
            .iter()
            .filter(|it| !changing.delivered.contains(it) && !seen.moved.contains(it))
            .collect();
        if !missed.is_empty() && seen.excuse_toward_head().is_none() {
            return Err(format!("{missed:?} were not delivered"));
        }
        if calm && missed.is_empty() && !seen.single && !newcomers.is_sorted() {
            return Err("the oldest record doesn't come first".to_owned());
        }
        if calm && !seen.single && outcome.parts.concat().iter().any(|it| *it < first_new) {
            return Err("records that aren't newer were delivered".to_owned());
        }
        Ok(())
    }
}

#[test]
fn newer_records_are_delivered_oldest_first_and_none_is_skipped() {
    let change = prop_oneof![
        8 => Just(Change::Nothing),
        3 => (1..9u8).prop_map(Change::Grow),
        1 => any::<u8>().prop_map(Change::Insert),
        1 => any::<u8>().prop_map(Change::Hide),
        1 => Just(Change::Unhide),
        1 => (any::<u8>(), 1..4u8).prop_map(|(at, count)| Change::Delete(at, count)),
        2 => any::<u8>().prop_map(Change::Move),
        1 => block(),
        1 => (1..4u8).prop_map(Change::Expire),
        1 => any::<u8>().prop_map(Change::Duplicate),
        1 => Just(Change::Empty),
        1 => Just(Change::Short),
        2 => (1..8u8).prop_map(Change::Clamp),
        1 => (2..24u8).prop_map(Change::CutBySize),
        1 => (0..40u8).prop_map(Change::ClampOffset),
    ];
    let changes = prop::collection::vec(change, 0..20).prop_map(one_empty);
    let steady = prop_oneof![
        3 => Just(None),
        2 => (1..13u8).prop_map(|it| Some(Change::Grow(it))),
        1 => Just(Some(Change::Retire(1))),
        1 => (1..3u8).prop_map(|it| Some(Change::Expire(it))),
    ];
    let total_scope = prop_oneof![Just(TotalScope::Unknown), Just(TotalScope::Listing)];
    let order = prop_oneof![Just(Stability::Unstable), Just(Stability::Stable)];
    let remembered = prop_oneof![2 => Just(None), 1 => (1..40usize).prop_map(Some)];
    let strategy = ((0..40u8, 0..60u8, 1..14u32), (changes, steady), 0..20usize, (total_scope, order, remembered));
    let strategy = strategy.prop_map(
        |((records, grown, page_size), (changes, steady), stop, (total_scope, stability, remembered))| {
            // A log that grows by more than half a page each time may outrun the scan, and so may one of
            // which only the growing section can be reached.
            let page = |it: &Change| match it {
                Change::Clamp(size) => u64::from(*size),
                Change::CutBySize(size) => (u64::from(*size) / LARGE).max(1),
                Change::ClampOffset(_) => 0,
                _ => u64::MAX,
            };
            let smallest = changes.iter().map(page).min().unwrap_or(u64::MAX).min(page_size.into());
            let is_outrun = |count: u8| 2 * u64::from(count) > smallest;
            let steady = steady.filter(|it| !matches!(it, Change::Grow(count) if is_outrun(*count)));
            HeadCase { records, grown, page_size, changes, steady, stop, total_scope, stability, remembered }
        },
    );
    let cases = cases(1_000);
    let counts = std::cell::Cell::new([0u32; 5]);
    runner(cases)
        .run(&strategy, |case| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let (outcome, changing) = runtime.block_on(case.scan());
            let changing = changing.lock().unwrap();
            let mut seen = counts.get();
            if !outcome.verdict.is_incomplete() {
                seen[0] += 1;
                seen[1] += u32::from(changing.history.excuse_toward_head().is_none());
            }
            seen[2] += u32::from(changing.history.clamped);
            seen[3] += u32::from(!changing.history.moved.is_empty());
            seen[4] += u32::from(outcome.parts.iter().all(|it| !it.is_empty()));
            counts.set(seen);
            let checked = case.check(&outcome, &changing);
            failed(checked, &case, || format!("{changing:?}\n{outcome:?}"))
        })
        .unwrap();
    let [ended, held, clamped, moved, resumed] = counts.get();
    println!(
        "{cases} scans: {ended} reached the head, {held} of them had to skip nothing; \
         {clamped} clamped, {moved} moved, {resumed} resumed"
    );
    for (what, count) in [("a clamp", clamped), ("a move", moved), ("a resume", resumed)] {
        assert!(count >= cases / 5, "only {count} of {cases} scans have {what}");
    }
    assert!(ended >= cases * 7 / 10, "only {ended} of {cases} scans reached the head");
    assert!(held >= cases / 3, "only {held} of {cases} scans had to skip nothing");
}
