//! The plan of a scan: parts as rows, which are read, gathered, and proved to be all.
//!
//! ```text
//! ProofExec                 holds the rows back until they are proved, and drops its hidden columns
//!   CoalescePartitionsExec  where Ballista ends the stage that reads
//!     ReadPartsExec         reads the parts that it is given
//!       DataSourceExec      the parts, as rows in memory
//! ```
//!
//! A scan that stops at a time is one row, and is read as a whole.
//!
//! No plan here is a leaf. A leaf of one's own that has a partition for each part is run with *all* of its partitions
//! by each task of an engine that restricts only the sources that it knows; the parts are rows, which an engine has to
//! keep apart for any query.

pub(crate) mod proof;
pub(crate) mod read_parts;

use std::sync::Arc;

use datafusion::arrow::array::{Array, RecordBatch, StringArray, UInt32Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::ExecutionPlan;

use crate::error::Problem;
use crate::scan::Piece;

/// The columns of the rows that are parts: their number, and the part as JSON.
fn schema_of_parts() -> SchemaRef {
    let number = Field::new("part", DataType::UInt32, false);
    Arc::new(Schema::new(vec![number, Field::new("json", DataType::Utf8, false)]))
}

/// Makes a source whose rows are parts, in so many partitions. Neighbours are in different ones: they are read at about
/// the same time, and so the listing shifts less between them.
pub(crate) fn source_of(parts: &[Piece], partitions: usize) -> Result<Arc<dyn ExecutionPlan>> {
    let mut rows: Vec<Vec<RecordBatch>> = vec![Vec::new(); partitions.clamp(1, parts.len().max(1))];
    let count = rows.len();
    for (number, part) in parts.iter().enumerate() {
        let json = serde_json::to_string(part).map_err(|error| DataFusionError::External(Box::new(error)))?;
        let at = u32::try_from(number).map_err(|error| DataFusionError::External(Box::new(error)))?;
        let columns: Vec<Arc<dyn Array>> =
            vec![Arc::new(UInt32Array::from(vec![at])), Arc::new(StringArray::from(vec![json]))];
        rows[number % count].push(RecordBatch::try_new(schema_of_parts(), columns)?);
    }
    Ok(MemorySourceConfig::try_new_exec(&rows, schema_of_parts(), None)?)
}

/// Returns the parts in a batch of such rows.
fn parts_of(batch: &RecordBatch) -> Result<Vec<(u32, Piece)>> {
    let numbers = batch.column(0).as_any().downcast_ref::<UInt32Array>();
    let jsons = batch.column(1).as_any().downcast_ref::<StringArray>();
    let (Some(numbers), Some(jsons)) = (numbers, jsons) else {
        return Err(Problem::RowsDiffer("the parts have other columns".to_owned()).into());
    };
    let parts = numbers.values().iter().zip(jsons.iter().map(Option::unwrap_or_default)).map(|(number, json)| {
        let part = serde_json::from_str(json).map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok((*number, part))
    });
    parts.collect()
}
