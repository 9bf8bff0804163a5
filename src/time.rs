//! Times on the wire: RFC 3339, with fractions and offsets, read strictly and written in UTC.

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};

/// chrono's own `Deserialize` also takes `2024-1-2T3:4:5Z`, blanks and `UTC`; a time that was mangled on its way here
/// would be read as something. A time that an offset puts out of the years 0 to 9999 couldn't be written again.
pub(crate) fn parse(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    (0..=9999).contains(&time.year()).then_some(time)
}

pub(crate) fn format(time: &DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

struct Rfc3339;

impl Visitor<'_> for Rfc3339 {
    type Value = DateTime<Utc>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a time by RFC 3339")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        parse(text).ok_or_else(|| E::custom("not a time by RFC 3339"))
    }
}

/// For `#[serde(with = "crate::time::required")]`.
pub(crate) mod required {
    use super::{DateTime, Deserializer, Rfc3339, Serializer, Utc, format};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<DateTime<Utc>, D::Error> {
        from.deserialize_str(Rfc3339)
    }

    pub(crate) fn serialize<S: Serializer>(time: &DateTime<Utc>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format(time))
    }
}

/// For `#[serde(default, with = "crate::time::optional", ..)]`: absent, null, or a time.
pub(crate) mod optional {
    use serde::Deserialize;

    use super::{DateTime, Deserializer, Serializer, Utc, required};

    #[derive(Deserialize)]
    struct Time(#[serde(deserialize_with = "required::deserialize")] DateTime<Utc>);

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DateTime<Utc>>, D::Error> {
        Ok(Option::<Time>::deserialize(from)?.map(|it| it.0))
    }

    pub(crate) fn serialize<S: Serializer>(time: &Option<DateTime<Utc>>, to: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => required::serialize(time, to),
            None => to.serialize_none(),
        }
    }
}
