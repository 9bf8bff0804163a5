//! Authentication: the [`Authenticate`] trait and the usual implementations.
//!
//! Every client's builder has shortcuts for the two usual schemes, `.api_key(..)` and `.bearer(..)`. For others, pass
//! one of this module's authenticators, or a custom [`Authenticate`], to `.authenticator(..)`.
//!
//! # What is shown of credentials
//!
//! The crate itself shows nothing of them: not in an error or its sources, not in `Debug`, spans or events, and not to
//! an observer. *Server* text, however, is shown in [`ApiError`](crate::ApiError), in request ids, in redirect targets
//! and in paths into the server's JSON, and servers repeat what they are sent. So each of these strings passes through
//! this rule:
//!
//! **A string that contains a part of a credential is withheld as a whole.** It is replaced by
//! `[withheld: contains part of a credential]`; the status, the kind, the hint and the other strings stay. A source of
//! an error is withheld in the same way.
//!
//! - *A credential* is any of these: each header that the authenticator adds or changes (except dates and algorithms);
//!   each value of at least 4 characters that it adds to the query or the path; each header whose value is marked as
//!   sensitive, or whose name contains `auth`, `key`, `token`, `secret`, `cookie`, `pass`, `pwd`, `session`, `jwt`,
//!   `access` or the like; each query parameter with such a name; each secret named by [`Credentials::hiding`]; the
//!   passwords of the proxies in the environment and of [`ClientBuilder::proxy`](crate::ClientBuilder::proxy); and what
//!   [`ClientBuilder::redact`](crate::ClientBuilder::redact) names. The last 32 credentials that a client has used
//!   count, because a token source's message may contain the token that was rejected before.
//! - Of `Basic`, the password is secret, and the user name only if there is no password. Of other schemes, what follows
//!   the scheme is secret, or the values of its parameters. Of `name:secret` and `project:environment.secret`, what
//!   follows the names is secret. Each part between colons or dots also counts by itself.
//! - *A name* is a prefix of a secret with a digit, and consists of lower-case words of up to 20 letters (`web-shop`,
//!   `default`, `*`). A name says whose the secret is and grants no access, like the user name of `Basic`. Servers
//!   mention names in their messages (`no project web-shop`), and these messages stay visible. An id with a digit or a
//!   capital letter (`id-20417`) isn't a name and is withheld. If your name is secret too, or the secret comes *first*
//!   and consists of lower-case letters alone, pass it to [`redact`](crate::ClientBuilder::redact).
//! - *A part* is a run of consecutive letters and digits that is longer than half of the credential, or longer than 7.
//!   A credential with fewer than 8 letters and digits counts only as a whole. A secret of up to 4 characters, or of up
//!   to 7 letters, is matched as a whole word, since other words contain its letters. Common words (`password`,
//!   `production`) aren't parts.
//! - *Contains* ignores case, added or missing punctuation, and blanks between single characters or pairs (`4b 33 79`).
//!   It also finds a part that is percent-encoded, or written with HTML's character references or with JSON's
//!   escapes, any number of times; in base64 and in hexadecimal digits; in UTF-8 and in ISO 8859-1.
//!
//! Records are your data and are returned unchanged, with any credentials in them; so are the headers of
//! [`Response`](crate::Response). The rule protects against careless servers. A server that *wants* to make you show a
//! credential can encode it in a way that isn't in this list.

mod key;
mod secret;
mod token_cache;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

pub use key::{Basic, HeaderKey, NoAuth, SignWith, basic, bearer, header, none, raw, sign_with};
pub use secret::Secret;
pub use token_cache::{Token, TokenCache, TokenSource};

/// Authenticates requests.
///
/// The client calls [`authenticate`](Self::authenticate) before *every* attempt, so that a signature over a time or a
/// body stays valid, and a token renewed in the meantime is used.
///
/// ```
/// use actionlog::auth::{AuthError, Authenticate, Credentials};
/// use bytes::Bytes;
///
/// /// Authenticates with a header derived from the path.
/// #[derive(Debug)]
/// struct ByPath;
///
/// #[async_trait::async_trait]
/// impl Authenticate for ByPath {
///     async fn authenticate(&self, request: &mut http::Request<Bytes>) -> Result<Credentials, AuthError> {
///         let value = format!("signed:{}", request.uri().path()).parse().map_err(AuthError::new)?;
///         request.headers_mut().insert("x-signature", value);
///         Ok(Credentials::new())
///     }
/// }
///
/// let client = actionlog::UnleashClient::builder("https://unleash.example.com").authenticator(ByPath).build()?;
/// # Ok::<(), actionlog::Error>(())
/// ```
///
/// The clients' `Debug` includes this type's `Debug`: keep secrets out of it, for example in a [`Secret`].
#[async_trait]
pub trait Authenticate: fmt::Debug + Send + Sync + 'static {
    /// Adds the credentials to a request, usually as headers. It may read the body, and must not change it.
    ///
    /// Each header and each part of the URL that this method adds or changes is treated as a
    /// [secret](self#what-is-shown-of-credentials).
    ///
    /// # Errors
    ///
    /// If there are no credentials. The call then fails with [`ErrorKind::Credentials`](crate::ErrorKind), and nothing
    /// is sent.
    async fn authenticate(&self, request: &mut http::Request<Bytes>) -> Result<Credentials, AuthError>;

    /// Called when the server rejected (401) a request that carried these credentials. Returns whether authenticating
    /// again may help. Called at most once per call; after [`AuthRetry::Retry`] the request is sent again without a
    /// wait.
    ///
    /// The default gives up, as a fixed key can't be renewed.
    fn refused(&self, credentials: &Credentials) -> AuthRetry {
        let _ = credentials;
        AuthRetry::GiveUp
    }

    /// Checks the configuration. Called when a client is built, before anything is sent.
    ///
    /// # Errors
    ///
    /// If these credentials can never work. The client isn't built then.
    fn validate(&self) -> Result<(), AuthError> {
        Ok(())
    }
}

/// What to do about rejected credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthRetry {
    /// Authenticate again: newer credentials exist, or may exist.
    Retry,
    /// Fail the call: the same credentials would be sent again.
    GiveUp,
}

/// The credentials that a request was authenticated with.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Credentials {
    generation: u64,
    hidden: Vec<Secret>,
}

impl Credentials {
    /// Credentials without a generation or hidden secrets.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Names a secret that no header contains literally, such as the password inside Basic's base64, and that must be
    /// withheld too where a server repeats it.
    #[must_use = "returns the changed credentials"]
    pub fn hiding(mut self, secret: Secret) -> Self {
        self.hidden.push(secret);
        self
    }

    /// Numbers the credentials, so that a late rejection of old ones isn't taken for a rejection of the current ones.
    #[must_use = "returns the changed credentials"]
    pub fn with_generation(mut self, generation: u64) -> Self {
        self.generation = generation;
        self
    }

    /// The number of the credentials; 0 unless set.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn hidden(&self) -> &[Secret] {
        &self.hidden
    }
}

/// Why a request couldn't be authenticated.
///
/// Its source is part of the call's error: keep secrets out of it.
#[derive(Clone, Debug)]
pub struct AuthError {
    transient: bool,
    source: Arc<dyn StdError + Send + Sync>,
}

impl AuthError {
    /// A permanent failure.
    pub fn new(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { transient: false, source: Arc::from(source.into()) }
    }

    /// A transient failure, such as a token source that can't be reached.
    pub fn transient(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { transient: true, source: Arc::from(source.into()) }
    }

    /// Whether the failure is transient.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.transient
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request can't be authenticated")
    }
}

impl StdError for AuthError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}
