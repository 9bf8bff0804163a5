//! How the server words its failures.

use http::StatusCode;
use serde::Deserialize;

use crate::error::ApiError;
use crate::transport::{Circumstance, Dialect};

pub(super) static DIALECT: Dialect = Dialect { name: "arklow", read_error, hint };

/// What a failure's body looks like isn't documented: the envelope of a page, presumably.
#[derive(Deserialize)]
struct Body {
    errors: Option<Vec<Trouble>>,
    message: Option<String>,
}

/// One of an answer's `errors`.
#[derive(Debug, Deserialize)]
pub(super) struct Trouble {
    code: Option<String>,
    message: Option<String>,
}

pub(super) fn troubles(list: Option<Vec<Trouble>>) -> Vec<ApiError> {
    let list = list.unwrap_or_default().into_iter();
    list.map(|it| ApiError::new().with_name(it.code).with_message(it.message)).collect()
}

fn read_error(body: &str) -> Option<ApiError> {
    let body: Body = serde_json::from_str(body).ok()?;
    let errors = troubles(body.errors);
    if errors.is_empty() {
        return body.message.map(|message| ApiError::new().with_message(Some(message)));
    }
    Some(ApiError::first_of(errors))
}

fn hint(here: &Circumstance<'_>) -> Option<&'static str> {
    match here.status {
        StatusCode::UNAUTHORIZED => {
            Some("the API key is mistyped or no longer valid; it goes into the header x-arklow-auth")
        }
        StatusCode::FORBIDDEN => {
            Some("the API key is known; is it one of this organisation, and may it read action records?")
        }
        StatusCode::NOT_FOUND => Some("is the organisation's id right, and the base URL what comes before /v1?"),
        _ => None,
    }
}
