//! The fake server of integration action logs: its settings, and how the client reacts to them.

use actionlog::integration::{
    ActionLog, ActionLogFields, ActionLogInput, ActionType, LogStatus, LogsQuery, SortOrder, UpdateMethod,
};
use actionlog::testing::{FakeServer, FakeTotal, Fault, sample};
use actionlog::{ClientBuilder, ErrorKind, IntegrationClient, RetryPolicy, WriteOutcome};
use futures_util::TryStreamExt;
use http::{Method, Request};
use serde::Deserialize;
use serde_json::{Value, json};

const PATH: &str = "/integration-action-logs";

fn server(records: usize) -> FakeServer {
    let server = FakeServer::new();
    server.integration().add_sample_logs(records);
    server
}

fn builder(server: &FakeServer) -> ClientBuilder<IntegrationClient> {
    IntegrationClient::builder("http://localhost").bearer("good").http_client(server.http_client())
}

fn client(server: &FakeServer) -> IntegrationClient {
    builder(server).build().unwrap()
}

fn send(server: &FakeServer, method: Method, target: &str, body: &str) -> (u16, Value) {
    let request = Request::builder().method(method).uri(target).body(body.to_owned().into()).unwrap();
    let response = server.respond(&request);
    (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap_or_default())
}

fn pending_input() -> ActionLogInput {
    ActionLogInput::new(ActionLogFields {
        integration_id: "60f7b1b3e4b0e8b3f8b3f8b4".into(),
        action_type: ActionType::Sync,
        entity_type: "product".into(),
        status: LogStatus::Pending,
    })
}

async fn listed(server: &FakeServer, query: impl Into<LogsQuery>) -> Vec<ActionLog> {
    client(server).logs().list(query).page_size(7).items().try_collect().await.unwrap()
}

#[test]
fn sample_logs_are_valid_and_cover_every_status_and_type() {
    let samples = sample::action_logs(120);
    let logs: Vec<_> = samples.iter().map(|it| ActionLog::deserialize(it).unwrap()).collect();
    assert!(logs.is_sorted_by(|newer, older| newer.id > older.id && newer.created_at > older.created_at));
    for status in LogStatus::KNOWN {
        assert!(logs.iter().any(|it| it.status == *status), "{status}");
    }
    for kind in ActionType::KNOWN {
        assert!(logs.iter().any(|it| it.action_type == *kind), "{kind}");
    }
    for (log, sample) in logs.iter().zip(&samples) {
        assert_eq!(log.id.to_string().len(), 24);
        assert_eq!(log.error_message.is_some(), matches!(log.status, LogStatus::Failed | LogStatus::Retrying));
        assert!((1100..2600).contains(&sample.to_string().len()));
    }
    assert!(logs.iter().all(|it| it.metadata.is_some() && it.updated_at.is_some()));
    let average = samples.iter().map(|it| it.to_string().len()).sum::<usize>() / samples.len();
    assert!((1800..2200).contains(&average), "{average}");
    assert_eq!(samples[20..], sample::action_logs(100)[..]);
}

