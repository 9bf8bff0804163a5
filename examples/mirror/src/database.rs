//! The SQLite file: the records of all logs as raw JSON, and a checkpoint for each log.

use std::error::Error;
use std::path::Path;

use actionlog::follow::{Batch, Change, Checkpoint};
use actionlog::page::Raw;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

/// A copy of several logs.
pub struct Database {
    connection: Connection,
}

impl Database {
    pub fn open(path: impl AsRef<Path>) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS records (log TEXT, id TEXT, raw TEXT NOT NULL, PRIMARY KEY (log, id)) WITHOUT ROWID;
             CREATE TABLE IF NOT EXISTS checkpoints (
                 log TEXT PRIMARY KEY, checkpoint TEXT NOT NULL, repeats INTEGER NOT NULL
             );",
        )?;
        Ok(Self { connection })
    }

    /// The checkpoint of a log, if it was followed before.
    pub fn checkpoint(&self, log: &str) -> Result<Option<Checkpoint>, Box<dyn Error + Send + Sync>> {
        let select = "SELECT checkpoint FROM checkpoints WHERE log = ?1";
        let text: Option<String> = self.connection.query_row(select, [log], |row| row.get(0)).optional()?;
        Ok(text.map(|it| it.parse()).transpose()?)
    }

    /// Applies a batch: its changes and its checkpoint, in one transaction.
    pub fn apply<T>(
        &mut self,
        log: &str,
        batch: &Batch<Raw<T>>,
        id: impl Fn(&T) -> String,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        // The write lock comes first, so that no other process works on the same batch.
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut repeats = 0;
        for change in &batch.changes {
            let (key, raw) = match change {
                Change::New(record) | Change::Late(record) | Change::Updated(record) => (id(record), record.raw()),
                Change::Removed(key) => {
                    let delete = "DELETE FROM records WHERE log = ?1 AND id = ?2";
                    transaction.execute(delete, params![log, key.to_string()])?;
                    continue;
                }
                Change::Invalid(record) => (record.id().unwrap_or(record.raw().as_str()).to_owned(), record.raw()),
                _ => continue,
            };
            let is_new = matches!(change, Change::New(_));
            let count = "SELECT COUNT(*) FROM records WHERE log = ?1 AND id = ?2 AND (raw = ?3 OR ?4)";
            let values = params![log, key, raw.as_str(), is_new];
            repeats += transaction.query_row(count, values, |row| row.get::<_, u64>(0))?;
            transaction.execute(
                "INSERT INTO records VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET raw = excluded.raw",
                params![log, key, raw.as_str()],
            )?;
        }
        transaction.execute(
            "INSERT INTO checkpoints VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET checkpoint = excluded.checkpoint, repeats = repeats + excluded.repeats",
            params![log, batch.checkpoint.to_string(), repeats],
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// The raw JSON of all records of a log, sorted.
    pub fn records(&self, log: &str) -> rusqlite::Result<Vec<String>> {
        let mut select = self.connection.prepare("SELECT raw FROM records WHERE log = ?1 ORDER BY raw")?;
        let rows = select.query_map([log], |row| row.get(0))?;
        rows.collect()
    }

    /// How many records came as new that were there already, or came as they were.
    pub fn repeats(&self, log: &str) -> rusqlite::Result<u64> {
        let select = "SELECT repeats FROM checkpoints WHERE log = ?1";
        Ok(self.connection.query_row(select, [log], |row| row.get(0)).optional()?.unwrap_or_default())
    }
}
