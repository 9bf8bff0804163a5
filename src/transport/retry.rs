//! Whether to try again: decided here, purely; waited for in the loop.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};

use crate::error::{Error, ErrorKind, RequestOutcome};

/// How often and how soon failed attempts are repeated.
///
/// An attempt is repeated if the failure [may pass](Error::is_transient) and repeating is safe: the request reads or sets
/// what it names, or carries an [idempotency key](crate::ClientBuilder::idempotency_header), or provably never left, or
/// the server didn't look at it (HTTP/2's `REFUSED_STREAM`) or at its credentials (401). What may pass is a broken or
/// missing connection, a timeout of the attempt, and the statuses 408, 425, 429, 500, 502, 503 and 504.
///
/// Any other request that may have arrived is sent once: a server that says 503, or 429, may have stored what it was sent
/// before it said so. For 429 you may know better: see [`retry_writes_after_429`](Self::retry_writes_after_429).
///
/// A client and its clones share a budget of 500 tokens: a repetition takes 5, or 10 after a timeout, and a call that
/// comes through gives back what it took, and one at least. One that fails gives nothing back, and neither does one that
/// is dropped, but for a repetition that wasn't sent yet. Without tokens nothing is repeated: so a server that answers
/// nobody gets little more than one request a call, also from callers that don't wait for their calls' ends.
///
/// The wait before the n-th repetition is random between zero and `base` doubled n - 1 times, up to `cap`. Where the
/// server says how long to wait, that is waited, with as much at random on top; if it says longer than
/// `longest_retry_after`, the call fails at once, with the wait in [`Error::retry_after`]. A call never waits beyond
/// its time limit: it fails before.
///
/// Where the server turned a request away so (429 or 503, with `Retry-After`), the client's *other* requests wait as
/// well, and none is sent until then, or for a minute at most if it said longer. A call that wouldn't wait for so long
/// fails at once, unsent, as [`RateLimited`](crate::ErrorKind::RateLimited). Those that wait don't come all at once then:
/// each goes 20 ms after the one that began to wait before it, with the random part on top; so 300 take 6 s. Nobody waits
/// more than 30 s longer for that, or beyond the call's time limit.
///
/// ```
/// use std::time::Duration;
/// use actionlog::{RetryPolicy, UnleashClient};
///
/// let patient = RetryPolicy::default().max_attempts(8).cap(Duration::from_secs(30));
/// let client = UnleashClient::builder("https://unleash.example.com").bearer("token").retry(patient).build()?;
/// # Ok::<(), actionlog::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    max_attempts: u32,
    base: Duration,
    cap: Duration,
    longest_retry_after: Duration,
    writes_after_429: bool,
    classifier: Option<Classifier>,
}

/// Whether a failure is transient, by a function of the user's.
#[derive(Clone)]
struct Classifier(Arc<Classify>);

type Classify = dyn Fn(&Error) -> Option<bool> + Send + Sync;

impl fmt::Debug for Classifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Classifier(..)")
    }
}

impl Default for RetryPolicy {
    /// 4 attempts, 200 ms doubling up to 10 s, and up to 60 s where the server says so.
    fn default() -> Self {
        Self {
            max_attempts: 4,
            base: Duration::from_millis(200),
            cap: Duration::from_secs(10),
            longest_retry_after: Duration::from_secs(60),
            writes_after_429: false,
            classifier: None,
        }
    }
}

impl RetryPolicy {
    /// Every request is sent once. (But for a token that was refused and could be renewed.)
    #[must_use]
    pub fn off() -> Self {
        Self::default().max_attempts(1)
    }

