//! Arklow's action records, over a connection.

use actionlog::arklow::{ActionStatus, DestinationKind, RecordsQuery, SearchEncoding, Signal};
use actionlog::page::{More, TotalScope, Window};
use actionlog::{ArklowClient, ErrorKind, WriteOutcome};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::wire::{
    KEY, arklow, arklow_with, json, number, only_request, query, requests, server, target, value, whole_story,
};

const EXAMPLE: &str = include_str!("fixtures/arklow/list.json");

/// An answer with these records and this count, without errors.
fn page(items: &Value, count: impl Into<Option<u64>>) -> ResponseTemplate {
    json(200, json!({"data": {"items": items, "count": count.into()}, "errors": null}).to_string())
}

fn empty() -> ResponseTemplate {
    page(&json!([]), 0)
}

/// The listing's only record, as its JSON is read.
async fn read(record: &Value) -> actionlog::arklow::ActionRecord {
    let server = server([page(&json!([record]), 1)]).await;
    let page = arklow(&server).records().list(()).page().await.unwrap();
    page.into_records().unwrap().remove(0)
}

#[tokio::test]
async fn every_field_of_the_published_example_arrives() {
    let server = server([json(200, EXAMPLE)]).await;
    let page = arklow(&server).records().list(()).page().await.unwrap();
    let time: DateTime<Utc> = "2023-11-07T05:31:56Z".parse().unwrap();
    assert_eq!(page.window, Window { offset: 0, limit: 50 });
    assert_eq!(page.total, Some(123));
    assert_eq!(page.errors.len(), 1);
    assert_eq!(page.errors[0].name(), Some("<string>"));
    assert_eq!(page.errors[0].message(), Some("<string>"));
    assert_eq!(page.entries.len(), 1);

    let record = page.into_records().unwrap().remove(0);
    assert_eq!(&**record.id.get(), "<string>");
    assert_eq!(record.org_id.unwrap().to_string(), "<string>");
    assert_eq!(record.action_definition_id.unwrap().to_string(), "<string>");
    assert_eq!(record.input.unwrap().as_str(), r#""<unknown>""#);
    assert_eq!(record.timeout, Some(123));
    assert_eq!(record.tags.unwrap().as_str(), "{}");

    let state = record.state.unwrap();
    assert_eq!(state.status, Some(ActionStatus::Unknown("<string>".into())));
    assert_eq!(state.attempt, Some(123));
    for it in [state.updated_at, state.available_at, state.timeout_at, state.started_at, state.completed_at] {
        assert_eq!(it, Some(time));
    }
    assert_eq!(state.error_message.as_deref(), Some("<string>"));

    let definition = record.definition.unwrap();
    assert_eq!(definition.id.unwrap().to_string(), "<string>");
    assert_eq!(definition.org_id.unwrap().to_string(), "<string>");
    assert_eq!(definition.variant.as_deref(), Some("<string>"));
    assert_eq!(definition.version, Some(123));
    assert_eq!(definition.alias, Some(vec!["<string>".to_owned()]));
    assert_eq!(definition.schema.unwrap().as_str(), r#""<unknown>""#);
    assert_eq!(definition.deleted_at, Some(time));

    let [link]: [_; 1] = definition.destinations.unwrap().try_into().unwrap();
    assert_eq!(link.id.unwrap().to_string(), "<string>");
    assert_eq!(link.action_definition_id.unwrap().to_string(), "<string>");
    assert_eq!(link.destination_id.unwrap().to_string(), "<string>");
    assert_eq!(link.org_id.unwrap().to_string(), "<string>");
    assert_eq!(link.is_default, Some(true));

    let destination = link.destination.unwrap();
    assert_eq!(destination.id.as_ref().unwrap().to_string(), "<string>");
    assert_eq!(destination.org_id.as_ref().unwrap().to_string(), "<string>");
    assert_eq!(destination.updated_at, Some(time));
    assert_eq!(destination.label.as_deref(), Some("<string>"));
    assert_eq!(destination.kind, Some(DestinationKind::Webhook));
    assert_eq!(destination.deleted_at, Some(time));
    assert_eq!(destination.tags.as_ref().unwrap().as_str(), "{}");
    assert_eq!(destination.credential_id.as_ref().unwrap().to_string(), "<string>");
    assert!(destination.config.as_ref().unwrap().as_str().contains("response_time_sla_ms"));

    let webhook = destination.webhook().unwrap().unwrap();
    assert_eq!(webhook.url.as_deref(), Some("<string>"));
    assert_eq!(webhook.headers.unwrap().as_str(), "{}");
    assert_eq!(webhook.response_time_sla_ms, Some(2));
    let signaling = webhook.signaling.unwrap();
    assert_eq!(signaling.enabled, Some(true));
    assert_eq!(signaling.default, Some(Signal::Ack));

    let [event]: [_; 1] = record.events.unwrap().try_into().unwrap();
    assert_eq!(event.id.unwrap().to_string(), "<string>");
    assert_eq!(event.action_record_id.unwrap().to_string(), "<string>");
    assert_eq!(event.org_id.unwrap().to_string(), "<string>");
    assert_eq!(event.kind.as_deref(), Some("<string>"));
    assert_eq!(event.status, Some(ActionStatus::Unknown("<string>".into())));
    assert_eq!(event.attempt, Some(123));
    assert_eq!(event.available_at, Some(time));
    assert_eq!(event.timeout_at, Some(time));
    assert_eq!(event.message.as_deref(), Some("<string>"));
    assert_eq!(event.data.unwrap().as_str(), r#""<unknown>""#);
}

#[tokio::test]
async fn a_record_is_written_back_unchanged() {
    let example = value(EXAMPLE)["data"]["items"][0].clone();
    assert_eq!(serde_json::to_value(read(&example).await).unwrap(), example);
}

#[tokio::test]
async fn times_are_written_back_in_utc_and_nulls_left_out() {
    let record = read(&json!({
        "id": "1", "input": null, "tags": null, "events": null, "definition": null,
        "state": {"status": null, "attempt": 0.0, "updated_at": "2026-11-01T02:00:00.25+02:00", "timeout_at": null},
    }))
    .await;
    let expected = json!({"id": "1", "state": {"attempt": 0, "updated_at": "2026-11-01T00:00:00.250Z"}});
    assert_eq!(serde_json::to_value(record).unwrap(), expected);
}

#[tokio::test]
async fn a_query_string_has_the_expected_bytes() {
    let all = RecordsQuery::new;
    let cases = [
        (all(), "take=50&skip=0"),
        (all().action_definition("4712"), "action_definition_id=4712&take=50&skip=0"),
        (all().variant("refund"), "variant=refund&take=50&skip=0"),
        (all().variant("a b&c+d=ü%"), "variant=a+b%26c%2Bd%3D%C3%BC%25&take=50&skip=0"),
        (all().version(3), "version=3&take=50&skip=0"),
        (all().version(-1), "version=-1&take=50&skip=0"),
        (all().include_definition(), "include_definition=true&take=50&skip=0"),
        (all().include_state(), "include_state=true&take=50&skip=0"),
        (
            all().search("status", "failed").search("tags.a", "b c"),
            "search%5Bfield%5D=tags.a&search%5Bvalue%5D=b+c&search%5Bop%5D=eq&take=50&skip=0",
        ),
        (
            all().include_state().version(2).variant("v").include_definition().action_definition("1").search("f", ""),
            "search%5Bfield%5D=f&search%5Bvalue%5D=&search%5Bop%5D=eq&action_definition_id=1&variant=v&version=2\
             &include_definition=true&include_state=true&take=50&skip=0",
        ),
    ];
    for (asked, expected) in cases {
        let server = server([empty()]).await;
        arklow(&server).records().list(asked).page().await.unwrap();
        let request = only_request(&server).await;
        assert_eq!(request.method.as_str(), "GET");
        assert_eq!(target(&request), format!("/v1/orgs/4711/actions/records?{expected}"));
        assert!(request.body.is_empty());
    }
}

#[tokio::test]
async fn a_search_is_written_in_the_configured_encoding() {
    let cases = [
        (
            SearchEncoding::DeepObject,
            "search%5Bfield%5D=a%26b&search%5Bvalue%5D=%22c%22&search%5Bop%5D=eq&take=50&skip=0",
        ),
        (SearchEncoding::Plain, "field=a%26b&value=%22c%22&op=eq&take=50&skip=0"),
        (
            SearchEncoding::Json,
            "search=%7B%22field%22%3A%22a%26b%22%2C%22value%22%3A%22%5C%22c%5C%22%22%2C%22op%22%3A%22eq%22%7D\
             &take=50&skip=0",
        ),
    ];
    for (encoding, expected) in cases {
        let server = server([empty()]).await;
        let client = arklow_with(&server, |it| it.search_encoding(encoding));
        client.records().list(RecordsQuery::new().search("a&b", "\"c\"")).page().await.unwrap();
        assert_eq!(query(&only_request(&server).await), expected, "{encoding:?}");
    }
}

#[tokio::test]
async fn a_page_request_has_its_offset_and_size() {
    let server = server([empty()]).await;
    let page = arklow(&server).records().list(()).page_size(7).start_offset(30).page().await.unwrap();
    assert_eq!(page.window, Window { offset: 30, limit: 7 });
    assert_eq!(query(&only_request(&server).await), "take=7&skip=30");
}

#[tokio::test]
async fn the_key_goes_into_its_own_header() {
    let server = server([empty()]).await;
    arklow(&server).records().list(()).page().await.unwrap();
    let request = only_request(&server).await;
    assert_eq!(request.headers.get("x-arklow-auth").unwrap(), KEY);
    assert!(request.headers.get("authorization").is_none());
    assert_eq!(request.headers.get("accept").unwrap(), "application/json");
    assert!(request.headers.get("content-type").is_none());
    assert!(request.headers.get("cookie").is_none());
}

#[tokio::test]
async fn a_base_url_keeps_its_path() {
    for slash in ["", "/"] {
        let server = server([empty()]).await;
        let url = format!("{}/gateway/ark%20low{slash}", server.uri());
        let client = ArklowClient::builder("1").base_url(url).api_key(KEY).build().unwrap();
        client.records().list(()).page().await.unwrap();
        let request = only_request(&server).await;
        assert_eq!(request.url.path(), "/gateway/ark%20low/v1/orgs/1/actions/records");
    }
}

#[test]
fn an_invalid_organisation_id_is_rejected_and_not_shown() {
    for id in ["", "sk-secret-key", "47 11", "-1", "４７", "12/../13"] {
        let error = ArklowClient::builder(id).api_key(KEY).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{id}");
        assert_eq!(error.outcome(), WriteOutcome::NotSent);
        let story = format!("{} {error:?}", whole_story(&error));
        assert!(id.is_empty() || !story.contains(id), "{story}");
    }
}

#[tokio::test]
async fn page_sizes_out_of_range_are_rejected_before_anything_is_sent() {
    let server = server([empty()]).await;
    let client = arklow(&server);
    for size in [0, 51, u32::MAX] {
        let page = client.records().list(()).page_size(size).page().await.unwrap_err();
        let item = client.records().list(()).page_size(size).items().next().await.unwrap().unwrap_err();
        for error in [page, item] {
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{size}");
            assert_eq!(error.outcome(), WriteOutcome::NotSent);
            assert_eq!(error.attempts(), 0);
        }
    }
    assert_eq!(requests(&server).await.len(), 0);
    for size in [1, 50] {
        client.records().list(()).page_size(size).page().await.unwrap();
    }
    assert_eq!(requests(&server).await.len(), 2);
}

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

#[tokio::test]
async fn a_webhook_configuration_is_typed_and_others_stay_raw() {
    let webhook = json!({"url": "https://a.example", "headers": {"x": "y"},
        "signaling": {"enabled": false, "default": "defer"}, "response_time_sla_ms": 250.0});
    let pubsub = r#"{ "topic": "projects/a/topics/b",  "attempts": 1.50 }"#;
    let body = format!(
        r#"{{"data": {{"items": [{{"id": "1", "definition": {{"destinations": [
            {{"destination": {{"type": "webhook", "config": {webhook}}}}},
            {{"destination": {{"type": "google_pubsub", "config": {pubsub}}}}},
            {{"destination": {{"type": "webhook"}}}},
            {{"destination": {{"config": {webhook}}}}},
            {{"destination": {{"type": "webhook", "config": {{"url": 7}}}}}}
        ]}}}}], "count": 1}}, "errors": null}}"#
    );
    let server = server([json(200, body)]).await;
    let page = arklow(&server).records().list(()).page().await.unwrap();
    let record = page.into_records().unwrap().remove(0);
    let links = record.definition.unwrap().destinations.unwrap();
    let [typed, other, bare, kindless, misshapen]: [_; 5] =
        links.into_iter().map(|it| it.destination.unwrap()).collect::<Vec<_>>().try_into().unwrap();

    let config = typed.webhook().unwrap().unwrap();
    assert_eq!(config.url.as_deref(), Some("https://a.example"));
    assert_eq!(config.headers.unwrap().as_str(), r#"{"x":"y"}"#);
    assert_eq!(config.response_time_sla_ms, Some(250));
    let signaling = config.signaling.unwrap();
    assert_eq!(signaling.enabled, Some(false));
    assert_eq!(signaling.default, Some(Signal::Unknown("defer".into())));

    assert_eq!(other.kind, Some(DestinationKind::Unknown("google_pubsub".into())));
    assert!(other.webhook().is_none());
    assert_eq!(other.config.unwrap().as_str(), pubsub);
    assert!(bare.webhook().is_none());
    assert!(kindless.webhook().is_none());
    misshapen.webhook().unwrap().unwrap_err();
    assert_eq!(misshapen.config.unwrap().as_str(), r#"{"url": 7}"#);
}

#[tokio::test]
async fn every_documented_status_is_known_and_a_new_one_survives() {
    let known = [
        ("queued", ActionStatus::Queued, Some(false)),
        ("dispatch_wait", ActionStatus::DispatchWait, Some(false)),
        ("scheduled", ActionStatus::Scheduled, Some(false)),
        ("retrying", ActionStatus::Retrying, Some(false)),
        ("running", ActionStatus::Running, Some(false)),
        ("ack_wait", ActionStatus::AckWait, Some(false)),
        ("succeeded", ActionStatus::Succeeded, Some(true)),
        ("failed", ActionStatus::Failed, Some(true)),
        ("canceled", ActionStatus::Canceled, Some(true)),
        ("hibernating", ActionStatus::Unknown("hibernating".into()), None),
    ];
    for (text, status, last) in known {
        let record = json!({"id": "1", "state": {"status": text}});
        let read = read(&record).await;
        assert_eq!(read.state.as_ref().unwrap().status, Some(status.clone()));
        assert_eq!(status.is_final(), last);
        assert_eq!(serde_json::to_value(read).unwrap(), record);
    }
}

#[tokio::test]
async fn integers_may_have_a_decimal_point() {
    let record = read(&json!({
        "id": "1", "timeout": 5.0, "state": {"attempt": 0.0},
        "definition": {"version": 3.0}, "events": [{"attempt": 2.0}],
    }))
    .await;
    assert_eq!(record.timeout, Some(5));
    assert_eq!(record.state.unwrap().attempt, Some(0));
    assert_eq!(record.definition.unwrap().version, Some(3));
    assert_eq!(record.events.unwrap()[0].attempt, Some(2));
}

/// The example's record with everything in it but `id` and the brackets around things set to null.
fn hollow(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().map(|(name, it)| (name.clone(), hollow(it))).collect(),
        Value::Array(items) => items.iter().map(hollow).collect(),
        _ => Value::Null,
    }
}

