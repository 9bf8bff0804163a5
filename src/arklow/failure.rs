//! How the server words its failures.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

use crate::error::{ApiError, loose};
use crate::json::Json;
use crate::transport::{Circumstance, Dialect};

pub(super) static DIALECT: Dialect =
    Dialect { name: "arklow", read_error, no_such_api: |_| false, auth_grace: Duration::ZERO, hint };

/// What a failure's body looks like isn't documented: the envelope of a page, presumably.
#[derive(Deserialize)]
struct Body {
    #[serde(default, deserialize_with = "loose::short")]
    errors: Option<Json>,
    #[serde(default, deserialize_with = "loose::short")]
    message: Option<Json>,
}

fn read_error(body: &str) -> Option<ApiError> {
    let Body { errors, message } = serde_json::from_str(body).ok()?;
    let mut errors = loose::errors(errors.as_ref());
    if let Some(message) = loose::text(message.as_ref()) {
        errors.push(ApiError::new().with_message(Some(message)));
    }
    (!errors.is_empty()).then(|| ApiError::first_of(errors))
}

fn hint(here: &Circumstance<'_>) -> Option<&'static str> {
    match here.status {
        StatusCode::UNAUTHORIZED => {
            Some("the API key is mistyped or no longer valid; it goes into the header x-arklow-auth")
        }
        StatusCode::FORBIDDEN if here.own => {
            Some("the API key is known; is it one of this organisation, and may it read action records?")
        }
        StatusCode::NOT_FOUND if here.own => {
            Some("is the organisation's id right, and the base URL what comes before /v1?")
        }
        _ => None,
    }
}
