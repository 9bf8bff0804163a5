use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use http::HeaderMap;
use http::header::DATE;

use crate::time;

/// What a server says of how much it may be asked, in the headers of an answer.
///
/// Read from `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset`, from the same with `X-` before it, and from
/// the single `RateLimit` of the newer drafts. Each part is there only if the server gave it. None of the three APIs
/// documents any of them; proxies and gateways before them send them.
///
/// It is for looking at. What the crate itself goes by is `Retry-After`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimit {
    /// How many requests may be made in a window of time.
    pub limit: Option<u64>,
    /// How many are left in this one.
    pub remaining: Option<u64>,
    /// When the window ends, by this machine's clock.
    pub resets_at: Option<DateTime<Utc>>,
}

/// A number of seconds above this is a moment since 1970, and no time from now: nobody's window is 30 years.
const MOMENT: u64 = 1_000_000_000;

impl RateLimit {
    /// `None` if there is no such header.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
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

/// The number that a header begins with: a fraction may stand behind it, or a policy. Anything else isn't one.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.split(|it: char| !it.is_ascii_digit()).next()?;
    let rest = &text[digits.len()..];
    let fraction = rest.strip_prefix('.').is_some_and(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()));
    let policy = rest.starts_with(';') || rest.strip_prefix(',').is_some_and(|it| it.starts_with(' '));
    (rest.is_empty() || fraction || policy).then(|| digits.parse().ok())?
}

/// Of several policies, the one that leaves the least.
fn tightest(text: &str) -> &str {
    let named = text.split(',').filter(|it| parameter(it, &["r"]).is_some());
    named.min_by_key(|it| parameter(it, &["r"])).unwrap_or(text)
}

/// One of the parameters of `"default";r=50;t=30`, or of the older `limit=100, remaining=50, reset=30`.
fn parameter(text: &str, names: &[&str]) -> Option<u64> {
    text.split([';', ',']).find_map(|part| {
        let (name, value) = part.split_once('=')?;
        names.contains(&name.trim()).then(|| number(value))?
    })
}

fn moment(reset: u64, headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let from_now = if reset < MOMENT {
        Duration::from_secs(reset)
    } else {
        // Seconds or milliseconds since 1970, by the server's clock.
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
    fn limits_are_read_in_each_of_their_forms() {
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
    fn a_moment_is_read_as_one_and_of_several_policies_the_tightest_is_told() {
        let limit = read(&[("x-ratelimit-reset", "2126-11-22T02:30:00Z")]).unwrap();
        assert_eq!(limit.resets_at.unwrap().to_rfc3339(), "2126-11-22T02:30:00+00:00");
        let limit = read(&[("ratelimit", "\"a\";r=50;t=30, \"b\";r=0;t=3600")]).unwrap();
        assert_eq!((limit.remaining, left(limit)), (Some(0), 3600));
    }

    #[test]
    fn what_says_nothing_is_no_limit() {
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[("x-ratelimit-limit", "unlimited"), ("ratelimit", "")]), None);
        assert_eq!(read(&[("x-ratelimit-reset", "99999999999999999999999")]), None);
        for odd in ["6m0s", "20ms", "-3", "soon", "1,000"] {
            assert_eq!(read(&[("x-ratelimit-reset", odd), ("x-ratelimit-limit", odd)]), None, "{odd}");
        }
        assert_eq!(read(&[("x-ratelimit-remaining", "0")]).unwrap().remaining, Some(0));
    }
}