    /// How many attempts a call has, the first one counted. 0 counts as 1.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.max(1);
        self
    }

    /// The longest wait before the first repetition.
    #[must_use]
    pub fn base(mut self, wait: Duration) -> Self {
        self.base = wait;
        self
    }

    /// The longest wait before any repetition, unless the server says otherwise.
    #[must_use]
    pub fn cap(mut self, wait: Duration) -> Self {
        self.cap = wait;
        self
    }

    /// The longest wait that is taken from the server.
    #[must_use]
    pub fn longest_retry_after(mut self, wait: Duration) -> Self {
        self.longest_retry_after = wait;
        self
    }

    /// Decides which failures are transient: `Some(true)` and `Some(false)` are taken, and `None` leaves it to the crate.
    ///
    /// What it decides is what [`Error::is_transient`] says then, so that a stream goes on after the error, or ends. Whether
    /// a transient failure is *repeated* is a matter of safety besides: a `POST` that may have had its effect isn't.
    ///
    /// It's called once for each failed attempt, from within calls: it should be quick.
    ///
    /// ```
    /// use actionlog::{Error, ErrorKind, RetryPolicy};
    ///
    /// // A server that answers 423 while it migrates, and whose 500s don't pass.
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

    /// How many attempts a call has, the first one counted.
    #[must_use]
    pub fn get_max_attempts(&self) -> u32 {
        self.max_attempts
    }

    /// The longest wait before the first repetition.
    #[must_use]
    pub fn get_base(&self) -> Duration {
        self.base
    }

    /// The longest wait before any repetition, unless the server says otherwise.
    #[must_use]
    pub fn get_cap(&self) -> Duration {
        self.cap
    }

    /// The longest wait that is taken from the server.
    #[must_use]
    pub fn get_longest_retry_after(&self) -> Duration {
        self.longest_retry_after
    }

    /// The error of an attempt, transient or not as the user's classifier has it.
    pub(super) fn classified(&self, error: Error) -> Error {
        match self.classifier.as_ref().and_then(|it| it.0(&error)) {
            Some(transient) => error.with_transient(transient),
            None => error,
        }
    }

    /// Takes a 429 as the word that the server did nothing, and repeats requests that aren't safe to repeat after one too.
    ///
    /// For servers, or proxies before them, that count requests before they look at what these hold. One that stores a
    /// record first, and counts then, gets it again with each attempt. Unless set, such a request is sent once, and its
    /// [outcome](Error::outcome) after a 429 is [`Unknown`](RequestOutcome::Unknown).
    #[must_use]
    pub fn retry_writes_after_429(mut self) -> Self {
        self.writes_after_429 = true;
        self
    }

    /// Whether a failed attempt certainly did nothing.
    pub(super) fn had_no_effect(&self, error: &Error) -> bool {
        had_no_effect(error) || (self.writes_after_429 && error.status() == Some(StatusCode::TOO_MANY_REQUESTS))
    }

    /// An attempt's error, with no more said of its effect than is known. `safe`: whether doing it twice does no harm.
    pub(super) fn weigh(&self, error: Error, safe: bool) -> Error {
        // A server may write first, and count then.
        if error.status() == Some(StatusCode::TOO_MANY_REQUESTS) && !safe && !self.writes_after_429 {
            return error.with_outcome(RequestOutcome::Unknown);
        }
        error
    }

    /// The longest random wait after the attempt number `attempts`.
    pub(super) fn jitter(&self, attempts: u32) -> Duration {
        self.base.saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(self.cap).min(A_DAY)
    }

    /// The longest wait that is taken from the server.
    pub(super) fn longest(&self) -> Duration {
        self.longest_retry_after
    }

    /// What to do after the attempt number `attempts` has failed. `repeatable`: whether doing it twice does no harm.
    pub(super) fn decide(&self, repeatable: bool, attempts: u32, error: &Error) -> Decision {
        // A token source has its own ways to try again.
        let passes = error.is_transient() && error.kind() != ErrorKind::Credentials;
        if !passes || attempts >= self.max_attempts || !(repeatable || self.had_no_effect(error)) {
            return Decision::GiveUp;
        }
        let jitter = self.jitter(attempts);
        match error.retry_after() {
            Some(wait) if wait > self.longest_retry_after => Decision::GiveUp,
            least => Decision::Again { least: least.unwrap_or_default(), jitter },
        }
    }
}

/// Whether a failed attempt certainly did nothing: it never left, or the server didn't look at it or at its credentials.
fn had_no_effect(error: &Error) -> bool {
    let not_looked_at = matches!(error.outcome(), RequestOutcome::NotSent | RequestOutcome::Refused);
    (error.status().is_none() && not_looked_at) || error.kind() == ErrorKind::Unauthorized
}

