//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::logs::LogName;
use crate::since::{self, Since};

/// Exports, mirrors, merges and reports action logs, and says whether that is every record.
///
/// Three logs are read: `arklow` (action records of Arklow), `integration` (integration action logs) and `unleash`
/// (action set events of Unleash). Each is configured by environment variables; `actionlog check` names those that are
/// missing.
#[derive(Debug, Parser)]
#[command(name = "actionlog", version, max_term_width = 100, after_help = AFTER, subcommand_required = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options of all commands.
    #[command(flatten)]
    pub global: Global,
}

const AFTER: &str = "\
Environment:
  ARKLOW_API_KEY, ARKLOW_ORG_ID, ARKLOW_BASE_URL (optional)
  INTEGRATION_LOGS_URL, INTEGRATION_LOGS_AUTHORIZATION
  UNLEASH_URL, UNLEASH_TOKEN, UNLEASH_ACTION_SET, UNLEASH_PROJECT (default: default)
  Any of them may be in a file: set NAME_FILE to its path, such as UNLEASH_TOKEN_FILE=/run/secrets/unleash.

Exit status:
  0  everything was read, and that is proved
  3  the end was reached, and it isn't proved that this was all, or some records are invalid
  4  records are missing, or may be; or the command was stopped before its end
  1  an error
  2  a wrong command line, or a log that isn't configured";

/// Options of all commands.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Read further variables from this file, one `NAME=value` a line. Those of the environment go first.
    #[arg(long, global = true, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Write only errors and warnings beside the data: no progress, no summary.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// When to use colours. `auto`: on a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// Send credentials without TLS to other machines too: for servers in a network that is safe.
    #[arg(long, global = true)]
    pub allow_http: bool,
    /// Write each request to the standard error, and by `-vv` more of it. Credentials are left out.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check URL, credentials and API of each configured log.
    ///
    /// Requests one record of each log. A log that isn't configured is named with the variables that it lacks.
    Check(CheckArgs),
    /// Export all records of a log into a file.
    Export(ExportArgs),
    /// Keep a file in step with logs, until it is stopped.
    #[command(visible_alias = "mirror")]
    Follow(FollowArgs),
    /// Show the records of several logs, merged by time.
    Timeline(TimelineArgs),
    /// Make an HTML page or tables of an export: outcomes over time, failures, the slowest.
    Report(ReportArgs),
    /// Serve a fake of all three APIs on a port, to try this tool or any other program.
    Fake(FakeArgs),
    /// Print the completions of a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder, or the main one to the standard output.
    Man {
        /// The folder.
        #[arg(long, value_name = "FOLDER")]
        dir: Option<PathBuf>,
    },
}

/// `actionlog check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// The logs: `arklow`, `integration`, `unleash` or `unleash:PROJECT/ACTION_SET`. Without any, all three.
    #[arg(value_name = "LOG")]
    pub logs: Vec<LogName>,
}

/// `actionlog export`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXPORT)]
pub struct ExportArgs {
    /// The log: `arklow`, `integration`, `unleash` or `unleash:PROJECT/ACTION_SET`.
    #[arg(value_name = "LOG")]
    pub log: LogName,
    /// The file: its ending says the format (.ndjson or .jsonl, .csv, .parquet, .sqlite or .db). It appears once it is
    /// whole.
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
    /// The format, whatever the file's ending is. `ocsf`: events of OCSF's class API Activity (6003) as NDJSON.
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Only records after this: 2026-03-01T12:00:00Z, 2026-03-01 (midnight UTC), or how long ago: 90s, 30m, 12h, 7d,
    /// 2w.
    #[arg(long, value_name = "TIME", value_parser = since::parse)]
    pub since: Option<Since>,
    /// Prove by a second scan that no record is missing, at about twice the requests.
    #[arg(long)]
    pub verify: bool,
    /// Continue an earlier run that was stopped or killed. Without one, begin.
    #[arg(long)]
    pub resume: bool,
    /// Replace an existing file, and what an earlier run left (unless `--resume` continues it).
    #[arg(long)]
    pub force: bool,
    /// For Parquet: make a folder with a file for each day, in Hive's layout (FILE/day=2026-03-01/part-0.parquet).
    #[arg(long, value_name = "BY")]
    pub partition: Option<Partition>,
    /// How often progress is stored for `--resume`. The default is 1s, and 30s for Parquet.
    #[arg(long, value_name = "TIME", value_parser = since::interval)]
    pub checkpoint_every: Option<Duration>,
    /// How many records to request at once, for a server whose records are so large that a page of the usual size is
    /// refused.
    #[arg(long, value_name = "RECORDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub page_size: Option<u32>,
}

