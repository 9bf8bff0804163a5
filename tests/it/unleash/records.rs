//! How events are read, and written back.

use std::fs;

use actionlog::Id;
use actionlog::page::{More, Window};
use actionlog::unleash::{ActionEventState, ActionSetEvent, ActionSetEventState, SignalFilter, SignalSource};
use serde_json::{Value, json};

use crate::support::{client, event, first_page, fixture, page_of, promptly, serve_json};

fn full_text() -> String {
    fs::read_to_string(fixture("unleash/handmade/full-event.json")).unwrap()
}

async fn read(text: &str) -> ActionSetEvent {
    let server = serve_json(text).await;
    let page = first_page(&client(server.uri())).await.unwrap();
    assert_eq!(page.entries.len(), 1);
    page.into_records().unwrap().remove(0)
}

/// Reads a page whose only event is this value.
async fn read_event(event: &Value) -> ActionSetEvent {
    read(&page_of(&[event.to_string()])).await
}

#[tokio::test]
async fn every_documented_field_of_an_event_is_read() {
    let it = read(&full_text()).await;
    assert_eq!(it.id, Id::new(4711));
    assert_eq!(it.action_set_id, Id::new(7));
    assert_eq!(it.signal_id, Id::new(90210));
    assert_eq!(it.created_at.to_rfc3339(), "2026-03-08T09:15:30.125+00:00");
    assert_eq!(it.state, ActionSetEventState::Failed);

    let signal = &it.signal;
    assert_eq!(signal.id, Id::new(90210));
    let payload = signal.payload.as_ref().unwrap();
    assert_eq!(
        payload.as_str(),
        r#"{"alert": "p99 > 2s",  "values": [1.50, 12345678901234567890123], "twice": 1, "twice": 2}"#
    );
    assert_eq!(signal.created_at.to_rfc3339(), "2026-03-08T09:15:29+00:00");
    assert_eq!(signal.source, SignalSource::SignalEndpoint);
    assert_eq!(signal.source_id, Id::new(31));
    assert_eq!(signal.created_by_source_token_id, Some(Id::new(32)));

    let set = &it.action_set;
    assert_eq!(set.id, Id::new(7));
    assert_eq!(set.project, "web-shop");
    assert_eq!(set.created_at.to_rfc3339(), "2025-11-30T22:00:00+00:00");
    assert_eq!(set.created_by_user_id, Some(Id::new(51)));
    assert_eq!(set.name.as_deref(), Some("Switch off on alert"));
    assert_eq!(set.description.as_deref(), Some("Switches the new checkout off when it gets slow"));
    assert_eq!(set.actor_id, Some(Id::new(52)));
    assert!(!set.enabled);
    assert_eq!(set.filter.source, Some(SignalSource::SignalEndpoint));
    assert_eq!(set.filter.source_id_raw.as_str(), "31");
    assert_eq!(set.filter.source_id(), Some(Id::new(31)));
    assert_eq!(
        set.filter.payload.to_value().unwrap(),
        json!({ "alert": { "inverted": false, "operator": "STR_CONTAINS", "caseInsensitive": true, "values": ["p99"] } })
    );

    assert_eq!(set.actions.len(), 3);
    let [first, second, third] = &set.actions[..] else { unreachable!() };
    assert_eq!(first.id, Id::new(101));
    assert_eq!(first.created_at.to_rfc3339(), "2025-11-30T22:00:01.001+00:00");
    assert_eq!(first.created_by_user_id, Some(Id::new(53)));
    assert_eq!(first.action, "TOGGLE_FEATURE_OFF");
    assert_eq!(first.sort_order, Some(0));
    assert_eq!(
        first.execution_params.as_ref().unwrap().as_str(),
        r#"{"project": "web-shop", "environment": "production", "featureName": "new-checkout"}"#
    );
    assert_eq!(first.state, ActionEventState::Success);
    assert_eq!(first.details, None);
    assert_eq!((second.id, second.created_by_user_id, second.sort_order), (Id::new(102), Some(Id::new(54)), Some(1)));
    assert_eq!(second.created_at.to_rfc3339(), "2025-11-30T22:00:02.000002+00:00");
    assert_eq!(second.action, "TOGGLE_FEATURE_ON");
    assert_eq!(second.execution_params.as_ref().unwrap().as_str(), "{}");
    assert_eq!(second.state, ActionEventState::Failed);
    assert_eq!(second.details.as_deref(), Some("Could not find feature old-checkout"));
    assert_eq!((third.id, third.created_by_user_id, third.sort_order), (Id::new(103), Some(Id::new(55)), Some(2)));
    assert_eq!((&third.execution_params, &third.state, &third.details), (&None, &ActionEventState::NotStarted, &None));
    assert_eq!(it.failed_action().map(|it| it.id), Some(Id::new(102)));
}

/// The same value without members that are `null`, which are written as absent.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members.into_iter().filter(|(_, it)| !it.is_null()).map(|(name, it)| (name, without_nulls(it))).collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

