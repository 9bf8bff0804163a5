//! `since`, `max_items` and cursors together: what one scan leaves out, the next one yields.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use actionlog::integration::LogsQuery;
use actionlog::page::{Cause, Stability};
use actionlog::testing::{FakeServer, Fault};
use actionlog::{Cursor, ErrorKind, UnleashClient, Verdict};

use crate::support::integration;

#[tokio::test]
async fn since_with_max_items_skips_nothing() {
    let server = FakeServer::new();
    server.integration().add_sample_logs(60);
    let listing = integration(&server).logs().list(()).stability(Stability::Stable);
    let all = listing.clone().collect().await.items;
    let time = all[10].created_at.unwrap();
    let first = listing.clone().since(time).max_items(4).collect().await;
    let rest = listing.clone().since(time).resume(first.cursor.unwrap()).collect().await;
    assert_eq!(first.items.len() + rest.items.len(), 10);
}

#[tokio::test]
async fn records_that_since_skipped_are_yielded_by_a_scan_without_it() {
    let server = FakeServer::new();
    server.integration().add_sample_logs(120);
    let listing = integration(&server).logs().list(()).stability(Stability::Stable).page_size(20);
    let all = listing.clone().collect().await.items;
    let time = all[10].created_at.unwrap();
    let first = listing.clone().since(time).since_tolerance(Duration::ZERO).collect().await;
    let rest = listing.clone().resume(first.cursor.unwrap()).collect().await;
    let n: HashSet<_> = first.items.iter().chain(&rest.items).map(|it| it.id.clone()).collect();
    assert!(n.len() == 120 || !rest.summary.verdict.is_complete(), "{} of 120 and {}", n.len(), rest.summary.verdict);
}

#[tokio::test]
async fn an_earlier_since_yields_what_a_later_one_skipped() {
    let server = FakeServer::new();
    server.integration().add_sample_logs(120);
    let listing = integration(&server).logs().list(()).stability(Stability::Stable).page_size(20);
    let all = listing.clone().collect().await.items;
    let first = listing.clone().since(all[10].created_at.unwrap()).since_tolerance(Duration::ZERO).collect().await;
    let rest = listing
        .clone()
        .since(all[40].created_at.unwrap())
        .since_tolerance(Duration::ZERO)
        .resume(first.cursor.unwrap())
        .collect()
        .await;
    assert_eq!(first.items.len() + rest.items.len(), 40);
}

#[tokio::test]
async fn more_newer_pages_than_the_unproductive_limit_are_found() {
    let server = FakeServer::new();
    server.unleash().add_sample_events("default", 7, 60);
    let client =
        UnleashClient::builder("http://localhost").api_key("any").http_client(server.http_client()).build().unwrap();
    let listing = client.action_set_events().list(("default", 7));
    let cursor = listing.clone().collect().await.cursor.unwrap();
    server.unleash().add_sample_events("default", 7, 10_100);
    let newer = listing.clone().newer_than(cursor).collect().await;
    assert_eq!(newer.items.len(), 10_100, "{} {:?} {:?}", newer.summary.verdict, newer.error, newer.summary);
}

