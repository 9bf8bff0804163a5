//! The columns of the tables: those that all logs have, those of each log, and two at the end.

use std::borrow::Cow;
use std::sync::Arc;

use actionlog::arklow::ActionRecord;
use actionlog::integration::ActionLog;
use actionlog::record::{Entity, LogRecord};
use actionlog::unleash::ActionSetEvent;
use actionlog::{InvalidRecord, Json};
use chrono::{DateTime, Utc};
use datafusion::arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondBuilder, UInt32Array, new_null_array,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::error::Result;

/// Why a record is invalid, and where; null for the others.
pub(crate) const INVALID: &str = "invalid";

/// The record's raw JSON.
pub(crate) const RAW: &str = "raw";

/// The columns behind those of a table while it is read: the record's id, the number of its part, and on the last row
/// of a part what its scan came to.
const HIDDEN: [(&str, DataType); 3] =
    [("__key", DataType::Utf8), ("__part", DataType::UInt32), ("__read", DataType::Utf8)];

/// Batches are ended behind as many rows, or this much text.
const ROWS: usize = 1_024;
const BYTES: usize = 4 << 20;

/// A value of a record.
#[derive(Debug)]
pub(crate) enum Cell<'a> {
    Text(Option<Cow<'a, str>>),
    Int(Option<i64>),
    Float(Option<f64>),
    Bool(Option<bool>),
    Time(Option<DateTime<Utc>>),
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Int,
    Float,
    Bool,
    Time,
}

impl Kind {
    fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Bool => DataType::Boolean,
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }
}

/// A column: its name, its type, and where its value is in a record.
pub(crate) type Column<R> = (&'static str, Kind, fn(&R) -> Cell<'_>);

/// A model with the columns that only its log has.
pub(crate) trait Tabular: LogRecord + Send + Sync + Sized + 'static {
    /// The columns behind the common ones.
    const OWN: &'static [Column<Self>];
}

fn text(value: Option<&str>) -> Cell<'_> {
    Cell::Text(value.map(Cow::Borrowed))
}

fn shown(value: Option<impl ToString>) -> Cell<'static> {
    Cell::Text(value.map(|it| Cow::Owned(it.to_string())))
}

fn json(value: Option<&Json>) -> Cell<'_> {
    text(value.map(Json::as_str))
}

fn id<'a>(entity: Option<Entity<'a>>) -> Cell<'a> {
    shown(entity.and_then(|it| it.id))
}

/// The columns that all logs have, with the names and the values that the command-line tool exports.
fn common<R: LogRecord>() -> [Column<R>; 14] {
    [
        ("log", Kind::Text, |it| text(Some(it.source()))),
        ("key", Kind::Text, |it| shown(Some(it.key()))),
        ("timestamp", Kind::Time, |it| Cell::Time(it.timestamp().map(|it| it.time))),
        ("time_meaning", Kind::Text, |it| text(it.timestamp().map(|it| it.meaning.as_str()))),
        ("outcome", Kind::Text, |it| text(Some(it.outcome().kind()))),
        ("status", Kind::Text, |it| text(it.status())),
        ("is_final", Kind::Bool, |it| Cell::Bool(it.is_final())),
        ("action", Kind::Text, |it| text(it.action())),
        ("actor_kind", Kind::Text, |it| text(it.actor().map(|it| it.kind))),
        ("actor_id", Kind::Text, |it| id(it.actor())),
        ("target_kind", Kind::Text, |it| text(it.target().map(|it| it.kind))),
        ("target_id", Kind::Text, |it| id(it.target())),
        ("error", Kind::Text, |it| text(it.error())),
        ("duration_ms", Kind::Float, |it| Cell::Float(it.duration().map(|it| it.as_secs_f64() * 1_000.0))),
    ]
}

impl Tabular for ActionRecord {
    const OWN: &'static [Column<Self>] = &[
        ("org_id", Kind::Text, |it| shown(it.org_id.as_ref())),
        ("action_definition_id", Kind::Text, |it| shown(it.action_definition_id.as_ref())),
        ("variant", Kind::Text, |it| text(it.definition.as_ref().and_then(|it| it.variant.as_deref()))),
        ("version", Kind::Int, |it| Cell::Int(it.definition.as_ref().and_then(|it| it.version))),
        ("attempt", Kind::Int, |it| Cell::Int(it.state.as_ref().and_then(|it| it.attempt))),
        ("timeout_s", Kind::Int, |it| Cell::Int(it.timeout)),
        ("started_at", Kind::Time, |it| Cell::Time(it.state.as_ref().and_then(|it| it.started_at))),
        ("completed_at", Kind::Time, |it| Cell::Time(it.state.as_ref().and_then(|it| it.completed_at))),
        ("input", Kind::Text, |it| json(it.input.as_ref())),
        ("tags", Kind::Text, |it| json(it.tags.as_ref())),
    ];
}

