//! Decides whether to renew the credentials after a 401.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long no credentials are renewed after renewed ones were rejected too. Doubles with each further rejection.
const PAUSE: Duration = Duration::from_secs(10);

const LONGEST: Duration = Duration::from_secs(300);

/// The results of earlier renewals, shared by the clones of a client.
///
/// Without this state, a server that rejects everybody would get two requests from each call, and the token source one,
/// for ever: neither is charged to the retry budget.
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
    /// How long renewals are still suspended, if they are.
    pub(super) fn rests(&self) -> Option<Duration> {
        let until = self.state.lock().unwrap_or_else(PoisonError::into_inner).not_before?;
        until.checked_duration_since(Instant::now()).filter(|it| !it.is_zero())
    }

    /// Renewed credentials were rejected. Of concurrent rejections, only the first counts.
    pub(super) fn failed(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        // Calls that were sent together fail together: that is one failure.
        if state.not_before.is_none_or(|it| it <= now) {
            let pause = PAUSE.saturating_mul(1 << state.failures.min(8)).min(LONGEST);
            *state = State { failures: state.failures.saturating_add(1), not_before: now.checked_add(pause) };
        }
    }

    /// The server accepted credentials. It may keep rejecting the same ones on another path, so the suspension isn't
    /// lifted at once, but soon.
    pub(super) fn worked(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = state.not_before {
            let soon = Instant::now() + PAUSE;
            *state = State { failures: 0, not_before: Some(until.min(soon)) };
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn seconds(renewal: &Renewal) -> Option<u64> {
        renewal.rests().map(|it| it.as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn renewals_are_suspended_for_twice_as_long_after_each_rejection_up_to_five_minutes() {
        let renewal = Renewal::default();
        assert_eq!(seconds(&renewal), None);
        for expected in [10, 20, 40, 80, 160, 300, 300] {
            renewal.failed();
            assert_eq!(seconds(&renewal), Some(expected));
            // Calls that were sent together fail together.
            renewal.failed();
            advance(Duration::from_secs(expected - 1)).await;
            renewal.failed();
            assert_eq!(seconds(&renewal), Some(1));
            advance(Duration::from_secs(1)).await;
            assert_eq!(seconds(&renewal), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn accepted_credentials_end_a_suspension_within_ten_seconds_and_the_next_one_is_short() {
        let renewal = Renewal::default();
        renewal.worked();
        assert_eq!(seconds(&renewal), None);
        for _ in 0..4 {
            advance(renewal.rests().unwrap_or_default()).await;
            renewal.failed();
        }
        assert_eq!(seconds(&renewal), Some(80));
        renewal.worked();
        assert_eq!(seconds(&renewal), Some(10));
        advance(Duration::from_secs(7)).await;
        renewal.worked();
        assert_eq!(seconds(&renewal), Some(3));
        advance(Duration::from_secs(3)).await;
        renewal.failed();
        assert_eq!(seconds(&renewal), Some(10));
    }
}
