use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex as SyncMutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderName;
use http::header::AUTHORIZATION;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout};

use super::key::{check, sensitive};
use super::{AuthError, Authenticate, Refused, Secret, Signature};

/// A token is renewed this long before it ends, unless set otherwise.
const EARLY: Duration = Duration::from_secs(300);

/// A source that gives no token within this fails, unless set otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// After a renewal that failed, the token in use isn't tried to be renewed for this long.
const PAUSE: Duration = Duration::from_secs(10);

/// Where tokens come from: an OAuth endpoint, a vault, the metadata service of a machine.
#[async_trait]
pub trait TokenSource: fmt::Debug + Send + Sync + 'static {
    /// Fetches a token.
    ///
    /// # Errors
    ///
    /// If there is none. Say by [`AuthError::transient`] that it may pass.
    async fn fetch(&self) -> Result<Token, AuthError>;
}

/// A token, and how long it's good for.
#[derive(Clone, Debug)]
pub struct Token {
    text: Secret,
    lifetime: Option<Duration>,
}

impl Token {
    /// A token that is good until it's refused.
    pub fn new(text: impl Into<Secret>) -> Self {
        Self { text: text.into(), lifetime: None }
    }

    /// A token that ends this long after now: OAuth's `expires_in`.
    #[must_use = "returns the changed token"]
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }
}

/// Signs with a token from a source, and fetches it as seldom as it can.
///
/// The token is fetched when it is first needed, once for all who wait for it (who share the error, too, if it fails),
/// and again some time before it ends: one caller then renews it while the others go on with the one in use, which is kept for as long as it is good if the
/// renewal fails. A token that the server refuses is dropped, and the request signed anew, once; the refusal of one that
/// has been replaced meanwhile drops nothing.
///
/// A source may fetch its token through a client that signs with this very `Cached`: requests made inside
/// [`fetch`](TokenSource::fetch) go out unsigned.
///
/// ```
/// use std::time::Duration;
/// use actionlog::auth::{AuthError, Cached, Token, TokenSource};
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
///     .authenticator(Cached::new(Vault))
///     .build()?;
/// # Ok::<(), actionlog::Error>(())
/// ```
pub struct Cached<S> {
    source: S,
    header: HeaderName,
    prefix: &'static str,
    early: Duration,
    patience: Duration,
    /// Tells this one from others inside of a fetch.
    serial: usize,
    /// Held while a token is fetched.
    fetching: Mutex<()>,
    held: SyncMutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    token: Option<HeldToken>,
    generation: u64,
    /// Not before this is the token in use tried to be renewed.
    not_before: Option<Instant>,
    /// How many fetches have failed, and how the last of them did: those who waited for it fail with it.
    failures: u64,
    failure: Option<AuthError>,
}

#[derive(Clone, Debug)]
struct HeldToken {
    text: Secret,
    generation: u64,
    fetched: Instant,
    ends: Option<Instant>,
}

tokio::task_local! {
    /// Whose fetch this task is in.
    static FETCHING: usize;
}

impl<S: TokenSource> Cached<S> {
    /// Signs by `Authorization: Bearer TOKEN`, with tokens from `source`.
    pub fn new(source: S) -> Self {
        static SERIAL: AtomicUsize = AtomicUsize::new(0);
        Self {
            source,
            header: AUTHORIZATION,
            prefix: "Bearer ",
            early: EARLY,
            patience: PATIENCE,
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            fetching: Mutex::new(()),
            held: SyncMutex::default(),
        }
    }

    /// Puts the token into this header as it is, instead of into `Authorization` behind `Bearer`.
    #[must_use]
    pub fn in_header(mut self, name: HeaderName) -> Self {
        self.header = name;
        self.prefix = "";
        self
    }

    /// How long before its end a token is renewed; 5 minutes unless set, and never more than half of its lifetime.
    #[must_use]
    pub fn renew_before_end(mut self, early: Duration) -> Self {
        self.early = early;
        self
    }

