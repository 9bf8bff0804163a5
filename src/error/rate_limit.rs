//! The rate-limit headers of a response.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use http::HeaderMap;
use http::header::DATE;

use crate::values::time;

/// The rate limit that a server reports in its response headers.
///
/// Parsed from `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset`, from the same names with the prefix
/// `X-`, and from the single `RateLimit` header of the newer drafts. Each field is set only if the server sent it. None
/// of the three APIs documents any of these headers; proxies and gateways in front of them send them.
///
/// The values are informational. The crate itself obeys only `Retry-After`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimit {
    /// The number of requests that the server allows in one time window.
    pub limit: Option<u64>,
    /// The number of requests left in the current window.
    pub remaining: Option<u64>,
    /// The end of the current window, by this machine's clock.
    pub resets_at: Option<DateTime<Utc>>,
}

/// A reset value from this on is a Unix timestamp, a smaller one a number of seconds from now: no window lasts 30
/// years.
const MOMENT: u64 = 1_000_000_000;

impl RateLimit {
    /// Parses the headers. `None` if no rate-limit header is present or readable.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let part =
            |name: &str| ["ratelimit-", "x-ratelimit-"].into_iter().find_map(|prefix| text(&format!("{prefix}{name}")));
        let newer = text("ratelimit").map(tightest).unwrap_or_default();
        let limit = part("limit").and_then(number).or_else(|| parameter(newer, &["limit"]));
        let remaining = part("remaining").and_then(number).or_else(|| parameter(newer, &["r", "remaining"]));
        let reset = part("reset");
        let resets_at = reset.and_then(|it| time::parse(it.trim()));
        let reset = reset.and_then(number).or_else(|| parameter(newer, &["t", "reset"]));
        let resets_at = resets_at.or_else(|| moment(reset?, headers));
        let read = Self { limit, remaining, resets_at };
        (read != Self::default()).then_some(read)
    }
}

/// The number at the start of a header value. A fraction or a policy may follow it; with any other suffix the value
/// doesn't count as a number.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.split(|it: char| !it.is_ascii_digit()).next()?;
    let rest = &text[digits.len()..];
    let fraction = rest.strip_prefix('.').is_some_and(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()));
    let policy = rest.starts_with(';') || rest.strip_prefix(',').is_some_and(|it| it.starts_with(' '));
    (rest.is_empty() || fraction || policy).then(|| digits.parse().ok())?
}

/// Of several policies, the one with the fewest remaining requests.
fn tightest(text: &str) -> &str {
    let named = text.split(',').filter(|it| parameter(it, &["r"]).is_some());
    named.min_by_key(|it| parameter(it, &["r"])).unwrap_or(text)
}

/// A parameter of `"default";r=50;t=30`, or of the older form `limit=100, remaining=50, reset=30`.
fn parameter(text: &str, names: &[&str]) -> Option<u64> {
    text.split([';', ',']).find_map(|part| {
        let (name, value) = part.split_once('=')?;
        names.contains(&name.trim()).then(|| number(value))?
    })
}

/// The end of the window, from seconds from now or from a Unix timestamp.
fn moment(reset: u64, headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let from_now = if reset < MOMENT {
        Duration::from_secs(reset)
    } else {
        // A Unix timestamp in seconds or milliseconds, by the server's clock.
        let since = if reset < MOMENT * 1000 { Duration::from_secs(reset) } else { Duration::from_millis(reset) };
        let date = headers.get(DATE).and_then(|it| httpdate::parse_http_date(it.to_str().ok()?).ok());
        let now = date.unwrap_or_else(SystemTime::now).duration_since(SystemTime::UNIX_EPOCH).ok()?;
        since.saturating_sub(now)
    };
    Utc::now().checked_add_signed(TimeDelta::from_std(from_now).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &str)]) -> Option<RateLimit> {
        let headers = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        RateLimit::read(&headers.collect())
    }

    fn left(limit: RateLimit) -> i64 {
        (limit.resets_at.unwrap() - Utc::now() + TimeDelta::milliseconds(500)).num_seconds()
    }

    #[test]
    fn every_form_of_the_headers_is_parsed() {
        let forms: [&[(&'static str, &str)]; 6] = [
            &[("ratelimit-limit", "100, 100;w=60"), ("ratelimit-remaining", "7"), ("ratelimit-reset", "30")],
            &[("x-ratelimit-limit", "100"), ("x-ratelimit-remaining", "7"), ("x-ratelimit-reset", "30.5")],
            &[
                ("x-ratelimit-limit", "100"),
                ("x-ratelimit-remaining", "7"),
                ("x-ratelimit-reset", "1795292341"),
                ("date", "Sat, 21 Nov 2026 20:18:31 GMT"),
            ],
            &[
                ("x-ratelimit-limit", "100"),
                ("x-ratelimit-remaining", "7"),
                ("x-ratelimit-reset", "1795292341000"),
                ("date", "Sat, 21 Nov 2026 20:18:31 GMT"),
            ],
            &[("ratelimit", "limit=100, remaining=7, reset=30")],
            &[("ratelimit", "\"default\";r=7;t=30"), ("ratelimit-limit", "100")],
        ];
        for form in forms {
            let limit = read(form).unwrap();
            assert_eq!((limit.limit, limit.remaining, left(limit)), (Some(100), Some(7), 30), "{form:?}");
        }
    }

    #[test]
    fn a_reset_may_be_a_date_and_the_tightest_of_several_policies_is_reported() {
        let limit = read(&[("x-ratelimit-reset", "2126-11-22T02:30:00Z")]).unwrap();
        assert_eq!(limit.resets_at.unwrap().to_rfc3339(), "2126-11-22T02:30:00+00:00");
        let limit = read(&[("ratelimit", "\"a\";r=50;t=30, \"b\";r=0;t=3600")]).unwrap();
        assert_eq!((limit.remaining, left(limit)), (Some(0), 3600));
    }

    #[test]
    fn unreadable_headers_report_no_limit() {
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[("x-ratelimit-limit", "unlimited"), ("ratelimit", "")]), None);
        assert_eq!(read(&[("x-ratelimit-reset", "99999999999999999999999")]), None);
        for odd in ["6m0s", "20ms", "-3", "soon", "1,000"] {
            assert_eq!(read(&[("x-ratelimit-reset", odd), ("x-ratelimit-limit", odd)]), None, "{odd}");
        }
        assert_eq!(read(&[("x-ratelimit-remaining", "0")]).unwrap().remaining, Some(0));
    }
}
