//! Turns a response into a value or an error.

use std::borrow::Cow;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde::de::IgnoredAny;
use url::Url;

use crate::decode::HttpResponse;
use crate::decode::Problem;
use crate::decode::bound::IN_LISTS;
use crate::decode::error_text;
use crate::error::{ApiError, Error, ErrorKind, Result, WriteOutcome, is_transient_status};
use crate::request::{Reader, Request};
use crate::transport::base_url::Base;
use crate::transport::body::ERROR_BODY;
use crate::transport::dialect::{Conditions, Dialect, HintContext};
use crate::transport::hint;
use crate::transport::redact::{SentCredentials, lenient};
use crate::transport::retry::retry_after;
use crate::values::json::Json;

/// What a request was sent with: base URL, conditions and credentials.
#[derive(Clone, Copy)]
pub(super) struct Sent<'a> {
    pub(super) base: &'a Base,
    pub(super) conditions: Conditions,
    pub(super) credentials: &'a SentCredentials,
}

/// Turns a response into the value that it contains, or into an error.
pub(super) fn judge<T>(
    dialect: &Dialect,
    request: &Request<T>,
    sent: Sent<'_>,
    response: &HttpResponse,
    reader: &Reader<'_>,
) -> Result<T> {
    let error = match refusal(dialect, response, reader.clean) {
        // Its status or its headers say enough: the body isn't decoded as a success.
        Some(error) => error,
        None => match request.decode_by(response, reader) {
            Ok(value) => return Ok(value),
            Err(error) => {
                let problem = error.into_problem();
                let has_long_lists = matches!(problem, Problem::TooMany { what, .. } if what == IN_LISTS);
                let hint = has_long_lists.then(|| hint::too_large(request.is_of_page()));
                unfit(problem, response, reader.clean).with_hint(hint)
            }
        },
    };
    let error = match error.kind() {
        // The body may be an error in an undocumented format: then its message is worth showing.
        ErrorKind::Decode if error.api().is_none() => {
            let text = if response.body().len() > ERROR_BODY { None } else { error_text(response) };
            let api = text.and_then(|it| (dialect.read_error)(&it)).filter(|it| !it.is_empty());
            error.with_api(api)
        }
        _ => error,
    };
    Err(complete(error, dialect, request, sent, response))
}

/// The error for a response of success that the request couldn't decode.
fn unfit(problem: Problem, response: &HttpResponse, clean: &dyn Fn(String) -> String) -> Error {
    match problem {
        Problem::Empty => Error::new(ErrorKind::NotJson, "the response body is empty"),
        // A cache's part of a response would be taken for all of it.
        Problem::NotWhole(_) => Error::new(
            ErrorKind::UnexpectedStatus,
            format!("the server returned {}, which isn't a complete response", response.status()),
        ),
        Problem::TooMany { what: what @ "records", most } => Error::new(
            ErrorKind::TooLarge,
            format!("the response contains more than {most} {what} (raise max_page_records to accept more)"),
        ),
        Problem::TooMany { what, most } => {
            Error::new(ErrorKind::TooLarge, format!("the response contains more than {most} {what}"))
        }
        Problem::Refused(api) => Error::new(ErrorKind::ApiFailure, "the API reported a failure").with_api(Some(api)),
        Problem::PartialCount(count, api) => {
            let message = format!("the server counted {count} but also reported errors: the count may be too low");
            Error::new(ErrorKind::Partial, message).with_api(Some(api)).with_partial_count(count)
        }
        Problem::Unfit { .. } if !begins_as_json(response.body()) => {
            Error::new(ErrorKind::NotJson, "the response isn't JSON")
        }
        // The path contains field names that the server chose, and the reason may come from a user-defined function:
        // either may contain a credential.
        Problem::Unfit { path, reason } => {
            let at = if path.is_empty() { String::new() } else { format!("at {}: ", clean(path)) };
            let reason = clean(reason);
            Error::new(ErrorKind::Decode, format!("unexpected response body: {at}{reason}"))
        }
    }
}

/// Adds to an error what its response and its request show: the hint, the status, the outcome, and so on.
fn complete<T>(
    error: Error,
    dialect: &Dialect,
    request: &Request<T>,
    sent: Sent<'_>,
    response: &HttpResponse,
) -> Error {
    let status = response.status();
    let api = error.api().cloned();
    let here = HintContext {
        kind: error.kind(),
        status,
        api: api.as_ref(),
        web_page: is_web_page(response),
        method: request.method(),
        idempotency: request.get_idempotency(),
        own: request.is_own(),
        doubled: sent.base.repeats_beginning_of(request.template()),
        conditions: sent.conditions,
        credentials: sent.credentials,
    };
    let is_coded = error.kind() == ErrorKind::NotJson && coding(response.headers()).is_some();
    // Of a body that is still encoded, nobody can say whether it is from the API.
    let hint = hint::hint(dialect, &here).filter(|_| !is_coded);
    let no_such_api = here.own && api.as_ref().is_some_and(dialect.no_such_api);
    let outcome = outcome(&error, request.method(), status);
    // Some kinds are transient under any status.
    let transient = error.is_transient() || is_transient_status(status);
    let error = if hint.is_some() { error.with_hint(hint) } else { error };
    error
        .with_no_such_api(no_such_api)
        .with_status(status)
        .with_transient(transient)
        .with_request_id(request_id(response.headers()))
        .with_retry_after(retry_after(response.headers()))
        .with_outcome(outcome)
}

/// Whether the first byte of a body is one that JSON may begin with.
fn begins_as_json(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    body.first().is_none_or(|it| matches!(it, b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | 0x80..))
}

