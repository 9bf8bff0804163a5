//! The one error type, and what can be asked of it.

mod api;
mod kind;
pub(crate) mod loose;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};

pub use api::ApiError;
pub(crate) use kind::is_transient_status;
pub use kind::{ErrorKind, RequestOutcome};

use crate::observe::CallName;
use crate::page::{Cursor, UnreadableRecord};
use crate::transport::RateLimit;
use crate::transport::exchange::is_timeout;

/// A specialised `Result`, with [`Error`] filled in.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Arc<dyn StdError + Send + Sync>;

/// What went wrong, and what a caller needs to know to go on.
///
/// Three questions are worth asking: *what was it* ([`kind`](Self::kind), whose variants each say what usually causes
/// them and what to do), *what did the server say* ([`api`](Self::api), [`status`](Self::status)), and *should I try
/// again* ([`is_transient`](Self::is_transient)). A writer asks a fourth: *did it happen*
/// ([`outcome`](Self::outcome)).
///
/// # Design
///
/// One opaque, cheaply cloned type: what the crate is built on can change without changing it. `Display` prints this
/// layer alone and [`source`](StdError::source) gives the next, so a reporter that walks the chain says nothing twice.
/// Neither prints credentials (a server's message that [contains](crate::auth#what-is-shown-of-credentials) one is
/// withheld), the values of a query, or the payload of a
/// record.
///
/// ```
/// use actionlog::{ErrorKind, UnleashClient};
///
/// let refused = UnleashClient::builder("app.example.com").bearer("token").build().unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::Configuration);
/// assert!(!refused.is_transient());
/// assert!(refused.to_string().contains("https://"));
/// ```
#[derive(Clone)]
pub struct Error {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<&'static str>,
    source: Option<Source>,
    operation: Option<Operation>,
    status: Option<StatusCode>,
    api: Option<ApiError>,
    record: Option<Arc<UnreadableRecord>>,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    rate_limit: Option<RateLimit>,
    attempts: u32,
    outcome: RequestOutcome,
    transient: bool,
    /// The server says that it doesn't have this API; from its words before they were cut.
    no_such_api: bool,
    partial_count: Option<u64>,
    cursor: Option<Arc<Cursor>>,
}

/// Which call an error belongs to: the API, the method and the path's template, never its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) api: &'static str,
    pub(crate) method: Method,
    pub(crate) template: Arc<str>,
}

