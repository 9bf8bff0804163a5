//! Timestamps in JSON: RFC 3339 with fractions and offsets, parsed strictly and written in UTC. Also the other formats
//! that are unambiguous: PostgreSQL's, milliseconds since 1970, and MongoDB's `{"$date": ..}`.

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serializer};

/// Parses RFC 3339 strictly. chrono's `Deserialize` also accepts `2024-1-2T3:4:5Z`, blanks and `UTC`, so it would read
/// a garbled timestamp as a time. A time outside of the years 0 to 9999 (by its offset) is rejected: it couldn't be
/// written.
pub(crate) fn parse(text: &str) -> Option<DateTime<Utc>> {
    parse_usual(text).or_else(|| in_range(DateTime::parse_from_rfc3339(text).ok()?.to_utc()))
}

/// Parses the format that nearly all servers write: `2023-11-07T05:31:56Z`, or with a fraction. This takes less than
/// half of the instructions that chrono takes. A string in another format may still be valid RFC 3339.
fn parse_usual(text: &str) -> Option<DateTime<Utc>> {
    let (whole, rest) = text.as_bytes().split_first_chunk::<19>()?;
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1] = *whole else {
        return None;
    };
    // Whether all of them are digits is checked once, at the end.
    let mut all = true;
    let mut pair = |tens: u8, ones: u8| {
        let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
        all &= tens < 10 && ones < 10;
        u32::from(tens) * 10 + u32::from(ones)
    };
    let year = pair(y0, y1) * 100 + pair(y2, y3);
    let (month, day) = (pair(m0, m1), pair(d0, d1));
    let (hour, minute, second) = (pair(h0, h1), pair(n0, n1), pair(s0, s1));
    // What isn't a digit may overflow.
    let nanoseconds = match *rest {
        [b'Z'] => 0,
        [b'.', a, b, c, b'Z'] => (pair(a, b) * 10 + pair(b'0', c)).wrapping_mul(1_000_000),
        [b'.', ref digits @ .., b'Z'] if matches!(digits.len(), 1..=9) => {
            let number = digits.iter().fold(0_u32, |sum, it| sum.wrapping_mul(10).wrapping_add(pair(b'0', *it)));
            number.wrapping_mul(10_u32.pow(9 - digits.len() as u32))
        }
        _ => return None,
    };
    if !all {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    Some(date.and_hms_nano_opt(hour, minute, second, nanoseconds)?.and_utc())
}