#[test]
fn invalid_parameters_are_rejected() {
    let server = server(3);
    for (query, status) in [
        ("limit=0", 400),
        ("limit=101", 400),
        ("offset=-1", 400),
        ("order=up", 400),
        ("filter=%7B", 400),
        ("filter=1", 400),
    ] {
        let (responded, body) = send(&server, Method::GET, &format!("{PATH}?{query}"), "");
        assert_eq!((responded, &body["success"]), (status, &json!(false)), "{query}");
        assert!(body["message"].is_string());
    }
    let good = json!({ "integrationId": "1", "actionType": "sync", "entityType": "product", "status": "failed" });
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body.to_string()
    };
    for (body, status) in [
        (good.to_string(), 201),
        ("{".to_owned(), 400),
        ("[]".to_owned(), 400),
        (with("status", json!("done")), 422),
        (with("actionType", json!("paint")), 422),
        (with("entityType", json!("")), 422),
        (with("integrationId", Value::Null), 422),
        (with("payload", json!([1])), 422),
        (with("retryCount", json!(-1)), 422),
    ] {
        assert_eq!(send(&server, Method::POST, PATH, &body).0, status, "{body}");
    }
    for (method, path, status) in [
        (Method::GET, "/integration-action-logs/none", 404),
        (Method::PUT, "/integration-action-logs/none", 404),
        (Method::PATCH, "/integration-action-logs/none", 405),
        (Method::DELETE, "/integration-action-logs/none", 404),
        (Method::DELETE, PATH, 405),
    ] {
        assert_eq!(send(&server, method.clone(), path, &good.to_string()).0, status, "{method} {path}");
    }
    assert_eq!(send(&server, Method::GET, "/integration-action-logs-of-another", "").1, Value::Null);
    assert_eq!(server.integration().log().len(), 4);
}

#[tokio::test]
async fn a_listed_record_is_found_whatever_its_content() {
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    for payload in ["1e400", r#""\ud800""#, &deep] {
        let server = FakeServer::new();
        server.integration().log().add_raw(format!(
            r#"{{"_id":"7","integrationId":"i","actionType":"sync","entityType":"e","status":"success","payload":{payload}}}"#
        ));
        let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(server.http_client());
        let client = client.build().unwrap();
        let log = client.logs().list(()).page().await.unwrap().into_records().unwrap().remove(0);
        assert_eq!(client.logs().get("7").await.unwrap().payload, log.payload);
        assert!(client.logs().get("8").await.is_err());
        client.logs().delete("7").await.unwrap();
        assert_eq!(client.logs().list(()).collect().await.items.len(), 0);
    }
}

#[tokio::test]
async fn a_log_lives_from_its_creation_to_its_deletion() {
    for (created, update, silent) in [(201, UpdateMethod::Put, false), (200, UpdateMethod::Patch, true)] {
        let server = server(3);
        server.integration().accept_authorization("Bearer good").created_has_status(created).update_method(update);
        if silent {
            server.integration().delete_without_body();
        }
        let client = builder(&server).update_method(update).build().unwrap();
        let logs = client.logs();
        let log = logs.create(pending_input().entity_id("7").payload(json!({"price": 12.50}))).await.unwrap();
        assert_eq!((log.id.to_string().len(), log.retry_count), (24, 0));
        assert_eq!(log.created_at.unwrap().to_rfc3339(), "2026-01-01T00:00:01+00:00");
        assert_eq!(logs.get(log.id.clone()).await.unwrap(), log);
        assert_eq!(listed(&server, ()).await[0], log);

        // Fields that aren't set are removed.
        let changed = logs.update(log.id.clone(), pending_input().status(LogStatus::Success)).await.unwrap();
        assert_eq!((&changed.id, changed.created_at), (&log.id, log.created_at));
        assert!(changed.updated_at > log.updated_at);
        assert_eq!((changed.entity_id, changed.payload, changed.status), (None, None, LogStatus::Success));

        let newer = logs.create(pending_input()).await.unwrap();
        assert!(newer.id > log.id && newer.created_at > log.created_at);

        let deleted = logs.delete(log.id.clone()).await.unwrap();
        assert_eq!(deleted.message.is_none(), silent);
        let error = logs.get(log.id).await.unwrap_err();
        assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::NotFound, 404));
        assert!(error.api().unwrap().message().unwrap().contains("not found"));
    }
}

#[tokio::test]
async fn the_wrong_update_method_is_an_error_with_a_hint() {
    let server = server(1);
    server.integration().update_method(UpdateMethod::Patch);
    let id = listed(&server, ()).await.remove(0).id;
    let error = client(&server).logs().update(id, pending_input()).await.unwrap_err();
    assert_eq!(error.status().unwrap().as_u16(), 405);
    assert!(error.hint().unwrap().contains("update_method"), "{error}");
}

