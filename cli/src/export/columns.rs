//! Rows as Arrow's columns, and how Parquet stores them.

use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Float64Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use crate::row::{COLUMNS, Row};

/// Returns the columns with their types.
#[must_use]
pub fn schema() -> Schema {
    let fields = COLUMNS.map(|name| {
        let kind = match name {
            "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            "is_final" => DataType::Boolean,
            "duration_ms" => DataType::Float64,
            _ => DataType::Utf8,
        };
        Field::new(name, kind, !matches!(name, "log" | "key" | "outcome" | "raw"))
    });
    Schema::new(fields.to_vec())
}

/// Returns how files are written.
#[must_use]
pub fn properties() -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(concat!("actionlog ", env!("CARGO_PKG_VERSION")).to_owned())
        // A segment is one row group: it is ended by the checkpoints of the export.
        .set_max_row_group_row_count(None);
    // No two records have these in common.
    for unique in ["key", "raw"] {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(unique), false);
    }
    properties.build()
}

/// Rows that are held as columns.
#[derive(Debug)]
pub struct Columns {
    texts: [StringBuilder; 12],
    timestamp: TimestampMicrosecondBuilder,
    is_final: BooleanBuilder,
    duration_ms: Float64Builder,
    rows: usize,
    bytes: usize,
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            texts: Default::default(),
            timestamp: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            is_final: BooleanBuilder::new(),
            duration_ms: Float64Builder::new(),
            rows: 0,
            bytes: 0,
        }
    }
}

impl Columns {
    /// Returns the number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Returns how many bytes of raw JSON there are.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a row.
    pub fn push(&mut self, row: &Row<'_>) {
        let texts = [
            Some(row.log),
            Some(row.key.as_str()),
            row.time_meaning,
            Some(row.outcome),
            row.status,
            row.action,
            row.actor_kind,
            row.actor_id.as_deref(),
            row.target_kind,
            row.target_id.as_deref(),
            row.error,
            Some(row.raw.as_str()),
        ];
        for (builder, text) in self.texts.iter_mut().zip(texts) {
            builder.append_option(text);
        }
        self.timestamp.append_option(row.timestamp.map(|it| it.timestamp_micros()));
        self.is_final.append_option(row.is_final);
        self.duration_ms.append_option(row.duration_ms);
        self.rows += 1;
        self.bytes += row.raw.len();
    }

    /// Takes the rows out.
    ///
    /// # Errors
    ///
    /// Arrow's, which these columns don't cause.
    pub fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut texts = std::mem::take(&mut self.texts).map(|mut it| Arc::new(it.finish()) as ArrayRef).into_iter();
        let columns = COLUMNS.map(|name| match name {
            "timestamp" => Some(Arc::new(self.timestamp.finish()) as ArrayRef),
            "is_final" => Some(Arc::new(self.is_final.finish()) as ArrayRef),
            "duration_ms" => Some(Arc::new(self.duration_ms.finish()) as ArrayRef),
            _ => texts.next(),
        });
        (self.rows, self.bytes) = (0, 0);
        RecordBatch::try_new(Arc::new(schema()), columns.into_iter().flatten().collect())
    }
}
