//! From bytes to values.

use std::error::Error as StdError;
use std::fmt;

use bytes::Bytes;
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::bound::{self, Counted, Most};
use super::lenient;
use super::named::Named;
use crate::error::ApiError;
use crate::json::Json;
use crate::omitted::OmittedField;
use crate::page::{Entry, Envelope, Listed, UnreadableRecord};
use crate::request::Answer;

/// Why an answer's body could not be read as what was expected.
///
/// Says where (a path into the JSON) and what was expected there, and never what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    Empty,
    Unfit {
        path: String,
        reason: String,
    },
    Refused(ApiError),
    /// A status of success that promises no whole answer.
    NotWhole(StatusCode),
    /// The server gave a number, and errors beside it.
    PartialCount(u64, ApiError),
    /// More of something than an answer may hold.
    TooMany {
        what: &'static str,
        most: usize,
    },
}

impl DecodeError {
    /// The body is empty where something was expected.
    #[must_use]
    pub fn empty() -> Self {
        Problem::Empty.into()
    }

    /// Something doesn't fit, at a path into the JSON (empty for the whole).
    pub fn unfit(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Problem::Unfit { path: path.into(), reason: reason.into() }.into()
    }

    /// The body says that the server refused, whatever the status says.
    #[must_use]
    pub fn refused(error: ApiError) -> Self {
        Problem::Refused(error).into()
    }

    /// There is a number, and errors are beside it.
    pub(crate) fn partial_count(count: u64, error: ApiError) -> Self {
        Problem::PartialCount(count, error).into()
    }

    /// The same, of what stands in a field.
    pub(crate) fn within(self, field: &str) -> Self {
        match self.problem {
            Problem::Unfit { path, reason } if path.is_empty() => Self::unfit(field, reason),
            Problem::Unfit { path, reason } => Self::unfit(format!("{field}.{path}"), reason),
            problem => problem.into(),
        }
    }

    pub(crate) fn into_problem(self) -> Problem {
        self.problem
    }
}

impl From<Problem> for DecodeError {
    fn from(problem: Problem) -> Self {
        Self { problem }
    }
}

impl From<serde_json::Error> for DecodeError {
    fn from(error: serde_json::Error) -> Self {
        Self::unfit("", reason(&error))
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Problem::Empty => f.write_str("the body is empty"),
            Problem::Unfit { path, reason } if path.is_empty() => f.write_str(reason),
            Problem::Unfit { path, reason } => write!(f, "{path}: {reason}"),
            Problem::Refused(api) | Problem::PartialCount(_, api) => api.fmt(f),
            Problem::TooMany { what, most } => write!(f, "more than {most} {what}"),
            Problem::NotWhole(status) => write!(f, "{status} isn't the status of a whole answer"),
        }
    }
}

impl StdError for DecodeError {}

/// Whether an answer of success may hold all of what was asked for. A part of it (206), what changed in it (226) and an
/// answer that is to have no body (205) may well be JSON of the right shape.
pub(crate) fn whole(answer: &Answer) -> Result<(), DecodeError> {
    match answer.status().as_u16() {
        205 | 206 | 226 if !answer.body().is_empty() => Err(Problem::NotWhole(answer.status()).into()),
        _ => Ok(()),
    }
}

/// Whether an answer of success may hold a whole page: also one that was accepted to be made (202), or is of several
/// statuses (207), is none.
pub(crate) fn whole_page(answer: &Answer) -> Result<(), DecodeError> {
    match answer.status().as_u16() {
        200 | 201 | 203 => Ok(()),
        // What has no body fails for that.
        _ if answer.body().is_empty() => Ok(()),
        _ => Err(Problem::NotWhole(answer.status()).into()),
    }
}

/// Reads a whole body as JSON.
pub(crate) fn json<T: DeserializeOwned>(body: &Bytes) -> Result<T, DecodeError> {
    typed(text(body)?)
}

/// Reads a text as JSON, and says where it doesn't fit if it doesn't.
pub(crate) fn typed<T: DeserializeOwned>(text: &str) -> Result<T, DecodeError> {
    let read = bound::freed_if_unfit(|| serde_json::from_str::<Named<T>>(text));
    read.map(|it| it.0).map_err(|error| located::<T>(text, &error))
}

/// Gives a record the fields that it had to be read without, and its whole text. `false` if it takes none.
pub(crate) type Omit<R> = fn(&mut R, Vec<OmittedField>, &Json) -> bool;

/// Reads a page in one pass; only if that fails, record by record; and only a record that doesn't fit, without the fields
/// that don't. No more records than `most` says are read in either way, and no more of lists in them than [`bound`] lets pass:
/// what is three bytes in a body takes a hundred in memory, and some 32 KB of compressed nothing are eleven million.
pub(crate) fn page<E: Envelope, R: DeserializeOwned>(
    body: &Bytes,
    most: Most,
    omit: Omit<R>,
) -> Result<Listed<Entry<R>>, DecodeError> {
    let text = text(body)?;
    let read = bound::within(most, || serde_json::from_str::<Named<E::Of<Counted<Named<R>>>>>(text))?;
    if let Ok(page) = read {
        return Ok(E::open(page.0)?.map(|record| Entry::Record(record.0.0)));
    }
    let raw = bound::within(most, || serde_json::from_str::<Named<E::Of<Counted<Box<RawValue>>>>>(text))?;
    let raw = match raw {
        Ok(page) => E::open(page.0)?,
        // The page itself doesn't fit, not a record of it.
        Err(error) => {
            let located = || located::<E::Of<Counted<Box<RawValue>>>>(text, &error);
            return Err(bound::within(most, located)?);
        }
    };
    let mut index = 0;
    let each = |raw: Counted<Box<RawValue>>| {
        let entry = record(index, raw.0, omit);
        index += 1;
        entry
    };
    bound::within(most, || raw.map(each))
}

