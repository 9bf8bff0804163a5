//! Integration action logs, over a connection.

mod errors;
mod lifecycle;
mod records;
mod requests;
mod retries;

use actionlog::IntegrationClient;
use actionlog::integration::{ActionLogFields, ActionLogInput, ActionType, LogStatus};
use serde_json::{Value, json};
use wiremock::Request;

use crate::wire::{KEY, Memory, quick};

pub(crate) const CREATE: &str = include_str!("../fixtures/integration/create.json");

pub(crate) const GET: &str = include_str!("../fixtures/integration/get.json");

pub(crate) const DELETE: &str = include_str!("../fixtures/integration/delete.json");

pub(crate) const ID: &str = "60f7b1b3e4b0e8b3f8b3f8b3";

pub(crate) fn minimal() -> ActionLogInput {
    ActionLogInput::new(ActionLogFields {
        integration_id: "i1".into(),
        action_type: ActionType::Sync,
        entity_type: "product".into(),
        status: LogStatus::Pending,
    })
}

/// A record with the required fields only.
pub(crate) fn record(id: &str) -> Value {
    json!({"_id": id, "integrationId": "i1", "actionType": "sync", "entityType": "product", "status": "pending"})
}

pub(crate) fn one(record: &Value) -> String {
    json!({"success": true, "data": record}).to_string()
}

pub(crate) fn text(request: &Request) -> &str {
    std::str::from_utf8(&request.body).unwrap()
}

/// A client with an in-memory HTTP client, which gets the unchanged URIs.
pub(crate) fn in_memory(memory: &Memory) -> IntegrationClient {
    IntegrationClient::builder("https://logs.example.com/api")
        .bearer(KEY)
        .retry(quick())
        .http_client(memory.clone())
        .build()
        .unwrap()
}
