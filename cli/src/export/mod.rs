//! `actionlog export`: a log as a file.

pub mod columns;
pub mod lines;
pub mod manifest;
pub mod parquet;
pub mod sink;
pub mod splice;
pub mod sqlite;
pub mod state;
pub mod target;

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use actionlog::page::{Cause, Raw};
use actionlog::{AnyRecord, InvalidRecord, LogRecord, Summary, Verdict};

use crate::args::{ExportArgs, Format, Partition};
use crate::context::Context;
use crate::exit::{Failure, Status, explain};
use crate::export::lines::{LineSink, Lines};
use crate::export::manifest::{FileEntry, Manifest, word};
use crate::export::parquet::ParquetSink;
use crate::export::sink::{Made, Sink};
use crate::export::sqlite::SqliteSink;
use crate::export::state::{Finished, Settings, State};
use crate::export::target::{Existing, Move, Moves, STATE, Target};
use crate::logs::{Entry, Log, Scan, ScanOptions};
use crate::row::{InvalidRow, Row};

/// How often the progress is shown.
const SHOW: Duration = Duration::from_millis(100);

/// Exports a log.
///
/// # Errors
///
/// If the log isn't configured, the file can't be written, the scan failed, or the user stopped it. What was exported
/// so far is kept for `--resume`.
pub async fn run(args: &ExportArgs, context: &Context) -> Result<Status, Failure> {
    let format = format_of(args)?;
    let log = Log::required(&args.log, &context.config)?.page_size(args.page_size);
    let (target, resumed) = Target::open(&args.to, Existing { force: args.force, resume: args.resume })?;
    let state = state_of(args, settings_of(args, format, &log), &target, resumed)?;
    if let Some(finished) = &state.finished {
        return conclude(target, finished, state.replaces, context);
    }
    if target.is_there() && !state.replaces {
        return Err(Failure::Error(format!(
            "{} is there now, and wasn't when the export began: --resume --force replaces it",
            args.to.display()
        )));
    }
    let mut export = Export::begin(args, format, &log, target, state)?;
    let scanned = export.scan(context).await;
    context.output.end_progress();
    match scanned {
        Ok(()) => {
            export.store().map_err(|failure| export.kept(failure))?;
            export.finish(&log, context)
        }
        Err(failure) => Err(export.keep(failure)),
    }
}

/// Returns the state of the earlier run, or that of a new one.
fn state_of(args: &ExportArgs, settings: Settings, target: &Target, resumed: bool) -> Result<State, Failure> {
    let mut state = if resumed {
        State::read(target, &settings)?
    } else {
        State::new(settings, args.since.as_ref().map(|it| it.time))
    };
    state.replaces |= args.force;
    Ok(state)
}

/// What a run that resumes this one must be asked for, too.
fn settings_of(args: &ExportArgs, format: Format, log: &Log) -> Settings {
    Settings {
        log: args.log.to_string(),
        server: log.base_url.clone(),
        format: name(format),
        since: args.since.as_ref().map(|it| it.text.clone()),
        verify: args.verify,
        partition: args.partition.map(|_| "day".to_owned()),
    }
}

/// Returns the format: the one that was named, or that of the file's ending.
fn format_of(args: &ExportArgs) -> Result<Format, Failure> {
    let format = args.format.or_else(|| format_of_name(&args.to)).ok_or_else(|| {
        Failure::Usage(format!(
            "{}: its ending names no format: use .ndjson, .csv, .parquet or .sqlite, or set --format",
            args.to.display()
        ))
    })?;
    if args.partition.is_some() && format != Format::Parquet {
        return Err(Failure::Usage(format!("--partition is for Parquet, and not for {}", name(format))));
    }
    Ok(format)
}

