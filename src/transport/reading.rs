//! An answer that is there, and what it comes to.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::Inner;
use super::rate_limit::RateLimit;
use super::redact::{Credentials, Secrets};
use super::verdict::{self, Conditions, Sent};
use crate::answered::Answered;
use crate::error::{Error, ErrorKind, RequestOutcome, Result};
use crate::request::{Answer, Reader, Request};

/// A body above this is read in a thread for what blocks. Half a millisecond is what it takes as a rule, and several if a
/// record can't be read; to hand it over takes some 20 microseconds.
const LARGE: usize = 128 * 1024;

/// A whole answer, and all that it takes to read it.
pub(super) struct Reading<T> {
    pub(super) transport: Arc<Inner>,
    pub(super) request: Request<T>,
    pub(super) conditions: Conditions,
    /// What it was signed with, and the attempts before it.
    pub(super) credentials: Arc<Credentials>,
    pub(super) secrets: Secrets,
    pub(super) rate_limit: Option<RateLimit>,
    /// Whether an attempt before may have done what was asked.
    pub(super) may_have_been_done: bool,
    pub(super) answer: Answer,
}

impl<T: Send + 'static> Reading<T> {
    /// Reads it: a large one where it holds up no other task, and no timer.
    pub(super) async fn read_apart(self) -> Result<Answered<T>> {
        if self.answer.body().len() < LARGE || Handle::try_current().is_err() {
            return self.read();
        }
        match spawn_blocking(move || self.read()).await {
            Ok(result) => result,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Error::new(ErrorKind::Transport, "the runtime ended before the answer was read")
                    .with_outcome(RequestOutcome::Unknown)),
            },
        }
    }

    fn read(self) -> Result<Answered<T>> {
        let Self { transport, request, conditions, credentials, secrets, rate_limit, may_have_been_done, answer } =
            self;
        let answer = secrets.complete(answer);
        let found_nothing = may_have_been_done && !verdict::is_web_page(&answer);
        let clean = |text| secrets.clean(text);
        let (max_records, max_body) = (transport.settings.max_records, transport.settings.max_body);
        let reader = Reader { clean: &clean, max_records, max_body, asked: None };
        let sent = Sent { base: &transport.base, conditions, credentials: &credentials };
        let value = match request.already_gone(answer.status(), found_nothing) {
            Some(value) => value,
            None => verdict::judge(transport.dialect, &request, sent, &answer, &reader)
                .map_err(|error| error.with_rate_limit(rate_limit))?,
        };
        let (head, _) = answer.into_parts();
        Ok(Answered {
            value,
            status: head.status,
            request_id: verdict::request_id(&head.headers).map(|id| secrets.clean(id)),
            headers: head.headers,
            rate_limit,
            attempts: 0,
        })
    }
}