#[tokio::test]
async fn an_action_is_logged_from_its_start_to_its_end() {
    let server = FakeServer::new();
    let client = client(&server);
    let mut running = client.logs().start(pending_input()).await.unwrap();
    assert_eq!(running.log().status, LogStatus::Pending);
    let log = running.retrying(1, "busy").await.unwrap();
    assert_eq!((log.status, log.retry_count, log.error_message.as_deref()), (LogStatus::Retrying, 1, Some("busy")));
    let log = running.succeed_with(json!({"ok": true})).await.unwrap();
    assert_eq!((log.status, log.retry_count, log.error_message), (LogStatus::Success, 1, None));
    assert_eq!(log.response.unwrap().as_str(), r#"{"ok":true}"#);
    assert!(log.execution_time.is_some());
    assert_eq!(server.integration().log().len(), 1);
}

#[tokio::test]
async fn a_failed_write_is_not_retried_and_a_rate_limited_one_is_by_choice() {
    let server = FakeServer::new();
    let client = client(&server);
    server.fail_next(Fault::Status(502));
    let error = client.logs().create(pending_input()).await.unwrap_err();
    assert_eq!((error.outcome(), error.attempts()), (WriteOutcome::Unknown, 1));
    let headers = vec![("retry-after".to_owned(), "0".to_owned())];
    server.fail_next(Fault::StatusWith { status: 429, headers, body: String::new() });
    client.logs().create(pending_input()).retry(RetryPolicy::default().retry_writes_after_429()).await.unwrap();
    assert_eq!(server.integration().log().len(), 1);
}

#[tokio::test]
async fn logs_are_filtered_searched_and_sorted() {
    let server = server(120);
    let all = listed(&server, ()).await;
    let failed = listed(&server, LogsQuery::new().filter(json!({"status": "failed", "entityType": "order"}))).await;
    assert!(!failed.is_empty() && failed.iter().all(|it| it.status == LogStatus::Failed && it.entity_type == "order"));
    let found = listed(&server, LogsQuery::new().search("etimedout")).await;
    assert!(!found.is_empty() && found.iter().all(|it| it.error_message.as_ref().unwrap().contains("ETIMEDOUT")));
    assert_eq!(listed(&server, LogsQuery::new().search("no such text")).await, []);

    let mut oldest_first = all.clone();
    oldest_first.reverse();
    assert_eq!(listed(&server, LogsQuery::new().order(SortOrder::Asc)).await, oldest_first);
    let by_time = LogsQuery::new().sort("executionTime");
    let slowest_first = listed(&server, by_time.clone()).await;
    assert_eq!(slowest_first.len(), 120);
    assert!(slowest_first.is_sorted_by(|a, b| a.execution_time >= b.execution_time));
    let fastest_first = listed(&server, by_time.order(SortOrder::Asc)).await;
    assert!(fastest_first.is_sorted_by(|a, b| a.execution_time <= b.execution_time));
}

#[tokio::test]
async fn a_total_may_be_absent_and_one_that_is_wrong_loses_nothing_above_it() {
    let server = server(120);
    for total in [FakeTotal::All, FakeTotal::Absent, FakeTotal::OfPage, FakeTotal::Always(0), FakeTotal::Always(500)] {
        server.integration().total_scope(total);
        assert_eq!(listed(&server, ()).await.len(), 120, "{total:?}");
    }
}

#[tokio::test]
async fn a_log_that_moves_to_the_head_during_a_scan_hides_no_other() {
    let server = server(60);
    let held: Vec<_> = listed(&server, ()).await.into_iter().map(|it| it.id).collect();
    let mut logs = client(&server).logs().list(()).page_size(7).items();
    let mut read = Vec::new();
    while let Some(log) = logs.next().await {
        read.push(log.unwrap().id);
        if read.len() == 20 {
            server.integration().log().move_to_head(10);
        }
    }
    assert!(held.iter().all(|it| read.contains(it)));
}

#[tokio::test]
async fn a_write_of_an_outdated_version_is_rejected_and_changes_nothing() {
    let server = server(0);
    let client = client(&server);
    let logs = client.logs();
    let created = logs.create(pending_input()).with_response().await.unwrap();
    let id = created.value.id.clone();
    let first = created.etag().unwrap().to_owned();
    assert!(first.starts_with('"') && first.ends_with('"'), "{first}");
    let read = logs.get(&id).with_response().await.unwrap();
    assert_eq!(read.etag(), Some(&*first));
    assert_eq!(read.last_modified(), created.value.updated_at);

    let second =
        logs.update(&id, pending_input().error_message("one")).if_match(&*first).with_response().await.unwrap();
    let second = second.etag().unwrap().to_owned();
    assert_ne!(second, first);
    assert_eq!(logs.get(&id).with_response().await.unwrap().etag(), Some(&*second));

    // Another client updated the record in between: its change stays.
    let held = server.integration().log().raw_records();
    let stale = logs.update(&id, pending_input().error_message("two")).if_match(&*first).await.unwrap_err();
    assert_eq!((stale.kind(), stale.outcome()), (ErrorKind::PreconditionFailed, WriteOutcome::NotApplied));
    assert_eq!(stale.attempts(), 1);
    let weak = format!("W/{second}");
    for odd in [&*weak, "", "\"no\"", second.trim_matches('"')] {
        let error = logs.delete(&id).if_match(odd).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PreconditionFailed, "{odd}");
    }
    assert_eq!(server.integration().log().raw_records(), held);
    // A record that doesn't exist has no version.
    assert_eq!(logs.delete("no").if_match("*").await.unwrap_err().kind(), ErrorKind::NotFound);

    for fine in ["*", &format!("\"no\", {second}")] {
        logs.update(&id, pending_input().error_message("one")).if_match(fine).await.unwrap();
        server.integration().log().replace(0, held[0].clone());
    }
    logs.delete(&id).if_match(&*second).await.unwrap();
    assert!(server.integration().log().is_empty());
}

