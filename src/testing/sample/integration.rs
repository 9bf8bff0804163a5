//! Sample integration action logs.

use serde_json::{Value, json};

use crate::testing::sample::{BEGIN, remove, small, time};

/// This number of integration action logs, newest first, about 2 KB each.
///
/// Two integrations synchronise a shop's products, orders and customers with other systems. Most actions succeeded,
/// some failed, and some are pending or being retried.
///
/// ```
/// use actionlog::integration::ActionLog;
/// use actionlog::testing::sample;
/// use serde::Deserialize;
///
/// let newest = ActionLog::deserialize(&sample::action_logs(3)[0])?;
/// assert_eq!(newest.entity_type, "customer");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[must_use]
pub fn action_logs(count: usize) -> Vec<Value> {
    (1..=count).rev().map(log).collect()
}

/// As [`action_logs`], but some logs have undocumented values, and some lack optional fields such as `updatedAt`. All
/// are valid.
#[must_use]
pub fn odd_action_logs(count: usize) -> Vec<Value> {
    (1..=count).rev().map(|number| odd_log(number, log(number))).collect()
}

/// The log with this number, from 1.
pub(in crate::testing) fn log(number: usize) -> Value {
    let (entity, integration) = [
        ("product", "60f7b1b3e4b0e8b3f8b3f8b4"),
        ("order", "60f7b1b3e4b0e8b3f8b3f8b4"),
        ("customer", "60f7b1b3e4b0e8b3f8b3f8c7"),
    ][(number + 2) % 3];
    let action = ["update", "create", "sync", "webhook", "delete"][number / 3 % 5];
    let (status, retries, error) = outcome(number);
    let mut log = json!({
        // In the format of MongoDB: seconds first, a counter last.
        "_id": format!("{:08x}e4b0e8b3{number:08x}", BEGIN + small(number) * 600),
        "integrationId": integration,
        "actionType": action,
        "entityType": entity,
        "entityId": format!("{entity}-{}", 4000 + number * 13 % 700),
        "status": status,
        "payload": payload(number, entity),
        "retryCount": retries,
        "metadata": {
            "source": (["scheduler", "storefront", "back office"][number % 3]),
            "correlationId": format!("{:032x}", number as u128 * 0x9e37_79b9_7f4a_7c15_f39c),
            "host": format!("worker-{}.eu-west-1", number % 6),
            "version": "3.14.2",
            "labels": ["production", "shop", entity, action],
        },
        "createdAt": time(number, 0),
        "updatedAt": time(number, retries * 30),
    });
    if status != "pending" {
        log["executionTime"] = json!((number * 977 % 40_000) as f64 / 16.0);
        log["response"] = response(number, error);
    }
    if let Some(error) = error {
        log["errorMessage"] = json!(error);
    }
    log
}

/// The log as another version of the server or of an integration might write it.
pub(in crate::testing) fn odd_log(number: usize, mut log: Value) -> Value {
    if number % 5 == 3 {
        // An undocumented status and type.
        log["status"] = json!("skipped");
        log["actionType"] = json!("archive");
    }
    match number % 6 {
        0 => {
            remove(&mut log, &["entityId", "metadata", "retryCount", "updatedAt", "payload"]);
            remove(&mut log, &["response", "errorMessage", "executionTime", "createdAt"]);
        }
        1 => remove(&mut log, &["entityId", "metadata", "retryCount", "updatedAt"]),
        2 => ["entityId", "payload", "response", "errorMessage", "retryCount", "executionTime", "metadata"]
            .iter()
            .for_each(|it| log[*it] = Value::Null),
        _ => {}
    }
    log
}

fn outcome(number: usize) -> (&'static str, i64, Option<&'static str>) {
    let errors = [
        "429 Too Many Requests from the other side",
        "field price: expected a number above 0",
        "connect ETIMEDOUT 10.8.3.21:443",
        "no mapping for tax class \"reduced-2\"",
    ];
    match number {
        number if number.is_multiple_of(37) => ("pending", 0, None),
        number if number % 17 == 6 => ("retrying", small(number % 4) + 1, Some(errors[number / 17 % 3])),
        number if number % 10 == 4 => ("failed", 3, Some(errors[number / 10 % errors.len()])),
        number => ("success", i64::from(number.is_multiple_of(12)), None),
    }
}

const FIELDS: [&str; 11] =
    ["price", "title", "stock", "taxClass", "address", "note", "weight", "vendor", "barcode", "status", "channel"];

fn payload(number: usize, entity: &str) -> Value {
    let fields: Vec<Value> = (0..FIELDS.len())
        .map(|field| {
            json!({
                "field": FIELDS[field],
                "from": format!("{entity} value {}", number * 7 + field),
                "to": format!("{entity} value {}", number * 7 + field + 1),
                "changed": !(number + field).is_multiple_of(4),
            })
        })
        .collect();
    json!({
        "changes": fields,
        "mapping": {
            "name": format!("{entity}-to-shop"), "revision": number / 50 + 1,
            "rules": ["trim", "gross-to-net", "default-locale"]
        },
        "request": {
            "method": "PUT",
            "url": format!("https://shop.example.com/admin/api/{entity}s/{}", 7_000_000_000_i64 + small(number) * 11),
            "headers": { "content-type": "application/json", "x-shop-region": "eu-west-1" },
        },
        "dryRun": false, "batch": number / 25, "locale": (["en", "de", "fr"][number % 3]),
    })
}

fn response(number: usize, error: Option<&str>) -> Value {
    json!({
        "status": if error.is_some() { 422 } else { 200 },
        "remoteId": format!("gid://shop/{}", 7_000_000_000_i64 + small(number) * 11),
        "etag": format!("W/\"{:016x}\"", number * 2_654_435_761),
        "rateLimit": { "remaining": 4000 - number % 4000, "resetsAt": time(number, 3600) },
        "errors": error.map(|it| vec![json!({ "message": it, "retryable": number.is_multiple_of(2) })]),
    })
}
