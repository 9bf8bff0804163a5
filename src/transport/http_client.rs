//! The [`HttpClient`] trait, and its default implementation on reqwest.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode};

use crate::transport::obstacle::Obstacle;

/// Sends one request and returns the response's head, with the body as a stream.
///
/// Every client sends its requests through an `HttpClient`. The default is [`ReqwestClient`]. In tests it may be the
/// in-memory `testing::FakeServer`. Implement the trait to record requests, to cache responses, or to use another HTTP
/// stack.
///
/// Requests arrive authenticated, with an absolute URI. An implementation sends each request *once*: it follows no
/// redirects, doesn't retry and keeps no cookies, because the client decides about all of these.
#[async_trait]
pub trait HttpClient: fmt::Debug + Send + Sync + 'static {
    /// Sends the request and waits for the head of the response.
    ///
    /// Dropping the future cancels the attempt.
    ///
    /// # Errors
    ///
    /// If no response head arrived. A response with any status, including errors, is `Ok`.
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError>;
}

/// A response body as a stream of chunks, after decompression.
pub struct Body {
    stream: Pin<Box<dyn Stream<Item = Result<Bytes, HttpError>> + Send>>,
}

impl Body {
    /// A body from a stream of chunks.
    pub fn new(pieces: impl Stream<Item = Result<Bytes, HttpError>> + Send + 'static) -> Self {
        Self { stream: Box::pin(pieces) }
    }
}

impl From<Bytes> for Body {
    fn from(whole: Bytes) -> Self {
        Self::new(stream::iter((!whole.is_empty()).then_some(Ok(whole))))
    }
}

impl Stream for Body {
    type Item = Result<Bytes, HttpError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.stream.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body(..)")
    }
}

/// Why a request failed, and whether the server may have received it.
#[derive(Debug)]
pub struct HttpError {
    kind: HttpErrorKind,
    source: Box<dyn StdError + Send + Sync>,
}

/// How far a request got before it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HttpErrorKind {
    /// No connection was established: nothing was sent.
    Connect,
    /// No connection was established, because the server's certificate isn't trusted: nothing was sent, and a retry
    /// would fail the same way.
    Certificate,
    /// The [`HttpClient`] itself declined to send the request: nothing was sent, and a retry would be declined too.
    Declined,
    /// The server reported that it didn't process the request, so the request had no effect.
    NotProcessed,
    /// The request, or a part of it, may have been sent.
    MaybeSent,
}

impl HttpError {
    /// A failure to connect: provably nothing was sent.
    pub fn connect(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind: HttpErrorKind::Connect, source: source.into() }
    }

    /// An untrusted certificate: nothing was sent, and the client doesn't retry.
    pub fn certificate(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind: HttpErrorKind::Certificate, source: source.into() }
    }

    /// The [`HttpClient`] itself declines to send the request, and would decline it again: the client doesn't retry.
    ///
    /// For a custom `HttpClient` that has rules, such as the [`Playback`] of a recording.
    ///
    /// [`Playback`]: crate::guide::testing_your_code#record-a-real-server
    pub fn declined(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind: HttpErrorKind::Declined, source: source.into() }
    }

    /// The server reported that it didn't process the request: HTTP/2's `REFUSED_STREAM`.
    pub fn not_processed(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind: HttpErrorKind::NotProcessed, source: source.into() }
    }

    /// A failure after something may have been sent.
    pub fn sent(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind: HttpErrorKind::MaybeSent, source: source.into() }
    }

    /// How far the request got.
    #[must_use]
    pub fn kind(&self) -> HttpErrorKind {
        self.kind
    }

    pub(super) fn into_source(self) -> Box<dyn StdError + Send + Sync> {
        self.source
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            HttpErrorKind::Connect => "no connection",
            HttpErrorKind::Certificate => "the certificate isn't trusted",
            HttpErrorKind::Declined => "the HTTP client declined to send the request",
            HttpErrorKind::NotProcessed => "the server didn't process the request",
            HttpErrorKind::MaybeSent => "the connection broke",
        })
    }
}

impl StdError for HttpError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}

/// The default [`HttpClient`], on reqwest.
///
/// The client's builder creates one. Create your own to share connections between clients.
#[derive(Clone)]
pub struct ReqwestClient {
    client: reqwest::Client,
}

impl fmt::Debug for ReqwestClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A user's reqwest client may have default headers, and its `Debug` would show them.
        f.write_str("ReqwestClient(..)")
    }
}

