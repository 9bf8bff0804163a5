//! The fake Arklow server: its settings, and how the client reacts to them.

use actionlog::arklow::{ActionRecord, ActionStatus, RecordsQuery, SearchEncoding};
use actionlog::page::TotalScope;
use actionlog::testing::{EventsShown, FakeOrder, FakeServer, FakeTotal, sample};
use actionlog::{ArklowClient, ClientBuilder, ErrorKind, Page};
use futures_util::TryStreamExt;
use http::Request;
use serde::Deserialize;
use serde_json::{Value, json};

fn fake(records: usize) -> FakeServer {
    let fake = FakeServer::new();
    fake.arklow().add_sample_records("4711", records);
    fake
}

fn builder(fake: &FakeServer) -> ClientBuilder<ArklowClient> {
    ArklowClient::builder("4711").api_key("good").http_client(fake.http_client())
}

fn client(fake: &FakeServer) -> ArklowClient {
    builder(fake).build().unwrap()
}

fn get(fake: &FakeServer, target: &str) -> (u16, Value) {
    let response = fake.respond(&Request::get(target).body(Default::default()).unwrap());
    (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap())
}

async fn page(client: &ArklowClient, query: impl Into<RecordsQuery>) -> Page<ActionRecord> {
    client.records().list(query).page().await.unwrap()
}

async fn walked(client: &ArklowClient) -> Vec<String> {
    let records = client.records().list(()).page_size(7).items();
    records.map_ok(|it| it.id.to_string()).try_collect().await.unwrap()
}

#[test]
fn sample_records_are_valid_and_cover_every_known_status() {
    let samples = sample::action_records(120);
    let records: Vec<_> = samples.iter().map(|it| ActionRecord::deserialize(it).unwrap()).collect();
    assert!(records.is_sorted_by(|newer, older| newer.id > older.id));
    let status = |record: &ActionRecord| record.state.as_ref().unwrap().status.clone().unwrap();
    for known in ActionStatus::KNOWN {
        assert!(records.iter().any(|it| status(it) == *known), "{known}");
    }
    assert!(records.iter().all(|it| status(it).is_final().is_some()));
    for (record, sample) in records.iter().zip(&samples) {
        let definition = record.definition.as_ref().unwrap();
        assert_eq!(definition.id, record.action_definition_id);
        for link in definition.destinations.iter().flatten() {
            link.destination.as_ref().unwrap().webhook().unwrap().unwrap();
        }
        assert_eq!(serde_json::to_value(record).unwrap()["state"]["status"], sample["state"]["status"]);
    }
    let average = samples.iter().map(|it| it.to_string().len()).sum::<usize>() / samples.len();
    assert!((3700..4300).contains(&average), "{average}");
    assert_eq!(samples[20..], sample::action_records(100)[..]);
}

#[test]
fn invalid_parameters_are_rejected_in_the_envelope() {
    let fake = fake(3);
    for (path, status) in [
        ("/v1/orgs/4711/actions/records?take=0", 400),
        ("/v1/orgs/4711/actions/records?take=51", 400),
        ("/v1/orgs/4711/actions/records?take=a", 400),
        ("/v1/orgs/4711/actions/records?skip=-1", 400),
        ("/v1/orgs/4711/actions/records?version=x", 400),
        ("/v1/orgs/4711/actions/records?search%5Bfield%5D=id", 400),
        ("/v1/orgs/4711/actions/records?search%5Bfield%5D=id&search%5Bvalue%5D=1&search%5Bop%5D=ne", 400),
        ("/v1/orgs/acme/actions/records", 400),
        ("/v1/orgs/4711/actions", 404),
        ("/v1", 404),
    ] {
        let (responded, body) = get(&fake, path);
        assert_eq!((responded, &body["data"]), (status, &Value::Null), "{path}");
        assert!(body["errors"][0]["code"].is_string() && body["errors"][0]["message"].is_string(), "{body}");
    }
    let (status, body) = get(&fake, "/v1/orgs/1/actions/records");
    assert_eq!((status, body), (200, json!({ "data": { "items": [], "count": 0 }, "errors": null })));
}

#[tokio::test]
async fn a_search_is_read_in_each_encoding() {
    use SearchEncoding::{DeepObject, Json, Plain};
    let fake = fake(120);
    let failed = RecordsQuery::new().search("state.status", "failed");
    for encoding in [DeepObject, Plain, Json] {
        let client = builder(&fake).search_encoding(encoding).build().unwrap();
        for server in [DeepObject, Plain, Json] {
            fake.arklow().search_encoding(server);
            let count = client.records().count(failed.clone()).await;
            // A search in another encoding is ignored.
            let expected = if encoding == server { 15 } else { 120 };
            assert_eq!(count.unwrap(), expected, "{encoding:?} for {server:?}");
        }
    }
    fake.arklow().search_encoding(DeepObject);
    let client = client(&fake);
    let count = async |query: RecordsQuery| client.records().count(query).await.unwrap();
    assert_eq!(count(RecordsQuery::new().search("timeout", "300")).await, 40);
    assert_eq!(count(RecordsQuery::new().search("state.nothing", "null")).await, 0);
    assert_eq!(count(RecordsQuery::new().variant("refund")).await, 40);
    assert_eq!(count(RecordsQuery::new().variant("refund").version(1)).await, 13);
    assert_eq!(count(RecordsQuery::new().action_definition("5002")).await, 40);
    assert_eq!(page(&client, RecordsQuery::new().variant("refund")).await.records().count(), 40);
}

