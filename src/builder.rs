//! What every client is built with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::{self, Authenticate, Secret};
use crate::error::{Error, ErrorKind, Result};
use crate::transport::exchange::{Exchange, HttpExchange};
use crate::transport::{Base, Dialect, RetryPolicy, Timeouts, Transport};

/// Bodies above this are refused unless set otherwise.
const MAX_BODY: usize = 32 * 1024 * 1024;

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
    timeouts: Timeouts,
    max_body: usize,
    retry: RetryPolicy,
    pub(crate) options: C::Options,
}

impl<C: Client> ClientBuilder<C> {
    pub(crate) fn new(base_url: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            allow_http: false,
            auth: None,
            exchange: None,
            timeouts: Timeouts::default(),
            max_body: MAX_BODY,
            retry: RetryPolicy::default(),
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
    /// Not for a client with an [`exchange`](Self::exchange) of its own, which connects as it likes.
    pub fn connect_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.timeouts.connect = limit.into();
        self
    }

    /// How long one attempt may take, to the last byte of the answer; 30 s unless set, `None` for as long as it takes.
    pub fn attempt_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.timeouts.attempt = limit.into();
        self
    }

    /// How long one call (in a listing: one page) may take, with signing and all attempts; 120 s unless set, `None` for
    /// as long as it takes.
    pub fn operation_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.timeouts.operation = limit.into();
        self
    }

    /// How many bytes an answer's body may have, counted after decompression; 32 MiB unless set.
    pub fn max_body_bytes(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// How often and how soon failed attempts are repeated.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
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
    /// or what TLS needs.
    pub fn build(self) -> Result<C> {
        let base = Base::parse(&self.base_url, self.allow_http)?;
        let Some(auth) = self.auth else {
            return Err(Error::new(
                ErrorKind::Configuration,
                "no credentials were given: use api_key, bearer or authenticator (with auth::none() for none at all)",
            ));
        };
        auth.validate().map_err(|error| {
            Error::new(ErrorKind::Configuration, "the credentials can't be used").with_source(error)
        })?;
        let exchange = match self.exchange {
            Some(exchange) => exchange,
            None => {
                base.check_tls()?;
                let limit = self.timeouts.connect;
                Arc::new(if base.is_local() { HttpExchange::local(limit)? } else { HttpExchange::new(limit)? })
            }
        };
        let transport = Transport::new(base, C::dialect(), auth, exchange, self.timeouts, self.max_body, self.retry);
        C::assemble(transport, self.options)
    }
}

impl<C: Client> fmt::Debug for ClientBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The base URL isn't checked yet, and may hold credentials.
        f.debug_struct("ClientBuilder")
            .field("auth", &self.auth)
            .field("timeouts", &self.timeouts)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
