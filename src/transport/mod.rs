//! The one way to the server and back: sign, wait for a place, exchange, read, judge.

mod base;
pub(crate) mod connect;
pub(crate) mod decode;
pub(crate) mod exchange;
mod hint;
pub(crate) mod named;
mod obstacle;
mod pace;
mod proxy;
mod rate_limit;
mod read;
mod retry;
mod scrub;
mod trace;
mod verdict;

use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
pub use rate_limit::RateLimit;
pub use retry::RetryPolicy;
use retry::{Budget, Decision, Spent};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::Instrument;

pub(crate) use base::Base;
use exchange::{Exchange, ExchangeError, Stage};
use obstacle::Obstacle;
use pace::{Pace, Patience, Permit};
use scrub::Secrets;
use trace::Attempt;
use verdict::Sent;
pub(crate) use verdict::{Circumstance, Dialect};

use crate::answered::Answered;
use crate::auth::{Authenticate, Refused, Signature};
use crate::error::{Error, ErrorKind, Operation, RequestOutcome, Result};
use crate::headers::Headers;
use crate::observe::{Event, Observer, WaitReason};
use crate::request::{Answer, Repeat, Request};

/// A signature that was made this long before its request may go out is made again: it may be one over the time.
const STALE: Duration = Duration::from_secs(5);

/// How long things may take. `None` is without limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeouts {
    pub(crate) connect: Option<Duration>,
    pub(crate) attempt: Option<Duration>,
    pub(crate) operation: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Some(Duration::from_secs(5)),
            attempt: Some(Duration::from_secs(30)),
            operation: Some(Duration::from_secs(120)),
        }
    }
}

/// What a single call sets over the client's settings. The outer `None` is "as the client has it".
#[derive(Clone, Debug, Default)]
pub(crate) struct CallOptions {
    pub(crate) attempt: Option<Option<Duration>>,
    pub(crate) operation: Option<Option<Duration>>,
    pub(crate) retry: Option<RetryPolicy>,
    pub(crate) headers: Headers,
    /// Set as soon as a request goes out.
    pub(crate) sent: Option<Arc<AtomicBool>>,
}

/// What a client is built with that isn't where it is, or how it's signed for.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) timeouts: Timeouts,
    pub(crate) max_body: usize,
    pub(crate) retry: RetryPolicy,
    pub(crate) max_in_flight: Option<usize>,
    pub(crate) idempotency: Option<HeaderName>,
    pub(crate) headers: Headers,
    pub(crate) jitter: Jitter,
    pub(crate) observer: Observer,
}

/// Where chance comes from: a number from 0 to 1.
#[derive(Clone)]
pub(crate) struct Jitter(pub(crate) Arc<dyn Fn() -> f64 + Send + Sync>);

impl Default for Jitter {
    fn default() -> Self {
        Self(Arc::new(fastrand::f64))
    }
}

impl Jitter {
    /// A part of a time, by chance.
    fn part_of(&self, time: Duration) -> Duration {
        let part = (self.0)();
        time.mul_f64(if part.is_finite() { part.clamp(0.0, 1.0) } else { 1.0 })
    }
}

impl fmt::Debug for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Jitter(..)")
    }
}

/// Everything a client holds but its API's own options. Clones share it.
#[derive(Clone, Debug)]
pub struct Transport {
    inner: Arc<Inner>,
}

struct Inner {
    base: Base,
    dialect: &'static Dialect,
    auth: Arc<dyn Authenticate>,
    exchange: Arc<dyn Exchange>,
    settings: Settings,
    /// What every request has, but for its credentials.
    headers: HeaderMap,
    pace: Pace,
    budget: Budget,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The headers' names, which the settings show, and not their values.
        f.debug_struct("Inner")
            .field("base", &self.base)
            .field("auth", &self.auth)
            .field("exchange", &self.exchange)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// What is known of a call so far; outlives the future that a time limit drops.
#[derive(Debug, Default)]
struct Progress {
    attempts: u32,
    /// Whether an attempt is under way.
    in_flight: bool,
    /// Whether an attempt ended in a way that leaves open whether it had its effect.
    unknown: bool,
    /// Why the last attempt failed.
    last: Option<Error>,
}

/// A call, and what holds for all of its attempts.
#[derive(Debug)]
struct Circumstances<'a> {
    call: &'a Operation,
    policy: RetryPolicy,
    /// How long an attempt may take.
    limit: Option<Duration>,
    deadline: Option<Instant>,
}

