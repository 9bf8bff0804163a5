//! How strictly records are read: accepted alternatives, omitted fields, and what makes a record invalid.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use actionlog::arklow::{ActionRecord, RecordListing, RecordsQuery};
use actionlog::auth::none;
use actionlog::integration::{ActionLog, LogListing, LogStatus, LogsQuery};
use actionlog::page::{InvalidRecord, Listing, Paginate};
use actionlog::unleash::{ActionSetEvent, EventsQuery};
use actionlog::{ArklowClient, ErrorKind, HttpResponse, IntegrationClient, Json, OmittedField, UnleashClient};
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::decoding::{cases, json as any_json};
use crate::support::fixture;
use crate::wire::{KEY, Memory, Reply, value};

const KEPT: &str = "actionlog:omitted";
const URL: &str = "http://localhost";

trait Record: Clone + PartialEq + fmt::Debug + Serialize + DeserializeOwned + Send + Unpin + 'static {
    type Listing: Paginate<Item = Self>;
    const API: &'static str;
    /// What a record can't be without, at any depth.
    const REQUIRED: &'static [&'static str];

    fn listing() -> Listing<Self::Listing>;
    /// A record with everything that is documented.
    fn sample() -> Value;
    fn page(records: &[String]) -> String;
    fn omitted(&self) -> &[OmittedField];
}

impl Record for ActionRecord {
    type Listing = RecordListing;
    const API: &'static str = "Arklow";
    const REQUIRED: &'static [&'static str] = &["id"];

    fn listing() -> Listing<RecordListing> {
        static LISTING: LazyLock<Listing<RecordListing>> = LazyLock::new(|| {
            let client = ArklowClient::builder("1").base_url(URL).authenticator(none()).build().unwrap();
            client.records().list(RecordsQuery::new())
        });
        LISTING.clone()
    }

    fn sample() -> Value {
        let mut sample = value(&fs::read_to_string(fixture("arklow/list.json")).unwrap())["data"]["items"][0].take();
        // The page shows an unnamed placeholder where any JSON may be.
        for event in sample["events"].as_array_mut().unwrap() {
            event["data"] = json!({"a": 1});
        }
        sample
    }

    fn page(records: &[String]) -> String {
        format!(r#"{{"data":{{"items":[{}],"count":{}}},"errors":null}}"#, records.join(","), records.len())
    }

    fn omitted(&self) -> &[OmittedField] {
        self.omitted()
    }
}

impl Record for ActionLog {
    type Listing = LogListing;
    const API: &'static str = "Integration action logs";
    const REQUIRED: &'static [&'static str] = &["_id", "integrationId", "actionType", "entityType", "status"];

    fn listing() -> Listing<LogListing> {
        static LISTING: LazyLock<Listing<LogListing>> = LazyLock::new(|| {
            IntegrationClient::builder(URL).authenticator(none()).build().unwrap().logs().list(LogsQuery::new())
        });
        LISTING.clone()
    }

    fn sample() -> Value {
        value(&fs::read_to_string(fixture("integration/list.json")).unwrap())["data"][0].take()
    }

    fn page(records: &[String]) -> String {
        format!(r#"{{"success":true,"data":[{}],"total":{}}}"#, records.join(","), records.len())
    }

    fn omitted(&self) -> &[OmittedField] {
        self.omitted()
    }
}

