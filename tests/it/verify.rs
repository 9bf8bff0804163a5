//! Scans that are verified by a second one: what they deliver, what they cost, and what they say.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use actionlog::integration::{LogListing, LogsQuery};
use actionlog::page::{Cause, Collected, Doubt, Listing, Paginate, Proof, Stability};
use actionlog::testing::{FakeServer, FakeTotal, Fault};
use actionlog::{ArklowClient, Cursor, ErrorKind, RetryPolicy, UnleashClient, Verdict};

use crate::docs;
use crate::support::{fake_with_logs, integration, log_text};

const COMPLETE: Verdict = Verdict::Complete(Proof::SecondScan);
const DIFFER: Verdict = Verdict::Unverified(Doubt::ScansDiffer);

fn logs(server: &FakeServer) -> Listing<LogListing> {
    // Sorted by something that isn't unique: nothing about the order is known, and no total ends the scan.
    integration(server).logs().list(LogsQuery::new().sort("status"))
}

fn ids<T>(read: &Collected<T>, id: impl Fn(&T) -> String) -> Vec<u64> {
    read.items.iter().map(|it| id(it).parse().unwrap()).collect()
}

fn log_ids(read: &Collected<actionlog::integration::ActionLog>) -> Vec<u64> {
    ids(read, |log| log.id.to_string())
}

/// Changes the integration logs before the n-th request, counted from 1.
fn before(server: &FakeServer, nth: usize, change: impl Fn(&FakeServer) + Send + 'static) {
    let mut request = 0;
    server.before_each(move |server| {
        request += 1;
        if request == nth {
            change(server);
        }
    });
}

/// What a verified scan of a log at rest costs beyond twice the requests of a plain one, in each order, with a total or
/// without.
const MORE: [(Stability, FakeTotal, i64); 4] = [
    (Stability::Stable, FakeTotal::All, 0),
    (Stability::Stable, FakeTotal::Absent, 2),
    (Stability::Unstable, FakeTotal::All, -1),
    (Stability::Unstable, FakeTotal::Absent, 1),
];

#[tokio::test]
async fn a_log_at_rest_is_complete_after_two_scans_whose_requests_are_as_documented() {
    for (order, total, more) in MORE {
        for records in (0..=42).chain([57, 58, 59, 250, 360, 361, 362, 1_000]) {
            let server = fake_with_logs(records);
            server.integration().total_scope(total);
            let listing = logs(&server).page_size(20).stability(order).prefetch(1);
            let plain = listing.clone().collect().await.summary.requests;
            let read = listing.verify().collect().await;
            let (requests, why) =
                (read.summary.requests, format!("{records}, {order:?}, {total:?}: {:?}", read.summary));
            assert_eq!((log_ids(&read).len() as u64, read.summary.late), (records, 0), "{why}");
            assert!(read.summary.verdict.is_complete() && read.summary.scans <= 2, "{why}");
            // An empty log has no head to read again.
            let most = (2 * plain).saturating_add_signed(if records == 0 { more.max(0) } else { more });
            assert!(requests <= most, "{plain} for a plain scan, {why}");
            // No number in the docs is higher than it has to be.
            assert!(requests == most || records < 2 || read.summary.scans < 2, "{plain} for a plain scan, {why}");
            assert!(total == FakeTotal::Absent && plain < 20 || requests * 10 <= plain * 21, "{plain}, {why}");
        }
    }
}

