//! Token sources that fail or hang.

use std::time::Duration;

use actionlog::auth::{AuthError, Token, TokenCache};
use actionlog::{ErrorKind, WriteOutcome};
use futures_util::future::join_all;
use tokio::time::{Instant, advance};

use crate::auth::{HOUR, Source, assert_not_sent, call, client, now, probe, ready, signed_by, spawn_call, token};
use crate::wire::whole_story;

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_is_an_error_of_the_credentials_and_nothing_is_sent() {
    for transient in [false, true] {
        let source = Source::new(move |_| {
            now(Err(if transient {
                AuthError::transient("the vault is sealed")
            } else {
                AuthError::new("the vault is sealed")
            }))
        });
        let memory = ready();
        let error = call(&client(TokenCache::new(source.clone()), &memory)).await.unwrap_err();
        assert_not_sent(&error);
        assert_eq!(error.is_transient(), transient);
        assert!(whole_story(&error).contains("the vault is sealed"), "{}", whole_story(&error));
        assert!(memory.seen().is_empty());
        assert_eq!(source.fetches(), 1, "a source has its own ways to try again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_source_that_hangs_is_abandoned_in_time_with_an_error() {
    let source = Source::new(|_| (HOUR, Ok(token(1))));
    let memory = ready();
    let begun = Instant::now();
    let cached = TokenCache::new(source).fetch_timeout(Duration::from_secs(7));
    let error = call(&client(cached, &memory)).await.unwrap_err();
    assert_eq!(begun.elapsed().as_secs(), 7);
    assert_not_sent(&error);
    assert!(error.is_transient());
    assert!(whole_story(&error).contains("the token source returned no token within 7s"), "{}", whole_story(&error));
    assert!(memory.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_token_source_that_hangs_is_bounded_by_the_operation_timeout() {
    let source = Source::new(|_| (HOUR, Ok(token(1))));
    let memory = ready();
    let client = client(TokenCache::new(source), &memory);
    let begun = Instant::now();
    let error = client.send(probe()).operation_timeout(Duration::from_secs(3)).await.unwrap_err();
    assert_eq!(begun.elapsed().as_secs(), 3);
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, WriteOutcome::NotSent));
    assert!(memory.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_no_header_can_hold_is_an_error_and_not_shown() {
    for text in ["to-ken-x\n", "to-ken-x\r\nx-admin: 1", "", " to-ken-x", "to-ken-x\0"] {
        let source = Source::new(move |_| now(Ok(Token::new(text))));
        let memory = ready();
        let error = call(&client(TokenCache::new(source), &memory)).await.unwrap_err();
        assert_not_sent(&error);
        assert!(!error.is_transient());
        assert!(!format!("{error:?} {}", whole_story(&error)).contains("to-ken-x"), "{error:?}");
        assert!(memory.seen().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn callers_that_wait_for_a_fetch_that_fails_fail_with_it() {
    let source = Source::new(|number| match number {
        1 => (HOUR, Ok(token(1))),
        2 => (Duration::from_secs(1), Err(AuthError::new("the vault is sealed"))),
        _ => now(Ok(token(number))),
    });
    let memory = ready();
    let client = client(TokenCache::new(source.clone()).fetch_timeout(Duration::from_secs(7)), &memory);
    for (seconds, transient, why) in [(7, true, "no token within 7s"), (1, false, "the vault is sealed")] {
        let begun = Instant::now();
        for call in join_all((0..50).map(|_| spawn_call(&client))).await {
            let error = call.unwrap().unwrap_err();
            assert_not_sent(&error);
            assert_eq!(error.is_transient(), transient);
            assert!(whole_story(&error).contains(why), "{}", whole_story(&error));
        }
        assert_eq!(begun.elapsed().as_secs(), seconds);
        // A call right after that doesn't fetch again.
        assert_not_sent(&call(&client).await.unwrap_err());
        advance(Duration::from_secs(2)).await;
    }
    assert_eq!(source.fetches(), 2);
    call(&client).await.unwrap();
    assert_eq!(signed_by(&memory), ["token-3"], "a later call fetches again");
}
