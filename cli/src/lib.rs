//! The tool `actionlog`: exports, mirrors, merges and reports the three action logs, for those who don't write Rust.
//!
//! It is the reference use of the crate [`actionlog`], by its public API alone. The README beside it is for users; this
//! library is there for its tests.

pub mod args;
pub mod check;
pub mod compact;
pub mod config;
pub mod context;
pub mod docs;
pub mod exit;
pub mod export;
pub mod fake;
pub mod follow;
pub mod lock;
pub mod logs;
pub mod output;
pub mod report;
pub mod row;
pub mod signals;
pub mod since;
pub mod sqlite;
pub mod timeline;

use std::process::ExitCode;
use std::sync::Arc;

use args::{Cli, Color, Command};
use context::Context;
use exit::{Failure, Status};
use output::Output;
use signals::Stop;
use tracing_subscriber::layer::SubscriberExt;

/// Runs a command, and returns its exit status.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    match cli.global.color {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::AlwaysAnsi,
        Color::Never => anstream::ColorChoice::Never,
    }
    .write_global();
    log_requests(cli.global.verbose);
    let output = Arc::new(Output::new(cli.global.quiet));
    let ended = match tokio::runtime::Runtime::new() {
        Ok(runtime) => {
            let ended = runtime.block_on(execute(cli, Arc::clone(&output)));
            // What is still in flight isn't waited for.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(Failure::Error(format!("can't start: {error}"))),
    };
    output.end_progress();
    let code = match ended {
        Ok(status) => status.code(),
        Err(failure) => {
            if !matches!(failure, Failure::PipeClosed) {
                output.error(&failure.to_string());
            }
            failure.code()
        }
    };
    ExitCode::from(code)
}

async fn execute(cli: Cli, output: Arc<Output>) -> Result<Status, Failure> {
    let config = config::Config::read(cli.global.env_file.as_deref(), cli.global.allow_http)?;
    let stop = Stop::listen(Arc::clone(&output)).map_err(|error| Failure::Error(error.to_string()))?;
    let context = Context { config, output, stop };
    match cli.command {
        Command::Check(args) => check::run(&args, &context).await,
        Command::Export(args) => export::run(&args, &context).await,
        Command::Follow(args) => follow::run(&args, &context).await,
        Command::Timeline(args) => timeline::run(&args, &context).await,
        Command::Fake(args) => fake::run(args, &context.stop).await,
        Command::Report(args) => report::run(&args, &context),
        Command::Completions { shell } => docs::completions(shell),
        Command::Man { dir } => docs::man(dir.as_deref()),
    }
}

/// Writes the crate's spans and events to the standard error, and none of the libraries below it: those aren't known to
/// leave out credentials.
fn log_requests(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    };
    // A call and an attempt are spans: their lines are written when they end.
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::CLOSE);
    let only_ours = tracing_subscriber::filter::Targets::new().with_target("actionlog", level);
    let subscriber = tracing_subscriber::registry().with(lines).with(only_ours);
    // It fails only if there is one already.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