impl Tabular for ActionLog {
    const OWN: &'static [Column<Self>] = &[
        ("integration_id", Kind::Text, |it| shown(Some(&it.integration_id))),
        ("action_type", Kind::Text, |it| text(Some(it.action_type.as_str()))),
        ("entity_type", Kind::Text, |it| text(Some(&it.entity_type))),
        ("entity_id", Kind::Text, |it| text(it.entity_id.as_deref())),
        ("retry_count", Kind::Int, |it| Cell::Int(i64::try_from(it.retry_count).ok())),
        ("created_at", Kind::Time, |it| Cell::Time(it.created_at)),
        ("updated_at", Kind::Time, |it| Cell::Time(it.updated_at)),
        ("payload", Kind::Text, |it| json(it.payload.as_ref())),
        ("response", Kind::Text, |it| json(it.response.as_ref())),
        ("metadata", Kind::Text, |it| json(it.metadata.as_ref())),
    ];
}

impl Tabular for ActionSetEvent {
    const OWN: &'static [Column<Self>] = &[
        ("project", Kind::Text, |it| text(Some(&it.action_set.project))),
        ("action_set_id", Kind::Int, |it| Cell::Int(Some(it.action_set_id.as_i64()))),
        ("action_set_name", Kind::Text, |it| text(it.action_set.name.as_deref())),
        ("signal_id", Kind::Int, |it| Cell::Int(Some(it.signal_id.as_i64()))),
        ("signal_source", Kind::Text, |it| text(Some(it.signal.source.as_str()))),
        ("signal_payload", Kind::Text, |it| json(it.signal.payload.as_ref())),
    ];
}

/// Returns the columns of a model with their places in it.
fn columns<R: Tabular>() -> Vec<Column<R>> {
    common().into_iter().chain(R::OWN.iter().copied()).collect()
}

/// Returns the schema of a table. Each column may be null: an invalid record has only its raw JSON.
pub(crate) fn schema<R: Tabular>() -> SchemaRef {
    let typed = columns::<R>().into_iter().map(|(name, kind, _)| (name, kind));
    let all = typed.chain([(INVALID, Kind::Text), (RAW, Kind::Text)]);
    let fields: Vec<_> = all.map(|(name, kind)| Field::new(name, kind.data_type(), true)).collect();
    Arc::new(Schema::new(fields))
}

/// Adds the hidden columns to a schema.
pub(crate) fn with_hidden(schema: &Schema) -> SchemaRef {
    let hidden = HIDDEN.map(|(name, kind)| Arc::new(Field::new(name, kind, true)));
    Arc::new(Schema::new(schema.fields().iter().cloned().chain(hidden).collect::<Vec<_>>()))
}

#[derive(Debug)]
enum Builder {
    Text(StringBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
    Time(TimestampMicrosecondBuilder),
}

impl Builder {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text(StringBuilder::new()),
            Kind::Int => Self::Int(Int64Builder::new()),
            Kind::Float => Self::Float(Float64Builder::new()),
            Kind::Bool => Self::Bool(BooleanBuilder::new()),
            Kind::Time => Self::Time(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
        }
    }

    /// Adds a value, and returns how much text it has. A value of another type than its column's, which the tables of
    /// columns don't have, is null.
    fn push(&mut self, cell: Cell<'_>) -> usize {
        match (self, cell) {
            (Self::Text(builder), Cell::Text(value)) => {
                builder.append_option(value.as_deref());
                return value.map_or(0, |it| it.len());
            }
            (Self::Int(builder), Cell::Int(value)) => builder.append_option(value),
            (Self::Float(builder), Cell::Float(value)) => builder.append_option(value),
            (Self::Bool(builder), Cell::Bool(value)) => builder.append_option(value),
            (Self::Time(builder), Cell::Time(value)) => {
                builder.append_option(value.map(|it| it.timestamp_micros()));
            }
            (builder, _) => builder.push_null(),
        }
        0
    }

