//! The stored form of a cursor: its serde implementations, its string, and how the version selects the form.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{DeserializeSeed, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cursor::{Content, Cursor, RUN, Run, VERSION};

const FIELDS: &[&str] = &[
    "version",
    "listing",
    "offset",
    "keys",
    "distances",
    "run",
    "head",
    "delivered",
    "totals",
    "whole",
    "many",
    "unoverlapped",
    "sequence",
    "shift",
    "late",
];

impl Content {
    fn of_version(version: u32) -> Self {
        Self { version, ..Self::default() }
    }
}

pub(super) fn another_version(version: u32) -> String {
    format!("the cursor has version {version}, and this crate reads version {VERSION}: start a new scan")
}

/// A cursor of another version can't be serialized: its content wasn't read, and would be lost.
impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0.version {
            VERSION => self.0.serialize(to),
            version => Err(serde::ser::Error::custom(another_version(version))),
        }
    }
}

/// Compact JSON, as serde_json writes it: one cursor has one string. For a cursor of another version this is an error
/// text in parentheses, which can't be parsed.
///
/// ```
/// # fn example(cursor: actionlog::Cursor) -> actionlog::Result<()> {
/// let stored = cursor.to_string();
/// assert_eq!(stored.parse::<actionlog::Cursor>()?, cursor);
/// # Ok(())
/// # }
/// ```
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match serde_json::to_string(self) {
            Ok(text) => f.write_str(&text),
            Err(error) => write!(f, "({error})"),
        }
    }
}

/// Reads the version first. The other fields of another version have an unknown form, which must not hide the error
/// that names the version.
impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_struct("Cursor", FIELDS, ByVersion).map(Self)
    }
}

struct ByVersion;

impl<'de> Visitor<'de> for ByVersion {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cursor")
    }

    /// Collects the fields that stand before the version.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
        let (mut version, mut fields) = (None, serde_json::Map::new());
        while let Some(name) = map.next_key::<String>()? {
            if version.is_some_and(|it| it != VERSION) {
                map.next_value::<IgnoredAny>()?;
            } else if name == "version" {
                let found = map.next_value::<u32>()?;
                fields.insert(name, found.into());
                version = Some(found);
            } else {
                fields.insert(name, map.next_value()?);
            }
        }
        match version {
            Some(version) if version != VERSION => Ok(Content::of_version(version)),
            _ => Content::deserialize(serde_json::Value::Object(fields)).map_err(serde::de::Error::custom),
        }
    }

    /// In formats without field names the version comes first.
    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Content, A::Error> {
        match fields.next_element::<u32>()? {
            Some(version) if version != VERSION => {
                // Skip the rest where the format allows it: some formats can't find where a value of an unknown form
                // ends.
                while let Ok(Some(IgnoredAny)) = fields.next_element() {}
                Ok(Content::of_version(version))
            }
            version => Content::deserialize(SeqAccessDeserializer::new(Put { back: version, fields })),
        }
    }
}

/// A sequence whose first element was taken out and is put back.
struct Put<A> {
    back: Option<u32>,
    fields: A,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Put<A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        match self.back.take() {
            Some(version) => seed.deserialize(version.into_deserializer()).map(Some),
            None => self.fields.next_element_seed(seed),
        }
    }
}

impl Serialize for Run {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self.0.iter().flat_map(|it| it.to_be_bytes()).collect();
        to.serialize_str(&BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Run {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let broken = || serde::de::Error::custom("not a run of record fingerprints");
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| broken())?;
        let (chunks, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() || chunks.len() > RUN {
            return Err(broken());
        }
        Ok(Self(chunks.iter().map(|it| u64::from_be_bytes(*it)).collect()))
    }
}
