//! Records as API Activity events of the Open Cybersecurity Schema Framework (OCSF).
//!
//! The class is [API Activity](https://schema.ocsf.io/1.8.0/classes/api_activity), number 6003, of version 1.8.0.
//!
//! | OCSF attribute | value |
//! |---|---|
//! | `activity_id`, `activity_name` | by [`action`](LogRecord::action): `create` is 1, `read` and `get` are 2, `update` is 3, `delete` is 4, in any case of letters. Another action is 99, and `activity_name` is that action. Without an action: 0 |
//! | `category_uid`, `category_name` | 6, `Application Activity` |
//! | `class_uid`, `class_name` | 6003, `API Activity` |
//! | `type_uid`, `type_name` | 600300 + `activity_id`, and its name |
//! | `time` | [`timestamp`](LogRecord::timestamp), in milliseconds |
//! | `severity_id`, `severity` | by [`outcome`](LogRecord::outcome): 3 `Medium` if it failed, 0 `Unknown` if the outcome is unknown, otherwise 1 `Informational` |
//! | `status_id`, `status` | by the outcome: 1 `Success`, 2 `Failure`. Any other outcome is 99, and `status` is the log's own word, or that of the outcome. Without an outcome: 0 `Unknown` |
//! | `status_code` | [`status`](LogRecord::status), the log's own word |
//! | `status_detail` | [`error`](LogRecord::error) |
//! | `message` | action, target and outcome in one line |
//! | `duration` | [`duration`](LogRecord::duration), in whole milliseconds |
//! | `metadata.version` | `1.8.0` |
//! | `metadata.product.name`, `metadata.log_name` | [`source`](LogRecord::source) |
//! | `metadata.uid` | [`key`](LogRecord::key) |
//! | `actor.user` | [`actor`](LogRecord::actor), if it is a `user` or a `service account`: `uid` is its id; `type_id` is 1 `User` or 4 `Service` |
//! | `actor.app_name`, `actor.app_uid` | for any other actor, and a user without an id: its kind and its id. Without an actor: the source, as `app_name` |
//! | `api.operation` | the action; `unknown` without one |
//! | `api.service.name` | the source |
//! | `api.response.error_message` | the error |
//! | `src_endpoint.svc_name` | the source: a log doesn't say from which host an action came |
//! | `resources` | [`target`](LogRecord::target), as one resource: `type` is its kind, `uid` its id, `role_id` 1 `Target`. Without an id, `name` is its kind |
//! | `unmapped.time_meaning` | `created` or `state_changed`: what `time` is the time of |

use serde_json::{Map, Value, json};

use crate::record::{LogRecord, Outcome, message};

/// Returns the record as an OCSF event of the class API Activity (6003): see the [table](self).
///
/// `None` if the record has no timestamp, because the class requires `time`. Arklow's records have one if the query
/// asked for their [state](crate::arklow::RecordsQuery::include_state).
///
/// ```
/// # #[cfg(feature = "testing")]
/// # fn main() {
/// use actionlog::record::ocsf;
/// use actionlog::testing::models;
///
/// let event = ocsf::api_activity(&models::action_log("60f7b1b3e4b0e8b3f8b3f8b3")).unwrap();
/// assert_eq!((&event["class_uid"], &event["type_uid"]), (&6003.into(), &600_303.into()));
/// assert_eq!(event["status"], "Success");
/// assert_eq!(event["api"]["operation"], "update");
/// # }
/// # #[cfg(not(feature = "testing"))] fn main() {}
/// ```
pub fn api_activity<R: LogRecord + ?Sized>(record: &R) -> Option<Value> {
    let timestamp = record.timestamp()?;
    let source = record.source();
    let mut event = json!({
        "category_uid": 6,
        "category_name": "Application Activity",
        "class_uid": 6003,
        "class_name": "API Activity",
        "time": timestamp.time.timestamp_millis(),
        "message": message(record),
        "metadata": {
            "version": "1.8.0",
            "product": { "name": source },
            "log_name": source,
            "uid": record.key().to_string(),
        },
        "actor": actor(record),
        "api": { "operation": record.action().unwrap_or("unknown"), "service": { "name": source } },
        "src_endpoint": { "svc_name": source },
        "unmapped": { "time_meaning": timestamp.meaning.as_str() },
    });
    classify(record, &mut event);
    add_optional(record, &mut event);
    Some(event)
}

