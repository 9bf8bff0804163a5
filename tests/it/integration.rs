//! Integration action logs, over a connection.

use std::collections::BTreeMap;
use std::time::Duration;

use actionlog::integration::{
    ActionLog, ActionLogDraft, ActionType, LogStatus, LogsQuery, RequiredFields, SortOrder, UpdateMethod,
};
use actionlog::page::{Entry, More, Window};
use actionlog::{Error, ErrorKind, IntegrationClient, Json, RequestOutcome};
use chrono::{DateTime, Utc};
use http::StatusCode;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use wiremock::matchers::{any, method};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::wire::{
    InTurn, KEY, Memory, Reply, integration, integration_with, json, number, only_request, query, quick, requests,
    server, target, value, whole_story,
};

const LIST: &str = include_str!("fixtures/integration/list.json");
const CREATE_REQUEST: &str = include_str!("fixtures/integration/create-request.json");
const CREATE: &str = include_str!("fixtures/integration/create.json");
const GET: &str = include_str!("fixtures/integration/get.json");
const UPDATE_REQUEST: &str = include_str!("fixtures/integration/update-request.json");
const UPDATE: &str = include_str!("fixtures/integration/update.json");
const DELETE: &str = include_str!("fixtures/integration/delete.json");

const ID: &str = "60f7b1b3e4b0e8b3f8b3f8b3";

fn minimal() -> ActionLogDraft {
    ActionLogDraft::new(RequiredFields {
        integration_id: "i1".into(),
        action_type: ActionType::Sync,
        entity_type: "product".into(),
        status: LogStatus::Pending,
    })
}

/// The draft that the published requests are of.
fn published() -> ActionLogDraft {
    ActionLogDraft::new(RequiredFields {
        integration_id: "60f7b1b3e4b0e8b3f8b3f8b4".into(),
        action_type: ActionType::Create,
        entity_type: "product".into(),
        status: LogStatus::Success,
    })
    .entity_id("60f7b1b3e4b0e8b3f8b3f8b5")
    .payload(json!({}))
    .response(json!({}))
    .error_message("string")
    .retry_count(0)
    .took(Duration::ZERO)
    .metadata(json!({}))
}

/// A record with what it must have.
fn record(id: &str) -> Value {
    json!({"_id": id, "integrationId": "i1", "actionType": "sync", "entityType": "product", "status": "pending"})
}

fn one(record: &Value) -> String {
    json!({"success": true, "data": record}).to_string()
}

fn text(request: &Request) -> &str {
    std::str::from_utf8(&request.body).unwrap()
}

fn assert_is_the_example(log: &ActionLog) {
    let time = |text: &str| Some(text.parse::<DateTime<Utc>>().unwrap());
    assert_eq!(&**log.id.get(), ID);
    assert_eq!(log.integration_id.to_string(), "60f7b1b3e4b0e8b3f8b3f8b4");
    assert_eq!(log.action_type, ActionType::Create);
    assert_eq!(log.entity_type, "product");
    assert_eq!(log.entity_id.as_deref(), Some("60f7b1b3e4b0e8b3f8b3f8b5"));
    assert_eq!(log.status, LogStatus::Success);
    assert_eq!(log.payload.as_ref().map(Json::as_str), Some("{ }"));
    assert_eq!(log.response.as_ref().map(Json::as_str), Some("{ }"));
    assert_eq!(log.error_message.as_deref(), Some("string"));
    assert_eq!(log.retry_count, 0);
    assert_eq!(log.execution_time, Some(0.0));
    assert_eq!(log.took(), Some(Duration::ZERO));
    assert_eq!(log.metadata.as_ref().map(Json::as_str), Some("{ }"));
    assert_eq!(log.created_at, time("2023-01-15T08:00:00Z"));
    assert_eq!(log.updated_at, time("2023-01-15T10:30:00Z"));
}

#[tokio::test]
async fn every_field_of_the_published_examples_arrives() {
    let server_of = |body: &str| server([json(200, body)]);

    let server = server_of(LIST).await;
    let page = integration(&server).logs().list(()).page().await.unwrap();
    assert_eq!(page.window, Window { offset: 0, limit: 100 });
    assert_eq!(page.total, Some(0));
    assert!(page.errors.is_empty());
    assert_eq!(page.entries.len(), 1);
    assert_is_the_example(&page.into_records().unwrap()[0]);

    let server = server_of(CREATE).await;
    assert_is_the_example(&integration(&server).logs().create(published()).await.unwrap());
    let server = server_of(GET).await;
    assert_is_the_example(&integration(&server).logs().get(ID).await.unwrap());
    let server = server_of(UPDATE).await;
    assert_is_the_example(&integration(&server).logs().update(ID, published()).await.unwrap());

    let server = server_of(DELETE).await;
    let deleted = integration(&server).logs().delete(ID).await.unwrap();
    assert_eq!(deleted.message.as_deref(), Some("Integration action log record deleted successfully"));
}

