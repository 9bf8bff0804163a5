//! Which writes are retried, and what the error then reports.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actionlog::auth::{AuthError, Token, TokenCache, TokenSource};
use actionlog::{Error, ErrorKind, IntegrationClient, RetryPolicy, WriteOutcome};
use async_trait::async_trait;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::limiter::{S, builder, call, probe, status, timed, turned_away, write};
use crate::support::pending_input;
use crate::wire::{Memory, Reply};

fn created(error: &Error) -> (u32, WriteOutcome) {
    (error.attempts(), error.outcome())
}

#[tokio::test(start_paused = true)]
async fn a_create_is_retried_only_if_it_cannot_be_applied_twice() {
    use WriteOutcome::{NotApplied, NotSent, Unknown};
    type Case = (fn() -> Reply, (u32, WriteOutcome));
    let cases: [Case; 9] = [
        (|| Reply::NoConnection, (4, NotSent)),
        // The server may have stored it before it sent this status.
        (|| turned_away("1"), (1, Unknown)),
        (|| Reply::Response(503, vec![("retry-after", "1")], String::new()), (1, Unknown)),
        (|| Reply::Cut, (1, Unknown)),
        (|| status(500), (1, Unknown)),
        (|| status(503), (1, Unknown)),
        (|| status(408), (1, Unknown)),
        (|| status(429), (1, Unknown)),
        (|| status(409), (1, NotApplied)),
    ];
    for (reply, expected) in cases {
        let (memory, _) = timed(move |_| reply());
        let error = builder(&memory, 0.0).build().unwrap().logs().create(pending_input()).await.unwrap_err();
        assert_eq!(created(&error), expected, "{error}");
        assert_eq!(memory.count(), expected.0 as usize);
    }
    // Once an attempt may have taken effect, no later response makes a retry safe.
    let (memory, _) = timed(|number| if number == 0 { Reply::NoConnection } else { Reply::Cut });
    let error = builder(&memory, 0.0).build().unwrap().logs().create(pending_input()).await.unwrap_err();
    assert_eq!(created(&error), (2, Unknown));
}

#[tokio::test(start_paused = true)]
async fn a_create_is_retried_after_a_429_only_by_choice_and_never_after_a_503() {
    use WriteOutcome::{NotApplied, Unknown};
    let knowing = RetryPolicy::default().retry_writes_after_429();
    let busy = || Reply::Response(503, vec![("retry-after", "1")], String::new());
    type Case = (fn(usize) -> Reply, (u32, WriteOutcome));
    let cases: [Case; 4] = [
        (|_| turned_away("1"), (4, NotApplied)),
        (|_| status(429), (4, NotApplied)),
        (|number| if number == 0 { turned_away("1") } else { Reply::Cut }, (2, Unknown)),
        (|_| Reply::Response(503, vec![("retry-after", "1")], String::new()), (1, Unknown)),
    ];
    for (reply, expected) in cases {
        for of_the_call in [false, true] {
            let (memory, _) = timed(reply);
            let (client, call) = (builder(&memory, 0.0), RetryPolicy::default());
            let knowing = knowing.clone();
            let (client, call) = if of_the_call { (client, knowing) } else { (client.retry(knowing), call) };
            let create = client.build().unwrap().logs().create(pending_input());
            let error = if of_the_call { create.retry(call).await } else { create.await }.unwrap_err();
            assert_eq!(created(&error), expected, "{error}");
        }
    }
    // With an idempotency key, the server recognises a repeated request: all may be retried.
    let (memory, _) = timed(move |number| if number < 3 { busy() } else { status(200) });
    let client = builder(&memory, 0.0).idempotency_header("idempotency-key").build().unwrap();
    client.send(write()).await.unwrap();
    assert_eq!(memory.count(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_server_with_idempotency_keys_gets_one_and_writes_are_retried() {
    let (memory, _) = timed(|number| if number % 3 < 2 { Reply::Cut } else { status(200) });
    let client = builder(&memory, 0.0).idempotency_header("Idempotency-Key").build().unwrap();
    for _ in 0..2 {
        client.send(write()).await.unwrap();
    }
    client.send(write()).header("idempotency-key", "mine").await.unwrap();
    let keys = memory.headers("idempotency-key");
    assert_eq!(keys[0], keys[2]);
    assert_ne!(keys[0], keys[3]);
    assert_eq!(keys[3], keys[5]);
    assert_eq!(keys[6..], ["mine", "mine", "mine"]);
    let parts: Vec<_> = keys[0].split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12], "{}", keys[0]);
    assert!(keys[0].chars().nth(14) == Some('4') && "89ab".contains(keys[0].chars().nth(19).unwrap()), "{}", keys[0]);
    // Reads need no key.
    client.send(probe()).await.unwrap();
    assert_eq!(memory.headers("idempotency-key").last().unwrap(), "");
}

#[tokio::test(start_paused = true)]
async fn no_time_at_all_sends_nothing() {
    let (memory, _) = timed(|_| status(200));
    let client = builder(&memory, 0.0).build().unwrap();
    let error = client.send(probe()).operation_timeout(Duration::ZERO).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome(), memory.count()), (ErrorKind::Timeout, WriteOutcome::NotSent, 0));
}

