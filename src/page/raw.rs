//! Records with their text beside them.

use std::ops::Deref;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Growth, Identity, Order, PageSizes, Paginate, Total, Window};
use crate::json::Json;
use crate::omitted::OmittedField;
use crate::request::Request;
use crate::transport::decode;

/// A record, with its text as the server sent it beside it. Acts as the record otherwise.
///
/// It is written as the text: byte for byte what came.
#[derive(Clone, Debug, PartialEq)]
pub struct Raw<T> {
    record: T,
    raw: Json,
}

impl<T> Raw<T> {
    /// The text.
    #[must_use]
    pub fn raw(&self) -> &Json {
        &self.raw
    }

    /// The record.
    #[must_use]
    pub fn into_record(self) -> T {
        self.record
    }

    /// Both.
    #[must_use]
    pub fn into_parts(self) -> (T, Json) {
        (self.record, self.raw)
    }
}

impl<T> Deref for Raw<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.record
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Raw<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = Json::deserialize(from)?;
        let record = decode::within(raw.as_str())?;
        Ok(Self { record, raw })
    }
}

impl<T> Serialize for Raw<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.raw.serialize(to)
    }
}

/// A listing whose records keep their text: see [`Listing::with_raw`](super::Listing::with_raw).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithRaw<Q>(Q);

impl<Q> WithRaw<Q> {
    pub(super) fn new(query: Q) -> Self {
        Self(query)
    }
}

impl<Q: Paginate> Paginate for WithRaw<Q> {
    type Item = Raw<Q::Item>;
    type Envelope = Q::Envelope;

    fn request(&self) -> Request<()> {
        self.0.request()
    }

    fn window<T>(&self, request: Request<T>, window: Window) -> Request<T> {
        self.0.window(request, window)
    }

    fn identity(item: &Raw<Q::Item>) -> Identity {
        Q::identity(&item.record)
    }

    fn page_sizes(&self) -> PageSizes {
        self.0.page_sizes()
    }

    fn order(&self) -> Order {
        self.0.order()
    }

    fn growth(&self) -> Growth {
        self.0.growth()
    }

    fn bears_time(&self) -> bool {
        self.0.bears_time()
    }

    fn time_of(item: &Raw<Q::Item>) -> Option<DateTime<Utc>> {
        Q::time_of(&item.record)
    }

    fn omit(item: &mut Raw<Q::Item>, fields: Vec<OmittedField>, raw: &Json) -> bool {
        // It was read from what was left.
        item.raw = raw.clone();
        Q::omit(&mut item.record, fields, raw)
    }

    fn total(&self) -> Total {
        self.0.total()
    }
}
