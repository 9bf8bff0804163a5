//! `actionlog check`: a line for each log.

use std::io::Write;
use std::time::Duration;

use actionlog::CheckReport;

use crate::args::CheckArgs;
use crate::config::{Missing, Problem};
use crate::context::Context;
use crate::exit::{Failure, Status};
use crate::logs::{AnyListing, Log, LogName};
use crate::output::clean;

/// The time limit for one log.
const LIMIT: Duration = Duration::from_secs(20);

/// Checks the logs, each with one request, and prints a line for each.
///
/// # Errors
///
/// [`Failure::Usage`] if none is configured, or one that was named isn't; [`Failure::Error`] if one isn't ready;
/// [`Failure::Incomplete`] if the user stopped it.
pub async fn run(args: &CheckArgs, context: &Context) -> Result<Status, Failure> {
    let names = if args.logs.is_empty() { LogName::ALL.to_vec() } else { args.logs.clone() };
    let (mut ready, mut failed, mut missing) = (0, 0, 0);
    for name in &names {
        let line = match Log::open(name, &context.config) {
            Ok(log) => {
                // A check changes nothing, so it is dropped.
                let report = tokio::select! {
                    biased;
                    () = context.stop.wait() => return Err(Failure::Incomplete("stopped before the end".to_owned())),
                    report = check(&log) => report,
                };
                if report.is_ready() {
                    ready += 1
                } else {
                    failed += 1
                }
                format!("{name}: {report} ({})", log.base_url)
            }
            Err(Problem::Missing(Missing(names))) => {
                missing += 1;
                format!("{name}: not configured: set {}", names.join(", "))
            }
            Err(Problem::Unusable(why)) => {
                failed += 1;
                format!("{name}: wrong configuration: {why}")
            }
        };
        // If nobody reads it, the exit status still says how the logs are.
        let _ = writeln!(anstream::stdout(), "{}", clean(&line));
    }
    match (ready, failed, missing) {
        (_, 0, 0) => Ok(Status::Complete),
        (1.., 0, _) if args.logs.is_empty() => Ok(Status::Complete),
        (_, 0, _) => Err(Failure::Usage(
            "set what is missing, or try the tool with `actionlog fake`, which prints variables to set".to_owned(),
        )),
        (_, count, _) => Err(Failure::Error(format!("{count} of {} logs can't be read", names.len()))),
    }
}

async fn check(log: &Log) -> CheckReport {
    match &log.listing {
        AnyListing::Arklow(client, _) => client.check().operation_timeout(LIMIT).await,
        AnyListing::Integration(client, _) => client.check().operation_timeout(LIMIT).await,
        AnyListing::Unleash(client, query, _) => client.check_events(query).operation_timeout(LIMIT).await,
    }
}
