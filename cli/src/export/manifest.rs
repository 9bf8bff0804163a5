//! The manifest: what an export holds, and whether that is all.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use actionlog::chrono::{DateTime, Utc};
use actionlog::{Cursor, Summary, Verdict};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::exit::Failure;
use crate::export::state::Counts;

/// What an export holds. Written beside it as `FILE.manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The tool and its version.
    pub tool: String,
    /// The log.
    pub log: String,
    /// The server's base URL.
    pub base_url: String,
    /// The format of the files.
    pub format: String,
    /// Only records after this time were asked for.
    pub since: Option<DateTime<Utc>>,
    /// Whether a second scan was asked for.
    pub verify: bool,
    /// When the first run began.
    pub started_at: DateTime<Utc>,
    /// When the last run ended.
    pub finished_at: DateTime<Utc>,
    /// In how many runs it was made.
    pub runs: u32,
    /// What was counted.
    pub counts: Counts,
    /// `complete`, `unverified` or `incomplete`.
    pub verdict: String,
    /// The verdict with its reason, for people.
    pub reason: String,
    /// The scan of the last run.
    pub scan: Summary,
    /// The files.
    pub files: Vec<FileEntry>,
    /// Behind the last record: with it, a program that uses the crate reads what is newer.
    pub cursor: Option<Cursor>,
}

/// A file of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its path, from the folder of the manifest.
    pub path: String,
    /// How many records are in it, valid or not.
    pub records: u64,
    /// Its size.
    pub bytes: u64,
    /// Its hash.
    pub sha256: String,
}

impl FileEntry {
    /// Reads a file to hash it.
    ///
    /// # Errors
    ///
    /// If it can't be read.
    pub fn of(file: &Path, path: String, records: u64) -> Result<Self, Failure> {
        let (bytes, sha256) = hash(file, || Ok(())).map_err(|error| Failure::file("read", file, error))?;
        Ok(Self { path, records, bytes, sha256 })
    }
}

/// Returns the word for a verdict.
#[must_use]
pub fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        it if it.is_complete() => "complete",
        it if it.is_incomplete() => "incomplete",
        _ => "unverified",
    }
}

/// Returns the size of a file, and its SHA-256 in hexadecimal digits. `go_on` is asked before each part.
///
/// # Errors
///
/// If it can't be read, and that of `go_on`.
pub fn hash(file: &Path, go_on: impl Fn() -> io::Result<()>) -> io::Result<(u64, String)> {
    let (mut file, mut hasher, mut bytes) = (File::open(file)?, Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 18];
    loop {
        go_on()?;
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        bytes += count as u64;
        hasher.update(buffer.get(..count).unwrap_or_default());
    }
    Ok((bytes, hasher.finalize().iter().map(|it| format!("{it:02x}")).collect()))
}
