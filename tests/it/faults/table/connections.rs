//! What goes wrong with connections, and before there is one.

use std::time::Duration;

use actionlog::ErrorKind::{Connect, Timeout, Transport};
use actionlog::RequestOutcome::{NotSent, Unknown};

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
            .read(gone(1, Connect, NotSent).lasting())
            .create(gone(1, Connect, NotSent).lasting()),
        Row::new("a certificate for another host", https(Certificate::ForAnother, Act::Good))
            .read(gone(1, Connect, NotSent).lasting())
            .create(gone(1, Connect, NotSent).lasting()),
        Row::new("a certificate that is over", https(Certificate::Over, Act::Good))
            .read(gone(1, Connect, NotSent).lasting())
            .create(gone(1, Connect, NotSent).lasting()),
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
