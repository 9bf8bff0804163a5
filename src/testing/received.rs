//! The record of a request that the fake server received.

use bytes::Bytes;
use http::header::HeaderName;
use http::{Method, Request};
use serde::de::DeserializeOwned;
use url::form_urlencoded;

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
}

impl ReceivedRequest {
    pub(super) fn of(request: &Request<Bytes>) -> Self {
        Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers: request.headers().keys().cloned().collect(),
            body: request.body().clone(),
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
