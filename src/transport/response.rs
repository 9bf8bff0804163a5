//! The value of a call together with its response.

use std::fmt;

use chrono::{DateTime, Utc};
use http::header::{ETAG, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};

use crate::error::rate_limit::RateLimit;

/// The value that a call returned, with the status and headers of the response: see
/// [`Call::with_response`](crate::Call::with_response).
///
/// `Debug` shows the names of the headers, and not their values.
#[derive(Clone)]
#[non_exhaustive]
pub struct Response<T> {
    /// The decoded value.
    pub value: T,
    /// The status of the response.
    pub status: StatusCode,
    /// The headers of the response, unchanged.
    pub headers: HeaderMap,
    /// The server's id for this request, from `X-Request-Id` or `X-Correlation-Id`.
    pub request_id: Option<String>,
    /// The rate-limit headers of the response, if there were any.
    pub rate_limit: Option<RateLimit>,
    /// The number of attempts.
    pub attempts: u32,
}

impl<T> Response<T> {
    /// The version of the record that was read or written (`ETag`), including the quotes, if the server sent one. Pass
    /// it to [`if_match`](crate::Call::if_match).
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.headers.get(ETAG)?.to_str().ok()
    }

    /// The time of the record's last change (`Last-Modified`), if the server sent it. Pass it to
    /// [`if_unmodified_since`](crate::Call::if_unmodified_since).
    #[must_use]
    pub fn last_modified(&self) -> Option<DateTime<Utc>> {
        let time = httpdate::parse_http_date(self.headers.get(LAST_MODIFIED)?.to_str().ok()?).ok()?;
        Some(time.into())
    }
}

impl<T: fmt::Debug> fmt::Debug for Response<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.keys().collect();
        f.debug_struct("Response")
            .field("value", &self.value)
            .field("status", &self.status)
            .field("headers", &names)
            .field("request_id", &self.request_id)
            .field("rate_limit", &self.rate_limit)
            .field("attempts", &self.attempts)
            .finish()
    }
}