#[tokio::test]
async fn an_event_survives_a_serde_round_trip() {
    let full = full_text();
    let event = read(&full).await;
    let sent: Value = serde_json::from_str(&full).unwrap();
    let written = serde_json::to_string(&event).unwrap();
    let expected = without_nulls(sent["actionSetEvents"][0].clone());
    // Times of whole seconds are written without a fraction.
    let same_moments = |value: &Value| value.to_string().replace(".000Z", "Z");
    assert_eq!(same_moments(&serde_json::from_str(&written).unwrap()), same_moments(&expected));
    assert!(written.contains(event.signal.payload.as_ref().unwrap().as_str()), "the payload's text is kept");
    assert_eq!(serde_json::from_str::<ActionSetEvent>(&written).unwrap(), event);
}

#[tokio::test]
async fn optional_fields_may_be_absent_or_null() {
    let optional = [
        "/signal/payload",
        "/signal/createdBySourceTokenId",
        "/actionSet/description",
        "/actionSet/enabled",
        "/actionSet/actions/0/executionParams",
        "/actionSet/actions/0/details",
    ];
    let action = json!({
        "id": 1, "createdAt": "2026-01-01T00:00:00Z", "createdByUserId": 1, "action": "X", "sortOrder": 0,
        "state": "success"
    });
    for null in [false, true] {
        let mut value = event(1);
        value["actionSet"]["actions"] = json!([action]);
        for path in optional {
            let (parent, name) = path.rsplit_once('/').unwrap();
            let parent = value.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            parent.remove(name);
            if null {
                parent.insert(name.to_owned(), Value::Null);
            }
        }
        let it = read_event(&value).await;
        assert_eq!(it.signal.payload, None);
        assert_eq!(it.signal.created_by_source_token_id, None);
        assert_eq!(it.action_set.description, None);
        assert!(it.action_set.enabled, "a set is enabled where the server doesn't say");
        assert_eq!(it.action_set.actions[0].execution_params, None);
        assert_eq!(it.action_set.actions[0].details, None);
    }
}

/// Every member that the documentation requires, as pointers into an event.
const REQUIRED: [&str; 22] = [
    "/id",
    "/actionSetId",
    "/signalId",
    "/createdAt",
    "/state",
    "/signal",
    "/actionSet",
    "/signal/id",
    "/signal/createdAt",
    "/signal/source",
    "/signal/sourceId",
    "/actionSet/id",
    "/actionSet/project",
    "/actionSet/createdAt",
    "/actionSet/actions",
    "/actionSet/match",
    "/actionSet/match/sourceId",
    "/actionSet/match/payload",
    "/actionSet/actions/0/id",
    "/actionSet/actions/0/createdAt",
    "/actionSet/actions/0/action",
    "/actionSet/actions/0/state",
];

#[tokio::test]
async fn an_absent_required_field_makes_its_record_invalid_and_is_named() {
    let full: Value = serde_json::from_str(&full_text()).unwrap();
    for path in REQUIRED {
        let mut value = full["actionSetEvents"][0].clone();
        let (parent, name) = path.rsplit_once('/').unwrap();
        value.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).expect("it's in the full event");
        let server = serve_json(page_of(&[value.to_string()])).await;
        let page = first_page(&client(server.uri())).await.unwrap();
        let [Err(record)] = &page.entries[..] else { panic!("{path} is read as {:?}", page.entries) };
        assert!(record.reason().contains(&format!("missing field `{name}`")), "{path}: {record:?}");
        assert_eq!(record.raw().as_str(), value.to_string());
        let inside = parent.trim_start_matches('/').replace("/0", "[0]").replace('/', ".");
        assert_eq!(record.path(), inside, "{path}");
    }
}

#[tokio::test]
async fn unknown_states_and_sources_are_kept_and_written_back_unchanged() {
    let mut value = event(1);
    value["state"] = json!("paused by admin");
    value["signal"]["source"] = json!("signal-queue");
    value["actionSet"]["enabled"] = json!(true);
    value["actionSet"]["match"]["source"] = json!("");
    value["actionSet"]["actions"] = json!([{
        "id": 1, "createdAt": "2026-01-01T00:00:00Z", "createdByUserId": 1, "action": "X", "sortOrder": 0,
        "state": "Success"
    }]);
    let it = read_event(&value).await;
    assert_eq!(it.state, ActionSetEventState::Unknown("paused by admin".into()));
    assert_eq!(it.signal.source, SignalSource::Unknown("signal-queue".into()));
    assert_eq!(it.action_set.filter.source.as_ref().unwrap().as_str(), "");
    // Strings are case-sensitive.
    assert_eq!(it.action_set.actions[0].state, ActionEventState::Unknown("Success".into()));
    let same_moments = |value: Value| value.to_string().replace(".000Z", "Z");
    assert_eq!(same_moments(serde_json::to_value(&it).unwrap()), same_moments(value));
}

