//! Decodes a complete response.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use crate::decode::HttpResponse;
use crate::error::rate_limit::RateLimit;
use crate::error::{Error, ErrorKind, Result, WriteOutcome};
use crate::request::{Reader, Request};
use crate::transport::Inner;
use crate::transport::classify::{self, Sent};
use crate::transport::dialect::Conditions;
use crate::transport::redact::{Secrets, SentCredentials};
use crate::transport::response::Response;

/// Bodies from this size on are decoded on tokio's blocking pool. Decoding one of this size usually takes half a
/// millisecond, or several if a record is invalid; handing it over takes about 20 microseconds.
const LARGE: usize = 128 * 1024;

/// A complete response, and everything needed to decode it.
pub(super) struct ResponseDecoder<T> {
    pub(super) transport: Arc<Inner>,
    pub(super) request: Request<T>,
    pub(super) conditions: Conditions,
    /// The credentials of this attempt and of the call's earlier ones.
    pub(super) credentials: Arc<SentCredentials>,
    pub(super) secrets: Secrets,
    pub(super) rate_limit: Option<RateLimit>,
    /// Whether an earlier attempt of the call may have taken effect.
    pub(super) may_have_been_done: bool,
    pub(super) response: HttpResponse,
}

impl<T: Send + 'static> ResponseDecoder<T> {
    /// Decodes the response. A large one is decoded on the blocking pool, where it delays no other task and no timer.
    pub(super) async fn decode_off_thread(self) -> Result<Response<T>> {
        if self.response.body().len() < LARGE || Handle::try_current().is_err() {
            return self.decode();
        }
        match spawn_blocking(move || self.decode()).await {
            Ok(result) => result,
            // A panic of a user's decoder is the caller's, as it would be on their own thread.
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => {
                    Err(Error::new(ErrorKind::Transport, "the runtime shut down before the response was decoded")
                        .with_outcome(WriteOutcome::Unknown))
                }
            },
        }
    }

    fn decode(self) -> Result<Response<T>> {
        let Self { transport, request, conditions, credentials, secrets, rate_limit, may_have_been_done, response } =
            self;
        // First, so that nothing below sees an error body that ends within a credential.
        let response = secrets.complete(response);
        let found_nothing = may_have_been_done && !classify::is_web_page(&response);
        let clean = |text| secrets.clean(text);
        let (max_records, max_body) = (transport.settings.max_records, transport.settings.max_body);
        let reader = Reader { clean: &clean, max_records, max_body, page_size: None };
        let sent = Sent { base: &transport.base, conditions, credentials: &credentials };
        let value = match request.already_gone(response.status(), found_nothing) {
            // A deletion whose first attempt may have worked finds nothing: it has succeeded.
            Some(value) => value,
            None => classify::judge(transport.dialect, &request, sent, &response, &reader)
                .map_err(|error| error.with_rate_limit(rate_limit))?,
        };
        let (head, _) = response.into_parts();
        Ok(Response {
            value,
            status: head.status,
            request_id: classify::request_id(&head.headers).map(|id| secrets.clean(id)),
            headers: head.headers,
            rate_limit,
            attempts: 0,
        })
    }
}