#[tokio::test]
async fn since_reports_scanning_to_the_end_if_all_timestamps_are_equal() {
    let server = FakeServer::new();
    for id in 0..500 {
        server.integration().add_raw(format!(r#"{{"_id":"{id}","integrationId":"i","actionType":"sync","entityType":"e","status":"success","createdAt":"2020-01-01T00:00:00Z"}}"#));
    }
    let listing = integration(&server).logs().list(()).stability(Stability::Stable).page_size(20);
    let newer = listing.since("2024-01-01T00:00:00Z".parse().unwrap()).collect().await;
    assert!(newer.items.is_empty());
    assert!(newer.summary.requests < 3 || newer.summary.scanned_to_end, "{:?}", newer.summary);
}

#[tokio::test]
async fn a_filter_is_the_same_in_whatever_order_its_fields_come() {
    let server = FakeServer::new();
    server.integration().add_sample_logs(10);
    let client = integration(&server);
    let filter = || {
        let mut m = HashMap::new();
        for k in ["a", "b", "c", "d", "e", "f"] {
            m.insert(k.to_owned(), 1);
        }
        LogsQuery::new().filter(&m)
    };
    let first = client.logs().list(filter()).max_items(3).collect().await;
    let cursor = first.cursor.unwrap();
    let mut refused = 0;
    for _ in 0..20 {
        let rest = client.logs().list(filter()).resume(cursor.clone()).collect().await;
        refused += u32::from(rest.error.is_some());
    }
    assert_eq!(refused, 0);
}

#[tokio::test]
async fn a_stream_is_not_complete_before_it_returns_none() {
    let server = FakeServer::new();
    server.integration().add_sample_logs(60);
    let mut pages = integration(&server).logs().list(()).max_items(5).pages();
    pages.next().await.unwrap().unwrap();
    assert_eq!(pages.summary().verdict, Verdict::Incomplete(Cause::NotFinished));
    assert!(pages.next().await.is_none());
    assert_eq!(pages.summary().verdict, Verdict::Incomplete(Cause::MaxItems));
}

#[tokio::test]
async fn after_an_error_that_ends_a_stream_the_verdict_is_there_before_the_none() {
    let server = FakeServer::new();
    server.integration().add_sample_logs(60);
    let listing = integration(&server).logs().list(()).page_size(20).prefetch(1);
    // The server refuses a page for good; or the log is emptied, so that the scan ends without its end.
    for (cause, kind) in [(Cause::Failed, ErrorKind::NotFound), (Cause::Emptied, ErrorKind::Incomplete)] {
        let fail = |server: &FakeServer| match cause {
            Cause::Failed => _ = server.fail_next(Fault::Status(404)),
            _ => while server.integration().log().remove(0).is_some() {},
        };
        let (mut logs, handle) = listing.clone().items().summarised();
        for _ in 0..20 {
            logs.next().await.unwrap().unwrap();
        }
        assert_eq!(handle.get().verdict, Verdict::Incomplete(Cause::NotFinished));
        fail(&server);
        let error = logs.next().await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (kind, false), "{error}");
        assert_eq!(logs.summary().verdict, Verdict::Incomplete(cause));
        assert_eq!(handle.get().verdict, Verdict::Incomplete(cause));
        assert!(logs.next().await.is_none());
        assert_eq!(handle.get().verdict, Verdict::Incomplete(cause));

        server.integration().add_sample_logs(60);
        let mut pages = listing.clone().pages();
        pages.next().await.unwrap().unwrap();
        fail(&server);
        assert!(pages.next().await.unwrap().is_err());
        assert_eq!(pages.summary().verdict, Verdict::Incomplete(cause));
        assert!(pages.next().await.is_none());
    }
}

#[tokio::test]
async fn since_reports_scanning_to_the_end_without_timestamps() {
    use actionlog::ArklowClient;
    use actionlog::arklow::RecordsQuery;
    let server = FakeServer::new();
    for id in 0..200 {
        server.arklow().add_raw("4711", format!(r#"{{"id":"{id}"}}"#));
    }
    let client = ArklowClient::builder("4711").api_key("any").http_client(server.http_client()).build().unwrap();
    let read = client
        .records()
        .list(RecordsQuery::new().include_state())
        .since("2024-01-01T00:00:00Z".parse().unwrap())
        .collect()
        .await;
    assert_eq!((read.items.len(), read.summary.scanned_to_end), (200, true));
}

#[tokio::test]
async fn records_since_a_time_can_be_scanned_in_portions_to_their_end() {
    let server = FakeServer::new();
    server.unleash().add_sample_events("default", 7, 120);
    let client =
        UnleashClient::builder("http://localhost").api_key("any").http_client(server.http_client()).build().unwrap();
    let listing = client.action_set_events().list(("default", 7));
    let all = listing.clone().collect().await.items;
    let time = all[30].created_at;
    let mut delivered = 0;
    let mut cursor: Option<Cursor> = None;
    for _ in 0..20 {
        let mut l = listing.clone().since(time).max_items(10);
        if let Some(c) = cursor {
            l = l.resume(c);
        }
        let read = l.collect().await;
        delivered += read.items.len();
        cursor = read.cursor;
        if !read.summary.verdict.is_incomplete() {
            break;
        }
    }
    assert_eq!(delivered, 30);
}

#[tokio::test]
async fn newer_records_can_be_scanned_in_portions() {
    let server = FakeServer::new();
    server.integration().add_sample_logs(60);
    let listing = integration(&server).logs().list(()).page_size(7);
    let mut cursor = listing.clone().collect().await.cursor.unwrap();
    server.integration().add_sample_logs(40);
    let mut n = 0;
    for _ in 0..20 {
        let read = listing.clone().newer_than(cursor).max_items(3).collect().await;
        n += read.items.len();
        cursor = read.cursor.unwrap();
    }
    assert_eq!(n, 40);
}

#[tokio::test]
async fn a_cursor_of_an_empty_log_leads_to_one_that_has_the_head() {
    let server = FakeServer::new();
    let listing = integration(&server).logs().list(());
    // An empty log is scanned, its cursor is stored, records are added, the scan resumes, and later requests newer
    // ones.
    let cursor = listing.clone().collect().await.cursor.unwrap();
    server.integration().add_sample_logs(20);
    let read = listing.clone().resume(cursor).collect().await;
    assert_eq!(read.items.len(), 20);
    server.integration().add_sample_logs(3);
    let newer = listing.newer_than(read.cursor.unwrap()).collect().await;
    assert_eq!(newer.items.len(), 3, "{:?}", newer.error.map(|it| it.to_string()));
}

/// Runs on a thread with the stack of a worker: a user may search for a term of brackets alone.
#[test]
fn a_search_term_of_nested_brackets_is_accepted() {
    let deep = |pairs: usize| format!("{}{}", "[".repeat(pairs), "]".repeat(pairs));
    let objects = |pairs: usize| format!("{}1{}", "{\"a\":".repeat(pairs), "}".repeat(pairs));
    let search = async move {
        let server = FakeServer::new();
        server.integration().add_sample_logs(10);
        let client = integration(&server);
        for term in [deep(5_000), objects(1_500), "[".repeat(5_000)] {
            let listing = client.logs().list(LogsQuery::new().search(term.clone()));
            let all = listing.clone().collect().await;
            assert!(all.error.is_none(), "{:?}", all.error);
            let rest = listing.resume(all.cursor.unwrap()).collect().await;
            assert!(rest.error.is_none(), "{:?}", rest.error);
            // A different term is a different listing.
            let other = client.logs().list(LogsQuery::new().search(format!("{term}x")));
            let refused = other.resume(rest.cursor.unwrap()).collect().await.error.unwrap();
            assert_eq!(refused.kind(), ErrorKind::InvalidRequest);
        }
        // A term too long for any URL is rejected without being parsed.
        let sent = server.requests().len();
        for term in [deep(1_000_000), objects(1_000_000)] {
            let all = client.logs().list(LogsQuery::new().search(term)).collect().await;
            assert_eq!(all.error.unwrap().kind(), ErrorKind::InvalidRequest);
        }
        assert_eq!(server.requests().len(), sent);
    };
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(search);
    std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(run).unwrap().join().unwrap();
}
