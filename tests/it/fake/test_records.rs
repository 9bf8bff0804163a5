//! Records and results for unit tests, without JSON.

use actionlog::Error;
use actionlog::arklow::{ActionRecord, ActionStatus};
use actionlog::integration::{ActionLog, LogStatus};
use actionlog::page::{Proof, Stability};
use actionlog::testing::{FakeServer, models};
use actionlog::unleash::{ActionEventState, ActionSetEventState};
use actionlog::{ErrorKind, IntegrationClient, UnleashClient, Verdict};
use serde_json::Value;

use crate::fake::reference::{EVENT, LOG, RECORD, misfits};
use crate::support::pending_input;

#[tokio::test]
async fn records_and_received_bodies_are_deserialised() {
    let fake = FakeServer::new();
    let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(fake.http_client());
    let log = client.build().unwrap().logs().create(pending_input().entity_id("5")).await.unwrap();
    let held: Vec<ActionLog> = fake.integration().log().records().unwrap();
    assert_eq!(held, [log]);
    let sent: Value = fake.requests()[0].json().unwrap();
    assert_eq!(sent["entityId"], "5");
    assert!(fake.requests()[0].json::<u8>().is_err());
    fake.integration().add_raw("{}");
    assert!(fake.integration().log().records::<ActionLog>().is_err());
}

#[tokio::test]
async fn models_are_made_without_json_and_held_by_the_fake() {
    let mut log = models::action_log("60f7b1b3e4b0e8b3f8b3f8b3");
    (log.status, log.error_message) = (LogStatus::Failed, Some("no".to_owned()));
    let mut record = models::action_record("17");
    record.state = Some(models::action_state("failed"));
    let mut definition = models::action_definition("5001");
    definition.destinations = Some(Vec::from([models::destination_link(models::destination("701"))]));
    (record.definition, record.events) = (Some(definition), Some(Vec::from([models::action_event("171")])));
    let mut event = models::action_set_event(9);
    let failed = models::action_of_set("TOGGLE_FEATURE_OFF", ActionEventState::Failed);
    (event.state, event.action_set) = (ActionSetEventState::Failed, models::action_set(1, [failed]));
    assert_eq!(event.failed_action().unwrap().action, "TOGGLE_FEATURE_OFF");

    for (value, kind) in [
        (serde_json::to_value(&log).unwrap(), &LOG),
        (serde_json::to_value(&record).unwrap(), &RECORD),
        (serde_json::to_value(&event).unwrap(), &EVENT),
        (serde_json::to_value(models::action_log("1")).unwrap(), &LOG),
        (serde_json::to_value(models::action_record("1")).unwrap(), &RECORD),
        (serde_json::to_value(models::action_set_event(1)).unwrap(), &EVENT),
    ] {
        assert_eq!(misfits(&value, kind, ""), [""; 0]);
    }
    let fake = FakeServer::new();
    fake.integration().log().add(&log).unwrap();
    fake.arklow().log("4711").add(&record).unwrap();
    fake.unleash().log("default", 1).add(&event).unwrap();
    let unleash =
        UnleashClient::builder("http://localhost").api_key("any").http_client(fake.http_client()).build().unwrap();
    assert_eq!(unleash.action_set_events().list(("default", 1)).collect().await.items, [event]);
    let logs =
        IntegrationClient::builder("http://localhost").api_key("any").http_client(fake.http_client()).build().unwrap();
    let read = logs.logs().list(()).stability(Stability::Stable).collect().await;
    assert_eq!(read.items, [log]);
    assert_eq!(fake.arklow().log("4711").records::<ActionRecord>().unwrap(), [record.clone()]);
    assert_eq!(record.state.unwrap().status, Some(ActionStatus::Failed));
}

#[test]
fn results_are_made_without_a_server() {
    let page = models::page([models::action_log("1"), models::action_log("2")]);
    assert_eq!((page.len(), page.total, page.more), (2, Some(2), actionlog::page::More::No));
    let all = models::collected([5, 6], Verdict::Complete(Proof::Total));
    assert_eq!(all.summary.delivered, 2);
    assert_eq!(all.complete().unwrap(), [5, 6]);
    let cut = models::collected([5], Verdict::Incomplete(actionlog::page::Cause::MaxItems));
    assert_eq!(cut.complete().unwrap_err().kind(), ErrorKind::Incomplete);
    assert!(models::error(ErrorKind::Timeout).is_timeout());
    assert_eq!(models::deleted("gone".to_owned()).message.as_deref(), Some("gone"));
    let said = actionlog::ApiError::new().with_message(Some("not here".to_owned()));
    let error = models::error_of_status(404, said);
    assert!(error.is_not_found() && error.to_string().contains("not here") && !error.is_transient());
    let busy: Error = models::error_of_status(503, None);
    assert!(busy.is_transient() && busy.kind() == ErrorKind::Server);
}
