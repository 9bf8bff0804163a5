use std::hash::Hasher;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::json::Json;

/// What tells one record of a listing from the others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity(Id);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Id {
    Number(i64),
    Text(Arc<str>),
    /// Of a record that can't be read: of its text, and of the record before it, as others may have the same text.
    /// Behind a pointer: these are few, and would make all others twice as large.
    Hash(Arc<(u128, u128)>),
}

impl From<i64> for Identity {
    fn from(id: i64) -> Self {
        Self(Id::Number(id))
    }
}

impl From<&str> for Identity {
    fn from(id: &str) -> Self {
        if id.len() > LONGEST {
            let begin = id.chars().take(32).collect::<String>();
            return Self(Id::Text(format!("{begin}\u{2026}{:032x}", hash(id.as_bytes())).into()));
        }
        Self(Id::Text(id.into()))
    }
}

/// No API has ids that are longer. What a server makes of one is kept by its hash: thousands of ids are remembered, and some
/// are in each cursor, and each might be as long as a body.
const LONGEST: usize = 512;

impl Identity {
    /// Of a record that has no id: of its text, told from others of the same text by the record before it.
    pub(super) fn of_raw(raw: &Json, before: Option<&Self>) -> Self {
        let before = before.map_or(0, |before| match &before.0 {
            Id::Number(id) => hash(&id.to_be_bytes()),
            Id::Text(id) => hash(id.as_bytes()),
            Id::Hash(hashes) => hash(&[hashes.0.to_be_bytes(), hashes.1.to_be_bytes()].concat()),
        });
        Self(Id::Hash(Arc::new((hash(raw.as_str().as_bytes()), before))))
    }

    /// 64 bits by which a cursor recognises the records that were delivered last.
    pub(super) fn fingerprint(&self) -> u64 {
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

    pub(super) fn is_unreadable(&self) -> bool {
        matches!(self.0, Id::Hash(..))
    }

    /// Whether both are of records of the same text.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        matches!((&self.0, &other.0), (Id::Hash(one), Id::Hash(other)) if one.0 == other.0)
    }
}

/// SipHash with its zero key: the same over runs, machines and versions.
fn hash(bytes: &[u8]) -> u128 {
    siphasher::sip128::SipHasher24::new().hash(bytes).as_u128()
}

/// As a text with its kind before it: the same under every format and every feature of serde_json.
impl Serialize for Identity {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Id::Number(id) => to.collect_str(&format_args!("n{id}")),
            Id::Text(id) => to.collect_str(&format_args!("t{id}")),
            Id::Hash(hashes) => to.collect_str(&format_args!("h{:032x}.{:032x}", hashes.0, hashes.1)),
        }
    }
}

impl<'de> Deserialize<'de> for Identity {
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
        id.map(Self).ok_or_else(|| serde::de::Error::custom("not an identity"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_any_length_takes_little_memory_and_is_told_from_others() {
        let long = |end: &str| format!("{}{end}", "x".repeat(1_000_000));
        let (one, other) = (Identity::from(&*long("1")), Identity::from(&*long("2")));
        assert_eq!(one, Identity::from(&*long("1")));
        assert_ne!(one, other);
        assert_ne!(one.fingerprint(), other.fingerprint());
        let text = serde_json::to_string(&one).unwrap();
        assert!(text.len() < 200, "{text}");
        assert_eq!(serde_json::from_str::<Identity>(&text).unwrap(), one);
        // A cursor may hold one in full.
        assert_eq!(serde_json::from_str::<Identity>(&format!("\"t{}\"", long("1"))).unwrap(), one);
        // Those that an API may have are kept as they are.
        let usual = "x".repeat(LONGEST);
        assert_eq!(serde_json::to_string(&Identity::from(&*usual)).unwrap(), format!("\"t{usual}\""));
    }
}
