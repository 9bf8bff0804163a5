//! Faults that a test injects into responses.

use http::{HeaderName, HeaderValue, StatusCode};

use crate::decode::HttpResponse;
use crate::testing::wire;

/// A fault of a response: see [`FakeServer::fail_next`](crate::testing::FakeServer::fail_next).
///
/// For a response that is only slow, see [`FakeServer::latency`](crate::testing::FakeServer::latency).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A response with this status, and an error body in the API's format. An invalid status becomes 500.
    Status(u16),
    /// Exactly this response. Its `content-type` is JSON unless `headers` has another one. Invalid headers are left
    /// out.
    StatusWith {
        /// The status. An invalid status becomes 500.
        status: u16,
        /// The names and values of the headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// No response: the connection stays open until the client gives up.
    Hang,
    /// The connection is reset after the request was read. The client can't know whether the request had an effect. (It
    /// had none.)
    Reset,
    /// An empty page. The fault waits for the next request of a page.
    EmptyOnce,
    /// A page with one record less than requested. The fault waits for the next request of a page.
    ShortByOne,
}

/// The reaction to a request.
#[derive(Debug)]
pub(super) enum Reply {
    Response(HttpResponse),
    /// No response.
    Hang,
    /// The connection is reset.
    Reset,
}

impl Reply {
    pub(super) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Response(response) => Some(response.status()),
            Self::Hang | Self::Reset => None,
        }
    }
}

impl Fault {
    /// Whether the fault replaces any response, and doesn't only change a page.
    pub(super) fn replaces_response(&self) -> bool {
        matches!(self, Self::Status(_) | Self::StatusWith { .. } | Self::Hang | Self::Reset)
    }

    /// The reaction that the fault causes. `reject` makes an error response in the API's format.
    pub(super) fn reply(self, reject: impl FnOnce(StatusCode) -> HttpResponse) -> Reply {
        let status = |number| StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Reply::Response(match self {
            Self::Hang => return Reply::Hang,
            Self::Reset => return Reply::Reset,
            Self::StatusWith { status: number, headers, body } => {
                let mut response = wire::json(status(number), body);
                for (name, value) in headers {
                    if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
                        response.headers_mut().insert(name, value);
                    }
                }
                response
            }
            Self::Status(number) => reject(status(number)),
            Self::EmptyOnce | Self::ShortByOne => reject(StatusCode::INTERNAL_SERVER_ERROR),
        })
    }
}
