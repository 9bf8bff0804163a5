//! Records with their raw JSON.

use std::ops::Deref;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::decode;
use crate::decode::omitted::OmittedField;
use crate::page::{Growth, PageSizes, Paginate, RecordKey, Stability, TotalScope, Window};
use crate::record::{LogRecord, forward_log_record};
use crate::request::Request;
use crate::values::json::Json;

/// A record with its raw JSON, as the server sent it. Dereferences to the record.
///
/// It serializes as the raw JSON, byte for byte.
#[derive(Clone, Debug, PartialEq)]
pub struct Raw<T> {
    record: T,
    raw: Json,
}

impl<T> Raw<T> {
    /// Returns the raw JSON.
    #[must_use]
    pub fn raw(&self) -> &Json {
        &self.raw
    }

    /// Returns the record by value.
    #[must_use]
    pub fn into_record(self) -> T {
        self.record
    }

    /// Returns the record and the raw JSON.
    #[must_use]
    pub fn into_parts(self) -> (T, Json) {
        (self.record, self.raw)
    }

    /// Converts the record, and keeps the raw JSON beside it.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Raw<U> {
        Raw { record: convert(self.record), raw: self.raw }
    }
}

impl<T: LogRecord> LogRecord for Raw<T> {
    forward_log_record!(|it| it.record);
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

/// A listing whose records keep their raw JSON: see [`Listing::with_raw`](crate::page::Listing::with_raw).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithRaw<Q>(Q);

impl<Q> WithRaw<Q> {
    pub(crate) fn new(query: Q) -> Self {
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

    fn record_key(item: &Raw<Q::Item>) -> RecordKey {
        Q::record_key(&item.record)
    }

    fn page_sizes(&self) -> PageSizes {
        self.0.page_sizes()
    }

    fn stability(&self) -> Stability {
        self.0.stability()
    }

    fn growth(&self) -> Growth {
        self.0.growth()
    }

    fn has_timestamps(&self) -> bool {
        self.0.has_timestamps()
    }

    fn timestamp(item: &Raw<Q::Item>) -> Option<DateTime<Utc>> {
        Q::timestamp(&item.record)
    }

    fn requesting_timestamps(&self) -> Option<Self> {
        self.0.requesting_timestamps().map(Self)
    }

    fn is_final(item: &Raw<Q::Item>) -> Option<bool> {
        Q::is_final(&item.record)
    }

    fn omit(item: &mut Raw<Q::Item>, fields: Vec<OmittedField>, raw: &Json) -> bool {
        // The record was decoded from a copy without these fields; what is kept is what the server sent. The copy is
        // freed first: a record may be as long as a body.
        item.raw = Json::default();
        item.raw = raw.clone();
        Q::omit(&mut item.record, fields, raw)
    }

    fn total_scope(&self) -> TotalScope {
        self.0.total_scope()
    }
}
