//! The table: one row per fault.

mod connections;
#[cfg(feature = "http2")]
mod http2;
mod responses;
mod statuses;

use std::time::Duration;

use actionlog::auth::{AuthError, Token, TokenCache, TokenSource};
use actionlog::{ErrorKind, WriteOutcome};
use async_trait::async_trait;

use super::planted::said as planted;
use super::row::{End, Row, Script};
use super::server::{Act, Bytes, Here, JSON, Then, response};
use super::{Builder, SECRET};

/// A group of rows.
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) rows: Vec<Row>,
}

/// All groups, in the order of the docs.
pub(super) fn all() -> Vec<Part> {
    vec![
        connections::connections(),
        #[cfg(feature = "rustls")]
        connections::tls(),
        responses::heads(),
        responses::bodies(),
        statuses::statuses(),
        #[cfg(feature = "http2")]
        http2::http2(),
    ]
}

const NEVER_LEFT: &str = "no attempt was sent";
const LIMITED: &str = "the caller declared that a 429 changes nothing";
const KEYED: &str = "the server recognises the idempotency key";
const NOT_SIGNED: &str = "the server refused the token";
#[cfg(feature = "http2")]
const NOT_SEEN: &str = "the server reports that it didn't process the request";

fn fine(attempts: u32) -> End {
    End::fine(attempts)
}

fn gone(attempts: u32, kind: ErrorKind, outcome: WriteOutcome) -> End {
    End::gone(attempts, kind, outcome)
}

fn said(attempts: u32, status: u16, kind: ErrorKind, outcome: WriteOutcome) -> End {
    End::said(attempts, status, kind, outcome)
}

/// The timeout of calls that would wait forever. Each attempt has to reach the server in that time, even on a busy
/// machine.
fn hasty(builder: Builder) -> Builder {
    builder.attempt_timeout(Duration::from_secs(1))
}

fn small(builder: Builder) -> Builder {
    builder.max_body_bytes(64 * 1024)
}

fn renewing(builder: Builder) -> Builder {
    builder.authenticator(TokenCache::new(Tokens))
}

/// Returns a token for each fetch.
#[derive(Debug)]
struct Tokens;

#[async_trait]
impl TokenSource for Tokens {
    async fn fetch(&self) -> Result<Token, AuthError> {
        Ok(Token::new(SECRET))
    }
}

fn write(bytes: Bytes) -> Act {
    Act::Write(bytes, Then::Keep)
}

fn always(bytes: Bytes, then: Then) -> Script {
    Script::always(Act::Write(bytes, then))
}

/// An unexpected response that echoes everything it can.
fn refusal(status: &str, headers: &str) -> Vec<u8> {
    let said = planted();
    let headers = format!("{headers}{JSON}x-request-id: {said}\r\n");
    let errors = format!(r#"[{{"code":"{said}","message":"no: {said}"}},"{said}"]"#);
    response(status, &headers, format!(r#"{{"success":false,"message":"Bearer {said} won't do","errors":{errors}}}"#))
}

fn cut(mut bytes: Vec<u8>, missing: usize) -> Vec<u8> {
    bytes.truncate(bytes.len() - missing);
    bytes
}

/// The head of a valid response, for a body with another length, with none, or in chunks.
fn head(headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{JSON}x-request-id: {}\r\n{headers}\r\n", planted()).into_bytes()
}

/// A valid response with these headers instead of its length.
fn with(headers: &str, body: &[u8]) -> Vec<u8> {
    [&head(headers), body].concat()
}

fn chunked(here: &Here) -> Vec<u8> {
    let (first, last) = here.good.split_at(here.good.len() / 2);
    let body = format!("{:x}\r\n{first}\r\n{:x}\r\n{last}\r\n0\r\n\r\n", first.len(), last.len());
    with("transfer-encoding: chunked\r\n", body.as_bytes())
}

fn page_of_html(here: &Here) -> Vec<u8> {
    let other = here.elsewhere;
    format!("<html><body>Sign in at http://{other}/?token={}</body></html>", planted()).into_bytes()
}
