//! The record of a request that the fake server received.

use std::fmt;

use bytes::Bytes;
use http::header::HeaderName;
use http::{Method, Request, StatusCode};
use serde::de::DeserializeOwned;
use url::form_urlencoded;

/// What a request asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestKind {
    /// A page of a listing.
    List,
    /// The number of records only, of Arklow.
    Count,
    /// One record.
    Get,
    /// A new record.
    Create,
    /// A change of a record.
    Update,
    /// The deletion of a record.
    Delete,
    /// Anything else: a path or a method that the APIs don't have.
    #[default]
    Other,
}

impl fmt::Display for RequestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::List => "list",
            Self::Count => "count",
            Self::Get => "get",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Other => "other",
        })
    }
}

/// A request that a [`FakeServer`](crate::testing::FakeServer) received. It keeps only the names of the headers, as the
/// values may be credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedRequest {
    /// The method.
    pub method: Method,
    /// The encoded path.
    pub path: String,
    /// The encoded query, without the `?`. Empty if the request has none.
    pub query: String,
    /// The names of the headers.
    pub headers: Vec<HeaderName>,
    /// The body.
    pub body: Bytes,
    /// What the request asks for.
    pub kind: RequestKind,
    /// The status of the response. `None` if there was none, as a [`Fault`](crate::testing::Fault) made the connection
    /// hang or reset.
    pub status: Option<StatusCode>,
    /// The name of the API that the path belongs to.
    pub(super) api: Option<&'static str>,
}

impl ReceivedRequest {
    pub(super) fn of(request: &Request<Bytes>) -> Self {
        Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers: request.headers().keys().cloned().collect(),
            body: request.body().clone(),
            kind: RequestKind::Other,
            status: None,
            api: None,
        }
    }

    /// The decoded value of a query parameter; the first value if the name is repeated.
    ///
    /// ```
    /// use actionlog::testing::FakeServer;
    /// use bytes::Bytes;
    ///
    /// let server = FakeServer::new();
    /// let _ = server.respond(&http::Request::get("/any?filter=a%20b").body(Bytes::new())?);
    /// assert_eq!(server.requests()[0].parameter("filter").as_deref(), Some("a b"));
    /// # Ok::<(), http::Error>(())
    /// ```
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The body, deserialised from JSON.
    ///
    /// # Errors
    ///
    /// If the body isn't JSON, or doesn't match `T`.
    pub fn json<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.body)
    }

    /// Whether the request has a header of this name, such as `authorization`. Letter case is ignored.
    #[must_use]
    pub fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|it| it.as_str().eq_ignore_ascii_case(name))
    }
}

/// The method, the path and the query, and the status of the response: `GET /v1/orgs/1/actions/records?take=1 -> 200`.
impl fmt::Display for ReceivedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.query.is_empty() { "" } else { "?" };
        write!(f, "{} {}{mark}{} -> ", self.method, self.path, self.query)?;
        match self.status {
            Some(status) => f.write_str(status.as_str()),
            None => f.write_str("no response"),
        }
    }
}
