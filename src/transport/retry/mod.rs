//! The retry policy and budget. This file decides; the loop in `transport` waits and sends.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};

use crate::error::{Error, ErrorKind, WriteOutcome};

/// When failed attempts are retried, and how long the client waits before each retry.
///
/// # What is retried
///
/// An attempt is retried if its failure [is transient](Error::is_transient) and a retry is safe. Transient failures are
/// a broken or missing connection, an attempt timeout, and the statuses 408, 425, 429, 500, 502, 503 and 504. A retry
/// is safe if any of these holds:
///
/// - The request is idempotent: it reads, or sets what it names, or carries an
///   [idempotency key](crate::ClientBuilder::idempotency_header).
/// - The request provably wasn't sent.
/// - The server didn't process it (HTTP/2's `REFUSED_STREAM`), or rejected its credentials (401).
///
/// Any other request that may have arrived is sent once: a server that returns 503, or 429, may have stored the record
/// first. If you know that yours doesn't for 429, see [`retry_writes_after_429`](Self::retry_writes_after_429).
///
/// # The retry budget
///
/// A client and its clones share a budget of 500 tokens. A retry takes 5 tokens, or 10 after a timeout. A call that
/// succeeds returns the tokens that it took, and at least one. A call that fails returns none, and a call that is
/// dropped returns only those for a retry that wasn't sent yet. Without tokens nothing is retried, so a server that
/// fails every call gets little more than one request per call, even from callers that drop their calls early.
///
/// # Waits
///
/// The wait before the n-th retry is random between zero and `initial_backoff` doubled n - 1 times, up to
/// `max_backoff`. If the server sends `Retry-After`, the client waits for that time, with the random part on top. If
/// that time exceeds `max_retry_after`, the call fails at once, with the time in [`Error::retry_after`]. A call never
/// waits beyond its operation timeout: it fails before.
///
/// After a 429 or 503 with `Retry-After`, the client's *other* requests wait as well: none is sent until the time is
/// over, or for a minute at most. A call that wouldn't wait that long fails at once, unsent, as
/// [`RateLimited`](crate::ErrorKind::RateLimited). The waiting calls don't start all at once: each starts 20 ms after
/// the one that began to wait before it, with the random part on top, so 300 calls take 6 s. This adds at most 30 s to
/// a call's wait, and never exceeds its operation timeout.
///
/// ```
/// use std::time::Duration;
/// use actionlog::{RetryPolicy, UnleashClient};
///
/// let patient = RetryPolicy::default().max_attempts(8).max_backoff(Duration::from_secs(30));
/// let client = UnleashClient::builder("https://unleash.example.com").bearer("token").retry(patient).build()?;
/// # Ok::<(), actionlog::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    max_attempts: u32,
    initial_backoff: Duration,
    max_backoff: Duration,
    max_retry_after: Duration,
    writes_after_429: bool,
    classifier: Option<Classifier>,
}

/// A user-defined function that decides whether a failure is transient.
#[derive(Clone)]
struct Classifier(Arc<Classify>);

type Classify = dyn Fn(&Error) -> Option<bool> + Send + Sync;

impl fmt::Debug for Classifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Classifier(..)")
    }
}

impl Default for RetryPolicy {
    /// 4 attempts, a backoff from 200 ms doubling up to 10 s, and a `Retry-After` of up to 60 s.
    fn default() -> Self {
        Self {
            max_attempts: 4,
            initial_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(10),
            max_retry_after: Duration::from_secs(60),
            writes_after_429: false,
            classifier: None,
        }
    }
}

impl RetryPolicy {
    /// Sends every request once. (Except that a request whose token was rejected is sent again with a renewed one.)
    #[must_use]
    pub fn never() -> Self {
        Self::default().max_attempts(1)
    }

