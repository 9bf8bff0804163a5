//! Identifiers that can't be mixed up.

use std::borrow::Borrow;
use std::convert::Infallible;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::ParseIntError;
use std::str::FromStr;

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::page::Identity;

/// Something that has an id; the model itself, as a rule.
pub trait Identified {
    /// What its ids are made of.
    type Key: Key;
}

/// What ids are made of: integers or texts. Sealed.
pub trait Key: Clone + fmt::Debug + fmt::Display + Eq + Ord + Hash + Send + Sync + Unpin + sealed::Key {}

impl Key for i64 {}

impl Key for Box<str> {}

mod sealed {
    use serde::{Deserializer, Serialize};

    use super::{Infallible, ParseIntError};
    use crate::page::Identity;

    pub trait Key: Serialize + Sized + 'static {
        type ParseError: std::error::Error + Send + Sync + 'static;

        fn parse(text: &str) -> Result<Self, Self::ParseError>;

        fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error>;

        fn identity(&self) -> Identity;
    }

    impl Key for i64 {
        type ParseError = ParseIntError;

        fn parse(text: &str) -> Result<Self, ParseIntError> {
            text.parse()
        }

        fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            crate::integer::required::deserialize(from)
        }

        fn identity(&self) -> Identity {
            (*self).into()
        }
    }

    impl Key for Box<str> {
        type ParseError = Infallible;

        fn parse(text: &str) -> Result<Self, Infallible> {
            Ok(text.into())
        }

        fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            super::text(from)
        }

        fn identity(&self) -> Identity {
            (&**self).into()
        }
    }
}

/// An id that is a text; or one that a server writes in another way: as a whole number, in MongoDB's `{"$oid": ..}`, or as
/// the object in its place (`{"_id": ..}`).
fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Box<str>, D::Error> {
    // Formats that don't say what comes hold what was written, which is a text.
    if from.is_human_readable() { from.deserialize_any(Text { object: true }) } else { Box::deserialize(from) }
}

/// For `#[serde(default, deserialize_with = "crate::id::optional_text")]`: absent, null, a text, or a whole number.
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
    /// Whether the object that the id is of may stand in its place.
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
                return Err(A::Error::custom("two ids in one"));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        id.ok_or_else(|| A::Error::custom("an object without an id"))
    }
}

/// The id of a `T`: one of a signal can't go where one of an event belongs.
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
/// Ids of Unleash are integers, those of the other two APIs strings:
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
pub struct Id<T: Identified>(T::Key);

impl<T: Identified> Id<T> {
    /// The id with this key.
    #[must_use]
    pub fn new(key: impl Into<T::Key>) -> Self {
        Self(key.into())
    }

    /// The key.
    #[must_use]
    pub fn get(&self) -> &T::Key {
        &self.0
    }

    /// The key, owned.
    #[must_use]
    pub fn into_inner(self) -> T::Key {
        self.0
    }
}

impl<T: Identified<Key = i64>> Id<T> {
    /// The id, an integer.
    #[must_use]
    pub fn as_i64(&self) -> i64 {
        self.0
    }
}

impl<T: Identified<Key = Box<str>>> Id<T> {
    /// The id, a string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Conversions from and comparisons with the integers that code holds ids in.
macro_rules! integers {
    ($($from:ty),+ ; $($compared:ty),+) => {
        $(
            impl<T: Identified<Key = i64>> From<$from> for Id<T> {
                fn from(key: $from) -> Self {
                    Self(key.into())
                }
            }
        )+
        $(
            impl<T: Identified<Key = i64>> PartialEq<$compared> for Id<T> {
                fn eq(&self, other: &$compared) -> bool {
                    i128::from(self.0) == i128::from(*other)
                }
            }

            impl<T: Identified<Key = i64>> PartialEq<Id<T>> for $compared {
                fn eq(&self, other: &Id<T>) -> bool {
                    other == self
                }
            }
        )+
    };
}

integers!(i64, i32, u32; i64, i32, u32, u64);

impl<T: Identified<Key = i64>> From<u64> for Id<T> {
    /// A number beyond `i64`, which no server's ids reach, becomes `i64::MAX`.
    fn from(key: u64) -> Self {
        Self(i64::try_from(key).unwrap_or(i64::MAX))
    }
}

impl<T: Identified<Key = Self>> From<Id<T>> for i64 {
    fn from(id: Id<T>) -> Self {
        id.0
    }
}

/// Conversions from the strings that code holds ids in.
macro_rules! strings {
    ($($from:ty),+) => {
        $(
            impl<T: Identified<Key = Box<str>>> From<$from> for Id<T> {
                fn from(key: $from) -> Self {
                    Self(key.into())
                }
            }
        )+
    };
}

strings!(&str, String, Box<str>, std::borrow::Cow<'_, str>);

impl<T: Identified<Key = Box<str>>> From<&String> for Id<T> {
    fn from(key: &String) -> Self {
        Self(key.as_str().into())
    }
}

impl<T: Identified> From<&Self> for Id<T> {
    fn from(id: &Self) -> Self {
        id.clone()
    }
}

impl<T: Identified<Key = Box<str>>> From<Id<T>> for String {
    fn from(id: Id<T>) -> Self {
        id.0.into()
    }
}

impl<T: Identified<Key = Box<str>>> From<&Id<T>> for String {
    fn from(id: &Id<T>) -> Self {
        id.as_str().to_owned()
    }
}

impl<T: Identified<Key = Box<str>>> AsRef<str> for Id<T> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Ids as the keys of a map are looked up by `&str`: they are hashed and ordered as strings are.
impl<T: Identified<Key = Box<str>>> Borrow<str> for Id<T> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Comparisons with strings, from both sides.
macro_rules! compared_as_strings {
    ($($other:ty),+) => {
        $(
            impl<T: Identified<Key = Box<str>>> PartialEq<$other> for Id<T> {
                fn eq(&self, other: &$other) -> bool {
                    let other: &str = other.as_ref();
                    &*self.0 == other
                }
            }

            impl<T: Identified<Key = Box<str>>> PartialEq<Id<T>> for $other {
                fn eq(&self, other: &Id<T>) -> bool {
                    other == self
                }
            }
        )+
    };
}

compared_as_strings!(str, &str, String);

impl<T: Identified> From<&Id<T>> for Identity {
    fn from(id: &Id<T>) -> Self {
        sealed::Key::identity(&id.0)
    }
}

impl<T: Identified> FromStr for Id<T> {
    type Err = <T::Key as sealed::Key>::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        sealed::Key::parse(text).map(Self)
    }
}

impl<T: Identified> Clone for Id<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Identified> Copy for Id<T> where T::Key: Copy {}

impl<T: Identified> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T: Identified> Eq for Id<T> {}

impl<T: Identified> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Identified> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl<T: Identified> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<T: Identified> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Identified> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Identified> Serialize for Id<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Identified> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        sealed::Key::read(deserializer).map(Self)
    }
}
