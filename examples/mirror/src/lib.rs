//! Keeps a copy of the three logs in one SQLite file.

mod database;
pub mod demo;

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actionlog::arklow::RecordsQuery;
use actionlog::follow::StartFrom;

use actionlog::{ArklowClient, IntegrationClient, LogRecord, Paginate, UnleashClient};
pub use database::{Database, Rival};
use tokio::sync::watch;

/// The three clients, and which events to follow.
#[derive(Clone, Debug)]
pub struct Logs {
    pub unleash: UnleashClient,
    pub arklow: ArklowClient,
    pub integration: IntegrationClient,
    pub project: String,
    pub action_set: i64,
    pub poll_interval: Duration,
}

/// Any error.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Follows the three logs until `stop` changes, or one of them can't be followed any further.
pub async fn mirror(logs: Logs, database: Database, stop: watch::Receiver<bool>) -> Result<(), Failure> {
    let database = Arc::new(Mutex::new(database));
    let events = logs.unleash.action_set_events().list((logs.project, logs.action_set));
    let records = logs.arklow.records().list(RecordsQuery::new().include_state().include_definition());
    let one = follow("unleash", events, logs.poll_interval, Arc::clone(&database), stop.clone());
    let two = follow("arklow", records, logs.poll_interval, Arc::clone(&database), stop.clone());
    let three = follow("integration", logs.integration.logs().list(()), logs.poll_interval, database, stop);
    tokio::try_join!(one, two, three).map(|_| ())
}

async fn follow<Q: Paginate>(
    name: &'static str,
    listing: actionlog::Listing<Q>,
    poll_interval: Duration,
    database: Arc<Mutex<Database>>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure>
where
    Q::Item: LogRecord,
{
    let stored = lock(&database).checkpoint(name)?;
    let mut version = stored.as_ref().map(|it| it.1);
    let mut follow = listing
        .with_raw()
        .follow()
        .start_from(stored.map_or(StartFrom::Beginning, |it| StartFrom::Checkpoint(it.0)))
        .poll_interval(poll_interval)
        .max_poll_interval(6 * poll_interval)
        .sweep_interval(12 * poll_interval)
        .shutdown_on(async move { drop(stop.wait_for(|it| *it).await) });
    let mut was_caught_up = false;
    while let Some(batch) = follow.next().await {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) if error.is_transient() => {
                eprintln!("{name}: {error}");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let id = |record: &Q::Item| record.key().to_string();
        version = Some(lock(&database).apply(name, &batch, id, version)?);
        let progress = &batch.progress;
        if let Some(gap) = &progress.gap {
            eprintln!("{name}: {gap}");
        }
        if !batch.changes.is_empty() || progress.caught_up != was_caught_up {
            let state = if progress.caught_up { "caught up" } else { "catching up" };
            println!("{name}: {} changes, {state}", batch.changes.len());
        }
        was_caught_up = progress.caught_up;
    }
    println!("{name}: stopped behind a whole batch");
    Ok(())
}

fn lock(database: &Mutex<Database>) -> std::sync::MutexGuard<'_, Database> {
    database.lock().unwrap_or_else(PoisonError::into_inner)
}