const EXPORT: &str = "\
FILE.manifest.json says what is in FILE, whether that is all, and the hash of each file.
FILE.invalid.ndjson holds records that don't fit the API's documented form, if there are any.
FILE.part is a folder that is there while an export is under way, or was stopped.";

/// A format of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A JSON object a line.
    Ndjson,
    /// Comma-separated values, with a header.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// A table in an SQLite file.
    Sqlite,
    /// OCSF events, one a line.
    Ocsf,
}

/// How an export is cut into files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Partition {
    /// A folder for each day (UTC).
    Day,
}

/// `actionlog follow`.
#[derive(Clone, Debug, Args)]
pub struct FollowArgs {
    /// The logs: `arklow`, `integration`, `unleash` or `unleash:PROJECT/ACTION_SET`.
    #[arg(value_name = "LOG", required = true)]
    pub logs: Vec<LogName>,
    /// The file. SQLite (.sqlite, .db): a table with each record as it is now. NDJSON (.ndjson, .jsonl): each change as
    /// a line. It is continued where it stopped.
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
    /// How often to ask for news. It takes up to six times as long while nothing happens.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = since::interval)]
    pub poll: Duration,
    /// How often to read the newest 1,000 records again, for those that changed or are gone.
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = since::interval)]
    pub sweep: Duration,
    /// How many records to request at once, for a server whose records are so large that a page of the usual size is
    /// refused.
    #[arg(long, value_name = "RECORDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub page_size: Option<u32>,
    /// Stop once every log has been read up to its newest record.
    #[arg(long)]
    pub once: bool,
}

/// `actionlog timeline`.
#[derive(Clone, Debug, Args)]
pub struct TimelineArgs {
    /// The logs: `arklow`, `integration`, `unleash` or `unleash:PROJECT/ACTION_SET`. Without any, all that are
    /// configured.
    #[arg(value_name = "LOG")]
    pub logs: Vec<LogName>,
    /// Only actions that failed.
    #[arg(long)]
    pub failed: bool,
    /// Only records after this: a time, a date, or how long ago (12h, 7d).
    #[arg(long, value_name = "TIME", value_parser = since::parse)]
    pub since: Option<Since>,
    /// Show what comes, oldest first, until it is stopped. With `--since`, begin there.
    #[arg(long)]
    pub follow: bool,
    /// Stop behind this many lines.
    #[arg(long, value_name = "LINES", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// How many records to request at once, for a server whose records are so large that a page of the usual size is
    /// refused.
    #[arg(long, value_name = "RECORDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub page_size: Option<u32>,
    /// Write each record as a JSON object with its raw JSON.
    #[arg(long)]
    pub json: bool,
}

/// `actionlog report`.
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// The export: a file of any format, or the folder of a partitioned one; or what `follow` keeps in step.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Write this page. It needs nothing else: no network, no other file. Without it, tables are printed.
    #[arg(long, value_name = "OUT")]
    pub html: Option<PathBuf>,
    /// Replace the page, if it is there.
    #[arg(long)]
    pub force: bool,
}

/// `actionlog fake`.
#[derive(Clone, Debug, Args)]
pub struct FakeArgs {
    /// The port on localhost; 0 for a free one.
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub port: u16,
    /// The records of each log at the start.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = records)]
    pub records: usize,
    /// The records added to each log: per second (2/s), minute (30/m) or hour (1/h), at most 1000/s.
    #[arg(long, value_name = "N/s", value_parser = crate::fake::parse_rate)]
    pub rate: Option<f64>,
    /// A share of the responses fails: a status from 400 to 599, `hang`, `reset`, `empty` (an empty page) or `short` (a
    /// page one record short), and a share from 0 to 1, such as 503:0.05. May be repeated.
    #[arg(long, value_name = "FAULT:SHARE", value_parser = crate::fake::parse_fault)]
    pub fail: Vec<crate::fake::FailingShare>,
    /// Delay every response: 50ms, 2s.
    #[arg(long, value_name = "TIME", value_parser = crate::fake::parse_latency)]
    pub latency: Option<Duration>,
    /// Which responses fail: the same requests fail again with the same seed.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Write the variables to this file once the server is ready, for `--env-file`.
    #[arg(long, value_name = "FILE")]
    pub write_env: Option<PathBuf>,
}

fn records(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|it| *it <= 100_000);
    number.ok_or_else(|| "it takes a number from 0 to 100000".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_flag_takes_a_secret() {
        fn check(command: &clap::Command) {
            for argument in command.get_arguments() {
                let name = argument.get_id().as_str();
                assert!(!["token", "key", "secret", "password", "auth"].iter().any(|it| name.contains(it)), "{name}");
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