#[tokio::test]
async fn everything_but_the_id_may_be_null_or_absent() {
    let example = value(EXAMPLE)["data"]["items"][0].clone();
    let mut nulls = hollow(&example);
    nulls["id"] = json!("1");
    nulls["definition"]["alias"] = Value::Null;
    let read_nulls = read(&nulls).await;
    assert_eq!(read_nulls.timeout, None);
    assert_eq!(read_nulls.definition.as_ref().unwrap().destinations.as_ref().unwrap().len(), 1);

    let bare = read(&json!({"id": "1"})).await;
    assert_eq!(serde_json::to_value(&bare).unwrap(), json!({"id": "1"}));
    for field in example.as_object().unwrap().keys().filter(|it| *it != "id") {
        assert_eq!(read(&json!({"id": "1", field: null})).await, bare, "{field}");
    }
}

#[tokio::test]
async fn unknown_fields_are_ignored() {
    let record = read(&json!({"id": "1", "priority": 3, "state": {"mood": {"good": true}}})).await;
    assert_eq!(&**record.id.get(), "1");
}

#[tokio::test]
async fn a_record_without_an_id_is_invalid_and_the_others_are_yielded() {
    let items = json!([{"id": "1"}, {"timeout": 3, "input": "private"}, {"id": "2"}]);
    let server = server([page(&items, 3)]).await;
    let client = arklow_with(&server, |it| it.count_scope(TotalScope::Listing));
    let page = client.records().list(()).page().await.unwrap();
    assert_eq!(page.entries.len(), 3);
    assert_eq!(page.records().map(|it| it.id.to_string()).collect::<Vec<_>>(), ["1", "2"]);
    let Err(record) = &page.entries[1] else { panic!("{:?}", page.entries[1]) };
    assert_eq!(record.index(), 1);
    assert!(record.reason().contains("id"), "{}", record.reason());
    assert_eq!(value(record.raw().as_str()), items[1]);

    let mut stream = client.records().list(()).items();
    assert_eq!(stream.next().await.unwrap().unwrap().id.to_string(), "1");
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRecord);
    assert!(error.is_record());
    assert!(!whole_story(&error).contains("private") && !format!("{error:?}").contains("private"));
    assert_eq!(stream.next().await.unwrap().unwrap().id.to_string(), "2");
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn errors_next_to_records_reach_the_caller() {
    let body = json!({
        "data": {"items": [{"id": "1"}, {"id": "2"}], "count": 2},
        "errors": [{"code": "shard_down", "message": "a part is missing"}, {"message": "another too"}],
    });
    let server = server([json(200, body.to_string())]).await;
    let client = arklow_with(&server, |it| it.count_scope(TotalScope::Listing));

    let page = client.records().list(()).page().await.unwrap();
    assert_eq!(page.records().count(), 2);
    assert_eq!(page.errors.len(), 2);
    assert_eq!((page.errors[0].name(), page.errors[0].message()), (Some("shard_down"), Some("a part is missing")));
    assert_eq!((page.errors[1].name(), page.errors[1].message()), (None, Some("another too")));

    let mut items = client.records().list(()).items();
    for id in ["1", "2"] {
        assert_eq!(items.next().await.unwrap().unwrap().id.to_string(), id);
    }
    let error = items.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Partial);
    assert_eq!(error.api().unwrap().name(), Some("shard_down"));
    assert!(items.next().await.is_none());
}

