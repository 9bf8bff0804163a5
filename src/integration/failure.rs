//! How the server words its failures.

use http::StatusCode;
use serde::Deserialize;

use crate::error::ApiError;
use crate::transport::decode::DecodeError;
use crate::transport::{Circumstance, Dialect};

pub(super) static DIALECT: Dialect = Dialect { name: "integration", read_error, hint };

/// What an answer says of itself. What a failure's body looks like isn't documented: `success: false` with `message` or
/// `error`, by the look of the others.
#[derive(Debug, Deserialize)]
pub(super) struct Word {
    pub(super) success: Option<bool>,
    pub(super) message: Option<String>,
    pub(super) error: Option<Reason>,
}

/// A sentence, or an object that has one.
#[derive(Debug, Deserialize)]
#[serde(from = "crate::json::Json")]
pub(super) struct Reason(ApiError);

impl From<crate::json::Json> for Reason {
    fn from(json: crate::json::Json) -> Self {
        #[derive(Deserialize)]
        struct Parts {
            #[serde(alias = "code")]
            name: Option<String>,
            message: Option<String>,
        }
        Self(match (json.parse::<String>(), json.parse::<Parts>()) {
            (Ok(sentence), _) => ApiError::new().with_message(Some(sentence)),
            (_, Ok(parts)) => ApiError::new().with_name(parts.name).with_message(parts.message),
            _ => ApiError::new(),
        })
    }
}

impl Word {
    /// `success: false` is a refusal, whatever the status.
    pub(super) fn check(&self) -> Result<(), DecodeError> {
        if self.success == Some(false) { Err(DecodeError::refused(self.reason())) } else { Ok(()) }
    }

    fn reason(&self) -> ApiError {
        match (&self.message, &self.error) {
            (Some(message), Some(Reason(error))) if error.message().is_none() => {
                error.clone().with_message(Some(message.clone()))
            }
            (Some(message), Some(Reason(error))) if error.message() == Some(message) => error.clone(),
            (Some(message), Some(Reason(error))) => {
                let name = error.name().map(str::to_owned);
                let details = error.message().map(str::to_owned).into_iter().collect();
                ApiError::new().with_name(name).with_message(Some(message.clone())).with_details(details)
            }
            (None, Some(Reason(error))) => error.clone(),
            (message, None) => ApiError::new().with_message(message.clone()),
        }
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
        StatusCode::NOT_FOUND if here.api.is_none() => {
            Some("is the base URL right, and the collection's path below it (collection_path)?")
        }
        StatusCode::METHOD_NOT_ALLOWED => Some("does the server take updates by the other method (update_method)?"),
        _ => None,
    }
}
