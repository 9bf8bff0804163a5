//! Plausible records, the same each time.
//!
//! Each is as the API's reference has it, with every field that it names. Those whose names begin with `odd` are for
//! programs that are to bear more: sparse ones, and ones with words that no reference knows.
//!
//! Ids and times increase from record to record; the oldest is the same whatever the count, and so is the next.

mod arklow;
mod integration;
mod unleash;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::Value;

pub(super) use arklow::{odd_record, record};
pub(super) use integration::{log, odd_log};
pub(super) use unleash::{event, odd_event};

/// 2025-03-03T06:00:00Z, from which on records come every few minutes.
const BEGIN: i64 = 1_740_981_600;

/// So many events of action set 1 of the project `default`, newest first, as an Unleash server lists them.
///
/// A team lets its monitoring toggle feature flags. Most runs succeed, some fail with details, and one in 40 has only
/// just started. The set was edited now and then, so its actions
/// differ.
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

/// So many action records of the organisation 4711, newest first, each with its state, definition and events: about
/// 4 KB.
///
/// A shop's agent refunds, restocks and writes to customers. Most actions succeeded, some failed or were canceled, and the
/// rest is on its way in every status that is known.
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

/// So many integration action logs, newest first, about 2 KB each.
///
/// Two integrations keep a shop's products, orders and customers in step with other systems. Most of it succeeded, some
/// failed, and some is pending or tried again.
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

/// As [`action_set_events`], some in a state that no reference has, some without what is optional. Each can be read.
#[must_use]
pub fn odd_action_set_events(count: usize) -> Vec<Value> {
    (1..=count).rev().map(|number| odd_event(number, event(number, "default", 1))).collect()
}

/// As [`action_records`], some with a status that isn't known, some with little more than their id. Each can be read.
#[must_use]
pub fn odd_action_records(count: usize) -> Vec<Value> {
    (1..=count).rev().map(|number| odd_record(number, record(number, "4711"))).collect()
}

/// As [`action_logs`], some with words that no reference has, some without what is optional, `updatedAt` included. Each
/// can be read.
#[must_use]
pub fn odd_action_logs(count: usize) -> Vec<Value> {
    (1..=count).rev().map(|number| odd_log(number, log(number))).collect()
}

fn remove(record: &mut Value, fields: &[&str]) {
    if let Some(record) = record.as_object_mut() {
        fields.iter().for_each(|it| drop(record.remove(*it)));
    }
}

/// When the record with this number began, with some seconds more: ten minutes apart, give or take.
fn time(number: usize, seconds: i64) -> String {
    let (begin, number) = (DateTime::from_timestamp(BEGIN, 0).unwrap_or_default(), small(number));
    let after = TimeDelta::seconds(number * 600 + number * 37 % 53 + seconds);
    let time: DateTime<Utc> = begin + after;
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn small(number: usize) -> i64 {
    i64::from(i32::try_from(number).unwrap_or(i32::MAX))
}
