//! The builder that all clients share.

use std::error::Error as _;
use std::fmt;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use crate::auth::{self, Authenticate, Secret};
use crate::error::{Error, ErrorKind, Result};
use crate::observe::{Event, Observer};
use crate::request::MostRecords;
use crate::transport::connect::Connect;
use crate::transport::headers::{self, Headers};
use crate::transport::http_client::HttpClient;
use crate::transport::{Base, Dialect, Jitter, RetryPolicy, Settings, Timeouts, Transport};

/// The default of `max_body_bytes`.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// The default of `max_collected`. A log may grow faster than it is read, so `collect` needs a limit by default.
const MAX_COLLECTED: u64 = 1_000_000;

/// A client of this crate. Sealed: only the crate's three clients implement this trait.
pub trait Client: Sized + sealed::Assemble {}

pub(crate) mod sealed {
    use super::{Authenticate, Dialect, Result, Secret, Transport};

    /// The parts of building that differ between the clients.
    pub trait Assemble {
        type Options: Default + std::fmt::Debug;

        fn dialect() -> &'static Dialect;
        fn key(key: Secret) -> Box<dyn Authenticate>;
        fn assemble(transport: Transport, options: Self::Options) -> Result<Self>
        where
            Self: Sized;
    }
}

/// Builds a client from its base URL, credentials, timeouts and other settings.
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
#[must_use = "a builder does nothing until `build()` is called"]
pub struct ClientBuilder<C: Client> {
    base_url: String,
    allow_http: bool,
    auth: Option<Arc<dyn Authenticate>>,
    http_client: Option<Arc<dyn HttpClient>>,
    settings: Settings,
    idempotency: Option<Result<HeaderName>>,
    pub(super) connect: Connect,
    pub(crate) options: C::Options,
}

impl<C: Client> ClientBuilder<C> {
    pub(crate) fn new(base_url: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            allow_http: false,
            auth: None,
            http_client: None,
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

    /// Authenticates with a key, in the header that this API expects.
    pub fn api_key(mut self, key: impl Into<Secret>) -> Self {
        self.auth = Some(Arc::from(C::key(key.into())));
        self
    }

    /// Authenticates with `Authorization: Bearer TOKEN`.
    pub fn bearer(self, token: impl Into<Secret>) -> Self {
        self.authenticator(auth::bearer(token))
    }

    /// Authenticates in any other way: see [`auth`](crate::auth).
    pub fn authenticator(mut self, auth: impl Authenticate) -> Self {
        self.auth = Some(Arc::new(auth));
        self
    }

    /// Allows plain `http` to other machines. Plain `http` to this machine is always allowed.
    ///
    /// Anyone on the network path can then read the credentials and the records.
    pub fn allow_http(mut self) -> Self {
        self.allow_http = true;
        self
    }

    /// The connect timeout; 5 s unless set, `None` for no timeout.
    ///
    /// Also applies to a custom [`reqwest`](Self::reqwest) builder, but not to a custom
    /// [`http_client`](Self::http_client), which makes its own connections.
    pub fn connect_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.timeouts.connect = limit.into();
        self
    }

