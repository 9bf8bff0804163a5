//! Reading ahead: windows that the walk is likely to ask for next are asked for already.
//!
//! The walk doesn't know of it. It says which window it wants, and what was read ahead is of use if it's that one. What
//! isn't wanted, as the walk had to go back, is dropped.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tracing::Instrument;

use super::Window;
use crate::error::{Error, ErrorKind, Result};

/// More than these are never under way for one listing.
pub(super) const MOST: usize = 32;

/// After being wrong twice in a row it doesn't guess for so many windows.
const CALM: u32 = 16;

/// The windows behind the next one, if the listing stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Forecast {
    /// From one to the next.
    pub(super) step: u64,
    /// Where the listing ends, if that's told: beyond it there's nothing to ask for.
    pub(super) end: Option<u64>,
}

/// Answers that were asked for early, in the order of their windows.
#[derive(Debug)]
pub(super) struct Ahead<T> {
    /// How many requests may be under way, the one that is wanted included.
    most: usize,
    /// How many windows it guesses: fewer where it was wrong, and more again, one at a time, where it was right. So what is
    /// dropped in all is no more than twice what was wanted, and twice `most`.
    room: usize,
    tasks: VecDeque<(Window, Task<T>)>,
    /// How many answers were dropped.
    dropped: u64,
    /// How often in a row it was wrong.
    wrong: u32,
    /// For how many windows more it doesn't guess.
    calm: u32,
}

impl<T: Send + Unpin + 'static> Ahead<T> {
    pub(super) fn new(most: usize) -> Self {
        Self { most, room: most.saturating_sub(1), tasks: VecDeque::new(), dropped: 0, wrong: 0, calm: 0 }
    }

    /// How many requests brought nothing, as what they asked for wasn't wanted.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The answer to this window, if it was asked for. If it wasn't, what was asked for isn't what comes next.
    pub(super) fn take(&mut self, window: Window) -> Option<Task<T>> {
        self.calm = self.calm.saturating_sub(1);
        match self.tasks.pop_front() {
            Some((asked, task)) if asked == window => {
                self.wrong = 0;
                self.room = (self.room + 1).min(self.most.saturating_sub(1));
                return Some(task);
            }
            Some(unwanted) => {
                self.tasks.push_front(unwanted);
                self.wrong += 1;
                self.room = (self.room / 2).max(1);
                if self.wrong > 1 {
                    self.wrong = 0;
                    self.calm = CALM;
                }
                self.clear();
            }
            None => {}
        }
        None
    }

    /// Drops what is under way.
    pub(super) fn clear(&mut self) {
        self.dropped += self.tasks.drain(..).filter(|(_, task)| task.was_sent()).count() as u64;
    }

    /// Asks for what comes behind `wanted`, up to `windows` of them.
    pub(super) fn read<F>(&mut self, wanted: Window, forecast: Forecast, windows: u64, ask: impl Fn(Window, Sent) -> F)
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        if self.calm > 0 {
            return;
        }
        let windows = windows.min(self.room as u64);
        while (self.tasks.len() as u64) < windows {
            let last = self.tasks.back().map_or(wanted, |(window, _)| *window);
            let offset = last.offset.saturating_add(forecast.step);
            // The last record alone proves the end, and behind it there's nothing.
            if forecast.end.is_some_and(|end| offset >= end) {
                break;
            }
            let window = Window { offset, ..wanted };
            self.tasks.push_back((window, Task::spawn(|sent| ask(window, sent))));
        }
    }

    /// Asks again for what has failed by now, in a way that passes: told when its turn comes, it would be old news, as an
    /// answer has come since.
    pub(super) fn again<F>(&mut self, ask: impl Fn(Window, Sent) -> F)
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        for (window, task) in &mut self.tasks {
            if let Some(answer) = task.now_or_never() {
                *task = match answer {
                    Err(error) if error.is_transient() => Task::spawn(|sent| ask(*window, sent)),
                    answer => Task::done(answer),
                };
            }
        }
    }
}

/// Set once a request goes out.
type Sent = Arc<AtomicBool>;

/// An answer on its way, in a task of its own: what the consumer of the stream does meanwhile doesn't hold it up, and it
/// holds up nobody. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Task<T> {
    state: State<T>,
    sent: Sent,
}

#[derive(Debug)]
enum State<T> {
    Running(JoinHandle<Result<T>>),
    Done(Option<Result<T>>),
}

impl<T: Send + Unpin + 'static> Task<T> {
    fn spawn<F>(ask: impl FnOnce(Sent) -> F) -> Self
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let sent = Sent::default();
        let answer = ask(Arc::clone(&sent));
        Self { state: State::Running(tokio::spawn(answer.in_current_span())), sent }
    }

    fn done(answer: Result<T>) -> Self {
        Self { state: State::Done(Some(answer)), sent: Arc::new(AtomicBool::new(true)) }
    }

    fn was_sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed)
    }
}