#[tokio::test]
async fn a_record_is_written_back_as_it_came() {
    let server = server([json(200, GET)]).await;
    let log = integration(&server).logs().get(ID).await.unwrap();
    assert_eq!(serde_json::to_value(log).unwrap(), value(GET)["data"]);
}

#[tokio::test]
async fn the_published_requests_are_what_is_sent() {
    let server = server([json(200, CREATE)]).await;
    let logs = integration(&server).logs().clone();
    logs.create(published()).await.unwrap();
    logs.update(ID, published()).await.unwrap();
    let requests = requests(&server).await;
    assert_eq!(value(text(&requests[0])), value(CREATE_REQUEST));
    assert_eq!(value(text(&requests[1])), value(UPDATE_REQUEST));
}

#[tokio::test]
async fn each_operation_has_its_method_path_and_headers() {
    let server = server([json(200, GET)]).await;
    let logs = integration(&server).logs().clone();
    logs.create(minimal()).await.unwrap();
    logs.get(ID).await.unwrap();
    logs.update(ID, minimal()).await.unwrap();
    logs.delete(ID).await.unwrap();
    let patching = integration_with(&server, |it| it.update_method(UpdateMethod::Patch));
    patching.logs().update(ID, minimal()).await.unwrap();
    // The answer isn't a listing's.
    patching.logs().list(()).page().await.unwrap_err();

    let one = format!("/integration-action-logs/{ID}");
    let expected = [
        ("POST", "/integration-action-logs", true),
        ("GET", &one, false),
        ("PUT", &one, true),
        ("DELETE", &one, false),
        ("PATCH", &one, true),
        ("GET", "/integration-action-logs?limit=100&offset=0", false),
    ];
    let requests = requests(&server).await;
    assert_eq!(requests.len(), expected.len());
    for (request, (method, path, has_body)) in requests.iter().zip(expected) {
        assert_eq!((request.method.as_str(), &*target(request)), (method, path));
        assert_eq!(request.body.is_empty(), !has_body, "{method}");
        let kind = request.headers.get("content-type").map(|it| it.to_str().unwrap());
        assert_eq!(kind, has_body.then_some("application/json"), "{method}");
        assert_eq!(request.headers.get("authorization").unwrap(), &format!("Bearer {KEY}"));
        assert_eq!(request.headers.get("accept").unwrap(), "application/json");
    }
}

#[tokio::test]
async fn an_api_key_goes_as_it_is_into_authorization() {
    let server = server([json(200, GET)]).await;
    let client = IntegrationClient::builder(server.uri()).api_key("Token abc").build().unwrap();
    client.logs().get(ID).await.unwrap();
    assert_eq!(only_request(&server).await.headers.get("authorization").unwrap(), "Token abc");
}

/// A client over an exchange in memory, which sees URIs as they are.
fn in_memory(memory: &Memory) -> IntegrationClient {
    IntegrationClient::builder("https://logs.example.com/api")
        .bearer(KEY)
        .retry(quick())
        .exchange(memory.clone())
        .build()
        .unwrap()
}

#[tokio::test]
async fn an_id_stays_one_segment_of_the_path_whatever_it_holds() {
    let cases = [
        ("a/b", "a%2Fb"),
        ("a b", "a%20b"),
        ("ü?#%", "%C3%BC%3F%23%25"),
        ("...", "..."),
        ("a\\b;c=d", "a%5Cb%3Bc%3Dd"),
        ("A-Z_a~z.0", "A-Z_a~z.0"),
    ];
    for (id, encoded) in cases {
        let memory = Memory::new(|_, _| Reply::json(200, GET));
        in_memory(&memory).logs().get(id).await.unwrap();
        let expected = format!("https://logs.example.com/api/integration-action-logs/{encoded}");
        assert_eq!(memory.seen()[0].uri().to_string(), expected, "{id}");
    }
}

#[tokio::test]
async fn an_id_that_would_ask_for_something_else_is_refused_before_anything_is_sent() {
    let memory = Memory::new(|_, _| Reply::json(200, GET));
    let logs = in_memory(&memory).logs().clone();
    for id in ["", ".", "..", "../admin", "%2e%2e"] {
        for error in [
            logs.get(id).await.unwrap_err(),
            logs.update(id, minimal()).await.unwrap_err(),
            logs.delete(id).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{id:?}");
            assert_eq!(error.outcome(), RequestOutcome::NotSent);
        }
    }
    assert!(memory.seen().is_empty());
}

