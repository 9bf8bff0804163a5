//! SQLite: a table of records, and one of invalid ones.

use std::fs;
use std::path::{Path, PathBuf};

use actionlog::AnyRecord;
use actionlog::page::Raw;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::exit::Failure;
use crate::export::sink::{Made, Sink, token};
use crate::row::{InvalidRow, Row};
use crate::sqlite;

/// Where an earlier run stopped: the last row of each table.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Token {
    records: i64,
    invalid: i64,
}

/// An SQLite file. A transaction is open at all times: what is between two checkpoints is there whole or not at all.
#[derive(Debug)]
pub struct SqliteSink {
    path: PathBuf,
    connection: Connection,
}

const DATA: &str = "data.sqlite";

impl SqliteSink {
    /// Opens the file in the work folder, and removes the rows behind those of the earlier run's state.
    ///
    /// # Errors
    ///
    /// If it can't be opened.
    pub fn open(folder: &Path, earlier: &Value) -> Result<Self, Failure> {
        let Token { records, invalid } = token(earlier)?;
        let path = folder.join(DATA);
        if records + invalid > 0 && fs::metadata(&path).map_or(0, |it| it.len()) == 0 {
            // A new one would lack all that the earlier run read.
            let why = "the earlier run wrote it, and it isn't there. --force starts over";
            return Err(Failure::file("read", &path, why));
        }
        let connection = sqlite::open(&path)?;
        let sink = Self { path, connection };
        sink.run(|it| {
            it.execute_batch("PRAGMA synchronous = FULL; BEGIN IMMEDIATE")?;
            it.execute("DELETE FROM records WHERE rowid > ?1", [records])?;
            it.execute("DELETE FROM invalid WHERE rowid > ?1", [invalid])?;
            Ok(())
        })?;
        Ok(sink)
    }

    fn run<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Failure> {
        work(&self.connection).map_err(|error| Failure::file("write", &self.path, error))
    }

    fn count(&self) -> Result<u64, Failure> {
        self.run(|it| {
            it.query_row("SELECT (SELECT COUNT(*) FROM records) + (SELECT COUNT(*) FROM invalid)", [], |row| row.get(0))
        })
    }
}

impl Sink for SqliteSink {
    fn write(&mut self, row: &Row<'_>, _: &Raw<AnyRecord>) -> Result<bool, Failure> {
        self.run(|it| sqlite::upsert(it, row)).map(|()| true)
    }

    fn write_invalid(&mut self, row: &InvalidRow<'_>) -> Result<(), Failure> {
        self.run(|it| sqlite::upsert_invalid(it, row))
    }

    fn checkpoint(&mut self) -> Result<Value, Failure> {
        let token = self.run(|it| {
            it.execute_batch("COMMIT; BEGIN IMMEDIATE")?;
            let last = |table: &str| {
                it.query_row(&format!("SELECT COALESCE(MAX(rowid), 0) FROM {table}"), [], |row| row.get(0))
            };
            Ok(Token { records: last("records")?, invalid: last("invalid")? })
        })?;
        serde_json::to_value(token).map_err(|error| Failure::file("write", &self.path, error))
    }

    fn finish(self: Box<Self>) -> Result<Vec<Made>, Failure> {
        self.run(|it| it.execute_batch(&format!("{}; COMMIT", sqlite::INDEX)))?;
        let records = self.count()?;
        let Self { path, connection } = *self;
        connection.close().map_err(|(_, error)| Failure::file("close", &path, error))?;
        Ok(vec![Made::file(DATA, "", records)])
    }
}
