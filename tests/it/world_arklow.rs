//! The fake Arklow: its switches, and that the client makes of them what it should.

use actionlog::arklow::{ActionRecord, ActionStatus, RecordsQuery, SearchEncoding};
use actionlog::page::Total;
use actionlog::testing::{CountMeans, EventsShown, HeadIs, World, sample};
use actionlog::{ArklowClient, ClientBuilder, ErrorKind, Page};
use futures_util::TryStreamExt;
use http::Request;
use serde::Deserialize;
use serde_json::{Value, json};

fn world(records: usize) -> World {
    let world = World::new();
    world.arklow().add_sample_records("4711", records);
    world
}

fn builder(world: &World) -> ClientBuilder<ArklowClient> {
    ArklowClient::builder("4711").api_key("good").exchange(world.exchange())
}

fn client(world: &World) -> ArklowClient {
    builder(world).build().unwrap()
}

fn get(world: &World, target: &str) -> (u16, Value) {
    let answer = world.answer(&Request::get(target).body(Default::default()).unwrap());
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap())
}

async fn page(client: &ArklowClient, query: impl Into<RecordsQuery>) -> Page<ActionRecord> {
    client.records().list(query).page().await.unwrap()
}

async fn walked(client: &ArklowClient) -> Vec<String> {
    let records = client.records().list(()).page_size(7).items();
    records.map_ok(|it| it.id.to_string()).try_collect().await.unwrap()
}

#[test]
fn sample_records_are_records_and_every_known_status_is_among_them() {
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
fn what_the_page_does_not_allow_is_refused_in_the_envelope() {
    let world = world(3);
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
        let (answered, body) = get(&world, path);
        assert_eq!((answered, &body["data"]), (status, &Value::Null), "{path}");
        assert!(body["errors"][0]["code"].is_string() && body["errors"][0]["message"].is_string(), "{body}");
    }
    let (status, body) = get(&world, "/v1/orgs/1/actions/records");
    assert_eq!((status, body), (200, json!({ "data": { "items": [], "count": 0 }, "errors": null })));
}

#[tokio::test]
async fn a_search_is_read_in_each_encoding() {
    use SearchEncoding::{DeepObject, Json, Plain};
    let world = world(120);
    let failed = RecordsQuery::new().search("state.status", "failed");
    for encoding in [DeepObject, Plain, Json] {
        let client = builder(&world).search_encoding(encoding).build().unwrap();
        for server in [DeepObject, Plain, Json] {
            world.arklow().search_encoding(server);
            let count = client.records().count(failed.clone()).await;
            // A search in another encoding is overlooked.
            let expected = if encoding == server { 15 } else { 120 };
            assert_eq!(count.unwrap(), expected, "{encoding:?} for {server:?}");
        }
    }
    world.arklow().search_encoding(DeepObject);
    let client = client(&world);
    let count = async |query: RecordsQuery| client.records().count(query).await.unwrap();
    assert_eq!(count(RecordsQuery::new().search("timeout", "300")).await, 40);
    assert_eq!(count(RecordsQuery::new().search("state.nothing", "null")).await, 0);
    assert_eq!(count(RecordsQuery::new().variant("refund")).await, 40);
    assert_eq!(count(RecordsQuery::new().variant("refund").version(1)).await, 13);
    assert_eq!(count(RecordsQuery::new().action_definition("5002")).await, 40);
    assert_eq!(page(&client, RecordsQuery::new().variant("refund")).await.records().count(), 40);
}

#[tokio::test]
async fn parts_of_a_record_come_where_they_are_asked_for() {
    let world = world(1);
    let client = client(&world);
    let parts = async |query: RecordsQuery| {
        let record = page(&client, query).await.into_records().unwrap().remove(0);
        (record.state.is_some(), record.definition.is_some(), record.events.is_some())
    };
    let all = RecordsQuery::new().include_state().include_definition();
    assert_eq!(parts(RecordsQuery::new()).await, (false, false, true));
    assert_eq!(parts(RecordsQuery::new().include_definition()).await, (false, true, true));
    assert_eq!(parts(all.clone()).await, (true, true, true));
    world.arklow().events_shown(EventsShown::WithState);
    assert_eq!(parts(RecordsQuery::new()).await, (false, false, false));
    assert_eq!(parts(RecordsQuery::new().include_state()).await, (true, false, true));
    world.arklow().events_shown(EventsShown::Never);
    assert_eq!(parts(all).await, (true, true, false));
}

#[tokio::test]
async fn whatever_the_count_means_all_records_are_read() {
    let world = world(120);
    let held = walked(&client(&world)).await;
    assert_eq!(held.len(), 120);
    for count in [CountMeans::All, CountMeans::OfPage, CountMeans::Absent, CountMeans::Always(7), CountMeans::Always(0)]
    {
        world.arklow().count_means(count);
        assert_eq!(walked(&client(&world)).await, held, "{count:?}");
        let total = match count {
            CountMeans::All => Total::OfListing,
            _ => Total::OfPage,
        };
        assert_eq!(walked(&builder(&world).count_means(total).build().unwrap()).await, held, "{count:?} as {total:?}");
    }
}

#[tokio::test]
async fn a_count_that_is_known_to_be_one_of_all_saves_the_last_request() {
    let world = world(120);
    walked(&client(&world)).await;
    let open = world.requests().len();
    walked(&builder(&world).count_means(Total::OfListing).build().unwrap()).await;
    assert!(world.requests().len() - open <= open, "{} after {open}", world.requests().len());
}

#[tokio::test]
async fn the_oldest_may_come_first() {
    let world = world(20);
    let mut held = walked(&client(&world)).await;
    world.arklow().head_is(HeadIs::Oldest);
    held.reverse();
    assert_eq!(walked(&client(&world)).await, held);
    // New ones come at the end, and are read.
    let mut records = client(&world).records().list(()).page_size(7).items();
    records.next().await.unwrap().unwrap();
    world.arklow().add_sample_records("4711", 3);
    assert_eq!(records.try_fold(1, async |count, _| Ok(count + 1)).await.unwrap(), 23);
}

#[tokio::test]
async fn errors_beside_records_are_seen_and_the_records_come() {
    let world = world(20);
    world.arklow().trouble("shard_down", "one of 3 shards didn't answer");
    let client = client(&world);
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
    world.arklow().clear_trouble();
    assert_eq!(client.records().count(()).await.unwrap(), 20);
}

#[tokio::test]
async fn a_failure_with_status_200_is_a_failure() {
    let world = world(1);
    world.arklow().accept_key("another").failures_have_status(200);
    let error = client(&world).records().list(()).page().await.unwrap_err();
    assert_eq!((error.kind(), error.api().unwrap().name()), (ErrorKind::Refused, Some("unauthorized")));
    let error = client(&world).records().count(()).await.unwrap_err();
    assert_eq!((error.kind(), error.api().unwrap().name()), (ErrorKind::Refused, Some("unauthorized")));
}
