//! Connections: the user's settings, with the crate's required settings on top.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::auth::Secret;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::http_client::ReqwestClient;
use crate::transport::{proxy, redact};

/// How long an idle connection may be used again. Servers close theirs after 15 s (a usual setting of Node servers) to
/// 60 s, and a request that coincides with the closing gets no response. So the client stops first. (The pool looks for
/// what to close once in that time: it closes a connection that is idle for one to two of these.)
const IDLE: Duration = Duration::from_secs(10);

/// The interval and the timeout of HTTP/2 pings. An HTTP/2 connection carries all requests, and outlives an attempt
/// that gets no response, so a dead connection would be used again and again. Interval plus timeout is less than the
/// attempt timeout.
#[cfg(feature = "http2")]
const PING: Duration = Duration::from_secs(10);

/// The settings of the connections that a client makes itself.
#[derive(Default)]
pub(crate) struct Connect {
    pub(crate) base: Option<reqwest::ClientBuilder>,
    pub(crate) proxy: Proxy,
    pub(crate) roots: Vec<Vec<u8>>,
    pub(crate) only_roots: bool,
    /// Certificates and the private key, in PEM.
    pub(crate) identity: Option<Zeroizing<Vec<u8>>>,
    pub(crate) hosts: Vec<(String, Vec<SocketAddr>)>,
}

#[derive(Default)]
pub(crate) enum Proxy {
    /// The proxy of the environment or the system.
    #[default]
    Usual,
    None,
    At(Secret),
}

impl Connect {
    /// The first setting that was made. A client with a custom `HttpClient` must not have any.
    pub(crate) fn setting(&self) -> Option<&'static str> {
        match () {
            () if self.base.is_some() => Some("a reqwest builder"),
            () if !matches!(self.proxy, Proxy::Usual) => Some("a proxy"),
            () if !self.roots.is_empty() => Some("root certificates"),
            () if self.identity.is_some() => Some("a client certificate"),
            () if !self.hosts.is_empty() => Some("a host's address"),
            () => None,
        }
    }

    /// The proxy's password, which messages must not show.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        match &self.proxy {
            Proxy::At(url) => redact::proxy::of(url.expose()),
            Proxy::Usual | Proxy::None => Vec::new(),
        }
    }

    /// Builds the HTTP client. `local`: the server is on this machine.
    pub(crate) fn http_client(self, connect_timeout: Option<Duration>, local: bool) -> Result<ReqwestClient> {
        if local && matches!(self.proxy, Proxy::At(_)) {
            return Err(wrong(
                "the client never contacts a server on this machine through a proxy, which could read the requests: \
                 remove the proxy, or pass a custom client to ReqwestClient::from_reqwest",
            ));
        }
        if !local && matches!(self.proxy, Proxy::Usual) {
            proxy::check()?;
        }
        let is_own = self.base.is_none();
        let builder = self.apply(is_own)?;
        let client = safe(builder, connect_timeout, local, is_own)?.build();
        let client =
            client.map_err(|error| wrong("the HTTP client can't be built").with_source(error.without_url()))?;
        Ok(ReqwestClient::from_reqwest(client))
    }

    /// Applies the user's settings.
    fn apply(self, is_own: bool) -> Result<reqwest::ClientBuilder> {
        let mut builder = self.base.unwrap_or_default();
        builder = match &self.proxy {
            Proxy::Usual => builder,
            Proxy::None => builder.no_proxy(),
            Proxy::At(url) => builder.proxy(proxy_at(url)?),
        };
        for (host, addresses) in &self.hosts {
            builder = builder.resolve_to_addrs(host, addresses);
        }
        tls(builder, &self.roots, self.only_roots, self.identity.as_deref(), is_own)
    }
}

