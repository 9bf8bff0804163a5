//! The crate's error type.

mod api;
mod invalid_record;
mod kind;
mod operation;
pub(crate) mod rate_limit;
mod timeout;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};

pub use api::ApiError;
pub use invalid_record::InvalidRecord;
pub(crate) use kind::is_transient_status;
pub use kind::{ErrorKind, WriteOutcome};
pub use operation::Operation;
use timeout::is_timeout;

use crate::cursor::Cursor;
use crate::error::rate_limit::RateLimit;

/// A specialised `Result`, with [`Error`] filled in.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Arc<dyn StdError + Send + Sync>;

/// A failure, with everything that a caller needs to handle it.
///
/// - [`kind`](Self::kind) says *what failed*. Each variant of [`ErrorKind`] documents its usual causes and remedies.
/// - [`api`](Self::api) and [`status`](Self::status) say *what the server reported*.
/// - [`is_transient`](Self::is_transient) says *whether a retry may succeed*.
/// - [`outcome`](Self::outcome) says *whether a write took effect*.
///
/// # Design
///
/// The type is opaque and cheap to clone, so that a dependency can change without changing the type. `Display` prints
/// this layer alone and [`source`](StdError::source) returns the next one, so that a reporter that walks the chain
/// prints nothing twice. Neither prints credentials (a server message that
/// [contains](crate::auth#what-is-shown-of-credentials) one is withheld), query values, or the payload of a record.
///
/// ```
/// use actionlog::{ErrorKind, UnleashClient};
///
/// let error = UnleashClient::builder("app.example.com").bearer("token").build().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Configuration);
/// assert!(!error.is_transient());
/// assert!(error.to_string().contains("https://"));
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
    operation: Option<CallContext>,
    status: Option<StatusCode>,
    api: Option<ApiError>,
    record: Option<Arc<InvalidRecord>>,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    rate_limit: Option<RateLimit>,
    attempts: u32,
    outcome: WriteOutcome,
    transient: bool,
    /// The server reported that it doesn't have this API. Decided before the server's message was cut to its maximum
    /// length.
    no_such_api: bool,
    partial_count: Option<u64>,
    cursor: Option<Arc<Cursor>>,
    log: Option<Arc<str>>,
}

/// The call that an error belongs to: the API, the method and the path template, never the values in the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallContext {
    pub(crate) api: &'static str,
    pub(crate) method: Method,
    pub(crate) template: Arc<str>,
}

