//! Error bodies of integration action logs, and the hints for their statuses.

use std::time::Duration;

use http::{Method, StatusCode};
use serde::Deserialize;

use crate::decode::DecodeError;
use crate::decode::error_text;
use crate::error::ApiError;
use crate::transport::{Dialect, HintContext};
use crate::values::json::Json;

pub(super) static DIALECT: Dialect =
    Dialect { name: "integration", read_error, no_such_api: |_| false, auth_grace: Duration::ZERO, hint };

/// The part of a response body that reports success or failure. The format of an error body is undocumented; by analogy
/// with the documented responses this expects `success: false` with `message` or `error`.
#[derive(Debug, Deserialize)]
pub(super) struct ApiStatus {
    pub(super) success: Option<bool>,
    #[serde(default, deserialize_with = "error_text::short")]
    pub(super) message: Option<Json>,
    #[serde(default, deserialize_with = "error_text::short")]
    pub(super) error: Option<Json>,
    #[serde(default, deserialize_with = "error_text::short")]
    pub(super) errors: Option<Json>,
}

impl ApiStatus {
    /// An error for `success: false`, whatever the HTTP status.
    pub(super) fn check(&self) -> Result<(), DecodeError> {
        if self.success == Some(false) { Err(DecodeError::refused(self.reason())) } else { Ok(()) }
    }

    pub(super) fn message(&self) -> Option<String> {
        error_text::text(self.message.as_ref())
    }

    /// The message comes first; other texts become its details.
    fn reason(&self) -> ApiError {
        let mut errors = error_text::errors(self.error.as_ref());
        errors.extend(error_text::errors(self.errors.as_ref()));
        let name = errors.iter().find_map(ApiError::name).map(str::to_owned);
        let mut texts: Vec<_> = errors.iter().filter_map(ApiError::message).map(str::to_owned).collect();
        if let Some(message) = self.message() {
            texts.retain(|it| *it != message);
            texts.insert(0, message);
        }
        let mut texts = texts.into_iter();
        ApiError::new().with_name(name).with_message(texts.next()).with_details(texts.collect())
    }
}

fn read_error(body: &str) -> Option<ApiError> {
    let status: ApiStatus = serde_json::from_str(body).ok()?;
    Some(status.reason())
}

fn hint(context: &HintContext<'_>) -> Option<&'static str> {
    match context.status {
        StatusCode::UNAUTHORIZED => {
            Some("the server doesn't accept these credentials; check which authenticator the server expects")
        }
        StatusCode::NOT_FOUND if context.own && context.api.is_none() => {
            Some("check the base URL, and the path of the collection below it (collection_path)")
        }
        StatusCode::METHOD_NOT_ALLOWED if context.own && matches!(*context.method, Method::PUT | Method::PATCH) => {
            Some("the server may expect updates by the other method: set update_method")
        }
        _ => None,
    }
}
