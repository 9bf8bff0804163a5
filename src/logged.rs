//! An action with its log around it: what waits for both.

use std::fmt;
use std::future::IntoFuture;

use futures_core::future::BoxFuture;
use serde::Serialize;
use tokio::time::Instant;

use crate::error::{Error, RequestOutcome, Result};
use crate::integration::{ActionLog, ActionLogDraft, LogStatus, Logs};

/// An action that is to be run and logged, before either: see [`Logs::logged`]. Await it.
#[must_use = "neither the action nor its log begins until this is awaited"]
pub struct LoggedAction<'a, T, E> {
    logs: Logs,
    draft: ActionLogDraft,
    action: BoxFuture<'a, Result<T, E>>,
    on_log_failure: LogFailure,
    response: Option<fn(ActionLogDraft, &T) -> ActionLogDraft>,
}

/// What is done if the log of an action can't be begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogFailure {
    /// The action isn't run: nothing is done that isn't logged.
    #[default]
    Abort,
    /// The action is run all the same, and its log written afterwards, in one, if that can be done then. (Not where the
    /// first attempt may have written one: it would be there twice.)
    Continue,
}

/// What came of an action, and of its log.
#[derive(Debug)]
#[must_use = "the action's own result is in it"]
pub struct Logged<T, E> {
    /// What came of the action.
    pub result: Result<T, E>,
    /// The log as stored; or why it isn't known to say how the action ended.
    pub log: Result<ActionLog>,
}

impl<'a, T, E> LoggedAction<'a, T, E> {
    pub(crate) fn new(
        logs: Logs,
        draft: ActionLogDraft,
        action: impl Future<Output = Result<T, E>> + Send + 'a,
    ) -> Self {
        Self { logs, draft, action: Box::pin(action), on_log_failure: LogFailure::default(), response: None }
    }

    /// What is done if the log can't be begun; [`LogFailure::Abort`] unless set.
    pub fn on_log_failure(mut self, policy: LogFailure) -> Self {
        self.on_log_failure = policy;
        self
    }

    /// Stores what the action returned as the log's response: see
    /// [`Running::succeeded_with`](crate::integration::Running::succeeded_with).
    pub fn with_response(mut self) -> Self
    where
        T: Serialize,
    {
        self.response = Some(|draft, value| draft.any_response(value));
        self
    }
}

impl<'a, T: Send + Sync + 'a, E: fmt::Display + Send + Sync + 'a> LoggedAction<'a, T, E> {
    async fn run(self) -> Result<Logged<T, E>> {
        let Self { logs, draft, action, on_log_failure, response } = self;
        let begun = Instant::now();
        let ended = |draft: ActionLogDraft, result: &Result<T, E>| match (result, response) {
            (Ok(value), Some(response)) => response(draft.status(LogStatus::Success), value),
            (Ok(_), None) => draft.status(LogStatus::Success),
            (Err(error), _) => draft.status(LogStatus::Failed).error_message(error.to_string()),
        };
        let error = match logs.begin(&draft).await {
            // Dropped half-way, or by a panic of the action, it says that the action was cancelled.
            Ok(running) => {
                let result = action.await;
                let log = running.ended(|draft| ended(draft, &result)).await;
                return Ok(Logged { result, log });
            }
            Err(error) if on_log_failure == LogFailure::Abort => return Err(error),
            Err(error) => error,
        };
        let result = action.await;
        let log = late(&logs, error, ended(draft, &result).took(begun.elapsed())).await;
        Ok(Logged { result, log })
    }
}

/// Writes the log of an action that is over, unless the attempt to begin it may have written one.
async fn late(logs: &Logs, error: Error, draft: ActionLogDraft) -> Result<ActionLog> {
    match error.outcome() {
        RequestOutcome::NotSent | RequestOutcome::Refused => logs.create(draft).await,
        RequestOutcome::Unknown | RequestOutcome::Answered => Err(error),
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
