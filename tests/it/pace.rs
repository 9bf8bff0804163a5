//! When requests go out: waits, pauses, places, deadlines. In memory, with time paused, so that every wait is exact.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actionlog::auth::{AuthError, Authenticate, Cached, Signature, Token, TokenSource};
use actionlog::{ClientBuilder, Error, ErrorKind, IntegrationClient, Request, RequestOutcome, Result, RetryPolicy};
use async_trait::async_trait;
use bytes::Bytes;
use proptest::prelude::*;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::support::draft;
use crate::wire::{Memory, Reply};

const S: Duration = Duration::from_secs(1);

/// Nothing of waits is left to chance.
fn builder(memory: &Memory, jitter: f64) -> ClientBuilder<IntegrationClient> {
    IntegrationClient::builder("http://localhost").api_key("key").exchange(memory.clone()).jitter(move || jitter)
}

/// An exchange that notes when each request comes, in milliseconds since the first was made.
fn timed(answer: impl Fn(usize) -> Reply + Send + Sync + 'static) -> (Memory, Arc<Mutex<Vec<u64>>>) {
    let times: Arc<Mutex<Vec<u64>>> = Arc::default();
    let noted = Arc::clone(&times);
    let began = Instant::now();
    let memory = Memory::new(move |number, _| {
        noted.lock().unwrap().push(since(began));
        answer(number)
    });
    (memory, times)
}

fn since(began: Instant) -> u64 {
    began.elapsed().as_millis().try_into().unwrap()
}

fn status(status: u16) -> Reply {
    Reply::json(status, "{}")
}

fn turned_away(retry_after: &'static str) -> Reply {
    Reply::Answer(429, vec![("retry-after", retry_after)], String::new())
}

fn probe() -> Request<()> {
    Request::get("probe", [""; 0])
}

fn write() -> Request<()> {
    Request::new(http::Method::POST, "probe", [""; 0])
}

async fn call(client: &IntegrationClient) -> Result<()> {
    client.send(probe()).await
}

