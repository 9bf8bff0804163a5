//! Ids of any form, borrowed from a record.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::values::record_key::RecordKey;

/// An id as a log has it, borrowed from a record: a number or a string.
///
/// It is what the ids of different logs have in common. `Display` writes the id alone, and serde writes a number or a
/// string. A [`RecordKey`] is made from it where an owned key is needed.
///
/// ```
/// use actionlog::record::Ident;
///
/// assert_eq!(Ident::from(7).to_string(), "7");
/// assert_eq!(Ident::from("7").to_string(), "7");
/// assert_ne!(Ident::from(7), Ident::from("7"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Ident<'a> {
    /// A number, as Unleash's ids are.
    Number(i64),
    /// A string, as the ids of the other two logs are.
    Text(&'a str),
}

impl From<i64> for Ident<'_> {
    fn from(id: i64) -> Self {
        Self::Number(id)
    }
}

impl<'a> From<&'a str> for Ident<'a> {
    fn from(id: &'a str) -> Self {
        Self::Text(id)
    }
}

impl From<Ident<'_>> for RecordKey {
    fn from(id: Ident<'_>) -> Self {
        match id {
            Ident::Number(id) => id.into(),
            Ident::Text(id) => id.into(),
        }
    }
}

impl fmt::Display for Ident<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(id) => fmt::Display::fmt(id, f),
            Self::Text(id) => f.pad(id),
        }
    }
}

impl Serialize for Ident<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(id) => to.serialize_i64(*id),
            Self::Text(id) => to.serialize_str(id),
        }
    }
}
