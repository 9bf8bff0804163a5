//! Deserializes response bodies.

pub(crate) mod bound;
pub(crate) mod by_name;
pub(crate) mod envelope;
pub(crate) mod error_text;
pub(crate) mod lenient;
pub(crate) mod lists;
pub(crate) mod omitted;
mod path;
mod span;

use std::error::Error as StdError;
use std::fmt;

use bytes::Bytes;
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::decode::bound::{Counted, Most};
use crate::decode::by_name::Named;
use crate::decode::envelope::{Envelope, ListPage};
use crate::decode::omitted::OmittedField;
pub(crate) use crate::decode::span::Span;
use crate::error::ApiError;
use crate::error::InvalidRecord;
use crate::values::json::Json;

/// A response of the server: status, headers and the whole body, decompressed.
pub type HttpResponse = http::Response<Bytes>;

/// Why a response body doesn't have the expected structure.
///
/// Contains the path into the JSON and what was expected there, and never the value itself.
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
    /// A success status that doesn't promise a complete response.
    NotWhole(StatusCode),
    /// The server returned a count, and errors beside it.
    PartialCount(u64, ApiError),
    /// A limit on the contents of a response was exceeded.
    TooMany {
        what: &'static str,
        most: usize,
    },
}

impl DecodeError {
    /// The body is empty although a value was expected.
    #[must_use]
    pub fn empty() -> Self {
        Problem::Empty.into()
    }

    /// A value at a path into the JSON doesn't fit. An empty path means the whole body.
    pub fn unfit(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Problem::Unfit { path: path.into(), reason: reason.into() }.into()
    }

    /// The API reported a failure in the body of a successful response.
    #[must_use]
    pub fn refused(error: ApiError) -> Self {
        Problem::Refused(error).into()
    }

    /// The body contains a count, and errors beside it.
    pub(crate) fn partial_count(count: u64, error: ApiError) -> Self {
        Problem::PartialCount(count, error).into()
    }

    /// Prefixes the path with a field.
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
            Problem::NotWhole(status) => write!(f, "the status {status} doesn't promise a complete response"),
        }
    }
}

impl StdError for DecodeError {}

/// Rejects success statuses that don't promise a complete response: a partial one (206), the changes to an earlier one
/// (226), and one that must not have a body (205). Their bodies may well be JSON with the right structure.
pub(crate) fn whole(response: &HttpResponse) -> Result<(), DecodeError> {
    match response.status().as_u16() {
        205 | 206 | 226 if !response.body().is_empty() => Err(Problem::NotWhole(response.status()).into()),
        _ => Ok(()),
    }
}

/// Rejects success statuses that don't promise a complete page, such as a request accepted for later processing (202)
/// or a response with several statuses (207).
pub(crate) fn whole_page(response: &HttpResponse) -> Result<(), DecodeError> {
    match response.status().as_u16() {
        200 | 201 | 203 => Ok(()),
        // An empty body fails later, with an error that says so.
        _ if response.body().is_empty() => Ok(()),
        _ => Err(Problem::NotWhole(response.status()).into()),
    }
}

/// Deserializes a whole body.
pub(crate) fn json<T: DeserializeOwned>(body: &Bytes) -> Result<T, DecodeError> {
    typed(text(body)?)
}

/// Deserializes a string. An error contains the path to the value that doesn't fit.
fn typed<T: DeserializeOwned>(text: &str) -> Result<T, DecodeError> {
    let read = bound::freed_if_unfit(|| serde_json::from_str::<Named<T>>(text));
    read.map(|it| it.0).map_err(|error| located::<T>(text, &error))
}

/// Stores the omitted fields and the raw JSON in a record. `false` if the record type can't hold them.
pub(crate) type Omit<R> = fn(&mut R, Vec<OmittedField>, &Json) -> bool;

/// Deserializes a page in one pass. Only if that fails, record by record; and only for an invalid record, without the
/// fields that don't fit. All passes enforce `most`, and the limits of [`bound`] on lists: three bytes in a body may
/// take a hundred in memory, and some 32 KB of compressed data may expand to eleven million of them.
pub(crate) fn page<E: Envelope, R: DeserializeOwned>(
    body: &Bytes,
    most: Most,
    omit: Omit<R>,
) -> Result<ListPage<Result<R, InvalidRecord>>, DecodeError> {
    let text = text(body)?;
    let read = bound::within(most, || serde_json::from_str::<Named<E::Of<Counted<R>>>>(text))?;
    if let Ok(page) = read {
        return Ok(E::open(page.0)?.map(|record| Ok(record.0)));
    }
    let mut index = 0;
    let mut each = |raw: &str| {
        index += 1;
        record(index - 1, raw, omit)
    };
    // Without a copy of each record, unless the envelope makes one itself.
    let spans = bound::within(most, || serde_json::from_str::<Named<E::Of<Counted<Span>>>>(text))?;
    if let Ok(page) = spans {
        let spans = E::open(page.0)?;
        if spans.records.iter().all(|it| it.0.of(text).is_some()) {
            return bound::within(most, || spans.map(|it| each(it.0.of(text).unwrap_or_default())));
        }
    }
    let raw = bound::within(most, || serde_json::from_str::<Named<E::Of<Counted<Box<RawValue>>>>>(text))?;
    match raw {
        Ok(page) => {
            let raw = E::open(page.0)?;
            bound::within(most, || raw.map(|it| each(it.0.get())))
        }
        // The envelope doesn't fit, rather than one of its records.
        Err(error) => Err(bound::within(most, || located::<E::Of<Counted<Box<RawValue>>>>(text, &error))?),
    }
}

