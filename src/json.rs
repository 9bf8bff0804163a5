//! Free-form JSON, kept as sent.

use std::any::type_name;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

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
    pub fn from_serialize(value: impl Serialize) -> serde_json::Result<Self> {
        serde_json::value::to_raw_value(&value).map(Self)
    }

    /// Takes a text that is JSON.
    ///
    /// # Errors
    ///
    /// Where it isn't.
    pub fn from_text(text: impl Into<String>) -> serde_json::Result<Self> {
        RawValue::from_string(text.into()).map(Self)
    }

    /// The value of an object's field; the last one of a name that is repeated. `None` if there is none, and for anything
    /// but an object.
    ///
    /// Reads the raw JSON anew at each call: for more than a few fields, [`parse`](Self::parse) into a struct.
    ///
    /// ```
    /// use actionlog::Json;
    ///
    /// let json: Json = serde_json::json!({"order": {"total": 12}}).into();
    /// assert_eq!(json.get("order").and_then(|it| it.get("total")).map(|it| it.parse()).transpose()?, Some(12));
    /// assert_eq!(json.get("customer"), None);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Self> {
        member(&self.0, name).map(|it| Self(it.to_owned()))
    }

    /// The value at a JSON Pointer (RFC 6901), as [`serde_json::Value::pointer`] reads one: `/lines/0/sku`. The empty
    /// pointer is the whole value.
    ///
    /// ```
    /// use actionlog::Json;
    ///
    /// let json: Json = serde_json::json!({"lines": [{"sku": "A-1"}]}).into();
    /// assert_eq!(json.pointer("/lines/0/sku").map(|it| it.to_string()).as_deref(), Some(r#""A-1""#));
    /// ```
    #[must_use]
    pub fn pointer(&self, pointer: &str) -> Option<Self> {
        if pointer.is_empty() {
            return Some(self.clone());
        }
        let tokens = pointer.strip_prefix('/')?.split('/').map(|it| it.replace("~1", "/").replace("~0", "~"));
        let found = tokens.into_iter().try_fold(&*self.0, |value, token| {
            if value.get().starts_with('[') { element(value, &token) } else { member(value, &token) }
        });
        found.map(|it| Self(it.to_owned()))
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

/// A field's value in the raw JSON of an object.
fn member<'a>(object: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    struct Find<'n>(&'n str);

    impl<'de> Visitor<'de> for Find<'_> {
        type Value = Option<&'de RawValue>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = None;
            while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                let value = map.next_value::<&'de RawValue>()?;
                if name == self.0 {
                    found = Some(value);
                }
            }
            Ok(found)
        }
    }

    serde_json::Deserializer::from_str(object.get()).deserialize_map(Find(name)).ok().flatten()
}

/// An element of the raw JSON of an array, by its index as a JSON Pointer writes it.
fn element<'a>(array: &'a RawValue, index: &str) -> Option<&'a RawValue> {
    let is_index = index == "0" || (!index.starts_with('0') && index.bytes().all(|it| it.is_ascii_digit()));
    let index: usize = index.parse().ok().filter(|_| is_index)?;
    serde_json::from_str::<Vec<&RawValue>>(array.get()).ok()?.get(index).copied()
}

/// `null`.
impl Default for Json {
    fn default() -> Self {
        Self(RawValue::NULL.to_owned())
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        // A `Value` can always be written.
        Self::from_serialize(&value).unwrap_or_default()
    }
}

impl TryFrom<Json> for serde_json::Value {
    type Error = serde_json::Error;

    /// As [`Json::to_value`].
    fn try_from(json: Json) -> serde_json::Result<Self> {
        json.to_value()
    }
}

/// As [`Json::from_text`].
impl FromStr for Json {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> serde_json::Result<Self> {
        Self::from_text(text)
    }
}

/// Against a `Value` by what both say, and not by their text: as [`to_value`](Json::to_value) reads it.
impl PartialEq<serde_json::Value> for Json {
    fn eq(&self, other: &serde_json::Value) -> bool {
        self.to_value().is_ok_and(|it| it == *other)
    }
}

impl PartialEq<Json> for serde_json::Value {
    fn eq(&self, other: &Json) -> bool {
        other == self
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
