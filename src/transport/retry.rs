//! Whether to try again: decided here, purely; waited for in the loop.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

use crate::error::Error;
use crate::request::Repeat;

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The error is the call's.
    GiveUp,
}

/// Nothing is repeated yet: a failed attempt fails the call.
pub(super) fn decide(_repeat: Repeat, _attempts: u32, _error: &Error) -> Decision {
    Decision::GiveUp
}

/// How long the server asks to be left alone: `retry-after-ms`, or `Retry-After` in seconds or as a date. A date is
/// taken against the answer's own `Date`, so that a clock that is off, here or there, makes no difference.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| Some(headers.get(name)?.to_str().ok()?.trim());
    if let Some(wait) = text("retry-after-ms").and_then(|it| it.parse().ok()) {
        return Some(Duration::from_millis(wait));
    }
    let after = text(RETRY_AFTER.as_str())?;
    if let Ok(seconds) = after.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let until = httpdate::parse_http_date(after).ok()?;
    let now = text(DATE.as_str()).and_then(|it| httpdate::parse_http_date(it).ok()).unwrap_or_else(SystemTime::now);
    Some(until.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn retry_after_is_read_in_each_of_its_forms() {
        let cases = [
            (&[("retry-after", "7")][..], Some(Duration::from_secs(7))),
            (&[("retry-after", "1.5")], Some(Duration::from_millis(1500))),
            (&[("retry-after", "7"), ("retry-after-ms", "40")], Some(Duration::from_millis(40))),
            (
                &[("retry-after", "Sat, 21 Nov 2026 20:18:41 GMT"), ("date", "Sat, 21 Nov 2026 20:18:31 GMT")],
                Some(Duration::from_secs(10)),
            ),
            (
                &[("retry-after", "Sat, 21 Nov 2026 20:18:01 GMT"), ("date", "Sat, 21 Nov 2026 20:18:31 GMT")],
                Some(Duration::ZERO),
            ),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "1e300")], None),
            (&[], None),
        ];
        for (pairs, expected) in cases {
            assert_eq!(retry_after(&headers(pairs)), expected, "{pairs:?}");
        }
    }
}
