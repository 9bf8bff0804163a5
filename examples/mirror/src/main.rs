//! Keeps a copy of the three logs in one SQLite file: `actionlog-mirror [FILE]`, by default `mirror.sqlite`.
//!
//! Records and checkpoint are written in one transaction, so it may be killed at any moment, and started again. Ctrl-C
//! ends it behind a whole batch. Run one on a file: of two, the second to save the checkpoint of a log writes nothing
//! of its batch, and fails. With three logs, that may end both, each by another log.
//!
//! The exit status is 0 after Ctrl-C, and 1 after an error, which it prints.
//!
//! It follows real servers if `UNLEASH_URL` is set. Then it needs `UNLEASH_TOKEN`, `ARKLOW_API_KEY`, `ARKLOW_ORG_ID`,
//! `INTEGRATION_LOGS_URL` and `INTEGRATION_LOGS_AUTHORIZATION`, too; optionally `UNLEASH_PROJECT` (default: `default`),
//! `UNLEASH_ACTION_SET` (`1`), `MIRROR_POLL_MS` (`5000`), and what else the clients' `from_env` read. Without
//! `UNLEASH_URL` it shows itself with a fake server whose logs grow and change for a few seconds, in a file that it
//! removes.

use std::env;
use std::fmt::Display;
use std::pin::pin;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use actionlog::testing::FakeServer;
use actionlog::{ArklowClient, IntegrationClient, UnleashClient};
use actionlog_mirror::{Database, Failure, Logs, demo, mirror};
use tokio::sync::watch;

#[tokio::main]
async fn main() -> ExitCode {
    let Err(error) = run().await else { return ExitCode::SUCCESS };
    eprint!("actionlog-mirror: {error}");
    let mut source = error.source();
    while let Some(error) = source {
        eprint!(": {error}");
        source = error.source();
    }
    eprintln!();
    ExitCode::FAILURE
}

async fn run() -> Result<(), Failure> {
    let (stop, stopped) = watch::channel(false);
    if env::var_os("UNLEASH_URL").is_none_or(|it| it.is_empty()) {
        return show(stop, stopped).await;
    }
    let path = env::args_os().nth(1).unwrap_or("mirror.sqlite".into());
    let millis = number("MIRROR_POLL_MS", "5000")?;
    let logs = Logs {
        unleash: UnleashClient::from_env()?,
        arklow: ArklowClient::from_env()?,
        integration: IntegrationClient::from_env()?,
        project: env::var("UNLEASH_PROJECT").unwrap_or("default".into()),
        action_set: number("UNLEASH_ACTION_SET", "1")?,
        poll_interval: Duration::from_millis(millis),
    };
    let mut running = pin!(mirror(logs, Database::open(path)?, stopped));
    tokio::select! {
        // First of all, so that a signal is noticed from here on.
        biased;
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        ended = &mut running => return ended,
    }
    let _ = stop.send(true);
    running.await
}

/// The number in an environment variable.
fn number<T: FromStr<Err: Display>>(name: &str, unless_set: &str) -> Result<T, Failure> {
    let text = env::var(name).unwrap_or(unless_set.into());
    text.parse().map_err(|error| format!("{name} is {text:?}: {error}").into())
}

/// Mirrors a fake server for a few seconds, and compares the copy with it.
async fn show(stop: watch::Sender<bool>, stopped: watch::Receiver<bool>) -> Result<(), Failure> {
    let fake = FakeServer::new();
    demo::fill(&fake, 300);
    let server = fake.listen().await?;
    let url = server.url();
    let logs = Logs {
        unleash: UnleashClient::builder(&url).api_key("user:demo").build()?,
        arklow: ArklowClient::builder("4711").base_url(&url).api_key("demo").build()?,
        integration: IntegrationClient::builder(&url).api_key("demo").build()?,
        project: "default".into(),
        action_set: 1,
        poll_interval: Duration::from_millis(100),
    };
    let path = env::temp_dir().join(format!("actionlog-mirror-{}.sqlite", std::process::id()));
    let running = tokio::spawn(mirror(logs, Database::open(&path)?, stopped));
    for turn in 1..=100 {
        demo::tick(&fake, turn);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Two sweeps later, everything has been seen.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let _ = stop.send(true);
    running.await??;
    let database = Database::open(&path)?;
    for (name, log) in demo::logs(&fake) {
        let differing = demo::differing(&database, name, &log)?;
        if !differing.is_empty() {
            return Err(format!("{name}: the copy differs from the server in {differing:?}").into());
        }
        println!("{name}: {} records, the same as the server's", log.len());
    }
    drop(database);
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{ending}", path.display()));
    }
    Ok(())
}
