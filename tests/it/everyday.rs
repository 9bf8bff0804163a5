//! Code that a user of reqwest, object_store, kube, octocrab or an AWS SDK writes first: it compiles, and does what it
//! says.

// These lines are tried as a user writes them.
#![allow(clippy::nonminimal_bool, clippy::cmp_owned)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actionlog::arklow::{ActionRecord, ActionStatus, RecordsQuery};
use actionlog::integration::{ActionLog, ActionLogFields, ActionLogInput, ActionType, LogStatus, LogsQuery, SortOrder};
use actionlog::page::Proof;
use actionlog::testing::{FakeServer, Fault};
use actionlog::unleash::{ActionEventState, ActionSet, ActionSetEvent, ActionSetEventState, EventsQuery};
use actionlog::{
    ArklowClient, Cursor, ErrorKind, Id, IntegrationClient, Json, RetryPolicy, Summary, UnleashClient, Verdict,
};
use chrono::Utc;
use futures_util::future::{join_all, try_join_all};
use futures_util::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::draft;

struct Clients {
    server: FakeServer,
    unleash: UnleashClient,
    arklow: ArklowClient,
    integration: IntegrationClient,
}

/// Clients of a fake server with 12 records of each kind.
fn clients() -> Clients {
    let server = FakeServer::new();
    server.unleash().add_sample_events("default", 7, 12);
    server.arklow().add_sample_records("4711", 12);
    server.integration().add_sample_logs(12);
    Clients {
        unleash: UnleashClient::builder("http://localhost")
            .api_key("any")
            .http_client(server.http_client())
            .build()
            .unwrap(),
        arklow: ArklowClient::builder("4711").api_key("any").http_client(server.http_client()).build().unwrap(),
        integration: IntegrationClient::builder("http://localhost/")
            .bearer("any")
            .http_client(server.http_client())
            .retry(RetryPolicy::never())
            .build()
            .unwrap(),
        server,
    }
}

fn takes_str(text: impl AsRef<str>) -> usize {
    text.as_ref().len()
}

#[tokio::test]
async fn a_write_accepts_the_id_of_a_record_by_reference() {
    let Clients { integration: client, .. } = clients();
    let newest = client.logs().list_all().page().await.unwrap().into_records().unwrap().remove(0);
    let log = client.logs().get(&newest.id).await.unwrap();
    assert_eq!(log, newest);
    let log = client.logs().update(&log.id, log.to_input().status(LogStatus::Failed)).await.unwrap();
    assert_eq!(log.status, "failed");
    client.logs().delete(&log.id).await.unwrap();
    let text = log.id.to_string();
    assert!(client.logs().get(&text).await.unwrap_err().is_not_found());
    assert!(client.logs().get(text).await.unwrap_err().is_not_found());
    assert!(client.logs().get(log.id).await.unwrap_err().is_not_found());
}

#[test]
fn an_id_that_is_a_string_is_used_as_one() {
    let text = "60f7b1b3e4b0e8b3f8b3f8b3".to_owned();
    let id: Id<ActionLog> = (&text).into();
    assert_eq!(id.as_str(), text);
    assert_eq!(takes_str(&id), 24);
    assert_eq!(takes_str(id.clone()), 24);
    assert!(id == "60f7b1b3e4b0e8b3f8b3f8b3" && "60f7b1b3e4b0e8b3f8b3f8b3" == id && id != "60f7");
    assert!(id == text && text == id && id == *"60f7b1b3e4b0e8b3f8b3f8b3");
    assert_eq!(String::from(&id), text);
    assert_eq!(String::from(id.clone()), text);
    assert_eq!(text.parse::<Id<ActionLog>>().unwrap(), id);
    assert_eq!(Id::<ActionLog>::from(std::borrow::Cow::Borrowed(text.as_str())), id);
    assert_eq!(Id::<ActionLog>::from(text.clone().into_boxed_str()), id);
    assert_eq!(format!("[{id:>26}]"), format!("[  {text}]"));
    assert!(id.as_str().starts_with("60f7"));
}

#[test]
fn ids_as_the_keys_of_a_map_are_looked_up_by_str() {
    let ids: [Id<ActionRecord>; 2] = ["17", "18"].map(Id::from);
    let hashed: HashMap<_, _> = ids.iter().cloned().zip(1..).collect();
    let ordered: BTreeMap<_, _> = ids.iter().cloned().zip(1..).collect();
    let known: HashSet<_> = ids.iter().cloned().collect();
    for (text, expected) in [("17", Some(&1)), ("18", Some(&2)), ("19", None)] {
        assert_eq!(hashed.get(text), expected);
        assert_eq!(ordered.get(text), expected);
        assert_eq!(known.contains(text), expected.is_some());
    }
    assert_eq!(serde_json::to_value(&ordered).unwrap(), json!({"17": 1, "18": 2}));
}

