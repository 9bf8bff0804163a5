//! Realistic, deterministic records.
//!
//! Each record matches the API's reference and has all documented fields. The functions that begin with `odd` make
//! records for tests of tolerance: some lack optional fields, and some have undocumented values.
//!
//! Ids and times increase from record to record. The n-th oldest record is the same whatever the count.

pub(super) mod arklow;
pub(super) mod integration;
pub(super) mod unleash;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::Value;

pub use arklow::{action_records, odd_action_records};
pub use integration::{action_logs, odd_action_logs};
pub use unleash::{action_set_events, odd_action_set_events};

/// 2025-03-03T06:00:00Z, the time of the oldest record. The others follow every few minutes.
const BEGIN: i64 = 1_740_981_600;

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
