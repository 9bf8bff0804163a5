//! Several Parquet files as one, by copying their column chunks.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::arrow::ArrowWriter;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::Result;
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::writer::SerializedFileWriter;

use crate::export::columns::{properties, schema};

/// Returns how many rows a file has.
///
/// # Errors
///
/// If it can't be read, or isn't whole.
pub fn rows(path: &Path) -> Result<u64> {
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&File::open(path)?)?;
    Ok(metadata.row_groups().iter().map(|it| it.num_rows().unsigned_abs()).sum())
}

/// Writes a file with all row groups of these files, in their order, and makes it durable. Without any, it has no rows.
///
/// # Errors
///
/// If a file can't be read or written.
pub fn splice(files: &[PathBuf], to: &Path) -> Result<()> {
    let out = File::create(to)?;
    // Its schema, and Arrow's beside it, are those of each segment.
    let empty = ArrowWriter::try_new(out, Arc::new(schema()), Some(properties()))?;
    let mut writer: SerializedFileWriter<File> = empty.into_serialized_writer()?.0;
    for path in files {
        let file = File::open(path)?;
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&file)?;
        for group in metadata.row_groups() {
            let mut copied = writer.next_row_group()?;
            for column in group.columns() {
                let close = ColumnCloseResult {
                    bytes_written: column.compressed_size().unsigned_abs(),
                    rows_written: group.num_rows().unsigned_abs(),
                    metadata: column.clone(),
                    bloom_filter: None,
                    column_index: None,
                    offset_index: None,
                };
                copied.append_column(&file, close)?;
            }
            copied.close()?;
        }
    }
    let mut out = writer.into_inner()?;
    std::io::Write::flush(&mut out)?;
    out.sync_data()?;
    Ok(())
}
