//! Records as log records of OpenTelemetry.
//!
//! The JSON is that of OTLP, version 1: a `LogRecord`, to be put into `scopeLogs[].logRecords`. As OTLP demands,
//! 64-bit integers are strings.
//!
//! | field | value |
//! |---|---|
//! | `timeUnixNano` | [`timestamp`](LogRecord::timestamp); left out if the record has none, or one after 2262, or not after the beginning of 1970, as 0 stands for none |
//! | `severityNumber`, `severityText` | by [`outcome`](LogRecord::outcome): 17 `ERROR` if it failed, 13 `WARN` if it was canceled, 9 `INFO` if it succeeded or is pending; left out if it is unknown |
//! | `eventName` | `actionlog.record` |
//! | `body` | action, target and outcome in one line |
//! | attribute `log.record.uid` | [`source`](LogRecord::source) and [`key`](LogRecord::key): `unleash/7` |
//! | attribute `actionlog.source` | the source |
//! | attribute `actionlog.key` | the key |
//! | attribute `actionlog.time_meaning` | `created` or `state_changed`: what the time is the time of |
//! | attributes `actionlog.actor.kind`, `actionlog.actor.id` | [`actor`](LogRecord::actor) |
//! | attribute `actionlog.action` | [`action`](LogRecord::action) |
//! | attributes `actionlog.target.kind`, `actionlog.target.id` | [`target`](LogRecord::target) |
//! | attribute `actionlog.status` | [`status`](LogRecord::status), the log's own word |
//! | attribute `actionlog.outcome` | `pending`, `succeeded`, `failed`, `canceled`, or `unknown` |
//! | attribute `actionlog.final` | [`is_final`](LogRecord::is_final), a boolean |
//! | attribute `actionlog.duration` | [`duration`](LogRecord::duration), in seconds, a double |
//! | attribute `error.message` | [`error`](LogRecord::error) |
//!
//! An attribute whose value the record doesn't have is left out.

use serde_json::{Value, json};

use crate::record::{Entity, LogRecord, Outcome, message};

/// Returns the record as a log record of OpenTelemetry, in the JSON of OTLP: see the [table](self).
///
/// ```
/// # #[cfg(feature = "testing")]
/// # fn main() {
/// use actionlog::record::otel;
/// use actionlog::testing::models;
///
/// let record = otel::log_record(&models::action_log("60f7b1b3e4b0e8b3f8b3f8b3"));
/// assert_eq!(record["timeUnixNano"], "1767225600000000000");
/// assert_eq!(record["severityText"], "INFO");
/// assert_eq!(record["body"]["stringValue"], "update product: succeeded");
/// # }
/// # #[cfg(not(feature = "testing"))] fn main() {}
/// ```
pub fn log_record<R: LogRecord + ?Sized>(record: &R) -> Value {
    let mut out = json!({
        "eventName": "actionlog.record",
        "body": { "stringValue": message(record) },
        "attributes": attributes(record),
    });
    let nanoseconds = record.timestamp().and_then(|it| it.time.timestamp_nanos_opt()).filter(|it| *it > 0);
    if let Some(nanoseconds) = nanoseconds {
        out["timeUnixNano"] = nanoseconds.to_string().into();
    }
    let severity = match record.outcome() {
        Outcome::Failed => Some((17, "ERROR")),
        Outcome::Canceled => Some((13, "WARN")),
        Outcome::Succeeded | Outcome::Pending => Some((9, "INFO")),
        Outcome::Unknown(_) => None,
    };
    if let Some((number, text)) = severity {
        out["severityNumber"] = number.into();
        out["severityText"] = text.into();
    }
    out
}

fn attributes<R: LogRecord + ?Sized>(record: &R) -> Vec<Value> {
    let (source, key) = (record.source(), record.key());
    let text = |text: &str| json!({ "stringValue": text });
    let kind = |it: Option<Entity<'_>>| it.map(|it| text(it.kind));
    let id = |it: Option<Entity<'_>>| it?.id.map(|it| text(&it.to_string()));
    let outcome = record.outcome().kind();
    let attributes = [
        ("log.record.uid", Some(text(&format!("{source}/{key}")))),
        ("actionlog.source", Some(text(source))),
        ("actionlog.key", Some(text(&key.to_string()))),
        ("actionlog.time_meaning", record.timestamp().map(|it| text(it.meaning.as_str()))),
        ("actionlog.actor.kind", kind(record.actor())),
        ("actionlog.actor.id", id(record.actor())),
        ("actionlog.action", record.action().map(text)),
        ("actionlog.target.kind", kind(record.target())),
        ("actionlog.target.id", id(record.target())),
        ("actionlog.status", record.status().map(text)),
        ("actionlog.outcome", Some(text(outcome))),
        ("actionlog.final", record.is_final().map(|it| json!({ "boolValue": it }))),
        ("actionlog.duration", record.duration().map(|it| json!({ "doubleValue": it.as_secs_f64() }))),
        ("error.message", record.error().map(text)),
    ];
    let present = attributes.into_iter().filter_map(|(name, value)| Some((name, value?)));
    present.map(|(name, value)| json!({ "key": name, "value": value })).collect()
}
