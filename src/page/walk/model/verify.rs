//! Scans that are verified by a second one, in the world of the other models.

use super::*;
use crate::page::{Doubt, Proof, Verdict};

/// Any case, scanned up to so many times.
fn verified() -> impl Strategy<Value = Case> {
    (case(), 2..6u32).prop_map(|(case, scans)| Case { scans: Some(scans), ..case })
}

/// Nothing changes between the requests, or records are only added at the head, one before each.
fn undisturbed() -> impl Strategy<Value = Case> {
    (verified(), any::<bool>()).prop_map(|(case, grows)| {
        // A log of less than a page that grows looks at first as if the server returned single records.
        let grows = grows && case.page_size > 3 && u32::from(case.records) > case.page_size;
        Case {
            changes: Vec::new(),
            steady: grows.then_some(Change::Grow(1)),
            order: if grows { SortOrder::Desc } else { case.order },
            stops: Vec::new(),
            meanwhile: Vec::new(),
            prefetch: if grows { 1 } else { case.prefetch },
            page_size: case.page_size.max(2),
            // A log of one record that doubles looks as if records came in its middle, and takes two scans more.
            scans: case.scans.map(|scans| if grows { scans.max(3) } else { scans }),
            ..case
        }
    })
}

/// A few changes between requests: records that move anywhere, and others that hide their moves. Pages are cut short.
fn moving() -> impl Strategy<Value = Case> {
    let change = prop_oneof![
        12 => Just(Change::Nothing),
        3 => (any::<u8>(), any::<u8>()).prop_map(|(from, to)| Change::MoveTo(from, to)),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(from, to)| Change::MoveBlock(from, to)),
        1 => Just(Change::MoveBack),
        1 => any::<u8>().prop_map(Change::Hide),
        1 => Just(Change::Unhide),
        2 => (any::<u8>(), 1..3u8).prop_map(|(at, count)| Change::Delete(at, count)),
        1 => (1..3u8).prop_map(Change::Grow),
        1 => any::<u8>().prop_map(Change::Insert),
        1 => Just(Change::Short),
        1 => Just(Change::Clamp(1)),
        2 => Just(Change::Clamp(14)),
    ];
    let changes = prop::collection::vec(change, 0..60).prop_map(one_fault);
    (verified(), changes, 10..60u8, 2..8u32).prop_map(|(case, changes, records, page_size)| Case {
        changes,
        at_once: 1,
        steady: None,
        records,
        page_size,
        count: FakeTotal::Absent,
        jitter: false,
        ..case
    })
}

/// Pages are cut short one at a time: a record alone in its page with an empty page behind it is the end.
fn one_fault(mut changes: Vec<Change>) -> Vec<Change> {
    let mut since = 4;
    let mut is_clamped = false;
    for change in &mut changes {
        since += 1;
        match change {
            Change::Short if is_clamped || since < 4 => *change = Change::Nothing,
            Change::Clamp(1) if since < 4 => *change = Change::Nothing,
            Change::Short => since = 0,
            Change::Clamp(most) => (is_clamped, since) = (*most == 1, 0),
            _ => {}
        }
    }
    changes
}

fn read(case: &Case) -> (Parts, Arc<Mutex<ChangingLog>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(case.read(Rules::ALL))
}

impl Case {
    fn check_verified(&self, parts: &Parts, changing: &ChangingLog) -> Result<(), String> {
        let summary = &parts.last().unwrap().summary;
        let missed: Vec<_> = changing.throughout.iter().filter(|it| !changing.delivered.contains(it)).collect();
        // A listing that shows nothing to either scan looks like an empty one.
        if summary.verdict.is_complete() && changing.history.sent.is_empty() {
            return Ok(());
        }
        if summary.verdict.is_complete() && !missed.is_empty() && !self.is_misconfigured() {
            return Err(format!("{} of {} scans, and {missed:?} are missing", summary.verdict, summary.scans));
        }
        self.check_missed(parts, changing)
    }
}

