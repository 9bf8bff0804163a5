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

impl Logs {
    /// Runs an action and logs it: the record is `pending` before the action starts, then `success` or `failed`, with
    /// the execution time and the error's message.
    ///
    /// Once the action has run, its result is always returned, next to the result of logging it. If the pending record
    /// can't be created, the action isn't run, unless [configured otherwise](LoggedAction::on_log_failure). An action
    /// that is cancelled or panics leaves a record that says so: see
    /// [`PendingLog`](crate::integration::PendingLog).
    ///
    /// ```no_run
    /// use actionlog::integration::{ActionFields, ActionType, LogFailure};
    ///
    /// # async fn push_product() -> Result<serde_json::Value, std::io::Error> { Ok(serde_json::json!({})) }
    /// # async fn example(client: actionlog::IntegrationClient) -> Result<(), Box<dyn std::error::Error>> {
    /// let fields = ActionFields {
    ///     integration_id: "60f7b1b3e4b0e8b3f8b3f8b4".into(),
    ///     action_type: ActionType::Update,
    ///     entity_type: "product".into(),
    /// };
    /// let logged = client.logs()
    ///     .logged(fields, push_product())
    ///     .with_response()
    ///     .on_log_failure(LogFailure::Continue)
    ///     .await?;
    /// if let Err(error) = logged.log {
    ///     eprintln!("not logged: {error}");
    /// }
    /// let response = logged.result?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Only if the action was *not* run: the error that kept the pending record from being created.
    pub fn logged<'a, T, E>(
        &self,
        input: impl Into<ActionLogInput>,
        action: impl Future<Output = Result<T, E>> + Send + 'a,
    ) -> LoggedAction<'a, T, E> {
        LoggedAction {
            logs: self.clone(),
            input: input.into(),
            action: Box::pin(action),
            on_log_failure: LogFailure::default(),
            response: None,
        }
    }
}

impl<T, E> LoggedAction<'_, T, E> {
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
