//! Scans of records that are invalid, equal or moving.

use std::collections::HashSet;
use std::time::Duration;

use actionlog::integration::{LogsQuery, SortOrder};
use actionlog::page::{Cause, Doubt, More, Stability, TotalScope};
use actionlog::testing::{FakeServer, FakeTotal, Fault, InMemory};
use actionlog::{
    ArklowClient, Body, Cursor, ErrorKind, HttpClient, HttpError, IntegrationClient, RetryPolicy, Verdict,
};
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::integration;

fn arklow(server: &FakeServer, key: &str) -> ArklowClient {
    ArklowClient::builder("4711").api_key(key).http_client(server.http_client()).build().unwrap()
}

#[tokio::test]
async fn the_last_page_of_a_stream_reports_no_more() {
    let server = FakeServer::new();
    server.integration().add_sample_logs(75);
    let mut pages = integration(&server).logs().list(()).page_size(50).pages();
    let mut more = Vec::new();
    while let Some(page) = pages.next().await {
        more.push(page.unwrap().more);
    }
    assert_eq!(more, [More::Yes, More::No]);
}

#[tokio::test]
async fn invalid_records_with_equal_raw_json_are_each_reported() {
    let server = FakeServer::new();
    server.integration().add_sample_logs(5).add_raw("null").add_sample_logs(5).add_raw("null").add_raw("null");
    for page_size in [3, 100] {
        let mut logs = integration(&server).logs().list(()).page_size(page_size).items();
        let (mut read, mut unreadable) = (0, 0);
        while let Some(log) = logs.next().await {
            match log {
                Ok(_) => read += 1,
                Err(error) => unreadable += u32::from(error.kind() == ErrorKind::InvalidRecord),
            }
        }
        assert_eq!((read, unreadable), (10, 3), "by {page_size}");
    }
}

#[tokio::test]
async fn a_total_of_the_page_ends_no_listing() {
    let server = FakeServer::new();
    server.integration().add_sample_logs(60).total_scope(FakeTotal::OfPage).largest_page(20);
    let mut logs = integration(&server).logs().list(()).items();
    let mut read = 0;
    while let Some(log) = logs.next().await {
        log.unwrap();
        read += 1;
    }
    assert_eq!(read, 60);
}

#[tokio::test]
async fn a_record_that_moves_to_the_head_before_it_was_seen_is_yielded_late() {
    let server = FakeServer::new();
    server.integration().add_sample_logs(60);
    let mut logs = integration(&server).logs().list(()).page_size(7).items();
    let mut read = 0;
    while let Some(log) = logs.next().await {
        log.unwrap();
        read += 1;
        if read == 20 {
            server.integration().log().move_to_head(50);
        }
    }
    assert_eq!(read, 60);
}

#[tokio::test]
async fn a_short_key_does_not_garble_the_message() {
    let server = FakeServer::new();
    server.fail_next(Fault::StatusWith { status: 403, headers: Vec::new(), body: "Too many of them".to_owned() });
    let error = arklow(&server, "any").records().list(()).page().await.unwrap_err();
    assert_eq!(error.api().unwrap().message(), Some("Too many of them"));
}

#[tokio::test]
async fn a_log_that_loses_its_oldest_records_during_an_oldest_first_scan_costs_few_requests() {
    let server = FakeServer::new();
    server.integration().add_sample_logs(2_000);
    let log = server.integration().log();
    let mut requests = 0;
    server.before_each(move |_| {
        requests += 1;
        if requests % 2 == 0 {
            log.remove(log.len() - 1);
        }
    });
    let query = LogsQuery::new().order(SortOrder::Asc);
    let logs = integration(&server).logs().list(query).page_size(100).collect().await;
    assert!(!logs.summary.verdict.is_incomplete(), "{}", logs.summary.verdict);
    assert_eq!(logs.items.len(), 2_000);
    // 21 windows, if nothing changed.
    assert!(logs.summary.requests < 60, "{:?}", logs.summary);
}

