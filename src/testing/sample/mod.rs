//! Realistic, deterministic records.
//!
//! Each record matches the API's reference and has all documented fields. The functions that begin with `odd` make
//! records for tests of tolerance: some lack optional fields, and some have undocumented values.
//!
//! Ids and times increase from record to record. The n-th oldest record is the same whatever the count.

mod arklow;
mod integration;
mod unleash;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::Value;

pub(super) use arklow::{odd_record, record};
pub(super) use integration::{log, odd_log};
pub(super) use unleash::{event, odd_event};

/// 2025-03-03T06:00:00Z, the time of the oldest record. The others follow every few minutes.
const BEGIN: i64 = 1_740_981_600;

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

/// As [`action_set_events`], but some events have an undocumented state, and some lack optional fields. All are valid.
#[must_use]
pub fn odd_action_set_events(count: usize) -> Vec<Value> {
    (1..=count).rev().map(|number| odd_event(number, event(number, "default", 1))).collect()
}

/// As [`action_records`], but some records have an undocumented status, and some have hardly more than an id. All are
/// valid.
#[must_use]
pub fn odd_action_records(count: usize) -> Vec<Value> {
    (1..=count).rev().map(|number| odd_record(number, record(number, "4711"))).collect()
}

/// As [`action_logs`], but some logs have undocumented values, and some lack optional fields such as `updatedAt`. All
/// are valid.
#[must_use]
pub fn odd_action_logs(count: usize) -> Vec<Value> {
    (1..=count).rev().map(|number| odd_log(number, log(number))).collect()
}

fn remove(record: &mut Value, fields: &[&str]) {
    if let Some(record) = record.as_object_mut() {
        fields.iter().for_each(|it| drop(record.remove(*it)));
    }
}

/// The start of the record with this number, plus some seconds. Records are about ten minutes apart.
fn time(number: usize, seconds: i64) -> String {
    let (begin, number) = (DateTime::from_timestamp(BEGIN, 0).unwrap_or_default(), small(number));
    let after = TimeDelta::seconds(number * 600 + number * 37 % 53 + seconds);
    let time: DateTime<Utc> = begin + after;
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn small(number: usize) -> i64 {
    i64::from(i32::try_from(number).unwrap_or(i32::MAX))
}
