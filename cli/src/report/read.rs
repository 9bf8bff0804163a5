//! Reads exports of any format, and what `follow` keeps in step, record by record.

use std::collections::HashMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use actionlog::chrono::{DateTime, Utc};
use arrow_array::{Array, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rusqlite::OpenFlags;
use serde::Deserialize;

use crate::args::Format;
use crate::exit::Failure;
use crate::export::format_of_name;
use crate::export::lines::unescaped;
use crate::row::COLUMNS;

/// What a report needs of a record.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Fact {
    /// The log.
    pub log: String,
    /// The record's id.
    pub key: String,
    /// Its time.
    pub timestamp: Option<DateTime<Utc>>,
    /// How the action ended.
    pub outcome: String,
    /// What was done.
    pub action: Option<String>,
    /// The kind of what it was done to.
    pub target_kind: Option<String>,
    /// The id of what it was done to.
    pub target_id: Option<String>,
    /// The error message.
    pub error: Option<String>,
    /// How long it took.
    pub duration_ms: Option<f64>,
}

/// Takes the records, one by one.
pub type Take<'a> = &'a mut dyn FnMut(Fact);

/// Asked between records and while a file is read, so that the user can stop it.
pub type GoOn<'a> = &'a dyn Fn() -> Result<(), Failure>;

/// Takes a record, and asks whether to go on.
type Each<'a> = &'a mut dyn FnMut(Fact) -> Result<(), Failure>;

/// Reads a file, or a folder of Parquet files. Returns how many invalid records it knows of.
///
/// # Errors
///
/// If it can't be read, or isn't an export of this tool; and that of `go_on`.
pub fn read(path: &Path, go_on: GoOn<'_>, take: Take<'_>) -> Result<u64, Failure> {
    let take: Each<'_> = &mut |fact| {
        take(fact);
        go_on()
    };
    let metadata = fs::metadata(path).map_err(|error| Failure::file("read", path, error))?;
    if metadata.is_dir() {
        for file in parquet_files(path)? {
            parquet(&file, take)?;
        }
        return beside(path);
    }
    match format_of_name(path) {
        Some(Format::Csv) => csv(path, take)?,
        Some(Format::Parquet) => parquet(path, take)?,
        Some(Format::Sqlite) => return sqlite(path, take),
        Some(Format::Ndjson) => return Ok(ndjson(path, go_on, take)? + beside(path)?),
        _ => {
            return Err(Failure::Usage(format!(
                "{}: its ending names no format: .ndjson, .csv, .parquet or .sqlite",
                path.display()
            )));
        }
    }
    beside(path)
}

/// Counts the invalid records in the file beside an export.
fn beside(path: &Path) -> Result<u64, Failure> {
    let mut name = path.as_os_str().to_owned();
    name.push(".invalid.ndjson");
    let path = PathBuf::from(name);
    match File::open(&path) {
        Ok(file) => {
            let lines = BufReader::new(file).split(b'\n');
            let counted = lines.map(|it| it.map(|_| 1)).sum::<std::io::Result<u64>>();
            counted.map_err(|error| Failure::file("read", &path, error))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(Failure::file("read", &path, error)),
    }
}

/// The key of a journal's line.
#[derive(Deserialize)]
struct KeyLine {
    change: Option<String>,
    log: String,
    key: Option<String>,
}

/// Reads NDJSON. In a journal, the last change of each record counts.
fn ndjson(path: &Path, go_on: GoOn<'_>, take: Each<'_>) -> Result<u64, Failure> {
    let last = last_lines(path, go_on)?;
    let mut invalid = 0;
    for_lines(path, |index, line| {
        let unusable = |error: &dyn std::fmt::Display| {
            let hint =
                if line.contains("\"class_uid\":") { ": it holds OCSF events; export the log as .ndjson" } else { "" };
            Failure::file("use", path, format!("line {} isn't a record of an export: {error}{hint}", index + 1))
        };
        if let Some(last) = &last {
            let key: KeyLine = serde_json::from_str(line).map_err(|error| unusable(&error))?;
            let is_last = key.key.as_ref().is_none_or(|it| last.get(&hash(&key.log, it)) == Some(&index));
            match key.change.as_deref() {
                _ if !is_last => return Ok(()),
                Some("removed") => return Ok(()),
                Some("invalid") => {
                    invalid += 1;
                    return Ok(());
                }
                _ => {}
            }
        }
        take(serde_json::from_str(line).map_err(|error| unusable(&error))?)
    })?;
    Ok(invalid)
}

/// Returns, for a journal, the line of the last change of each record. `None` for an export.
fn last_lines(path: &Path, go_on: GoOn<'_>) -> Result<Option<HashMap<u64, usize>>, Failure> {
    if !is_journal(path)? {
        return Ok(None);
    }
    let mut last = HashMap::new();
    for_lines(path, |index, line| {
        if let Ok(KeyLine { log, key: Some(key), .. }) = serde_json::from_str(line) {
            last.insert(hash(&log, &key), index);
        }
        go_on()
    })?;
    Ok(Some(last))
}

fn is_journal(path: &Path) -> Result<bool, Failure> {
    let failed = |error: std::io::Error| Failure::file("read", path, error);
    let mut line = String::new();
    BufReader::new(File::open(path).map_err(failed)?).read_line(&mut line).map_err(failed)?;
    Ok(serde_json::from_str::<KeyLine>(&line).is_ok_and(|it| it.change.is_some()))
}

fn hash(log: &str, key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (log, key).hash(&mut hasher);
    hasher.finish()
}

/// Calls a function for each line. A last line without its end is one that is being written.
fn for_lines(path: &Path, mut each: impl FnMut(usize, &str) -> Result<(), Failure>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::file("read", path, error);
    let mut file = BufReader::with_capacity(1 << 18, File::open(path).map_err(failed)?);
    let (mut line, mut index) = (String::new(), 0);
    while file.read_line(&mut line).map_err(failed)? > 0 {
        if !line.ends_with('\n') {
            break;
        }
        each(index, line.trim_end())?;
        line.clear();
        index += 1;
    }
    Ok(())
}

fn csv(path: &Path, take: Each<'_>) -> Result<(), Failure> {
    let failed = |error: ::csv::Error| Failure::file("read", path, error);
    let mut reader = ::csv::Reader::from_path(path).map_err(failed)?;
    if reader.headers().map_err(failed)? != COLUMNS.as_slice() {
        return Err(Failure::file("use", path, "its header isn't that of an export of this tool"));
    }
    let mut row = ::csv::StringRecord::new();
    while reader.read_record(&mut row).map_err(failed)? {
        let cell = |name: &str| {
            let index = COLUMNS.iter().position(|it| *it == name)?;
            row.get(index).map(unescaped).filter(|it| !it.is_empty()).map(str::to_owned)
        };
        take(Fact {
            log: cell("log").unwrap_or_default(),
            key: cell("key").unwrap_or_default(),
            timestamp: cell("timestamp").and_then(|it| time(&it)),
            outcome: cell("outcome").unwrap_or_default(),
            action: cell("action"),
            target_kind: cell("target_kind"),
            target_id: cell("target_id"),
            error: cell("error"),
            duration_ms: cell("duration_ms").and_then(|it| it.parse().ok()),
        })?;
    }
    Ok(())
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|it| it.to_utc())
}

