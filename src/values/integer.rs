//! Integers that a server may write as `5` or as `5.0`.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serializer};

use crate::values::json::Json;

struct Integer;

/// serde_json may parse a float with an error in its last bits. Below this bound that error is less than one, so an
/// inexact float is rejected and never read as a different integer.
const EXACT: f64 = (1_u64 << 50) as f64;

impl Visitor<'_> for Integer {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<i64, E> {
        i64::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &"an integer of 64 bits"))
    }

    #[allow(clippy::cast_possible_truncation)]
    fn visit_f64<E: Error>(self, number: f64) -> Result<i64, E> {
        if number.fract() == 0.0 && number.abs() < EXACT {
            Ok(number as i64)
        } else {
            Err(E::invalid_type(Unexpected::Float(number), &self))
        }
    }
}

/// For `#[serde(with = "crate::values::integer::required")]`.
pub(super) mod required {
    use super::{Deserializer, Integer, Serializer};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
        from.deserialize_i64(Integer)
    }

    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub(crate) fn serialize<S: Serializer>(number: &i64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(*number)
    }
}

/// For `#[serde(default, with = "crate::values::integer::optional", ..)]`: absent, null, or an integer.
pub(crate) mod optional {
    use super::{Deserialize, Deserializer, Serializer, required};

    #[derive(Deserialize)]
    struct Wrapped(#[serde(deserialize_with = "required::deserialize")] i64);

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
        Ok(Option::<Wrapped>::deserialize(from)?.map(|it| it.0))
    }

    pub(crate) fn serialize<S: Serializer>(number: &Option<i64>, to: S) -> Result<S::Ok, S::Error> {
        match number {
            Some(number) => required::serialize(number, to),
            None => to.serialize_none(),
        }
    }
}

/// For `#[serde(default, deserialize_with = "crate::values::integer::count")]`: a count. An invalid count is
/// `None`: a bad total doesn't cost the page.
pub(crate) fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let count = Option::<Json>::deserialize(from)?;
    Ok(count.as_ref().and_then(as_count))
}

/// The value as a count: `None` unless it is a non-negative integer.
pub(crate) fn as_count(json: &Json) -> Option<u64> {
    #[derive(Deserialize)]
    struct Count(#[serde(deserialize_with = "required::deserialize")] i64);

    json.parse::<Count>().ok()?.0.try_into().ok()
}

/// Serialises a whole number as `12` and not as `12.0`, so that a record is sent back as it was received.
pub(crate) fn whole_or_not<S: Serializer>(time: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    #[allow(clippy::cast_possible_truncation)]
    match *time {
        Some(time) if time.fract() == 0.0 && time.abs() < 9e15 => to.serialize_i64(time as i64),
        Some(time) => to.serialize_f64(time),
        None => to.serialize_none(),
    }
}
