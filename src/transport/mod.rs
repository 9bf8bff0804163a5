//! The one way to the server and back: sign, exchange, read, judge.

mod base;
pub(crate) mod decode;
pub(crate) mod exchange;
pub(crate) mod named;
mod read;
mod retry;
mod scrub;
mod verdict;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue};
pub use retry::RetryPolicy;
use retry::{Budget, Decision};
use tokio::time::{Instant, sleep, timeout_at};

pub(crate) use base::Base;
use exchange::{Exchange, Stage};
use scrub::Secrets;
pub(crate) use verdict::{Circumstance, Dialect};

use crate::auth::{Authenticate, Refused, Signature};
use crate::error::{Error, ErrorKind, RequestOutcome, Result};
use crate::request::{Answer, Repeat, Request};

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CallOptions {
    pub(crate) attempt: Option<Option<Duration>>,
    pub(crate) operation: Option<Option<Duration>>,
    pub(crate) retry: Option<RetryPolicy>,
}

/// Everything a client holds but its API's own options. Clones share it.
#[derive(Clone, Debug)]
pub struct Transport {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    base: Base,
    dialect: &'static Dialect,
    auth: Arc<dyn Authenticate>,
    exchange: Arc<dyn Exchange>,
    timeouts: Timeouts,
    max_body: usize,
    headers: HeaderMap,
    retry: RetryPolicy,
    budget: Budget,
}

/// What is known of a call so far; outlives the future that a time limit drops.
#[derive(Debug, Default)]
struct Progress {
    attempts: u32,
    /// Whether an attempt is under way.
    in_flight: bool,
    /// Whether an attempt ended in a way that leaves open whether it had its effect.
    unknown: bool,
}

impl Transport {
    pub(crate) fn new(
        base: Base,
        dialect: &'static Dialect,
        auth: Arc<dyn Authenticate>,
        exchange: Arc<dyn Exchange>,
        timeouts: Timeouts,
        max_body: usize,
        retry: RetryPolicy,
    ) -> Self {
        let mut headers = HeaderMap::with_capacity(2);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("actionlog/", env!("CARGO_PKG_VERSION"))));
        Self {
            inner: Arc::new(Inner {
                base,
                dialect,
                auth,
                exchange,
                timeouts,
                max_body,
                headers,
                retry,
                budget: Budget::new(),
            }),
        }
    }

    pub(crate) fn base(&self) -> &Base {
        &self.inner.base
    }

    /// Sends a request until it has an answer or there is no more to try, and reads the answer.
    pub(crate) async fn send<T>(&self, request: &Request<T>, options: CallOptions) -> Result<T> {
        let mut progress = Progress::default();
        let limit = options.operation.unwrap_or(self.inner.timeouts.operation);
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let result = within(deadline, self.attempts(request, options, deadline, &mut progress)).await;
        result.unwrap_or_else(|Elapsed| Err(overdue("not done within the operation's", limit))).map_err(|error| {
            let unknown = progress.unknown || progress.in_flight;
            let outcome = if unknown { RequestOutcome::Unknown } else { error.outcome() };
            error.with_attempts(progress.attempts, outcome).with_operation(request.operation(self.inner.dialect.name))
        })
    }

    /// The loop. The limit on the whole operation is around it.
    async fn attempts<T>(
        &self,
        request: &Request<T>,
        options: CallOptions,
        deadline: Option<Instant>,
        progress: &mut Progress,
    ) -> Result<T> {
        let policy = options.retry.unwrap_or(self.inner.retry);
        let unsigned = self.write(request)?;
        let mut refused: Option<Error> = None;
        let mut harmless = true;
        let mut spent = 0;
        loop {
            // That there is nothing fresher to sign with is no news beside the refusal.
            let signing = self.sign(&unsigned).await;
            let (signed, signature, secrets) = signing.map_err(|error| match refused.take() {
                Some(refusal) => refusal.with_source(error),
                None => error,
            })?;
            progress.attempts += 1;
            progress.in_flight = true;
            let result = self.exchange(signed, options).await;
            progress.in_flight = false;
            let judged = result.and_then(|answer| {
                let found_nothing = progress.unknown && !verdict::is_web_page(&answer);
                match request.already_gone(answer.status(), found_nothing) {
                    Some(value) => Ok(value),
                    None => verdict::judge(self.inner.dialect, request, &answer, &|text| secrets.clean(text)),
                }
            });
            let error = match judged {
                Ok(value) => {
                    self.inner.budget.give_back(spent);
                    return Ok(value);
                }
                Err(error) => secrets.scrub(error),
            };
            progress.unknown |= error.outcome() == RequestOutcome::Unknown;
            if error.kind() == ErrorKind::Unauthorized && refused.is_none() {
                refused = Some(error.clone());
                if self.inner.auth.refused(&signature) == Refused::TryAgain {
                    continue;
                }
            }
            harmless &= retry::had_no_effect(&error);
            let repeatable = request.repeats() == Repeat::Safe || harmless;
            let Decision::Again { least, jitter } = policy.decide(repeatable, progress.attempts, &error) else {
                return Err(error);
            };
            let wait = least.saturating_add(jitter.mul_f64(fastrand::f64()));
            let cost = Budget::cost(&error);
            let until = Instant::now().checked_add(wait);
            let in_time = until.is_some_and(|until| deadline.is_none_or(|deadline| until < deadline));
            if !in_time || !self.inner.budget.take(cost) {
                return Err(error);
            }
            spent += cost;
            sleep(wait).await;
        }
    }

    /// The request as it goes out, but for its signature.
    fn write<T>(&self, request: &Request<T>) -> Result<http::Request<Bytes>> {
        request.validate()?;
        let uri = self.inner.base.join(request.path()?, &request.query_string())?;
        let mut out = http::Request::new(request.body_bytes().cloned().unwrap_or_default());
        *out.method_mut() = request.method().clone();
        *out.uri_mut() = uri;
        out.headers_mut().clone_from(&self.inner.headers);
        if request.body_bytes().is_some() {
            out.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ok(out)
    }

    async fn sign(&self, unsigned: &http::Request<Bytes>) -> Result<(http::Request<Bytes>, Signature, Secrets)> {
        let mut signed = unsigned.clone();
        let signature = self.inner.auth.sign(&mut signed).await.map_err(|error| {
            Error::new(ErrorKind::Credentials, "there are no credentials to sign with")
                .with_transient(error.is_transient())
                .with_source(error)
        })?;
        let secrets = Secrets::of(unsigned, &mut signed, &signature);
        Ok((signed, signature, secrets))
    }

    /// One attempt: the request out, and the whole answer in.
    async fn exchange(&self, signed: http::Request<Bytes>, options: CallOptions) -> Result<Answer> {
        let limit = options.attempt.unwrap_or(self.inner.timeouts.attempt);
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let exchange = async {
            match self.inner.exchange.exchange(signed).await {
                Ok(answer) => read::whole(answer, self.inner.max_body).await,
                Err(error) => Err(match error.stage() {
                    Stage::Connect => Error::new(ErrorKind::Connect, "the server can't be reached"),
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

fn overdue(what: &str, limit: Option<Duration>) -> Error {
    Error::new(ErrorKind::Timeout, format!("{what} {:?}", limit.unwrap_or_default()))
}

struct Elapsed;

async fn within<F: Future>(deadline: Option<Instant>, future: F) -> Result<F::Output, Elapsed> {
    match deadline {
        Some(deadline) => timeout_at(deadline, future).await.map_err(|_| Elapsed),
        None => Ok(future.await),
    }
}