#[tokio::test]
async fn a_verified_scan_makes_at_most_2_1_times_the_requests_of_a_plain_one_from_20_requests_on() {
    let client = |server: &FakeServer| {
        UnleashClient::builder("http://localhost").api_key("any").http_client(server.http_client()).build().unwrap()
    };
    for (events, plain_requests, requests) in [(1, 3, 6), (30, 2, 6), (883, 19, 40), (884, 20, 42), (10_000, 206, 414)]
    {
        let server = FakeServer::new();
        server.unleash().add_sample_events("default", 7, events);
        let listing = client(&server).action_set_events().list(("default", 7)).prefetch(1);
        let plain = listing.clone().collect().await.summary;
        let verified = listing.verify().collect().await.summary;
        assert_eq!((verified.verdict, verified.delivered), (COMPLETE, events as u64));
        assert_eq!((plain.requests, verified.requests), (plain_requests, requests), "{events}");
        assert!(plain.requests < 20 || requests * 10 <= plain.requests * 21);
    }
    // With prefetching, on a long log of each order.
    for order in [Stability::Stable, Stability::Unstable] {
        let server = fake_with_logs(10_000);
        server.integration().total_scope(FakeTotal::Absent);
        let plain = logs(&server).stability(order).collect().await.summary;
        let verified = logs(&server).stability(order).verify().collect().await.summary;
        assert_eq!((verified.verdict, verified.delivered), (COMPLETE, 10_000));
        assert!(verified.requests * 10 <= plain.requests * 21, "{} and {}", verified.requests, plain.requests);
    }
}

#[tokio::test]
async fn a_log_that_grows_at_its_head_by_less_than_a_page_before_each_request_is_complete() {
    let growing = [(20, 1), (20, 2), (20, 5), (20, 10), (20, 15), (20, 19), (3, 1), (3, 2), (5, 3), (5, 4), (50, 49)];
    for (page_size, added) in growing {
        for (stability, total, _) in MORE {
            let server = fake_with_logs(60);
            server.integration().total_scope(total);
            let mut next = 60;
            server.before_each(move |server| {
                for _ in 0..added {
                    next += 1;
                    server.integration().add_raw(log_text(next));
                }
            });
            let read = logs(&server).page_size(page_size).prefetch(1).stability(stability).verify().collect().await;
            let ids = log_ids(&read);
            let why = format!("{added} in pages of {page_size}, {stability:?}, {total:?}: {:?}", read.summary);
            assert_eq!(read.summary.verdict, COMPLETE, "{why}");
            assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "none twice: {why}");
            assert!((1..=60).all(|id| ids.contains(&id)) && ids.len() > 60, "{why}");
        }
    }
}

/// A log of 100 records of which one moves past the scan. Records 100 to 62 were delivered; record 5 moves among them,
/// and one of them is removed.
fn passed_by_record_5() -> FakeServer {
    let server = fake_with_logs(100);
    before(&server, 3, |server| {
        let log = server.integration().log();
        let text = log.remove(95).unwrap();
        log.remove(25);
        log.insert_raw(30, text);
    });
    server
}

#[tokio::test]
async fn a_record_that_moved_past_the_first_scan_is_found_by_the_second_and_a_third_confirms_it() {
    let server = passed_by_record_5();
    let plain = logs(&server).page_size(20).prefetch(1).collect().await;
    assert!(!log_ids(&plain).contains(&5) && !plain.summary.verdict.is_complete(), "{:?}", plain.summary);

    let server = passed_by_record_5();
    let read = logs(&server).page_size(20).prefetch(1).verify().collect().await;
    assert_eq!((read.summary.verdict, read.summary.scans, read.summary.late), (COMPLETE, 3, 1));
    assert_eq!(log_ids(&read).last(), Some(&5));
    assert_eq!(log_ids(&read).len(), 100, "each once");
}