#[tokio::test]
async fn the_collection_may_be_anywhere_below_the_base_url() {
    let cases = [
        ("logs", "logs"),
        ("/v2/integration logs/", "v2/integration%20logs"),
        ("v1/a&b/ü", "v1/a%26b/%C3%BC"),
        ("a%20b", "a%2520b"),
    ];
    for (path, encoded) in cases {
        let memory = Memory::new(|_, _| Reply::json(200, GET));
        let client = IntegrationClient::builder("https://logs.example.com/api/")
            .bearer(KEY)
            .collection_path(path)
            .exchange(memory.clone())
            .build()
            .unwrap();
        client.logs().create(minimal()).await.unwrap();
        client.logs().get("7").await.unwrap();
        let uris: Vec<_> = memory.seen().iter().map(|it| it.uri().to_string()).collect();
        let all = format!("https://logs.example.com/api/{encoded}");
        assert_eq!(uris, [all.clone(), format!("{all}/7")], "{path}");
    }
}

#[test]
fn a_collection_path_that_leads_elsewhere_is_refused_when_the_client_is_built() {
    for path in ["", "/", "..", "a/../b", "a/./b", "a//b", "../../admin"] {
        let built = IntegrationClient::builder("https://logs.example.com").bearer(KEY).collection_path(path).build();
        assert_eq!(built.unwrap_err().kind(), ErrorKind::Configuration, "{path:?}");
    }
}

#[tokio::test]
async fn a_body_holds_what_was_set_and_nothing_else() {
    let cases = [
        (minimal(), r#"{"integrationId":"i1","actionType":"sync","entityType":"product","status":"pending"}"#),
        (
            minimal().payload(Json::from_text(r#"{ "price": 12.50,  "a": [1, 2] }"#).unwrap()),
            r#"{"integrationId":"i1","actionType":"sync","entityType":"product","status":"pending","payload":{ "price": 12.50,  "a": [1, 2] }}"#,
        ),
        (
            minimal()
                .entity_id("4711")
                .payload(json!({"a": null}))
                .response(BTreeMap::from([("ok", true)]))
                .error_message("\"no\"")
                .retry_count(2)
                .took(Duration::from_micros(1500))
                .metadata(json!({"k": "ü"}))
                .status(LogStatus::Unknown("paused".into())),
            r#"{"integrationId":"i1","actionType":"sync","entityType":"product","entityId":"4711","status":"paused","payload":{"a":null},"response":{"ok":true},"errorMessage":"\"no\"","retryCount":2,"executionTime":1.5,"metadata":{"k":"ü"}}"#,
        ),
        (
            minimal().error_message("no").clear_error_message().took(Duration::from_millis(12)),
            r#"{"integrationId":"i1","actionType":"sync","entityType":"product","status":"pending","executionTime":12}"#,
        ),
    ];
    for (draft, expected) in cases {
        let server = server([json(200, CREATE)]).await;
        let logs = integration(&server).logs().clone();
        logs.create(draft.clone()).await.unwrap();
        logs.update(ID, draft).await.unwrap();
        for request in requests(&server).await {
            assert_eq!(text(&request), expected);
        }
    }
}

#[tokio::test]
async fn a_query_is_written_byte_for_byte_as_it_should() {
    let all = LogsQuery::new;
    let cases = [
        (all(), "limit=100&offset=0"),
        (all().sort("createdAt"), "sort=createdAt&limit=100&offset=0"),
        (all().order(SortOrder::Asc), "order=asc&limit=100&offset=0"),
        (all().order(SortOrder::Desc), "order=desc&limit=100&offset=0"),
        (all().search("a b&c+ü"), "search=a+b%26c%2B%C3%BC&limit=100&offset=0"),
        (
            all().filter(json!({"status": "failed", "retryCount": {"$gt": 2}})),
            "filter=%7B%22retryCount%22%3A%7B%22%24gt%22%3A2%7D%2C%22status%22%3A%22failed%22%7D&limit=100&offset=0",
        ),
        (
            all().search("x").filter(json!({})).order(SortOrder::Asc).sort("status"),
            "sort=status&order=asc&filter=%7B%7D&search=x&limit=100&offset=0",
        ),
    ];
    for (asked, expected) in cases {
        let server = server([json(200, LIST)]).await;
        integration(&server).logs().list(asked).page().await.unwrap();
        assert_eq!(query(&only_request(&server).await), expected);
    }
}

/// Can't be written, whatever it is written as.
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("won't"))
    }
}

#[tokio::test]
async fn a_filter_that_cannot_be_written_is_told_before_anything_is_sent() {
    let server = server([json(200, LIST)]).await;
    let client = integration(&server);
    let by_pairs = BTreeMap::from([((1, 2), "x")]);
    for query in [LogsQuery::new().filter(&by_pairs), LogsQuery::new().filter(&Unwritable)] {
        let page = client.logs().list(query.clone()).page().await.unwrap_err();
        let item = client.logs().list(query).items().next().await.unwrap().unwrap_err();
        for error in [page, item] {
            assert_eq!(error.kind(), ErrorKind::InvalidRequest);
            assert_eq!(error.outcome(), RequestOutcome::NotSent);
            assert!(error.to_string().contains("the filter"), "{error}");
        }
    }
    assert!(requests(&server).await.is_empty());
}

