//! Asks the logs in SQL, on this machine or on a cluster.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actionlog_ballista::datafusion::arrow::array::RecordBatch;
use actionlog_ballista::datafusion::arrow::{csv, json, util::pretty::pretty_format_batches};
use actionlog_ballista::datafusion::error::DataFusionError;
use actionlog_ballista::datafusion::execution::runtime_env::RuntimeEnvBuilder;
use actionlog_ballista::datafusion::logical_expr::LogicalPlan;
use actionlog_ballista::datafusion::prelude::{SessionConfig, SessionContext};
use actionlog_ballista::datafusion::sql::parser::DFParser;
use actionlog_ballista::{DEFAULT, Ledger, Logs, NOT_PROVED, Options, Profiles};
use clap::{Parser, ValueEnum};

/// Asks action logs in SQL.
///
/// Tables: arklow_records, integration_logs, unleash_events('PROJECT', ACTION_SET), actionlog_coverage.
///
/// A result is an error unless it is proved that the rows are all records of the log. Exit status: 0 all rows proved,
/// 3 unverified and allowed, 4 not proved, 1 another error, 2 wrong usage.
#[derive(Debug, Parser)]
#[command(name = "actionlog-sql", version)]
struct Args {
    /// A statement, any number of times. Without one, statements are read from the standard input
    #[arg(short, long, value_name = "SQL")]
    command: Vec<String>,
    /// Whose variables have the credentials: EU_ARKLOW_API_KEY for the profile `eu`, ARKLOW_API_KEY for `default`
    #[arg(long, default_value = DEFAULT)]
    profile: String,
    /// How many parts of a log are read at once
    #[arg(long, default_value_t = 4, value_name = "N")]
    parts_at_once: usize,
    /// Into how many parts a log is cut [default: four times as many as are read at once]
    #[arg(long, value_name = "N")]
    parts: Option<usize>,
    /// Read a log a second time and compare, if the first time proves nothing
    #[arg(long)]
    verify: bool,
    /// Take rows that aren't proved to be all records
    #[arg(long)]
    allow_unverified: bool,
    /// Ask no server to apply filters
    #[arg(long)]
    no_pushdown: bool,
    /// Also ask the server of the integration logs to, in MongoDB's language; its own is undocumented
    #[arg(long, conflicts_with = "no_pushdown")]
    push_undocumented_filters: bool,
    /// Stop reading at records older than a query's time, where the newest come first. Such rows are unverified: they
    /// lack what was logged out of order by more than five minutes
    #[arg(long, conflicts_with = "verify")]
    push_times: bool,
    /// Run queries on the executors of this scheduler, http://HOST:50050, and not in this process
    #[cfg(feature = "cluster")]
    #[arg(long, value_name = "URL", conflicts_with = "memory")]
    scheduler: Option<String>,
    /// The most memory for rows, in megabytes [default: unlimited]
    #[arg(long, value_name = "MB")]
    memory: Option<usize>,
    /// The longest time of a statement, after which it is an error [default: unlimited]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
    /// How often to say that a statement still runs
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    progress: u64,
    /// How rows are written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Csv,
    Ndjson,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args).await {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(if error.to_string().contains(NOT_PROVED) { 4 } else { 1 })
        }
    }
}

async fn run(args: &Args) -> Result<u8, DataFusionError> {
    let mut options = Options::default();
    options.profile.clone_from(&args.profile);
    (options.parts_at_once, options.parts) = (args.parts_at_once, args.parts);
    (options.verify, options.allow_unverified) = (args.verify, args.allow_unverified);
    options.push_filters = !args.no_pushdown;
    options.push_undocumented_filters = args.push_undocumented_filters;
    options.push_times = args.push_times;
    let logs = Logs::new(options, Arc::new(Profiles::from_env()));

    let session = session(args, &logs)?;
    let ledger = logs.ledger();
    for text in statements(args)? {
        for statement in DFParser::parse_sql(&text)? {
            let mut plan = session.state().statement_to_plan(statement).await?;
            let copy = Copy::of(&mut plan);
            let before = ledger.entries().len();
            let frame = session.execute_logical_plan(plan).await?;
            let rows = watched(args, frame.collect()).await;
            report(&ledger, before);
            let rows = rows?;
            if let Some(copy) = copy {
                copy.keep()?;
            }
            write(&rows, args.format)?;
        }
    }
    let is_proved = ledger.entries().iter().all(|it| it.verdict == "complete");
    Ok(if is_proved { 0 } else { 3 })
}

