//! The error bodies that the APIs document, status by status: what the fake sends, and what an error shows of them.

use std::collections::BTreeSet;

use actionlog::testing::{FakeServer, Fault};
use actionlog::{ArklowClient, Error, ErrorKind, IntegrationClient, RetryPolicy, UnleashClient};
use http::Method;
use serde::Deserialize;
use serde_json::Value;

use super::{EVENTS, LOGS, RECORDS, send};

/// A body that is documented, or made of what is. Its `origin` says which.
#[derive(Deserialize)]
struct Documented {
    api: String,
    status: u16,
    is_documented: bool,
    origin: String,
    body: Value,
}

impl Documented {
    fn text(&self, pointer: &str) -> Option<&str> {
        self.body.pointer(pointer).map(|it| it.as_str().unwrap())
    }
}

fn documented() -> Vec<Documented> {
    let all: Vec<Documented> = serde_json::from_str(include_str!("../fixtures/error_bodies.json")).unwrap();
    assert!(all.len() > 10 && all.iter().all(|it| !it.origin.is_empty()));
    all
}

/// The error of a listing, from a server of this API.
async fn error(server: &FakeServer, api: &str) -> Error {
    let (http, never) = (server.http_client(), RetryPolicy::never());
    let result = match api {
        "arklow" => {
            let client = ArklowClient::builder("4711").api_key("any").http_client(http).retry(never).build().unwrap();
            client.records().list(()).page().await.map(drop)
        }
        "integration" => {
            let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(http).retry(never);
            client.build().unwrap().logs().list(()).page().await.map(drop)
        }
        _ => {
            let client = UnleashClient::builder("http://localhost").api_key("any").http_client(http).retry(never);
            client.build().unwrap().action_set_events().list(("default", 1)).page().await.map(drop)
        }
    };
    result.unwrap_err()
}

#[test]
fn each_status_that_a_document_names_has_a_body_here() {
    for (api, text) in [
        ("arklow", include_str!("../../../examples/fake_server/openapi/arklow.yaml")),
        ("integration", include_str!("../../../examples/fake_server/openapi/integration.yaml")),
        ("unleash", include_str!("../../../examples/fake_server/openapi/unleash.yaml")),
    ] {
        let statuses = text.lines().filter_map(|it| it.trim().strip_prefix('\'')?.get(..3)?.parse::<u16>().ok());
        let statuses: BTreeSet<_> = statuses.collect();
        assert!(statuses.contains(&200), "{api}");
        let failures: BTreeSet<_> = statuses.into_iter().filter(|it| *it >= 400).collect();
        let here = documented().into_iter().filter(|it| it.api == api && it.is_documented).map(|it| it.status);
        assert_eq!(failures, here.collect(), "{api}");
    }
}

#[tokio::test]
async fn an_error_shows_all_that_a_documented_body_says() {
    for it in documented() {
        let (server, what) = (FakeServer::new(), format!("{} {}", it.api, it.status));
        server.fail_next(Fault::StatusWith { status: it.status, headers: Vec::new(), body: it.body.to_string() });
        let error = error(&server, &it.api).await;
        let kind = match it.status {
            400 => ErrorKind::BadRequest,
            401 => ErrorKind::Unauthorized,
            403 => ErrorKind::Forbidden,
            _ => ErrorKind::NotFound,
        };
        assert_eq!((error.kind(), error.status().map(|it| it.as_u16())), (kind, Some(it.status)), "{what}");
        let [id, name, message] = match it.api.as_str() {
            "arklow" => [None, it.text("/errors/0/code"), it.text("/errors/0/message")],
            "integration" => [None, None, it.text("/message")],
            _ => [it.text("/id"), it.text("/name"), it.text("/message")],
        };
        let api = error.api().unwrap();
        assert_eq!((api.id(), api.name(), api.message()), (id, name, message), "{what}");
        assert!(error.to_string().contains(message.unwrap()), "{what}: {error}");
        assert!(name.is_none_or(|it| error.to_string().contains(it)), "{what}: {error}");
    }
}

/// What is in `expected`, with values of the same types. `found` may have more.
fn has_form(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            expected.iter().all(|(key, value)| found.get(key).is_some_and(|it| has_form(it, value)))
        }
        (Value::Array(found), Value::Array(expected)) => {
            found.first().zip(expected.first()).is_some_and(|(it, as_in)| has_form(it, as_in))
        }
        (found, expected) => std::mem::discriminant(found) == std::mem::discriminant(expected),
    }
}

#[test]
fn the_fake_sends_the_documented_bodies() {
    let all = documented();
    let check = |api: &str, status: u16, what: &str, (found, body): (u16, Value)| {
        let it = all.iter().find(|it| it.api == api && it.status == status).unwrap();
        assert_eq!(found, status, "{api}: {what}: {body}");
        assert!(has_form(&body, &it.body), "{api} {status}: {what}: {body}");
    };
    let get = |fake: &FakeServer, target: &str, headers: &[(&str, &str)]| {
        let (status, _, body) = send(fake, Method::GET, target, headers, "");
        (status, serde_json::from_slice::<Value>(&body).unwrap())
    };
    // As a fault.
    for it in &all {
        let fake = FakeServer::new();
        fake.fail_next(Fault::Status(it.status));
        let target =
            [("arklow", RECORDS), ("integration", LOGS), ("unleash", EVENTS)].iter().find(|api| api.0 == it.api);
        check(&it.api, it.status, "as a fault", get(&fake, target.unwrap().1, &[]));
    }
    // And for a reason.
    let fake = FakeServer::new();
    fake.unleash().accept_token("user:right").accept_token_without_permission("user:viewer");
    check("unleash", 401, "without a token", get(&fake, EVENTS, &[]));
    check("unleash", 401, "with another token", get(&fake, EVENTS, &[("authorization", "user:wrong")]));
    check("unleash", 403, "without the permission", get(&fake, EVENTS, &[("authorization", "user:viewer")]));
    fake.unleash().open_source();
    check("unleash", 404, "in the open source edition", get(&fake, EVENTS, &[("authorization", "user:right")]));
    check("arklow", 400, "a page that is too large", get(&fake, &format!("{RECORDS}?take=51"), &[]));
    fake.arklow().accept_key("right");
    check("arklow", 401, "with another key", get(&fake, RECORDS, &[("x-arklow-auth", "wrong")]));
    check("integration", 400, "a broken filter", get(&fake, &format!("{LOGS}?filter=x"), &[]));
    check("integration", 404, "a record that isn't there", get(&fake, &format!("{LOGS}/1"), &[]));
    fake.integration().accept_authorization("Bearer right");
    check("integration", 401, "with another token", get(&fake, LOGS, &[("authorization", "Bearer wrong")]));
}
