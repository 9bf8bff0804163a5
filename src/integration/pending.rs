//! The handle of an action whose record is pending.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::client::call::Call;
use crate::integration::logs::Logs;
use crate::integration::{ActionLog, ActionLogInput, LogStatus};

/// An action whose record is pending, from [`Logs::start`]. Call [`succeed`](Self::succeed),
/// [`succeed_with`](Self::succeed_with) or [`fail`](Self::fail) when the action ends.
///
/// Each of them replaces the record and stores the execution time. Call it again if the request fails.
///
/// # When it is dropped
///
/// A record that stays pending would claim that the action is still running. So a `PendingLog` that is dropped before
/// the end of the action was stored (a cancelled task, an early return by `?`, a panic) spawns a task on the current
/// tokio runtime, which updates the record:
///
/// - If an end was reported but not stored, the task writes that end again.
/// - If no end was reported, the record becomes `failed`, with the message `cancelled`.
///
/// A `tracing` event of level `WARN` reports the drop, and another one a failure of that write. Without a runtime (the
/// one of blocking calls counts), or if the program exits before the task has run, the record stays pending.
/// [`on_drop`](Self::on_drop) can reduce this to the warning; after [`leave_pending`](Self::leave_pending) a drop does
/// nothing.
#[derive(Debug)]
#[must_use = "call `succeed`, `succeed_with` or `fail`: dropped without one, the record becomes `failed`"]
pub struct PendingLog {
    logs: Logs,
    log: ActionLog,
    input: ActionLogInput,
    started: Instant,
    /// The execution time, fixed when an end is first reported: a repeated report keeps it.
    took: OnceLock<Duration>,
    /// The end that was reported last.
    end: Mutex<Option<End>>,
    /// `None` after `leave_pending`.
    on_drop: Option<OnDrop>,
}

/// How an action ended, and whether the server has stored that.
#[derive(Debug)]
struct End {
    input: ActionLogInput,
    stored: Arc<AtomicBool>,
}

/// What happens to the record of a [`PendingLog`] that is dropped before the end of its action was stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnDrop {
    /// Writes the end that was reported last; if none was, `failed` with the message `cancelled`.
    #[default]
    Write,
    /// Leaves the record pending, and emits a `tracing` event of level `WARN`.
    Warn,
}

impl Logs {
    /// Creates a pending record for an action that is about to start, and returns a handle that records how it ended.
    ///
    /// The execution time is measured from when the record has been created. [`logged`](Self::logged) does all of this
    /// around a future; `start` is for an action that isn't a single future.
    ///
    /// ```no_run
    /// use actionlog::integration::{ActionFields, ActionType};
    /// use serde_json::json;
    ///
    /// # async fn push_product() -> Result<serde_json::Value, std::io::Error> { Ok(json!({})) }
    /// # async fn example(client: actionlog::IntegrationClient) -> actionlog::Result<()> {
    /// let pending = client.logs().start(ActionFields {
    ///     integration_id: "60f7b1b3e4b0e8b3f8b3f8b4".into(),
    ///     action_type: ActionType::Update,
    ///     entity_type: "product".into(),
    /// }).await?;
    /// let log = match push_product().await {
    ///     Ok(response) => pending.succeed_with(response).await?,
    ///     Err(error) => pending.fail(error).await?,
    /// };
    /// println!("{} took {:?}", log.id, log.took());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// If the call is dropped before it completes, the record may have been written and then stays pending.
    ///
    /// # Errors
    ///
    /// Those of [`create`](Self::create), and [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for an input whose
    /// status isn't pending.
    pub fn start(&self, input: impl Into<ActionLogInput>) -> Call<PendingLog> {
        let input = input.into().starting();
        let logs = self.clone();
        self.create(&input).map(move |log| PendingLog {
            logs: logs.clone(),
            log,
            input: input.clone(),
            started: Instant::now(),
            took: OnceLock::new(),
            end: Mutex::new(None),
            on_drop: Some(OnDrop::default()),
        })
    }
}

impl PendingLog {
    /// The pending record, as it was created.
    #[must_use]
    pub fn log(&self) -> &ActionLog {
        &self.log
    }

