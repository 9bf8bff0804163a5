//! Parquet: rows in segments while the export is under way, and one file of them all at its end, or one for each day.
//!
//! A Parquet file is readable once its end is written, so it can't be continued. A segment is a small file that is
//! whole; at the end, the column chunks of all segments are copied into one file, without decoding them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actionlog::AnyRecord;
use actionlog::page::Raw;
use parquet::arrow::ArrowWriter;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::exit::Failure;
use crate::export::columns::{Columns, properties, schema};
use crate::export::sink::{InvalidFile, Made, Sink, token};
use crate::export::splice::{self, splice};
use crate::row::{InvalidRow, Row};

/// How many rows of a group are held as columns before they are encoded.
const BATCH: usize = 1_024;

/// How many bytes of raw JSON are held before they are encoded.
const BATCH_BYTES: usize = 4 << 20;

/// How many rows a segment has, and so a row group of the file.
const SEGMENT: u64 = 100_000;

/// How many bytes of raw JSON a segment has.
const SEGMENT_BYTES: usize = 128 << 20;

/// How many days may be written at once: further segments are closed.
const OPEN: usize = 16;

/// A segment that is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Segment {
    /// The folder of the partition, empty without partitions.
    group: String,
    file: String,
    rows: u64,
}

/// Where an earlier run stopped.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Token {
    segments: Vec<Segment>,
    invalid: (u64, u64),
}

/// A segment that is being written.
struct Open {
    file: String,
    path: PathBuf,
    writer: ArrowWriter<File>,
    columns: Columns,
    rows: u64,
    /// When it was last written to, in rows of the export.
    used: u64,
}

/// A Parquet file, or a folder of them.
pub struct ParquetSink {
    folder: PathBuf,
    by_day: bool,
    segments: Vec<Segment>,
    open: BTreeMap<String, Open>,
    rows: u64,
    /// Of all open segments.
    bytes: usize,
    open_rows: u64,
    invalid: InvalidFile,
}

/// The folder of records without a time, by Hive's name for it.
const NO_DAY: &str = "day=__HIVE_DEFAULT_PARTITION__";

const DATA: &str = "data";

impl ParquetSink {
    /// Continues behind the segments of an earlier run, and removes others.
    ///
    /// # Errors
    ///
    /// If the work folder can't be read.
    pub fn open(folder: &Path, by_day: bool, earlier: &Value) -> Result<Self, Failure> {
        let Token { segments, invalid } = token(earlier)?;
        for segment in &segments {
            let path = folder.join(&segment.file);
            let is_whole = splice::rows(&path).is_ok_and(|rows| rows == segment.rows);
            if !is_whole {
                let why = "the earlier run wrote it, and it isn't there any more, or isn't whole. --force starts over";
                return Err(Failure::file("read", &path, why));
            }
        }
        let failed = |error| Failure::file("read", folder, error);
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with("segment-") && !segments.iter().any(|it| it.file == name) {
                fs::remove_file(&path).map_err(|error| Failure::file("remove", &path, error))?;
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            by_day,
            rows: segments.iter().map(|it| it.rows).sum(),
            segments,
            open: BTreeMap::new(),
            bytes: 0,
            open_rows: 0,
            invalid: InvalidFile::open(folder, invalid)?,
        })
    }

    fn group(&self, row: &Row<'_>) -> String {
        match row.timestamp {
            _ if !self.by_day => String::new(),
            Some(time) => format!("day={}", time.format("%Y-%m-%d")),
            None => NO_DAY.to_owned(),
        }
    }

    fn create(&self) -> Result<Open, Failure> {
        let number = self.segments.len() + self.open.len();
        let file = format!("segment-{number:06}-{}.parquet", self.rows);
        let path = self.folder.join(&file);
        let created = File::create(&path).map_err(|error| Failure::file("create", &path, error))?;
        let writer = ArrowWriter::try_new(created, Arc::new(schema()), Some(properties()));
        let writer = writer.map_err(|error| Failure::file("create", &path, error))?;
        Ok(Open { file, path, writer, columns: Columns::default(), rows: 0, used: self.rows })
    }

    /// Ends a segment, and makes it durable.
    fn close(&mut self, group: &str) -> Result<(), Failure> {
        let Some(mut open) = self.open.remove(group) else { return Ok(()) };
        open.encode()?;
        let Open { file, path, writer, rows, .. } = open;
        let ended = writer.into_inner().map_err(|error| Failure::file("write", &path, error))?;
        ended.sync_data().map_err(|error| Failure::file("write", &path, error))?;
        self.segments.push(Segment { group: group.to_owned(), file, rows });
        Ok(())
    }

    fn close_all(&mut self) -> Result<(), Failure> {
        while let Some(group) = self.open.keys().next().cloned() {
            self.close(&group)?;
        }
        (self.bytes, self.open_rows) = (0, 0);
        Ok(())
    }

    /// Puts the segments of a group into one file. Returns its rows.
    fn join(&self, group: &str, to: &Path) -> Result<u64, Failure> {
        let segments = self.segments.iter().filter(|it| it.group == group);
        let paths: Vec<_> = segments.clone().map(|it| self.folder.join(&it.file)).collect();
        splice(&paths, to).map_err(|error| Failure::file("write", to, error))?;
        Ok(segments.map(|it| it.rows).sum())
    }

    fn join_by_day(&self) -> Result<Made, Failure> {
        let root = self.folder.join(DATA);
        let failed = |error| Failure::file("create", &root, error);
        if root.exists() {
            fs::remove_dir_all(&root).map_err(failed)?;
        }
        fs::create_dir(&root).map_err(failed)?;
        let mut groups: Vec<_> = self.segments.iter().map(|it| it.group.as_str()).collect();
        groups.sort_unstable();
        groups.dedup();
        let mut files = Vec::new();
        for group in groups {
            fs::create_dir(root.join(group)).map_err(failed)?;
            let file = format!("{group}/part-0.parquet");
            let rows = self.join(group, &root.join(&file))?;
            files.push((file, rows));
        }
        Ok(Made { from: DATA.to_owned(), suffix: "", files })
    }
}

