//! How records are read, and written back.

use std::time::Duration;

use actionlog::ErrorKind;
use actionlog::integration::{ActionLog, ActionType, LogStatus};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::integration::{GET, ID, one, record, text};
use crate::wire::{integration, json, requests, server, value};

#[tokio::test]
async fn an_input_made_from_a_record_has_all_its_fields() {
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
    logs.update(id, log.into_input().status(LogStatus::Success)).await.unwrap();

    let mut expected = stored;
    for field in ["_id", "createdAt", "updatedAt"] {
        expected.as_object_mut().unwrap().remove(field).unwrap();
    }
    expected["status"] = json!("success");
    assert_eq!(value(text(&requests(&server).await[1])), expected);
}

#[tokio::test]
async fn optional_fields_may_be_null_or_absent() {
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
async fn a_record_without_a_required_field_is_invalid_and_the_others_are_yielded() {
    for field in ["_id", "integrationId", "actionType", "entityType", "status"] {
        let mut broken = record("2");
        broken.as_object_mut().unwrap().remove(field).unwrap();
        let body = json!({"success": true, "data": [record("1"), broken, record("3")], "total": 3});
        let server = server([json(200, body.to_string())]).await;
        let page = integration(&server).logs().list(()).page().await.unwrap();
        assert_eq!(page.records().map(|it| it.id.to_string()).collect::<Vec<_>>(), ["1", "3"], "{field}");
        let Err(invalid) = &page.entries[1] else { panic!("{field}") };
        assert!(invalid.reason().contains(field), "{}", invalid.reason());

        let server = crate::wire::server([json(200, one(&broken))]).await;
        let error = integration(&server).logs().get("2").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode, "{field}");
        assert!(error.to_string().contains(field), "{error}");
    }
}

#[tokio::test]
async fn unknown_enum_values_survive() {
    let mut stored = record("1");
    stored["actionType"] = json!("archive");
    stored["status"] = json!("paused");
    let server = server([json(200, one(&stored))]).await;
    let log = integration(&server).logs().get("1").await.unwrap();
    assert_eq!(log.action_type, ActionType::Unknown("archive".into()));
    assert_eq!(log.status, LogStatus::Unknown("paused".into()));
    let input = serde_json::to_value(log.into_input()).unwrap();
    assert_eq!((&input["actionType"], &input["status"]), (&json!("archive"), &json!("paused")));
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
    assert_eq!(serde_json::to_value(log.into_input()).unwrap()["executionTime"], json!(12.75));
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

#[test]
fn an_execution_time_comes_back_from_its_own_json_as_it_was() {
    // A reader of numbers that saves time on their last digits takes `4.584755927850866e18` for its neighbour.
    for time in ["4584755927850866906", "4.5847559278508667e18", "1.0715660016273187e-5", "0.1", "5e-324"] {
        let text = record("1").to_string().replacen('{', &format!("{{\"executionTime\":{time},"), 1);
        let log: ActionLog = serde_json::from_str(&text).unwrap();
        assert_eq!(log.execution_time, Some(time.parse().unwrap()), "{time}");
        let again: ActionLog = serde_json::from_str(&serde_json::to_string(&log).unwrap()).unwrap();
        assert_eq!(again, log, "{time}");
    }
}
