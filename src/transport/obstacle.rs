//! Why a connection attempt failed, as far as the error reveals it.

use std::error::Error as StdError;
use std::io;

/// The reason that a connection couldn't be established.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "rustls"), allow(dead_code))]
pub(super) enum Obstacle {
    /// The server's certificate isn't trusted; the field is the hint. A retry fails the same way.
    Certificate(&'static str),
    /// The server requires a client certificate, or rejects the one that was sent; the field is the hint. A retry fails
    /// the same way. With TLS 1.3 this comes only after the request was sent.
    ClientCertificate(&'static str),
    /// The server doesn't speak TLS.
    NotTls,
    /// The host name doesn't resolve.
    UnknownHost,
    /// Nothing listens on the port.
    Refused,
}

impl Obstacle {
    /// Finds the reason among the sources of an error.
    pub(super) fn of(error: &(dyn StdError + 'static)) -> Option<Self> {
        let mut cause = Some(error);
        let mut found = None;
        while let Some(error) = cause {
            found = found.or_else(|| at(error));
            cause = error.source();
        }
        found
    }

    /// Whether a retry fails the same way.
    pub(super) fn is_lasting(self) -> bool {
        matches!(self, Self::Certificate(_) | Self::ClientCertificate(_))
    }

    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Certificate(_) => "the server's certificate isn't trusted",
            Self::ClientCertificate(_) => "the server requires a client certificate that it trusts",
            Self::NotTls => "the server can't be reached: it doesn't speak TLS",
            Self::UnknownHost => "the server can't be reached: its host name doesn't resolve",
            Self::Refused => "the server can't be reached: nothing listens on that port",
        }
    }

    pub(super) fn hint(self) -> &'static str {
        match self {
            Self::Certificate(hint) | Self::ClientCertificate(hint) => hint,
            Self::NotTls => "check that the port serves https; for plain http, begin the base URL with http://",
            Self::UnknownHost => "check the base URL's host, and that this machine's DNS knows it",
            Self::Refused => "check that the server is up, and the base URL's port",
        }
    }
}

fn at(error: &(dyn StdError + 'static)) -> Option<Obstacle> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        // The wrapped error isn't the `source()` of an `io::Error`; only the wrapped error's own source is.
        let wrapped = error.get_ref().and_then(|it| at(it));
        return wrapped.or((error.kind() == io::ErrorKind::ConnectionRefused).then_some(Obstacle::Refused));
    }
    // The connector's error type is private: its message is the only way to recognize it.
    if error.to_string() == "dns error" {
        return Some(Obstacle::UnknownHost);
    }
    by_tls(error)
}

#[cfg(feature = "rustls")]
fn by_tls(error: &(dyn StdError + 'static)) -> Option<Obstacle> {
    use rustls::AlertDescription as Alert;
    use rustls::CertificateError as Why;

    Some(match error.downcast_ref()? {
        rustls::Error::InvalidCertificate(why) => Obstacle::Certificate(match why {
            Why::UnknownIssuer => {
                "no trusted authority has issued it: if it comes from a company's own authority, pass that authority's \
                 certificate to root_certificates"
            }
            Why::NotValidForName | Why::NotValidForNameContext { .. } => {
                "it was issued for another host: check the base URL's host"
            }
            Why::Expired | Why::ExpiredContext { .. } => {
                "it has expired: check this machine's clock, or report it to the server's operator"
            }
            Why::NotValidYet | Why::NotValidYetContext { .. } => "it isn't valid yet: check this machine's clock",
            Why::Revoked => "it was revoked: report it to the server's operator",
            _ => "read the error's source, and report it to the server's operator",
        }),
        rustls::Error::InvalidMessage(_) => Obstacle::NotTls,
        rustls::Error::AlertReceived(alert) => Obstacle::ClientCertificate(match alert {
            Alert::CertificateRequired => "pass it, with its private key, to client_certificate",
            Alert::UnknownCA => "no authority that the server trusts has issued the one that was sent",
            Alert::CertificateExpired => "the one that was sent has expired",
            Alert::CertificateRevoked => "the one that was sent was revoked",
            // `DecryptError`: its signature isn't that of the authority of this name.
            Alert::BadCertificate
            | Alert::CertificateUnknown
            | Alert::UnsupportedCertificate
            | Alert::AccessDenied
            | Alert::DecryptError => "check the one that was passed to client_certificate; if there is none, pass one",
            _ => return None,
        }),
        _ => return None,
    })
}

#[cfg(not(feature = "rustls"))]
fn by_tls(_: &(dyn StdError + 'static)) -> Option<Obstacle> {
    None
}
