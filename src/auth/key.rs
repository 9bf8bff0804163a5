//! Fixed credentials: keys in headers, bearer tokens, Basic, and signing by a function.

use std::fmt;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};

use crate::auth::{AuthError, Authenticate, Credentials, Secret};

/// A fixed string in a header: see [`header`], [`raw`] and [`bearer`].
#[derive(Clone)]
pub struct HeaderKey {
    name: Option<HeaderName>,
    prefix: &'static str,
    key: Secret,
}

/// Authenticates with a key in the header `name`.
///
/// An invalid header name, and a key that is empty or has whitespace at its ends, are reported when the client is
/// built.
#[must_use = "an authenticator does nothing until it is passed to `ClientBuilder::authenticator`"]
pub fn header(name: impl Into<String>, key: impl Into<Secret>) -> HeaderKey {
    // An invalid name isn't kept: it may be the key, passed in the wrong argument.
    let name: String = name.into();
    HeaderKey { name: name.parse().ok(), prefix: "", key: key.into() }
}

/// Authenticates with `Authorization: KEY`, which some servers expect without a scheme.
#[must_use = "an authenticator does nothing until it is passed to `ClientBuilder::authenticator`"]
pub fn raw(key: impl Into<Secret>) -> HeaderKey {
    HeaderKey { name: Some(AUTHORIZATION), prefix: "", key: key.into() }
}

/// Authenticates with `Authorization: Bearer TOKEN`.
#[must_use = "an authenticator does nothing until it is passed to `ClientBuilder::authenticator`"]
pub fn bearer(token: impl Into<Secret>) -> HeaderKey {
    HeaderKey { name: Some(AUTHORIZATION), prefix: "Bearer ", key: token.into() }
}

impl HeaderKey {
    fn pair(&self) -> Result<(HeaderName, HeaderValue), AuthError> {
        let name = self.name.clone().ok_or_else(|| AuthError::new("the header name is invalid"))?;
        check(self.key.expose()).map_err(AuthError::new)?;
        if !self.prefix.is_empty() {
            check_bare(self.key.expose()).map_err(AuthError::new)?;
        }
        Ok((name, sensitive(&Secret::from(format!("{}{}", self.prefix, self.key.expose())))?))
    }
}

/// Checks a key. The message never contains the key.
pub(super) fn check(key: &str) -> Result<(), &'static str> {
    if key.is_empty() {
        Err("the key is empty")
    } else if key.trim() != key {
        Err("the key begins or ends with whitespace: trim it, if it was read from a file")
    } else if !key.is_ascii() {
        Err("the key contains a non-ASCII character: check that no invisible character was copied with it")
    } else if key.chars().any(|it| it.is_control() && it != '\t') {
        Err("the key contains a line break or another control character")
    } else {
        Ok(())
    }
}

/// Rejects a bearer token that already begins with the scheme: no server accepts `Bearer Bearer ..`.
pub(super) fn check_bare(token: &str) -> Result<(), &'static str> {
    let scheme = token.split_ascii_whitespace().next().unwrap_or_default();
    if scheme.eq_ignore_ascii_case("bearer") {
        Err("the token begins with `Bearer`, which the client adds itself: pass the token alone")
    } else {
        Ok(())
    }
}

pub(super) fn sensitive(text: &Secret) -> Result<HeaderValue, AuthError> {
    let mut value = HeaderValue::from_str(text.expose())
        .map_err(|_| AuthError::new("the key contains a character that a header value can't contain"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[async_trait]
impl Authenticate for HeaderKey {
    async fn authenticate(&self, request: &mut http::Request<Bytes>) -> Result<Credentials, AuthError> {
        let (name, value) = self.pair()?;
        request.headers_mut().insert(name, value);
        Ok(Credentials::new().hiding(self.key.clone()))
    }

    fn validate(&self) -> Result<(), AuthError> {
        self.pair().map(drop)
    }
}

impl fmt::Debug for HeaderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderKey").field("name", &self.name).field("key", &self.key).finish_non_exhaustive()
    }
}

/// Authenticates with a user name and a password: see [`basic`].
#[derive(Clone)]
pub struct Basic {
    user: String,
    password: Secret,
}

/// Authenticates with `Authorization: Basic ..`, from a user name and a password (RFC 7617, in UTF-8).
#[must_use = "an authenticator does nothing until it is passed to `ClientBuilder::authenticator`"]
pub fn basic(user: impl Into<String>, password: impl Into<Secret>) -> Basic {
    Basic { user: user.into(), password: password.into() }
}

#[async_trait]
impl Authenticate for Basic {
    async fn authenticate(&self, request: &mut http::Request<Bytes>) -> Result<Credentials, AuthError> {
        self.validate()?;
        let pair = Secret::from(format!("{}:{}", self.user, self.password.expose()));
        let coded = Secret::from(BASE64.encode(pair.expose()));
        let value = sensitive(&Secret::from(format!("Basic {}", coded.expose())))?;
        request.headers_mut().insert(AUTHORIZATION, value);
        // Some services expect a key as the user name, and no password.
        let key = if self.password.expose().is_empty() { self.user.as_str().into() } else { self.password.clone() };
        Ok(Credentials::new().hiding(coded).hiding(key))
    }

    fn validate(&self) -> Result<(), AuthError> {
        if self.user.contains(':') {
            return Err(AuthError::new("a user name for Basic can't contain a colon"));
        }
        let control = |text: &str| text.chars().any(char::is_control);
        if control(&self.user) || control(self.password.expose()) {
            return Err(AuthError::new(
                "the user name or the password contains a line break or another control character",
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Basic").field("password", &self.password).finish_non_exhaustive()
    }
}

/// No credentials at all: see [`none`].
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAuth;

/// Sends requests without credentials, for servers that require none and for proxies that add them.
#[must_use]
pub fn none() -> NoAuth {
    NoAuth
}

#[async_trait]
impl Authenticate for NoAuth {
    async fn authenticate(&self, _: &mut http::Request<Bytes>) -> Result<Credentials, AuthError> {
        Ok(Credentials::new())
    }
}

/// Authenticates with a function: see [`sign_with`].
#[derive(Clone)]
pub struct SignWith<F>(F);

/// Authenticates with a synchronous function, such as a signature over the request.
///
/// ```
/// use actionlog::auth;
/// use http::HeaderValue;
///
/// let signer = auth::sign_with(|request| {
///     let length = request.body().len();
///     request.headers_mut().insert("x-body-length", HeaderValue::from(length));
///     Ok(auth::Credentials::new())
/// });
/// let client = actionlog::UnleashClient::builder("https://unleash.example.com").authenticator(signer).build()?;
/// # Ok::<(), actionlog::Error>(())
/// ```
#[must_use = "an authenticator does nothing until it is passed to `ClientBuilder::authenticator`"]
pub fn sign_with<F>(sign: F) -> SignWith<F>
where
    F: Fn(&mut http::Request<Bytes>) -> Result<Credentials, AuthError> + Send + Sync + 'static,
{
    SignWith(sign)
}

#[async_trait]
impl<F> Authenticate for SignWith<F>
where
    F: Fn(&mut http::Request<Bytes>) -> Result<Credentials, AuthError> + Send + Sync + 'static,
{
    async fn authenticate(&self, request: &mut http::Request<Bytes>) -> Result<Credentials, AuthError> {
        (self.0)(request)
    }
}

impl<F> fmt::Debug for SignWith<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignWith(..)")
    }
}
