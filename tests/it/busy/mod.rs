//! Logs that change between every two requests: a scan ends, without an error, and loses nothing.

use std::collections::BTreeSet;

use actionlog::integration::{LogListing, LogsQuery, SortOrder};
use actionlog::page::{Doubt, GrowingEnd, Growth, Listing, Stability, TotalScope, merge};
use actionlog::testing::{FakeServer, FakeTotal};
use actionlog::{ArklowClient, IntegrationClient, Summary, UnleashClient, Verdict};

use crate::support::{fake_with_logs, log_text};

mod in_flight;

fn client(server: &FakeServer, total: TotalScope) -> IntegrationClient {
    let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(server.http_client());
    client.total_scope(total).build().unwrap()
}

/// A change of a log before each request.
#[derive(Clone, Copy, Debug)]
enum Steady {
    /// This number of records is added at the head.
    Grow(u64),
    /// This number of the oldest records is removed.
    Retire(usize),
    /// This number of the newest records is removed.
    Expire(usize),
}

impl Steady {
    fn is_retire(self) -> bool {
        matches!(self, Self::Retire(_))
    }

    fn is_expire(self) -> bool {
        matches!(self, Self::Expire(_))
    }
}

/// How a log is scanned.
#[derive(Clone, Copy, Debug)]
struct Way {
    order: SortOrder,
    page_size: u32,
    prefetch: usize,
    fixed: Stability,
    total: TotalScope,
}

/// Scans 230 records, with a change before each request but the first. Returns which of the records that were there
/// throughout are missing, and the outcome.
async fn scan(way: Way, steady: Option<Steady>) -> (Vec<u64>, Summary, Option<String>) {
    let server = fake_with_logs(230);
    let mut next = 231;
    let mut first = true;
    server.before_each(move |server| {
        let log = server.integration().log();
        if std::mem::take(&mut first) {
            return;
        }
        match steady {
            None => {}
            Some(Steady::Grow(count)) => {
                for _ in 0..count {
                    log.add_raw(log_text(next));
                    next += 1;
                }
            }
            Some(Steady::Retire(count)) => {
                for _ in 0..count {
                    _ = log.len().checked_sub(1).and_then(|last| log.remove(last));
                }
            }
            Some(Steady::Expire(count)) => {
                for _ in 0..count {
                    log.remove(0);
                }
            }
        }
    });
    let listing = client(&server, way.total).logs().list(LogsQuery::new().order(way.order));
    let read = listing.page_size(way.page_size).prefetch(way.prefetch).stability(way.fixed).collect().await;
    let delivered: BTreeSet<u64> = read.items.iter().map(|it| it.id.to_string().parse().unwrap()).collect();
    let left: BTreeSet<u64> = server
        .integration()
        .log()
        .raw_records()
        .iter()
        .map(|it| it.split('"').nth(3).unwrap().parse().unwrap())
        .collect();
    let missing = (1..=230).filter(|it| left.contains(it) && !delivered.contains(it)).collect();
    (missing, read.summary, read.error.map(|it| it.to_string()))
}

fn ways() -> Vec<Way> {
    let mut ways = Vec::new();
    for page_size in [3, 10, 50, 100] {
        for prefetch in [1, 4, 16] {
            for fixed in [Stability::Stable, Stability::Unstable] {
                for total in [TotalScope::Unknown, TotalScope::Listing] {
                    ways.push(Way { order: SortOrder::Desc, page_size, prefetch, fixed, total });
                }
            }
        }
    }
    ways
}

/// How many more requests than of a quiet log a scan may make of a log that changes before every request: the promised
/// number, and the pages of the new records themselves. Where records may move, the head is scanned again until the old
/// head is reached, and its records may be gone.
fn most(rest: &Summary, busy: &Summary, way: Way, steady: Steady) -> u64 {
    // Pages prefetched in vain, as in any scan.
    let ahead = if way.prefetch > 1 { 2 * rest.requests + 2 * way.prefetch as u64 } else { 0 };
    let at_head = if way.order == SortOrder::Desc { Steady::is_expire } else { Steady::is_retire };
    let is_gone = at_head(steady) && way.fixed == Stability::Unstable;
    let again = if is_gone { rest.requests } else { busy.late / u64::from(way.page_size - 1) };
    rest.requests + 15 + ahead + again
}

