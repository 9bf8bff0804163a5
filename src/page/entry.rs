use std::fmt;

use serde::Deserialize;

use crate::error::{Error, ErrorKind};
use crate::json::Json;

/// A record of an answer, or what came in a record's place.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry<T> {
    /// A record.
    Record(T),
    /// Something that can't be read as a record. Those before and after it can.
    Unreadable(UnreadableRecord),
}

impl<T> Entry<T> {
    /// The record, or the error that it can't be read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Record`] for an unreadable one.
    pub fn into_result(self) -> Result<T, Error> {
        match self {
            Self::Record(record) => Ok(record),
            Self::Unreadable(record) => Err(record.into_error()),
        }
    }

    /// The record, or the error that it can't be read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Record`] for an unreadable one.
    pub fn as_result(&self) -> Result<&T, Error> {
        match self {
            Self::Record(record) => Ok(record),
            Self::Unreadable(record) => Err(record.clone().into_error()),
        }
    }
}

impl<T> Entry<T> {
    /// Changes what is said of an unreadable record: names of the server's stand in a path.
    pub(crate) fn change_reason(&mut self, change: impl Fn(String) -> String) {
        if let Self::Unreadable(it) = self {
            it.path = change(std::mem::take(&mut it.path));
            it.reason = change(std::mem::take(&mut it.reason));
        }
    }
}

/// A record that can't be read: where it stood, why, and its text.
#[derive(Clone, PartialEq, Eq)]
pub struct UnreadableRecord {
    index: usize,
    id: Option<String>,
    path: String,
    reason: String,
    raw: Json,
}

impl UnreadableRecord {
    pub(crate) fn new(index: usize, path: String, reason: String, raw: Json) -> Self {
        Self { index, id: id_of(&raw), path, reason, raw }
    }

    /// Its place in the answer that it came in, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Its id, if it has one that can be read.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The path, inside the record, of what doesn't fit; empty for the record as a whole.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What was expected there. Says nothing of what stands there.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The record, as the server sent it.
    #[must_use]
    pub fn raw(&self) -> &Json {
        &self.raw
    }

    pub(crate) fn into_error(self) -> Error {
        let place = if self.path.is_empty() { String::new() } else { format!(" at {}", self.path) };
        Error::new(
            ErrorKind::Record,
            format!("record {} of its answer can't be read{place}: {}", self.index, self.reason),
        )
        .with_record(self)
    }
}

/// `id` or `_id`, a text or a whole number, not more than an id is long.
fn id_of(raw: &Json) -> Option<String> {
    #[derive(Deserialize)]
    struct Identified {
        id: Option<Json>,
        _id: Option<Json>,
    }
    let Identified { id, _id } = raw.parse().ok()?;
    let id = _id.or(id)?;
    let number = |id: &Json| id.as_str().bytes().all(|it| matches!(it, b'0'..=b'9' | b'-' | b'.'));
    let text = id.parse::<String>().ok().or_else(|| number(&id).then(|| id.as_str().to_owned()))?;
    (text.len() <= 64 && !text.chars().any(char::is_control)).then_some(text)
}

/// Shows where and why, and not the record.
impl fmt::Debug for UnreadableRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnreadableRecord")
            .field("index", &self.index)
            .field("path", &self.path)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}
