//! What an export remembers of itself beside its unfinished files, so that another run can continue it.

use std::fs;

use actionlog::chrono::{DateTime, Utc};
use actionlog::{Cursor, Summary};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::exit::Failure;
use crate::export::manifest::Manifest;
use crate::export::target::{Moves, STATE, Target, write_atomically};

/// The version of the stored state.
const VERSION: u32 = 1;

/// The settings of an export that another run must have too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The log, as the user named it.
    pub log: String,
    /// The server's base URL.
    pub server: String,
    /// The format.
    pub format: String,
    /// `--since`, as it was written.
    pub since: Option<String>,
    /// `--verify`.
    pub verify: bool,
    /// `--partition`.
    pub partition: Option<String>,
}

impl Settings {
    /// Returns what differs in another run's settings.
    fn difference(&self, other: &Self) -> Option<String> {
        let Self { log, server, format, since, verify, partition } = self;
        let option = |it: &Option<String>| it.clone().unwrap_or_else(|| "none".to_owned());
        let pairs = [
            ("the log", log.clone(), other.log.clone()),
            ("the server", server.clone(), other.server.clone()),
            ("the format", format.clone(), other.format.clone()),
            ("--since", option(since), option(&other.since)),
            ("--verify", verify.to_string(), other.verify.to_string()),
            ("--partition", option(partition), option(&other.partition)),
        ];
        let (what, was, is) = pairs.into_iter().find(|(_, was, is)| was != is)?;
        Some(format!("{what} was {was}, and is {is} now"))
    }
}

/// What was counted, over all runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Valid records that were written.
    pub records: u64,
    /// Invalid records that were written.
    pub invalid: u64,
    /// Records without a time.
    pub without_time: u64,
    /// The oldest time of a record.
    pub oldest: Option<DateTime<Utc>>,
    /// The newest time of a record.
    pub newest: Option<DateTime<Utc>>,
}

impl Counts {
    /// Counts a valid record with this time.
    pub fn note(&mut self, time: Option<DateTime<Utc>>) {
        self.records += 1;
        let Some(time) = time else {
            self.without_time += 1;
            return;
        };
        self.oldest = Some(self.oldest.map_or(time, |it| it.min(time)));
        self.newest = Some(self.newest.map_or(time, |it| it.max(time)));
    }
}

/// The state of an export.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    version: u32,
    /// The settings.
    pub settings: Settings,
    /// The time of `--since`: a length of time counts from the first run.
    pub since: Option<DateTime<Utc>>,
    /// When the first run began.
    pub started_at: DateTime<Utc>,
    /// How many runs there were, this one included.
    pub runs: u32,
    /// Whether one of them was told to replace what is there.
    pub replaces: bool,
    /// Where to continue. `None` before the first record.
    pub cursor: Option<Cursor>,
    /// What was counted up to there.
    pub counts: Counts,
    /// What the format needs to continue there.
    pub sink: Value,
    /// Set once all files are written: what is left are the renames.
    pub finished: Option<Finished>,
}

/// A finished export, except for its renames.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finished {
    /// What takes its place.
    pub end: Moves,
    /// The manifest.
    pub manifest: Manifest,
    /// How the scan ended.
    pub summary: Summary,
}

impl State {
    /// Creates the state of a new export.
    #[must_use]
    pub fn new(settings: Settings, since: Option<DateTime<Utc>>) -> Self {
        Self {
            version: VERSION,
            settings,
            since,
            started_at: Utc::now(),
            runs: 1,
            replaces: false,
            cursor: None,
            counts: Counts::default(),
            sink: Value::Null,
            finished: None,
        }
    }

    /// Reads the state of an earlier run, which must have had these settings.
    ///
    /// # Errors
    ///
    /// If it can't be read, or what differs.
    pub fn read(target: &Target, settings: &Settings) -> Result<Self, Failure> {
        let path = target.work(STATE);
        let unusable = |error: &dyn std::fmt::Display| {
            Failure::Error(format!("{} can't be read: {error}. --force starts over", path.display()))
        };
        let text = fs::read(&path).map_err(|error| unusable(&error))?;
        let mut state: Self = serde_json::from_slice(&text).map_err(|error| unusable(&error))?;
        if state.version != VERSION {
            return Err(unusable(&format_args!("it is of version {}, and not of {VERSION}", state.version)));
        }
        if let Some(difference) = state.settings.difference(settings) {
            return Err(Failure::Usage(format!(
                "the earlier run had other settings: {difference}. Give the same to resume it; --force without \
                 --resume starts over"
            )));
        }
        state.runs += 1;
        Ok(state)
    }

    /// Stores the state.
    ///
    /// # Errors
    ///
    /// If it can't be written.
    pub fn write(&self, target: &Target) -> Result<(), Failure> {
        let text = serde_json::to_vec(self).map_err(|error| Failure::file("write", &target.work(STATE), error))?;
        write_atomically(&target.work(STATE), &text)
    }
}