#[tokio::test(start_paused = true)]
async fn a_log_that_grows_before_every_request_is_scanned_to_its_end() {
    for way in ways() {
        let (_, rest, _) = scan(way, None).await;
        for count in [1, 2, 7, 30].into_iter().filter(|it| *it < u64::from(way.page_size)) {
            let (missing, busy, error) = scan(way, Some(Steady::Grow(count))).await;
            assert!(missing.is_empty() && error.is_none(), "{count} with {way:?}: {missing:?}, {error:?}, {busy:?}");
            assert!(!busy.verdict.is_incomplete() && !busy.verdict.is_complete(), "{count} with {way:?}: {busy:?}");
            assert!(
                busy.requests <= most(&rest, &busy, way, Steady::Grow(count)),
                "{count} with {way:?}: {rest:?} at rest, {busy:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_loses_records_at_either_end_before_every_request_is_scanned_to_its_end() {
    for way in ways() {
        for order in [SortOrder::Desc, SortOrder::Asc] {
            let way = Way { order, ..way };
            let (_, rest, _) = scan(way, None).await;
            for steady in [Steady::Retire(1), Steady::Retire(2), Steady::Expire(1), Steady::Expire(2)] {
                // With pages of three, two removed records before each request undo the progress.
                if way.page_size == 3 && matches!(steady, Steady::Expire(2) | Steady::Retire(2)) {
                    continue;
                }
                let (missing, busy, error) = scan(way, Some(steady)).await;
                assert!(
                    missing.is_empty() && error.is_none(),
                    "{steady:?} with {way:?}: {missing:?} {error:?} {busy:?}"
                );
                assert!(!busy.verdict.is_incomplete(), "{steady:?} with {way:?}: {busy:?}");
                let most = most(&rest, &busy, way, steady);
                assert!(busy.requests <= most, "{steady:?} with {way:?}: {rest:?} at rest, {busy:?}");
            }
        }
    }
}

/// Scans a log in which so many records are added above its last ones before every request, one page at a time.
async fn scan_with_inserts(
    listing: impl Fn(&FakeServer) -> Listing<LogListing>,
    records: u64,
    above: usize,
    added: u64,
) -> (Vec<u64>, Summary, Option<String>) {
    let server = fake_with_logs(records);
    let mut next = records + 1;
    server.before_each(move |server| {
        let log = server.integration().log();
        for _ in 0..added {
            log.insert_raw(log.len() - above, log_text(next));
            next += 1;
        }
    });
    let read = listing(&server).prefetch(1).max_items(2_000).collect().await;
    let ids: BTreeSet<u64> = read.items.iter().map(|it| it.id.to_string().parse().unwrap()).collect();
    let missing = (1..=records).filter(|it| !ids.contains(it)).collect();
    (missing, read.summary, read.error.map(|it| it.to_string()))
}

#[tokio::test(start_paused = true)]
async fn a_log_that_gets_a_record_right_before_its_last_ones_before_every_request_is_scanned_to_its_end() {
    for (page_size, records) in [(3, 12), (3, 57), (3, 230), (4, 12), (4, 230), (5, 57), (6, 57), (10, 230), (50, 230)]
    {
        for order in [Stability::Stable, Stability::Unstable] {
            for total in [FakeTotal::All, FakeTotal::Absent] {
                for above in [1, 2, 3] {
                    let listing = |server: &FakeServer| {
                        server.integration().total_scope(total);
                        client(server, TotalScope::Unknown).logs().list(()).page_size(page_size).stability(order)
                    };
                    let (_, rest, _) = scan_with_inserts(listing, records, above, 0).await;
                    let (missing, busy, error) = scan_with_inserts(listing, records, above, 1).await;
                    let why = format!("{records} by {page_size}, {above}, {order:?}, {total:?}: {rest:?}, {busy:?}");
                    assert!(missing.is_empty() && error.is_none(), "{missing:?}, {error:?}: {why}");
                    assert!(!busy.verdict.is_incomplete() && !busy.verdict.is_complete(), "{why}");
                    let new = (busy.delivered - records) / u64::from(page_size - 1);
                    assert!(busy.requests <= rest.requests + new + 15, "{why}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_scan_that_is_outrun_by_records_before_the_last_one_does_not_claim_that_the_end_grew() {
    for (query, growth) in [(LogsQuery::new(), None), (LogsQuery::new().sort("status"), Some(Growth::Unknown))] {
        let listing = |server: &FakeServer| {
            let listing = client(server, TotalScope::Listing).logs().list(query.clone());
            let listing = listing.page_size(3).stability(Stability::Stable);
            growth.map_or(listing.clone(), |growth| listing.growth(growth))
        };
        let (missing, busy, error) = scan_with_inserts(listing, 57, 1, 2).await;
        assert_eq!((missing, error), (vec![1], None), "{busy:?}");
        assert_eq!(busy.verdict, Verdict::Unverified(Doubt::EndUnproved), "{busy:?}");
        // One that comes closer to the end goes on, and finds the last record.
        let (missing, busy, error) = scan_with_inserts(listing, 57, 1, 1).await;
        assert!(missing.is_empty() && error.is_none() && !busy.verdict.is_incomplete(), "{missing:?} {busy:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_scan_toward_a_growing_end_stops_behind_the_records_of_its_start() {
    let without_total = ways().into_iter().map(|way| Way { total: TotalScope::Page, ..way });
    for way in ways().into_iter().chain(without_total) {
        let way = Way { order: SortOrder::Asc, ..way };
        let (_, rest, _) = scan(way, None).await;
        for count in [1, 2, 7, 30] {
            // If every page is full, only a total shows the end.
            let fills = count + 2 > u64::from(way.page_size);
            if fills && way.total != TotalScope::Listing {
                continue;
            }
            let (missing, busy, error) = scan(way, Some(Steady::Grow(count))).await;
            assert!(missing.is_empty() && error.is_none(), "{count} with {way:?}: {missing:?}, {error:?}");
            let doubt = if way.total == TotalScope::Page { Doubt::EndUnproved } else { Doubt::GrewAtEnd };
            assert_eq!(busy.verdict, Verdict::Unverified(doubt), "{count} with {way:?}: {busy:?}");
            let grown = busy.delivered - 230;
            let most = most(&rest, &busy, way, Steady::Grow(count)) + grown / u64::from(way.page_size - 1);
            assert!(busy.requests <= most, "{count} with {way:?}: {rest:?} at rest, {busy:?}");
        }
    }
}

#[tokio::test]
async fn a_total_that_fell_once_ends_the_scan_of_a_growing_end_all_the_same() {
    for total in [TotalScope::Unknown, TotalScope::Listing] {
        let server = fake_with_logs(230);
        let (mut next, mut turn) = (231, 0);
        server.before_each(move |server| {
            turn += 1;
            if turn == 3 {
                // Behind the position: the scan doesn't see that they are gone.
                server.integration().log().remove_ids(150..190);
            }
            for _ in 0..25 {
                server.integration().add_raw(log_text(next));
                next += 1;
            }
        });
        let listing = client(&server, total).logs().list(LogsQuery::new().order(SortOrder::Asc)).page_size(20);
        let read = listing.prefetch(1).max_items(2_000).collect().await;
        let ids: BTreeSet<u64> = read.items.iter().map(|it| it.id.to_string().parse().unwrap()).collect();
        assert_eq!(read.summary.verdict, Verdict::Unverified(Doubt::GrewAtEnd), "{total:?}: {:?}", read.summary);
        assert!((1..150).chain(190..231).all(|id| ids.contains(&id)), "{total:?}: {ids:?}");
    }
}

#[tokio::test]
async fn pages_cut_by_the_server_do_not_look_like_a_growing_end() {
    for total in [TotalScope::Unknown, TotalScope::Listing, TotalScope::Page] {
        for order in [Stability::Stable, Stability::Unstable] {
            let server = fake_with_logs(47);
            let mut turn = 0;
            server.before_each(move |server| {
                turn += 1;
                if turn == 3 {
                    server.integration().largest_page(3);
                }
                server.integration().log().remove(0);
            });
            let listing = client(&server, total).logs().list(()).page_size(6).stability(order);
            let read = listing.prefetch(1).collect().await;
            let ids: BTreeSet<String> = read.items.iter().map(|it| it.id.to_string()).collect();
            let left = server.integration().log().raw_records();
            let missing = left.iter().filter(|it| !ids.contains(it.split('"').nth(3).unwrap())).count();
            let verdict = read.summary.verdict;
            let is_told = verdict.is_incomplete() || verdict == Verdict::Unverified(Doubt::EndUnproved);
            assert!(missing == 0 || is_told, "{missing} are missing: {:?}", read.summary);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_scan_follows_a_growing_end_by_choice() {
    let server = fake_with_logs(230);
    let mut next = 231;
    server.before_each(move |server| {
        if next <= 1_000 {
            server.integration().add_raw(log_text(next));
            next += 1;
        }
    });
    let listing = client(&server, TotalScope::Unknown).logs().list(LogsQuery::new().order(SortOrder::Asc));
    let read = listing.growing_end(GrowingEnd::Chase).max_items(600).collect().await;
    assert_eq!(read.items.len(), 600, "{:?}", read.summary);
}

#[tokio::test(start_paused = true)]
async fn newer_records_of_a_log_that_grows_before_every_request_are_delivered() {
    for fixed in [Stability::Stable, Stability::Unstable] {
        for (page_size, count) in [(10, 1), (10, 2), (10, 7), (50, 30), (50, 7), (100, 30), (3, 1)] {
            let server = fake_with_logs(200);
            let listing = client(&server, TotalScope::Unknown).logs().list(()).page_size(page_size).stability(fixed);
            let cursor = listing.clone().collect().await.cursor.unwrap();
            for id in 201..=300 {
                server.integration().add_raw(log_text(id));
            }
            let mut next = 301;
            server.before_each(move |server| {
                for _ in 0..count {
                    server.integration().add_raw(log_text(next));
                    next += 1;
                }
            });
            let newer = listing.newer_than(cursor).collect().await;
            let why = format!("{count} in pages of {page_size}, {fixed:?}: {:?} {:?}", newer.error, newer.summary);
            assert!(newer.error.is_none() && !newer.summary.verdict.is_incomplete(), "{why}");
            let ids: Vec<u64> = newer.items.iter().map(|it| it.id.to_string().parse().unwrap()).collect();
            assert_eq!(ids[..100], (201..=300).collect::<Vec<_>>(), "{why}");
            assert!(ids.is_sorted(), "{why}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn newer_records_are_delivered_after_a_stop_while_the_log_grows_by_most_of_a_page() {
    let server = fake_with_logs(8);
    let listing = client(&server, TotalScope::Unknown).logs().list(()).page_size(8).stability(Stability::Unstable);
    let cursor = listing.clone().collect().await.cursor.unwrap();
    for id in 9..=61 {
        server.integration().add_raw(log_text(id));
    }
    let mut next = 62;
    server.before_each(move |server| {
        for _ in 0..5 {
            server.integration().add_raw(log_text(next));
            next += 1;
        }
    });
    let first = listing.clone().newer_than(cursor).max_items(13).collect().await;
    let rest = listing.newer_than(first.cursor.unwrap()).collect().await;
    assert!(rest.error.is_none() && !rest.summary.verdict.is_incomplete(), "{:?} {:?}", rest.error, rest.summary);
    let ids = first.items.iter().chain(&rest.items).map(|it| it.id.to_string().parse::<u64>().unwrap());
    assert!(ids.take(53).eq(9..=61), "{:?}", rest.summary);
}

#[tokio::test]
async fn events_added_before_every_request_do_not_stall_a_scan() {
    for count in [1, 2, 7, 30] {
        let server = FakeServer::new();
        server.unleash().add_sample_events("default", 7, 230);
        let client = UnleashClient::builder("http://localhost")
            .api_key("any")
            .http_client(server.http_client())
            .build()
            .unwrap();
        let listing = client.action_set_events().list(("default", 7));
        let there: Vec<i64> = listing.clone().collect().await.items.iter().map(|it| *it.id.get()).collect();
        let mut first = true;
        server.before_each(move |server| {
            if !std::mem::take(&mut first) {
                server.unleash().add_sample_events("default", 7, count);
            }
        });
        let read = listing.collect().await;
        assert!(read.error.is_none() && !read.summary.verdict.is_incomplete(), "{count}: {:?}", read.summary);
        let ids: BTreeSet<i64> = read.items.iter().map(|it| *it.id.get()).collect();
        assert!(there.iter().all(|it| ids.contains(it)), "{count}: {:?}", read.summary);
        assert!(read.summary.requests <= 6 + 15, "{count}: {:?}", read.summary);
    }
}

#[tokio::test]
async fn parts_of_a_log_that_grows_before_every_request_cover_it_and_end() {
    for page_size in [10, 50] {
        for count in [1, 2, 7] {
            let server = fake_with_logs(230);
            let listing =
                client(&server, TotalScope::Listing).logs().list(()).page_size(page_size).stability(Stability::Stable);
            let mut parts = listing.split(3).await.unwrap();
            let mut next = 231;
            server.before_each(move |server| {
                for _ in 0..count {
                    server.integration().add_raw(log_text(next));
                    next += 1;
                }
            });
            let sent = server.requests().len() as u64;
            let (mut reads, mut delivered) = (Vec::new(), BTreeSet::<u64>::new());
            for _ in 0..4 {
                for part in std::mem::take(&mut parts) {
                    let read = listing.clone().part(part).collect().await;
                    assert!(read.error.is_none(), "{count} by {page_size}: {:?}", read.error);
                    delivered.extend(read.items.iter().map(|it| it.id.to_string().parse::<u64>().unwrap()));
                    reads.push(read.part_read.unwrap());
                }
                parts = merge(&reads).unwrap().again;
                if parts.is_empty() {
                    break;
                }
            }
            let missing: Vec<u64> = (1..=230).filter(|it| !delivered.contains(it)).collect();
            assert!(missing.is_empty() && parts.is_empty(), "{count} by {page_size}: {missing:?}, {parts:?}");
            // A quiet log takes 26 or 6 requests, and three more for the ends of parts.
            let rest = 230 / u64::from(page_size - 1) + 6;
            let requests = server.requests().len() as u64 - sent;
            assert!(requests <= 2 * rest + 15, "{count} by {page_size}: {requests}");
        }
    }
}

#[tokio::test]
async fn a_row_that_is_listed_twice_ends_nothing() {
    let server = FakeServer::new();
    for id in [2, 3, 3, 1] {
        server.integration().add_raw(log_text(id));
    }
    // The page is [1, 3, 3] and the total 3: the server counts distinct records, and the page has three rows.
    server.integration().total_scope(FakeTotal::Always(3));
    let read =
        client(&server, TotalScope::Listing).logs().list(()).page_size(3).stability(Stability::Stable).collect().await;
    assert_eq!(read.items.len(), 3, "{:?}", read.summary);
}

#[tokio::test]
async fn new_records_are_not_looked_for_where_they_do_not_come() {
    let server = fake_with_logs(20);
    let client = client(&server, TotalScope::Unknown);
    let cursor = |query: LogsQuery| {
        let listing = client.logs().list(query);
        async move { (listing.clone(), listing.collect().await.cursor.unwrap()) }
    };
    for query in [
        LogsQuery::new().sort("executionTime"),
        LogsQuery::new().sort("status"),
        LogsQuery::new().sort("updatedAt").order(SortOrder::Desc),
        LogsQuery::new().order(SortOrder::Asc),
        LogsQuery::new().sort("createdAt").order(SortOrder::Asc),
    ] {
        let (listing, cursor) = cursor(query.clone()).await;
        let sent = server.requests().len();
        let error = listing.newer_than(cursor).items().next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), actionlog::ErrorKind::InvalidRequest, "{query:?}");
        assert_eq!(server.requests().len(), sent, "{query:?} was sent");
    }
    for query in [LogsQuery::new(), LogsQuery::new().sort("createdAt")] {
        let (listing, cursor) = cursor(query).await;
        assert!(listing.newer_than(cursor).collect().await.error.is_none());
    }
    let (listing, cursor) = cursor(LogsQuery::new().sort("_id")).await;
    assert!(listing.growth(Growth::AtHead).newer_than(cursor).collect().await.error.is_none());
}

#[tokio::test]
async fn newer_records_of_arklow_are_read_once_the_caller_says_where_they_come() {
    let server = FakeServer::new();
    server.arklow().add_sample_records("1", 20);
    let client = ArklowClient::builder("1").base_url("http://localhost").api_key("any");
    let client = client.http_client(server.http_client()).build().unwrap();
    let cursor = client.records().list(()).collect().await.cursor.unwrap();
    let sent = server.requests().len();
    let error = client.records().list(()).newer_than(cursor.clone()).items().next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), actionlog::ErrorKind::InvalidRequest);
    assert!(error.to_string().contains("growth"), "{error}");
    assert_eq!(server.requests().len(), sent);
    let newer = client.records().list(()).growth(Growth::AtHead).newer_than(cursor).collect().await;
    assert!(newer.error.is_none(), "{newer:?}");
}
