//! The records of a scan in their order, as one hash. Does no I/O.

use serde::{Deserialize, Serialize};

/// An odd constant with well-mixed bits: multiplying by it loses nothing.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// A sequence of records: how many they are, which one is the first, and a hash of their keys in their order.
///
/// Serialized with the hashes as text, because some stores round large numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "(u64, String, String)", try_from = "(u64, String, String)")]
pub(crate) struct Sequence {
    pub(crate) count: u64,
    hash: u64,
    first: u64,
}

impl Sequence {
    /// Appends a record. Its fingerprint is a hash itself, so that one multiplication is enough.
    pub(crate) fn push(&mut self, fingerprint: u64) {
        if self.count == 0 {
            self.first = fingerprint;
        }
        self.hash = (self.hash.rotate_left(23) ^ fingerprint).wrapping_mul(MIX);
        self.count += 1;
    }

    /// Returns the fingerprint of the first record.
    pub(crate) fn first(&self) -> Option<u64> {
        (self.count > 0).then_some(self.first)
    }
}

impl From<Sequence> for (u64, String, String) {
    fn from(it: Sequence) -> Self {
        (it.count, format!("{:016x}", it.hash), format!("{:016x}", it.first))
    }
}

impl TryFrom<(u64, String, String)> for Sequence {
    type Error = std::num::ParseIntError;

    fn try_from((count, hash, first): (u64, String, String)) -> Result<Self, Self::Error> {
        Ok(Self { count, hash: u64::from_str_radix(&hash, 16)?, first: u64::from_str_radix(&first, 16)? })
    }
}

/// A set of records: how many they are, and the sum of their fingerprints. Unlike a [`Sequence`] it can be put together
/// from parts that overlap. Serialized as text, because some stores round large numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "(u64, String)", try_from = "(u64, String)")]
pub(crate) struct Set {
    pub(crate) count: u64,
    sum: u64,
}

impl Set {
    pub(crate) fn add(&mut self, fingerprint: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(fingerprint);
    }

    /// Returns the records of both. `shared` are those that both have.
    pub(crate) fn joined(self, other: Self, shared: Self) -> Option<Self> {
        let count = self.count.checked_add(other.count)?.checked_sub(shared.count)?;
        Some(Self { count, sum: self.sum.wrapping_add(other.sum).wrapping_sub(shared.sum) })
    }
}

impl From<Set> for (u64, String) {
    fn from(it: Set) -> Self {
        (it.count, format!("{:016x}", it.sum))
    }
}

impl TryFrom<(u64, String)> for Set {
    type Error = std::num::ParseIntError;

    fn try_from((count, sum): (u64, String)) -> Result<Self, Self::Error> {
        Ok(Self { count, sum: u64::from_str_radix(&sum, 16)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::record_key::RecordKey;

    fn sequence(ids: impl IntoIterator<Item = i64>) -> Sequence {
        let mut sequence = Sequence::default();
        ids.into_iter().for_each(|id| sequence.push(RecordKey::from(id).fingerprint()));
        sequence
    }

    #[test]
    fn sequences_are_equal_only_with_the_same_records_in_the_same_order() {
        let all = sequence(0..1_000);
        assert_eq!(all, sequence(0..1_000));
        assert_eq!(serde_json::from_str::<Sequence>(&serde_json::to_string(&all).unwrap()).unwrap(), all);
        for gone in 0..1_000 {
            assert_ne!(all.hash, sequence((0..1_000).filter(|id| *id != gone)).hash, "without {gone}");
        }
        for swapped in 0..999 {
            let other = (0..1_000).map(|id| match id {
                _ if id == swapped => id + 1,
                _ if id == swapped + 1 => id - 1,
                _ => id,
            });
            assert_ne!(all, sequence(other), "{swapped} and the next one swapped");
        }
    }
}