#[tokio::test]
async fn a_draft_whose_parts_are_no_objects_is_told_before_anything_is_sent() {
    let server = server([json(200, CREATE)]).await;
    let logs = integration(&server).logs().clone();
    let cases = [
        (minimal().payload(json!([1])), "the payload"),
        (minimal().payload("text"), "the payload"),
        (minimal().payload(&None::<Value>), "the payload"),
        (minimal().payload(&Unwritable), "the payload"),
        (minimal().response(7), "the response"),
        (minimal().metadata(true), "the metadata"),
        (minimal().metadata(BTreeMap::from([((1, 2), "x")])), "the metadata"),
    ];
    for (draft, part) in cases {
        let errors = [logs.create(draft.clone()).await.unwrap_err(), logs.update(ID, draft.clone()).await.unwrap_err()];
        let begun = logs.begin(draft).await.unwrap_err();
        for error in errors.into_iter().chain([begun]) {
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{part}");
            assert_eq!(error.outcome(), RequestOutcome::NotSent);
            assert_eq!(error.attempts(), 0);
            assert!(error.to_string().contains(part), "{error}");
        }
    }
    assert!(requests(&server).await.is_empty());
}

#[tokio::test]
async fn page_sizes_that_the_api_does_not_take_are_refused_before_anything_is_sent() {
    let server = server([json(200, LIST)]).await;
    let client = integration(&server);
    for size in [0, 101] {
        let error = client.logs().list(()).page_size(size).page().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{size}");
        assert_eq!(error.outcome(), RequestOutcome::NotSent);
    }
    assert!(requests(&server).await.is_empty());
    client.logs().list(()).page_size(1).start_offset(9).page().await.unwrap();
    assert_eq!(query(&only_request(&server).await), "limit=1&offset=9");
}

#[tokio::test]
async fn a_draft_of_a_record_says_all_that_the_record_did() {
    let mut stored = value(GET)["data"].clone();
    stored["payload"] = json!({"price": 12.5, "deep": {"a": [1, null]}});
    stored["response"] = json!({"id": 7});
    stored["metadata"] = json!({"by": "cron"});
    stored["retryCount"] = json!(3);
    stored["executionTime"] = json!(12.25);
    stored["status"] = json!("failed");
    let server = server([json(200, one(&stored))]).await;
    let logs = integration(&server).logs().clone();
    let log = logs.get(ID).await.unwrap();
    let id = log.id.clone();
    logs.update(id, log.into_draft().status(LogStatus::Success)).await.unwrap();

    let mut expected = stored;
    for field in ["_id", "createdAt", "updatedAt"] {
        expected.as_object_mut().unwrap().remove(field).unwrap();
    }
    expected["status"] = json!("success");
    assert_eq!(value(text(&requests(&server).await[1])), expected);
}

#[tokio::test]
async fn what_need_not_be_there_may_be_null_or_absent() {
    let optional = ["entityId", "payload", "response", "errorMessage", "retryCount", "executionTime", "metadata"];
    let mut nulls = record("1");
    for field in optional.into_iter().chain(["createdAt", "updatedAt"]) {
        nulls[field] = Value::Null;
    }
    for stored in [record("1"), nulls] {
        let server = server([json(200, one(&stored))]).await;
        let log = integration(&server).logs().get("1").await.unwrap();
        assert_eq!(log.retry_count, 0);
        assert_eq!(log.took(), None);
        let mut expected = record("1");
        expected["retryCount"] = json!(0);
        assert_eq!(serde_json::to_value(log).unwrap(), expected);
    }
}

#[tokio::test]
async fn a_record_without_one_of_the_five_is_unreadable_and_the_others_come() {
    for field in ["_id", "integrationId", "actionType", "entityType", "status"] {
        let mut broken = record("2");
        broken.as_object_mut().unwrap().remove(field).unwrap();
        let body = json!({"success": true, "data": [record("1"), broken, record("3")], "total": 3});
        let server = server([json(200, body.to_string())]).await;
        let page = integration(&server).logs().list(()).page().await.unwrap();
        assert_eq!(page.records().map(|it| it.id.to_string()).collect::<Vec<_>>(), ["1", "3"], "{field}");
        let Entry::Unreadable(unreadable) = &page.entries[1] else { panic!("{field}") };
        assert!(unreadable.reason().contains(field), "{}", unreadable.reason());

        let server = crate::wire::server([json(200, one(&broken))]).await;
        let error = integration(&server).logs().get("2").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode, "{field}");
        assert!(error.to_string().contains(field), "{error}");
    }
}

#[tokio::test]
async fn texts_that_are_not_known_survive() {
    let mut stored = record("1");
    stored["actionType"] = json!("archive");
    stored["status"] = json!("paused");
    let server = server([json(200, one(&stored))]).await;
    let log = integration(&server).logs().get("1").await.unwrap();
    assert_eq!(log.action_type, ActionType::Unknown("archive".into()));
    assert_eq!(log.status, LogStatus::Unknown("paused".into()));
    let draft = serde_json::to_value(log.into_draft()).unwrap();
    assert_eq!((&draft["actionType"], &draft["status"]), (&json!("archive"), &json!("paused")));
}

