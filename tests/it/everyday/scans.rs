//! Pages, scans, cursors and summaries.

use std::collections::HashMap;
use std::time::Duration;

use actionlog::arklow::{ActionStatus, RecordsQuery};
use actionlog::integration::{ActionLog, LogStatus, LogsQuery, SortOrder};
use actionlog::page::Proof;
use actionlog::unleash::{ActionSetEvent, ActionSetEventState, EventsQuery};
use actionlog::{Cursor, ErrorKind, Id, Json, Summary, Verdict};
use chrono::Utc;
use futures_util::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::everyday::{Clients, clients};

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
    assert!(newer.to_string().parse::<Cursor>().is_err(), "its content is of another version, so it isn't written");
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
        // The cursor behind the invalid record resumes with the next one.
        let rest = listing.clone().resume(cursors.remove(6)).collect().await;
        assert_eq!((rest.items.len(), rest.invalid.len()), (6, 0));
    }
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