#[tokio::test]
async fn errors_without_records_are_a_failure_whatever_the_status() {
    for data in [json!(null), json!({}), json!({"items": null, "count": 0})] {
        let body = json!({"data": data, "errors": [
            {"code": "bad_search", "message": "no such field"}, {"code": "more", "message": "and more"},
        ]});
        let server = server([json(200, body.to_string())]).await;
        let error = arklow(&server).records().list(()).page().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ApiFailure, "{data}");
        assert_eq!(error.status().unwrap(), 200);
        assert_eq!(error.outcome(), WriteOutcome::NotApplied);
        assert!(!error.is_transient());
        let api = error.api().unwrap();
        assert_eq!((api.name(), api.message()), (Some("bad_search"), Some("no such field")));
        assert_eq!(api.details(), ["more: and more"]);
        assert!(error.to_string().contains("no such field"), "{error}");
        assert_eq!(requests(&server).await.len(), 1);
    }
}

#[tokio::test]
async fn a_response_without_a_list_is_an_error_and_no_empty_page() {
    for body in [
        r"{}",
        r#"{"errors": null}"#,
        r#"{"data": null, "errors": null}"#,
        r#"{"data": {}, "errors": null}"#,
        r#"{"data": {"count": 0}, "errors": null}"#,
        r#"{"data": {"items": null, "count": 0}, "errors": null}"#,
        r#"{"data": {"items": null, "count": 0}, "errors": []}"#,
        r#"{"data": {"items": {}, "count": 0}, "errors": null}"#,
        r#"{"data": [], "errors": null}"#,
        r"[]",
        r"null",
        r#"{"data": {"items": [{"id": "1"}"#,
    ] {
        let server = server([json(200, body)]).await;
        let client = arklow(&server);
        let page = client.records().list(()).page().await.unwrap_err();
        let item = client.records().list(()).items().next().await.unwrap().unwrap_err();
        for error in [page, item] {
            assert_eq!(error.kind(), ErrorKind::Decode, "{body}: {error}");
            assert!(!error.is_transient(), "{body}");
        }
    }
}

