//! Error bodies and their kinds, and statuses of success.

use actionlog::{Error, ErrorKind, IntegrationClient, RetryPolicy, WriteOutcome};
use http::StatusCode;
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::integration::{ID, minimal, record};
use crate::wire::{Memory, Reply, integration, json, requests, server, whole_story};

/// What an error must say.
struct Expected {
    kind: ErrorKind,
    message: Option<&'static str>,
    hint: bool,
    transient: bool,
    /// Of a create.
    outcome: WriteOutcome,
    /// Of a create, and of a get.
    attempts: (usize, usize),
}

#[tokio::test]
async fn an_error_shows_its_kind_the_servers_message_a_hint_and_the_outcome() {
    use ErrorKind as Kind;
    use WriteOutcome::{NotApplied, Unknown};
    let said = r#"{"success": false, "message": "it was said"}"#;
    let plain = |kind| Expected {
        kind,
        message: Some("it was said"),
        // What doesn't fit has its path instead.
        hint: kind != Kind::Decode,
        transient: false,
        outcome: NotApplied,
        attempts: (1, 1),
    };
    let passing = |kind| Expected { transient: true, outcome: Unknown, attempts: (1, 4), ..plain(kind) };
    let html = ResponseTemplate::new(502).set_body_raw("<html>Bad gateway</html>", "text/html");
    let cases = [
        (json(400, said), plain(Kind::BadRequest)),
        (json(401, said), Expected { hint: true, ..plain(Kind::Unauthorized) }),
        (json(403, said), plain(Kind::Forbidden)),
        (json(404, said), plain(Kind::NotFound)),
        (ResponseTemplate::new(404), Expected { hint: true, message: None, ..plain(Kind::NotFound) }),
        (json(405, said), Expected { hint: true, ..plain(Kind::UnexpectedStatus) }),
        (json(409, said), plain(Kind::Conflict)),
        (json(410, said), plain(Kind::NotFound)),
        (json(422, said), plain(Kind::BadRequest)),
        (json(429, said).insert_header("retry-after", "0"), passing(Kind::RateLimited)),
        (json(429, said), passing(Kind::RateLimited)),
        (
            json(429, said).insert_header("retry-after", "3600"),
            Expected { attempts: (1, 1), ..passing(Kind::RateLimited) },
        ),
        (json(500, said), passing(Kind::Server)),
        (json(501, said), Expected { outcome: Unknown, ..plain(Kind::Server) }),
        (html, Expected { message: None, ..passing(Kind::Server) }),
        (json(503, said), passing(Kind::Server)),
        (json(503, said).insert_header("retry-after", "0"), passing(Kind::Server)),
        (json(200, said), plain(Kind::ApiFailure)),
        (json(200, r#"{"success": false}"#), Expected { message: None, ..plain(Kind::ApiFailure) }),
        (json(201, r#"{"success": false, "error": "it was said"}"#), plain(Kind::ApiFailure)),
        (json(200, r#"{"success": false, "error": {"code": "c", "message": "it was said"}}"#), plain(Kind::ApiFailure)),
        (
            json(200, json!({"success": false, "message": "it was said", "data": record("1")}).to_string()),
            plain(Kind::ApiFailure),
        ),
        (json(200, r#"{"success": false, "message": "it was said", "data": 7}"#), plain(Kind::ApiFailure)),
        (ResponseTemplate::new(204), Expected { message: None, outcome: Unknown, ..plain(Kind::NotJson) }),
        (json(200, r#"{"success": true}"#), Expected { message: None, outcome: Unknown, ..plain(Kind::Decode) }),
        (
            json(200, r#"{"success": true, "data": null}"#),
            Expected { message: None, outcome: Unknown, ..plain(Kind::Decode) },
        ),
        (
            ResponseTemplate::new(200).set_body_raw("<html></html>", "text/html"),
            Expected { message: None, hint: true, outcome: Unknown, ..plain(Kind::NotJson) },
        ),
        (
            ResponseTemplate::new(302).insert_header("location", "https://login.example.com/?next=secret"),
            // Some servers respond like this to an accepted form.
            Expected { message: None, hint: true, outcome: Unknown, ..plain(Kind::Redirect) },
        ),
    ];
    for (response, expected) in cases {
        let server = server([response.clone()]).await;
        let created = integration(&server).logs().create(minimal()).await.unwrap_err();
        // A client doesn't retry against the server's request to stop.
        let got = integration(&server).logs().get(ID).await.unwrap_err();
        let status = StatusCode::from_u16(client_status(&created)).unwrap();
        for error in [&created, &got] {
            let case = format!("{status}: {error}");
            assert_eq!(error.kind(), expected.kind, "{case}");
            assert_eq!(error.status(), Some(status), "{case}");
            assert_eq!(error.api().and_then(|it| it.message()), expected.message, "{case}");
            assert_eq!(error.hint().is_some(), expected.hint, "{case}");
            assert_eq!(error.is_transient(), expected.transient, "{case}");
            assert!(!whole_story(error).contains("secret"), "{case}");
        }
        assert_eq!(created.outcome(), expected.outcome, "{created}");
        let attempts = (created.attempts() as usize, got.attempts() as usize);
        assert_eq!(attempts, expected.attempts, "{created}");
        let requests = requests(&server).await;
        let sent = |method: &str| requests.iter().filter(|it| it.method.as_str() == method).count();
        assert_eq!((sent("POST"), sent("GET")), expected.attempts, "{created}");
    }
}

fn client_status(error: &Error) -> u16 {
    error.status().unwrap_or_else(|| panic!("{error} has no status")).as_u16()
}

#[tokio::test]
async fn other_fields_of_an_error_body_are_kept() {
    let cases = [
        (r#"{"success": false, "error": "Duplicate"}"#, None, Some("Duplicate"), &[][..]),
        (r#"{"success": false, "error": {"code": "E1", "message": "Duplicate"}}"#, Some("E1"), Some("Duplicate"), &[]),
        (r#"{"success": false, "error": {"name": "E1"}, "message": "No"}"#, Some("E1"), Some("No"), &[]),
        (r#"{"success": false, "error": "Duplicate", "message": "No"}"#, None, Some("No"), &["Duplicate"]),
        (r#"{"success": false, "error": "No", "message": "No"}"#, None, Some("No"), &[]),
        (r#"{"success": false, "error": null, "message": "No"}"#, None, Some("No"), &[]),
        (r#"{"success": false, "error": 7}"#, None, Some("7"), &[]),
    ];
    for (body, name, message, details) in cases {
        for status in [200, 409] {
            let server = server([json(status, body)]).await;
            let error = integration(&server).logs().get(ID).await.unwrap_err();
            let api = error.api().unwrap();
            assert_eq!((api.name(), api.message(), api.details().len()), (name, message, details.len()), "{body}");
            assert_eq!(api.details(), details, "{body}");
        }
    }
}

#[tokio::test]
async fn a_listing_that_the_server_rejects_or_omits_is_an_error_and_no_empty_page() {
    let cases = [
        (r#"{"success": false, "message": "no", "data": []}"#, ErrorKind::ApiFailure),
        (r#"{"success": false, "message": "no"}"#, ErrorKind::ApiFailure),
        (r#"{"success": true, "total": 0}"#, ErrorKind::Decode),
        (r#"{"success": true, "data": null, "total": 0}"#, ErrorKind::Decode),
        (r#"{"success": true, "data": {}, "total": 0}"#, ErrorKind::Decode),
        (r"{}", ErrorKind::Decode),
        (r"[]", ErrorKind::Decode),
        (r"", ErrorKind::NotJson),
    ];
    for (body, kind) in cases {
        let server = server([json(200, body)]).await;
        let client = integration(&server);
        assert_eq!(client.logs().list(()).page().await.unwrap_err().kind(), kind, "{body}");
        let mut items = client.logs().list(()).items();
        assert_eq!(items.next().await.unwrap().unwrap_err().kind(), kind, "{body}");
        assert!(items.next().await.is_none(), "{body}");
    }
}

#[tokio::test]
async fn the_success_flag_is_optional_and_any_success_status_is_accepted() {
    let body = json!({"data": record("1")}).to_string();
    for status in [200, 201, 202] {
        let server = server([json(status, &*body)]).await;
        integration(&server).logs().create(minimal()).await.unwrap();
    }
}

#[tokio::test]
async fn any_success_will_do_for_a_deletion() {
    for (response, message) in [
        (ResponseTemplate::new(204), None),
        (ResponseTemplate::new(200), None),
        (json(200, r"{}"), None),
        (json(200, r#"{"success": true, "message": "gone"}"#), Some("gone")),
        (json(202, r#"{"success": true, "message": null}"#), None),
    ] {
        let server = server([response]).await;
        assert_eq!(integration(&server).logs().delete(ID).await.unwrap().message.as_deref(), message);
    }
    let server = server([json(200, r#"{"success": false, "message": "in use"}"#)]).await;
    let error = integration(&server).logs().delete(ID).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::ApiFailure, WriteOutcome::NotApplied));
    assert_eq!(error.api().unwrap().message(), Some("in use"));
}

#[tokio::test]
async fn a_connection_that_fails_for_an_unknown_reason_is_not_blamed_on_a_certificate() {
    let memory = Memory::new(|_, _| Reply::NoConnection);
    let client = IntegrationClient::builder("https://logs.example.com").api_key("key").retry(RetryPolicy::never());
    let error = client.http_client(memory).build().unwrap().logs().get(ID).await.unwrap_err();
    assert!(error.to_string().contains("the server can't be reached"), "{error}");
    assert_eq!((error.is_transient(), error.hint()), (true, None));
}

#[tokio::test]
async fn the_message_in_an_unexpected_body_of_up_to_64_kib_is_shown() {
    for (length, said) in [(60, true), (64 * 1024, true), (64 * 1024 + 1, false)] {
        let begin = r#"{"message":"no such tenant","more":""#;
        let body = format!("{begin}{}\"}}", "x".repeat(length - begin.len() - 2));
        let server = server([json(200, body)]).await;
        let error = integration(&server).logs().list(()).page().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
        let message = error.api().and_then(|it| it.message());
        assert_eq!(message, said.then_some("no such tenant"), "{length}: {error}");
    }
}
