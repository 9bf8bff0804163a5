//! The limit of requests in flight, and calls that wait for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actionlog::auth::{AuthError, Authenticate, Credentials, Token, TokenCache, TokenSource};
use actionlog::{ErrorKind, IntegrationClient, Request, Result, RetryPolicy, WriteOutcome};
use async_trait::async_trait;
use bytes::Bytes;
use proptest::prelude::*;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::limiter::{S, builder, call, probe, since, status, timed, turned_away, write};
use crate::wire::{Memory, Reply};

#[tokio::test(start_paused = true)]
async fn no_more_requests_are_in_flight_than_permits() {
    let (memory, times) = timed(|_| Reply::After(S, Box::new(status(200))));
    let client = builder(&memory, 0.0).max_in_flight(2).attempt_timeout(Duration::from_millis(1_500)).build().unwrap();
    let began = Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..5 {
        let client = client.clone();
        calls.spawn(async move { call(&client).await });
    }
    while let Some(result) = calls.join_next().await {
        // The wait isn't part of the attempt.
        result.unwrap().unwrap();
    }
    assert_eq!(since(began), 3_000);
    assert_eq!(*times.lock().unwrap(), [0, 0, 1_000, 1_000, 2_000]);
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_permit_counts_for_the_operation_timeout() {
    let (memory, _) = timed(|_| Reply::After(10 * S, Box::new(status(200))));
    let client = builder(&memory, 0.0).max_in_flight(1).build().unwrap();
    let first = client.clone();
    let first = tokio::spawn(async move { call(&first).await });
    sleep(S).await;
    let began = Instant::now();
    let error = client.send(probe()).operation_timeout(3 * S).await.unwrap_err();
    assert_eq!((error.kind(), since(began)), (ErrorKind::Timeout, 3_000));
    assert_eq!((error.attempts(), error.outcome()), (0, WriteOutcome::NotSent));
    first.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_permit_is_held_during_backoff() {
    let (memory, times) = timed(|number| if number == 0 { status(500) } else { status(200) });
    let slow = RetryPolicy::default().initial_backoff(5 * S);
    let client = builder(&memory, 1.0).max_in_flight(1).retry(slow).build().unwrap();
    let first = client.clone();
    let first = tokio::spawn(async move { call(&first).await });
    sleep(S).await;
    call(&client).await.unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(*times.lock().unwrap(), [0, 1_000, 5_000]);
}

/// Authenticates with the current second, after a delay.
#[derive(Debug)]
struct Clock {
    began: Instant,
    takes: Duration,
    signed: Arc<AtomicUsize>,
}

#[async_trait]
impl Authenticate for Clock {
    async fn authenticate(&self, request: &mut http::Request<Bytes>) -> std::result::Result<Credentials, AuthError> {
        self.signed.fetch_add(1, Ordering::SeqCst);
        if !self.takes.is_zero() {
            sleep(self.takes).await;
        }
        let second = self.began.elapsed().as_secs().to_string();
        request.headers_mut().insert("x-signed-at", second.parse().unwrap());
        Ok(Credentials::new())
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waited_long_is_signed_again() {
    for (takes, held, signed_at) in [
        // If authenticating returns at once, the request keeps its permit.
        (Duration::ZERO, 10, ["0", "10"]),
        (Duration::ZERO, 3, ["0", "0"]),
        (Duration::ZERO, 5, ["0", "5"]),
        // If authenticating takes time, the request gives up its permit.
        (S, 10, ["1", "12"]),
    ] {
        let (memory, _) = timed(move |number| {
            let wait = if number == 0 { held * S } else { Duration::ZERO };
            Reply::After(wait, Box::new(status(200)))
        });
        let signed = Arc::new(AtomicUsize::new(0));
        let clock = Clock { began: Instant::now(), takes, signed: Arc::clone(&signed) };
        let client = IntegrationClient::builder("http://localhost").authenticator(clock).http_client(memory.clone());
        let client = client.max_in_flight(1).build().unwrap();
        let first = client.clone();
        let first = tokio::spawn(async move { call(&first).await });
        tokio::task::yield_now().await;
        call(&client).await.unwrap();
        first.await.unwrap().unwrap();
        assert_eq!(memory.headers("x-signed-at"), signed_at, "{takes:?} {held}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_fetched_with_the_same_client_needs_no_second_permit() {
    /// Tokens that expire while the request waits for its permit.
    #[derive(Debug)]
    struct Source(Arc<Mutex<Option<IntegrationClient>>>);

    #[async_trait]
    impl TokenSource for Source {
        async fn fetch(&self) -> std::result::Result<Token, AuthError> {
            let client = self.0.lock().unwrap().clone().unwrap();
            client.send(Request::get("token", [""; 0])).await.map_err(AuthError::transient)?;
            Ok(Token::new("fetched").expires_in(2 * S))
        }
    }

    let (memory, _) = timed(|_| Reply::After(7 * S, Box::new(status(200))));
    let slot = Arc::new(Mutex::new(None));
    let client =
        IntegrationClient::builder("http://localhost").authenticator(TokenCache::new(Source(Arc::clone(&slot))));
    let client = client.http_client(memory.clone()).max_in_flight(1).operation_timeout(None).build().unwrap();
    *slot.lock().unwrap() = Some(client.clone());
    let mut calls = JoinSet::new();
    for _ in 0..4 {
        let client = client.clone();
        calls.spawn(async move { call(&client).await });
    }
    let all = timeout(3_600 * S, async {
        while let Some(result) = calls.join_next().await {
            result.unwrap().unwrap();
        }
    });
    all.await.expect("nobody waits for a permit held by a call that waits for it");
    slot.lock().unwrap().take();
}

/// A kind of failure, or no failure any more.
fn any_reply() -> impl Strategy<Value = (u16, Option<u64>, u64)> {
    (
        prop_oneof![Just(0), Just(1), Just(200), Just(408), Just(429), Just(500), Just(503), Just(404)],
        proptest::option::of(prop_oneof![0..3_000_u64, 0..90_000_u64]),
        prop_oneof![3 => 0..300_u64, 1 => 0..60_000_u64],
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn calls_keep_to_their_deadline_their_attempts_and_the_clients_budget(
        pattern in proptest::collection::vec(any_reply(), 1..40),
        jitter in 0.0..=1.0,
        most in 1..8_u32,
        operation in prop_oneof![0..500_u64, 0..200_000_u64],
        attempt in 1..40_000_u64,
        calls in Just(1_000_usize),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let memory = Memory::endless(move |number, _| {
                let (status, retry_after, wait) = pattern[number % pattern.len()];
                let reply = match status {
                    0 => Reply::Cut,
                    1 => Reply::NoConnection,
                    status => {
                        let wait = retry_after.map(|it| ("retry-after-ms", leak(it)));
                        Reply::Response(status, wait.into_iter().collect(), "{}".to_owned())
                    }
                };
                Reply::After(Duration::from_millis(wait), Box::new(reply))
            });
            let client = builder(&memory, jitter)
                .retry(RetryPolicy::default().max_attempts(most))
                .operation_timeout(Duration::from_millis(operation))
                .attempt_timeout(Duration::from_millis(attempt))
                .build()
                .unwrap();
            let (mut repeated, mut at_once) = (0, 0);
            for number in 0..calls {
                let unsafe_one = number % 7 == 0;
                let began = Instant::now();
                let result = client.send(if unsafe_one { write() } else { probe() }).with_response().await;
                prop_assert!(began.elapsed() <= Duration::from_millis(operation + 1), "{:?}", began.elapsed());
                let attempts = match &result {
                    Ok(responded) => responded.attempts,
                    Err(error) => error.attempts(),
                };
                prop_assert!(attempts <= most);
                // A successful call returns the tokens that its retries took, or one if there were none.
                match result {
                    Ok(_) => at_once += u32::from(attempts == 1),
                    Err(_) => repeated += attempts.saturating_sub(1),
                }
            }
            prop_assert!(5 * repeated <= 500 + at_once, "{repeated} repetitions in vain, {at_once} calls at once");
            Ok(())
        })?;
    }
}

/// A header value with the lifetime of the test.
fn leak(number: u64) -> &'static str {
    number.to_string().leak()
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_dropped_take_nothing_with_them() {
    let memory = Memory::endless(|number, _| {
        let reply = match number % 5 {
            0 => status(500),
            1 => Reply::Cut,
            2 => turned_away("0"),
            3 => Reply::Response(401, Vec::new(), String::new()),
            _ => status(200),
        };
        Reply::After(Duration::from_millis(number as u64 % 97), Box::new(reply))
    });

    #[derive(Debug)]
    struct Slow;
    #[async_trait]
    impl TokenSource for Slow {
        async fn fetch(&self) -> std::result::Result<Token, AuthError> {
            sleep(Duration::from_millis(50)).await;
            Ok(Token::new("token"))
        }
    }

    let client = IntegrationClient::builder("http://localhost")
        .authenticator(TokenCache::new(Slow))
        .http_client(memory.clone())
        .jitter(fastrand::f64)
        .max_in_flight(7)
        .build()
        .unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let mut calls = JoinSet::new();
    for _ in 0..1_000 {
        let (client, patience) = (client.clone(), Duration::from_micros(random.u64(..600_000)));
        calls.spawn(async move { timeout(patience, call(&client)).await.is_err() });
    }
    let dropped = calls.join_all().await.into_iter().filter(|it| *it).count();
    assert!(dropped > 300, "only {dropped} were dropped");
    // A fetch continues for the other callers.
    sleep(S).await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);

    // All permits are available ...
    let began = Instant::now();
    memory.respond_all(|| Reply::After(S, Box::new(status(200))));
    let mut calls = JoinSet::new();
    for _ in 0..14 {
        let client = client.clone();
        calls.spawn(async move { call(&client).await });
    }
    calls.join_all().await.into_iter().collect::<Result<Vec<_>>>().unwrap();
    assert_eq!(began.elapsed(), 2 * S);
    // ... and all tokens of the budget, once calls succeed again.
    memory.respond_all(|| status(200));
    for _ in 0..500 {
        call(&client).await.unwrap();
    }
    memory.respond_all(|| status(500));
    let before = memory.count();
    let error = client.send(probe()).retry(RetryPolicy::default().max_attempts(1_000)).operation_timeout(None);
    assert_eq!(error.await.unwrap_err().attempts(), 101);
    assert_eq!(memory.count() - before, 101);
}

#[tokio::test(start_paused = true)]
async fn no_call_starves_if_signing_is_slow() {
    let memory = Memory::endless(|_, _| Reply::After(S, Box::new(status(200))));
    let clock = Clock { began: Instant::now(), takes: Duration::from_millis(5), signed: Arc::default() };
    let client = IntegrationClient::builder("http://localhost").authenticator(clock).http_client(memory.clone());
    let client = client.max_in_flight(1).build().unwrap();
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let client = client.clone();
        callers.spawn(async move {
            let mut responses = 0;
            while began.elapsed() < 300 * S {
                call(&client).await.unwrap();
                responses += 1;
            }
            responses
        });
    }
    let responses = callers.join_all().await;
    let (least, most) = (responses.iter().min().unwrap(), responses.iter().max().unwrap());
    assert!(*least > 0 && most - least <= 5, "{responses:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_gets_a_permit_at_its_deadline_sends_nothing() {
    for waiting in 1..50 {
        let (memory, _) = timed(|_| Reply::After(S, Box::new(status(200))));
        let client = builder(&memory, 0.0).max_in_flight(1).build().unwrap();
        let first = client.clone();
        let first = tokio::spawn(async move { call(&first).await });
        tokio::task::yield_now().await;
        let mut calls = JoinSet::new();
        for _ in 0..waiting {
            let client = client.clone();
            calls.spawn(async move { client.send(write()).operation_timeout(S).await.unwrap_err() });
        }
        for error in calls.join_all().await {
            assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 0));
            assert_eq!(error.outcome(), WriteOutcome::NotSent);
        }
        first.await.unwrap().unwrap();
        assert_eq!(memory.count(), 1);
    }
}
