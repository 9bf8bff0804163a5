//! The request path: authenticate, acquire a permit, send, read the response, classify it, and retry.

mod attempts;
pub(crate) mod base_url;
mod body;
mod classify;
pub(crate) mod connect;
mod deadline;
mod dialect;
pub(crate) mod env;
pub(crate) mod headers;
mod hint;
pub(crate) mod http_client;
mod limiter;
mod obstacle;
mod options;
mod proxy;
mod reading;
pub(crate) mod redact;
mod renewal;
pub(crate) mod response;
mod retry;
mod trace;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use attempts::Attempts;
pub(crate) use base_url::Base;
use deadline::{Elapsed, within};
pub(crate) use dialect::{Dialect, HintContext};
use http_client::{HttpClient, HttpError, HttpErrorKind};
use limiter::Limiter;
use obstacle::Obstacle;
use options::idempotency_key;
pub(crate) use options::{CallOptions, Flight, Jitter, Settings, Timeouts};
use redact::{Redactor, SentCredentials};
use renewal::Renewal;
use response::Response;
pub use retry::RetryPolicy;
use retry::{Budget, Spent};

use crate::auth::{Authenticate, Credentials};
use crate::decode::HttpResponse;
use crate::error::rate_limit::RateLimit;
use crate::error::{CallContext, Error, ErrorKind, Result, WriteOutcome};
use crate::observe::{Event, WaitReason};
use crate::request::{Idempotency, Request};

/// Everything that a client holds except its API's options. Clones share it.
#[derive(Clone, Debug)]
pub struct Transport {
    inner: Arc<Inner>,
}

struct Inner {
    base: Base,
    dialect: &'static Dialect,
    auth: Arc<dyn Authenticate>,
    http_client: Arc<dyn HttpClient>,
    settings: Settings,
    /// The headers of every request, without the credentials.
    headers: HeaderMap,
    limiter: Limiter,
    budget: Budget,
    renewal: Renewal,
    redactor: Arc<Redactor>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The settings show the names of the headers; their values stay hidden.
        f.debug_struct("Inner")
            .field("base", &self.base)
            .field("auth", &self.auth)
            .field("http_client", &self.http_client)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The state of a call. Kept outside the future that a timeout drops.
#[derive(Debug, Default)]
struct Progress {
    attempts: u32,
    /// Whether an attempt is in flight, or its response isn't decoded yet.
    in_flight: bool,
    /// Whether an attempt ended without saying whether it took effect.
    unknown: bool,
    /// Whether the server rejected an attempt.
    refused: bool,
    /// The error of the most recent attempt.
    last: Option<Error>,
}

impl Progress {
    /// The call's final error. Its outcome covers all attempts: `Unknown` if any of them may have taken effect.
    fn conclude(&self, error: Error) -> Error {
        let outcome = match error.outcome() {
            // One attempt that may have taken effect outweighs all that didn't.
            _ if self.unknown || self.in_flight => WriteOutcome::Unknown,
            // The last attempt wasn't sent, but one before it was, and was rejected.
            WriteOutcome::NotSent if self.refused => WriteOutcome::NotApplied,
            outcome => outcome,
        };
        error.with_attempts(self.attempts, outcome)
    }
}

/// A call, and the settings that all of its attempts share.
#[derive(Debug)]
struct AttemptContext<'a> {
    call: &'a CallContext,
    policy: RetryPolicy,
    /// The attempt timeout.
    limit: Option<Duration>,
    /// The operation timeout.
    operation: Option<Duration>,
    deadline: Option<Instant>,
}

impl AttemptContext<'_> {
    fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// The error of a call whose operation timeout expired. [`Progress::conclude`] adds the outcome.
    fn overdue(&self, last: Option<Error>) -> Error {
        let error = overdue("not completed within the operation timeout of", self.operation);
        match last {
            Some(last) => error.with_source(last),
            None => error,
        }
    }
}

/// A request with its credentials.
struct Authenticated {
    request: http::Request<Bytes>,
    credentials: Credentials,
    sent: SentCredentials,
}

