//! An NDJSON file that is kept in step: a line for each change, and the checkpoints in a file beside it.
//!
//! The checkpoints are stored with the length of the journal that they cover, and behind it. What a killed run wrote
//! behind that length is cut off, and comes again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use actionlog::AnyRecord;
use actionlog::follow::{Batch, Change, Checkpoint};
use actionlog::page::Raw;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::exit::Failure;
use crate::export::sink::Appended;
use crate::export::target::write_atomically;
use crate::follow::{QUIET, Store};
use crate::lock::beside;
use crate::row::{InvalidRow, Row};

/// The file beside the journal.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Checkpoints {
    length: u64,
    logs: BTreeMap<String, Checkpoint>,
}

/// The journal.
#[derive(Debug)]
pub(super) struct Journal {
    file: Appended,
    path: PathBuf,
    checkpoints: Checkpoints,
    saved: BTreeMap<String, Instant>,
    /// Whether a write failed: what is in the file behind the last checkpoint isn't whole.
    is_torn: bool,
}

impl Journal {
    /// Opens the journal behind its last checkpoint, or creates it.
    pub(super) fn open(to: &Path) -> Result<Self, Failure> {
        let path = beside(to, ".checkpoint.json");
        let checkpoints: Checkpoints = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| {
                Failure::file("use", &path, format!("{error}. Restore it, or begin with another file"))
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if fs::metadata(to).is_ok_and(|it| it.len() > 0) {
                    return Err(Failure::Error(format!(
                        "{} is there already, and {} isn't: it isn't a file that follow wrote. Choose another",
                        to.display(),
                        path.display()
                    )));
                }
                Checkpoints::default()
            }
            Err(error) => return Err(Failure::file("read", &path, error)),
        };
        let file = Appended::open(to.to_owned(), checkpoints.length)?;
        let journal = Self { file, path, checkpoints, saved: BTreeMap::new(), is_torn: false };
        // A run that is killed before its first batch leaves a pair that can be continued.
        journal.save()?;
        Ok(journal)
    }

    fn save(&self) -> Result<(), Failure> {
        let text = serde_json::to_vec(&self.checkpoints).map_err(|error| Failure::file("write", &self.path, error))?;
        write_atomically(&self.path, &text)
    }

    fn write(&mut self, log: &str, change: &Change<Raw<AnyRecord>>) -> Result<(), Failure> {
        let (kind, object) = match change {
            Change::New(record) => ("new", Row::of(log, record).to_json()),
            Change::Late(record) => ("late", Row::of(log, record).to_json()),
            Change::Updated(record) => ("updated", Row::of(log, record).to_json()),
            Change::Invalid(record) => ("invalid", InvalidRow::of(log, record).to_json()),
            Change::Removed(key) => {
                return self.file.line(&json!({ "change": "removed", "log": log, "key": key.to_string() }).to_string());
            }
            _ => return Ok(()),
        };
        let object = object.map_err(|error| self.file.failed(error))?;
        // The columns go on behind the kind of the change.
        self.file.line(&format!(r#"{{"change":"{kind}",{}"#, object.strip_prefix('{').unwrap_or_default()))
    }
}

impl Store for Journal {
    fn checkpoint(&mut self, log: &str) -> Result<Option<Checkpoint>, Failure> {
        Ok(self.checkpoints.logs.get(log).cloned())
    }

    fn apply(&mut self, log: &str, batch: &Batch<Raw<AnyRecord>>) -> Result<(), Failure> {
        let was_saved = self.saved.get(log).is_some_and(|it| it.elapsed() < QUIET);
        if batch.changes.is_empty() && was_saved {
            return Ok(());
        }
        // Another log's batch must not make a half-written one part of the journal.
        if std::mem::replace(&mut self.is_torn, true) {
            return Err(self.file.failed("an earlier write failed. The next run continues where it was whole"));
        }
        for change in &batch.changes {
            self.write(log, change)?;
        }
        self.checkpoints.length = self.file.sync()?;
        self.is_torn = false;
        self.checkpoints.logs.insert(log.to_owned(), batch.checkpoint.clone());
        self.save()?;
        self.saved.insert(log.to_owned(), Instant::now());
        Ok(())
    }
}
