//! The hints of errors: by API, by request, and by the credentials that were sent.

use actionlog::auth;
use actionlog::integration::{ActionLogFields, ActionLogInput, ActionType, LogStatus};
use actionlog::{Error, ErrorKind, IntegrationClient, Json, Request, UnleashClient};
use async_trait::async_trait;
use http::Method;

use crate::wire::{KEY, Memory, Reply, quick};

const KINDS: [&str; 3] = ["user:98b5aa", "*:*.98b5aa", "default:development.98b5aa"];

fn unleash(token: &str, status: u16, body: &str) -> UnleashClient {
    let body = body.to_owned();
    let memory = Memory::new(move |_, _| Reply::json(status, body.clone()));
    let client = UnleashClient::builder("https://unleash.example.com").retry(quick()).http_client(memory);
    if token.is_empty() { client.authenticator(auth::none()) } else { client.api_key(token) }.build().unwrap()
}

fn integration(status: u16, headers: Vec<(&'static str, &'static str)>) -> IntegrationClient {
    let body = r#"{"success": false, "message": "no"}"#;
    let memory = Memory::new(move |_, _| Reply::Response(status, headers.clone(), body.to_owned()));
    IntegrationClient::builder("https://logs.example.com")
        .api_key(KEY)
        .retry(quick())
        .http_client(memory)
        .build()
        .unwrap()
}

fn hint(error: &Error) -> &str {
    let hint = error.hint().unwrap_or_else(|| panic!("{error}: no hint"));
    assert!(error.to_string().contains(hint));
    hint
}

fn pending_input() -> ActionLogInput {
    ActionLogInput::new(ActionLogFields {
        integration_id: "60f7b1b3e4b0e8b3f8b3f8b4".into(),
        action_type: ActionType::Sync,
        entity_type: "product".into(),
        status: LogStatus::Success,
    })
}

#[tokio::test]
async fn a_custom_request_gets_no_hint_for_the_crates_own_requests() {
    let body = r#"{"name": "NotFoundError", "message": "The path you were looking for (/api/x) is not available."}"#;
    let client = unleash(KINDS[0], 404, body);
    let own = client.action_set_events().list(("default", 1)).page().await.unwrap_err();
    assert!(hint(&own).contains("action set events"), "{own}");
    let request = Request::get("api/admin/flags/{id}", ["x"]).json::<Json>();
    let other = client.send(request).await.unwrap_err();
    assert!(hint(&other).contains("request's path") && !hint(&other).contains("action set"), "{other}");

    let client = integration(404, vec![]);
    let other = client.send(Request::get("elsewhere", [""; 0]).json::<Json>()).await.unwrap_err();
    assert!(hint(&other).contains("request's path") && !hint(&other).contains("collection"), "{other}");
}

#[tokio::test]
async fn a_403_is_explained_by_its_body_and_the_kind_of_the_token() {
    let named = r#"{"name": "PermissionError", "message": "You don't have the required permissions"}"#;
    let wrong_kind = r#"{"message": "invalid token: expected a different token type for this endpoint"}"#;
    let cases = [
        (KINDS[0], named, "the user that this token belongs to lacks"),
        (KINDS[1], named, "an admin token belongs to no user"),
        (KINDS[2], named, "the token, or the user that it belongs to, lacks"),
        (KINDS[0], wrong_kind, "not a backend, frontend or client token"),
        (KINDS[1], wrong_kind, "the API rejects admin tokens"),
        (KINDS[2], wrong_kind, "not a backend, frontend or client token"),
        ("", named, "without credentials"),
    ];
    for (token, body, expected) in cases {
        let error = unleash(token, 403, body).action_set_events().list(("default", 1)).page().await.unwrap_err();
        assert!(hint(&error).contains(expected), "{token:?}: {error}");
    }
}

