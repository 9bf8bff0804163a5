//! Types of single values on the wire: ids, integers, times, JSON of any form, enums that grow, and record keys.

pub(crate) mod id;
pub(crate) mod ident;
pub(crate) mod integer;
pub(crate) mod json;
pub(crate) mod open_enum;
pub(crate) mod record_key;
#[cfg(feature = "schemars")]
pub(crate) mod schema;
pub(crate) mod time;
