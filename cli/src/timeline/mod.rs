//! `actionlog timeline`: several logs, merged by time.

mod line;

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::sync::Arc;

use actionlog::follow::{Change, StartFrom};
use actionlog::page::Raw;
use actionlog::record::Outcome;
use actionlog::timeline::{LogState, Order, Timeline, TimelineSummary};
use actionlog::{AnyRecord, LogRecord};
use futures_util::FutureExt;
use serde_json::json;

use crate::args::TimelineArgs;
use crate::config::Problem;
use crate::context::Context;
use crate::exit::{Failure, Status, explain};
use crate::logs::{Log, LogName, with_listing};
use crate::row::Row;
use crate::timeline::line::Style;

/// After how many errors in a row a scan ends: a person is waiting.
const ERRORS: u32 = 3;

/// How many invalid records are shown; the summary counts all.
const INVALID: u32 = 5;

/// Shows the records of the logs.
///
/// # Errors
///
/// If no log is configured, a log can't be read to its end, or the output can't be written.
pub async fn run(args: &TimelineArgs, context: &Context) -> Result<Status, Failure> {
    let logs: Vec<_> = logs(args, context)?.into_iter().map(|it| it.page_size(args.page_size)).collect();
    let mut printer = Printer::new(args, &logs, context);
    if args.follow {
        follow(args, logs, &mut printer, context).await
    } else {
        scan(args, logs, &mut printer, context).await
    }
}

/// Returns the logs that were named, or all that are configured.
fn logs(args: &TimelineArgs, context: &Context) -> Result<Vec<Log>, Failure> {
    if !args.logs.is_empty() {
        return args.logs.iter().map(|it| Log::required(it, &context.config)).collect();
    }
    let mut logs = Vec::new();
    for name in LogName::ALL {
        match Log::open(&name, &context.config) {
            Ok(log) => logs.push(log),
            Err(Problem::Missing(_)) => {}
            Err(problem) => return Err(problem.of(&name.to_string())),
        }
    }
    if logs.is_empty() {
        return Err(Failure::Usage("no log is configured: `actionlog check` names what to set".to_owned()));
    }
    Ok(logs)
}

async fn scan(
    args: &TimelineArgs,
    logs: Vec<Log>,
    printer: &mut Printer<'_>,
    context: &Context,
) -> Result<Status, Failure> {
    let mut timeline = Timeline::<Raw<AnyRecord>>::with_order(Order::NewestFirst);
    for log in logs {
        let (name, since) = (log.name.to_string(), args.since.as_ref().map(|it| it.time));
        timeline = with_listing!(log.listing, |listing| {
            let listing = listing.max_consecutive_errors(ERRORS);
            timeline.scan(name, if let Some(time) = since { listing.since(time) } else { listing })
        });
    }
    loop {
        let next = match timeline.next().now_or_never() {
            Some(next) => next,
            None => {
                printer.flush()?;
                tokio::select! {
                    biased;
                    () = context.stop.wait() => return printer.stopped(&timeline.summary()),
                    next = timeline.next() => next,
                }
            }
        };
        match next {
            None => return printer.ended(&timeline.summary()),
            Some(Ok((log, record))) => printer.record(&log, &record, None)?,
            Some(Err(error)) => printer.error(&error),
        }
        if printer.is_full() {
            printer.flush()?;
            return Ok(Status::Complete);
        }
        if context.stop.is_set() {
            return printer.stopped(&timeline.summary());
        }
    }
}

async fn follow(
    args: &TimelineArgs,
    logs: Vec<Log>,
    printer: &mut Printer<'_>,
    context: &Context,
) -> Result<Status, Failure> {
    let start = args.since.as_ref().map_or(StartFrom::Latest, |it| StartFrom::Since(it.time));
    let mut timeline = Timeline::<Change<Raw<AnyRecord>>>::with_order(Order::OldestFirst);
    for log in logs {
        let (name, start) = (log.name.to_string(), start.clone());
        timeline = with_listing!(log.listing, |listing| timeline.follow(name, listing.follow().start_from(start)));
    }
    loop {
        printer.flush()?;
        let next = tokio::select! {
            biased;
            () = context.stop.wait() => {
                printer.flush()?;
                return Ok(Status::Complete);
            }
            next = timeline.next() => next,
        };
        match next {
            None => return printer.ended(&timeline.summary()),
            Some(Ok((log, change))) => printer.change(&log, &change)?,
            Some(Err(error)) => printer.error(&error),
        }
        if printer.is_full() {
            printer.flush()?;
            return Ok(Status::Complete);
        }
    }
}