#[tokio::test]
async fn times_may_have_fractions_and_offsets_and_durations_too() {
    let mut stored = record("1");
    stored["createdAt"] = json!("2026-11-01T02:00:00.5+02:00");
    stored["executionTime"] = json!(12.75);
    stored["retryCount"] = json!(2.0);
    let server = server([json(200, one(&stored))]).await;
    let log = integration(&server).logs().get("1").await.unwrap();
    assert_eq!(log.created_at.unwrap(), "2026-11-01T00:00:00.5Z".parse::<DateTime<Utc>>().unwrap());
    assert_eq!(log.execution_time, Some(12.75));
    assert_eq!(log.took(), Some(Duration::from_micros(12_750)));
    assert_eq!(log.retry_count, 2);
    assert_eq!(serde_json::to_value(log.into_draft()).unwrap()["executionTime"], json!(12.75));
}

#[tokio::test]
async fn a_time_that_cannot_be_one_is_no_duration_and_loses_nothing() {
    for time in [-1.0, 1e300] {
        let mut stored = record("1");
        stored["executionTime"] = json!(time);
        let server = server([json(200, one(&stored))]).await;
        let log = integration(&server).logs().get("1").await.unwrap();
        assert_eq!(log.execution_time, Some(time));
        assert_eq!(log.took(), None);
    }
}

/// What an error must say.
struct Expected {
    kind: ErrorKind,
    message: Option<&'static str>,
    hint: bool,
    transient: bool,
    /// Of a create.
    outcome: RequestOutcome,
    /// Of a create, and of a get.
    attempts: (usize, usize),
}

