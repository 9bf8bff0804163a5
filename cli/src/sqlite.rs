//! The SQLite files of the tool: their tables, and how a record is put into them.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, params};

use crate::exit::Failure;
use crate::row::{InvalidRow, Row, rfc3339};

/// What SQLite's file header says the file is: "actn".
const APPLICATION_ID: i32 = 0x6163_746e;

/// The version of the tables.
const VERSION: i32 = 1;

const TABLES: &str = "
    CREATE TABLE records (
        log TEXT NOT NULL, key TEXT NOT NULL, timestamp TEXT, time_meaning TEXT, outcome TEXT NOT NULL, status TEXT,
        is_final INTEGER, action TEXT, actor_kind TEXT, actor_id TEXT, target_kind TEXT, target_id TEXT, error TEXT,
        duration_ms REAL, raw TEXT NOT NULL, PRIMARY KEY (log, key)
    );
    CREATE TABLE invalid (
        log TEXT NOT NULL, key TEXT NOT NULL, path TEXT NOT NULL, reason TEXT NOT NULL, raw TEXT NOT NULL,
        PRIMARY KEY (log, key)
    );
    CREATE TABLE checkpoints (log TEXT PRIMARY KEY, checkpoint TEXT NOT NULL, saved_at TEXT NOT NULL);
";

/// The index that is created once a file is whole, or is kept in step.
pub const INDEX: &str = "CREATE INDEX IF NOT EXISTS records_by_time ON records (timestamp)";

/// Opens a file of the tool, or creates one.
///
/// # Errors
///
/// If it can't be opened, or if it is a file of something else: nothing is changed in it.
pub fn open(path: &Path) -> Result<Connection, Failure> {
    let failed = |error: rusqlite::Error| Failure::file("open", path, error);
    let connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(Duration::from_secs(10)).map_err(failed)?;
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let tables: i64 =
        connection.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    if tables == 0 {
        connection
            .execute_batch(&format!(
                "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION_ID}; \
                 PRAGMA user_version = {VERSION}; COMMIT;"
            ))
            .map_err(failed)?;
    } else if number("application_id").map_err(failed)? != APPLICATION_ID {
        return Err(Failure::Error(format!(
            "{} is a database of another program: its tables may have the same names. Choose another file",
            path.display()
        )));
    }
    let version = number("user_version").map_err(failed)?;
    if version != VERSION {
        let why = format!("its tables are of version {version}, and this tool's of {VERSION}");
        return Err(Failure::file("use", path, why));
    }
    Ok(connection)
}

/// Inserts a record, or replaces the one of its key. An invalid one of this key is gone then.
///
/// # Errors
///
/// SQLite's.
pub fn upsert(connection: &Connection, row: &Row<'_>) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO records VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
         ON CONFLICT DO UPDATE SET timestamp = excluded.timestamp, time_meaning = excluded.time_meaning,
             outcome = excluded.outcome, status = excluded.status, is_final = excluded.is_final,
             action = excluded.action, actor_kind = excluded.actor_kind, actor_id = excluded.actor_id,
             target_kind = excluded.target_kind, target_id = excluded.target_id, error = excluded.error,
             duration_ms = excluded.duration_ms, raw = excluded.raw",
    )?;
    insert.execute(params![
        row.log,
        row.key,
        row.timestamp.map(rfc3339),
        row.time_meaning,
        row.outcome,
        row.status,
        row.is_final,
        row.action,
        row.actor_kind,
        row.actor_id,
        row.target_kind,
        row.target_id,
        row.error,
        row.duration_ms,
        row.raw,
    ])?;
    let mut delete = connection.prepare_cached("DELETE FROM invalid WHERE log = ?1 AND key = ?2")?;
    delete.execute(params![row.log, row.key])?;
    Ok(())
}

/// Inserts an invalid record, or replaces the one of its key. A valid one of this key is gone then.
///
/// # Errors
///
/// SQLite's.
pub fn upsert_invalid(connection: &Connection, row: &InvalidRow<'_>) -> rusqlite::Result<()> {
    // Where no id can be read, the JSON itself is what tells one from another.
    let key = row.key.unwrap_or(&row.raw);
    let mut insert = connection.prepare_cached(
        "INSERT INTO invalid VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET path = excluded.path, reason = excluded.reason, raw = excluded.raw",
    )?;
    insert.execute(params![row.log, key, row.path, row.reason, row.raw])?;
    remove(connection, "records", row.log, key)
}

/// Removes the record of this key.
///
/// # Errors
///
/// SQLite's.
pub fn remove(connection: &Connection, table: &str, log: &str, key: &str) -> rusqlite::Result<()> {
    let mut delete = connection.prepare_cached(&format!("DELETE FROM {table} WHERE log = ?1 AND key = ?2"))?;
    delete.execute(params![log, key]).map(|_| ())
}
