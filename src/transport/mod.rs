//! The request path: authenticate, acquire a permit, send, read the response, classify it, and retry.

pub(crate) mod base_url;
mod body;
mod classify;
pub(crate) mod connect;
mod deadline;
pub(crate) mod env;
pub(crate) mod headers;
mod hint;
pub(crate) mod http_client;
mod limiter;
mod obstacle;
mod options;
mod proxy;
mod reading;
mod redact;
mod renewal;
pub(crate) mod response;
mod retry;
mod trace;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, StatusCode};
use reading::ResponseDecoder;
use renewal::Renewal;
pub use retry::RetryPolicy;
use retry::{Budget, Decision, Spent};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::Instrument;

pub(crate) use base_url::Base;
pub(crate) use classify::{Dialect, HintContext};
use deadline::{Elapsed, within};
use http_client::{HttpClient, HttpError, HttpErrorKind};
use limiter::{Limiter, Patience, Permit};
use obstacle::Obstacle;
use options::idempotency_key;
pub(crate) use options::{CallOptions, Jitter, Settings, Timeouts};
use redact::{Redactor, SentCredentials};
use trace::Attempt;

use crate::auth::{AuthRetry, Authenticate, Credentials};
use crate::decode::HttpResponse;
use crate::error::rate_limit::RateLimit;
use crate::error::{CallContext, Error, ErrorKind, Result, WriteOutcome};
use crate::observe::{Event, WaitReason};
use crate::request::{Idempotency, Request};
use crate::transport::response::Response;

/// A request that waited longer than this for its permit is authenticated again: a timestamped signature may have
/// expired.
const STALE: Duration = Duration::from_secs(5);

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
            _ if self.unknown || self.in_flight => WriteOutcome::Unknown,
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