#[tokio::test]
async fn parts_of_a_record_are_included_on_request() {
    let fake = fake(1);
    let client = client(&fake);
    let parts = async |query: RecordsQuery| {
        let record = page(&client, query).await.into_records().unwrap().remove(0);
        (record.state.is_some(), record.definition.is_some(), record.events.is_some())
    };
    let all = RecordsQuery::new().include_state().include_definition();
    assert_eq!(parts(RecordsQuery::new()).await, (false, false, true));
    assert_eq!(parts(RecordsQuery::new().include_definition()).await, (false, true, true));
    assert_eq!(parts(all.clone()).await, (true, true, true));
    fake.arklow().events_shown(EventsShown::WithState);
    assert_eq!(parts(RecordsQuery::new()).await, (false, false, false));
    assert_eq!(parts(RecordsQuery::new().include_state()).await, (true, false, true));
    fake.arklow().events_shown(EventsShown::Never);
    assert_eq!(parts(all).await, (true, true, false));
}

#[tokio::test]
async fn all_records_are_delivered_whatever_the_scope_of_the_count() {
    let fake = fake(120);
    let held = walked(&client(&fake)).await;
    assert_eq!(held.len(), 120);
    for count in [FakeTotal::All, FakeTotal::OfPage, FakeTotal::Absent, FakeTotal::Always(7), FakeTotal::Always(0)] {
        fake.arklow().count_scope(count);
        assert_eq!(walked(&client(&fake)).await, held, "{count:?}");
        let total = match count {
            FakeTotal::All => TotalScope::Listing,
            _ => TotalScope::Page,
        };
        assert_eq!(walked(&builder(&fake).count_scope(total).build().unwrap()).await, held, "{count:?} as {total:?}");
    }
}

#[tokio::test]
async fn a_count_of_all_records_saves_the_last_request() {
    let fake = fake(120);
    walked(&client(&fake)).await;
    let open = fake.requests().len();
    walked(&builder(&fake).count_scope(TotalScope::Listing).build().unwrap()).await;
    assert!(fake.requests().len() - open <= open, "{} after {open}", fake.requests().len());
}

#[tokio::test]
async fn the_oldest_may_come_first() {
    let fake = fake(20);
    let mut held = walked(&client(&fake)).await;
    fake.arklow().head_is(FakeOrder::Oldest);
    held.reverse();
    assert_eq!(walked(&client(&fake)).await, held);
    // New records are added at the end, and are scanned.
    let mut records = client(&fake).records().list(()).page_size(7).items();
    records.next().await.unwrap().unwrap();
    fake.arklow().add_sample_records("4711", 3);
    assert_eq!(records.try_fold(1, async |count, _| Ok(count + 1)).await.unwrap(), 23);
}

#[tokio::test]
async fn errors_next_to_records_are_reported_and_the_records_are_yielded() {
    let fake = fake(20);
    fake.arklow().trouble("shard_down", "one of 3 shards didn't answer");
    let client = client(&fake);
    let mut records = client.records().list(()).items();
    let (mut read, mut partial) = (0, Vec::new());
    while let Some(record) = records.next().await {
        match record {
            Ok(_) => read += 1,
            Err(error) => partial.push(error),
        }
    }
    assert_eq!(read, 20);
    assert!(!partial.is_empty());
    assert!(partial.iter().all(|it| it.kind() == ErrorKind::Partial && it.api().unwrap().name() == Some("shard_down")));
    let error = client.records().count(()).await.unwrap_err();
    assert_eq!((error.kind(), error.partial_count()), (ErrorKind::Partial, Some(20)));
    fake.arklow().clear_trouble();
    assert_eq!(client.records().count(()).await.unwrap(), 20);
}

#[tokio::test]
async fn a_failure_with_status_200_is_a_failure() {
    let fake = fake(1);
    fake.arklow().accept_key("another").failures_have_status(200);
    let error = client(&fake).records().list(()).page().await.unwrap_err();
    assert_eq!((error.kind(), error.api().unwrap().name()), (ErrorKind::ApiFailure, Some("unauthorized")));
    let error = client(&fake).records().count(()).await.unwrap_err();
    assert_eq!((error.kind(), error.api().unwrap().name()), (ErrorKind::ApiFailure, Some("unauthorized")));
}