fn record<R: DeserializeOwned>(index: usize, raw: Box<RawValue>, omit: Omit<R>) -> Entry<R> {
    if bound::is_over() {
        return Entry::Unreadable(UnreadableRecord::new(index, String::new(), String::new(), Json::from_raw(raw)));
    }
    match bound::freed_if_unfit(|| serde_json::from_str::<Named<R>>(raw.get())) {
        Ok(record) => Entry::Record(record.0),
        Err(error) => {
            let raw = Json::from_raw(raw);
            let why = match without_odd_fields(&raw, omit) {
                Ok(record) => return Entry::Record(record),
                Err(why) => why.unwrap_or_else(|| located::<R>(raw.as_str(), &error)),
            };
            let (path, reason) = match why.problem {
                Problem::Unfit { path, reason } => (path, reason),
                _ => (String::new(), reason(&error)),
            };
            Entry::Unreadable(UnreadableRecord::new(index, path, reason, raw))
        }
    }
}

/// Reads a record that doesn't fit as it is, without the fields that don't.
///
/// # Errors
///
/// What makes it invalid all the same, if that isn't what was in the way in the first place.
pub(crate) fn without_odd_fields<R: DeserializeOwned>(raw: &Json, omit: Omit<R>) -> Result<R, Option<DecodeError>> {
    match lenient::read::<R>(raw.as_str()) {
        Ok((mut record, fields)) => {
            if omit(&mut record, fields, raw) {
                Ok(record)
            } else {
                Err(None)
            }
        }
        Err(why) => Err(why.map(|it| DecodeError::unfit(it.path, it.reason))),
    }
}

/// One check of the whole is cheaper than serde_json's piece by piece. A byte order mark is let pass.
fn text(body: &Bytes) -> Result<&str, DecodeError> {
    let text = std::str::from_utf8(body).map_err(|error| {
        DecodeError::unfit("", format!("not UTF-8 from byte {} of {} on", error.valid_up_to(), body.len()))
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_ascii().is_empty() { Err(DecodeError::empty()) } else { Ok(text) }
}

/// Reads again, this time keeping track of the path. What was read once without it costs nothing on the good way.
fn located<T: DeserializeOwned>(text: &str, error: &serde_json::Error) -> DecodeError {
    let mut from = serde_json::Deserializer::from_str(text);
    let path = match bound::freed_if_unfit(|| serde_path_to_error::deserialize::<_, Named<T>>(&mut from)) {
        Err(error) if error.path().iter().next().is_some() => error.path().to_string(),
        _ => String::new(),
    };
    let message = error.to_string();
    match message.strip_prefix(WITHIN).and_then(|it| it.split_once(WITHIN)) {
        // One read within another (see `Raw`) says where; the place that the outer one adds is its own end.
        Some((inner, reason)) => {
            let places = reason.matches(" at line ").count();
            let reason = reason.rsplit_once(" at line ").filter(|_| places > 1).map_or(reason, |(reason, _)| reason);
            DecodeError::unfit(inner, unquoted(reason))
        }
        None => DecodeError::unfit(path, reason(error)),
    }
}

/// Stands around the path in the message of an error that is handed through serde.
const WITHIN: char = '\u{1f}';

/// Reads a text as JSON inside of another deserialisation, and keeps the path of what doesn't fit.
pub(crate) fn within<T: DeserializeOwned, E: serde::de::Error>(text: &str) -> Result<T, E> {
    typed(text).map_err(|error| match error.problem {
        Problem::Unfit { path, reason } => E::custom(format_args!("{WITHIN}{path}{WITHIN}{reason}")),
        problem => E::custom(DecodeError::from(problem)),
    })
}

/// serde_json's message without the value that it quotes: it is a record's.
fn reason(error: &serde_json::Error) -> String {
    let message = error.to_string();
    if error.is_data() { unquoted(&message) } else { message }
}

fn unquoted(message: &str) -> String {
    // These quote the name of a field of the model.
    if message.starts_with("missing field") || message.starts_with("duplicate field") {
        return message.to_owned();
    }
    // The value stands before what was expected, and may hold anything, quotes and these very words too. What was
    // expected, and the place, are never the record's.
    let rest = message.rfind(", expected ").or_else(|| message.rfind(" at line ")).unwrap_or(message.len());
    match message[..rest].find(['"', '`']) {
        Some(value) => format!("{}(..){}", &message[..value], &message[rest..]),
        None => message.to_owned(),
    }
}