    /// The timeout of one attempt, up to the last byte of the response; 30 s unless set, `None` for no timeout.
    pub fn attempt_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.timeouts.attempt = limit.into();
        self
    }

    /// The timeout of one call (in a listing: of one page), including authentication and all attempts; 120 s unless
    /// set, `None` for no timeout.
    pub fn operation_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.timeouts.operation = limit.into();
        self
    }

    /// The most bytes that a response body may have, counted after decompression; 16 MiB unless set.
    ///
    /// Decoding a response takes up to four times as much memory: the body itself, the free-form JSON of its records,
    /// their raw JSON if it is [kept](crate::Listing::with_raw), and the lists in them, which may take as much, and 16
    /// MiB in any case; so may the [fields that are omitted](crate::strictness). A page that exceeds this is an error
    /// of kind [`TooLarge`](ErrorKind::TooLarge). Each request in flight counts separately.
    pub fn max_body_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_body = bytes;
        self
    }

    /// The most records that a page may hold. Unless set, ten times the requested number, and at least a thousand. The
    /// requested number itself is always accepted.
    ///
    /// A page with more is an error of kind [`TooLarge`](ErrorKind::TooLarge), and its records are dropped: a record
    /// takes more memory than its JSON, and a small compressed body may expand to millions of records. A page with more
    /// than 100 server errors beside the records is an error of that kind too; no setting changes that.
    pub fn max_page_records(mut self, records: usize) -> Self {
        self.settings.max_records = MostRecords { set: Some(records) };
        self
    }

    /// The most records that [`collect`](crate::Listing::collect) gathers; a million unless set, or the listing's own
    /// [`max_items`](crate::Listing::max_items).
    pub fn max_collected(mut self, records: u64) -> Self {
        self.settings.max_collected = records;
        self
    }

    /// When and how soon failed attempts are retried.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.settings.retry = policy;
        self
    }

    /// The most requests of this client and its clones that may be in flight at once; no limit unless set. 0 counts as
    /// 1.
    ///
    /// A request is in flight until the last byte of its response, and not while a call waits for a retry. The other
    /// requests wait for a permit. That wait counts towards the [operation timeout](Self::operation_timeout), and not
    /// towards the [attempt timeout](Self::attempt_timeout).
    pub fn max_in_flight(mut self, requests: usize) -> Self {
        self.settings.max_in_flight = Some(requests);
        self
    }

    /// Sets the name of the idempotency header, usually `Idempotency-Key`. Only for servers that honour such a header
    /// and treat two requests with the same key as one.
    ///
    /// Requests that create something (a `POST`) then carry a random UUID in this header, the same one in all attempts
    /// of a call, and are retried like idempotent requests. Leave this unset for a server that doesn't honour the
    /// header: such requests are then retried only if they certainly had no effect. Each key comes from the operating
    /// system's random generator. To use your own key, set the header with [`Call::header`](crate::Call::header).
    pub fn idempotency_header(mut self, name: impl TryInto<HeaderName>) -> Self {
        let wrong = "the idempotency header's name is invalid, or is the name of a header that the client sets itself";
        let name = name.try_into().ok().filter(|it| !headers::is_reserved(it));
        self.idempotency = Some(name.ok_or_else(|| Error::new(ErrorKind::Configuration, wrong)));
        self
    }

    /// Adds a secret that server messages must not show. A message that contains a part of it is withheld, like one
    /// that contains the client's own credentials: see [`auth`](crate::auth#what-is-shown-of-credentials).
    ///
    /// For secrets that the client can't know: the password of a proxy that is set in a [`reqwest`](Self::reqwest)
    /// builder or in a custom [`http_client`](Self::http_client), or a client secret that a token source uses.
    pub fn redact(mut self, secret: impl Into<Secret>) -> Self {
        self.settings.secrets.push(secret.into());
        self
    }

    /// Adds a header to every request. [`Call::header`](crate::Call::header) says which headers are rejected; the error
    /// is returned when the client is built or when a request is sent.
    pub fn header(mut self, name: impl TryInto<HeaderName>, value: impl TryInto<HeaderValue>) -> Self {
        self.settings.headers.set(name, value);
        self
    }

    /// Calls a function with each event: attempts, waits, pages. See [`observe`](crate::observe).
    ///
    /// The function is called inside calls, so it should return quickly. If it panics, the panic is caught and the call
    /// goes on: the event is lost, and a `tracing` event of level `ERROR` reports that.
    pub fn observer(mut self, observe: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.settings.observer = Observer::new(observe);
        self
    }

    /// Sets the source of the random part of waits: numbers from 0 to 1. With `|| 1.0`, a test's waits are exact.
    pub fn jitter(mut self, random: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        self.settings.jitter = Jitter(Arc::new(random));
        self
    }

    /// Sends requests through a custom HTTP client instead of the crate's own connections: see [`HttpClient`].
    pub fn http_client(mut self, http_client: impl HttpClient) -> Self {
        self.http_client = Some(Arc::new(http_client));
        self
    }

    /// Builds the client. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`], with a message that names the invalid setting: the base URL, the credentials
    /// (missing, or not allowed in a header), the TLS settings, or a header that can't be sent.
    ///
    /// Also if `HTTP_PROXY`, `HTTPS_PROXY` or `ALL_PROXY` is set in the environment but isn't a usable proxy: the HTTP
    /// stack would ignore it and connect directly. This check doesn't apply to a server on this machine, which is never
    /// contacted through a proxy, or to a client with a custom [`http_client`](Self::http_client).
    pub fn build(mut self) -> Result<C> {
        let base = Base::parse(&self.base_url, self.allow_http)?;
        let Some(auth) = self.auth else {
            return Err(Error::new(
                ErrorKind::Configuration,
                "no credentials are set: call api_key, bearer or authenticator (with auth::none() to send none)",
            ));
        };
        auth.validate().map_err(|error| {
            // The message includes all sources: code that builds a client usually prints only the error itself.
            let causes = iter::successors(error.source(), |&it| it.source());
            let why = causes.fold(String::new(), |why, it| format!("{why}: {it}"));
            Error::new(ErrorKind::Configuration, format!("the credentials are invalid{why}"))
        })?;
        self.settings.secrets.extend(self.connect.secrets());
        let http_client = match (self.http_client, self.connect.setting()) {
            (Some(_), Some(setting)) => {
                let why = format!(
                    "{setting} applies only to the client's own connections: configure the http_client instead"
                );
                return Err(Error::new(ErrorKind::Configuration, why));
            }
            (Some(http_client), None) => http_client,
            (None, _) => {
                base.check_tls()?;
                Arc::new(self.connect.http_client(self.settings.timeouts.connect, base.is_local())?)
            }
        };
        let settings = Settings { idempotency: self.idempotency.transpose()?, ..self.settings };
        let transport = Transport::new(base, C::dialect(), auth, http_client, settings)?;
        C::assemble(transport, self.options)
    }
}

impl<C: Client> fmt::Debug for ClientBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The base URL isn't validated yet, and may contain credentials.
        f.debug_struct("ClientBuilder")
            .field("auth", &self.auth)
            .field("settings", &self.settings)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
