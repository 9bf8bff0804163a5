//! Credentials: an HTTP client in memory, with paused time.

mod authenticating;
mod failures;
mod rejections;
mod same_client;
mod tokens;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actionlog::auth::{AuthError, Authenticate, Token, TokenSource};
use actionlog::{Error, ErrorKind, Request, UnleashClient, WriteOutcome};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::sleep;

use crate::wire::{Memory, Reply, quick};

const HOUR: Duration = Duration::from_secs(3600);

/// Returns `token-1`, `token-2` and so on, each valid for an hour.
#[derive(Debug, Default)]
pub(crate) struct Numbered {
    fetched: AtomicUsize,
}

#[async_trait]
impl TokenSource for Numbered {
    async fn fetch(&self) -> Result<Token, AuthError> {
        let number = self.fetched.fetch_add(1, Ordering::SeqCst) + 1;
        Ok(Token::new(format!("token-{number}")).expires_in(HOUR))
    }
}

/// The result of a fetch, and its duration.
type Fetched = (Duration, Result<Token, AuthError>);

/// Fetches by a function of the fetch's number, from 1.
#[derive(Clone)]
struct Source {
    fetches: Arc<AtomicUsize>,
    fetch: Arc<dyn Fn(usize) -> Fetched + Send + Sync>,
}

impl Source {
    fn new(fetch: impl Fn(usize) -> Fetched + Send + Sync + 'static) -> Self {
        Self { fetches: Arc::default(), fetch: Arc::new(fetch) }
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

#[async_trait]
impl TokenSource for Source {
    async fn fetch(&self) -> Result<Token, AuthError> {
        let number = self.fetches.fetch_add(1, Ordering::SeqCst) + 1;
        let (wait, fetched) = (self.fetch)(number);
        sleep(wait).await;
        fetched
    }
}

fn token(number: usize) -> Token {
    Token::new(format!("token-{number}"))
}

/// A fetch that takes no time.
fn now(fetched: Result<Token, AuthError>) -> Fetched {
    (Duration::ZERO, fetched)
}

fn ready() -> Memory {
    Memory::new(|_, _| Reply::json(200, "{}"))
}

fn client(auth: impl Authenticate, memory: &Memory) -> UnleashClient {
    UnleashClient::builder("https://unleash.example.com")
        .authenticator(auth)
        .retry(quick())
        .http_client(memory.clone())
        .build()
        .unwrap()
}

fn probe() -> Request<()> {
    Request::get("probe", [] as [&str; 0])
}

async fn call(client: &UnleashClient) -> actionlog::Result<()> {
    client.send(probe()).await
}

/// Runs the call in its own task.
fn spawn_call(client: &UnleashClient) -> tokio::task::JoinHandle<actionlog::Result<()>> {
    let client = client.clone();
    tokio::spawn(async move { call(&client).await })
}

/// Lets the other tasks run until they block.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

fn signed_by(memory: &Memory) -> Vec<String> {
    memory.headers("authorization").iter().map(|it| it.trim_start_matches("Bearer ").to_owned()).collect()
}

fn assert_not_sent(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert_eq!(error.outcome(), WriteOutcome::NotSent);
    assert_eq!(error.attempts(), 0);
    assert_eq!(error.status(), None);
}

/// The parts of a request that a signature covers.
type Signed = (String, String, Bytes);
