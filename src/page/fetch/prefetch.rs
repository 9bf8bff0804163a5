//! Prefetching: requests the windows that the walk is likely to want next.
//!
//! The walk doesn't know about it. It names the window that it wants, and a prefetched page is used if it is of that
//! window. The others are dropped when the walk has to go back.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_core::future::BoxFuture;
use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::Instrument;

use crate::error::{Error, ErrorKind, Result};
use crate::page::Window;
use crate::page::fetch::pace::Pace;
use crate::transport::Flight;

/// The maximum number of requests in flight for one listing.
const MAX_IN_FLIGHT: usize = 32;

/// How many requests are in flight unless the caller sets it.
const USUAL_IN_FLIGHT: usize = 4;

/// For how many windows nothing is prefetched after two wrong predictions in a row.
const CALM: u32 = 16;

/// The windows behind the next one, if the listing stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PrefetchHint {
    /// The distance from one window to the next.
    pub(in crate::page) step: u64,
    /// The end of the listing, if it is known. Nothing is requested beyond it.
    pub(in crate::page) end: Option<u64>,
}

/// Prefetched pages, in the order of their windows.
#[derive(Debug)]
pub(crate) struct Prefetcher<T> {
    /// How many requests may be in flight at most, including the one that is wanted.
    most: usize,
    /// How many may be now, as the server bears them.
    pace: Arc<Mutex<Pace>>,
    /// How many windows to prefetch: halved after each wrong prediction, and one more after each right one. So the
    /// requests that are dropped are at most twice those that were wanted, plus twice `most`.
    room: usize,
    tasks: VecDeque<(Window, Task<T>)>,
    /// How many requests were dropped.
    dropped: u64,
    /// How many predictions in a row were wrong.
    wrong: u32,
    /// For how many more windows nothing is prefetched.
    calm: u32,
}

impl<T: Send + Unpin + 'static> Prefetcher<T> {
    fn new(most: usize) -> Self {
        let pace = Arc::new(Mutex::new(Pace::new(most)));
        Self { most, pace, room: most.saturating_sub(1), tasks: VecDeque::new(), dropped: 0, wrong: 0, calm: 0 }
    }

    /// `most` is how many requests may be in flight, as the caller set it.
    pub(crate) fn with_setting(most: Option<usize>) -> Self {
        Self::new(most.unwrap_or(USUAL_IN_FLIGHT).clamp(1, MAX_IN_FLIGHT))
    }

    /// Returns how many requests were wasted because their pages weren't wanted.
    pub(in crate::page) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Returns the request for this window, if it was prefetched. If another window was prefetched, the prediction was
    /// wrong, and all of them are dropped.
    pub(super) fn take(&mut self, window: Window) -> Option<Task<T>> {
        self.calm = self.calm.saturating_sub(1);
        match self.tasks.pop_front() {
            Some((prefetched, task)) if prefetched == window => {
                self.wrong = 0;
                self.room = (self.room + 1).min(self.most.saturating_sub(1));
                return (!matches!(task.state, State::Failed)).then_some(task);
            }
            Some(unwanted) => {
                // Back to the others, so that `clear` counts it as dropped, too.
                self.tasks.push_front(unwanted);
                self.wrong += 1;
                self.room = (self.room / 2).max(1);
                if self.wrong > 1 {
                    // The listing shifts too much to predict.
                    self.wrong = 0;
                    self.calm = CALM;
                }
                self.clear();
            }
            None => {}
        }
        None
    }

    /// Drops the requests in flight.
    pub(crate) fn clear(&mut self) {
        self.dropped += self.tasks.drain(..).filter(|(_, task)| task.was_sent()).count() as u64;
    }

    /// Makes a request, and notes how long it took and whether the server refused it.
    pub(super) fn timed<F>(&self, request: impl FnOnce(Arc<Flight>) -> F) -> BoxFuture<'static, Result<T>>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let flight = Arc::new(Flight::default());
        Box::pin(timed(Arc::clone(&self.pace), request(Arc::clone(&flight)), flight))
    }

    /// Requests up to `windows` windows behind `wanted`.
    pub(super) fn prefetch<F>(
        &mut self,
        wanted: Window,
        prefetch_hint: PrefetchHint,
        windows: u64,
        request: impl Fn(Window, Arc<Flight>) -> F,
    ) where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        if self.calm > 0 {
            return;
        }
        let most = self.pace.lock().unwrap_or_else(PoisonError::into_inner).in_flight();
        let windows = windows.min(self.room.min(most - 1) as u64);
        while (self.tasks.len() as u64) < windows {
            let last = self.tasks.back().map_or(wanted, |(window, _)| *window);
            let offset = last.offset.saturating_add(prefetch_hint.step);
            // A window that starts at the last record proves the end; there is nothing behind it.
            if prefetch_hint.end.is_some_and(|end| offset >= end) {
                break;
            }
            let window = Window { offset, ..wanted };
            self.tasks.push_back((window, Task::spawn(&self.pace, |flight| request(window, flight))));
        }
    }

    /// Requests the windows again that have failed by now with a transient error. A page has come since, so their
    /// errors are outdated when their turn comes. As many as may be in flight now are requested at once, and the others
    /// when they are wanted.
    pub(crate) fn retry_failed<F>(&mut self, request: impl Fn(Window, Arc<Flight>) -> F)
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let ahead = self.pace.lock().unwrap_or_else(PoisonError::into_inner).in_flight().saturating_sub(1);
        for (index, (window, task)) in self.tasks.iter_mut().enumerate() {
            match task.now_or_never() {
                Some(Err(error)) if error.is_transient() && index < ahead => {
                    *task = Task::spawn(&self.pace, |flight| request(*window, flight));
                }
                Some(Err(error)) if error.is_transient() => {
                    *task = Task { state: State::Failed, flight: Arc::default() };
                }
                // `now_or_never` has taken the response out of the task.
                Some(response) => *task = Task::done(response),
                None => {}
            }
        }
    }
}

