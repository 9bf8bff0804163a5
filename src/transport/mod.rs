//! The one way to the server and back: sign, wait for a place, exchange, read, judge.

pub(crate) mod base;
pub(crate) mod bound;
pub(crate) mod connect;
pub(crate) mod decode;
pub(crate) mod exchange;
mod hint;
mod lenient;
pub(crate) mod named;
mod obstacle;
mod pace;
mod proxy;
mod rate_limit;
mod read;
mod reading;
pub(crate) mod redact;
mod renewal;
mod retry;
mod settings;
mod trace;
mod verdict;

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, StatusCode};
pub use rate_limit::RateLimit;
use reading::Reading;
use renewal::Renewal;
pub use retry::RetryPolicy;
use retry::{Budget, Decision, Spent};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::Instrument;

pub(crate) use base::Base;
use exchange::{Exchange, ExchangeError, Stage};
use obstacle::Obstacle;
use pace::{Pace, Patience, Permit};
use redact::{Credentials, Redactor};
use settings::idempotency_key;
pub(crate) use settings::{CallOptions, Jitter, Settings, Timeouts};
use trace::Attempt;
pub(crate) use verdict::{Circumstance, Dialect};

use crate::answered::Answered;
use crate::auth::{Authenticate, Refused, Signature};
use crate::error::{Error, ErrorKind, Operation, RequestOutcome, Result};
use crate::observe::{Event, WaitReason};
use crate::request::{Answer, Repeat, Request};

/// A signature that was made this long before its request may go out is made again: it may be one over the time.
const STALE: Duration = Duration::from_secs(5);

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
    renewal: Renewal,
    redactor: Arc<Redactor>,
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
    /// Whether an attempt is under way, or its answer isn't read yet.
    in_flight: bool,
    /// Whether an attempt ended in a way that leaves open whether it had its effect.
    unknown: bool,
    /// Whether an attempt arrived, and was refused.
    refused: bool,
    /// Why the last attempt failed.
    last: Option<Error>,
}

impl Progress {
    /// The error with which the call ends, with what is known of all attempts: never more than that.
    fn conclude(&self, error: Error) -> Error {
        let outcome = match error.outcome() {
            _ if self.unknown || self.in_flight => RequestOutcome::Unknown,
            RequestOutcome::NotSent if self.refused => RequestOutcome::Refused,
            outcome => outcome,
        };
        error.with_attempts(self.attempts, outcome)
    }
}

/// A call, and what holds for all of its attempts.
#[derive(Debug)]
struct Circumstances<'a> {
    call: &'a Operation,
    policy: RetryPolicy,
    /// How long an attempt may take.
    limit: Option<Duration>,
    /// How long all of it may take.
    operation: Option<Duration>,
    deadline: Option<Instant>,
}

impl Circumstances<'_> {
    fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// The error of a call whose time is over. What came of it is said elsewhere.
    fn overdue(&self, last: Option<Error>) -> Error {
        let error = overdue("not done within the operation's", self.operation);
        match last {
            Some(last) => error.with_source(last),
            None => error,
        }
    }
}

const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;

/// A request with its credentials.
struct Signed {
    request: http::Request<Bytes>,
    signature: Signature,
    credentials: Credentials,
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
        let renewal = Renewal::default();
        let redactor = Arc::new(Redactor::new(&settings.secrets));
        let inner = Inner { base, dialect, auth, exchange, settings, headers, pace, budget, renewal, redactor };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub(crate) fn base(&self) -> &Base {
        &self.inner.base
    }

    /// What the server said last of how much it may be asked.
    pub(crate) fn rate_limit(&self) -> Option<RateLimit> {
        self.inner.pace.rate_limit()
    }

