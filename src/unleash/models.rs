//! The events that Unleash sends.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::decode::omitted::{Omitted, OmittedField};
use crate::values::id::{Id, Resource};
use crate::values::json::Json;
use crate::values::open_enum::open_enum;

/// One run of an action set: a signal arrived, the filters of the set matched, and its actions were executed in order.
///
/// An event is listed as soon as the run has started. Its [`state`](Self::state) and the states of its actions change
/// until the run has ended.
///
/// [Unleash: get action events for a specific action set](https://docs.getunleash.io/api/get-actions-events)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(transform = crate::values::schema::without_doc_links))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ActionSetEvent {
    /// The id. Ids increase: a newer event has a higher id.
    pub id: Id<Self>,
    /// The id of the action set that ran.
    pub action_set_id: Id<ActionSet>,
    /// The id of the signal that triggered the run.
    pub signal_id: Id<Signal>,
    /// When the run started.
    #[serde(with = "crate::values::time::required")]
    #[cfg_attr(feature = "schemars", schemars(with = "DateTime<Utc>"))]
    pub created_at: DateTime<Utc>,
    /// The state of the run.
    pub state: ActionSetEventState,
    /// The signal that triggered the run.
    #[serde(deserialize_with = "crate::decode::by_name::required")]
    #[cfg_attr(feature = "schemars", schemars(with = "Signal"))]
    pub signal: Signal,
    /// The action set at the time of the run. Each of its actions has its state in this run.
    #[serde(deserialize_with = "crate::decode::by_name::required")]
    #[cfg_attr(feature = "schemars", schemars(with = "ActionSet"))]
    pub action_set: ActionSet,
    /// The fields that were left out because their JSON didn't match their type.
    #[serde(rename = "actionlog:omitted", default, skip_serializing_if = "Omitted::is_empty")]
    pub(crate) omitted: Omitted,
}

impl ActionSetEvent {
    /// The optional fields that were left out of this record because their JSON didn't match their type. Usually empty.
    ///
    /// Each has its path and its raw JSON. They are part of the record: `==` compares them, and serde keeps them under
    /// `actionlog:omitted`. [`strictness`](crate::strictness) lists the fields that can be omitted.
    #[must_use]
    pub fn omitted(&self) -> &[OmittedField] {
        self.omitted.fields()
    }
}

impl Resource for ActionSetEvent {
    type Repr = i64;
}

open_enum! {
    /// The state of a run of an action set.
    ActionSetEventState {
        /// The actions are being executed.
        Started = "started",
        /// All actions succeeded.
        Success = "success",
        /// An action failed, and the actions after it weren't executed.
        Failed = "failed",
    }
}

/// A signal: something that an external system reported to the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(transform = crate::values::schema::without_doc_links))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Signal {
    /// The id. Ids increase: a newer signal has a higher id.
    pub id: Id<Self>,
    /// The payload: a JSON object, exactly as its sender wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Json>,
    /// When the signal arrived.
    #[serde(with = "crate::values::time::required")]
    #[cfg_attr(feature = "schemars", schemars(with = "DateTime<Utc>"))]
    pub created_at: DateTime<Utc>,
    /// The kind of source that sent it.
    pub source: SignalSource,
    /// The id of the source.
    pub source_id: Id<SignalSource>,
    /// The id of the token that authenticated the sender. Present only for signals of a signal endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by_source_token_id: Option<Id<SignalToken>>,
}

impl Resource for Signal {
    type Repr = i64;
}

open_enum! {
    /// The kind of source of a signal.
    SignalSource {
        /// An endpoint of the server that accepts signals by HTTP.
        SignalEndpoint = "signal-endpoint",
    }
}

impl Resource for SignalSource {
    type Repr = i64;
}

/// Marks ids of signal endpoints' tokens. The API sends only their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignalToken {}

impl Resource for SignalToken {
    type Repr = i64;
}

/// Marks ids of users and service accounts. The API sends only their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum User {}

impl Resource for User {
    type Repr = i64;
}

