//! A body that is kept while the client reads it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use crate::transport::http_client::{Body, HttpError};

/// Passes a body on, and hands over a copy once the body is complete.
pub(super) struct Kept<F: FnOnce(Bytes)> {
    body: Body,
    copy: BytesMut,
    /// Takes the copy. `None` once it has, or after the body broke off.
    store: Option<F>,
    /// Whether the body counts also if the client doesn't read it to its end: of an error it reads only the start.
    may_be_cut: bool,
}

impl<F: FnOnce(Bytes)> Kept<F> {
    pub(super) fn new(body: Body, may_be_cut: bool, store: F) -> Self {
        Self { body, copy: BytesMut::new(), store: Some(store), may_be_cut }
    }

    fn store(&mut self) {
        if let Some(store) = self.store.take() {
            store(self.copy.split().freeze());
        }
    }
}

impl<F: FnOnce(Bytes) + Unpin> Stream for Kept<F> {
    type Item = Result<Bytes, HttpError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(Pin::new(&mut self.body).poll_next(cx));
        match &item {
            Some(Ok(piece)) => self.copy.extend_from_slice(piece),
            // The rest of the response is unknown, so it isn't a recording of one.
            Some(Err(_)) => self.store = None,
            None => self.store(),
        }
        Poll::Ready(item)
    }
}

impl<F: FnOnce(Bytes)> Drop for Kept<F> {
    fn drop(&mut self) {
        if self.may_be_cut {
            self.store();
        }
    }
}
