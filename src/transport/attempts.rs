//! The attempts of one call: the loop that authenticates, sends, decides and waits.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::StatusCode;
use tokio::time::{Instant, sleep};
use tracing::Instrument;

use crate::auth::{AuthRetry, Credentials};
use crate::decode::HttpResponse;
use crate::error::{Error, ErrorKind, Result, WriteOutcome};
use crate::observe::WaitReason;
use crate::request::{Idempotency, Request};
use crate::transport::dialect::Conditions;
use crate::transport::limiter::{Patience, Permit};
use crate::transport::options::CallOptions;
use crate::transport::reading::ResponseDecoder;
use crate::transport::redact::SentCredentials;
use crate::transport::response::Response;
use crate::transport::retry::{self, Budget, Decision, Spent};
use crate::transport::trace::{self, Attempt};
use crate::transport::{AttemptContext, Authenticated, Progress, Transport, hint, overdue};

/// A request that waited longer than this for its permit is authenticated again: a timestamped signature may have
/// expired.
const STALE: Duration = Duration::from_secs(5);

const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;
const TOO_MANY_REQUESTS: StatusCode = StatusCode::TOO_MANY_REQUESTS;

/// The attempts of one call. The caller applies the operation timeout.
pub(super) struct Attempts<'a, 'b, T> {
    transport: &'a Transport,
    request: &'a Request<T>,
    options: &'a CallOptions,
    here: &'a AttemptContext<'a>,
    progress: &'a mut Progress,
    spent: &'a mut Spent<'b>,
    /// The request without its credentials.
    unsigned: http::Request<Bytes>,
    /// Whether repeating the request has no further effect.
    idempotent: bool,
    /// Whether a 401 has made the call authenticate again.
    reauthenticated: bool,
    /// Whether no attempt can have taken effect.
    no_effect_so_far: bool,
    /// The credentials of all attempts: a server may echo those of an earlier one.
    credentials: Arc<SentCredentials>,
}

