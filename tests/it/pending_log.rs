//! The log of an action: how it ends, and what happens to the log of a dropped action.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actionlog::integration::{
    ActionFields, ActionLog, ActionLogFields, ActionLogInput, ActionType, LogFailure, LogStatus, OnDrop,
};
use actionlog::testing::{FakeServer, Fault};
use actionlog::{ErrorKind, IntegrationClient, RetryPolicy, WriteOutcome};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

fn fields() -> ActionFields {
    ActionFields { integration_id: "i1".into(), action_type: ActionType::Sync, entity_type: "product".into() }
}

fn client(server: &FakeServer) -> IntegrationClient {
    IntegrationClient::builder("http://localhost")
        .bearer("any")
        .http_client(server.http_client())
        .retry(RetryPolicy::never())
        .build()
        .unwrap()
}

fn stored(server: &FakeServer) -> ActionLog {
    let texts = server.integration().log().raw_records();
    assert_eq!(texts.len(), 1);
    ActionLog::deserialize(serde_json::from_str::<Value>(&texts[0]).unwrap()).unwrap()
}

/// Lets spawned tasks run.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_action_starts_pending_and_rejects_any_other_status() {
    let server = FakeServer::new();
    let logs = client(&server).logs().clone();
    let running = logs.start(ActionLogInput::pending(fields()).entity_id("5")).await.unwrap();
    assert_eq!((running.log().status.as_str(), running.log().entity_id.as_deref()), ("pending", Some("5")));
    sleep(Duration::from_secs(3)).await;
    let log = running.succeed().await.unwrap();
    assert_eq!((log.status.as_str(), log.took()), ("success", Some(Duration::from_secs(3))));
    let over = ActionLogFields {
        integration_id: "i1".into(),
        action_type: ActionType::Sync,
        entity_type: "product".into(),
        status: LogStatus::Success,
    };
    let error = logs.start(over).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.to_string().contains("success"), "{error}");
    assert_eq!(server.integration().log().len(), 1);
}

