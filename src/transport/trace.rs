//! Spans, events and observer calls for calls and attempts.

use std::time::Duration;

use http::{StatusCode, Version};
use tokio::time::Instant;
use tracing::{Span, debug, field, info, info_span, warn};

use crate::error::{CallContext, Error};
use crate::observe::{AttemptEnded, AttemptResult, Event, Observer, WaitReason, Waiting};

/// Reports the end of an attempt, however it ends. If it is dropped without [`end`](Self::end), the attempt was
/// cancelled.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    call: &'a CallContext,
    observer: &'a Observer,
    span: Span,
    number: u32,
    began: Instant,
    /// The time until the response was received, or the connection broke. Excludes decoding.
    took: Option<Duration>,
    status: Option<StatusCode>,
    end: AttemptResult,
}

/// The span of a call. If it is dropped without [`end`](Self::end), the call was cancelled.
#[derive(Debug)]
pub(super) struct Call {
    span: Span,
    ended: bool,
}

impl Call {
    pub(super) fn begin(call: &CallContext) -> Self {
        let span = info_span!(
            target: "actionlog",
            "actionlog.call",
            otel.name = %format_args!("{} {}", call.method, call.template),
            otel.kind = "internal",
            otel.status_code = field::Empty,
            actionlog.api = call.api,
            actionlog.attempts = field::Empty,
            http.request.method = call.method.as_str(),
            url.template = &*call.template,
            "error.type" = field::Empty,
        );
        Self { span, ended: false }
    }

    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    pub(super) fn end(mut self, attempts: u32, error: Option<&Error>) {
        self.ended = true;
        self.span.record("actionlog.attempts", attempts);
        if let Some(error) = error {
            fail(&self.span, error.kind().as_str());
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // The caller dropped the future: without this, the span would look like a success.
        if !self.ended {
            fail(&self.span, AttemptResult::CANCELLED);
        }
    }
}

fn fail(span: &Span, error_type: &'static str) {
    span.record("error.type", error_type);
    span.record("otel.status_code", "ERROR");
}

/// Reports a wait that starts.
pub(super) fn waiting(call: &CallContext, observer: &Observer, reason: WaitReason, wait: Option<Duration>) {
    let milliseconds = wait.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX));
    match reason {
        WaitReason::Pause => {
            info!(target: "actionlog", wait_ms = milliseconds, "waiting because the server sent Retry-After");
        }
        WaitReason::Permit => debug!(target: "actionlog", "waiting for a permit"),
        WaitReason::Retry | WaitReason::Poll => {
            debug!(target: "actionlog", wait_ms = milliseconds, "waiting before the next request");
        }
    }
    observer.emit(Event::Waiting(Waiting { call: call.name(), reason, wait }));
}

/// Reports that a failed attempt will be retried.
pub(super) fn again(attempt: u32, error: &Error) {
    warn!(
        target: "actionlog",
        attempt,
        "error.type" = error.kind().as_str(),
        http.response.status_code = error.status().map(|it| it.as_u16()),
        "an attempt failed and will be retried"
    );
}

impl<'a> Attempt<'a> {
    pub(super) fn begin(call: &'a CallContext, observer: &'a Observer, server: (&str, u16), number: u32) -> Self {
        let span = info_span!(
            target: "actionlog",
            "actionlog.attempt",
            otel.name = %format_args!("{} {}", call.method, call.template),
            otel.kind = "client",
            otel.status_code = field::Empty,
            http.request.method = call.method.as_str(),
            url.template = &*call.template,
            server.address = server.0,
            server.port = server.1,
            http.request.resend_count = (number > 1).then(|| number - 1),
            http.response.status_code = field::Empty,
            network.protocol.version = field::Empty,
            "error.type" = field::Empty,
        );
        Self {
            call,
            observer,
            span,
            number,
            began: Instant::now(),
            took: None,
            status: None,
            end: AttemptResult::Cancelled,
        }
    }

    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Records the status of the response.
    pub(super) fn responded(&mut self, status: StatusCode, version: Version) {
        self.status = Some(status);
        self.took = Some(self.began.elapsed());
        self.span.record("http.response.status_code", status.as_u16());
        self.span.record("network.protocol.version", protocol(version));
    }

    pub(super) fn end(mut self, error: Option<&Error>) {
        self.end = error.map_or(AttemptResult::Done, |error| AttemptResult::Failed(error.kind()));
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some(error_type) = self.end.error_type() {
            fail(&self.span, error_type);
        }
        self.observer.emit(Event::AttemptEnded(AttemptEnded {
            call: self.call.name(),
            attempt: self.number,
            took: self.took.unwrap_or_else(|| self.began.elapsed()),
            status: self.status,
            end: self.end,
        }));
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}