/// Writes records to the standard output.
struct Printer<'a> {
    out: BufWriter<StdoutLock<'static>>,
    style: Style,
    context: &'a Context,
    only_failed: bool,
    is_json: bool,
    /// How many lines may still be written.
    left: Option<u64>,
    invalid: u32,
}

impl<'a> Printer<'a> {
    fn new(args: &TimelineArgs, logs: &[Log], context: &'a Context) -> Self {
        let stdout = io::stdout();
        let width = stdout.is_terminal().then(|| terminal_size::terminal_size_of(&stdout).map_or(80, |it| it.0.0));
        let is_coloured = anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never;
        let names = logs.iter().map(|it| it.name.to_string().len()).max().unwrap_or_default();
        Self {
            out: BufWriter::new(stdout.lock()),
            style: Style { width: width.map(usize::from), is_coloured, names },
            context,
            only_failed: args.failed,
            is_json: args.json,
            left: args.limit,
            invalid: 0,
        }
    }

    fn record(&mut self, log: &Arc<str>, record: &Raw<AnyRecord>, change: Option<&str>) -> Result<(), Failure> {
        if self.only_failed && record.outcome() != Outcome::Failed {
            return Ok(());
        }
        if !self.is_json {
            return self.write(&self.style.line(log, record, change));
        }
        let line = Row::of(log, record).to_json().map_err(|error| Failure::Error(error.to_string()))?;
        match change {
            Some(change) => self.write(&format!(r#"{{"change":"{change}",{}"#, &line[1..])),
            None => self.write(&line),
        }
    }

    fn change(&mut self, log: &Arc<str>, change: &Change<Raw<AnyRecord>>) -> Result<(), Failure> {
        match change {
            Change::New(record) => self.record(log, record, self.is_json.then_some("new")),
            Change::Late(record) => self.record(log, record, Some("late")),
            Change::Updated(record) => self.record(log, record, Some("updated")),
            Change::Removed(_) if self.only_failed => Ok(()),
            Change::Removed(key) if self.is_json => {
                self.write(&json!({ "change": "removed", "log": **log, "key": key.to_string() }).to_string())
            }
            Change::Removed(key) => self.write(&self.style.removed(log, &key.to_string())),
            Change::Invalid(record) => {
                self.invalid(&format!("{log}: invalid record {}: {}", record.id().unwrap_or("?"), record.reason()));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn error(&mut self, error: &actionlog::Error) {
        let text = explain(error);
        if error.is_record() { self.invalid(&text) } else { self.context.output.warn(&text) }
    }

    fn invalid(&mut self, text: &str) {
        self.invalid += 1;
        if self.invalid <= INVALID {
            self.context.output.warn(text);
        }
    }

    fn write(&mut self, line: &str) -> Result<(), Failure> {
        self.left = self.left.map(|it| it - 1);
        writeln!(self.out, "{line}").map_err(|error| Failure::output(&error))
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|error| Failure::output(&error))
    }

    fn is_full(&self) -> bool {
        self.left == Some(0)
    }

    fn stopped(&mut self, summary: &TimelineSummary) -> Result<Status, Failure> {
        self.flush()?;
        self.context.output.note(&summary.to_string());
        Err(Failure::Incomplete("stopped before the end".to_owned()))
    }

    /// Says how the logs ended.
    fn ended(&mut self, summary: &TimelineSummary) -> Result<Status, Failure> {
        self.flush()?;
        self.context.output.note(&summary.to_string());
        let failed = summary.logs.iter().filter(|it| it.failed && it.state == LogState::Ended);
        let failed: Vec<_> = failed.map(|it| it.name.as_str()).collect();
        if !failed.is_empty() {
            return Err(Failure::Error(format!("not read to the end: {}", failed.join(", "))));
        }
        let invalid = summary.logs.iter().map(|it| it.invalid).sum();
        Ok(Status::of(&summary.verdict, invalid))
    }
}
