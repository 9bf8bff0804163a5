//! What all formats do: take rows, make them durable, and end as whole files.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use actionlog::AnyRecord;
use actionlog::page::Raw;
use serde_json::Value;

use crate::exit::Failure;
use crate::row::{InvalidRow, Row};

/// A format of an export, as it is written.
pub trait Sink: Send {
    /// Writes a record. Returns `false` if the format can't hold it and it was kept as an invalid one.
    ///
    /// # Errors
    ///
    /// If the file can't be written, for example because there is no space.
    fn write(&mut self, row: &Row<'_>, record: &Raw<AnyRecord>) -> Result<bool, Failure>;

    /// Writes a record that doesn't fit its model.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    fn write_invalid(&mut self, row: &InvalidRow<'_>) -> Result<(), Failure>;

    /// Makes all rows so far durable. Returns what another run needs to continue behind them.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    fn checkpoint(&mut self) -> Result<Value, Failure>;

    /// Whether as many rows are held as may be: a checkpoint is due.
    fn is_full(&self) -> bool {
        false
    }

    /// Completes the files, and makes them durable.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    fn finish(self: Box<Self>) -> Result<Vec<Made>, Failure>;
}

/// A file or a folder that an export made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its name in the work folder.
    pub from: String,
    /// What stands behind the target's name in its final name.
    pub suffix: &'static str,
    /// Its files, if it is a folder: their paths from it, and how many records are in each.
    pub files: Vec<(String, u64)>,
}

impl Made {
    /// A single file.
    #[must_use]
    pub fn file(from: &str, suffix: &'static str, records: u64) -> Self {
        Self { from: from.to_owned(), suffix, files: vec![(String::new(), records)] }
    }
}

/// A file that only grows, and is cut to a known length when it is continued.
#[derive(Debug)]
pub struct Appended {
    path: PathBuf,
    file: BufWriter<File>,
    length: u64,
}

impl Appended {
    /// Opens or creates the file, and cuts off what is behind this length.
    ///
    /// # Errors
    ///
    /// If it can't be opened, or is shorter than that.
    pub fn open(path: PathBuf, length: u64) -> Result<Self, Failure> {
        let open = || -> io::Result<File> {
            let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)?;
            if file.metadata()?.len() < length {
                return Err(io::Error::other("it is shorter than when it was last written. --force starts over"));
            }
            file.set_len(length)?;
            file.seek(SeekFrom::Start(length))?;
            Ok(file)
        };
        match open() {
            Ok(file) => Ok(Self { file: BufWriter::with_capacity(1 << 16, file), path, length }),
            Err(error) => Err(Failure::file("open", &path, error)),
        }
    }

    /// Writes a line.
    ///
    /// # Errors
    ///
    /// If it can't be written.
    pub fn line(&mut self, line: &str) -> Result<(), Failure> {
        self.write_all(line.as_bytes()).and_then(|()| self.write_all(b"\n")).map_err(|error| self.failed(error))
    }

    /// Makes everything durable. Returns the length.
    ///
    /// # Errors
    ///
    /// If it can't be written.
    pub fn sync(&mut self) -> Result<u64, Failure> {
        let sync = self.file.flush().and_then(|()| self.file.get_ref().sync_data());
        sync.map_err(|error| self.failed(error))?;
        Ok(self.length)
    }

    /// Returns a write's error as a failure.
    pub fn failed(&self, error: impl std::fmt::Display) -> Failure {
        Failure::file("write", &self.path, error)
    }
}

impl Write for Appended {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The file of invalid records beside an export. It is there only if there are some.
#[derive(Debug)]
pub struct InvalidFile {
    path: PathBuf,
    file: Option<Appended>,
    records: u64,
}

/// The name of this file in the work folder.
const INVALID: &str = "invalid.ndjson";

impl InvalidFile {
    /// Opens the file where an earlier run had some, and removes a torn one.
    ///
    /// # Errors
    ///
    /// If it can't be opened.
    pub fn open(folder: &Path, (length, records): (u64, u64)) -> Result<Self, Failure> {
        let path = folder.join(INVALID);
        let file = if length > 0 { Some(Appended::open(path.clone(), length)?) } else { None };
        if file.is_none() && path.exists() {
            std::fs::remove_file(&path).map_err(|error| Failure::file("remove", &path, error))?;
        }
        Ok(Self { path, file, records })
    }

    /// Writes an invalid record.
    ///
    /// # Errors
    ///
    /// If it can't be written.
    pub fn write(&mut self, row: &InvalidRow<'_>) -> Result<(), Failure> {
        let line = row.to_json().map_err(|error| Failure::file("write", &self.path, error))?;
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(Appended::open(self.path.clone(), 0)?),
        };
        self.records += 1;
        file.line(&line)
    }

    /// Makes it durable. Returns its length and the number of its records.
    ///
    /// # Errors
    ///
    /// If it can't be written.
    pub fn sync(&mut self) -> Result<(u64, u64), Failure> {
        let length = self.file.as_mut().map_or(Ok(0), Appended::sync)?;
        Ok((length, self.records))
    }

    /// Returns it as a file of the export, if it is there.
    #[must_use]
    pub fn made(&self) -> Option<Made> {
        self.file.as_ref().map(|_| Made::file(INVALID, ".invalid.ndjson", self.records))
    }
}

/// Reads what an earlier run's sink returned by `checkpoint`. Nothing for a new export.
///
/// # Errors
///
/// If it was changed.
pub fn token<T: serde::de::DeserializeOwned + Default>(token: &Value) -> Result<T, Failure> {
    if token.is_null() {
        return Ok(T::default());
    }
    serde_json::from_value(token.clone()).map_err(|error| {
        Failure::Error(format!("the stored state of the earlier run can't be read: {error}. --force starts over"))
    })
}