#[test]
fn an_id_that_is_an_integer_is_used_as_one() {
    let id: Id<ActionSet> = 5.into();
    assert_eq!(id.as_i64(), 5);
    assert!(id == 5 && 5 == id && id != 6);
    assert!(id == 5_u64 && id == 5_u32 && id == 5_i64 && 5_u64 == id);
    assert!(Id::<ActionSet>::from(-1) != u64::MAX);
    assert_eq!(i64::from(id), 5);
    assert_eq!(Id::<ActionSet>::from(5_u64), id);
    assert_eq!(Id::<ActionSet>::from(u64::MAX), i64::MAX);
    assert_eq!("5".parse::<Id<ActionSet>>(), Ok(id));
    assert!("five".parse::<Id<ActionSet>>().is_err());
    assert_eq!(EventsQuery::new("default", id), ("default", 5_u64).into());
    assert_eq!(EventsQuery::from(("default".to_owned(), &id)), ("default", 5).into());
}

#[test]
fn statuses_are_compared_with_and_made_from_strings() {
    let status: LogStatus = "failed".into();
    assert_eq!(status, LogStatus::Failed);
    assert!(status == "failed" && "failed" == status && status != "success" && status == "failed".to_owned());
    assert_eq!(LogStatus::from("failed".to_owned()), status);
    assert_eq!(String::from(status.clone()), "failed");
    assert_eq!(takes_str(&status), 6);
    assert_eq!(format!("{status:>8}"), "  failed");
    assert_eq!("retrying".parse(), Ok(LogStatus::Retrying));
    assert!("paused" == "paused");
    assert!(ActionType::Sync == "sync" && ActionEventState::NotStarted == "not started");
    let counts: HashMap<LogStatus, u32> = HashMap::from([(status, 1)]);
    assert_eq!(counts[&LogStatus::Failed], 1);
}

#[test]
fn every_state_reports_whether_it_is_final() {
    let (yes, no) = (Some(true), Some(false));
    let logs = [("pending", no), ("success", yes), ("failed", yes), ("retrying", no), ("paused", None)];
    assert!(logs.iter().all(|(it, expected)| LogStatus::from(*it).is_final() == *expected));
    let runs = [("started", no), ("success", yes), ("failed", yes), ("throttled", None)];
    assert!(runs.iter().all(|(it, expected)| ActionSetEventState::from(*it).is_final() == *expected));
    // Where an action before it failed, it stays so: that isn't known from this alone.
    let actions = [("not started", None), ("started", no), ("success", yes), ("failed", yes), ("skipped", None)];
    assert!(actions.iter().all(|(it, expected)| ActionEventState::from(*it).is_final() == *expected));
    let records = [("queued", no), ("ack_wait", no), ("succeeded", yes), ("canceled", yes), ("paused", None)];
    assert!(records.iter().all(|(it, expected)| ActionStatus::from(*it).is_final() == *expected));
}

#[test]
fn json_is_looked_into_without_a_struct() {
    let json: Json = r#"{"a": 1.50, "b": {"c~/d": [10, {"e": null}]}, "a": 2.50, "": 7}"#.parse().unwrap();
    assert_eq!(json.get("a").unwrap().as_str(), "2.50", "the last of a repeated name, as serde_json has it");
    assert_eq!(json.get("a"), json.to_value().unwrap().get("a").map(|_| "2.50".parse().unwrap()));
    assert_eq!(json.get("b").and_then(|it| it.get("c~/d")).unwrap(), json!([10, {"e": null}]));
    assert_eq!(json.get("none"), None);
    let value = json.to_value().unwrap();
    for pointer in [
        "",
        "/",
        "/a",
        "/b",
        "/b/c~0~1d",
        "/b/c~0~1d/0",
        "/b/c~0~1d/1/e",
        "/b/c~0~1d/2",
        "/b/c~0~1d/00",
        "/b/c~0~1d/+1",
        "/b/c~0~1d/-",
        "/b/c~0~1d/99999999999999999999999",
        "/a/0",
        "b",
        "/none",
        "/b/none/0",
    ] {
        let found = json.pointer(pointer).map(|it| it.to_value().unwrap());
        assert_eq!(found.as_ref(), value.pointer(pointer), "{pointer:?}");
    }
    for text in ["[1]", "1", "\"a\"", "null"] {
        assert_eq!(Json::from_text(text).unwrap().get("a"), None, "{text}");
    }
    assert_eq!(Json::from(json!({"a": 1})), json!({"a": 1}));
    assert_eq!(json!([1, 2]), Json::from(json!([1, 2])));
    assert_eq!(Json::default(), Json::from(Value::Null));
    assert_eq!(Value::try_from(Json::from(json!(5))).unwrap(), 5);
    assert!("{".parse::<Json>().is_err());
    assert!(Json::from_text("1e999").unwrap() != json!(1), "it can't be read as a Value");
}

