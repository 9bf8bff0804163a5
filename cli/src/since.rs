//! `--since`: a time, in three forms.

use std::time::Duration;

use actionlog::chrono::{DateTime, NaiveDate, Utc};

/// What `--since` takes, for help and errors.
pub const FORMS: &str = "a time such as 2026-03-01T12:00:00Z, a date such as 2026-03-01 (midnight UTC), or how long \
                         ago: 90s, 30m, 12h, 7d or 2w";

/// A value of `--since`: what was written, and the time that it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Since {
    /// As it was written.
    pub text: String,
    /// The time.
    pub time: DateTime<Utc>,
}

/// Parses a value of `--since`.
///
/// # Errors
///
/// What is allowed, if it is none of the forms.
pub fn parse(text: &str) -> Result<Since, String> {
    time(text, Utc::now()).map(|time| Since { text: text.to_owned(), time }).ok_or_else(|| format!("it takes {FORMS}"))
}

fn time(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(date.and_hms_opt(0, 0, 0)?.and_utc());
    }
    now.checked_sub_signed(actionlog::chrono::Duration::from_std(duration(text)?).ok()?)
}

/// Parses a length of time: a whole number and a unit.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|it: char| !it.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let seconds: u64 = match unit {
        "ms" => return number.parse().ok().map(Duration::from_millis),
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

/// Parses the value of an option that takes a length of time.
///
/// # Errors
///
/// What is allowed, if it isn't one.
pub fn interval(text: &str) -> Result<Duration, String> {
    let found = duration(text).filter(|it| !it.is_zero());
    found.ok_or_else(|| "it takes a time above zero, such as 500ms, 5s, 2m or 1h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<String> {
        let now = DateTime::parse_from_rfc3339("2026-03-10T12:00:00Z").unwrap().to_utc();
        time(text, now).map(|it| it.to_rfc3339())
    }

    #[test]
    fn the_three_forms_are_understood() {
        for (text, expected) in [
            ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00+00:00"),
            ("2026-03-01T12:00:00.5+02:00", "2026-03-01T10:00:00.500+00:00"),
            ("2026-03-01", "2026-03-01T00:00:00+00:00"),
            ("90s", "2026-03-10T11:58:30+00:00"),
            ("12h", "2026-03-10T00:00:00+00:00"),
            ("7d", "2026-03-03T12:00:00+00:00"),
            ("2w", "2026-02-24T12:00:00+00:00"),
        ] {
            assert_eq!(at(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_forms() {
        for text in
            ["", "yesterday", "7", "d", "-7d", "1.5h", "7 d", "2026-02-30", "2026-03-01 12:00", "99999999999999999999d"]
        {
            assert_eq!(at(text), None, "{text}");
            assert!(parse(text).unwrap_err().contains("2026-03-01"), "{text}");
        }
        assert_eq!(at("18446744073709551615s"), None, "further back than times go");
    }
}
