//! `actionlog fake`: the fake server on a port.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use actionlog::testing::Fault;

use crate::args::FakeArgs;
use crate::exit::{Failure, Status};
use crate::export::target::write_atomically;
use crate::signals::Stop;

// The example `fake_server` of the crate is the same server, for those who have nothing but the crate.
#[path = "../../examples/fake_server/serve.rs"]
mod serve;
#[path = "../../examples/fake_server/settings.rs"]
mod settings;

/// A fault, and the share of the responses that it hits.
pub type FailingShare = (Fault, f64);

/// Parses `--rate`.
///
/// # Errors
///
/// What it takes.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    settings::rate(text).ok_or_else(|| format!("it takes {}", settings::RATE))
}

/// Parses `--fail`.
///
/// # Errors
///
/// What it takes.
pub fn parse_fault(text: &str) -> Result<FailingShare, String> {
    settings::fault(text).ok_or_else(|| format!("it takes {}", settings::FAIL))
}

/// Parses `--latency`.
///
/// # Errors
///
/// What it takes.
pub fn parse_latency(text: &str) -> Result<Duration, String> {
    settings::time(text).ok_or_else(|| format!("it takes {}", settings::LATENCY))
}

/// Serves until it is stopped.
///
/// # Errors
///
/// If the port can't be opened.
pub async fn run(args: FakeArgs, stop: &Stop) -> Result<Status, Failure> {
    let FakeArgs { port, records, rate, fail, latency, seed, write_env } = args;
    let settings = settings::Args {
        port,
        records,
        rate: rate.unwrap_or_default(),
        fail,
        latency: latency.unwrap_or_default(),
        seed,
    };
    // What failed once the port was open isn't the port's failure.
    let mut failure = None;
    let ready = |url: &str| -> io::Result<()> {
        let shown = show(url, records, write_env.as_deref());
        shown.map_err(|it| io::Error::other(failure.insert(it).to_string()))
    };
    let served = tokio::select! {
        served = serve::run(&settings, ready) => served,
        () = stop.wait() => Ok(()),
    };
    if let Some(failure) = failure {
        return Err(failure);
    }
    match served {
        Ok(()) => Ok(Status::Complete),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(Failure::Error(format!("--port {port}: it is in use; choose another, or 0 for a free one")))
        }
        Err(error) => Err(Failure::Error(format!("--port {port}: {error}"))),
    }
}

/// Says where the server is. If nobody reads it, the server goes on.
fn show(url: &str, records: usize, write_env: Option<&Path>) -> Result<(), Failure> {
    if let Some(path) = write_env {
        let lines = serve::variables(url).map(|(name, value)| format!("{name}='{value}'\n"));
        write_atomically(path, lines.concat().as_bytes())?;
    }
    let mut out = io::stdout();
    match out.write_all(serve::welcome(url, records).as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::output(&error)),
        _ => Ok(()),
    }
}
