//! Filters that the server of a log can apply, and times at which a scan may stop. The engine applies all of them
//! again: a server that ignores one costs time, and no row.

use actionlog::arklow::RecordsQuery;
use actionlog::integration::LogsQuery;
use chrono::{DateTime, TimeDelta, Utc};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{Between, Cast, TryCast};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use crate::scan::Log;

/// A condition that a column has a value.
enum Value {
    Text(String),
    Int(i64),
}

/// Adds a filter to what is asked of a log. Returns `None` if its server can't apply the filter.
pub(crate) fn pushed(log: &Log, filter: &Expr, settings: &Pushdown) -> Option<Log> {
    let (column, value) = equality(filter)?;
    match (log, column, value) {
        (Log::Arklow(query), "action_definition_id", Value::Text(id)) => {
            Some(Log::Arklow(query.clone().action_definition(id)))
        }
        (Log::Arklow(query), "variant", Value::Text(variant)) => Some(Log::Arklow(query.clone().variant(variant))),
        (Log::Arklow(query), "version", Value::Int(version)) => Some(Log::Arklow(query.clone().version(version))),
        _ => None,
    }
    .filter(|_| settings.is_on)
}

/// The columns of the integration logs, and the fields of their API.
const FIELDS: [(&str, &str); 5] = [
    ("integration_id", "integrationId"),
    ("action_type", "actionType"),
    ("entity_type", "entityType"),
    ("entity_id", "entityId"),
    ("status", "status"),
];

/// Which filters are pushed down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pushdown {
    pub(crate) is_on: bool,
    /// Also those in a language that isn't documented.
    pub(crate) undocumented: bool,
    /// Also times: a scan stops at records that are older.
    pub(crate) times: bool,
}

/// Adds all filters that the server can apply.
pub(crate) fn push_all(log: Log, filters: &[Expr], settings: &Pushdown) -> Log {
    if let Log::Integration(query) = log {
        return Log::Integration(push_conditions(query, filters, settings));
    }
    filters.iter().fold(log, |log, filter| pushed(&log, filter, settings).unwrap_or(log))
}

fn push_conditions(query: LogsQuery, filters: &[Expr], settings: &Pushdown) -> LogsQuery {
    let conditions: serde_json::Map<_, _> = filters.iter().filter_map(|it| condition(it, settings)).collect();
    if conditions.is_empty() { query } else { query.filter(conditions) }
}

/// Returns whether the server can apply a filter, or a scan stop at it.
pub(crate) fn is_pushed(log: &Log, filter: &Expr, settings: &Pushdown) -> bool {
    if after(log, std::slice::from_ref(filter), settings).is_some() {
        return true;
    }
    match log {
        Log::Integration(_) => condition(filter, settings).is_some(),
        log => pushed(log, filter, settings).is_some(),
    }
}

fn condition(filter: &Expr, settings: &Pushdown) -> Option<(String, serde_json::Value)> {
    let (column, value) = equality(filter)?;
    let (_, field) = FIELDS.iter().find(|it| it.0 == column)?;
    match value {
        Value::Text(text) if settings.is_on && settings.undocumented => Some(((*field).to_owned(), text.into())),
        _ => None,
    }
}

/// Returns the time after which all records are that the filters let through. `None` if there is none, or if the newest
/// records of this log aren't known to come first.
pub(crate) fn after(log: &Log, filters: &[Expr], settings: &Pushdown) -> Option<DateTime<Utc>> {
    let columns: &[&str] = match log {
        _ if !settings.times => return None,
        Log::Integration(_) => &["timestamp", "created_at"],
        Log::Unleash(_) => &["timestamp"],
        // Its order is undocumented, and its time isn't that of its creation.
        Log::Arklow(_) => return None,
    };
    let bounds = filters.iter().filter_map(lower_bound).filter(|(column, _)| columns.contains(column));
    bounds.map(|(_, time)| time).max()
}

/// Reads a filter that bounds a column from below. Returns a time before the bound: columns have microseconds, and
/// records may have more digits.
fn lower_bound(filter: &Expr) -> Option<(&str, DateTime<Utc>)> {
    let (column, bound) = match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Gt | Operator::GtEq | Operator::Eq, right }) => (left, right),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Lt | Operator::LtEq, right }) => (right, left),
        Expr::Between(Between { expr, negated: false, low, .. }) => (expr, low),
        _ => return None,
    };
    let Expr::Literal(bound, _) = &**bound else { return None };
    let column = match &**column {
        Expr::Cast(Cast { expr, .. }) | Expr::TryCast(TryCast { expr, .. }) => expr,
        _ => column,
    };
    let Expr::Column(column) = &**column else { return None };
    let time = time_of(bound)?.checked_sub_signed(TimeDelta::microseconds(1))?;
    Some((&column.name, time))
}

fn time_of(value: &ScalarValue) -> Option<DateTime<Utc>> {
    match value {
        ScalarValue::TimestampSecond(Some(time), _) => DateTime::from_timestamp(*time, 0),
        ScalarValue::TimestampMillisecond(Some(time), _) => DateTime::from_timestamp_millis(*time),
        ScalarValue::TimestampMicrosecond(Some(time), _) => DateTime::from_timestamp_micros(*time),
        ScalarValue::TimestampNanosecond(Some(time), _) => Some(DateTime::from_timestamp_nanos(*time)),
        ScalarValue::Date32(Some(days)) => DateTime::from_timestamp(i64::from(*days) * 86_400, 0),
        _ => None,
    }
}

/// Reads `column = value`, either way round.
fn equality(filter: &Expr) -> Option<(&str, Value)> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = filter else { return None };
    let (column, value) = match (&**left, &**right) {
        (Expr::Column(column), Expr::Literal(value, _)) | (Expr::Literal(value, _), Expr::Column(column)) => {
            (column, value)
        }
        _ => return None,
    };
    let value = match value {
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            Value::Text(text.clone())
        }
        ScalarValue::Int64(Some(number)) => Value::Int(*number),
        _ => return None,
    };
    Some((&column.name, value))
}

/// The columns for which the server has to be asked for the state or the definition of Arklow's records.
const OF_STATE: [&str; 10] = [
    "timestamp",
    "time_meaning",
    "outcome",
    "status",
    "is_final",
    "error",
    "duration_ms",
    "attempt",
    "started_at",
    "completed_at",
];
const OF_DEFINITION: [&str; 5] = ["action", "target_kind", "target_id", "variant", "version"];

/// Asks for what the columns need, and no more.
pub(crate) fn with_views(query: RecordsQuery, columns: &[&str]) -> RecordsQuery {
    let needs = |of: &[&str]| columns.iter().any(|it| of.contains(it) || *it == crate::columns::RAW);
    let query = if needs(&OF_STATE) { query.include_state() } else { query };
    if needs(&OF_DEFINITION) { query.include_definition() } else { query }
}
