//! The position of a value's raw JSON in the string that contains it.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Where the raw JSON of a value is in the string that is being deserialized. An envelope may only contain owned
/// values, so this is how its records can be decoded one by one without a copy of each.
#[derive(Debug)]
pub(crate) struct Span {
    /// The address of the first byte.
    address: usize,
    length: usize,
}

impl Span {
    /// The raw JSON. `None` if it isn't in this string, because the envelope decoded a copy of it.
    pub(crate) fn of<'a>(&self, text: &'a str) -> Option<&'a str> {
        let start = self.address.checked_sub(text.as_ptr().addr())?;
        text.get(start..start.checked_add(self.length)?)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(from)?.get();
        Ok(Self { address: raw.as_ptr().addr(), length: raw.len() })
    }
}
