//! Deserializes structs from JSON objects only, and not from arrays.
//!
//! serde's derived structs also accept an array with one element per field. In a server's response an array isn't
//! another notation for the same object but something else: `[[]]` isn't a page without records.

use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer};

/// A `T` that, if it is a struct, is deserialized from a JSON object only.
#[derive(Debug)]
pub(crate) struct Named<T>(pub(crate) T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        T::deserialize(ByName(from)).map(Named)
    }
}

/// A deserializer that requests a map where serde requests a struct.
struct ByName<D>(D);

macro_rules! forward {
    ($($name:ident($($argument:ident: $kind:ty),*))+) => {
        $(fn $name<V: Visitor<'de>>(self, $($argument: $kind,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$name($($argument,)* visitor)
        })+
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for ByName<D> {
    type Error = D::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }

    forward! {
        deserialize_any() deserialize_bool() deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64()
        deserialize_i128() deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128()
        deserialize_f32() deserialize_f64() deserialize_char() deserialize_str() deserialize_string()
        deserialize_bytes() deserialize_byte_buf() deserialize_option() deserialize_unit()
        deserialize_unit_struct(name: &'static str) deserialize_newtype_struct(name: &'static str) deserialize_seq()
        deserialize_tuple(length: usize) deserialize_tuple_struct(name: &'static str, length: usize) deserialize_map()
        deserialize_enum(name: &'static str, variants: &'static [&'static str]) deserialize_identifier()
        deserialize_ignored_any()
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

/// For `#[serde(default, deserialize_with = "crate::decode::by_name::optional")]`: absent, null, or a struct.
pub(crate) fn optional<'de, T: DeserializeOwned, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    Ok(Option::<Named<T>>::deserialize(from)?.map(|it| it.0))
}

/// A field that is a struct.
pub(crate) fn required<'de, T: DeserializeOwned, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    Named::deserialize(from).map(|it| it.0)
}
