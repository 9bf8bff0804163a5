//! The table itself: one row a fault.

use std::io::Write;
use std::time::Duration;

use actionlog::ErrorKind::{
    Conflict, Connect, Decode, Forbidden, NotFound, NotJson, RateLimited, Redirect, Rejected, Server, Timeout,
    TooLarge, Transport, Unauthorized, UnexpectedStatus,
};
use actionlog::RequestOutcome::{NotSent, Refused, Unknown};
use actionlog::auth::{AuthError, Cached, Token, TokenSource};
use actionlog::{ErrorKind, RequestOutcome};
use async_trait::async_trait;

use super::row::{End, Row, Script};
use super::server::{Act, Bytes, Here, JSON, Plan, Then, answer, ok};
#[cfg(feature = "rustls")]
use super::tls::Certificate;
use super::{Builder, SECRET};

/// Rows that belong together.
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) rows: Vec<Row>,
}

/// All parts, in the order of the docs.
pub(super) fn all() -> Vec<Part> {
    vec![
        connections(),
        #[cfg(feature = "rustls")]
        tls(),
        heads(),
        bodies(),
        statuses(),
        #[cfg(feature = "http2")]
        http2(),
    ]
}

const NEVER_LEFT: &str = "no attempt left";
const TURNED_AWAY: &str = "told when to come again";
const NOT_SIGNED: &str = "the token was refused";
#[cfg(feature = "http2")]
const NOT_SEEN: &str = "the server says that it didn't look";

fn fine(attempts: u32) -> End {
    End::fine(attempts)
}

fn gone(attempts: u32, kind: ErrorKind, outcome: RequestOutcome) -> End {
    End::gone(attempts, kind, outcome)
}

fn said(attempts: u32, status: u16, kind: ErrorKind, outcome: RequestOutcome) -> End {
    End::said(attempts, status, kind, outcome)
}

/// For what would wait for ever. Each attempt has to get as far as the server in that time, also on a busy machine.
fn hasty(builder: Builder) -> Builder {
    builder.attempt_timeout(Duration::from_secs(1))
}

fn small(builder: Builder) -> Builder {
    builder.max_body_bytes(64 * 1024)
}

fn renewing(builder: Builder) -> Builder {
    builder.authenticator(Cached::new(Tokens))
}

/// Gives a token, as often as it's asked for one.
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

