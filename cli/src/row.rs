//! The columns of a record, the same for all logs and all formats.

use actionlog::chrono::{DateTime, SecondsFormat, Utc};
use actionlog::page::Raw;
use actionlog::record::{Entity, LogRecord};
use actionlog::{AnyRecord, InvalidRecord};
use serde::Serialize;

use crate::compact::compact;

/// The names of the columns, in their order. The last one is the raw JSON.
pub const COLUMNS: [&str; 15] = [
    "log",
    "key",
    "timestamp",
    "time_meaning",
    "outcome",
    "status",
    "is_final",
    "action",
    "actor_kind",
    "actor_id",
    "target_kind",
    "target_id",
    "error",
    "duration_ms",
    "raw",
];

/// A record as a row of columns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row<'a> {
    /// The log, as the user names it.
    pub log: &'a str,
    /// The record's id.
    pub key: String,
    /// Its time.
    #[serde(serialize_with = "time")]
    pub timestamp: Option<DateTime<Utc>>,
    /// What the time is the time of: `created` or `state_changed`.
    pub time_meaning: Option<&'static str>,
    /// How the action ended, in words that all logs share.
    pub outcome: &'a str,
    /// The same in the log's own word.
    pub status: Option<&'a str>,
    /// Whether the record won't change any more.
    pub is_final: Option<bool>,
    /// What was done.
    pub action: Option<&'a str>,
    /// The kind of who did it.
    pub actor_kind: Option<&'a str>,
    /// The id of who did it.
    pub actor_id: Option<String>,
    /// The kind of what it was done to.
    pub target_kind: Option<&'a str>,
    /// The id of what it was done to.
    pub target_id: Option<String>,
    /// The error message.
    pub error: Option<&'a str>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<f64>,
    /// The record's raw JSON on one line.
    #[serde(skip)]
    pub raw: String,
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
fn time<S: serde::Serializer>(time: &Option<DateTime<Utc>>, to: S) -> Result<S::Ok, S::Error> {
    time.map(rfc3339).serialize(to)
}

/// A time as a string: RFC 3339 in UTC with microseconds, so that strings sort as times do.
#[must_use]
pub fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

impl<'a> Row<'a> {
    /// Makes a row of a record.
    #[must_use]
    pub fn of(log: &'a str, record: &'a Raw<AnyRecord>) -> Self {
        let timestamp = record.timestamp();
        let (actor, target) = (record.actor(), record.target());
        let id = |entity: &Option<Entity<'a>>| entity.and_then(|it| it.id).map(|it| it.to_string());
        Self {
            log,
            key: record.key().to_string(),
            timestamp: timestamp.map(|it| it.time),
            time_meaning: timestamp.map(|it| it.meaning.as_str()),
            outcome: record.outcome().kind(),
            status: record.status(),
            is_final: record.is_final(),
            action: record.action(),
            actor_kind: actor.map(|it| it.kind),
            actor_id: id(&actor),
            target_kind: target.map(|it| it.kind),
            target_id: id(&target),
            error: record.error(),
            duration_ms: record.duration().map(|it| it.as_secs_f64() * 1_000.0),
            raw: compact(record.raw().as_str()),
        }
    }

    /// Writes the row as a JSON object on one line, with the raw JSON as `raw`.
    ///
    /// # Errors
    ///
    /// serde_json's, which a row of strings and numbers doesn't cause.
    pub fn to_json(&self) -> serde_json::Result<String> {
        with_raw(serde_json::to_string(self)?, &self.raw)
    }
}

/// A record that doesn't fit its model, as a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InvalidRow<'a> {
    /// The log, as the user names it.
    pub log: &'a str,
    /// The record's id, if it can be read.
    pub key: Option<&'a str>,
    /// Where the value is that doesn't fit.
    pub path: &'a str,
    /// What was expected there.
    pub reason: &'a str,
    /// The record's raw JSON on one line.
    #[serde(skip)]
    pub raw: String,
}

impl<'a> InvalidRow<'a> {
    /// Makes a row of an invalid record.
    #[must_use]
    pub fn of(log: &'a str, record: &'a InvalidRecord) -> Self {
        let raw = compact(record.raw().as_str());
        Self { log, key: record.id(), path: record.path(), reason: record.reason(), raw }
    }

    /// Writes the row as a JSON object on one line, with the raw JSON as `raw`.
    ///
    /// # Errors
    ///
    /// serde_json's, which a row of strings doesn't cause.
    pub fn to_json(&self) -> serde_json::Result<String> {
        with_raw(serde_json::to_string(self)?, &self.raw)
    }
}

/// Adds raw JSON to an object as its last field, without reading it: numbers keep all digits.
fn with_raw(mut object: String, raw: &str) -> serde_json::Result<String> {
    object.pop();
    object.push_str(",\"raw\":");
    object.push_str(raw);
    object.push('}');
    Ok(object)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_columns_clash_in_any_format() {
        // SQLite doesn't tell cases apart, and `day` is the column of a partitioned export.
        let mut names: BTreeSet<String> = COLUMNS.iter().map(|it| it.to_lowercase()).collect();
        assert_eq!(names.len(), COLUMNS.len());
        assert!(names.insert("day".to_owned()));
    }

    #[test]
    fn a_row_has_each_column_in_its_order() {
        let record: actionlog::integration::ActionLog = actionlog::testing::models::action_log("a1");
        let text = serde_json::to_string(&record).unwrap();
        let raw: Raw<actionlog::integration::ActionLog> = serde_json::from_str(&text).unwrap();
        let raw = Raw::<AnyRecord>::from(raw);
        let json = Row::of("integration", &raw).to_json().unwrap();
        let position = |name: &str| json.find(&format!("\"{name}\":")).unwrap();
        assert!(COLUMNS.iter().map(|it| position(it)).is_sorted(), "{json}");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["raw"]["_id"], "a1");
        assert_eq!(value["outcome"], "succeeded");
    }
}