fn format(time: &DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn in_range(time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    (0..=9999).contains(&time.year()).then_some(time)
}

/// Parses the format of a PostgreSQL `timestamptz`: `2023-11-07 05:31:56.25+00`, with an offset in hours, or in hours
/// and minutes.
fn parse_postgres(text: &str) -> Option<DateTime<Utc>> {
    let (local, offset) = text.split_at_checked(text.rfind(['+', '-']).filter(|it| *it >= LOCAL.len())?)?;
    let alike = |text: &str, form: &str| {
        text.len() == form.len()
            && text.bytes().zip(form.bytes()).all(|(it, of)| if of == b'0' { it.is_ascii_digit() } else { it == of })
    };
    let (seconds, fraction) = local.split_at_checked(LOCAL.len())?;
    let whole = fraction.is_empty()
        || fraction.len() <= 10 && fraction.strip_prefix('.').is_some_and(|it| alike(it, &"0".repeat(it.len().max(1))));
    if !alike(seconds, LOCAL) || !whole || !["+00", "-00", "+00:00", "-00:00"].iter().any(|it| alike(offset, it)) {
        return None;
    }
    let local = NaiveDateTime::parse_from_str(local, "%Y-%m-%d %H:%M:%S%.f").ok()?;
    let number = |range: std::ops::Range<usize>| offset.get(range).map_or(Some(0), |it| it.parse::<i32>().ok());
    let (hours, minutes) = (number(1..3)?, number(4..6)?);
    let east = if offset.starts_with('-') { -1 } else { 1 } * (hours * 3600 + minutes * 60);
    let offset = FixedOffset::east_opt(east).filter(|_| hours < 24 && minutes < 60)?;
    in_range(local.and_local_timezone(offset).single()?.to_utc())
}

const LOCAL: &str = "0000-00-00 00:00:00";

/// A smaller number is ambiguous: it may be seconds. As milliseconds it is a time before 1973-03-03; a number of
/// seconds exceeds this bound only from the year 5138 on.
const MILLISECONDS: u64 = 100_000_000_000;

fn of_milliseconds(number: i64) -> Option<DateTime<Utc>> {
    in_range(DateTime::from_timestamp_millis(number)?)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Any unambiguous format of a time.
    Any,
    /// The value inside `{"$date": ..}`.
    Inner,
}

/// Reads a time. An empty string is `None`.
struct Moment(Form);

impl<'de> Visitor<'de> for Moment {
    type Value = Option<DateTime<Utc>>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an RFC 3339 time")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        if text.is_empty() && self.0 == Form::Any {
            return Ok(None);
        }
        // The error names only RFC 3339, which is the documented format.
        let time = parse(text).or_else(|| parse_postgres(text));
        time.map(Some).ok_or_else(|| E::custom("not an RFC 3339 time"))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        let certain = self.0 == Form::Inner || number.unsigned_abs() >= MILLISECONDS;
        let time = of_milliseconds(number).filter(|_| certain);
        time.map(Some).ok_or_else(|| E::invalid_type(Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => Err(E::invalid_type(Unexpected::Unsigned(number), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let time = match (map.next_key::<String>()?.as_deref(), self.0) {
            (Some("$date"), Form::Any) => map.next_value::<Inner>()?.0,
            (Some("$numberLong"), Form::Inner) => {
                let number = map.next_value::<String>()?.parse().ok();
                number.and_then(of_milliseconds).ok_or_else(|| A::Error::custom("not an RFC 3339 time"))?
            }
            _ => return Err(A::Error::custom("an object that isn't a time")),
        };
        match map.next_key::<String>()? {
            None => Ok(Some(time)),
            Some(_) => Err(A::Error::custom("an object with more fields than a time has")),
        }
    }
}

/// The value inside `{"$date": ..}`.
struct Inner(DateTime<Utc>);

impl<'de> Deserialize<'de> for Inner {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Moment(Form::Inner))?.map(Self).ok_or_else(|| D::Error::custom("no time"))
    }
}

fn moment<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let moment = Moment(Form::Any);
    // Formats that aren't self-describing hold what this crate wrote, which is a string.
    if from.is_human_readable() { from.deserialize_any(moment) } else { from.deserialize_str(moment) }
}

/// For `#[serde(with = "crate::values::time::required")]`.
pub(crate) mod required {
    use serde::de::Error;

    use super::{DateTime, Deserializer, Serializer, Utc, format, moment};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<DateTime<Utc>, D::Error> {
        moment(from)?.ok_or_else(|| D::Error::custom("not an RFC 3339 time"))
    }

    pub(crate) fn serialize<S: Serializer>(time: &DateTime<Utc>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format(time))
    }
}

/// For `#[serde(default, with = "crate::values::time::optional", ..)]`: absent, null, an empty string, or a
/// time.
pub(crate) mod optional {
    use super::{DateTime, Deserialize, Deserializer, Serializer, Utc, moment, required};

    struct Time(Option<DateTime<Utc>>);

    impl<'de> Deserialize<'de> for Time {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            moment(from).map(Self)
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DateTime<Utc>>, D::Error> {
        Ok(Option::<Time>::deserialize(from)?.and_then(|it| it.0))
    }

