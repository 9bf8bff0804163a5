//! `actionlog follow`: keeps a file in step with logs.

mod database;
mod journal;

use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actionlog::follow::{Batch, Change, Checkpoint, StartFrom};
use actionlog::page::Raw;
use actionlog::{AnyRecord, Listing, LogRecord, Paginate};
use futures_util::future::join_all;
use tokio::sync::watch;

use crate::args::{FollowArgs, Format};
use crate::context::Context;
use crate::exit::{Failure, Status, explain};
use crate::export::{format_of_name, target};
use crate::follow::database::Database;
use crate::follow::journal::Journal;
use crate::lock;
use crate::logs::{Log, with_listing};
use crate::signals::Stop;

/// Where the changes of logs go, each batch with its checkpoint, whole or not at all.
trait Store: Send {
    /// Returns the checkpoint of a log, if it was followed before.
    fn checkpoint(&mut self, log: &str) -> Result<Option<Checkpoint>, Failure>;

    /// Applies a batch, and stores its checkpoint.
    fn apply(&mut self, log: &str, batch: &Batch<Raw<AnyRecord>>) -> Result<(), Failure>;
}

/// How a log was followed.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    invalid: u64,
    has_gap: bool,
    caught_up: bool,
    shown: Shown,
}

impl Outcome {
    fn note<R>(&mut self, name: &str, batch: &Batch<R>, context: &Context) {
        self.invalid += batch.changes.iter().filter(|it| matches!(it, Change::Invalid(_))).count() as u64;
        if let Some(gap) = &batch.progress.gap {
            self.has_gap = true;
            context.output.warn(&format!("{name}: {gap}"));
        }
        self.caught_up = batch.progress.caught_up;
        self.shown.show(name, batch, context);
    }
}

/// Follows the logs until the user stops it, or one of them can't be followed any further.
///
/// # Errors
///
/// If a log isn't configured or can't be followed any further, or if the file can't be written or is followed by
/// another process.
pub async fn run(args: &FollowArgs, context: &Context) -> Result<Status, Failure> {
    let logs: Vec<_> = args
        .logs
        .iter()
        .map(|it| Ok(Log::required(it, &context.config)?.page_size(args.page_size)))
        .collect::<Result<_, Failure>>()?;
    if let Some(twice) = args.logs.iter().enumerate().find(|(index, it)| args.logs[..*index].contains(it)) {
        return Err(Failure::Usage(format!("{} is named twice", twice.1)));
    }
    let (_lock, store) = open(&args.to)?;
    let store = Mutex::new(store);
    let (failed, failure) = watch::channel(false);
    let followers = logs.into_iter().map(|log| {
        let failed = &failed;
        let (store, failure) = (&store, failure.clone());
        async move {
            let name = log.name.to_string();
            let followed =
                with_listing!(log.listing, |listing| follow(&name, listing, args, context, store, failure).await);
            if followed.is_err() {
                // The others end behind their batch.
                let _ = failed.send(true);
            }
            followed
        }
    });
    let outcomes: Vec<Outcome> = join_all(followers).await.into_iter().collect::<Result<_, Failure>>()?;
    context.output.end_progress();
    if args.once && !outcomes.iter().all(|it| it.caught_up) {
        return Err(Failure::Incomplete("stopped before the end: the next run continues there".to_owned()));
    }
    let is_doubtful = outcomes.iter().any(|it| it.invalid > 0 || it.has_gap);
    Ok(if is_doubtful { Status::Unverified } else { Status::Complete })
}

/// Locks the file, and opens it by its format.
fn open(path: &Path) -> Result<(File, Box<dyn Store>), Failure> {
    let format = format_of_name(path).filter(|it| matches!(it, Format::Sqlite | Format::Ndjson));
    let format = format.ok_or_else(|| {
        Failure::Usage(format!("{}: follow writes .sqlite (or .db) and .ndjson (or .jsonl)", path.display()))
    })?;
    let lock = lock(path)?;
    let store: Box<dyn Store> = match format {
        Format::Sqlite => Box::new(Database::open(path)?),
        _ => Box::new(Journal::open(path)?),
    };
    Ok((lock, store))
}

