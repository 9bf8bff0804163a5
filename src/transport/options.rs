//! The settings of a client, and the options of a call.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use crate::auth::Secret;
use crate::error::{Error, ErrorKind, Result};
use crate::observe::Observer;
use crate::request::MostRecords;
use crate::transport::RetryPolicy;
use crate::transport::headers::Headers;

/// The timeouts. `None` means no timeout.
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

/// The options of a single call, which override the client's settings. An outer `None` keeps the client's setting.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallOptions {
    pub(crate) attempt: Option<Option<Duration>>,
    pub(crate) operation: Option<Option<Duration>>,
    pub(crate) retry: Option<RetryPolicy>,
    pub(crate) headers: Headers,
    /// Where the call notes how it goes, for its caller.
    pub(crate) flight: Option<Arc<Flight>>,
}

/// How a call goes, while it is in flight.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    /// The first attempt was sent.
    pub(crate) sent: AtomicBool,
    /// The server refused an attempt with a 429.
    pub(crate) refused: AtomicBool,
}

/// The settings of a client, apart from its base URL and its credentials.
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
    /// Secrets to withhold beside the credentials: those that the user names, and the password of the configured proxy.
    pub(crate) secrets: Vec<Secret>,
}

/// The source of randomness: numbers from 0 to 1.
#[derive(Clone)]
pub(crate) struct Jitter(pub(crate) Arc<dyn Fn() -> f64 + Send + Sync>);

impl Default for Jitter {
    fn default() -> Self {
        Self(Arc::new(fastrand::f64))
    }
}

impl Jitter {
    /// A random part of a duration.
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

/// A unique idempotency key: a random UUID. From the operating system each time, because a generator inside the process
/// has the same state after a fork in the parent and in the child.
pub(super) fn idempotency_key() -> Result<HeaderValue> {
    let unusable =
        |error| Error::new(ErrorKind::InvalidRequest, "the idempotency key can't be generated").with_source(error);
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| unusable(format!("the operating system returned no random bytes: {error}")))?;
    let number = u128::from_be_bytes(random) & !(0xf << 76) & !(0b11 << 62) | 4 << 76 | 0b10 << 62;
    let hex = format!("{number:032x}");
    let text = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    HeaderValue::try_from(text).map_err(|error| unusable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// The generator of a process is in the same state after a fork, in the parent and in each child. (`.ci/forked`
    /// forks.)
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
        // The generator's state is the same: what is derived from it is the same too.
        assert!(children.iter().all(|it| it.0 == children[0].0));
        let different: HashSet<_> = children.iter().flat_map(|it| &it.1).collect();
        assert_eq!(different.len(), 300);
        for key in different {
            let bytes = key.as_bytes();
            assert!(key.len() == 36 && bytes[14] == b'4' && b"89ab".contains(&bytes[19]), "{key}");
        }
    }
}
