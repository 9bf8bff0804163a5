//! Faults within a response.

use std::io::Write;
use std::time::Duration;

use actionlog::ErrorKind;
use actionlog::ErrorKind::{Decode, NotJson, Timeout, TooLarge, Transport, UnexpectedStatus};
use actionlog::WriteOutcome::{NotApplied, Unknown};

use super::super::planted::said as planted;
use super::super::server::{Act, Bytes, Here, JSON, Then, ok, response};
use super::{
    Part, Row, Script, always, chunked, cut, fine, gone, hasty, head, page_of_html, refusal, said, small, with, write,
};

pub(super) fn heads() -> Part {
    fn many(_: &Here) -> Vec<u8> {
        let headers: String = (0..200).map(|it| format!("x-{it}: {}\r\n", planted())).collect();
        with(&headers, b"")
    }
    fn large(_: &Here) -> Vec<u8> {
        with(&format!("x-large: {}\r\n", planted().repeat(2_100_000 / planted().len())), b"")
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
        Row::new("not HTTP at all", always(|_| format!("220 {} ESMTP\r\n\r\n", planted()).into(), Then::Close))
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
        Row::new("a status that is not a number", always(|_| b"HTTP/1.1 OK OK\r\n\r\n".to_vec(), Then::Close))
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
        Row::new("a header of 2 MB", always(large, Then::Keep))
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
        Row::new("200 headers", always(many, Then::Keep))
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
        Row::new(
            "endless headers",
            Script::always(Act::Flood(|_| b"HTTP/1.1 200 OK\r\n".to_vec(), |_| b"x-more: more\r\n".repeat(1000))),
        )
        .read(gone(4, Transport, Unknown))
        .create(gone(1, Transport, Unknown)),
        Row::new(
            "two different `Content-Length` headers",
            always(|it| with("content-length: 5\r\ncontent-length: 50\r\n", it.good.as_bytes()), Then::Keep),
        )
        .read(gone(4, Transport, Unknown))
        .create(gone(1, Transport, Unknown)),
        Row::new(
            "an invalid `Content-Length`",
            always(|it| with("content-length: -1\r\n", it.good.as_bytes()), Then::Keep),
        )
        .read(gone(4, Transport, Unknown))
        .create(gone(1, Transport, Unknown)),
        Row::new(
            "`100 Continue` before the response",
            Script::always(write(|it| [b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), ok(it)].concat())),
        ),
        Row::new(
            "`103 Early Hints` before the response",
            Script::always(write(|it| [b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".to_vec(), ok(it)].concat())),
        ),
        Row::new(
            "endless `100 Continue`",
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
        Row::new("a chunked body", Script::always(write(chunked))),
        Row::new("reset inside the body", always(|it| cut(ok(it), 20), Then::Reset))
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
        Row::new("closed inside the body: `Content-Length` is too large", always(|it| cut(ok(it), 20), Then::Close))
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
            "a body that arrives byte by byte, too slowly",
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
            "a chunk whose size is not a number",
            always(|_| with("transfer-encoding: chunked\r\n", b"many\r\n{}\r\n0\r\n\r\n"), Then::Keep),
        )
        .read(gone(4, Transport, Unknown))
        .create(gone(1, Transport, Unknown)),
        Row::new(
            "closed inside a body without `Content-Length`",
            always(|it| cut(with("", it.good.as_bytes()), 20), Then::Close),
        )
        .all(said(1, 200, Decode, Unknown)),
        Row::new(
            "a `Content-Length` that is too small",
            Script::always(write(|it| [response("200 OK", JSON, &it.good[..20]), it.good[20..].into()].concat())),
        )
        .all(said(1, 200, Decode, Unknown)),
        Row::new(
            "a `Content-Length` above the cap",
            always(|_| with("content-length: 9999999999\r\n", b"{"), Then::Hang),
        )
        .all(gone(1, TooLarge, Unknown).lasting()),
        Row::new(
            "an endless body",
            Script::always(Act::Flood(
                |_| head("transfer-encoding: chunked\r\n"),
                |_| b"400\r\n".iter().copied().chain([b' '; 0x400]).chain(*b"\r\n").collect(),
            )),
        )
        .tune(small)
        .all(gone(1, TooLarge, Unknown).lasting()),
        unread("an empty body", |_| response("200 OK", JSON, "")),
        unread("204, where a record or a page is expected", |_| b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())
            .all(said(1, 204, NotJson, Unknown)),
        Row::new("205, with a body", Script::always(write(|it| response("205 Reset Content", JSON, &it.good))))
            .all(said(1, 205, UnexpectedStatus, Unknown)),
        Row::new(
            "206, with a body of the right shape",
            Script::always(write(|it| {
                response("206 Partial Content", &format!("{JSON}content-range: bytes 0-99/900\r\n"), &it.good)
            })),
        )
        .all(said(1, 206, UnexpectedStatus, Unknown)),
        Row::new(
            "226, with a body of the right shape",
            Script::always(write(|it| response("226 IM Used", JSON, &it.good))),
        )
        .all(said(1, 226, UnexpectedStatus, Unknown)),
        Row::new(
            "202, with a body of the right shape",
            Script::always(write(|it| response("202 Accepted", JSON, &it.good))),
        )
        .read(said(1, 202, UnexpectedStatus, Unknown)),
        Row::new(
            "207, with a body of the right shape",
            Script::always(write(|it| response("207 Multi-Status", JSON, &it.good))),
        )
        .read(said(1, 207, UnexpectedStatus, Unknown)),
        unread("an HTML page", |it| response("200 OK", "content-type: text/html\r\n", page_of_html(it))),
        unread("a content coding that wasn't requested", |_| {
            response("200 OK", &format!("{JSON}content-encoding: br\r\n"), [0x8b, 2, 0x80, 0x7b, 0x7d, 3])
        }),
        Row::new("UTF-16", Script::always(write(utf16))).all(said(1, 200, Decode, Unknown)),
        Row::new("Latin-1", Script::always(write(latin1))).all(said(1, 200, Decode, Unknown)),
        Row::new("200, with a body that reports a failure", Script::always(write(|_| refusal("200 OK", ""))))
            .all(said(1, 200, ErrorKind::ApiFailure, NotApplied)),
    ];
    if cfg!(feature = "gzip") {
        rows.extend([
            Row::new("gzip", Script::always(write(|it| gzipped(&gzip(it.good.as_bytes()))))),
            Row::new(
                "broken gzip",
                Script::always(write(|it| {
                    let mut bytes = gzip(it.good.as_bytes());
                    // Behind the gzip header of 10 bytes.
                    bytes[10..20].fill(0xff);
                    gzipped(&bytes)
                })),
            )
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
            Row::new(
                "gzip with a wrong checksum",
                Script::always(write(|it| {
                    let mut bytes = gzip(it.good.as_bytes());
                    let checksum = bytes.len() - 8;
                    bytes[checksum] ^= 1;
                    gzipped(&bytes)
                })),
            )
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
            Row::new("truncated gzip", Script::always(write(|it| gzipped(&cut(gzip(it.good.as_bytes()), 20)))))
                .read(gone(4, Transport, Unknown))
                .create(gone(1, Transport, Unknown)),
            Row::new(
                "gzip that expands endlessly",
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
    response("200 OK", "content-type: application/json; charset=utf-16\r\n", [&[0xff, 0xfe][..], &body].concat())
}

fn latin1(here: &Here) -> Vec<u8> {
    let body = here.good.replace("product", "caf\u{e9}").chars().map(|it| it as u8).collect::<Vec<_>>();
    response("200 OK", "content-type: application/json; charset=iso-8859-1\r\n", body)
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    response("200 OK", &format!("{JSON}content-encoding: gzip\r\n"), bytes)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// The head of a gzip stream.
const GZIP: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// A million blanks in a thousand bytes, which can be repeated.
fn blank_block() -> Vec<u8> {
    let mut out = Vec::with_capacity(16 * 1024);
    let mut deflate = flate2::Compress::new(flate2::Compression::best(), false);
    deflate.compress_vec(&[b' '; 1_000_000], &mut out, flate2::FlushCompress::Full).unwrap();
    out
}
