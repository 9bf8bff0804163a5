//! Typed ids.

use std::borrow::Borrow;
use std::convert::Infallible;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::ParseIntError;
use std::str::FromStr;

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::values::ident::Ident;
use crate::values::record_key::RecordKey;

/// A type that has ids, usually a model.
pub trait Resource {
    /// The representation of its ids.
    type Repr: IdRepr;
}

/// The representation of an id: `i64` or `Box<str>`. Sealed.
pub trait IdRepr: Clone + fmt::Debug + fmt::Display + Eq + Ord + Hash + Send + Sync + Unpin + sealed::Key {}

impl IdRepr for i64 {}

impl IdRepr for Box<str> {}

mod sealed {
    use serde::{Deserializer, Serialize};

    use super::{Infallible, ParseIntError};
    use crate::values::ident::Ident;

    pub trait Key: Serialize + Sized + 'static {
        type ParseError: std::error::Error + Send + Sync + 'static;

        fn parse(text: &str) -> Result<Self, Self::ParseError>;

        fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error>;

        /// The name of its type in JSON Schema.
        #[cfg(feature = "schemars")]
        const JSON_TYPE: &'static str;

        fn ident(&self) -> Ident<'_>;
    }

    impl Key for i64 {
        type ParseError = ParseIntError;

        #[cfg(feature = "schemars")]
        const JSON_TYPE: &'static str = "integer";

        fn parse(text: &str) -> Result<Self, ParseIntError> {
            text.parse()
        }

        fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            crate::values::integer::required::deserialize(from)
        }

        fn ident(&self) -> Ident<'_> {
            Ident::Number(*self)
        }
    }

    impl Key for Box<str> {
        type ParseError = Infallible;

        #[cfg(feature = "schemars")]
        const JSON_TYPE: &'static str = "string";

        fn parse(text: &str) -> Result<Self, Infallible> {
            Ok(text.into())
        }

        fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            super::text(from)
        }

        fn ident(&self) -> Ident<'_> {
            Ident::Text(self)
        }
    }
}

/// Reads an id that is a string, a whole number, MongoDB's `{"$oid": ..}`, or the object that has the id
/// (`{"_id": ..}`).
fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Box<str>, D::Error> {
    // Formats that aren't self-describing hold what this crate wrote, which is a string.
    if from.is_human_readable() { from.deserialize_any(Text { object: true }) } else { Box::deserialize(from) }
}

/// For `#[serde(default, deserialize_with = "crate::values::id::optional_text")]`: absent, null, a string, or a whole
/// number.
pub(crate) fn optional_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    struct Wrapped(Box<str>);

    impl<'de> Deserialize<'de> for Wrapped {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            text(from).map(Self)
        }
    }

    Ok(Option::<Wrapped>::deserialize(from)?.map(|it| it.0.into()))
}

struct Text {
    /// Whether `{"_id": ..}`, the object that has the id, is accepted.
    object: bool,
}

