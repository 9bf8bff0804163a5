use std::fmt;
use std::net::IpAddr;

use http::Uri;
use url::{Host, Url};

use crate::error::{Error, ErrorKind, Result};

/// A checked base URL: where a server's API begins.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Base {
    url: Url,
}

impl Base {
    /// Messages never quote the text: it may hold credentials, or be a key in the wrong variable.
    pub(crate) fn parse(text: &str, allow_http: bool) -> Result<Self> {
        let wrong = |message: &str| Err(Error::new(ErrorKind::Configuration, format!("the base URL {message}")));
        let text = text.trim();
        // The parser repairs what it can, and may come to another host than is meant.
        let scheme = text.split_once("://").map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
        let odd = |rest: &str| {
            rest.starts_with('/') || rest.contains(|it: char| it == '\\' || it.is_whitespace() || it.is_control())
        };
        if !matches!(&scheme, Some((scheme, _)) if scheme == "http" || scheme == "https") {
            return wrong("doesn't begin with https:// (or http:// for a server on this machine)");
        }
        if scheme.is_some_and(|(_, rest)| odd(rest)) {
            return wrong("holds a blank, a backslash, a control character or too many slashes");
        }
        let Ok(url) = Url::parse(text) else {
            return wrong("isn't one: it takes the form https://host or https://host/path");
        };
        if !url.username().is_empty() || url.password().is_some() {
            return wrong("holds credentials: give them to the builder instead, so that they are kept secret");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return wrong("has a query or a fragment, which can't be kept when paths are put behind it");
        }
        if url.scheme() == "http" && !allow_http && !is_loopback(&url) {
            return wrong(
                "is plain http to another machine, where credentials can be read on the way: use https, or allow_http() if the network is safe",
            );
        }
        Ok(Self { url })
    }

    /// Whether the server is on this machine.
    pub(crate) fn is_local(&self) -> bool {
        is_loopback(&self.url)
    }

    /// Scheme, host and port, and the path that all others are below.
    pub(crate) fn as_str(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    pub(crate) fn origin(&self) -> String {
        self.as_str().to_owned()
    }

    /// The server's host and port.
    pub(crate) fn server(&self) -> (&str, u16) {
        (self.url.host_str().unwrap_or_default(), self.url.port_or_known_default().unwrap_or_default())
    }

    /// Without TLS, an attempt at https would look like a failure to connect, which passes.
    pub(crate) fn check_tls(&self) -> Result<()> {
        if cfg!(not(feature = "rustls")) && self.url.scheme() == "https" {
            return Err(Error::new(
                ErrorKind::Configuration,
                "the base URL is https, and the crate was built without its feature `rustls`",
            ));
        }
        Ok(())
    }

    /// Whether it ends with what a path begins with, as in `https://host/api` below which `api/admin` is asked for: then
    /// the base URL goes too far, as a rule.
    pub(crate) fn repeats_beginning_of(&self, path: &str) -> bool {
        let ours: Vec<_> = self.url.path().split('/').filter(|it| !it.is_empty()).collect();
        let theirs: Vec<_> = path.split('/').take_while(|it| !it.starts_with('{')).collect();
        (1..=ours.len().min(theirs.len())).any(|many| ours.ends_with(&theirs[..many]))
    }

    /// The absolute URI of an encoded path and query below the base.
    pub(crate) fn join(&self, path: &str, query: &str) -> Result<Uri> {
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
        let why = if long { "the URL is too long to be sent: 64 KiB at most" } else { "the URL can't be written" };
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
            // Names below it go to DNS on some systems.
            name.strip_suffix('.').unwrap_or(name) == "localhost"
        }
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback()),
        None => false,
    }
}