impl Open {
    /// Encodes the rows that are held as columns.
    fn encode(&mut self) -> Result<(), Failure> {
        if self.columns.is_empty() {
            return Ok(());
        }
        let batch = self.columns.take().map_err(|error| Failure::file("encode", &self.path, error))?;
        self.writer.write(&batch).map_err(|error| Failure::file("write", &self.path, error))
    }
}

impl Sink for ParquetSink {
    fn write(&mut self, row: &Row<'_>, _: &Raw<AnyRecord>) -> Result<bool, Failure> {
        let group = self.group(row);
        if !self.open.contains_key(&group) {
            if self.open.len() >= OPEN
                && let Some(oldest) = self.open.iter().min_by_key(|it| it.1.used).map(|it| it.0.clone())
            {
                self.close(&oldest)?;
            }
            let open = self.create()?;
            self.open.insert(group.clone(), open);
        }
        self.rows += 1;
        self.open_rows += 1;
        self.bytes += row.raw.len();
        let rows = self.rows;
        if let Some(open) = self.open.get_mut(&group) {
            open.columns.push(row);
            (open.rows, open.used) = (open.rows + 1, rows);
            if open.columns.len() >= BATCH || open.columns.bytes() >= BATCH_BYTES {
                open.encode()?;
            }
        }
        Ok(true)
    }

    fn write_invalid(&mut self, row: &InvalidRow<'_>) -> Result<(), Failure> {
        self.invalid.write(row)
    }

    fn checkpoint(&mut self) -> Result<Value, Failure> {
        self.close_all()?;
        let token = Token { segments: self.segments.clone(), invalid: self.invalid.sync()? };
        serde_json::to_value(token).map_err(|error| Failure::file("write", &self.folder, error))
    }

    fn is_full(&self) -> bool {
        self.open_rows >= SEGMENT || self.bytes >= SEGMENT_BYTES
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<Made>, Failure> {
        self.close_all()?;
        self.invalid.sync()?;
        let made = if self.by_day {
            self.join_by_day()?
        } else {
            let rows = self.join("", &self.folder.join(DATA))?;
            Made::file(DATA, "", rows)
        };
        Ok(std::iter::once(made).chain(self.invalid.made()).collect())
    }
}

impl std::fmt::Debug for ParquetSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetSink").field("folder", &self.folder).field("rows", &self.rows).finish_non_exhaustive()
    }
}
