//! Faults on demand, in memory and over a connection.

use std::time::Duration;

use actionlog::testing::{FakeServer, Fault};
use actionlog::{ArklowClient, ErrorKind, IntegrationClient, RetryPolicy, UnleashClient, WriteOutcome};

use crate::fake::{LOGS, get};
use crate::support::{pending_input, promptly};

#[tokio::test]
async fn the_port_can_be_chosen_and_compression_works_over_it() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let fake = FakeServer::new();
    fake.unleash().add_sample_events("default", 1, 20);
    let server = fake.listen_on(free).await.unwrap();
    assert_eq!((server.address(), server.url()), (free, format!("http://{free}")));
    assert_eq!(fake.listen_on(free).await.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    let client = UnleashClient::builder(server.url()).api_key("user:any").build().unwrap();
    let page = promptly(client.action_set_events().list(("default", 1)).page().with_response()).await.unwrap();
    assert_eq!(page.value.len(), 20);
    assert!(page.headers.contains_key("etag"));
    assert_eq!(fake.requests()[0].has_header("accept-encoding"), cfg!(feature = "gzip"));
    server.stop().await;
}

#[tokio::test]
async fn faults_apply_to_the_requests_of_their_path() {
    let fake = FakeServer::new();
    fake.integration().add_sample_logs(3);
    fake.arklow().add_sample_records("4711", 3);
    let logs = IntegrationClient::builder("http://localhost").api_key("any").http_client(fake.http_client());
    let logs = logs.retry(RetryPolicy::never()).build().unwrap();
    let records =
        ArklowClient::builder("4711").api_key("any").http_client(fake.http_client()).retry(RetryPolicy::never());
    let records = records.build().unwrap();
    fake.fail_next_at("/v1/", Fault::Status(503))
        .fail_next_at("/integration-action-logs/", Fault::Status(403))
        .fail_next_at("/v1/", Fault::EmptyOnce)
        .fail_next(Fault::Status(429));
    // A fault for any path applies to the first request that no earlier fault applies to.
    assert_eq!(logs.logs().list(()).page().await.unwrap_err().kind(), ErrorKind::RateLimited);
    assert_eq!(logs.logs().list(()).page().await.unwrap().len(), 3);
    assert_eq!(records.records().list(()).page().await.unwrap_err().kind(), ErrorKind::Server);
    assert_eq!(records.records().list(()).page().await.unwrap().len(), 0);
    assert_eq!(records.records().list(()).page().await.unwrap().len(), 3);
    assert!(logs.logs().get("any").await.unwrap_err().is_forbidden());
    assert!(logs.logs().get("any").await.unwrap_err().is_not_found());
}

#[tokio::test(start_paused = true)]
async fn a_hang_and_a_reset_work_in_memory() {
    let fake = FakeServer::new();
    let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(fake.http_client());
    let client = client.build().unwrap();
    fake.fail_next(Fault::Hang);
    let began = tokio::time::Instant::now();
    let error = client.logs().create(pending_input()).await.unwrap_err();
    assert!(error.is_timeout() && began.elapsed() == Duration::from_secs(30), "{error}");
    assert_eq!((error.outcome(), error.attempts()), (WriteOutcome::Unknown, 1));
    fake.fail_next(Fault::Reset);
    let error = client.logs().create(pending_input()).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Transport, WriteOutcome::Unknown));
    fake.fail_next(Fault::Hang).fail_next(Fault::Reset);
    assert_eq!(client.logs().list(()).page().await.unwrap().len(), 0, "what reads is asked again");
    fake.fail_next(Fault::Hang);
    assert_eq!(get(&fake, LOGS).0, 504, "a function can't hang");
}

#[tokio::test]
async fn a_hang_and_a_reset_work_over_the_network() {
    let fake = FakeServer::new();
    let server = fake.listen().await.unwrap();
    let client = IntegrationClient::builder(server.url()).api_key("any").retry(RetryPolicy::never()).build().unwrap();
    client.logs().list(()).page().await.unwrap();
    fake.fail_next(Fault::Reset);
    let error = promptly(client.logs().create(pending_input())).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Transport, WriteOutcome::Unknown));
    assert!(format!("{error:?}").contains("ConnectionReset"), "{error:?}");
    fake.fail_next(Fault::Hang);
    let error = promptly(client.logs().list(()).page().attempt_timeout(Duration::from_millis(50))).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    promptly(client.logs().create(pending_input())).await.unwrap();
    fake.fail_next(Fault::Hang);
    let hanging = tokio::spawn(client.logs().list(()).page());
    tokio::time::sleep(Duration::from_millis(20)).await;
    promptly(server.stop()).await;
    assert!(promptly(hanging).await.unwrap().is_err());
}