async fn follow<Q>(
    name: &str,
    listing: Listing<Q>,
    args: &FollowArgs,
    context: &Context,
    store: &Mutex<Box<dyn Store>>,
    failure: watch::Receiver<bool>,
) -> Result<Outcome, Failure>
where
    Q: Paginate<Item: LogRecord>,
    Raw<AnyRecord>: From<Q::Item>,
{
    let checkpoint = locked(store).checkpoint(name)?;
    // One that was followed before was configured well, so its server is in trouble for the moment.
    let was_followed = checkpoint.is_some();
    let mut follow = listing
        .follow()
        .start_from(checkpoint.map_or(StartFrom::Beginning, StartFrom::Checkpoint))
        .poll_interval(args.poll)
        .max_poll_interval(6 * args.poll)
        .sweep_interval(args.sweep)
        .shutdown_on(stopped(context.stop.clone(), failure));
    let mut outcome = Outcome::default();
    while let Some(batch) = follow.next().await {
        let batch = match batch {
            Ok(batch) => converted(batch),
            Err(error) if error.is_transient() && (was_followed || outcome.shown.batches > 0) => {
                context.output.warn(&format!("{name}: {}", explain(&error)));
                continue;
            }
            Err(error) => return Err(in_log(name, error)),
        };
        locked(store).apply(name, &batch)?;
        outcome.note(name, &batch, context);
        if args.once && outcome.caught_up {
            break;
        }
    }
    Ok(outcome)
}

/// Waits for a signal, or for the failure of another log.
async fn stopped(stop: Stop, mut failure: watch::Receiver<bool>) {
    tokio::select! {
        () = stop.wait() => {}
        _ = failure.wait_for(|it| *it) => {}
    }
}

/// Returns an error as a failure that names the log.
fn in_log(name: &str, error: actionlog::Error) -> Failure {
    match error.into() {
        Failure::Error(message) => Failure::Error(format!("{name}: {message}")),
        Failure::Usage(message) => Failure::Usage(format!("{name}: {message}")),
        Failure::Incomplete(message) => Failure::Incomplete(format!("{name}: {message}")),
        other => other,
    }
}

fn locked(store: &Mutex<Box<dyn Store>>) -> std::sync::MutexGuard<'_, Box<dyn Store>> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns a batch of records of any log.
fn converted<R>(batch: Batch<R>) -> Batch<Raw<AnyRecord>>
where
    Raw<AnyRecord>: From<R>,
{
    batch.map(Raw::<AnyRecord>::from)
}

/// What was shown of a log.
#[derive(Clone, Copy, Debug, Default)]
struct Shown {
    batches: u64,
    changes: u64,
    caught_up: bool,
}

impl Shown {
    /// Says how many changes came, and when the log is caught up.
    fn show<R>(&mut self, name: &str, batch: &Batch<R>, context: &Context) {
        self.batches += 1;
        self.changes += batch.changes.len() as u64;
        let is_news = batch.progress.caught_up != self.caught_up;
        self.caught_up = batch.progress.caught_up;
        if !self.caught_up {
            context.output.progress(name, self.changes, None);
        } else if is_news || !batch.changes.is_empty() {
            let newest = batch.progress.newest.map(|it| format!(", newest {}", it.format("%Y-%m-%d %H:%M:%S")));
            context.output.end_progress();
            context.output.note(&format!("{name}: {} changes, caught up{}", self.changes, newest.unwrap_or_default()));
            self.changes = 0;
        }
    }
}

/// Keeps other runs away from the file, until the lock is dropped.
fn lock(path: &Path) -> Result<File, Failure> {
    if let Some(folder) = path.parent().filter(|it| !it.as_os_str().is_empty() && !it.is_dir()) {
        return Err(Failure::Error(format!("the folder {} isn't there: create it first", folder.display())));
    }
    let lock = lock::follow(path)?;
    if target::is_under_way(path)? {
        let path = path.display();
        return Err(Failure::Error(format!("an export is writing {path}: wait for its end, or choose another name")));
    }
    Ok(lock)
}

/// The least time between two stored checkpoints of batches without changes.
const QUIET: Duration = Duration::from_secs(60);
