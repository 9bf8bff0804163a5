//! What goes wrong on demand.

use http::{HeaderName, HeaderValue, StatusCode};

use super::wire;
use crate::request::Answer;

/// Something that goes wrong with an answer: see [`World::fail_next`](super::World::fail_next).
///
/// What only a connection can do, hanging or breaking off, isn't among them: give the client an
/// [`Exchange`](crate::Exchange) of your own for that, or [`InMemory::latency`](super::InMemory::latency).
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
    /// An empty page where a page would be. Waits for a request for one.
    EmptyOnce,
    /// A page with one record less than was asked for. Waits for a request for one.
    ShortByOne,
}

impl Fault {
    /// Whether it takes the place of any answer, and not of a page's alone.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self, Self::Status(_) | Self::StatusWith { .. })
    }

    /// The answer, where an API words its failures so.
    pub(super) fn answer(self, refuse: impl FnOnce(StatusCode) -> Answer) -> Answer {
        let status = |number| StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match self {
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
        }
    }
}
