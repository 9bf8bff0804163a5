//! How fast a client and its clones ask: how many at once, and when not at all.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

use super::rate_limit::RateLimit;
use crate::error::{Error, ErrorKind, Result};
use crate::observe::WaitReason;

/// Nobody is held back for longer than this by one answer. A server that asked for more is asked again then.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// When a pause is over, each of those who waited goes this much after the one before.
const SPACING: Duration = Duration::from_millis(20);

/// Nobody waits longer than this for that. Those who would go together with others.
const LONGEST_SPREAD: Duration = Duration::from_secs(30);

const A_CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);

/// What the clones of a client share of their pace.
#[derive(Debug)]
pub(super) struct Pace {
    /// One for each request that may be under way. `None` is without limit.
    permits: Option<Semaphore>,
    pause: Mutex<Option<Pause>>,
    last: Mutex<Option<RateLimit>>,
}

/// The server said when to come again.
#[derive(Clone, Copy, Debug)]
struct Pause {
    /// Until when nobody asks.
    until: Instant,
    /// Until when the server asked to be left alone: the same, or later.
    asked: Instant,
    /// How many wait for its end, or have.
    waiting: u32,
}

/// What a call makes of a pause that it finds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// The longest that it waits for pauses.
    pub(super) longest: Duration,
    /// Waited on top, so that not all clients that wait come at once.
    pub(super) jitter: Duration,
    /// When it has to be done.
    pub(super) deadline: Option<Instant>,
}

/// The right to have one request under way, until it is dropped.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    _permit: Option<SemaphorePermit<'a>>,
}

impl Pace {
    /// `most` requests at once; 0 counts as 1.
    pub(super) fn new(most: Option<usize>) -> Self {
        let permits = most.map(|most| Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
        Self { permits, pause: Mutex::default(), last: Mutex::default() }
    }

    /// Waits until a request may go out.
    ///
    /// Pauses are waited for without a permit, so that what is left of the client's requests isn't held back by those who
    /// sleep; so one that begins while a permit is waited for is waited for as well.
    pub(super) async fn enter(
        &self,
        patience: Patience,
        waiting: &(dyn Fn(WaitReason, Option<Duration>) + Sync),
    ) -> Result<Permit<'_>> {
        let mut patience = patience;
        loop {
            if let Some(pause) = self.pause() {
                let now = Instant::now();
                let (wait, asked) = (pause.until - now, pause.asked - now);
                let ends = pause.until + patience.jitter;
                if asked > patience.longest || patience.deadline.is_some_and(|deadline| ends >= deadline) {
                    return Err(held_back(asked));
                }
                patience.longest -= wait;
                let turn = self.turn(patience.deadline.map(|deadline| deadline - ends));
                waiting(WaitReason::Pause, Some(wait + patience.jitter + turn));
                sleep_until(ends + turn).await;
            }
            let permit = self.permit(waiting).await;
            if self.pause().is_none() {
                return Ok(permit);
            }
        }
    }

    async fn permit(&self, waiting: &(dyn Fn(WaitReason, Option<Duration>) + Sync)) -> Permit<'_> {
        let Some(permits) = &self.permits else { return Permit { _permit: None } };
        if let Ok(permit) = permits.try_acquire() {
            return Permit { _permit: Some(permit) };
        }
        waiting(WaitReason::Permit, None);
        // It fails only once closed, which it never is.
        Permit { _permit: permits.acquire().await.ok() }
    }

    /// How long after the end of the pause it is the turn of one who begins to wait for it. `room`: how long there is for
    /// that at most.
    pub(super) fn turn(&self, room: Option<Duration>) -> Duration {
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(pause) = pause.as_mut() else { return Duration::ZERO };
        let before = pause.waiting;
        pause.waiting = before.saturating_add(1);
        let period = room.map_or(LONGEST_SPREAD, |room| room.min(LONGEST_SPREAD)).as_micros().max(1);
        let turn = SPACING.saturating_mul(before).as_micros() % period;
        Duration::from_micros(u64::try_from(turn).unwrap_or_default())
    }

    fn pause(&self) -> Option<Pause> {
        let pause = *self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        pause.filter(|it| it.until > Instant::now())
    }

    /// Keeps everybody from asking for as long as the server says, or longer if another answer said so.
    pub(super) fn hold(&self, wait: Duration) {
        let now = Instant::now();
        let until = now + wait.min(LONGEST_PAUSE);
        // Further than can be counted is longer than anyone waits.
        let asked = now.checked_add(wait).or_else(|| now.checked_add(A_CENTURY)).unwrap_or(until);
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        let before = pause.filter(|it| it.until > now);
        *pause = Some(Pause {
            until: before.map_or(until, |it| it.until.max(until)),
            asked: before.map_or(asked, |it| it.asked.max(asked)),
            waiting: before.map_or(0, |it| it.waiting),
        });
    }

    /// Keeps what an answer says of its limits, if it says anything.
    pub(super) fn learn(&self, headers: &HeaderMap) -> Option<RateLimit> {
        let limit = RateLimit::read(headers)?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(limit);
        Some(limit)
    }

    pub(super) fn rate_limit(&self) -> Option<RateLimit> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn held_back(wait: Duration) -> Error {
    let message = format!("not sent, as the server asked to be left alone for another {wait:.1?}");
    Error::new(ErrorKind::RateLimited, message).with_retry_after(Some(wait))
}
