//! Caches tokens that expire, and renews them.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderName;
use http::header::AUTHORIZATION;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::auth::key::{check, check_bare, sensitive};
use crate::auth::{AuthError, AuthRetry, Authenticate, Credentials, Secret};

/// How long before its expiry a token is renewed, unless set otherwise.
const EARLY: Duration = Duration::from_secs(300);

/// The timeout of a fetch, unless set otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much longer than the fetch timeout callers wait, before they assume that the fetch's task is no longer driven.
const GRACE: Duration = Duration::from_secs(1);

/// The wait after a failed fetch before the source is called again. It doubles with each failure in a row.
const BACKOFF: Duration = Duration::from_secs(1);

const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

const A_DAY: Duration = Duration::from_secs(86_400);

/// The wait after a failed renewal before the renewal of the current token is tried again.
const PAUSE: Duration = Duration::from_secs(10);

/// A source of tokens: an OAuth endpoint, a vault, the metadata service of a machine.
///
/// The clients' `Debug` includes this type's `Debug`: keep secrets out of it, for example in a [`Secret`].
#[async_trait]
pub trait TokenSource: fmt::Debug + Send + Sync + 'static {
    /// Fetches a token.
    ///
    /// # Errors
    ///
    /// If no token can be fetched. Return [`AuthError::transient`] if a later fetch may succeed.
    async fn fetch(&self) -> Result<Token, AuthError>;
}

/// A token and its lifetime.
#[derive(Clone, Debug)]
pub struct Token {
    text: Secret,
    lifetime: Option<Duration>,
}

impl Token {
    /// A token that is valid until the server rejects it.
    pub fn new(text: impl Into<Secret>) -> Self {
        Self { text: text.into(), lifetime: None }
    }

    /// Sets the lifetime, counted from now: OAuth's `expires_in`.
    #[must_use = "returns the changed token"]
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }
}

/// Authenticates with a token from a [`TokenSource`], and fetches tokens as rarely as possible.
///
/// - The first call that needs a token fetches it. Concurrent calls wait for the same fetch, and share its error if it
///   fails.
/// - Some time before the token expires, the cache renews it in the background while calls go on with the current
///   token. If the renewal fails, the current token stays in use for as long as it is valid.
/// - If the server rejects a token, the cache drops it, and the request is authenticated again, once. The late
///   rejection of a token that has already been replaced drops nothing.
///
/// A failing source isn't called by every request: after a failure without a token in use, calls fail at once with the
/// source's error for a second. The wait doubles with each failure in a row, up to 30 s.
///
/// A fetch runs in its own task, so a caller that is dropped doesn't cancel it for the others. The task runs on the
/// runtime of the first caller. If that runtime is no longer driven (a current-thread runtime outside its `block_on`),
/// other callers wait for the fetch timeout and then fetch a token themselves.
///
/// A source may fetch its token through a client that authenticates with this very `TokenCache`: requests made inside
/// [`fetch`](TokenSource::fetch) are sent without credentials. This doesn't hold for tasks that `fetch` spawns: their
/// requests wait for the very token that they are to fetch, until the fetch timeout expires.
///
/// ```
/// use std::time::Duration;
/// use actionlog::auth::{AuthError, TokenCache, Token, TokenSource};
///
/// #[derive(Debug)]
/// struct Vault;
///
/// #[async_trait::async_trait]
/// impl TokenSource for Vault {
///     async fn fetch(&self) -> Result<Token, AuthError> {
///         Ok(Token::new("fetched").expires_in(Duration::from_secs(3600)))
///     }
/// }
///
/// let client = actionlog::UnleashClient::builder("https://unleash.example.com")
///     .authenticator(TokenCache::new(Vault))
///     .build()?;
/// # Ok::<(), actionlog::Error>(())
/// ```
pub struct TokenCache<S> {
    source: Arc<S>,
    header: HeaderName,
    prefix: &'static str,
    early: Duration,
    patience: Duration,
    /// Identifies this cache inside a fetch.
    serial: usize,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    token: Option<HeldToken>,
    generation: u64,
    /// The earliest time at which the current token is renewed.
    not_before: Option<Instant>,
    /// The running fetch.
    running: Option<PendingFetch>,
    /// The number of fetches so far.
    fetches: u64,
    /// The failure of the last fetch, if it failed.
    failed: Option<Failed>,
}