#[tokio::test]
async fn an_error_shows_the_servers_message_and_a_hint() {
    let envelope = r#"{"data": null, "errors": [{"code": "nope", "message": "it was said"}]}"#;
    let cases = [
        (400, ErrorKind::BadRequest, true, false),
        (401, ErrorKind::Unauthorized, true, false),
        (403, ErrorKind::Forbidden, true, false),
        (404, ErrorKind::NotFound, true, false),
        (422, ErrorKind::BadRequest, true, false),
        (429, ErrorKind::RateLimited, true, true),
        (500, ErrorKind::Server, true, true),
        (503, ErrorKind::Server, true, true),
    ];
    for (status, kind, hint, transient) in cases {
        let server = server([json(status, envelope)]).await;
        let error = arklow(&server).records().list(()).page().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}");
        assert_eq!(error.status().unwrap(), status);
        assert_eq!(error.api().unwrap().name(), Some("nope"));
        assert_eq!(error.api().unwrap().message(), Some("it was said"));
        assert_eq!(error.hint().is_some(), hint, "{status}");
        assert_eq!(error.is_transient(), transient, "{status}");
        assert_eq!(error.attempts(), if transient { 4 } else { 1 }, "{status}");
        assert_eq!(requests(&server).await.len(), error.attempts() as usize);
        assert!(error.to_string().contains("/v1/orgs/{org_id}/actions/records"), "{error}");
    }
}