#[tokio::test]
async fn a_success_is_stored_whatever_the_response() {
    let unwritable = HashMap::from([((1, 2), 3)]);
    for (response, stored) in [
        (json!(5), json!({"value": 5})),
        (json!([1]), json!({"value": [1]})),
        (json!("done"), json!({"value": "done"})),
        (json!({"etag": 7}), json!({"etag": 7})),
    ] {
        let running = client(&FakeServer::new()).logs().start(fields()).await.unwrap();
        let log = running.succeed_with(&response).await.unwrap();
        assert_eq!((log.status, log.response.unwrap()), (LogStatus::Success, actionlog::Json::from(stored)));
    }
    let running = client(&FakeServer::new()).logs().start(fields()).await.unwrap();
    assert_eq!(running.succeed_with(()).await.unwrap().response, None);
    let log = running.succeed_with(unwritable).await.unwrap();
    assert_eq!(log.status, LogStatus::Success);
    assert!(log.response.unwrap().get("unwritable").unwrap().as_str().contains("string"));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_action_leaves_a_failed_log() {
    let server = FakeServer::new();
    let logs = client(&server).logs().clone();
    let task = tokio::spawn(async move {
        let running = logs.start(fields()).await.unwrap();
        sleep(Duration::from_secs(3600)).await;
        running.succeed().await
    });
    sleep(Duration::from_secs(7)).await;
    assert_eq!(stored(&server).status, LogStatus::Pending);
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    settle().await;
    let log = stored(&server);
    assert_eq!((log.status.as_str(), log.error_message.as_deref()), ("failed", Some("cancelled")));
    assert_eq!(log.took(), Some(Duration::from_secs(7)));
}

#[tokio::test(start_paused = true)]
async fn an_end_that_was_reported_but_not_stored_is_written_again_on_drop() {
    let server = FakeServer::new();
    let logs = client(&server).logs().clone();
    let running = logs.start(fields()).await.unwrap();
    server.fail_next(Fault::Status(503));
    running.succeed_with(json!({"etag": 7})).await.unwrap_err();
    drop(running);
    settle().await;
    let log = stored(&server);
    assert_eq!((log.status, log.response.unwrap()), (LogStatus::Success, actionlog::Json::from(json!({"etag": 7}))));

    // A stored end isn't written again.
    let before = server.requests().len();
    let server = FakeServer::new();
    let running = client(&server).logs().start(fields()).await.unwrap();
    running.fail("no").await.unwrap();
    drop(running);
    settle().await;
    assert_eq!((server.requests().len(), before), (2, 3));

    // A retried action hasn't ended.
    let server = FakeServer::new();
    let mut running = client(&server).logs().start(fields()).await.unwrap();
    server.fail_next(Fault::Status(503));
    running.fail("no").await.unwrap_err();
    running.retrying(1, "no").await.unwrap();
    drop(running);
    settle().await;
    let log = stored(&server);
    assert_eq!((log.status.as_str(), log.error_message.as_deref(), log.retry_count), ("failed", Some("cancelled"), 1));
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_left_pending_stays_pending() {
    let server = FakeServer::new();
    let running = client(&server).logs().start(fields()).await.unwrap();
    drop(running.on_drop(OnDrop::Warn));
    settle().await;
    assert_eq!(stored(&server).status, LogStatus::Pending);
    let server = FakeServer::new();
    let log = client(&server).logs().start(fields()).await.unwrap().leave_pending();
    settle().await;
    assert_eq!(stored(&server), log);
    // Without a runtime the record can't be written: the drop warns, and doesn't panic.
    let running = client(&server).logs().start(fields()).await.unwrap();
    std::thread::spawn(move || drop(running)).join().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_logged_action_runs_between_its_pending_and_final_records() {
    let server = FakeServer::new();
    let logs = client(&server).logs().clone();
    let name = "a borrowed name".to_owned();
    let done = logs
        .logged(fields(), async {
            assert_eq!(stored(&server).status, LogStatus::Pending);
            sleep(Duration::from_secs(2)).await;
            Ok::<_, io::Error>(name.len())
        })
        .with_response()
        .await
        .unwrap();
    assert_eq!(done.result.unwrap(), 15);
    let log = done.log.unwrap();
    assert_eq!(log, stored(&server));
    assert_eq!((log.status.as_str(), log.took()), ("success", Some(Duration::from_secs(2))));
    assert_eq!(log.response.unwrap(), json!({"value": 15}));

    let server = FakeServer::new();
    let failed = client(&server).logs().logged(fields(), async { Err::<(), _>(io::Error::other("no mapping")) });
    let failed = failed.await.unwrap();
    assert_eq!(failed.result.unwrap_err().to_string(), "no mapping");
    assert_eq!(failed.log.unwrap().error_message.as_deref(), Some("no mapping"));
    settle().await;
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_written_prevents_the_action_only_by_choice() {
    let runs = AtomicU32::new(0);
    let action = || async {
        runs.fetch_add(1, Ordering::Relaxed);
        Ok::<_, io::Error>(5)
    };
    // The pending record failed, so the action isn't run.
    let server = FakeServer::new();
    let logs = client(&server).logs().clone();
    server.fail_next(Fault::Status(401));
    let error = logs.logged(fields(), action()).await.unwrap_err();
    assert_eq!((error.kind(), runs.load(Ordering::Relaxed)), (ErrorKind::Unauthorized, 0));
    // The action runs anyway, and is logged afterwards by one create.
    server.fail_next(Fault::Status(401));
    let done = logs.logged(fields(), action()).on_log_failure(LogFailure::Continue).await.unwrap();
    assert_eq!((done.result.unwrap(), done.log.unwrap().status), (5, LogStatus::Success));
    assert_eq!(stored(&server).status, LogStatus::Success);
    // The pending record may exist, so no second one is created.
    let server = FakeServer::new();
    let logs = client(&server).logs().clone();
    server.fail_next(Fault::Status(500));
    let done = logs.logged(fields(), action()).on_log_failure(LogFailure::Continue).await.unwrap();
    assert_eq!((done.result.unwrap(), done.log.unwrap_err().outcome()), (5, WriteOutcome::Unknown));
    assert_eq!(server.requests().len(), 1);
    // The end isn't stored: the action's result is returned with the log's error beside it. The end is retried.
    server.before_each(|server| {
        if server.requests().len() == 2 {
            server.fail_next(Fault::Status(500));
        }
    });
    let done = logs.logged(fields(), action()).await.unwrap();
    assert_eq!((done.result.unwrap(), done.log.unwrap_err().kind()), (5, ErrorKind::Server));
    settle().await;
    assert_eq!(stored(&server).status, LogStatus::Success);
    assert_eq!(runs.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_logged_action_that_is_cancelled_or_panics_has_a_failed_log() {
    let server = FakeServer::new();
    let logs = client(&server).logs().clone();
    let slow = logs.logged(fields(), async {
        sleep(Duration::from_secs(60)).await;
        Ok::<_, io::Error>(())
    });
    tokio::time::timeout(Duration::from_secs(1), slow).await.unwrap_err();
    settle().await;
    assert_eq!(stored(&server).error_message.as_deref(), Some("cancelled"));
    let server = FakeServer::new();
    let logs = client(&server).logs().clone();
    let broken = async { if logs.setting_is_odd() { Ok(()) } else { panic!("as it was asked for") } };
    let broken = logs.logged::<(), io::Error>(fields(), broken).into_future();
    let panicked = futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(broken)).await;
    assert!(panicked.is_err());
    settle().await;
    assert_eq!(stored(&server).status, LogStatus::Failed);
}

/// Keeps the panic from being a constant.
trait Odd {
    fn setting_is_odd(&self) -> bool;
}

impl Odd for actionlog::integration::Logs {
    fn setting_is_odd(&self) -> bool {
        format!("{self:?}").is_empty()
    }
}

#[tokio::test(start_paused = true)]
async fn a_classifier_decides_what_is_transient_and_writes_stay_safe() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let policy = RetryPolicy::default().max_attempts(3).classify(move |error| {
        kept.lock().unwrap().push(error.status().map(|it| it.as_u16()));
        match error.status()?.as_u16() {
            423 => Some(true),
            500 => Some(false),
            _ => None,
        }
    });
    let server = FakeServer::new();
    server.integration().add_sample_logs(3);
    let client = IntegrationClient::builder("http://localhost").bearer("any").http_client(server.http_client());
    let client = client.retry(policy.clone()).build().unwrap();
    let fail = |statuses: &[u16]| {
        for status in statuses {
            server.fail_next(Fault::Status(*status));
        }
    };
    // The classifier overrides what is transient by default, both ways.
    fail(&[423, 423]);
    assert_eq!(client.logs().list(()).page().await.unwrap().len(), 3);
    fail(&[500]);
    let error = client.logs().list(()).page().await.unwrap_err();
    assert_eq!((error.attempts(), error.is_transient()), (1, false));
    fail(&[503]);
    assert_eq!(client.logs().list(()).page().await.unwrap().len(), 3);
    assert_eq!(*seen.lock().unwrap(), [423, 423, 500, 503].map(Some));
    // A stream continues after it.
    fail(&[423, 423, 423]);
    let mut items = client.logs().list(()).items();
    assert!(items.next().await.unwrap().unwrap_err().is_transient());
    assert!(items.next().await.unwrap().is_ok());
    // A POST that may have taken effect isn't retried, whatever the classifier returns.
    let eager = RetryPolicy::default().classify(|_| Some(true));
    fail(&[500]);
    let error = client.logs().create(fields()).retry(eager).await.unwrap_err();
    assert_eq!((error.attempts(), error.outcome()), (1, WriteOutcome::Unknown));

    assert_eq!(policy.get_max_attempts(), 3);
    assert_eq!(policy.get_initial_backoff(), Duration::from_millis(200));
    assert_eq!(policy.get_max_backoff(), Duration::from_secs(10));
    assert_eq!(policy.get_max_retry_after(), Duration::from_secs(60));
    assert_eq!(policy.initial_backoff(Duration::from_secs(1)).get_initial_backoff(), Duration::from_secs(1));
}
