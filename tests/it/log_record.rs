//! The records of all logs by one trait, and the forms made from it.

use std::collections::BTreeSet;
use std::time::Duration;

use actionlog::arklow::{ActionRecord, ActionStatus, RecordListing, RecordsQuery};
use actionlog::integration::{ActionLog, LogListing, LogStatus};
use actionlog::page::{Paginate, Raw, RecordKey};
use actionlog::record::{Entity, Ident, LogRecord, Outcome, TimeMeaning, ocsf, otel};
use actionlog::testing::{FakeServer, models, sample};
use actionlog::unleash::{ActionEventState, ActionSetEvent, ActionSetEventState, EventsQuery};
use actionlog::{AnyRecord, ArklowClient};
use serde::de::DeserializeOwned;
use serde_json::Value;

fn typed<T: DeserializeOwned>(records: Vec<Value>) -> Vec<T> {
    records.into_iter().map(|it| serde_json::from_str(&it.to_string()).unwrap()).collect()
}

/// 120 samples of each log.
fn samples() -> (Vec<ActionRecord>, Vec<ActionLog>, Vec<ActionSetEvent>) {
    (typed(sample::action_records(120)), typed(sample::action_logs(120)), typed(sample::action_set_events(120)))
}

fn any_samples() -> Vec<AnyRecord> {
    let (records, logs, events) = samples();
    let logs = logs.into_iter().map(AnyRecord::from).chain(events.into_iter().map(AnyRecord::from));
    records.into_iter().map(AnyRecord::from).chain(logs).collect()
}

/// All values of a record, as the trait returns them.
fn view(record: &dyn LogRecord) -> String {
    format!(
        "{:?}",
        (
            (record.source(), record.key(), record.timestamp(), record.actor(), record.action(), record.target()),
            (record.status(), record.outcome(), record.error(), record.duration(), record.is_final()),
        )
    )
}

#[test]
fn the_values_come_from_the_fields_in_the_table() {
    let mut record = models::action_record("880000000017");
    assert_eq!((record.source(), record.key()), ("arklow", Ident::Text("880000000017")));
    assert_eq!((record.timestamp(), record.outcome()), (None, Outcome::Unknown(None)));
    assert_eq!((record.action(), record.target(), record.actor()), (None, None, None));
    record.action_definition_id = Some("5001".into());
    assert_eq!(record.action(), Some("5001"));
    let mut definition = models::action_definition("5001");
    definition.variant = Some("refund".to_owned());
    definition.destinations = Some(vec![models::destination_link(models::destination("701"))]);
    definition.destinations.as_mut().unwrap()[0].destination_id = Some("701".into());
    record.definition = Some(definition.clone());
    assert_eq!(record.action(), Some("refund"));
    assert_eq!(record.target(), Some(Entity::new("destination", Ident::Text("701"))));
    // With two destinations, the record doesn't show which one it went to.
    definition.destinations.as_mut().unwrap().push(models::destination_link(models::destination("702")));
    record.definition = Some(definition);
    assert_eq!(record.target(), None);
    let mut state = models::action_state(ActionStatus::Failed);
    state.error_message = Some("no ack".to_owned());
    state.started_at = Some(models::time());
    state.completed_at = Some(models::time() + Duration::from_millis(1_500));
    record.state = Some(state);
    assert_eq!((record.outcome(), record.error(), record.is_final()), (Outcome::Failed, Some("no ack"), Some(true)));
    assert_eq!(record.timestamp().unwrap().meaning, TimeMeaning::StateChanged);
    assert_eq!(record.duration(), Some(Duration::from_millis(1_500)));
    // If the clock was set back, there is no duration.
    record.state.as_mut().unwrap().completed_at = Some(models::time() - Duration::from_millis(1));
    assert_eq!(record.duration(), None);

    let mut log = models::action_log("60f7b1b3e4b0e8b3f8b3f8b3");
    log.execution_time = Some(12.5);
    assert_eq!((log.source(), log.outcome(), log.action()), ("integration", Outcome::Succeeded, Some("update")));
    assert_eq!(log.actor(), Some(Entity::new("integration", Ident::Text("integration-1"))));
    assert_eq!(log.target().unwrap().to_string(), "product");
    assert_eq!(log.duration(), Some(Duration::from_micros(12_500)));
    log.entity_id = Some("product-4013".to_owned());
    log.status = LogStatus::Unknown("skipped".into());
    assert_eq!(log.target().unwrap().to_string(), "product product-4013");
    assert_eq!((log.outcome(), log.is_final()), (Outcome::Unknown(Some("skipped")), None));
    assert_eq!(log.outcome().to_string(), "skipped");
}

