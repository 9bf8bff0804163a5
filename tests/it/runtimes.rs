//! One client on several runtimes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use actionlog::auth::{AuthError, Token, TokenCache, TokenSource};
use actionlog::testing::FakeServer;
use actionlog::{ErrorKind, IntegrationClient, Request};
use async_trait::async_trait;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};

use crate::wire::{Memory, Reply};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Waits before it returns a token, by the timer of the runtime that polls it.
#[derive(Clone, Debug)]
struct Slow {
    takes: Duration,
    fetches: Arc<AtomicUsize>,
}

#[async_trait]
impl TokenSource for Slow {
    async fn fetch(&self) -> Result<Token, AuthError> {
        let number = self.fetches.fetch_add(1, Ordering::SeqCst);
        sleep(self.takes).await;
        Ok(Token::new(format!("token-{number}")))
    }
}

fn client(source: &Slow, patience: Duration) -> (IntegrationClient, Memory) {
    let memory = Memory::new(|_, _| Reply::json(200, "{}"));
    let cached = TokenCache::new(source.clone()).fetch_timeout(patience);
    let client = IntegrationClient::builder("http://localhost").authenticator(cached).http_client(memory.clone());
    (client.operation_timeout(None).build().unwrap(), memory)
}

async fn call(client: &IntegrationClient) -> actionlog::Result<()> {
    client.send(Request::get("probe", [""; 0])).await
}

/// Whether a call is still pending after this number of milliseconds. It is dropped then.
async fn soon_dropped(client: &IntegrationClient, milliseconds: u64) -> bool {
    timeout(Duration::from_millis(milliseconds), call(client)).await.is_err()
}

#[test]
fn a_token_fetch_on_an_idle_runtime_blocks_no_caller_forever() {
    let source = Slow { takes: Duration::from_millis(50), fetches: Arc::default() };
    let patience = Duration::from_millis(400);
    let (client, memory) = client(&source, patience);
    let left = runtime();
    // The caller is dropped while the token is fetched, and nothing drives its runtime any more.
    assert!(left.block_on(soon_dropped(&client, 10)));
    assert_eq!(source.fetches.load(Ordering::SeqCst), 1);

    // Callers on other runtimes fetch the token themselves: one fetch for all of them.
    let began = Instant::now();
    let other = runtime();
    let calls = || async { futures_util::future::join_all((0..20).map(|_| call(&client))).await };
    let results =
        other.block_on(async { timeout(Duration::from_secs(20), calls()).await }).expect("nobody waits for ever");
    results.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(source.fetches.load(Ordering::SeqCst), 2);
    assert!(began.elapsed() < patience + Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(memory.headers("authorization").iter().all(|it| it == "Bearer token-1"));

    // When the first runtime is driven again, its fetch ends and changes nothing.
    left.block_on(async {
        sleep(Duration::from_millis(200)).await;
        call(&client).await.unwrap();
    });
    assert_eq!(memory.headers("authorization").last().unwrap(), "Bearer token-1");
    assert_eq!(source.fetches.load(Ordering::SeqCst), 2);
}

#[test]
fn a_blocking_facade_continues_after_a_timeout() {
    let source = Slow { takes: Duration::from_millis(50), fetches: Arc::default() };
    let (client, _) = client(&source, Duration::from_secs(30));
    let facade = runtime();
    for _ in 0..5 {
        facade.block_on(soon_dropped(&client, 5));
        thread::sleep(Duration::from_millis(10));
    }
    facade.block_on(call(&client)).unwrap();
    assert_eq!(source.fetches.load(Ordering::SeqCst), 1);
    // A caller doesn't wait for a fetch that is already old.
    let (client, _) = self::client(&source, Duration::from_millis(20));
    assert!(facade.block_on(soon_dropped(&client, 5)));
    thread::sleep(Duration::from_millis(1_100));
    let error = facade.block_on(call(&client)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert_eq!(source.fetches.load(Ordering::SeqCst), 3);
}

#[test]
fn a_token_fetch_whose_runtime_has_ended_is_repeated() {
    let source = Slow { takes: Duration::from_millis(50), fetches: Arc::default() };
    let (client, _) = client(&source, Duration::from_secs(30));
    let ended = runtime();
    assert!(ended.block_on(soon_dropped(&client, 10)));
    let waiting = {
        let client = client.clone();
        thread::spawn(move || runtime().block_on(call(&client)))
    };
    thread::sleep(Duration::from_millis(100));
    drop(ended);
    waiting.join().unwrap().unwrap();
    assert_eq!(source.fetches.load(Ordering::SeqCst), 2);
}

/// Over connections: each belongs to the runtime that opened it.
#[test]
fn one_client_serves_runtimes_that_are_driven() {
    let fake = FakeServer::new();
    fake.integration().add_sample_logs(30);
    let serving = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = serving.block_on(fake.listen()).unwrap();
    let source = Slow { takes: Duration::from_millis(5), fetches: Arc::default() };
    let client =
        IntegrationClient::builder(server.url()).authenticator(TokenCache::new(source.clone())).build().unwrap();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            thread::spawn(move || {
                runtime().block_on(async {
                    for _ in 0..25 {
                        let all = client.logs().list(()).page_size(10).collect().await;
                        assert_eq!((all.items.len(), all.error.map(|it| it.to_string())), (30, None));
                    }
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(source.fetches.load(Ordering::SeqCst), 1);
}

/// As documented, a connection of a runtime that ended costs one attempt. After that the client has dropped it.
#[test]
fn a_connection_of_a_runtime_that_is_not_driven_any_more_costs_an_attempt() {
    let fake = FakeServer::new();
    fake.integration().add_sample_logs(3);
    let serving = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = serving.block_on(fake.listen()).unwrap();
    let client = IntegrationClient::builder(server.url()).api_key("key").attempt_timeout(Duration::from_secs(1));
    let client = client.build().unwrap();
    let left = runtime();
    left.block_on(client.logs().list(()).page().into_future()).unwrap();
    let began = Instant::now();
    let page = runtime().block_on(client.logs().list(()).page().with_response()).unwrap();
    assert!(page.attempts <= 2 && began.elapsed() < Duration::from_secs(10), "{} {:?}", page.attempts, began.elapsed());
    drop(left);
}
