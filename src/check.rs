//! Whether a client would work, asked before it has to.

use std::error::Error as StdError;
use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use futures_core::future::BoxFuture;

use crate::call::Call;
use crate::error::{ApiError, Error, ErrorKind, Result};
use crate::page::Page;
use crate::transport::RetryPolicy;

/// What a client's `check` found: whether the base URL is right, the credentials good, and the API there.
///
/// ```no_run
/// # async fn example(client: actionlog::UnleashClient) -> actionlog::Result<()> {
/// let check = client.check().await;
/// println!("{check}");
/// check.into_result()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "what was found is in it"]
pub struct Check {
    finding: Finding,
    error: Option<Error>,
}

/// The one thing that a [`Check`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Finding {
    /// All is well.
    Ready,
    /// Nobody answers there, or not in time.
    Unreachable,
    /// Somebody else answers there: a web page, a redirect.
    WrongBaseUrl,
    /// The credentials are missing or not accepted, or there were none to sign with.
    BadCredentials,
    /// The credentials are known and not enough.
    NotAllowed,
    /// The server doesn't have this API.
    NoSuchApi,
    /// The server is there, and fails or asks to be left alone: try later.
    Busy,
    /// None of the above: see the error.
    Unclear,
}

/// A check, before it is made. Await it: it gives a [`Check`].
#[must_use = "a check does nothing until it is awaited"]
pub struct Checking<T> {
    call: Call<T>,
    not_found: fn(&Error) -> Finding,
}

impl<T> Checking<T> {
    /// How long one attempt may take: see [`Call::attempt_timeout`].
    pub fn attempt_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.call = self.call.attempt_timeout(limit);
        self
    }

    /// How long all of it may take: see [`Call::operation_timeout`].
    pub fn operation_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.call = self.call.operation_timeout(limit);
        self
    }

    /// How often and how soon failed attempts are repeated: see [`Call::retry`].
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.call = self.call.retry(policy);
        self
    }

    /// By a small call, and what it means if that finds nothing.
    pub(crate) fn new(call: Call<T>, not_found: fn(&Error) -> Finding) -> Self {
        Self { call, not_found }
    }
}

impl<T: Send + 'static> IntoFuture for Checking<Page<T>> {
    type Output = Check;
    type IntoFuture = BoxFuture<'static, Check>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let doubled = self.call.is_doubled();
            let not_found = |error: &Error| match (self.not_found)(error) {
                // A server that has the API has no such path either where the base URL goes too far.
                Finding::Ready => Finding::Ready,
                _ if doubled => Finding::WrongBaseUrl,
                found => found,
            };
            Check::of(self.call.await, not_found)
        })
    }
}

impl<T> fmt::Debug for Checking<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checking").field("call", &self.call).finish_non_exhaustive()
    }
}

impl Check {
    /// Judges by the outcome of a small request.
    fn of<T>(result: Result<Page<T>>, not_found: impl FnOnce(&Error) -> Finding) -> Self {
        let error = match result {
            Ok(page) if !page.errors.is_empty() => {
                let error = Error::new(ErrorKind::Partial, "the server gave errors beside the records");
                error.with_api(Some(ApiError::first_of(page.errors)))
            }
            Ok(_) => return Self { finding: Finding::Ready, error: None },
            Err(error) => error,
        };
        let finding = match error.kind() {
            ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::Transport => Finding::Unreachable,
            ErrorKind::Redirect | ErrorKind::NotJson => Finding::WrongBaseUrl,
            ErrorKind::Unauthorized | ErrorKind::Credentials => Finding::BadCredentials,
            ErrorKind::Forbidden => Finding::NotAllowed,
            ErrorKind::NotFound if error.api().is_none() => Finding::WrongBaseUrl,
            ErrorKind::NotFound => not_found(&error),
            ErrorKind::Decode => Finding::NoSuchApi,
            ErrorKind::RateLimited | ErrorKind::Server => Finding::Busy,
            _ => Finding::Unclear,
        };
        let error = (finding != Finding::Ready).then_some(error);
        Self { finding, error }
    }

    /// What was found.
    #[must_use]
    pub fn finding(&self) -> Finding {
        self.finding
    }

    /// Whether all is well.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.finding == Finding::Ready
    }

    /// A sentence on what to do.
    #[must_use]
    pub fn hint(&self) -> &str {
        let general = match self.finding {
            Finding::Ready => "nothing to do",
            Finding::Unreachable => "is the server up, and the base URL's host and port right?",
            Finding::WrongBaseUrl => "is the base URL right, with every part of its path?",
            Finding::BadCredentials => "is the token right, and not expired?",
            Finding::NotAllowed => "does the token, or its user, have the permission to read these logs?",
            Finding::NoSuchApi => "is this the right server, and does its version or edition have this API?",
            Finding::Busy => "try again later",
            Finding::Unclear => "see the error",
        };
        self.error.as_ref().and_then(Error::hint).unwrap_or(general)
    }

    /// The error behind it, unless all is well.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// Nothing if all is well, else the error.
    ///
    /// # Errors
    ///
    /// The [`error`](Self::error).
    pub fn into_result(self) -> Result<()> {
        self.error.map_or(Ok(()), Err)
    }
}

/// What was found, the error with all of its causes, and what to do.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let finding = match self.finding {
            Finding::Ready => return f.write_str("ready"),
            Finding::Unreachable => "unreachable",
            Finding::WrongBaseUrl => "wrong base URL",
            Finding::BadCredentials => "bad credentials",
            Finding::NotAllowed => "not allowed",
            Finding::NoSuchApi => "no such API",
            Finding::Busy => "busy",
            Finding::Unclear => "unclear",
        };
        f.write_str(finding)?;
        let mut cause = self.error.as_ref().map(|it| it as &dyn StdError);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        match &self.error {
            // It has printed its own.
            Some(error) if error.hint().is_some() => Ok(()),
            _ => write!(f, " [hint: {}]", self.hint()),
        }
    }
}
