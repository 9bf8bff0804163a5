//! Free-form JSON, kept as raw text.

use std::any::type_name;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON value, kept as the raw JSON that the server sent.
///
/// Nothing is lost or changed: numbers keep all digits, and objects keep the order of their keys and repeated keys. The
/// value is parsed on request: see [`parse`](Self::parse), [`get`](Self::get) and [`to_value`](Self::to_value).
///
/// serde_json writes the value back byte for byte. Other formats can't hold free-form JSON, so they store a string that
/// contains the JSON. The implementation tells the two cases apart by the type of the serialiser. `erased_serde` hides
/// that type, so through it a `Json` is a string even in JSON.
///
/// Don't use `Json` in types with `#[serde(flatten)]`, `untagged` or an internal `tag`: serde buffers their values and
/// drops the raw JSON. Deserialising a `Json` from that buffer fails, or takes a JSON string for its content.
///
/// Two values are equal if their raw JSON is equal: `1.0` and `1.00` differ, and so do `{"a":1}` and `{ "a": 1 }`.
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
    /// The raw JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Deserialises the value as a `T`.
    ///
    /// # Errors
    ///
    /// serde_json's error if the JSON doesn't match `T`. Its message may quote the JSON.
    pub fn parse<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.as_str())
    }

    /// The value as a [`serde_json::Value`], which rounds numbers, sorts keys and drops repeated keys.
    ///
    /// # Errors
    ///
    /// If a `Value` can't hold it: a number outside of `f64`, a lone surrogate, or nesting deeper than 127.
    pub fn to_value(&self) -> serde_json::Result<serde_json::Value> {
        self.parse()
    }

    /// Serialises any value as JSON.
    ///
    /// # Errors
    ///
    /// If it can't be serialised as JSON: a map whose keys aren't strings, or an error of its `Serialize`.
    pub fn from_serialize(value: impl Serialize) -> serde_json::Result<Self> {
        serde_json::value::to_raw_value(&value).map(Self)
    }

    /// Wraps a string that contains JSON.
    ///
    /// # Errors
    ///
    /// If the string isn't valid JSON.
    pub fn from_text(text: impl Into<String>) -> serde_json::Result<Self> {
        RawValue::from_string(text.into()).map(Self)
    }

    /// The value of an object's field; the last value if the name is repeated. `None` if there is no such field, or the
    /// value isn't an object.
    ///
    /// Each call scans the raw JSON. For more than a few fields, [`parse`](Self::parse) into a struct.
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

    /// The value at a JSON Pointer (RFC 6901) such as `/lines/0/sku`, as in [`serde_json::Value::pointer`]. The empty
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

/// The value of a field in the raw JSON of an object.
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

/// An element in the raw JSON of an array, by its index in the notation of a JSON Pointer.
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
        // A `Value` always serialises.
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

/// Compares the parsed values, by [`to_value`](Json::to_value), and not the raw JSON.
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

/// The name that makes serde_json's serialisers and deserialisers pass raw JSON through.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// From JSON: the raw JSON. From other formats: a string that contains JSON.
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
                Json::from_text(text).map_err(|_| E::custom("a string that isn't JSON"))
            }
        }

        deserializer.deserialize_newtype_struct(RAW_VALUE, Text)
    }
}

/// Any JSON.
#[cfg(feature = "schemars")]
impl schemars::JsonSchema for Json {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Json".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        true.into()
    }
}

/// With serde_json: the raw JSON, byte for byte. With other formats: a string that contains JSON.
impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A serialiser doesn't say which format it writes, so look at its type. Wrappers have the inner type in their
        // own name.
        if type_name::<S>().contains("serde_json::") {
            self.0.serialize(serializer)
        } else {
            serializer.serialize_newtype_struct("Json", self.as_str())
        }
    }
}
