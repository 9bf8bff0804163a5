//! The fake Unleash server: its responses, and that the client reads them in memory and over the network.

mod behaviour;
mod client;

use actionlog::UnleashClient;
use actionlog::testing::{FakeServer, sample};
use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;

const EVENTS: &str = "/api/admin/projects/default/actions/1/events";

fn fake(events: usize) -> FakeServer {
    let fake = FakeServer::new();
    fake.unleash().add_sample_events("default", 1, events);
    fake
}

fn client(fake: &FakeServer) -> UnleashClient {
    UnleashClient::builder("http://localhost").api_key("user:good").http_client(fake.http_client()).build().unwrap()
}

fn request(target: &str, credentials: Option<&str>) -> Request<Bytes> {
    let mut request = Request::get(target).body(Bytes::new()).unwrap();
    if let Some(credentials) = credentials {
        request.headers_mut().insert(AUTHORIZATION, credentials.parse().unwrap());
    }
    request
}

fn get(fake: &FakeServer, target: &str, credentials: Option<&str>) -> (u16, Value) {
    let response = fake.respond(&request(target, credentials));
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json; charset=utf-8", "{target}");
    (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap())
}

/// The ids on a page of the fake.
fn ids(fake: &FakeServer, query: &str) -> Vec<i64> {
    let (status, body) = get(fake, &format!("{EVENTS}{query}"), None);
    assert_eq!(status, 200, "{query}");
    body["actionSetEvents"].as_array().unwrap().iter().map(|it| it["id"].as_i64().unwrap()).collect()
}

fn held(count: usize) -> Vec<i64> {
    sample::action_set_events(count).iter().map(|it| it["id"].as_i64().unwrap()).collect()
}