impl Record for ActionSetEvent {
    type Listing = EventsQuery;
    const API: &'static str = "Unleash";
    const REQUIRED: &'static [&'static str] = &[
        "id",
        "actionSetId",
        "signalId",
        "createdAt",
        "state",
        "signal",
        "signal.id",
        "signal.createdAt",
        "signal.source",
        "signal.sourceId",
        "actionSet",
        "actionSet.id",
        "actionSet.project",
        "actionSet.createdAt",
        "actionSet.actions",
        "actionSet.actions[].id",
        "actionSet.actions[].createdAt",
        "actionSet.actions[].action",
        "actionSet.actions[].state",
        "actionSet.match",
        "actionSet.match.sourceId",
        "actionSet.match.payload",
    ];

    fn listing() -> Listing<EventsQuery> {
        static LISTING: LazyLock<Listing<EventsQuery>> = LazyLock::new(|| {
            let client = UnleashClient::builder(URL).authenticator(none()).build().unwrap();
            client.action_set_events().list(("default", 1))
        });
        LISTING.clone()
    }

    fn sample() -> Value {
        let action = |id| {
            json!({"id": id, "createdAt": "2024-08-01T09:00:00Z", "createdByUserId": 3, "action": "TOGGLE_FEATURE_ON",
                "sortOrder": id, "executionParams": {"project": "default"}, "state": "success", "details": "done"})
        };
        json!({"id": 5, "actionSetId": 1, "signalId": 9, "createdAt": "2024-08-02T09:00:00Z", "state": "success",
            "signal": {"id": 9, "payload": {"a": 1}, "createdAt": "2024-08-02T09:00:00Z", "source": "signal-endpoint",
                "sourceId": 2, "createdBySourceTokenId": 4},
            "actionSet": {"id": 1, "project": "default", "createdAt": "2024-08-01T09:00:00Z", "createdByUserId": 3,
                "name": "n", "description": "d", "actorId": 7, "enabled": false, "actions": [action(1), action(2)],
                "match": {"source": "signal-endpoint", "sourceId": 2, "payload": {"a": {"operator": "IN"}}}}})
    }

    fn page(records: &[String]) -> String {
        format!(r#"{{"actionSetEvents":[{}]}}"#, records.join(","))
    }

    fn omitted(&self) -> &[OmittedField] {
        self.omitted()
    }
}

fn entries<Q: Paginate>(listing: &Listing<Q>, body: String) -> Vec<Result<Q::Item, InvalidRecord>> {
    let request = listing.query().request().page_of::<Q>();
    request.decode(&HttpResponse::new(body.into())).unwrap().into_records()
}

fn read<R: Record>(record: &str) -> Result<R, InvalidRecord> {
    let mut entries = entries(&R::listing(), R::page(&[record.to_owned()]));
    assert_eq!(entries.len(), 1);
    entries.remove(0)
}

fn readable<R: Record>(record: &str) -> R {
    match read(record) {
        Ok(record) => record,
        Err(why) => panic!("{record}: {why:?}"),
    }
}

fn unreadable<R: Record>(record: &str) -> InvalidRecord {
    match read::<R>(record) {
        Ok(read) => panic!("{record}: {read:?}"),
        Err(why) => why,
    }
}

/// The sample with this JSON in a field's place.
fn with(sample: &Value, pointer: &str, json: &str) -> String {
    const HERE: &str = "-*- here -*-";
    let mut sample = sample.clone();
    *sample.pointer_mut(pointer).unwrap() = HERE.into();
    sample.to_string().replace(&format!("{HERE:?}"), json)
}

fn without(sample: &Value, pointer: &str) -> Value {
    let (object, field) = pointer.rsplit_once('/').unwrap();
    let mut sample = sample.clone();
    if let Some(object) = sample.pointer_mut(object).and_then(Value::as_object_mut) {
        object.remove(field);
    }
    sample
}

/// The JSON pointers of all fields, of elements of lists too, but not inside of what may be any JSON.
fn fields(here: &Value, at: &str, free: &[&str], out: &mut Vec<String>) {
    match here {
        Value::Object(fields_of) => {
            for (name, value) in fields_of {
                let at = format!("{at}/{name}");
                out.push(at.clone());
                if !free.contains(&name.as_str()) {
                    fields(value, &at, free, out);
                }
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                fields(value, &format!("{at}/{index}"), free, out);
            }
        }
        _ => {}
    }
}

/// Members whose value may be any JSON.
const FREE: [&str; 9] =
    ["input", "tags", "schema", "config", "data", "payload", "response", "metadata", "executionParams"];

fn all_fields<R: Record>() -> Vec<String> {
    let mut all = Vec::new();
    fields(&R::sample(), "", &FREE, &mut all);
    all
}