/// Returns the format that the ending of a file names.
#[must_use]
pub fn format_of_name(path: &Path) -> Option<Format> {
    Some(match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "ndjson" | "jsonl" => Format::Ndjson,
        "csv" => Format::Csv,
        "parquet" => Format::Parquet,
        "sqlite" | "sqlite3" | "db" => Format::Sqlite,
        _ => return None,
    })
}

fn name(format: Format) -> String {
    let value = clap::ValueEnum::to_possible_value(&format);
    value.map(|it| it.get_name().to_owned()).unwrap_or_default()
}

fn open(
    format: Format,
    partition: Option<Partition>,
    target: &Target,
    state: &State,
) -> Result<Box<dyn Sink>, Failure> {
    let folder = target.work("");
    let lines = |lines| LineSink::open(&folder, lines, &state.sink).map(|it| Box::new(it) as Box<dyn Sink>);
    match format {
        Format::Ndjson => lines(Lines::Ndjson),
        Format::Ocsf => lines(Lines::Ocsf),
        Format::Csv => lines(Lines::Csv),
        Format::Parquet => Ok(Box::new(ParquetSink::open(&folder, partition.is_some(), &state.sink)?)),
        Format::Sqlite => Ok(Box::new(SqliteSink::open(&folder, &state.sink)?)),
    }
}

/// How often the state is stored.
struct Every {
    /// What the user asked for.
    asked: Option<Duration>,
    /// The default.
    usual: Duration,
    /// How long it took the last time.
    took: Duration,
}

/// Storing the state takes one of so many parts of the time at most, unless the user asked for it more often.
const STORING: u32 = 10;

impl Every {
    fn is_due(&self, since: Instant) -> bool {
        since.elapsed() >= self.asked.unwrap_or(self.usual.max(self.took * STORING))
    }
}

/// An export under way.
struct Export {
    log: String,
    target: Target,
    state: State,
    sink: Box<dyn Sink>,
    scan: Box<dyn Scan>,
    every: Every,
    stored: Instant,
    /// How many records this run has read.
    read: u64,
    /// Whether a write failed, so that the files lack a record that the cursor is behind.
    is_torn: bool,
    shown: Option<Instant>,
}

impl Export {
    /// Opens the files and begins the scan, where an earlier run stopped.
    fn begin(args: &ExportArgs, format: Format, log: &Log, target: Target, state: State) -> Result<Self, Failure> {
        let sink = open(format, args.partition, &target, &state)?;
        let options = ScanOptions { since: state.since, verify: args.verify, cursor: state.cursor.clone() };
        let every = Every {
            asked: args.checkpoint_every,
            usual: Duration::from_secs(if format == Format::Parquet { 30 } else { 1 }),
            took: Duration::ZERO,
        };
        Ok(Self {
            log: args.log.to_string(),
            target,
            state,
            sink,
            scan: log.scan(options),
            every,
            stored: Instant::now(),
            read: 0,
            is_torn: false,
            shown: None,
        })
    }