#[tokio::test]
async fn a_page_is_iterated_over() {
    let Clients { server, integration, .. } = clients();
    server.integration().add_raw(r#"{"_id": 5}"#);
    let page = integration.logs().list(()).page().await.unwrap();
    assert_eq!((page.len(), page.is_empty()), (13, false));
    let mut ids = Vec::new();
    for log in &page {
        match log {
            Ok(log) => ids.push(log.id.clone()),
            Err(error) => assert!(error.is_record()),
        }
    }
    let mut unreadable = 0;
    for log in page {
        match log {
            Ok(log) => assert_eq!(log.id, ids.remove(0)),
            Err(error) => unreadable += u32::from(error.is_record()),
        }
    }
    assert_eq!((ids.len(), unreadable), (0, 1));
}

#[tokio::test]
async fn a_cursor_is_stored_as_a_string() {
    let Clients { unleash, .. } = clients();
    let listing = unleash.action_set_events().list(("default", 7));
    let cursor = listing.clone().max_items(5).collect().await.cursor.unwrap();
    let stored = cursor.to_string();
    assert_eq!(stored, serde_json::to_string(&cursor).unwrap());
    let read: Cursor = stored.parse().unwrap();
    assert_eq!(read, cursor);
    assert_eq!(listing.resume(read).collect().await.items.len(), 7);
    let broken = "{}".parse::<Cursor>().unwrap_err();
    assert_eq!(broken.kind(), ErrorKind::InvalidRequest);
    assert!(broken.to_string().contains("cursor"), "{broken}");
    let newer: Cursor = r#"{"version": 99, "more": [1]}"#.parse().unwrap();
    assert!(newer.to_string().contains("version 99"), "{newer}");
    assert!(newer.to_string().parse::<Cursor>().is_err(), "what it held isn't known, so it isn't written");
}

#[tokio::test]
async fn a_summary_is_logged_as_json() {
    let Clients { unleash, .. } = clients();
    let all = unleash.action_set_events().list(("default", 7)).collect().await;
    let written = serde_json::to_value(&all.summary).unwrap();
    assert_eq!(written["verdict"], json!({"unverified": "no_total"}));
    assert_eq!(written["delivered"], 12);
    assert_eq!(Summary::deserialize(&written).unwrap(), all.summary);
    assert_eq!(serde_json::to_value(Verdict::Complete(Proof::Total)).unwrap(), json!({"complete": "total"}));
}

#[tokio::test]
async fn an_error_reports_what_happened() {
    let Clients { server, integration: client, .. } = clients();
    for (status, is) in [
        (404, actionlog::Error::is_not_found as fn(&actionlog::Error) -> bool),
        (401, actionlog::Error::is_unauthorized),
        (403, actionlog::Error::is_forbidden),
        (429, actionlog::Error::is_rate_limited),
    ] {
        server.fail_next(Fault::Status(status));
        let error = client.logs().list(()).page().await.unwrap_err();
        assert!(is(&error) && error.status().is_some_and(|it| it == status), "{error}");
        assert!(!error.is_timeout() && !error.is_connect());
    }
    let slow = server.http_client().latency(Duration::from_millis(50));
    let slow = IntegrationClient::builder("http://localhost").bearer("any").http_client(slow).build().unwrap();
    let error = slow.logs().get("1").attempt_timeout(Duration::from_millis(1)).retry(RetryPolicy::never()).await;
    assert!(error.as_ref().is_err_and(|it| it.is_timeout() && !it.is_connect()));
    // Any error type that takes errors takes these.
    let boxed: Box<dyn std::error::Error + Send + Sync> = error.unwrap_err().into();
    assert!(std::io::Error::other(boxed).to_string().contains("attempt"));
}

#[tokio::test]
async fn a_failed_connection_and_a_connect_timeout_are_different_kinds() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let client = UnleashClient::builder(format!("http://{free}")).api_key("any").retry(RetryPolicy::never()).build();
    let refused = client.unwrap().action_set_events().list(("default", 1)).page().await.unwrap_err();
    assert!(refused.is_connect() && !refused.is_timeout(), "{refused}");
    // An address that nobody has: packets to it get no answer.
    let client = UnleashClient::builder("http://192.0.2.1")
        .allow_http()
        .api_key("any")
        .connect_timeout(Duration::from_millis(1))
        .retry(RetryPolicy::never())
        .build();
    let slow = client.unwrap().action_set_events().list(("default", 1)).page().await.unwrap_err();
    assert!(slow.is_connect(), "{slow}");
}