#[tokio::test]
async fn an_error_says_what_it_is_what_was_said_what_to_do_and_whether_it_happened() {
    use ErrorKind as Kind;
    use RequestOutcome::{Refused, Unknown};
    let said = r#"{"success": false, "message": "it was said"}"#;
    let plain = |kind| Expected {
        kind,
        message: Some("it was said"),
        // What doesn't fit has its path instead.
        hint: kind != Kind::Decode,
        transient: false,
        outcome: Refused,
        attempts: (1, 1),
    };
    let passing = |kind| Expected { transient: true, outcome: Unknown, attempts: (1, 4), ..plain(kind) };
    let html = ResponseTemplate::new(502).set_body_raw("<html>Bad gateway</html>", "text/html");
    let cases = [
        (json(400, said), plain(Kind::Rejected)),
        (json(401, said), Expected { hint: true, ..plain(Kind::Unauthorized) }),
        (json(403, said), plain(Kind::Forbidden)),
        (json(404, said), plain(Kind::NotFound)),
        (ResponseTemplate::new(404), Expected { hint: true, message: None, ..plain(Kind::NotFound) }),
        (json(405, said), Expected { hint: true, ..plain(Kind::UnexpectedStatus) }),
        (json(409, said), plain(Kind::Conflict)),
        (json(410, said), plain(Kind::NotFound)),
        (json(422, said), plain(Kind::Rejected)),
        (json(429, said).insert_header("retry-after", "0"), passing(Kind::RateLimited)),
        (json(429, said), passing(Kind::RateLimited)),
        (
            json(429, said).insert_header("retry-after", "3600"),
            Expected { attempts: (1, 1), ..passing(Kind::RateLimited) },
        ),
        (json(500, said), passing(Kind::Server)),
        (json(501, said), Expected { outcome: Unknown, ..plain(Kind::Server) }),
        (html, Expected { message: None, ..passing(Kind::Server) }),
        (json(503, said), passing(Kind::Server)),
        (json(503, said).insert_header("retry-after", "0"), passing(Kind::Server)),
        (json(200, said), plain(Kind::Refused)),
        (json(200, r#"{"success": false}"#), Expected { message: None, ..plain(Kind::Refused) }),
        (json(201, r#"{"success": false, "error": "it was said"}"#), plain(Kind::Refused)),
        (json(200, r#"{"success": false, "error": {"code": "c", "message": "it was said"}}"#), plain(Kind::Refused)),
        (
            json(200, json!({"success": false, "message": "it was said", "data": record("1")}).to_string()),
            plain(Kind::Refused),
        ),
        (json(200, r#"{"success": false, "message": "it was said", "data": 7}"#), plain(Kind::Refused)),
        (ResponseTemplate::new(204), Expected { message: None, outcome: Unknown, ..plain(Kind::NotJson) }),
        (json(200, r#"{"success": true}"#), Expected { message: None, outcome: Unknown, ..plain(Kind::Decode) }),
        (
            json(200, r#"{"success": true, "data": null}"#),
            Expected { message: None, outcome: Unknown, ..plain(Kind::Decode) },
        ),
        (
            ResponseTemplate::new(200).set_body_raw("<html></html>", "text/html"),
            Expected { message: None, hint: true, outcome: Unknown, ..plain(Kind::NotJson) },
        ),
        (
            ResponseTemplate::new(302).insert_header("location", "https://login.example.com/?next=secret"),
            // What some servers answer to a form that was taken.
            Expected { message: None, hint: true, outcome: Unknown, ..plain(Kind::Redirect) },
        ),
    ];
    for (answer, expected) in cases {
        let server = server([answer.clone()]).await;
        let created = integration(&server).logs().create(minimal()).await.unwrap_err();
        // A client that the server asked to leave it alone would not ask again.
        let got = integration(&server).logs().get(ID).await.unwrap_err();
        let status = StatusCode::from_u16(client_status(&created)).unwrap();
        for error in [&created, &got] {
            let case = format!("{status}: {error}");
            assert_eq!(error.kind(), expected.kind, "{case}");
            assert_eq!(error.status(), Some(status), "{case}");
            assert_eq!(error.api().and_then(|it| it.message()), expected.message, "{case}");
            assert_eq!(error.hint().is_some(), expected.hint, "{case}");
            assert_eq!(error.is_transient(), expected.transient, "{case}");
            assert!(!whole_story(error).contains("secret"), "{case}");
        }
        assert_eq!(created.outcome(), expected.outcome, "{created}");
        let attempts = (created.attempts() as usize, got.attempts() as usize);
        assert_eq!(attempts, expected.attempts, "{created}");
        let requests = requests(&server).await;
        let sent = |method: &str| requests.iter().filter(|it| it.method.as_str() == method).count();
        assert_eq!((sent("POST"), sent("GET")), expected.attempts, "{created}");
    }
}

fn client_status(error: &Error) -> u16 {
    error.status().unwrap_or_else(|| panic!("{error} has no status")).as_u16()
}

#[tokio::test]
async fn what_is_said_beside_a_message_is_kept() {
    let cases = [
        (r#"{"success": false, "error": "Duplicate"}"#, None, Some("Duplicate"), &[][..]),
        (r#"{"success": false, "error": {"code": "E1", "message": "Duplicate"}}"#, Some("E1"), Some("Duplicate"), &[]),
        (r#"{"success": false, "error": {"name": "E1"}, "message": "No"}"#, Some("E1"), Some("No"), &[]),
        (r#"{"success": false, "error": "Duplicate", "message": "No"}"#, None, Some("No"), &["Duplicate"]),
        (r#"{"success": false, "error": "No", "message": "No"}"#, None, Some("No"), &[]),
        (r#"{"success": false, "error": null, "message": "No"}"#, None, Some("No"), &[]),
        (r#"{"success": false, "error": 7}"#, None, Some("7"), &[]),
    ];
    for (body, name, message, details) in cases {
        for status in [200, 409] {
            let server = server([json(status, body)]).await;
            let error = integration(&server).logs().get(ID).await.unwrap_err();
            let api = error.api().unwrap();
            assert_eq!((api.name(), api.message(), api.details().len()), (name, message, details.len()), "{body}");
            assert_eq!(api.details(), details, "{body}");
        }
    }
}

#[tokio::test]
async fn a_listing_that_the_server_refuses_or_leaves_out_is_an_error_and_no_empty_page() {
    let cases = [
        (r#"{"success": false, "message": "no", "data": []}"#, ErrorKind::Refused),
        (r#"{"success": false, "message": "no"}"#, ErrorKind::Refused),
        (r#"{"success": true, "total": 0}"#, ErrorKind::Decode),
        (r#"{"success": true, "data": null, "total": 0}"#, ErrorKind::Decode),
        (r#"{"success": true, "data": {}, "total": 0}"#, ErrorKind::Decode),
        (r"{}", ErrorKind::Decode),
        (r"[]", ErrorKind::Decode),
        (r"", ErrorKind::NotJson),
    ];
    for (body, kind) in cases {
        let server = server([json(200, body)]).await;
        let client = integration(&server);
        assert_eq!(client.logs().list(()).page().await.unwrap_err().kind(), kind, "{body}");
        let mut items = client.logs().list(()).items();
        assert_eq!(items.next().await.unwrap().unwrap_err().kind(), kind, "{body}");
        assert!(items.next().await.is_none(), "{body}");
    }
}

#[tokio::test]
async fn success_need_not_be_said_and_need_not_have_the_usual_status() {
    let body = json!({"data": record("1")}).to_string();
    for status in [200, 201, 202] {
        let server = server([json(status, &*body)]).await;
        integration(&server).logs().create(minimal()).await.unwrap();
    }
}

#[tokio::test]
async fn any_success_will_do_for_a_deletion() {
    for (answer, message) in [
        (ResponseTemplate::new(204), None),
        (ResponseTemplate::new(200), None),
        (json(200, r"{}"), None),
        (json(200, r#"{"success": true, "message": "gone"}"#), Some("gone")),
        (json(202, r#"{"success": true, "message": null}"#), None),
    ] {
        let server = server([answer]).await;
        assert_eq!(integration(&server).logs().delete(ID).await.unwrap().message.as_deref(), message);
    }
    let server = server([json(200, r#"{"success": false, "message": "in use"}"#)]).await;
    let error = integration(&server).logs().delete(ID).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Refused, RequestOutcome::Refused));
    assert_eq!(error.api().unwrap().message(), Some("in use"));
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_is_not_sent_again() {
    let lost: [(fn() -> Reply, ErrorKind); 4] = [
        (|| Reply::Cut, ErrorKind::Transport),
        (|| Reply::Never, ErrorKind::Timeout),
        (|| Reply::json(500, ""), ErrorKind::Server),
        (|| Reply::json(502, ""), ErrorKind::Server),
    ];
    for (reply, kind) in lost {
        let memory = Memory::new(move |_, _| reply());
        let call = in_memory(&memory).logs().create(minimal());
        let error = call.attempt_timeout(Duration::from_millis(20)).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(error.outcome(), RequestOutcome::Unknown, "{kind}");
        assert!(error.is_transient(), "{kind}");
        assert_eq!(error.attempts(), 1);
        assert_eq!(memory.seen().len(), 1, "{kind}");
    }
}

#[tokio::test]
async fn a_create_whose_connection_is_cut_is_not_sent_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = tokio::spawn(async move {
        let mut connections = 0;
        while let Ok(Ok((stream, _))) = tokio::time::timeout(Duration::from_millis(500), listener.accept()).await {
            connections += 1;
            // Whatever came is read, and the connection closed without an answer.
            stream.readable().await.unwrap();
            let _ = stream.try_read(&mut [0; 4096]);
        }
        connections
    });
    let client = IntegrationClient::builder(url).bearer(KEY).retry(quick()).build().unwrap();
    let error = client.logs().create(minimal()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert_eq!(error.outcome(), RequestOutcome::Unknown);
    assert_eq!(connections.await.unwrap(), 1);
}

#[tokio::test]
async fn a_create_that_provably_had_no_effect_is_sent_again() {
    let memory = Memory::new(|number, _| if number < 2 { Reply::NoConnection } else { Reply::json(201, CREATE) });
    in_memory(&memory).logs().create(minimal()).await.unwrap();
    let bodies: Vec<_> = memory.seen().iter().map(|it| it.body().clone()).collect();
    assert_eq!(bodies.len(), 3);
    assert!(bodies.iter().all(|it| *it == bodies[0] && !it.is_empty()));
}

/// Stores what comes, and then says that it's too busy.
#[tokio::test]
async fn a_server_that_stores_and_is_busy_then_stores_once() {
    for status in [429, 503] {
        let server = server([json(status, "{}").insert_header("retry-after", "0")]).await;
        let error = integration(&server).logs().create(minimal()).await.unwrap_err();
        assert_eq!((error.attempts(), error.outcome()), (1, RequestOutcome::Unknown));
        assert_eq!(requests(&server).await.len(), 1);
    }
}

#[tokio::test]
async fn what_reads_or_replaces_is_sent_again_until_it_comes_through() {
    let failures: [fn() -> Reply; 5] = [
        || Reply::Cut,
        || Reply::NoConnection,
        || Reply::json(500, ""),
        || Reply::json(503, ""),
        || Reply::Answer(429, vec![("retry-after", "0")], String::new()),
    ];
    for reply in failures {
        let memory = Memory::new(move |number, _| if number % 2 == 0 { reply() } else { Reply::json(200, GET) });
        let logs = in_memory(&memory).logs().clone();
        logs.get(ID).await.unwrap();
        logs.update(ID, minimal()).await.unwrap();
        logs.delete(ID).await.unwrap();
        let methods: Vec<_> = memory.seen().iter().map(|it| it.method().to_string()).collect();
        assert_eq!(methods, ["GET", "GET", "PUT", "PUT", "DELETE", "DELETE"]);
    }
}

#[tokio::test]
async fn a_deletion_whose_answer_was_lost_and_that_then_finds_nothing_was_done() {
    let gone = || json(404, r#"{"success": false, "message": "not found"}"#);
    // Also if it said that it was busy: that says nothing of what it had done.
    let busy = |status| json(status, "").insert_header("retry-after", "0");
    for answers in [
        vec![json(500, ""), gone()],
        vec![json(502, ""), json(503, ""), ResponseTemplate::new(410)],
        vec![busy(503), gone()],
    ] {
        let server = server(answers).await;
        assert_eq!(integration(&server).logs().delete(ID).await.unwrap().message, None);
    }
    // Over a limit, which what is safe to repeat is believed.
    for answers in [vec![gone()], vec![busy(429), gone()]] {
        let server = server(answers).await;
        let error = integration(&server).logs().delete(ID).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::NotFound, RequestOutcome::Refused));
    }
}

#[tokio::test]
async fn a_get_or_an_update_that_finds_nothing_is_not_found_also_when_repeated() {
    for update in [false, true] {
        let server = server([json(500, ""), json(404, r#"{"message": "not found"}"#)]).await;
        let logs = integration(&server).logs().clone();
        let call = if update { logs.update(ID, minimal()) } else { logs.get(ID) };
        assert_eq!(call.await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(requests(&server).await.len(), 2);
    }
}

#[tokio::test]
async fn a_deletion_that_was_refused_for_its_token_and_then_finds_nothing_found_nothing() {
    let memory = Memory::new(|number, _| Reply::json(if number == 0 { 401 } else { 404 }, r#"{"message": "no"}"#));
    let client = IntegrationClient::builder("https://logs.example.com")
        .authenticator(actionlog::auth::Cached::new(crate::auth::Numbered::default()))
        .exchange(memory.clone())
        .build()
        .unwrap();
    let error = client.logs().delete(ID).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(memory.headers("authorization"), ["Bearer token-1", "Bearer token-2"]);
}

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
    let draft = minimal().entity_id("4711").payload(json!({"a": 1})).status(LogStatus::Pending);

    let running = logs.begin(draft.clone()).await.unwrap();
    assert_eq!(running.log().status, LogStatus::Pending);
    assert_eq!(running.log().id.to_string(), "new-1");
    tokio::time::sleep(Duration::from_millis(20)).await;
    let done = running.succeeded_with(json!({"b": 2})).await.unwrap();
    assert_eq!(done.status, LogStatus::Success);
    assert!(done.took().unwrap() >= Duration::from_millis(20), "{:?}", done.took());

    let mut running = logs.begin(draft.clone()).await.unwrap();
    running.retrying(1, "timed out").await.unwrap();
    running.failed("gave up").await.unwrap();
    logs.begin(draft).await.unwrap().succeeded().await.unwrap();

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
async fn the_end_of_an_action_can_be_said_again_if_it_does_not_come_through() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(Store).mount(&server).await;
    let answers = [json(422, r#"{"success": false, "message": "later"}"#), json(200, GET)];
    Mock::given(method("PUT")).respond_with(InTurn::new(answers)).mount(&server).await;
    let running = integration(&server).logs().begin(minimal()).await.unwrap();
    assert_eq!(running.succeeded().await.unwrap_err().kind(), ErrorKind::Rejected);
    running.succeeded().await.unwrap();
}

/// A log of so many records.
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
async fn a_walk_ends_with_a_total_and_without() {
    // Records, whether there is a total, the requests of a walk in pages of five, whether the first says there's more.
    let cases = [
        (0, true, 2, More::Unknown),
        (0, false, 2, More::Unknown),
        (3, true, 3, More::Unknown),
        (3, false, 3, More::Unknown),
        (5, true, 3, More::Unknown),
        (12, true, 5, More::Yes),
        (12, false, 5, More::Unknown),
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
async fn an_update_can_be_made_of_the_version_that_was_read_alone() {
    use actionlog::ErrorKind::PreconditionFailed;
    let stored = json!({"data": record(ID)}).to_string();
    let headers = vec![("etag", "\"v7\""), ("last-modified", "Sat, 21 Nov 2026 20:18:31 GMT")];
    let memory = Memory::new(move |_, request| {
        let changed = request.headers().get("if-match").is_some_and(|it| it != "\"v7\"")
            || request.headers().get("if-unmodified-since").is_some_and(|it| it != "Sat, 21 Nov 2026 20:18:31 GMT");
        if changed {
            Reply::json(412, r#"{"message": "not v7"}"#)
        } else {
            Reply::Answer(200, headers.clone(), stored.clone())
        }
    });
    let client = in_memory(&memory);
    let read = client.logs().get(ID).with_answer().await.unwrap();
    assert_eq!(read.etag(), Some("\"v7\""));
    assert_eq!(read.last_modified().unwrap().to_rfc3339(), "2026-11-21T20:18:31+00:00");
    let written = client.logs().update(ID, minimal()).if_match(read.etag().unwrap()).with_answer().await.unwrap();
    assert_eq!(written.etag(), Some("\"v7\""));
    // With a fraction, as the record itself may have it: HTTP knows seconds only.
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
        assert_eq!((error.kind(), error.outcome()), (PreconditionFailed, RequestOutcome::Refused));
        assert_eq!((error.attempts(), error.is_transient()), (1, false));
        assert!(error.to_string().contains("not v7") && error.to_string().contains("read it again"), "{error}");
    }
    // What no header can hold, and a time that HTTP has no words for, are told before anything is sent.
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
async fn an_update_that_finds_another_version_after_an_answer_was_lost_may_have_made_it() {
    let memory = Memory::new(|number, _| if number == 0 { Reply::Cut } else { Reply::json(412, "{}") });
    let error = in_memory(&memory).logs().update(ID, minimal()).if_match("\"v7\"").await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::PreconditionFailed, 2));
    assert_eq!(error.outcome(), RequestOutcome::Unknown);
}
