//! Runs an action and logs it.

use std::fmt;
use std::future::IntoFuture;

use futures_core::future::BoxFuture;
use serde::Serialize;
use tokio::time::Instant;

use crate::error::{Error, Result, WriteOutcome};
use crate::integration::{ActionLog, ActionLogInput, LogStatus, Logs};

/// An action that hasn't run yet, and its log: see [`Logs::logged`]. Await it.
#[must_use = "neither the action nor its log starts until this is awaited: call `.await`"]
pub struct LoggedAction<'a, T, E> {
    logs: Logs,
    input: ActionLogInput,
    action: BoxFuture<'a, Result<T, E>>,
    on_log_failure: LogFailure,
    response: Option<fn(ActionLogInput, &T) -> ActionLogInput>,
}

/// What to do if the log of an action can't be started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogFailure {
    /// The action doesn't run, so that no action goes unlogged.
    #[default]
    Abort,
    /// The action runs anyway, and its log is written afterwards in a single request, if that succeeds. If the attempt
    /// to start the log may have written one, no second log is written.
    Continue,
}

/// The results of an action and of its log.
#[derive(Debug)]
#[must_use = "the action's own result is in `result`"]
pub struct Logged<T, E> {
    /// The action's result.
    pub result: Result<T, E>,
    /// The log as stored, or the error that prevented the action's result from being logged.
    pub log: Result<ActionLog>,
}

impl<'a, T, E> LoggedAction<'a, T, E> {
    pub(super) fn new(
        logs: Logs,
        input: ActionLogInput,
        action: impl Future<Output = Result<T, E>> + Send + 'a,
    ) -> Self {
        Self { logs, input, action: Box::pin(action), on_log_failure: LogFailure::default(), response: None }
    }

    /// What to do if the log can't be started; [`LogFailure::Abort`] unless set.
    pub fn on_log_failure(mut self, policy: LogFailure) -> Self {
        self.on_log_failure = policy;
        self
    }

    /// Stores the action's return value as the log's response: see
    /// [`PendingLog::succeed_with`](crate::integration::PendingLog::succeed_with).
    pub fn with_response(mut self) -> Self
    where
        T: Serialize,
    {
        self.response = Some(|input, value| input.any_response(value));
        self
    }
}

impl<'a, T: Send + Sync + 'a, E: fmt::Display + Send + Sync + 'a> LoggedAction<'a, T, E> {
    async fn run(self) -> Result<Logged<T, E>> {
        let Self { logs, input, action, on_log_failure, response } = self;
        let begun = Instant::now();
        let ended = |input: ActionLogInput, result: &Result<T, E>| match (result, response) {
            (Ok(value), Some(response)) => response(input.status(LogStatus::Success), value),
            (Ok(_), None) => input.status(LogStatus::Success),
            (Err(error), _) => input.status(LogStatus::Failed).error_message(error.to_string()),
        };
        let error = match logs.start(&input).await {
            // If this future is dropped, or the action panics, the drop of `running` logs that the action was
            // cancelled.
            Ok(running) => {
                let result = action.await;
                let log = running.ended(|input| ended(input, &result)).await;
                return Ok(Logged { result, log });
            }
            Err(error) if on_log_failure == LogFailure::Abort => return Err(error),
            Err(error) => error,
        };
        let result = action.await;
        let log = late(&logs, error, ended(input, &result).took(begun.elapsed())).await;
        Ok(Logged { result, log })
    }
}

/// Writes the log of a finished action, unless the attempt to start the log may have written one.
async fn late(logs: &Logs, error: Error, input: ActionLogInput) -> Result<ActionLog> {
    match error.outcome() {
        WriteOutcome::NotSent | WriteOutcome::NotApplied => logs.create(input).await,
        WriteOutcome::Unknown | WriteOutcome::Applied => Err(error),
    }
}

impl<'a, T: Send + Sync + 'a, E: fmt::Display + Send + Sync + 'a> IntoFuture for LoggedAction<'a, T, E> {
    type Output = Result<Logged<T, E>>;
    type IntoFuture = BoxFuture<'a, Result<Logged<T, E>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<T, E> fmt::Debug for LoggedAction<'_, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoggedAction").field("on_log_failure", &self.on_log_failure).finish_non_exhaustive()
    }
}