impl<'de> Visitor<'de> for Text {
    type Value = Box<str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Box<str>, E> {
        Ok(text.into())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Box<str>, E> {
        Ok(text.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Box<str>, E> {
        Ok(number.to_string().into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Box<str>, E> {
        Ok(number.to_string().into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Box<str>, A::Error> {
        struct Inner(Box<str>);

        impl<'de> Deserialize<'de> for Inner {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_any(Text { object: false }).map(Self)
            }
        }

        let mut id = None;
        while let Some(name) = map.next_key::<String>()? {
            let is_id = name == "$oid" || name == "_id" && self.object;
            if is_id && id.is_none() {
                id = Some(map.next_value::<Inner>()?.0);
            } else if is_id {
                return Err(A::Error::custom("an object with two ids"));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        id.ok_or_else(|| A::Error::custom("an object without an id"))
    }
}

/// The id of a `T`. The type parameter keeps ids of different types apart: an id of a signal isn't one of an event.
///
/// ```
/// use actionlog::{Id, unleash::ActionSet};
///
/// let id: Id<ActionSet> = Id::new(7);
/// assert_eq!(id.to_string(), "7");
/// assert_eq!(id.as_i64(), 7);
/// assert_eq!(id, 7);
/// ```
///
/// Ids of Unleash are integers; ids of the other two APIs are strings:
///
/// ```
/// use std::collections::HashMap;
/// use actionlog::{Id, integration::ActionLog};
///
/// let id: Id<ActionLog> = "60f7b1b3e4b0e8b3f8b3f8b3".into();
/// assert_eq!(id, "60f7b1b3e4b0e8b3f8b3f8b3");
/// let mut owners = HashMap::from([(id, "shop")]);
/// assert_eq!(owners.get("60f7b1b3e4b0e8b3f8b3f8b3"), Some(&"shop"));
/// ```
pub struct Id<T: Resource>(T::Repr);

impl<T: Resource> Id<T> {
    /// Wraps a value as an id.
    #[must_use]
    pub fn new(value: impl Into<T::Repr>) -> Self {
        Self(value.into())
    }

    /// The value.
    #[must_use]
    pub fn get(&self) -> &T::Repr {
        &self.0
    }

    /// The value, owned.
    #[must_use]
    pub fn into_inner(self) -> T::Repr {
        self.0
    }
}

impl<T: Resource<Repr = i64>> Id<T> {
    /// The id as an integer.
    #[must_use]
    pub fn as_i64(&self) -> i64 {
        self.0
    }
}

impl<T: Resource<Repr = Box<str>>> Id<T> {
    /// The id as a string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Conversions from integer types, and comparisons with them.
macro_rules! integers {
    ($($from:ty),+ ; $($compared:ty),+) => {
        $(
            impl<T: Resource<Repr = i64>> From<$from> for Id<T> {
                fn from(value: $from) -> Self {
                    Self(value.into())
                }
            }
        )+
        $(
            impl<T: Resource<Repr = i64>> PartialEq<$compared> for Id<T> {
                fn eq(&self, other: &$compared) -> bool {
                    i128::from(self.0) == i128::from(*other)
                }
            }

            impl<T: Resource<Repr = i64>> PartialEq<Id<T>> for $compared {
                fn eq(&self, other: &Id<T>) -> bool {
                    other == self
                }
            }
        )+
    };
}

integers!(i64, i32, u32; i64, i32, u32, u64);

impl<T: Resource<Repr = i64>> From<u64> for Id<T> {
    /// A number above `i64::MAX` becomes `i64::MAX`. No server has such ids.
    fn from(value: u64) -> Self {
        Self(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl<T: Resource<Repr = Self>> From<Id<T>> for i64 {
    fn from(id: Id<T>) -> Self {
        id.0
    }
}

/// Conversions from string types.
macro_rules! strings {
    ($($from:ty),+) => {
        $(
            impl<T: Resource<Repr = Box<str>>> From<$from> for Id<T> {
                fn from(value: $from) -> Self {
                    Self(value.into())
                }
            }
        )+
    };
}

strings!(&str, String, Box<str>, std::borrow::Cow<'_, str>);

impl<T: Resource<Repr = Box<str>>> From<&String> for Id<T> {
    fn from(value: &String) -> Self {
        Self(value.as_str().into())
    }
}

impl<T: Resource> From<&Self> for Id<T> {
    fn from(id: &Self) -> Self {
        id.clone()
    }
}

impl<T: Resource<Repr = Box<str>>> From<Id<T>> for String {
    fn from(id: Id<T>) -> Self {
        id.0.into()
    }
}

impl<T: Resource<Repr = Box<str>>> From<&Id<T>> for String {
    fn from(id: &Id<T>) -> Self {
        id.as_str().to_owned()
    }
}

impl<T: Resource<Repr = Box<str>>> AsRef<str> for Id<T> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Lets a map with ids as keys be queried by `&str`: ids are hashed and ordered as strings are.
impl<T: Resource<Repr = Box<str>>> Borrow<str> for Id<T> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Comparisons with strings, from both sides.
macro_rules! compared_as_strings {
    ($($other:ty),+) => {
        $(
            impl<T: Resource<Repr = Box<str>>> PartialEq<$other> for Id<T> {
                fn eq(&self, other: &$other) -> bool {
                    let other: &str = other.as_ref();
                    &*self.0 == other
                }
            }

            impl<T: Resource<Repr = Box<str>>> PartialEq<Id<T>> for $other {
                fn eq(&self, other: &Id<T>) -> bool {
                    other == self
                }
            }
        )+
    };
}

compared_as_strings!(str, &str, String);

impl<T: Resource> From<&Id<T>> for RecordKey {
    fn from(id: &Id<T>) -> Self {
        Ident::from(id).into()
    }
}

impl<'a, T: Resource> From<&'a Id<T>> for Ident<'a> {
    fn from(id: &'a Id<T>) -> Self {
        sealed::Key::ident(&id.0)
    }
}

impl<T: Resource> FromStr for Id<T> {
    type Err = <T::Repr as sealed::Key>::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        sealed::Key::parse(text).map(Self)
    }
}

impl<T: Resource> Clone for Id<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Resource> Copy for Id<T> where T::Repr: Copy {}

impl<T: Resource> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T: Resource> Eq for Id<T> {}

impl<T: Resource> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Resource> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl<T: Resource> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<T: Resource> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Resource> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Resource> Serialize for Id<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

#[cfg(feature = "schemars")]
impl<T: Resource> schemars::JsonSchema for Id<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Id".into()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        format!("actionlog::Id of a {}", <T::Repr as sealed::Key>::JSON_TYPE).into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": <T::Repr as sealed::Key>::JSON_TYPE })
    }
}

impl<'de, T: Resource> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        sealed::Key::read(deserializer).map(Self)
    }
}
