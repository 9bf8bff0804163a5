//! Ordinary error messages are shown unchanged, whatever the key.

use actionlog::auth;
use actionlog::{ArklowClient, Client, ClientBuilder, Request, RetryPolicy, UnleashClient};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde_json::Value;

use super::{Says, WITHHELD, builder};
use crate::support::{all_shown, fixture};

/// Sentences of servers, proxies and frameworks, and of the three APIs.
const MESSAGES: &[&str] = &[
    "You must log in to use Unleash. Your request had no authorization header, so we could not authorize you.",
    "You don't have the required permissions to perform this operation. You need the \"READ_PROJECT\" permission.",
    "The path you were looking for (/api/admin/projects/web-shop/actions/7/events) is not available.",
    "Could not find project with id \"web-shop\" in the environment development",
    "Too many requests, please try again later.",
    "We were not able to find a user with the token you provided.",
    "invalid token: the token is expired, malformed or was deleted by an administrator",
    "Invalid or missing API key. Scan it in the x-arklow-auth header.",
    "organization 4711 not found, or you are not a member of it",
    "action definition 60f7b1b3e4b0e8b3f8b3f8b3 not found",
    "search.field must be one of: id, state.status, input.customerId",
    "entityType is required; status must be one of pending, success, failed, retrying",
    "E11000 duplicate key error collection: logs.integrationactionlogs index: externalId_1 dup key: { externalId: \"so_1001\" }",
    "Cast to ObjectId failed for value \"abc\" (type string) at path \"_id\" for model \"IntegrationActionLog\"",
    "PayloadTooLargeError: request entity too large",
    "SyntaxError: Unexpected token } in JSON at position 417",
    "select * from actions where id = $1 - value \"4294967296\" is out of range for type integer",
    "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
    "no healthy upstream",
    "JWT expired at 2026-11-26T12:30:00Z. Current time: 2026-11-26T12:41:07Z, a difference of 667000 milliseconds.",
    "Bearer error=\"invalid_token\", error_description=\"The access token is invalid\"",
    "Basic authentication is not supported: use a personal access token or a service account token",
    "Request 7c1c7a52-2f0e-4d3c-9a53-6a1d3a1f0b11 failed: internal server error (ref. 98fe-4411)",
    "limit must be less than or equal to 100; offset must be greater than or equal to 0",
    "Access denied | logs.example.com used Cloudflare to restrict access (error code: 1020)",
];

/// Keys as they are, and passwords as people choose them.
const KEYS: &[&str] = &[
    "*:*.98b5af0c4e5a6b7c8d9e0f1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f90",
    "user:4f1d9c0ab7e24f1d9c0ab7e24f1d9c0ab7e24f1d9c0ab7e2",
    "web-shop:development.be44368985f7fb3237c584ef86f3d6bdada42ddbd63a019d26955178",
    "default:production.be44368985f7fb3237c584ef86f3d6bdada42ddbd63a019d26955178",
    "ak_live_4eC39HqLyjWDarjtT1zdp7dc",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
    "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    "Hunter2!Hunter2!",
    "correct horse battery staple",
    "Winter2026!",
    "Password-2026",
    "admin-access-token-for-production-4711",
    "9f8e7d6c5b4a392817",
];

async fn shown<C: Client>(builder: ClientBuilder<C>, says: Says, send: impl AsyncFn(C) -> actionlog::Error) -> String {
    let client = builder.retry(RetryPolicy::never()).http_client(says).build().unwrap();
    all_shown(&send(client).await)
}

#[tokio::test]
async fn common_error_messages_are_shown_whatever_the_key() {
    let probe = || Request::get("probe", [""; 0]);
    let mut withheld = Vec::new();
    for key in KEYS {
        for said in MESSAGES {
            let says = || Says::new(400, serde_json::json!({ "message": said }).to_string());
            let mut all = shown(builder().bearer(*key), says(), async |it| it.send(probe()).await.unwrap_err()).await;
            let basic = builder().authenticator(auth::basic("ann", *key));
            all += &shown(basic, says(), async |it| it.send(probe()).await.unwrap_err()).await;
            let raw = builder().authenticator(auth::raw(format!("Basic {}", BASE64.encode(format!("ann:{key}")))));
            all += &shown(raw, says(), async |it| it.send(probe()).await.unwrap_err()).await;
            let arklow = ArklowClient::builder("4711").api_key(*key);
            all += &shown(arklow, says(), async |it| it.send(probe()).await.unwrap_err()).await;
            let unleash = UnleashClient::builder("https://unleash.example.com").api_key(*key);
            all += &shown(unleash, says(), async |it| it.send(probe()).await.unwrap_err()).await;
            assert!(all.contains(WITHHELD) || all.contains(said), "{all}");
            if all.contains(WITHHELD) {
                withheld.push(format!("{key}: {said}"));
            }
        }
    }
    assert!(withheld.is_empty(), "{} withheld:\n{}", withheld.len(), withheld.join("\n"));
}

/// The bodies of a real server's error responses.
fn recorded() -> Vec<String> {
    let mut bodies = Vec::new();
    for folder in std::fs::read_dir(fixture("unleash")).unwrap().map(|it| it.unwrap().path()).filter(|it| it.is_dir()) {
        for file in std::fs::read_dir(folder).unwrap() {
            let case: Value = serde_json::from_slice(&std::fs::read(file.unwrap().path()).unwrap()).unwrap();
            let response = &case["response"];
            let failed = response["status"].as_u64().is_some_and(|it| it >= 400);
            if failed && response["body_encoding"] == "utf-8" {
                bodies.extend(response["body"].as_str().map(str::to_owned));
            }
        }
    }
    bodies
}

#[tokio::test]
async fn recorded_error_messages_are_shown_whatever_the_key() {
    let bodies = recorded();
    assert!(bodies.len() > 100, "{} errors are recorded", bodies.len());
    for key in KEYS {
        for body in &bodies {
            let unleash = UnleashClient::builder("https://unleash.example.com").api_key(*key);
            let says = Says::new(400, body.clone());
            let probe = || Request::get("probe", [""; 0]);
            let shown = shown(unleash, says, async |it| it.send(probe()).await.unwrap_err()).await;
            assert!(!shown.contains("[withheld"), "{key}: {body}: {shown}");
        }
    }
}
