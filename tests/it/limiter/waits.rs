//! Backoff, `Retry-After` and the pause that all clones share.

use std::time::Duration;

use actionlog::{ErrorKind, IntegrationClient, Result, RetryPolicy, WriteOutcome};
use futures_util::FutureExt;
use tokio::task::JoinSet;
use tokio::time::{Instant, advance, sleep};

use crate::limiter::{S, builder, call, probe, since, status, timed, turned_away, write};
use crate::wire::Reply;

#[tokio::test(start_paused = true)]
async fn backoff_doubles_up_to_its_maximum_with_jitter() {
    for (jitter, expected) in [
        (1.0, [0, 200, 600, 1_400, 3_000, 6_200, 12_600, 22_600]),
        (0.5, [0, 100, 300, 700, 1_500, 3_100, 6_300, 11_300]),
        (0.0, [0; 8]),
        // A source that returns invalid numbers makes waits no longer than the maximum, and no shorter than zero.
        (f64::NAN, [0, 200, 600, 1_400, 3_000, 6_200, 12_600, 22_600]),
        (-3.0, [0; 8]),
    ] {
        let (memory, times) = timed(|_| status(500));
        let client = builder(&memory, jitter).retry(RetryPolicy::default().max_attempts(8)).build().unwrap();
        let error = call(&client).await.unwrap_err();
        assert_eq!((error.attempts(), error.outcome()), (8, WriteOutcome::Unknown));
        assert_eq!(*times.lock().unwrap(), expected, "{jitter}");
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_with_jitter_on_top() {
    let date = || {
        let headers = vec![("date", "Sat, 21 Nov 2026 20:18:31 GMT"), ("retry-after", "Sat, 21 Nov 2026 20:18:41 GMT")];
        Reply::Response(503, headers, String::new())
    };
    let responses: [(fn() -> Reply, u64); 4] = [
        (|| turned_away("7"), 7_000),
        (|| turned_away("0.25"), 250),
        (|| Reply::Response(429, vec![("retry-after-ms", "40"), ("retry-after", "9")], String::new()), 40),
        (date, 10_000),
    ];
    for (response, wait) in responses {
        let (memory, times) = timed(move |number| if number == 0 { response() } else { status(200) });
        call(&builder(&memory, 0.5).build().unwrap()).await.unwrap();
        assert_eq!(*times.lock().unwrap(), [0, wait + 100]);
    }
}

#[tokio::test(start_paused = true)]
async fn no_sleep_exceeds_the_deadline() {
    // At 0, 200, 600 and 1,400 ms; the next attempt would be at 3,000 ms.
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
async fn an_attempt_is_limited_to_the_remaining_time() {
    let (memory, times) = timed(|_| Reply::Never);
    let began = Instant::now();
    let client = builder(&memory, 0.0).attempt_timeout(3 * S).operation_timeout(7 * S).build().unwrap();
    let error = call(&client).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts(), since(began)), (ErrorKind::Timeout, 3, 7_000));
    assert_eq!(*times.lock().unwrap(), [0, 3_000, 6_000]);
    assert_eq!(error.outcome(), WriteOutcome::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_decoded_until_its_deadline_or_beyond_is_late_although_it_was_applied() {
    for (seconds, is_late) in [(1, false), (2, true), (3, true)] {
        let (memory, _) = timed(|_| status(200));
        let client = builder(&memory, 0.0).build().unwrap();
        // No timer interrupts this.
        let slow = write().map(move |()| {
            let _ = advance(seconds * S).now_or_never();
        });
        let error = client.send(slow).operation_timeout(2 * S).await.err();
        let late = error.map(|it| (it.kind(), it.outcome(), it.attempts()));
        assert_eq!(late, is_late.then_some((ErrorKind::Timeout, WriteOutcome::Applied, 1)), "{seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn limits_can_be_set_for_a_call_and_switched_off() {
    let (memory, _) = timed(|_| Reply::After(200 * S, Box::new(status(200))));
    let client = builder(&memory, 0.0).build().unwrap();
    client.send(probe()).attempt_timeout(None).operation_timeout(None).await.unwrap();
    let began = Instant::now();
    let error = client.send(probe()).attempt_timeout(S).retry(RetryPolicy::never()).await.unwrap_err();
    assert_eq!((error.kind(), since(began)), (ErrorKind::Timeout, 1_000));
    let began = Instant::now();
    let error = client.send(probe()).attempt_timeout(None).operation_timeout(2 * S).await.unwrap_err();
    assert_eq!((error.kind(), since(began)), (ErrorKind::Timeout, 2_000));
}

#[tokio::test(start_paused = true)]
async fn a_429_to_one_clone_makes_the_others_wait() {
    let (memory, times) = timed(|number| if number == 0 { turned_away("7") } else { status(200) });
    let client = builder(&memory, 0.5).build().unwrap();
    let other = client.clone();
    let first = tokio::spawn(async move { call(&client).await });
    sleep(2 * S).await;
    // A part of the minimum wait is added, so that the calls are spread.
    call(&other).await.unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(*times.lock().unwrap(), [0, 7_100, 7_120]);
    // After that, the pause is over.
    call(&other).await.unwrap();
    assert_eq!(times.lock().unwrap().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_pause_longer_than_the_limit_is_returned_at_once_and_probed_after_a_minute() {
    let (memory, times) = timed(|number| if number == 0 { turned_away("3600") } else { status(200) });
    let client = builder(&memory, 0.0).build().unwrap();
    assert_eq!(call(&client).await.unwrap_err().retry_after(), Some(3_600 * S));
    sleep(20 * S).await;
    let error = call(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_eq!(error.retry_after(), Some(3_580 * S));
    assert_eq!((error.attempts(), error.outcome(), error.status()), (0, WriteOutcome::NotSent, None));
    assert!(error.is_transient());
    assert!(error.to_string().contains("not sent"), "{error}");
    sleep(41 * S).await;
    call(&client).await.unwrap();
    assert_eq!(*times.lock().unwrap(), [0, 61_000]);
}

#[tokio::test(start_paused = true)]
async fn what_the_server_asked_for_before_a_pause_ended_is_forgotten_with_it() {
    let (memory, times) = timed(|number| match number {
        0 => turned_away("3600"),
        1 => turned_away("1"),
        _ => status(200),
    });
    let client = builder(&memory, 0.0).retry(RetryPolicy::never()).build().unwrap();
    call(&client).await.unwrap_err();
    // At the very moment of its end.
    sleep(60 * S).await;
    call(&client).await.unwrap_err();
    call(&client).await.unwrap();
    assert_eq!(*times.lock().unwrap(), [0, 60_000, 61_000]);
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
    assert_eq!(error.outcome(), WriteOutcome::NotSent);
    assert_eq!(*times.lock().unwrap(), [0]);
    // One that ends right then is too long as well.
    let error = other.send(probe()).operation_timeout(29 * S).await.unwrap_err();
    assert_eq!((error.kind(), since(began)), (ErrorKind::RateLimited, 0));
    // A policy can disable the pauses.
    let impatient = RetryPolicy::never().max_retry_after(Duration::ZERO);
    let error = other.send(probe()).retry(impatient).await.unwrap_err();
    assert_eq!((error.kind(), since(began)), (ErrorKind::RateLimited, 0));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_always_responds_429_blocks_no_call_forever() {
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
async fn a_huge_retry_after_exceeds_the_limit() {
    for (header, value) in [
        ("retry-after", "10000000000000000000"),
        ("retry-after", "18446744073709551615"),
        ("retry-after-ms", "99999999999999999999999"),
        ("retry-after", "1e300"),
    ] {
        let (memory, _) = timed(move |_| Reply::Response(503, vec![(header, value)], String::new()));
        let client = builder(&memory, 1.0).build().unwrap();
        let began = Instant::now();
        let first = call(&client).await.unwrap_err();
        assert!(first.retry_after().is_some_and(|it| it > 60 * S), "{value}: {first:?}");
        let second = call(&client).await.unwrap_err();
        assert_eq!((second.kind(), since(began), memory.count()), (ErrorKind::RateLimited, 0, 1), "{value}");
    }
}

/// The largest number of requests within a quarter of a second.
fn densest(times: &[u64]) -> usize {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.iter().map(|from| times.iter().filter(|it| (*from..*from + 250).contains(*it)).count()).max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn after_a_pause_waiting_calls_go_out_one_after_another() {
    for (waiting, most) in [(3_u64, 4), (30, 25), (300, 25), (3_000, 45)] {
        let (memory, times) = timed(|number| if number == 0 { turned_away("5") } else { status(200) });
        let mut random = fastrand::Rng::with_seed(5);
        let client = IntegrationClient::builder("http://localhost").api_key("key").http_client(memory.clone());
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
async fn calls_that_were_rate_limited_together_retry_one_after_another() {
    // As many retries as the budget pays for.
    const ALL: usize = 100;
    let (memory, times) = timed(|number| {
        Reply::After(Duration::from_millis(50), Box::new(if number < ALL { turned_away("5") } else { status(200) }))
    });
    let client = IntegrationClient::builder("http://localhost").api_key("key").http_client(memory.clone());
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
async fn no_call_fails_because_it_waits_for_others() {
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
    // Six hundred in the three seconds that are left.
    assert!(densest(&times) <= 70, "{} within 250 ms", densest(&times));
}
