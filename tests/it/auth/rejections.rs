//! Credentials that the server rejects.

use std::time::Duration;

use actionlog::auth::{self, AuthError, AuthRetry, Authenticate, Credentials, TokenCache};
use actionlog::{ErrorKind, IntegrationClient, UnleashClient, WriteOutcome};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::auth::{HOUR, Numbered, Source, call, client, now, settle, signed_by, spawn_call, token};
use crate::support::pending_input;
use crate::wire::{Memory, Reply};

/// Accepts only these tokens.
fn accepting(tokens: &'static [&'static str]) -> Memory {
    Memory::new(move |_, request| {
        let sent = request.headers()["authorization"].to_str().unwrap();
        let good = tokens.iter().any(|it| sent == format!("Bearer {it}"));
        Reply::json(if good { 200 } else { 401 }, r#"{"message": "who?"}"#)
    })
}

#[tokio::test(start_paused = true)]
async fn a_rejected_token_is_dropped_and_the_request_sent_with_a_fresh_one() {
    let memory = accepting(&["token-2"]);
    let client = client(TokenCache::new(Numbered::default()), &memory);
    let begun = Instant::now();
    call(&client).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO, "without a wait");
    call(&client).await.unwrap();
    assert_eq!(signed_by(&memory), ["token-1", "token-2", "token-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_rejected_twice_is_unauthorized() {
    let memory = accepting(&[]);
    let client = client(TokenCache::new(Numbered::default()), &memory);
    let error = call(&client).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Unauthorized, WriteOutcome::NotApplied));
    assert_eq!(error.attempts(), 2);
    assert_eq!(error.api().unwrap().message(), Some("who?"));
    assert!(error.hint().is_some());
    assert!(!error.is_transient());
    assert_eq!(signed_by(&memory), ["token-1", "token-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_create_with_rejected_credentials_is_authenticated_again() {
    let memory = Memory::new(|number, _| match number {
        0 => Reply::json(401, "{}"),
        _ => Reply::json(201, include_str!("../fixtures/integration/create.json")),
    });
    let client = IntegrationClient::builder("https://logs.example.com")
        .authenticator(TokenCache::new(Numbered::default()))
        .http_client(memory.clone())
        .build()
        .unwrap();
    client.logs().create(pending_input()).await.unwrap();
    assert_eq!(signed_by(&memory), ["token-1", "token-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_fixed_key_is_not_sent_twice() {
    let memory = accepting(&[]);
    let keys: [Box<dyn Fn() -> UnleashClient>; 4] = [
        Box::new(|| client(auth::bearer("key"), &memory)),
        Box::new(|| client(auth::raw("key"), &memory)),
        Box::new(|| client(auth::basic("user", "key"), &memory)),
        Box::new(|| {
            client(
                auth::sign_with(|it| {
                    it.headers_mut().insert("authorization", http::HeaderValue::from_static("key"));
                    Ok(Credentials::new())
                }),
                &memory,
            )
        }),
    ];
    for (number, client) in keys.iter().enumerate() {
        let error = call(&client()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert_eq!(error.attempts(), 1);
        assert_eq!(memory.seen().len(), number + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_rejection_of_an_old_token_does_not_drop_the_new_one() {
    // The first request is rejected late. The second is rejected at once, and its token replaced meanwhile.
    let memory = Memory::new(|number, request| {
        let old = request.headers()["authorization"] == "Bearer token-1";
        match (number, old) {
            (0, _) => Reply::After(Duration::from_secs(10), Box::new(Reply::json(401, "{}"))),
            (_, true) => Reply::json(401, "{}"),
            (_, false) => Reply::json(200, "{}"),
        }
    });
    let source = Source::new(|number| now(Ok(token(number).expires_in(HOUR))));
    let client = client(TokenCache::new(source.clone()), &memory);
    let late = spawn_call(&client);
    settle().await;
    call(&client).await.unwrap();
    assert_eq!(source.fetches(), 2);
    late.await.unwrap().unwrap();
    call(&client).await.unwrap();
    assert_eq!(signed_by(&memory), ["token-1", "token-1", "token-2", "token-2", "token-2"]);
    assert_eq!(source.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn callers_that_are_rejected_together_share_one_token_fetch() {
    let memory = Memory::new(|_, request| {
        let old = request.headers()["authorization"] == "Bearer token-1";
        Reply::After(Duration::from_secs(1), Box::new(Reply::json(if old { 401 } else { 200 }, "{}")))
    });
    let source = Source::new(|number| (Duration::from_secs(1), Ok(token(number))));
    let client = client(TokenCache::new(source.clone()), &memory);
    let calls = join_all((0..20).map(|_| spawn_call(&client))).await;
    assert!(calls.into_iter().all(|it| it.unwrap().is_ok()));
    assert_eq!(source.fetches(), 2);
}

/// Returns `Retry` after every rejection.
#[derive(Debug)]
struct Stubborn;

#[async_trait]
impl Authenticate for Stubborn {
    async fn authenticate(&self, _: &mut http::Request<Bytes>) -> Result<Credentials, AuthError> {
        Ok(Credentials::new())
    }

    fn refused(&self, _: &Credentials) -> AuthRetry {
        AuthRetry::Retry
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_authenticated_again_at_most_once_whatever_the_authenticator_returns() {
    // 401, then a transient failure, then 401 again.
    let memory = Memory::new(|number, _| Reply::json([401, 503, 401][number.min(2)], "{}"));
    let error = call(&client(Stubborn, &memory)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(memory.seen().len(), 3);
}
