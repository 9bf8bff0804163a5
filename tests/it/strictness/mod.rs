//! How strictly records are read: accepted alternatives, omitted fields, and what makes a record invalid.

mod fields;
mod scans;
mod table;

use std::fmt;
use std::fs;
use std::sync::LazyLock;

use actionlog::arklow::{ActionRecord, RecordListing, RecordsQuery};
use actionlog::auth::none;
use actionlog::integration::{ActionLog, LogListing, LogsQuery};
use actionlog::page::{InvalidRecord, Listing, Paginate};
use actionlog::unleash::{ActionSetEvent, EventsQuery};
use actionlog::{ArklowClient, HttpResponse, IntegrationClient, OmittedField, UnleashClient};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::support::fixture;
use crate::wire::{KEY, Memory, Reply, value};

const KEPT: &str = "actionlog:omitted";

const URL: &str = "http://localhost";

trait Record: Clone + PartialEq + fmt::Debug + Serialize + DeserializeOwned + Send + Unpin + 'static {
    type Listing: Paginate<Item = Self>;
    const API: &'static str;
    /// The required fields of a record, at any depth.
    const REQUIRED: &'static [&'static str];

    fn listing() -> Listing<Self::Listing>;
    /// A record with all documented fields.
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

fn invalid<R: Record>(record: &str) -> InvalidRecord {
    match read::<R>(record) {
        Ok(read) => panic!("{record}: {read:?}"),
        Err(why) => why,
    }
}

/// The sample with this JSON as the value of a field.
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

/// The JSON pointers of all fields, including those of list elements, but not inside of free-form JSON.
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

fn client(response: impl Fn(usize) -> String + Send + Sync + 'static) -> (IntegrationClient, Memory) {
    let memory = Memory::new(move |number, _| Reply::json(200, response(number)));
    let builder = IntegrationClient::builder(URL).api_key(KEY).http_client(memory.clone());
    (builder.build().unwrap(), memory)
}

/// A record with three fields that don't fit: two that an input can set, and one that it can't.
fn odd_log() -> String {
    let mut sample = ActionLog::sample();
    sample["retryCount"] = json!(-1);
    sample["errorMessage"] = json!({"code": 5});
    sample["createdAt"] = json!("yesterday");
    sample.to_string()
}