/// A fetch that is running, or was when its runtime was last driven.
#[derive(Clone, Debug)]
struct PendingFetch {
    number: u64,
    /// When the fetch is over in any case.
    until: Instant,
    result: watch::Receiver<FetchResult>,
}

impl PendingFetch {
    /// Whether a result can still arrive. If the task dropped the channel without a result, it panicked or its runtime
    /// ended. If the time is over without a result, the runtime isn't driven.
    fn is_alive(&self) -> bool {
        self.result.has_changed().is_ok() && Instant::now() < self.until
    }
}

#[derive(Debug)]
struct Failed {
    error: AuthError,
    times: u32,
    until: Instant,
}

/// The error while the cache waits before it calls a failing source again.
#[derive(Debug, thiserror::Error)]
#[error("the token source failed; it isn't called again for another {wait:.1?}")]
struct BackingOff {
    wait: Duration,
    source: AuthError,
}

/// The result of a fetch. `None` while the fetch is running.
type FetchResult = Option<Result<HeldToken, AuthError>>;

#[derive(Clone, Debug)]
struct HeldToken {
    text: Secret,
    generation: u64,
    fetched: Instant,
    ends: Option<Instant>,
}

impl Held {
    /// The current token, and whether it is due for renewal.
    fn current(&self, early: Duration) -> Option<(HeldToken, bool)> {
        let token = self.token.clone()?;
        let now = Instant::now();
        let Some(ends) = token.ends else { return Some((token, false)) };
        if now >= ends {
            return None;
        }
        let early = early.min(ends.duration_since(token.fetched) / 2);
        let due = now + early >= ends && self.not_before.is_none_or(|it| now >= it);
        Some((token, due))
    }

    /// The error for calls that need a token while the cache waits before it calls the source again.
    fn backing_off(&self) -> Option<AuthError> {
        let failed = self.failed.as_ref()?;
        let wait = failed.until.checked_duration_since(Instant::now()).filter(|it| !it.is_zero())?;
        let error = BackingOff { wait, source: failed.error.clone() };
        Some(if failed.error.is_transient() { AuthError::transient(error) } else { AuthError::new(error) })
    }

    /// Stores the result of a fetch. `None` if this is no longer the running fetch, because nobody waits for it.
    fn take(&mut self, number: u64, fetched: Result<Token, AuthError>) -> Option<Result<HeldToken, AuthError>> {
        if self.running.as_ref().is_none_or(|it| it.number != number) {
            return None;
        }
        let now = Instant::now();
        self.running = None;
        let fetched = match fetched {
            Ok(fetched) => fetched,
            Err(error) => {
                let times = self.failed.as_ref().map_or(0, |it| it.times);
                let rest = BACKOFF.saturating_mul(1 << times.min(8)).min(LONGEST_BACKOFF);
                self.failed = Some(Failed { error: error.clone(), times: times.saturating_add(1), until: now + rest });
                self.not_before = Some(now + PAUSE);
                return Some(Err(error));
            }
        };
        self.generation += 1;
        self.not_before = None;
        self.failed = None;
        let token = HeldToken {
            text: fetched.text,
            generation: self.generation,
            fetched: now,
            ends: fetched.lifetime.and_then(|it| now.checked_add(it)),
        };
        self.token = Some(token.clone());
        Some(Ok(token))
    }
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

tokio::task_local! {
    /// The caches whose fetches this task is part of.
    static FETCHING: Vec<usize>;
}

impl<S: TokenSource> TokenCache<S> {
    /// Authenticates with `Authorization: Bearer TOKEN`, with tokens from `source`.
    pub fn new(source: S) -> Self {
        static SERIAL: AtomicUsize = AtomicUsize::new(0);
        Self {
            source: Arc::new(source),
            header: AUTHORIZATION,
            prefix: "Bearer ",
            early: EARLY,
            patience: PATIENCE,
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            held: Arc::default(),
        }
    }

    /// Sends the token in this header, without a prefix, instead of in `Authorization` after `Bearer`.
    #[must_use]
    pub fn in_header(mut self, name: HeaderName) -> Self {
        self.header = name;
        self.prefix = "";
        self
    }

    /// How long before its expiry a token is renewed; 5 minutes unless set, and at most half of its lifetime.
    #[must_use]
    pub fn renew_before_end(mut self, early: Duration) -> Self {
        self.early = early;
        self
    }

