use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::header::CONTENT_LENGTH;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use super::exchange::Body;
use crate::error::{Error, ErrorKind, RequestOutcome, Result};
use crate::request::Answer;

/// More of an error's body than this is not read: its status is what matters, and a proxy's error page may be any size.
/// The client's own cap doesn't count: a secret that is cut in the middle couldn't be told.
pub(super) const ERROR_BODY: usize = 64 * 1024;

/// No longer than this is waited for an error's body, either.
const ERROR_PATIENCE: Duration = Duration::from_secs(2);

/// What a server announces is made room for up to this; the rest as it comes.
const AT_ONCE: usize = 1024 * 1024;

/// After as much as this it's looked whether there is something else to do, and whether the time is over. What comes
/// compressed is there in a moment, and takes long to unfold: without a wait nobody would look.
const SLICE: usize = 256 * 1024;

/// Marks an error's answer whose body isn't whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct BrokenOff;

/// Reads an answer to its end, or to the cap, which counts after decompression.
///
/// A success must be whole; the time for that is the caller's. An error's status is there already, and stands by itself.
pub(super) async fn whole(answer: http::Response<Body>, cap: usize, deadline: Option<Instant>) -> Result<Answer> {
    let (head, body) = answer.into_parts();
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
    let mut answer = Answer::from_parts(head, body);
    if broken_off {
        answer.extensions_mut().insert(BrokenOff);
    }
    Ok(answer)
}

/// A body on its way in, and how much of it is still taken.
struct Pieces {
    body: Body,
    cap: usize,
    room: usize,
    /// How much more is taken without a pause.
    slice: usize,
}

impl Pieces {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let Some(piece) = self.body.next().await else { return Ok(None) };
        let piece = piece.map_err(|error| {
            Error::new(ErrorKind::Transport, "the connection broke inside the answer's body")
                .with_source(error.into_source())
                .with_outcome(RequestOutcome::Unknown)
        })?;
        self.room = self.room.checked_sub(piece.len()).ok_or_else(|| too_large(self.cap))?;
        self.slice = self.slice.saturating_sub(piece.len());
        if self.slice == 0 {
            self.slice = SLICE;
            yield_now().await;
        }
        Ok(Some(piece))
    }

    /// A body of one piece, as small ones are, isn't copied. Of any other, a piece is copied and let go before the next is
    /// waited for: the HTTP stack reads that into the same memory then.
    async fn join(mut self, announced: usize) -> Result<Bytes> {
        if announced > self.cap {
            return Err(too_large(self.cap));
        }
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        let mut whole;
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
    Error::new(ErrorKind::TooLarge, format!("the answer is larger than the {cap} bytes that the client takes"))
        .with_outcome(RequestOutcome::Unknown)
}

/// As much of an error's body as is of use. That it breaks off, or goes on for ever, is no news beside its status.
/// Whether it's whole is told, too.
async fn error_body(mut body: Body, cap: usize, until: Instant) -> (Bytes, bool) {
    let mut out = BytesMut::new();
    while out.len() < cap {
        match timeout_at(until, body.next()).await {
            Ok(Some(Ok(piece))) => out.extend_from_slice(&piece[..piece.len().min(cap - out.len())]),
            Ok(None) => return (out.freeze(), true),
            Ok(Some(Err(_))) | Err(_) => break,
        }
    }
    (out.freeze(), false)
}
