//! Ids, statuses and free-form JSON.

use std::collections::{BTreeMap, HashMap, HashSet};

use actionlog::arklow::{ActionRecord, ActionStatus};
use actionlog::integration::{ActionLog, ActionType, LogStatus};
use actionlog::unleash::{ActionEventState, ActionSet, ActionSetEventState, EventsQuery};
use actionlog::{Id, Json};
use serde_json::{Value, json};

use crate::everyday::{Clients, clients};

fn takes_str(text: impl AsRef<str>) -> usize {
    text.as_ref().len()
}

#[tokio::test]
async fn a_write_accepts_the_id_of_a_record_by_reference() {
    let Clients { integration: client, .. } = clients();
    let newest = client.logs().list_all().page().await.unwrap().into_records().unwrap().remove(0);
    let log = client.logs().get(&newest.id).await.unwrap();
    assert_eq!(log, newest);
    let log = client.logs().update(&log.id, log.to_input().status(LogStatus::Failed)).await.unwrap();
    assert_eq!(log.status, "failed");
    client.logs().delete(&log.id).await.unwrap();
    let text = log.id.to_string();
    assert!(client.logs().get(&text).await.unwrap_err().is_not_found());
    assert!(client.logs().get(text).await.unwrap_err().is_not_found());
    assert!(client.logs().get(log.id).await.unwrap_err().is_not_found());
}

#[test]
fn an_id_that_is_a_string_is_used_as_one() {
    let text = "60f7b1b3e4b0e8b3f8b3f8b3".to_owned();
    let id: Id<ActionLog> = (&text).into();
    assert_eq!(id.as_str(), text);
    assert_eq!(takes_str(&id), 24);
    assert_eq!(takes_str(id.clone()), 24);
    assert!(id == "60f7b1b3e4b0e8b3f8b3f8b3" && "60f7b1b3e4b0e8b3f8b3f8b3" == id && id != "60f7");
    assert!(id == text && text == id && id == *"60f7b1b3e4b0e8b3f8b3f8b3");
    assert_eq!(String::from(&id), text);
    assert_eq!(String::from(id.clone()), text);
    assert_eq!(text.parse::<Id<ActionLog>>().unwrap(), id);
    assert_eq!(Id::<ActionLog>::from(std::borrow::Cow::Borrowed(text.as_str())), id);
    assert_eq!(Id::<ActionLog>::from(text.clone().into_boxed_str()), id);
    assert_eq!(format!("[{id:>26}]"), format!("[  {text}]"));
    assert!(id.as_str().starts_with("60f7"));
}

#[test]
fn ids_as_the_keys_of_a_map_are_looked_up_by_str() {
    let ids: [Id<ActionRecord>; 2] = ["17", "18"].map(Id::from);
    let hashed: HashMap<_, _> = ids.iter().cloned().zip(1..).collect();
    let ordered: BTreeMap<_, _> = ids.iter().cloned().zip(1..).collect();
    let known: HashSet<_> = ids.iter().cloned().collect();
    for (text, expected) in [("17", Some(&1)), ("18", Some(&2)), ("19", None)] {
        assert_eq!(hashed.get(text), expected);
        assert_eq!(ordered.get(text), expected);
        assert_eq!(known.contains(text), expected.is_some());
    }
    assert_eq!(serde_json::to_value(&ordered).unwrap(), json!({"17": 1, "18": 2}));
}

#[test]
fn an_id_that_is_an_integer_is_used_as_one() {
    let id: Id<ActionSet> = 5.into();
    assert_eq!(id.as_i64(), 5);
    assert!(id == 5 && 5 == id && id != 6);
    assert!(id == 5_u64 && id == 5_u32 && id == 5_i64 && 5_u64 == id);
    assert!(Id::<ActionSet>::from(-1) != u64::MAX);
    assert_eq!(i64::from(id), 5);
    assert_eq!(Id::<ActionSet>::from(5_u64), id);
    assert_eq!(Id::<ActionSet>::from(u64::MAX), i64::MAX);
    assert_eq!("5".parse::<Id<ActionSet>>(), Ok(id));
    assert!("five".parse::<Id<ActionSet>>().is_err());
    assert_eq!(EventsQuery::new("default", id), ("default", 5_u64).into());
    assert_eq!(EventsQuery::from(("default".to_owned(), &id)), ("default", 5).into());
}