    /// The timeout of a fetch; 30 s unless set, and a day at most.
    #[must_use]
    pub fn fetch_timeout(mut self, limit: Duration) -> Self {
        self.patience = limit.min(A_DAY);
        self
    }

    /// The current token, or the one that the running or a new fetch returns.
    async fn token(&self) -> Result<HeldToken, AuthError> {
        // A fetch that another call started may die with that call's runtime. Then this call starts its own.
        for _ in 0..3 {
            let (mut running, is_own) = {
                let mut held = lock(&self.held);
                match held.current(self.early) {
                    Some((token, due)) => {
                        if due {
                            self.fetch(&mut held);
                        }
                        return Ok(token);
                    }
                    None if held.running.as_ref().is_some_and(PendingFetch::is_alive) => (self.fetch(&mut held), false),
                    None => match held.backing_off() {
                        Some(error) => return Err(error),
                        None => (self.fetch(&mut held), true),
                    },
                }
            };
            let waited = timeout_at(running.until, running.result.wait_for(Option::is_some)).await;
            match waited.map(|it| it.map(|fetched| fetched.clone())) {
                Ok(Ok(Some(fetched))) => return fetched,
                _ if is_own => return Err(AuthError::transient("the token source ended without returning a token")),
                _ => {}
            }
        }
        Err(AuthError::transient("no token fetch completed"))
    }

    /// Joins the running fetch, or starts one.
    fn fetch(&self, held: &mut Held) -> PendingFetch {
        if let Some(running) = held.running.as_ref().filter(|it| it.is_alive()) {
            return running.clone();
        }
        let (done, result) = watch::channel(None);
        held.fetches += 1;
        let (number, now) = (held.fetches, Instant::now());
        let until = now.checked_add(self.patience.saturating_add(GRACE)).unwrap_or(now + A_DAY);
        let running = PendingFetch { number, until, result };
        held.running = Some(running.clone());
        let (source, shared, patience) = (Arc::clone(&self.source), Arc::clone(&self.held), self.patience);
        let behind_bearer = !self.prefix.is_empty();
        let mut within = FETCHING.try_with(Vec::clone).unwrap_or_default();
        within.push(self.serial);
        tokio::spawn(FETCHING.scope(within, async move {
            let fetched = match timeout(patience, source.fetch()).await {
                Ok(fetched) => fetched.and_then(|token| usable(token, behind_bearer)),
                Err(_) => Err(AuthError::transient(format!("the token source returned no token within {patience:?}"))),
            };
            if let Some(taken) = lock(&shared).take(number, fetched) {
                // An error only means that nobody waits any longer.
                let _ = done.send(Some(taken));
            }
        }));
        running
    }
}

/// Checks that a fetched token can be sent in the header.
fn usable(token: Token, behind_bearer: bool) -> Result<Token, AuthError> {
    let text = token.text.expose();
    check(text)
        .and_then(|()| if behind_bearer { check_bare(text) } else { Ok(()) })
        .map_err(|why| AuthError::new(format!("the token source returned an invalid token: {why}")))?;
    Ok(token)
}

#[async_trait]
impl<S: TokenSource> Authenticate for TokenCache<S> {
    async fn authenticate(&self, request: &mut http::Request<Bytes>) -> Result<Credentials, AuthError> {
        if FETCHING.try_with(|within| within.contains(&self.serial)).unwrap_or(false) {
            return Ok(Credentials::new());
        }
        let token = self.token().await?;
        let value = sensitive(&Secret::from(format!("{}{}", self.prefix, token.text.expose())))?;
        request.headers_mut().insert(self.header.clone(), value);
        Ok(Credentials::new().with_generation(token.generation).hiding(token.text))
    }

    fn refused(&self, credentials: &Credentials) -> AuthRetry {
        if credentials.generation() == 0 {
            // The request was sent without credentials, from inside a fetch.
            return AuthRetry::GiveUp;
        }
        let mut held = lock(&self.held);
        if held.token.as_ref().is_some_and(|it| it.generation == credentials.generation()) {
            held.token = None;
        }
        AuthRetry::Retry
    }
}

impl<S: fmt::Debug> fmt::Debug for TokenCache<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("source", &self.source).field("header", &self.header).finish_non_exhaustive()
    }
}