#[tokio::test]
async fn a_write_after_a_later_change_is_rejected_by_its_timestamp() {
    let server = server(1);
    let client = client(&server);
    let logs = client.logs();
    let id = listed(&server, ()).await[0].id.clone();
    let read = logs.get(&id).with_response().await.unwrap();
    let time = read.last_modified().unwrap();
    let written = logs.update(&id, pending_input()).if_unmodified_since(time).with_response().await.unwrap();
    let later = written.last_modified().unwrap();
    assert!(later > time);
    let error = logs.update(&id, pending_input()).if_unmodified_since(time).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PreconditionFailed);
    // An ETag takes precedence over a time.
    let etag = written.etag().unwrap().to_owned();
    logs.update(&id, pending_input()).if_unmodified_since(time).if_match(etag).await.unwrap();
    // A header that isn't a time is ignored.
    let request = Request::delete(format!("{PATH}/{id}")).header("if-unmodified-since", "soon");
    assert_eq!(server.respond(&request.body(Vec::new().into()).unwrap()).status(), 200);
}

#[tokio::test]
async fn a_server_without_etags_sends_none_and_checks_none() {
    let server = server(1);
    server.integration().without_etags();
    let client = client(&server);
    let logs = client.logs();
    let id = listed(&server, ()).await[0].id.clone();
    let read = logs.get(&id).with_response().await.unwrap();
    assert_eq!((read.etag(), read.last_modified()), (None, None));
    let written = logs.update(&id, pending_input()).if_match("\"no\"").with_response().await.unwrap();
    assert_eq!(written.etag(), None);
    logs.delete(&id).if_match("\"no\"").if_unmodified_since(chrono::DateTime::UNIX_EPOCH).await.unwrap();
}
