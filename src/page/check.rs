//! `check`: tests a client's configuration with one small request.

use std::error::Error as StdError;
use std::fmt;
use std::future::IntoFuture;

use futures_core::future::BoxFuture;

use crate::client::call::Call;
use crate::client::methods::call_options;
use crate::error::{ApiError, Error, ErrorKind, Result};
use crate::page::Page;

/// The result of a client's `check`: whether the base URL, the credentials and the API are as they should be.
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
#[must_use = "a failed check isn't an error by itself: call `is_ready()` or `into_result()`"]
pub struct CheckReport {
    status: CheckStatus,
    error: Option<Error>,
}

/// The status that a [`CheckReport`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CheckStatus {
    /// The client works.
    Ready,
    /// The server doesn't respond, or not in time.
    Unreachable,
    /// Something other than the API responds: a web page, a redirect.
    WrongBaseUrl,
    /// The credentials are missing or rejected, or the authenticator returned none.
    BadCredentials,
    /// The credentials are valid but lack a permission.
    NotAllowed,
    /// The server doesn't have this API.
    NoSuchApi,
    /// The server responds, but fails or asks the client to wait: try later.
    Busy,
    /// None of the above: see [`CheckReport::error`].
    Unclear,
}

/// A check that hasn't started yet. Await it to get a [`CheckReport`].
#[must_use = "a check does nothing until it is awaited: call `.await`"]
pub struct CheckCall<T> {
    call: Call<T>,
    not_found: fn(&Error) -> CheckStatus,
}

impl<T> CheckCall<T> {
    call_options!(
        |it| it.call.options,
        spans: "the whole check",
        sends: "the request of this check",
        example: "client.check()"
    );

    /// A check that makes a small call. `not_found` interprets a 404 that carries an error body of the API.
    pub(crate) fn new(call: Call<T>, not_found: fn(&Error) -> CheckStatus) -> Self {
        Self { call, not_found }
    }
}

#[cfg(feature = "blocking")]
impl<T: Send + 'static> CheckCall<Page<T>> {
    /// Makes the check, and blocks until it is done: see [`blocking`](crate::blocking).
    ///
    /// # Errors
    ///
    /// [`CannotBlock`](crate::ErrorKind::CannotBlock) inside of an async runtime. Whatever the check finds is in its
    /// report.
    pub fn blocking(self) -> crate::Result<CheckReport> {
        crate::blocking::wait(self)
    }
}

impl<T: Send + 'static> IntoFuture for CheckCall<Page<T>> {
    type Output = CheckReport;
    type IntoFuture = BoxFuture<'static, CheckReport>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let doubled = self.call.is_doubled();
            let not_found = |error: &Error| match (self.not_found)(error) {
                // With a base URL that goes too far, a server that has the API responds 404 as well.
                CheckStatus::Ready => CheckStatus::Ready,
                _ if doubled => CheckStatus::WrongBaseUrl,
                found => found,
            };
            CheckReport::of(self.call.await, not_found)
        })
    }
}

impl<T> fmt::Debug for CheckCall<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckCall").field("call", &self.call).finish_non_exhaustive()
    }
}

impl CheckReport {
    /// Derives the status from the result of a small request.
    fn of<T>(result: Result<Page<T>>, not_found: impl FnOnce(&Error) -> CheckStatus) -> Self {
        let error = match result {
            Ok(page) if !page.errors.is_empty() => {
                let error = Error::new(ErrorKind::Partial, "the response contains errors beside the records");
                error.with_api(Some(ApiError::first_of(page.errors)))
            }
            Ok(_) => return Self { status: CheckStatus::Ready, error: None },
            Err(error) => error,
        };
        let status = match error.kind() {
            ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::Transport => CheckStatus::Unreachable,
            ErrorKind::Redirect | ErrorKind::NotJson => CheckStatus::WrongBaseUrl,
            ErrorKind::Unauthorized | ErrorKind::Credentials => CheckStatus::BadCredentials,
            ErrorKind::Forbidden => CheckStatus::NotAllowed,
            ErrorKind::NotFound if error.api().is_none() => CheckStatus::WrongBaseUrl,
            ErrorKind::NotFound => not_found(&error),
            ErrorKind::Decode => CheckStatus::NoSuchApi,
            ErrorKind::RateLimited | ErrorKind::Server => CheckStatus::Busy,
            _ => CheckStatus::Unclear,
        };
        let error = (status != CheckStatus::Ready).then_some(error);
        Self { status, error }
    }

    /// The status that the check found.
    #[must_use]
    pub fn status(&self) -> CheckStatus {
        self.status
    }

    /// Whether the client works.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.status == CheckStatus::Ready
    }

    /// Advice on what to do next.
    #[must_use]
    pub fn hint(&self) -> &str {
        let general = match self.status {
            CheckStatus::Ready => "nothing to do",
            CheckStatus::Unreachable => "check that the server is up, and the base URL's host and port",
            CheckStatus::WrongBaseUrl => "check the base URL, with every segment of its path",
            CheckStatus::BadCredentials => "check that the token is correct and hasn't expired",
            CheckStatus::NotAllowed => "grant the token, or its user, the permission to read these logs",
            CheckStatus::NoSuchApi => {
                "check that the base URL names the right server, and that its version or edition has this API"
            }
            CheckStatus::Busy => "try again later",
            CheckStatus::Unclear => "read the error's message",
        };
        self.error.as_ref().and_then(Error::hint).unwrap_or(general)
    }

    /// The error that the check failed with. `None` if the client works.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// `Ok` if the client works, and otherwise the error.
    ///
    /// # Errors
    ///
    /// The [`error`](Self::error).
    pub fn into_result(self) -> Result<()> {
        self.error.map_or(Ok(()), Err)
    }
}

/// The status, the error with all of its sources, and the hint.
impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = match self.status {
            CheckStatus::Ready => return f.write_str("ready"),
            CheckStatus::Unreachable => "unreachable",
            CheckStatus::WrongBaseUrl => "wrong base URL",
            CheckStatus::BadCredentials => "bad credentials",
            CheckStatus::NotAllowed => "not allowed",
            CheckStatus::NoSuchApi => "no such API",
            CheckStatus::Busy => "busy",
            CheckStatus::Unclear => "unclear",
        };
        f.write_str(status)?;
        let mut cause = self.error.as_ref().map(|it| it as &dyn StdError);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        match &self.error {
            // The error's own `Display` has printed the hint.
            Some(error) if error.hint().is_some() => Ok(()),
            _ => write!(f, " [hint: {}]", self.hint()),
        }
    }
}
