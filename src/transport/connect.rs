//! How connections are made: what users set of it, and the crate's own safety on top.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use zeroize::Zeroizing;

use super::exchange::HttpExchange;
use super::{proxy, redact};
use crate::auth::Secret;
use crate::builder::{Client, ClientBuilder};
use crate::error::{Error, ErrorKind, Result};

/// Servers let idle connections go after 15 s (node's usual) to 60 s, and a request that meets the closing gets no
/// answer. Ours go first.
const IDLE: Duration = Duration::from_secs(10);

/// A connection by HTTP/2 is for all requests, and outlives an attempt that got no answer: one that has gone dead would
/// be asked again and again. So it's asked this often whether anybody is there, and given as long to say so: together
/// less than the time of an attempt.
#[cfg(feature = "http2")]
const PING: Duration = Duration::from_secs(10);

/// What is set of the connections that a client makes itself.
#[derive(Default)]
pub(crate) struct Connect {
    base: Option<reqwest::ClientBuilder>,
    proxy: Proxy,
    roots: Vec<Vec<u8>>,
    only_roots: bool,
    /// Certificates and the private key, in PEM.
    identity: Option<Zeroizing<Vec<u8>>>,
    hosts: Vec<(String, Vec<SocketAddr>)>,
}

#[derive(Default)]
enum Proxy {
    /// The environment's, or the system's.
    #[default]
    Usual,
    None,
    At(Secret),
}

impl Connect {
    /// The first setting that was made, for a client whose connections are made by others.
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

    /// What messages must not show: the password of the proxy that is set.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        match &self.proxy {
            Proxy::At(url) => redact::proxy::of(url.expose()),
            Proxy::Usual | Proxy::None => Vec::new(),
        }
    }

    /// Makes the connections' side of a client. `local`: the server is on this machine.
    pub(crate) fn exchange(self, connect_timeout: Option<Duration>, local: bool) -> Result<HttpExchange> {
        if local && matches!(self.proxy, Proxy::At(_)) {
            return Err(wrong(
                "a server on this machine is never asked by way of a proxy, to which its requests would be readable: leave the proxy out, or give a client of your own to HttpExchange::from_reqwest",
            ));
        }
        if !local && matches!(self.proxy, Proxy::Usual) {
            proxy::check()?;
        }
        let is_own = self.base.is_none();
        let builder = self.apply(is_own)?;
        let client = safe(builder, connect_timeout, local, is_own)?.build();
        let client =
            client.map_err(|error| wrong("the HTTP client can't be set up").with_source(error.without_url()))?;
        Ok(HttpExchange::from_reqwest(client))
    }

    /// What users set.
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