#[tokio::test]
async fn a_log_that_loses_a_record_in_every_scan_is_never_complete_and_the_scans_are_bounded() {
    for scans in 2..6 {
        let server = fake_with_logs(200);
        server.before_each(|server| _ = server.integration().log().remove(7));
        let read = logs(&server).page_size(20).prefetch(1).verify_up_to(scans).collect().await;
        assert_eq!(read.summary.verdict, DIFFER, "{scans}");
        assert!(read.summary.scans <= scans && read.summary.verdict.is_suspicious(), "{:?}", read.summary);
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_shows_no_records_for_a_moment_is_not_taken_for_an_empty_one() {
    let server = FakeServer::new();
    server.unleash().add_sample_events("default", 7, 120);
    let began = tokio::time::Instant::now();
    server.before_each(move |server| {
        if began.elapsed().as_millis() < 900 {
            server.fail_next(Fault::EmptyOnce);
        }
    });
    let client = UnleashClient::builder("http://localhost").api_key("any").http_client(server.http_client());
    let read = client.build().unwrap().action_set_events().list(("default", 7)).verify().collect().await;
    assert_eq!((read.items.len(), read.summary.verdict), (120, COMPLETE), "{:?}", read.summary);
    // A log that is empty costs that second, and no other.
    let (server, began) = (FakeServer::new(), tokio::time::Instant::now());
    let client = UnleashClient::builder("http://localhost").api_key("any").http_client(server.http_client());
    let read = client.build().unwrap().action_set_events().list(("default", 7)).verify().collect().await;
    assert_eq!((read.summary.verdict, began.elapsed().as_secs()), (COMPLETE, 1));
}

#[tokio::test]
async fn a_log_that_seems_empty_beside_a_total_above_zero_is_not_complete() {
    let server = fake_with_logs(1);
    (0..8).for_each(|_| _ = server.fail_next(Fault::EmptyOnce));
    let read = logs(&server).verify().collect().await;
    assert_eq!((read.items.len(), read.summary.verdict), (0, Verdict::Unverified(Doubt::TotalDiffers)));
}

#[tokio::test]
async fn a_total_that_proves_the_first_scan_makes_a_second_one_unnecessary() {
    let server = fake_with_logs(250);
    let read = integration(&server).logs().list(()).verify().collect().await;
    assert_eq!((read.summary.verdict, read.summary.scans), (Verdict::Complete(Proof::Total), 1));
    // A total that is known to count the listing, and is another number, is a reason not to trust the scans.
    server.integration().total_scope(FakeTotal::Always(251));
    let client = actionlog::IntegrationClient::builder("http://localhost")
        .api_key("any")
        .http_client(server.http_client())
        .total_scope(actionlog::page::TotalScope::Listing);
    let read = client.build().unwrap().logs().list(()).verify().collect().await;
    assert_eq!(read.summary.verdict, Verdict::Unverified(Doubt::TotalDiffers));
}

#[tokio::test]
async fn a_resumed_scan_is_verified_with_what_was_read_before_its_cursor() {
    for (added, removed, verdict) in
        [(0, None, COMPLETE), (7, None, COMPLETE), (45, None, COMPLETE), (0, Some(30), DIFFER)]
    {
        let server = fake_with_logs(250);
        let first = logs(&server).page_size(20).max_items(130).collect().await;
        let cursor: Cursor = first.cursor.unwrap().to_string().parse().unwrap();
        for id in 251..251 + added {
            server.integration().add_raw(log_text(id));
        }
        if let Some(index) = removed {
            server.integration().log().remove(index);
        }
        let rest = logs(&server).page_size(20).resume(cursor).verify().collect().await;
        assert_eq!(rest.summary.verdict, verdict, "{added} added, {removed:?} removed: {:?}", rest.summary);
        let mut all: Vec<u64> =
            first.items.iter().chain(&rest.items).map(|it| it.id.to_string().parse().unwrap()).collect();
        all.sort_unstable();
        assert_eq!(all, (1..251 + added).collect::<Vec<_>>(), "each once, new ones included");
    }
}

#[tokio::test]
async fn a_verified_scan_that_was_stopped_by_an_error_in_its_second_scan_resumes_and_is_verified() {
    let server = fake_with_logs(250);
    before(&server, 20, |server| _ = server.fail_next(Fault::Status(403)));
    let read = logs(&server).page_size(20).prefetch(1).verify().collect().await;
    assert_eq!(read.error.as_ref().map(actionlog::Error::kind), Some(ErrorKind::Forbidden));
    assert_eq!((read.summary.verdict, read.items.len()), (Verdict::Incomplete(Cause::Failed), 250));
    assert_eq!(read.summary.scans, 2);
    let rest = logs(&server).page_size(20).resume(read.cursor.unwrap()).verify().collect().await;
    assert_eq!((rest.summary.verdict, rest.items.len()), (COMPLETE, 0));
}

#[tokio::test]
async fn in_a_log_longer_than_the_scan_remembers_only_records_near_a_change_are_repeated() {
    for (removed, repeats) in [(vec![], 0), (vec![9], 300), (vec![3_000, 7_000], 600)] {
        let server = fake_with_logs(10_000);
        let gone = removed.len() as u64;
        before(&server, 102, move |server| {
            removed.iter().for_each(|index| _ = server.integration().log().remove(*index))
        });
        let read = logs(&server).dedup_window(500).prefetch(1).verify().collect().await;
        assert_eq!((read.summary.verdict, read.summary.scans), (COMPLETE, if gone > 0 { 3 } else { 2 }));
        let ids = log_ids(&read);
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 10_000);
        assert!(ids.len() as u64 - 10_000 <= repeats, "{} repeats", ids.len() - 10_000);
    }
}

#[tokio::test]
async fn the_cursor_of_a_verified_scan_finds_what_is_newer() {
    let server = fake_with_logs(250);
    let list = || integration(&server).logs().list(()).verify();
    let mut next = 250;
    let read = list().collect().await;
    next += 1;
    server.integration().add_raw(log_text(next));
    let newer = integration(&server).logs().list(()).newer_than(read.cursor.unwrap()).collect().await;
    assert_eq!(log_ids(&newer), [251]);

    // What the second scan found at the head isn't newer than its cursor.
    let server = fake_with_logs(100);
    server.integration().total_scope(FakeTotal::Absent);
    before(&server, 4, |server| _ = server.integration().add_raw(log_text(101)));
    let list = || integration(&server).logs().list(()).page_size(50).prefetch(1);
    let read = list().verify().collect().await;
    assert_eq!((read.summary.verdict, read.summary.late, read.items.len()), (COMPLETE, 1, 101));
    let newer = list().newer_than(read.cursor.unwrap()).collect().await;
    assert!(newer.items.is_empty(), "{newer:?}");
}

#[tokio::test]
async fn a_limit_ends_a_verified_scan_as_any_other() {
    let server = fake_with_logs(250);
    let read = logs(&server).page_size(20).max_items(40).verify().collect().await;
    assert_eq!((read.summary.verdict, read.summary.scans), (Verdict::Incomplete(Cause::MaxItems), 1));
    let mut pages = logs(&server).page_size(20).max_pages(3).verify().pages();
    while let Some(page) = pages.next().await {
        page.unwrap();
    }
    assert_eq!(pages.summary().verdict, Verdict::Incomplete(Cause::MaxPages));
}

#[tokio::test]
async fn verify_is_refused_before_anything_is_sent_where_less_than_the_listing_is_scanned() {
    let server = fake_with_logs(250);
    let cursor = logs(&server).collect().await.cursor.unwrap();
    let part = integration(&server).logs().list(LogsQuery::new().sort("status")).parts_of(100).unwrap().next().unwrap();
    let sent = server.requests().len();
    let since = chrono::DateTime::UNIX_EPOCH;
    let refused = [
        logs(&server).start_offset(1).verify(),
        logs(&server).since(since).verify(),
        logs(&server).growth(actionlog::page::Growth::AtHead).newer_than(cursor).verify(),
        logs(&server).part(part).verify(),
    ];
    for listing in refused {
        let error = listing.collect().await.error.unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert!(error.to_string().contains("`verify` compares scans of the whole listing"), "{error}");
    }
    assert_eq!(server.requests().len(), sent);
}

#[tokio::test]
async fn a_first_scan_that_ended_early_does_not_confirm_what_only_the_second_one_saw() {
    let server = fake_with_logs(100);
    server.integration().total_scope(FakeTotal::Absent);
    let mut request = 0;
    server.before_each(move |server| {
        request += 1;
        let log = server.integration().log();
        match request {
            // A record alone in its page looks like the last one.
            3 => _ = server.integration().largest_page(1),
            4 => _ = server.integration().largest_page(100),
            _ => {}
        }
        // Later, a record moves past the position, and another one behind it is removed.
        let last = server.requests().last().and_then(|it| it.parameter("offset"));
        if log.len() == 100 && last.as_deref() == Some("57") {
            let text = log.remove(90).unwrap();
            log.insert_raw(60, text);
            log.remove(65);
        }
    });
    let read = logs(&server).page_size(20).prefetch(1).verify().collect().await;
    assert!(server.integration().log().len() == 99 && log_ids(&read).contains(&10), "{:?}", read.summary);
}

#[tokio::test]
async fn more_new_records_than_a_resumed_scan_remembers_are_not_lost() {
    for added in [30, 45, 100, 500] {
        let server = fake_with_logs(250);
        server.integration().total_scope(FakeTotal::Absent);
        let list = || integration(&server).logs().list(()).page_size(20).dedup_window(40);
        let first = list().max_items(130).collect().await;
        for id in 251..251 + added {
            server.integration().add_raw(log_text(id));
        }
        let rest = list().resume(first.cursor.clone().unwrap()).verify().collect().await;
        let newer = list().newer_than(rest.cursor.clone().unwrap()).collect().await;
        let all: BTreeSet<_> = [&first, &rest, &newer].into_iter().flat_map(log_ids).collect();
        assert_eq!(all.len() as u64, 250 + added, "{:?}", rest.summary);
        let delivered: BTreeSet<_> = [&first, &rest].into_iter().flat_map(log_ids).collect();
        assert!(!rest.summary.verdict.is_complete() || delivered.len() as u64 == 250 + added, "{:?}", rest.summary);
    }
}

#[tokio::test]
async fn a_log_that_is_emptied_between_the_scans_is_complete_and_its_cursor_still_knows_the_head() {
    let server = fake_with_logs(100);
    server.integration().total_scope(FakeTotal::Absent);
    // The first scan takes eight requests.
    before(&server, 9, |server| while server.integration().log().remove(0).is_some() {});
    let list = || integration(&server).logs().list(()).page_size(20).prefetch(1);
    let read = list().verify().collect().await;
    assert_eq!((read.items.len(), read.summary.verdict), (100, COMPLETE));
    server.integration().add_raw(log_text(101));
    let newer = list().newer_than(read.cursor.unwrap()).collect().await;
    // All that the cursor knows is gone, which is said, and not that the cursor is of another kind.
    assert_eq!(newer.error.map(|it| it.kind()), Some(ErrorKind::Incomplete));
}

#[tokio::test]
async fn a_record_added_in_the_middle_delivers_no_record_again_that_was_read_before_the_cursor() {
    let server = fake_with_logs(250);
    server.integration().total_scope(FakeTotal::Absent);
    let list = || logs(&server).page_size(20).stability(Stability::Stable);
    let first = list().collect().await;
    server.integration().log().insert_raw(30, log_text(251));
    let rest = list().resume(first.cursor.unwrap()).verify().collect().await;
    let again: Vec<_> = log_ids(&rest).into_iter().filter(|it| *it <= 250).collect();
    assert_eq!((again, rest.summary.verdict), (vec![], DIFFER), "{:?}", rest.summary);
}

/// Delivers the third record only in a separate page, as a server does that limits pages by their size.
#[tokio::test]
async fn a_record_that_the_server_returns_only_alone_is_delivered() {
    let server = fake_with_logs(10);
    server.integration().total_scope(FakeTotal::Absent);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let door = Sized { door: server.http_client(), asked: Arc::clone(&asked) };
    let client = actionlog::IntegrationClient::builder("http://localhost").api_key("any").http_client(door);
    let client = client.retry(RetryPolicy::never()).build().unwrap();
    let plain = client.logs().list(()).page_size(5).prefetch(1).collect().await;
    assert!(plain.items.len() < 10 && !plain.summary.verdict.is_complete(), "{:?}", plain.summary);
    let read = client.logs().list(()).page_size(5).prefetch(1).verify().collect().await;
    assert_eq!(read.items.len(), 10, "{:?}", read.summary);
    assert_eq!(read.summary.verdict, Verdict::Unverified(Doubt::SingleRecords));
}

/// A server that returns no page in which another record stands before record 4.
#[derive(Debug)]
struct Sized {
    door: actionlog::testing::InMemory,
    asked: Arc<Mutex<Vec<String>>>,
}

#[async_trait::async_trait]
impl actionlog::HttpClient for Sized {
    async fn send(
        &self,
        mut request: http::Request<bytes::Bytes>,
    ) -> Result<http::Response<actionlog::Body>, actionlog::HttpError> {
        let uri = request.uri().to_string();
        self.asked.lock().unwrap().push(uri.clone());
        let offset: usize = uri.split_once("offset=").unwrap().1.split('&').next().unwrap().parse().unwrap();
        // Record 4 stands at offset 6.
        let most = if offset < 6 { 6 - offset } else { 5 };
        *request.uri_mut() = uri.replace("limit=5", &format!("limit={}", most.min(5))).parse().unwrap();
        self.door.send(request).await
    }
}

/// A scan of one API, with and without `verify`.
async fn verdicts<Q: Paginate>(listing: impl Fn() -> Listing<Q>) -> [Verdict; 2] {
    [listing().collect().await.summary.verdict, listing().verify().collect().await.summary.verdict]
}

fn name(verdict: Verdict) -> String {
    match verdict {
        Verdict::Complete(proof) => format!("`Complete({proof:?})`"),
        Verdict::Unverified(doubt) => format!("`{doubt:?}`"),
        verdict => panic!("{verdict}"),
    }
}

/// A log of each kind: how many records, and whether one is added before each request.
const KINDS: [(&str, usize, bool); 4] =
    [("at rest", 250, false), ("growing", 250, true), ("empty", 0, false), ("one record", 1, false)];

async fn rows() -> Vec<(&'static str, Vec<[Verdict; 2]>)> {
    let mut rows: Vec<(&str, Vec<[Verdict; 2]>)> =
        ["Arklow", "integration", "integration, `sort(\"status\")`", "Unleash"].map(|api| (api, Vec::new())).into();
    for (_, records, grows) in KINDS {
        let server = FakeServer::new();
        server.arklow().add_sample_records("1", records);
        server.integration().add_sample_logs(records);
        server.unleash().add_sample_events("default", 7, records);
        if grows {
            server.before_each(|server| {
                server.arklow().add_sample_records("1", 1);
                server.integration().add_sample_logs(1);
                server.unleash().add_sample_events("default", 7, 1);
            });
        }
        let arklow = ArklowClient::builder("1").base_url("http://localhost").api_key("any");
        let arklow = arklow.http_client(server.http_client()).build().unwrap();
        let unleash = UnleashClient::builder("http://localhost").api_key("any");
        let unleash = unleash.http_client(server.http_client()).build().unwrap();
        let integration = integration(&server);
        rows[0].1.push(verdicts(|| arklow.records().list(())).await);
        rows[1].1.push(verdicts(|| integration.logs().list(())).await);
        rows[2].1.push(verdicts(|| integration.logs().list(LogsQuery::new().sort("status"))).await);
        rows[3].1.push(verdicts(|| unleash.action_set_events().list(("default", 7))).await);
    }
    rows
}

#[tokio::test(start_paused = true)]
async fn the_docs_say_which_verdict_each_api_reaches() {
    let rows = rows().await;
    // Sorted by the status, the new records come in the middle.
    let can_be = |(api, verdicts): &(&str, Vec<[Verdict; 2]>)| {
        verdicts.iter().enumerate().all(|(index, it)| it[1].is_complete() || (api.contains("sort") && index == 1))
    };
    assert!(rows.iter().all(can_be), "{rows:?}");
    let mut table = String::from(
        "| | at rest | a record added before each request | empty | one record |\n|---|---|---|---|---|\n",
    );
    for (index, way) in ["", " with `verify`"].into_iter().enumerate() {
        for (api, verdicts) in &rows {
            let cells: Vec<_> = verdicts.iter().map(|it| name(it[index])).collect();
            writeln!(table, "| {api}{way} | {} |", cells.join(" | ")).unwrap();
        }
    }
    docs::table(&["src/verdicts.md"], "verdicts", &table);
}
