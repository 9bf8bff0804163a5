//! Whether it's worth while to sign anew after a 401.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// After credentials that were made anew were refused too, none are made anew for this long: twice as long with each time
/// that it happens again.
const PAUSE: Duration = Duration::from_secs(10);

const LONGEST: Duration = Duration::from_secs(300);

/// What the clones of a client share of what came of signing anew.
///
/// Without it, a server that refuses everybody is asked twice by each call, and a token source once by each, for ever:
/// neither is counted to the retry budget.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    failures: u32,
    not_before: Option<Instant>,
}

impl Renewal {
    /// How long it isn't tried, if it isn't.
    pub(super) fn rests(&self) -> Option<Duration> {
        let until = self.state.lock().unwrap_or_else(PoisonError::into_inner).not_before?;
        until.checked_duration_since(Instant::now()).filter(|it| !it.is_zero())
    }

    /// What was signed anew was refused again. Of many calls that find so at once, one counts.
    pub(super) fn failed(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if state.not_before.is_none_or(|it| it <= now) {
            let pause = PAUSE.saturating_mul(1 << state.failures.min(8)).min(LONGEST);
            *state = State { failures: state.failures.saturating_add(1), not_before: now.checked_add(pause) };
        }
    }

    /// The server took a signature. It may refuse the same one elsewhere, for ever: so what was found out is not forgotten
    /// at once, but soon.
    pub(super) fn worked(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = state.not_before {
            let soon = Instant::now() + PAUSE;
            *state = State { failures: 0, not_before: Some(until.min(soon)) };
        }
    }
}
