//! Faults that only HTTP/2 has.

use actionlog::ErrorKind::{Decode, Timeout, Transport};
use actionlog::WriteOutcome::{NotApplied, Unknown};

use super::super::h2::{
    Act, CANCEL, ENHANCE_YOUR_CALM, Frames, Greeting, INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, body,
    go_away, head, head_with_length, reset, response,
};
use super::super::planted::said as planted;
use super::super::server::{Plan, Then};
use super::{NOT_SEEN, Part, Row, Script, fine, gone, hasty, said};

pub(super) fn http2() -> Part {
    let script = |first: Vec<Act>, then| Script::Http2(Greeting::Usual, Plan { first, then });
    let always = |frames: Frames, then| script(Vec::new(), Act::Write(frames, then));
    let both = |first: Frames, second: Frames| script(Vec::new(), Act::WriteBoth(first, second));
    let once = |frames: Frames, then| script(vec![Act::Write(frames, then)], Act::Good);
    let silent = |pings| Script::Http2(Greeting::Silent { pings }, Plan { first: Vec::new(), then: Act::Good });
    let broken =
        |name, script| Row::new(name, script).read(gone(4, Transport, Unknown)).create(gone(1, Transport, Unknown));
    let rows = vec![
        Row::new("a response over HTTP/2", script(Vec::new(), Act::Good)),
        // A stream behind the last one wasn't processed. But the HTTP stack sometimes returns the same error for a
        // stream before it, which was.
        Row::new(
            "GOAWAY: the stream is above the last stream id",
            once(|_| go_away(0, NO_ERROR, &planted()), Then::Keep),
        )
        .read(fine(2))
        .create(gone(1, Transport, Unknown)),
        broken(
            "GOAWAY with an error: the stream is above the last stream id",
            always(|_| go_away(0, ENHANCE_YOUR_CALM, &planted()), Then::Close),
        ),
        broken(
            "GOAWAY: the stream is the last one, and has no response",
            always(|it| go_away(it.id, NO_ERROR, &planted()), Then::Close),
        ),
        broken(
            "GOAWAY with an error: the stream is the last one",
            always(|it| go_away(it.id, PROTOCOL_ERROR, &planted()), Then::Close),
        ),
        Row::new(
            "GOAWAY: the stream is the last one, and has a response",
            both(|_| Vec::new(), |it| [go_away(it.id, NO_ERROR, &planted()), response(it)].concat()),
        ),
        Row::new(
            "GOAWAY while idle",
            script(
                vec![Act::WriteBoth(
                    |_| Vec::new(),
                    |it| [response(it), go_away(it.id, NO_ERROR, &planted())].concat(),
                )],
                Act::Good,
            ),
        )
        .warm(),
        Row::new("REFUSED_STREAM", once(|it| reset(it, REFUSED_STREAM), Then::Keep))
            .read(fine(2))
            .create_again(NOT_SEEN, fine(2)),
        Row::new("REFUSED_STREAM, always", always(|it| reset(it, REFUSED_STREAM), Then::Keep))
            .read(gone(4, Transport, NotApplied))
            .create_again(NOT_SEEN, gone(4, Transport, NotApplied)),
        broken("REFUSED_STREAM after the head", both(head, |it| reset(it, REFUSED_STREAM))),
        broken(
            "GOAWAY after a head with `Content-Length`",
            both(head_with_length, |_| go_away(0, NO_ERROR, &planted())),
        ),
        broken("GOAWAY with an error after the head", both(head, |_| go_away(0, PROTOCOL_ERROR, &planted()))),
        broken(
            "NO_ERROR inside a body with `Content-Length`",
            both(|it| [head_with_length(it), body(it).0].concat(), |it| reset(it, NO_ERROR)),
        ),
        broken("CANCEL inside the body", both(|it| [head(it), body(it).0].concat(), |it| reset(it, CANCEL))),
        // To the HTTP stack this is a regular end: only the incomplete JSON shows the fault.
        Row::new(
            "NO_ERROR inside a body without `Content-Length`",
            both(|it| [head(it), body(it).0].concat(), |it| reset(it, NO_ERROR)),
        )
        .all(said(1, 200, Decode, Unknown)),
        broken("INTERNAL_ERROR before the head", always(|it| reset(it, INTERNAL_ERROR), Then::Keep)),
        broken("CANCEL before the head", always(|it| reset(it, CANCEL), Then::Keep)),
        broken(
            "INTERNAL_ERROR inside the body",
            both(|it| [head(it), body(it).0].concat(), |it| reset(it, INTERNAL_ERROR)),
        ),
        Row::new("NO_ERROR after the response", always(|it| [response(it), reset(it, NO_ERROR)].concat(), Then::Keep)),
        broken("closed inside the body, over HTTP/2", always(|it| [head(it), body(it).0].concat(), Then::Close)),
        broken("invalid HTTP/2 frames", always(|_| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), Then::Close)),
        Row::new("silence over HTTP/2", silent(false))
            .tune(hasty)
            .read(gone(4, Timeout, Unknown))
            .create(gone(1, Timeout, Unknown)),
        broken("silence over HTTP/2, also in response to pings", silent(true)),
    ];
    Part { name: "HTTP/2", rows }
}
