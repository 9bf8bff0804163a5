//! The fake server: its samples match the APIs' references, and it rejects what real servers reject.

mod arklow;
mod error_bodies;
mod faults;
mod integration;
mod received;
mod recorded;
mod reference;
mod test_records;
mod unleash;

use actionlog::testing::FakeServer;
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;

const EVENTS: &str = "/api/admin/projects/default/actions/1/events";

const LOGS: &str = "/integration-action-logs";

const RECORDS: &str = "/v1/orgs/4711/actions/records";

fn send(
    fake: &FakeServer,
    method: Method,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, HeaderMap, Bytes) {
    let mut request = http::Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (head, body) = fake.respond(&request.body(body.to_owned().into()).unwrap()).into_parts();
    (head.status.as_u16(), head.headers, body)
}

fn get(fake: &FakeServer, target: &str) -> (u16, Value) {
    let (status, _, body) = send(fake, Method::GET, target, &[], "");
    (status, serde_json::from_slice(&body).unwrap_or_default())
}