/// Applies the settings that the crate relies on, whatever the user's builder says: no redirects, no retries or cookies
/// by the HTTP stack, no `Referer`, idle connections that the client closes before the server does, and no proxy for a
/// server on this machine.
fn safe(
    mut builder: reqwest::ClientBuilder,
    connect_timeout: Option<Duration>,
    local: bool,
    is_own: bool,
) -> Result<reqwest::ClientBuilder> {
    // The `Debug` output is the only way to detect a cookie store, and without reqwest's `cookies` feature there is no
    // way to disable it.
    if !is_own && format!("{builder:?}").starts_with("ClientBuilder { cookie_store: true") {
        return Err(wrong(
            "the reqwest builder has a cookie store, and on some servers a session cookie takes precedence over the \
             token: build it without one",
        ));
    }
    builder = builder
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .pool_idle_timeout(IDLE);
    if local {
        builder = builder.no_proxy();
    }
    if let Some(limit) = connect_timeout {
        builder = builder.connect_timeout(limit);
    }
    #[cfg(feature = "http2")]
    {
        // Also while idle: the stack may count a connection as idle although a request still waits on it.
        builder =
            builder.http2_keep_alive_interval(PING).http2_keep_alive_timeout(PING).http2_keep_alive_while_idle(true);
    }
    Ok(builder)
}

/// Messages never contain the URL, nor an error that quotes it: the URL may contain a password.
fn proxy_at(url: &Secret) -> Result<reqwest::Proxy> {
    let refuse = |why| wrong(&format!("the proxy {why}: use the form http://host:port"));
    match proxy::problem(url.expose()) {
        Some(why) => Err(refuse(why)),
        None => reqwest::Proxy::all(url.expose()).map_err(|_| refuse("isn't a URL")),
    }
}

#[cfg(feature = "rustls")]
fn tls(
    mut builder: reqwest::ClientBuilder,
    roots: &[Vec<u8>],
    only_roots: bool,
    identity: Option<&Vec<u8>>,
    is_own: bool,
) -> Result<reqwest::ClientBuilder> {
    // If another crate enables reqwest's native TLS, that becomes the default, which this crate isn't tested with. On a
    // user's builder the call would undo the user's TLS configuration.
    if is_own {
        builder = builder.tls_backend_rustls();
    }
    for pem in roots {
        let certificates = certificates(pem)?;
        builder = if only_roots { builder.tls_certs_only(certificates) } else { builder.tls_certs_merge(certificates) };
    }
    if let Some(pem) = identity {
        let identity = reqwest::Identity::from_pem(pem).map_err(|error| {
            wrong("the client certificate is invalid: pass PEM, with the certificates and the private key")
                .with_source(error)
        })?;
        builder = builder.identity(identity);
    }
    Ok(builder)
}

#[cfg(not(feature = "rustls"))]
fn tls(
    builder: reqwest::ClientBuilder,
    roots: &[Vec<u8>],
    _only_roots: bool,
    identity: Option<&Vec<u8>>,
    _is_own: bool,
) -> Result<reqwest::ClientBuilder> {
    if roots.is_empty() && identity.is_none() {
        return Ok(builder);
    }
    Err(wrong("certificates require the crate's feature `rustls`, which is disabled"))
}

/// Parses the certificates of a PEM file. At least one is required.
#[cfg(feature = "rustls")]
fn certificates(pem: &[u8]) -> Result<Vec<reqwest::Certificate>> {
    let unread = || wrong("the root certificates are invalid: pass PEM with at least one certificate");
    let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(|error| unread().with_source(error))?;
    if certificates.is_empty() { Err(unread()) } else { Ok(certificates) }
}

fn wrong(message: &str) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

impl ReqwestClient {
    /// Creates the default HTTP client, with a connect timeout. `None` sets no timeout.
    ///
    /// It follows no redirects, keeps no cookies, doesn't retry in the HTTP stack, and sends no `Referer`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if TLS can't be set up (for example on a machine without root certificates), or if
    /// a proxy variable in the environment is invalid: see [`ClientBuilder::build`](crate::ClientBuilder::build).
    pub fn new(connect_timeout: Option<Duration>) -> Result<Self> {
        Connect::default().http_client(connect_timeout, false)
    }

    /// Creates an HTTP client from a reqwest builder, with the settings that the crate relies on applied on top: see
    /// [`ClientBuilder::reqwest`](crate::ClientBuilder::reqwest), which does the same for one client. Use this method
    /// for several clients that share connections.
    ///
    /// A proxy of the builder is used for every server, including one on this machine.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new), and for a builder with a cookie store.
    pub fn from_reqwest_builder(builder: reqwest::ClientBuilder, connect_timeout: Option<Duration>) -> Result<Self> {
        Connect { base: Some(builder), ..Connect::default() }.http_client(connect_timeout, false)
    }
}

/// Shows none of the settings: a proxy's URL and a builder's headers may contain credentials.
impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").finish_non_exhaustive()
    }
}
