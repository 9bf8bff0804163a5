//! Headers that users add to requests.

use std::fmt;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT,
    HOST, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::{Error, ErrorKind};

/// Credentials have a way of their own, the other ones are the connection's.
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

/// Whether a header is one that a request has anyway, or can't have.
pub(crate) fn has_a_meaning(name: &HeaderName) -> bool {
    NOT_THESE.contains(name) || [ACCEPT, CONTENT_TYPE, USER_AGENT].contains(name)
}

/// A header or a parameter with one of these in its name holds something secret, as a rule.
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

/// And so does one of which one of these is a word.
const TELLING_WORDS: [&str; 9] = ["sid", "pin", "otp", "pat", "sig", "mac", "hmac", "saml", "csrf"];

/// Whether what a name in lower case stands for is secret, as far as the name tells.
pub(crate) fn is_telling(name: &str) -> bool {
    // Those are shown to the user by nature, and messages are about them.
    let harmless = ["idempot", "access-control-", "bypass"].iter().any(|it| name.contains(it));
    let words = || name.split(|it: char| !it.is_ascii_alphanumeric());
    !harmless && (TELLING.iter().any(|it| name.contains(it)) || words().any(|it| TELLING_WORDS.contains(&it)))
}

/// Headers beside those that requests have anyway, and what is wrong with the first that can't be sent.
#[derive(Clone, Default)]
pub(crate) struct Headers {
    map: HeaderMap,
    problem: Option<String>,
}

impl Headers {
    /// Sets a header; what is wrong with it is told later.
    pub(crate) fn set(&mut self, name: impl TryInto<HeaderName>, value: impl TryInto<HeaderValue>) {
        // What can't be a name isn't quoted: it may be the value, in the wrong place.
        let Ok(name) = name.try_into() else { return self.refuse("the name of a header can't be one".to_owned()) };
        if NOT_THESE.contains(&name) {
            return self.refuse(format!("the header {name} isn't one that can be set here"));
        }
        let Ok(mut value) = value.try_into() else {
            return self.refuse(format!("the header {name} has a value that can't be sent"));
        };
        if is_telling(name.as_str()) {
            value.set_sensitive(true);
        }
        self.map.insert(name, value);
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.map.keys()
    }

    fn refuse(&mut self, why: String) {
        self.problem.get_or_insert(why);
    }

    /// # Errors
    ///
    /// What is wrong with the first that can't be sent.
    pub(crate) fn checked(&self, kind: ErrorKind) -> Result<&HeaderMap, Error> {
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
