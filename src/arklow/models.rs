//! What the server sends.
//!
//! The reference page requires nothing of a record. Here an `id` must be there; everything else may be absent or null.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::id::{Id, Identified};
use crate::json::Json;
use crate::omitted::{Omitted, OmittedField};
use crate::open_enum::open_enum;

/// One action, as it was asked for and as it stands.
///
/// It changes after it was first listed: [`state`](Self::state) moves on until it is [final](ActionStatus::is_final).
///
/// Arklow: List action records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ActionRecord {
    /// Its id: digits, in a text.
    pub id: Id<Self>,
    /// The organisation that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_id: Option<Id<Organization>>,
    /// The definition that it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_definition_id: Option<Id<ActionDefinition>>,
    /// What it is to work on: any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Json>,
    /// How long it may take, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::integer::optional")]
    pub timeout: Option<i64>,
    /// Its tags: a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Json>,
    /// How it stands. There if asked for: [`RecordsQuery::include_state`](super::RecordsQuery::include_state).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::transport::named::optional")]
    pub state: Option<ActionState>,
    /// The definition that it follows. There if asked for:
    /// [`RecordsQuery::include_definition`](super::RecordsQuery::include_definition).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::transport::named::optional")]
    pub definition: Option<ActionDefinition>,
    /// What happened to it. Whether these come without being asked for isn't documented.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::transport::named::optional_list"
    )]
    pub events: Option<Vec<ActionEvent>>,
    /// The fields that didn't fit, and that the record was read without.
    #[serde(rename = "actionlog:omitted", default, skip_serializing_if = "Omitted::is_empty")]
    pub(crate) omitted: Omitted,
}

impl ActionRecord {
    /// The fields that didn't fit, and that this record comes without: none, as a rule.
    ///
    /// Each has its path and its JSON. They are part of the record: equal ones have the same, and serde keeps them, under
    /// `actionlog:omitted`. Which fields these may be is in [`strictness`](crate::strictness).
    #[must_use]
    pub fn omitted(&self) -> &[OmittedField] {
        self.omitted.fields()
    }
}

impl Identified for ActionRecord {
    type Key = Box<str>;
}

/// Stands for an organisation, of which only the id is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Organization {}

impl Identified for Organization {
    type Key = Box<str>;
}

/// How an action stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ActionState {
    /// Where it is on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ActionStatus>,
    /// Which delivery this is: 0 for the first, one more with each.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::integer::optional")]
    pub attempt: Option<i64>,
    /// When this changed last.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::time::optional")]
    pub updated_at: Option<DateTime<Utc>>,
    /// When it may be delivered, or delivered again.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::time::optional")]
    pub available_at: Option<DateTime<Utc>>,
    /// When it runs out of time.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::time::optional")]
    pub timeout_at: Option<DateTime<Utc>>,
    /// When it was begun.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::time::optional")]
    pub started_at: Option<DateTime<Utc>>,
    /// When it was done.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::time::optional")]
    pub completed_at: Option<DateTime<Utc>>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

open_enum! {
    /// Where an action is on its way.
    ActionStatus {
        /// It waits for its turn.
        Queued = "queued",
        /// It waits to be dispatched.
        DispatchWait = "dispatch_wait",
        /// It waits for its time.
        Scheduled = "scheduled",
        /// It failed, and is tried again.
        Retrying = "retrying",
        /// It is being worked on.
        Running = "running",
        /// It was delivered, and the word that it's done is awaited.
        AckWait = "ack_wait",
        /// It is done. Final.
        Succeeded = "succeeded",
        /// It failed for good. Final.
        Failed = "failed",
        /// It was called off. Final.
        Canceled = "canceled",
    }
}

impl ActionStatus {
    /// Whether it stays so. `None` for a status that isn't known.
    #[must_use]
    pub fn is_final(&self) -> Option<bool> {
        match self {
            Self::Succeeded | Self::Failed | Self::Canceled => Some(true),
            Self::Unknown(_) => None,
            _ => Some(false),
        }
    }
}

/// What an action of some kind is, and where it goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ActionDefinition {
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<Self>>,
    /// The organisation that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_id: Option<Id<Organization>>,
    /// Its variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::integer::optional")]
    pub version: Option<i64>,
    /// Its other names.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "one_or_many")]
    pub alias: Option<Vec<String>>,
    /// What its input must look like: any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Json>,
    /// When it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::time::optional")]
    pub deleted_at: Option<DateTime<Utc>>,
    /// Where its actions go.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::transport::named::optional_list"
    )]
    pub destinations: Option<Vec<DestinationLink>>,
}

