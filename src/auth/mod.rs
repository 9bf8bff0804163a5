//! How requests are signed: one trait, and the usual ways.
//!
//! Every client's builder has shortcuts for the two usual ways, `.api_key(..)` and `.bearer(..)`. For others, give
//! `.authenticator(..)` one of this module's, or your own [`Authenticate`].
//!
//! # What is shown of credentials
//!
//! Nothing by the crate itself: not in an error or its sources, not in `Debug`, spans, events or to an observer. What a
//! *server* says is shown in [`ApiError`](crate::ApiError), in request ids, in the places that redirects point at and in
//! paths into its JSON, and servers repeat what they are sent. So each of these texts passes this rule:
//!
//! **A text that contains a part of a credential is withheld as a whole.** In its place stands
//! `[withheld: contains part of a credential]`; status, kind, hint and the texts beside it stay. A source of an error is
//! withheld in the same way.
//!
//! - *A credential* is each header that the authenticator adds or changes (but for dates and algorithms), each value of
//!   4 characters and more that it adds to the query or the path, each header whose value is marked as sensitive or whose
//!   name contains `auth`, `key`, `token`, `secret`, `cookie`, `pass`, `pwd`, `session`, `jwt`, `access` or the like, each parameter of a query
//!   with such a name, [`Signature::hiding`], the passwords of the proxies in the environment and of
//!   [`ClientBuilder::proxy`](crate::ClientBuilder::proxy), and what [`ClientBuilder::redact`](crate::ClientBuilder::redact)
//!   names. The last 32 that a client has used count, so that a token source may not name the token that was refused
//!   before.
//! - Of `Basic`, the password is secret, and the user only without a password; of other schemes, what follows the scheme,
//!   or the values of its parameters; of `name:secret` and `project:environment.secret`, what follows the names. Each part
//!   between colons or dots counts by itself.
//! - *A name* stands before a secret with a digit, and is made of lower-case words of up to 20 letters (`web-shop`,
//!   `default`, `*`). It says whose the secret is and opens nothing, as the user of `Basic`; servers name it in their
//!   messages (`no project web-shop`), which would be lost with it. An id with a digit or a capital letter (`id-20417`) is no
//!   name, and withheld. If yours is a secret all the same, or the secret stands *first* and is of lower-case letters alone,
//!   [`redact`](crate::ClientBuilder::redact) it.
//! - *A part* is a run of consecutive letters and digits that is longer than half of the credential, or than 7; of a
//!   credential with fewer than 8 letters and digits, the whole. A secret of up to 4 characters, or of up to 7 letters, is
//!   looked for as a word, since its letters stand in others. Common words (`password`, `production`) aren't parts.
//! - *Contains* is whatever the case, with any signs left out or put in between, with blanks between single characters or
//!   pairs of them (`4b 33 79`), and also percent-encoded, with HTML's
//!   character references or with the escapes of JSON, as often as may be; in base64 and in hexadecimal digits; in UTF-8
//!   and in ISO 8859-1.
//!
//! Records are your data and pass as they came, credentials in them too; so do the headers of
//! [`Answered`](crate::Answered). A server that *wants* to make you show a credential can encode it in a way that is not
//! in this list. The rule is against servers that are careless.

mod cached;
mod key;
mod secret;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

pub use cached::{Cached, Token, TokenSource};
pub use key::{Basic, HeaderKey, NoAuth, SignWith, basic, bearer, header, none, raw, sign_with};
pub use secret::Secret;

/// Signs requests.
///
/// A request is signed anew before *every* attempt, so a signature over a time or a body stays right, and a token that
/// was renewed meanwhile is used.
///
/// ```
/// use actionlog::auth::{AuthError, Authenticate, Signature};
/// use bytes::Bytes;
///
/// /// Signs by a header that is made from the path.
/// #[derive(Debug)]
/// struct ByPath;
///
/// #[async_trait::async_trait]
/// impl Authenticate for ByPath {
///     async fn sign(&self, request: &mut http::Request<Bytes>) -> Result<Signature, AuthError> {
///         let value = format!("signed:{}", request.uri().path()).parse().map_err(AuthError::new)?;
///         request.headers_mut().insert("x-signature", value);
///         Ok(Signature::new())
///     }
/// }
///
/// let client = actionlog::UnleashClient::builder("https://unleash.example.com").authenticator(ByPath).build()?;
/// # Ok::<(), actionlog::Error>(())
/// ```
///
/// Its `Debug` is shown in that of the clients: keep secrets out of it, in a [`Secret`] for instance.
#[async_trait]
pub trait Authenticate: fmt::Debug + Send + Sync + 'static {
    /// Puts the credentials on a request: its headers, as a rule. The body is for reading.
    ///
    /// Each header that this adds or changes is taken for a [secret](self#what-is-shown-of-credentials), and so is each part
    /// of the URL.
    ///
    /// # Errors
    ///
    /// If there is nothing to sign with. The call then fails with [`ErrorKind::Credentials`](crate::ErrorKind), and
    /// nothing is sent.
    async fn sign(&self, request: &mut http::Request<Bytes>) -> Result<Signature, AuthError>;

    /// Told that the server refused (401) what this signed, with the signature that was refused. Says whether signing
    /// anew may help; it is asked once a call at most, and the request then goes out again without a wait.
    ///
    /// A fixed key can't help itself: the default gives up.
    fn refused(&self, signature: &Signature) -> Refused {
        let _ = signature;
        Refused::GiveUp
    }

    /// Says before anything is sent whether this can ever work. Called when a client is built.
    ///
    /// # Errors
    ///
    /// If it can't: the client isn't built.
    fn validate(&self) -> Result<(), AuthError> {
        Ok(())
    }
}

/// What to do about a signature that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refused {
    /// Sign anew: there is something fresher, or there may be.
    TryAgain,
    /// The same would go out again.
    GiveUp,
}

/// What a request was signed with.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Signature {
    generation: u64,
    hidden: Vec<Secret>,
}

impl Signature {
    /// A signature that needs no further word.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Names a secret that doesn't stand in a header as it is (a password inside of Basic's base64, say) and must be
    /// withheld as well where a server repeats it.
    #[must_use = "returns the changed signature"]
    pub fn hiding(mut self, secret: Secret) -> Self {
        self.hidden.push(secret);
        self
    }

    /// With a number for the credentials used, so that a late refusal of old ones can be told from one of those in use.
    #[must_use = "returns the changed signature"]
    pub fn with_generation(mut self, generation: u64) -> Self {
        self.generation = generation;
        self
    }

    /// The number of the credentials used; 0 unless set.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn hidden(&self) -> &[Secret] {
        &self.hidden
    }
}

/// Why a request could not be signed.
///
/// Its source is shown to whoever reads the call's error: keep secrets out of it.
#[derive(Clone, Debug)]
pub struct AuthError {
    transient: bool,
    source: Arc<dyn StdError + Send + Sync>,
}

impl AuthError {
    /// A failure that stays.
    pub fn new(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { transient: false, source: Arc::from(source.into()) }
    }

    /// A failure that may pass: a token source that can't be reached just now.
    pub fn transient(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { transient: true, source: Arc::from(source.into()) }
    }

    /// Whether it may pass.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.transient
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request can't be signed")
    }
}

impl StdError for AuthError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}
