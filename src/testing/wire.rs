//! Requests taken apart, and answers put together.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use url::form_urlencoded;

use crate::request::Answer;

pub(super) fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Answer::new(body.into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    answer
}

pub(super) fn json(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    answer(status, "application/json; charset=utf-8", body)
}

/// What a server with a user interface answers to a path that no API has: with success, and to anyone. It's what a base
/// URL with a wrong path meets.
pub(super) fn web_page(request: &Request<Bytes>) -> Answer {
    let html = "text/html; charset=utf-8";
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        let page = "<!DOCTYPE html>\n<html lang=\"en\"><head><title>A fake server</title></head></html>\n";
        answer(StatusCode::OK, html, page)
    } else {
        let page = "<!DOCTYPE html>\n<html lang=\"en\"><body><pre>Not found</pre></body></html>\n";
        answer(StatusCode::NOT_FOUND, html, page)
    }
}

/// Whether one of the accepted values came in a header. With none accepted, everything is.
pub(super) fn is_let_in(accepted: &[String], headers: &HeaderMap, name: &str) -> bool {
    let sent = headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
    accepted.is_empty() || accepted.iter().any(|it| it.as_bytes() == sent)
}

/// A query's parameters, decoded.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(request: &Request<Bytes>) -> Self {
        let query = request.uri().query().unwrap_or_default();
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// The first of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A whole number from `least` to `most`, or why it isn't one.
    pub(super) fn number(&self, name: &str, default: u64, least: u64, most: u64) -> Result<u64, String> {
        let Some(text) = self.get(name) else { return Ok(default) };
        match text.parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(number),
            _ if most == u64::MAX => Err(format!("{name} must be an integer of at least {least}")),
            _ => Err(format!("{name} must be an integer from {least} to {most}")),
        }
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }
}
