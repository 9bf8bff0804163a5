//! What every client is built with.

use std::error::Error as _;
use std::fmt;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use crate::auth::{self, Authenticate, Secret};
use crate::error::{Error, ErrorKind, Result};
use crate::headers::{self, Headers};
use crate::observe::{Event, Observer};
use crate::request::MostRecords;
use crate::transport::connect::Connect;
use crate::transport::exchange::Exchange;
use crate::transport::{Base, Dialect, Jitter, RetryPolicy, Settings, Timeouts, Transport};

/// Bodies above this are refused unless set otherwise.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// Nobody means to keep more records than these at once, unless he says so: a log may grow faster than it's read.
const MAX_COLLECTED: u64 = 1_000_000;

/// A client of this crate. Sealed: the three are all there are.
pub trait Client: Sized + sealed::Assemble {}

pub(crate) mod sealed {
    use super::{Authenticate, Dialect, Result, Secret, Transport};

    /// What differs from client to client when it is built.
    pub trait Assemble {
        type Options: Default + std::fmt::Debug;

        fn dialect() -> &'static Dialect;
        fn key(key: Secret) -> Box<dyn Authenticate>;
        fn assemble(transport: Transport, options: Self::Options) -> Result<Self>
        where
            Self: Sized;
    }
}

/// Builds a client: where, with which credentials, and how long things may take.
///
/// ```
/// use std::time::Duration;
/// use actionlog::UnleashClient;
///
/// let client = UnleashClient::builder("https://unleash.example.com")
///     .bearer("*:*.some-token")
///     .attempt_timeout(Duration::from_secs(10))
///     .operation_timeout(None)
///     .build()?;
/// # Ok::<(), actionlog::Error>(())
/// ```
#[must_use = "a builder does nothing until `build` is called"]
pub struct ClientBuilder<C: Client> {
    base_url: String,
    allow_http: bool,
    auth: Option<Arc<dyn Authenticate>>,
    exchange: Option<Arc<dyn Exchange>>,
    settings: Settings,
    idempotency: Option<Result<HeaderName>>,
    pub(crate) connect: Connect,
    pub(crate) options: C::Options,
}

