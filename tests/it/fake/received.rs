//! Assertions on requests, scripted histories, and faults by chance.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use actionlog::testing::{FakeServer, Fault, Received, RequestKind};
use actionlog::{ArklowClient, IntegrationClient, RetryPolicy, UnleashClient};
use http::Method;
use serde_json::Value;

use super::{EVENTS, LOGS, RECORDS, get, send};

/// The message of an assertion that fails.
fn message(assertion: impl FnOnce()) -> String {
    let error = catch_unwind(AssertUnwindSafe(assertion)).expect_err("the assertion fails");
    error.downcast_ref::<String>().cloned().or_else(|| error.downcast_ref::<&str>().map(|it| (*it).to_owned())).unwrap()
}

/// A server that has received one request of each kind, and more.
fn asked() -> FakeServer {
    let fake = FakeServer::new();
    fake.integration().add_sample_logs(2);
    let log: Value = serde_json::from_str(&fake.integration().log().raw_records()[0]).unwrap();
    let one = format!("{LOGS}/{}", log["_id"].as_str().unwrap());
    get(&fake, &format!("{LOGS}?limit=50&offset=0"));
    send(&fake, Method::POST, LOGS, &[("x-tenant", "shop")], &log.to_string());
    get(&fake, &one);
    send(&fake, Method::PUT, &one, &[], &log.to_string());
    send(&fake, Method::DELETE, &one, &[], "");
    get(&fake, &format!("{RECORDS}?count_only=true"));
    get(&fake, &format!("{RECORDS}?take=50"));
    get(&fake, EVENTS);
    fake.fail_next(Fault::Hang);
    get(&fake, &format!("{EVENTS}?offset=a%20b"));
    get(&fake, "/elsewhere");
    fake
}

#[test]
fn requests_are_told_apart_by_api_kind_query_header_path_and_status() {
    use RequestKind::{Count, Create, Delete, Get, List, Other, Update};
    let received = asked().received();
    received.in_order(&[List, Create, Get, Update, Delete, Count, List, List, List, Other]);
    let of = |narrow: fn(Received) -> Received| narrow(received.clone()).len();
    assert_eq!((of(Received::integration), of(Received::arklow), of(Received::unleash)), (5, 2, 2));
    assert_eq!((of(Received::lists), of(Received::counts), of(Received::gets)), (4, 1, 1));
    assert_eq!((of(Received::creates), of(Received::updates), of(Received::deletes)), (1, 1, 1));
    assert_eq!(of(|it| it.lists().unleash()), 2);
    assert_eq!(of(|it| it.with_query("offset", 0)), 1);
    assert_eq!(of(|it| it.with_query("offset", "a b")), 1, "decoded");
    assert_eq!(of(|it| it.lists().without_query("offset")), 2);
    assert_eq!(of(|it| it.with_header("X-Tenant")), 1);
    assert_eq!(of(|it| it.with_path(LOGS)), 2);
    assert_eq!(of(|it| it.with_status(201)), 1);
    assert_eq!(of(Received::without_response), 1);
    assert_eq!(of(|it| it.matching("longer than 10", |it| it.body.len() > 10)), 2);
    assert!(received.clone().counts().unleash().is_empty());
    assert_eq!(received.creates().once().json::<Value>().unwrap()["entityType"], "order");
}

#[test]
fn what_a_server_refuses_or_does_not_have_is_of_no_kind() {
    let fake = FakeServer::new();
    for (method, path) in
        [(Method::POST, EVENTS), (Method::POST, RECORDS), (Method::DELETE, LOGS), (Method::GET, "/v1")]
    {
        send(&fake, method, path, &[], "");
    }
    fake.received().of_kind(RequestKind::Other).times(4);
}

#[test]
fn the_message_of_a_wrong_number_shows_what_came_instead() {
    let fake = FakeServer::new();
    get(&fake, &format!("{LOGS}?limit=50&offset=0"));
    send(&fake, Method::POST, LOGS, &[], "{}");
    let received = fake.received().integration().lists();
    assert_eq!(
        message(|| drop(received.times(2).clone())),
        "expected 2 requests: integration, list\n\
         received 1 of them, among 2 requests:\n    \
             1 *  list    GET /integration-action-logs?limit=50&offset=0 -> 200\n    \
             2    create  POST /integration-action-logs -> 422\n"
    );
    let missing = message(|| drop(fake.received().with_query("offset", 49).once()));
    assert!(
        missing.starts_with("expected 1 request: `offset=49`\nreceived 0 of them, among 2 requests:\n"),
        "{missing}"
    );
    let none = message(|| drop(FakeServer::new().received().once()));
    assert_eq!(none, "expected 1 request\nreceived 0 of them, among 0 requests:\n");
    received.times(1);
    fake.received().deletes().never();
}

#[test]
fn the_message_of_a_wrong_order_names_the_first_difference() {
    use RequestKind::{Create, List, Update};
    let fake = FakeServer::new();
    get(&fake, LOGS);
    send(&fake, Method::POST, LOGS, &[], "{}");
    for (expected, message_begins) in [
        (&[List, Update][..], "expected as request 2 (integration): update; received: create\n"),
        (&[List], "expected as request 2 (integration): nothing; received: create\n"),
        (&[List, Create, Update], "expected as request 3 (integration): update; received: nothing\n"),
    ] {
        let received = fake.received().integration();
        let message = message(|| drop(received.in_order(expected).clone()));
        assert!(message.starts_with(message_begins), "{message}");
        assert!(message.contains("1 *  list    GET /integration-action-logs -> 200\n"), "{message}");
    }
}

