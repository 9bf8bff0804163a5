//! Fields that are read in another form, left out, or make their record invalid.

use std::collections::{BTreeMap, BTreeSet};

use actionlog::arklow::ActionRecord;
use actionlog::integration::ActionLog;
use actionlog::page::InvalidRecord;
use actionlog::unleash::ActionSetEvent;
use actionlog::{ErrorKind, Json, OmittedField};
use proptest::prelude::*;
use serde::Serialize;
use serde_json::json;

use crate::decoding::cases;
use crate::decoding::generators::json as any_json;
use crate::strictness::{
    FREE, KEPT, Record, all_fields, client, entries, invalid, is_required, odd_log, path, read, readable, with,
    without, written,
};
use crate::wire::value;

/// All scalars of a record by their pointers, including numbers and strings that no `Value` holds.
fn leaves(text: &str, at: &str, out: &mut BTreeMap<String, String>) {
    let json = Json::from_text(text).unwrap();
    if let Ok(fields) = json.parse::<BTreeMap<String, Json>>() {
        let fields = fields.iter().filter(|(name, _)| *name != KEPT);
        fields.for_each(|(name, value)| leaves(value.as_str(), &format!("{at}/{name}"), out));
    } else if let Ok(list) = json.parse::<Vec<Json>>() {
        list.iter().enumerate().for_each(|(index, value)| leaves(value.as_str(), &format!("{at}/{index}"), out));
    } else {
        out.insert(at.to_owned(), text.to_owned());
    }
}

/// All of them except the one at a pointer.
fn others(record: &impl Serialize, pointer: &str) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    leaves(&serde_json::to_string(record).unwrap(), "", &mut out);
    out.retain(|at, _| at != pointer && !at.starts_with(&format!("{pointer}/")));
    out
}

/// The value at a pointer of the serialized record.
fn member(record: &impl Serialize, pointer: &str) -> Option<Json> {
    let whole = Json::from_text(serde_json::to_string(record).unwrap()).unwrap();
    pointer.split('/').skip(1).try_fold(whole, |here, step| match step.parse::<usize>() {
        Ok(index) => here.parse::<Vec<Json>>().ok()?.get(index).cloned(),
        Err(_) => here.parse::<BTreeMap<String, Json>>().ok()?.remove(step),
    })
}

/// Checks what holds for any JSON as the value of a field.
fn check<R: Record>(pointer: &str, json: &str) {
    let sample = R::sample();
    let text = with(&sample, pointer, json);
    let case = format!("{pointer} = {json}");
    let neighbours = [sample.to_string(), text.clone(), sample.to_string()];
    let mut entries = entries(&R::listing(), R::page(&neighbours));
    assert_eq!(entries.len(), 3, "{case}");
    let good = readable::<R>(&sample.to_string());
    assert!(matches!(&entries[0], Ok(it) if *it == good), "{case}");
    assert!(matches!(&entries[2], Ok(it) if *it == good), "{case}");
    let record = match entries.swap_remove(1) {
        Ok(record) => record,
        Err(record) => {
            assert!(is_required::<R>(pointer), "{case}: {record:?}");
            assert_eq!(record.raw().as_str(), text, "{case}");
            assert_eq!(read_with_raw::<R>(&text).unwrap_err(), invalid::<R>(&text), "{case}");
            return;
        }
    };
    // The other fields are unchanged.
    assert_eq!(others(&record, pointer), others(&good, pointer), "{case}");
    // The omitted field is named, and its raw JSON is kept.
    for omitted in record.omitted() {
        let here = path(pointer);
        assert!(omitted.path().starts_with(&here), "{case}: {}", omitted.path());
        assert!(json.contains(omitted.raw().as_str()), "{case}: {:?}", omitted.raw());
        assert!(omitted.path() != here || omitted.raw().as_str() == json.trim(), "{case}");
        assert!(!omitted.reason().is_empty());
    }
    let absent = member(&record, pointer).is_none_or(|it| pointer == "/retryCount" && it.as_str() == "0");
    let nothing = ["null", "\"\""].contains(&json.trim()) || json.trim().trim_start_matches('-').parse() == Ok(0.0);
    if absent && !nothing {
        assert!(!record.omitted().is_empty(), "{case}: gone without a word");
    }
    // The record survives a round trip, and `with_raw` keeps the raw JSON.
    let stored: R = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
    assert_eq!(stored, record, "{case}");
    assert_eq!(read_with_raw::<R>(&text), Ok((record, text)), "{case}");
}