    /// The number of attempts of a call, including the first one. 0 counts as 1.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.max(1);
        self
    }

    /// The longest wait before the first retry.
    #[must_use]
    pub fn initial_backoff(mut self, wait: Duration) -> Self {
        self.initial_backoff = wait;
        self
    }

    /// The longest wait before any retry, unless the server sends `Retry-After`.
    #[must_use]
    pub fn max_backoff(mut self, wait: Duration) -> Self {
        self.max_backoff = wait;
        self
    }

    /// The longest `Retry-After` that the client waits for. If the server asks for more, the call fails at once.
    #[must_use]
    pub fn max_retry_after(mut self, wait: Duration) -> Self {
        self.max_retry_after = wait;
        self
    }

    /// Overrides which failures are transient: `Some` decides, and `None` leaves the decision to the crate.
    ///
    /// [`Error::is_transient`] then returns the decision, so it also determines whether a stream goes on after the
    /// error. Whether a transient failure is *retried* also depends on safety: a `POST` that may have taken effect
    /// isn't.
    ///
    /// The function is called once for each failed attempt, inside the call: it should return quickly.
    ///
    /// ```
    /// use actionlog::{Error, ErrorKind, RetryPolicy};
    ///
    /// // A server that returns 423 while it migrates, and whose 500s are permanent.
    /// let policy = RetryPolicy::default().classify(|error: &Error| match error.status()?.as_u16() {
    ///     423 => Some(true),
    ///     500 => Some(false),
    ///     _ => None,
    /// });
    /// ```
    #[must_use]
    pub fn classify(mut self, transient: impl Fn(&Error) -> Option<bool> + Send + Sync + 'static) -> Self {
        self.classifier = Some(Classifier(Arc::new(transient)));
        self
    }

    /// The number of attempts of a call, including the first one.
    #[must_use]
    pub fn get_max_attempts(&self) -> u32 {
        self.max_attempts
    }

    /// The longest wait before the first retry.
    #[must_use]
    pub fn get_initial_backoff(&self) -> Duration {
        self.initial_backoff
    }

    /// The longest wait before any retry, unless the server sends `Retry-After`.
    #[must_use]
    pub fn get_max_backoff(&self) -> Duration {
        self.max_backoff
    }

    /// The longest `Retry-After` that the client waits for.
    #[must_use]
    pub fn get_max_retry_after(&self) -> Duration {
        self.max_retry_after
    }

    /// The error of an attempt, with the user's classifier applied.
    pub(super) fn classified(&self, error: Error) -> Error {
        match self.classifier.as_ref().and_then(|it| it.0(&error)) {
            Some(transient) => error.with_transient(transient),
            None => error,
        }
    }

    /// Treats a 429 as proof that the request had no effect, and retries non-idempotent requests after one too.
    ///
    /// Use this for servers, or proxies in front of them, that count requests before they process them. A server that
    /// stores a record before it counts gets the record again with each attempt. Unless this is set, such a request is
    /// sent once, and its [outcome](Error::outcome) after a 429 is [`Unknown`](WriteOutcome::Unknown).
    #[must_use]
    pub fn retry_writes_after_429(mut self) -> Self {
        self.writes_after_429 = true;
        self
    }

    /// Whether a failed attempt certainly had no effect.
    pub(super) fn had_no_effect(&self, error: &Error) -> bool {
        had_no_effect(error) || (self.writes_after_429 && error.status() == Some(StatusCode::TOO_MANY_REQUESTS))
    }

    /// An attempt's error, with an outcome that claims no more than is certain. `safe`: whether the request is
    /// idempotent.
    pub(super) fn weigh(&self, error: Error, safe: bool) -> Error {
        // A server may store the record first and count the request afterwards.
        if error.status() == Some(StatusCode::TOO_MANY_REQUESTS) && !safe && !self.writes_after_429 {
            return error.with_outcome(WriteOutcome::Unknown);
        }
        error
    }

    /// The upper bound of the random wait after attempt number `attempts`.
    pub(super) fn jitter(&self, attempts: u32) -> Duration {
        self.initial_backoff.saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(self.max_backoff).min(A_DAY)
    }

    /// The longest `Retry-After` that the client waits for.
    pub(super) fn longest(&self) -> Duration {
        self.max_retry_after
    }

    /// What to do after attempt number `attempts` has failed. `repeatable`: whether a second execution does no harm.
    pub(super) fn decide(&self, repeatable: bool, attempts: u32, error: &Error) -> Decision {
        // Token sources retry by themselves: `TokenCache` spaces out their failures.
        let transient = error.is_transient() && error.kind() != ErrorKind::Credentials;
        // A second execution that does harm is never risked: the caller learns the outcome and decides.
        if !transient || attempts >= self.max_attempts || !(repeatable || self.had_no_effect(error)) {
            return Decision::GiveUp;
        }
        let jitter = self.jitter(attempts);
        match error.retry_after() {
            // A retry before the server wants it would be rejected too, and a longer wait is the caller's to make.
            Some(wait) if wait > self.max_retry_after => Decision::GiveUp,
            least => Decision::Again { least: least.unwrap_or_default(), jitter },
        }
    }
}