fn sqlite(path: &Path, take: Each<'_>) -> Result<u64, Failure> {
    let failed = |error: rusqlite::Error| Failure::file("read", path, error);
    let connection = rusqlite::Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    // One view of both tables, while `follow` may be writing.
    connection.execute_batch("BEGIN").map_err(failed)?;
    let mut select = connection
        .prepare("SELECT log, key, timestamp, outcome, action, target_kind, target_id, error, duration_ms FROM records")
        .map_err(failed)?;
    let mut rows = select.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let fact = || -> rusqlite::Result<Fact> {
            Ok(Fact {
                log: row.get(0)?,
                key: row.get(1)?,
                timestamp: row.get::<_, Option<String>>(2)?.and_then(|it| time(&it)),
                outcome: row.get(3)?,
                action: row.get(4)?,
                target_kind: row.get(5)?,
                target_id: row.get(6)?,
                error: row.get(7)?,
                duration_ms: row.get(8)?,
            })
        };
        take(fact().map_err(failed)?)?;
    }
    connection.query_row("SELECT COUNT(*) FROM invalid", [], |row| row.get(0)).map_err(failed)
}

fn parquet_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        let failed = |error| Failure::file("read", &folder, error);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if format_of_name(&path) == Some(Format::Parquet) {
                files.push(path);
            }
        }
    }
    if files.is_empty() {
        return Err(Failure::Error(format!("{} holds no Parquet files", folder.display())));
    }
    files.sort();
    Ok(files)
}

/// The columns that a report reads: not the raw JSON, which is most of the file.
const READ: [&str; 9] =
    ["log", "key", "timestamp", "outcome", "action", "target_kind", "target_id", "error", "duration_ms"];

fn parquet(path: &Path, take: Each<'_>) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::file("read", path, error);
    let file = File::open(path).map_err(|error| failed(&error))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| failed(&error))?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), READ);
    let reader = builder.with_projection(mask).build().map_err(|error| failed(&error))?;
    for batch in reader {
        let batch = batch.map_err(|error| failed(&error))?;
        let columns = Columns::of(&batch)
            .ok_or_else(|| Failure::file("use", path, "its columns aren't those of an export of this tool"))?;
        for row in 0..batch.num_rows() {
            take(columns.fact(row))?;
        }
    }
    Ok(())
}

/// The columns of a batch, by their types.
struct Columns<'a> {
    texts: [&'a StringArray; 7],
    timestamp: &'a TimestampMicrosecondArray,
    duration_ms: &'a Float64Array,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        fn column<'a, A: 'static>(batch: &'a RecordBatch, name: &str) -> Option<&'a A> {
            batch.column_by_name(name)?.as_any().downcast_ref()
        }
        let text = |name| column(batch, name);
        Some(Self {
            texts: [
                text("log")?,
                text("key")?,
                text("outcome")?,
                text("action")?,
                text("target_kind")?,
                text("target_id")?,
                text("error")?,
            ],
            timestamp: column(batch, "timestamp")?,
            duration_ms: column(batch, "duration_ms")?,
        })
    }

    fn fact(&self, row: usize) -> Fact {
        let [log, key, outcome, action, target_kind, target_id, error] =
            self.texts.map(|it| it.is_valid(row).then(|| it.value(row).to_owned()));
        let micros = self.timestamp.is_valid(row).then(|| self.timestamp.value(row));
        Fact {
            log: log.unwrap_or_default(),
            key: key.unwrap_or_default(),
            timestamp: micros.and_then(DateTime::from_timestamp_micros),
            outcome: outcome.unwrap_or_default(),
            action,
            target_kind,
            target_id,
            error,
            duration_ms: self.duration_ms.is_valid(row).then(|| self.duration_ms.value(row)),
        }
    }
}
