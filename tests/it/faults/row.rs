//! A row of the table: a fault, and the result of each of three calls.

use std::fmt;

use actionlog::{Error, ErrorKind, ReqwestClient, WriteOutcome};

use super::Builder;
use super::server::{Act, Plan, Server, usual};
#[cfg(feature = "rustls")]
use super::tls::Certificate;
#[cfg(feature = "http2")]
use super::{h2, h2::Greeting};

/// The calls that each fault is tested with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Calls {
    /// A page of a listing.
    List,
    /// A listing, record by record.
    Stream,
    /// A create.
    Create,
}

pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(super) script: Script,
    pub(super) tune: fn(Builder) -> Builder,
    /// Whether a successful call comes first, whose connection is reused.
    pub(super) warm: bool,
    pub(super) read: End,
    pub(super) create: End,
    /// Why a create may be sent more than once.
    pub(super) again: Option<&'static str>,
}

impl Row {
    /// By default every call is expected to succeed.
    pub(super) fn new(name: &'static str, script: Script) -> Self {
        let fine = End::fine(1);
        Self { name, script, tune: |it| it, warm: false, read: fine, create: fine, again: None }
    }

    /// The expected result of reads: of a page and of a stream.
    pub(super) fn read(self, end: End) -> Self {
        Self { read: end, ..self }
    }

    /// The expected result of a write that is sent once.
    pub(super) fn create(self, end: End) -> Self {
        Self { create: end, ..self }
    }

    /// The expected result of a write that is retried, because no attempt but the last can have had an effect.
    pub(super) fn create_again(self, why: &'static str, end: End) -> Self {
        Self { create: end, again: Some(why), ..self }
    }

    pub(super) fn all(self, end: End) -> Self {
        self.read(end).create(end)
    }

    pub(super) fn warm(self) -> Self {
        Self { warm: true, ..self }
    }

    pub(super) fn tune(self, tune: fn(Builder) -> Builder) -> Self {
        Self { tune, ..self }
    }

    pub(super) fn end(&self, calls: Calls) -> End {
        match calls {
            Calls::List | Calls::Stream => self.read,
            Calls::Create => self.create,
        }
    }

    pub(super) fn reaches_nobody(&self) -> bool {
        matches!(self.script, Script::Nobody | Script::NoName)
    }
}

/// The expected end of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) attempts: u32,
    pub(super) failure: Option<Failure>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: ErrorKind,
    pub(super) status: Option<u16>,
    pub(super) transient: bool,
    pub(super) outcome: WriteOutcome,
}

impl End {
    pub(super) fn fine(attempts: u32) -> Self {
        Self { attempts, failure: None }
    }

    fn fails(attempts: u32, kind: ErrorKind, status: Option<u16>, outcome: WriteOutcome) -> Self {
        Self { attempts, failure: Some(Failure { kind, status, transient: false, outcome }) }
    }

    /// Without a response; transient.
    pub(super) fn gone(attempts: u32, kind: ErrorKind, outcome: WriteOutcome) -> Self {
        Self::fails(attempts, kind, None, outcome).passing()
    }

    /// By a response; not transient.
    pub(super) fn said(attempts: u32, status: u16, kind: ErrorKind, outcome: WriteOutcome) -> Self {
        Self::fails(attempts, kind, Some(status), outcome)
    }

    pub(super) fn passing(self) -> Self {
        Self { failure: self.failure.map(|it| Failure { transient: true, ..it }), ..self }
    }

    pub(super) fn lasting(self) -> Self {
        Self { failure: self.failure.map(|it| Failure { transient: false, ..it }), ..self }
    }

    /// The end of a failed call.
    pub(super) fn of(error: &Error) -> Self {
        let failure = Failure {
            kind: error.kind(),
            status: error.status().map(|it| it.as_u16()),
            transient: error.is_transient(),
            outcome: error.outcome(),
        };
        Self { attempts: error.attempts(), failure: Some(failure) }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.failure {
            None => write!(f, "fine after {} attempts", self.attempts),
            Some(Failure { kind, status, transient, outcome }) => {
                let passing = if transient { "passing" } else { "lasting" };
                write!(f, "{kind:?} {status:?} {passing} {outcome:?} after {} attempts", self.attempts)
            }
        }
    }
}

/// The behaviour of the server.
pub(super) enum Script {
    /// The port is closed.
    Nobody,
    /// The host name doesn't resolve.
    NoName,
    Http(Plan<Act>),
    #[cfg(feature = "http2")]
    Http2(Greeting, Plan<h2::Act>),
    #[cfg(feature = "rustls")]
    Https(Certificate, Plan<Act>),
    /// The server is addressed by TLS but sends these bytes instead; nothing if it is `None`.
    #[cfg(feature = "rustls")]
    NoTls(Option<&'static [u8]>),
}

pub(super) enum Counted {
    Requests,
    /// No request ever arrives.
    Connections,
}

impl Script {
    /// Reacts like this to every request.
    pub(super) fn always(act: Act) -> Self {
        Self::Http(Plan { first: Vec::new(), then: act })
    }

    /// Reacts like this to the first request, and responds normally to the others.
    pub(super) fn once(act: Act) -> Self {
        Self::Http(Plan { first: vec![act], then: Act::Good })
    }

    pub(super) async fn start(&self) -> Server {
        match self {
            Self::Nobody => Server::nobody().await,
            Self::NoName => {
                let mut server = Server::nobody().await;
                server.url = "http://nowhere.test".to_owned();
                let client = usual().dns_resolver(NoNames).build().unwrap();
                server.http_client = Some(ReqwestClient::from_reqwest(client));
                server
            }
            Self::Http(plan) => Server::http(plan.clone()).await,
            #[cfg(feature = "http2")]
            Self::Http2(greeting, plan) => Server::http2(*greeting, plan.clone()).await,
            #[cfg(feature = "rustls")]
            Self::Https(certificate, plan) => Server::https(*certificate, plan.clone()).await,
            #[cfg(feature = "rustls")]
            Self::NoTls(bytes) => Server::no_tls(*bytes).await,
        }
    }

    /// Whether a client contacts the server by itself.
    pub(super) fn is_usual(&self) -> bool {
        matches!(self, Self::Http(_))
    }

    pub(super) fn counted(&self) -> Counted {
        match self {
            Self::Nobody | Self::NoName | Self::Http(_) => Counted::Requests,
            #[cfg(feature = "http2")]
            Self::Http2(..) => Counted::Requests,
            #[cfg(feature = "rustls")]
            Self::Https(Certificate::Good, _) => Counted::Requests,
            #[cfg(feature = "rustls")]
            Self::Https(..) | Self::NoTls(_) => Counted::Connections,
        }
    }
}

/// A resolver that resolves no name.
struct NoNames;

impl reqwest::dns::Resolve for NoNames {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(async { Err("no such name".into()) })
    }
}