#[tokio::test]
async fn a_record_with_its_raw_json_reports_the_path_of_the_error() {
    let server = FakeServer::new();
    server
        .integration()
        .add_raw(r#"{"_id":"7","integrationId":"i","actionType":5,"entityType":"e","status":"success"}"#);
    let logs = integration(&server).logs().list(()).with_raw().collect().await;
    let plain = integration(&server).logs().list(()).collect().await;
    assert_eq!((logs.invalid[0].path(), logs.invalid[0].id()), ("actionType", Some("7")));
    assert_eq!(logs.invalid, plain.invalid);
}

#[tokio::test]
async fn since_keeps_scanning_without_an_order_of_timestamps() {
    let server = FakeServer::new();
    server.integration().add_sample_logs(6);
    let query = LogsQuery::new().order(SortOrder::Asc);
    let listing = integration(&server).logs().list(query);
    let times: Vec<_> = listing.clone().collect().await.items.iter().map(|it| it.created_at.unwrap()).collect();
    for page_size in [1, 2, 3, 100] {
        let newer =
            listing.clone().page_size(page_size).since(times[3]).since_tolerance(Duration::ZERO).collect().await;
        assert_eq!(newer.items.len(), 2, "by {page_size}");
        assert!(!newer.summary.verdict.is_incomplete());
    }
}

#[tokio::test]
async fn newer_records_are_unknown_to_a_scan_from_the_middle() {
    let server = FakeServer::new();
    server.integration().add_sample_logs(60);
    let listing = integration(&server).logs().list(());
    let cursor = listing.clone().start_offset(20).collect().await.cursor.unwrap();
    let error = listing.newer_than(cursor).items().next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.to_string().contains("started at the head"), "{error}");
}

#[tokio::test]
async fn yielded_records_that_move_hide_no_others_from_a_resumed_scan() {
    for page_size in [3, 5, 10] {
        let server = FakeServer::new();
        server.integration().add_sample_logs(20);
        let log = server.integration().log();
        let query = LogsQuery::new().sort("updatedAt").order(SortOrder::Asc);
        let listing = integration(&server).logs().list(query).page_size(page_size);
        let first = listing.clone().max_items(10).collect().await;
        // Processing the last five changed them, and the listing is sorted by the time of the change.
        for _ in 0..5 {
            log.move_to_head(14);
        }
        let rest = listing.resume(first.cursor.unwrap()).collect().await;
        let delivered: HashSet<_> = first.items.iter().chain(&rest.items).map(|it| it.id.clone()).collect();
        assert_eq!(delivered.len(), 20, "by {page_size}: {}", rest.summary.verdict);
    }
}

#[tokio::test]
async fn an_already_seen_record_that_moved_to_the_head_hides_no_newer_record() {
    let server = FakeServer::new();
    server.integration().add_sample_logs(20);
    let listing = integration(&server).logs().list(()).page_size(5).stability(Stability::Unstable);
    let cursor = listing.clone().collect().await.cursor.unwrap();
    server.integration().add_sample_logs(3).log().move_to_head(3);
    let newer = listing.newer_than(cursor).collect().await;
    assert_eq!(newer.items.len(), 3, "{}", newer.summary.verdict);
}

#[tokio::test]
async fn the_largest_numbers_are_read_exactly() {
    let server = FakeServer::new();
    server.integration().add_sample_logs(7);
    let listing = integration(&server).logs().list(()).page_size(3);
    let all = listing
        .clone()
        .max_unproductive_requests(u64::MAX)
        .dedup_window(usize::MAX)
        .max_items(u64::MAX)
        .collect()
        .await;
    assert_eq!(all.items.len(), 7);
    let mut hostile = serde_json::to_value(all.cursor.unwrap()).unwrap();
    for (part, value) in [("delivered", u64::MAX), ("offset", u64::MAX)] {
        hostile[part] = value.into();
        let cursor = serde_json::from_value(hostile.clone()).unwrap();
        let read = listing.clone().resume(cursor).collect().await;
        assert!(!read.summary.verdict.is_complete(), "{part}: {}", read.summary.verdict);
    }
    // The dedup window is smaller than the head: each record is still yielded once.
    let few = listing.dedup_window(1).collect().await;
    assert_eq!(few.items.len(), 7);
}