impl Operation {
    /// The same, for an observer.
    pub(crate) fn name(&self) -> CallName<'_> {
        CallName { api: self.api, method: &self.method, template: &self.template }
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            inner: Arc::new(Inner {
                kind,
                message: message.into(),
                hint: None,
                source: None,
                operation: None,
                status: None,
                api: None,
                record: None,
                request_id: None,
                retry_after: None,
                rate_limit: None,
                attempts: 0,
                outcome: match kind {
                    ErrorKind::Record | ErrorKind::Partial | ErrorKind::Truncated => RequestOutcome::Answered,
                    _ => RequestOutcome::NotSent,
                },
                transient: kind.is_transient(),
                no_such_api: false,
                partial_count: None,
                cursor: None,
            }),
        }
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The HTTP status of the answer, where there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.inner.status
    }

    /// What the server said of the failure, in its own words, where it said anything that could be read.
    #[must_use]
    pub fn api(&self) -> Option<&ApiError> {
        self.inner.api.as_ref()
    }

    /// The record that could not be read, for an error of kind [`ErrorKind::Record`].
    #[must_use]
    pub fn record(&self) -> Option<&UnreadableRecord> {
        self.inner.record.as_deref()
    }

    /// The server's name for this exchange: the `X-Request-Id` of its answer, or the id in its error body. Quote it to
    /// whoever runs the server.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.inner.request_id.as_deref().or_else(|| self.inner.api.as_ref()?.id())
    }

    /// How long the server asked to be left alone (`Retry-After`), where it said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// What the server's answer said of how much it may be asked, where it said anything.
    #[must_use]
    pub fn rate_limit(&self) -> Option<RateLimit> {
        self.inner.rate_limit
    }

    /// How many times the request was sent, or begun to be. 0 if nothing was.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.inner.attempts
    }

    /// What is known of the request's effect on the server: what a writer must know before writing again.
    #[must_use]
    pub fn outcome(&self) -> RequestOutcome {
        self.inner.outcome
    }

    /// For an error of a stream: the place behind what was given, to go on from with
    /// [`resume`](crate::Listing::resume).
    #[must_use]
    pub fn cursor(&self) -> Option<&Cursor> {
        self.inner.cursor.as_deref()
    }

    /// The number that a server counted, for an error of kind [`ErrorKind::Partial`] of a count: errors stood beside it,
    /// so it may not be that of all.
    #[must_use]
    pub fn partial_count(&self) -> Option<u64> {
        self.inner.partial_count
    }

    /// A sentence on what to do about it, where the cause is likely enough to say. `Display` prints it too.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.inner.hint
    }

    /// Whether the same call may well succeed later, with nothing changed on this side.
    ///
    /// It says nothing of whether repeating is *safe*: for that, see [`outcome`](Self::outcome).
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.inner.transient
    }

    /// Whether this is about one record of a listing, with the records after it still to come.
    #[must_use]
    pub fn is_record(&self) -> bool {
        self.inner.kind == ErrorKind::Record
    }

    /// Whether the server says that it doesn't have this API.
    pub(crate) fn says_no_such_api(&self) -> bool {
        self.inner.no_such_api
    }

    /// Whether a time limit ran out: of the attempt, of the operation, or of connecting.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        let mut sources = std::iter::successors(self.source(), |&it| it.source());
        match self.inner.kind {
            ErrorKind::Timeout => true,
            ErrorKind::Connect | ErrorKind::Transport => sources.any(is_timeout),
            _ => false,
        }
    }

    /// Whether there was no connection to the server: [`ErrorKind::Connect`].
    #[must_use]
    pub fn is_connect(&self) -> bool {
        self.inner.kind == ErrorKind::Connect
    }

    /// Whether the server has no such thing: [`ErrorKind::NotFound`].
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.inner.kind == ErrorKind::NotFound
    }

    /// Whether the server doesn't accept the credentials: [`ErrorKind::Unauthorized`].
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        self.inner.kind == ErrorKind::Unauthorized
    }

    /// Whether the credentials lack a permission: [`ErrorKind::Forbidden`].
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.inner.kind == ErrorKind::Forbidden
    }

    /// Whether it was one request too many: [`ErrorKind::RateLimited`].
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        self.inner.kind == ErrorKind::RateLimited
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.inner));
        self
    }

    /// Changes every text that is the server's. What of the message is has been changed before.
    pub(crate) fn map_text(self, change: impl Fn(String) -> String) -> Self {
        self.with(|it| {
            it.api = it.api.take().map(|api| api.map_text(&change));
            it.request_id = it.request_id.take().map(&change);
        })
    }

    /// With something that is said behind the message.
    pub(crate) fn noting(self, note: &str) -> Self {
        self.with(|it| it.message.push_str(note))
    }

    pub(crate) fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.with(|it| it.source = Some(Arc::from(source.into())))
    }

    pub(crate) fn with_hint(self, hint: Option<&'static str>) -> Self {
        self.with(|it| it.hint = hint)
    }

    pub(crate) fn with_operation(self, operation: Operation) -> Self {
        self.with(|it| it.operation = Some(operation))
    }

    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        self.with(|it| it.status = Some(status))
    }

    pub(crate) fn with_api(self, api: Option<ApiError>) -> Self {
        self.with(|it| it.api = api)
    }

    pub(crate) fn with_record(self, record: UnreadableRecord) -> Self {
        self.with(|it| it.record = Some(Arc::new(record)))
    }

    pub(crate) fn with_request_id(self, id: Option<String>) -> Self {
        self.with(|it| it.request_id = id)
    }

    pub(crate) fn with_retry_after(self, wait: Option<Duration>) -> Self {
        self.with(|it| it.retry_after = wait)
    }

    pub(crate) fn with_rate_limit(self, limit: Option<RateLimit>) -> Self {
        self.with(|it| it.rate_limit = limit)
    }

    pub(crate) fn with_attempts(self, attempts: u32, outcome: RequestOutcome) -> Self {
        self.with(|it| {
            it.attempts = attempts;
            it.outcome = outcome;
        })
    }

    pub(crate) fn with_cursor(self, cursor: Option<Cursor>) -> Self {
        self.with(|it| it.cursor = cursor.map(Arc::new))
    }

    pub(crate) fn with_outcome(self, outcome: RequestOutcome) -> Self {
        self.with(|it| it.outcome = outcome)
    }

    pub(crate) fn with_partial_count(self, count: u64) -> Self {
        self.with(|it| it.partial_count = Some(count))
    }

    pub(crate) fn with_no_such_api(self, said: bool) -> Self {
        self.with(|it| it.no_such_api = said)
    }

    pub(crate) fn with_transient(self, transient: bool) -> Self {
        self.with(|it| it.transient = transient)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let it = &*self.inner;
        if let Some(operation) = &it.operation {
            write!(f, "{}: {} {}: ", operation.api, operation.method, operation.template)?;
        }
        f.write_str(&it.message)?;
        if let Some(api) = &it.api {
            write!(f, ": {api}")?;
        }
        if it.attempts > 1 {
            write!(f, " (after {} attempts)", it.attempts)?;
        }
        if let Some(hint) = it.hint {
            write!(f, " [hint: {hint}]")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let it = &*self.inner;
        let mut out = f.debug_struct("Error");
        out.field("kind", &it.kind).field("message", &it.message);
        if let Some(operation) = &it.operation {
            out.field("operation", &format_args!("{} {} {}", operation.api, operation.method, operation.template));
        }
        if let Some(status) = &it.status {
            out.field("status", &status.as_u16());
        }
        if let Some(api) = &it.api {
            out.field("api", api);
        }
        if let Some(record) = &it.record {
            out.field("record", record);
        }
        if let Some(id) = &it.request_id {
            out.field("request_id", id);
        }
        if let Some(wait) = &it.retry_after {
            out.field("retry_after", wait);
        }
        if let Some(hint) = &it.hint {
            out.field("hint", hint);
        }
        out.field("attempts", &it.attempts).field("outcome", &it.outcome);
        if let Some(source) = &it.source {
            out.field("source", source);
        }
        out.finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_ref().map(|it| &**it as _)
    }
}