/// A list of actions that are executed in order when a signal matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(transform = crate::values::schema::without_doc_links))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ActionSet {
    /// The id.
    pub id: Id<Self>,
    /// The project that owns it.
    pub project: String,
    /// When it was created.
    #[serde(with = "crate::values::time::required")]
    #[cfg_attr(feature = "schemars", schemars(with = "DateTime<Utc>"))]
    pub created_at: DateTime<Utc>,
    /// The id of the user who created it. `None` if the server no longer knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by_user_id: Option<Id<User>>,
    /// The name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The id of the service account that executes its actions. `None` if the account no longer exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<Id<User>>,
    /// Whether it reacts to signals. `true` if the field is absent or null.
    #[serde(default = "yes", deserialize_with = "yes_if_null")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<bool>"))]
    pub enabled: bool,
    /// The actions in the order of execution. Each has its state in this run.
    #[serde(deserialize_with = "crate::decode::lists::list")]
    #[cfg_attr(feature = "schemars", schemars(with = "Vec<ActionEvent>"))]
    pub actions: Vec<ActionEvent>,
    /// Selects the signals that it reacts to.
    #[serde(rename = "match", deserialize_with = "crate::decode::by_name::required")]
    #[cfg_attr(feature = "schemars", schemars(with = "SignalFilter"))]
    pub filter: SignalFilter,
}

impl Resource for ActionSet {
    type Repr = i64;
}

fn yes() -> bool {
    true
}

fn yes_if_null<'de, D: serde::Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Option::deserialize(from).map(|it| it.unwrap_or(true))
}

/// Selects the signals that an action set reacts to. The JSON field is `match`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(transform = crate::values::schema::without_doc_links))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SignalFilter {
    /// The required kind of source. `None` if the field is absent or null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SignalSource>,
    /// The id of the required source, as raw JSON: the schema allows any number. [`source_id`](Self::source_id) parses
    /// it.
    #[serde(rename = "sourceId")]
    #[cfg_attr(feature = "schemars", schemars(with = "f64"))]
    pub source_id_raw: Json,
    /// The conditions on the signal's payload: a JSON object from the names of fields to the conditions on their
    /// values.
    pub payload: Json,
}

impl SignalFilter {
    /// The id of the required source. `None` if the number is no integer.
    #[must_use]
    pub fn source_id(&self) -> Option<Id<SignalSource>> {
        self.source_id_raw.parse().ok()
    }
}

/// One action of a set, and its state in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemars", schemars(transform = crate::values::schema::without_doc_links))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ActionEvent {
    /// The id of the action. (The API's reference wrongly calls it the id of the action set.)
    pub id: Id<Self>,
    /// When the action was created.
    #[serde(with = "crate::values::time::required")]
    #[cfg_attr(feature = "schemars", schemars(with = "DateTime<Utc>"))]
    pub created_at: DateTime<Utc>,
    /// The id of the user who created it. `None` if the server no longer knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by_user_id: Option<Id<User>>,
    /// The name of the operation, such as `TOGGLE_FEATURE_ON`.
    pub action: String,
    /// Its position in the order of execution, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::values::integer::optional")]
    #[cfg_attr(feature = "schemars", schemars(with = "Option<i64>"))]
    pub sort_order: Option<i64>,
    /// The parameters: a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_params: Option<Json>,
    /// The state.
    pub state: ActionEventState,
    /// Details of the state, such as the error message of a failed action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
}

impl Resource for ActionEvent {
    type Repr = i64;
}

open_enum! {
    /// The state of one action in a run.
    ActionEventState {
        /// Not started: an earlier action is running or has failed.
        NotStarted = "not started",
        /// Being executed.
        Started = "started",
        /// Succeeded.
        Success = "success",
        /// Failed.
        Failed = "failed",
    }
}

impl ActionSetEventState {
    /// Whether a run in this state has ended. `None` for an [`Unknown`](Self::Unknown) state.
    #[must_use]
    pub fn is_final(&self) -> Option<bool> {
        match self {
            Self::Success | Self::Failed => Some(true),
            Self::Started => Some(false),
            Self::Unknown(_) => None,
        }
    }
}

impl ActionEventState {
    /// Whether an action in this state has ended.
    ///
    /// `None` for an [`Unknown`](Self::Unknown) state, and for `not started`: an action stays in that state if an
    /// earlier one failed. The state of the [run](ActionSetEvent::state) tells the two cases apart.
    #[must_use]
    pub fn is_final(&self) -> Option<bool> {
        match self {
            Self::Success | Self::Failed => Some(true),
            Self::Started => Some(false),
            Self::NotStarted | Self::Unknown(_) => None,
        }
    }
}

impl ActionSetEvent {
    /// The action that failed, if any.
    #[must_use]
    pub fn failed_action(&self) -> Option<&ActionEvent> {
        self.action_set.actions.iter().find(|it| it.state == ActionEventState::Failed)
    }
}
