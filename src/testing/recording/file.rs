//! The file of a recording: see the [format](crate::testing::recording#the-format).

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::testing::recording::{Exchange, RecordingError, VERSION};

/// The first line.
#[derive(Serialize, Deserialize)]
struct Head {
    actionlog_recording: u64,
    exchanges: usize,
}

#[derive(Serialize, Deserialize)]
struct Line {
    request: RequestLine,
    response: ResponseLine,
}

#[derive(Serialize, Deserialize)]
struct RequestLine {
    method: String,
    target: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    json: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    base64: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct ResponseLine {
    status: u16,
    headers: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    json: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    base64: Option<String>,
}

type Written = (Option<Box<RawValue>>, Option<String>, Option<String>);

/// A body as it is written.
fn written(body: &Bytes) -> Written {
    let Ok(text) = std::str::from_utf8(body) else { return (None, None, Some(BASE64.encode(body))) };
    if text.is_empty() {
        return (None, None, None);
    }
    // In one line, and without space around it, which a `RawValue` leaves out.
    let fits = text.starts_with(['{', '[']) && text.ends_with(['}', ']']) && !text.contains(['\n', '\r']);
    match fits.then(|| RawValue::from_string(text.to_owned())) {
        Some(Ok(json)) => (Some(json), None, None),
        _ => (None, Some(text.to_owned()), None),
    }
}

fn read_body((json, text, base64): Written) -> Result<Bytes, &'static str> {
    match (json, text, base64) {
        (None, None, None) => Ok(Bytes::new()),
        (Some(json), None, None) => Ok(Bytes::from(Box::<str>::from(json).into_string())),
        (None, Some(text), None) => Ok(Bytes::from(text)),
        (None, None, Some(coded)) => BASE64.decode(coded).map(Bytes::from).map_err(|_| "has a body that isn't base64"),
        _ => Err("has a body in two forms"),
    }
}

/// The text of the file.
pub(super) fn write(exchanges: &[Exchange]) -> serde_json::Result<String> {
    let mut text = serde_json::to_string(&Head { actionlog_recording: VERSION, exchanges: exchanges.len() })?;
    text.push('\n');
    for exchange in exchanges {
        let Exchange { method, target, request_body, status, headers, body } = exchange.clone();
        let (json, plain, base64) = written(&request_body);
        let request = RequestLine { method: method.to_string(), target, json, text: plain, base64 };
        let (json, plain, base64) = written(&body);
        let response = ResponseLine { status: status.as_u16(), headers, json, text: plain, base64 };
        text.push_str(&serde_json::to_string(&Line { request, response })?);
        text.push('\n');
    }
    Ok(text)
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Vec<Exchange>, RecordingError> {
    let bytes = std::fs::read(path).map_err(|error| RecordingError::Io(path.to_owned(), Arc::new(error)))?;
    let corrupt = |line: usize, reason: String| RecordingError::Corrupt { path: path.to_owned(), line, reason };
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|it| **it == b'\n').count() + 1;
        corrupt(line, "isn't UTF-8".to_owned())
    })?;
    let mut lines = text.lines().enumerate().filter(|(_, it)| !it.trim().is_empty());
    let first = lines.next().map(|it| it.1).unwrap_or_default();
    let head: serde_json::Value = serde_json::from_str(first).unwrap_or_default();
    match head.get("actionlog_recording").and_then(serde_json::Value::as_u64) {
        Some(VERSION) => {}
        Some(found) => return Err(RecordingError::Version { path: path.to_owned(), found }),
        None => return Err(corrupt(1, "isn't the first line of a recording".to_owned())),
    }
    let head: Head = serde_json::from_value(head).map_err(|error| corrupt(1, format!("can't be read ({error})")))?;
    let mut exchanges = Vec::new();
    let mut last = 1;
    for (index, line) in lines {
        last = index + 1;
        exchanges.push(exchange(line).map_err(|reason| corrupt(last, reason))?);
    }
    if exchanges.len() != head.exchanges {
        let (expected, found) = (head.exchanges, exchanges.len());
        return Err(corrupt(last, format!("is the last of {found} exchanges, and line 1 says {expected}")));
    }
    Ok(exchanges)
}

fn exchange(line: &str) -> Result<Exchange, String> {
    let Line { request, response } =
        serde_json::from_str(line).map_err(|error| format!("is cut, or isn't an exchange ({error})"))?;
    let headers = response.headers;
    if let Some((name, _)) = headers.iter().find(|it| header(it).is_none()) {
        return Err(format!("has an invalid header {name:?}"));
    }
    Ok(Exchange {
        method: request.method.parse::<Method>().map_err(|_| "has an invalid method".to_owned())?,
        target: request.target,
        request_body: read_body((request.json, request.text, request.base64))?,
        status: StatusCode::from_u16(response.status).map_err(|_| "has an invalid status".to_owned())?,
        headers,
        body: read_body((response.json, response.text, response.base64))?,
    })
}

/// A header as it is sent.
pub(super) fn header((name, value): &(String, String)) -> Option<(HeaderName, HeaderValue)> {
    Some((name.parse().ok()?, value.parse().ok()?))
}