    pub(crate) fn serialize<S: Serializer>(time: &Option<DateTime<Utc>>, to: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => required::serialize(time, to),
            None => to.serialize_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Held {
        #[serde(default, with = "optional")]
        time: Option<DateTime<Utc>>,
    }

    /// The parsed time in milliseconds; `None` if the JSON is rejected.
    #[allow(clippy::option_option)]
    fn read(json: &str) -> Option<Option<i64>> {
        let held = serde_json::from_str::<Held>(&format!(r#"{{"time": {json}}}"#)).ok()?;
        Some(held.time.map(|it| it.timestamp_millis()))
    }

    #[test]
    fn a_time_is_parsed_in_each_unambiguous_format() {
        let cases = [
            (r#""2023-11-07T05:31:56Z""#, 1_699_335_116_000),
            (r#""2023-11-07T05:31:56.25+01:00""#, 1_699_331_516_250),
            (r#""2023-11-07 05:31:56+00""#, 1_699_335_116_000),
            (r#""2023-11-07 05:31:56.123456-03""#, 1_699_345_916_123),
            (r#""2023-11-07 05:31:56+05:30""#, 1_699_315_316_000),
            ("1699335116000", 1_699_335_116_000),
            ("-100000000000", -100_000_000_000),
            (r#"{"$date": "2023-11-07T05:31:56Z"}"#, 1_699_335_116_000),
            (r#"{"$date": 1699335116000}"#, 1_699_335_116_000),
            (r#"{"$date": 5}"#, 5),
            (r#"{"$date": {"$numberLong": "-5"}}"#, -5),
        ];
        for (json, expected) in cases {
            assert_eq!(read(json), Some(Some(expected)), "{json}");
        }
        assert_eq!(read(r#""""#), Some(None));
        assert_eq!(read("null"), Some(None));
    }

    #[test]
    fn the_fast_path_agrees_with_chrono() {
        let chrono = |text: &str| in_range(DateTime::parse_from_rfc3339(text).ok()?.to_utc());
        let usual = ["2023-11-07T05:31:56Z", "0000-02-29T00:00:00.000000001Z", "9999-12-31T23:59:59.999Z"];
        for text in usual {
            assert!(parse_usual(text).is_some() && parse_usual(text) == chrono(text), "{text}");
            // Replace each character by others: most results are invalid, and some are other times.
            for at in 0..text.len() {
                for other in "0123456789Zz.:-+Tt /\u{0}".chars() {
                    let text = format!("{}{other}{}", &text[..at], &text[at + 1..]);
                    assert_eq!(parse(&text), chrono(&text), "{text}");
                    assert!(parse_usual(&text).is_none_or(|it| Some(it) == chrono(&text)), "{text}");
                }
                for text in [text[..at].to_owned(), format!("{}0{}", &text[..at], &text[at..])] {
                    assert_eq!(parse(&text), chrono(&text), "{text}");
                }
            }
        }
        for text in ["2023-02-29T00:00:00Z", "2016-12-31T23:59:60Z", "2016-12-31T23:59:60.5Z", "2023-11-07T24:00:00Z"] {
            assert_eq!(parse(text), chrono(text), "{text}");
        }
        for month in 0..=13 {
            for day in 0..=32 {
                let text = format!("2024-{month:02}-{day:02}T12:00:00.25Z");
                assert_eq!(parse_usual(&text), chrono(&text), "{text}");
            }
        }
    }

    #[test]
    fn an_ambiguous_or_invalid_time_is_rejected() {
        for json in [
            "1699335116",
            "99999999999",
            "0",
            "1699335116000.5",
            "253402300800000",
            "18446744073709551615",
            "true",
            "[]",
            "{}",
            r#"{"$date": ""}"#,
            r#"{"$date": {"$date": 5}}"#,
            r#"{"$date": 5, "more": 1}"#,
            r#"{"$numberLong": "1699335116000"}"#,
            r#"{"date": "2023-11-07T05:31:56Z"}"#,
            r#"" ""#,
            r#""2023-11-07 05:31:56""#,
            r#""2023-11-07 05:31:56.+00""#,
            r#""2023-11-07 05:31+00""#,
            r#""2023-11-07 05:31:56+0""#,
            r#""2023-11-07 05:31:56+24""#,
            r#""2023-11-07 05:31:56+00:60""#,
            r#""2023-1-07 05:31:56+00""#,
            r#""2023-02-30 05:31:56+00""#,
            r#""2023-11-07  5:31:56+00""#,
            r#""2023-11-07 05:31:56 +00""#,
        ] {
            assert_eq!(read(json), None, "{json}");
        }
    }
}
