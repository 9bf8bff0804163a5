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

use super::key::{check, check_bare, sensitive};
use super::{AuthError, Authenticate, Refused, Secret, Signature};

/// A token is renewed this long before it ends, unless set otherwise.
const EARLY: Duration = Duration::from_secs(300);

/// A source that gives no token within this fails, unless set otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much longer than a fetch may take it is waited for, before it's taken for one that nobody carries on.
const GRACE: Duration = Duration::from_secs(1);

/// After a fetch that failed, the source isn't asked for this long: twice as long with each failure in a row.
const REST: Duration = Duration::from_secs(1);

const LONGEST_REST: Duration = Duration::from_secs(30);

const A_DAY: Duration = Duration::from_secs(86_400);

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
/// A source that fails isn't asked by every call: after a failure without a token in use, calls fail with what it said, at
/// once, for a second, and for twice as long with each failure in a row, up to 30 s.
///
/// A fetch is a task of its own, so a caller that goes away doesn't end it for the others. It is a task of the runtime that
/// its first caller is in. If that isn't driven any more (a runtime of one thread, outside of its `block_on`), others
/// wait for as long as a fetch may take, and then fetch a token themselves.
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
    running: Option<Running>,
    /// How many fetches there were.
    fetches: u64,
    /// What the last fetch failed with, if it did.
    failed: Option<Failed>,
}

/// A fetch that is under way, or was when its runtime was last driven.
#[derive(Clone, Debug)]
struct Running {
    number: u64,
    /// When it's over in any case.
    until: Instant,
    fetched: watch::Receiver<Fetched>,
}

impl Running {
    /// One whose task is gone without a word has panicked, or its runtime ended. One that is over and has said nothing is
    /// on a runtime that isn't driven.
    fn is_alive(&self) -> bool {
        self.fetched.has_changed().is_ok() && Instant::now() < self.until
    }
}

#[derive(Debug)]
struct Failed {
    error: AuthError,
    times: u32,
    until: Instant,
}

/// Why there is no token while the source isn't asked.
#[derive(Debug, thiserror::Error)]
#[error("the token source failed, and isn't asked again for another {wait:.1?}")]
struct Resting {
    wait: Duration,
    source: AuthError,
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

    /// The error for whoever needs a token while the source isn't asked.
    fn resting(&self) -> Option<AuthError> {
        let failed = self.failed.as_ref()?;
        let wait = failed.until.checked_duration_since(Instant::now()).filter(|it| !it.is_zero())?;
        let resting = Resting { wait, source: failed.error.clone() };
        Some(if failed.error.is_transient() { AuthError::transient(resting) } else { AuthError::new(resting) })
    }

    /// Takes what a fetch brought. `None` if it isn't the one that is under way: nobody waited for it any more.
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
                let rest = REST.saturating_mul(1 << times.min(8)).min(LONGEST_REST);
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

    /// How long the source may take; 30 s unless set, and a day at most.
    #[must_use]
    pub fn fetch_timeout(mut self, limit: Duration) -> Self {
        self.patience = limit.min(A_DAY);
        self
    }

    async fn token(&self) -> Result<HeldToken, AuthError> {
        // One that was begun by another call may come to nothing for reasons of that one's; then there is one of our own.
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
                    None if held.running.as_ref().is_some_and(Running::is_alive) => (self.fetch(&mut held), false),
                    None => match held.resting() {
                        Some(error) => return Err(error),
                        None => (self.fetch(&mut held), true),
                    },
                }
            };
            let waited = timeout_at(running.until, running.fetched.wait_for(Option::is_some)).await;
            match waited.map(|it| it.map(|fetched| fetched.clone())) {
                Ok(Ok(Some(fetched))) => return fetched,
                _ if is_own => return Err(AuthError::transient("the token source ended without an answer")),
                _ => {}
            }
        }
        Err(AuthError::transient("no fetch of a token came to an end"))
    }

    /// Joins the fetch that is under way, or begins one.
    fn fetch(&self, held: &mut Held) -> Running {
        if let Some(running) = held.running.as_ref().filter(|it| it.is_alive()) {
            return running.clone();
        }
        let (done, fetched) = watch::channel(None);
        held.fetches += 1;
        let (number, now) = (held.fetches, Instant::now());
        let until = now.checked_add(self.patience.saturating_add(GRACE)).unwrap_or(now + A_DAY);
        let running = Running { number, until, fetched };
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
            if let Some(taken) = lock(&shared).take(number, fetched) {
                // Nobody may be waiting any more.
                let _ = done.send(Some(taken));
            }
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