pub(super) fn read_with_raw<R: Record>(text: &str) -> Result<(R, String), InvalidRecord> {
    let mut entries = entries(&R::listing().with_raw(), R::page(&[text.to_owned()]));
    match entries.remove(0) {
        Ok(raw) => {
            let (record, raw) = raw.into_parts();
            Ok((record, raw.to_string()))
        }
        Err(record) => Err(record),
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn a_mismatched_field_of_an_arklow_record_costs_only_that_field(
        field in any::<prop::sample::Index>(), json in any_json(),
    ) {
        let all = all_fields::<ActionRecord>();
        check::<ActionRecord>(&all[field.index(all.len())], &json);
    }

    #[test]
    fn a_mismatched_field_of_an_integration_log_costs_only_that_field(
        field in any::<prop::sample::Index>(), json in any_json(),
    ) {
        let all = all_fields::<ActionLog>();
        check::<ActionLog>(&all[field.index(all.len())], &json);
    }

    #[test]
    fn a_mismatched_field_of_an_unleash_event_costs_only_that_field(
        field in any::<prop::sample::Index>(), json in any_json(),
    ) {
        let all = all_fields::<ActionSetEvent>();
        check::<ActionSetEvent>(&all[field.index(all.len())], &json);
    }
}

#[test]
fn alternative_formats_of_fields_are_accepted() {
    let arklow = |pointer: &str, json: &str| readable::<ActionRecord>(&with(&ActionRecord::sample(), pointer, json));
    let log = |pointer: &str, json: &str| readable::<ActionLog>(&with(&ActionLog::sample(), pointer, json));
    let event = |pointer: &str, json: &str| readable::<ActionSetEvent>(&with(&ActionSetEvent::sample(), pointer, json));
    let time = "2023-11-07T05:31:56Z".parse().unwrap();

    for null in
        ["name", "actorId", "createdByUserId", "match/source", "actions/0/sortOrder", "actions/0/createdByUserId"]
    {
        let read = event(&format!("/actionSet/{null}"), "null");
        assert!(read.omitted().is_empty(), "{null}");
        assert!(written(&read).pointer(&format!("/actionSet/{null}")).is_none(), "{null}");
    }
    assert_eq!(event("/actionSet/name", "null").action_set.name, None);

    assert_eq!(log("/entityId", "4711").entity_id.as_deref(), Some("4711"));
    for id in ["4711", "-5", r#"{"$oid": "65f"}"#, r#"{"_id": "65f", "name": "shop"}"#, r#"{"_id": {"$oid": "65f"}}"#] {
        let expected = if id.starts_with('{') { "65f" } else { id };
        for field in ["/_id", "/integrationId", "/entityId"] {
            let read = log(field, id);
            assert!(read.omitted().is_empty(), "{field} {id}");
            assert_eq!(written(&read).pointer(field).unwrap(), expected, "{field} {id}");
        }
        assert_eq!(arklow("/id", id).id.to_string(), expected);
        assert_eq!(arklow("/org_id", id).org_id.unwrap().to_string(), expected);
    }
    let forms = [
        r#""2023-11-07 05:31:56+00""#,
        r#"{"$date": "2023-11-07T05:31:56Z"}"#,
        r#"{"$date": {"$numberLong": "1699335116000"}}"#,
        "1699335116000",
    ];
    for form in forms {
        assert_eq!(log("/createdAt", form).created_at, Some(time), "{form}");
        assert_eq!(arklow("/state/updated_at", form).state.unwrap().updated_at, Some(time), "{form}");
        assert_eq!(event("/createdAt", form).created_at, time, "{form}");
    }
    let read = arklow("/state/updated_at", r#""""#);
    assert!(read.omitted().is_empty() && read.state.unwrap().updated_at.is_none());
    assert_eq!(arklow("/definition/alias", r#""refund""#).definition.unwrap().alias.unwrap(), ["refund"]);
}

#[test]
fn a_mismatched_optional_field_is_omitted_and_reported() {
    let log = |pointer: &str, json: &str| readable::<ActionLog>(&with(&ActionLog::sample(), pointer, json));
    let omitted = |it: &[OmittedField]| it.iter().map(|it| format!("{} {}", it.path(), it.raw())).collect::<Vec<_>>();

    let read = log("/retryCount", "-1");
    assert_eq!((read.retry_count, omitted(read.omitted())), (0, vec!["retryCount -1".to_owned()]));
    let read = log("/errorMessage", r#"{"code": 5}"#);
    assert_eq!((&read.error_message, omitted(read.omitted())), (&None, vec![r#"errorMessage {"code": 5}"#.to_owned()]));
    let read = log("/updatedAt", "1699335116");
    assert_eq!((read.updated_at, omitted(read.omitted())), (None, vec!["updatedAt 1699335116".to_owned()]));
    assert!(read.omitted()[0].reason().contains("RFC 3339"), "{:?}", read.omitted());

    let read = readable::<ActionRecord>(&with(&ActionRecord::sample(), "/timeout", "1.5"));
    assert_eq!((read.timeout, omitted(read.omitted())), (None, vec!["timeout 1.5".to_owned()]));
    // A list isn't accepted for an object.
    let read = readable::<ActionRecord>(&with(&ActionRecord::sample(), "/state", r#"["queued", 1]"#));
    assert_eq!((&read.state, omitted(read.omitted())), (&None, vec![r#"state ["queued", 1]"#.to_owned()]));
    // All fields that don't fit, in their order.
    let text =
        r#"{"timeout": "x", "id": "1", "events": [{"attempt": 0}, {"attempt": "y", "kind": "k"}], "org_id": []}"#;
    let read = readable::<ActionRecord>(text);
    assert_eq!(omitted(read.omitted()), [r#"timeout "x""#, r#"events[1].attempt "y""#, "org_id []"]);
    assert_eq!(read.events.unwrap()[1].kind.as_deref(), Some("k"));
}

#[test]
fn a_mismatch_in_a_required_field_still_invalidates_the_record() {
    fn check<R: Record>() {
        for pointer in all_fields::<R>().iter().filter(|it| is_required::<R>(it)) {
            let sample = R::sample();
            for text in [with(&sample, pointer, "true"), without(&sample, pointer).to_string()] {
                let free = FREE.iter().chain(&["sourceId"]).any(|it| pointer.ends_with(&format!("match/{it}")));
                let read = read::<R>(&text);
                let Err(why) = read else {
                    assert!(free && text.contains("true"), "{pointer}: {text}");
                    continue;
                };
                // A required field is named whether it is absent or doesn't fit, with and without the raw JSON.
                let (object, field) = pointer.rsplit_once('/').unwrap();
                let named = if why.reason().starts_with("missing field") {
                    why.path() == path(object) && why.reason().contains(&format!("`{field}`"))
                } else {
                    why.path() == path(pointer)
                };
                assert!(named, "{pointer}: {why:?}");
                assert_eq!(read_with_raw::<R>(&text).unwrap_err(), why, "{pointer}: {text}");
            }
        }
    }
    check::<ActionRecord>();
    check::<ActionLog>();
    check::<ActionSetEvent>();
}

#[test]
fn a_record_with_its_raw_json_reports_the_same_error_as_without() {
    // An optional field that doesn't fit is omitted and named, and the raw JSON has it.
    let text = odd_log();
    let (log, raw) = read_with_raw::<ActionLog>(&text).unwrap();
    let omitted: BTreeSet<_> = log.omitted().iter().map(OmittedField::path).collect();
    assert_eq!(omitted, BTreeSet::from(["createdAt", "errorMessage", "retryCount"]));
    assert_eq!((log, raw), (readable(&text), text.clone()));

    // If another field makes the record invalid, the error names that one.
    let mut sample = value(&odd_log());
    sample["actionType"] = json!(5);
    let why = read_with_raw::<ActionLog>(&sample.to_string()).unwrap_err();
    assert_eq!((why.path(), why.id()), ("actionType", sample["_id"].as_str()));
    assert_eq!(why, invalid::<ActionLog>(&sample.to_string()));

    sample.as_object_mut().unwrap().remove("actionType");
    let why = read_with_raw::<ActionLog>(&sample.to_string()).unwrap_err();
    assert!(why.reason().starts_with("missing field `actionType`"), "{why:?}");
    assert_eq!(why, invalid::<ActionLog>(&sample.to_string()));

    // Also deep inside, and inside of a list.
    let event = with(&ActionSetEvent::sample(), "/actionSet/actions/1/state", "7");
    let why = read_with_raw::<ActionSetEvent>(&event).unwrap_err();
    assert_eq!(why.path(), "actionSet.actions[1].state");
    assert_eq!(why, invalid::<ActionSetEvent>(&event));
}

#[test]
fn each_repeated_field_is_omitted_or_reported() {
    fn check<R: Record>() {
        for pointer in all_fields::<R>().iter().filter(|it| it.rfind('/') == Some(0)) {
            let (sample, name) = (R::sample(), &pointer[1..]);
            let raw = sample.pointer(pointer).unwrap().to_string();
            let text = format!("{{{}: {raw}, {}", json!(name), &sample.to_string()[1..]);
            if is_required::<R>(pointer) {
                let why = invalid::<R>(&text);
                assert!(why.path() == name && why.reason().starts_with("duplicate field"), "{pointer}: {why:?}");
                continue;
            }
            let record = readable::<R>(&text);
            let omitted: Vec<_> = record.omitted().iter().map(|it| (it.path(), value(it.raw().as_str()))).collect();
            assert_eq!(omitted, [(name, value(&raw)), (name, value(&raw))]);
            let mut rest = written(&record);
            rest.as_object_mut().unwrap().remove(KEPT);
            assert_eq!(rest, written(&readable::<R>(&without(&sample, pointer).to_string())), "{pointer}");
        }
    }
    check::<ActionRecord>();
    check::<ActionLog>();
    check::<ActionSetEvent>();
}

#[tokio::test]
async fn a_repeated_optional_field_does_not_invalidate_a_record() {
    let mut sample = value(&odd_log());
    sample["entityId"] = json!("6");
    let text = format!(r#"{{"retryCount": 3, "entityId": "5", {}"#, &sample.to_string()[1..]);
    let log = readable::<ActionLog>(&text);
    let omitted = |path: &str| -> Vec<&str> {
        log.omitted().iter().filter(|it| it.path() == path).map(|it| it.raw().as_str()).collect()
    };
    assert_eq!((log.entity_id.as_deref(), omitted("entityId")), (None, vec!["\"5\"", "\"6\""]));
    assert_eq!(omitted("retryCount").len(), 2);
    assert_eq!(read_with_raw::<ActionLog>(&text).unwrap(), (log.clone(), text.clone()));

    // A repeated required field invalidates the record: neither value is chosen.
    let twice = format!(r#"{{"_id": "0", {}"#, &text[1..]);
    let why = invalid::<ActionLog>(&twice);
    assert!(why.path() == "_id" && why.reason().starts_with("duplicate field `_id`"), "{why:?}");

    // The record isn't written back until the caller chooses a value.
    let (client, memory) = client(move |_| format!(r#"{{"success": true, "data": {text}}}"#));
    let input = client.logs().get("1").await.unwrap().into_input();
    for missing in ["entityId", "retryCount"] {
        let input = if missing == "entityId" { input.clone().retry_count(3) } else { input.clone().entity_id("6") };
        let error = client.logs().update("1", input).await.unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidRequest && error.to_string().contains(missing), "{error}");
    }
    assert_eq!(memory.count(), 1);
    client.logs().update("1", input.entity_id("6").retry_count(3)).await.unwrap();
    assert_eq!(memory.count(), 2);
}
