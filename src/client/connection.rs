//! Options of a client that concern its connections: proxies, certificates, name resolution, a `reqwest` builder.

use std::net::SocketAddr;

use zeroize::Zeroizing;

use crate::auth::Secret;
use crate::client::builder::{Client, ClientBuilder};
use crate::transport::connect::Proxy;

/// # Connections
///
/// These settings apply to the connections that the client makes itself. Together with a custom
/// [`http_client`](Self::http_client) they are an error when the client is built.
impl<C: Client> ClientBuilder<C> {
    /// Sends all requests through this proxy, instead of the environment's: `http://proxy.example:3128`, with
    /// `user:password@` before the host if the proxy requires credentials. For `https` servers the proxy only forwards
    /// encrypted bytes.
    ///
    /// Building a client for a server on this machine fails if a proxy is set. The password counts as a
    /// [credential](crate::auth#what-is-shown-of-credentials), which no message shows.
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

    /// Uses no proxy, neither from the environment (`HTTPS_PROXY` and the like) nor from the system's settings.
    pub fn no_proxy(mut self) -> Self {
        self.connect.proxy = Proxy::None;
        self
    }

    /// Trusts the certificates of a PEM file in addition to the system's, usually those of a company's own authority.
    /// May be called more than once.
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

    /// Sends this certificate to servers that request one (mTLS): a PEM file of the certificate, followed by those of
    /// the intermediate authorities, and a PEM file of its private key. Both may be the same file.
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

    /// Uses these addresses for a host instead of DNS. The port comes from the base URL; the ports of the addresses are
    /// ignored. For a custom resolver, see [`reqwest`](Self::reqwest).
    pub fn resolve(mut self, host: impl Into<String>, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.connect.hosts.push((host.into(), addresses.into_iter().collect()));
        self
    }

    /// Makes connections with a custom reqwest builder, including its resolvers, proxies, TLS settings, local addresses
    /// and pool limits.
    ///
    /// The crate applies the settings that it relies on, whatever the builder says: redirects aren't followed, reqwest
    /// doesn't retry and sends no `Referer`, a connection idle for 10 s isn't used again and is closed within 20 s, a
    /// server on this machine is never contacted through a proxy, and the client's
    /// [`connect_timeout`](Self::connect_timeout) applies (with `None`, reqwest's). A builder with a cookie store is an
    /// error when the client is built. The other settings of this section are added to the builder.
    ///
    /// reqwest is at version 0: pass a builder of the version that the crate re-exports as
    /// [`actionlog::reqwest`](crate::reqwest).
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
