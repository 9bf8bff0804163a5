//! Credentials: an HTTP client in memory, with paused time.

use std::fmt;
use std::future::IntoFuture;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use actionlog::auth::{self, AuthError, AuthRetry, Authenticate, Credentials, Token, TokenCache, TokenSource};
use actionlog::{
    Body, Error, ErrorKind, HttpClient, HttpError, IntegrationClient, Request, UnleashClient, WriteOutcome,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::{Instant, advance, sleep};

use crate::support::draft;
use crate::wire::{Memory, Reply, quick, whole_story};

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

/// At once.
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

fn assert_not_sent(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert_eq!(error.outcome(), WriteOutcome::NotSent);
    assert_eq!(error.attempts(), 0);
    assert_eq!(error.status(), None);
}

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

/// Accepts only these tokens.
fn accepting(tokens: &'static [&'static str]) -> Memory {
    Memory::new(move |_, request| {
        let sent = request.headers()["authorization"].to_str().unwrap();
        let good = tokens.iter().any(|it| sent == format!("Bearer {it}"));
        Reply::json(if good { 200 } else { 401 }, r#"{"message": "who?"}"#)
    })
}

#[tokio::test(start_paused = true)]
async fn a_rejected_token_is_dropped_and_the_request_signed_with_a_fresh_one() {
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
async fn a_create_with_rejected_credentials_is_signed_again() {
    let memory = Memory::new(|number, _| match number {
        0 => Reply::json(401, "{}"),
        _ => Reply::json(201, include_str!("fixtures/integration/create.json")),
    });
    let client = IntegrationClient::builder("https://logs.example.com")
        .authenticator(TokenCache::new(Numbered::default()))
        .http_client(memory.clone())
        .build()
        .unwrap();
    client.logs().create(draft()).await.unwrap();
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
async fn a_source_may_use_the_client_that_it_signs_for() {
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

#[tokio::test(start_paused = true)]
async fn credentials_are_never_shown() {
    const SECRET: &str = "top-secret-4711";
    let echo = || {
        Memory::new(|_, request| {
            let sent = request.headers()["authorization"].to_str().unwrap();
            let answer = json!({"name": sent, "id": sent, "message": format!("no such token: {sent}"),
            "details": [{"message": format!("you sent {sent}")}]});
            Reply::Response(401, vec![("x-request-id", "top-secret-4711")], answer.to_string())
        })
    };
    let source = || TokenCache::new(Source::new(|_| now(Ok(Token::new(SECRET).expires_in(HOUR)))));
    let memory = echo();
    let building = || UnleashClient::builder("https://unleash.example.com").http_client(memory.clone());
    for builder in [
        building().api_key(SECRET),
        building().bearer(SECRET),
        building().authenticator(auth::basic("user", SECRET)),
        building().authenticator(auth::header("authorization", SECRET)),
        building().authenticator(source()),
        building().authenticator(auth::sign_with(|it| {
            it.headers_mut().insert("authorization", http::HeaderValue::from_static(SECRET));
            Ok(Credentials::new())
        })),
    ] {
        let mut shown = format!("{builder:?}");
        let client = builder.build().unwrap();
        let error = call(&client).await.unwrap_err();
        shown += &format!("{client:?} {error:?} {error:#?} {} {:?}", whole_story(&error), error.api());
        shown += error.request_id().unwrap_or_default();
        let coded = memory.headers("authorization").pop().unwrap();
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(!shown.contains(coded.trim_start_matches("Basic ")), "{shown}");
        assert!(shown.contains("[withheld: "), "{shown}");
    }
    let cached = source();
    let mut request = http::Request::new(Bytes::new());
    let signature = cached.authenticate(&mut request).await.unwrap();
    let shown =
        format!("{cached:?} {signature:?} {:?} {:?} {:?}", request.headers(), Token::new(SECRET), auth::raw(SECRET));
    assert!(!shown.contains(SECRET), "{shown}");
}

#[test]
fn keys_that_no_header_can_hold_are_rejected_when_the_client_is_built_and_not_shown() {
    for key in ["", "ke-y-x\n", " ke-y-x", "ke-y-x ", "ke-y\u{7f}-x", "ke\ny-x"] {
        let error = UnleashClient::builder("https://unleash.example.com").api_key(key).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{key:?}");
        assert!(!format!("{error:?} {}", whole_story(&error)).contains("y-x"), "{error:?}");
    }
    let error = UnleashClient::builder("https://unleash.example.com").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("no credentials"), "{error}");
}

/// The parts of a request that a signature covers.
type Signed = (String, String, Bytes);

#[tokio::test(start_paused = true)]
async fn each_attempt_is_signed_as_it_is_sent() {
    let memory = Memory::new(|number, _| match number {
        0 => Reply::NoConnection,
        1 => Reply::NoConnection,
        _ => Reply::json(201, include_str!("fixtures/integration/create.json")),
    });
    let seen: Arc<Mutex<Vec<Signed>>> = Arc::default();
    let seeing = Arc::clone(&seen);
    let signer = auth::sign_with(move |request| {
        let mut seen = seeing.lock().unwrap();
        assert!(request.headers().get("x-signature").is_none(), "each attempt begins unsigned");
        seen.push((request.method().to_string(), request.uri().to_string(), request.body().clone()));
        let signature = format!("{}:{}", seen.len(), request.body().len());
        request.headers_mut().insert("x-signature", signature.parse().map_err(AuthError::new)?);
        Ok(Credentials::new())
    });
    let client = IntegrationClient::builder("https://logs.example.com/api")
        .authenticator(signer)
        .retry(quick())
        .http_client(memory.clone())
        .build()
        .unwrap();
    client.logs().create(draft()).await.unwrap();

    let seen = seen.lock().unwrap();
    let body = r#"{"integrationId":"i1","actionType":"sync","entityType":"product","status":"pending"}"#;
    let uri = "https://logs.example.com/api/integration-action-logs";
    assert_eq!(*seen, vec![("POST".to_owned(), uri.to_owned(), Bytes::from(body)); 3]);
    let sent: Vec<_> = memory.seen().iter().map(|it| (it.uri().to_string(), it.body().clone())).collect();
    assert_eq!(sent, vec![(uri.to_owned(), Bytes::from(body)); 3]);
    let length = body.len();
    assert_eq!(memory.headers("x-signature"), [1, 2, 3].map(|it| format!("{it}:{length}")));
}

#[tokio::test(start_paused = true)]
async fn a_signer_sees_the_query_as_it_is_sent() {
    let memory = Memory::new(|_, _| Reply::json(200, "{}"));
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let seeing = Arc::clone(&seen);
    let signer = auth::sign_with(move |request| {
        seeing.lock().unwrap().push(request.uri().to_string());
        Ok(Credentials::new())
    });
    let request = probe().query("a b", "c&d");
    client(signer, &memory).send(request).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ["https://unleash.example.com/probe?a+b=c%26d"]);
    assert_eq!(memory.seen()[0].uri().to_string(), "https://unleash.example.com/probe?a+b=c%26d");
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
async fn a_call_is_signed_again_at_most_once_whatever_the_authenticator_returns() {
    // 401, then a transient failure, then 401 again.
    let memory = Memory::new(|number, _| Reply::json([401, 503, 401][number.min(2)], "{}"));
    let error = call(&client(Stubborn, &memory)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(memory.seen().len(), 3);
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
    assert_eq!(signed_by(&memory), ["token-3"], "who comes later fetches anew");
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