    /// How long the source may take; 30 s unless set.
    #[must_use]
    pub fn fetch_timeout(mut self, limit: Duration) -> Self {
        self.patience = limit;
        self
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token in use, and whether it's time to renew it.
    fn current(&self) -> Option<(HeldToken, bool)> {
        let held = self.held();
        let token = held.token.clone()?;
        let now = Instant::now();
        let Some(ends) = token.ends else { return Some((token, false)) };
        if now >= ends {
            return None;
        }
        let early = self.early.min(ends.duration_since(token.fetched) / 2);
        let due = now + early >= ends && held.not_before.is_none_or(|it| now >= it);
        Some((token, due))
    }

    async fn token(&self) -> Result<HeldToken, AuthError> {
        match self.current() {
            Some((token, false)) => Ok(token),
            Some((token, true)) => {
                // One renews; whoever comes meanwhile goes on with what there is.
                let Ok(turn) = self.fetching.try_lock() else { return Ok(token) };
                match self.current() {
                    Some((renewed, false)) => Ok(renewed),
                    _ => {
                        // Before it, as it may be dropped: then the next caller isn't held up by it as well.
                        self.held().not_before = Some(Instant::now() + PAUSE);
                        self.fetch(turn).await.or_else(|error| {
                            let now = Instant::now();
                            self.held().not_before = Some(now + PAUSE);
                            // It may have ended meanwhile.
                            if token.ends.is_some_and(|ends| now >= ends) { Err(error) } else { Ok(token) }
                        })
                    }
                }
            }
            None => {
                let failures = self.held().failures;
                let turn = self.fetching.lock().await;
                if let Some((token, _)) = self.current() {
                    return Ok(token);
                }
                match self.failure_since(failures) {
                    Some(error) => Err(error),
                    None => self.fetch(turn).await,
                }
            }
        }
    }

    fn failure_since(&self, failures: u64) -> Option<AuthError> {
        let held = self.held();
        if held.failures == failures { None } else { held.failure.clone() }
    }

    async fn fetch(&self, _turn: MutexGuard<'_, ()>) -> Result<HeldToken, AuthError> {
        self.fetch_now().await.inspect_err(|error| {
            let mut held = self.held();
            held.failures += 1;
            held.failure = Some(error.clone());
        })
    }

    async fn fetch_now(&self) -> Result<HeldToken, AuthError> {
        let fetch = timeout(self.patience, FETCHING.scope(self.serial, self.source.fetch()));
        let Ok(fetched) = fetch.await else {
            return Err(AuthError::transient(format!("the token source gave no token within {:?}", self.patience)));
        };
        let fetched = fetched?;
        check(fetched.text.expose())
            .map_err(|why| AuthError::new(format!("the token source gave a token that can't be used: {why}")))?;
        let now = Instant::now();
        let mut held = self.held();
        held.generation += 1;
        held.not_before = None;
        let token = HeldToken {
            text: fetched.text,
            generation: held.generation,
            fetched: now,
            ends: fetched.lifetime.and_then(|it| now.checked_add(it)),
        };
        held.token = Some(token.clone());
        Ok(token)
    }
}

#[async_trait]
impl<S: TokenSource> Authenticate for Cached<S> {
    async fn sign(&self, request: &mut http::Request<Bytes>) -> Result<Signature, AuthError> {
        if FETCHING.try_with(|serial| *serial == self.serial).unwrap_or(false) {
            return Ok(Signature::new());
        }
        let token = self.token().await?;
        let value = sensitive(&Secret::from(format!("{}{}", self.prefix, token.text.expose())))?;
        request.headers_mut().insert(self.header.clone(), value);
        Ok(Signature::new().with_generation(token.generation).hiding(token.text))
    }

    fn refused(&self, signature: &Signature) -> Refused {
        if signature.generation() == 0 {
            // It was sent unsigned, from inside of a fetch.
            return Refused::GiveUp;
        }
        let mut held = self.held();
        if held.token.as_ref().is_some_and(|it| it.generation == signature.generation()) {
            held.token = None;
        }
        Refused::TryAgain
    }
}

impl<S: fmt::Debug> fmt::Debug for Cached<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").field("source", &self.source).field("header", &self.header).finish_non_exhaustive()
    }
}