impl Transport {
    pub(crate) fn new(
        base: Base,
        dialect: &'static Dialect,
        auth: Arc<dyn Authenticate>,
        http_client: Arc<dyn HttpClient>,
        settings: Settings,
    ) -> Result<Self> {
        let mut headers = HeaderMap::with_capacity(2);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("actionlog/", env!("CARGO_PKG_VERSION"))));
        headers.extend(settings.headers.checked(ErrorKind::Configuration)?.clone());
        let limiter = Limiter::new(settings.max_in_flight);
        let budget = Budget::new();
        let renewal = Renewal::default();
        let redactor = Arc::new(Redactor::new(&settings.secrets));
        let inner = Inner { base, dialect, auth, http_client, settings, headers, limiter, budget, renewal, redactor };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub(crate) fn base(&self) -> &Base {
        &self.inner.base
    }

    /// The rate-limit headers of the most recent response to this client or its clones.
    pub(crate) fn rate_limit(&self) -> Option<RateLimit> {
        self.inner.limiter.rate_limit()
    }

    /// The most records that `collect` gathers, unless the listing sets its own limit.
    pub(crate) fn max_collected(&self) -> u64 {
        self.inner.settings.max_collected
    }

    /// The API's name in messages.
    pub(crate) fn api(&self) -> &'static str {
        self.inner.dialect.name
    }

    /// How long a scan that has succeeded before treats a 401 or 403 as transient.
    pub(crate) fn auth_grace(&self) -> Duration {
        self.inner.dialect.auth_grace
    }

    pub(crate) fn emit(&self, event: Event<'_>) {
        self.inner.settings.observer.emit(event);
    }

    /// Reports a wait that isn't part of a call, such as the one before a stream polls again.
    pub(crate) fn waiting(&self, call: &CallContext, reason: WaitReason, wait: Duration) {
        trace::waiting(call, &self.inner.settings.observer, reason, Some(wait));
    }

    /// Sends a request, retries it as the policy allows, and decodes the response.
    pub(crate) async fn send<T: Send + 'static>(
        &self,
        request: &Request<T>,
        options: &CallOptions,
    ) -> Result<Response<T>> {
        let call = request.operation(self.api());
        let span = trace::Call::begin(&call);
        let mut progress = Progress::default();
        let settings = &self.inner.settings;
        let operation = options.operation.unwrap_or(settings.timeouts.operation);
        let here = AttemptContext {
            call: &call,
            policy: options.retry.as_ref().unwrap_or(&settings.retry).clone(),
            limit: options.attempt.unwrap_or(settings.timeouts.attempt),
            operation,
            deadline: operation.and_then(|limit| Instant::now().checked_add(limit)),
        };
        let mut spent = Spent::nothing_of(&self.inner.budget);
        let attempts = async { Attempts::new(self, request, options, &here, &mut progress, &mut spent)?.run().await };
        let attempts = attempts.instrument(span.span());
        // From outside, so that no step of an attempt can outlast the call.
        let result = within(here.deadline, attempts).await;
        let result = match result {
            Ok(result) => result,
            Err(Elapsed) => Err(here.overdue(progress.last.take())),
        };
        let result = result.map_err(|error| progress.conclude(error).with_operation(call.clone()));
        spent.settle(result.is_ok());
        span.end(progress.attempts, result.as_ref().err());
        result
    }

    /// Builds the request, without its credentials.
    fn write<T>(&self, request: &Request<T>, options: &CallOptions) -> Result<http::Request<Bytes>> {
        request.validate()?;
        let uri = self.inner.base.join(request.path()?, &request.query_string())?;
        let mut out = http::Request::new(request.body_bytes().cloned().unwrap_or_default());
        *out.method_mut() = request.method().clone();
        *out.uri_mut() = uri;
        let headers = out.headers_mut();
        // The call's own headers come last: they replace those of the client.
        headers.clone_from(&self.inner.headers);
        if request.body_bytes().is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(name) = &self.inner.settings.idempotency
            && request.get_idempotency() == Idempotency::NotIdempotent
        {
            headers.insert(name, idempotency_key()?);
        }
        headers.extend(options.headers.checked(ErrorKind::InvalidRequest)?.clone());
        Ok(out)
    }

    /// Adds the credentials to a copy of the request.
    async fn authenticate(&self, unsigned: &http::Request<Bytes>, options: &CallOptions) -> Result<Authenticated> {
        let mut request = unsigned.clone();
        let credentials = self.inner.auth.authenticate(&mut request).await.map_err(|error| {
            Error::new(ErrorKind::Credentials, "the authenticator failed to provide credentials")
                .with_transient(error.is_transient())
                .with_source(error)
        })?;
        let sent = SentCredentials::of(unsigned, &mut request, &credentials);
        let settings = &self.inner.settings;
        for name in settings.headers.names().chain(options.headers.names()).chain(&settings.idempotency) {
            // A header that a user sets and the authenticator too would silently be one or the other.
            if !request.headers().get_all(name).iter().eq(unsigned.headers().get_all(name)) {
                let why = format!("the header {name} carries the credentials and can't be set");
                return Err(Error::new(ErrorKind::InvalidRequest, why));
            }
        }
        Ok(Authenticated { request, credentials, sent })
    }

    /// One attempt: sends the request and reads the complete response.
    async fn round_trip(
        &self,
        request: http::Request<Bytes>,
        limit: Option<Duration>,
        until: Option<Instant>,
    ) -> Result<HttpResponse> {
        let http_client = async {
            match self.inner.http_client.send(request).await {
                Ok(response) => body::whole(response, self.inner.settings.max_body, until).await,
                // The kind says how far the request came, and so whether it may have taken effect.
                Err(error) => Err(match error.kind() {
                    kind @ (HttpErrorKind::Connect | HttpErrorKind::Certificate) => unreachable(kind, &error),
                    HttpErrorKind::Declined => {
                        Error::new(ErrorKind::Connect, "the HTTP client declined to send the request")
                            .with_transient(false)
                    }
                    HttpErrorKind::NotProcessed => {
                        Error::new(ErrorKind::Transport, "the server didn't process the request")
                            .with_outcome(WriteOutcome::NotApplied)
                    }
                    HttpErrorKind::MaybeSent => broken(&error),
                }
                .with_source(error.into_source())),
            }
        };
        let Some(until) = until else { return http_client.await };
        timeout_at(until, http_client).await.unwrap_or_else(|_| {
            let error = overdue("no complete response within the attempt timeout of", limit);
            Err(error.with_outcome(WriteOutcome::Unknown))
        })
    }
}

