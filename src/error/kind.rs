use std::fmt;

use http::StatusCode;

/// What kind of failure an [`Error`](crate::Error) is.
///
/// Each variant says under *Troubleshooting* what usually causes it. New kinds may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The client can't be built from what it was given.
    ///
    /// # Troubleshooting
    ///
    /// The message names the setting: a base URL without `https://`, with a query or with credentials in it; plain
    /// `http` to a host that isn't this machine; a key that is empty or holds a line break (often the one at the end of
    /// the file it was read from); environment variables that are missing.
    Configuration,
    /// What was asked for can't be sent; nothing was.
    ///
    /// # Troubleshooting
    ///
    /// The message names the argument: an id that is empty, `.` or `..`, a page size outside of what the API takes, a
    /// body or a filter that can't be written as JSON.
    InvalidRequest,
    /// The authenticator had nothing to sign the request with; nothing was sent.
    ///
    /// # Troubleshooting
    ///
    /// The source says what the token source said. If that may pass, [`is_transient`](crate::Error::is_transient) is
    /// true.
    Credentials,
    /// No connection to the server.
    ///
    /// # Troubleshooting
    ///
    /// A wrong host or port, a server that is down, a name that doesn't resolve, a certificate that isn't trusted, a
    /// proxy in between. The source says which.
    Connect,
    /// The connection broke before the answer was whole.
    ///
    /// # Troubleshooting
    ///
    /// A restart or an overload of the server or of a proxy, as a rule; also a body whose compression is broken. The
    /// source says where it broke.
    Transport,
    /// A time limit ran out.
    ///
    /// # Troubleshooting
    ///
    /// The message says which limit: of the attempt (30 s unless set), or of the whole operation (120 s unless set).
    /// The one for connecting (5 s unless set) gives [`Connect`](Self::Connect).
    Timeout,
    /// The answer's body is larger than the client takes, or holds more records, errors or elements of lists than a page
    /// may; the rest of it was not read.
    ///
    /// # Troubleshooting
    ///
    /// Ask for smaller pages, or raise the client's `max_body_bytes` (16 MiB unless set; it counts after
    /// decompression, and the lists in records may take as much memory) or `max_page_records` (ten times as many as were
    /// asked for, and a thousand at least, unless set). Smaller pages don't help against a server that ignores the size.
    TooLarge,
    /// Status 401: the server doesn't accept the credentials.
    ///
    /// # Troubleshooting
    ///
    /// A mistyped, expired or deleted token. Some servers also answer so while their database is down: one 401 is no
    /// proof that a token is bad.
    Unauthorized,
    /// Status 403: the credentials are known, and not enough.
    ///
    /// # Troubleshooting
    ///
    /// The wrong kind of token, or a user without the permission.
    Forbidden,
    /// Status 404 or 410: there is no such thing.
    ///
    /// # Troubleshooting
    ///
    /// A wrong id; a base URL with a path too much or too few; a server without this API. The hint says which, where
    /// the answer gives it away.
    NotFound,
    /// Status 409: the request is at odds with what the server holds.
    ///
    /// # Troubleshooting
    ///
    /// Read the record again and decide anew.
    Conflict,
    /// Status 412: what was to be written isn't any more what [`if_match`](crate::Call::if_match) or
    /// [`if_unmodified_since`](crate::Call::if_unmodified_since) says it was.
    ///
    /// # Troubleshooting
    ///
    /// Somebody else wrote it: read it again and decide anew. If the [outcome](crate::Error::outcome) is `Unknown`, that
    /// somebody may be an attempt before of this very call, whose answer was lost.
    PreconditionFailed,
    /// Status 400, 413, 414, 415, 422, 428 or 431: the server doesn't take the request as it is.
    ///
    /// # Troubleshooting
    ///
    /// [`api`](crate::Error::api) says what it minds.
    Rejected,
    /// Status 429: too many requests.
    ///
    /// # Troubleshooting
    ///
    /// Wait for [`retry_after`](crate::Error::retry_after), and ask less often or with fewer at once.
    RateLimited,
    /// A status of 500 and above: the server failed.
    ///
    /// # Troubleshooting
    ///
    /// 502, 503 and 504 come from a proxy or a server that is starting, as a rule, and pass. A 500 that doesn't pass is
    /// for whoever runs the server: give them the [`request_id`](crate::Error::request_id).
    Server,
    /// The server sent the client elsewhere. Redirects are never followed: credentials would travel along.
    ///
    /// # Troubleshooting
    ///
    /// The message names where it pointed. If that's right, make it the base URL. `http` sent to `https` is the usual
    /// case; a login page means that the server wants other credentials.
    Redirect,
    /// Any other status that isn't success; or one of success that isn't that of a whole answer, as 206 Partial Content.
    ///
    /// # Troubleshooting
    ///
    /// Look at [`status`](crate::Error::status); something between here and the server is the likely author.
    UnexpectedStatus,
    /// The server answered with success, and its body says failure.
    ///
    /// # Troubleshooting
    ///
    /// [`api`](crate::Error::api) says what it says.
    Refused,
    /// The answer isn't JSON: a web page, nothing at all, or a coding that wasn't asked for.
    ///
    /// # Troubleshooting
    ///
    /// A web page with status 200 is what a server's user interface, or a proxy's login, answers: the base URL is
    /// wrong.
    NotJson,
    /// The answer is JSON, or begins as JSON, and isn't of the documented shape.
    ///
    /// # Troubleshooting
    ///
    /// The message has the path of what doesn't fit. Either the server isn't the one meant, or its API has changed;
    /// then an issue with that message helps.
    Decode,
    /// One record of a listing can't be read. The ones after it come as they should.
    ///
    /// # Troubleshooting
    ///
    /// [`record`](crate::Error::record) has its raw text and the reason.
    Record,
    /// The answer has records, and beside them errors of the server's own: it may not be all.
    ///
    /// # Troubleshooting
    ///
    /// [`api`](crate::Error::api) has the first of them.
    Partial,
    /// A listing ended before its end: the place in it was lost, or what was read is no longer there.
    ///
    /// # Troubleshooting
    ///
    /// The log changes faster than it is read. Larger pages help.
    Truncated,
}

