//! What a client, and what a call, is set to.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::RetryPolicy;
use crate::auth::Secret;
use crate::error::{Error, ErrorKind, Result};
use crate::headers::Headers;
use crate::observe::Observer;
use crate::request::MostRecords;

/// How long things may take. `None` is without limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeouts {
    pub(crate) connect: Option<Duration>,
    pub(crate) attempt: Option<Duration>,
    pub(crate) operation: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Some(Duration::from_secs(5)),
            attempt: Some(Duration::from_secs(30)),
            operation: Some(Duration::from_secs(120)),
        }
    }
}

/// What a single call sets over the client's settings. The outer `None` is "as the client has it".
#[derive(Clone, Debug, Default)]
pub(crate) struct CallOptions {
    pub(crate) attempt: Option<Option<Duration>>,
    pub(crate) operation: Option<Option<Duration>>,
    pub(crate) retry: Option<RetryPolicy>,
    pub(crate) headers: Headers,
    /// Set as soon as a request goes out.
    pub(crate) sent: Option<Arc<AtomicBool>>,
}

/// What a client is built with that isn't where it is, or how it's signed for.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) timeouts: Timeouts,
    pub(crate) max_body: usize,
    pub(crate) max_records: MostRecords,
    pub(crate) max_collected: u64,
    pub(crate) retry: RetryPolicy,
    pub(crate) max_in_flight: Option<usize>,
    pub(crate) idempotency: Option<HeaderName>,
    pub(crate) headers: Headers,
    pub(crate) jitter: Jitter,
    pub(crate) observer: Observer,
    /// What is withheld beside the credentials: what the user names, and the password of the proxy that is set.
    pub(crate) secrets: Vec<Secret>,
}

/// Where chance comes from: a number from 0 to 1.
#[derive(Clone)]
pub(crate) struct Jitter(pub(crate) Arc<dyn Fn() -> f64 + Send + Sync>);

impl Default for Jitter {
    fn default() -> Self {
        Self(Arc::new(fastrand::f64))
    }
}

impl Jitter {
    /// A part of a time, by chance.
    pub(super) fn part_of(&self, time: Duration) -> Duration {
        let part = (self.0)();
        time.mul_f64(if part.is_finite() { part.clamp(0.0, 1.0) } else { 1.0 })
    }
}

impl fmt::Debug for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Jitter(..)")
    }
}

/// A text that nobody else uses: a random UUID. From the system each time, as a state of one's own would be the same in a
/// process and in its fork.
pub(super) fn idempotency_key() -> Result<HeaderValue> {
    let unusable = |error| Error::new(ErrorKind::InvalidRequest, "no idempotency key can be made").with_source(error);
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| unusable(format!("no randomness from the system: {error}")))?;
    let number = u128::from_be_bytes(random) & !(0xf << 76) & !(0b11 << 62) | 4 << 76 | 0b10 << 62;
    let hex = format!("{number:032x}");
    let text = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    HeaderValue::try_from(text).map_err(|error| unusable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// The generator of a process is in the same state after a fork, in the parent and in each child. (`.ci/forked` forks.)
    #[test]
    fn keys_do_not_come_from_the_state_of_the_process() {
        let keys = |seed| {
            fastrand::seed(seed);
            let jitter = Jitter::default();
            let wait = jitter.part_of(Duration::from_secs(1));
            let keys: Vec<_> = (0..100).map(|_| idempotency_key().unwrap().to_str().unwrap().to_owned()).collect();
            (wait, keys)
        };
        let children = [keys(7), keys(7), keys(7)];
        // It's the same state: what does come from it is the same.
        assert!(children.iter().all(|it| it.0 == children[0].0));
        let different: HashSet<_> = children.iter().flat_map(|it| &it.1).collect();
        assert_eq!(different.len(), 300);
        for key in different {
            let bytes = key.as_bytes();
            assert!(key.len() == 36 && bytes[14] == b'4' && b"89ab".contains(&bytes[19]), "{key}");
        }
    }
}
