//! What an HTTP server puts around an answer, as recorded of Unleash: an ETag, 304, gzip, and the limits of its rate.

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

use super::sha1::sha1;
use super::wire;
use crate::request::Answer;

/// Smaller bodies aren't compressed.
const COMPRESSED_FROM: usize = 1024;

/// How long a rate is counted.
const WINDOW: Duration = Duration::from_secs(60);

/// How many requests came in this minute, and how many may.
pub(super) struct Rate {
    pub(super) limit: u32,
    /// Whether more than that are refused.
    pub(super) is_enforced: bool,
    began: Option<Instant>,
    used: u32,
}

impl Default for Rate {
    /// As a server has it that nobody has set otherwise.
    fn default() -> Self {
        Self { limit: 20_000, is_enforced: false, began: None, used: 0 }
    }
}

/// What is said of the rate with an answer.
pub(super) struct RateSaid {
    limit: u32,
    remaining: u32,
    reset: u64,
    pub(super) is_over: bool,
}

impl Rate {
    /// Counts a request.
    pub(super) fn count(&mut self) -> RateSaid {
        let now = Instant::now();
        let began = self.began.filter(|it| now.duration_since(*it) < WINDOW).unwrap_or_else(|| {
            self.used = 0;
            now
        });
        self.began = Some(began);
        self.used = self.used.saturating_add(1);
        let left = WINDOW.saturating_sub(now.duration_since(began));
        RateSaid {
            limit: self.limit,
            remaining: self.limit.saturating_sub(self.used),
            // In whole seconds, none too few.
            reset: left.as_secs() + u64::from(left.subsec_nanos() > 0),
            is_over: self.is_enforced && self.used > self.limit,
        }
    }
}

impl RateSaid {
    /// What comes in the place of an answer once it's over.
    pub(super) fn refusal(&self) -> Answer {
        let text = "Too many requests, please try again later.";
        let mut answer = wire::answer(StatusCode::TOO_MANY_REQUESTS, "text/html; charset=utf-8", text);
        answer.headers_mut().insert(RETRY_AFTER, self.reset.into());
        answer
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

/// An answer as it goes out: with an ETag; not at all if the client has it; and compressed if the client takes that.
pub(super) fn dressed(mut answer: Answer, request: &Request<Bytes>) -> Answer {
    let tag = etag(answer.body());
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let has = answer.status() == StatusCode::OK && reads && has_it(request.headers(), &tag);
    answer.headers_mut().extend(HeaderValue::try_from(tag).ok().map(|it| (ETAG, it)));
    if has {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        *answer.body_mut() = Bytes::new();
        for header in [CONTENT_TYPE, VARY] {
            answer.headers_mut().remove(header);
        }
        return answer;
    }
    let is_small = answer.body().len() < COMPRESSED_FROM;
    if is_small || request.method() == Method::HEAD || !takes_gzip(request.headers()) {
        return answer;
    }
    if let Some(body) = gzip(answer.body()) {
        *answer.body_mut() = body;
        answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}

/// The length and a hash, as express has them: of the body before it is compressed.
fn etag(body: &[u8]) -> String {
    let hash = BASE64_STANDARD_NO_PAD.encode(sha1(body));
    format!("W/\"{:x}-{hash}\"", body.len())
}

/// Whether the client has what it asks for, and doesn't insist.
fn has_it(headers: &HeaderMap, tag: &str) -> bool {
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
