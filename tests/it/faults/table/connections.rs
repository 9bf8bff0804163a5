//! Faults of connections, and before one is established.

use std::time::Duration;

use actionlog::ErrorKind::{Connect, Timeout, Transport};
use actionlog::WriteOutcome::{NotSent, Unknown};

use super::super::server::{Act, Plan, Then, ok};
#[cfg(feature = "rustls")]
use super::super::tls::Certificate;
use super::{Builder, NEVER_LEFT, Part, Row, Script, always, fine, gone, hasty};
#[cfg(feature = "rustls")]
use super::{cut, with};

pub(super) fn connections() -> Part {
    let kept = |act| Script::Http(Plan { first: vec![Act::Good, act], then: Act::Good });
    let rows = vec![
        Row::new("nobody listens", Script::Nobody)
            .read(gone(4, Connect, NotSent))
            .create_again(NEVER_LEFT, gone(4, Connect, NotSent)),
        Row::new("the host name doesn't resolve", Script::NoName)
            .tune(Builder::allow_http)
            .read(gone(4, Connect, NotSent))
            .create_again(NEVER_LEFT, gone(4, Connect, NotSent)),
        Row::new("reset before the server reads the request", Script::always(Act::ResetUnread))
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
        Row::new("reset before the response", always(|_| Vec::new(), Then::Reset))
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
        Row::new("closed before the response", always(|_| Vec::new(), Then::Close))
            .read(gone(4, Transport, Unknown))
            .create(gone(1, Transport, Unknown)),
        Row::new("closed before the response, once", Script::once(Act::Write(|_| Vec::new(), Then::Close)))
            .read(fine(2))
            .create(gone(1, Transport, Unknown)),
        Row::new("accepted, and no response", always(|_| Vec::new(), Then::Hang))
            .tune(hasty)
            .read(gone(4, Timeout, Unknown))
            .create(gone(1, Timeout, Unknown)),
        Row::new("no response, once", Script::once(Act::Write(|_| Vec::new(), Then::Hang)))
            .tune(hasty)
            .read(fine(2))
            .create(gone(1, Timeout, Unknown)),
        Row::new("no response within the operation timeout", always(|_| Vec::new(), Then::Hang))
            .tune(|it| it.operation_timeout(Duration::from_secs(1)))
            .all(gone(1, Timeout, Unknown)),
        Row::new("a pooled connection was closed while idle", Script::once(Act::Write(ok, Then::Close))).warm(),
        Row::new("a pooled connection is closed as the request arrives", kept(Act::Write(|_| Vec::new(), Then::Close)))
            .warm()
            .read(fine(2))
            .create(gone(1, Transport, Unknown)),
        Row::new("a pooled connection is reset as the request arrives", kept(Act::ResetUnread))
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
        Row::new("a valid certificate", https(Certificate::Good, Act::Good)),
        Row::new("a certificate from an unknown issuer", https(Certificate::Unknown, Act::Good))
            .read(gone(1, Connect, NotSent).lasting())
            .create(gone(1, Connect, NotSent).lasting()),
        Row::new("a certificate for another host", https(Certificate::ForAnother, Act::Good))
            .read(gone(1, Connect, NotSent).lasting())
            .create(gone(1, Connect, NotSent).lasting()),
        Row::new("an expired certificate", https(Certificate::Over, Act::Good))
            .read(gone(1, Connect, NotSent).lasting())
            .create(gone(1, Connect, NotSent).lasting()),
        Row::new("a plain HTTP response to a TLS handshake", Script::NoTls(Some(b"HTTP/1.1 400 Bad Request\r\n\r\n")))
            .read(gone(4, Connect, NotSent))
            .create_again(NEVER_LEFT, gone(4, Connect, NotSent)),
        Row::new("a connection closed during the TLS handshake", Script::NoTls(Some(b"")))
            .read(gone(4, Connect, NotSent))
            .create_again(NEVER_LEFT, gone(4, Connect, NotSent)),
        Row::new("no response to a TLS handshake", Script::NoTls(None))
            .tune(|it| it.connect_timeout(Duration::from_secs(1)))
            .read(gone(4, Connect, NotSent))
            .create_again(NEVER_LEFT, gone(4, Connect, NotSent)),
        Row::new(
            "TLS that ends without `close_notify`, inside a body without `Content-Length`",
            https(Certificate::Good, Act::Write(|it| cut(with("", it.good.as_bytes()), 20), Then::Vanish)),
        )
        .read(gone(4, Transport, Unknown))
        .create(gone(1, Transport, Unknown)),
    ];
    Part { name: "TLS", rows }
}
