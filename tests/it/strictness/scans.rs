//! Omitted fields in scans, and when a record is written back.

use actionlog::integration::{ActionLog, LogListing, LogStatus};
use actionlog::page::Paginate;
use serde_json::json;

use crate::strictness::fields::read_with_raw;
use crate::strictness::{KEPT, Record, client, odd_log, readable};
use crate::wire::value;

/// A log with this much payload, and these fields before the others.
fn large_log(payload: usize, fields: &str) -> String {
    let mut sample = ActionLog::sample();
    for field in ["retryCount", "entityId", "errorMessage"] {
        sample.as_object_mut().unwrap().remove(field);
    }
    sample["payload"] = json!({"a": "x".repeat(payload)});
    format!("{{{fields}, {}", &sample.to_string()[1..])
}

#[tokio::test]
async fn a_large_record_loses_only_the_field_that_does_not_fit() {
    for (mib, odd) in [(5, r#""retryCount": "twice""#), (8, r#""retryCount": -1, "errorMessage": [5]"#)] {
        let text = large_log(mib << 20, odd);
        let log = readable::<ActionLog>(&text);
        assert_eq!(log.omitted().len(), odd.split(',').count());
        assert_eq!((log.retry_count, log.omitted()[0].path()), (0, "retryCount"));
        assert!(log.payload.as_ref().unwrap().as_str().len() > mib << 20);
        assert_eq!(read_with_raw::<ActionLog>(&text).unwrap(), (log.clone(), text.clone()));

        // Alone, between others in a page of a scan, and written back.
        let (client, memory) = client(move |number| match number {
            0 => ActionLog::page(&[ActionLog::sample().to_string(), text.clone(), "{}".to_owned()]),
            1 => r#"{"success": true, "data": [], "total": 3}"#.to_owned(),
            _ => format!(r#"{{"success": true, "data": {text}}}"#),
        });
        let page = client.logs().list(()).page().await.unwrap();
        assert!(page.iter().map(|it| it.is_ok()).eq([true, true, false]));
        assert_eq!(page.entries[1].as_ref().unwrap(), &log);
        client.logs().list(()).page().await.unwrap();
        let got = client.logs().get("1").await.unwrap();
        assert_eq!(got, log);
        client.logs().update("1", got.into_input()).await.unwrap();
        let sent = value(std::str::from_utf8(memory.seen().last().unwrap().body()).unwrap());
        assert_eq!(sent["retryCount"].to_string(), log.omitted()[0].raw().as_str());
    }
}

#[test]
fn a_field_that_occurs_a_hundred_times_is_omitted_a_hundred_times() {
    let times = |field: &str| (0..100).map(|it| format!(r#""{field}": {it}"#)).collect::<Vec<_>>().join(", ");
    for payload in [0, 8 << 20] {
        let text = large_log(payload, &format!("{}, {}", times("retryCount"), times("entityId")));
        let log = readable::<ActionLog>(&text);
        let omitted = |path: &str| -> Vec<String> {
            log.omitted().iter().filter(|it| it.path() == path).map(|it| it.raw().to_string()).collect()
        };
        let all: Vec<_> = (0..100).map(|it| it.to_string()).collect();
        assert!(log.omitted().len() == 200 && omitted("retryCount") == all && omitted("entityId") == all);
        assert_eq!((log.retry_count, log.entity_id), (0, None));
    }
}

#[tokio::test]
async fn one_record_is_read_as_in_a_listing() {
    let (client, _) = client(|_| format!(r#"{{"success": true, "data": {}}}"#, odd_log()));
    let got = client.logs().get("1").await.unwrap();
    assert_eq!(got, readable(&odd_log()));
    assert_eq!(got.omitted().len(), 3);
    let created = client.logs().create(got.clone().into_input()).await.unwrap();
    assert_eq!(created, got, "what was written isn't lost for a field");

    let (client, _) = self::client(|_| r#"{"success": true, "data": {"_id": "1", "retryCount": -1}}"#.to_owned());
    let error = client.logs().get("1").await.unwrap_err();
    assert!(error.to_string().contains("integrationId"), "what makes it invalid is said: {error}");
}

#[tokio::test]
async fn omitted_fields_are_written_back_unchanged() {
    let (client, memory) = client(|_| format!(r#"{{"success": true, "data": {}}}"#, odd_log()));
    let sent = || value(std::str::from_utf8(memory.seen().last().unwrap().body()).unwrap());
    let log = client.logs().get("1").await.unwrap();

    let input = log.clone().into_input().status(LogStatus::Failed);
    let stored = serde_json::from_str(&serde_json::to_string(&input).unwrap()).unwrap();
    assert_eq!(input, stored);
    for input in [input, stored] {
        client.logs().update("1", input).await.unwrap();
        let mut expected = value(&odd_log());
        for server in ["_id", "createdAt", "updatedAt"] {
            expected.as_object_mut().unwrap().remove(server);
        }
        expected["status"] = "failed".into();
        assert_eq!(sent(), expected);
    }
    // Unless the caller sets the field.
    let input = log.clone().into_input().retry_count(3).clear_error_message();
    client.logs().update("1", input).await.unwrap();
    assert_eq!(sent()["retryCount"], 3);
    assert!(sent().get("errorMessage").is_none() && sent().get(KEPT).is_none());
    let input = log.into_input().error_message("it failed");
    client.logs().update("1", input).await.unwrap();
    assert_eq!((&sent()["errorMessage"], &sent()["retryCount"]), (&json!("it failed"), &json!(-1)));
}

#[tokio::test]
async fn a_scan_yields_omitted_fields_through_any_adaptor() {
    use futures_util::TryStreamExt;

    let (client, _) = client(|number| match number {
        0 => ActionLog::page(&[odd_log()]),
        _ => r#"{"success": true, "data": [], "total": 1}"#.to_owned(),
    });
    let logs = client.logs().list(()).items();
    let odd: Vec<_> = logs.map_ok(|log| log.omitted().to_vec()).try_concat().await.unwrap();
    assert_eq!(odd.len(), 3);
}

#[tokio::test]
async fn a_custom_listing_that_keeps_no_omitted_fields_loses_none_silently() {
    #[derive(Clone, Debug)]
    struct Own;

    #[derive(Debug, serde::Deserialize)]
    #[allow(dead_code)]
    struct Item {
        id: String,
        #[serde(default)]
        note: Option<String>,
    }

    impl Paginate for Own {
        type Item = Item;
        type Envelope = <LogListing as Paginate>::Envelope;

        fn request(&self) -> actionlog::Request<()> {
            actionlog::Request::get("own", [""; 0])
        }

        fn record_key(item: &Item) -> actionlog::page::RecordKey {
            item.id.as_str().into()
        }

        fn page_sizes(&self) -> actionlog::page::PageSizes {
            actionlog::page::PageSizes::up_to(10)
        }
    }

    let (client, _) = client(|_| ActionLog::page(&[r#"{"id": "1", "note": 5}"#.to_owned()]));
    let page = client.listing(Own).page().await.unwrap();
    let Err(record) = &page.entries[0] else { panic!("{:?}", page.entries) };
    assert_eq!(record.path(), "note");
}
