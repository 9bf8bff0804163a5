//! How failures are reported, beside records and instead of them.

use actionlog::page::TotalScope;
use actionlog::{ErrorKind, WriteOutcome};
use serde_json::json;

use crate::wire::{KEY, arklow, arklow_with, json, requests, server, whole_story};

#[tokio::test]
async fn errors_next_to_records_reach_the_caller() {
    let body = json!({
        "data": {"items": [{"id": "1"}, {"id": "2"}], "count": 2},
        "errors": [{"code": "shard_down", "message": "a part is missing"}, {"message": "another too"}],
    });
    let server = server([json(200, body.to_string())]).await;
    let client = arklow_with(&server, |it| it.count_scope(TotalScope::Listing));

    let page = client.records().list(()).page().await.unwrap();
    assert_eq!(page.records().count(), 2);
    assert_eq!(page.errors.len(), 2);
    assert_eq!((page.errors[0].name(), page.errors[0].message()), (Some("shard_down"), Some("a part is missing")));
    assert_eq!((page.errors[1].name(), page.errors[1].message()), (None, Some("another too")));

    let mut items = client.records().list(()).items();
    for id in ["1", "2"] {
        assert_eq!(items.next().await.unwrap().unwrap().id.to_string(), id);
    }
    let error = items.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Partial);
    assert_eq!(error.api().unwrap().name(), Some("shard_down"));
    assert!(items.next().await.is_none());
}

#[tokio::test]
async fn errors_without_records_are_a_failure_whatever_the_status() {
    for data in [json!(null), json!({}), json!({"items": null, "count": 0})] {
        let body = json!({"data": data, "errors": [
            {"code": "bad_search", "message": "no such field"}, {"code": "more", "message": "and more"},
        ]});
        let server = server([json(200, body.to_string())]).await;
        let error = arklow(&server).records().list(()).page().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ApiFailure, "{data}");
        assert_eq!(error.status().unwrap(), 200);
        assert_eq!(error.outcome(), WriteOutcome::NotApplied);
        assert!(!error.is_transient());
        let api = error.api().unwrap();
        assert_eq!((api.name(), api.message()), (Some("bad_search"), Some("no such field")));
        assert_eq!(api.details(), ["more: and more"]);
        assert!(error.to_string().contains("no such field"), "{error}");
        assert_eq!(requests(&server).await.len(), 1);
    }
}

#[tokio::test]
async fn a_response_without_a_list_is_an_error_and_no_empty_page() {
    for body in [
        r"{}",
        r#"{"errors": null}"#,
        r#"{"data": null, "errors": null}"#,
        r#"{"data": {}, "errors": null}"#,
        r#"{"data": {"count": 0}, "errors": null}"#,
        r#"{"data": {"items": null, "count": 0}, "errors": null}"#,
        r#"{"data": {"items": null, "count": 0}, "errors": []}"#,
        r#"{"data": {"items": {}, "count": 0}, "errors": null}"#,
        r#"{"data": [], "errors": null}"#,
        r"[]",
        r"null",
        r#"{"data": {"items": [{"id": "1"}"#,
    ] {
        let server = server([json(200, body)]).await;
        let client = arklow(&server);
        let page = client.records().list(()).page().await.unwrap_err();
        let item = client.records().list(()).items().next().await.unwrap().unwrap_err();
        for error in [page, item] {
            assert_eq!(error.kind(), ErrorKind::Decode, "{body}: {error}");
            assert!(!error.is_transient(), "{body}");
        }
    }
}

#[tokio::test]
async fn an_error_shows_the_servers_message_and_a_hint() {
    let envelope = r#"{"data": null, "errors": [{"code": "nope", "message": "it was said"}]}"#;
    let cases = [
        (400, ErrorKind::BadRequest, true, false),
        (401, ErrorKind::Unauthorized, true, false),
        (403, ErrorKind::Forbidden, true, false),
        (404, ErrorKind::NotFound, true, false),
        (422, ErrorKind::BadRequest, true, false),
        (429, ErrorKind::RateLimited, true, true),
        (500, ErrorKind::Server, true, true),
        (503, ErrorKind::Server, true, true),
    ];
    for (status, kind, hint, transient) in cases {
        let server = server([json(status, envelope)]).await;
        let error = arklow(&server).records().list(()).page().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}");
        assert_eq!(error.status().unwrap(), status);
        assert_eq!(error.api().unwrap().name(), Some("nope"));
        assert_eq!(error.api().unwrap().message(), Some("it was said"));
        assert_eq!(error.hint().is_some(), hint, "{status}");
        assert_eq!(error.is_transient(), transient, "{status}");
        assert_eq!(error.attempts(), if transient { 4 } else { 1 }, "{status}");
        assert_eq!(requests(&server).await.len(), error.attempts() as usize);
        assert!(error.to_string().contains("/v1/orgs/{org_id}/actions/records"), "{error}");
    }
}

#[tokio::test]
async fn error_bodies_in_other_formats_are_understood() {
    let cases = [
        (r#"{"message": "plainly"}"#, Some((None, Some("plainly")))),
        (r#"{"errors": [{"code": "c"}]}"#, Some((Some("c"), None))),
        (r#"{"errors": [{"code": "c", "message": null}]}"#, Some((Some("c"), None))),
        (r#"{"errors": []}"#, None),
        (r"<html>Bad gateway</html>", None),
        (r"", None),
        (r"upstream gone", Some((None, Some("upstream gone")))),
    ];
    for (body, expected) in cases {
        let server = server([json(400, body)]).await;
        let error = arklow(&server).records().list(()).page().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRequest, "{body}");
        assert_eq!(error.api().map(|it| (it.name(), it.message())), expected, "{body}");
    }
}

#[tokio::test]
async fn a_key_that_the_server_echoes_is_not_shown() {
    let body = format!(r#"{{"errors": [{{"code": "auth", "message": "the key {KEY} is not known"}}]}}"#);
    let server = server([json(401, body)]).await;
    let error = arklow(&server).records().list(()).page().await.unwrap_err();
    assert_eq!(error.api().unwrap().message(), Some("[withheld: contains part of a credential]"));
    assert!(!format!("{error:?} {}", whole_story(&error)).contains(KEY));
}

#[tokio::test]
async fn a_key_that_is_echoed_next_to_valid_data_is_shown_nowhere() {
    let said = json!([{"code": KEY, "message": format!("the key {KEY} is limited")}]);
    let body = json!({"data": {"items": [{"id": "1"}], "count": 1}, "errors": said});
    let server = server([json(200, body.to_string())]).await;
    let client = arklow(&server);
    let page = client.records().list(()).page().await.unwrap();
    assert_eq!(page.errors[0].message(), Some("[withheld: contains part of a credential]"));
    assert!(!format!("{page:?}").contains(KEY));
    let logs = client.records().list(()).collect().await;
    assert!(!logs.partial.is_empty() && !format!("{logs:?}").contains(KEY));
    assert!(!client.check().await.is_ready(), "a response with errors isn't ready");
    let counted = client.records().count(()).await.unwrap_err();
    assert!(!format!("{counted} {counted:?}").contains(KEY));
}
