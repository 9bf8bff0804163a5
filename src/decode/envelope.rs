//! The JSON around the records of a page.

use serde::de::DeserializeOwned;

use crate::decode::DecodeError;
use crate::error::ApiError;

/// The records of one response of a listing, with the total and the errors beside them.
#[derive(Clone, Debug, PartialEq)]
pub struct ListPage<R> {
    pub(crate) records: Vec<R>,
    pub(crate) total: Option<u64>,
    pub(crate) errors: Vec<ApiError>,
}

impl<R> ListPage<R> {
    /// Creates a page of these records, in the order of the response.
    #[must_use]
    pub fn new(records: Vec<R>) -> Self {
        Self { records, total: None, errors: Vec::new() }
    }

    /// Sets the total, where the response has one.
    #[must_use = "returns the changed value"]
    pub fn with_total(mut self, total: Option<u64>) -> Self {
        self.total = total;
        self
    }

    /// Sets the errors that the server sent beside the records.
    #[must_use = "returns the changed value"]
    pub fn with_errors(mut self, errors: Vec<ApiError>) -> Self {
        self.errors = errors;
        self
    }

    /// Returns the records, in the order of the response.
    #[must_use]
    pub fn records(&self) -> &[R] {
        &self.records
    }

    /// Returns the records by value.
    #[must_use]
    pub fn into_records(self) -> Vec<R> {
        self.records
    }

    /// Returns the total, where the response has one.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// Returns the errors that the server sent beside the records.
    #[must_use]
    pub fn errors(&self) -> &[ApiError] {
        &self.errors
    }

    pub(super) fn map<S>(self, change: impl FnMut(R) -> S) -> ListPage<S> {
        ListPage { records: self.records.into_iter().map(change).collect(), total: self.total, errors: self.errors }
    }
}

/// The JSON around the records of a page, generic over the record type.
///
/// A page is decoded in one pass with typed records. If one of them doesn't fit, the page is decoded again with raw
/// records, and each of these on its own.
pub trait Envelope: 'static {
    /// The body of a response, with records of type `R`.
    type Of<R: DeserializeOwned>: DeserializeOwned;

    /// Takes the records, the total and the errors out of a body.
    ///
    /// # Errors
    ///
    /// If the body reports a failure, or has no list where one belongs: a missing list is not an empty one.
    fn open<R: DeserializeOwned>(body: Self::Of<R>) -> Result<ListPage<R>, DecodeError>;
}