#[test]
fn no_verified_scan_is_complete_where_anything_is_missing() {
    let cases = cases(2_000);
    let counts = std::cell::Cell::new([0u32; 3]);
    runner(cases)
        .run(&verified(), |case| {
            let (parts, changing) = read(&case);
            let changing = changing.lock().unwrap();
            let summary = &parts.last().unwrap().summary;
            let [second, again, differ] = counts.get();
            let is = |verdict: Verdict| u32::from(summary.verdict == verdict);
            counts.set([
                second + is(Verdict::Complete(Proof::SecondScan)) * u32::from(changing.changes > 0),
                again + u32::from(summary.scans > 2),
                differ + is(Verdict::Unverified(Doubt::ScansDiffer)),
            ]);
            let checked = case.check_verified(&parts, &changing);
            checked.map_err(|why| TestCaseError::fail(format!("{why}\n{changing:?}\n{parts:?}")))
        })
        .unwrap();
    let [second, again, differ] = counts.get();
    println!(
        "{cases} cases: {second} complete although the log changed, {again} scanned more than twice, {differ} differ"
    );
    for (what, count) in [("complete", second), ("scanned more than twice", again), ("different", differ)] {
        assert!(count >= cases / 20, "only {count} of {cases} cases are {what}");
    }
}

#[test]
fn no_record_that_moved_less_than_twice_is_missing_from_a_complete_scan() {
    let cases = cases(2_000);
    let counts = std::cell::Cell::new([0u32; 2]);
    runner(cases)
        .run(&moving(), |case| {
            let (parts, changing) = read(&case);
            let changing = changing.lock().unwrap();
            let summary = &parts.last().unwrap().summary;
            if !summary.verdict.is_complete() {
                return Ok(());
            }
            let missed: Vec<_> = changing.throughout.iter().filter(|it| !changing.delivered.contains(it)).collect();
            let [complete, missing] = counts.get();
            counts.set([complete + 1, missing + u32::from(!missed.is_empty())]);
            let moved = |id: &u64| changing.times_moved.get(id).copied().unwrap_or_default();
            let lost: Vec<_> = missed.into_iter().filter(|it| moved(it) < 2).collect();
            if lost.is_empty() {
                return Ok(());
            }
            Err(TestCaseError::fail(format!("{} and {lost:?} are missing\n{changing:?}\n{parts:?}", summary.verdict)))
        })
        .unwrap();
    let [complete, missing] = counts.get();
    println!("{cases} cases: {complete} complete, {missing} without a record that moved twice");
    assert!(complete >= cases / 20, "only {complete} of {cases} cases are complete");
}

#[test]
fn a_verified_scan_is_complete_if_the_log_is_quiet_or_grows_at_its_head() {
    runner(cases(2_000) / 2)
        .run(&undisturbed(), |case| {
            let (parts, changing) = read(&case);
            let changing = changing.lock().unwrap();
            let summary = &parts[0].summary;
            // A total above 0 beside an empty listing: records may be hidden.
            let may_hide =
                case.records == 0 && summary.totals.is_some_and(|(_, most)| most > 0) && case.steady.is_none();
            let is_wrong = case.is_misconfigured() || case.has_wrong_total();
            if !(summary.verdict.is_complete() || is_wrong || may_hide) {
                return Err(TestCaseError::fail(format!("{}\n{changing:?}\n{parts:?}", summary.verdict)));
            }
            if case.steady.is_none() {
                let plain = read(&Case { scans: None, ..case.clone() }).0[0].summary.requests;
                let most = 2 * plain + 3 + 2 * case.prefetch as u64;
                prop_assert!(summary.requests <= most, "{} requests, and {plain} for one scan", summary.requests);
                prop_assert_eq!(parts[0].delivered.len() as u64, u64::from(case.records));
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn totals_that_were_wrong_in_a_scan_end_no_later_one() {
    // They rise as if the log grew while the second scan is made, and fell short of a page in the first one.
    let delays = 13_488_779_578_009_695_723;
    let log = Case { prefetch: 13, delays, scans: Some(2), ..plain(34, 4, Vec::new()) };
    let case = Case { total_scope: TotalScope::Unknown, jitter: true, ..log };
    let summary = &read(&case).0[0].summary;
    assert!(summary.verdict.is_complete(), "{summary:?}");
}

impl Case {
    /// Whether the client takes for the total of the listing what isn't, or doesn't stay.
    fn has_wrong_total(&self) -> bool {
        self.total_scope == TotalScope::Listing && self.count != FakeTotal::All && self.count != FakeTotal::Absent
    }
}