#[test]
fn an_unleash_run_is_named_after_the_action_that_decided_it() {
    let events = samples().2;
    let mut event = events.into_iter().find(|it| it.action_set.actions.len() > 1).unwrap();
    assert_eq!(event.target(), Some(Entity::new("project", Ident::Text("default"))));
    let name = |event: &ActionSetEvent, index: usize| event.action_set.actions[index].action.clone();
    for (index, action) in event.action_set.actions.iter_mut().enumerate() {
        action.action = format!("ACTION_{index}");
        action.state = ActionEventState::Success;
        action.details = None;
    }
    let last = event.action_set.actions.len() - 1;
    event.state = ActionSetEventState::Success;
    assert_eq!((event.action(), event.error()), (Some(&*name(&event, last)), None));
    event.action_set.actions[0].state = ActionEventState::Started;
    event.state = ActionSetEventState::Started;
    assert_eq!((event.action(), event.outcome()), (Some("ACTION_0"), Outcome::Pending));
    event.action_set.actions[1].state = ActionEventState::Failed;
    event.action_set.actions[1].details = Some("no permission".to_owned());
    assert_eq!((event.action(), event.error()), (Some("ACTION_1"), Some("no permission")));
    event.action_set.actions.clear();
    assert_eq!((event.action(), event.error()), (None, None));
}

/// So that a timeline sorts by what `since` selects by, and what is stored by key is what a scan calls one record.
#[test]
fn time_and_key_are_those_of_the_listings() {
    let (records, logs, events) = samples();
    fn same<Q: Paginate<Item: LogRecord>>(records: &[Q::Item]) {
        for record in records {
            assert_eq!(record.timestamp().map(|it| it.time), Q::timestamp(record));
            assert_eq!(RecordKey::from(record.key()), Q::record_key(record));
        }
    }
    same::<RecordListing>(&records);
    same::<LogListing>(&logs);
    same::<EventsQuery>(&events);
}

#[test]
fn every_status_that_the_models_know_has_an_outcome_that_agrees_on_being_final() {
    let mut record = models::action_record("1");
    for status in ActionStatus::KNOWN {
        record.state = Some(models::action_state(status.clone()));
        assert_eq!((record.is_final(), record.status()), (status.is_final(), Some(status.as_str())));
    }
    let mut log = models::action_log("1");
    for status in LogStatus::KNOWN {
        log.status = status.clone();
        assert_eq!((log.is_final(), log.status()), (status.is_final(), Some(status.as_str())));
    }
    let mut event = samples().2.remove(0);
    for state in ActionSetEventState::KNOWN {
        event.state = state.clone();
        assert_eq!((event.is_final(), event.status()), (state.is_final(), Some(state.as_str())));
    }
}

#[tokio::test]
async fn references_boxes_raw_records_and_any_record_show_what_the_record_shows() {
    let server = FakeServer::new();
    server.arklow().add_sample_records("4711", 30);
    let client = ArklowClient::builder("4711").api_key("any").http_client(server.http_client()).build().unwrap();
    let query = RecordsQuery::new().include_state().include_definition();
    for raw in client.records().list(query).with_raw().collect().await.items {
        let expected = view(&*raw);
        assert_eq!(view(&raw), expected);
        assert_eq!(view(&&*raw), expected);
        assert_eq!(view(&Box::new(raw.clone().into_record())), expected);
        assert_eq!(view(&AnyRecord::from(raw.clone().into_record())), expected);
        let json = raw.raw().clone();
        let any: Raw<AnyRecord> = raw.into();
        assert_eq!((view(&any), any.raw()), (expected, &json));
    }
}

