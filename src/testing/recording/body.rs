//! A body that is kept while the client reads it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use crate::testing::recording::recorder::Shared;
use crate::transport::http_client::{Body, HttpError};

/// Passes a body on, and stores a copy once it is complete.
pub(super) struct Kept {
    body: Body,
    copy: BytesMut,
    shared: Arc<Shared>,
    /// The exchange that the body is for. `None` once the body was stored or broke off.
    exchange: Option<usize>,
    /// Whether the body counts also if the client doesn't read it to its end: of an error it reads only the start.
    may_be_cut: bool,
}

impl Kept {
    pub(super) fn new(body: Body, shared: Arc<Shared>, exchange: usize, may_be_cut: bool) -> Self {
        Self { body, copy: BytesMut::new(), shared, exchange: Some(exchange), may_be_cut }
    }

    fn store(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            self.shared.store(exchange, self.copy.split().freeze());
        }
    }
}

impl Stream for Kept {
    type Item = Result<Bytes, HttpError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(Pin::new(&mut self.body).poll_next(cx));
        match &item {
            Some(Ok(piece)) => self.copy.extend_from_slice(piece),
            // The rest of the response is unknown, so it isn't a recording of one.
            Some(Err(_)) => self.exchange = None,
            None => self.store(),
        }
        Poll::Ready(item)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.may_be_cut {
            self.store();
        }
    }
}
