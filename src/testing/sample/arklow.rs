//! Sample action records of Arklow.

use serde_json::{Value, json};

use crate::testing::sample::{remove, time};

/// This number of action records of the organisation 4711, newest first. Each has its state, definition and events,
/// about 4 KB.
///
/// A shop's agent refunds, restocks and notifies customers. Most actions succeeded, some failed or were canceled. The
/// others are in progress, and cover all other known statuses.
///
/// ```
/// use actionlog::arklow::{ActionRecord, ActionStatus};
/// use actionlog::testing::sample;
/// use serde::Deserialize;
///
/// let newest = ActionRecord::deserialize(&sample::action_records(3)[0])?;
/// assert_eq!(newest.state.and_then(|it| it.status), Some(ActionStatus::Failed));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[must_use]
pub fn action_records(count: usize) -> Vec<Value> {
    (1..=count).rev().map(|number| record(number, "4711")).collect()
}

/// As [`action_records`], but some records have an undocumented status, and some have hardly more than an id. All are
/// valid.
#[must_use]
pub fn odd_action_records(count: usize) -> Vec<Value> {
    (1..=count).rev().map(|number| odd_record(number, record(number, "4711"))).collect()
}

/// The record with this number, from 1, with all its fields.
pub(in crate::testing) fn record(number: usize, org: &str) -> Value {
    let id = (880_000_000_000 + number * 17).to_string();
    let kind = &KINDS[number % KINDS.len()];
    let course = Course::of(number);
    json!({
        "id": id,
        "org_id": org,
        "action_definition_id": kind.definition,
        "input": input(number, kind),
        "timeout": ([30, 300, 3600][number % 3]),
        "tags": { "team": kind.team, "channel": (["chat", "mail", "phone"][number % 3]), "priority": number % 4 },
        "state": state(number, &course),
        "definition": definition(number, org, kind),
        "events": events(number, org, &id, &course),
    })
}

