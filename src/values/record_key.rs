//! Keys that tell the records of a listing apart.

use std::fmt;
use std::hash::Hasher;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::values::json::Json;

/// The key that tells a record of a listing from the others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordKey(Id);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Id {
    Number(i64),
    Text(Arc<str>),
    /// Of an invalid record: hashes of its raw JSON and of the key before it, because several may have the same raw
    /// JSON. Behind a pointer, because these are few and would double the size of all others.
    Hash(Arc<(u128, u128)>),
}

impl From<i64> for RecordKey {
    fn from(id: i64) -> Self {
        Self(Id::Number(id))
    }
}

impl From<&str> for RecordKey {
    fn from(id: &str) -> Self {
        if id.len() > LONGEST {
            let begin = id.chars().take(32).collect::<String>();
            return Self(Id::Text(format!("{begin}\u{2026}{:032x}", hash(id.as_bytes())).into()));
        }
        Self(Id::Text(id.into()))
    }
}

/// The longest id that is kept in full. No API has longer ids. Longer ones are kept as a hash: a scan remembers
/// thousands of keys, each cursor holds some, and an id might be as long as a body.
const LONGEST: usize = 512;

impl RecordKey {
    /// Creates the key of a record without an id from its raw JSON, and from the key before it, which tells it from
    /// others with the same raw JSON.
    pub(crate) fn of_raw(raw: &Json, before: Option<&Self>) -> Self {
        let before = before.map_or(0, |before| match &before.0 {
            Id::Number(id) => hash(&id.to_be_bytes()),
            Id::Text(id) => hash(id.as_bytes()),
            Id::Hash(hashes) => hash(&[hashes.0.to_be_bytes(), hashes.1.to_be_bytes()].concat()),
        });
        Self(Id::Hash(Arc::new((hash(raw.as_str().as_bytes()), before))))
    }

    /// Returns the 64 bits by which a cursor recognizes the last delivered records.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = siphasher::sip::SipHasher24::new();
        match &self.0 {
            Id::Number(id) => {
                hasher.write_u8(0);
                hasher.write(&id.to_be_bytes());
            }
            Id::Text(id) => {
                hasher.write_u8(1);
                hasher.write(id.as_bytes());
            }
            Id::Hash(hashes) => {
                hasher.write_u8(2);
                hasher.write(&hashes.0.to_be_bytes());
                hasher.write(&hashes.1.to_be_bytes());
            }
        }
        hasher.finish()
    }

    /// Returns the key as a number, if it is one, or a string of digits.
    pub(crate) fn as_number(&self) -> Option<i128> {
        match &self.0 {
            Id::Number(id) => Some((*id).into()),
            Id::Text(id) => id.parse().ok().filter(|_| id.bytes().all(|it| it.is_ascii_digit())),
            Id::Hash(_) => None,
        }
    }

    pub(crate) fn is_unreadable(&self) -> bool {
        matches!(self.0, Id::Hash(..))
    }

    /// Returns whether both keys are of invalid records with the same raw JSON.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        matches!((&self.0, &other.0), (Id::Hash(one), Id::Hash(other)) if one.0 == other.0)
    }
}

/// SipHash with a zero key: the same on all machines, in all runs and versions.
fn hash(bytes: &[u8]) -> u128 {
    siphasher::sip128::SipHasher24::new().hash(bytes).as_u128()
}

/// The record's id, as the API writes it. (Of an id of more than 512 bytes, its beginning and a hash.) The key of an
/// invalid record without an id is shown as a hash.
impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Id::Number(id) => id.fmt(f),
            Id::Text(id) => f.write_str(id),
            Id::Hash(hashes) => write!(f, "{:032x}.{:032x}", hashes.0, hashes.1),
        }
    }
}

/// Serializes as a string with a prefix for the kind: the same in every format and with every feature of serde_json.
impl Serialize for RecordKey {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Id::Number(id) => to.collect_str(&format_args!("n{id}")),
            Id::Text(id) => to.collect_str(&format_args!("t{id}")),
            Id::Hash(hashes) => to.collect_str(&format_args!("h{:032x}.{:032x}", hashes.0, hashes.1)),
        }
    }
}

impl<'de> Deserialize<'de> for RecordKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let id = text.split_at_checked(1).and_then(|(kind, id)| match kind {
            "n" => Some(Id::Number(id.parse().ok()?)),
            "t" => Some(Self::from(id).0),
            "h" => {
                let (text, before) = id.split_once('.')?;
                Some(Id::Hash(Arc::new((u128::from_str_radix(text, 16).ok()?, u128::from_str_radix(before, 16).ok()?))))
            }
            _ => None,
        });
        id.map(Self).ok_or_else(|| serde::de::Error::custom("not a record key"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_id_takes_little_memory_and_differs_from_others() {
        let long = |end: &str| format!("{}{end}", "x".repeat(1_000_000));
        let (one, other) = (RecordKey::from(&*long("1")), RecordKey::from(&*long("2")));
        assert_eq!(one, RecordKey::from(&*long("1")));
        assert_ne!(one, other);
        assert_ne!(one.fingerprint(), other.fingerprint());
        let text = serde_json::to_string(&one).unwrap();
        assert!(text.len() < 200, "{text}");
        assert_eq!(serde_json::from_str::<RecordKey>(&text).unwrap(), one);
        // An older cursor may hold such an id in full.
        assert_eq!(serde_json::from_str::<RecordKey>(&format!("\"t{}\"", long("1"))).unwrap(), one);
        // Ids of a length that an API may use are kept in full.
        let usual = "x".repeat(LONGEST);
        assert_eq!(serde_json::to_string(&RecordKey::from(&*usual)).unwrap(), format!("\"t{usual}\""));
    }
}
