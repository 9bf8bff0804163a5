use bytes::Bytes;
use http::header::HeaderName;
use http::{Method, Request};
use serde::de::DeserializeOwned;
use url::form_urlencoded;

/// A request, as a [`World`](super::World) saw it. Of its headers only the names are kept: the values hold credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeenRequest {
    /// The method.
    pub method: Method,
    /// The path as it was sent, encoded.
    pub path: String,
    /// The query as it was sent, encoded and without the `?`. Empty if there was none.
    pub query: String,
    /// The headers' names.
    pub headers: Vec<HeaderName>,
    /// The body.
    pub body: Bytes,
}

impl SeenRequest {
    pub(super) fn of(request: &Request<Bytes>) -> Self {
        Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers: request.headers().keys().cloned().collect(),
            body: request.body().clone(),
        }
    }

    /// The value of a query parameter, decoded; the first if it was given more than once.
    ///
    /// ```
    /// use actionlog::testing::World;
    /// use bytes::Bytes;
    ///
    /// let world = World::new();
    /// let _ = world.answer(&http::Request::get("/any?filter=a%20b").body(Bytes::new())?);
    /// assert_eq!(world.requests()[0].parameter("filter").as_deref(), Some("a b"));
    /// # Ok::<(), http::Error>(())
    /// ```
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The body, read as JSON into a `T`.
    ///
    /// # Errors
    ///
    /// If it isn't JSON, or doesn't fit.
    pub fn json<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.body)
    }

    /// Whether a header of this name came, in any letter case: `authorization`, say.
    #[must_use]
    pub fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|it| it.as_str().eq_ignore_ascii_case(name))
    }
}
