//! One action, logged from start to end.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::logs::Logs;
use super::{ActionLog, ActionLogDraft, LogStatus};
use crate::call::Call;

/// An action that was logged as pending: see [`Logs::begin`]. Say how it ended.
///
/// Each way to say so replaces the record, with the time that the action took. It can be said again if it doesn't come
/// through.
///
/// # When it is dropped
///
/// A record that stays pending for ever says that an action is under way which isn't. So a `Running` that is dropped
/// before its end was stored (the task was cancelled, an `?` returned early, a panic) sees to its record, by a task that
/// it spawns on the tokio runtime it is dropped in:
///
/// - where an end had been said that didn't come through, that end is written once more;
/// - where none had been said, the record becomes `failed`, with the message `cancelled`.
///
/// A `tracing` event of level `WARN` says so, and another one if that write fails too. Without a runtime, or if the
/// program ends before the task has run, the record stays pending. [`on_drop`](Self::on_drop) chooses a warning alone, and
/// [`leave_pending`](Self::leave_pending) nothing at all.
#[derive(Debug)]
#[must_use = "until it is said how the action ended, its log stays pending"]
pub struct Running {
    logs: Logs,
    log: ActionLog,
    draft: ActionLogDraft,
    begun: Instant,
    /// How long it took, from when that was first said.
    took: OnceLock<Duration>,
    /// The end that was said last.
    end: Mutex<Option<End>>,
    /// `None` for one that is left as it is.
    on_drop: Option<OnDrop>,
}

/// How an action ended, and whether the server has stored that.
#[derive(Debug)]
struct End {
    draft: ActionLogDraft,
    stored: Arc<AtomicBool>,
}

/// What becomes of a record whose [`Running`] is dropped before its end was stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnDrop {
    /// It is written how the action ended: as was said last, or else as `failed`, with the message `cancelled`.
    #[default]
    Write,
    /// It stays as it is, and a `tracing` event of level `WARN` says so.
    Warn,
}

impl Running {
    pub(super) fn begin(logs: &Logs, draft: ActionLogDraft) -> Call<Self> {
        let draft = draft.begun();
        let logs = logs.clone();
        logs.create(&draft).map(move |log| Self {
            logs: logs.clone(),
            log,
            draft: draft.clone(),
            begun: Instant::now(),
            took: OnceLock::new(),
            end: Mutex::new(None),
            on_drop: Some(OnDrop::default()),
        })
    }

    /// The record, as it was when the action began.
    #[must_use]
    pub fn log(&self) -> &ActionLog {
        &self.log
    }

    /// What becomes of the record if this is dropped before its end was stored; [`OnDrop::Write`] unless set.
    pub fn on_drop(mut self, on_drop: OnDrop) -> Self {
        self.on_drop = Some(on_drop);
        self
    }

    /// Leaves the record pending: another program says how the action ended, by an [`update`](Logs::update).
    pub fn leave_pending(mut self) -> ActionLog {
        self.on_drop = None;
        self.log.clone()
    }

    /// It succeeded.
    pub fn succeeded(&self) -> Call<ActionLog> {
        self.end(self.draft.clone().status(LogStatus::Success))
    }

    /// It succeeded, and this came back. That was done, whatever this is: what isn't a JSON object is stored as
    /// `{"value": ..}`, `null` not at all, and of what can't be written as JSON the reason, as `{"unwritable": ".."}`.
    pub fn succeeded_with(&self, response: impl Serialize) -> Call<ActionLog> {
        self.end(self.draft.clone().status(LogStatus::Success).any_response(&response))
    }

    /// It failed, and this is why. Mind what the message holds: it is stored.
    pub fn failed(&self, why: impl fmt::Display) -> Call<ActionLog> {
        self.end(self.draft.clone().status(LogStatus::Failed).error_message(why.to_string()))
    }

    /// It ended as this says.
    pub(crate) fn ended(&self, how: impl FnOnce(ActionLogDraft) -> ActionLogDraft) -> Call<ActionLog> {
        self.end(how(self.draft.clone()))
    }

    /// It failed, and is tried again, for the `retries`th time. The time goes on.
    pub fn retrying(&mut self, retries: u64, why: impl fmt::Display) -> Call<ActionLog> {
        self.draft = self.draft.clone().retry_count(retries);
        *self.said() = None;
        let draft = self.draft.clone().status(LogStatus::Retrying).error_message(why.to_string());
        self.logs.update(&self.log.id, draft.took(self.begun.elapsed()))
    }

    fn end(&self, draft: ActionLogDraft) -> Call<ActionLog> {
        let draft = draft.took(*self.took.get_or_init(|| self.begun.elapsed()));
        let stored = Arc::new(AtomicBool::new(false));
        *self.said() = Some(End { draft: draft.clone(), stored: Arc::clone(&stored) });
        self.logs.update(&self.log.id, draft).map(move |log| {
            stored.store(true, Ordering::Relaxed);
            log
        })
    }

    fn said(&self) -> std::sync::MutexGuard<'_, Option<End>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The end that is still to be written, and what it's for.
    fn unwritten(&self) -> Option<(ActionLogDraft, &'static str)> {
        match &*self.said() {
            Some(end) if end.stored.load(Ordering::Relaxed) => None,
            Some(end) => Some((end.draft.clone(), "how the action ended was said, and not stored")),
            None => {
                let draft = self.draft.clone().status(LogStatus::Failed).error_message("cancelled");
                Some((draft.took(self.begun.elapsed()), "how the action ended was never said"))
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let (Some(on_drop), Some((draft, why))) = (self.on_drop, self.unwritten()) else { return };
        let id = self.log.id.clone();
        match (on_drop, Handle::try_current()) {
            (OnDrop::Write, Ok(runtime)) => {
                tracing::warn!(target: "actionlog", %id, "a running action was dropped: {why}; it is written now");
                let write = self.logs.update(&id, draft);
                runtime.spawn(FutureExt::map(write, move |result| {
                    if let Err(error) = result {
                        tracing::warn!(target: "actionlog", %id, %error, "the log of a dropped action stays as it was");
                    }
                }));
            }
            _ => {
                tracing::warn!(target: "actionlog", %id, "a running action was dropped: {why}; its log stays as it was")
            }
        }
    }
}