/// Notes in `pace` how long the request took, and whether the server refused it.
async fn timed<T, F>(pace: Arc<Mutex<Pace>>, request: F, flight: Arc<Flight>) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let began = Instant::now();
    let response = request.await;
    let was_refused = flight.refused.load(Ordering::Relaxed);
    if was_refused || response.is_ok() {
        pace.lock().unwrap_or_else(PoisonError::into_inner).note(began.elapsed(), was_refused);
    }
    response
}

/// A request in a separate task: it progresses whatever the consumer of the stream does meanwhile. It is aborted on
/// drop.
#[derive(Debug)]
pub(crate) struct Task<T> {
    state: State<T>,
    flight: Arc<Flight>,
}

#[derive(Debug)]
enum State<T> {
    Running(JoinHandle<Result<T>>),
    Done(Option<Result<T>>),
    /// It failed, and is to be requested again.
    Failed,
}

impl<T: Send + Unpin + 'static> Task<T> {
    fn spawn<F>(pace: &Arc<Mutex<Pace>>, request: impl FnOnce(Arc<Flight>) -> F) -> Self
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let flight = Arc::new(Flight::default());
        let response = timed(Arc::clone(pace), request(Arc::clone(&flight)), Arc::clone(&flight));
        Self { state: State::Running(tokio::spawn(response.in_current_span())), flight }
    }

    fn done(response: Result<T>) -> Self {
        Self { state: State::Done(Some(response)), flight: Arc::new(Flight { sent: true.into(), ..Flight::default() }) }
    }

    fn was_sent(&self) -> bool {
        self.flight.sent.load(Ordering::Relaxed)
    }
}