#[test]
fn the_message_of_many_requests_is_cut() {
    let fake = FakeServer::new();
    for _ in 0..70 {
        get(&fake, LOGS);
    }
    let message = message(|| drop(fake.received().never().clone()));
    assert!(
        message.ends_with("   60    list    GET /integration-action-logs -> 200\n      .. and 10 more\n"),
        "{message}"
    );
}

#[tokio::test]
async fn a_scripted_history_happens_at_its_requests_once() {
    let fake = FakeServer::new();
    fake.integration().add_sample_logs(300);
    let ids: Vec<String> = fake.integration().log().records::<Value>().unwrap()[100..103]
        .iter()
        .map(|it| it["_id"].as_str().unwrap().to_owned())
        .collect();
    let doomed = ids.clone();
    fake.at_request(2, |it| {
        it.integration().add_sample_logs(10);
    });
    fake.at_request(5, move |it| assert_eq!(it.integration().log().remove_ids(doomed), 3));
    let totals: Vec<_> = (0..7).map(|_| get(&fake, LOGS).1["total"].as_u64().unwrap()).collect();
    assert_eq!(totals, [300, 310, 310, 310, 307, 307, 307]);
    assert_eq!(fake.integration().log().remove_ids(ids), 0, "they are gone");

    // One for a request that has passed is made at the next; two for one request in their order.
    fake.at_request(1, |it| {
        it.integration().log().add_raw("1");
    });
    fake.at_request(8, |it| assert_eq!(it.integration().log().remove(0).as_deref(), Some("1")));
    assert_eq!(get(&fake, LOGS).1["total"], 307);
    fake.clear_requests();
    fake.at_request(2, |it| {
        it.integration().log().add_raw("2");
    });
    assert_eq!([get(&fake, LOGS).1["total"].as_u64(), get(&fake, LOGS).1["total"].as_u64()], [Some(307), Some(308)]);
}

#[test]
fn ids_are_numbers_or_strings() {
    let fake = FakeServer::new();
    let log = fake.unleash().log("default", 1);
    log.add_samples(3).add_raw(r#"{"id": "9001"}"#).add_raw("{}").add_raw("not JSON");
    assert_eq!(log.remove_ids([9001, 9002]), 3);
    assert_eq!(fake.arklow().log("1").remove_ids(["1"]), 0);
    assert_eq!(log.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn faults_by_chance_repeat_with_the_seed_and_scans_get_past_them() {
    let run = |seed| async move {
        let fake = FakeServer::new();
        fake.integration().add_sample_logs(400);
        for (index, fault) in [Fault::Status(503), Fault::Reset, Fault::ShortByOne].into_iter().enumerate() {
            fake.fail_randomly(fault, 0.05, seed + index as u64);
        }
        let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(fake.http_client());
        let client = client.retry(RetryPolicy::default().max_attempts(9)).build().unwrap();
        let all = client.logs().list(()).page_size(10).prefetch(1).collect().await;
        assert_eq!((all.items.len(), all.summary.verdict.is_complete()), (400, true), "{}", all.summary.verdict);
        fake.requests().iter().map(|it| it.status).collect::<Vec<_>>()
    };
    let (first, second) = (run(1).await, run(1).await);
    assert_eq!(first, second);
    let mut failed = 0;
    for seed in 2..40 {
        failed += run(seed * 10).await.iter().filter(|it| it.is_none_or(|it| it != 200)).count();
    }
    // Two of the three faults fail a request, of at least 45 each.
    assert!((90..=400).contains(&failed), "{failed}");
}

#[tokio::test(start_paused = true)]
async fn a_share_of_none_or_all_is_exact_and_a_queued_fault_comes_first() {
    let fake = FakeServer::new();
    let statuses = |count| (0..count).map(|_| get(&fake, LOGS).0).collect::<Vec<_>>();
    fake.fail_randomly(Fault::Status(503), 0.0, 1).fail_randomly(Fault::Status(503), -1.0, 1);
    fake.fail_randomly(Fault::Status(503), f64::NAN, 1);
    assert_eq!(statuses(50), [200; 50]);
    fake.fail_randomly(Fault::Status(500), 1.0, 1).fail_next(Fault::Status(429));
    fake.fail_randomly(Fault::Status(501), 2.0, 1);
    assert_eq!(statuses(3), [429, 500, 500]);
    fake.fail_next(Fault::Status(429)).clear_faults();
    assert_eq!(statuses(3), [200; 3]);
}

#[tokio::test(start_paused = true)]
async fn latency_delays_each_client_and_adds_to_the_clients_own() {
    let fake = FakeServer::new();
    fake.latency(Duration::from_millis(300));
    let http = fake.http_client().latency(Duration::from_millis(200));
    let unleash = UnleashClient::builder("http://localhost").api_key("any").http_client(http).build().unwrap();
    let arklow = ArklowClient::builder("4711").api_key("any").http_client(fake.http_client()).build().unwrap();
    let began = tokio::time::Instant::now();
    unleash.action_set_events().list(("default", 1)).page().await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_millis(500));
    arklow.records().count(()).await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_millis(800));
    // A port takes real time, which paused time would skip.
    tokio::time::resume();
    let server = fake.listen().await.unwrap();
    let client = UnleashClient::builder(server.url()).api_key("any").build().unwrap();
    let began = std::time::Instant::now();
    client.action_set_events().list(("default", 1)).page().await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
}