/// The error of a response whose status or headers already show that it failed.
fn refusal(dialect: &Dialect, response: &HttpResponse, clean: &dyn Fn(String) -> String) -> Option<Error> {
    let status = response.status();
    if let Some(location) = response.headers().get(LOCATION)
        && status.is_redirection()
    {
        let target = location.to_str().ok().and_then(target).map(clean);
        let target = target.unwrap_or_else(|| "an unreadable location".to_owned());
        return Some(Error::new(ErrorKind::Redirect, format!("the server returned {status}, a redirect to {target}")));
    }
    if !status.is_success() {
        // The API's own format first; a rate limiter or a proxy in front of it sends others.
        let api = words(dialect, response).or_else(|| plain(&error_text(response)?));
        return Some(Error::new(ErrorKind::of_status(status), format!("the server returned {status}")).with_api(api));
    }
    // Decoded as JSON, it would be reported as broken JSON, which hides the cause.
    if let Some(coding) = coding(response.headers()) {
        return Some(Error::new(
            ErrorKind::NotJson,
            format!("the response has the content encoding {coding:?}, which wasn't requested"),
        ));
    }
    is_web_page(response).then(|| Error::new(ErrorKind::NotJson, "the response is a web page"))
}

/// The failure that a response's JSON describes: in the API's format, or in any other usual one.
fn words(dialect: &Dialect, response: &HttpResponse) -> Option<ApiError> {
    let text = error_text(response)?;
    (dialect.read_error)(&text).filter(|it| !it.is_empty()).or_else(|| {
        let body: Json = serde_json::from_str(&text).ok()?;
        let said = error_text::text(Some(&body))
            .filter(|_| !body.as_str().trim_start().starts_with(|it: char| it.is_ascii_digit()))?;
        Some(ApiError::new().with_message(Some(said)))
    })
}

/// The body of an error response as text. It may be truncated, encoded, or anything else.
fn error_text(response: &HttpResponse) -> Option<Cow<'_, str>> {
    if coding(response.headers()).is_some() {
        return None;
    }
    let body = response.body();
    Some(match std::str::from_utf8(body) {
        Ok(text) => text.into(),
        // Truncated inside a character: drop the incomplete one.
        Err(error) if error.error_len().is_none() => String::from_utf8_lossy(&body[..error.valid_up_to()]),
        // Another charset. Cutting at its first byte would leave part of a word, which the redaction can't recognize.
        Err(_) => lenient(body).into(),
    })
}

/// An error that is a plain sentence, as rate limiters and proxies send it, under any content type. Web pages and
/// broken JSON don't count.
fn plain(text: &str) -> Option<ApiError> {
    let line = text.lines().map(str::trim).find(|it| !it.is_empty())?;
    let json = serde_json::from_str::<IgnoredAny>(text).is_ok();
    if json || line.starts_with(['<', '{', '[']) || line.contains('\u{fffd}') || line.chars().any(char::is_control) {
        return None;
    }
    Some(ApiError::new().with_message(Some(line.to_owned())))
}

/// The content encoding that the body still has. The client didn't request it.
fn coding(headers: &HeaderMap) -> Option<&'static str> {
    let coding = headers.get(CONTENT_ENCODING)?.as_bytes().trim_ascii();
    if coding.is_empty() || coding.eq_ignore_ascii_case(b"identity") {
        return None;
    }
    let known = ["gzip", "br", "deflate", "zstd", "compress"];
    // The header's value is the server's text and isn't quoted.
    Some(known.into_iter().find(|it| coding.eq_ignore_ascii_case(it.as_bytes())).unwrap_or("unknown"))
}

/// Whether the response is a web page: by its content type if there is one, otherwise by its first character.
pub(super) fn is_web_page(response: &HttpResponse) -> bool {
    match response.headers().get(CONTENT_TYPE) {
        Some(kind) => kind.to_str().is_ok_and(|it| {
            let kind = it.split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("text/html") || kind.eq_ignore_ascii_case("application/xhtml+xml")
        }),
        None => response.body().trim_ascii_start().starts_with(b"<"),
    }
}

/// A redirect's target without query, fragment and credentials. Percent-decoded, so that the redaction can recognize a
/// secret in it.
fn target(location: &str) -> Option<String> {
    // Any base will do for a relative target: only its path is shown.
    let base = Url::parse("https://here").ok()?;
    let url = base.join(location).ok()?;
    let path = percent_decode_str(url.path()).decode_utf8_lossy().into_owned();
    let origin = url.origin();
    Some(if origin == base.origin() { path } else { format!("{}{path}", origin.ascii_serialization()) })
}

pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    ["x-request-id", "x-correlation-id"].into_iter().find_map(|name| Some(headers.get(name)?.to_str().ok()?.to_owned()))
}

/// The effect that a request had, according to its response. A server error is `Unknown`, also with a `Retry-After`:
/// the server may have failed after it had applied the request.
fn outcome(error: &Error, method: &Method, status: StatusCode) -> WriteOutcome {
    match status.as_u16() {
        // The API says so itself, and that counts more than the status.
        _ if error.kind() == ErrorKind::ApiFailure => WriteOutcome::NotApplied,
        _ if error.kind() == ErrorKind::Partial => WriteOutcome::Applied,
        408 | 500.. => WriteOutcome::Unknown,
        // Some servers respond with a redirect after they have accepted a form.
        302 | 303 if !method.is_safe() => WriteOutcome::Unknown,
        300..=499 => WriteOutcome::NotApplied,
        // A success that can't be decoded may have taken effect.
        _ => WriteOutcome::Unknown,
    }
}