/// The crate's own settings, which no builder takes away: no redirects, no repetitions or cookies by the HTTP stack, no
/// `Referer`, idle connections that go before a server lets them go, and no proxy for a server on this machine.
fn safe(
    mut builder: reqwest::ClientBuilder,
    connect_timeout: Option<Duration>,
    local: bool,
    is_own: bool,
) -> Result<reqwest::ClientBuilder> {
    // There is no other way to see it, and without reqwest's feature for cookies no way to switch it off.
    if !is_own && format!("{builder:?}").starts_with("ClientBuilder { cookie_store: true") {
        return Err(wrong(
            "the reqwest builder has a cookie store: a session's cookie outranks the token on some servers",
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
        // Also while idle: the stack may not notice that a request has ended that.
        builder =
            builder.http2_keep_alive_interval(PING).http2_keep_alive_timeout(PING).http2_keep_alive_while_idle(true);
    }
    Ok(builder)
}

/// Messages don't quote the URL, nor errors that do: it may hold a password.
fn proxy_at(url: &Secret) -> Result<reqwest::Proxy> {
    let refuse = |why| wrong(&format!("the proxy {why}: it takes the form http://host:port"));
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
    // Where another crate switches on reqwest's native TLS, that becomes the default: not what was tested here. On a
    // user's builder this would undo a TLS configuration of theirs.
    if is_own {
        builder = builder.tls_backend_rustls();
    }
    for pem in roots {
        let certificates = certificates(pem)?;
        builder = if only_roots { builder.tls_certs_only(certificates) } else { builder.tls_certs_merge(certificates) };
    }
    if let Some(pem) = identity {
        let identity = reqwest::Identity::from_pem(pem).map_err(|error| {
            wrong("the client certificate can't be used: PEM is what is taken, of the certificates and of the private key")
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
    Err(wrong("certificates were given, and the crate was built without its feature `rustls`"))
}

/// The certificates of a PEM file: one, at least.
#[cfg(feature = "rustls")]
fn certificates(pem: &[u8]) -> Result<Vec<reqwest::Certificate>> {
    let unread = || wrong("the root certificates can't be read: PEM is what is taken");
    let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(|error| unread().with_source(error))?;
    if certificates.is_empty() { Err(unread()) } else { Ok(certificates) }
}

fn wrong(message: &str) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

impl HttpExchange {
    /// The usual way, with a limit on the time to connect. `None` sets none.
    ///
    /// No redirects, no cookies, no retries by the HTTP stack, no `Referer`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if TLS can't be set up (a machine without any root certificates, for one), or if an
    /// environment variable that names a proxy can't be read as one: see
    /// [`ClientBuilder::build`](crate::ClientBuilder::build).
    pub fn new(connect_timeout: Option<Duration>) -> Result<Self> {
        Connect::default().exchange(connect_timeout, false)
    }

    /// Connections by a reqwest builder of your own, with the crate's safety on top: see
    /// [`ClientBuilder::reqwest`], which is this for one client. This is for several clients that share connections.
    ///
    /// A proxy of the builder is used for every server, also for one on this machine.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and for a builder with a cookie store.
    pub fn from_reqwest_builder(builder: reqwest::ClientBuilder, connect_timeout: Option<Duration>) -> Result<Self> {
        Connect { base: Some(builder), ..Connect::default() }.exchange(connect_timeout, false)
    }
}

/// # Connections
///
/// For the connections that the client makes itself: beside an [`exchange`](Self::exchange) of your own these are refused
/// when the client is built.
impl<C: Client> ClientBuilder<C> {
    /// Sends all requests by way of this proxy, and not of the environment's: `http://proxy.example:3128`, with
    /// `user:password@` before the host if the proxy asks for them. For `https` servers the proxy only passes bytes on.
    ///
    /// A server on this machine is refused beside a proxy. The password counts among the
    /// [credentials](crate::auth#what-is-shown-of-credentials), which no message shows.
    ///
    /// ```
    /// let client = actionlog::UnleashClient::builder("https://unleash.example.com")
    ///     .bearer("token")
    ///     .proxy("http://proxy.example.com:3128")
    ///     .build()?;
    /// # Ok::<(), actionlog::Error>(())
    /// ```
    pub fn proxy(mut self, url: impl Into<Secret>) -> Self {
        self.connect.proxy = Proxy::At(url.into());
        self
    }

    /// Uses no proxy: neither one of the environment (`HTTPS_PROXY` and the like) nor one of the system's settings.
    pub fn no_proxy(mut self) -> Self {
        self.connect.proxy = Proxy::None;
        self
    }

    /// Trusts the certificates of a PEM file too, beside those that the system trusts: of an authority inside of a company,
    /// as a rule. May be called more than once.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.connect.roots.push(pem.into());
        self
    }

    /// Trusts the certificates of a PEM file, and those of [`root_certificates`](Self::root_certificates), and *not*
    /// those that the system trusts. May be called more than once.
    pub fn only_root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.connect.only_roots = true;
        self.root_certificates(pem)
    }

    /// Shows this certificate to servers that ask for one (mTLS): a PEM file of the certificate, with those of the
    /// authorities between it and the root behind it, and a PEM file of its private key. Both may be the same file.
    ///
    /// ```no_run
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = actionlog::IntegrationClient::builder("https://logs.example.com")
    ///     .authenticator(actionlog::auth::none())
    ///     .client_certificate(std::fs::read("client.pem")?, std::fs::read("client.key")?)
    ///     .only_root_certificates(std::fs::read("company-ca.pem")?)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn client_certificate(mut self, certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        let (certificate, key) = (certificate.as_ref(), key.as_ref());
        let mut pem = Zeroizing::new(certificate.to_vec());
        if certificate != key {
            pem.push(b'\n');
            pem.extend_from_slice(key);
        }
        self.connect.identity = Some(pem);
        self
    }

    /// Takes these addresses for a host, in place of what DNS says. The port is the base URL's, and those of the addresses
    /// don't count. For a resolver of your own, see [`reqwest`](Self::reqwest).
    pub fn resolve(mut self, host: impl Into<String>, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.connect.hosts.push((host.into(), addresses.into_iter().collect()));
        self
    }

    /// Makes connections by a reqwest builder of your own, with whatever it has: resolvers, proxies, TLS, local addresses,
    /// limits on the pool.
    ///
    /// What the crate relies on is set on top of it, whatever it says: redirects aren't followed, reqwest repeats
    /// nothing and sends no `Referer`, idle connections are let go after 10 s, a server on this machine is never asked by
    /// way of a proxy, and [`connect_timeout`](Self::connect_timeout) is this builder's (with `None`, reqwest's). A cookie
    /// store is refused when the client is built. The other settings of this section are added to it.
    ///
    /// reqwest is at version 0: this takes the version that the crate re-exports as [`actionlog::reqwest`](crate::reqwest).
    ///
    /// ```
    /// use actionlog::reqwest;
    ///
    /// let builder = reqwest::Client::builder().tcp_nodelay(true).pool_max_idle_per_host(2);
    /// let client = actionlog::ArklowClient::builder("4711").api_key("key").reqwest(builder).build()?;
    /// # Ok::<(), actionlog::Error>(())
    /// ```
    pub fn reqwest(mut self, builder: reqwest::ClientBuilder) -> Self {
        self.connect.base = Some(builder);
        self
    }
}

/// Shows nothing of what was set: a proxy's URL and a builder's headers may hold credentials.
impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").finish_non_exhaustive()
    }
}