/// `/events/0/attempt` as `events[0].attempt`.
fn path(pointer: &str) -> String {
    let mut out = String::new();
    for step in pointer.split('/').skip(1) {
        match step.parse::<usize>() {
            Ok(index) => out.push_str(&format!("[{index}]")),
            Err(_) if out.is_empty() => out.push_str(step),
            Err(_) => out.push_str(&format!(".{step}")),
        }
    }
    out
}

/// The same for any element of a list.
fn general(pointer: &str) -> String {
    path(pointer)
        .split('[')
        .map(|it| it.split_once(']').map_or(it.to_owned(), |(_, rest)| format!("[]{rest}")))
        .collect()
}

fn is_required<R: Record>(pointer: &str) -> bool {
    R::REQUIRED.contains(&general(pointer).as_str())
}

fn written(record: &impl Serialize) -> Value {
    let mut written = serde_json::to_value(record).unwrap();
    written.as_object_mut().unwrap().remove(KEPT);
    written
}

/// All that stands in a record, by its pointer; numbers and texts that no `Value` holds too.
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

/// All but what stands at a pointer.
fn others(record: &impl Serialize, pointer: &str) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    leaves(&serde_json::to_string(record).unwrap(), "", &mut out);
    out.retain(|at, _| at != pointer && !at.starts_with(&format!("{pointer}/")));
    out
}

/// What a record is written with at a pointer.
fn member(record: &impl Serialize, pointer: &str) -> Option<Json> {
    let whole = Json::from_text(serde_json::to_string(record).unwrap()).unwrap();
    pointer.split('/').skip(1).try_fold(whole, |here, step| match step.parse::<usize>() {
        Ok(index) => here.parse::<Vec<Json>>().ok()?.get(index).cloned(),
        Err(_) => here.parse::<BTreeMap<String, Json>>().ok()?.remove(step),
    })
}

/// What holds whatever stands in a field's place.
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
            assert_eq!(read_with_raw::<R>(&text).unwrap_err(), unreadable::<R>(&text), "{case}");
            return;
        }
    };
    // The others are as they were.
    assert_eq!(others(&record, pointer), others(&good, pointer), "{case}");
    // What was left out is named, and is what stood there.
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
    // It's the same once stored, and its text is still there for those who keep it.
    let stored: R = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
    assert_eq!(stored, record, "{case}");
    assert_eq!(read_with_raw::<R>(&text), Ok((record, text)), "{case}");
}

