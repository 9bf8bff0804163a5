//! Blocking calls and iterators, for programs without an async runtime (feature `blocking`).
//!
//! There is no second set of clients. Every call has `blocking()` instead of `.await`, every stream has
//! `blocking()`, which makes it an [`Iterator`], and [`wait`] blocks on any other future of the crate:
//!
//! ```
//! # #[cfg(feature = "testing")]
//! # fn main() -> actionlog::Result<()> {
//! use actionlog::{IntegrationClient, blocking, testing::FakeServer};
//!
//! let server = FakeServer::new();
//! server.integration().add_sample_logs(120);
//! let client = IntegrationClient::builder("http://localhost").api_key("any");
//! let client = client.http_client(server.http_client()).build()?;
//!
//! let page = client.logs().list(()).page().blocking()?;
//! assert_eq!(page.len(), 100);
//!
//! let mut logs = client.logs().list(()).items().blocking();
//! for log in &mut logs {
//!     println!("{}", log?.id);
//! }
//! println!("{}", logs.summary().verdict);
//!
//! let all = blocking::wait(client.logs().list(()).collect())?;
//! assert_eq!(all.items.len(), 120);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "testing"))] fn main() {}
//! ```
//!
//! # The runtime
//!
//! One background thread drives one Tokio runtime for the whole process. It is started by the first blocking call, and
//! runs until the process ends. It drives connections, timers and [prefetched](crate::Listing::prefetch) pages, so
//! reading ahead continues between two calls of `next`. The calling thread does the rest. Clients can be shared between
//! blocking and async callers.
//!
//! # Inside of an async runtime
//!
//! Blocking there would stop the other tasks of the thread. So a blocking call inside of an async Tokio task fails with
//! [`ErrorKind::CannotBlock`], before anything is sent: use `.await`, or call it within `spawn_blocking` or
//! `block_in_place`, where blocking is allowed. An iterator yields that error once, and ends. Tasks of other runtimes,
//! and futures within `tokio::task::unconstrained`, aren't recognized.
//!
//! Iterators and calls may be dropped anywhere, also inside of an async runtime.
//!
//! # After `fork`
//!
//! A forked process has no background thread, so a blocking call there never returns if one was made before the fork.
//! Make the first one behind it.

use std::future::poll_fn;
use std::ops::Deref;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use futures_core::Stream;
use tokio::runtime::{Builder, Handle};

use crate::error::{Error, ErrorKind, Result};

/// Waits for a future, with the background runtime instead of the caller's.
///
/// Use it for what has no `blocking()`, such as [`collect`](crate::Listing::collect) and
/// [`with_response`](crate::Call::with_response). A result of the future is inside of the result of this function.
///
/// # Errors
///
/// [`ErrorKind::CannotBlock`] inside of an [async runtime](self#inside-of-an-async-runtime), in a destructor of a
/// thread-local variable, or if the background thread can't be started. The future isn't polled then.
pub fn wait<F: IntoFuture>(future: F) -> Result<F::Output> {
    // Whatever waits needs Tokio's thread-local variable. It is gone in the destructors of others.
    if Handle::try_current().is_err_and(|it| it.is_thread_local_destroyed()) {
        let error = Error::new(ErrorKind::CannotBlock, "a blocking call while its thread ends");
        return Err(error.with_hint(Some("make the call before the thread ends, not in a thread-local's destructor")));
    }
    if is_in_async() {
        let hint = "use `.await` here, or move the blocking call into `tokio::task::spawn_blocking`";
        let error = Error::new(ErrorKind::CannotBlock, "a blocking call inside of an async runtime");
        return Err(error.with_hint(Some(hint)));
    }
    let runtime = background()?;
    let _entered = runtime.enter();
    Ok(block_on(future.into_future()))
}

/// A stream as an iterator, which blocks until the next item is there. Created by `blocking()` of a stream.
///
/// It dereferences to the stream, for its `summary()` and `cursor()`.
#[derive(Debug)]
#[must_use = "iterators do nothing unless consumed"]
pub struct Blocking<S> {
    stream: S,
    /// The iterator was used where it can't block.
    ended: bool,
}

impl<S> Blocking<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, ended: false }
    }

    /// Returns the stream. Nothing is lost: it continues behind the last item that was yielded.
    pub fn into_stream(self) -> S {
        self.stream
    }
}

impl<S> Deref for Blocking<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.stream
    }
}

impl<S: Stream<Item = Result<T>> + Unpin, T> Iterator for Blocking<S> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        if self.ended {
            return None;
        }
        let stream = &mut self.stream;
        wait(poll_fn(|cx| std::pin::Pin::new(&mut *stream).poll_next(cx))).unwrap_or_else(|error| {
            self.ended = true;
            Some(Err(error))
        })
    }
}

/// The background runtime, once it was started.
static RUNTIME: Mutex<Option<Handle>> = Mutex::new(None);

/// Returns the background runtime, and starts it if it isn't there yet.
fn background() -> Result<Handle> {
    let mut started = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = &*started {
        return Ok(runtime.clone());
    }
    let failed = |error| {
        Error::new(ErrorKind::CannotBlock, "the background runtime of blocking calls couldn't be started")
            .with_source(Box::<dyn std::error::Error + Send + Sync>::from(error))
    };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let handle = runtime.handle().clone();
    let forever = move || runtime.block_on(std::future::pending::<()>());
    thread::Builder::new().name("actionlog-blocking".to_owned()).spawn(forever).map_err(failed)?;
    *started = Some(handle.clone());
    Ok(handle)
}

/// Returns the background runtime if a blocking call has started it.
pub(crate) fn started() -> Option<Handle> {
    RUNTIME.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// More than the budget of a Tokio task, which is a `u8`.
const UNITS: u32 = 256;

/// Returns whether this thread polls an async task of a Tokio runtime, and so mustn't block.
///
/// Tokio has no function for that: a runtime is also current where blocking is allowed, as in `spawn_blocking`. But
/// only tasks have a budget, after which they have to yield. (The budget is used up here, so the task yields once more
/// than it would have.)
fn is_in_async() -> bool {
    if Handle::try_current().is_err() {
        return false;
    }
    let mut cx = Context::from_waker(Waker::noop());
    (0..UNITS).any(|_| pin!(tokio::task::consume_budget()).poll(&mut cx).is_pending())
}

/// Wakes a thread that waits for a future.
struct Unpark {
    thread: Thread,
    /// Beside the thread's own token, which the future may use up by parking the thread itself.
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let unpark = Arc::new(Unpark { thread: thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&unpark));
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        while !unpark.woken.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }
}
