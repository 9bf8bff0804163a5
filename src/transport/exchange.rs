//! The seam to the network: over reqwest, unless set otherwise.

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

use super::obstacle::Obstacle;

/// One request in, one answer's head out, with the body as a stream.
///
/// What every client sends goes through one of these. By default that's reqwest ([`HttpExchange`]); in tests it may be
/// the in-memory door of `testing::World`, and it may be yours: to record, to cache, or to use another HTTP stack.
///
/// Requests come signed, with an absolute URI. An implementation sends each *once*: it follows no redirect, retries
/// nothing and keeps no cookies, since the client decides those.
#[async_trait]
pub trait Exchange: fmt::Debug + Send + Sync + 'static {
    /// Sends the request and waits for the head of the answer.
    ///
    /// Dropping the future ends the attempt.
    ///
    /// # Errors
    ///
    /// If no head of an answer came. Any status is an answer.
    async fn exchange(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, ExchangeError>;
}

/// An answer's body, piece by piece, after any decompression.
pub struct Body {
    stream: Pin<Box<dyn Stream<Item = Result<Bytes, ExchangeError>> + Send>>,
}

impl Body {
    /// A body that comes in pieces.
    pub fn new(pieces: impl Stream<Item = Result<Bytes, ExchangeError>> + Send + 'static) -> Self {
        Self { stream: Box::pin(pieces) }
    }
}

impl From<Bytes> for Body {
    fn from(whole: Bytes) -> Self {
        Self::new(stream::iter((!whole.is_empty()).then_some(Ok(whole))))
    }
}

impl Stream for Body {
    type Item = Result<Bytes, ExchangeError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.stream.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body(..)")
    }
}

/// Why an exchange failed, and whether the server may have seen the request.
#[derive(Debug)]
pub struct ExchangeError {
    stage: Stage,
    source: Box<dyn StdError + Send + Sync>,
}

/// How far an exchange got before it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// No connection was made: nothing of the request left.
    Connect,
    /// No connection was made, as the server's certificate isn't accepted: nothing of the request left, and trying again
    /// would come to the same.
    Certificate,
    /// The server says that it didn't look at the request: it had no effect.
    NotProcessed,
    /// The request, or part of it, may have been sent.
    Sent,
}

impl ExchangeError {
    /// A failure to connect: provably nothing of the request was sent.
    pub fn connect(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { stage: Stage::Connect, source: source.into() }
    }

    /// A certificate that isn't accepted: nothing of the request was sent, and it isn't tried again.
    pub fn certificate(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { stage: Stage::Certificate, source: source.into() }
    }

    /// A server's word that it didn't look at the request: HTTP/2's `REFUSED_STREAM`.
    pub fn not_processed(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { stage: Stage::NotProcessed, source: source.into() }
    }

    /// A failure after something may have been sent.
    pub fn sent(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { stage: Stage::Sent, source: source.into() }
    }

    /// How far it got.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    pub(crate) fn into_source(self) -> Box<dyn StdError + Send + Sync> {
        self.source
    }
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.stage {
            Stage::Connect => "no connection",
            Stage::Certificate => "the certificate isn't accepted",
            Stage::NotProcessed => "the server didn't look at the request",
            Stage::Sent => "the connection broke",
        })
    }
}

impl StdError for ExchangeError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}

/// Exchanges over the network, by reqwest.
///
/// The client's builder makes one; make it yourself to share connections between clients.
#[derive(Clone)]
pub struct HttpExchange {
    client: reqwest::Client,
}

impl fmt::Debug for HttpExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A client of the user's own may have headers by default, and would show them.
        f.write_str("HttpExchange(..)")
    }
}