/// Whether a failed attempt certainly had no effect: it wasn't sent, or the server didn't process it, or the server
/// rejected its credentials.
fn had_no_effect(error: &Error) -> bool {
    let not_looked_at = matches!(error.outcome(), WriteOutcome::NotSent | WriteOutcome::NotApplied);
    // With a status, the server has looked at the request; of these only a 401 comes before it is processed.
    (error.status().is_none() && not_looked_at) || error.kind() == ErrorKind::Unauthorized
}

/// The `Retry-After` of an overloaded server (429 or 503).
pub(super) fn overload_wait(error: &Error) -> Option<Duration> {
    matches!(error.status()?.as_u16(), 429 | 503).then(|| error.retry_after())?
}

/// The longest backoff, whatever the policy says.
const A_DAY: Duration = Duration::from_secs(86_400);

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Fail the call with this error.
    GiveUp,
    /// Retry after `least` plus a random part of `jitter`.
    Again { least: Duration, jitter: Duration },
}

/// The retries that a client and its clones may still make. Without a budget, a server that fails under load would get
/// four times the load.
#[derive(Debug)]
pub(super) struct Budget {
    tokens: Mutex<u32>,
}

const TOKENS: u32 = 500;

impl Budget {
    pub(super) fn new() -> Self {
        Self { tokens: Mutex::new(TOKENS) }
    }

    #[cfg(test)]
    fn left(&self) -> u32 {
        *self.tokens.lock().unwrap()
    }

    /// The cost of a retry after this error. A timeout costs more, as it has held a connection for long.
    pub(super) fn cost(error: &Error) -> u32 {
        if error.kind() == ErrorKind::Timeout { 10 } else { 5 }
    }

    fn take(&self, cost: u32) -> bool {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let left = tokens.checked_sub(cost);
        // A retry that can't be paid in full takes nothing: a cheaper one may still be paid.
        *tokens = left.unwrap_or(*tokens);
        left.is_some()
    }

    fn give_back(&self, tokens: u32) {
        let mut left = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.saturating_add(tokens).min(TOKENS);
    }
}

/// The tokens that one call has taken from the budget.
///
/// A call that is dropped returns only the tokens for a retry that wasn't sent. If it returned all of them, callers
/// with their own timeouts would send several requests per call to an unresponsive server, for ever.
#[derive(Debug)]
pub(super) struct Spent<'a> {
    budget: &'a Budget,
    /// Tokens for retries that were sent.
    used: u32,
    /// Tokens for a retry that is still to be sent.
    taken: u32,
}

impl<'a> Spent<'a> {
    pub(super) fn nothing_of(budget: &'a Budget) -> Self {
        Self { budget, used: 0, taken: 0 }
    }

    /// Takes the cost of a retry. `false` if the budget doesn't have enough tokens.
    pub(super) fn take(&mut self, cost: u32) -> bool {
        let taken = self.budget.take(cost);
        self.taken += if taken { cost } else { 0 };
        taken
    }

    /// An attempt is sent: the tokens taken for it are used.
    pub(super) fn sent(&mut self) {
        self.used += std::mem::take(&mut self.taken);
    }

    /// The call is over. A successful call returns the tokens that it took, and at least one.
    pub(super) fn settle(mut self, succeeded: bool) {
        if succeeded {
            // At least one, so that a budget that is used up fills again while calls succeed.
            self.taken = (self.taken + self.used).max(1);
        }
    }
}

impl Drop for Spent<'_> {
    fn drop(&mut self) {
        self.budget.give_back(self.taken);
    }
}

/// The wait that the server asks for: `retry-after-ms`, or `Retry-After` in seconds or as a date. A date is compared
/// with the response's own `Date`, so that a wrong clock on either side makes no difference.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| Some(headers.get(name)?.to_str().ok()?.trim());
    // A number that overflows counts as the longest duration.
    let counted = |number: f64, scale: f64| {
        let seconds = number / scale;
        (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    };
    let milliseconds = |it: &str| match it.parse() {
        Ok(whole) => Some(Duration::from_millis(whole)),
        Err(_) => counted(it.parse().ok()?, 1000.0),
    };
    // The finer unit wins where a server sends both.
    if let Some(wait) = text("retry-after-ms").and_then(milliseconds) {
        return Some(wait);
    }
    let after = text(RETRY_AFTER.as_str())?;
    if let Ok(seconds) = after.parse::<f64>() {
        return counted(seconds, 1.0);
    }
    let until = httpdate::parse_http_date(after).ok()?;
    let now = text(DATE.as_str()).and_then(|it| httpdate::parse_http_date(it).ok()).unwrap_or_else(SystemTime::now);
    Some(until.duration_since(now).unwrap_or_default())
}
