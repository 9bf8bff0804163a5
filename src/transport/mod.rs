//! The one way to the server and back: sign, exchange, read, judge.

mod base;
pub(crate) mod decode;
pub(crate) mod exchange;
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
use tokio::time::{Instant, timeout_at};

pub(crate) use base::Base;
use exchange::{Exchange, Stage};
use scrub::Secrets;
pub(crate) use verdict::{Circumstance, Dialect};

use crate::auth::Authenticate;
use crate::error::{Error, ErrorKind, RequestOutcome, Result};
use crate::request::{Answer, Request};

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
}

/// What is known of a call so far; outlives the future that a timeout drops.
#[derive(Debug, Default)]
struct Progress {
    attempts: u32,
    /// Whether the server may have seen the request.
    seen: bool,
}

impl Transport {
    pub(crate) fn new(
        base: Base,
        dialect: &'static Dialect,
        auth: Arc<dyn Authenticate>,
        exchange: Arc<dyn Exchange>,
        timeouts: Timeouts,
        max_body: usize,
    ) -> Self {
        let mut headers = HeaderMap::with_capacity(2);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("actionlog/", env!("CARGO_PKG_VERSION"))));
        Self { inner: Arc::new(Inner { base, dialect, auth, exchange, timeouts, max_body, headers }) }
    }

    /// Sends a request until it has an answer or there is no more to try, and reads the answer.
    pub(crate) async fn send<T>(&self, request: &Request<T>, options: CallOptions) -> Result<T> {
        let mut progress = Progress::default();
        let limit = options.operation.unwrap_or(self.inner.timeouts.operation);
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let result = within(deadline, self.attempts(request, options, &mut progress)).await.unwrap_or_else(|Elapsed| {
            Err(Error::new(
                ErrorKind::Timeout,
                format!("not done within the operation's {limit:?}", limit = limit.unwrap_or_default()),
            ))
        });
        result.map_err(|error| {
            let outcome = match error.status() {
                Some(_) if error.kind() == ErrorKind::Refused => RequestOutcome::Refused,
                Some(status) => verdict::outcome(status, error.retry_after()),
                None if progress.seen => RequestOutcome::Unknown,
                None => RequestOutcome::NotSent,
            };
            error.with_attempts(progress.attempts, outcome).with_operation(request.operation(self.inner.dialect.name))
        })
    }

    /// The loop. The limit on the whole operation is around it.
    async fn attempts<T>(&self, request: &Request<T>, options: CallOptions, progress: &mut Progress) -> Result<T> {
        let unsigned = self.write(request)?;
        loop {
            let (signed, secrets) = self.sign(&unsigned).await?;
            progress.attempts += 1;
            let result = match self.exchange(signed, options, progress).await {
                Ok(answer) => verdict::judge(self.inner.dialect, request, &answer),
                Err(error) => Err(error),
            };
            let error = match result {
                Ok(value) => return Ok(value),
                Err(error) => secrets.scrub(error),
            };
            match retry::decide(request.repeats(), progress.attempts, &error) {
                retry::Decision::GiveUp => return Err(error),
            }
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

    async fn sign(&self, unsigned: &http::Request<Bytes>) -> Result<(http::Request<Bytes>, Secrets)> {
        let mut signed = unsigned.clone();
        let signature = self.inner.auth.sign(&mut signed).await.map_err(|error| {
            Error::new(ErrorKind::Credentials, "there are no credentials to sign with")
                .with_transient(error.is_transient())
                .with_source(error)
        })?;
        let secrets = Secrets::of(unsigned, &mut signed, &signature);
        Ok((signed, secrets))
    }

    /// One attempt: the request out, and the whole answer in.
    async fn exchange(
        &self,
        signed: http::Request<Bytes>,
        options: CallOptions,
        progress: &mut Progress,
    ) -> Result<Answer> {
        let limit = options.attempt.unwrap_or(self.inner.timeouts.attempt);
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        // Until the exchange says otherwise: a future that is dropped half-way says nothing.
        let seen_before = std::mem::replace(&mut progress.seen, true);
        let exchange = async {
            let answer = match self.inner.exchange.exchange(signed).await {
                Ok(answer) => answer,
                Err(error) if error.stage() == Stage::Connect => {
                    progress.seen = seen_before;
                    return Err(
                        Error::new(ErrorKind::Connect, "the server can't be reached").with_source(error.into_source())
                    );
                }
                Err(error) => {
                    return Err(Error::new(ErrorKind::Transport, "the connection broke before an answer came")
                        .with_source(error.into_source()));
                }
            };
            read::whole(answer, self.inner.max_body).await
        };
        within(deadline, exchange).await.unwrap_or_else(|Elapsed| {
            Err(Error::new(
                ErrorKind::Timeout,
                format!("no whole answer within the attempt's {limit:?}", limit = limit.unwrap_or_default()),
            ))
        })
    }
}

struct Elapsed;

async fn within<F: Future>(deadline: Option<Instant>, future: F) -> Result<F::Output, Elapsed> {
    match deadline {
        Some(deadline) => timeout_at(deadline, future).await.map_err(|_| Elapsed),
        None => Ok(future.await),
    }
}
