//! What the server sends.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::id::{Id, Identified};
use crate::json::Json;
use crate::omitted::{Omitted, OmittedField};
use crate::open_enum::open_enum;

/// One run of an action set: a signal came, the set's filters matched, and its actions were executed in order.
///
/// It is listed as soon as it has started, and changes until it's done: [`state`](Self::state), and the states of
/// its actions.
///
/// [Unleash: get action events for a specific action set](https://docs.getunleash.io/api/get-actions-events)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ActionSetEvent {
    /// Its id. Ids increase: a newer event has a higher one.
    pub id: Id<Self>,
    /// The action set that ran.
    pub action_set_id: Id<ActionSet>,
    /// The signal that made it run.
    pub signal_id: Id<Signal>,
    /// When the run started.
    #[serde(with = "crate::time::required")]
    pub created_at: DateTime<Utc>,
    /// How the run stands.
    pub state: ActionSetEventState,
    /// The signal that made it run.
    #[serde(deserialize_with = "crate::transport::named::required")]
    pub signal: Signal,
    /// The action set as it was when it ran, each of its actions with how it went.
    #[serde(deserialize_with = "crate::transport::named::required")]
    pub action_set: ActionSet,
    /// The fields that didn't fit, and that the record was read without.
    #[serde(rename = "actionlog:omitted", default, skip_serializing_if = "Omitted::is_empty")]
    pub(crate) omitted: Omitted,
}

impl ActionSetEvent {
    /// The fields that didn't fit, and that this record comes without: none, as a rule.
    ///
    /// Each has its path and its JSON. They are part of the record: equal ones have the same, and serde keeps them, under
    /// `actionlog:omitted`. Which fields these may be is in [`strictness`](crate::strictness).
    #[must_use]
    pub fn omitted(&self) -> &[OmittedField] {
        self.omitted.fields()
    }
}

impl Identified for ActionSetEvent {
    type Key = i64;
}

open_enum! {
    /// How a run of an action set stands.
    ActionSetEventState {
        /// Its actions are being executed.
        Started = "started",
        /// All actions succeeded.
        Success = "success",
        /// An action failed, and those after it weren't executed.
        Failed = "failed",
    }
}

/// Something that was reported to the server from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Signal {
    /// Its id. Ids increase: a newer signal has a higher one.
    pub id: Id<Self>,
    /// What was reported: a JSON object, as its sender wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Json>,
    /// When it came.
    #[serde(with = "crate::time::required")]
    pub created_at: DateTime<Utc>,
    /// What kind of source it came from.
    pub source: SignalSource,
    /// Which source of that kind.
    pub source_id: Id<SignalSource>,
    /// The token of the source that it was sent with. Only there if it came by a signal endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by_source_token_id: Option<Id<SignalToken>>,
}

impl Identified for Signal {
    type Key = i64;
}

open_enum! {
    /// What kind of source a signal came from.
    SignalSource {
        /// An endpoint of the server that takes signals by HTTP.
        SignalEndpoint = "signal-endpoint",
    }
}

impl Identified for SignalSource {
    type Key = i64;
}

/// Stands for the token of a signal endpoint, of which only the id is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignalToken {}

impl Identified for SignalToken {
    type Key = i64;
}

/// Stands for a user or a service account, of which only the id is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum User {}

impl Identified for User {
    type Key = i64;
}

/// Actions to be executed in order when a signal matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ActionSet {
    /// Its id.
    pub id: Id<Self>,
    /// The project that it belongs to.
    pub project: String,
    /// When it was made.
    #[serde(with = "crate::time::required")]
    pub created_at: DateTime<Utc>,
    /// Who made it. `None` where that isn't known any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by_user_id: Option<Id<User>>,
    /// Its name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The service account that executes its actions. `None` where there is none any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<Id<User>>,
    /// Whether it reacts to signals. `true` where the server doesn't say.
    #[serde(default = "yes", deserialize_with = "yes_if_null")]
    pub enabled: bool,
    /// Its actions in the order of execution, each with how it went in this run.
    #[serde(deserialize_with = "crate::transport::named::list")]
    pub actions: Vec<ActionEvent>,
    /// Which signals it reacts to.
    #[serde(rename = "match", deserialize_with = "crate::transport::named::required")]
    pub filter: SignalFilter,
}

impl Identified for ActionSet {
    type Key = i64;
}

fn yes() -> bool {
    true
}

fn yes_if_null<'de, D: serde::Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Option::deserialize(from).map(|it| it.unwrap_or(true))
}

/// Which signals an action set reacts to. `match` on the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SignalFilter {
    /// The kind of source that the signal must come from. `None` where that isn't said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SignalSource>,
    /// The source that it must come from. A JSON number: an id in meaning, any number by the schema;
    /// [`source_id`](Self::source_id) reads it.
    #[serde(rename = "sourceId")]
    pub source_id_raw: Json,
    /// What the signal's payload must hold: a JSON object of names, each with what is asked of its value.
    pub payload: Json,
}

impl SignalFilter {
    /// The source that the signal must come from, if the number is an id.
    #[must_use]
    pub fn source_id(&self) -> Option<Id<SignalSource>> {
        self.source_id_raw.parse().ok()
    }
}

/// One action of a set, and how it went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ActionEvent {
    /// Its id. (The reference page calls it the id of the action set, which is a slip.)
    pub id: Id<Self>,
    /// When the action was made.
    #[serde(with = "crate::time::required")]
    pub created_at: DateTime<Utc>,
    /// Who made it. `None` where that isn't known any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by_user_id: Option<Id<User>>,
    /// What is executed, by name: `TOGGLE_FEATURE_ON`, say.
    pub action: String,
    /// Its place in the order of execution, if it was given one.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::integer::optional")]
    pub sort_order: Option<i64>,
    /// With which parameters: a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_params: Option<Json>,
    /// How it went.
    pub state: ActionEventState,
    /// More on how it went, if there is more: the message of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
}

impl Identified for ActionEvent {
    type Key = i64;
}

open_enum! {
    /// How one action of a run went.
    ActionEventState {
        /// It wasn't its turn yet, or one before it failed.
        NotStarted = "not started",
        /// It is being executed.
        Started = "started",
        /// It succeeded.
        Success = "success",
        /// It failed.
        Failed = "failed",
    }
}

impl ActionSetEventState {
    /// Whether a run in this state is over. `None` for an unknown state.
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
    /// Whether an action in this state is over. `None` for an unknown state, and for `not started`: it stays so where
    /// an earlier action failed, which the state of the [run](ActionSetEvent::state) says.
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
    /// The action that failed, if one did.
    #[must_use]
    pub fn failed_action(&self) -> Option<&ActionEvent> {
        self.action_set.actions.iter().find(|it| it.state == ActionEventState::Failed)
    }
}
