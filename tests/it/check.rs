//! Checks of a client before it is used.

use actionlog::{ArklowClient, CheckReport, CheckStatus, ErrorKind, IntegrationClient, UnleashClient};
use wiremock::{MockServer, ResponseTemplate};

use crate::wire::{
    KEY, Memory, Reply, arklow, integration, json, quick, requests, server, target, unleash, whole_story,
};

const ARKLOW: &str = r#"{"data": {"items": [], "count": 0}, "errors": null}"#;
const INTEGRATION: &str = r#"{"success": true, "data": [], "total": 0}"#;
const UNLEASH: &str = r#"{"actionSetEvents": []}"#;

/// The names of the three APIs, with the status of each check.
async fn check_all(server: &MockServer) -> [(&'static str, CheckReport); 3] {
    [
        ("arklow", arklow(server).check().await),
        ("integration", integration(server).check().await),
        ("unleash", unleash(server).check().await),
    ]
}

fn assert_found(check: &CheckReport, finding: CheckStatus, case: &str) {
    assert_eq!(check.status(), finding, "{case}: {check:?}");
    assert_eq!(check.is_ready(), finding == CheckStatus::Ready, "{case}");
    assert_eq!(check.error().is_none(), finding == CheckStatus::Ready, "{case}");
    assert_eq!(check.clone().into_result().is_ok(), finding == CheckStatus::Ready, "{case}");
    assert!(!check.hint().is_empty(), "{case}");
    assert!(check.is_ready() || check.to_string().contains(check.hint()), "{case}: {check}");
    if let Some(error) = check.error() {
        assert!(check.to_string().contains(&whole_story(error)), "{case}: {check}");
        assert_eq!(check.to_string().matches(check.hint()).count(), 1, "{case}: {check}");
    }
    assert!(!format!("{check} {check:?}").contains(KEY), "{case}");
}

#[tokio::test]
async fn another_project_is_checked_by_its_own_events() {
    let server = server([json(200, UNLEASH)]).await;
    let check = unleash(&server).check_events(("a shop", 7)).await;
    assert_found(&check, CheckStatus::Ready, "unleash");
    let sent = requests(&server).await;
    assert_eq!(sent.len(), 1);
    assert_eq!(target(&sent[0]), "/api/admin/projects/a%20shop/actions/7/events?limit=1&offset=0");
}

#[tokio::test]
async fn a_working_server_is_ready_after_one_small_request() {
    let responding = |body: &str| server([json(200, body)]);

    let server = responding(ARKLOW).await;
    assert_found(&arklow(&server).check().await, CheckStatus::Ready, "arklow");
    assert_eq!(requests(&server).await.len(), 1);
    assert_eq!(target(&requests(&server).await[0]), "/v1/orgs/4711/actions/records?take=1&skip=0");

    let server = responding(INTEGRATION).await;
    assert_found(&integration(&server).check().await, CheckStatus::Ready, "integration");
    assert_eq!(requests(&server).await.len(), 1);
    assert_eq!(target(&requests(&server).await[0]), "/integration-action-logs?limit=1&offset=0");

    let server = responding(UNLEASH).await;
    assert_found(&unleash(&server).check().await, CheckStatus::Ready, "unleash");
    assert_eq!(requests(&server).await.len(), 1);
    let path = "/api/admin/projects/default/actions/1/events?limit=1&offset=0";
    assert_eq!(target(&requests(&server).await[0]), path);
}

#[tokio::test]
async fn invalid_records_do_not_affect_the_check() {
    let server = server([json(200, r#"{"data": {"items": [7], "count": 1}, "errors": null}"#)]).await;
    assert_found(&arklow(&server).check().await, CheckStatus::Ready, "arklow");
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let arklow = ArklowClient::builder("1").base_url(&url).api_key(KEY).retry(quick()).build().unwrap();
    let integration = IntegrationClient::builder(&url).bearer(KEY).retry(quick()).build().unwrap();
    let unleash = UnleashClient::builder(&url).api_key(KEY).retry(quick()).build().unwrap();
    for check in [arklow.check().await, integration.check().await, unleash.check().await] {
        assert_found(&check, CheckStatus::Unreachable, "closed port");
        assert_eq!(check.error().unwrap().kind(), ErrorKind::Connect);
    }
}

#[tokio::test]
async fn a_server_that_breaks_off_is_unreachable() {
    let memory = Memory::new(|_, _| Reply::Cut);
    let client = UnleashClient::builder("https://unleash.example.com")
        .api_key(KEY)
        .retry(quick())
        .http_client(memory.clone())
        .build()
        .unwrap();
    assert_found(&client.check().await, CheckStatus::Unreachable, "cut");
    assert_eq!(memory.seen().len(), 4);
}

#[tokio::test]
async fn each_response_has_its_check_status() {
    let said = r#"{"success": false, "message": "it was said", "errors": [{"code": "c", "message": "it was said"}]}"#;
    let html = || ResponseTemplate::new(200).set_body_raw("<!doctype html><html></html>", "text/html");
    let cases = [
        (html(), CheckStatus::WrongBaseUrl),
        (ResponseTemplate::new(302).insert_header("location", "https://login.example.com/"), CheckStatus::WrongBaseUrl),
        (
            ResponseTemplate::new(301).insert_header("location", "https://elsewhere.example.com/"),
            CheckStatus::WrongBaseUrl,
        ),
        (ResponseTemplate::new(404).set_body_raw("<html>nothing here</html>", "text/html"), CheckStatus::WrongBaseUrl),
        (ResponseTemplate::new(404), CheckStatus::WrongBaseUrl),
        (json(401, said), CheckStatus::BadCredentials),
        (ResponseTemplate::new(401), CheckStatus::BadCredentials),
        (json(403, said), CheckStatus::NotAllowed),
        (ResponseTemplate::new(403), CheckStatus::NotAllowed),
        (json(200, r#"{"hello": "fake"}"#), CheckStatus::NoSuchApi),
        (json(200, r"[]"), CheckStatus::NoSuchApi),
        (json(429, said).insert_header("retry-after", "0"), CheckStatus::Busy),
        (json(429, said).insert_header("retry-after", "3600"), CheckStatus::Busy),
        (json(500, said), CheckStatus::Busy),
        (json(503, said), CheckStatus::Busy),
        (json(418, said), CheckStatus::Unclear),
    ];
    for (response, finding) in cases {
        let server = server([response]).await;
        for (name, check) in check_all(&server).await {
            assert_found(&check, finding, name);
        }
    }
}

#[tokio::test]
async fn a_404_with_an_error_body_has_a_check_status_per_api() {
    let envelope = r#"{"data": null, "errors": [{"code": "not_found", "message": "no such organisation"}]}"#;
    let server_of = |body: &str| server([json(404, body)]);

    let server = server_of(envelope).await;
    assert_found(&arklow(&server).check().await, CheckStatus::NotAllowed, "arklow");
    let server = server_of(r#"{"success": false, "message": "no such path"}"#).await;
    assert_found(&integration(&server).check().await, CheckStatus::NoSuchApi, "integration");
    let missing = r#"{"id": "1", "name": "NotFoundError", "message": "The path /api/admin/x is not available."}"#;
    let server = server_of(missing).await;
    let check = unleash(&server).check().await;
    assert_found(&check, CheckStatus::NoSuchApi, "unleash");
    assert!(check.hint().contains("Enterprise"), "{check}");
}

#[tokio::test]
async fn an_unleash_server_without_action_set_1_is_ready() {
    let body = r#"{"id": "1", "name": "NotFoundError", "message": "Could not find action set with id 1"}"#;
    let server = server([json(404, body)]).await;
    let check = unleash(&server).check().await;
    assert_found(&check, CheckStatus::Ready, "unleash");
}

#[tokio::test]
async fn a_failure_in_a_response_with_status_200_is_not_ready() {
    let body = r#"{"success": false, "message": "no", "data": null, "errors": [{"message": "no"}]}"#;
    let server = server([json(200, body)]).await;
    assert_found(&arklow(&server).check().await, CheckStatus::Unclear, "arklow");
    assert_found(&integration(&server).check().await, CheckStatus::Unclear, "integration");
}

#[tokio::test]
async fn a_source_without_tokens_is_found_before_anything_is_sent() {
    let memory = Memory::new(|_, _| Reply::json(200, INTEGRATION));
    let client = IntegrationClient::builder("https://logs.example.com")
        .authenticator(actionlog::auth::sign_with(|_| Err(actionlog::auth::AuthError::new("the vault is sealed"))))
        .http_client(memory.clone())
        .build()
        .unwrap();
    let check = client.check().await;
    assert_found(&check, CheckStatus::BadCredentials, "integration");
    assert_eq!(check.error().unwrap().kind(), ErrorKind::Credentials);
    assert!(memory.seen().is_empty());
}

#[tokio::test]
async fn the_servers_message_is_printed_next_to_the_hint() {
    for status in [400, 401, 403, 404, 409, 418, 429, 500, 503] {
        let body =
            r#"{"success": false, "message": "it was said", "errors": [{"code": "c", "message": "it was said"}]}"#;
        let server = server([json(status, body)]).await;
        for (name, check) in check_all(&server).await {
            let printed = check.to_string();
            // In Unleash, a 404 that doesn't name the path is about the action set.
            assert!(check.is_ready() || printed.contains("it was said"), "{name} {status}: {printed}");
        }
    }
}

#[tokio::test]
async fn the_cause_of_a_connection_that_fails_is_printed() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = UnleashClient::builder(&url).api_key(KEY).retry(quick()).build().unwrap();
    assert!(client.check().await.to_string().contains("refused"), "{}", client.check().await);
}

/// Responds like a real server to an unknown path, with its paths below `prefix`.
async fn server_below(prefix: &str) -> MockServer {
    let server = MockServer::start().await;
    let below = wiremock::matchers::path_regex(format!("^{prefix}"));
    let responses = |response| wiremock::Mock::given(wiremock::matchers::any()).respond_with(response);
    let all = r#"{"success": true, "actionSetEvents": [], "data": {"items": [], "count": 0}, "errors": null}"#;
    let all = if prefix.contains("logs") { INTEGRATION } else { all };
    wiremock::Mock::given(below).respond_with(json(200, all)).mount(&server).await;
    let unknown = r#"{"id": "1", "name": "NotFoundError", "success": false, "message": "The path is not available."}"#;
    responses(json(404, unknown)).mount(&server).await;
    server
}

#[tokio::test]
async fn check_detects_a_base_url_with_extra_segments() {
    let unleash = |url: String| UnleashClient::builder(url).api_key(KEY).retry(quick()).build().unwrap();
    let server = server_below("/api/admin/projects/default").await;
    for end in ["/api", "/api/", "/api/admin", "/api/admin/projects"] {
        let check = unleash(format!("{}{end}", server.uri())).check().await;
        assert_found(&check, CheckStatus::WrongBaseUrl, end);
        assert!(check.hint().contains("base URL ends with"), "{check}");
    }
    assert_found(&unleash(server.uri()).check().await, CheckStatus::Ready, "right");
    // A server under a path may have a correct base URL that ends like this.
    let server = server_below("/api/api/admin/projects").await;
    assert_found(&unleash(format!("{}/api", server.uri())).check().await, CheckStatus::Ready, "below /api");
    // Another end of the base URL shows nothing.
    let check = unleash(format!("{}/admin", server.uri())).check().await;
    assert_found(&check, CheckStatus::NoSuchApi, "/admin");

    let server = server_below("/v1/orgs").await;
    let url = format!("{}/v1", server.uri());
    let arklow = ArklowClient::builder("1").base_url(url).api_key(KEY).retry(quick()).build().unwrap();
    assert_found(&arklow.check().await, CheckStatus::WrongBaseUrl, "arklow");

    let server = server_below("/integration-action-logs$").await;
    let url = format!("{}/integration-action-logs", server.uri());
    let integration = IntegrationClient::builder(url).api_key(KEY).retry(quick()).build().unwrap();
    assert_found(&integration.check().await, CheckStatus::WrongBaseUrl, "integration");
}

#[tokio::test]
async fn a_message_too_long_to_be_shown_is_checked_completely() {
    let path = "x".repeat(20_000);
    let body = format!(r#"{{"name": "NotFoundError", "message": "The path ({path}) is not available."}}"#);
    let server = server([json(404, body)]).await;
    let check = unleash(&server).check().await;
    assert_found(&check, CheckStatus::NoSuchApi, "long");
    assert!(check.hint().contains("Enterprise"));
    assert!(check.to_string().len() < 4_000);
}