/// Absent, null, a list of texts, or a single one.
fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    struct Texts;

    impl<'de> Visitor<'de> for Texts {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of texts")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Vec<String>, A::Error> {
            crate::transport::bound::list(SeqAccessDeserializer::new(seq))
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(Vec::from([text.to_owned()]))
        }
    }

    struct Wrapped(Vec<String>);

    impl<'de> Deserialize<'de> for Wrapped {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            if from.is_human_readable() { from.deserialize_any(Texts) } else { from.deserialize_seq(Texts) }.map(Self)
        }
    }

    Ok(Option::<Wrapped>::deserialize(from)?.map(|it| it.0))
}

impl Identified for ActionDefinition {
    type Key = Box<str>;
}

/// That actions of a definition go to a destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DestinationLink {
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<Self>>,
    /// The definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_definition_id: Option<Id<ActionDefinition>>,
    /// The destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_id: Option<Id<Destination>>,
    /// The organisation that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_id: Option<Id<Organization>>,
    /// Whether it is where actions go that name no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_default: Option<bool>,
    /// The destination itself.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::transport::named::optional")]
    pub destination: Option<Destination>,
}

impl Identified for DestinationLink {
    type Key = Box<str>;
}

/// Where actions go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Destination {
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<Self>>,
    /// The organisation that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_id: Option<Id<Organization>>,
    /// When it was changed last.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::time::optional")]
    pub updated_at: Option<DateTime<Utc>>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What kind it is of.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<DestinationKind>,
    /// How it is set up: a JSON object that differs from kind to kind. [`webhook`](Self::webhook) reads a webhook's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Json>,
    /// When it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::time::optional")]
    pub deleted_at: Option<DateTime<Utc>>,
    /// Its tags: a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Json>,
    /// The credential that it uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<Id<Credential>>,
}

impl Identified for Destination {
    type Key = Box<str>;
}

/// Stands for a destination's credential, of which only the id is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credential {}

impl Identified for Credential {
    type Key = Box<str>;
}

open_enum! {
    /// What kind a destination is of.
    DestinationKind {
        /// An HTTP endpoint.
        Webhook = "webhook",
    }
}

impl Destination {
    /// How a webhook is set up. `None` for a destination of another kind, or without a configuration.
    ///
    /// # Errors
    ///
    /// If the configuration of a webhook isn't of the documented form. [`config`](Self::config) has it as it came.
    #[must_use]
    pub fn webhook(&self) -> Option<serde_json::Result<WebhookConfig>> {
        match (&self.kind, &self.config) {
            (Some(DestinationKind::Webhook), Some(config)) => Some(config.parse()),
            _ => None,
        }
    }
}

/// How a webhook is set up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WebhookConfig {
    /// Where actions are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The headers that are sent along: a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<Json>,
    /// What the answer of the endpoint means.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::transport::named::optional")]
    pub signaling: Option<Signaling>,
    /// How soon the endpoint should answer, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::integer::optional")]
    pub response_time_sla_ms: Option<i64>,
}

/// What the answer of an endpoint means.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Signaling {
    /// Whether the endpoint's answer is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// What is taken for its answer if it doesn't say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Signal>,
}

open_enum! {
    /// What an endpoint says of an action that was delivered to it.
    Signal {
        /// It is done.
        Ack = "ack",
        /// It could not be done.
        Nack = "nack",
        /// It takes longer.
        ModAck = "mod_ack",
    }
}

/// Something that happened to an action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ActionEvent {
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<Self>>,
    /// The action that it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_record_id: Option<Id<ActionRecord>>,
    /// The organisation that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_id: Option<Id<Organization>>,
    /// What kind of event it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Where the action was on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ActionStatus>,
    /// Which delivery it belongs to: 0 for the first.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::integer::optional")]
    pub attempt: Option<i64>,
    /// When the action may be delivered, or delivered again.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::time::optional")]
    pub available_at: Option<DateTime<Utc>>,
    /// When the action runs out of time.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::time::optional")]
    pub timeout_at: Option<DateTime<Utc>>,
    /// What is said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What belongs to it: any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Json>,
}

impl Identified for ActionEvent {
    type Key = Box<str>;
}
