//! How the server words its failures.

use http::StatusCode;
use serde::Deserialize;

use crate::error::loose::{text, texts};
use crate::error::{ApiError, ErrorKind};
use crate::json::Json;
use crate::transport::{Circumstance, Dialect};

pub(super) static DIALECT: Dialect = Dialect { name: "unleash", read_error, hint };

/// Of a real server's errors, every part but the message is missing somewhere.
#[derive(Deserialize)]
struct Body {
    id: Option<Json>,
    name: Option<Json>,
    message: Option<Json>,
    details: Option<Json>,
}

fn read_error(body: &str) -> Option<ApiError> {
    let Body { id, name, message, details } = serde_json::from_str(body).ok()?;
    let error = ApiError::new().with_id(text(id.as_ref())).with_name(text(name.as_ref()));
    Some(error.with_message(text(message.as_ref())).with_details(texts(details.as_ref())))
}

/// What a server says of a path that it doesn't have, as opposed to a thing that it doesn't have.
pub(super) fn says_no_such_api(message: &str) -> bool {
    message.contains("is not available")
}

fn hint(here: &Circumstance<'_>) -> Option<&'static str> {
    let message = here.api.and_then(ApiError::message).unwrap_or_default();
    match here.status {
        StatusCode::NOT_FOUND if says_no_such_api(message) => Some(
            "this server has no action set events: they are part of Unleash Enterprise, and in beta. If it is one, does the base URL have a path too much?",
        ),
        StatusCode::NOT_FOUND if here.web_page => {
            Some("a web page in place of JSON: does the base URL lack a part of its path?")
        }
        StatusCode::FORBIDDEN if here.api.is_some_and(|it| it.name().is_none()) => Some(
            "a token of this kind can't read events: it takes a personal access token, a service account's token or an admin token, not a backend, frontend or client token",
        ),
        StatusCode::FORBIDDEN => Some("the user that this token belongs to lacks the permission"),
        StatusCode::UNAUTHORIZED => Some(
            "the token is mistyped, expired or deleted; a server whose database is down also answers this to a good one",
        ),
        _ if here.kind == ErrorKind::NotJson && here.web_page => Some(
            "a web page in place of JSON: the base URL looks wrong. It is what comes before /api, with the path that the server is served under, if any",
        ),
        _ => None,
    }
}
