//! Limits the requests of a client and its clones: how many are in flight at once, and the pauses that the server asks
//! for.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

use crate::error::rate_limit::RateLimit;
use crate::error::{Error, ErrorKind, Result};
use crate::observe::WaitReason;

/// The longest pause that one response causes. If the server asked for more, the client asks again then.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// After a pause, the waiting calls start at this interval, one by one.
const SPACING: Duration = Duration::from_millis(20);

/// The longest extra wait that this interval causes. Calls beyond it share their start with earlier ones.
const LONGEST_SPREAD: Duration = Duration::from_secs(30);

const A_CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The state that the clones of a client share.
#[derive(Debug)]
pub(super) struct Limiter {
    /// One permit for each request that may be in flight. `None` means no limit.
    permits: Option<Semaphore>,
    pause: Mutex<Option<Pause>>,
    last: Mutex<Option<RateLimit>>,
}

/// The server asked the client to wait.
#[derive(Clone, Copy, Debug)]
struct Pause {
    /// Until when no request is sent.
    until: Instant,
    /// Until when the server asked the client to wait: the same as `until`, or later.
    asked: Instant,
    /// The number of calls that wait for the end of the pause, or have waited.
    waiting: u32,
}

/// How long a call is willing to wait for pauses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// The most time that the call spends in pauses.
    pub(super) longest: Duration,
    /// Added to each pause, so that not all clients return at the same moment.
    pub(super) jitter: Duration,
    /// The call's deadline.
    pub(super) deadline: Option<Instant>,
}

/// The right to have one request in flight, until the permit is dropped.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    _permit: Option<SemaphorePermit<'a>>,
}

impl Limiter {
    /// Allows `most` requests at once; 0 counts as 1.
    pub(super) fn new(most: Option<usize>) -> Self {
        let permits = most.map(|most| Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
        Self { permits, pause: Mutex::default(), last: Mutex::default() }
    }

    /// Waits until a request may be sent.
    ///
    /// A call waits for a pause *without* holding a permit, so that sleeping calls don't block the client's other
    /// requests. A pause may therefore begin while a call waits for its permit; the loop then waits for that pause too.
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
                // Fail now and say for how long, rather than after a wait that can't be long enough.
                if asked > patience.longest || patience.deadline.is_some_and(|deadline| ends >= deadline) {
                    return Err(not_sent(asked));
                }
                patience.longest -= wait;
                let turn = self.turn(patience.deadline.map(|deadline| deadline - ends));
                waiting(WaitReason::Pause, Some(wait + patience.jitter + turn));
                sleep_until(ends + turn).await;
            }
            let permit = self.permit(waiting).await;
            // Otherwise the server asked for a pause meanwhile: the permit goes to nobody until it is over.
            if self.pause().is_none() {
                return Ok(permit);
            }
        }
    }

    /// Waits for a permit, and reports the wait if there is one.
    async fn permit(&self, waiting: &(dyn Fn(WaitReason, Option<Duration>) + Sync)) -> Permit<'_> {
        let Some(permits) = &self.permits else { return Permit { _permit: None } };
        if let Ok(permit) = permits.try_acquire() {
            return Permit { _permit: Some(permit) };
        }
        waiting(WaitReason::Permit, None);
        // `acquire` fails only on a closed semaphore, and this one is never closed.
        Permit { _permit: permits.acquire().await.ok() }
    }

    /// The delay after the end of the pause at which the calling request may start. `room` is the most time that the
    /// caller has for this delay.
    pub(super) fn turn(&self, room: Option<Duration>) -> Duration {
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(pause) = pause.as_mut() else { return Duration::ZERO };
        let before = pause.waiting;
        pause.waiting = before.saturating_add(1);
        let period = room.map_or(LONGEST_SPREAD, |room| room.min(LONGEST_SPREAD)).as_micros().max(1);
        // Beyond the longest spread the turns begin again: a late start must not miss its deadline.
        let turn = SPACING.saturating_mul(before).as_micros() % period;
        Duration::from_micros(u64::try_from(turn).unwrap_or_default())
    }

    /// The current pause, if it isn't over.
    fn pause(&self) -> Option<Pause> {
        let pause = *self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        pause.filter(|it| it.until > Instant::now())
    }

    /// Starts a pause for as long as the server asks, or extends the current one if that ends earlier.
    pub(super) fn pause_for(&self, wait: Duration) {
        let now = Instant::now();
        let until = now + wait.min(LONGEST_PAUSE);
        // A wait that overflows `Instant` is longer than any call waits.
        let asked = now.checked_add(wait).or_else(|| now.checked_add(A_CENTURY)).unwrap_or(until);
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        // A shorter wait that a later response asks for doesn't shorten the pause.
        let before = pause.filter(|it| it.until > now);
        *pause = Some(Pause {
            until: before.map_or(until, |it| it.until.max(until)),
            asked: before.map_or(asked, |it| it.asked.max(asked)),
            waiting: before.map_or(0, |it| it.waiting),
        });
    }

    /// Stores the rate-limit headers of a response, if there are any.
    pub(super) fn learn(&self, headers: &HeaderMap) -> Option<RateLimit> {
        let limit = RateLimit::read(headers)?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(limit);
        Some(limit)
    }

    pub(super) fn rate_limit(&self) -> Option<RateLimit> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of a call that isn't willing to wait for the end of a pause.
fn not_sent(wait: Duration) -> Error {
    let message = format!("not sent: the server asked the client to wait for another {wait:.1?} (Retry-After)");
    Error::new(ErrorKind::RateLimited, message).with_retry_after(Some(wait))
}
