//! The kinds of failure, and what a failed write did on the server.

use std::fmt;

use http::StatusCode;

/// The kind of failure that an [`Error`](crate::Error) reports.
///
/// Each variant lists its usual causes under *Troubleshooting*. New kinds may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The client can't be built from its settings.
    ///
    /// # Troubleshooting
    ///
    /// The message names the setting: a base URL without `https://`, with a query or with credentials in it; plain
    /// `http` to a host that isn't this machine; a key that is empty or contains a line break (often the one at the end
    /// of the file that the key was read from); missing environment variables.
    Configuration,
    /// The request is invalid; nothing was sent.
    ///
    /// # Troubleshooting
    ///
    /// The message names the argument: an id that is empty, `.` or `..`; a page size outside the API's range; a body or
    /// a filter that can't be serialized as JSON.
    InvalidRequest,
    /// A blocking call can't wait here; nothing was sent.
    ///
    /// # Troubleshooting
    ///
    /// The call was made inside of an async runtime, where it would stop other tasks: use `.await`, or
    /// `tokio::task::spawn_blocking`. Or the background thread of blocking calls couldn't be started; the error's
    /// source says why.
    CannotBlock,
    /// The authenticator returned no credentials; nothing was sent.
    ///
    /// # Troubleshooting
    ///
    /// The error's source is the token source's error. If that error is transient,
    /// [`is_transient`](crate::Error::is_transient) is true.
    Credentials,
    /// The connection to the server couldn't be established.
    ///
    /// # Troubleshooting
    ///
    /// A wrong host or port, a server that is down, a name that doesn't resolve, an untrusted certificate, or a proxy
    /// in between. The error's source says which.
    Connect,
    /// The connection broke before the response was complete.
    ///
    /// # Troubleshooting
    ///
    /// Usually a restart or an overload of the server or of a proxy; also a body whose compression is corrupt. The
    /// error's source says where the connection broke.
    Transport,
    /// A timeout expired.
    ///
    /// # Troubleshooting
    ///
    /// The message names the timeout: the attempt's (30 s unless set) or the whole operation's (120 s unless set). If
    /// the connect timeout (5 s unless set) expires, the kind is [`Connect`](Self::Connect).
    Timeout,
    /// The response body is larger than the client accepts, or contains more records, errors or list elements than a
    /// page may hold. The rest of the body wasn't read.
    ///
    /// # Troubleshooting
    ///
    /// Request smaller pages, or raise the client's `max_body_bytes` (16 MiB unless set; it counts after decompression,
    /// and the lists in records may take as much memory) or `max_page_records` (unless set, ten times the requested
    /// number, and at least a thousand). Smaller pages don't help against a server that ignores the page size.
    TooLarge,
    /// Status 401: the server rejected the credentials.
    ///
    /// # Troubleshooting
    ///
    /// A mistyped, expired or deleted token. Some servers also respond with 401 while their database is down, so a
    /// single 401 doesn't prove that a token is bad.
    Unauthorized,
    /// Status 403: the credentials are valid but lack a permission.
    ///
    /// # Troubleshooting
    ///
    /// The wrong kind of token, or a user without the permission.
    Forbidden,
    /// Status 404 or 410: the resource doesn't exist.
    ///
    /// # Troubleshooting
    ///
    /// A wrong id, a base URL with an extra or a missing path segment, or a server without this API. The hint says
    /// which, where the response reveals it.
    NotFound,
    /// Status 409: the request conflicts with the server's current state.
    ///
    /// # Troubleshooting
    ///
    /// Read the record again, and apply your change to the current version.
    Conflict,
    /// Status 412: the record is no longer the version that [`if_match`](crate::Call::if_match) or
    /// [`if_unmodified_since`](crate::Call::if_unmodified_since) requires.
    ///
    /// # Troubleshooting
    ///
    /// Another client changed the record: read it again, and apply your change to the current version. If the
    /// [outcome](crate::Error::outcome) is `Unknown`, the change may come from an earlier attempt of this very call,
    /// whose response was lost.
    PreconditionFailed,
    /// Status 400, 413, 414, 415, 422, 428 or 431: the server rejected the request as invalid.
    ///
    /// # Troubleshooting
    ///
    /// [`api`](crate::Error::api) holds the server's explanation.
    BadRequest,
    /// Status 429: too many requests.
    ///
    /// # Troubleshooting
    ///
    /// Wait for [`retry_after`](crate::Error::retry_after), and send fewer requests, or fewer at once.
    RateLimited,
    /// A status of 500 and above: the server failed.
    ///
    /// # Troubleshooting
    ///
    /// 502, 503 and 504 usually come from a proxy or from a server that is starting, and are transient. Report a
    /// persistent 500 to the server's operator, with the [`request_id`](crate::Error::request_id).
    Server,
    /// The server sent a redirect. Redirects are never followed, because the credentials would be sent along.
    ///
    /// # Troubleshooting
    ///
    /// The message names the redirect's target. If the target is right, make it the base URL. The usual case is a
    /// redirect from `http` to `https`; a login page means that the server expects other credentials.
    Redirect,
    /// Any other status that isn't a success, or a success status that doesn't promise a complete response, such as 206
    /// Partial Content.
    ///
    /// # Troubleshooting
    ///
    /// Look at [`status`](crate::Error::status). A proxy or a cache probably sent the response.
    UnexpectedStatus,
    /// The status is a success, but the API reported a failure in the response body.
    ///
    /// # Troubleshooting
    ///
    /// [`api`](crate::Error::api) holds the reported failure.
    ApiFailure,
    /// The response isn't JSON: it is a web page, is empty, or has a content encoding that wasn't requested.
    ///
    /// # Troubleshooting
    ///
    /// A web page with status 200 usually comes from the server's user interface or from a proxy's login page: the base
    /// URL is wrong.
    NotJson,
    /// The response is JSON, or begins as JSON, but doesn't have the documented structure.
    ///
    /// # Troubleshooting
    ///
    /// The message contains the path to the value that doesn't fit. Either the base URL names a different server, or
    /// the API has changed; in that case please report the message.
    Decode,
    /// One record of a listing doesn't deserialize. The stream goes on with the next record.
    ///
    /// # Troubleshooting
    ///
    /// [`record`](crate::Error::record) holds the record's raw JSON and the reason.
    InvalidRecord,
    /// The response contains records and also errors: it may be incomplete.
    ///
    /// # Troubleshooting
    ///
    /// [`api`](crate::Error::api) holds the first of the errors.
    Partial,
    /// A listing stopped before its end: its position was lost, or the records at the position are gone.
    ///
    /// # Troubleshooting
    ///
    /// The log changes faster than the client reads it. Larger pages help.
    Incomplete,
}

