//! The records as most people would write them down: derived, with `String` for ids and enums, `Value` for what is free
//! in form, and chrono's own reading of times.
#![allow(dead_code)]

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

pub trait Page {
    fn records(&self) -> usize;
}

impl Page for Arklow {
    fn records(&self) -> usize {
        self.data.items.len()
    }
}

impl Page for Integration {
    fn records(&self) -> usize {
        self.data.len()
    }
}

impl Page for Unleash {
    fn records(&self) -> usize {
        self.action_set_events.len()
    }
}

#[derive(Deserialize)]
pub struct Arklow {
    data: Items,
    errors: Option<Vec<Trouble>>,
}

#[derive(Deserialize)]
struct Trouble {
    code: String,
    message: String,
}

#[derive(Deserialize)]
struct Items {
    items: Vec<ActionRecord>,
    count: Option<u64>,
}

#[derive(Deserialize)]
struct ActionRecord {
    id: String,
    org_id: Option<String>,
    action_definition_id: Option<String>,
    input: Option<Value>,
    timeout: Option<i64>,
    tags: Option<Value>,
    state: Option<ActionState>,
    definition: Option<ActionDefinition>,
    events: Option<Vec<ActionEvent>>,
}

#[derive(Deserialize)]
struct ActionState {
    status: Option<String>,
    attempt: Option<i64>,
    updated_at: Option<DateTime<Utc>>,
    available_at: Option<DateTime<Utc>>,
    timeout_at: Option<DateTime<Utc>>,
    started_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    error_message: Option<String>,
}

#[derive(Deserialize)]
struct ActionDefinition {
    id: Option<String>,
    org_id: Option<String>,
    variant: Option<String>,
    version: Option<i64>,
    alias: Option<Vec<String>>,
    schema: Option<Value>,
    deleted_at: Option<DateTime<Utc>>,
    destinations: Option<Vec<DestinationLink>>,
}

#[derive(Deserialize)]
struct DestinationLink {
    id: Option<String>,
    action_definition_id: Option<String>,
    destination_id: Option<String>,
    org_id: Option<String>,
    is_default: Option<bool>,
    destination: Option<Destination>,
}

#[derive(Deserialize)]
struct Destination {
    id: Option<String>,
    org_id: Option<String>,
    updated_at: Option<DateTime<Utc>>,
    label: Option<String>,
    r#type: Option<String>,
    config: Option<Value>,
    deleted_at: Option<DateTime<Utc>>,
    tags: Option<Value>,
    credential_id: Option<String>,
}

#[derive(Deserialize)]
struct ActionEvent {
    id: Option<String>,
    action_record_id: Option<String>,
    org_id: Option<String>,
    kind: Option<String>,
    status: Option<String>,
    attempt: Option<i64>,
    available_at: Option<DateTime<Utc>>,
    timeout_at: Option<DateTime<Utc>>,
    message: Option<String>,
    data: Option<Value>,
}

#[derive(Deserialize)]
pub struct Integration {
    success: bool,
    data: Vec<ActionLog>,
    total: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ActionLog {
    #[serde(rename = "_id")]
    id: String,
    integration_id: String,
    action_type: String,
    entity_type: String,
    entity_id: Option<String>,
    status: String,
    payload: Option<Value>,
    response: Option<Value>,
    error_message: Option<String>,
    #[serde(default)]
    retry_count: u64,
    execution_time: Option<f64>,
    metadata: Option<Value>,
    created_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unleash {
    action_set_events: Vec<ActionSetEvent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ActionSetEvent {
    id: i64,
    action_set_id: i64,
    signal_id: i64,
    created_at: DateTime<Utc>,
    state: String,
    signal: Signal,
    action_set: ActionSet,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signal {
    id: i64,
    payload: Option<Value>,
    created_at: DateTime<Utc>,
    source: String,
    source_id: i64,
    created_by_source_token_id: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ActionSet {
    id: i64,
    project: String,
    created_at: DateTime<Utc>,
    created_by_user_id: i64,
    name: String,
    description: Option<String>,
    actor_id: i64,
    enabled: Option<bool>,
    actions: Vec<Action>,
    r#match: Match,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Match {
    source: String,
    source_id: f64,
    payload: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    id: i64,
    created_at: DateTime<Utc>,
    created_by_user_id: i64,
    action: String,
    sort_order: i64,
    execution_params: Option<Value>,
    state: String,
    details: Option<String>,
}
