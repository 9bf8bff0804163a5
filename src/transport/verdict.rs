//! What an answer means.

use std::borrow::Cow;
use std::time::Duration;

use http::header::{
    CONTENT_ENCODING, CONTENT_TYPE, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE, LOCATION,
};
use http::{HeaderMap, Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde::de::IgnoredAny;
use url::Url;

use super::base::Base;
use super::bound::IN_LISTS;
use super::decode::Problem;
use super::hint;
use super::read::ERROR_BODY;
use super::redact::{Credentials, lenient};
use super::retry::retry_after;
use crate::error::{ApiError, Error, ErrorKind, RequestOutcome, Result, is_transient_status, loose};
use crate::json::Json;
use crate::request::{Answer, Reader, Repeat, Request};

/// How one API words its failures. Plain functions: each API's folder has one of these.
#[derive(Debug)]
pub struct Dialect {
    /// The API's name in messages.
    pub(crate) name: &'static str,
    /// Reads the body of an answer that isn't a success.
    pub(crate) read_error: fn(&str) -> Option<ApiError>,
    /// Whether an answer says that the server doesn't have this API.
    pub(crate) no_such_api: fn(&ApiError) -> bool,
    /// For how long a reading that came through once takes a 401 or 403 for something that may pass.
    pub(crate) auth_grace: Duration,
    /// What to do about it, where the request and its answer give the cause away.
    pub(crate) hint: fn(&Circumstance<'_>) -> Option<&'static str>,
}

/// What a request went out with, beside itself.
#[derive(Clone, Copy)]
pub(super) struct Sent<'a> {
    pub(super) base: &'a Base,
    pub(super) conditions: Conditions,
    /// What it was signed with.
    pub(super) credentials: &'a Credentials,
}

/// What a hint may be drawn from.
#[derive(Debug)]
pub(crate) struct Circumstance<'a> {
    pub(crate) kind: ErrorKind,
    pub(crate) status: StatusCode,
    pub(crate) api: Option<&'a ApiError>,
    /// Whether the body is a web page.
    pub(crate) web_page: bool,
    pub(crate) method: &'a Method,
    /// Whether doing it twice does the same as doing it once.
    pub(crate) repeat: Repeat,
    /// Whether it's one of this crate's own requests. Of others it isn't known what they ask for.
    pub(crate) own: bool,
    /// Whether the base URL ends with what the path begins with.
    pub(crate) doubled: bool,
    conditions: Conditions,
    /// What it was signed with.
    credentials: &'a Credentials,
}

impl Circumstance<'_> {
    /// What the server says.
    pub(crate) fn message(&self) -> &str {
        self.api.and_then(ApiError::message).unwrap_or_default()
    }

    pub(super) fn conditions(&self) -> Conditions {
        self.conditions
    }

    /// Whether it went out without any credentials.
    pub(crate) fn is_unsigned(&self) -> bool {
        self.credentials.is_empty()
    }

    /// Whether it went out with a token that begins like this.
    pub(crate) fn token_begins(&self, with: &str) -> bool {
        self.credentials.begin_with(with)
    }
}