    fn push_null(&mut self) {
        match self {
            Self::Text(builder) => builder.append_null(),
            Self::Int(builder) => builder.append_null(),
            Self::Float(builder) => builder.append_null(),
            Self::Bool(builder) => builder.append_null(),
            Self::Time(builder) => builder.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Int(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Bool(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish()),
        }
    }
}

/// Where the value of a column comes from.
enum Place<R> {
    Record(fn(&R) -> Cell<'_>),
    Invalid,
    Raw,
}

/// Makes batches of the records of a part, with the hidden columns.
pub(crate) struct Batches<R> {
    schema: SchemaRef,
    columns: Vec<(Place<R>, Builder)>,
    key: StringBuilder,
    part: u32,
    rows: usize,
    bytes: usize,
}

impl<R: Tabular> Batches<R> {
    /// Makes batches of these columns, a projection of the table's with the hidden ones behind it.
    pub(crate) fn new(schema: SchemaRef, part: u32) -> Self {
        let all = columns::<R>();
        let visible = schema.fields().iter().take(schema.fields().len() - HIDDEN.len());
        let columns = visible.map(|field| match all.iter().find(|(name, ..)| name == field.name()) {
            Some((_, kind, get)) => (Place::Record(*get), Builder::new(*kind)),
            None if field.name() == RAW => (Place::Raw, Builder::new(Kind::Text)),
            None => (Place::Invalid, Builder::new(Kind::Text)),
        });
        Self { columns: columns.collect(), schema, key: StringBuilder::new(), part, rows: 0, bytes: 0 }
    }

    /// Adds a record, and returns a batch if it is full.
    pub(crate) fn push(&mut self, record: &R, raw: Option<&str>) -> Result<Option<RecordBatch>> {
        for (place, builder) in &mut self.columns {
            self.bytes += match place {
                Place::Record(get) => builder.push(get(record)),
                Place::Raw => builder.push(text(raw)),
                Place::Invalid => builder.push(text(None)),
            };
        }
        self.end_row(Some(&record.key().to_string()))
    }

    /// Adds an invalid record: what is wrong with it, its raw JSON, and its id if that can be read.
    pub(crate) fn push_invalid(&mut self, record: &InvalidRecord) -> Result<Option<RecordBatch>> {
        for (place, builder) in &mut self.columns {
            match place {
                Place::Record(_) => builder.push_null(),
                Place::Raw => self.bytes += builder.push(text(Some(record.raw().as_str()))),
                Place::Invalid => {
                    builder.push(shown(Some(format!("{}: {}", record.path(), record.reason()))));
                }
            }
        }
        self.end_row(record.id())
    }

    fn end_row(&mut self, key: Option<&str>) -> Result<Option<RecordBatch>> {
        self.key.append_option(key);
        self.rows += 1;
        if self.rows >= ROWS || self.bytes >= BYTES { self.finish() } else { Ok(None) }
    }

    /// Returns the rows that aren't in a batch yet.
    pub(crate) fn finish(&mut self) -> Result<Option<RecordBatch>> {
        if self.rows == 0 {
            return Ok(None);
        }
        let mut arrays: Vec<_> = self.columns.iter_mut().map(|(_, builder)| builder.finish()).collect();
        arrays.push(Arc::new(self.key.finish()));
        arrays.push(Arc::new(UInt32Array::from(vec![self.part; self.rows])));
        arrays.push(new_null_array(&DataType::Utf8, self.rows));
        (self.rows, self.bytes) = (0, 0);
        Ok(Some(RecordBatch::try_new(Arc::clone(&self.schema), arrays)?))
    }
}

/// Makes the last row of a part, which says what its scan came to.
pub(crate) fn trailer(schema: &SchemaRef, part: u32, read: &str) -> Result<RecordBatch> {
    let visible = schema.fields().iter().take(schema.fields().len() - 2);
    let mut arrays: Vec<_> = visible.map(|field| new_null_array(field.data_type(), 1)).collect();
    arrays.push(Arc::new(UInt32Array::from(vec![part])));
    arrays.push(Arc::new(StringArray::from(vec![read])));
    Ok(RecordBatch::try_new(Arc::clone(schema), arrays)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names_differ<R: Tabular>() {
        let schema = with_hidden(&schema::<R>());
        let names: BTreeSet<_> = schema.fields().iter().map(|it| it.name()).collect();
        assert_eq!(names.len(), schema.fields().len());
    }

    fn types_fit<R: Tabular>(record: &R) {
        for (name, kind, get) in columns::<R>() {
            let fits = matches!(
                (kind, get(record)),
                (Kind::Text, Cell::Text(_))
                    | (Kind::Int, Cell::Int(_))
                    | (Kind::Float, Cell::Float(_))
                    | (Kind::Bool, Cell::Bool(_))
                    | (Kind::Time, Cell::Time(_))
            );
            assert!(fits, "{name} isn't {kind:?}");
        }
    }

    #[test]
    fn no_two_columns_have_a_name_and_each_value_has_the_type_of_its_column() {
        names_differ::<ActionRecord>();
        names_differ::<ActionLog>();
        names_differ::<ActionSetEvent>();
        types_fit(&actionlog::testing::models::action_record("7"));
        types_fit(&actionlog::testing::models::action_log("a1"));
        types_fit(&actionlog::testing::models::action_set_event(7));
    }
}
