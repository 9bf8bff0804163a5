//! The base URL of a client.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use url::{Host, Url};

use crate::error::{Error, ErrorKind, Result};

/// A validated base URL, which all request paths are appended to.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Base {
    url: Url,
}

impl Base {
    /// Parses and validates a base URL. Messages never quote it: it may contain credentials, or be a key in the wrong
    /// variable.
    pub(crate) fn parse(text: &str, allow_http: bool) -> Result<Self> {
        let wrong = |message: &str| Err(Error::new(ErrorKind::Configuration, format!("the base URL {message}")));
        let text = text.trim();
        // `Url::parse` repairs malformed URLs, and the result may name a different host than intended. Reject these
        // first.
        let scheme = text.split_once("://").map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
        let odd = |rest: &str| {
            rest.starts_with('/') || rest.contains(|it: char| it == '\\' || it.is_whitespace() || it.is_control())
        };
        if !matches!(&scheme, Some((scheme, _)) if scheme == "http" || scheme == "https") {
            return wrong("must begin with https:// (or http:// for a server on this machine)");
        }
        if scheme.is_some_and(|(_, rest)| odd(rest)) {
            return wrong("contains whitespace, a backslash, a control character or an extra slash");
        }
        let Ok(url) = Url::parse(text) else {
            return wrong("is invalid: use the form https://host or https://host/path");
        };
        if !url.username().is_empty() || url.password().is_some() {
            return wrong("contains credentials: pass them to the builder instead, which keeps them secret");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return wrong("has a query or a fragment: remove it, as request paths are appended to the base URL");
        }
        if url.scheme() == "http" && !allow_http && !is_loopback(&url) {
            return wrong(
                "uses plain http to another machine, which exposes the credentials on the network: use https, or call \
                 allow_http() if the network is safe",
            );
        }
        Ok(Self { url })
    }

    /// Whether the server is on this machine.
    pub(crate) fn is_local(&self) -> bool {
        is_loopback(&self.url)
    }

    /// The URL without a trailing slash: scheme, host, port, and the path that request paths are appended to.
    pub(crate) fn as_str(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    pub(crate) fn origin(&self) -> String {
        self.as_str().to_owned()
    }

    /// The server's host and port.
    pub(super) fn server(&self) -> (&str, u16) {
        (self.url.host_str().unwrap_or_default(), self.url.port_or_known_default().unwrap_or_default())
    }

    /// Rejects https if TLS is compiled out. Otherwise each attempt would fail as a transient connection error.
    pub(crate) fn check_tls(&self) -> Result<()> {
        if cfg!(not(feature = "rustls")) && self.url.scheme() == "https" {
            return Err(Error::new(
                ErrorKind::Configuration,
                "an https base URL requires the crate's feature `rustls`, which is disabled",
            ));
        }
        Ok(())
    }

    /// Whether the base URL ends with the segments that a request path begins with, such as `https://host/api` with the
    /// path `api/admin`. Usually the base URL then has too many segments.
    pub(crate) fn repeats_beginning_of(&self, path: &str) -> bool {
        let ours: Vec<_> = self.url.path().split('/').filter(|it| !it.is_empty()).collect();
        let theirs: Vec<_> = path.split('/').take_while(|it| !it.starts_with('{')).collect();
        (1..=ours.len().min(theirs.len())).any(|many| ours.ends_with(&theirs[..many]))
    }

    /// Appends an encoded path and query to the base URL.
    pub(super) fn join(&self, path: &str, query: &str) -> Result<Uri> {
        let base = self.url.as_str().trim_end_matches('/');
        let mut uri = String::with_capacity(base.len() + path.len() + query.len() + 2);
        uri.push_str(base);
        uri.push('/');
        uri.push_str(path);
        if !query.is_empty() {
            uri.push('?');
            uri.push_str(query);
        }
        let long = uri.len() >= usize::from(u16::MAX);
        let why = if long { "the URL is too long: the limit is 64 KiB" } else { "the URL is invalid" };
        uri.try_into().map_err(|_| Error::new(ErrorKind::InvalidRequest, why))
    }
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str())
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            // Only the name itself: some systems resolve its subdomains by DNS.
            name.strip_suffix('.').unwrap_or(name) == "localhost"
        }
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback()),
        None => false,
    }
}
