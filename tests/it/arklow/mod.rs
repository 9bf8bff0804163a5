//! Arklow's action records, over a connection.

mod count;
mod errors;
mod records;
mod requests;

use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::wire::{arklow, json, server};

const EXAMPLE: &str = include_str!("../fixtures/arklow/list.json");

/// A response with these records and this count, without errors.
fn page(items: &Value, count: impl Into<Option<u64>>) -> ResponseTemplate {
    json(200, json!({"data": {"items": items, "count": count.into()}, "errors": null}).to_string())
}

fn empty() -> ResponseTemplate {
    page(&json!([]), 0)
}

/// Decodes a listing with this record only.
async fn read(record: &Value) -> actionlog::arklow::ActionRecord {
    let server = server([page(&json!([record]), 1)]).await;
    let page = arklow(&server).records().list(()).page().await.unwrap();
    page.into_records().unwrap().remove(0)
}
