//! Identifiers that can't be mixed up.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

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
    use serde::{Deserialize, Deserializer, Serialize};

    use crate::page::Identity;

    pub trait Key: Serialize + Sized + 'static {
        fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error>;

        fn identity(&self) -> Identity;
    }

    impl Key for i64 {
        fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            crate::integer::required::deserialize(from)
        }

        fn identity(&self) -> Identity {
            (*self).into()
        }
    }

    impl Key for Box<str> {
        fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            Self::deserialize(from)
        }

        fn identity(&self) -> Identity {
            (&**self).into()
        }
    }
}

/// The id of a `T`: one of a signal can't go where one of an event belongs.
///
/// ```
/// use actionlog::{Id, unleash::ActionSet};
///
/// let id: Id<ActionSet> = Id::new(7);
/// assert_eq!(id.to_string(), "7");
/// assert_eq!(*id.get(), 7);
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

impl<T: Identified<Key = i64>> From<i64> for Id<T> {
    fn from(key: i64) -> Self {
        Self(key)
    }
}

impl<T: Identified<Key = i64>> From<i32> for Id<T> {
    fn from(key: i32) -> Self {
        Self(key.into())
    }
}

impl<T: Identified<Key = i64>> From<u32> for Id<T> {
    fn from(key: u32) -> Self {
        Self(key.into())
    }
}

impl<T: Identified<Key = Box<str>>> From<&str> for Id<T> {
    fn from(key: &str) -> Self {
        Self(key.into())
    }
}

impl<T: Identified<Key = Box<str>>> From<String> for Id<T> {
    fn from(key: String) -> Self {
        Self(key.into())
    }
}

impl<T: Identified> From<&Id<T>> for Identity {
    fn from(id: &Id<T>) -> Self {
        sealed::Key::identity(&id.0)
    }
}

impl<T: Identified> FromStr for Id<T>
where
    T::Key: FromStr,
{
    type Err = <T::Key as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
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
