//! What happens on the way, for metrics and traces.
//!
//! # A hook
//!
//! [`ClientBuilder::observer`](crate::ClientBuilder::observer) takes a function that is told of each [`Event`]: an
//! attempt that ended, a wait that begins, a page that was read.
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
//!
//! use actionlog::UnleashClient;
//! use actionlog::observe::Event;
//!
//! let failed = Arc::new(AtomicU64::new(0));
//! let counter = Arc::clone(&failed);
//! let client = UnleashClient::builder("https://unleash.example.com")
//!     .bearer("token")
//!     .observer(move |event: &Event<'_>| {
//!         if let Event::AttemptEnded(attempt) = event
//!             && attempt.error_type().is_some()
//!         {
//!             counter.fetch_add(1, Relaxed);
//!         }
//!     })
//!     .build()?;
//! # Ok::<(), actionlog::Error>(())
//! ```
//!
//! # Spans
//!
//! With a [`tracing`](https://docs.rs/tracing) subscriber, there is a span for each call and one in it for each attempt,
//! at level `INFO` and with the target `actionlog`, and the fields are those of OpenTelemetry's HTTP client spans:
//!
//! | field | of the call | of an attempt |
//! |---|---|---|
//! | `otel.name` | method and path template, as `GET /v1/logs/{logId}` | the same |
//! | `otel.kind` | `internal` | `client` |
//! | `actionlog.api` | the API | |
//! | `http.request.method`, `url.template` | yes | yes |
//! | `server.address`, `server.port` | | yes |
//! | `http.request.resend_count` | | from the second attempt on |
//! | `http.response.status_code`, `network.protocol.version` | | if there was an answer |
//! | `error.type`, `otel.status_code` | if it failed | if it failed |
//! | `actionlog.attempts` | when it ended | |
//!
//! The spans are named `actionlog.call` and `actionlog.attempt`. `error.type` is one of the names of
//! [`ErrorKind::as_str`], or `cancelled`: the call was dropped, or its time ran out. A repetition is an event at level
//! `WARN`, and its wait one at `DEBUG`; a wait because the server told *another* call when to come again is one at `INFO`,
//! and one for a free place among the requests under way at `DEBUG`.
//!
//! # What isn't in them
//!
//! No credentials, no header, no body, nothing of the path or the query but the template's text and the parameters'
//! names. A template of your own [`Request`](crate::Request) is shown as it is.
//!
//! The crates beneath have spans and events of their own. Credentials aren't in them, but at `DEBUG` and `TRACE` `h2`
//! tells what a *server* writes as it closes an HTTP/2 connection (GOAWAY), which may be anything.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};

use crate::error::ErrorKind;

/// What happened.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A request was sent, or begun to be, and that is over.
    AttemptEnded(AttemptEnded<'a>),
    /// A call begins to wait.
    Waiting(Waiting<'a>),
    /// A page of a listing's stream was read.
    PageRead(PageRead<'a>),
}

/// Which call it is about: the API, the method and the path's template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CallName<'a> {
    /// The API, as messages name it.
    pub api: &'static str,
    /// The method.
    pub method: &'a Method,
    /// The path below the base URL, with names in place of ids: `/v1/logs/{logId}`.
    pub template: &'a str,
}

/// An attempt that ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AttemptEnded<'a> {
    /// Of which call.
    pub call: CallName<'a>,
    /// Which of the call's attempts it was, from 1.
    pub attempt: u32,
    /// How long it took from the first byte out to the last byte in.
    pub took: Duration,
    /// The answer's status, if there was an answer.
    pub status: Option<StatusCode>,
    /// How it ended.
    pub end: AttemptEnd,
}

impl AttemptEnded<'_> {
    /// OpenTelemetry's `error.type`: a name out of a closed list, or `None` if the attempt came through.
    #[must_use]
    pub fn error_type(&self) -> Option<&'static str> {
        self.end.error_type()
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttemptEnd {
    /// With what was asked for.
    Done,
    /// With an error of this kind. Another attempt may follow.
    Failed(ErrorKind),
    /// It was given up: the call was dropped, or its time ran out.
    Cancelled,
}

impl AttemptEnd {
    pub(crate) const CANCELLED: &str = "cancelled";

    /// OpenTelemetry's `error.type`.
    pub(crate) fn error_type(self) -> Option<&'static str> {
        match self {
            Self::Done => None,
            Self::Failed(kind) => Some(kind.as_str()),
            Self::Cancelled => Some(Self::CANCELLED),
        }
    }
}

/// A wait that begins.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Waiting<'a> {
    /// Of which call.
    pub call: CallName<'a>,
    /// What for.
    pub reason: WaitReason,
    /// For how long, where that is known.
    pub wait: Option<Duration>,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitReason {
    /// The time before an attempt is repeated.
    Retry,
    /// The server told a clone of this client when to come again.
    Pause,
    /// As many requests are under way as [may be](crate::ClientBuilder::max_in_flight).
    Permit,
    /// The time before a stream that had an error asks again.
    Poll,
}

impl WaitReason {
    /// A name of it, for labels: `retry`, `pause`, `permit` or `poll`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Pause => "pause",
            Self::Permit => "permit",
            Self::Poll => "poll",
        }
    }
}

/// A page that was read.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PageRead<'a> {
    /// Of which call.
    pub call: CallName<'a>,
    /// The offset that was asked for.
    pub offset: u64,
    /// The most records that were asked for.
    pub limit: u32,
    /// How many came.
    pub received: usize,
    /// How many of them hadn't come before.
    pub new: usize,
    /// What the server says is the total, if it says.
    pub total: Option<u64>,
}

type Observe = dyn Fn(&Event<'_>) + Send + Sync;

/// Whoever is told.
#[derive(Clone, Default)]
pub(crate) struct Observer(Option<Arc<Observe>>);

impl Observer {
    pub(crate) fn new(observe: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observe)))
    }

    /// A panic of the observer ends here. Events are told from drops too, also while another panic unwinds: a second one
    /// then would end the process.
    pub(crate) fn tell(&self, event: Event<'_>) {
        let Some(observe) = &self.0 else { return };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| observe(&event))) {
            // What was panicked with may panic as it's dropped.
            std::mem::forget(panic);
            tracing::error!(target: "actionlog", "the observer panicked, and missed an event");
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Observer(..)" } else { "Observer(none)" })
    }
}