#[tokio::test(start_paused = true)]
async fn an_error_that_prevents_a_retry_does_not_hide_the_previous_one() {
    // Another clone gets a pause from the server while this one waits for its retry.
    let (memory, _) =
        timed(|number| if number == 0 { Reply::json(500, r#"{"message": "on fire"}"#) } else { turned_away("3600") });
    let client = builder(&memory, 1.0).retry(RetryPolicy::default().initial_backoff(5 * S)).build().unwrap();
    let other = client.clone();
    let first = tokio::spawn(async move { call(&other).await.unwrap_err() });
    sleep(S).await;
    call(&client).await.unwrap_err();
    let error = first.await.unwrap();
    assert_eq!((error.kind(), error.attempts(), error.outcome()), (ErrorKind::Server, 1, WriteOutcome::Unknown));
    assert_eq!(error.api().and_then(|it| it.message()), Some("on fire"));
    assert_eq!(error.retry_after(), Some(3_596 * S));
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("not sent"), "{source}");

    // The timeout expires during the retry.
    let (memory, _) = timed(|number| if number == 0 { status(502) } else { Reply::Never });
    let error = builder(&memory, 0.0).operation_timeout(3 * S).build().unwrap().send(probe()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("502"), "{source}");
}

/// In real time, so that a response and a deadline come in either order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_outcomes_reached_the_server_and_unsent_writes_did_not() {
    let took = Duration::from_millis(5);
    for _ in 0..20 {
        let memory = Memory::new(move |_, _| Reply::After(took, Box::new(status(200))));
        let client = IntegrationClient::builder("http://localhost").api_key("key").http_client(memory.clone());
        let client = client.max_in_flight(1).build().unwrap();
        let mut calls = JoinSet::new();
        for number in 0..6_u32 {
            let client = client.clone();
            calls.spawn(async move {
                let call = client.send(write()).header("x-number", number.to_string());
                (number, call.operation_timeout(took * number).await)
            });
        }
        let ends = calls.join_all().await;
        let seen = memory.headers("x-number");
        for (number, end) in ends {
            let was_seen = seen.contains(&number.to_string());
            let said = end.err().map(|it| (it.outcome(), it.attempts()));
            let truth = match &said {
                // (The time may be over between the status and the end of the body.)
                None | Some((WriteOutcome::Unknown | WriteOutcome::Applied, 1)) => was_seen,
                Some((outcome, attempts)) => (*outcome, *attempts, was_seen) == (WriteOutcome::NotSent, 0, false),
            };
            assert!(truth, "{said:?}, and it was seen: {was_seen}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_without_time_sends_nothing() {
    for limit in [Duration::ZERO, Duration::from_nanos(1)] {
        let (memory, _) = timed(|_| status(200));
        let client = builder(&memory, 0.0).build().unwrap();
        let result = client.logs().create(pending_input()).attempt_timeout(limit).await;
        if limit.is_zero() {
            let error = result.unwrap_err();
            assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, WriteOutcome::NotSent));
            assert_eq!((error.attempts(), memory.count()), (0, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_error_reports_the_previous_attempt() {
    /// Returns one token, and then hangs.
    #[derive(Debug)]
    struct Once(AtomicUsize);

    #[async_trait]
    impl TokenSource for Once {
        async fn fetch(&self) -> std::result::Result<Token, AuthError> {
            if self.0.fetch_add(1, Ordering::SeqCst) > 0 {
                sleep(20 * S).await;
            }
            Ok(Token::new("token"))
        }
    }

    // It arrived and was rejected for its token: it was sent, and had no effect.
    let (memory, _) = timed(|_| status(401));
    let client =
        IntegrationClient::builder("http://localhost").authenticator(TokenCache::new(Once(AtomicUsize::new(0))));
    let client = client.http_client(memory.clone()).operation_timeout(3 * S).build().unwrap();
    let error = client.logs().create(pending_input()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 1));
    assert_eq!(error.outcome(), WriteOutcome::NotApplied);

    // No attempt is left.
    let (memory, _) = timed(|_| Reply::After(S, Box::new(Reply::NoConnection)));
    let policy = RetryPolicy::default().max_attempts(9).initial_backoff(Duration::ZERO);
    let client = builder(&memory, 0.0).retry(policy).operation_timeout(Duration::from_millis(2_500)).build().unwrap();
    let error = client.send(write()).await.unwrap_err();
    // The third attempt is in flight: its outcome is unknown.
    assert_eq!((error.kind(), error.attempts(), error.outcome()), (ErrorKind::Timeout, 3, WriteOutcome::Unknown));
}