/// A kind of action: the values of its definition.
struct Kind {
    definition: &'static str,
    variant: &'static str,
    team: &'static str,
    /// The names of the fields of its input.
    fields: [&'static str; 3],
}

const KINDS: [Kind; 3] = [
    Kind { definition: "5001", variant: "refund", team: "payments", fields: ["order", "amount_cents", "reason"] },
    Kind { definition: "5002", variant: "restock", team: "warehouse", fields: ["sku", "quantity", "reason"] },
    Kind { definition: "5003", variant: "notify", team: "care", fields: ["customer", "template", "reason"] },
];

/// The course of an action.
struct Course {
    status: &'static str,
    attempts: usize,
    error: Option<&'static str>,
    done: bool,
}

impl Course {
    fn of(number: usize) -> Self {
        let errors = [
            "the endpoint answered 502 Bad Gateway to each of 3 deliveries",
            "no ack within 300 s",
            "nack: the order was refunded already",
            "input doesn't fit the schema: /amount_cents must be above 0",
        ];
        let in_progress = ["queued", "dispatch_wait", "scheduled", "retrying", "running", "ack_wait"];
        let (status, attempts, error) = match number {
            number if number % 10 == 4 => (in_progress[number / 10 % in_progress.len()], number / 10 % 2, None),
            number if number % 7 == 3 => ("failed", 3, Some(errors[number / 7 % errors.len()])),
            number if number % 23 == 9 => ("canceled", 1, None),
            number => ("succeeded", 1 + usize::from(number.is_multiple_of(8)), None),
        };
        Self { status, attempts, error, done: matches!(status, "failed" | "canceled" | "succeeded") }
    }
}

fn input(number: usize, kind: &Kind) -> Value {
    let [what, how_much, why] = kind.fields;
    json!({
        what: format!("{}-{}", &kind.variant[..3].to_uppercase(), 10_000 + number * 7),
        how_much: number * 137 % 9000 + 100,
        why: (["arrived broken", "customer asked for it", "stock below its threshold", "paid twice"][number % 4]),
        "lines": (0..=number % 3)
            .map(|line| {
                let sku = format!("SKU-{:05}", number * 31 + line);
                json!({ "position": line + 1, "sku": sku, "price": 4.5 + line as f64 })
            })
            .collect::<Vec<_>>(),
        "note": "Asked for in a conversation; the agent checked the order, its age and the customer's earlier requests \
                 before it went on.",
        "conversation": {
            "id": format!("conv_{:08x}", number * 2_654_435), "turns": number % 12 + 1, "language": "en"
        },
    })
}

fn state(number: usize, course: &Course) -> Value {
    let begun = course.attempts > 0;
    let seconds = 20 + number as i64 % 90;
    json!({
        "status": course.status,
        "attempt": course.attempts.saturating_sub(1),
        "updated_at": time(number, if course.done { seconds } else { 2 }),
        "available_at": time(number, 1),
        "timeout_at": time(number, 3600),
        "started_at": if begun { json!(time(number, 2)) } else { Value::Null },
        "completed_at": if course.done { json!(time(number, seconds)) } else { Value::Null },
        "error_message": course.error,
    })
}

fn definition(number: usize, org: &str, kind: &Kind) -> Value {
    let links = [("701", "primary", true), ("702", "standby", false)];
    json!({
        "id": kind.definition,
        "org_id": org,
        "variant": kind.variant,
        // Edited after every 40 records.
        "version": number / 40 + 1,
        "alias": [format!("shop.{}", kind.variant), format!("{}_{}", kind.team, kind.variant)],
        "schema": schema(kind),
        "deleted_at": null,
        "destinations": links.map(|(id, label, is_default)| link(org, kind, id, label, is_default)),
    })
}

/// A destination of the definition.
fn link(org: &str, kind: &Kind, id: &str, label: &str, is_default: bool) -> Value {
    json!({
        "id": format!("{}{id}", kind.definition),
        "action_definition_id": kind.definition,
        "destination_id": id,
        "org_id": org,
        "is_default": is_default,
        "destination": {
            "id": id,
            "org_id": org,
            "updated_at": time(0, 0),
            "label": format!("{} {label}", kind.team),
            "type": "webhook",
            "config": {
                "url": format!("https://{label}.{}.shop.example.com/actions/{}", kind.team, kind.variant),
                "headers": { "x-shop-region": "eu-west-1", "x-shop-route": format!("{}/{label}", kind.variant) },
                "signaling": { "enabled": true, "default": "ack" },
                "response_time_sla_ms": 2500,
            },
            "deleted_at": null,
            "tags": { "env": "production", "team": kind.team },
            "credential_id": if is_default { json!("31") } else { Value::Null },
        },
    })
}

/// The schema of the action's input.
fn schema(kind: &Kind) -> Value {
    let [what, how_much, why] = kind.fields;
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": [what, how_much],
        "additionalProperties": false,
        "properties": {
            what: { "type": "string", "pattern": "^[A-Z]{3}-[0-9]+$", "description": "What the action is about" },
            how_much: { "type": "integer", "minimum": 1, "description": "How much of it" },
            why: { "type": "string", "maxLength": 200, "description": "Why, in a sentence for the log" },
            "note": {
                "type": "string", "maxLength": 2000, "description": "What the agent thought, for those who look later"
            },
            "lines": {
                "type": "array",
                "description": "Which lines of the order it is about; all if absent",
                "items": {
                    "type": "object",
                    "required": ["position", "sku"],
                    "properties": {
                        "position": { "type": "integer" }, "sku": { "type": "string" }, "price": { "type": "number" }
                    },
                },
            },
            "conversation": {
                "type": "object",
                "properties": {
                    "id": { "type": "string" }, "turns": { "type": "integer" }, "language": { "type": "string" }
                },
            },
        },
    })
}

/// The history of the action: its creation, its deliveries and its outcome.
fn events(number: usize, org: &str, record: &str, course: &Course) -> Vec<Value> {
    let event = |index: usize, kind: &str, status: &str, message: Option<&str>, data: Value| {
        json!({
            "id": format!("{record}{index}"),
            "action_record_id": record,
            "org_id": org,
            "kind": kind,
            "status": status,
            "attempt": index.saturating_sub(1),
            "available_at": time(number, 1 + index as i64),
            "timeout_at": time(number, 3600),
            "message": message,
            "data": data,
        })
    };
    let mut events = vec![event(0, "created", "queued", None, Value::Null)];
    for attempt in 1..=course.attempts {
        let status = if course.error.is_some() { 502 } else { 202 };
        let delivery = json!({ "destination_id": "701", "http_status": status, "took_ms": number * 13 % 900 });
        events.push(event(attempt, "delivered", "running", None, delivery));
    }
    events.push(event(course.attempts + 1, "status", course.status, course.error, json!({ "by": "dispatcher" })));
    events
}

/// The record as another version of the server might send it.
pub(in crate::testing) fn odd_record(number: usize, mut record: Value) -> Value {
    if number % 5 == 3 {
        // An undocumented status.
        record["state"]["status"] = json!("paused");
    }
    match number % 6 {
        0 => record = json!({ "id": record["id"] }),
        1 => remove(&mut record, &["timeout", "tags", "events"]),
        2 => ["input", "tags", "state", "definition", "events"].iter().for_each(|it| record[*it] = Value::Null),
        4 => remove(&mut record["state"], &["updated_at", "attempt"]),
        _ => {}
    }
    record
}