fn record<R: DeserializeOwned>(index: usize, raw: &str, omit: Omit<R>) -> Result<R, InvalidRecord> {
    let json = || Json::from_text(raw).unwrap_or_default();
    if bound::is_over() {
        return Err(InvalidRecord::new(index, String::new(), String::new(), Json::default()));
    }
    match bound::freed_if_unfit(|| serde_json::from_str::<Named<R>>(raw)) {
        Ok(record) => Ok(record.0),
        Err(error) => {
            let why = match without_odd_fields(raw, omit) {
                Ok(record) => return Ok(record),
                Err(why) => why.unwrap_or_else(|| located::<R>(raw, &error)),
            };
            let (path, reason) = match why.problem {
                Problem::Unfit { path, reason } => (path, reason),
                _ => (String::new(), reason(&error)),
            };
            Err(InvalidRecord::new(index, path, reason, json()))
        }
    }
}

/// Deserializes an invalid record without the fields that don't fit.
///
/// # Errors
///
/// Why the record is still invalid. `None` if the reason is the original one.
pub(crate) fn without_odd_fields<R: DeserializeOwned>(raw: &str, omit: Omit<R>) -> Result<R, Option<DecodeError>> {
    match lenient::read::<R>(raw) {
        Ok((mut record, fields)) => {
            if omit(&mut record, fields, &Json::from_text(raw).map_err(|_| None)?) {
                Ok(record)
            } else {
                Err(None)
            }
        }
        Err(why) => Err(why.map(|it| DecodeError::unfit(it.path, it.reason))),
    }
}

/// Checks UTF-8 once for the whole body, which is cheaper than serde_json's checks string by string. A byte order mark
/// is accepted.
fn text(body: &Bytes) -> Result<&str, DecodeError> {
    let text = std::str::from_utf8(body).map_err(|error| {
        DecodeError::unfit("", format!("not UTF-8 from byte {} of {} on", error.valid_up_to(), body.len()))
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_ascii().is_empty() { Err(DecodeError::empty()) } else { Ok(text) }
}

/// Deserializes again to find the path of the error. The fast path doesn't pay for tracking the path.
fn located<T: DeserializeOwned>(text: &str, error: &serde_json::Error) -> DecodeError {
    tracked::<T>(text).err().unwrap_or_else(|| at_path(String::new(), error))
}

/// Deserializes a string in a single pass that tracks the path of an error.
fn tracked<T: DeserializeOwned>(text: &str) -> Result<T, DecodeError> {
    let mut from = serde_json::Deserializer::from_str(text);
    let read = bound::freed_if_unfit(|| serde_path_to_error::deserialize::<_, Named<T>>(&mut from));
    let record = read.map_err(|error| {
        let path = if error.path().iter().next().is_some() { error.path().to_string() } else { String::new() };
        at_path(path, error.inner())
    })?;
    from.end()?;
    Ok(record.0)
}

fn at_path(path: String, error: &serde_json::Error) -> DecodeError {
    let message = error.to_string();
    match message.strip_prefix(WITHIN).and_then(|it| it.split_once(WITHIN)) {
        // A nested deserialization has put its path into the message. The outer one appends the line and column at
        // which it stopped itself.
        Some((inner, reason)) => {
            let positions = reason.matches(" at line ").count();
            let reason = reason.rsplit_once(" at line ").filter(|_| positions > 1).map_or(reason, |(reason, _)| reason);
            DecodeError::unfit(inner, unquoted(reason))
        }
        None => DecodeError::unfit(path, reason(error)),
    }
}

/// Delimits the path inside an error message that passes through serde.
const WITHIN: char = '\u{1f}';

/// Deserializes a string inside another deserialization, and keeps the path of an error.
pub(crate) fn within<T: DeserializeOwned, E: serde::de::Error>(text: &str) -> Result<T, E> {
    typed(text).map_err(|error| match error.problem {
        Problem::Unfit { path, reason } => E::custom(format_args!("{WITHIN}{path}{WITHIN}{reason}")),
        problem => E::custom(DecodeError::from(problem)),
    })
}

/// serde_json's message without the value that it quotes, which is part of a record.
fn reason(error: &serde_json::Error) -> String {
    let message = error.to_string();
    if error.is_data() { unquoted(&message) } else { message }
}

fn unquoted(message: &str) -> String {
    // These messages quote a field name of the model, and no value.
    if message.starts_with("missing field") || message.starts_with("duplicate field") {
        return message.to_owned();
    }
    // The value comes before the expectation, and may contain anything, including quotes and this very wording. The
    // expectation and the line and column never contain parts of the record.
    let rest = message.rfind(", expected ").or_else(|| message.rfind(" at line ")).unwrap_or(message.len());
    match message[..rest].find(['"', '`']) {
        Some(value) => format!("{}(..){}", &message[..value], &message[rest..]),
        None => message.to_owned(),
    }
}