/// A request with its credentials.
struct Signed {
    request: http::Request<Bytes>,
    signature: Signature,
    secrets: Secrets,
}

impl Transport {
    pub(crate) fn new(
        base: Base,
        dialect: &'static Dialect,
        auth: Arc<dyn Authenticate>,
        exchange: Arc<dyn Exchange>,
        settings: Settings,
    ) -> Result<Self> {
        let mut headers = HeaderMap::with_capacity(2);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("actionlog/", env!("CARGO_PKG_VERSION"))));
        headers.extend(settings.headers.checked(ErrorKind::Configuration)?.clone());
        let pace = Pace::new(settings.max_in_flight);
        let budget = Budget::new();
        Ok(Self { inner: Arc::new(Inner { base, dialect, auth, exchange, settings, headers, pace, budget }) })
    }

    pub(crate) fn base(&self) -> &Base {
        &self.inner.base
    }

    /// What the server said last of how much it may be asked.
    pub(crate) fn rate_limit(&self) -> Option<RateLimit> {
        self.inner.pace.rate_limit()
    }

    /// The API's name in messages.
    pub(crate) fn api(&self) -> &'static str {
        self.inner.dialect.name
    }

    /// For how long a reading that came through once takes a 401 or 403 for something that may pass.
    pub(crate) fn auth_grace(&self) -> Duration {
        self.inner.dialect.auth_grace
    }

    pub(crate) fn tell(&self, event: Event<'_>) {
        self.inner.settings.observer.tell(event);
    }

    /// A wait begins that isn't one inside of a call.
    pub(crate) fn waiting(&self, call: &Operation, reason: WaitReason, wait: Duration) {
        trace::waiting(call, &self.inner.settings.observer, reason, Some(wait));
    }

    /// Sends a request until it has an answer or there is no more to try, and reads the answer.
    pub(crate) async fn send<T>(&self, request: &Request<T>, options: &CallOptions) -> Result<Answered<T>> {
        let call = request.operation(self.api());
        let span = trace::Call::begin(&call);
        let mut progress = Progress::default();
        let settings = &self.inner.settings;
        let limit = options.operation.unwrap_or(settings.timeouts.operation);
        let here = Circumstances {
            call: &call,
            policy: options.retry.as_ref().unwrap_or(&settings.retry).clone(),
            limit: options.attempt.unwrap_or(settings.timeouts.attempt),
            deadline: limit.and_then(|limit| Instant::now().checked_add(limit)),
        };
        let mut spent = Spent::nothing_of(&self.inner.budget);
        let attempts = self.attempts(request, options, &here, &mut progress, &mut spent).instrument(span.span());
        let result = within(here.deadline, attempts).await;
        let result = result.unwrap_or_else(|Elapsed| {
            let error = overdue("not done within the operation's", limit);
            Err(match progress.last.take() {
                Some(last) => error.with_source(last),
                None => error,
            })
        });
        let result = result.map_err(|error| {
            let unknown = progress.unknown || progress.in_flight;
            let outcome = if unknown { RequestOutcome::Unknown } else { error.outcome() };
            error.with_attempts(progress.attempts, outcome).with_operation(call.clone())
        });
        spent.settle(result.is_ok());
        span.end(progress.attempts, result.as_ref().err());
        result
    }

    /// The loop. The limit on the whole operation is around it.
    async fn attempts<T>(
        &self,
        request: &Request<T>,
        options: &CallOptions,
        here: &Circumstances<'_>,
        progress: &mut Progress,
        spent: &mut Spent<'_>,
    ) -> Result<Answered<T>> {
        let Inner { settings, pace, .. } = &*self.inner;
        let unsigned = self.write(request, options)?;
        let safe = request.repeats() == Repeat::Safe || settings.idempotency.is_some();
        let mut refused = false;
        let mut harmless = true;
        let mut secrets = Secrets::default();
        loop {
            // That it can't be asked again is no news beside why it would have to be.
            let admitted = self.admit(&unsigned, options, here).await;
            let (Signed { request: signed, signature, secrets: those }, permit) =
                admitted.map_err(|error| match progress.last.take() {
                    Some(last) => {
                        let wait = last.retry_after().or(error.retry_after());
                        last.with_retry_after(wait).with_source(error)
                    }
                    None => error,
                })?;
            // A server may send back what an attempt before was signed with.
            secrets.add(those);
            progress.attempts += 1;
            progress.in_flight = true;
            if let Some(sent) = &options.sent {
                sent.store(true, Ordering::Relaxed);
            }
            let mut attempt =
                Attempt::begin(here.call, &settings.observer, self.inner.base.server(), progress.attempts);
            let result = self.exchange(signed, here.limit).instrument(attempt.span()).await;
            drop(permit);
            progress.in_flight = false;
            let judged = result.map(|answer| secrets.complete(answer)).and_then(|answer| {
                attempt.answered(answer.status(), answer.version());
                let limit = pace.learn(answer.headers());
                let found_nothing = progress.unknown && !verdict::is_web_page(&answer);
                let value = match request.already_gone(answer.status(), found_nothing) {
                    Some(value) => value,
                    None => {
                        let sent =
                            Sent { base: &self.inner.base, headers: unsigned.headers(), secrets: secrets.sent() };
                        verdict::judge(self.inner.dialect, request, sent, &answer, &|text| secrets.clean(text))
                            .map_err(|error| error.with_rate_limit(limit))?
                    }
                };
                let (head, _) = answer.into_parts();
                Ok(Answered {
                    value,
                    status: head.status,
                    request_id: verdict::request_id(&head.headers).map(|id| secrets.clean(id)),
                    headers: head.headers,
                    rate_limit: limit,
                    attempts: progress.attempts,
                })
            });
            let judged = judged.map_err(|error| here.policy.classified(secrets.scrub(error)));
            attempt.end(judged.as_ref().err());
            let error = match judged {
                Ok(answered) => return Ok(answered),
                Err(error) => error,
            };
            progress.unknown |= error.outcome() == RequestOutcome::Unknown;
            if let Some(wait) = retry::turned_away(&error) {
                pace.hold(wait);
            }
            progress.last = Some(error.clone());
            if error.kind() == ErrorKind::Unauthorized && !refused {
                refused = true;
                if self.inner.auth.refused(&signature) == Refused::TryAgain {
                    trace::again(progress.attempts, &error);
                    continue;
                }
            }
            harmless &= retry::had_no_effect(&error);
            let decision = here.policy.decide(safe || harmless, progress.attempts, &error);
            let Decision::Again { least, jitter } = decision else { return Err(error) };
            let wait = least.saturating_add(settings.jitter.part_of(jitter));
            let until = Instant::now().checked_add(wait);
            let in_time = until.is_some_and(|until| here.deadline.is_none_or(|deadline| until < deadline));
            if !in_time || !spent.take(Budget::cost(&error)) {
                return Err(error);
            }
            trace::again(progress.attempts, &error);
            self.waiting(here.call, WaitReason::Retry, wait);
            sleep(wait).await;
        }
    }

    /// The request as it goes out, but for its signature.
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
            && request.repeats() == Repeat::Unsafe
        {
            headers.insert(name, idempotency_key());
        }
        headers.extend(options.headers.checked(ErrorKind::InvalidRequest)?.clone());
        Ok(out)
    }

    /// Signs, and waits until the request may go out.
    ///
    /// In this order: a token source may use this very client, and would wait for ever for a place that the request holds
    /// which waits for the token.
    async fn admit(
        &self,
        unsigned: &http::Request<Bytes>,
        options: &CallOptions,
        here: &Circumstances<'_>,
    ) -> Result<(Signed, Permit<'_>)> {
        let mut signed = self.sign(unsigned, options).await?;
        let mut anew = false;
        loop {
            let began = Instant::now();
            let jitter = self.inner.settings.jitter.part_of(here.policy.jitter(1));
            let patience = Patience { longest: here.policy.longest(), jitter, deadline: here.deadline };
            let told = |reason, wait| trace::waiting(here.call, &self.inner.settings.observer, reason, wait);
            let permit = self.inner.pace.enter(patience, &told).await?;
            // Once: whoever gave his place back each time would be overtaken by all others for ever.
            if anew || began.elapsed() < STALE {
                return Ok((signed, permit));
            }
            // Most signatures are there at once. One that isn't may be waiting for this place.
            let mut signing = pin!(self.sign(unsigned, options));
            if let Some(again) = signing.as_mut().now_or_never() {
                return Ok((again?, permit));
            }
            drop(permit);
            signed = signing.await?;
            anew = true;
        }
    }

    async fn sign(&self, unsigned: &http::Request<Bytes>, options: &CallOptions) -> Result<Signed> {
        let mut request = unsigned.clone();
        let signature = self.inner.auth.sign(&mut request).await.map_err(|error| {
            Error::new(ErrorKind::Credentials, "there are no credentials to sign with")
                .with_transient(error.is_transient())
                .with_source(error)
        })?;
        let secrets = Secrets::of(unsigned, &mut request, &signature);
        let settings = &self.inner.settings;
        for name in settings.headers.names().chain(options.headers.names()).chain(&settings.idempotency) {
            if !request.headers().get_all(name).iter().eq(unsigned.headers().get_all(name)) {
                let why = format!("the header {name} is where the credentials go");
                return Err(Error::new(ErrorKind::InvalidRequest, why));
            }
        }
        Ok(Signed { request, signature, secrets })
    }

    /// One attempt: the request out, and the whole answer in.
    async fn exchange(&self, signed: http::Request<Bytes>, limit: Option<Duration>) -> Result<Answer> {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let exchange = async {
            match self.inner.exchange.exchange(signed).await {
                Ok(answer) => read::whole(answer, self.inner.settings.max_body, deadline).await,
                Err(error) => Err(match error.stage() {
                    stage @ (Stage::Connect | Stage::Certificate) => unreachable(stage, &error),
                    Stage::NotProcessed => Error::new(ErrorKind::Transport, "the server didn't look at the request")
                        .with_outcome(RequestOutcome::Refused),
                    Stage::Sent => Error::new(ErrorKind::Transport, "the connection broke before an answer came")
                        .with_outcome(RequestOutcome::Unknown),
                }
                .with_source(error.into_source())),
            }
        };
        within(deadline, exchange).await.unwrap_or_else(|Elapsed| {
            Err(overdue("no whole answer within the attempt's", limit).with_outcome(RequestOutcome::Unknown))
        })
    }
}