impl ErrorKind {
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 | 410 => Self::NotFound,
            409 => Self::Conflict,
            412 => Self::PreconditionFailed,
            400 | 413 | 414 | 415 | 422 | 428 | 431 => Self::BadRequest,
            429 => Self::RateLimited,
            500.. => Self::Server,
            _ => Self::UnexpectedStatus,
        }
    }

    /// A stable name for metric labels and traces: the variant's name in snake case, such as `rate_limited`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::InvalidRequest => "invalid_request",
            Self::CannotBlock => "cannot_block",
            Self::Credentials => "credentials",
            Self::Connect => "connect",
            Self::Transport => "transport",
            Self::Timeout => "timeout",
            Self::TooLarge => "too_large",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::PreconditionFailed => "precondition_failed",
            Self::BadRequest => "bad_request",
            Self::RateLimited => "rate_limited",
            Self::Server => "server",
            Self::Redirect => "redirect",
            Self::UnexpectedStatus => "unexpected_status",
            Self::ApiFailure => "api_failure",
            Self::NotJson => "not_json",
            Self::Decode => "decode",
            Self::InvalidRecord => "invalid_record",
            Self::Partial => "partial",
            Self::Incomplete => "incomplete",
        }
    }

    /// Whether every failure of this kind is transient. [`is_transient_status`] covers those that depend on the status.
    pub(super) fn is_transient(self) -> bool {
        matches!(self, Self::Connect | Self::Transport | Self::Timeout | Self::RateLimited)
    }
}

/// Whether a later attempt may well get a different status.
pub(crate) fn is_transient_status(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configuration => "configuration",
            Self::InvalidRequest => "invalid request",
            Self::CannotBlock => "can't block here",
            Self::Credentials => "no credentials",
            Self::Connect => "no connection",
            Self::Transport => "connection broken",
            Self::Timeout => "timed out",
            Self::TooLarge => "response too large",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not found",
            Self::Conflict => "conflict",
            Self::PreconditionFailed => "precondition failed",
            Self::BadRequest => "bad request",
            Self::RateLimited => "rate limited",
            Self::Server => "server error",
            Self::Redirect => "redirected",
            Self::UnexpectedStatus => "unexpected status",
            Self::ApiFailure => "API failure",
            Self::NotJson => "not JSON",
            Self::Decode => "unexpected JSON",
            Self::InvalidRecord => "invalid record",
            Self::Partial => "partial response",
            Self::Incomplete => "incomplete listing",
        })
    }
}

/// Whether a failed request took effect on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WriteOutcome {
    /// The request wasn't sent, so it had no effect.
    NotSent,
    /// The server rejected the request or reported that it didn't process it, so it had no effect. Also used if that
    /// holds for every attempt that was sent, and there was no time for another attempt.
    NotApplied,
    /// The request was sent, and its result is unknown: it may have taken effect.
    Unknown,
    /// The server applied the request; the error concerns its response.
    Applied,
}