#[test]
fn statuses_are_compared_with_and_made_from_strings() {
    let status: LogStatus = "failed".into();
    assert_eq!(status, LogStatus::Failed);
    assert!(status == "failed" && "failed" == status && status != "success" && status == "failed".to_owned());
    assert_eq!(LogStatus::from("failed".to_owned()), status);
    assert_eq!(String::from(status.clone()), "failed");
    assert_eq!(takes_str(&status), 6);
    assert_eq!(format!("{status:>8}"), "  failed");
    assert_eq!("retrying".parse(), Ok(LogStatus::Retrying));
    assert!("paused" == "paused");
    assert!(ActionType::Sync == "sync" && ActionEventState::NotStarted == "not started");
    let counts: HashMap<LogStatus, u32> = HashMap::from([(status, 1)]);
    assert_eq!(counts[&LogStatus::Failed], 1);
}

#[test]
fn every_state_reports_whether_it_is_final() {
    let (yes, no) = (Some(true), Some(false));
    let logs = [("pending", no), ("success", yes), ("failed", yes), ("retrying", no), ("paused", None)];
    assert!(logs.iter().all(|(it, expected)| LogStatus::from(*it).is_final() == *expected));
    let runs = [("started", no), ("success", yes), ("failed", yes), ("throttled", None)];
    assert!(runs.iter().all(|(it, expected)| ActionSetEventState::from(*it).is_final() == *expected));
    // If an earlier action failed, the whole stays failed: the state of one action doesn't show that.
    let actions = [("not started", None), ("started", no), ("success", yes), ("failed", yes), ("skipped", None)];
    assert!(actions.iter().all(|(it, expected)| ActionEventState::from(*it).is_final() == *expected));
    let records = [("queued", no), ("ack_wait", no), ("succeeded", yes), ("canceled", yes), ("paused", None)];
    assert!(records.iter().all(|(it, expected)| ActionStatus::from(*it).is_final() == *expected));
}

#[test]
fn json_is_looked_into_without_a_struct() {
    let json: Json = r#"{"a": 1.50, "b": {"c~/d": [10, {"e": null}]}, "a": 2.50, "": 7}"#.parse().unwrap();
    assert_eq!(json.get("a").unwrap().as_str(), "2.50", "the last of a repeated name, as serde_json has it");
    assert_eq!(json.get("a"), json.to_value().unwrap().get("a").map(|_| "2.50".parse().unwrap()));
    assert_eq!(json.get("b").and_then(|it| it.get("c~/d")).unwrap(), json!([10, {"e": null}]));
    assert_eq!(json.get("none"), None);
    let value = json.to_value().unwrap();
    for pointer in [
        "",
        "/",
        "/a",
        "/b",
        "/b/c~0~1d",
        "/b/c~0~1d/0",
        "/b/c~0~1d/1/e",
        "/b/c~0~1d/2",
        "/b/c~0~1d/00",
        "/b/c~0~1d/+1",
        "/b/c~0~1d/-",
        "/b/c~0~1d/99999999999999999999999",
        "/a/0",
        "b",
        "/none",
        "/b/none/0",
    ] {
        let found = json.pointer(pointer).map(|it| it.to_value().unwrap());
        assert_eq!(found.as_ref(), value.pointer(pointer), "{pointer:?}");
    }
    for text in ["[1]", "1", "\"a\"", "null"] {
        assert_eq!(Json::from_text(text).unwrap().get("a"), None, "{text}");
    }
    assert_eq!(Json::from(json!({"a": 1})), json!({"a": 1}));
    assert_eq!(json!([1, 2]), Json::from(json!([1, 2])));
    assert_eq!(Json::default(), Json::from(Value::Null));
    assert_eq!(Value::try_from(Json::from(json!(5))).unwrap(), 5);
    assert!("{".parse::<Json>().is_err());
    assert!(Json::from_text("1e999").unwrap() != json!(1), "it can't be read as a Value");
}