impl ErrorKind {
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 | 410 => Self::NotFound,
            409 => Self::Conflict,
            412 => Self::PreconditionFailed,
            400 | 413 | 414 | 415 | 422 | 428 | 431 => Self::Rejected,
            429 => Self::RateLimited,
            500.. => Self::Server,
            _ => Self::UnexpectedStatus,
        }
    }

    /// A name of it, for labels and traces: `rate_limited`, say. It's the variant's in snake case, and stays.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::InvalidRequest => "invalid_request",
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
            Self::Rejected => "rejected",
            Self::RateLimited => "rate_limited",
            Self::Server => "server",
            Self::Redirect => "redirect",
            Self::UnexpectedStatus => "unexpected_status",
            Self::Refused => "refused",
            Self::NotJson => "not_json",
            Self::Decode => "decode",
            Self::Record => "record",
            Self::Partial => "partial",
            Self::Truncated => "truncated",
        }
    }

    /// Statuses that pass by themselves are told by [`is_transient_status`], not here.
    pub(crate) fn is_transient(self) -> bool {
        matches!(self, Self::Connect | Self::Transport | Self::Timeout | Self::RateLimited)
    }
}

/// Whether an answer with this status may well be another one a little later.
pub(crate) fn is_transient_status(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configuration => "configuration",
            Self::InvalidRequest => "invalid request",
            Self::Credentials => "no credentials",
            Self::Connect => "no connection",
            Self::Transport => "connection broken",
            Self::Timeout => "timed out",
            Self::TooLarge => "answer too large",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not found",
            Self::Conflict => "conflict",
            Self::PreconditionFailed => "precondition failed",
            Self::Rejected => "rejected",
            Self::RateLimited => "rate limited",
            Self::Server => "server error",
            Self::Redirect => "redirected",
            Self::UnexpectedStatus => "unexpected status",
            Self::Refused => "refused",
            Self::NotJson => "not JSON",
            Self::Decode => "unexpected JSON",
            Self::Record => "unreadable record",
            Self::Partial => "partial answer",
            Self::Truncated => "truncated listing",
        })
    }
}

/// What is known of a failed request's effect on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestOutcome {
    /// Nothing left this machine: the request had no effect.
    NotSent,
    /// The server said no, or that it didn't look at the request: it had no effect. Also if that was so with each attempt
    /// that arrived, and there was no time for another.
    Refused,
    /// The request left, and what came of it isn't known. It may have had its effect.
    Unknown,
    /// The server did what it was asked; the error is about what it answered.
    Answered,
}
