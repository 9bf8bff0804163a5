//! The count of records, and what it says about the end of a scan.

use actionlog::ErrorKind;
use actionlog::arklow::RecordsQuery;
use actionlog::page::{More, TotalScope};
use serde_json::json;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::arklow::page;
use crate::wire::{arklow, arklow_with, json, number, only_request, query, requests, server};

#[tokio::test]
async fn the_count_is_requested_without_a_page() {
    let server = server([json(200, r#"{"data": {"count": 12}, "errors": null}"#)]).await;
    let asked = RecordsQuery::new().search("status", "failed").version(2).include_state().include_definition();
    assert_eq!(arklow(&server).records().count(asked).await.unwrap(), 12);
    assert_eq!(
        query(&only_request(&server).await),
        "search%5Bfield%5D=status&search%5Bvalue%5D=failed&search%5Bop%5D=eq&version=2&take=50&skip=0&count_only=true"
    );
}

#[tokio::test]
async fn a_count_is_read_in_every_format() {
    for body in [
        r#"{"data": {"count": 5}}"#,
        r#"{"data": {"count": 5.0, "items": null}, "errors": []}"#,
        r#"{"data": {"count": 5, "items": []}, "errors": null}"#,
    ] {
        let server = server([json(200, body)]).await;
        assert_eq!(arklow(&server).records().count(()).await.unwrap(), 5, "{body}");
    }
}

#[tokio::test]
async fn a_count_that_is_missing_or_comes_with_errors_is_an_error() {
    let cases = [
        (r#"{"data": {"items": []}, "errors": null}"#, ErrorKind::Decode),
        (r#"{"data": {"count": null}, "errors": null}"#, ErrorKind::Decode),
        (r#"{"data": {"count": -1}, "errors": null}"#, ErrorKind::Decode),
        (r#"{"data": null, "errors": null}"#, ErrorKind::Decode),
        (r"{}", ErrorKind::Decode),
        (r#"{"data": {"count": "many"}, "errors": null}"#, ErrorKind::Decode),
        (r#"{"data": {"count": -1}, "errors": [{"code": "shard", "message": "one is down"}]}"#, ErrorKind::ApiFailure),
        (r#"{"data": null, "errors": [{"code": "shard", "message": "one is down"}]}"#, ErrorKind::ApiFailure),
    ];
    for (body, kind) in cases {
        let server = server([json(200, body)]).await;
        let error = arklow(&server).records().count(()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{body}");
        if kind == ErrorKind::ApiFailure {
            assert_eq!(error.api().unwrap().name(), Some("shard"));
            assert_eq!(error.api().unwrap().message(), Some("one is down"));
        }
        if kind == ErrorKind::Decode {
            let negative = body.contains("-1") || body.contains("many");
            assert_eq!(error.to_string().contains("non-negative"), negative, "{error}");
            assert_eq!(error.to_string().contains("missing"), !negative, "{error}");
        }
        assert_eq!(error.partial_count(), None);
        assert_eq!(requests(&server).await.len(), 1, "{body}");
    }
}

#[tokio::test]
async fn a_count_next_to_errors_is_kept_in_the_error() {
    let body = r#"{"data": {"count": 5}, "errors": [{"code": "shard", "message": "one is down"}]}"#;
    let server = server([json(200, body)]).await;
    let error = arklow(&server).records().count(()).await.unwrap_err();
    assert_eq!((error.kind(), error.partial_count()), (ErrorKind::Partial, Some(5)));
    assert_eq!(error.outcome(), actionlog::WriteOutcome::Applied);
    assert_eq!(error.api().unwrap().message(), Some("one is down"));
    assert!(error.to_string().contains("counted 5"), "{error}");
    assert!(!error.is_transient());
    assert_eq!(requests(&server).await.len(), 1);
}

/// A log with this number of records, served in pages.
struct Log {
    records: usize,
    count: Count,
}

#[derive(Clone, Copy, Debug)]
enum Count {
    OfAll,
    OfPage,
    Absent,
}

impl Respond for Log {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let skip = number(request, "skip").min(self.records);
        let until = (skip + number(request, "take")).min(self.records);
        let items: Vec<_> = (skip..until).map(|it| json!({"id": it.to_string()})).collect();
        let count = match self.count {
            Count::OfAll => Some(self.records as u64),
            Count::OfPage => Some(items.len() as u64),
            Count::Absent => None,
        };
        page(&items.into(), count)
    }
}

#[tokio::test]
async fn a_scan_finds_the_end_by_the_scope_of_the_count() {
    // Records, what the server counts, the configured scope, and the requests of a scan in pages of five, including the
    // one for the head, because the order is undocumented.
    let cases = [
        (0, Count::OfAll, TotalScope::Unknown, 2),
        (0, Count::OfAll, TotalScope::Listing, 2),
        (1, Count::OfAll, TotalScope::Listing, 2),
        (3, Count::OfAll, TotalScope::Listing, 2),
        (3, Count::OfAll, TotalScope::Unknown, 3),
        (3, Count::OfPage, TotalScope::Unknown, 3),
        (3, Count::OfPage, TotalScope::Page, 3),
        (3, Count::Absent, TotalScope::Unknown, 3),
        (5, Count::OfAll, TotalScope::Listing, 3),
        (10, Count::OfAll, TotalScope::Listing, 5),
        (10, Count::OfAll, TotalScope::Unknown, 5),
        (10, Count::OfAll, TotalScope::Page, 5),
        (10, Count::OfPage, TotalScope::Unknown, 5),
        (10, Count::OfPage, TotalScope::Page, 5),
        (10, Count::Absent, TotalScope::Listing, 5),
        (13, Count::OfAll, TotalScope::Listing, 5),
        (13, Count::OfPage, TotalScope::Listing, 5),
    ];
    for (records, count, means, expected) in cases {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(Log { records, count }).mount(&server).await;
        let client = arklow_with(&server, |it| it.count_scope(means));
        let mut items = client.records().list(()).page_size(5).prefetch(1).items();
        let mut ids = Vec::new();
        while let Some(record) = items.next().await {
            ids.push(record.unwrap().id.to_string());
        }
        let all: Vec<_> = (0..records).map(|it| it.to_string()).collect();
        let case = format!("{records} records, {count:?} taken as {means:?}");
        assert_eq!(ids, all, "{case}");
        assert_eq!(requests(&server).await.len(), expected, "{case}");
    }
}

#[tokio::test]
async fn a_page_reports_whether_there_is_more_only_if_the_count_proves_it() {
    let cases = [
        (10, Count::OfAll, TotalScope::Listing, 0, More::Yes),
        (10, Count::OfAll, TotalScope::Listing, 5, More::No),
        (10, Count::OfAll, TotalScope::Listing, 8, More::No),
        (10, Count::OfAll, TotalScope::Unknown, 0, More::Yes),
        (10, Count::OfAll, TotalScope::Unknown, 5, More::No),
        (10, Count::OfPage, TotalScope::Unknown, 0, More::Unknown),
        (10, Count::OfPage, TotalScope::Page, 0, More::Unknown),
        (3, Count::OfPage, TotalScope::Page, 0, More::Unknown),
        (3, Count::Absent, TotalScope::Listing, 0, More::Unknown),
        (0, Count::OfAll, TotalScope::Listing, 0, More::Unknown),
    ];
    for (records, count, means, offset, more) in cases {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(Log { records, count }).mount(&server).await;
        let client = arklow_with(&server, |it| it.count_scope(means));
        let page = client.records().list(()).page_size(5).start_offset(offset).page().await.unwrap();
        assert_eq!(page.more, more, "{records} records, {count:?} taken as {means:?}, from {offset}");
    }
}