#[tokio::test]
async fn error_bodies_in_other_formats_are_understood() {
    let cases = [
        (r#"{"message": "plainly"}"#, Some((None, Some("plainly")))),
        (r#"{"errors": [{"code": "c"}]}"#, Some((Some("c"), None))),
        (r#"{"errors": [{"code": "c", "message": null}]}"#, Some((Some("c"), None))),
        (r#"{"errors": []}"#, None),
        (r"<html>Bad gateway</html>", None),
        (r"", None),
        (r"upstream gone", Some((None, Some("upstream gone")))),
    ];
    for (body, expected) in cases {
        let server = server([json(400, body)]).await;
        let error = arklow(&server).records().list(()).page().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRequest, "{body}");
        assert_eq!(error.api().map(|it| (it.name(), it.message())), expected, "{body}");
    }
}

#[tokio::test]
async fn a_key_that_the_server_echoes_is_not_shown() {
    let body = format!(r#"{{"errors": [{{"code": "auth", "message": "the key {KEY} is not known"}}]}}"#);
    let server = server([json(401, body)]).await;
    let error = arklow(&server).records().list(()).page().await.unwrap_err();
    assert_eq!(error.api().unwrap().message(), Some("[withheld: contains part of a credential]"));
    assert!(!format!("{error:?} {}", whole_story(&error)).contains(KEY));
}

/// A log of so many records, in pages.
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
    // Records, what the server counts, what the client was told of it, the requests of a walk in pages of five, with
    // the one for the head: the order isn't documented.
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

#[tokio::test]
async fn a_key_that_is_echoed_next_to_valid_data_is_shown_nowhere() {
    let said = json!([{"code": KEY, "message": format!("the key {KEY} is limited")}]);
    let body = json!({"data": {"items": [{"id": "1"}], "count": 1}, "errors": said});
    let server = server([json(200, body.to_string())]).await;
    let client = arklow(&server);
    let page = client.records().list(()).page().await.unwrap();
    assert_eq!(page.errors[0].message(), Some("[withheld: contains part of a credential]"));
    assert!(!format!("{page:?}").contains(KEY));
    let logs = client.records().list(()).collect().await;
    assert!(!logs.partial.is_empty() && !format!("{logs:?}").contains(KEY));
    assert!(!client.check().await.is_ready(), "an answer with errors is none to begin with");
    let counted = client.records().count(()).await.unwrap_err();
    assert!(!format!("{counted} {counted:?}").contains(KEY));
}
