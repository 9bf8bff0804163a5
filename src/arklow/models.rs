//! The records that Arklow sends.
//!
//! The API's reference requires no field of a record. This crate requires `id`; any other field may be absent or null.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::decode::omitted::{Omitted, OmittedField};
use crate::values::id::{Id, Resource};
use crate::values::json::Json;
use crate::values::open_enum::open_enum;

/// One action: what was requested, and its current state.
///
/// A record changes after it was first listed, until its [status](ActionState::status) is
/// [final](ActionStatus::is_final).
///
/// Arklow: List action records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(transform = crate::values::schema::without_doc_links))]
#[non_exhaustive]
pub struct ActionRecord {
    /// The record's id: a string of digits.
    pub id: Id<Self>,
    /// The organisation that owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_id: Option<Id<Organization>>,
    /// The id of the action definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_definition_id: Option<Id<ActionDefinition>>,
    /// The action's input: any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Json>,
    /// The action's timeout, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::values::integer::optional")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<i64>"))]
    pub timeout: Option<i64>,
    /// Tags: a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Json>,
    /// The current state. Present only with
    /// [`RecordsQuery::include_state`](crate::arklow::RecordsQuery::include_state).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::decode::by_name::optional")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<ActionState>"))]
    pub state: Option<ActionState>,
    /// The action definition. Present only with
    /// [`RecordsQuery::include_definition`](crate::arklow::RecordsQuery::include_definition).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::decode::by_name::optional")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<ActionDefinition>"))]
    pub definition: Option<ActionDefinition>,
    /// The history of the action. It is undocumented whether the server includes it without being asked.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::decode::lists::optional_list"
    )]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<Vec<ActionEvent>>"))]
    pub events: Option<Vec<ActionEvent>>,
    /// The fields that were left out because their JSON didn't match their type.
    #[serde(rename = "actionlog:omitted", default, skip_serializing_if = "Omitted::is_empty")]
    pub(crate) omitted: Omitted,
}

impl ActionRecord {
    /// The optional fields that were left out of this record because their JSON didn't match their type. Usually empty.
    ///
    /// Each has its path and its raw JSON. They are part of the record: `==` compares them, and serde keeps them under
    /// `actionlog:omitted`. [`strictness`](crate::strictness) lists the fields that can be omitted.
    #[must_use]
    pub fn omitted(&self) -> &[OmittedField] {
        self.omitted.fields()
    }
}

impl Resource for ActionRecord {
    type Repr = Box<str>;
}

/// Marks ids of organisations. The API sends only their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Organization {}

impl Resource for Organization {
    type Repr = Box<str>;
}

/// The current state of an action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(transform = crate::values::schema::without_doc_links))]
#[non_exhaustive]
pub struct ActionState {
    /// The status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ActionStatus>,
    /// The number of the delivery attempt, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::values::integer::optional")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<i64>"))]
    pub attempt: Option<i64>,
    /// When the state last changed.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::values::time::optional")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<DateTime<Utc>>"))]
    pub updated_at: Option<DateTime<Utc>>,
    /// When the action may be delivered or redelivered.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::values::time::optional")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<DateTime<Utc>>"))]
    pub available_at: Option<DateTime<Utc>>,
    /// When the action times out.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::values::time::optional")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<DateTime<Utc>>"))]
    pub timeout_at: Option<DateTime<Utc>>,
    /// When the action started.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::values::time::optional")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<DateTime<Utc>>"))]
    pub started_at: Option<DateTime<Utc>>,
    /// When the action completed.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::values::time::optional")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<DateTime<Utc>>"))]
    pub completed_at: Option<DateTime<Utc>>,
    /// The error message, if the action failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

open_enum! {
    /// The status of an action.
    ActionStatus {
        /// Waiting in the queue.
        Queued = "queued",
        /// Waiting to be dispatched.
        DispatchWait = "dispatch_wait",
        /// Scheduled for a later time.
        Scheduled = "scheduled",
        /// Failed, and will be retried.
        Retrying = "retrying",
        /// Running.
        Running = "running",
        /// Delivered, and waiting for the acknowledgement.
        AckWait = "ack_wait",
        /// Succeeded. Final.
        Succeeded = "succeeded",
        /// Failed without further retries. Final.
        Failed = "failed",
        /// Canceled. Final.
        Canceled = "canceled",
    }
}

impl ActionStatus {
    /// Whether the status is final. `None` for an [`Unknown`](Self::Unknown) status.
    #[must_use]
    pub fn is_final(&self) -> Option<bool> {
        match self {
            Self::Succeeded | Self::Failed | Self::Canceled => Some(true),
            Self::Unknown(_) => None,
            _ => Some(false),
        }
    }
}

/// The definition of a kind of action, with its destinations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(transform = crate::values::schema::without_doc_links))]
#[non_exhaustive]
pub struct ActionDefinition {
    /// The id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<Self>>,
    /// The organisation that owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_id: Option<Id<Organization>>,
    /// The variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The version.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::values::integer::optional")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<i64>"))]
    pub version: Option<i64>,
    /// The aliases.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "one_or_many")]
    #[cfg_attr(feature = "schemars", schemars(schema_with = "one_or_many_schema"))]
    pub alias: Option<Vec<String>>,
    /// The schema of the input: any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Json>,
    /// When it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::values::time::optional")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<DateTime<Utc>>"))]
    pub deleted_at: Option<DateTime<Utc>>,
    /// The destinations of its actions.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::decode::lists::optional_list"
    )]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<Vec<DestinationLink>>"))]
    pub destinations: Option<Vec<DestinationLink>>,
}

