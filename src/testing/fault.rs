//! What goes wrong on demand.

use http::{HeaderName, HeaderValue, StatusCode};

use super::wire;
use crate::request::Answer;

/// Something that goes wrong with an answer: see [`World::fail_next`](super::World::fail_next).
///
/// For an answer that is only late, see [`InMemory::latency`](super::InMemory::latency).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// This status, with a body as the API words its failures. A number that can't be a status is 500.
    Status(u16),
    /// This answer, as it is. It's JSON by its `content-type`, unless the headers say otherwise; one that can't be a
    /// header is left out.
    StatusWith {
        /// The status. A number that can't be one is 500.
        status: u16,
        /// Names and values of headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// No answer, ever: the connection stays open until the client gives up.
    Hang,
    /// The connection is reset after the request was read: whether it had an effect isn't known to the client. (It had
    /// none.)
    Reset,
    /// An empty page where a page would be. Waits for a request for one.
    EmptyOnce,
    /// A page with one record less than was asked for. Waits for a request for one.
    ShortByOne,
}

/// What comes of a request.
#[derive(Debug)]
pub(super) enum Reply {
    Answer(Answer),
    /// Nothing, ever.
    Hang,
    /// The connection is reset.
    Reset,
}

impl Fault {
    /// Whether it takes the place of any answer, and not of a page's alone.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self, Self::Status(_) | Self::StatusWith { .. } | Self::Hang | Self::Reset)
    }

    /// The answer, where an API words its failures so.
    pub(super) fn reply(self, refuse: impl FnOnce(StatusCode) -> Answer) -> Reply {
        let status = |number| StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Reply::Answer(match self {
            Self::Hang => return Reply::Hang,
            Self::Reset => return Reply::Reset,
            Self::StatusWith { status: number, headers, body } => {
                let mut answer = wire::json(status(number), body);
                for (name, value) in headers {
                    if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
                        answer.headers_mut().insert(name, value);
                    }
                }
                answer
            }
            Self::Status(number) => refuse(status(number)),
            Self::EmptyOnce | Self::ShortByOne => refuse(StatusCode::INTERNAL_SERVER_ERROR),
        })
    }
}
