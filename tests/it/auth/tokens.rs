//! Fetching, keeping and renewing tokens.

use std::future::IntoFuture;
use std::time::Duration;

use actionlog::ErrorKind;
use actionlog::auth::{AuthError, TokenCache};
use futures_util::future::join_all;
use tokio::time::{Instant, advance};

use crate::auth::{HOUR, Numbered, Source, call, client, now, probe, ready, settle, signed_by, spawn_call, token};

#[tokio::test(start_paused = true)]
async fn a_hundred_callers_at_once_share_one_fetch() {
    let source = Source::new(|number| (Duration::from_secs(2), Ok(token(number))));
    let memory = ready();
    let client = client(TokenCache::new(source.clone()), &memory);
    let calls = join_all((0..100).map(|_| spawn_call(&client))).await;
    assert!(calls.into_iter().all(|it| it.unwrap().is_ok()));
    assert_eq!(source.fetches(), 1);
    assert_eq!(signed_by(&memory), vec!["token-1"; 100]);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_sent_in_the_configured_header() {
    let memory = ready();
    let name = http::HeaderName::from_static("x-token");
    call(&client(TokenCache::new(Numbered::default()).in_header(name), &memory)).await.unwrap();
    assert_eq!(memory.headers("x-token"), ["token-1"]);
    assert_eq!(memory.headers("authorization"), [""]);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_early_once_while_all_callers_use_the_old_one() {
    let slow = Duration::from_secs(20);
    let source = Source::new(move |number| {
        let wait = if number == 1 { Duration::ZERO } else { slow };
        (wait, Ok(token(number).expires_in(HOUR)))
    });
    let memory = ready();
    let client = client(TokenCache::new(source.clone()), &memory);
    call(&client).await.unwrap();
    advance(HOUR - Duration::from_secs(301)).await;
    call(&client).await.unwrap();
    assert_eq!(source.fetches(), 1, "it isn't renewed too early");

    advance(Duration::from_secs(2)).await;
    let begun = Instant::now();
    for _ in 0..10 {
        call(&client).await.unwrap();
        settle().await;
    }
    assert!(begun.elapsed() < Duration::from_millis(20), "nobody waits");
    assert_eq!(signed_by(&memory), vec!["token-1"; 12]);
    advance(slow).await;
    settle().await;
    call(&client).await.unwrap();
    assert_eq!(signed_by(&memory)[12..], ["token-2"]);
    assert_eq!(source.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_short_lived_token_is_used_for_half_its_life_before_it_is_renewed() {
    let source = Source::new(|number| now(Ok(token(number).expires_in(Duration::from_secs(60)))));
    let memory = ready();
    let client = client(TokenCache::new(source.clone()), &memory);
    for (wait, fetches) in [(0, 1), (29, 1), (2, 2), (29, 2), (2, 3)] {
        advance(Duration::from_secs(wait)).await;
        call(&client).await.unwrap();
        settle().await;
        assert_eq!(source.fetches(), fetches);
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_keeps_the_old_token_and_is_not_hammered() {
    let source = Source::new(|number| {
        now(match number {
            1 => Ok(token(1).expires_in(HOUR)),
            _ => Err(AuthError::transient("down")),
        })
    });
    let memory = ready();
    let client = client(TokenCache::new(source.clone()), &memory);
    call(&client).await.unwrap();
    advance(HOUR - Duration::from_secs(100)).await;
    // Ninety seconds with ten calls in each.
    for _ in 0..900 {
        call(&client).await.unwrap();
        advance(Duration::from_millis(100)).await;
    }
    assert_eq!(signed_by(&memory), vec!["token-1"; 901]);
    assert!((5..=11).contains(&source.fetches()), "{} fetches", source.fetches());

    advance(Duration::from_secs(11)).await;
    let error = call(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials, "what has ended isn't kept");
    assert_eq!(memory.seen().len(), 901);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expired_while_it_was_renewed_is_not_used() {
    let source = Source::new(|number| match number {
        1 => now(Ok(token(1).expires_in(Duration::from_secs(60)))),
        _ => (Duration::from_secs(25), Err(AuthError::transient("down"))),
    });
    let memory = ready();
    let client = client(TokenCache::new(source), &memory);
    call(&client).await.unwrap();
    advance(Duration::from_secs(50)).await;
    call(&client).await.unwrap();
    advance(Duration::from_secs(11)).await;
    // The call waits for the renewal in flight.
    let error = call(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert_eq!(signed_by(&memory), ["token-1", "token-1"]);
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_fetched_again() {
    let memory = ready();
    let client = client(TokenCache::new(Numbered::default()), &memory);
    call(&client).await.unwrap();
    advance(HOUR).await;
    call(&client).await.unwrap();
    assert_eq!(signed_by(&memory), ["token-1", "token-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_token_without_an_expiry_is_kept() {
    let source = Source::new(|number| now(Ok(token(number))));
    let memory = ready();
    let client = client(TokenCache::new(source.clone()), &memory);
    call(&client).await.unwrap();
    advance(HOUR * 24 * 365).await;
    call(&client).await.unwrap();
    assert_eq!(source.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_caller_does_not_leave_the_others_waiting() {
    let source = Source::new(|number| (Duration::from_secs(1), Ok(token(number))));
    let memory = ready();
    let client = client(TokenCache::new(source.clone()), &memory);
    let first = spawn_call(&client);
    settle().await;
    let others: Vec<_> = (0..10).map(|_| spawn_call(&client)).collect();
    settle().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    let begun = Instant::now();
    assert!(join_all(others).await.into_iter().all(|it| it.unwrap().is_ok()));
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(source.fetches(), 1, "its fetch goes on without it");
    assert_eq!(signed_by(&memory), vec!["token-1"; 10]);
}

#[tokio::test(start_paused = true)]
async fn callers_with_short_deadlines_eventually_get_a_slow_token() {
    let source = Source::new(|number| (Duration::from_secs(6), Ok(token(number))));
    let memory = ready();
    let client = client(TokenCache::new(source.clone()), &memory);
    let mut results = Vec::new();
    for _ in 0..3 {
        results.push(client.send(probe()).operation_timeout(Duration::from_secs(4)).await.is_ok());
    }
    assert_eq!((results, source.fetches()), (vec![false, true, true], 1));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_hangs_does_not_delay_every_caller() {
    let source = Source::new(|number| match number {
        1 => now(Ok(token(1).expires_in(HOUR))),
        _ => (HOUR, Ok(token(number))),
    });
    let memory = ready();
    let client = client(TokenCache::new(source.clone()), &memory);
    call(&client).await.unwrap();
    advance(HOUR - Duration::from_secs(100)).await;
    let call_in_time = || client.send(probe()).operation_timeout(Duration::from_secs(3)).into_future();
    let results = [call_in_time().await, call_in_time().await, call_in_time().await];
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    settle().await;
    assert_eq!(source.fetches(), 2);
}
