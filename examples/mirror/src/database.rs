//! The SQLite file: the records of all logs as raw JSON, and a checkpoint for each log.

use std::error::Error;
use std::fmt;
use std::path::Path;

use actionlog::follow::{Batch, Change, Checkpoint, Version};
use actionlog::page::Raw;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::Failure;

/// A copy of several logs.
pub struct Database {
    connection: Connection,
}

/// The stored checkpoint isn't the one that this mirror goes on from. The batch was rolled back.
#[derive(Debug)]
pub struct Rival {
    log: String,
}

impl fmt::Display for Rival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: the stored checkpoint isn't the one that this mirror goes on from: another mirror writes to the same \
             file, or the checkpoint was removed. Nothing of this batch was written. Run one mirror only, or give each \
             its own file, and start again: it goes on from what is stored",
            self.log
        )
    }
}

impl Error for Rival {}

impl Database {
    pub fn open(path: impl AsRef<Path>) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS records (log TEXT, id TEXT, raw TEXT NOT NULL, PRIMARY KEY (log, id)) WITHOUT ROWID;
             CREATE TABLE IF NOT EXISTS checkpoints (
                 log TEXT PRIMARY KEY, checkpoint TEXT NOT NULL, version INTEGER NOT NULL, repeats INTEGER NOT NULL
             );",
        )?;
        Ok(Self { connection })
    }

    /// The checkpoint of a log, if it was followed before, and its version.
    pub fn checkpoint(&self, log: &str) -> Result<Option<(Checkpoint, Version)>, Failure> {
        let select = "SELECT checkpoint, version FROM checkpoints WHERE log = ?1";
        let values = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get(1)?));
        let stored = self.connection.query_row(select, [log], values).optional()?;
        stored.map(|(text, version)| Ok((text.parse()?, Version::new(version)))).transpose()
    }

    /// Applies a batch: its changes and its checkpoint, in one transaction. Returns the version of the checkpoint.
    ///
    /// `expected` is the version of the checkpoint that the batch goes on from.
    ///
    /// # Errors
    ///
    /// [`Rival`] if another one is stored.
    pub fn apply<T>(
        &mut self,
        log: &str,
        batch: &Batch<Raw<T>>,
        id: impl Fn(&T) -> String,
        expected: Option<Version>,
    ) -> Result<Version, Failure> {
        // The write lock comes first, so that no other process works on the same batch.
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Dropped, a transaction rolls back.
        let version = save(&transaction, log, &batch.checkpoint, expected)?;
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
        transaction.execute("UPDATE checkpoints SET repeats = repeats + ?2 WHERE log = ?1", params![log, repeats])?;
        transaction.commit()?;
        Ok(version)
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

/// Compares and sets: replaces the checkpoint of the expected version, or stores the first one.
fn save(
    transaction: &Transaction<'_>,
    log: &str,
    checkpoint: &Checkpoint,
    expected: Option<Version>,
) -> Result<Version, Failure> {
    let text = checkpoint.to_string();
    let rows = match expected {
        None => transaction
            .execute("INSERT INTO checkpoints VALUES (?1, ?2, 1, 0) ON CONFLICT DO NOTHING", params![log, text])?,
        Some(version) => transaction.execute(
            "UPDATE checkpoints SET checkpoint = ?2, version = version + 1 WHERE log = ?1 AND version = ?3",
            params![log, text, version.number()],
        )?,
    };
    if rows == 0 {
        return Err(Rival { log: log.to_owned() }.into());
    }
    Ok(Version::new(expected.map_or(1, |it| it.number() + 1)))
}
