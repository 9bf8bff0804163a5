use std::fmt;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};

use super::{AuthError, Authenticate, Secret, Signature};

/// A fixed text in a header: see [`header`], [`raw`] and [`bearer`].
#[derive(Clone)]
pub struct HeaderKey {
    name: Option<HeaderName>,
    prefix: &'static str,
    key: Secret,
}

/// Signs by a key in the header `name`.
///
/// A name that can't be a header's, and a key that is empty or holds a line break or blanks at its ends, are told when
/// the client is built.
#[must_use = "it signs nothing until a builder is given it"]
pub fn header(name: impl Into<String>, key: impl Into<Secret>) -> HeaderKey {
    // Not kept if it's none: it may be the key, in the wrong place.
    let name: String = name.into();
    HeaderKey { name: name.parse().ok(), prefix: "", key: key.into() }
}

/// Signs by `Authorization: KEY`, as some servers take it without a scheme.
#[must_use = "it signs nothing until a builder is given it"]
pub fn raw(key: impl Into<Secret>) -> HeaderKey {
    HeaderKey { name: Some(AUTHORIZATION), prefix: "", key: key.into() }
}

/// Signs by `Authorization: Bearer TOKEN`.
#[must_use = "it signs nothing until a builder is given it"]
pub fn bearer(token: impl Into<Secret>) -> HeaderKey {
    HeaderKey { name: Some(AUTHORIZATION), prefix: "Bearer ", key: token.into() }
}

impl HeaderKey {
    fn pair(&self) -> Result<(HeaderName, HeaderValue), AuthError> {
        let name =
            self.name.clone().ok_or_else(|| AuthError::new("what was given as the header's name can't be one"))?;
        check(self.key.expose()).map_err(AuthError::new)?;
        if !self.prefix.is_empty() {
            check_bare(self.key.expose()).map_err(AuthError::new)?;
        }
        Ok((name, sensitive(&Secret::from(format!("{}{}", self.prefix, self.key.expose())))?))
    }
}

/// Says what is wrong with a key, without showing it.
pub(super) fn check(key: &str) -> Result<(), &'static str> {
    if key.is_empty() {
        Err("the key is empty")
    } else if key.trim() != key {
        Err("the key begins or ends with a blank or a line break; was it read from a file?")
    } else if !key.is_ascii() {
        Err("the key holds a character beyond ASCII; was it copied with a mark before it?")
    } else if key.chars().any(|it| it.is_control() && it != '\t') {
        Err("the key holds a line break or another control character")
    } else {
        Ok(())
    }
}

/// Says whether a token that goes behind `Bearer` has a scheme before it already: `Bearer Bearer ..` is accepted nowhere.
pub(super) fn check_bare(token: &str) -> Result<(), &'static str> {
    let scheme = token.split_ascii_whitespace().next().unwrap_or_default();
    if scheme.eq_ignore_ascii_case("bearer") {
        Err("the token begins with `Bearer`, which is put before it anyway: give the token alone")
    } else {
        Ok(())
    }
}

pub(super) fn sensitive(text: &Secret) -> Result<HeaderValue, AuthError> {
    let mut value = HeaderValue::from_str(text.expose())
        .map_err(|_| AuthError::new("the key holds a character that a header can't"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[async_trait]
impl Authenticate for HeaderKey {
    async fn sign(&self, request: &mut http::Request<Bytes>) -> Result<Signature, AuthError> {
        let (name, value) = self.pair()?;
        request.headers_mut().insert(name, value);
        Ok(Signature::new().hiding(self.key.clone()))
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

/// Signs by user and password: see [`basic`].
#[derive(Clone)]
pub struct Basic {
    user: String,
    password: Secret,
}

/// Signs by `Authorization: Basic ..`, from a user's name and password (RFC 7617, in UTF-8).
#[must_use = "it signs nothing until a builder is given it"]
pub fn basic(user: impl Into<String>, password: impl Into<Secret>) -> Basic {
    Basic { user: user.into(), password: password.into() }
}

#[async_trait]
impl Authenticate for Basic {
    async fn sign(&self, request: &mut http::Request<Bytes>) -> Result<Signature, AuthError> {
        self.validate()?;
        let pair = Secret::from(format!("{}:{}", self.user, self.password.expose()));
        let coded = Secret::from(BASE64.encode(pair.expose()));
        let value = sensitive(&Secret::from(format!("Basic {}", coded.expose())))?;
        request.headers_mut().insert(AUTHORIZATION, value);
        // Some services take a key as the user, and no password.
        let key = if self.password.expose().is_empty() { self.user.as_str().into() } else { self.password.clone() };
        Ok(Signature::new().hiding(coded).hiding(key))
    }

    fn validate(&self) -> Result<(), AuthError> {
        if self.user.contains(':') {
            return Err(AuthError::new("a user's name for Basic can't hold a colon"));
        }
        let control = |text: &str| text.chars().any(char::is_control);
        if control(&self.user) || control(self.password.expose()) {
            return Err(AuthError::new(
                "the user's name or the password holds a line break or another control character",
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

/// Sends requests as they are, for servers that want no credentials or a proxy that adds them.
#[must_use]
pub fn none() -> NoAuth {
    NoAuth
}

#[async_trait]
impl Authenticate for NoAuth {
    async fn sign(&self, _: &mut http::Request<Bytes>) -> Result<Signature, AuthError> {
        Ok(Signature::new())
    }
}

/// Signs by a function: see [`sign_with`].
#[derive(Clone)]
pub struct SignWith<F>(F);

/// Signs by a function that needn't wait, such as a signature over the request.
///
/// ```
/// use actionlog::auth;
/// use http::HeaderValue;
///
/// let signer = auth::sign_with(|request| {
///     let length = request.body().len();
///     request.headers_mut().insert("x-body-length", HeaderValue::from(length));
///     Ok(auth::Signature::new())
/// });
/// let client = actionlog::UnleashClient::builder("https://unleash.example.com").authenticator(signer).build()?;
/// # Ok::<(), actionlog::Error>(())
/// ```
#[must_use = "it signs nothing until a builder is given it"]
pub fn sign_with<F>(sign: F) -> SignWith<F>
where
    F: Fn(&mut http::Request<Bytes>) -> Result<Signature, AuthError> + Send + Sync + 'static,
{
    SignWith(sign)
}

#[async_trait]
impl<F> Authenticate for SignWith<F>
where
    F: Fn(&mut http::Request<Bytes>) -> Result<Signature, AuthError> + Send + Sync + 'static,
{
    async fn sign(&self, request: &mut http::Request<Bytes>) -> Result<Signature, AuthError> {
        (self.0)(request)
    }
}

impl<F> fmt::Debug for SignWith<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignWith(..)")
    }
}