/// Adds what was done and how it ended, each as a number and its name.
fn classify<R: LogRecord + ?Sized>(record: &R, event: &mut Value) {
    let (activity_id, activity) = activity(record.action());
    event["activity_id"] = activity_id.into();
    event["activity_name"] = activity.into();
    event["type_uid"] = (600_300 + activity_id).into();
    event["type_name"] = format!("API Activity: {}", if activity_id == 99 { "Other" } else { activity }).into();
    let (severity_id, severity) = match record.outcome() {
        Outcome::Failed => (3, "Medium"),
        Outcome::Unknown(_) => (0, "Unknown"),
        Outcome::Pending | Outcome::Succeeded | Outcome::Canceled => (1, "Informational"),
    };
    event["severity_id"] = severity_id.into();
    event["severity"] = severity.into();
    let (status_id, status) = status(record);
    event["status_id"] = status_id.into();
    event["status"] = status.into();
}

/// Adds the attributes of which not every record has the value.
fn add_optional<R: LogRecord + ?Sized>(record: &R, event: &mut Value) {
    if let Some(status) = record.status() {
        event["status_code"] = status.into();
    }
    if let Some(error) = record.error() {
        event["status_detail"] = error.into();
        event["api"]["response"] = json!({ "error_message": error });
    }
    if let Some(took) = record.duration() {
        event["duration"] = i64::try_from(took.as_millis()).unwrap_or(i64::MAX).into();
    }
    if let Some(resource) = resource(record) {
        event["resources"] = json!([resource]);
    }
}

/// Returns the number of an activity, and its name.
fn activity(action: Option<&str>) -> (u32, &str) {
    let Some(action) = action else { return (0, "Unknown") };
    let is = |names: &[&str]| names.iter().any(|it| action.eq_ignore_ascii_case(it));
    match () {
        () if is(&["create"]) => (1, "Create"),
        () if is(&["read", "get"]) => (2, "Read"),
        () if is(&["update"]) => (3, "Update"),
        () if is(&["delete"]) => (4, "Delete"),
        () => (99, action),
    }
}

/// Returns the number of a status, and its name.
fn status<R: LogRecord + ?Sized>(record: &R) -> (u32, &str) {
    match record.outcome() {
        Outcome::Succeeded => (1, "Success"),
        Outcome::Failed => (2, "Failure"),
        Outcome::Unknown(None) => (0, "Unknown"),
        other => (99, record.status().unwrap_or(other.as_str())),
    }
}

fn actor<R: LogRecord + ?Sized>(record: &R) -> Value {
    let Some(actor) = record.actor() else { return json!({ "app_name": record.source() }) };
    let id = actor.id.map(|it| it.to_string());
    let user = match actor.kind {
        "user" => Some((1, "User")),
        "service account" => Some((4, "Service")),
        _ => None,
    };
    match (user, id) {
        (Some((type_id, name)), Some(id)) => json!({ "user": { "uid": id, "type_id": type_id, "type": name } }),
        (_, Some(id)) => json!({ "app_name": actor.kind, "app_uid": id }),
        (_, None) => json!({ "app_name": actor.kind }),
    }
}

fn resource<R: LogRecord + ?Sized>(record: &R) -> Option<Value> {
    let target = record.target()?;
    let mut resource = Map::new();
    match target.id {
        Some(id) => resource.insert("uid".to_owned(), id.to_string().into()),
        None => resource.insert("name".to_owned(), target.kind.into()),
    };
    resource.insert("type".to_owned(), target.kind.into());
    resource.insert("role_id".to_owned(), 1.into());
    resource.insert("role".to_owned(), "Target".into());
    Some(resource.into())
}
