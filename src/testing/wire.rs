//! Helpers that parse requests and build responses.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use url::form_urlencoded;

use crate::decode::HttpResponse;

pub(super) fn response(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> HttpResponse {
    let mut response = HttpResponse::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

pub(super) fn json(status: StatusCode, body: impl Into<Bytes>) -> HttpResponse {
    response(status, "application/json; charset=utf-8", body)
}

/// The response of a server with a web UI to a path that belongs to no API: a page, with status 200 and without
/// authentication. A client whose base URL has a wrong path gets this.
pub(super) fn web_page(request: &Request<Bytes>) -> HttpResponse {
    let html = "text/html; charset=utf-8";
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        let page = "<!DOCTYPE html>\n<html lang=\"en\"><head><title>A fake server</title></head></html>\n";
        response(StatusCode::OK, html, page)
    } else {
        let page = "<!DOCTYPE html>\n<html lang=\"en\"><body><pre>Not found</pre></body></html>\n";
        response(StatusCode::NOT_FOUND, html, page)
    }
}

/// Whether the header has one of the accepted values. An empty list accepts every request.
pub(super) fn is_accepted(accepted: &[String], headers: &HeaderMap, name: &str) -> bool {
    let sent = headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
    accepted.is_empty() || accepted.iter().any(|it| it.as_bytes() == sent)
}

/// The decoded parameters of a query.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(request: &Request<Bytes>) -> Self {
        let query = request.uri().query().unwrap_or_default();
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// The first value of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// An integer from `least` to `most`, or the message that rejects it.
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