/// Reads a field that is absent, null, a list of strings, or a single string.
fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    struct Strings;

    impl<'de> Visitor<'de> for Strings {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of strings")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Vec<String>, A::Error> {
            crate::decode::bound::list(SeqAccessDeserializer::new(seq))
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(Vec::from([text.to_owned()]))
        }
    }

    struct Wrapped(Vec<String>);

    impl<'de> Deserialize<'de> for Wrapped {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            if from.is_human_readable() { from.deserialize_any(Strings) } else { from.deserialize_seq(Strings) }
                .map(Self)
        }
    }

    Ok(Option::<Wrapped>::deserialize(from)?.map(|it| it.0))
}

/// The schema of a field that is null, a list of strings, or a single string.
#[cfg(feature = "schemars")]
fn one_or_many_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": ["array", "string", "null"], "items": { "type": "string" } })
}

impl Resource for ActionDefinition {
    type Repr = Box<str>;
}

/// Links an action definition to a destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(transform = crate::values::schema::without_doc_links))]
#[non_exhaustive]
pub struct DestinationLink {
    /// The id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<Self>>,
    /// The id of the action definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_definition_id: Option<Id<ActionDefinition>>,
    /// The id of the destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_id: Option<Id<Destination>>,
    /// The organisation that owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_id: Option<Id<Organization>>,
    /// Whether it is the default destination: actions that name no destination go there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_default: Option<bool>,
    /// The destination.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::decode::by_name::optional")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<Destination>"))]
    pub destination: Option<Destination>,
}

impl Resource for DestinationLink {
    type Repr = Box<str>;
}

/// A destination of actions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(transform = crate::values::schema::without_doc_links))]
#[non_exhaustive]
pub struct Destination {
    /// The id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<Self>>,
    /// The organisation that owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_id: Option<Id<Organization>>,
    /// When it was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::values::time::optional")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<DateTime<Utc>>"))]
    pub updated_at: Option<DateTime<Utc>>,
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The kind of destination.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<DestinationKind>,
    /// The configuration: a JSON object whose format depends on the kind. [`webhook`](Self::webhook) parses that of a
    /// webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Json>,
    /// When it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::values::time::optional")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<DateTime<Utc>>"))]
    pub deleted_at: Option<DateTime<Utc>>,
    /// Tags: a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Json>,
    /// The id of the credential that it uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<Id<Credential>>,
}

impl Resource for Destination {
    type Repr = Box<str>;
}

/// Marks ids of destinations' credentials. The API sends only their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credential {}

impl Resource for Credential {
    type Repr = Box<str>;
}

open_enum! {
    /// The kind of a destination.
    DestinationKind {
        /// An HTTP endpoint.
        Webhook = "webhook",
    }
}

impl Destination {
    /// The configuration of a webhook. `None` if the destination is of another kind or has no configuration.
    ///
    /// # Errors
    ///
    /// If the configuration doesn't have the documented format. [`config`](Self::config) has the raw JSON.
    #[must_use]
    pub fn webhook(&self) -> Option<serde_json::Result<WebhookConfig>> {
        match (&self.kind, &self.config) {
            (Some(DestinationKind::Webhook), Some(config)) => Some(config.parse()),
            _ => None,
        }
    }
}

/// The configuration of a webhook.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(transform = crate::values::schema::without_doc_links))]
#[non_exhaustive]
pub struct WebhookConfig {
    /// The URL that actions are sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Request headers: a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<Json>,
    /// How the endpoint's response is interpreted.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::decode::by_name::optional")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<Signaling>"))]
    pub signaling: Option<Signaling>,
    /// The expected response time of the endpoint, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::values::integer::optional")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<i64>"))]
    pub response_time_sla_ms: Option<i64>,
}

/// How an endpoint's response is interpreted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(transform = crate::values::schema::without_doc_links))]
#[non_exhaustive]
pub struct Signaling {
    /// Whether the endpoint's response is evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The signal that is assumed if the response has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Signal>,
}

open_enum! {
    /// An endpoint's report about an action that was delivered to it.
    Signal {
        /// The action is done.
        Ack = "ack",
        /// The action failed.
        Nack = "nack",
        /// The action needs more time.
        ModAck = "mod_ack",
    }
}

/// One event in the history of an action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(transform = crate::values::schema::without_doc_links))]
#[non_exhaustive]
pub struct ActionEvent {
    /// The id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<Self>>,
    /// The id of the action record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_record_id: Option<Id<ActionRecord>>,
    /// The organisation that owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_id: Option<Id<Organization>>,
    /// The kind of event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The status of the action at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ActionStatus>,
    /// The number of the delivery attempt, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::values::integer::optional")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<i64>"))]
    pub attempt: Option<i64>,
    /// When the action may be delivered, or delivered again.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::values::time::optional")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<DateTime<Utc>>"))]
    pub available_at: Option<DateTime<Utc>>,
    /// When the action runs out of time.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::values::time::optional")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<DateTime<Utc>>"))]
    pub timeout_at: Option<DateTime<Utc>>,
    /// The message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The payload of the event: any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Json>,
}

impl Resource for ActionEvent {
    type Repr = Box<str>;
}
