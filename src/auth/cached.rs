use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderName;
use http::header::AUTHORIZATION;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::key::{check, check_bare, sensitive};
use super::{AuthError, Authenticate, Refused, Secret, Signature};

/// A token is renewed this long before it ends, unless set otherwise.
const EARLY: Duration = Duration::from_secs(300);

/// A source that gives no token within this fails, unless set otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// After a renewal that failed, the token in use isn't tried to be renewed for this long.
const PAUSE: Duration = Duration::from_secs(10);

/// Where tokens come from: an OAuth endpoint, a vault, the metadata service of a machine.
///
/// Its `Debug` is shown in that of the clients: keep secrets out of it, in a [`Secret`] for instance.
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
/// and again some time before it ends, in the background, while everybody goes on with the one in use; that is kept for
/// as long as it is good if the renewal fails. A token that the server refuses is dropped, and the request signed anew,
/// once; the refusal of one that has been replaced meanwhile drops nothing.
///
/// A fetch is a task of its own, so a caller that goes away doesn't end it for the others.
///
/// A source may fetch its token through a client that signs with this very `Cached`: requests made inside
/// [`fetch`](TokenSource::fetch) go out unsigned. (From a task that `fetch` spawns they don't: such a request waits for
/// the token that it's to bring, until the time for the fetch is over.)
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
    source: Arc<S>,
    header: HeaderName,
    prefix: &'static str,
    early: Duration,
    patience: Duration,
    /// Tells this one from others inside of a fetch.
    serial: usize,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    token: Option<HeldToken>,
    generation: u64,
    /// Not before this is the token in use tried to be renewed.
    not_before: Option<Instant>,
    /// The fetch that is under way.
    running: Option<watch::Receiver<Fetched>>,
}

/// What a fetch came to; `None` until it has.
type Fetched = Option<Result<HeldToken, AuthError>>;

#[derive(Clone, Debug)]
struct HeldToken {
    text: Secret,
    generation: u64,
    fetched: Instant,
    ends: Option<Instant>,
}

impl Held {
    /// The token in use, and whether it's time to renew it.
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

    /// Takes what a fetch brought.
    fn take(&mut self, fetched: Result<Token, AuthError>) -> Result<HeldToken, AuthError> {
        let now = Instant::now();
        self.running = None;
        let fetched = fetched.inspect_err(|_| self.not_before = Some(now + PAUSE))?;
        self.generation += 1;
        self.not_before = None;
        let token = HeldToken {
            text: fetched.text,
            generation: self.generation,
            fetched: now,
            ends: fetched.lifetime.and_then(|it| now.checked_add(it)),
        };
        self.token = Some(token.clone());
        Ok(token)
    }
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

tokio::task_local! {
    /// Whose fetches this task is in.
    static FETCHING: Vec<usize>;
}

impl<S: TokenSource> Cached<S> {
    /// Signs by `Authorization: Bearer TOKEN`, with tokens from `source`.
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

    async fn token(&self) -> Result<HeldToken, AuthError> {
        let mut running = {
            let mut held = lock(&self.held);
            match held.current(self.early) {
                Some((token, due)) => {
                    if due {
                        self.fetch(&mut held);
                    }
                    return Ok(token);
                }
                None => self.fetch(&mut held),
            }
        };
        match running.wait_for(Option::is_some).await.map(|it| it.clone()) {
            Ok(Some(fetched)) => fetched,
            Ok(None) | Err(_) => Err(AuthError::transient("the token source ended without an answer")),
        }
    }

    /// Joins the fetch that is under way, or begins one.
    fn fetch(&self, held: &mut Held) -> watch::Receiver<Fetched> {
        // One whose task is gone without a word has panicked, or its runtime ended.
        if let Some(running) = held.running.as_ref().filter(|it| it.has_changed().is_ok()) {
            return running.clone();
        }
        let (done, running) = watch::channel(None);
        held.running = Some(running.clone());
        let (source, shared, patience) = (Arc::clone(&self.source), Arc::clone(&self.held), self.patience);
        let behind_bearer = !self.prefix.is_empty();
        let mut within = FETCHING.try_with(Vec::clone).unwrap_or_default();
        within.push(self.serial);
        tokio::spawn(FETCHING.scope(within, async move {
            let fetched = match timeout(patience, source.fetch()).await {
                Ok(fetched) => fetched.and_then(|token| usable(token, behind_bearer)),
                Err(_) => Err(AuthError::transient(format!("the token source gave no token within {patience:?}"))),
            };
            let taken = lock(&shared).take(fetched);
            // Nobody may be waiting any more.
            let _ = done.send(Some(taken));
        }));
        running
    }
}

fn usable(token: Token, behind_bearer: bool) -> Result<Token, AuthError> {
    let text = token.text.expose();
    check(text)
        .and_then(|()| if behind_bearer { check_bare(text) } else { Ok(()) })
        .map_err(|why| AuthError::new(format!("the token source gave a token that can't be used: {why}")))?;
    Ok(token)
}

#[async_trait]
impl<S: TokenSource> Authenticate for Cached<S> {
    async fn sign(&self, request: &mut http::Request<Bytes>) -> Result<Signature, AuthError> {
        if FETCHING.try_with(|within| within.contains(&self.serial)).unwrap_or(false) {
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
        let mut held = lock(&self.held);
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
