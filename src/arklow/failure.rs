//! Error bodies of Arklow, and the hints for its statuses.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

use crate::decode::error_text;
use crate::error::ApiError;
use crate::transport::{Dialect, HintContext};
use crate::values::json::Json;

pub(super) static DIALECT: Dialect =
    Dialect { name: "arklow", read_error, no_such_api: |_| false, auth_grace: Duration::ZERO, hint };

/// An error body. Its format is undocumented; this assumes the envelope of a page.
#[derive(Deserialize)]
struct Body {
    #[serde(default, deserialize_with = "error_text::short")]
    errors: Option<Json>,
    #[serde(default, deserialize_with = "error_text::short")]
    message: Option<Json>,
}

fn read_error(body: &str) -> Option<ApiError> {
    let Body { errors, message } = serde_json::from_str(body).ok()?;
    let mut errors = error_text::errors(errors.as_ref());
    if let Some(message) = error_text::text(message.as_ref()) {
        errors.push(ApiError::new().with_message(Some(message)));
    }
    (!errors.is_empty()).then(|| ApiError::first_of(errors))
}

fn hint(context: &HintContext<'_>) -> Option<&'static str> {
    match context.status {
        StatusCode::UNAUTHORIZED => {
            Some("the API key is mistyped or no longer valid; the client sends it in the header x-arklow-auth")
        }
        StatusCode::FORBIDDEN if context.own => Some(
            "the server knows the API key; check that the key belongs to this organisation and may read action records",
        ),
        StatusCode::NOT_FOUND if context.own => {
            Some("check the organisation's id, and that the base URL ends before /v1")
        }
        _ => None,
    }
}