#[tokio::test]
async fn a_401_for_a_missing_header_is_not_blamed_on_the_token() {
    let nothing =
        "You must log in to use Unleash. Your request had no authorization header, so we could not authorize you.";
    let nothing = format!(r#"{{"name": "AuthenticationRequired", "message": "{nothing}"}}"#);
    let bad = r#"{"name": "UnauthorizedError", "message": "You must log in to use Unleash."}"#;
    for (token, body, expected) in [
        (KINDS[0], &*nothing, "whether a proxy strips the header"),
        (KINDS[0], bad, "mistyped, expired or deleted"),
        ("", &nothing, "without credentials"),
        ("", bad, "without credentials"),
    ] {
        let error = unleash(token, 401, body).action_set_events().list(("default", 1)).page().await.unwrap_err();
        assert!(hint(&error).contains(expected), "{token:?}: {error}");
        assert!(!expected.contains("proxy") || !hint(&error).contains("mistyped"));
    }
}

#[tokio::test]
async fn a_hint_depends_on_what_the_request_does() {
    let client = integration(409, vec![]);
    let error = client.logs().create(pending_input()).await.unwrap_err();
    assert!(hint(&error).contains("already") && !hint(&error).contains("read the record again"), "{error}");
    let error = client.logs().update("1", pending_input()).await.unwrap_err();
    assert!(hint(&error).contains("read the record again"), "{error}");
    let error = client.logs().get("1").await.unwrap_err();
    assert!(!hint(&error).contains("again"), "{error}");

    let client = integration(500, vec![]);
    let error = client.logs().create(pending_input()).await.unwrap_err();
    assert!(hint(&error).contains("before you send it again"), "{error}");
    let error = client.logs().get("1").await.unwrap_err();
    assert!(hint(&error).contains("try again later"), "{error}");

    let client = integration(405, vec![]);
    let error = client.logs().update("1", pending_input()).await.unwrap_err();
    assert!(hint(&error).contains("update_method"), "{error}");
    let error = client.logs().create(pending_input()).await.unwrap_err();
    assert!(!hint(&error).contains("update_method"), "{error}");
    let request = Request::new(Method::PUT, "elsewhere", [""; 0]).json::<Json>();
    let error = client.send(request).await.unwrap_err();
    assert!(!hint(&error).contains("update_method"), "{error}");
}

#[tokio::test]
async fn a_304_is_explained_by_whether_a_condition_was_sent() {
    let client = integration(304, vec![]);
    let error = client.logs().get("1").await.unwrap_err();
    assert!(hint(&error).contains("cache"), "{error}");
    let error = client.logs().get("1").header("if-none-match", "\"abc\"").await.unwrap_err();
    assert!(hint(&error).contains("If-None-Match"), "{error}");
}

#[tokio::test]
async fn responses_of_proxies_and_redirects_without_target_are_explained() {
    let error = integration(407, vec![]).logs().get("1").await.unwrap_err();
    assert!(hint(&error).contains("proxy") && hint(&error).contains("URL"), "{error}");
    let error = integration(301, vec![]).logs().get("1").await.unwrap_err();
    assert!(hint(&error).contains("a redirect without a target"), "{error}");
    let client = integration(408, vec![]);
    let error = client.logs().get("1").await.unwrap_err();
    assert!(hint(&error).contains("in time") && !hint(&error).contains("before you send"), "{error}");
    let error = client.logs().create(pending_input()).await.unwrap_err();
    assert!(hint(&error).contains("in time") && hint(&error).contains("before you send"), "{error}");
}

#[tokio::test]
async fn a_body_that_is_still_encoded_gets_no_hint_and_a_status_gets_its_own() {
    // Nobody can say whether the body is from the API.
    let error = integration(200, vec![("content-encoding", "br")]).logs().get("1").await.unwrap_err();
    assert_eq!((error.kind(), error.hint()), (ErrorKind::NotJson, None), "{error}");
    let error = integration(200, vec![("content-type", "text/html")]).logs().get("1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotJson);
    assert!(hint(&error).contains("a web page instead of JSON"), "{error}");
    let error = integration(403, vec![("content-encoding", "br")]).logs().get("1").await.unwrap_err();
    assert!(hint(&error).contains("lack the permission"), "{error}");
}

#[tokio::test]
async fn a_412_is_explained_by_which_condition_was_sent() {
    let client = integration(412, vec![]);
    let error = client.logs().update("1", pending_input()).if_match("\"abc\"").await.unwrap_err();
    assert!(hint(&error).contains("changed since it was read"), "{error}");
    let error = client.logs().create(pending_input()).header("if-none-match", "*").await.unwrap_err();
    assert!(hint(&error).contains("already"), "{error}");
    for error in [
        client.logs().create(pending_input()).await.unwrap_err(),
        client.logs().update("1", pending_input()).await.unwrap_err(),
        client.logs().get("1").await.unwrap_err(),
    ] {
        assert!(hint(&error).contains("carried no") && !hint(&error).contains("changed"), "{error}");
    }
}

#[test]
fn a_token_that_includes_the_scheme_is_rejected() {
    for token in ["Bearer x", "bearer x", "BEARER\tx", "Bearer"] {
        let error = UnleashClient::builder("https://unleash.example.com").bearer(token).build().unwrap_err();
        // In the error's own message, and not only in a source.
        assert!(error.to_string().contains("begins with `Bearer`"), "{error}");
    }
    for token in ["bearers", "x Bearer", "bearer-token"] {
        UnleashClient::builder("https://unleash.example.com").bearer(token).build().unwrap();
    }
    // A key in a custom header may have any content.
    UnleashClient::builder("https://unleash.example.com").api_key("Bearer x").build().unwrap();
}

#[derive(Debug)]
struct Schemed;

#[async_trait]
impl auth::TokenSource for Schemed {
    async fn fetch(&self) -> Result<auth::Token, auth::AuthError> {
        Ok(auth::Token::new("Bearer x"))
    }
}

#[tokio::test]
async fn a_token_source_whose_tokens_include_the_scheme_is_an_error() {
    let memory = Memory::new(|_, _| Reply::json(200, "{}"));
    let client = UnleashClient::builder("https://unleash.example.com")
        .authenticator(auth::TokenCache::new(Schemed))
        .http_client(memory.clone())
        .build()
        .unwrap();
    let error = client.action_set_events().list(("default", 1)).page().await.unwrap_err();
    assert!(crate::wire::whole_story(&error).contains("begins with `Bearer`"), "{error:?}");
    assert_eq!(memory.count(), 0);
}
