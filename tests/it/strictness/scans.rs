//! Omitted fields in scans, and when a record is written back.

use actionlog::integration::{ActionLog, LogListing, LogStatus};
use actionlog::page::Paginate;
use serde_json::json;

use crate::strictness::{KEPT, Record, client, odd_log, readable};
use crate::wire::value;

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

    let draft = log.clone().into_input().status(LogStatus::Failed);
    let stored = serde_json::from_str(&serde_json::to_string(&draft).unwrap()).unwrap();
    assert_eq!(draft, stored);
    for draft in [draft, stored] {
        client.logs().update("1", draft).await.unwrap();
        let mut expected = value(&odd_log());
        for server in ["_id", "createdAt", "updatedAt"] {
            expected.as_object_mut().unwrap().remove(server);
        }
        expected["status"] = "failed".into();
        assert_eq!(sent(), expected);
    }
    // Unless the caller sets the field.
    let draft = log.clone().into_input().retry_count(3).clear_error_message();
    client.logs().update("1", draft).await.unwrap();
    assert_eq!(sent()["retryCount"], 3);
    assert!(sent().get("errorMessage").is_none() && sent().get(KEPT).is_none());
    let draft = log.into_input().error_message("it failed");
    client.logs().update("1", draft).await.unwrap();
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