    /// What happens to the record if this is dropped before the end of the action was stored. The default is
    /// [`OnDrop::Write`].
    pub fn on_drop(mut self, on_drop: OnDrop) -> Self {
        self.on_drop = Some(on_drop);
        self
    }

    /// Leaves the record pending, for another program that reports the end by an [`update`](Logs::update).
    pub fn leave_pending(mut self) -> ActionLog {
        self.on_drop = None;
        self.log.clone()
    }

    /// Records success.
    pub fn succeed(&self) -> Call<ActionLog> {
        self.end(self.input.clone().status(LogStatus::Success))
    }

    /// Records success, with the response that the integration received.
    ///
    /// Any response is accepted, as the action has already succeeded. One that isn't a JSON object is stored as
    /// `{"value": ..}`, and `null` isn't stored. If it can't be serialised as JSON, the reason is stored as
    /// `{"unwritable": ".."}`.
    pub fn succeed_with(&self, response: impl Serialize) -> Call<ActionLog> {
        self.end(self.input.clone().status(LogStatus::Success).any_response(&response))
    }

    /// Records failure, with the reason as the error message. The message is stored: keep secrets out of it.
    pub fn fail(&self, why: impl fmt::Display) -> Call<ActionLog> {
        self.end(self.input.clone().status(LogStatus::Failed).error_message(why.to_string()))
    }

    /// Records the end that `how` sets.
    pub(super) fn ended(&self, how: impl FnOnce(ActionLogInput) -> ActionLogInput) -> Call<ActionLog> {
        self.end(how(self.input.clone()))
    }

    /// Records that the action failed and is retried for the `retries`th time. The execution time keeps running.
    pub fn retrying(&mut self, retries: u64, why: impl fmt::Display) -> Call<ActionLog> {
        self.input = self.input.clone().retry_count(retries);
        *self.reported() = None;
        let input = self.input.clone().status(LogStatus::Retrying).error_message(why.to_string());
        self.logs.update(&self.log.id, input.took(self.started.elapsed()))
    }

    fn end(&self, input: ActionLogInput) -> Call<ActionLog> {
        let input = input.took(*self.took.get_or_init(|| self.started.elapsed()));
        let stored = Arc::new(AtomicBool::new(false));
        *self.reported() = Some(End { input: input.clone(), stored: Arc::clone(&stored) });
        self.logs.update(&self.log.id, input).map(move |log| {
            stored.store(true, Ordering::Relaxed);
            log
        })
    }

    fn reported(&self) -> std::sync::MutexGuard<'_, Option<End>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The end that is not stored yet, and the reason to log.
    fn unwritten(&self) -> Option<(ActionLogInput, &'static str)> {
        match &*self.reported() {
            Some(end) if end.stored.load(Ordering::Relaxed) => None,
            Some(end) => Some((end.input.clone(), "its end was reported but not stored")),
            None => {
                let input = self.input.clone().status(LogStatus::Failed).error_message("cancelled");
                Some((input.took(self.started.elapsed()), "its end was never reported"))
            }
        }
    }
}

impl Drop for PendingLog {
    fn drop(&mut self) {
        let (Some(on_drop), Some((input, why))) = (self.on_drop, self.unwritten()) else { return };
        let id = self.log.id.clone();
        match (on_drop, runtime()) {
            (OnDrop::Write, Some(runtime)) => {
                tracing::warn!(target: "actionlog", %id, "a pending log was dropped: {why}; writing it now");
                let write = self.logs.update(&id, input);
                runtime.spawn(FutureExt::map(write, move |result| {
                    if let Err(error) = result {
                        tracing::warn!(target: "actionlog", %id, %error, "the record of a dropped pending log could \
                            not be updated");
                    }
                }));
            }
            _ => {
                tracing::warn!(target: "actionlog", %id, "a pending log was dropped: {why}; the record stays pending")
            }
        }
    }
}

/// The runtime to write in: the current one, or the one of blocking calls.
fn runtime() -> Option<Handle> {
    let current = Handle::try_current().ok();
    #[cfg(feature = "blocking")]
    let current = current.or_else(crate::blocking::started);
    current
}