#[test]
fn a_connect_error_with_a_time_limit_in_its_sources_is_a_timeout() {
    #[derive(Debug)]
    struct Slow;
    #[async_trait::async_trait]
    impl actionlog::HttpClient for Slow {
        async fn send(
            &self,
            _: http::Request<bytes::Bytes>,
        ) -> Result<http::Response<actionlog::Body>, actionlog::HttpError> {
            Err(actionlog::HttpError::connect(std::io::Error::from(std::io::ErrorKind::TimedOut)))
        }
    }
    let client =
        UnleashClient::builder("http://localhost").api_key("any").http_client(Slow).retry(RetryPolicy::never());
    let client = client.build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let error = runtime.block_on(client.action_set_events().list(("default", 1)).page()).unwrap_err();
    assert!(error.is_connect() && error.is_timeout());
}

#[tokio::test]
async fn invalid_records_are_yielded_as_values_with_cursors() {
    let Clients { server, unleash, .. } = clients();
    server.unleash().log("default", 7).insert_raw(6, r#"{"id": "none"}"#);
    let listing = unleash.action_set_events().list(("default", 7));
    for reversed in [false, true] {
        let items = listing.clone().items();
        let mut entries =
            if reversed { items.with_cursor().with_invalid() } else { items.with_invalid().with_cursor() };
        let mut cursors = Vec::new();
        let mut at = None;
        while let Some((entry, cursor)) = entries.try_next().await.unwrap() {
            if entry.is_err() {
                at = Some(cursors.len());
            }
            cursors.push(cursor);
        }
        assert_eq!((cursors.len(), at), (13, Some(6)));
        assert_eq!(entries.summary().invalid, 1);
        // The cursor behind the unreadable record goes on with the next one.
        let rest = listing.clone().resume(cursors.remove(6)).collect().await;
        assert_eq!((rest.items.len(), rest.invalid.len()), (6, 0));
    }
}

#[tokio::test]
async fn a_call_is_a_future_that_owns_what_it_needs() {
    let Clients { server, integration, arklow, unleash } = clients();
    let log = tokio::spawn(integration.logs().create(draft())).await.unwrap().unwrap();
    let count = tokio::spawn(arklow.records().count(()));
    let page = tokio::spawn(unleash.action_set_events().list(("default", 7)).page());
    assert_eq!((count.await.unwrap().unwrap(), page.await.unwrap().unwrap().len()), (12, 12));
    let all = tokio::spawn(integration.logs().list_all().collect());
    assert_eq!(all.await.unwrap().items.len(), 13);

    let calls = (0..3).map(|_| integration.logs().get(&log.id));
    assert!(try_join_all(calls).await.unwrap().iter().all(|it| *it == log));
    let gone = join_all(["x", "y"].map(|it| integration.logs().get(it))).await;
    assert!(gone.iter().all(|it| it.as_ref().is_err_and(actionlog::Error::is_not_found)));
    let got = tokio::time::timeout(Duration::from_secs(5), integration.logs().get(&log.id)).await.unwrap();
    assert_eq!(got.unwrap(), log);
    let mut call = integration.logs().get(&log.id);
    let before = server.requests().len();
    tokio::select! {
        biased;
        () = std::future::ready(()) => {}
        _ = &mut call => unreachable!("the other is ready"),
    }
    assert_eq!(server.requests().len(), before, "nothing is sent before it is polled");
    assert_eq!((&mut call).await.unwrap(), log);
    assert_eq!(call.request().path().unwrap(), format!("integration-action-logs/{}", log.id));
    assert_eq!(server.requests().len(), before + 1);
}

#[tokio::test]
async fn clients_are_shared_by_clones_statics_and_arcs() {
    static CLIENT: OnceLock<IntegrationClient> = OnceLock::new();
    let Clients { integration, unleash, .. } = clients();
    assert_eq!(integration.base_url(), "http://localhost");
    assert_eq!(CLIENT.get_or_init(|| integration.clone()).base_url(), integration.base_url());
    let shared = Arc::new(unleash);
    let tasks = (0..4).map(|_| {
        let client = Arc::clone(&shared);
        tokio::spawn(async move { client.action_set_events().list(("default", 7)).collect().await.items.len() })
    });
    assert!(join_all(tasks).await.into_iter().all(|it| it.unwrap() == 12));
    let arklow = ArklowClient::builder("4711").api_key("key").build().unwrap();
    assert_eq!(arklow.base_url(), "https://api.arklow.io");
    let below = UnleashClient::builder("https://host.example/unleash/".to_owned()).api_key("key".to_owned());
    assert_eq!(below.build().unwrap().base_url(), "https://host.example/unleash");
}

#[tokio::test]
async fn a_listing_is_read_in_each_of_the_usual_ways() {
    let Clients { integration: client, arklow, .. } = clients();
    let logs = client.logs();
    assert_eq!(logs.list_all().items().try_collect::<Vec<_>>().await.unwrap().len(), 12);
    assert_eq!(logs.list(LogsQuery::new()).items().take(5).count().await, 5);
    assert_eq!(arklow.records().list_all().items().boxed().count().await, 12);
    let mut items = logs.list(()).items();
    let mut seen = 0;
    while let Some(log) = items.try_next().await.unwrap() {
        seen += u32::from(log.created_at < Some(Utc::now()));
    }
    assert_eq!((seen, items.summary().delivered), (12, 12));
    let mut pages = logs.list(()).page_size(5).pages();
    let mut sizes = Vec::new();
    while let Some(page) = pages.try_next().await.unwrap() {
        sizes.push(page.len());
    }
    assert_eq!(sizes.iter().sum::<usize>(), 12);
    let mut cursors = logs.list(()).items().with_cursor();
    let (first, cursor) = cursors.try_next().await.unwrap().unwrap();
    assert_eq!(logs.list(()).resume(cursor).items().try_next().await.unwrap().map(|it| it.id != first.id), Some(true));
    let ids: Vec<String> = logs.list(()).items().map_ok(|it| it.id.into()).try_collect().await.unwrap();
    assert_eq!(ids.len(), 12);
    let chunks: Vec<usize> = logs.list(()).items().try_chunks(5).map_ok(|it| it.len()).try_collect().await.unwrap();
    assert_eq!(chunks, [5, 5, 2]);
    let mut grouped: HashMap<LogStatus, Vec<ActionLog>> = HashMap::new();
    for log in logs.list(()).collect().await.items {
        grouped.entry(log.status.clone()).or_default().push(log);
    }
    assert_eq!(grouped.values().map(Vec::len).sum::<usize>(), 12);
    logs.list(())
        .items()
        .try_for_each_concurrent(4, |log| async move { logs.get(&log.id).await.map(drop) })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_query_is_kept_and_used_again() {
    let Clients { server, integration, arklow, unleash } = clients();
    let query = LogsQuery::new().filter(json!({"status": "success"})).order(SortOrder::Asc);
    let owned = integration.logs().list(&query).collect().await.items;
    assert_eq!(integration.logs().list(query).collect().await.items, owned);
    let records = RecordsQuery::new().search("state.status", ActionStatus::Failed).include_state();
    let failed = arklow.records().list(&records).collect().await.items;
    assert!(
        !failed.is_empty() && failed.iter().all(|it| it.state.as_ref().unwrap().status.as_ref().unwrap() == "failed")
    );
    assert_eq!(arklow.records().count(&records).await.unwrap(), failed.len() as u64);
    let same = RecordsQuery::new().search("id", &failed[0].id);
    assert_eq!(arklow.records().count(same).await.unwrap(), 1);
    let of_definition = RecordsQuery::new().action_definition(failed[0].action_definition_id.as_ref().unwrap());
    assert!(arklow.records().count(of_definition).await.unwrap() > 1);
    let events = EventsQuery::new("default", 7);
    assert_eq!(unleash.action_set_events().list(&events).page().await.unwrap().len(), 12);
    assert!(server.requests().last().unwrap().path.ends_with("/actions/7/events"));
}

#[tokio::test]
async fn a_log_is_created_from_fields_inputs_and_records() {
    let Clients { integration: client, .. } = clients();
    let fields = ActionLogFields {
        integration_id: "i1".into(),
        action_type: "sync".into(),
        entity_type: "product".into(),
        status: "success".into(),
    };
    let log = client.logs().create(fields.clone()).await.unwrap();
    let template: ActionLogInput = fields.into();
    for entity in ["1", "2"] {
        let draft = template.clone().entity_id(entity).payload(json!({"price": 12.5})).metadata(json!({}));
        assert_eq!(client.logs().create(&draft).await.unwrap().entity_id.as_deref(), Some(entity));
    }
    #[derive(Serialize)]
    struct HttpResponse {
        etag: &'static str,
    }
    let draft = ActionLogInput::from(log.clone()).response(HttpResponse { etag: "7" });
    let log = client.logs().update(log.id, draft).await.unwrap();
    assert_eq!(log.response.as_ref().and_then(|it| it.get("etag")).unwrap(), json!("7"));
    let price = |it: &ActionLog| it.payload.as_ref()?.get("price")?.parse::<f64>().ok();
    let priced = client.logs().list(()).collect().await.items;
    assert_eq!(priced.iter().filter_map(price).collect::<Vec<_>>(), [12.5, 12.5]);
}

#[tokio::test]
async fn records_are_kept_in_user_defined_structs() {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Mine {
        id: Id<ActionSetEvent>,
        state: ActionSetEventState,
        payload: Option<Json>,
    }
    let Clients { unleash, .. } = clients();
    let mut mine: Vec<Mine> = unleash
        .action_set_events()
        .list(("default", 7))
        .items()
        .map_ok(|it| Mine { id: it.id, state: it.state, payload: it.signal.payload })
        .try_collect()
        .await
        .unwrap();
    let text = serde_json::to_string(&mine).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Mine>>(&text).unwrap(), mine);
    mine.sort_by_key(|it| it.id);
    assert!(mine.iter().is_sorted_by_key(|it| it.id.as_i64()));
    assert!(mine.iter().all(|it| it.id > Id::from(0)));
}

#[test]
fn the_crates_whose_types_are_in_the_api_are_re_exported() {
    #[derive(Debug)]
    struct Mine;
    #[actionlog::async_trait::async_trait]
    impl actionlog::HttpClient for Mine {
        async fn send(
            &self,
            _: actionlog::http::Request<actionlog::bytes::Bytes>,
        ) -> Result<actionlog::http::Response<actionlog::Body>, actionlog::HttpError> {
            Ok(actionlog::http::Response::new(actionlog::bytes::Bytes::new().into()))
        }
    }
    fn reads(stream: &impl actionlog::futures_core::Stream<Item = actionlog::Result<ActionLog>>) -> usize {
        stream.size_hint().0
    }
    let client = IntegrationClient::builder("http://localhost").api_key("key").http_client(Mine).build().unwrap();
    let since = actionlog::chrono::Utc::now();
    assert_eq!(reads(&client.logs().list_all().since(since).items()), 0);
    let value: actionlog::serde_json::Value = Json::default().to_value().unwrap();
    assert!(actionlog::serde::Deserialize::deserialize(value).is_ok_and(|it: Option<u8>| it.is_none()));
    assert_eq!(actionlog::reqwest::StatusCode::OK, actionlog::http::StatusCode::OK);
}

#[tokio::test]
async fn since_and_its_tolerance_are_set_in_either_order() {
    let Clients { server, integration: client, .. } = clients();
    let all = client.logs().list(()).collect().await.items;
    server.integration().add_sample_logs(300);
    let time = client.logs().list(()).max_items(5).collect().await.items.remove(4).created_at.unwrap();
    let day = Duration::from_secs(24 * 60 * 60);
    let mut requests = Vec::new();
    for listing in [
        client.logs().list(()).since(time).since_tolerance(day),
        client.logs().list(()).since_tolerance(day).since(time),
        client.logs().list(()).since_tolerance(Duration::ZERO).since(time).since_tolerance(day),
        client.logs().list(()).since_tolerance(day).since(time).since_tolerance(Duration::ZERO),
    ] {
        let read = listing.page_size(10).prefetch(1).collect().await;
        assert_eq!(read.items.len(), 4);
        requests.push(read.summary.requests);
    }
    assert_eq!(requests[0], requests[1]);
    assert_eq!(requests[0], requests[2]);
    assert!(requests[3] < requests[0], "{requests:?}");
    assert_eq!(all.len(), 12);
}