/// The wait, where the server is overloaded and says when to come again.
pub(super) fn turned_away(error: &Error) -> Option<Duration> {
    matches!(error.status()?.as_u16(), 429 | 503).then(|| error.retry_after())?
}

/// Nobody waits for longer between two attempts.
const A_DAY: Duration = Duration::from_secs(86_400);

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The error is the call's.
    GiveUp,
    /// Try again after `least` and a random part of `jitter`.
    Again { least: Duration, jitter: Duration },
}

/// Repetitions that a client and its clones may still make. Without it, a server that fails under load is asked four
/// times as much by everybody.
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

    /// What repeating costs after this error: a timeout held a connection for long.
    pub(super) fn cost(error: &Error) -> u32 {
        if error.kind() == ErrorKind::Timeout { 10 } else { 5 }
    }

    fn take(&self, cost: u32) -> bool {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let left = tokens.checked_sub(cost);
        *tokens = left.unwrap_or(*tokens);
        left.is_some()
    }

    fn give_back(&self, tokens: u32) {
        let mut left = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.saturating_add(tokens).min(TOKENS);
    }
}

/// What one call took of the budget.
///
/// A call that is dropped gives back only what it took for a repetition that wasn't sent. Were it to give back all, callers
/// with time limits of their own would ask a server that answers nobody several times a call, for ever.
#[derive(Debug)]
pub(super) struct Spent<'a> {
    budget: &'a Budget,
    /// For repetitions that were sent.
    used: u32,
    /// For one that is to be sent.
    taken: u32,
}

impl<'a> Spent<'a> {
    pub(super) fn nothing_of(budget: &'a Budget) -> Self {
        Self { budget, used: 0, taken: 0 }
    }

    /// Takes the cost of a repetition, if there is as much.
    pub(super) fn take(&mut self, cost: u32) -> bool {
        let taken = self.budget.take(cost);
        self.taken += if taken { cost } else { 0 };
        taken
    }

    /// An attempt goes out: what was taken for it is used.
    pub(super) fn sent(&mut self) {
        self.used += std::mem::take(&mut self.taken);
    }

    /// The call is over. One that came through gives back what it took, and one at least.
    pub(super) fn settle(mut self, came_through: bool) {
        if came_through {
            self.taken = (self.taken + self.used).max(1);
        }
    }
}

impl Drop for Spent<'_> {
    fn drop(&mut self) {
        self.budget.give_back(self.taken);
    }
}