impl<T: Unpin> Future for Task<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let gone = || Error::new(ErrorKind::Transport, "the Tokio runtime shut down before the response came");
        match &mut self.state {
            State::Running(handle) => {
                Pin::new(handle).poll(cx).map(|result| match result.map_err(tokio::task::JoinError::try_into_panic) {
                    Ok(response) => response,
                    // A panic while decoding belongs to the task that polls the stream.
                    Err(Ok(panic)) => resume_unwind(panic),
                    Err(Err(_)) => Err(gone()),
                })
            }
            State::Done(response) => Poll::Ready(response.take().unwrap_or_else(|| Err(gone()))),
            State::Failed => Poll::Ready(Err(Error::new(ErrorKind::Transport, "the request failed"))),
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        if let State::Running(handle) = &self.state {
            handle.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: u64 = 9;

    /// Wants one window after the other, and prefetches behind each.
    struct Walker {
        prefetcher: Prefetcher<()>,
        window: Window,
    }

    impl Walker {
        fn new(most: usize) -> Self {
            Self { prefetcher: Prefetcher::new(most), window: Window { offset: 0, limit: 10 } }
        }

        /// Moves to the predicted window, or to another. Returns whether it was prefetched.
        async fn turn(&mut self, right: bool) -> bool {
            self.window.offset += if right { STEP } else { STEP - 1 };
            let there = self.prefetcher.take(self.window).is_some();
            self.read(None);
            tokio::task::yield_now().await;
            there
        }

        fn read(&mut self, end: Option<u64>) {
            self.prefetcher.prefetch(
                self.window,
                PrefetchHint { step: STEP, end },
                u64::MAX,
                |_, flight: Arc<Flight>| async move {
                    flight.sent.store(true, Ordering::Relaxed);
                    Ok(())
                },
            );
        }

        fn in_flight(&self) -> usize {
            self.prefetcher.tasks.len()
        }
    }

    #[tokio::test]
    async fn dropped_requests_are_bounded_by_the_wanted_ones() {
        // Right this often, then wrong: always at the worst moment.
        for right in 0..8 {
            let mut walker = Walker::new(MAX_IN_FLIGHT);
            for turn in 1..=1_000 {
                walker.turn(turn % (right + 1) != 0).await;
                let (dropped, most) = (walker.prefetcher.dropped(), 2 * (turn + MAX_IN_FLIGHT as u64));
                assert!(dropped <= most, "{dropped} of {turn} wanted, after {right} each");
            }
        }
    }

    #[tokio::test]
    async fn a_wrong_prediction_halves_the_prefetched_windows_and_each_right_one_adds_one() {
        let mut walker = Walker::new(9);
        assert!(!walker.turn(true).await);
        assert_eq!(walker.in_flight(), 8);
        // The prediction was wrong: all prefetched pages are dropped, and half as many are requested.
        assert!(!walker.turn(false).await);
        assert_eq!((walker.in_flight(), walker.prefetcher.dropped()), (4, 8));
        for expected in [5, 6, 7, 8, 8] {
            assert!(walker.turn(true).await);
            assert_eq!(walker.in_flight(), expected);
        }
    }

    #[tokio::test]
    async fn after_two_wrong_predictions_in_a_row_nothing_is_prefetched_for_a_while() {
        let mut walker = Walker::new(9);
        for right in [true, false, true, false] {
            walker.turn(right).await;
            assert!(walker.in_flight() > 0, "wrong, but not twice in a row");
        }
        walker.turn(false).await;
        for _ in 1..CALM {
            assert_eq!(walker.in_flight(), 0);
            assert!(!walker.turn(true).await);
        }
        walker.turn(true).await;
        assert!(walker.in_flight() > 0);
        assert!(walker.turn(true).await);
    }

    #[tokio::test]
    async fn no_more_is_prefetched_than_may_be_in_flight_beside_the_wanted_page() {
        let mut walker = Walker::new(8);
        walker.prefetcher.pace.lock().unwrap().note(std::time::Duration::ZERO, true);
        walker.read(None);
        assert_eq!(walker.in_flight(), 3);
    }

    #[tokio::test]
    async fn nothing_is_requested_behind_the_end() {
        for (end, expected) in [(9, 0), (10, 1), (18, 1), (19, 2), (27, 2), (28, 3)] {
            let mut walker = Walker::new(9);
            walker.read(Some(end));
            // A window that starts at the last record proves that it is the last.
            assert_eq!(walker.in_flight(), expected, "{end}");
        }
    }

    #[tokio::test]
    async fn transient_failures_before_a_page_came_are_requested_again_at_once_and_others_are_not() {
        let mut prefetcher = Prefetcher::new(4);
        let window = |offset| Window { offset, limit: 10 };
        prefetcher.prefetch(window(0), PrefetchHint { step: STEP, end: None }, u64::MAX, |window, _| async move {
            match window.offset {
                9 => Err(Error::new(ErrorKind::Transport, "the connection broke")),
                18 => Err(Error::new(ErrorKind::Forbidden, "not allowed")),
                _ => Ok("first"),
            }
        });
        tokio::task::yield_now().await;
        prefetcher.retry_failed(|_, _| async { Ok("again") });
        assert_eq!(prefetcher.take(window(9)).unwrap().await.unwrap(), "again");
        assert_eq!(prefetcher.take(window(18)).unwrap().await.unwrap_err().kind(), ErrorKind::Forbidden);
        assert_eq!(prefetcher.take(window(27)).unwrap().await.unwrap(), "first");
    }

    #[tokio::test]
    async fn after_refusals_no_more_are_requested_again_at_once_than_may_be_in_flight() {
        let mut prefetcher: Prefetcher<()> = Prefetcher::new(8);
        let window = |offset| Window { offset, limit: 10 };
        let hint = PrefetchHint { step: STEP, end: None };
        prefetcher.prefetch(window(0), hint, u64::MAX, |_, flight: Arc<Flight>| async move {
            flight.refused.store(true, Ordering::Relaxed);
            Err(Error::new(ErrorKind::RateLimited, "too many requests"))
        });
        assert_eq!(prefetcher.tasks.len(), 7);
        tokio::task::yield_now().await;
        let again = std::sync::atomic::AtomicU32::new(0);
        prefetcher.retry_failed(|_, _| {
            again.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        });
        assert_eq!((again.load(Ordering::Relaxed), prefetcher.dropped()), (0, 0), "one at a time");
        // They are requested when their turn comes, which isn't a wrong prediction.
        assert!(prefetcher.take(window(9)).is_none());
        assert_eq!((prefetcher.tasks.len(), prefetcher.wrong), (6, 0));
    }
}