#[tokio::test(start_paused = true)]
async fn waits_double_up_to_the_cap_and_chance_takes_its_part() {
    for (jitter, expected) in [
        (1.0, [0, 200, 600, 1_400, 3_000, 6_200, 12_600, 22_600]),
        (0.5, [0, 100, 300, 700, 1_500, 3_100, 6_300, 11_300]),
        (0.0, [0; 8]),
        // A source that gives nonsense makes waits no longer than the longest, and no shorter than none.
        (f64::NAN, [0, 200, 600, 1_400, 3_000, 6_200, 12_600, 22_600]),
        (-3.0, [0; 8]),
    ] {
        let (memory, times) = timed(|_| status(500));
        let client = builder(&memory, jitter).retry(RetryPolicy::default().max_attempts(8)).build().unwrap();
        let error = call(&client).await.unwrap_err();
        assert_eq!((error.attempts(), error.outcome()), (8, RequestOutcome::Unknown));
        assert_eq!(*times.lock().unwrap(), expected, "{jitter}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_server_asks_for_is_waited_with_chance_on_top() {
    let date = || {
        let headers = vec![("date", "Sat, 21 Nov 2026 20:18:31 GMT"), ("retry-after", "Sat, 21 Nov 2026 20:18:41 GMT")];
        Reply::Answer(503, headers, String::new())
    };
    let answers: [(fn() -> Reply, u64); 4] = [
        (|| turned_away("7"), 7_000),
        (|| turned_away("0.25"), 250),
        (|| Reply::Answer(429, vec![("retry-after-ms", "40"), ("retry-after", "9")], String::new()), 40),
        (date, 10_000),
    ];
    for (answer, wait) in answers {
        let (memory, times) = timed(move |number| if number == 0 { answer() } else { status(200) });
        call(&builder(&memory, 0.5).build().unwrap()).await.unwrap();
        assert_eq!(*times.lock().unwrap(), [0, wait + 100]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_never_slept_past() {
    // 0, 200, 600, 1400, and the next would be at 3000.
    let (memory, times) = timed(|_| status(502));
    let began = Instant::now();
    let client = builder(&memory, 1.0).retry(RetryPolicy::default().max_attempts(99)).operation_timeout(3 * S);
    let error = call(&client.build().unwrap()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts(), since(began)), (ErrorKind::Server, 4, 1_400));
    assert_eq!(times.lock().unwrap().len(), 4);

    let (memory, _) = timed(|_| turned_away("3"));
    let began = Instant::now();
    let error = call(&builder(&memory, 0.0).operation_timeout(3 * S).build().unwrap()).await.unwrap_err();
    assert_eq!((error.kind(), since(began)), (ErrorKind::RateLimited, 0));
    assert_eq!(error.retry_after(), Some(3 * S));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_cut_to_the_time_that_is_left() {
    let (memory, times) = timed(|_| Reply::Never);
    let began = Instant::now();
    let client = builder(&memory, 0.0).attempt_timeout(3 * S).operation_timeout(7 * S).build().unwrap();
    let error = call(&client).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts(), since(began)), (ErrorKind::Timeout, 3, 7_000));
    assert_eq!(*times.lock().unwrap(), [0, 3_000, 6_000]);
    assert_eq!(error.outcome(), RequestOutcome::Unknown);
}

#[tokio::test(start_paused = true)]
async fn limits_can_be_set_for_a_call_and_switched_off() {
    let (memory, _) = timed(|_| Reply::After(200 * S, Box::new(status(200))));
    let client = builder(&memory, 0.0).build().unwrap();
    client.send(probe()).attempt_timeout(None).operation_timeout(None).await.unwrap();
    let began = Instant::now();
    let error = client.send(probe()).attempt_timeout(S).retry(RetryPolicy::off()).await.unwrap_err();
    assert_eq!((error.kind(), since(began)), (ErrorKind::Timeout, 1_000));
    let began = Instant::now();
    let error = client.send(probe()).attempt_timeout(None).operation_timeout(2 * S).await.unwrap_err();
    assert_eq!((error.kind(), since(began)), (ErrorKind::Timeout, 2_000));
}

#[tokio::test(start_paused = true)]
async fn when_the_server_turns_one_clone_away_the_others_wait_too() {
    let (memory, times) = timed(|number| if number == 0 { turned_away("7") } else { status(200) });
    let client = builder(&memory, 0.5).build().unwrap();
    let other = client.clone();
    let first = tokio::spawn(async move { call(&client).await });
    sleep(2 * S).await;
    // A part of the shortest wait comes on top, so that not all come at once.
    call(&other).await.unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(*times.lock().unwrap(), [0, 7_100, 7_120]);
    // And that's over then.
    call(&other).await.unwrap();
    assert_eq!(times.lock().unwrap().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_pause_longer_than_anyone_waits_is_told_at_once_and_looked_at_again_after_a_minute() {
    let (memory, times) = timed(|number| if number == 0 { turned_away("3600") } else { status(200) });
    let client = builder(&memory, 0.0).build().unwrap();
    assert_eq!(call(&client).await.unwrap_err().retry_after(), Some(3_600 * S));
    sleep(20 * S).await;
    let error = call(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_eq!(error.retry_after(), Some(3_580 * S));
    assert_eq!((error.attempts(), error.outcome(), error.status()), (0, RequestOutcome::NotSent, None));
    assert!(error.is_transient());
    assert!(error.to_string().contains("not sent"), "{error}");
    sleep(41 * S).await;
    call(&client).await.unwrap();
    assert_eq!(*times.lock().unwrap(), [0, 61_000]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_beyond_the_deadline_is_not_waited_for() {
    let (memory, times) = timed(|number| if number == 0 { turned_away("30") } else { status(200) });
    let client = builder(&memory, 0.0).build().unwrap();
    let other = client.clone();
    tokio::spawn(async move { call(&client).await });
    sleep(S).await;
    let began = Instant::now();
    let error = other.send(probe()).operation_timeout(10 * S).await.unwrap_err();
    assert_eq!((error.kind(), since(began)), (ErrorKind::RateLimited, 0));
    assert_eq!(error.outcome(), RequestOutcome::NotSent);
    assert_eq!(*times.lock().unwrap(), [0]);
    // Who wants no pauses says so.
    let impatient = RetryPolicy::off().longest_retry_after(Duration::ZERO);
    let error = other.send(probe()).retry(impatient).await.unwrap_err();
    assert_eq!((error.kind(), since(began)), (ErrorKind::RateLimited, 0));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_turns_everybody_away_for_ever_holds_nobody_for_ever() {
    let (memory, _) = timed(|_| turned_away("50"));
    let client = builder(&memory, 0.0).operation_timeout(None).retry(RetryPolicy::default().max_attempts(1_000));
    let client = client.build().unwrap();
    let failing = client.clone();
    let busy = tokio::spawn(async move { while call(&failing).await.is_err() {} });
    sleep(S).await;
    let began = Instant::now();
    let error = call(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert!(began.elapsed() < Duration::from_secs(24 * 60 * 60), "{:?}", began.elapsed());
    busy.abort();
}

#[tokio::test(start_paused = true)]
async fn no_more_requests_are_under_way_than_may_be() {
    let (memory, times) = timed(|_| Reply::After(S, Box::new(status(200))));
    let client = builder(&memory, 0.0).max_in_flight(2).attempt_timeout(Duration::from_millis(1_500)).build().unwrap();
    let began = Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..5 {
        let client = client.clone();
        calls.spawn(async move { call(&client).await });
    }
    while let Some(result) = calls.join_next().await {
        // The wait isn't the attempt's.
        result.unwrap().unwrap();
    }
    assert_eq!(since(began), 3_000);
    assert_eq!(*times.lock().unwrap(), [0, 0, 1_000, 1_000, 2_000]);
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_place_is_the_operations() {
    let (memory, _) = timed(|_| Reply::After(10 * S, Box::new(status(200))));
    let client = builder(&memory, 0.0).max_in_flight(1).build().unwrap();
    let first = client.clone();
    let first = tokio::spawn(async move { call(&first).await });
    sleep(S).await;
    let began = Instant::now();
    let error = client.send(probe()).operation_timeout(3 * S).await.unwrap_err();
    assert_eq!((error.kind(), since(began)), (ErrorKind::Timeout, 3_000));
    assert_eq!((error.attempts(), error.outcome()), (0, RequestOutcome::NotSent));
    first.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_place_is_held_while_a_call_waits_to_repeat() {
    let (memory, times) = timed(|number| if number == 0 { status(500) } else { status(200) });
    let slow = RetryPolicy::default().base(5 * S);
    let client = builder(&memory, 1.0).max_in_flight(1).retry(slow).build().unwrap();
    let first = client.clone();
    let first = tokio::spawn(async move { call(&first).await });
    sleep(S).await;
    call(&client).await.unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(*times.lock().unwrap(), [0, 1_000, 5_000]);
}

/// Signs with the second at which it was asked, after a time.
#[derive(Debug)]
struct Clock {
    began: Instant,
    takes: Duration,
    signed: Arc<AtomicUsize>,
}

#[async_trait]
impl Authenticate for Clock {
    async fn sign(&self, request: &mut http::Request<Bytes>) -> std::result::Result<Signature, AuthError> {
        self.signed.fetch_add(1, Ordering::SeqCst);
        if !self.takes.is_zero() {
            sleep(self.takes).await;
        }
        let second = self.began.elapsed().as_secs().to_string();
        request.headers_mut().insert("x-signed-at", second.parse().unwrap());
        Ok(Signature::new())
    }
}

#[tokio::test(start_paused = true)]
async fn what_waited_long_is_signed_anew() {
    for (takes, held, signed_at) in [
        // There at once: signed again with the place in hand.
        (Duration::ZERO, 10, ["0", "10"]),
        (Duration::ZERO, 3, ["0", "0"]),
        // Not there at once: signed again without it.
        (S, 10, ["1", "12"]),
    ] {
        let (memory, _) = timed(move |number| {
            let wait = if number == 0 { held * S } else { Duration::ZERO };
            Reply::After(wait, Box::new(status(200)))
        });
        let signed = Arc::new(AtomicUsize::new(0));
        let clock = Clock { began: Instant::now(), takes, signed: Arc::clone(&signed) };
        let client = IntegrationClient::builder("http://localhost").authenticator(clock).exchange(memory.clone());
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
async fn a_token_that_is_fetched_by_the_client_itself_needs_no_second_place() {
    /// Its tokens last so short that one ends while its request waits.
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
    let client = IntegrationClient::builder("http://localhost").authenticator(Cached::new(Source(Arc::clone(&slot))));
    let client = client.exchange(memory.clone()).max_in_flight(1).operation_timeout(None).build().unwrap();
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
    all.await.expect("nobody waits for a place that whom it waits for holds");
    slot.lock().unwrap().take();
}

/// A failure out of those there are, or the end of them.
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
                        Reply::Answer(status, wait.into_iter().collect(), "{}".to_owned())
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
                let result = client.send(if unsafe_one { write() } else { probe() }).with_answer().await;
                prop_assert!(began.elapsed() <= Duration::from_millis(operation + 1), "{:?}", began.elapsed());
                let attempts = match &result {
                    Ok(answered) => answered.attempts,
                    Err(error) => error.attempts(),
                };
                prop_assert!(attempts <= most);
                // A call that comes through gives back what its repetitions took, and one if there were none.
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

/// A header's value that lives as long as the test.
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
            3 => Reply::Answer(401, Vec::new(), String::new()),
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
        .authenticator(Cached::new(Slow))
        .exchange(memory.clone())
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
    // A fetch goes on for the others, until it ends.
    sleep(S).await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);

    // All the places are there ...
    let began = Instant::now();
    memory.answer_all(|| Reply::After(S, Box::new(status(200))));
    let mut calls = JoinSet::new();
    for _ in 0..14 {
        let client = client.clone();
        calls.spawn(async move { call(&client).await });
    }
    calls.join_all().await.into_iter().collect::<Result<Vec<_>>>().unwrap();
    assert_eq!(began.elapsed(), 2 * S);
    // ... and all the tokens, once calls came through again.
    memory.answer_all(|| status(200));
    for _ in 0..500 {
        call(&client).await.unwrap();
    }
    memory.answer_all(|| status(500));
    let before = memory.count();
    let error = client.send(probe()).retry(RetryPolicy::default().max_attempts(1_000)).operation_timeout(None);
    assert_eq!(error.await.unwrap_err().attempts(), 101);
    assert_eq!(memory.count() - before, 101);
}

fn created(error: &Error) -> (u32, RequestOutcome) {
    (error.attempts(), error.outcome())
}

#[tokio::test(start_paused = true)]
async fn a_create_is_repeated_only_where_it_can_not_have_happened_twice() {
    use RequestOutcome::{NotSent, Refused, Unknown};
    type Case = (fn() -> Reply, (u32, RequestOutcome));
    let cases: [Case; 9] = [
        (|| Reply::NoConnection, (4, NotSent)),
        // It may have been stored first, and turned away then.
        (|| turned_away("1"), (1, Unknown)),
        (|| Reply::Answer(503, vec![("retry-after", "1")], String::new()), (1, Unknown)),
        (|| Reply::Cut, (1, Unknown)),
        (|| status(500), (1, Unknown)),
        (|| status(503), (1, Unknown)),
        (|| status(408), (1, Unknown)),
        (|| status(429), (1, Unknown)),
        (|| status(409), (1, Refused)),
    ];
    for (reply, expected) in cases {
        let (memory, _) = timed(move |_| reply());
        let error = builder(&memory, 0.0).build().unwrap().logs().create(draft()).await.unwrap_err();
        assert_eq!(created(&error), expected, "{error}");
        assert_eq!(memory.count(), expected.0 as usize);
    }
    // Once it may have happened, nothing that follows makes it safe again.
    let (memory, _) = timed(|number| if number == 0 { Reply::NoConnection } else { Reply::Cut });
    let error = builder(&memory, 0.0).build().unwrap().logs().create(draft()).await.unwrap_err();
    assert_eq!(created(&error), (2, Unknown));
}

#[tokio::test(start_paused = true)]
async fn a_create_is_repeated_after_a_429_only_where_the_user_says_so_and_never_after_a_503() {
    use RequestOutcome::{Refused, Unknown};
    let knowing = RetryPolicy::default().retry_writes_after_429();
    let busy = || Reply::Answer(503, vec![("retry-after", "1")], String::new());
    type Case = (fn(usize) -> Reply, (u32, RequestOutcome));
    let cases: [Case; 4] = [
        (|_| turned_away("1"), (4, Refused)),
        (|_| status(429), (4, Refused)),
        (|number| if number == 0 { turned_away("1") } else { Reply::Cut }, (2, Unknown)),
        (|_| Reply::Answer(503, vec![("retry-after", "1")], String::new()), (1, Unknown)),
    ];
    for (reply, expected) in cases {
        for of_the_call in [false, true] {
            let (memory, _) = timed(reply);
            let (client, call) = (builder(&memory, 0.0), RetryPolicy::default());
            let knowing = knowing.clone();
            let (client, call) = if of_the_call { (client, knowing) } else { (client.retry(knowing), call) };
            let create = client.build().unwrap().logs().create(draft());
            let error = if of_the_call { create.retry(call).await } else { create.await }.unwrap_err();
            assert_eq!(created(&error), expected, "{error}");
        }
    }
    // With a key the server tells the two apart: all may be repeated.
    let (memory, _) = timed(move |number| if number < 3 { busy() } else { status(200) });
    let client = builder(&memory, 0.0).idempotency_header("idempotency-key").build().unwrap();
    client.send(write()).await.unwrap();
    assert_eq!(memory.count(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_honours_a_key_is_sent_one_and_writes_are_repeated() {
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
    // Reading needs none.
    client.send(probe()).await.unwrap();
    assert_eq!(memory.headers("idempotency-key").last().unwrap(), "");
}

#[tokio::test(start_paused = true)]
async fn nobody_starves_where_signing_takes_a_moment() {
    let memory = Memory::endless(|_, _| Reply::After(S, Box::new(status(200))));
    let clock = Clock { began: Instant::now(), takes: Duration::from_millis(5), signed: Arc::default() };
    let client = IntegrationClient::builder("http://localhost").authenticator(clock).exchange(memory.clone());
    let client = client.max_in_flight(1).build().unwrap();
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let client = client.clone();
        callers.spawn(async move {
            let mut answers = 0;
            while began.elapsed() < 300 * S {
                call(&client).await.unwrap();
                answers += 1;
            }
            answers
        });
    }
    let answers = callers.join_all().await;
    let (least, most) = (answers.iter().min().unwrap(), answers.iter().max().unwrap());
    assert!(*least > 0 && most - least <= 5, "{answers:?}");
}

#[tokio::test(start_paused = true)]
async fn no_time_at_all_sends_nothing() {
    let (memory, _) = timed(|_| status(200));
    let client = builder(&memory, 0.0).build().unwrap();
    let error = client.send(probe()).operation_timeout(Duration::ZERO).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome(), memory.count()), (ErrorKind::Timeout, RequestOutcome::NotSent, 0));
}

#[tokio::test(start_paused = true)]
async fn what_keeps_a_repetition_back_does_not_hide_why_there_was_to_be_one() {
    // Another clone is told to stay away while this one waits to repeat.
    let (memory, _) =
        timed(|number| if number == 0 { Reply::json(500, r#"{"message": "on fire"}"#) } else { turned_away("3600") });
    let client = builder(&memory, 1.0).retry(RetryPolicy::default().base(5 * S)).build().unwrap();
    let other = client.clone();
    let first = tokio::spawn(async move { call(&other).await.unwrap_err() });
    sleep(S).await;
    call(&client).await.unwrap_err();
    let error = first.await.unwrap();
    assert_eq!((error.kind(), error.attempts(), error.outcome()), (ErrorKind::Server, 1, RequestOutcome::Unknown));
    assert_eq!(error.api().and_then(|it| it.message()), Some("on fire"));
    assert_eq!(error.retry_after(), Some(3_596 * S));
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("not sent"), "{source}");

    // The time runs out while it's asked again.
    let (memory, _) = timed(|number| if number == 0 { status(502) } else { Reply::Never });
    let error = builder(&memory, 0.0).operation_timeout(3 * S).build().unwrap().send(probe()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("502"), "{source}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_beyond_counting_is_longer_than_anyone_waits() {
    for (header, value) in [
        ("retry-after", "10000000000000000000"),
        ("retry-after", "18446744073709551615"),
        ("retry-after-ms", "99999999999999999999999"),
        ("retry-after", "1e300"),
    ] {
        let (memory, _) = timed(move |_| Reply::Answer(503, vec![(header, value)], String::new()));
        let client = builder(&memory, 1.0).build().unwrap();
        let began = Instant::now();
        let first = call(&client).await.unwrap_err();
        assert!(first.retry_after().is_some_and(|it| it > 60 * S), "{value}: {first:?}");
        let second = call(&client).await.unwrap_err();
        assert_eq!((second.kind(), since(began), memory.count()), (ErrorKind::RateLimited, 0, 1), "{value}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_gets_a_place_as_the_time_ends_has_sent_nothing() {
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
            assert_eq!(error.outcome(), RequestOutcome::NotSent);
        }
        first.await.unwrap().unwrap();
        assert_eq!(memory.count(), 1);
    }
}

/// In real time, where the end of the one and the limit of the other come in either order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_to_be_unknown_was_seen_and_what_was_not_sent_was_not() {
    let took = Duration::from_millis(5);
    for _ in 0..20 {
        let memory = Memory::new(move |_, _| Reply::After(took, Box::new(status(200))));
        let client = IntegrationClient::builder("http://localhost").api_key("key").exchange(memory.clone());
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
                None | Some((RequestOutcome::Unknown, 1)) => was_seen,
                Some((outcome, attempts)) => (*outcome, *attempts, was_seen) == (RequestOutcome::NotSent, 0, false),
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
        let result = client.logs().create(draft()).attempt_timeout(limit).await;
        if limit.is_zero() {
            let error = result.unwrap_err();
            assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, RequestOutcome::NotSent));
            assert_eq!((error.attempts(), memory.count()), (0, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_says_what_is_known_of_the_attempts_before() {
    /// Gives one token, and then none for long.
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

    // It arrived, and was refused for its token: nothing happened, and still it was sent.
    let (memory, _) = timed(|_| status(401));
    let client = IntegrationClient::builder("http://localhost").authenticator(Cached::new(Once(AtomicUsize::new(0))));
    let client = client.exchange(memory.clone()).operation_timeout(3 * S).build().unwrap();
    let error = client.logs().create(draft()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 1));
    assert_eq!(error.outcome(), RequestOutcome::Refused);

    // No attempt left.
    let (memory, _) = timed(|_| Reply::After(S, Box::new(Reply::NoConnection)));
    let policy = RetryPolicy::default().max_attempts(9).base(Duration::ZERO);
    let client = builder(&memory, 0.0).retry(policy).operation_timeout(Duration::from_millis(2_500)).build().unwrap();
    let error = client.send(write()).await.unwrap_err();
    // The third is under way: nobody knows of that one.
    assert_eq!((error.kind(), error.attempts(), error.outcome()), (ErrorKind::Timeout, 3, RequestOutcome::Unknown));
}

#[tokio::test(start_paused = true)]
async fn callers_with_time_limits_of_their_own_ask_a_server_that_is_down_little_more_than_once_a_call() {
    const CALLS: usize = 1_000;
    for jitter in [0.0, 0.25, 1.0] {
        let memory = Memory::endless(|_, _| Reply::After(Duration::from_millis(100), Box::new(status(500))));
        let client = builder(&memory, jitter).build().unwrap();
        for _ in 0..CALLS {
            assert!(timeout(Duration::from_millis(550), call(&client)).await.map_or(true, |it| it.is_err()));
        }
        // A hundred is what the budget pays for.
        assert!(memory.count() <= CALLS + 101, "{} requests for {CALLS} calls", memory.count());
        assert!(memory.count() >= CALLS);
        // When it's up again, calls that come through pay for repetitions again.
        memory.answer_all(|| status(200));
        for _ in 0..50 {
            call(&client).await.unwrap();
        }
        memory.answer_all(|| status(500));
        assert!(call(&client).await.unwrap_err().attempts() > 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_repetition_that_was_not_sent_costs_nothing() {
    let memory = Memory::endless(|_, _| status(500));
    let client = builder(&memory, 1.0).build().unwrap();
    for _ in 0..1_000 {
        // Dropped while it waits to repeat.
        assert!(timeout(Duration::from_millis(100), call(&client)).await.is_err());
    }
    assert_eq!(memory.count(), 1_000);
    assert_eq!(call(&client).await.unwrap_err().attempts(), 4);
}

/// A new token each time, at once.
#[derive(Clone, Debug, Default)]
struct Willing(Arc<AtomicUsize>);

#[async_trait]
impl TokenSource for Willing {
    async fn fetch(&self) -> std::result::Result<Token, AuthError> {
        Ok(Token::new(format!("token-{}", self.0.fetch_add(1, Ordering::SeqCst))))
    }
}

fn renewing(source: &Willing, memory: &Memory) -> IntegrationClient {
    let client = IntegrationClient::builder("http://localhost").authenticator(Cached::new(source.clone()));
    client.exchange(memory.clone()).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_every_token_is_asked_once_a_call_and_the_source_seldom() {
    let (source, memory) = (Willing::default(), Memory::endless(|_, _| status(401)));
    let client = renewing(&source, &memory);
    let mut resting = 0;
    for _ in 0..300 {
        let error = call(&client).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Unauthorized, RequestOutcome::Refused));
        resting +=
            usize::from(std::error::Error::source(&error).is_some_and(|it| it.to_string().contains("made anew")));
        sleep(S).await;
    }
    // Anew at 0, 10, 30, 70, 150 s.
    assert_eq!((memory.count(), source.0.load(Ordering::SeqCst)), (305, 6));
    assert_eq!(resting, 295);

    // Once the server takes tokens again, one that ends is renewed as before, after ten seconds at most.
    memory.answer_all(|| status(200));
    call(&client).await.unwrap();
    sleep(11 * S).await;
    let refused_once = AtomicUsize::new(0);
    let reply = move || if refused_once.fetch_add(1, Ordering::SeqCst) == 0 { status(401) } else { status(200) };
    memory.answer_all(reply);
    call(&client).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_path_that_refuses_every_token_does_not_keep_others_from_renewing_theirs() {
    let source = Willing::default();
    let memory = Memory::endless(|_, request| match request.uri().path() {
        "/closed" => status(401),
        _ => status(200),
    });
    let client = renewing(&source, &memory);
    for _ in 0..200 {
        client.send(Request::get("closed", [""; 0])).await.unwrap_err();
        call(&client).await.unwrap();
        sleep(S).await;
    }
    // At most once in ten seconds: the other path shows that tokens are taken.
    let fetches = source.0.load(Ordering::SeqCst);
    assert!((15..=25).contains(&fetches), "{fetches}");
    assert!(memory.count() <= 400 + 21, "{}", memory.count());
}

#[tokio::test(start_paused = true)]
async fn a_token_source_that_is_down_is_not_asked_by_every_call() {
    #[derive(Clone, Debug, Default)]
    struct Down(Arc<AtomicUsize>, Arc<Mutex<bool>>);

    #[async_trait]
    impl TokenSource for Down {
        async fn fetch(&self) -> std::result::Result<Token, AuthError> {
            self.0.fetch_add(1, Ordering::SeqCst);
            if *self.1.lock().unwrap() { Ok(Token::new("token")) } else { Err(AuthError::transient("sealed")) }
        }
    }

    let source = Down::default();
    let (memory, _) = timed(|_| status(200));
    let client = IntegrationClient::builder("http://localhost").authenticator(Cached::new(source.clone()));
    let client = client.exchange(memory.clone()).build().unwrap();
    for _ in 0..3_000 {
        let (began, before) = (Instant::now(), source.0.load(Ordering::SeqCst));
        let error = call(&client).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Credentials, RequestOutcome::NotSent));
        assert!(error.is_transient() && began.elapsed().is_zero());
        let story = crate::wire::whole_story(&error);
        assert!(story.contains("sealed"), "{story}");
        let was_asked = source.0.load(Ordering::SeqCst) > before;
        assert_eq!(story.contains("isn't asked again for another"), !was_asked, "{story}");
        sleep(Duration::from_millis(100)).await;
    }
    // After 0, 1, 3, 7, 15, 31 s, and every 30 s then, in 300 s.
    let asked = source.0.load(Ordering::SeqCst);
    assert!((12..=15).contains(&asked), "{asked}");
    *source.1.lock().unwrap() = true;
    sleep(30 * S).await;
    call(&client).await.unwrap();
    assert_eq!(source.0.load(Ordering::SeqCst), asked + 1);
}

/// The most that came within a quarter of a second.
fn densest(times: &[u64]) -> usize {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.iter().map(|from| times.iter().filter(|it| (*from..*from + 250).contains(*it)).count()).max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn when_a_pause_is_over_those_who_waited_come_one_after_the_other() {
    for (waiting, most) in [(3_u64, 4), (30, 25), (300, 25), (3_000, 45)] {
        let (memory, times) = timed(|number| if number == 0 { turned_away("5") } else { status(200) });
        let mut random = fastrand::Rng::with_seed(5);
        let client = IntegrationClient::builder("http://localhost").api_key("key").exchange(memory.clone());
        let client = client.build().unwrap();
        let mut calls = JoinSet::new();
        for _ in 0..=waiting {
            let client = client.clone();
            calls.spawn(async move { call(&client).await });
            sleep(Duration::from_millis(random.u64(..2))).await;
        }
        calls.join_all().await.into_iter().collect::<Result<Vec<_>>>().unwrap();
        let times = times.lock().unwrap()[1..].to_vec();
        let last = *times.iter().max().unwrap();
        assert!(times.iter().all(|it| *it >= 5_000));
        let spread = (20 * waiting).min(30_000);
        assert!((5_000 + spread * 9 / 10..=5_000 + spread + 400).contains(&last), "{waiting}: the last came at {last}");
        assert!(densest(&times) <= most, "{waiting}: {} within 250 ms", densest(&times));
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_were_turned_away_together_come_again_one_after_the_other() {
    // As many as the budget pays for.
    const ALL: usize = 100;
    let (memory, times) = timed(|number| {
        Reply::After(Duration::from_millis(50), Box::new(if number < ALL { turned_away("5") } else { status(200) }))
    });
    let client = IntegrationClient::builder("http://localhost").api_key("key").exchange(memory.clone());
    let client = client.build().unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..ALL {
        let client = client.clone();
        calls.spawn(async move { call(&client).await });
    }
    calls.join_all().await.into_iter().collect::<Result<Vec<_>>>().unwrap();
    let times = times.lock().unwrap()[ALL..].to_vec();
    assert_eq!(times.len(), ALL);
    assert!(densest(&times) <= 25, "{} within 250 ms", densest(&times));
}

#[tokio::test(start_paused = true)]
async fn nobody_fails_for_having_to_wait_for_the_others() {
    let (memory, times) = timed(|number| if number == 0 { turned_away("5") } else { status(200) });
    let client = builder(&memory, 0.5).operation_timeout(8 * S).build().unwrap();
    let first = client.clone();
    let first = tokio::spawn(async move { call(&first).await });
    sleep(Duration::from_millis(1)).await;
    let mut calls = JoinSet::new();
    for _ in 0..600 {
        let client = client.clone();
        calls.spawn(async move { call(&client).await });
    }
    calls.join_all().await.into_iter().collect::<Result<Vec<_>>>().unwrap();
    first.await.unwrap().unwrap();
    let times = times.lock().unwrap()[1..].to_vec();
    // In the three seconds that there are, six hundred.
    assert!(densest(&times) <= 70, "{} within 250 ms", densest(&times));
}