    /// Reads the log to its end.
    async fn scan(&mut self, context: &Context) -> Result<(), Failure> {
        let mut last_error = None;
        loop {
            let entry = tokio::select! {
                biased;
                () = context.stop.wait() => return Err(Failure::Incomplete("stopped before the end".to_owned())),
                entry = self.scan.next() => entry,
            };
            match entry {
                None => break,
                Some(Ok(entry)) => {
                    self.read += 1;
                    self.write(&entry)?;
                }
                // A server that has never responded won't in the next quarter of an hour either.
                Some(Err(error)) if self.read == 0 => return Err(error.into()),
                Some(Err(error)) => {
                    context.output.warn(&explain(&error));
                    last_error = Some(error);
                }
            }
            self.show(context);
            if self.sink.is_full() || self.every.is_due(self.stored) {
                self.store()?;
            }
        }
        let cut = matches!(
            self.scan.summary().verdict,
            Verdict::Incomplete(Cause::Failed | Cause::Lost | Cause::Emptied | Cause::NotFinished)
        );
        match last_error {
            Some(error) if cut => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn write(&mut self, entry: &Entry) -> Result<(), Failure> {
        let written = match entry {
            Ok(record) => self.write_record(record),
            Err(record) => self.write_invalid(record),
        };
        self.is_torn |= written.is_err();
        written
    }

    fn write_record(&mut self, record: &Raw<AnyRecord>) -> Result<(), Failure> {
        let row = Row::of(&self.log, record);
        if self.sink.write(&row, record)? {
            self.state.counts.note(record.timestamp().map(|it| it.time));
        } else {
            self.state.counts.invalid += 1;
        }
        Ok(())
    }

    fn write_invalid(&mut self, record: &InvalidRecord) -> Result<(), Failure> {
        self.state.counts.invalid += 1;
        self.sink.write_invalid(&InvalidRow::of(&self.log, record))
    }

    fn show(&mut self, context: &Context) {
        if self.shown.is_some_and(|it| it.elapsed() < SHOW) {
            return;
        }
        self.shown = Some(Instant::now());
        let summary = self.scan.summary();
        let label = if summary.scans > 1 { format!("{}, second scan", self.log) } else { self.log.clone() };
        let total = summary.totals.map(|it| it.1).filter(|it| *it >= self.written());
        context.output.progress(&label, self.written(), total);
    }

    fn written(&self) -> u64 {
        self.state.counts.records + self.state.counts.invalid
    }

    /// Makes what was written durable, and then where to continue.
    fn store(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        // A checkpoint that failed half-way may succeed when it is repeated, without what it lost.
        self.is_torn = true;
        self.state.sink = self.sink.checkpoint()?;
        self.is_torn = false;
        self.state.cursor = self.scan.cursor();
        self.state.write(&self.target)?;
        self.stored = Instant::now();
        self.every.took = began.elapsed();
        Ok(())
    }

    /// Keeps what was written before a failure, and says how to continue.
    fn keep(mut self, failure: Failure) -> Failure {
        if self.written() == 0 {
            self.target.discard();
            return failure;
        }
        // A run that has read nothing knows no better than the stored state.
        let is_stored = !self.is_torn && (self.read == 0 || self.store().is_ok());
        if is_stored {
            let note = format!("{} records are kept: --resume continues behind them", self.written());
            with_note(failure, &note)
        } else {
            self.kept(failure)
        }
    }

    /// Says how to continue where the last records couldn't be stored.
    fn kept(&self, failure: Failure) -> Failure {
        // A state that was stored before is still good.
        let has_state = self.target.work(STATE).exists();
        let note = if has_state { "--resume continues where it was stored last" } else { "nothing was stored yet" };
        with_note(failure, note)
    }

    /// Completes the files, and puts them in their place.
    fn finish(self, log: &Log, context: &Context) -> Result<Status, Failure> {
        let Self { target, mut state, sink, scan, .. } = self;
        let summary = scan.summary();
        let all_stored = |failure| with_note(failure, "all records are stored: --resume completes the file");
        let made = sink.finish().map_err(all_stored)?;
        check_counts(&state, &made)?;
        let manifest = manifest(&target, &state, log, &summary, &made)?;
        let text = serde_json::to_vec_pretty(&manifest).map_err(|error| Failure::Error(error.to_string()))?;
        target::write_atomically(&target.work(MANIFEST), &text).map_err(all_stored)?;
        // The file itself comes last: where it is, its manifest is too.
        let named = |from: &str, suffix: &str| Move { from: from.to_owned(), to: target.named(suffix) };
        let mut moves = vec![named(MANIFEST, MANIFEST_SUFFIX)];
        moves.extend(made.iter().rev().map(|it| named(&it.from, it.suffix)));
        let has_invalid = made.iter().any(|it| it.suffix == INVALID_SUFFIX);
        let stale = if has_invalid { Vec::new() } else { vec![target.named(INVALID_SUFFIX)] };
        let foreign = FOREIGN.iter().map(|it| target.named(it)).collect();
        let finished = Finished { end: Moves { moves, foreign, stale }, manifest, summary };
        state.finished = Some(finished.clone());
        state.write(&target).map_err(all_stored)?;
        conclude(target, &finished, state.replaces, context)
    }
}

/// Compares the records in the files with those that were read. (SQLite has one row for a record that came twice.)
fn check_counts(state: &State, made: &[Made]) -> Result<(), Failure> {
    let held: u64 = made.iter().flat_map(|it| &it.files).map(|it| it.1).sum();
    let read = state.counts.records + state.counts.invalid;
    if held == read || (held < read && state.settings.format == "sqlite") {
        return Ok(());
    }
    Err(Failure::Error(format!("the files hold {held} records, and {read} were read. --force starts over")))
}

/// Adds to a failure how to continue.
fn with_note(failure: Failure, note: &str) -> Failure {
    match failure {
        Failure::Error(message) => Failure::Error(format!("{message}\n{note}")),
        Failure::Incomplete(message) => Failure::Incomplete(format!("{message}\n{note}")),
        other => other,
    }
}

/// What `follow` leaves beside a file that an export replaces. SQLite would write a journal of the old database into
/// the new one, and `follow` would continue in the new file where it was in the old one.
const FOREIGN: [&str; 4] = ["-wal", "-shm", "-journal", ".checkpoint.json"];

const MANIFEST: &str = "manifest.json";
const MANIFEST_SUFFIX: &str = ".manifest.json";
const INVALID_SUFFIX: &str = ".invalid.ndjson";

fn manifest(target: &Target, state: &State, log: &Log, summary: &Summary, made: &[Made]) -> Result<Manifest, Failure> {
    let mut files = Vec::new();
    for Made { from, suffix, files: inner } in made {
        for (file, records) in inner {
            let (path, name) = (target.work(from), target.named(suffix));
            let (path, name) = if file.is_empty() { (path, name) } else { (path.join(file), format!("{name}/{file}")) };
            files.push(FileEntry::of(&path, name, *records)?);
        }
    }
    Ok(Manifest {
        tool: concat!("actionlog ", env!("CARGO_PKG_VERSION")).to_owned(),
        log: state.settings.log.clone(),
        base_url: log.base_url.clone(),
        format: state.settings.format.clone(),
        since: state.since,
        verify: state.settings.verify,
        started_at: state.started_at,
        finished_at: actionlog::chrono::Utc::now(),
        runs: state.runs,
        counts: state.counts.clone(),
        verdict: word(&summary.verdict).to_owned(),
        reason: summary.verdict.to_string(),
        scan: summary.clone(),
        files,
        cursor: state.cursor.clone(),
    })
}

/// Puts the files in their place, and says what is in them.
fn conclude(target: Target, finished: &Finished, may_replace: bool, context: &Context) -> Result<Status, Failure> {
    let path = target.path().to_owned();
    target.commit(&finished.end, may_replace)?;
    let Finished { manifest, summary, .. } = finished;
    let counts = &manifest.counts;
    if !context.output.is_quiet() {
        let mut out = anstream::stdout();
        let mut line = format!("{}: {} records", path.display(), counts.records);
        if counts.invalid > 0 {
            line.push_str(&format!(", and {} invalid ones beside them", counts.invalid));
        }
        // If nobody reads it: the export is there, and the exit status says how it is.
        let _ = writeln!(out, "{line}\n{}{}", summary.verdict, advice(&summary.verdict, manifest));
    }
    Ok(Status::of(&summary.verdict, counts.invalid))
}

fn advice(verdict: &Verdict, manifest: &Manifest) -> &'static str {
    let is_proved = verdict.is_complete() || verdict.is_incomplete() || manifest.verify || manifest.since.is_some();
    if is_proved { "" } else { " (--verify proves it by a second scan)" }
}