impl<T: Unpin> Future for Task<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let gone = || Error::new(ErrorKind::Transport, "the runtime ended before the answer came");
        match &mut self.state {
            State::Running(handle) => {
                Pin::new(handle).poll(cx).map(|result| match result.map_err(tokio::task::JoinError::try_into_panic) {
                    Ok(answer) => answer,
                    Err(Ok(panic)) => resume_unwind(panic),
                    Err(Err(_)) => Err(gone()),
                })
            }
            State::Done(answer) => Poll::Ready(answer.take().unwrap_or_else(|| Err(gone()))),
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

    /// Wants windows one after the other, and asks for what comes behind.
    struct Walker {
        ahead: Ahead<()>,
        window: Window,
    }

    impl Walker {
        fn new(most: usize) -> Self {
            Self { ahead: Ahead::new(most), window: Window { offset: 0, limit: 10 } }
        }

        /// Goes on to the window that was expected, or to another. Says whether it was there already.
        async fn turn(&mut self, right: bool) -> bool {
            self.window.offset += if right { STEP } else { STEP - 1 };
            let there = self.ahead.take(self.window).is_some();
            self.read(None);
            tokio::task::yield_now().await;
            there
        }

        fn read(&mut self, end: Option<u64>) {
            self.ahead.read(self.window, Forecast { step: STEP, end }, u64::MAX, |_, sent| async move {
                sent.store(true, Ordering::Relaxed);
                Ok(())
            });
        }

        fn under_way(&self) -> usize {
            self.ahead.tasks.len()
        }
    }

    #[tokio::test]
    async fn what_is_dropped_is_bounded_by_what_is_wanted() {
        // Right this often, then wrong: always at the worst moment.
        for right in 0..8 {
            let mut walker = Walker::new(MOST);
            for turn in 1..=1_000 {
                walker.turn(turn % (right + 1) != 0).await;
                let (dropped, most) = (walker.ahead.dropped(), 2 * (turn + MOST as u64));
                assert!(dropped <= most, "{dropped} of {turn} wanted, after {right} each");
            }
        }
    }

    #[tokio::test]
    async fn after_being_wrong_it_guesses_less_and_after_being_right_more_again() {
        let mut walker = Walker::new(9);
        assert!(!walker.turn(true).await);
        assert_eq!(walker.under_way(), 8);
        // What was asked for isn't what comes next any more: none of it is kept, and it begins anew with half as many.
        assert!(!walker.turn(false).await);
        assert_eq!((walker.under_way(), walker.ahead.dropped()), (4, 8));
        for expected in [5, 6, 7, 8, 8] {
            assert!(walker.turn(true).await);
            assert_eq!(walker.under_way(), expected);
        }
    }

    #[tokio::test]
    async fn after_being_wrong_twice_in_a_row_it_does_not_guess_for_a_while() {
        let mut walker = Walker::new(9);
        for right in [true, false, true, false] {
            walker.turn(right).await;
            assert!(walker.under_way() > 0, "wrong, but not twice in a row");
        }
        walker.turn(false).await;
        for _ in 1..CALM {
            assert_eq!(walker.under_way(), 0);
            assert!(!walker.turn(true).await);
        }
        walker.turn(true).await;
        assert!(walker.under_way() > 0);
        assert!(walker.turn(true).await);
    }

    #[tokio::test]
    async fn nothing_is_asked_for_behind_the_end() {
        for (end, expected) in [(9, 0), (10, 1), (18, 1), (19, 2), (27, 2), (28, 3)] {
            let mut walker = Walker::new(9);
            walker.read(Some(end));
            // A window at the last record alone proves that it's the last.
            assert_eq!(walker.under_way(), expected, "{end}");
        }
    }

    #[tokio::test]
    async fn what_failed_before_an_answer_came_is_asked_for_again_at_once_unless_for_good() {
        let mut ahead = Ahead::new(4);
        let window = |offset| Window { offset, limit: 10 };
        ahead.read(window(0), Forecast { step: STEP, end: None }, u64::MAX, |window, _| async move {
            match window.offset {
                9 => Err(Error::new(ErrorKind::Transport, "the connection broke")),
                18 => Err(Error::new(ErrorKind::Forbidden, "not allowed")),
                _ => Ok("first"),
            }
        });
        tokio::task::yield_now().await;
        ahead.again(|_, _| async { Ok("again") });
        assert_eq!(ahead.take(window(9)).unwrap().await.unwrap(), "again");
        assert_eq!(ahead.take(window(18)).unwrap().await.unwrap_err().kind(), ErrorKind::Forbidden);
        assert_eq!(ahead.take(window(27)).unwrap().await.unwrap(), "first");
    }
}