/// The error for a connection that couldn't be established, with the reason and a hint where they are known.
fn unreachable(kind: HttpErrorKind, error: &HttpError) -> Error {
    let obstacle = Obstacle::of(error);
    let certificate = kind == HttpErrorKind::Certificate || obstacle.is_some_and(Obstacle::is_lasting);
    let message = match obstacle {
        Some(obstacle) => obstacle.message(),
        None if certificate => "the server's certificate isn't trusted",
        None => "the server can't be reached",
    };
    Error::new(ErrorKind::Connect, message).with_transient(!certificate).with_hint(obstacle.map(Obstacle::hint))
}

/// The error for a connection that broke after something may have been sent.
fn broken(error: &HttpError) -> Error {
    let broke = |message: &str| Error::new(ErrorKind::Transport, message).with_outcome(WriteOutcome::Unknown);
    match Obstacle::of(error).filter(|it| matches!(it, Obstacle::ClientCertificate(_))) {
        Some(obstacle) => broke(obstacle.message()).with_transient(false).with_hint(Some(obstacle.hint())),
        None => broke("the connection broke before the response arrived"),
    }
}

fn overdue(what: &str, limit: Option<Duration>) -> Error {
    Error::new(ErrorKind::Timeout, format!("{what} {:?}", limit.unwrap_or_default()))
}
