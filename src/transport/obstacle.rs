//! Why a connection wasn't made, as far as that can be told.

use std::error::Error as StdError;
use std::io;

/// What is in the way of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "rustls"), allow(dead_code))]
pub(crate) enum Obstacle {
    /// The server's certificate isn't accepted, with what to do about it: this doesn't pass by itself.
    Certificate(&'static str),
    /// The server answers in something else than TLS.
    NotTls,
    /// The host's name doesn't resolve.
    UnknownHost,
    /// Nobody listens there.
    Refused,
}

impl Obstacle {
    /// Looks for it among the causes of an error.
    pub(crate) fn of(error: &(dyn StdError + 'static)) -> Option<Self> {
        let mut cause = Some(error);
        let mut found = None;
        while let Some(error) = cause {
            found = found.or_else(|| at(error));
            cause = error.source();
        }
        found
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Certificate(_) => "the server's certificate isn't accepted",
            Self::NotTls => "the server can't be reached by TLS: what answers there doesn't speak it",
            Self::UnknownHost => "the server can't be reached: its name doesn't resolve",
            Self::Refused => "the server can't be reached: nobody listens on that port",
        }
    }

    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::Certificate(hint) => hint,
            Self::NotTls => "is the port one for https? If it's plain, the base URL begins with http://",
            Self::UnknownHost => "is the base URL's host right, and known to the DNS here?",
            Self::Refused => "is the server up, and the base URL's port right?",
        }
    }
}

fn at(error: &(dyn StdError + 'static)) -> Option<Obstacle> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        // What it wraps isn't its source, but its source's source is.
        let wrapped = error.get_ref().and_then(|it| at(it));
        return wrapped.or((error.kind() == io::ErrorKind::ConnectionRefused).then_some(Obstacle::Refused));
    }
    // The connector's type is private; its words are all there is.
    if error.to_string() == "dns error" {
        return Some(Obstacle::UnknownHost);
    }
    by_tls(error)
}

#[cfg(feature = "rustls")]
fn by_tls(error: &(dyn StdError + 'static)) -> Option<Obstacle> {
    use rustls::CertificateError as Why;

    Some(match error.downcast_ref()? {
        rustls::Error::InvalidCertificate(why) => Obstacle::Certificate(match why {
            Why::UnknownIssuer => {
                "nobody that is trusted here vouches for it: if its authority is a company's own, give that to root_certificates"
            }
            Why::NotValidForName | Why::NotValidForNameContext { .. } => {
                "it is for another host: is the base URL's host right?"
            }
            Why::Expired | Why::ExpiredContext { .. } => "it is over: is this machine's clock right?",
            Why::NotValidYet | Why::NotValidYetContext { .. } => "it isn't valid yet: is this machine's clock right?",
            Why::Revoked => "it was revoked: tell who runs the server",
            _ => "see what is wrong with it, and tell who runs the server",
        }),
        rustls::Error::InvalidMessage(_) => Obstacle::NotTls,
        _ => return None,
    })
}

#[cfg(not(feature = "rustls"))]
fn by_tls(_: &(dyn StdError + 'static)) -> Option<Obstacle> {
    None
}