/// A text that nobody else uses: a random UUID, by the system's randomness, which every `RandomState` is keyed with.
fn idempotency_key() -> HeaderValue {
    let half = || RandomState::new().build_hasher().finish();
    let (high, low) = (half() & 0xffff_ffff_ffff_0fff | 0x4000, half() & 0x3fff_ffff_ffff_ffff | 1 << 63);
    let text = format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    );
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("0"))
}

/// Of what kept a connection from being made, an error that says it.
fn unreachable(stage: Stage, error: &ExchangeError) -> Error {
    let obstacle = Obstacle::of(error);
    let certificate = stage == Stage::Certificate || matches!(obstacle, Some(Obstacle::Certificate(_)));
    let message = match obstacle {
        Some(obstacle) => obstacle.message(),
        None if certificate => "the server's certificate isn't accepted",
        None => "the server can't be reached",
    };
    Error::new(ErrorKind::Connect, message).with_transient(!certificate).with_hint(obstacle.map(Obstacle::hint))
}

fn overdue(what: &str, limit: Option<Duration>) -> Error {
    Error::new(ErrorKind::Timeout, format!("{what} {:?}", limit.unwrap_or_default()))
}

struct Elapsed;

async fn within<F: Future>(deadline: Option<Instant>, future: F) -> Result<F::Output, Elapsed> {
    match deadline {
        // Not even begun.
        Some(deadline) if deadline <= Instant::now() => Err(Elapsed),
        Some(deadline) => timeout_at(deadline, future).await.map_err(|_| Elapsed),
        None => Ok(future.await),
    }
}