impl ReqwestClient {
    /// Wraps an existing reqwest client, with its proxies, certificates and limits. Prefer
    /// [`ClientBuilder::reqwest`](crate::ClientBuilder::reqwest), which applies the settings that the crate relies on
    /// to your builder.
    ///
    /// Build the client with `redirect(Policy::none())`, with `retry(retry::never())`, and without a cookie store. The
    /// crate can't check these settings on a finished client. With redirects on, a key in a custom header is sent to
    /// wherever a server redirects; reqwest's retries may send a `POST` twice; and on some servers cookies take
    /// precedence over tokens.
    #[must_use]
    pub fn from_reqwest(client: reqwest::Client) -> Self {
        Self { client }
    }
}

#[async_trait]
impl HttpClient for ReqwestClient {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let has_body = request.method() != Method::HEAD;
        let request = reqwest::Request::try_from(request).map_err(failure)?;
        let mut response = self.client.execute(request).await.map_err(failure)?;
        let mut head = http::Response::new(());
        *head.status_mut() = response.status();
        *head.version_mut() = response.version();
        *head.headers_mut() = std::mem::take(response.headers_mut());
        let left = announced(&head).filter(|_| has_body);
        let pieces = stream::try_unfold((response, left), |(mut response, mut left)| async move {
            let Some(piece) = response.chunk().await.map_err(broken)? else {
                return if left.is_some_and(|it| it > 0) { Err(HttpError::sent(Short)) } else { Ok(None) };
            };
            left = left.map(|it| it.saturating_sub(piece.len() as u64));
            Ok(Some((piece, (response, left))))
        });
        Ok(head.map(|()| Body::new(pieces.into_stream().fuse())))
    }
}

/// The length of the body according to `Content-Length`. Unknown for a decompressed body: reqwest has removed the
/// header.
///
/// For HTTP/1 the stack checks the length itself. For HTTP/2 it accepts a body as complete if the server goes away, or
/// ends the stream without an error, before the announced length.
fn announced(head: &http::Response<()>) -> Option<u64> {
    let bodiless = matches!(head.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if bodiless || head.version() < http::Version::HTTP_2 {
        return None;
    }
    head.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[derive(Debug, thiserror::Error)]
#[error("the body ended before its announced length")]
struct Short;

/// Classifies a failure to get a response.
fn failure(error: reqwest::Error) -> HttpError {
    let kind = match () {
        () if matches!(Obstacle::of(&error), Some(Obstacle::Certificate(_))) => HttpErrorKind::Certificate,
        () if error.is_connect() || error.is_builder() => HttpErrorKind::Connect,
        () if not_processed_by_server(&error) => HttpErrorKind::NotProcessed,
        () => HttpErrorKind::MaybeSent,
    };
    HttpError { kind, ..broken(error) }
}

/// The error of a connection that broke.
fn broken(error: reqwest::Error) -> HttpError {
    match gone_away(&error) {
        Some(error) => HttpError::sent(error),
        // The URL contains the query, and thereby the values of the caller's filters.
        None => HttpError::sent(error.without_url()),
    }
}

/// Whether the server reported that it didn't process this very request.
///
/// A GOAWAY that names an earlier request as the last one says the same. But the HTTP stack may return that error for a
/// request that the GOAWAY doesn't exclude, if the two cross on the wire, so a GOAWAY proves nothing.
#[cfg(feature = "http2")]
fn not_processed_by_server(error: &reqwest::Error) -> bool {
    http2_error(error)
        .is_some_and(|it| it.is_remote() && it.is_reset() && it.reason() == Some(h2::Reason::REFUSED_STREAM))
}

/// A server's GOAWAY, without its debug data: that may be any text, including a key, and the HTTP stack's error shows
/// it.
#[cfg(feature = "http2")]
fn gone_away(error: &reqwest::Error) -> Option<GoneAway> {
    let error = http2_error(error).filter(|it| it.is_go_away() && it.is_remote())?;
    Some(GoneAway { reason: error.reason().unwrap_or(h2::Reason::NO_ERROR) })
}

#[cfg(feature = "http2")]
fn http2_error(error: &reqwest::Error) -> Option<&h2::Error> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        source = error.source();
    }
    None
}

#[cfg(feature = "http2")]
#[derive(Debug, thiserror::Error)]
#[error("the server went away (GOAWAY, {reason:?})")]
struct GoneAway {
    reason: h2::Reason,
}

#[cfg(not(feature = "http2"))]
fn not_processed_by_server(_: &reqwest::Error) -> bool {
    false
}

#[cfg(not(feature = "http2"))]
fn gone_away(_: &reqwest::Error) -> Option<std::convert::Infallible> {
    None
}
