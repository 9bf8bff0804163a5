//! What is retried, after which waits, and what the budget pays for.

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
        None => error.with_outcome(WriteOutcome::Unknown),
    }
}

#[test]
fn transient_failures_are_retried_if_a_retry_is_safe() {
    let again = |repeatable, error: &Error| RetryPolicy::default().decide(repeatable, 1, error) != Decision::GiveUp;
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let error = failed(ErrorKind::Server, Some(status), None);
        assert!(again(true, &error), "{status}");
        assert!(!again(false, &error), "{status}");
    }
    for status in [400, 401, 403, 404, 409, 422, 501, 505] {
        assert!(!again(true, &failed(ErrorKind::Server, Some(status), None)), "{status}");
    }
    // `Retry-After` doesn't say whether the request took effect: only the caller may know that, of a 429.
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
fn the_backoff_doubles_up_to_its_maximum_and_a_long_retry_after_fails_the_call() {
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
    assert_eq!(RetryPolicy::never().decide(true, 1, &error), Decision::GiveUp);
}

#[test]
fn each_setting_changes_itself_alone() {
    let seconds = Duration::from_secs;
    let set = RetryPolicy::default()
        .max_attempts(7)
        .initial_backoff(seconds(1))
        .max_backoff(seconds(2))
        .max_retry_after(seconds(3))
        .retry_writes_after_429();
    let settings = |it: &RetryPolicy| {
        (it.get_max_attempts(), it.get_initial_backoff(), it.get_max_backoff(), it.get_max_retry_after())
    };
    assert_eq!(settings(&set), (7, seconds(1), seconds(2), seconds(3)));
    assert_eq!([1, 2, 9].map(|it| set.jitter(it)), [1, 2, 2].map(seconds));
    assert_eq!(set.longest(), seconds(3));
    let usual = RetryPolicy::default();
    assert_eq!(settings(&usual), (4, Duration::from_millis(200), seconds(10), seconds(60)));
    assert_eq!(usual.max_attempts(0).get_max_attempts(), 1);
}

#[test]
fn the_budget_pays_for_a_hundred_retries_and_for_what_successes_return() {
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
fn a_successful_call_returns_all_its_tokens_and_a_dropped_one_its_unused_tokens() {
    for (end, left) in [(Some(true), 500), (Some(false), 495), (None, 495)] {
        let budget = Budget::new();
        let mut call = Spent::nothing_of(&budget);
        assert!(call.take(5));
        call.sent();
        assert!(call.take(10));
        match end {
            Some(succeeded) => call.settle(succeeded),
            None => drop(call),
        }
        assert_eq!(budget.left(), left, "{end:?}");
    }
}

#[test]
fn every_form_of_retry_after_is_parsed() {
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