const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;

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

    pub(crate) fn tell(&self, event: Event<'_>) {
        self.inner.settings.observer.tell(event);
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
        let attempts = self.attempts(request, options, &here, &mut progress, &mut spent).instrument(span.span());
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

    /// The retry loop. The caller applies the operation timeout.
    async fn attempts<T: Send + 'static>(
        &self,
        request: &Request<T>,
        options: &CallOptions,
        here: &AttemptContext<'_>,
        progress: &mut Progress,
        spent: &mut Spent<'_>,
    ) -> Result<Response<T>> {
        let Inner { settings, limiter, redactor, .. } = &*self.inner;
        let unsigned = self.write(request, options)?;
        let idempotent = request.get_idempotency() == Idempotency::Idempotent || settings.idempotency.is_some();
        let mut reauthenticated = false;
        let mut no_effect_so_far = true;
        let mut credentials = Arc::<SentCredentials>::default();
        loop {
            // If no further attempt can be made, the previous attempt's error takes precedence.
            let admitted = self.admit(&unsigned, options, here).await;
            let (Authenticated { request: ready, credentials: current, sent }, permit) = admitted.map_err(|error| {
                // A token source's message may contain the token that was rejected before.
                let error = redactor.look_for(&credentials).scrub(error);
                match progress.last.take() {
                    Some(last) => {
                        let wait = last.retry_after().or(error.retry_after());
                        last.with_retry_after(wait).with_source(error)
                    }
                    None => error,
                }
            })?;
            redactor.remember(&sent);
            // A call that gets its permit at its deadline hasn't sent anything.
            if here.is_over() {
                return Err(here.overdue(progress.last.take()));
            }
            let until = here.limit.and_then(|limit| Instant::now().checked_add(limit));
            if until.is_some_and(|until| until <= Instant::now()) {
                return Err(overdue("not sent: no time is left within the attempt timeout of", here.limit));
            }
            // A server may echo the credentials of an earlier attempt.
            Arc::make_mut(&mut credentials).add(sent);
            progress.attempts += 1;
            progress.in_flight = true;
            spent.sent();
            if let Some(sent) = &options.sent {
                sent.store(true, Ordering::Relaxed);
            }
            let mut attempt =
                Attempt::begin(here.call, &settings.observer, self.inner.base.server(), progress.attempts);
            let result = self.round_trip(ready, here.limit, until).instrument(attempt.span()).await;
            drop(permit);
            let in_time = !here.is_over();
            let secrets = redactor.look_for(&credentials);
            let judged = match result {
                Ok(response) => {
                    attempt.responded(response.status(), response.version());
                    let decoder = ResponseDecoder {
                        transport: Arc::clone(&self.inner),
                        request: request.clone(),
                        conditions: classify::Conditions::of(unsigned.headers()),
                        credentials: Arc::clone(&credentials),
                        secrets: secrets.clone(),
                        rate_limit: limiter.learn(response.headers()),
                        may_have_been_done: progress.unknown,
                        response,
                    };
                    decoder.decode_off_thread().await
                }
                Err(error) if error.kind() == ErrorKind::TooLarge => {
                    Err(error.with_hint(Some(hint::too_large(request.is_of_page()))))
                }
                Err(error) => Err(error),
            };
            progress.in_flight = false;
            let judged =
                judged.map_err(|error| here.policy.classified(here.policy.weigh(secrets.scrub(error), idempotent)));
            attempt.end(judged.as_ref().err());
            if judged.as_ref().map_or_else(Error::status, |it| Some(it.status)).is_some_and(|it| it != UNAUTHORIZED) {
                self.inner.renewal.worked();
            }
            let error = match judged {
                // The deadline passed while the response was being decoded, which no timer interrupts.
                Ok(_) if in_time && here.is_over() => {
                    return Err(here.overdue(None).with_outcome(WriteOutcome::Applied));
                }
                Ok(response) => return Ok(Response { attempts: progress.attempts, ..response }),
                Err(error) => error,
            };
            progress.unknown |= error.outcome() == WriteOutcome::Unknown;
            progress.refused |= error.outcome() == WriteOutcome::NotApplied;
            // An overloaded server asked for a pause: all calls of the client and its clones keep it.
            let overload_wait = retry::overload_wait(&error);
            if let Some(wait) = overload_wait {
                limiter.pause_for(wait);
            }
            progress.last = Some(error.clone());
            // After a 401, authenticate again at most once per call, outside the retry budget; and not at all while
            // renewed credentials were recently rejected too.
            if error.status() == Some(UNAUTHORIZED) {
                if reauthenticated {
                    self.inner.renewal.failed();
                } else if let Some(rest) = self.inner.renewal.rests() {
                    return Err(error.with_source(format!(
                        "renewed credentials were rejected too: the client won't renew them for another {rest:.0?}"
                    )));
                } else if self.inner.auth.refused(&current) == AuthRetry::Retry {
                    reauthenticated = true;
                    trace::again(progress.attempts, &error);
                    continue;
                }
            }
            // A request that isn't idempotent is repeated only if no attempt can have taken effect.
            no_effect_so_far &= here.policy.had_no_effect(&error);
            let decision = here.policy.decide(idempotent || no_effect_so_far, progress.attempts, &error);
            let Decision::Again { least, jitter } = decision else { return Err(error) };
            let mut wait = least.saturating_add(settings.jitter.part_of(jitter));
            let until = Instant::now().checked_add(wait);
            let in_time = until.is_some_and(|until| here.deadline.is_none_or(|deadline| until < deadline));
            // Fail with the real error now, rather than with a timeout later.
            if !in_time || !spent.take(Budget::cost(&error)) {
                return Err(error);
            }
            // This call waits for the pause too, so it takes its turn among the other waiting calls.
            if overload_wait.is_some() {
                let room = here.deadline.zip(until).map(|(deadline, until)| deadline - until);
                wait = wait.saturating_add(limiter.turn(room));
            }
            trace::again(progress.attempts, &error);
            self.waiting(here.call, WaitReason::Retry, wait);
            sleep(wait).await;
        }
    }

    /// Builds the request, without its credentials.
    fn write<T>(&self, request: &Request<T>, options: &CallOptions) -> Result<http::Request<Bytes>> {
        request.validate()?;
        let uri = self.inner.base.join(request.path()?, &request.query_string())?;
        let mut out = http::Request::new(request.body_bytes().cloned().unwrap_or_default());
        *out.method_mut() = request.method().clone();
        *out.uri_mut() = uri;
        let headers = out.headers_mut();
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

    /// Authenticates the request, and then waits for its permit.
    ///
    /// In this order, because a token source may use this very client: if the request held a permit while it waited for
    /// the token, the token's own request could wait for that permit for ever.
    async fn admit(
        &self,
        unsigned: &http::Request<Bytes>,
        options: &CallOptions,
        here: &AttemptContext<'_>,
    ) -> Result<(Authenticated, Permit<'_>)> {
        let mut ready = self.authenticate(unsigned, options).await?;
        let mut renewed = false;
        loop {
            let began = Instant::now();
            let jitter = self.inner.settings.jitter.part_of(here.policy.jitter(1));
            let patience = Patience { longest: here.policy.longest(), jitter, deadline: here.deadline };
            let on_wait = |reason, wait| trace::waiting(here.call, &self.inner.settings.observer, reason, wait);
            let permit = self.inner.limiter.enter(patience, &on_wait).await?;
            // Only once: a call that gave up its permit every time would starve.
            if renewed || began.elapsed() < STALE {
                return Ok((ready, permit));
            }
            // Most authenticators return at once. One that doesn't may be waiting for the permit held here, so give it
            // up.
            let mut authenticating = pin!(self.authenticate(unsigned, options));
            if let Some(again) = authenticating.as_mut().now_or_never() {
                return Ok((again?, permit));
            }
            drop(permit);
            ready = authenticating.await?;
            renewed = true;
        }
    }

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
                Err(error) => Err(match error.kind() {
                    kind @ (HttpErrorKind::Connect | HttpErrorKind::Certificate) => unreachable(kind, &error),
                    HttpErrorKind::NotProcessed => {
                        Error::new(ErrorKind::Transport, "the server didn't process the request")
                            .with_outcome(WriteOutcome::NotApplied)
                    }
                    HttpErrorKind::MaybeSent => {
                        Error::new(ErrorKind::Transport, "the connection broke before the response arrived")
                            .with_outcome(WriteOutcome::Unknown)
                    }
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
    let certificate = kind == HttpErrorKind::Certificate || matches!(obstacle, Some(Obstacle::Certificate(_)));
    let message = match obstacle {
        Some(obstacle) => obstacle.message(),
        None if certificate => "the server's certificate isn't trusted",
        None => "the server can't be reached",
    };
    Error::new(ErrorKind::Connect, message).with_transient(!certificate).with_hint(obstacle.map(Obstacle::hint))
}

fn overdue(what: &str, limit: Option<Duration>) -> Error {
    Error::new(ErrorKind::Timeout, format!("{what} {:?}", limit.unwrap_or_default()))
}