/// Says now and then that a statement still runs, and ends it after its time. What it may wait for is an executor, or a
/// server that is away.
async fn watched<T>(args: &Args, work: impl Future<Output = Result<T, DataFusionError>>) -> Result<T, DataFusionError> {
    let (mut work, began) = (std::pin::pin!(work), Instant::now());
    let end = args.timeout.map(Duration::from_secs);
    loop {
        let left = end.map_or(Duration::MAX, |it| it.saturating_sub(began.elapsed()));
        match tokio::time::timeout(left.min(Duration::from_secs(args.progress)), work.as_mut()).await {
            Ok(result) => return result,
            Err(_) if end.is_some_and(|it| began.elapsed() >= it) => {
                let why = format!("not completed within {} s", args.timeout.unwrap_or_default());
                return Err(DataFusionError::Execution(why));
            }
            Err(_) => eprintln!(
                "still running after {} s (it waits for an executor, and for a server that is away)",
                began.elapsed().as_secs()
            ),
        }
    }
}

/// A file that a `COPY` writes. It has another name until all rows are proved: that they aren't may show once most of
/// them are written, and what was there before stays.
struct Copy {
    written: PathBuf,
    wanted: PathBuf,
}

impl Copy {
    /// Has a `COPY` to a single file on this machine write another one. A folder, or a store, is written as it is.
    fn of(plan: &mut LogicalPlan) -> Option<Self> {
        let LogicalPlan::Copy(copy) = plan else { return None };
        let wanted = Path::new(&copy.output_url);
        let is_file = !copy.output_url.contains("://") && !copy.output_url.ends_with('/') && !wanted.is_dir();
        let (stem, extension) = (wanted.file_stem()?.to_str()?, wanted.extension()?.to_str()?);
        if !is_file || !copy.partition_by.is_empty() {
            return None;
        }
        let written = wanted.with_file_name(format!("{stem}.partial-{}.{extension}", std::process::id()));
        let it = Self { wanted: wanted.to_owned(), written };
        copy.output_url = it.written.to_str()?.to_owned();
        Some(it)
    }

    fn keep(self) -> std::io::Result<()> {
        std::fs::rename(&self.written, &self.wanted)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // Nothing is there any more if it was kept.
        drop(std::fs::remove_file(&self.written));
    }
}

fn session(args: &Args, logs: &Logs) -> Result<SessionContext, DataFusionError> {
    #[cfg(feature = "cluster")]
    if let Some(scheduler) = &args.scheduler {
        return actionlog_ballista::cluster::session(scheduler, logs);
    }
    let runtime = match args.memory {
        Some(megabytes) => RuntimeEnvBuilder::new().with_memory_limit(megabytes << 20, 1.0),
        None => RuntimeEnvBuilder::new(),
    };
    let config = SessionConfig::new().with_information_schema(true);
    let session = SessionContext::new_with_config_rt(config, runtime.build_arc()?);
    logs.register(&session)?;
    Ok(session)
}

fn statements(args: &Args) -> Result<Vec<String>, DataFusionError> {
    if !args.command.is_empty() {
        return Ok(args.command.clone());
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(vec![text])
}

/// Says what the scans of a statement came to.
fn report(ledger: &Ledger, before: usize) {
    for it in ledger.entries().iter().skip(before) {
        let repeated = if it.repeated > 0 { format!(", {} of them repeated", it.repeated) } else { String::new() };
        eprintln!("{}: {}; {} records by {} reads{repeated}", it.table, it.detail, it.delivered, it.reads);
    }
}

fn write(rows: &[RecordBatch], format: Format) -> Result<(), DataFusionError> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Table => writeln!(out, "{}", pretty_format_batches(rows)?)?,
        Format::Csv => {
            let mut writer = csv::Writer::new(&mut out);
            rows.iter().try_for_each(|it| writer.write(it))?;
        }
        Format::Ndjson => {
            let mut writer = json::LineDelimitedWriter::new(&mut out);
            rows.iter().try_for_each(|it| writer.write(it))?;
            writer.finish()?;
        }
    }
    out.flush()?;
    Ok(())
}
