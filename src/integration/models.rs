//! What the server sends, and what is sent to it.
//!
//! The reference page requires nothing of a record. Here `_id` and the four fields that a create requires must be there;
//! the rest may be absent or null.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ActionLogDraft;
use crate::id::{Id, Identified};
use crate::json::Json;
use crate::omitted::{Omitted, OmittedField};
use crate::open_enum::open_enum;

/// One thing that an integration did, or tried to do.
///
/// It changes after it was first listed: its status, the number of retries, the time of the last change.
///
/// Integration action logs: List.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ActionLog {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: Id<Self>,
    /// The integration that did it.
    pub integration_id: Id<Integration>,
    /// What kind of thing it did.
    pub action_type: ActionType,
    /// What kind of entity it did it to: `product`, say.
    pub entity_type: String,
    /// Which entity.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::id::optional_text")]
    pub entity_id: Option<String>,
    /// How it went.
    pub status: LogStatus,
    /// What was sent: a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Json>,
    /// What came back: a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Json>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// How often it was tried again. 0 where the server doesn't say.
    #[serde(default, deserialize_with = "retries")]
    pub retry_count: u64,
    /// How long it took, in milliseconds, perhaps with a fraction.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "milliseconds")]
    pub execution_time: Option<f64>,
    /// More about it: a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Json>,
    /// When it was logged.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::time::optional")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the log was changed last.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::time::optional")]
    pub updated_at: Option<DateTime<Utc>>,
    /// The fields that didn't fit, and that the record was read without.
    #[serde(rename = "actionlog:omitted", default, skip_serializing_if = "Omitted::is_empty")]
    pub(crate) omitted: Omitted,
}

impl Identified for ActionLog {
    type Key = Box<str>;
}

/// Stands for an integration, of which only the id is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Integration {}

impl Identified for Integration {
    type Key = Box<str>;
}

open_enum! {
    /// What kind of thing an integration did.
    ActionType {
        /// It made something.
        Create = "create",
        /// It changed something.
        Update = "update",
        /// It deleted something.
        Delete = "delete",
        /// It brought two sides to the same state.
        Sync = "sync",
        /// It handled a webhook.
        Webhook = "webhook",
    }
}

open_enum! {
    /// How it went.
    LogStatus {
        /// It isn't done yet.
        Pending = "pending",
        /// It succeeded.
        Success = "success",
        /// It failed.
        Failed = "failed",
        /// It failed, and is tried again.
        Retrying = "retrying",
    }
}

impl LogStatus {
    /// Whether an action with this status is over. `None` for an unknown status.
    #[must_use]
    pub fn is_final(&self) -> Option<bool> {
        match self {
            Self::Success | Self::Failed => Some(true),
            Self::Pending | Self::Retrying => Some(false),
            Self::Unknown(_) => None,
        }
    }
}

impl ActionLog {
    /// The fields that didn't fit, and that this record comes without: none, as a rule.
    ///
    /// Each has its path and its JSON. They are part of the record: equal ones have the same, and serde keeps them, under
    /// `actionlog:omitted`. Which fields these may be is in [`strictness`](crate::strictness).
    #[must_use]
    pub fn omitted(&self) -> &[OmittedField] {
        self.omitted.fields()
    }

    /// How long it took. `None` where the server doesn't say, or not something that can be a time.
    #[must_use]
    pub fn took(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.execution_time? / 1000.0).ok()
    }

    /// A draft that says all that this does and that can be written.
    ///
    /// An update *replaces* the record: what a draft doesn't say is gone after it. To change one thing, begin here. Fields
    /// that were [omitted](Self::omitted) are written back as the server sent them, unless the draft is given others.
    ///
    /// ```no_run
    /// use actionlog::integration::LogStatus;
    ///
    /// # async fn example(client: actionlog::IntegrationClient) -> actionlog::Result<()> {
    /// let log = client.logs().get("60f7b1b3e4b0e8b3f8b3f8b3").await?;
    /// let id = log.id.clone();
    /// client.logs().update(id, log.into_draft().status(LogStatus::Success)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_draft(self) -> ActionLogDraft {
        ActionLogDraft::of(self)
    }

    /// As [`into_draft`](Self::into_draft), from a record that is still of use:
    /// `update(&log.id, log.to_draft().status(LogStatus::Success))`.
    pub fn to_draft(&self) -> ActionLogDraft {
        ActionLogDraft::of(self.clone())
    }
}

fn retries<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let retries = crate::integer::optional::deserialize(from)?.unwrap_or_default();
    retries.try_into().map_err(|_| serde::de::Error::custom("a number of retries below zero"))
}

/// A whole number is written as one: `12`, as it came, and not `12.0`.
pub(super) fn milliseconds<S: serde::Serializer>(time: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    #[allow(clippy::cast_possible_truncation)]
    match *time {
        Some(time) if time.fract() == 0.0 && time.abs() < 9e15 => to.serialize_i64(time as i64),
        Some(time) => to.serialize_f64(time),
        None => to.serialize_none(),
    }
}
