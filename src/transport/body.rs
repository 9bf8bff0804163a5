//! Reads response bodies, with limits on their size and on the time for errors.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::header::CONTENT_LENGTH;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use crate::decode::HttpResponse;
use crate::error::{Error, ErrorKind, Result, WriteOutcome};
use crate::transport::http_client::Body;

/// The most bytes that are read of an error body: the status is what matters, and a proxy's error page may have any
/// size. The client's own `max_body_bytes` doesn't apply: the redaction can't recognize a secret that is cut in the
/// middle.
pub(super) const ERROR_BODY: usize = 64 * 1024;

/// The longest wait for an error body.
const ERROR_PATIENCE: Duration = Duration::from_secs(2);

/// The most memory that is reserved because of what the server reports (`Content-Length`). Beyond it, memory grows with
/// the data.
const AT_ONCE: usize = 1024 * 1024;

/// After this many bytes the task yields, so that other tasks run and timeouts fire. Compressed data is available at
/// once and takes long to decompress: without a yield, nothing would interrupt it.
const SLICE: usize = 256 * 1024;

/// Marks an error response whose body is incomplete.
#[derive(Clone, Copy, Debug)]
pub(super) struct BrokenOff;

/// Reads a response to its end, or to the cap, which counts bytes after decompression.
///
/// A successful response must be complete; the caller limits the time for that. An error response counts by its status,
/// even with an incomplete body.
pub(super) async fn whole(
    response: http::Response<Body>,
    cap: usize,
    deadline: Option<Instant>,
) -> Result<HttpResponse> {
    let (head, body) = response.into_parts();
    let mut broken_off = false;
    let body = if head.status.is_success() {
        let announced = head.headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok()).unwrap_or(0);
        Pieces { body, cap, room: cap, slice: SLICE }.join(announced).await?
    } else {
        let patience = Instant::now() + ERROR_PATIENCE;
        let until = deadline.map_or(patience, |deadline| deadline.min(patience));
        let (body, is_whole) = error_body(body, ERROR_BODY, until).await;
        broken_off = !is_whole;
        body
    };
    let mut response = HttpResponse::from_parts(head, body);
    if broken_off {
        response.extensions_mut().insert(BrokenOff);
    }
    Ok(response)
}

/// A body that is being read, and how many more bytes are accepted.
struct Pieces {
    body: Body,
    cap: usize,
    room: usize,
    /// How many more bytes are read before the task yields.
    slice: usize,
}

impl Pieces {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let Some(piece) = self.body.next().await else { return Ok(None) };
        let piece = piece.map_err(|error| {
            Error::new(ErrorKind::Transport, "the connection broke while the response body was being read")
                .with_source(error.into_source())
                .with_outcome(WriteOutcome::Unknown)
        })?;
        self.room = self.room.checked_sub(piece.len()).ok_or_else(|| too_large(self.cap))?;
        self.slice = self.slice.saturating_sub(piece.len());
        if self.slice == 0 {
            self.slice = SLICE;
            yield_now().await;
        }
        Ok(Some(piece))
    }

    /// Joins the pieces. A body of a single piece, as small ones are, isn't copied. Otherwise each piece is copied and
    /// dropped before the next one is awaited, so that the HTTP stack can reuse its buffer.
    async fn join(mut self, announced: usize) -> Result<Bytes> {
        // Before anything of it is read.
        if announced > self.cap {
            return Err(too_large(self.cap));
        }
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        let mut whole;
        // A length that is announced spares the growth, and the look for a second piece.
        if first.len() < announced {
            whole = Vec::with_capacity(announced.min(AT_ONCE).max(first.len()));
            whole.extend_from_slice(&first);
            drop(first);
        } else {
            let Some(second) = self.next().await? else { return Ok(first) };
            whole = Vec::with_capacity(first.len() + second.len());
            whole.extend_from_slice(&first);
            whole.extend_from_slice(&second);
        }
        while let Some(piece) = self.next().await? {
            let needed = whole.len() + piece.len();
            if needed > whole.capacity() {
                // Doubled, but never beyond the cap.
                let larger = whole.capacity().saturating_mul(2).min(self.cap).max(needed);
                whole.reserve_exact(larger - whole.len());
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.into())
    }
}

fn too_large(cap: usize) -> Error {
    Error::new(ErrorKind::TooLarge, format!("the response body exceeds the client's limit of {cap} bytes"))
        .with_outcome(WriteOutcome::Unknown)
}

/// The useful part of an error body, and whether it is complete. A body that breaks off or never ends isn't an error:
/// the status takes precedence.
async fn error_body(mut body: Body, cap: usize, until: Instant) -> (Bytes, bool) {
    let mut out = BytesMut::new();
    while out.len() < cap {
        match timeout_at(until, body.next()).await {
            Ok(Some(Ok(piece))) => out.extend_from_slice(&piece[..piece.len().min(cap - out.len())]),
            Ok(None) => return (out.freeze(), true),
            // What has come so far may hold the server's message.
            Ok(Some(Err(_))) | Err(_) => break,
        }
    }
    (out.freeze(), false)
}
