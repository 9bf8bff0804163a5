//! How the server words its failures.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

use crate::error::loose::{self, text, texts};
use crate::error::{ApiError, ErrorKind};
use crate::json::Json;
use crate::transport::{Circumstance, Dialect};

pub(super) static DIALECT: Dialect =
    Dialect { name: "unleash", read_error, no_such_api, auth_grace: Duration::from_secs(600), hint };

/// Of a real server's errors, every part but the message is missing somewhere.
#[derive(Deserialize)]
struct Body {
    #[serde(default, deserialize_with = "loose::short")]
    id: Option<Json>,
    #[serde(default, deserialize_with = "loose::short")]
    name: Option<Json>,
    #[serde(default, deserialize_with = "loose::short")]
    message: Option<Json>,
    #[serde(default, deserialize_with = "loose::short")]
    details: Option<Json>,
}

fn read_error(body: &str) -> Option<ApiError> {
    let Body { id, name, message, details } = serde_json::from_str(body).ok()?;
    let error = ApiError::new().with_id(text(id.as_ref())).with_name(text(name.as_ref()));
    Some(error.with_message(text(message.as_ref())).with_details(texts(details.as_ref())))
}

/// What a server says of a path that it doesn't have, as opposed to a thing that it doesn't have.
fn no_such_api(error: &ApiError) -> bool {
    error.message().is_some_and(|it| it.contains("is not available"))
}

fn hint(here: &Circumstance<'_>) -> Option<&'static str> {
    match here.status {
        StatusCode::NOT_FOUND if here.own && here.api.is_some_and(no_such_api) => Some(
            "this server has no action set events: they are part of Unleash Enterprise, and in beta. If it is one, does the base URL have a path too much?",
        ),
        StatusCode::NOT_FOUND if here.api.is_some_and(no_such_api) => Some(
            "this server doesn't have the request's path: is it right, and the base URL what comes before /api? Some are of Unleash Enterprise alone",
        ),
        StatusCode::NOT_FOUND if here.web_page => {
            Some("a web page in place of JSON: does the base URL lack a part of its path?")
        }
        StatusCode::FORBIDDEN => Some(forbidden(here)),
        StatusCode::UNAUTHORIZED => Some(
            "the token is mistyped, expired or deleted; a server whose database is down also answers this to a good one",
        ),
        _ if here.kind == ErrorKind::NotJson && here.web_page => Some(
            "a web page in place of JSON: the base URL looks wrong. It is what comes before /api, with the path that the server is served under, if any",
        ),
        _ => None,
    }
}

/// By what the server says, and by the kind of the token, which its beginning tells.
fn forbidden(here: &Circumstance<'_>) -> &'static str {
    let wrong_kind = here.api.is_some_and(|it| it.name().is_none());
    match (wrong_kind, here.token_begins("user:"), here.token_begins("*:*.")) {
        (true, _, false) => {
            "a token of this kind isn't taken here: it takes a personal access token, a service account's token or an admin token, not a backend, frontend or client token"
        }
        (true, _, true) => {
            "an admin token isn't taken here, as it belongs to no user: try a personal access token or a service account's token"
        }
        (false, _, true) => {
            "an admin token belongs to no user, and lacks the permission: try the token of a user or a service account that has it"
        }
        (false, true, _) => "the user that this token belongs to lacks the permission",
        (false, false, false) => "the token, or the user that it belongs to, lacks the permission",
    }
}
