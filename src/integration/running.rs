//! One action, logged from start to end.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::logs::Logs;
use super::{ActionLog, ActionLogDraft, LogStatus};
use crate::call::Call;

/// An action that was logged as pending: see [`Logs::begin`]. Say how it ended.
///
/// Each way to say so replaces the record, with the time that the action took. It can be said again if it doesn't come
/// through. Dropped without a word, the record stays pending.
#[derive(Debug)]
#[must_use = "until it is said how the action ended, its log stays pending"]
pub struct Running {
    logs: Logs,
    log: ActionLog,
    draft: ActionLogDraft,
    begun: Instant,
    /// How long it took, from when that was first said.
    took: OnceLock<Duration>,
}

impl Running {
    pub(super) fn begin(logs: &Logs, draft: ActionLogDraft) -> Call<Self> {
        let draft = draft.status(LogStatus::Pending);
        let logs = logs.clone();
        logs.create(draft.clone()).map(move |log| Self {
            logs: logs.clone(),
            log,
            draft: draft.clone(),
            begun: Instant::now(),
            took: OnceLock::new(),
        })
    }

    /// The record, as it was when the action began.
    #[must_use]
    pub fn log(&self) -> &ActionLog {
        &self.log
    }

    /// It succeeded.
    pub fn succeeded(&self) -> Call<ActionLog> {
        self.end(self.draft.clone().status(LogStatus::Success))
    }

    /// It succeeded, and this came back, which must be a JSON object.
    pub fn succeeded_with(&self, response: impl Serialize) -> Call<ActionLog> {
        self.end(self.draft.clone().status(LogStatus::Success).response(response))
    }

    /// It failed, and this is why. Mind what the message holds: it is stored.
    pub fn failed(&self, why: impl fmt::Display) -> Call<ActionLog> {
        self.end(self.draft.clone().status(LogStatus::Failed).error_message(why.to_string()))
    }

    /// It failed, and is tried again, for the `retries`th time. The time goes on.
    pub fn retrying(&mut self, retries: u64, why: impl fmt::Display) -> Call<ActionLog> {
        self.draft = self.draft.clone().retry_count(retries);
        let draft = self.draft.clone().status(LogStatus::Retrying).error_message(why.to_string());
        self.logs.update(self.log.id.clone(), draft.took(self.begun.elapsed()))
    }

    fn end(&self, draft: ActionLogDraft) -> Call<ActionLog> {
        self.logs.update(self.log.id.clone(), draft.took(*self.took.get_or_init(|| self.begun.elapsed())))
    }
}
