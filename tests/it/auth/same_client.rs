//! Token sources that send requests with the client that they authenticate.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actionlog::auth::{AuthError, Token, TokenCache, TokenSource};
use actionlog::{Body, HttpClient, HttpError, Request, UnleashClient};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::auth::{HOUR, assert_not_sent, call, client, probe, ready, signed_by, spawn_call};
use crate::wire::{Memory, Reply};

/// Fetches its tokens with the same client that it authenticates.
#[derive(Clone, Debug, Default)]
struct ThroughTheClient {
    client: Arc<OnceLock<UnleashClient>>,
}

#[async_trait]
impl TokenSource for ThroughTheClient {
    async fn fetch(&self) -> Result<Token, AuthError> {
        let request = Request::get("token", [] as [&str; 0]).json::<String>();
        let token = self.client.get().unwrap().send(request).await.map_err(AuthError::new)?;
        Ok(Token::new(token).expires_in(HOUR))
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_may_use_the_client_that_it_authenticates() {
    for refused in [false, true] {
        let memory = Memory::new(move |_, request| match request.uri().path() {
            "/token" if refused => Reply::json(401, "{}"),
            "/token" => Reply::json(200, r#""through""#),
            _ => Reply::json(200, "{}"),
        });
        let source = ThroughTheClient::default();
        let client = client(TokenCache::new(source.clone()), &memory);
        source.client.set(client.clone()).unwrap();
        let begun = Instant::now();
        let done = call(&client).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        if refused {
            assert_not_sent(&done.unwrap_err());
            assert_eq!(signed_by(&memory), [""]);
        } else {
            done.unwrap();
            assert_eq!(signed_by(&memory), ["", "through"]);
        }
    }
}

/// One request at a time, like a limit on requests in flight.
#[derive(Debug)]
struct OnePermit {
    door: Memory,
    permit: tokio::sync::Semaphore,
}

#[async_trait]
impl HttpClient for OnePermit {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let _permit = self.permit.acquire().await.map_err(HttpError::connect)?;
        sleep(Duration::from_millis(10)).await;
        self.door.send(request).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_uses_the_same_client_with_one_permit_does_not_block_it() {
    #[derive(Clone, Debug, Default)]
    struct ByClient(Arc<OnceLock<UnleashClient>>);

    #[async_trait]
    impl TokenSource for ByClient {
        async fn fetch(&self) -> Result<Token, AuthError> {
            self.0.get().unwrap().send(probe()).await.map_err(AuthError::new)?;
            Ok(Token::new("by-client"))
        }
    }

    let source = ByClient::default();
    let memory = ready();
    let http_client = OnePermit { door: memory.clone(), permit: tokio::sync::Semaphore::new(1) };
    let client = UnleashClient::builder("http://localhost")
        .authenticator(TokenCache::new(source.clone()))
        .http_client(http_client)
        .build()
        .unwrap();
    source.0.set(client.clone()).unwrap();
    let calls: Vec<_> = (0..100).map(|_| spawn_call(&client)).collect();
    assert!(join_all(calls).await.into_iter().all(|it| it.unwrap().is_ok()));
    let unsigned = memory.headers("authorization").iter().filter(|it| it.is_empty()).count();
    assert_eq!((memory.seen().len(), unsigned), (101, 1), "only the source's own goes out unsigned");
}
