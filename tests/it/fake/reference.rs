//! The samples match the references of the APIs.

use actionlog::arklow::ActionRecord;
use actionlog::integration::ActionLog;
use actionlog::testing::{FakeServer, sample};
use actionlog::unleash::ActionSetEvent;
use http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::fake::{EVENTS, LOGS, RECORDS, get, send};

/// How a reference describes a value.
pub(super) enum Kind {
    Text,
    Digits,
    Integer,
    Number,
    Bool,
    Time,
    /// One of these, and no other.
    OneOf(&'static [&'static str]),
    /// An object of any fields.
    Map,
    Any,
    List(&'static Self),
    /// An object of these fields, and no other.
    Fields(&'static [Field]),
    /// Null, or such a value.
    Nullable(&'static Self),
}

use Kind::{Any, Bool, Digits, Fields, Integer, List, Map, Nullable, Number, OneOf, Text, Time};

/// A field, and whether it is required.
pub(super) type Field = (&'static str, bool, Kind);

/// The reference page "Integration action logs": List. Its `ActionLogInput`'s required fields, and `_id`, `createdAt`
/// and `updatedAt`, which its examples have.
pub(super) const LOG: Kind = Fields(&[
    ("_id", true, Text),
    ("integrationId", true, Text),
    ("actionType", true, OneOf(&["create", "update", "delete", "sync", "webhook"])),
    ("entityType", true, Text),
    ("entityId", false, Text),
    ("status", true, OneOf(&["pending", "success", "failed", "retrying"])),
    ("payload", false, Map),
    ("response", false, Map),
    ("errorMessage", false, Text),
    ("retryCount", false, Integer),
    ("executionTime", false, Number),
    ("metadata", false, Map),
    ("createdAt", true, Time),
    ("updatedAt", true, Time),
]);

pub(super) const LOGS_PAGE: Kind =
    Fields(&[("success", true, Bool), ("data", true, List(&LOG)), ("total", true, Integer)]);

pub(super) const ONE_LOG: Kind = Fields(&[("success", true, Bool), ("data", true, LOG)]);

/// Arklow's reference page "List action records": it requires `data` and `errors`, and nothing in them.
pub(super) const RECORDS_PAGE: Kind = Fields(&[
    ("data", true, Fields(&[("items", false, List(&RECORD)), ("count", false, Integer)])),
    ("errors", true, Nullable(&List(&Fields(&[("code", false, Text), ("message", false, Text)])))),
]);

pub(super) const RECORD: Kind = Fields(&[
    ("id", false, Text),
    ("org_id", false, Digits),
    ("action_definition_id", false, Text),
    ("input", false, Any),
    ("timeout", false, Integer),
    ("tags", false, Map),
    (
        "state",
        false,
        Nullable(&Fields(&[
            ("status", false, Text),
            ("attempt", false, Integer),
            ("updated_at", false, Time),
            ("available_at", false, Nullable(&Time)),
            ("timeout_at", false, Nullable(&Time)),
            ("started_at", false, Nullable(&Time)),
            ("completed_at", false, Nullable(&Time)),
            ("error_message", false, Nullable(&Text)),
        ])),
    ),
    (
        "definition",
        false,
        Nullable(&Fields(&[
            ("id", false, Text),
            ("org_id", false, Text),
            ("variant", false, Text),
            ("version", false, Integer),
            ("alias", false, List(&Text)),
            ("schema", false, Any),
            ("deleted_at", false, Nullable(&Time)),
            ("destinations", false, List(&LINK)),
        ])),
    ),
    (
        "events",
        false,
        List(&Fields(&[
            ("id", false, Text),
            ("action_record_id", false, Text),
            ("org_id", false, Text),
            ("kind", false, Text),
            ("status", false, Text),
            ("attempt", false, Integer),
            ("available_at", false, Nullable(&Time)),
            ("timeout_at", false, Nullable(&Time)),
            ("message", false, Nullable(&Text)),
            ("data", false, Any),
        ])),
    ),
]);

pub(super) const LINK: Kind = Fields(&[
    ("id", false, Text),
    ("action_definition_id", false, Text),
    ("destination_id", false, Text),
    ("org_id", false, Text),
    ("is_default", false, Bool),
    (
        "destination",
        false,
        Nullable(&Fields(&[
            ("id", false, Text),
            ("org_id", false, Text),
            ("updated_at", false, Time),
            ("label", false, Text),
            ("type", false, Text),
            (
                "config",
                false,
                Fields(&[
                    ("url", false, Text),
                    ("headers", false, Map),
                    ("signaling", false, Fields(&[("enabled", false, Bool), ("default", false, Text)])),
                    ("response_time_sla_ms", false, Integer),
                ]),
            ),
            ("deleted_at", false, Nullable(&Time)),
            ("tags", false, Map),
            ("credential_id", false, Nullable(&Text)),
        ])),
    ),
]);

/// Unleash's reference page "Get action events for a specific action set".
pub(super) const EVENTS_PAGE: Kind = Fields(&[("actionSetEvents", true, List(&EVENT))]);

pub(super) const EVENT: Kind = Fields(&[
    ("id", true, Integer),
    ("actionSetId", true, Integer),
    ("signalId", true, Integer),
    ("createdAt", true, Time),
    ("state", true, OneOf(&["started", "success", "failed"])),
    (
        "signal",
        true,
        Fields(&[
            ("id", true, Integer),
            ("payload", false, Map),
            ("createdAt", true, Time),
            ("source", true, OneOf(&["signal-endpoint"])),
            ("sourceId", true, Integer),
            ("createdBySourceTokenId", false, Nullable(&Integer)),
        ]),
    ),
    (
        "actionSet",
        true,
        Fields(&[
            ("id", true, Integer),
            ("project", true, Text),
            ("createdAt", true, Time),
            ("createdByUserId", true, Integer),
            ("name", true, Text),
            ("description", false, Nullable(&Text)),
            ("actorId", true, Integer),
            ("enabled", false, Bool),
            ("actions", true, List(&ACTION)),
            (
                "match",
                true,
                Fields(&[
                    ("source", true, OneOf(&["signal-endpoint"])),
                    ("sourceId", true, Number),
                    ("payload", true, Map),
                ]),
            ),
        ]),
    ),
]);

pub(super) const ACTION: Kind = Fields(&[
    ("id", true, Integer),
    ("createdAt", true, Time),
    ("createdByUserId", true, Integer),
    ("action", true, Text),
    ("sortOrder", true, Integer),
    ("executionParams", false, Map),
    ("state", true, OneOf(&["not started", "started", "success", "failed"])),
    ("details", false, Nullable(&Text)),
]);

/// What doesn't match the reference, with its path.
pub(super) fn misfits(value: &Value, kind: &Kind, at: &str) -> Vec<String> {
    let fits = match kind {
        Any => true,
        Text => value.is_string(),
        Digits => value.as_str().is_some_and(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit())),
        Integer => value.is_i64() || value.is_u64(),
        Number => value.is_number(),
        Bool => value.is_boolean(),
        Time => value.as_str().is_some_and(|it| chrono::DateTime::parse_from_rfc3339(it).is_ok()),
        OneOf(texts) => value.as_str().is_some_and(|it| texts.contains(&it)),
        Map => value.is_object(),
        Nullable(kind) => return if value.is_null() { Vec::new() } else { misfits(value, kind, at) },
        List(kind) => match value {
            Value::Array(list) => {
                let each = list.iter().enumerate();
                return each.flat_map(|(index, it)| misfits(it, kind, &format!("{at}/{index}"))).collect();
            }
            _ => false,
        },
        Fields(fields) => match value {
            Value::Object(object) => {
                let unknown = object.keys().filter(|name| fields.iter().all(|it| it.0 != *name));
                let unknown = unknown.map(|name| format!("{at}/{name} isn't in the reference"));
                let known = fields.iter().flat_map(|(name, required, kind)| match object.get(*name) {
                    Some(value) => misfits(value, kind, &format!("{at}/{name}")),
                    None if *required => Vec::from([format!("{at}/{name} is missing")]),
                    None => Vec::new(),
                });
                return unknown.chain(known).collect();
            }
            _ => false,
        },
    };
    if fits { Vec::new() } else { Vec::from([format!("{at} is {value}")]) }
}

#[test]
fn every_page_of_samples_is_valid_by_the_reference() {
    let fake = FakeServer::new();
    fake.unleash().largest_page(200).add_sample_events("default", 1, 400);
    fake.arklow().add_sample_records("4711", 400);
    fake.integration().add_sample_logs(400);
    let mut pages = 0;
    for (path, view, size, kind) in [
        (EVENTS, "", ("limit", "offset", 50), &EVENTS_PAGE),
        (RECORDS, "", ("take", "skip", 50), &RECORDS_PAGE),
        (RECORDS, "include_state=true&include_definition=true", ("take", "skip", 50), &RECORDS_PAGE),
        (LOGS, "", ("limit", "offset", 100), &LOGS_PAGE),
        (LOGS, "order=asc&sort=updatedAt", ("limit", "offset", 25), &LOGS_PAGE),
    ] {
        let (limit, skip, size) = size;
        for offset in (0..=400).step_by(size) {
            let (status, page) = get(&fake, &format!("{path}?{view}&{limit}={size}&{skip}={offset}"));
            assert_eq!((status, misfits(&page, kind, path)), (200, Vec::new()));
            pages += 1;
        }
    }
    assert_eq!(pages, 9 + 9 + 9 + 5 + 17);
    let (_, count) = get(&fake, &format!("{RECORDS}?count_only=true"));
    assert_eq!(misfits(&count, &RECORDS_PAGE, ""), [""; 0]);
    fake.arklow().trouble("shard_down", "one of 3 shards didn't answer");
    assert_eq!(misfits(&get(&fake, RECORDS).1, &RECORDS_PAGE, ""), [""; 0]);
    for size in [0, 1] {
        let fake = FakeServer::new();
        fake.integration().add_sample_logs(size);
        assert_eq!(misfits(&get(&fake, LOGS).1, &LOGS_PAGE, ""), [""; 0]);
    }
}

#[test]
fn writes_are_stored_as_documented() {
    let fake = FakeServer::new();
    let least = json!({"integrationId": "i", "actionType": "sync", "entityType": "product", "status": "pending"});
    let mut most = least.clone();
    most.as_object_mut().unwrap().extend(
        json!({"entityId": "5", "payload": {}, "response": {"a": 1}, "errorMessage": "no", "retryCount": 2,
            "executionTime": 1.5, "metadata": {}})
        .as_object()
        .unwrap()
        .clone(),
    );
    let mut nulls = least.clone();
    for field in ["entityId", "payload", "errorMessage", "retryCount", "executionTime"] {
        nulls[field] = Value::Null;
    }
    for body in [least, most, nulls] {
        let (status, _, stored) = send(&fake, Method::POST, LOGS, &[], &body.to_string());
        let stored: Value = serde_json::from_slice(&stored).unwrap();
        assert_eq!((status, misfits(&stored, &ONE_LOG, "")), (201, Vec::new()), "{body}");
        let one = format!("{LOGS}/{}", stored["data"]["_id"].as_str().unwrap());
        let (status, _, stored) = send(&fake, Method::PUT, &one, &[], &body.to_string());
        assert_eq!((status, misfits(&serde_json::from_slice(&stored).unwrap(), &ONE_LOG, "")), (200, Vec::new()));
        assert_eq!(misfits(&get(&fake, &one).1, &ONE_LOG, ""), [""; 0]);
    }
}

#[test]
fn sparse_and_odd_samples_are_valid_records() {
    fn check<T: DeserializeOwned>(odd: &[Value], usual: &[Value], kind: &Kind, odd_one: impl Fn(&T) -> bool) {
        assert_eq!(odd.len(), usual.len());
        assert!(usual.iter().all(|it| misfits(it, kind, "").is_empty()));
        let read: Vec<T> = odd.iter().map(|it| serde_json::from_value(it.clone()).unwrap()).collect();
        assert!(read.iter().filter(|it| odd_one(it)).count() >= odd.len() / 10);
        let differ = odd.iter().zip(usual).filter(|(odd, usual)| odd != usual).count();
        assert!(differ > odd.len() / 2 && differ < odd.len(), "{differ}");
    }
    let events = (sample::odd_action_set_events(120), sample::action_set_events(120));
    check(&events.0, &events.1, &EVENT, |it: &ActionSetEvent| it.state == "throttled");
    assert!(events.0.iter().any(|it| !misfits(it, &EVENT, "").is_empty()));
    let records = (sample::odd_action_records(120), sample::action_records(120));
    check(&records.0, &records.1, &RECORD, |it: &ActionRecord| {
        it.state.as_ref().and_then(|it| it.status.as_ref()).is_none_or(|it| it.is_final().is_none())
    });
    let logs = (sample::odd_action_logs(120), sample::action_logs(120));
    check(&logs.0, &logs.1, &LOG, |it: &ActionLog| it.updated_at.is_none());
    assert!(logs.0.iter().any(|it| !misfits(it, &LOG, "").is_empty()));

    let fake = FakeServer::new();
    let log = fake.integration().log();
    log.add_samples(3).add_odd_samples(3).add_samples(3);
    assert_eq!(log.records::<Value>().unwrap()[3..6], sample::odd_action_logs(6)[..3]);
    fake.arklow().log("4711").add_odd_samples(12);
    fake.unleash().log("default", 1).add_odd_samples(12);
    assert_eq!(fake.arklow().log("4711").records::<ActionRecord>().unwrap().len(), 12);
    assert_eq!(fake.unleash().log("default", 1).records::<ActionSetEvent>().unwrap().len(), 12);
}
