//! A record of a page that doesn't deserialize.

use std::fmt;

use serde::Deserialize;

use crate::error::{Error, ErrorKind};
use crate::values::json::Json;

/// A record that can't be deserialized: its position, the reason, and its raw JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct InvalidRecord {
    index: usize,
    id: Option<String>,
    path: String,
    reason: String,
    raw: Json,
}

impl InvalidRecord {
    pub(crate) fn new(index: usize, path: String, reason: String, raw: Json) -> Self {
        Self { index, id: id_of(&raw), path, reason, raw }
    }

    /// The record's position in its page, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The record's id, if it has one that can be read.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The path inside the record to the value that doesn't fit. Empty for the record as a whole.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What was expected at [`path`](Self::path). Doesn't quote the value.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The record's raw JSON, as the server sent it.
    #[must_use]
    pub fn raw(&self) -> &Json {
        &self.raw
    }

    /// Returns the JSON of the id of a record that may be invalid: its `_id`, or its `id`.
    pub(crate) fn json_of_id(raw: &Json) -> Option<Json> {
        #[derive(Deserialize)]
        struct Ids {
            id: Option<Json>,
            _id: Option<Json>,
        }
        let Ids { id, _id } = raw.parse().ok()?;
        _id.or(id)
    }

    /// Applies a function to the strings that the server may have written: a path contains the names of its fields.
    pub(crate) fn change_reason(&mut self, change: impl Fn(String) -> String) {
        self.path = change(std::mem::take(&mut self.path));
        self.reason = change(std::mem::take(&mut self.reason));
    }
}

impl From<InvalidRecord> for Error {
    fn from(record: InvalidRecord) -> Self {
        let position = if record.path.is_empty() { String::new() } else { format!(" at `{}`", record.path) };
        let message = format!("record {} of this page is invalid{position}: {}", record.index, record.reason);
        Self::new(ErrorKind::InvalidRecord, message).with_record(record)
    }
}

/// `_id` or `id`: a string or a number, and at most 64 bytes, the most that an id has.
fn id_of(raw: &Json) -> Option<String> {
    let id = InvalidRecord::json_of_id(raw)?;
    let number = |id: &Json| id.as_str().bytes().all(|it| matches!(it, b'0'..=b'9' | b'-' | b'.'));
    let text = id.parse::<String>().ok().or_else(|| number(&id).then(|| id.as_str().to_owned()))?;
    (text.len() <= 64 && !text.chars().any(char::is_control)).then_some(text)
}

/// Shows the position and the reason, and not the record.
impl fmt::Debug for InvalidRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvalidRecord")
            .field("index", &self.index)
            .field("path", &self.path)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}