    /// How many records are kept at once, where nothing else is said.
    pub(crate) fn max_collected(&self) -> u64 {
        self.inner.settings.max_collected
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
    pub(crate) async fn send<T: Send + 'static>(
        &self,
        request: &Request<T>,
        options: &CallOptions,
    ) -> Result<Answered<T>> {
        let call = request.operation(self.api());
        let span = trace::Call::begin(&call);
        let mut progress = Progress::default();
        let settings = &self.inner.settings;
        let operation = options.operation.unwrap_or(settings.timeouts.operation);
        let here = Circumstances {
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

    /// The loop. The limit on the whole operation is around it.
    async fn attempts<T: Send + 'static>(
        &self,
        request: &Request<T>,
        options: &CallOptions,
        here: &Circumstances<'_>,
        progress: &mut Progress,
        spent: &mut Spent<'_>,
    ) -> Result<Answered<T>> {
        let Inner { settings, pace, redactor, .. } = &*self.inner;
        let unsigned = self.write(request, options)?;
        let safe = request.repeats() == Repeat::Safe || settings.idempotency.is_some();
        let mut signed_anew = false;
        let mut harmless = true;
        let mut credentials = Arc::<Credentials>::default();
        loop {
            // That it can't be asked again is no news beside why it would have to be.
            let admitted = self.admit(&unsigned, options, here).await;
            let (Signed { request: signed, signature, credentials: those }, permit) = admitted.map_err(|error| {
                // A token source may name the token that was refused before.
                let error = redactor.look_for(&credentials).scrub(error);
                match progress.last.take() {
                    Some(last) => {
                        let wait = last.retry_after().or(error.retry_after());
                        last.with_retry_after(wait).with_source(error)
                    }
                    None => error,
                }
            })?;
            redactor.remember(&those);
            // Whoever gets his place as his time ends has sent nothing.
            if here.is_over() {
                return Err(here.overdue(progress.last.take()));
            }
            let until = here.limit.and_then(|limit| Instant::now().checked_add(limit));
            if until.is_some_and(|until| until <= Instant::now()) {
                return Err(overdue("not sent, as there is no time in the attempt's", here.limit));
            }
            // A server may send back what an attempt before was signed with.
            Arc::make_mut(&mut credentials).add(those);
            progress.attempts += 1;
            progress.in_flight = true;
            spent.sent();
            if let Some(sent) = &options.sent {
                sent.store(true, Ordering::Relaxed);
            }
            let mut attempt =
                Attempt::begin(here.call, &settings.observer, self.inner.base.server(), progress.attempts);
            let result = self.exchange(signed, here.limit, until).instrument(attempt.span()).await;
            drop(permit);
            let in_time = !here.is_over();
            let secrets = redactor.look_for(&credentials);
            let judged = match result {
                Ok(answer) => {
                    attempt.answered(answer.status(), answer.version());
                    let reading = Reading {
                        transport: Arc::clone(&self.inner),
                        request: request.clone(),
                        conditions: verdict::Conditions::of(unsigned.headers()),
                        credentials: Arc::clone(&credentials),
                        secrets: secrets.clone(),
                        rate_limit: pace.learn(answer.headers()),
                        may_have_been_done: progress.unknown,
                        answer,
                    };
                    reading.read_apart().await
                }
                Err(error) if error.kind() == ErrorKind::TooLarge => {
                    Err(error.with_hint(Some(hint::too_large(request.is_of_page()))))
                }
                Err(error) => Err(error),
            };
            progress.in_flight = false;
            let judged = judged.map_err(|error| here.policy.classified(here.policy.weigh(secrets.scrub(error), safe)));
            attempt.end(judged.as_ref().err());
            if judged.as_ref().map_or_else(Error::status, |it| Some(it.status)).is_some_and(|it| it != UNAUTHORIZED) {
                self.inner.renewal.worked();
            }
            let error = match judged {
                // The time ended while the answer was read, and nobody looked at the clock meanwhile.
                Ok(_) if in_time && here.is_over() => {
                    return Err(here.overdue(None).with_outcome(RequestOutcome::Answered));
                }
                Ok(answered) => return Ok(Answered { attempts: progress.attempts, ..answered }),
                Err(error) => error,
            };
            progress.unknown |= error.outcome() == RequestOutcome::Unknown;
            progress.refused |= error.outcome() == RequestOutcome::Refused;
            let turned_away = retry::turned_away(&error);
            if let Some(wait) = turned_away {
                pace.hold(wait);
            }
            progress.last = Some(error.clone());
            if error.status() == Some(UNAUTHORIZED) {
                if signed_anew {
                    self.inner.renewal.failed();
                } else if let Some(rest) = self.inner.renewal.rests() {
                    return Err(error.with_source(format!(
                        "credentials that were made anew were refused as well: none are for another {rest:.0?}"
                    )));
                } else if self.inner.auth.refused(&signature) == Refused::TryAgain {
                    signed_anew = true;
                    trace::again(progress.attempts, &error);
                    continue;
                }
            }
            harmless &= here.policy.had_no_effect(&error);
            let decision = here.policy.decide(safe || harmless, progress.attempts, &error);
            let Decision::Again { least, jitter } = decision else { return Err(error) };
            let mut wait = least.saturating_add(settings.jitter.part_of(jitter));
            let until = Instant::now().checked_add(wait);
            let in_time = until.is_some_and(|until| here.deadline.is_none_or(|deadline| until < deadline));
            if !in_time || !spent.take(Budget::cost(&error)) {
                return Err(error);
            }
            if turned_away.is_some() {
                let room = here.deadline.zip(until).map(|(deadline, until)| deadline - until);
                wait = wait.saturating_add(pace.turn(room));
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
            headers.insert(name, idempotency_key()?);
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
        let credentials = Credentials::of(unsigned, &mut request, &signature);
        let settings = &self.inner.settings;
        for name in settings.headers.names().chain(options.headers.names()).chain(&settings.idempotency) {
            if !request.headers().get_all(name).iter().eq(unsigned.headers().get_all(name)) {
                let why = format!("the header {name} is where the credentials go");
                return Err(Error::new(ErrorKind::InvalidRequest, why));
            }
        }
        Ok(Signed { request, signature, credentials })
    }

    /// One attempt: the request out, and the whole answer in.
    async fn exchange(
        &self,
        signed: http::Request<Bytes>,
        limit: Option<Duration>,
        until: Option<Instant>,
    ) -> Result<Answer> {
        let exchange = async {
            match self.inner.exchange.exchange(signed).await {
                Ok(answer) => read::whole(answer, self.inner.settings.max_body, until).await,
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
        let Some(until) = until else { return exchange.await };
        timeout_at(until, exchange).await.unwrap_or_else(|_| {
            Err(overdue("no whole answer within the attempt's", limit).with_outcome(RequestOutcome::Unknown))
        })
    }
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
