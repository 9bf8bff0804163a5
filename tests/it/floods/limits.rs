//! The limits of a page: its records, its errors, its lists, and the records that are collected.

use actionlog::arklow::ActionRecord;
use actionlog::page::{Cause, Proof, Stability};
use actionlog::testing::FakeServer;
use actionlog::{ArklowClient, ErrorKind, IntegrationClient, Page, Verdict};

use crate::floods::{LOG, MIB, responding, responding_with};
use crate::wire::{Memory, Reply};

/// Pages with this number of records, valid or not.
fn page(records: usize, good: bool) -> String {
    let record = |id| if good { LOG.replace("\"1\"", &format!("\"{id}\"")) } else { "{}".to_owned() };
    format!(r#"{{"success":true,"data":[{}]}}"#, (0..records).map(record).collect::<Vec<_>>().join(","))
}

#[tokio::test]
async fn a_page_may_have_ten_times_the_requested_records_or_a_thousand_and_no_more() {
    for good in [true, false] {
        for (asked, most) in [(1, 1_000), (20, 1_000), (100, 1_000)] {
            let client = responding(move || page(most, good));
            let listed = client.logs().list(()).page_size(asked).page().await.unwrap();
            assert_eq!(listed.entries.len(), most);
            assert!(listed.entries.iter().all(|it| it.is_ok() == good));
            let client = responding(move || page(most + 1, good));
            let error = client.logs().list(()).page_size(asked).page().await.unwrap_err();
            assert_eq!((error.kind(), error.is_transient()), (ErrorKind::TooLarge, false));
            assert!(error.to_string().contains("more than 1000 records"), "{error}");
            assert!(error.to_string().contains("max_page_records"), "{error}");
            // The scan ends with it, and reports that.
            let all = client.logs().list(()).page_size(asked).collect().await;
            assert_eq!(all.error.unwrap().kind(), ErrorKind::TooLarge);
            assert!(all.items.is_empty() && all.summary.verdict.is_incomplete());
        }
    }
}

#[tokio::test]
async fn the_limit_of_records_per_page_can_be_set_and_is_at_least_the_page_size() {
    for (set, held, fine) in
        [(50, 100, true), (50, 101, false), (150, 150, true), (150, 151, false), (5_000, 5_000, true)]
    {
        let client = responding_with(move || page(held, true), |it| it.max_page_records(set));
        let listed = client.logs().list(()).page().await;
        assert_eq!(listed.as_ref().map(|it| it.entries.len()).ok(), fine.then_some(held), "{set} {held}");
        assert_eq!(listed.err().map(|it| it.kind()), (!fine).then_some(ErrorKind::TooLarge), "{set} {held}");
    }
}

#[tokio::test]
async fn a_page_may_have_a_hundred_errors_and_no_more() {
    let response = |errors: usize, text: &str| {
        let errors = (0..errors).map(|it| format!(r#"{{"message":"{text} {it}"}}"#)).collect::<Vec<_>>().join(",");
        format!(r#"{{"data":{{"items":[],"count":0}},"errors":[{errors}]}}"#)
    };
    let ask = |body: String| async move {
        let memory = Memory::new(move |_, _| Reply::json(200, body.clone()));
        let client = ArklowClient::builder("1").api_key("key").http_client(memory).build().unwrap();
        client.records().list(()).page().await
    };
    let page: Page<ActionRecord> = ask(response(100, "it failed")).await.unwrap();
    assert_eq!(page.errors.len(), 100);
    assert_eq!(page.errors[99].message(), Some("it failed 99"));
    for (body, what) in
        [(response(101, "it failed"), "100 errors"), (response(9, &"x".repeat(60_000)), "bytes of errors")]
    {
        let error = ask(body).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[tokio::test]
async fn too_many_records_or_errors_are_no_reason_to_allow_larger_bodies() {
    let error = responding(|| page(1_001, true)).logs().list(()).page().await.unwrap_err();
    assert_eq!((error.kind(), error.hint()), (ErrorKind::TooLarge, None));
    let errors = vec![r#"{"message":"it failed"}"#; 101].join(",");
    let memory = Memory::new(move |_, _| Reply::json(200, format!(r#"{{"data":{{"items":[]}},"errors":[{errors}]}}"#)));
    let client = ArklowClient::builder("1").api_key("key").http_client(memory).build().unwrap();
    let error = client.records().list(()).page().await.unwrap_err();
    assert_eq!((error.kind(), error.hint()), (ErrorKind::TooLarge, None));
}

#[tokio::test]
async fn the_dedup_window_stays_small_however_long_the_ids() {
    let server = FakeServer::new();
    let id = |number| format!("{}{number}", "x".repeat(200_000));
    for number in 0..60 {
        server.integration().log().add_raw(LOG.replace("\"1\"", &format!("\"{}\"", id(number))));
    }
    let client = IntegrationClient::builder("http://localhost").api_key("key").http_client(server.http_client());
    let client = client.build().unwrap();
    let listing = client.logs().list(()).page_size(5).stability(Stability::Stable);
    let mut items = listing.clone().items();
    for number in (20..60).rev() {
        assert_eq!(items.next().await.unwrap().unwrap().id, *id(number));
    }
    let cursor = items.cursor();
    let text = serde_json::to_string(&cursor).unwrap();
    assert!(text.len() < 10_000, "{}", text.len());
    let rest = listing.resume(serde_json::from_str(&text).unwrap()).collect().await;
    assert_eq!((rest.items.len(), rest.summary.verdict), (20, Verdict::Complete(Proof::Total)));
    assert_eq!(rest.items[0].id, *id(19));
}

/// A page of Arklow records, each with this number of events and, if set, with fields that don't fit.
fn page_of_lists(records: usize, events: usize, odd: &str) -> String {
    let events = vec!["{}"; events].join(",");
    let record = |id| format!(r#"{{"id":"{id}","events":[{events}]{odd}}}"#);
    format!(r#"{{"data":{{"items":[{}]}}}}"#, (0..records).map(record).collect::<Vec<_>>().join(","))
}

#[tokio::test]
async fn the_lists_of_a_pages_records_use_at_most_16_mib() {
    let ask = |body: String| async move {
        let memory = Memory::new(move |_, _| Reply::json(200, body.clone()));
        let client = ArklowClient::builder("1").api_key("key").http_client(memory).build().unwrap();
        client.records().list(()).page().await
    };
    // A record that is decoded again without a field is freed first, so it counts once.
    for odd in ["", r#","events_":1,"state":{"updated_at":"soon"},"definition":{"id":"1","version":"x"}"#] {
        let held = size_of::<actionlog::arklow::ActionEvent>() * 512;
        let most = 16 * MIB / held;
        let page = ask(page_of_lists(most, 512, odd)).await.unwrap();
        let page = page.into_records().unwrap();
        assert_eq!((page.len(), page[most - 1].events.as_ref().unwrap().len()), (most, 512));
        // The capacity of a list is at most twice its length.
        for (records, events) in [(most + 1, 512), (most, 513)] {
            let error = ask(page_of_lists(records, events, odd)).await.unwrap_err();
            assert_eq!((error.kind(), error.is_transient()), (ErrorKind::TooLarge, false));
            assert!(error.to_string().contains("16777216 bytes in the lists of its records"), "{error}");
            assert!(error.hint().unwrap().contains("page_size"), "{error}");
        }
    }
    // If larger bodies are allowed, their lists may take as much memory.
    for (cap, fine) in [(17 * MIB, true), (16 * MIB, false), (MIB, false)] {
        let body = page_of_lists(16 * MIB / (size_of::<actionlog::arklow::ActionEvent>() * 512) + 1, 512, "");
        assert!(body.len() < MIB);
        let memory = Memory::new(move |_, _| Reply::json(200, body.clone()));
        let client = ArklowClient::builder("1").api_key("key").http_client(memory).max_body_bytes(cap).build().unwrap();
        assert_eq!(client.records().list(()).page().await.is_ok(), fine, "{cap}");
    }
    // A list has at most 10,000 elements; only the field that holds a longer one is left out.
    let page = ask(page_of_lists(1, 10_001, "")).await.unwrap();
    let record = page.into_records().unwrap().remove(0);
    assert_eq!((record.events.as_ref(), record.omitted().len()), (None, 1));
}

#[tokio::test]
async fn collecting_ends_and_reports_it() {
    let server = FakeServer::new();
    server.integration().add_sample_logs(300);
    let client = IntegrationClient::builder("http://localhost").api_key("key").http_client(server.http_client());
    let client = client.max_collected(120).build().unwrap();
    let listing = client.logs().list(()).stability(Stability::Stable);
    let some = listing.clone().collect().await;
    assert_eq!((some.items.len(), some.summary.verdict), (120, Verdict::Incomplete(Cause::MaxItems)));
    assert!(some.error.is_none());
    // Resuming from the cursor continues there, with a limit for the rest.
    let rest = listing.clone().max_items(u64::MAX).resume(some.cursor.clone().unwrap()).collect().await;
    assert_eq!((rest.items.len(), rest.summary.verdict), (180, Verdict::Complete(Proof::Total)));
    assert_eq!(some.complete().unwrap_err().kind(), ErrorKind::Incomplete);
    // The listing's setting takes precedence, and streams have no such limit.
    assert_eq!(listing.clone().max_items(250).collect().await.items.len(), 250);
    let mut items = listing.items();
    let mut delivered = 0;
    while items.next().await.transpose().unwrap().is_some() {
        delivered += 1;
    }
    assert_eq!(delivered, 300);
}