#[tokio::test]
async fn every_documented_state_and_source_has_a_name() {
    let texts = |known: &[ActionSetEventState]| known.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(texts(ActionSetEventState::KNOWN), ["started", "success", "failed"]);
    let states: Vec<_> = ActionEventState::KNOWN.iter().map(ActionEventState::as_str).collect();
    assert_eq!(states, ["not started", "started", "success", "failed"]);
    let sources: Vec<_> = SignalSource::KNOWN.iter().map(SignalSource::as_str).collect();
    assert_eq!(sources, ["signal-endpoint"]);
    for state in ActionSetEventState::KNOWN {
        let mut value = event(1);
        value["state"] = json!(state.as_str());
        assert_eq!(read_event(&value).await.state, *state);
    }
}

#[tokio::test]
async fn unknown_fields_are_ignored_at_every_level() {
    let mut value = event(1);
    for parent in ["", "/signal", "/actionSet", "/actionSet/match"] {
        let parent = value.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        parent.insert("addedTomorrow".to_owned(), json!({ "id": "no number", "deep": [[[null]]] }));
    }
    let text = format!(r#"{{"schemaVersion":2,"actionSetEvents":[{value}],"links":{{"next":null}}}}"#);
    assert_eq!(read(&text).await, read_event(&event(1)).await);
}

#[tokio::test]
async fn times_with_fractions_and_offsets_are_the_moments_they_name() {
    let cases = [
        ("2026-11-21T20:18:03Z", "2026-11-21T20:18:03+00:00"),
        ("2026-11-21T20:18:03.5Z", "2026-11-21T20:18:03.500+00:00"),
        ("2026-11-21T20:18:03.123456789Z", "2026-11-21T20:18:03.123456789+00:00"),
        ("2026-11-21T20:18:03.572+02:00", "2026-11-21T18:18:03.572+00:00"),
        ("2026-11-21T23:30:00-05:30", "2026-11-22T05:00:00+00:00"),
        ("2026-11-21t20:18:03z", "2026-11-21T20:18:03+00:00"),
    ];
    for (text, expected) in cases {
        let mut value = event(1);
        value["createdAt"] = json!(text);
        assert_eq!(read_event(&value).await.created_at.to_rfc3339(), expected, "{text}");
    }
}

#[tokio::test]
async fn an_invalid_timestamp_makes_its_record_invalid() {
    let wrong = [
        json!(""),
        json!("yesterday"),
        json!("2026-11-21"),
        json!("2026-11-21T20:18:03"),
        json!("2026-13-21T20:18:03Z"),
        json!("2026-1-2T3:4:5Z"),
        json!(" 2026-11-21T20:18:03Z"),
        json!(1_795_292_283),
        json!(null),
    ];
    for time in wrong {
        let mut value = event(1);
        value["createdAt"] = time.clone();
        let server = serve_json(page_of(&[value.to_string()])).await;
        let page = first_page(&client(server.uri())).await.unwrap();
        let [Err(record)] = &page.entries[..] else { panic!("{time} is read as {:?}", page.entries) };
        assert_eq!(record.path(), "createdAt", "{time}");
    }
}

#[test]
fn a_filters_source_is_an_id_if_its_number_is_one() {
    let cases = [
        ("31", Some(31_i64)),
        ("0", Some(0)),
        ("-1", Some(-1)),
        ("9007199254740993", Some(9_007_199_254_740_993)),
        ("1.5", None),
        ("1e300", None),
        ("null", None),
        (r#""31""#, None),
    ];
    for (text, expected) in cases {
        let json = format!(r#"{{"source":"signal-endpoint","sourceId":{text},"payload":{{}}}}"#);
        let filter: SignalFilter = serde_json::from_str(&json).unwrap();
        assert_eq!(filter.source_id_raw.as_str(), text);
        assert_eq!(filter.source_id(), expected.map(Id::new), "{text}");
    }
}

#[tokio::test]
async fn payloads_of_every_kind_keep_their_raw_json() {
    let texts = [
        r"{}",
        r#"{"b":1,"a":2}"#,
        r#"{"n":1.0,"m":1.00,"big":123456789012345678901234567890,"e":1E+400}"#,
        r#"{"s":"\u00fc\/\ud83d\ude00"}"#,
        r#"{ "blank" :	[ ] }"#,
        r#"[1,"two",null]"#,
        r#""text""#,
    ];
    for text in texts {
        let record = event(1).to_string().replace(r#""payload":{}"#, &format!(r#""payload":{text}"#));
        let record = record.replacen(r#""signal":{"#, &format!(r#""signal":{{"payload":{text},"#), 1);
        let it = read(&page_of(&[record])).await;
        assert_eq!(it.signal.payload.unwrap().as_str(), text);
        assert_eq!(it.action_set.filter.payload.as_str(), text);
    }
}

#[tokio::test]
async fn a_page_reports_its_window_and_that_what_follows_is_unknown() {
    let server = serve_json(page_of(&[event(3).to_string(), event(2).to_string()])).await;
    let list = client(server.uri()).action_set_events().list(("default", 1)).page_size(2).start_offset(4);
    let page = promptly(list.page()).await.unwrap();
    assert_eq!(page.window, Window { offset: 4, limit: 2 });
    assert_eq!((page.total, page.more), (None, More::Unknown));
    assert!(page.errors.is_empty());
    assert_eq!(page.records().map(|it| *it.id.get()).collect::<Vec<_>>(), [3, 2]);
}