impl<C: Client> ClientBuilder<C> {
    pub(crate) fn new(base_url: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            allow_http: false,
            auth: None,
            exchange: None,
            settings: Settings {
                timeouts: Timeouts::default(),
                max_body: MAX_BODY,
                max_records: MostRecords::default(),
                max_collected: MAX_COLLECTED,
                retry: RetryPolicy::default(),
                max_in_flight: None,
                idempotency: None,
                headers: Headers::default(),
                jitter: Jitter::default(),
                observer: Observer::default(),
                secrets: Vec::new(),
            },
            idempotency: None,
            connect: Connect::default(),
            options: C::Options::default(),
        }
    }

    pub(crate) fn set_base_url(&mut self, base_url: String) {
        self.base_url = base_url;
    }

    /// Signs with a key, in the header where this API takes it.
    pub fn api_key(mut self, key: impl Into<Secret>) -> Self {
        self.auth = Some(Arc::from(C::key(key.into())));
        self
    }

    /// Signs with `Authorization: Bearer TOKEN`.
    pub fn bearer(self, token: impl Into<Secret>) -> Self {
        self.authenticator(auth::bearer(token))
    }

    /// Signs in any other way: see [`auth`](crate::auth).
    pub fn authenticator(mut self, auth: impl Authenticate) -> Self {
        self.auth = Some(Arc::new(auth));
        self
    }

    /// Lets plain `http` to other machines pass. To this one it always may.
    ///
    /// Credentials and records can then be read by whoever is in between.
    pub fn allow_http(mut self) -> Self {
        self.allow_http = true;
        self
    }

    /// How long it may take to connect; 5 s unless set, `None` for as long as it takes.
    ///
    /// It holds for a [`reqwest`](Self::reqwest) builder of your own too, and not for an [`exchange`](Self::exchange),
    /// which connects as it likes.
    pub fn connect_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.timeouts.connect = limit.into();
        self
    }

    /// How long one attempt may take, to the last byte of the answer; 30 s unless set, `None` for as long as it takes.
    pub fn attempt_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.timeouts.attempt = limit.into();
        self
    }

    /// How long one call (in a listing: one page) may take, with signing and all attempts; 120 s unless set, `None` for
    /// as long as it takes.
    pub fn operation_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.timeouts.operation = limit.into();
        self
    }

    /// How many bytes an answer's body may have, counted after decompression; 16 MiB unless set.
    ///
    /// Reading a response takes up to four times as much memory: the body itself, the free-form JSON of its records, their raw
    /// JSON where it is [kept](crate::Listing::with_raw), and the lists in them, which may take as much, and 16 MiB in
    /// any case. A page over that is an error of kind [`TooLarge`](ErrorKind::TooLarge). Each request in flight counts by itself.
    pub fn max_body_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_body = bytes;
        self
    }

    /// How many records a page may hold. Unless set, ten times as many as were asked for, and a thousand at least; as many
    /// as were asked for are always taken.
    ///
    /// A page with more is an error of kind [`TooLarge`](ErrorKind::TooLarge), and its records aren't kept: in memory a
    /// record is larger than in a body, and a small body may unfold to millions. So is a page with more than 100 errors of
    /// the server's beside the records, which no setting changes.
    pub fn max_page_records(mut self, records: usize) -> Self {
        self.settings.max_records = MostRecords { set: Some(records) };
        self
    }

    /// How many records [`collect`](crate::Listing::collect) takes at most; a million unless set, or as many as the listing's
    /// own [`max_items`](crate::Listing::max_items) says.
    pub fn max_collected(mut self, records: u64) -> Self {
        self.settings.max_collected = records;
        self
    }

    /// How often and how soon failed attempts are repeated.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.settings.retry = policy;
        self
    }

    /// How many requests of this client and its clones may be under way at once; without limit unless set. 0 counts as 1.
    ///
    /// A request is under way until its answer's last byte, and not while a call waits to repeat it. The others wait
    /// for their turn; that counts to the [operation's](Self::operation_timeout) time, and not to the
    /// [attempt's](Self::attempt_timeout).
    pub fn max_in_flight(mut self, requests: usize) -> Self {
        self.settings.max_in_flight = Some(requests);
        self
    }

    /// The name of a header by which *the server* takes two requests of one key as one, where it honours such a header:
    /// `Idempotency-Key`, as a rule.
    ///
    /// Requests that make something new (a `POST`) then carry a random UUID in it, the same in all attempts of a call, and
    /// are repeated as reading ones are. Unset, as it should be for a server that doesn't honour it, they are repeated only
    /// if they certainly had no effect. Each key is of the system's randomness. For a key of your own, set the header by [`Call::header`](crate::Call::header).
    pub fn idempotency_header(mut self, name: impl TryInto<HeaderName>) -> Self {
        let wrong = "the idempotency header's name can't be that of a header of one's own";
        let name = name.try_into().ok().filter(|it| !headers::has_a_meaning(it));
        self.idempotency = Some(name.ok_or_else(|| Error::new(ErrorKind::Configuration, wrong)));
        self
    }

    /// Names another secret that a server, a proxy or a token source may repeat. Messages that hold a part of it are
    /// withheld, as those with the client's own credentials are: see [`auth`](crate::auth#what-is-shown-of-credentials).
    ///
    /// For what the client can't know of: the password of a proxy that is set in a [`reqwest`](Self::reqwest) builder or in
    /// an [`exchange`](Self::exchange) of your own, a client's secret that a token source uses.
    pub fn redact(mut self, secret: impl Into<Secret>) -> Self {
        self.settings.secrets.push(secret.into());
        self
    }

    /// Adds a header to every request, beside those that they have anyway. See [`Call::header`](crate::Call::header) for
    /// what it doesn't take; that is told when the client is built, or when something is sent.
    pub fn header(mut self, name: impl TryInto<HeaderName>, value: impl TryInto<HeaderValue>) -> Self {
        self.settings.headers.set(name, value);
        self
    }

    /// Tells a function of what happens: attempts, waits, pages. See [`observe`](crate::observe).
    ///
    /// It's called from within calls: it should be quick. A panic of it is caught, so that it ends no call: the event is
    /// lost, and a `tracing` event of level `ERROR` says so.
    pub fn observer(mut self, observe: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.settings.observer = Observer::new(observe);
        self
    }

    /// Where the random part of waits comes from: numbers from 0 to 1. For tests, whose waits are exact with `|| 1.0`.
    pub fn jitter(mut self, random: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        self.settings.jitter = Jitter(Arc::new(random));
        self
    }

    /// Exchanges requests and answers in another way than over a connection of its own: see [`Exchange`].
    pub fn exchange(mut self, exchange: impl Exchange) -> Self {
        self.exchange = Some(Arc::new(exchange));
        self
    }

    /// Builds the client. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`], with what is wrong: the base URL, the credentials (none, or not fit for a header),
    /// what TLS needs, or a header that can't be sent. Also if `HTTP_PROXY`, `HTTPS_PROXY` or `ALL_PROXY` is set in the
    /// environment and isn't a proxy that can be asked: past it, the client would connect directly. (Not for a server on
    /// this machine, which is never asked by way of a proxy, and not for a client with an [`exchange`](Self::exchange) of
    /// its own.)
    pub fn build(mut self) -> Result<C> {
        let base = Base::parse(&self.base_url, self.allow_http)?;
        let Some(auth) = self.auth else {
            return Err(Error::new(
                ErrorKind::Configuration,
                "no credentials were given: use api_key, bearer or authenticator (with auth::none() for none at all)",
            ));
        };
        auth.validate().map_err(|error| {
            // At once, with all of its causes: what builds a client prints its error, as a rule, and not the sources.
            let causes = iter::successors(error.source(), |&it| it.source());
            let why = causes.fold(String::new(), |why, it| format!("{why}: {it}"));
            Error::new(ErrorKind::Configuration, format!("the credentials can't be used{why}"))
        })?;
        self.settings.secrets.extend(self.connect.secrets());
        let exchange = match (self.exchange, self.connect.setting()) {
            (Some(_), Some(setting)) => {
                let why =
                    format!("{setting} was set, which is for the client's own connections: give it to the exchange");
                return Err(Error::new(ErrorKind::Configuration, why));
            }
            (Some(exchange), None) => exchange,
            (None, _) => {
                base.check_tls()?;
                Arc::new(self.connect.exchange(self.settings.timeouts.connect, base.is_local())?)
            }
        };
        let settings = Settings { idempotency: self.idempotency.transpose()?, ..self.settings };
        let transport = Transport::new(base, C::dialect(), auth, exchange, settings)?;
        C::assemble(transport, self.options)
    }
}

impl<C: Client> fmt::Debug for ClientBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The base URL isn't checked yet, and may hold credentials.
        f.debug_struct("ClientBuilder")
            .field("auth", &self.auth)
            .field("settings", &self.settings)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