/// How long the server asks to be left alone: `retry-after-ms`, or `Retry-After` in seconds or as a date. A date is
/// taken against the answer's own `Date`, so that a clock that is off, here or there, makes no difference.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| Some(headers.get(name)?.to_str().ok()?.trim());
    // More than can be counted is as long as can be.
    let counted = |number: f64, scale: f64| {
        let seconds = number / scale;
        (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    };
    let milliseconds = |it: &str| match it.parse() {
        Ok(whole) => Some(Duration::from_millis(whole)),
        Err(_) => counted(it.parse().ok()?, 1000.0),
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn failed(kind: ErrorKind, status: Option<u16>, retry_after: Option<Duration>) -> Error {
        let error = Error::new(kind, "").with_retry_after(retry_after);
        match status {
            Some(status) => error
                .with_status(status.try_into().unwrap())
                .with_transient(crate::error::is_transient_status(status.try_into().unwrap())),
            None => error.with_outcome(RequestOutcome::Unknown),
        }
    }

    #[test]
    fn what_is_repeated_is_what_may_pass_and_is_safe_to_repeat() {
        let again = |repeatable, error: &Error| RetryPolicy::default().decide(repeatable, 1, error) != Decision::GiveUp;
        for status in [408, 425, 429, 500, 502, 503, 504] {
            let error = failed(ErrorKind::Server, Some(status), None);
            assert!(again(true, &error), "{status}");
            assert!(!again(false, &error), "{status}");
        }
        for status in [400, 401, 403, 404, 409, 422, 501, 505] {
            assert!(!again(true, &failed(ErrorKind::Server, Some(status), None)), "{status}");
        }
        // When to come again says nothing of what was done: only the caller may know that of a 429.
        let knowing = RetryPolicy::default().retry_writes_after_429();
        for status in [429, 503, 500, 502] {
            let error = failed(ErrorKind::Server, Some(status), Some(Duration::from_secs(1)));
            assert!(!again(false, &error), "{status}");
            assert_eq!(knowing.decide(false, 1, &error) != Decision::GiveUp, status == 429);
        }
        for kind in [ErrorKind::Transport, ErrorKind::Timeout, ErrorKind::Connect] {
            assert!(again(true, &failed(kind, None, None)));
            assert!(!again(false, &failed(kind, None, None)));
        }
        for kind in [ErrorKind::Decode, ErrorKind::NotJson, ErrorKind::TooLarge] {
            assert!(!again(true, &failed(kind, None, None)));
        }
        assert!(!again(true, &failed(ErrorKind::Credentials, None, None).with_transient(true)));
    }

    #[test]
    fn waits_double_up_to_the_cap_and_a_long_retry_after_is_not_waited_for() {
        let policy = RetryPolicy::default().max_attempts(100);
        let error = failed(ErrorKind::Transport, None, None);
        let jitter = |attempts| match policy.decide(true, attempts, &error) {
            Decision::Again { least: Duration::ZERO, jitter } => jitter.as_millis(),
            other => panic!("{other:?}"),
        };
        assert_eq!([1, 2, 3, 6, 7, 50].map(jitter), [200, 400, 800, 6400, 10_000, 10_000]);
        let asked = |seconds| {
            policy.decide(true, 1, &failed(ErrorKind::RateLimited, Some(429), Some(Duration::from_secs(seconds))))
        };
        assert_eq!(asked(60), Decision::Again { least: Duration::from_secs(60), jitter: Duration::from_millis(200) });
        assert_eq!(asked(61), Decision::GiveUp);
        assert_eq!(RetryPolicy::off().decide(true, 1, &error), Decision::GiveUp);
    }

    #[test]
    fn the_budget_pays_for_a_hundred_repetitions_and_what_successes_give_back() {
        let budget = Budget::new();
        let mut failing = Spent::nothing_of(&budget);
        assert_eq!((0..1000).filter(|_| failing.take(5)).count(), 100);
        failing.sent();
        failing.settle(false);
        let succeed = || Spent::nothing_of(&budget).settle(true);
        let repeat = || {
            let mut call = Spent::nothing_of(&budget);
            let taken = call.take(5);
            call.sent();
            call.settle(false);
            taken
        };
        assert!(!repeat());
        (0..5).for_each(|_| succeed());
        assert!(repeat());
        assert_eq!(budget.left(), 0);
    }

    #[test]
    fn a_call_that_comes_through_gives_back_what_it_took_and_one_that_is_dropped_what_it_did_not_use() {
        for (end, left) in [(Some(true), 500), (Some(false), 495), (None, 495)] {
            let budget = Budget::new();
            let mut call = Spent::nothing_of(&budget);
            assert!(call.take(5));
            call.sent();
            assert!(call.take(10));
            match end {
                Some(came_through) => call.settle(came_through),
                None => drop(call),
            }
            assert_eq!(budget.left(), left, "{end:?}");
        }
    }

    #[test]
    fn retry_after_is_read_in_each_of_its_forms() {
        let cases = [
            (&[("retry-after", "7")][..], Some(Duration::from_secs(7))),
            (&[("retry-after", "1.5")], Some(Duration::from_millis(1500))),
            (&[("retry-after", "7"), ("retry-after-ms", "40")], Some(Duration::from_millis(40))),
            (
                &[("retry-after", "Sat, 21 Nov 2026 20:18:41 GMT"), ("date", "Sat, 21 Nov 2026 20:18:31 GMT")],
                Some(Duration::from_secs(10)),
            ),
            (
                &[("retry-after", "Sat, 21 Nov 2026 20:18:01 GMT"), ("date", "Sat, 21 Nov 2026 20:18:31 GMT")],
                Some(Duration::ZERO),
            ),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "18446744073709551615")], Some(Duration::MAX)),
            (&[("retry-after", "nan")], None),
            (&[("retry-after-ms", "1500.5")], Some(Duration::from_micros(1_500_500))),
            (&[], None),
        ];
        for (pairs, expected) in cases {
            assert_eq!(retry_after(&headers(pairs)), expected, "{pairs:?}");
        }
    }
}
