//! Logs from creation to deletion, scans of them, and conditional updates.

use std::time::Duration;

use actionlog::integration::LogStatus;
use actionlog::page::More;
use actionlog::{ErrorKind, WriteOutcome};
use serde_json::json;
use wiremock::matchers::{any, method};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::integration::{GET, ID, in_memory, minimal, one, record, text};
use crate::wire::{InTurn, Memory, Reply, integration, json, number, requests, value};

/// Keeps what is sent, as a server of the log would.
struct Store;

impl Respond for Store {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut stored = value(text(request));
        stored["_id"] = json!("new-1");
        json(200, one(&stored))
    }
}

async fn store() -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(Store).mount(&server).await;
    server
}

#[tokio::test]
async fn an_action_is_logged_from_its_start_to_its_end() {
    let server = store().await;
    let logs = integration(&server).logs().clone();
    let input = minimal().entity_id("4711").payload(json!({"a": 1})).status(LogStatus::Pending);

    let running = logs.start(input.clone()).await.unwrap();
    assert_eq!(running.log().status, LogStatus::Pending);
    assert_eq!(running.log().id.to_string(), "new-1");
    tokio::time::sleep(Duration::from_millis(20)).await;
    let done = running.succeed_with(json!({"b": 2})).await.unwrap();
    assert_eq!(done.status, LogStatus::Success);
    assert!(done.took().unwrap() >= Duration::from_millis(20), "{:?}", done.took());

    let mut running = logs.start(input.clone()).await.unwrap();
    running.retrying(1, "timed out").await.unwrap();
    running.fail("gave up").await.unwrap();
    logs.start(input).await.unwrap().succeed().await.unwrap();

    let fixed = json!({
        "integrationId": "i1", "actionType": "sync", "entityType": "product", "entityId": "4711", "payload": {"a": 1},
    });
    let expected = [
        ("POST", json!({"status": "pending"})),
        ("PUT", json!({"status": "success", "response": {"b": 2}})),
        ("POST", json!({"status": "pending"})),
        ("PUT", json!({"status": "retrying", "retryCount": 1, "errorMessage": "timed out"})),
        ("PUT", json!({"status": "failed", "retryCount": 1, "errorMessage": "gave up"})),
        ("POST", json!({"status": "pending"})),
        ("PUT", json!({"status": "success"})),
    ];
    let requests = requests(&server).await;
    assert_eq!(requests.len(), expected.len());
    for (request, (method, changing)) in requests.iter().zip(expected) {
        assert_eq!(request.method.as_str(), method);
        let path = if method == "POST" { "/integration-action-logs" } else { "/integration-action-logs/new-1" };
        assert_eq!(request.url.path(), path);
        let mut body = value(text(request));
        let time = body.as_object_mut().unwrap().remove("executionTime");
        match method {
            "POST" => assert_eq!(time, None),
            _ => assert!(time.unwrap().as_f64().unwrap() > 0.0),
        }
        let mut whole = fixed.clone();
        whole.as_object_mut().unwrap().extend(changing.as_object().unwrap().clone());
        assert_eq!(body, whole);
    }
}

#[tokio::test]
async fn the_end_of_an_action_can_be_reported_again_after_an_error() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(Store).mount(&server).await;
    let responses = [json(422, r#"{"success": false, "message": "later"}"#), json(200, GET)];
    Mock::given(method("PUT")).respond_with(InTurn::new(responses)).mount(&server).await;
    let running = integration(&server).logs().start(minimal()).await.unwrap();
    assert_eq!(running.succeed().await.unwrap_err().kind(), ErrorKind::BadRequest);
    running.succeed().await.unwrap();
}

/// A log with this number of records.
struct Log {
    records: usize,
    total: bool,
}

impl Respond for Log {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let offset = number(request, "offset").min(self.records);
        let until = (offset + number(request, "limit")).min(self.records);
        let records: Vec<_> = (offset..until).map(|it| record(&it.to_string())).collect();
        let mut body = json!({"success": true, "data": records});
        if self.total {
            body["total"] = json!(self.records);
        }
        json(200, body.to_string())
    }
}

