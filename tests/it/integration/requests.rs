//! The requests of each call: paths, queries and bodies.

use std::collections::BTreeMap;
use std::time::Duration;

use actionlog::integration::{
    ActionLog, ActionLogFields, ActionLogInput, ActionType, LogStatus, LogsQuery, SortOrder, UpdateMethod,
};
use actionlog::page::Window;
use actionlog::{ErrorKind, IntegrationClient, Json, WriteOutcome};
use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::integration::{CREATE, DELETE, GET, ID, in_memory, minimal, text};
use crate::wire::{
    KEY, Memory, Reply, integration, integration_with, json, only_request, query, requests, server, target, value,
};

const LIST: &str = include_str!("../fixtures/integration/list.json");

const CREATE_REQUEST: &str = include_str!("../fixtures/integration/create-request.json");

const UPDATE_REQUEST: &str = include_str!("../fixtures/integration/update-request.json");

const UPDATE: &str = include_str!("../fixtures/integration/update.json");

/// The input of the published requests.
fn published() -> ActionLogInput {
    ActionLogInput::new(ActionLogFields {
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
async fn a_record_is_written_back_unchanged() {
    let server = server([json(200, GET)]).await;
    let log = integration(&server).logs().get(ID).await.unwrap();
    assert_eq!(serde_json::to_value(log).unwrap(), value(GET)["data"]);
}

#[tokio::test]
async fn the_requests_match_the_published_examples() {
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
    // The response isn't a listing.
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
async fn an_api_key_is_sent_unchanged_in_authorization() {
    let server = server([json(200, GET)]).await;
    let client = IntegrationClient::builder(server.uri()).api_key("Token abc").build().unwrap();
    client.logs().get(ID).await.unwrap();
    assert_eq!(only_request(&server).await.headers.get("authorization").unwrap(), "Token abc");
}

#[tokio::test]
async fn an_id_stays_one_segment_of_the_path_whatever_its_content() {
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
async fn an_id_that_would_change_the_path_is_rejected_before_anything_is_sent() {
    let memory = Memory::new(|_, _| Reply::json(200, GET));
    let logs = in_memory(&memory).logs().clone();
    for id in ["", ".", "..", "../admin", "%2e%2e"] {
        for error in [
            logs.get(id).await.unwrap_err(),
            logs.update(id, minimal()).await.unwrap_err(),
            logs.delete(id).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{id:?}");
            assert_eq!(error.outcome(), WriteOutcome::NotSent);
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
            .http_client(memory.clone())
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
fn a_collection_path_that_leads_elsewhere_is_rejected_when_the_client_is_built() {
    for path in ["", "/", "..", "a/../b", "a/./b", "a//b", "../../admin"] {
        let built = IntegrationClient::builder("https://logs.example.com").bearer(KEY).collection_path(path).build();
        assert_eq!(built.unwrap_err().kind(), ErrorKind::Configuration, "{path:?}");
    }
}

#[tokio::test]
async fn a_request_body_has_the_fields_that_were_set_and_no_others() {
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
    for (input, expected) in cases {
        let server = server([json(200, CREATE)]).await;
        let logs = integration(&server).logs().clone();
        logs.create(input.clone()).await.unwrap();
        logs.update(ID, input).await.unwrap();
        for request in requests(&server).await {
            assert_eq!(text(&request), expected);
        }
    }
}

#[tokio::test]
async fn a_query_string_has_the_expected_bytes() {
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

/// A value that no format can serialize.
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("won't"))
    }
}

#[tokio::test]
async fn a_filter_that_cannot_be_serialised_is_rejected_before_anything_is_sent() {
    let server = server([json(200, LIST)]).await;
    let client = integration(&server);
    let by_pairs = BTreeMap::from([((1, 2), "x")]);
    for query in [LogsQuery::new().filter(&by_pairs), LogsQuery::new().filter(&Unwritable)] {
        let page = client.logs().list(query.clone()).page().await.unwrap_err();
        let item = client.logs().list(query).items().next().await.unwrap().unwrap_err();
        for error in [page, item] {
            assert_eq!(error.kind(), ErrorKind::InvalidRequest);
            assert_eq!(error.outcome(), WriteOutcome::NotSent);
            assert!(error.to_string().contains("the filter"), "{error}");
        }
    }
    assert!(requests(&server).await.is_empty());
}

#[tokio::test]
async fn an_input_with_parts_that_are_no_objects_is_rejected_before_anything_is_sent() {
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
    for (input, part) in cases {
        let errors = [logs.create(input.clone()).await.unwrap_err(), logs.update(ID, input.clone()).await.unwrap_err()];
        let begun = logs.start(input).await.unwrap_err();
        for error in errors.into_iter().chain([begun]) {
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{part}");
            assert_eq!(error.outcome(), WriteOutcome::NotSent);
            assert_eq!(error.attempts(), 0);
            assert!(error.to_string().contains(part), "{error}");
        }
    }
    assert!(requests(&server).await.is_empty());
}

#[tokio::test]
async fn page_sizes_out_of_range_are_rejected_before_anything_is_sent() {
    let server = server([json(200, LIST)]).await;
    let client = integration(&server);
    for size in [0, 101] {
        let error = client.logs().list(()).page_size(size).page().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{size}");
        assert_eq!(error.outcome(), WriteOutcome::NotSent);
    }
    assert!(requests(&server).await.is_empty());
    client.logs().list(()).page_size(1).start_offset(9).page().await.unwrap();
    assert_eq!(query(&only_request(&server).await), "limit=1&offset=9");
}