#[test]
fn any_record_is_tagged_by_its_source_and_comes_back() {
    for record in any_samples() {
        let text = serde_json::to_string(&record).unwrap();
        assert!(text.starts_with(&format!(r#"{{"{}":{{"#, record.source())), "{text}");
        assert_eq!(serde_json::from_str::<AnyRecord>(&text).unwrap(), record);
    }
    let error = serde_json::from_str::<AnyRecord>(r#"{"jira": {}}"#).unwrap_err().to_string();
    assert!(error.contains("unknown variant `jira`"), "{error}");
}

#[test]
fn an_ocsf_event_has_the_values_of_its_table() {
    let mut log = models::action_log("60f7b1b3e4b0e8b3f8b3f8b3");
    log.status = LogStatus::Failed;
    log.error_message = Some("no mapping".to_owned());
    log.execution_time = Some(12.5);
    log.entity_id = Some("p-1".to_owned());
    let expected = serde_json::json!({
        "activity_id": 3, "activity_name": "Update", "category_uid": 6, "category_name": "Application Activity",
        "class_uid": 6003, "class_name": "API Activity", "type_uid": 600_303, "type_name": "API Activity: Update",
        "time": 1_767_225_600_000_i64, "severity_id": 3, "severity": "Medium", "status_id": 2, "status": "Failure",
        "status_code": "failed", "status_detail": "no mapping", "message": "update product p-1: failed", "duration": 12,
        "metadata": {
            "version": "1.8.0", "product": { "name": "integration" }, "log_name": "integration",
            "uid": "60f7b1b3e4b0e8b3f8b3f8b3",
        },
        "actor": { "app_name": "integration", "app_uid": "integration-1" },
        "api": {
            "operation": "update", "service": { "name": "integration" }, "response": { "error_message": "no mapping" },
        },
        "src_endpoint": { "svc_name": "integration" },
        "resources": [{ "uid": "p-1", "type": "product", "role_id": 1, "role": "Target" }],
        "unmapped": { "time_meaning": "created" },
    });
    assert_eq!(ocsf::api_activity(&log).unwrap(), expected);

    // Without a time there is no event, and what is unknown is said to be.
    let mut record = models::action_record("1");
    assert_eq!(ocsf::api_activity(&record), None);
    record.state = Some(models::action_state(ActionStatus::Running));
    let event = ocsf::api_activity(&record).unwrap();
    assert_eq!((&event["activity_id"], &event["type_uid"]), (&0.into(), &600_300.into()));
    assert_eq!((&event["status_id"], &event["status"]), (&99.into(), &"running".into()));
    assert_eq!((&event["api"]["operation"], &event["actor"]["app_name"]), (&"unknown".into(), &"arklow".into()));
    assert_eq!(event["unmapped"]["time_meaning"], "state_changed");
    record.state.as_mut().unwrap().status = None;
    let event = ocsf::api_activity(&record).unwrap();
    assert_eq!((&event["status_id"], &event["severity_id"], event.get("status_code")), (&0.into(), &0.into(), None));
    // No duration is longer than OCSF's type for it.
    let mut log = models::action_log("1");
    log.execution_time = Some(1e22);
    assert_eq!(ocsf::api_activity(&log).unwrap()["duration"], i64::MAX);
    let event = ocsf::api_activity(&samples().2[0]).unwrap();
    assert_eq!((&event["actor"]["user"]["type_id"], &event["activity_id"]), (&4.into(), &99.into()));
}

#[test]
fn an_opentelemetry_record_has_the_values_of_its_table() {
    let mut record = models::action_record("1");
    let bare = otel::log_record(&record);
    assert_eq!((bare.get("timeUnixNano"), bare.get("severityNumber")), (None, None));
    let keys = |record: &Value| -> BTreeSet<String> {
        record["attributes"].as_array().unwrap().iter().map(|it| it["key"].as_str().unwrap().to_owned()).collect()
    };
    let least = ["actionlog.key", "actionlog.outcome", "actionlog.source", "log.record.uid"];
    assert_eq!(keys(&bare), least.map(str::to_owned).into());

    let mut state = models::action_state(ActionStatus::Canceled);
    state.updated_at = Some(models::time());
    record.state = Some(state);
    let canceled = otel::log_record(&record);
    assert_eq!((&canceled["severityNumber"], &canceled["severityText"]), (&13.into(), &"WARN".into()));
    assert_eq!(canceled["timeUnixNano"], "1767225600000000000");
    // A time that the format can't hold is left out rather than wrong.
    for year in [1969, 1970, 2300] {
        let time = format!("{year}-01-01T00:00:00Z").parse().unwrap();
        record.state.as_mut().unwrap().updated_at = Some(time);
        assert_eq!(otel::log_record(&record).get("timeUnixNano"), None);
    }
    // Every attribute that any sample has stands in the table.
    let table = include_str!("../../src/record/otel.rs");
    let all: BTreeSet<_> = any_samples().iter().flat_map(|it| keys(&otel::log_record(it))).collect();
    assert!(all.len() >= 13, "{all:?}");
    assert!(all.iter().all(|it| table.contains(&format!("`{it}`"))), "{all:?}");
}
