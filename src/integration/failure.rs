//! How the server words its failures.

use std::time::Duration;

use http::{Method, StatusCode};
use serde::Deserialize;

use crate::error::{ApiError, loose};
use crate::json::Json;
use crate::transport::decode::DecodeError;
use crate::transport::{Circumstance, Dialect};

pub(super) static DIALECT: Dialect =
    Dialect { name: "integration", read_error, no_such_api: |_| false, auth_grace: Duration::ZERO, hint };

/// What an answer says of itself. What a failure's body looks like isn't documented: `success: false` with `message` or
/// `error`, by the look of the others.
#[derive(Debug, Deserialize)]
pub(super) struct Word {
    pub(super) success: Option<bool>,
    #[serde(default, deserialize_with = "loose::short")]
    pub(super) message: Option<Json>,
    #[serde(default, deserialize_with = "loose::short")]
    pub(super) error: Option<Json>,
    #[serde(default, deserialize_with = "loose::short")]
    pub(super) errors: Option<Json>,
}

impl Word {
    /// `success: false` is a refusal, whatever the status.
    pub(super) fn check(&self) -> Result<(), DecodeError> {
        if self.success == Some(false) { Err(DecodeError::refused(self.reason())) } else { Ok(()) }
    }

    pub(super) fn message(&self) -> Option<String> {
        loose::text(self.message.as_ref())
    }

    /// The message first, and what else there is as its details.
    fn reason(&self) -> ApiError {
        let mut errors = loose::errors(self.error.as_ref());
        errors.extend(loose::errors(self.errors.as_ref()));
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
    let word: Word = serde_json::from_str(body).ok()?;
    Some(word.reason())
}

fn hint(here: &Circumstance<'_>) -> Option<&'static str> {
    match here.status {
        StatusCode::UNAUTHORIZED => {
            Some("the server wants other credentials than it was sent: is the authenticator the right one?")
        }
        StatusCode::NOT_FOUND if here.own && here.api.is_none() => {
            Some("is the base URL right, and the collection's path below it (collection_path)?")
        }
        StatusCode::METHOD_NOT_ALLOWED if here.own && matches!(*here.method, Method::PUT | Method::PATCH) => {
            Some("does the server take updates by the other method (update_method)?")
        }
        _ => None,
    }
}