/// An answer that isn't what was asked for, and says all that it knows.
fn refusal(status: &str, headers: &str) -> Vec<u8> {
    let headers = format!("{headers}{JSON}x-request-id: {SECRET}\r\n");
    answer(status, &headers, format!(r#"{{"success":false,"message":"Bearer {SECRET} won't do"}}"#))
}

fn cut(mut bytes: Vec<u8>, missing: usize) -> Vec<u8> {
    bytes.truncate(bytes.len() - missing);
    bytes
}

/// A good answer's head, for a body that has another length, or none, or comes in chunks.
fn head(headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{JSON}{headers}\r\n").into_bytes()
}

/// A good answer with this in the place of its length, as far as it goes.
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
    format!("<html><body>Sign in at http://{other}/?token={SECRET}</body></html>").into_bytes()
}

pub(super) fn connections() -> Part {
    let kept = |act| Script::Http(Plan { first: vec![Act::Good, act], then: Act::Good });
    let rows = vec![
        Row::new("nobody listens", Script::Nobody)
            .read(gone(4, Connect, NotSent))
            .create_again(NEVER_LEFT, gone(4, Connect, NotSent)),
        Row::new("the host's name doesn't resolve", Script::NoName)
            .tune(Builder::allow_http)
            .read(gone(4, Connect, NotSent))
            .create_again(NEVER_LEFT, gone(4, Connect, NotSent)),
        Row::new("reset with the request unread", Script::always(Act::ResetUnread))
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
        Row::new("reset before the answer", always(|_| Vec::new(), Then::Reset))
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
        Row::new("closed before the answer", always(|_| Vec::new(), Then::Close))
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
        Row::new("closed before the answer, once", Script::once(Act::Write(|_| Vec::new(), Then::Close)))
            .read(fine(2))
            .create(gone(1, Transport, Unknown)),
        Row::new("accepted, and never answered", always(|_| Vec::new(), Then::Hang))
            .tune(hasty)
            .read(gone(4, Timeout, Unknown))
            .create(gone(1, Timeout, Unknown)),
        Row::new("never answered, once", Script::once(Act::Write(|_| Vec::new(), Then::Hang)))
            .tune(hasty)
            .read(fine(2))
            .create(gone(1, Timeout, Unknown)),
        Row::new("never answered within the operation's limit", always(|_| Vec::new(), Then::Hang))
            .tune(|it| it.operation_timeout(Duration::from_secs(1)))
            .all(gone(1, Timeout, Unknown)),
        Row::new("a kept connection was closed while idle", Script::once(Act::Write(ok, Then::Close))).warm(),
        Row::new("a kept connection is closed as the request comes", kept(Act::Write(|_| Vec::new(), Then::Close)))
            .warm()
            .read(fine(2))
            .create(gone(1, Transport, Unknown)),
        Row::new("a kept connection is reset as the request comes", kept(Act::ResetUnread))
            .warm()
            .read(fine(2))
            .create(gone(1, Transport, Unknown)),
    ];
    Part { name: "Connections", rows }
}

#[cfg(feature = "rustls")]
pub(super) fn tls() -> Part {
    let https = |certificate, act| Script::Https(certificate, Plan { first: Vec::new(), then: act });
    let rows = vec![
        Row::new("a certificate that is as it should be", https(Certificate::Good, Act::Good)),
        Row::new("a certificate that nobody vouched for", https(Certificate::Unknown, Act::Good))
            .read(gone(4, Connect, NotSent))
            .create_again(NEVER_LEFT, gone(4, Connect, NotSent)),
        Row::new("a certificate for another host", https(Certificate::ForAnother, Act::Good))
            .read(gone(4, Connect, NotSent))
            .create_again(NEVER_LEFT, gone(4, Connect, NotSent)),
        Row::new("a certificate that is over", https(Certificate::Over, Act::Good))
            .read(gone(4, Connect, NotSent))
            .create_again(NEVER_LEFT, gone(4, Connect, NotSent)),
        Row::new("plain HTTP in answer to TLS", Script::NoTls(Some(b"HTTP/1.1 400 Bad Request\r\n\r\n")))
            .read(gone(4, Connect, NotSent))
            .create_again(NEVER_LEFT, gone(4, Connect, NotSent)),
        Row::new("a connection closed in answer to TLS", Script::NoTls(Some(b"")))
            .read(gone(4, Connect, NotSent))
            .create_again(NEVER_LEFT, gone(4, Connect, NotSent)),
        Row::new("nothing in answer to TLS", Script::NoTls(None))
            .tune(|it| it.connect_timeout(Duration::from_secs(1)))
            .read(gone(4, Connect, NotSent))
            .create_again(NEVER_LEFT, gone(4, Connect, NotSent)),
        Row::new(
            "TLS that ends without a word, inside of a body without a length",
            https(Certificate::Good, Act::Write(|it| cut(with("", it.good.as_bytes()), 20), Then::Vanish)),
        )
        .read(gone(4, Transport, Unknown))
        .create(gone(1, Transport, Unknown)),
    ];
    Part { name: "TLS", rows }
}

pub(super) fn heads() -> Part {
    fn many(_: &Here) -> Vec<u8> {
        let headers: String = (0..200).map(|it| format!("x-{it}: {SECRET}\r\n")).collect();
        with(&headers, b"")
    }
    fn large(_: &Here) -> Vec<u8> {
        with(&format!("x-large: {}\r\n", SECRET.repeat(150_000)), b"")
    }
    let rows = vec![
        Row::new("reset inside the head", always(|it| cut(ok(it), it.good.len() + 10), Then::Reset))
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
        Row::new("closed inside the head", always(|it| cut(ok(it), it.good.len() + 10), Then::Close))
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
        Row::new("silence inside the head", always(|it| cut(ok(it), it.good.len() + 10), Then::Hang))
            .tune(hasty)
            .read(gone(4, Timeout, Unknown))
            .create(gone(1, Timeout, Unknown)),
        Row::new("no HTTP at all", always(|_| format!("220 {SECRET} ESMTP\r\n\r\n").into(), Then::Close))
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
        Row::new("a status that is no number", always(|_| b"HTTP/1.1 OK OK\r\n\r\n".to_vec(), Then::Close))
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
        Row::new("a header of 2 MB", always(large, Then::Keep))
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
        Row::new("200 headers", always(many, Then::Keep))
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
        Row::new(
            "headers without end",
            Script::always(Act::Flood(|_| b"HTTP/1.1 200 OK\r\n".to_vec(), |_| b"x-more: more\r\n".repeat(1000))),
        )
        .read(gone(4, Transport, Unknown))
        .create(gone(1, Transport, Unknown)),
        Row::new(
            "two lengths that differ",
            always(|it| with("content-length: 5\r\ncontent-length: 50\r\n", it.good.as_bytes()), Then::Keep),
        )
        .read(gone(4, Transport, Unknown))
        .create(gone(1, Transport, Unknown)),
        Row::new(
            "a length that is no number",
            always(|it| with("content-length: -1\r\n", it.good.as_bytes()), Then::Keep),
        )
        .read(gone(4, Transport, Unknown))
        .create(gone(1, Transport, Unknown)),
        Row::new(
            "`100 Continue` before the answer",
            Script::always(write(|it| [b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), ok(it)].concat())),
        ),
        Row::new(
            "`103 Early Hints` before the answer",
            Script::always(write(|it| [b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".to_vec(), ok(it)].concat())),
        ),
        Row::new(
            "`100 Continue` again and again",
            Script::always(Act::Flood(|_| Vec::new(), |_| b"HTTP/1.1 100 Continue\r\n\r\n".to_vec())),
        )
        .tune(hasty)
        .read(gone(4, Timeout, Unknown))
        .create(gone(1, Timeout, Unknown)),
    ];
    Part { name: "Heads", rows }
}

pub(super) fn bodies() -> Part {
    let unread = |name, bytes: Bytes| Row::new(name, Script::always(write(bytes))).all(said(1, 200, NotJson, Unknown));
    let mut rows = vec![
        Row::new("a body in chunks", Script::always(write(chunked))),
        Row::new("reset inside the body", always(|it| cut(ok(it), 20), Then::Reset))
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
        Row::new("closed inside the body: its length is too large", always(|it| cut(ok(it), 20), Then::Close))
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
        Row::new("closed inside the body, once", Script::once(Act::Write(|it| cut(ok(it), 20), Then::Close)))
            .read(fine(2))
            .create(gone(1, Transport, Unknown)),
        Row::new("silence inside the body", always(|it| cut(ok(it), 20), Then::Hang))
            .tune(hasty)
            .read(gone(4, Timeout, Unknown))
            .create(gone(1, Timeout, Unknown)),
        Row::new(
            "a body that comes byte by byte, too slowly",
            Script::always(Act::Drip(|it| cut(ok(it), it.good.len()), |it| it.good.clone().into(), TICK)),
        )
        .tune(hasty)
        .read(gone(4, Timeout, Unknown))
        .create(gone(1, Timeout, Unknown)),
        Row::new("closed inside a chunk", always(|it| cut(chunked(it), 20), Then::Close))
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
        Row::new("closed before the last chunk", always(|it| cut(chunked(it), 5), Then::Close))
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
        Row::new(
            "a chunk whose size is no number",
            always(|_| with("transfer-encoding: chunked\r\n", b"many\r\n{}\r\n0\r\n\r\n"), Then::Keep),
        )
        .read(gone(4, Transport, Unknown))
        .create(gone(1, Transport, Unknown)),
        Row::new(
            "closed inside a body without a length",
            always(|it| cut(with("", it.good.as_bytes()), 20), Then::Close),
        )
        .all(said(1, 200, Decode, Unknown)),
        Row::new(
            "a length that is too small",
            Script::always(write(|it| [answer("200 OK", JSON, &it.good[..20]), it.good[20..].into()].concat())),
        )
        .all(said(1, 200, Decode, Unknown)),
        Row::new("a length above the cap", always(|_| with("content-length: 9999999999\r\n", b"{"), Then::Hang))
            .all(gone(1, TooLarge, Unknown).lasting()),
        Row::new(
            "a body without end",
            Script::always(Act::Flood(
                |_| head("transfer-encoding: chunked\r\n"),
                |_| b"400\r\n".iter().copied().chain([b' '; 0x400]).chain(*b"\r\n").collect(),
            )),
        )
        .tune(small)
        .all(gone(1, TooLarge, Unknown).lasting()),
        unread("an empty body", |_| answer("200 OK", JSON, "")),
        unread("204, where a record or a page is due", |_| b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())
            .all(said(1, 204, NotJson, Unknown)),
        unread("a web page", |it| answer("200 OK", "content-type: text/html\r\n", page_of_html(it))),
        unread("a coding that wasn't asked for", |_| {
            answer("200 OK", &format!("{JSON}content-encoding: br\r\n"), [0x8b, 2, 0x80, 0x7b, 0x7d, 3])
        }),
        Row::new("UTF-16", Script::always(write(utf16))).all(said(1, 200, Decode, Unknown)),
        Row::new("Latin-1", Script::always(write(latin1))).all(said(1, 200, Decode, Unknown)),
        Row::new("success, and a body that says otherwise", Script::always(write(|_| refusal("200 OK", ""))))
            .all(said(1, 200, ErrorKind::Refused, Refused)),
    ];
    if cfg!(feature = "gzip") {
        rows.extend([
            Row::new("gzip", Script::always(write(|it| gzipped(&gzip(it.good.as_bytes()))))),
            Row::new(
                "broken gzip",
                Script::always(write(|it| {
                    let mut bytes = gzip(it.good.as_bytes());
                    // Behind gzip's head, of 10 bytes.
                    bytes[10..20].fill(0xff);
                    gzipped(&bytes)
                })),
            )
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
            Row::new(
                "gzip with another checksum",
                Script::always(write(|it| {
                    let mut bytes = gzip(it.good.as_bytes());
                    let checksum = bytes.len() - 8;
                    bytes[checksum] ^= 1;
                    gzipped(&bytes)
                })),
            )
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
            Row::new("gzip that is cut", Script::always(write(|it| gzipped(&cut(gzip(it.good.as_bytes()), 20)))))
                .read(gone(4, Transport, Unknown))
                .create(gone(1, Transport, Unknown)),
            Row::new(
                "gzip that grows without end",
                Script::always(Act::Flood(
                    |_| [head("content-encoding: gzip\r\n"), GZIP.to_vec()].concat(),
                    |_| blank_block(),
                )),
            )
            .tune(small)
            .all(gone(1, TooLarge, Unknown).lasting()),
        ]);
    }
    Part { name: "Bodies", rows }
}

/// Slower than [`hasty`] by far, for a body of some hundred bytes.
const TICK: Duration = Duration::from_millis(20);

fn utf16(here: &Here) -> Vec<u8> {
    let body: Vec<u8> = here.good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    answer("200 OK", "content-type: application/json; charset=utf-16\r\n", [&[0xff, 0xfe][..], &body].concat())
}

fn latin1(here: &Here) -> Vec<u8> {
    let body = here.good.replace("product", "caf\u{e9}").chars().map(|it| it as u8).collect::<Vec<_>>();
    answer("200 OK", "content-type: application/json; charset=iso-8859-1\r\n", body)
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    answer("200 OK", &format!("{JSON}content-encoding: gzip\r\n"), bytes)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// The head of a gzip stream.
const GZIP: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// A million blanks, in a thousand bytes that may stand behind each other as often as one likes.
fn blank_block() -> Vec<u8> {
    let mut out = Vec::with_capacity(16 * 1024);
    let mut deflate = flate2::Compress::new(flate2::Compression::best(), false);
    deflate.compress_vec(&[b' '; 1_000_000], &mut out, flate2::FlushCompress::Full).unwrap();
    out
}

pub(super) fn statuses() -> Part {
    // All that may be said of a status: what it is, and whether it passes.
    let lasting = |name, bytes: Bytes, status, kind| {
        Row::new(name, Script::always(write(bytes))).all(said(1, status, kind, Refused))
    };
    let passing = |name, bytes: Bytes, status, kind, outcome| {
        let end = |attempts| said(attempts, status, kind, outcome).passing();
        Row::new(name, Script::always(write(bytes))).read(end(4)).create(end(1))
    };
    let later = |name, bytes: Bytes, status, kind| {
        let end = said(4, status, kind, Refused).passing();
        Row::new(name, Script::always(write(bytes))).read(end).create_again(TURNED_AWAY, end)
    };
    let rows = vec![
        lasting(
            "301 to another host",
            |it| refusal("301 Moved Permanently", &format!("location: http://{}/{SECRET}\r\n", it.elsewhere)),
            301,
            Redirect,
        ),
        Row::new(
            "302 to another host, without TLS",
            Script::always(write(|it| {
                refusal("302 Found", &format!("location: http://{}/a?b={SECRET}\r\n", it.elsewhere))
            })),
        )
        .read(said(1, 302, Redirect, Refused))
        .create(said(1, 302, Redirect, Unknown)),
        lasting(
            "307 to another host",
            |it| refusal("307 Temporary Redirect", &format!("location: //{}/{SECRET}\r\n", it.elsewhere)),
            307,
            Redirect,
        ),
        lasting("304", |_| b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec(), 304, UnexpectedStatus),
        lasting("400", |_| refusal("400 Bad Request", ""), 400, Rejected),
        lasting("401, with a key", |_| refusal("401 Unauthorized", ""), 401, Unauthorized),
        Row::new("401, with a token that can be renewed", Script::once(write(|_| refusal("401 Unauthorized", ""))))
            .tune(renewing)
            .read(fine(2))
            .create_again(NOT_SIGNED, fine(2)),
        Row::new(
            "401 for ever, with tokens that can be renewed",
            always(|_| refusal("401 Unauthorized", ""), Then::Keep),
        )
        .tune(renewing)
        .read(said(2, 401, Unauthorized, Refused))
        .create_again(NOT_SIGNED, said(2, 401, Unauthorized, Refused)),
        lasting("403", |_| refusal("403 Forbidden", ""), 403, Forbidden),
        lasting("404", |_| refusal("404 Not Found", ""), 404, NotFound),
        passing("408", |_| refusal("408 Request Timeout", ""), 408, UnexpectedStatus, Unknown),
        lasting("409", |_| refusal("409 Conflict", ""), 409, Conflict),
        lasting("413", |_| refusal("413 Content Too Large", ""), 413, Rejected),
        lasting("421", |_| refusal("421 Misdirected Request", ""), 421, UnexpectedStatus),
        lasting("422", |_| refusal("422 Unprocessable Content", ""), 422, Rejected),
        passing("425", |_| refusal("425 Too Early", ""), 425, UnexpectedStatus, Refused),
        passing("429", |_| refusal("429 Too Many Requests", ""), 429, RateLimited, Refused),
        later(
            "429, to come again in a second",
            |_| refusal("429 Too Many Requests", "retry-after: 1\r\n"),
            429,
            RateLimited,
        ),
        later(
            "429, to come again at a time",
            |_| {
                let times = "date: Sat, 21 Nov 2026 20:18:31 GMT\r\nretry-after: Sat, 21 Nov 2026 20:18:32 GMT\r\n";
                refusal("429 Too Many Requests", times)
            },
            429,
            RateLimited,
        ),
        later(
            "429, to come again in some milliseconds",
            |_| refusal("429 Too Many Requests", "retry-after-ms: 20\r\n"),
            429,
            RateLimited,
        ),
        lasting(
            "429, to come again in more than a minute",
            |_| refusal("429 Too Many Requests", "retry-after: 61\r\n"),
            429,
            RateLimited,
        )
        .all(said(1, 429, RateLimited, Refused).passing()),
        passing("500", |_| refusal("500 Internal Server Error", ""), 500, Server, Unknown),
        passing("500 with a page of 20 MB", page_of_20_mb, 500, Server, Unknown),
        Row::new(
            "500, closed inside of its page",
            always(|it| cut(answer("500 Internal Server Error", "", page_of_html(it)), 20), Then::Close),
        )
        .read(said(4, 500, Server, Unknown).passing())
        .create(said(1, 500, Server, Unknown).passing()),
        // Its status has come, but an attempt that isn't done in time is told as that.
        Row::new("403, with silence inside of its body", always(|_| cut(refusal("403 Forbidden", ""), 5), Then::Hang))
            .tune(hasty)
            .read(gone(4, Timeout, Unknown))
            .create(gone(1, Timeout, Unknown)),
        lasting("501", |_| refusal("501 Not Implemented", ""), 501, Server).all(said(1, 501, Server, Unknown)),
        passing("502", |_| refusal("502 Bad Gateway", ""), 502, Server, Unknown),
        passing("503", |_| refusal("503 Service Unavailable", ""), 503, Server, Unknown),
        later("503, to come again at once", |_| refusal("503 Service Unavailable", "retry-after: 0\r\n"), 503, Server),
        Row::new(
            "503, to come again at once, and then up",
            Script::once(write(|_| refusal("503 Service Unavailable", "retry-after: 0\r\n"))),
        )
        .read(fine(2))
        .create_again(TURNED_AWAY, fine(2)),
        Row::new("504, and then up", Script::once(write(|_| refusal("504 Gateway Timeout", ""))))
            .read(fine(2))
            .create(said(1, 504, Server, Unknown).passing()),
    ];
    Part { name: "Statuses", rows }
}

fn page_of_20_mb(_: &Here) -> Vec<u8> {
    let page = format!("<p>{SECRET}</p>").repeat(1_000_000);
    answer("500 Internal Server Error", "content-type: text/html\r\n", &page[..20_000_000])
}

#[cfg(feature = "http2")]
pub(super) fn http2() -> Part {
    use super::h2::{
        Act, CANCEL, ENHANCE_YOUR_CALM, Frames, Greeting, INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM,
        answer, body, go_away, head, head_with_length, reset,
    };

    let script = |first: Vec<Act>, then| Script::Http2(Greeting::Usual, Plan { first, then });
    let always = |frames: Frames, then| script(Vec::new(), Act::Write(frames, then));
    let both = |first: Frames, second: Frames| script(Vec::new(), Act::WriteBoth(first, second));
    let once = |frames: Frames, then| script(vec![Act::Write(frames, then)], Act::Good);
    let silent = |pings| Script::Http2(Greeting::Silent { pings }, Plan { first: Vec::new(), then: Act::Good });
    let broken =
        |name, script| Row::new(name, script).read(gone(4, Transport, Unknown)).create(gone(1, Transport, Unknown));
    let rows = vec![
        Row::new("an answer by HTTP/2", script(Vec::new(), Act::Good)),
        // That it's behind the last one says that it wasn't looked at. But the HTTP stack now and then gives the same error to
        // a stream that isn't, which was.
        Row::new("GOAWAY: the stream is behind the last one", once(|_| go_away(0, NO_ERROR, SECRET), Then::Keep))
            .read(fine(2))
            .create(gone(1, Transport, Unknown)),
        broken(
            "GOAWAY for an error: the stream is behind the last one",
            always(|_| go_away(0, ENHANCE_YOUR_CALM, SECRET), Then::Close),
        ),
        broken(
            "GOAWAY: the stream is the last one, and has no answer",
            always(|it| go_away(it.id, NO_ERROR, SECRET), Then::Close),
        ),
        broken(
            "GOAWAY for an error: the stream is the last one",
            always(|it| go_away(it.id, PROTOCOL_ERROR, SECRET), Then::Close),
        ),
        Row::new(
            "GOAWAY: the stream is the last one, and is answered",
            both(|_| Vec::new(), |it| [go_away(it.id, NO_ERROR, SECRET), answer(it)].concat()),
        ),
        Row::new(
            "GOAWAY while idle",
            script(
                vec![Act::WriteBoth(|_| Vec::new(), |it| [answer(it), go_away(it.id, NO_ERROR, SECRET)].concat())],
                Act::Good,
            ),
        )
        .warm(),
        Row::new("REFUSED_STREAM", once(|it| reset(it, REFUSED_STREAM), Then::Keep))
            .read(fine(2))
            .create_again(NOT_SEEN, fine(2)),
        Row::new("REFUSED_STREAM, always", always(|it| reset(it, REFUSED_STREAM), Then::Keep))
            .read(gone(4, Connect, NotSent))
            .create_again(NOT_SEEN, gone(4, Connect, NotSent)),
        broken("REFUSED_STREAM after the head", both(head, |it| reset(it, REFUSED_STREAM))),
        broken("GOAWAY after a head with a length", both(head_with_length, |_| go_away(0, NO_ERROR, SECRET))),
        broken("GOAWAY for an error after the head", both(head, |_| go_away(0, PROTOCOL_ERROR, SECRET))),
        broken(
            "NO_ERROR inside a body with a length",
            both(|it| [head_with_length(it), body(it).0].concat(), |it| reset(it, NO_ERROR)),
        ),
        broken("CANCEL inside the body", both(|it| [head(it), body(it).0].concat(), |it| reset(it, CANCEL))),
        // To the HTTP stack this is an end like any other: only that the JSON isn't whole tells.
        Row::new(
            "NO_ERROR inside a body without a length",
            both(|it| [head(it), body(it).0].concat(), |it| reset(it, NO_ERROR)),
        )
        .all(said(1, 200, Decode, Unknown)),
        broken("INTERNAL_ERROR before the head", always(|it| reset(it, INTERNAL_ERROR), Then::Keep)),
        broken("CANCEL before the head", always(|it| reset(it, CANCEL), Then::Keep)),
        broken(
            "INTERNAL_ERROR inside the body",
            both(|it| [head(it), body(it).0].concat(), |it| reset(it, INTERNAL_ERROR)),
        ),
        Row::new("NO_ERROR after the answer", always(|it| [answer(it), reset(it, NO_ERROR)].concat(), Then::Keep)),
        broken("closed inside the body, by HTTP/2", always(|it| [head(it), body(it).0].concat(), Then::Close)),
        broken("frames that are none", always(|_| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), Then::Close)),
        Row::new("silence by HTTP/2", silent(false))
            .tune(hasty)
            .read(gone(4, Timeout, Unknown))
            .create(gone(1, Timeout, Unknown)),
        broken("silence by HTTP/2, also in answer to pings", silent(true)),
    ];
    Part { name: "HTTP/2", rows }
}
