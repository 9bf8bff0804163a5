//! The retry budget, and how often rejected tokens are renewed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actionlog::auth::{AuthError, Token, TokenCache, TokenSource};
use actionlog::{ErrorKind, IntegrationClient, Request, WriteOutcome};
use async_trait::async_trait;
use tokio::time::{Instant, sleep, timeout};

use crate::limiter::{S, builder, call, status, timed};
use crate::wire::{Memory, Reply};

#[tokio::test(start_paused = true)]
async fn callers_with_deadlines_send_few_requests_to_a_server_that_is_down() {
    const CALLS: usize = 1_000;
    for jitter in [0.0, 0.25, 1.0] {
        let memory = Memory::endless(|_, _| Reply::After(Duration::from_millis(100), Box::new(status(500))));
        let client = builder(&memory, jitter).build().unwrap();
        for _ in 0..CALLS {
            assert!(timeout(Duration::from_millis(550), call(&client)).await.map_or(true, |it| it.is_err()));
        }
        // The budget pays for a hundred retries.
        assert!(memory.count() <= CALLS + 101, "{} requests for {CALLS} calls", memory.count());
        assert!(memory.count() >= CALLS);
        // Once the server is up again, successful calls refill the budget.
        memory.respond_all(|| status(200));
        for _ in 0..50 {
            call(&client).await.unwrap();
        }
        memory.respond_all(|| status(500));
        assert!(call(&client).await.unwrap_err().attempts() > 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_was_not_sent_costs_nothing() {
    let memory = Memory::endless(|_, _| status(500));
    let client = builder(&memory, 1.0).build().unwrap();
    for _ in 0..1_000 {
        // Dropped while it waits for a retry.
        assert!(timeout(Duration::from_millis(100), call(&client)).await.is_err());
    }
    assert_eq!(memory.count(), 1_000);
    assert_eq!(call(&client).await.unwrap_err().attempts(), 4);
}

/// Returns a new token at once, each time.
#[derive(Clone, Debug, Default)]
struct Willing(Arc<AtomicUsize>);

#[async_trait]
impl TokenSource for Willing {
    async fn fetch(&self) -> std::result::Result<Token, AuthError> {
        Ok(Token::new(format!("token-{}", self.0.fetch_add(1, Ordering::SeqCst))))
    }
}

fn renewing(source: &Willing, memory: &Memory) -> IntegrationClient {
    let client = IntegrationClient::builder("http://localhost").authenticator(TokenCache::new(source.clone()));
    client.http_client(memory.clone()).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_server_that_rejects_every_token_causes_few_requests_and_fetches() {
    let (source, memory) = (Willing::default(), Memory::endless(|_, _| status(401)));
    let client = renewing(&source, &memory);
    let mut resting = 0;
    for _ in 0..300 {
        let error = call(&client).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Unauthorized, WriteOutcome::NotApplied));
        resting += usize::from(
            std::error::Error::source(&error).is_some_and(|it| it.to_string().contains("renewed credentials")),
        );
        sleep(S).await;
    }
    // Renewed at 0, 10, 30, 70 and 150 s.
    assert_eq!((memory.count(), source.0.load(Ordering::SeqCst)), (305, 6));
    assert_eq!(resting, 295);

    // Once the server accepts tokens again, an expired token is renewed as before, after ten seconds at most.
    memory.respond_all(|| status(200));
    call(&client).await.unwrap();
    sleep(11 * S).await;
    let refused_once = AtomicUsize::new(0);
    let reply = move || if refused_once.fetch_add(1, Ordering::SeqCst) == 0 { status(401) } else { status(200) };
    memory.respond_all(reply);
    call(&client).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_path_that_rejects_every_token_does_not_block_renewals_of_others() {
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
    // At most once in ten seconds: the other path shows that tokens are accepted.
    let fetches = source.0.load(Ordering::SeqCst);
    assert!((15..=25).contains(&fetches), "{fetches}");
    assert!(memory.count() <= 400 + 21, "{}", memory.count());
}

#[tokio::test(start_paused = true)]
async fn a_token_source_that_is_down_is_not_called_for_every_request() {
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
    let client = IntegrationClient::builder("http://localhost").authenticator(TokenCache::new(source.clone()));
    let client = client.http_client(memory.clone()).build().unwrap();
    for _ in 0..3_000 {
        let (began, before) = (Instant::now(), source.0.load(Ordering::SeqCst));
        let error = call(&client).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Credentials, WriteOutcome::NotSent));
        assert!(error.is_transient() && began.elapsed().is_zero());
        let story = crate::wire::whole_story(&error);
        assert!(story.contains("sealed"), "{story}");
        let was_asked = source.0.load(Ordering::SeqCst) > before;
        assert_eq!(story.contains("isn't called again for another"), !was_asked, "{story}");
        sleep(Duration::from_millis(100)).await;
    }
    // At 0, 1, 3, 7, 15, 31 s, and then every 30 s, within 300 s.
    let asked = source.0.load(Ordering::SeqCst);
    assert!((12..=15).contains(&asked), "{asked}");
    *source.1.lock().unwrap() = true;
    sleep(30 * S).await;
    call(&client).await.unwrap();
    assert_eq!(source.0.load(Ordering::SeqCst), asked + 1);
}
