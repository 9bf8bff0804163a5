//! The HTTP features that a real Unleash server adds to its responses, as recorded: ETags, 304, gzip and rate limits.

use std::io::Write;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use tokio::time::Instant;

use crate::decode::HttpResponse;
use crate::testing::sha1::sha1;
use crate::testing::wire;

/// The size from which bodies are compressed.
const COMPRESSED_FROM: usize = 1024;

/// The period of the rate limit.
const WINDOW: Duration = Duration::from_secs(60);

/// The rate limit, and the requests counted in the current period.
pub(super) struct Rate {
    pub(super) limit: u32,
    /// Whether requests above the limit are rejected.
    pub(super) is_enforced: bool,
    started: Option<Instant>,
    used: u32,
}

impl Default for Rate {
    /// The default of a real server.
    fn default() -> Self {
        Self { limit: 20_000, is_enforced: false, started: None, used: 0 }
    }
}

/// The state of the rate limit after a request, for the headers of its response.
pub(super) struct RateStatus {
    limit: u32,
    remaining: u32,
    reset: u64,
    pub(super) is_over: bool,
}

impl Rate {
    /// Counts a request.
    pub(super) fn count(&mut self) -> RateStatus {
        let now = Instant::now();
        let started = self.started.filter(|it| now.duration_since(*it) < WINDOW).unwrap_or_else(|| {
            self.used = 0;
            now
        });
        self.started = Some(started);
        self.used = self.used.saturating_add(1);
        let left = WINDOW.saturating_sub(now.duration_since(started));
        RateStatus {
            limit: self.limit,
            remaining: self.limit.saturating_sub(self.used),
            // Whole seconds, rounded up.
            reset: left.as_secs() + u64::from(left.subsec_nanos() > 0),
            is_over: self.is_enforced && self.used > self.limit,
        }
    }
}

impl RateStatus {
    /// The response to a request above the limit.
    pub(super) fn rejection(&self) -> HttpResponse {
        let text = "Too many requests, please try again later.";
        let mut response = wire::response(StatusCode::TOO_MANY_REQUESTS, "text/html; charset=utf-8", text);
        response.headers_mut().insert(RETRY_AFTER, self.reset.into());
        response
    }

    pub(super) fn put_on(&self, headers: &mut HeaderMap) {
        let limit = self.limit;
        let policy = HeaderValue::try_from(format!("{limit};w={}", WINDOW.as_secs()));
        headers.extend(policy.ok().map(|it| (HeaderName::from_static("ratelimit-policy"), it)));
        headers.insert("ratelimit-limit", limit.into());
        headers.insert("ratelimit-remaining", self.remaining.into());
        headers.insert("ratelimit-reset", self.reset.into());
    }
}

/// Finishes a response: adds an ETag, replaces it by 304 if the client has the same body, and compresses it if the
/// client accepts that.
pub(super) fn finish(mut response: HttpResponse, request: &Request<Bytes>) -> HttpResponse {
    let tag = etag(response.body());
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_current = response.status() == StatusCode::OK && is_read && has_current_version(request.headers(), &tag);
    response.headers_mut().extend(HeaderValue::try_from(tag).ok().map(|it| (ETAG, it)));
    if is_current {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Bytes::new();
        for header in [CONTENT_TYPE, VARY] {
            response.headers_mut().remove(header);
        }
        return response;
    }
    let is_small = response.body().len() < COMPRESSED_FROM;
    if is_small || request.method() == Method::HEAD || !takes_gzip(request.headers()) {
        return response;
    }
    if let Some(body) = gzip(response.body()) {
        *response.body_mut() = body;
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// An ETag in the format of Express: the length and a hash of the uncompressed body.
fn etag(body: &[u8]) -> String {
    let hash = BASE64_STANDARD_NO_PAD.encode(sha1(body));
    format!("W/\"{:x}-{hash}\"", body.len())
}

/// Whether the client already has this body, and doesn't demand a new response by `no-cache`.
fn has_current_version(headers: &HeaderMap, tag: &str) -> bool {
    let text = |name| headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let insists = text(CACHE_CONTROL).split(',').any(|it| it.trim().eq_ignore_ascii_case("no-cache"));
    let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let asked = text(IF_NONE_MATCH);
    !insists && (asked.trim() == "*" || asked.split(',').any(|it| strong(it) == strong(tag)))
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let asked = headers.get(ACCEPT_ENCODING).and_then(|it| it.to_str().ok()).unwrap_or_default();
    asked.split(',').any(|it| {
        let (coding, weight) = it.split_once(';').unwrap_or((it, ""));
        let is_none = weight.trim().strip_prefix("q=").and_then(|it| it.parse::<f32>().ok()) == Some(0.0);
        matches!(coding.trim(), "gzip" | "*") && !is_none
    })
}

fn gzip(body: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
}