/// The time of each poll after an error, in milliseconds, if a server fails with these headers in a row.
async fn waits(failures: &[&[(&str, &str)]]) -> Vec<u128> {
    let server = FakeServer::new();
    server.integration().add_sample_logs(3);
    for headers in failures {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        server.fail_next(Fault::StatusWith { status: 503, headers, body: String::new() });
    }
    let mut logs =
        integration(&server).logs().list(()).retry(RetryPolicy::never()).max_consecutive_errors(None).items();
    let mut waits = Vec::new();
    loop {
        let start = Instant::now();
        let next = logs.next().await.unwrap();
        waits.push(start.elapsed().as_millis());
        match next {
            Ok(_) => break,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    }
    assert_eq!(waits.len(), failures.len() + 1);
    assert_eq!(waits.remove(0), 0, "the first request waits for nothing");
    waits
}

#[tokio::test(start_paused = true)]
async fn a_poll_after_an_error_waits_for_retry_after() {
    // An hour and ten days are waited in full.
    assert_eq!(waits(&[&[("retry-after", "3600")]]).await, [3_600_000]);
    assert_eq!(waits(&[&[("retry-after", "864000")]]).await, [864_000_000]);
    // Less than the backoff.
    assert_eq!(waits(&[&[("retry-after-ms", "40")]]).await, [40]);
    assert_eq!(waits(&[&[("retry-after", "0")]]).await, [0]);
    // The server's last `Retry-After` counts, whatever the number of errors.
    let (none, seven) = (&[][..], &[("retry-after", "7")][..]);
    assert_eq!(waits(&[none, none, seven, seven, seven]).await, [1_000, 2_000, 7_000, 7_000, 7_000]);
}

#[tokio::test(start_paused = true)]
async fn a_poll_after_an_error_without_retry_after_backs_off() {
    let expected = [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000];
    assert_eq!(waits(&[&[][..]; 8]).await, expected);
    // Many errors don't overflow.
    assert_eq!(waits(&[&[][..]; 140]).await[100..], [30_000; 40]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_of_zero_does_not_cause_a_hot_loop() {
    let at_once = &[("retry-after", "0")][..];
    assert_eq!(waits(&[at_once; 7]).await, [0, 100, 200, 400, 800, 1_000, 1_000]);
    let soon = &[("retry-after-ms", "300")][..];
    assert_eq!(waits(&[soon; 5]).await, [300, 300, 300, 400, 800]);
}

#[tokio::test(start_paused = true)]
async fn the_longest_possible_retry_after_is_accepted() {
    let longest = u64::MAX.to_string();
    let mut logs = {
        let server = FakeServer::new();
        server.integration().add_sample_logs(3);
        let headers = vec![("retry-after-ms".to_owned(), longest)];
        server.fail_next(Fault::StatusWith { status: 503, headers, body: String::new() });
        integration(&server).logs().list(()).retry(RetryPolicy::never()).items()
    };
    assert_eq!(logs.next().await.unwrap().unwrap_err().retry_after(), Some(Duration::from_millis(u64::MAX)));
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    assert!(tokio::time::timeout(year, logs.next()).await.is_err());
}

/// The stored cursor of a scan.
async fn stored() -> (FakeServer, Value) {
    let server = FakeServer::new();
    server.integration().add_sample_logs(9);
    let read = integration(&server).logs().list(()).max_items(5).collect().await;
    (server, serde_json::to_value(read.cursor.unwrap()).unwrap())
}

#[tokio::test]
async fn a_cursor_of_another_version_is_rejected_by_its_version() {
    let (server, mut same) = stored().await;
    same["version"] = 7.into();
    let sent = server.requests().len();
    let shapes = [
        same,
        json!({"version": 7}),
        json!({"version": 7, "listing": 5, "offset": "here", "keys": {"a": [1.5, null]}, "many": [[]]}),
        json!({"version": 7, "a_field_before": {"deep": [{}]}, "zz": -1, "head": true}),
    ];
    for shape in shapes {
        // `version` as the first and as the last field.
        let text = shape.to_string();
        let rest = text.trim_start_matches('{').replace("\"version\":7", "\"v\":0");
        let cursors: [Cursor; 3] = [
            serde_json::from_str(&text).unwrap(),
            serde_json::from_str(&format!("{{\"version\":7,{rest}")).unwrap(),
            serde_json::from_value(shape).unwrap(),
        ];
        for cursor in cursors {
            for listing in [integration(&server).logs().list(()).resume(cursor.clone()), {
                integration(&server).logs().list(()).newer_than(cursor.clone())
            }] {
                let error = listing.items().next().await.unwrap().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidRequest);
                let expected = "the cursor has version 7, and this crate reads version 3: start a new scan";
                assert!(error.to_string().contains(expected), "{text}: {error}");
            }
            // It can't be serialized again, because its content wasn't read.
            let error = serde_json::to_string(&cursor).unwrap_err();
            assert!(error.to_string().contains("version 7"), "{error}");
        }
    }
    assert_eq!(server.requests().len(), sent, "nothing was sent");
}

#[tokio::test]
async fn a_cursor_of_this_version_is_read_in_any_field_order_and_errors_name_missing_fields() {
    let (server, stored) = stored().await;
    let text = stored.to_string();
    let canonical = serde_json::to_string(&serde_json::from_value::<Cursor>(stored.clone()).unwrap()).unwrap();
    assert!(canonical.starts_with(r#"{"version":3,"listing":{"origin":"#), "{canonical}");
    for text in [&text, &canonical] {
        let cursor: Cursor = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&cursor).unwrap(), canonical);
        let rest = integration(&server).logs().list(()).resume(cursor).collect().await;
        assert_eq!(rest.items.len(), 4);
    }
    let mut lacking = stored.clone();
    lacking.as_object_mut().unwrap().remove("offset");
    assert!(serde_json::from_value::<Cursor>(lacking).unwrap_err().to_string().contains("`offset`"));
    let mut odd = stored.clone();
    odd["offset"] = "here".into();
    assert!(serde_json::from_value::<Cursor>(odd).is_err());
    let mut unversioned = stored;
    unversioned.as_object_mut().unwrap().remove("version");
    assert!(serde_json::from_value::<Cursor>(unversioned).unwrap_err().to_string().contains("`version`"));
}

#[tokio::test]
async fn a_cursor_is_read_from_a_format_without_names() {
    let (server, stored) = stored().await;
    let names = [
        "version",
        "listing",
        "offset",
        "keys",
        "distances",
        "run",
        "head",
        "delivered",
        "gone",
        "totals",
        "whole",
        "many",
        "unoverlapped",
        "sequence",
        "shift",
        "late",
    ]
    .map(|it| &stored[it]);
    assert_eq!(names.len(), stored.as_object().unwrap().len());
    let cursor: Cursor = serde_json::from_value(json!(names)).unwrap();
    assert_eq!(serde_json::to_value(&cursor).unwrap(), stored);
    let cursor: Cursor = serde_json::from_value(json!([7, {}, "here"])).unwrap();
    let error = integration(&server).logs().list(()).resume(cursor).items().next().await.unwrap().unwrap_err();
    assert!(error.to_string().contains("has version 7, and this crate reads version 3"), "{error}");
}

/// A server that clamps offsets to this.
#[derive(Debug)]
struct NoFarther(InMemory, u64);

#[async_trait]
impl HttpClient for NoFarther {
    async fn send(&self, mut request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let uri = request.uri().to_string();
        let (before, after) = uri.split_once("offset=").unwrap();
        let (offset, after) = after.split_once('&').unwrap_or((after, ""));
        let offset = offset.parse::<u64>().unwrap().min(self.1);
        *request.uri_mut() = format!("{before}offset={offset}&{after}").parse().unwrap();
        self.0.send(request).await
    }
}

#[tokio::test]
async fn an_unchanged_log_longer_than_the_dedup_window_is_yielded_once() {
    let server = FakeServer::new();
    server.integration().add_sample_logs(700);
    let client = IntegrationClient::builder("http://localhost")
        .api_key("any")
        .http_client(server.http_client())
        .build()
        .unwrap();
    // The head is scanned again in the end, and its page is longer than the head that a cursor holds.
    let all = client.logs().list(()).stability(Stability::Unstable).page_size(100).dedup_window(200).collect().await;
    assert_eq!((all.items.len(), all.summary.late), (700, 0));
    assert_eq!(all.summary.verdict, Verdict::Unverified(Doubt::OrderMayChange));
}

#[tokio::test]
async fn a_scan_with_a_small_dedup_window_ends_at_a_clamped_offset() {
    for remembered in [1, 2, 3, 5, 100] {
        let server = FakeServer::new();
        server.integration().add_sample_logs(30);
        let http_client = NoFarther(server.http_client(), 10);
        let client =
            IntegrationClient::builder("http://localhost").bearer("any").http_client(http_client).build().unwrap();
        let mut logs = client.logs().list(()).page_size(6).dedup_window(remembered).items();
        let mut read = 0;
        while let Some(log) = logs.next().await {
            read += u32::from(log.is_ok());
            assert!(read <= 16, "{remembered}: the same records are delivered over and over");
        }
        assert_eq!((read, logs.summary().verdict), (16, Verdict::Incomplete(Cause::Lost)), "{remembered}");
    }
}

#[tokio::test]
async fn a_total_does_not_end_a_scan_at_a_clamped_offset() {
    for largest in [1, 2, 4, 100] {
        let server = FakeServer::new();
        server.integration().add_sample_logs(31).largest_page(largest);
        let client = IntegrationClient::builder("http://localhost")
            .bearer("any")
            .total_scope(TotalScope::Listing)
            .http_client(NoFarther(server.http_client(), 10))
            .build()
            .unwrap();
        let logs = client.logs().list(()).page_size(10).collect().await;
        assert!(logs.items.len() < 31);
        assert_eq!(logs.summary.verdict, Verdict::Incomplete(Cause::Lost), "by {largest}: {}", logs.items.len());
    }
}

#[tokio::test]
async fn invalid_records_with_equal_raw_json_do_not_make_a_scan_endless() {
    for page_size in [2, 3, 4, 8, 12] {
        for removed in 1..12 {
            let server = FakeServer::new();
            server.integration().add_raw("null").add_raw("null").add_raw("null").add_sample_logs(20);
            let log = server.integration().log();
            let mut requests = 0;
            server.before_each(move |_| {
                requests += 1;
                for _ in 0..if requests == 2 { removed } else { 0 } {
                    log.remove(0);
                }
            });
            let mut logs = integration(&server).logs().list(()).page_size(page_size).items().with_invalid();
            let (mut read, mut unreadable) = (0, 0);
            while let Some(entry) = logs.next().await {
                match entry.unwrap() {
                    Ok(_) => read += 1,
                    Err(_) => unreadable += 1,
                }
                assert!(
                    unreadable < 10,
                    "by {page_size}, without {removed}: the same records are delivered over and over"
                );
            }
            assert!(read >= 20 - removed, "by {page_size}, without {removed}: {read}");
            assert!(unreadable >= 3, "by {page_size}, without {removed}: {unreadable}");
        }
    }
}

#[tokio::test]
async fn a_scan_that_resumes_one_record_at_a_time_finds_its_position_first() {
    // Removed while the scan is stopped: some of the delivered records, all of them, and all but one.
    for removed in [0..1, 3..9, 0..12, 0..11, 1..12] {
        let server = FakeServer::new();
        server.integration().add_sample_logs(23);
        let log = server.integration().log();
        let listing = integration(&server).logs().list(()).stability(Stability::Stable);
        let first = listing.clone().page_size(4).max_items(12).collect().await;
        for _ in removed.clone() {
            log.remove(removed.start);
        }
        let rest = listing.resume(first.cursor.unwrap()).page_size(1).collect().await;
        let delivered: HashSet<_> = first.items.iter().chain(&rest.items).map(|it| it.id.clone()).collect();
        assert_eq!(delivered.len(), 23, "without {removed:?}: {}", rest.summary.verdict);
    }
}

#[tokio::test]
async fn the_first_records_of_an_empty_log_are_newer_than_it() {
    for page_size in [1, 2, 5, 100] {
        for grown in 1..4 {
            let server = FakeServer::new();
            let listing = integration(&server).logs().list(()).page_size(page_size);
            let cursor = listing.clone().collect().await.cursor.unwrap();
            server.integration().add_sample_logs(grown);
            let newer = listing.newer_than(cursor).collect().await;
            assert_eq!(newer.items.len(), grown, "by {page_size}: {}", newer.summary.verdict);
        }
    }
}
