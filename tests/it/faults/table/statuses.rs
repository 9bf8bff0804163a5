//! Complete responses with an unexpected status or body.

use actionlog::ErrorKind::{
    BadRequest, Conflict, Forbidden, NotFound, PreconditionFailed, RateLimited, Redirect, Server, Unauthorized,
    UnexpectedStatus,
};
use actionlog::RetryPolicy;
use actionlog::WriteOutcome::{NotApplied, Unknown};

use super::super::planted::said as planted;
use super::super::server::{Bytes, Here, Then, response};
use super::{
    KEYED, LIMITED, NOT_SIGNED, Part, Row, Script, always, cut, fine, hasty, page_of_html, refusal, renewing, said,
    write,
};

pub(super) fn statuses() -> Part {
    // All that a status shows: its kind, and whether it is transient.
    let lasting = |name, bytes: Bytes, status, kind| {
        Row::new(name, Script::always(write(bytes))).all(said(1, status, kind, NotApplied))
    };
    let passing = |name, bytes: Bytes, status, kind, outcome| {
        let end = |attempts| said(attempts, status, kind, outcome).passing();
        Row::new(name, Script::always(write(bytes))).read(end(4)).create(end(1))
    };
    // Reads are retried. Whether a create was stored before the server sent this status is unknown.
    let limited = |name, bytes: Bytes| {
        let end = |attempts, outcome| said(attempts, 429, RateLimited, outcome).passing();
        Row::new(name, Script::always(write(bytes))).read(end(4, NotApplied)).create(end(1, Unknown))
    };
    let rows = vec![
        lasting(
            "301 to another host",
            |it| refusal("301 Moved Permanently", &format!("location: http://{}/{}\r\n", it.elsewhere, planted())),
            301,
            Redirect,
        ),
        Row::new(
            "302 to another host, without TLS",
            Script::always(write(|it| {
                refusal("302 Found", &format!("location: http://{}/a?b={}\r\n", it.elsewhere, planted()))
            })),
        )
        .read(said(1, 302, Redirect, NotApplied))
        .create(said(1, 302, Redirect, Unknown)),
        lasting(
            "307 to another host",
            |it| refusal("307 Temporary Redirect", &format!("location: //{}/{}\r\n", it.elsewhere, planted())),
            307,
            Redirect,
        ),
        lasting("304", |_| b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec(), 304, UnexpectedStatus),
        lasting("400", |_| refusal("400 Bad Request", ""), 400, BadRequest),
        lasting("401, with an API key", |_| refusal("401 Unauthorized", ""), 401, Unauthorized),
        Row::new("401, with a token that can be renewed", Script::once(write(|_| refusal("401 Unauthorized", ""))))
            .tune(renewing)
            .read(fine(2))
            .create_again(NOT_SIGNED, fine(2)),
        Row::new(
            "401 every time, with tokens that can be renewed",
            always(|_| refusal("401 Unauthorized", ""), Then::Keep),
        )
        .tune(renewing)
        .read(said(2, 401, Unauthorized, NotApplied))
        .create_again(NOT_SIGNED, said(2, 401, Unauthorized, NotApplied)),
        lasting("403", |_| refusal("403 Forbidden", ""), 403, Forbidden),
        lasting("404", |_| refusal("404 Not Found", ""), 404, NotFound),
        passing("408", |_| refusal("408 Request Timeout", ""), 408, UnexpectedStatus, Unknown),
        lasting("409", |_| refusal("409 Conflict", ""), 409, Conflict),
        lasting("412", |_| refusal("412 Precondition Failed", ""), 412, PreconditionFailed),
        lasting("413", |_| refusal("413 Content Too Large", ""), 413, BadRequest),
        lasting("421", |_| refusal("421 Misdirected Request", ""), 421, UnexpectedStatus),
        lasting("422", |_| refusal("422 Unprocessable Content", ""), 422, BadRequest),
        passing("425", |_| refusal("425 Too Early", ""), 425, UnexpectedStatus, NotApplied),
        limited("429", |_| refusal("429 Too Many Requests", "")),
        limited("429, `Retry-After` of a second", |_| refusal("429 Too Many Requests", "retry-after: 1\r\n")),
        limited("429, `Retry-After` with a date", |_| {
            let times = "date: Sat, 21 Nov 2026 20:18:31 GMT\r\nretry-after: Sat, 21 Nov 2026 20:18:32 GMT\r\n";
            refusal("429 Too Many Requests", times)
        }),
        limited("429, `Retry-After-Ms`", |_| refusal("429 Too Many Requests", "retry-after-ms: 20\r\n")),
        Row::new(
            "429, with `retry_writes_after_429`",
            Script::once(write(|_| refusal("429 Too Many Requests", "retry-after-ms: 20\r\n"))),
        )
        .tune(|it| it.retry(RetryPolicy::default().retry_writes_after_429()))
        .read(fine(2))
        .create_again(LIMITED, fine(2)),
        limited("429, `Retry-After` of more than a minute", |_| {
            refusal("429 Too Many Requests", "retry-after: 61\r\n")
        })
        .read(said(1, 429, RateLimited, NotApplied).passing()),
        passing("500", |_| refusal("500 Internal Server Error", ""), 500, Server, Unknown),
        passing("500, with an HTML page of 20 MB", page_of_20_mb, 500, Server, Unknown),
        Row::new(
            "500, closed inside the body",
            always(|it| cut(response("500 Internal Server Error", "", page_of_html(it)), 20), Then::Close),
        )
        .read(said(4, 500, Server, Unknown).passing())
        .create(said(1, 500, Server, Unknown).passing()),
        // The status has arrived, but the attempt isn't complete in time, so it is a timeout.
        Row::new("403, silence inside the body", always(|_| cut(refusal("403 Forbidden", ""), 5), Then::Hang))
            .tune(hasty)
            .all(said(1, 403, Forbidden, NotApplied)),
        lasting("428", |_| refusal("428 Precondition Required", ""), 428, BadRequest),
        lasting("501", |_| refusal("501 Not Implemented", ""), 501, Server).all(said(1, 501, Server, Unknown)),
        passing("502", |_| refusal("502 Bad Gateway", ""), 502, Server, Unknown),
        passing("503", |_| refusal("503 Service Unavailable", ""), 503, Server, Unknown),
        passing(
            "503, `Retry-After: 0`",
            |_| refusal("503 Service Unavailable", "retry-after: 0\r\n"),
            503,
            Server,
            Unknown,
        ),
        Row::new(
            "503, `Retry-After: 0`, once",
            Script::once(write(|_| refusal("503 Service Unavailable", "retry-after: 0\r\n"))),
        )
        .read(fine(2))
        .create(said(1, 503, Server, Unknown).passing()),
        Row::new(
            "503, `Retry-After: 0`, once, with an idempotency key",
            Script::once(write(|_| refusal("503 Service Unavailable", "retry-after: 0\r\n"))),
        )
        .tune(|it| it.idempotency_header("idempotency-key"))
        .read(fine(2))
        .create_again(KEYED, fine(2)),
        Row::new("504, once", Script::once(write(|_| refusal("504 Gateway Timeout", ""))))
            .read(fine(2))
            .create(said(1, 504, Server, Unknown).passing()),
    ];
    Part { name: "Statuses", rows }
}

fn page_of_20_mb(_: &Here) -> Vec<u8> {
    let once = format!("<p>{}</p>", planted());
    let page = once.repeat(20_000_000 / once.len() + 1);
    response("500 Internal Server Error", "content-type: text/html\r\n", &page.as_bytes()[..20_000_000])
}