#[tokio::test]
async fn a_scan_ends_with_a_total_and_without() {
    // Records, whether there is a total, the requests of a scan in pages of five, and whether the first page has more.
    let cases = [
        (0, true, 2, More::Unknown),
        (0, false, 2, More::Unknown),
        (3, true, 2, More::Unknown),
        (3, false, 2, More::Unknown),
        (5, true, 2, More::Unknown),
        (12, true, 4, More::Yes),
        (12, false, 4, More::Unknown),
    ];
    for (records, total, expected, more) in cases {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(Log { records, total }).mount(&server).await;
        let listing = integration(&server).logs().list(()).page_size(5).prefetch(1);
        let mut items = listing.clone().items();
        let mut ids = Vec::new();
        while let Some(log) = items.next().await {
            ids.push(log.unwrap().id.to_string());
        }
        let all: Vec<_> = (0..records).map(|it| it.to_string()).collect();
        assert_eq!(ids, all, "{records} {total}");
        assert_eq!(requests(&server).await.len(), expected, "{records} {total}");
        let page = listing.page().await.unwrap();
        assert_eq!(page.more, more, "{records} {total}");
        assert_eq!(page.total, total.then_some(records as u64));
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_can_require_the_version_that_was_read() {
    use actionlog::ErrorKind::PreconditionFailed;
    let stored = json!({"data": record(ID)}).to_string();
    let headers = vec![("etag", "\"v7\""), ("last-modified", "Sat, 21 Nov 2026 20:18:31 GMT")];
    let memory = Memory::new(move |_, request| {
        let changed = request.headers().get("if-match").is_some_and(|it| it != "\"v7\"")
            || request.headers().get("if-unmodified-since").is_some_and(|it| it != "Sat, 21 Nov 2026 20:18:31 GMT");
        if changed {
            Reply::json(412, r#"{"message": "not v7"}"#)
        } else {
            Reply::Response(200, headers.clone(), stored.clone())
        }
    });
    let client = in_memory(&memory);
    let read = client.logs().get(ID).with_response().await.unwrap();
    assert_eq!(read.etag(), Some("\"v7\""));
    assert_eq!(read.last_modified().unwrap().to_rfc3339(), "2026-11-21T20:18:31+00:00");
    let written = client.logs().update(ID, minimal()).if_match(read.etag().unwrap()).with_response().await.unwrap();
    assert_eq!(written.etag(), Some("\"v7\""));
    // With a fraction, as in a record: HTTP dates have whole seconds.
    let time = read.last_modified().unwrap() + chrono::TimeDelta::milliseconds(900);
    client.logs().update(ID, minimal()).if_unmodified_since(time).await.unwrap();
    assert_eq!(memory.headers("if-match"), ["", "\"v7\"", ""]);
    assert_eq!(memory.headers("if-unmodified-since"), ["", "", "Sat, 21 Nov 2026 20:18:31 GMT"]);

    let earlier = time - chrono::TimeDelta::days(1);
    for update in [
        client.logs().update(ID, minimal()).if_match("\"v6\""),
        client.logs().update(ID, minimal()).if_unmodified_since(earlier),
    ] {
        let error = update.await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (PreconditionFailed, WriteOutcome::NotApplied));
        assert_eq!((error.attempts(), error.is_transient()), (1, false));
        assert!(error.to_string().contains("not v7") && error.to_string().contains("read it again"), "{error}");
    }
    // Values that no header can hold, and times that no HTTP date can hold, are rejected before anything is sent.
    let before = memory.count();
    let long_ago = "1960-01-01T00:00:00Z".parse().unwrap();
    for update in [
        client.logs().update(ID, minimal()).if_match("a\nb"),
        client.logs().update(ID, minimal()).if_unmodified_since(long_ago),
    ] {
        assert_eq!(update.await.unwrap_err().kind(), ErrorKind::InvalidRequest);
    }
    assert_eq!(memory.count(), before);
}

#[tokio::test(start_paused = true)]
async fn an_update_with_a_412_after_a_lost_response_has_an_unknown_outcome() {
    let memory = Memory::new(|number, _| if number == 0 { Reply::Cut } else { Reply::json(412, "{}") });
    let error = in_memory(&memory).logs().update(ID, minimal()).if_match("\"v7\"").await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::PreconditionFailed, 2));
    assert_eq!(error.outcome(), WriteOutcome::Unknown);
}
