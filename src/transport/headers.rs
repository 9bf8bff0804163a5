//! Custom headers, and the names of headers that carry secrets.

use std::fmt;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT,
    HOST, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::{Error, ErrorKind};

/// Headers that users can't set: credentials have their own API, and the others belong to the connection.
const NOT_THESE: [HeaderName; 13] = [
    AUTHORIZATION,
    PROXY_AUTHORIZATION,
    COOKIE,
    HOST,
    CONNECTION,
    CONTENT_LENGTH,
    CONTENT_ENCODING,
    TRANSFER_ENCODING,
    ACCEPT_ENCODING,
    TE,
    TRAILER,
    UPGRADE,
    EXPECT,
];

/// Whether the client sets this header itself, or users can't set it.
pub(crate) fn is_reserved(name: &HeaderName) -> bool {
    NOT_THESE.contains(name) || [ACCEPT, CONTENT_TYPE, USER_AGENT].contains(name)
}

/// A header or parameter whose name contains one of these usually carries a secret.
const TELLING: [&str; 14] = [
    "auth",
    "key",
    "token",
    "secret",
    "cookie",
    "pass",
    "pwd",
    "signature",
    "credential",
    "session",
    "jwt",
    "access",
    "bearer",
    "private",
];

/// A header or parameter whose name has one of these as a whole word usually carries a secret too.
const TELLING_WORDS: [&str; 9] = ["sid", "pin", "otp", "pat", "sig", "mac", "hmac", "saml", "csrf"];

/// Whether a header or parameter carries a secret, judged by its lower-case name.
pub(crate) fn is_telling(name: &str) -> bool {
    // These headers aren't secret, and error messages are about them.
    let harmless = ["idempot", "access-control-", "bypass"].iter().any(|it| name.contains(it));
    let words = || name.split(|it: char| !it.is_ascii_alphanumeric());
    !harmless && (TELLING.iter().any(|it| name.contains(it)) || words().any(|it| TELLING_WORDS.contains(&it)))
}

/// Custom headers, and the first problem with them.
#[derive(Clone, Default)]
pub(crate) struct Headers {
    map: HeaderMap,
    problem: Option<String>,
}

impl Headers {
    /// Sets a header. [`checked`](Self::checked) reports a problem with it later.
    pub(crate) fn set(&mut self, name: impl TryInto<HeaderName>, value: impl TryInto<HeaderValue>) {
        // An invalid name isn't quoted: it may be the value, passed in the wrong argument.
        let Ok(name) = name.try_into() else { return self.refuse("a header has an invalid name".to_owned()) };
        if NOT_THESE.contains(&name) {
            return self
                .refuse(format!("the header {name} can't be set: it belongs to the client or to the connection"));
        }
        let Ok(mut value) = value.try_into() else {
            return self.refuse(format!("the header {name} has an invalid value"));
        };
        if is_telling(name.as_str()) {
            value.set_sensitive(true);
        }
        self.map.insert(name, value);
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.map.keys()
    }

    fn refuse(&mut self, why: String) {
        self.problem.get_or_insert(why);
    }

    /// # Errors
    ///
    /// The first header that can't be sent, and why.
    pub(super) fn checked(&self, kind: ErrorKind) -> Result<&HeaderMap, Error> {
        match &self.problem {
            Some(why) => Err(Error::new(kind, why.clone())),
            None => Ok(&self.map),
        }
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.map.keys()).finish()
    }
}
