//! The records of integration action logs.
//!
//! The API's reference requires no field of a record. This crate requires `_id` and the four fields that a create
//! requires; any other field may be absent or null.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::decode::omitted::{Omitted, OmittedField};
use crate::values::id::{Id, Resource};
use crate::values::json::Json;
use crate::values::open_enum::open_enum;

/// One action that an integration performed, or tried to.
///
/// A record changes after it was first listed: its status, its number of retries and the time of its last change.
///
/// Integration action logs: List.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(transform = crate::values::schema::without_doc_links))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ActionLog {
    /// The id.
    #[serde(rename = "_id")]
    pub id: Id<Self>,
    /// The integration that performed the action.
    pub integration_id: Id<Integration>,
    /// The type of action.
    pub action_type: ActionType,
    /// The type of entity that the action applies to, such as `product`.
    pub entity_type: String,
    /// The id of the entity.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::values::id::optional_text")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<String>"))]
    pub entity_id: Option<String>,
    /// The status.
    pub status: LogStatus,
    /// The payload that the integration sent: a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Json>,
    /// The response that the integration received: a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Json>,
    /// The error message of a failed action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// The number of retries. 0 if the field is absent or null.
    #[serde(default, deserialize_with = "retries")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<u64>"))]
    pub retry_count: u64,
    /// The execution time in milliseconds, possibly with a fraction.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "crate::values::integer::whole_or_not")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<f64>"))]
    pub execution_time: Option<f64>,
    /// Further data: a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Json>,
    /// When the record was created.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::values::time::optional")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<DateTime<Utc>>"))]
    pub created_at: Option<DateTime<Utc>>,
    /// When the record was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::values::time::optional")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<DateTime<Utc>>"))]
    pub updated_at: Option<DateTime<Utc>>,
    /// The fields that were left out because their JSON didn't match their type.
    #[serde(rename = "actionlog:omitted", default, skip_serializing_if = "Omitted::is_empty")]
    pub(crate) omitted: Omitted,
}

impl Resource for ActionLog {
    type Repr = Box<str>;
}

/// Marks ids of integrations. The API sends only their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Integration {}

impl Resource for Integration {
    type Repr = Box<str>;
}

open_enum! {
    /// The type of an action.
    ActionType {
        /// Created an entity.
        Create = "create",
        /// Changed an entity.
        Update = "update",
        /// Deleted an entity.
        Delete = "delete",
        /// Synchronised two systems.
        Sync = "sync",
        /// Handled a webhook.
        Webhook = "webhook",
    }
}

open_enum! {
    /// The status of an action.
    LogStatus {
        /// Not finished.
        Pending = "pending",
        /// Succeeded.
        Success = "success",
        /// Failed.
        Failed = "failed",
        /// Failed, and will be retried.
        Retrying = "retrying",
    }
}

impl LogStatus {
    /// Whether an action with this status has ended. `None` for an [`Unknown`](Self::Unknown) status.
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
    /// The optional fields that were left out of this record because their JSON didn't match their type. Usually empty.
    ///
    /// Each has its path and its raw JSON. They are part of the record: `==` compares them, and serde keeps them under
    /// `actionlog:omitted`. [`strictness`](crate::strictness) lists the fields that can be omitted.
    #[must_use]
    pub fn omitted(&self) -> &[OmittedField] {
        self.omitted.fields()
    }

    /// The execution time as a [`Duration`]. `None` if the field is absent, or its value is no valid duration.
    #[must_use]
    pub fn took(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.execution_time? / 1000.0).ok()
    }
}

fn retries<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let retries = crate::values::integer::optional::deserialize(from)?.unwrap_or_default();
    retries.try_into().map_err(|_| serde::de::Error::custom("a negative number of retries"))
}
