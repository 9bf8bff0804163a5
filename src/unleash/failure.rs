//! Error bodies of Unleash, and the hints for its statuses.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

use crate::decode::error_text::{self, text, texts};
use crate::error::{ApiError, ErrorKind};
use crate::transport::{Dialect, HintContext};
use crate::values::json::Json;

pub(super) static DIALECT: Dialect =
    Dialect { name: "unleash", read_error, no_such_api, auth_grace: Duration::from_secs(600), hint };

/// An error body. In the errors that a real server sends, every field but the message is missing at times.
#[derive(Deserialize)]
struct Body {
    #[serde(default, deserialize_with = "error_text::short")]
    id: Option<Json>,
    #[serde(default, deserialize_with = "error_text::short")]
    name: Option<Json>,
    #[serde(default, deserialize_with = "error_text::short")]
    message: Option<Json>,
    #[serde(default, deserialize_with = "error_text::short")]
    details: Option<Json>,
}

fn read_error(body: &str) -> Option<ApiError> {
    let Body { id, name, message, details } = serde_json::from_str(body).ok()?;
    let error = ApiError::new().with_id(text(id.as_ref())).with_name(text(name.as_ref()));
    Some(error.with_message(text(message.as_ref())).with_details(texts(details.as_ref())))
}

/// Whether the server reports that it lacks the path, and not only the requested object.
fn no_such_api(error: &ApiError) -> bool {
    error.message().is_some_and(|it| it.contains("is not available"))
}

fn hint(context: &HintContext<'_>) -> Option<&'static str> {
    match context.status {
        StatusCode::NOT_FOUND if context.own && context.api.is_some_and(no_such_api) => Some(
            "this server has no action set events, which are a beta feature of Unleash Enterprise. If it is an \
             Enterprise server, check that the base URL has no extra path segment",
        ),
        StatusCode::NOT_FOUND if context.api.is_some_and(no_such_api) => Some(
            "this server lacks the request's path. Check the path, and that the base URL ends before /api. Some \
             paths exist in Unleash Enterprise only",
        ),
        StatusCode::NOT_FOUND if context.web_page => Some(
            "the response is a web page and not JSON: check whether a part of the path is missing from the base URL",
        ),
        StatusCode::FORBIDDEN => Some(forbidden(context)),
        StatusCode::UNAUTHORIZED => Some(
            "the token is mistyped, expired or deleted. A server whose database is down also rejects valid tokens \
             with this status",
        ),
        _ if context.kind == ErrorKind::NotJson && context.web_page => Some(
            "the response is a web page and not JSON: the base URL looks wrong. It ends before /api, and includes \
             the path that the server is served under, if any",
        ),
        _ => None,
    }
}

/// The hint depends on the error body, and on the kind of the token, which its prefix shows.
fn forbidden(context: &HintContext<'_>) -> &'static str {
    let wrong_kind = context.api.is_some_and(|it| it.name().is_none());
    match (wrong_kind, context.token_begins("user:"), context.token_begins("*:*.")) {
        (true, _, false) => {
            "the API rejects tokens of this kind: use a personal access token, a service account's token or an admin \
             token, not a backend, frontend or client token"
        }
        (true, _, true) => {
            "the API rejects admin tokens, which belong to no user: try a personal access token or a service \
             account's token"
        }
        (false, _, true) => {
            "an admin token belongs to no user and lacks the permission: try the token of a user or service account \
             that has it"
        }
        (false, true, _) => "the user that this token belongs to lacks the permission",
        (false, false, false) => "the token, or the user that it belongs to, lacks the permission",
    }
}
