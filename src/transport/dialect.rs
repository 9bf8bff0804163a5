//! How an API reports failures, and the facts that a hint is chosen by.

use std::time::Duration;

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, Method, StatusCode};

use crate::error::{ApiError, ErrorKind};
use crate::request::Idempotency;
use crate::transport::redact::SentCredentials;

/// How one API reports failures. Plain functions: each API's folder defines one of these.
#[derive(Debug)]
pub struct Dialect {
    /// The API's name in messages.
    pub(crate) name: &'static str,
    /// Parses the body of a response whose status isn't a success.
    pub(crate) read_error: fn(&str) -> Option<ApiError>,
    /// Whether an error says that the server doesn't have this API.
    pub(crate) no_such_api: fn(&ApiError) -> bool,
    /// How long a scan that has succeeded before treats a 401 or 403 as transient.
    pub(crate) auth_grace: Duration,
    /// A hint for failures that the request and its response explain.
    pub(crate) hint: fn(&HintContext<'_>) -> Option<&'static str>,
}

/// The facts that a hint is chosen by.
#[derive(Debug)]
pub(crate) struct HintContext<'a> {
    pub(crate) kind: ErrorKind,
    pub(crate) status: StatusCode,
    pub(crate) api: Option<&'a ApiError>,
    /// Whether the body is a web page.
    pub(crate) web_page: bool,
    pub(crate) method: &'a Method,
    /// Whether sending the request twice has the same effect as sending it once.
    pub(super) idempotency: Idempotency,
    /// Whether the request is one of this crate's own. What custom requests ask for is unknown.
    pub(crate) own: bool,
    /// Whether the base URL ends with the segments that the request path begins with.
    pub(super) doubled: bool,
    pub(super) conditions: Conditions,
    pub(super) credentials: &'a SentCredentials,
}

impl HintContext<'_> {
    /// The server's message. Empty if there is none.
    pub(super) fn message(&self) -> &str {
        self.api.and_then(ApiError::message).unwrap_or_default()
    }

    pub(super) fn conditions(&self) -> Conditions {
        self.conditions
    }

    /// Whether the request was sent without any credentials.
    pub(super) fn is_unsigned(&self) -> bool {
        self.credentials.is_empty()
    }

    /// Whether the request was sent with a token that has this prefix.
    pub(crate) fn token_begins(&self, with: &str) -> bool {
        self.credentials.begin_with(with)
    }
}

/// The conditional headers of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conditions {
    /// `If-None-Match` or `If-Modified-Since`: only if the resource has changed or doesn't exist yet.
    pub(super) if_changed: bool,
    /// `If-Match` or `If-Unmodified-Since`: only if the resource hasn't changed.
    pub(super) if_unchanged: bool,
}

impl Conditions {
    /// The conditions that these headers set.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self {
            if_changed: [IF_NONE_MATCH, IF_MODIFIED_SINCE].iter().any(|it| headers.contains_key(it)),
            if_unchanged: [IF_MATCH, IF_UNMODIFIED_SINCE].iter().any(|it| headers.contains_key(it)),
        }
    }
}
