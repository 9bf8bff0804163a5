//! Sample events of an Unleash action set.

use serde_json::{Value, json};

use crate::testing::sample::{remove, time};

/// This number of events of action set 1 of the project `default`, newest first, as an Unleash server lists them.
///
/// A team lets its monitoring toggle feature flags. Most runs succeeded, some failed with details, and one in 40 has
/// just started. The set was edited at times, so its actions differ.
///
/// ```
/// use actionlog::testing::sample;
/// use actionlog::unleash::ActionSetEvent;
/// use serde::Deserialize;
///
/// let events = sample::action_set_events(120);
/// let newest = ActionSetEvent::deserialize(&events[0])?;
/// assert_eq!(newest.created_at.to_rfc3339(), "2025-03-04T02:00:41+00:00");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[must_use]
pub fn action_set_events(count: usize) -> Vec<Value> {
    (1..=count).rev().map(|number| event(number, "default", 1)).collect()
}

/// As [`action_set_events`], but some events have an undocumented state, and some lack optional fields. All are valid.
#[must_use]
pub fn odd_action_set_events(count: usize) -> Vec<Value> {
    (1..=count).rev().map(|number| odd_event(number, event(number, "default", 1))).collect()
}

/// The event with this number, from 1.
pub(in crate::testing) fn event(number: usize, project: &str, action_set: i64) -> Value {
    let outcome = Outcome::of(number);
    let started = time(number, 0);
    let signal_id = 4200 + number * 3;
    let actions = actions(number, project, &outcome);
    let set = json!({
        "id": action_set,
        "project": project,
        "createdAt": time(0, 0),
        "createdByUserId": 3,
        "name": "Contain checkout failures",
        "description": "Switches the new checkout off when monitoring says that it hurts",
        "actorId": 17,
        "enabled": true,
        "actions": actions,
        "match": {
            "source": "signal-endpoint",
            "sourceId": 5,
            "payload": {
                "severity": {
                    "inverted": false, "operator": "IN", "caseInsensitive": true, "values": ["critical", "page"]
                },
            },
        },
    });
    json!({
        "id": 9000 + number,
        "actionSetId": action_set,
        "signalId": signal_id,
        "createdAt": started,
        "state": outcome.state(),
        "signal": signal(number, signal_id),
        "actionSet": set,
    })
}

enum Outcome {
    Started,
    Success,
    /// The index of the failed action, and its error message.
    Failed(usize, String),
}

impl Outcome {
    fn of(number: usize) -> Self {
        if number.is_multiple_of(40) {
            return Self::Started;
        }
        let failures = [
            "Unexpected error: connect ETIMEDOUT 10.4.0.12:5432",
            "You don't have the required permissions to perform this operation. To perform this action, you need the \
             \"UPDATE_FEATURE_ENVIRONMENT\" permission.",
            "Could not find feature with name checkout-express",
            "Change requests are enabled for this environment: the flag can't be changed directly",
        ];
        match number {
            number if number % 7 == 3 => Self::Failed(0, failures[number / 7 % failures.len()].to_owned()),
            number if number % 11 == 5 => Self::Failed(1, failures[number / 11 % failures.len()].to_owned()),
            _ => Self::Success,
        }
    }

    fn state(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Success => "success",
            Self::Failed(..) => "failed",
        }
    }

    /// The state of the action at this index, and its details.
    fn of_action(&self, index: usize) -> (&'static str, Value) {
        match self {
            Self::Success => ("success", Value::Null),
            Self::Failed(failed, details) if index == *failed => ("failed", json!(details)),
            Self::Failed(failed, _) if index < *failed => ("success", Value::Null),
            Self::Started if index == 0 => ("started", Value::Null),
            Self::Started | Self::Failed(..) => ("not started", Value::Null),
        }
    }
}

/// The actions of the set at the time of the event. The set is edited after every 30 events.
fn actions(number: usize, project: &str, outcome: &Outcome) -> Vec<Value> {
    let editions: [&[(&str, &str)]; 4] = [
        &[("TOGGLE_FEATURE_OFF", "checkout-v2"), ("TOGGLE_FEATURE_ON", "checkout-classic")],
        &[
            ("TOGGLE_FEATURE_OFF", "checkout-v2"),
            ("TOGGLE_FEATURE_OFF", "checkout-express"),
            ("TOGGLE_FEATURE_ON", "checkout-classic"),
        ],
        &[("TOGGLE_FEATURE_ON", "checkout-read-only"), ("TOGGLE_FEATURE_OFF", "recommendations")],
        &[("DISABLE_FEATURE_STRATEGY", "checkout-v2"), ("TOGGLE_FEATURE_ON", "status-banner")],
    ];
    let edition = number / 30 % editions.len();
    let action = |(index, &(action, feature)): (usize, &(&str, &str))| {
        let (state, details) = outcome.of_action(index);
        json!({
            "id": 100 + edition * 10 + index,
            "createdAt": time(edition * 30, 0),
            "createdByUserId": 3,
            "action": action,
            "sortOrder": index + 1,
            "executionParams": { "project": project, "environment": "production", "featureName": feature },
            "state": state,
            "details": details,
        })
    };
    editions[edition].iter().enumerate().map(action).collect()
}

/// The signal of the monitoring, a second before the run.
fn signal(number: usize, id: usize) -> Value {
    let payload = match number % 4 {
        0 => json!({
            "alertname": "CheckoutErrorRateHigh",
            "severity": "critical",
            "service": "checkout",
            "errorRate": 0.05 + (number % 17) as f64 / 100.0,
            "threshold": 0.05,
        }),
        1 => json!({
            "alertname": "CheckoutLatencyHigh",
            "severity": "page",
            "service": "checkout",
            "p99Milliseconds": 1800 + number % 13 * 210,
            "labels": { "region": (["eu-west-1", "us-east-1", "ap-south-1"][number % 3]), "cluster": "shop" },
        }),
        2 => json!({
            "monitor": {
                "id": 77120 + number % 5, "name": "Payment provider is down",
                "tags": ["team:payments", "env:production"]
            },
            "severity": "CRITICAL",
            "transition": "Triggered",
        }),
        _ => {
            json!({
                "severity": "page", "check": "synthetic: place an order", "failures": number % 3 + 2, "note": null
            })
        }
    };
    json!({
        "id": id,
        "payload": payload,
        "createdAt": time(number, -1),
        "source": "signal-endpoint",
        "sourceId": 5,
        "createdBySourceTokenId": if number.is_multiple_of(9) { Value::Null } else { json!(12) },
    })
}

/// The event as another version of the server might send it.
pub(in crate::testing) fn odd_event(number: usize, mut event: Value) -> Value {
    if number % 5 == 3 {
        // An undocumented state.
        event["state"] = json!("throttled");
    }
    if number.is_multiple_of(4) {
        // Sent without a body.
        remove(&mut event["signal"], &["payload", "createdBySourceTokenId"]);
    }
    if number.is_multiple_of(3) {
        event["actionSet"]["description"] = Value::Null;
        remove(&mut event["actionSet"], &["enabled"]);
    }
    if number.is_multiple_of(7) {
        let actions = event["actionSet"]["actions"].as_array_mut();
        actions.into_iter().flatten().for_each(|it| remove(it, &["executionParams", "details"]));
    }
    event
}
