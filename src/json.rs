//! Free-form JSON, kept as sent.

use std::any::type_name;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON value, kept as the text that the server sent.
///
/// Nothing is lost or changed: numbers keep all their digits, objects the order of their keys and their repeated ones.
/// It is parsed when you ask, into what you ask for.
///
/// serde_json writes it back byte for byte. Other formats, which can't hold free-form JSON, get and give a text that is
/// JSON. Which one it is told by the serialiser's type, which erased ones hide: through `erased_serde` it is a text even
/// in JSON.
///
/// Don't put it into types with `#[serde(flatten)]`, `untagged` or an inner `tag`: serde reads those through a buffer of
/// its own, which keeps no text, and reading a `Json` from there fails or takes a JSON string for its content.
/// [`to_value`](Self::to_value) follows serde_json's own rules for what a `Value` can hold.
///
/// Two are equal if their texts are: `1.0` and `1.00` differ, and so do `{"a":1}` and `{ "a": 1 }`.
///
/// ```
/// use actionlog::Json;
///
/// let json: Json = serde_json::from_str(r#"{"amount": 12.50, "id": 90071992547409931234}"#)?;
/// assert_eq!(json.as_str(), r#"{"amount": 12.50, "id": 90071992547409931234}"#);
///
/// #[derive(serde::Deserialize)]
/// struct Payment { amount: f64 }
/// assert_eq!(json.parse::<Payment>()?.amount, 12.5);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone)]
pub struct Json(Box<RawValue>);

impl Json {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The value read as a `T`.
    ///
    /// # Errors
    ///
    /// What serde_json says if the text doesn't fit a `T`. Mind that its message may quote the text.
    pub fn parse<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.as_str())
    }

    /// The value as a [`serde_json::Value`], which rounds numbers, sorts keys and drops repeated ones.
    ///
    /// # Errors
    ///
    /// For what a `Value` can't hold: numbers beyond `f64`, lone surrogates, a depth above 127.
    pub fn to_value(&self) -> serde_json::Result<serde_json::Value> {
        self.parse()
    }

    /// Writes any value as JSON.
    ///
    /// # Errors
    ///
    /// If it can't be written as JSON: a map whose keys aren't strings, or what its `Serialize` refuses.
    pub fn from_serialize(value: &impl Serialize) -> serde_json::Result<Self> {
        serde_json::value::to_raw_value(value).map(Self)
    }

    /// Takes a text that is JSON.
    ///
    /// # Errors
    ///
    /// Where it isn't.
    pub fn from_text(text: impl Into<String>) -> serde_json::Result<Self> {
        RawValue::from_string(text.into()).map(Self)
    }

    pub(crate) fn from_raw(raw: Box<RawValue>) -> Self {
        Self(raw)
    }

    /// Whether the value is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.as_str() == "null"
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<serde_json::Value> for Json {
    type Error = serde_json::Error;

    fn try_from(value: serde_json::Value) -> serde_json::Result<Self> {
        Self::from_serialize(&value)
    }
}

/// What serde_json's own serialisers and deserialisers look for to hand a text through as it is.
const AS_IT_IS: &str = "$serde_json::private::RawValue";

/// From JSON text: the text, as it is. From other formats: a text that is JSON.
impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Json;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Json, A::Error> {
                Box::<RawValue>::deserialize(MapAccessDeserializer::new(map)).map(Json)
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Json, D::Error> {
                inner.deserialize_string(self)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Json, E> {
                Json::from_text(text).map_err(|_| E::custom("a text that isn't JSON"))
            }
        }

        deserializer.deserialize_newtype_struct(AS_IT_IS, Text)
    }
}

/// By serde_json: the text, byte for byte. By other formats: a text that is JSON.
impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // No format says which one it is. Those that wrap another carry its type in their own.
        if type_name::<S>().contains("serde_json::") {
            self.0.serialize(serializer)
        } else {
            serializer.serialize_newtype_struct("Json", self.as_str())
        }
    }
}