impl HttpExchange {
    /// Over a client of your own, with whatever proxies, certificates and limits it has. As a rule
    /// [`ClientBuilder::reqwest`](crate::ClientBuilder::reqwest) is better, which sets on top of a builder what the crate
    /// relies on.
    ///
    /// Build it with `redirect(Policy::none())`, with `retry(retry::never())`, and without a cookie store. None of this can
    /// be seen from here: with redirects on, a key in a header of its own travels to wherever a server points; its own
    /// retries may send a `POST` twice; and cookies outrank tokens on some servers.
    #[must_use]
    pub fn from_reqwest(client: reqwest::Client) -> Self {
        Self { client }
    }
}

#[async_trait]
impl Exchange for HttpExchange {
    async fn exchange(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, ExchangeError> {
        let has_body = request.method() != Method::HEAD;
        let request = reqwest::Request::try_from(request).map_err(failure)?;
        let mut answer = self.client.execute(request).await.map_err(failure)?;
        let mut head = http::Response::new(());
        *head.status_mut() = answer.status();
        *head.version_mut() = answer.version();
        *head.headers_mut() = std::mem::take(answer.headers_mut());
        let left = announced(&head).filter(|_| has_body);
        let pieces = stream::try_unfold((answer, left), |(mut answer, mut left)| async move {
            let Some(piece) = answer.chunk().await.map_err(broken)? else {
                return if left.is_some_and(|it| it > 0) { Err(ExchangeError::sent(Short)) } else { Ok(None) };
            };
            left = left.map(|it| it.saturating_sub(piece.len() as u64));
            Ok(Some((piece, (answer, left))))
        });
        Ok(head.map(|()| Body::new(pieces.into_stream().fuse())))
    }
}

/// How long the body is to be by the answer's own word. Not known where it was decompressed: then reqwest has taken
/// the length away.
///
/// In HTTP/1 the stack looks after that itself. In HTTP/2 it takes a server that goes, or that ends the stream without
/// an error, for one that has said all.
fn announced(head: &http::Response<()>) -> Option<u64> {
    let bodiless = matches!(head.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if bodiless || head.version() < http::Version::HTTP_2 {
        return None;
    }
    head.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[derive(Debug, thiserror::Error)]
#[error("the body ended before its length")]
struct Short;

/// Why no answer came.
fn failure(error: reqwest::Error) -> ExchangeError {
    let stage = match () {
        () if matches!(Obstacle::of(&error), Some(Obstacle::Certificate(_))) => Stage::Certificate,
        () if error.is_connect() || error.is_builder() => Stage::Connect,
        () if not_looked_at(&error) => Stage::NotProcessed,
        () => Stage::Sent,
    };
    ExchangeError { stage, ..broken(error) }
}

/// Whether a time limit of the HTTP stack ran out, or one of the operating system.
pub(crate) fn is_timeout(error: &(dyn StdError + 'static)) -> bool {
    error.downcast_ref().is_some_and(reqwest::Error::is_timeout)
        || error.downcast_ref::<std::io::Error>().is_some_and(|it| it.kind() == std::io::ErrorKind::TimedOut)
}

/// Why an answer broke off.
fn broken(error: reqwest::Error) -> ExchangeError {
    match gone_away(&error) {
        Some(error) => ExchangeError::sent(error),
        // With the URL goes the query, and with that what was asked for.
        None => ExchangeError::sent(error.without_url()),
    }
}

/// Whether the server said of this very request that it wasn't looked at, and won't be.
///
/// A GOAWAY that names an earlier request as the last one says that too. But the HTTP stack may give the same error to a
/// request that the GOAWAY doesn't exclude, where the two cross: it tells nothing for certain.
#[cfg(feature = "http2")]
fn not_looked_at(error: &reqwest::Error) -> bool {
    http2_error(error)
        .is_some_and(|it| it.is_remote() && it.is_reset() && it.reason() == Some(h2::Reason::REFUSED_STREAM))
}

/// A server's GOAWAY, without what it added: that may be any text, with a key in it too, and the HTTP stack shows it.
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
fn not_looked_at(_: &reqwest::Error) -> bool {
    false
}

#[cfg(not(feature = "http2"))]
fn gone_away(_: &reqwest::Error) -> Option<std::convert::Infallible> {
    None
}