/// Turns an answer into the value that it holds, or into the error that it is.
pub(super) fn judge<T>(
    dialect: &Dialect,
    request: &Request<T>,
    sent: Sent<'_>,
    answer: &Answer,
    reader: &Reader<'_>,
) -> Result<T> {
    let clean = reader.clean;
    let mut too_large = None;
    let error = match refusal(dialect, answer, clean) {
        Some(error) => error,
        None => match request.decode_by(answer, reader) {
            Ok(value) => return Ok(value),
            Err(error) => match error.into_problem() {
                Problem::Empty => Error::new(ErrorKind::NotJson, "the answer's body is empty"),
                Problem::NotWhole(_) => Error::new(
                    ErrorKind::UnexpectedStatus,
                    format!("answered {}, which isn't all of what was asked for", answer.status()),
                ),
                Problem::TooMany { what: what @ "records", most } => Error::new(
                    ErrorKind::TooLarge,
                    format!("the answer holds more than {most} {what} (max_page_records sets how many are taken)"),
                ),
                Problem::TooMany { what, most } => {
                    too_large = (what == IN_LISTS).then(|| hint::too_large(request.is_of_page()));
                    Error::new(ErrorKind::TooLarge, format!("the answer holds more than {most} {what}"))
                }
                Problem::Refused(api) => Error::new(ErrorKind::Refused, "refused").with_api(Some(api)),
                Problem::PartialCount(count, api) => {
                    let message = format!("the server counts {count}, and gives errors beside it: it may not be all");
                    Error::new(ErrorKind::Partial, message).with_api(Some(api)).with_partial_count(count)
                }
                Problem::Unfit { .. } if !begins_as_json(answer.body()) => {
                    Error::new(ErrorKind::NotJson, "the answer isn't JSON")
                }
                // A path has names in it that are the server's, and a reason may be by a function of the user's own.
                Problem::Unfit { path, reason } => {
                    let at = if path.is_empty() { String::new() } else { format!("at {}: ", clean(path)) };
                    let reason = clean(reason);
                    Error::new(ErrorKind::Decode, format!("the answer isn't what was expected: {at}{reason}"))
                }
            },
        },
    };
    let status = answer.status();
    let error = match error.kind() {
        // What doesn't fit may be a refusal of a form that isn't known: its words are worth having.
        ErrorKind::Decode if error.api().is_none() => {
            let text = if answer.body().len() > ERROR_BODY { None } else { error_text(answer) };
            let said = text.and_then(|it| (dialect.read_error)(&it)).filter(|it| !it.is_empty());
            error.with_api(said)
        }
        _ => error,
    };
    let api = error.api().cloned();
    let here = Circumstance {
        kind: error.kind(),
        status,
        api: api.as_ref(),
        web_page: is_web_page(answer),
        method: request.method(),
        repeat: request.repeats(),
        own: request.is_own(),
        doubled: sent.base.repeats_beginning_of(request.template()),
        conditions: sent.conditions,
        credentials: sent.credentials,
    };
    let coded = error.kind() == ErrorKind::NotJson && coding(answer.headers()).is_some();
    let hint = hint::hint(dialect, &here).filter(|_| !coded).or(too_large);
    let no_such_api = here.own && api.as_ref().is_some_and(dialect.no_such_api);
    let wait = retry_after(answer.headers());
    let outcome = outcome(&error, request.method(), status);
    let transient = error.is_transient() || is_transient_status(status);
    Err(error
        .with_hint(hint)
        .with_no_such_api(no_such_api)
        .with_status(status)
        .with_transient(transient)
        .with_request_id(request_id(answer.headers()))
        .with_retry_after(wait)
        .with_outcome(outcome))
}

/// On what a request is to be answered, or done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conditions {
    /// Only if something changed, or isn't there yet.
    pub(super) if_changed: bool,
    /// Only if nothing changed.
    pub(super) if_unchanged: bool,
}

impl Conditions {
    /// What a request with these headers is sent with.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self {
            if_changed: [IF_NONE_MATCH, IF_MODIFIED_SINCE].iter().any(|it| headers.contains_key(it)),
            if_unchanged: [IF_MATCH, IF_UNMODIFIED_SINCE].iter().any(|it| headers.contains_key(it)),
        }
    }
}

/// Whether a body could be JSON by its first byte.
fn begins_as_json(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    body.first().is_none_or(|it| matches!(it, b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | 0x80..))
}

/// The error of an answer whose body need not be read for that.
fn refusal(dialect: &Dialect, answer: &Answer, clean: &dyn Fn(String) -> String) -> Option<Error> {
    let status = answer.status();
    if let Some(location) = answer.headers().get(LOCATION)
        && status.is_redirection()
    {
        let place = location.to_str().ok().and_then(place).map(clean);
        let place = place.unwrap_or_else(|| "a place that can't be read".to_owned());
        return Some(Error::new(ErrorKind::Redirect, format!("answered {status}, pointing at {place}")));
    }
    if !status.is_success() {
        let api = words(dialect, answer).or_else(|| plain(&error_text(answer)?));
        return Some(Error::new(ErrorKind::of_status(status), format!("answered {status}")).with_api(api));
    }
    if let Some(coding) = coding(answer.headers()) {
        return Some(Error::new(
            ErrorKind::NotJson,
            format!("the answer is coded as {coding:?}, which wasn't asked for"),
        ));
    }
    is_web_page(answer).then(|| Error::new(ErrorKind::NotJson, "the answer is a web page"))
}

