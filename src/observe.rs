//! Events and spans for metrics and traces.
//!
//! # Observer
//!
//! [`ClientBuilder::observer`](crate::ClientBuilder::observer) takes a function that is called with each [`Event`]: an
//! attempt that ended, a wait that starts, a page that was read.
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
//! With a [`tracing`](https://docs.rs/tracing) subscriber, each call has a span, which contains a span for each
//! attempt. The spans have the level `INFO` and the target `actionlog`, and their fields are those of OpenTelemetry's
//! HTTP client spans:
//!
//! | field | call span | attempt span |
//! |---|---|---|
//! | `otel.name` | method and path template, such as `GET /v1/logs/{logId}` | the same |
//! | `otel.kind` | `internal` | `client` |
//! | `actionlog.api` | the API | |
//! | `http.request.method`, `url.template` | yes | yes |
//! | `server.address`, `server.port` | | yes |
//! | `http.request.resend_count` | | from the second attempt on |
//! | `http.response.status_code`, `network.protocol.version` | | if there was a response |
//! | `error.type`, `otel.status_code` | if it failed | if it failed |
//! | `actionlog.attempts` | when it ended | |
//!
//! The spans are named `actionlog.call` and `actionlog.attempt`. `error.type` is a name from [`ErrorKind::as_str`], or
//! `cancelled` if the call was dropped or its timeout expired.
//!
//! Each retry emits an event of level `WARN`, and the wait before it one of level `DEBUG`. A wait because the server
//! sent `Retry-After` to *another* call emits an event of level `INFO`, and a wait for a permit one of level `DEBUG`.
//!
//! # What events and spans leave out
//!
//! Credentials, headers, bodies, and the values in the path and the query. Only the path template and the names of the
//! parameters are shown. The template of a custom [`Request`](crate::Request) is shown as it is.
//!
//! The underlying crates emit their own spans and events. These don't contain the client's credentials, but at `DEBUG`
//! and `TRACE` `h2` logs the text that a *server* sends when it closes an HTTP/2 connection (GOAWAY), which may be
//! anything.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::error::ErrorKind;
pub use crate::error::Operation;

/// An event during a call or a stream.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An attempt to send a request ended.
    AttemptEnded(AttemptEnded<'a>),
    /// A call starts to wait.
    Waiting(Waiting<'a>),
    /// A page of a listing's stream was read.
    PageRead(PageRead<'a>),
}

/// An attempt that ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AttemptEnded<'a> {
    /// The call.
    pub call: Operation<'a>,
    /// The number of the attempt within its call, from 1.
    pub attempt: u32,
    /// The time from the first byte sent to the last byte received.
    pub took: Duration,
    /// The status of the response, if there was a response.
    pub status: Option<StatusCode>,
    /// How the attempt ended.
    pub end: AttemptResult,
}

impl AttemptEnded<'_> {
    /// OpenTelemetry's `error.type`: a name from a closed list, or `None` if the attempt succeeded.
    #[must_use]
    pub fn error_type(&self) -> Option<&'static str> {
        self.end.error_type()
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttemptResult {
    /// The attempt succeeded.
    Done,
    /// The attempt failed with an error of this kind. Another attempt may follow.
    Failed(ErrorKind),
    /// The attempt was cancelled: the call was dropped, or its timeout expired.
    Cancelled,
}

impl AttemptResult {
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

/// A wait that starts.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Waiting<'a> {
    /// The call.
    pub call: Operation<'a>,
    /// Why the call waits.
    pub reason: WaitReason,
    /// The length of the wait, if it is known in advance.
    pub wait: Option<Duration>,
}

/// Why a call waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitReason {
    /// The backoff before a retry.
    Retry,
    /// The server sent `Retry-After` to another call of this client or its clones.
    Pause,
    /// The limit on [requests in flight](crate::ClientBuilder::max_in_flight) is reached.
    Permit,
    /// The delay before a stream polls again after an error.
    Poll,
}

impl WaitReason {
    /// A stable name for metric labels: `retry`, `pause`, `permit` or `poll`.
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
    /// The call.
    pub call: Operation<'a>,
    /// The requested offset.
    pub offset: u64,
    /// The requested page size.
    pub limit: u32,
    /// The number of records in the page.
    pub received: usize,
    /// The number of records in the page that the stream hadn't seen before.
    pub new: usize,
    /// The total that the server reported, if it did.
    pub total: Option<u64>,
}

type Observe = dyn Fn(&Event<'_>) + Send + Sync;

/// The user's observer function, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Observer(Option<Arc<Observe>>);

impl Observer {
    pub(crate) fn new(observe: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observe)))
    }

    /// Calls the observer and catches its panics. Events are also emitted from `drop` during unwinding, where a second
    /// panic would abort the process.
    pub(crate) fn emit(&self, event: Event<'_>) {
        let Some(observe) = &self.0 else { return };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| observe(&event))) {
            // Dropping the payload might panic again.
            std::mem::forget(panic);
            tracing::error!(target: "actionlog", "the observer panicked, and its event is lost");
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Observer(..)" } else { "Observer(none)" })
    }
}
