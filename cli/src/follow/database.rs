//! An SQLite file that is kept in step: each record as it is now, and the checkpoint of each log beside them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use actionlog::AnyRecord;
use actionlog::chrono::Utc;
use actionlog::follow::{Batch, Change, Checkpoint};
use actionlog::page::Raw;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::exit::{Failure, explain};
use crate::follow::{QUIET, Store};
use crate::row::{InvalidRow, Row, rfc3339};
use crate::sqlite;

/// The file.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    connection: Connection,
    /// When the checkpoint of each log was last stored.
    saved: HashMap<String, Instant>,
}

impl Database {
    /// Opens the file, or creates it.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let connection = sqlite::open(path)?;
        // So that others read while this writes.
        let prepare = connection.pragma_update(None, "journal_mode", "WAL");
        let prepare = prepare.and_then(|()| connection.execute_batch(sqlite::INDEX));
        prepare.map_err(|error| Failure::file("open", path, error))?;
        Ok(Self { path: path.to_owned(), connection, saved: HashMap::new() })
    }
}

impl Store for Database {
    fn checkpoint(&mut self, log: &str) -> Result<Option<Checkpoint>, Failure> {
        let select = "SELECT checkpoint FROM checkpoints WHERE log = ?1";
        let text: Option<String> = self
            .connection
            .query_row(select, [log], |row| row.get(0))
            .optional()
            .map_err(|error| Failure::file("read", &self.path, error))?;
        let parse = |text: String| {
            text.parse().map_err(|error: actionlog::Error| {
                Failure::file("use", &self.path, format!("the checkpoint of {log}: {}", explain(&error)))
            })
        };
        text.map(parse).transpose()
    }

    fn apply(&mut self, log: &str, batch: &Batch<Raw<AnyRecord>>) -> Result<(), Failure> {
        let was_saved = self.saved.get(log).is_some_and(|it| it.elapsed() < QUIET);
        if batch.changes.is_empty() && was_saved {
            return Ok(());
        }
        apply(&mut self.connection, log, batch).map_err(|error| Failure::file("write", &self.path, error))?;
        self.saved.insert(log.to_owned(), Instant::now());
        Ok(())
    }
}

fn apply(connection: &mut Connection, log: &str, batch: &Batch<Raw<AnyRecord>>) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for change in &batch.changes {
        match change {
            Change::New(record) | Change::Late(record) | Change::Updated(record) => {
                sqlite::upsert(&transaction, &Row::of(log, record))?;
            }
            Change::Invalid(record) => sqlite::upsert_invalid(&transaction, &InvalidRow::of(log, record))?,
            Change::Removed(key) => {
                sqlite::remove(&transaction, "records", log, &key.to_string())?;
                sqlite::remove(&transaction, "invalid", log, &key.to_string())?;
            }
            _ => {}
        }
    }
    transaction.execute(
        "INSERT INTO checkpoints VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET checkpoint = excluded.checkpoint, saved_at = excluded.saved_at",
        params![log, batch.checkpoint.to_string(), rfc3339(Utc::now())],
    )?;
    transaction.commit()
}