/// What an answer's JSON says of a failure: as the API words them, or in any other usual way.
fn words(dialect: &Dialect, answer: &Answer) -> Option<ApiError> {
    let text = error_text(answer)?;
    (dialect.read_error)(&text).filter(|it| !it.is_empty()).or_else(|| {
        let body: Json = serde_json::from_str(&text).ok()?;
        let said = loose::text(Some(&body))
            .filter(|_| !body.as_str().trim_start().starts_with(|it: char| it.is_ascii_digit()))?;
        Some(ApiError::new().with_message(Some(said)))
    })
}

/// The body of an error, if it is text at all: it may come cut short, in a coding, or as anything.
fn error_text(answer: &Answer) -> Option<Cow<'_, str>> {
    if coding(answer.headers()).is_some() {
        return None;
    }
    let body = answer.body();
    Some(match std::str::from_utf8(body) {
        Ok(text) => text.into(),
        // Cut inside of a character.
        Err(error) if error.error_len().is_none() => String::from_utf8_lossy(&body[..error.valid_up_to()]),
        // Cut at the first byte of another charset, it would show half of a word that can't be told from any other.
        Err(_) => lenient(body).into(),
    })
}

/// An error that is a plain sentence, as rate limiters and proxies send them, under whatever content type. A web page
/// is none, and neither is broken JSON.
fn plain(text: &str) -> Option<ApiError> {
    let line = text.lines().map(str::trim).find(|it| !it.is_empty())?;
    let json = serde_json::from_str::<IgnoredAny>(text).is_ok();
    if json || line.starts_with(['<', '{', '[']) || line.contains('\u{fffd}') || line.chars().any(char::is_control) {
        return None;
    }
    Some(ApiError::new().with_message(Some(line.to_owned())))
}

/// A content coding that is still on the body: one that wasn't asked for.
fn coding(headers: &HeaderMap) -> Option<&'static str> {
    let coding = headers.get(CONTENT_ENCODING)?.as_bytes().trim_ascii();
    if coding.is_empty() || coding.eq_ignore_ascii_case(b"identity") {
        return None;
    }
    let known = ["gzip", "br", "deflate", "zstd", "compress"];
    // Not as it stands there: it's the server's text.
    Some(known.into_iter().find(|it| coding.eq_ignore_ascii_case(it.as_bytes())).unwrap_or("something"))
}

/// By the content type if there is one, else by its first sign.
pub(super) fn is_web_page(answer: &Answer) -> bool {
    match answer.headers().get(CONTENT_TYPE) {
        Some(kind) => kind.to_str().is_ok_and(|it| {
            let kind = it.split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("text/html") || kind.eq_ignore_ascii_case("application/xhtml+xml")
        }),
        None => answer.body().trim_ascii_start().starts_with(b"<"),
    }
}

/// A place without its query, fragment and credentials; decoded, so that a secret in it can be told.
fn place(location: &str) -> Option<String> {
    // Any base will do for one that is relative: then only the path is shown.
    let base = Url::parse("https://here").ok()?;
    let url = base.join(location).ok()?;
    let path = percent_decode_str(url.path()).decode_utf8_lossy().into_owned();
    let origin = url.origin();
    Some(if origin == base.origin() { path } else { format!("{}{path}", origin.ascii_serialization()) })
}

pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    ["x-request-id", "x-correlation-id"].into_iter().find_map(|name| Some(headers.get(name)?.to_str().ok()?.to_owned()))
}

/// What an answer says of a request's effect. A server that failed may have failed after it did what was asked, also
/// where it says when to come again.
fn outcome(error: &Error, method: &Method, status: StatusCode) -> RequestOutcome {
    match status.as_u16() {
        _ if error.kind() == ErrorKind::Refused => RequestOutcome::Refused,
        _ if error.kind() == ErrorKind::Partial => RequestOutcome::Answered,
        408 | 500.. => RequestOutcome::Unknown,
        // "See over there" is what some servers answer to a form that was taken.
        302 | 303 if !method.is_safe() => RequestOutcome::Unknown,
        300..=499 => RequestOutcome::Refused,
        _ => RequestOutcome::Unknown,
    }
}