fn read_with_raw<R: Record>(text: &str) -> Result<(R, String), InvalidRecord> {
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
    // A list of fields by their order is no object.
    let read = readable::<ActionRecord>(&with(&ActionRecord::sample(), "/state", r#"["queued", 1]"#));
    assert_eq!((&read.state, omitted(read.omitted())), (&None, vec![r#"state ["queued", 1]"#.to_owned()]));
    // Each that doesn't fit, in the order in which they stand there.
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
                // What it can't be without is named, whether it's there or not, and also with the text beside it.
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
    // An optional field that doesn't fit is left out, and named; the text has it.
    let text = odd_log();
    let (log, raw) = read_with_raw::<ActionLog>(&text).unwrap();
    let omitted: BTreeSet<_> = log.omitted().iter().map(OmittedField::path).collect();
    assert_eq!(omitted, BTreeSet::from(["createdAt", "errorMessage", "retryCount"]));
    assert_eq!((log, raw), (readable(&text), text.clone()));

    // It's not what is said where another makes the record invalid: one that doesn't fit, or one that isn't there.
    let mut sample = value(&odd_log());
    sample["actionType"] = json!(5);
    let why = read_with_raw::<ActionLog>(&sample.to_string()).unwrap_err();
    assert_eq!((why.path(), why.id()), ("actionType", sample["_id"].as_str()));
    assert_eq!(why, unreadable::<ActionLog>(&sample.to_string()));

    sample.as_object_mut().unwrap().remove("actionType");
    let why = read_with_raw::<ActionLog>(&sample.to_string()).unwrap_err();
    assert!(why.reason().starts_with("missing field `actionType`"), "{why:?}");
    assert_eq!(why, unreadable::<ActionLog>(&sample.to_string()));

    // Deep inside too, and where a list stands between.
    let event = with(&ActionSetEvent::sample(), "/actionSet/actions/1/state", "7");
    let why = read_with_raw::<ActionSetEvent>(&event).unwrap_err();
    assert_eq!(why.path(), "actionSet.actions[1].state");
    assert_eq!(why, unreadable::<ActionSetEvent>(&event));
}

#[test]
fn each_repeated_field_is_omitted_or_reported() {
    fn check<R: Record>() {
        for pointer in all_fields::<R>().iter().filter(|it| it.rfind('/') == Some(0)) {
            let (sample, name) = (R::sample(), &pointer[1..]);
            let raw = sample.pointer(pointer).unwrap().to_string();
            let text = format!("{{{}: {raw}, {}", json!(name), &sample.to_string()[1..]);
            if is_required::<R>(pointer) {
                let why = unreadable::<R>(&text);
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

    // One without which there is none is named, and nothing is chosen.
    let twice = format!(r#"{{"_id": "0", {}"#, &text[1..]);
    let why = unreadable::<ActionLog>(&twice);
    assert!(why.path() == "_id" && why.reason().starts_with("duplicate field `_id`"), "{why:?}");

    // It isn't written back before it is said which one is meant.
    let (client, memory) = client(move |_| format!(r#"{{"success": true, "data": {text}}}"#));
    let draft = client.logs().get("1").await.unwrap().into_input();
    for missing in ["entityId", "retryCount"] {
        let draft = if missing == "entityId" { draft.clone().retry_count(3) } else { draft.clone().entity_id("6") };
        let error = client.logs().update("1", draft).await.unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidRequest && error.to_string().contains(missing), "{error}");
    }
    assert_eq!(memory.count(), 1);
    client.logs().update("1", draft.entity_id("6").retry_count(3)).await.unwrap();
    assert_eq!(memory.count(), 2);
}

fn client(answer: impl Fn(usize) -> String + Send + Sync + 'static) -> (IntegrationClient, Memory) {
    let memory = Memory::new(move |number, _| Reply::json(200, answer(number)));
    let builder = IntegrationClient::builder(URL).api_key(KEY).http_client(memory.clone());
    (builder.build().unwrap(), memory)
}

/// A record with two fields that don't fit and that a draft could say, and one that it couldn't.
fn odd_log() -> String {
    let mut sample = ActionLog::sample();
    sample["retryCount"] = json!(-1);
    sample["errorMessage"] = json!({"code": 5});
    sample["createdAt"] = json!("yesterday");
    sample.to_string()
}

/// A log with this much payload, and these fields before the others.
fn large_log(payload: usize, fields: &str) -> String {
    let mut sample = ActionLog::sample();
    for field in ["retryCount", "entityId", "errorMessage"] {
        sample.as_object_mut().unwrap().remove(field);
    }
    sample["payload"] = json!({"a": "x".repeat(payload)});
    format!("{{{fields}, {}", &sample.to_string()[1..])
}

#[tokio::test]
async fn a_large_record_loses_only_the_field_that_does_not_fit() {
    for (mib, odd) in [(5, r#""retryCount": "twice""#), (8, r#""retryCount": -1, "errorMessage": [5]"#)] {
        let text = large_log(mib << 20, odd);
        let log = readable::<ActionLog>(&text);
        assert_eq!(log.omitted().len(), odd.split(',').count());
        assert_eq!((log.retry_count, log.omitted()[0].path()), (0, "retryCount"));
        assert!(log.payload.as_ref().unwrap().as_str().len() > mib << 20);
        assert_eq!(read_with_raw::<ActionLog>(&text).unwrap(), (log.clone(), text.clone()));

        // Alone, between others in a page of a scan, and written back.
        let (client, memory) = client(move |number| match number {
            0 => ActionLog::page(&[ActionLog::sample().to_string(), text.clone(), "{}".to_owned()]),
            1 => r#"{"success": true, "data": [], "total": 3}"#.to_owned(),
            _ => format!(r#"{{"success": true, "data": {text}}}"#),
        });
        let page = client.logs().list(()).page().await.unwrap();
        assert!(page.iter().map(|it| it.is_ok()).eq([true, true, false]));
        assert_eq!(page.entries[1].as_ref().unwrap(), &log);
        client.logs().list(()).page().await.unwrap();
        let got = client.logs().get("1").await.unwrap();
        assert_eq!(got, log);
        client.logs().update("1", got.into_input()).await.unwrap();
        let sent = value(std::str::from_utf8(memory.seen().last().unwrap().body()).unwrap());
        assert_eq!(sent["retryCount"].to_string(), log.omitted()[0].raw().as_str());
    }
}

#[test]
fn a_field_that_occurs_a_hundred_times_is_omitted_a_hundred_times() {
    let times = |field: &str| (0..100).map(|it| format!(r#""{field}": {it}"#)).collect::<Vec<_>>().join(", ");
    for payload in [0, 8 << 20] {
        let text = large_log(payload, &format!("{}, {}", times("retryCount"), times("entityId")));
        let log = readable::<ActionLog>(&text);
        let omitted = |path: &str| -> Vec<String> {
            log.omitted().iter().filter(|it| it.path() == path).map(|it| it.raw().to_string()).collect()
        };
        let all: Vec<_> = (0..100).map(|it| it.to_string()).collect();
        assert!(log.omitted().len() == 200 && omitted("retryCount") == all && omitted("entityId") == all);
        assert_eq!((log.retry_count, log.entity_id), (0, None));
    }
}

#[tokio::test]
async fn one_record_is_read_as_in_a_listing() {
    let (client, _) = client(|_| format!(r#"{{"success": true, "data": {}}}"#, odd_log()));
    let got = client.logs().get("1").await.unwrap();
    assert_eq!(got, readable(&odd_log()));
    assert_eq!(got.omitted().len(), 3);
    let created = client.logs().create(got.clone().into_input()).await.unwrap();
    assert_eq!(created, got, "what was written isn't lost for a field");

    let (client, _) = self::client(|_| r#"{"success": true, "data": {"_id": "1", "retryCount": -1}}"#.to_owned());
    let error = client.logs().get("1").await.unwrap_err();
    assert!(error.to_string().contains("integrationId"), "what makes it invalid is said: {error}");
}

#[tokio::test]
async fn omitted_fields_are_written_back_unchanged() {
    let (client, memory) = client(|_| format!(r#"{{"success": true, "data": {}}}"#, odd_log()));
    let sent = || value(std::str::from_utf8(memory.seen().last().unwrap().body()).unwrap());
    let log = client.logs().get("1").await.unwrap();

    let draft = log.clone().into_input().status(LogStatus::Failed);
    let stored = serde_json::from_str(&serde_json::to_string(&draft).unwrap()).unwrap();
    assert_eq!(draft, stored);
    for draft in [draft, stored] {
        client.logs().update("1", draft).await.unwrap();
        let mut expected = value(&odd_log());
        for server in ["_id", "createdAt", "updatedAt"] {
            expected.as_object_mut().unwrap().remove(server);
        }
        expected["status"] = "failed".into();
        assert_eq!(sent(), expected);
    }
    // Unless something else is said.
    let draft = log.clone().into_input().retry_count(3).clear_error_message();
    client.logs().update("1", draft).await.unwrap();
    assert_eq!(sent()["retryCount"], 3);
    assert!(sent().get("errorMessage").is_none() && sent().get(KEPT).is_none());
    let draft = log.into_input().error_message("it failed");
    client.logs().update("1", draft).await.unwrap();
    assert_eq!((&sent()["errorMessage"], &sent()["retryCount"]), (&json!("it failed"), &json!(-1)));
}

#[tokio::test]
async fn a_scan_yields_omitted_fields_through_any_adaptor() {
    use futures_util::TryStreamExt;

    let (client, _) = client(|number| match number {
        0 => ActionLog::page(&[odd_log()]),
        _ => r#"{"success": true, "data": [], "total": 1}"#.to_owned(),
    });
    let logs = client.logs().list(()).items();
    let odd: Vec<_> = logs.map_ok(|log| log.omitted().to_vec()).try_concat().await.unwrap();
    assert_eq!(odd.len(), 3);
}

#[tokio::test]
async fn a_custom_listing_that_keeps_no_omitted_fields_loses_none_silently() {
    #[derive(Clone, Debug)]
    struct Own;

    #[derive(Debug, serde::Deserialize)]
    #[allow(dead_code)]
    struct Item {
        id: String,
        #[serde(default)]
        note: Option<String>,
    }

    impl Paginate for Own {
        type Item = Item;
        type Envelope = <LogListing as Paginate>::Envelope;

        fn request(&self) -> actionlog::Request<()> {
            actionlog::Request::get("own", [""; 0])
        }

        fn record_key(item: &Item) -> actionlog::page::RecordKey {
            item.id.as_str().into()
        }

        fn page_sizes(&self) -> actionlog::page::PageSizes {
            actionlog::page::PageSizes::up_to(10)
        }
    }

    let (client, _) = client(|_| ActionLog::page(&[r#"{"id": "1", "note": 5}"#.to_owned()]));
    let page = client.listing(Own).page().await.unwrap();
    let Err(record) = &page.entries[0] else { panic!("{:?}", page.entries) };
    assert_eq!(record.path(), "note");
}

/// What a field is tried with, by the column of the table.
const PROBES: [(&str, &[&str]); 10] = [
    ("absent", &[]),
    ("`null`", &["null"]),
    ("`\"\"`", &["\"\""]),
    ("text", &["\"x\""]),
    ("number", &["5", "-1", "1.5"]),
    ("bool", &["true", "false"]),
    ("list", &["[]", "[\"x\"]", "[7]"]),
    ("object", &["{}", "{\"a\": 1}"]),
    ("other times", &["\"2023-11-07 05:31:56+00\"", "1699335116000", "{\"$date\": \"2023-11-07T05:31:56Z\"}"]),
    ("other ids", &["4711", "{\"$oid\": \"65f\"}", "{\"_id\": \"65f\"}"]),
];

/// What comes of a field that is tried with these.
fn cell<R: Record>(pointer: &str, probes: &[&str]) -> String {
    let sample = R::sample();
    let texts = match probes {
        [] => Vec::from([without(&sample, pointer).to_string()]),
        probes => probes.iter().map(|it| with(&sample, pointer, it)).collect(),
    };
    let mut found: Vec<&str> = Vec::new();
    for text in texts {
        let sign = match read::<R>(&text) {
            Err(_) => "✗",
            Ok(record) if !record.omitted().is_empty() => "–",
            Ok(record) => match written(&record).pointer(pointer) {
                None => "○",
                Some(_) if probes.is_empty() || probes == ["null"] => "○",
                Some(_) => "✓",
            },
        };
        if !found.contains(&sign) {
            found.push(sign);
        }
    }
    found.join(" ")
}

fn table<R: Record>() -> String {
    let mut out = format!("\n# {}\n\n| field |", R::API);
    PROBES.iter().for_each(|(name, _)| out.push_str(&format!(" {name} |")));
    out.push_str(&format!("\n|---|{}\n", ":-:|".repeat(PROBES.len())));
    let mut seen = Vec::new();
    for pointer in all_fields::<R>() {
        let name = general(&pointer);
        if seen.contains(&name) {
            continue;
        }
        out.push_str(&format!("| `{name}` |"));
        PROBES.iter().for_each(|(_, probes)| out.push_str(&format!(" {} |", cell::<R>(&pointer, probes))));
        out.push('\n');
        seen.push(name);
    }
    out
}

#[test]
fn the_docs_list_the_strictness_of_each_field() {
    const BEGIN: &str =
        "<!-- All below is written by the tests: UPDATE_STRICTNESS=1 cargo test --test it strictness -->\n";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/strictness.md");
    let before = fs::read_to_string(&file).unwrap();
    let (text, _) = before.split_once(BEGIN).expect("the line that the tables are written behind");
    let now = format!("{text}{BEGIN}{}{}{}", table::<ActionRecord>(), table::<ActionLog>(), table::<ActionSetEvent>());
    if std::env::var_os("UPDATE_STRICTNESS").is_some() {
        fs::write(&file, now).unwrap();
    } else {
        assert_eq!(now, before, "UPDATE_STRICTNESS=1 cargo test --test it strictness");
    }
}
