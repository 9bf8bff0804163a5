use std::fmt;

use chrono::{DateTime, Utc};
use http::header::{ETAG, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};

use crate::transport::RateLimit;

/// What a call gave, beside what the server's answer looked like: see [`Call::with_answer`](crate::Call::with_answer).
///
/// Its `Debug` shows the names of the headers, and not their values.
#[derive(Clone)]
#[non_exhaustive]
pub struct Answered<T> {
    /// What was asked for.
    pub value: T,
    /// The answer's status.
    pub status: StatusCode,
    /// The answer's headers, as they came.
    pub headers: HeaderMap,
    /// The server's name for this exchange, from `X-Request-Id` or `X-Correlation-Id`.
    pub request_id: Option<String>,
    /// What the server says of how much it may be asked.
    pub rate_limit: Option<RateLimit>,
    /// How many times the request was sent.
    pub attempts: u32,
}

impl<T> Answered<T> {
    /// The version of what was read or written, where the server gives one (`ETag`), quotes and all: for
    /// [`if_match`](crate::Call::if_match).
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.headers.get(ETAG)?.to_str().ok()
    }

    /// When what was read or written was changed last, where the server says so (`Last-Modified`): for
    /// [`if_unmodified_since`](crate::Call::if_unmodified_since).
    #[must_use]
    pub fn last_modified(&self) -> Option<DateTime<Utc>> {
        let time = httpdate::parse_http_date(self.headers.get(LAST_MODIFIED)?.to_str().ok()?).ok()?;
        Some(time.into())
    }
}

impl<T: fmt::Debug> fmt::Debug for Answered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.keys().collect();
        f.debug_struct("Answered")
            .field("value", &self.value)
            .field("status", &self.status)
            .field("headers", &names)
            .field("request_id", &self.request_id)
            .field("rate_limit", &self.rate_limit)
            .field("attempts", &self.attempts)
            .finish()
    }
}
