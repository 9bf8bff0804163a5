//! How records are read, and written back.

use actionlog::ErrorKind;
use actionlog::arklow::{ActionStatus, DestinationKind, Signal};
use actionlog::page::{TotalScope, Window};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::arklow::{EXAMPLE, page, read};
use crate::wire::{arklow, arklow_with, json, server, value, whole_story};

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

/// The example's record with all scalars but the `id` set to null.
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
