//! Logs that change between every two requests, and scans of them with several pages in flight: each request that is
//! made in vain moves the end further away.

use std::collections::BTreeSet;

use actionlog::integration::{LogsQuery, SortOrder};
use actionlog::page::{Doubt, Stability, TotalScope};
use actionlog::testing::FakeTotal;
use actionlog::{Summary, Verdict};

use super::{Way, client};
use crate::support::{fake_with_logs, log_text};

/// Scans a log in which records are added before every request but the first: so many tenths of the log below its head,
/// or right before the last one. Prefetched requests count, too.
async fn scan_with_prefetch(way: Way, tenths: Option<usize>, added: u64) -> (Vec<u64>, Summary, Option<String>) {
    let server = fake_with_logs(57);
    if way.total == TotalScope::Page {
        server.integration().total_scope(FakeTotal::Absent);
    }
    let (mut next, mut first) = (58, true);
    server.before_each(move |server| {
        let log = server.integration().log();
        let count = if std::mem::take(&mut first) { 0 } else { added };
        for _ in 0..count {
            log.insert_raw(tenths.map_or(log.len() - 1, |it| log.len() * it / 10), log_text(next));
            next += 1;
        }
    });
    let listing = client(&server, way.total).logs().list(LogsQuery::new().order(way.order));
    let listing = listing.page_size(way.page_size).prefetch(way.prefetch).stability(way.fixed);
    let read = listing.max_items(4_000).collect().await;
    let ids: BTreeSet<u64> = read.items.iter().map(|it| it.id.to_string().parse().unwrap()).collect();
    let missing = (1..=57).filter(|it| !ids.contains(it)).collect();
    (missing, read.summary, read.error.map(|it| it.to_string()))
}

#[tokio::test(start_paused = true)]
async fn a_log_that_gets_records_anywhere_before_every_request_is_scanned_to_its_end_with_pages_in_flight() {
    for (page_size, prefetch, added) in
        [(3, 4, 1), (4, 4, 2), (5, 4, 2), (6, 4, 4), (10, 4, 7), (5, 16, 3), (10, 16, 4)]
    {
        for total in [TotalScope::Page, TotalScope::Unknown] {
            for tenths in [None, Some(3), Some(6), Some(9)] {
                let way = Way { order: SortOrder::Desc, page_size, prefetch, fixed: Stability::Stable, total };
                let (_, rest, _) = scan_with_prefetch(way, tenths, 0).await;
                let (missing, busy, error) = scan_with_prefetch(way, tenths, added).await;
                let why = format!("{added} at {tenths:?} with {way:?}: {rest:?}, {busy:?}");
                assert!(missing.is_empty() && error.is_none(), "{missing:?}, {error:?}: {why}");
                assert!(!busy.verdict.is_incomplete() && !busy.verdict.is_complete(), "{why}");
                let new = (busy.delivered - 57) / u64::from(page_size - 1);
                let most = if prefetch > 4 { 80 } else { 20 };
                assert!(busy.requests <= rest.requests + new + most, "{why}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_scan_toward_a_growing_end_without_a_total_ends_with_pages_in_flight() {
    for (page_size, prefetch, added) in [(3, 4, 1), (5, 4, 2), (5, 16, 2), (6, 4, 3), (10, 16, 7)] {
        let way = Way { order: SortOrder::Asc, page_size, prefetch, fixed: Stability::Stable, total: TotalScope::Page };
        // Oldest first: the end of the log is at its last tenth.
        let (missing, busy, error) = scan_with_prefetch(way, Some(0), added).await;
        assert!(missing.is_empty() && error.is_none(), "{added} with {way:?}: {missing:?}, {error:?}, {busy:?}");
        assert_eq!(busy.verdict, Verdict::Unverified(Doubt::EndUnproved), "{added} with {way:?}: {busy:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_in_an_unstable_order_that_gets_records_in_the_middle_is_scanned_to_its_end() {
    for (page_size, added) in [(3, 1), (4, 2), (5, 2), (5, 3), (6, 3)] {
        for total in [TotalScope::Page, TotalScope::Unknown] {
            for tenths in [None, Some(3), Some(6)] {
                let way = Way { order: SortOrder::Desc, page_size, prefetch: 1, fixed: Stability::Unstable, total };
                let (missing, busy, error) = scan_with_prefetch(way, tenths, added).await;
                let why = format!("{added} at {tenths:?} with {way:?}: {busy:?}");
                assert!(missing.is_empty() && error.is_none(), "{missing:?}, {error:?}: {why}");
                assert!(!busy.verdict.is_incomplete() && !busy.verdict.is_complete(), "{why}");
            }
        }
    }
}