impl<'a, 'b, T: Send + 'static> Attempts<'a, 'b, T> {
    pub(super) fn new(
        transport: &'a Transport,
        request: &'a Request<T>,
        options: &'a CallOptions,
        here: &'a AttemptContext<'a>,
        progress: &'a mut Progress,
        spent: &'a mut Spent<'b>,
    ) -> Result<Self> {
        let unsigned = transport.write(request, options)?;
        let has_key = transport.inner.settings.idempotency.is_some();
        let idempotent = request.get_idempotency() == Idempotency::Idempotent || has_key;
        Ok(Self {
            transport,
            request,
            options,
            here,
            progress,
            spent,
            unsigned,
            idempotent,
            reauthenticated: false,
            no_effect_so_far: true,
            credentials: Arc::default(),
        })
    }

    /// Attempts the request until it succeeds, or until no further attempt is allowed.
    pub(super) async fn run(mut self) -> Result<Response<T>> {
        loop {
            let admitted = self.admit().await.map_err(|error| self.not_admitted(error))?;
            let (Authenticated { request, credentials: current, sent }, permit) = admitted;
            // Later messages of the server, to whichever call, may contain these credentials.
            self.transport.inner.redactor.remember(&sent);
            let until = self.time_left()?;
            Arc::make_mut(&mut self.credentials).add(sent);
            let (result, in_time) = self.attempt(request, permit, until).await;
            let error = match result {
                // The deadline passed while the response was being decoded, which no timer interrupts.
                Ok(_) if in_time && self.here.is_over() => {
                    return Err(self.here.overdue(None).with_outcome(WriteOutcome::Applied));
                }
                Ok(response) => return Ok(Response { attempts: self.progress.attempts, ..response }),
                Err(error) => error,
            };
            // Before anything is decided: other calls keep the pause, whatever this one does.
            let overload_wait = self.note_failure(&error);
            let error = match self.authenticates_again(error, &current)? {
                // Not a retry: it costs no budget and no wait, and happens once.
                None => continue,
                Some(error) => error,
            };
            let wait = self.wait_before_retry(error, overload_wait)?;
            self.transport.waiting(self.here.call, WaitReason::Retry, wait);
            sleep(wait).await;
        }
    }

    /// Authenticates the request, and then waits for its permit.
    ///
    /// In this order, because a token source may use this very client: if the request held a permit while it waited for
    /// the token, the token's own request could wait for that permit for ever.
    async fn admit(&self) -> Result<(Authenticated, Permit<'a>)> {
        let (inner, here) = (&self.transport.inner, self.here);
        let mut ready = self.transport.authenticate(&self.unsigned, self.options).await?;
        let mut renewed = false;
        loop {
            let began = Instant::now();
            let jitter = inner.settings.jitter.part_of(here.policy.jitter(1));
            let patience = Patience { longest: here.policy.longest(), jitter, deadline: here.deadline };
            let on_wait = |reason, wait| trace::waiting(here.call, &inner.settings.observer, reason, wait);
            let permit = inner.limiter.enter(patience, &on_wait).await?;
            // Only once: a call that gave up its permit every time would starve.
            if renewed || began.elapsed() < STALE {
                return Ok((ready, permit));
            }
            // Most authenticators return at once. One that doesn't may be waiting for the permit held here, so give it
            // up.
            let mut authenticating = pin!(self.transport.authenticate(&self.unsigned, self.options));
            if let Some(again) = authenticating.as_mut().now_or_never() {
                return Ok((again?, permit));
            }
            drop(permit);
            ready = authenticating.await?;
            renewed = true;
        }
    }

    /// The error of a call that isn't admitted to its next attempt.
    fn not_admitted(&mut self, error: Error) -> Error {
        // A token source's message may contain the token that was rejected before.
        let error = self.transport.inner.redactor.look_for(&self.credentials).redact(error);
        // If no further attempt can be made, the previous attempt's error takes precedence.
        match self.progress.last.take() {
            Some(last) => {
                let wait = last.retry_after().or(error.retry_after());
                last.with_retry_after(wait).with_source(error)
            }
            None => error,
        }
    }

    /// Returns until when the next attempt may take, unless its time is over before it is sent.
    fn time_left(&mut self) -> Result<Option<Instant>> {
        // A call that gets its permit at its deadline hasn't sent anything.
        if self.here.is_over() {
            return Err(self.here.overdue(self.progress.last.take()));
        }
        let until = self.here.limit.and_then(|limit| Instant::now().checked_add(limit));
        if until.is_some_and(|until| until <= Instant::now()) {
            return Err(overdue("not sent: no time is left within the attempt timeout of", self.here.limit));
        }
        Ok(until)
    }

    /// Makes one attempt: sends the request, and decodes the response. Also returns whether the response came before
    /// the deadline.
    async fn attempt(
        &mut self,
        #[cfg_attr(not(feature = "testing"), expect(unused_mut))] mut request: http::Request<Bytes>,
        permit: Permit<'a>,
        until: Option<Instant>,
    ) -> (Result<Response<T>>, bool) {
        let (inner, here) = (&self.transport.inner, self.here);
        self.progress.attempts += 1;
        self.progress.in_flight = true;
        self.spent.sent();
        if let Some(flight) = &self.options.flight {
            flight.sent.store(true, Ordering::Relaxed);
        }
        let mut attempt =
            Attempt::begin(here.call, &inner.settings.observer, inner.base.server(), self.progress.attempts);
        // A recorder must write none of the credentials, whatever form the server sends them back in.
        #[cfg(feature = "testing")]
        request.extensions_mut().insert(inner.redactor.look_for(&self.credentials));
        let response = self.transport.round_trip(request, here.limit, until).instrument(attempt.span()).await;
        // Decoding needs no server: the next request may go out meanwhile.
        drop(permit);
        let in_time = !here.is_over();
        let result = self.decode(response, &mut attempt).await;
        self.progress.in_flight = false;
        let result = result.map_err(|error| {
            let error = inner.redactor.look_for(&self.credentials).redact(error);
            here.policy.classified(here.policy.weigh(error, self.idempotent))
        });
        attempt.end(result.as_ref().err());
        // Any other status than 401 shows that the credentials are accepted.
        if result.as_ref().map_or_else(Error::status, |it| Some(it.status)).is_some_and(|it| it != UNAUTHORIZED) {
            inner.renewal.worked();
        }
        (result, in_time)
    }

    /// Decodes the response to an attempt.
    async fn decode(&self, response: Result<HttpResponse>, attempt: &mut Attempt<'_>) -> Result<Response<T>> {
        let inner = &self.transport.inner;
        match response {
            Ok(response) => {
                attempt.responded(response.status(), response.version());
                let decoder = ResponseDecoder {
                    transport: Arc::clone(inner),
                    request: self.request.clone(),
                    conditions: Conditions::of(self.unsigned.headers()),
                    credentials: Arc::clone(&self.credentials),
                    secrets: inner.redactor.look_for(&self.credentials),
                    rate_limit: inner.limiter.learn(response.headers()),
                    may_have_been_done: self.progress.unknown,
                    response,
                };
                decoder.decode_off_thread().await
            }
            Err(error) if error.kind() == ErrorKind::TooLarge => {
                Err(error.with_hint(Some(hint::too_large(self.request.is_of_page()))))
            }
            Err(error) => Err(error),
        }
    }

    /// Notes the error of an attempt. Returns the pause that an overloaded server asked for, if it did: all calls of
    /// the client and its clones keep it.
    fn note_failure(&mut self, error: &Error) -> Option<Duration> {
        if let Some(flight) = self.options.flight.as_ref().filter(|_| error.status() == Some(TOO_MANY_REQUESTS)) {
            flight.refused.store(true, Ordering::Relaxed);
        }
        self.progress.unknown |= error.outcome() == WriteOutcome::Unknown;
        self.progress.refused |= error.outcome() == WriteOutcome::NotApplied;
        let overload_wait = retry::overload_wait(error);
        if let Some(wait) = overload_wait {
            self.transport.inner.limiter.pause_for(wait);
        }
        self.progress.last = Some(error.clone());
        overload_wait
    }

    /// After a 401, authenticates again at most once per call, outside of the retry budget; and not at all while
    /// renewed credentials were recently rejected too. Returns the error if the call isn't to authenticate again.
    fn authenticates_again(&mut self, error: Error, current: &Credentials) -> Result<Option<Error>> {
        let inner = &self.transport.inner;
        if error.status() != Some(UNAUTHORIZED) {
            return Ok(Some(error));
        }
        if self.reauthenticated {
            inner.renewal.failed();
        } else if let Some(rest) = inner.renewal.rests() {
            return Err(error.with_source(format!(
                "renewed credentials were rejected too: the client won't renew them for another {rest:.0?}"
            )));
        } else if inner.auth.refused(current) == AuthRetry::Retry {
            self.reauthenticated = true;
            trace::again(self.progress.attempts, &error);
            return Ok(None);
        }
        Ok(Some(error))
    }

    /// Returns how long to wait before the next attempt, or the error if there is to be none.
    fn wait_before_retry(&mut self, error: Error, overload_wait: Option<Duration>) -> Result<Duration> {
        let (inner, here) = (&self.transport.inner, self.here);
        // A request that isn't idempotent is repeated only if no attempt can have taken effect.
        self.no_effect_so_far &= here.policy.had_no_effect(&error);
        let decision = here.policy.decide(self.idempotent || self.no_effect_so_far, self.progress.attempts, &error);
        let Decision::Again { least, jitter } = decision else { return Err(error) };
        let mut wait = least.saturating_add(inner.settings.jitter.part_of(jitter));
        let until = Instant::now().checked_add(wait);
        let in_time = until.is_some_and(|until| here.deadline.is_none_or(|deadline| until < deadline));
        // Fail with the real error now, rather than with a timeout later.
        if !in_time || !self.spent.take(Budget::cost(&error)) {
            return Err(error);
        }
        // This call waits for the pause too, so it takes its turn among the other waiting calls.
        if overload_wait.is_some() {
            let room = here.deadline.zip(until).map(|(deadline, until)| deadline - until);
            wait = wait.saturating_add(inner.limiter.turn(room));
        }
        trace::again(self.progress.attempts, &error);
        Ok(wait)
    }
}