impl CallContext {
    /// The call's name for an observer.
    pub(crate) fn name(&self) -> Operation<'_> {
        Operation { api: self.api, method: &self.method, template: &self.template }
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
                    ErrorKind::InvalidRecord | ErrorKind::Partial | ErrorKind::Incomplete => WriteOutcome::Applied,
                    _ => WriteOutcome::NotSent,
                },
                transient: kind.is_transient(),
                no_such_api: false,
                partial_count: None,
                cursor: None,
                log: None,
            }),
        }
    }

    /// The kind of failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The HTTP status of the response, if there was a response.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.inner.status
    }

    /// The server's own description of the failure, if the response contained a readable one.
    #[must_use]
    pub fn api(&self) -> Option<&ApiError> {
        self.inner.api.as_ref()
    }

    /// The record that doesn't deserialize, for an error of kind [`ErrorKind::InvalidRecord`].
    #[must_use]
    pub fn record(&self) -> Option<&InvalidRecord> {
        self.inner.record.as_deref()
    }

    /// The server's id for this request: the `X-Request-Id` of the response, or the id in the error body. Quote it when
    /// you report the failure to the server's operator.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.inner.request_id.as_deref().or_else(|| self.inner.api.as_ref()?.id())
    }

    /// How long the server asked the client to wait (`Retry-After`), if it did.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// The rate-limit headers of the response, if there were any.
    #[must_use]
    pub fn rate_limit(&self) -> Option<RateLimit> {
        self.inner.rate_limit
    }

    /// The number of attempts that were started. 0 if nothing was sent.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.inner.attempts
    }

    /// Whether the request took effect on the server. Check this before you repeat a write.
    #[must_use]
    pub fn outcome(&self) -> WriteOutcome {
        self.inner.outcome
    }

    /// For an error of a stream: the position after the last record that the stream yielded. Continue from there with
    /// [`resume`](crate::Listing::resume).
    #[must_use]
    pub fn cursor(&self) -> Option<&Cursor> {
        self.inner.cursor.as_deref()
    }

    /// For an error of a [timeline](crate::timeline): the name of the log that it is of.
    #[must_use]
    pub fn log(&self) -> Option<&str> {
        self.inner.log.as_deref()
    }

    /// The count that the server returned, for an error of kind [`ErrorKind::Partial`] of a count. The response also
    /// contained errors, so the count may be too low.
    #[must_use]
    pub fn partial_count(&self) -> Option<u64> {
        self.inner.partial_count
    }

    /// Advice on how to fix the failure, if its cause is likely enough. `Display` prints the hint too.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.inner.hint
    }

    /// Whether the same call may well succeed later without any change on this side.
    ///
    /// A transient failure isn't always *safe* to repeat: for that, see [`outcome`](Self::outcome).
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.inner.transient
    }

    /// Whether the error concerns a single record of a listing. The stream goes on with the next record.
    #[must_use]
    pub fn is_record(&self) -> bool {
        self.inner.kind == ErrorKind::InvalidRecord
    }

    /// Whether the server reported that it doesn't have this API.
    pub(crate) fn says_no_such_api(&self) -> bool {
        self.inner.no_such_api
    }

    /// Whether a timeout expired: the attempt's, the operation's, or the one for connecting.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        let mut sources = std::iter::successors(self.source(), |&it| it.source());
        match self.inner.kind {
            ErrorKind::Timeout => true,
            ErrorKind::Connect | ErrorKind::Transport => sources.any(is_timeout),
            _ => false,
        }
    }

    /// Whether the connection to the server couldn't be established: [`ErrorKind::Connect`].
    #[must_use]
    pub fn is_connect(&self) -> bool {
        self.inner.kind == ErrorKind::Connect
    }

    /// Whether the resource doesn't exist: [`ErrorKind::NotFound`].
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.inner.kind == ErrorKind::NotFound
    }

    /// Whether the server rejected the credentials: [`ErrorKind::Unauthorized`].
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        self.inner.kind == ErrorKind::Unauthorized
    }

    /// Whether the credentials lack a permission: [`ErrorKind::Forbidden`].
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.inner.kind == ErrorKind::Forbidden
    }

    /// Whether the client sent too many requests: [`ErrorKind::RateLimited`].
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        self.inner.kind == ErrorKind::RateLimited
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.inner));
        self
    }

    /// Applies a function to every string that the server wrote. Server text inside the message was already passed
    /// through the function when the message was built.
    pub(crate) fn map_text(self, change: impl Fn(String) -> String) -> Self {
        self.with(|it| {
            it.api = it.api.take().map(|api| api.map_text(&change));
            it.request_id = it.request_id.take().map(&change);
        })
    }

    /// Appends a note to the message.
    pub(crate) fn noting(self, note: &str) -> Self {
        self.with(|it| it.message.push_str(note))
    }

    pub(crate) fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.with(|it| it.source = Some(Arc::from(source.into())))
    }

    pub(crate) fn with_hint(self, hint: Option<&'static str>) -> Self {
        self.with(|it| it.hint = hint)
    }

    pub(crate) fn with_operation(self, operation: CallContext) -> Self {
        self.with(|it| it.operation = Some(operation))
    }

    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        self.with(|it| it.status = Some(status))
    }

    pub(crate) fn with_api(self, api: Option<ApiError>) -> Self {
        self.with(|it| it.api = api)
    }

    fn with_record(self, record: InvalidRecord) -> Self {
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

    pub(crate) fn with_attempts(self, attempts: u32, outcome: WriteOutcome) -> Self {
        self.with(|it| {
            it.attempts = attempts;
            it.outcome = outcome;
        })
    }

    pub(crate) fn with_cursor(self, cursor: Option<Cursor>) -> Self {
        self.with(|it| it.cursor = cursor.map(Arc::new))
    }

    pub(crate) fn in_log(self, name: Arc<str>) -> Self {
        self.with(|it| it.log = Some(name))
    }

    pub(crate) fn with_outcome(self, outcome: WriteOutcome) -> Self {
        self.with(|it| it.outcome = outcome)
    }

    pub(crate) fn with_partial_count(self, count: u64) -> Self {
        self.with(|it| it.partial_count = Some(count))
    }

    pub(crate) fn with_no_such_api(self, no_such_api: bool) -> Self {
        self.with(|it| it.no_such_api = no_such_api)
    }

    pub(crate) fn with_transient(self, transient: bool) -> Self {
        self.with(|it| it.transient = transient)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let it = &*self.inner;
        if let Some(log) = &it.log {
            write!(f, "{log}: ")?;
        }
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
        if let Some(log) = &it.log {
            out.field("log", log);
        }
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
