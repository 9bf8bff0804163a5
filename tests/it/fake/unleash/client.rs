//! What a client of the fake Unleash sees.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use crate::fake::unleash::{EVENTS, client, fake, held, ids, request};
use actionlog::testing::{FakeServer, Oversized};
use actionlog::{Body, ErrorKind, HttpClient, HttpError, HttpResponse, UnleashClient, WriteOutcome};
use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{Method, Request};
use tokio::time::Instant;

async fn walked(client: &UnleashClient, page_size: u32) -> actionlog::Result<Vec<i64>> {
    let events = client.action_set_events().list(("default", 1)).page_size(page_size).items();
    events.map_ok(|event| event.id.into_inner()).try_collect().await
}

async fn error_of(fake: &FakeServer) -> actionlog::Error {
    client(fake).action_set_events().list(("default", 1)).page().await.unwrap_err()
}

/// The response with its whole body, through one of the fake's doors.
async fn through(door: &dyn HttpClient, request: Request<Bytes>) -> HttpResponse {
    let (head, body) = door.send(request).await.unwrap().into_parts();
    let body = body.try_fold(Vec::new(), async |mut whole, piece| {
        whole.extend_from_slice(&piece);
        Ok(whole)
    });
    HttpResponse::from_parts(head, body.await.unwrap().into())
}

#[tokio::test]
async fn both_transports_of_the_fake_send_the_same_bytes() {
    let make = || {
        let fake = fake(60);
        fake.unleash().accept_token("user:good").accept_token_of_wrong_kind("backend").add_raw("default", 1, "null");
        fake
    };
    let (near, far) = (make(), make());
    let server = far.listen().await.unwrap();
    let network = actionlog::ReqwestClient::new(None).unwrap();
    for (method, target, credentials) in [
        (Method::GET, format!("{EVENTS}?limit=50&offset=0"), Some("user:good")),
        (Method::GET, format!("{EVENTS}?limit=50&offset=50"), Some("Bearer user:good")),
        (Method::HEAD, EVENTS.to_owned(), Some("user:good")),
        (Method::GET, EVENTS.to_owned(), None),
        (Method::GET, EVENTS.to_owned(), Some("bad")),
        (Method::GET, EVENTS.to_owned(), Some("backend")),
        (Method::GET, format!("{EVENTS}?limit=1&limit=2"), Some("user:good")),
        (Method::GET, format!("{EVENTS}?offset=1e30"), Some("user:good")),
        (Method::GET, "//api//admin/none?a=b".to_owned(), Some("user:good")),
        (Method::GET, "/".to_owned(), None),
        (Method::POST, "/".to_owned(), None),
    ] {
        let mut to_network = request(&format!("{}{target}", server.url()), credentials);
        *to_network.method_mut() = method.clone();
        let mut to_memory = request(&format!("http://localhost{target}"), credentials);
        *to_memory.method_mut() = method;
        let mut near = through(&near.http_client(), to_memory).await;
        let mut far = through(&network, to_network).await;
        if far.headers_mut().remove("transfer-encoding").is_some() {
            // It was compressed and chunked, so it has no length.
            assert_eq!(far.headers().get("content-length"), None);
            near.headers_mut().remove("content-length");
        }
        assert_eq!(near.status(), far.status(), "{target}");
        assert_eq!(near.headers(), far.headers(), "{target}");
        assert_eq!(near.body(), far.body(), "{target}");
    }
    let seen =
        |fake: &FakeServer| fake.requests().into_iter().map(|it| (it.method, it.path, it.query)).collect::<Vec<_>>();
    assert_eq!(seen(&near), seen(&far));
    server.stop().await;
}

#[tokio::test]
async fn a_page_size_above_the_largest_loses_nothing() {
    let fake = fake(120);
    for oversized in [Oversized::DefaultPage, Oversized::LargestPage] {
        fake.unleash().oversized(oversized);
        assert_eq!(walked(&client(&fake), 1000).await.unwrap(), held(120), "{oversized:?}");
    }
}

/// Adds events at the head and removes others before every request.
#[derive(Debug)]
struct Meddler {
    fake: FakeServer,
    random: Mutex<u64>,
}

impl Meddler {
    fn below(&self, most: u64) -> u64 {
        let mut state = self.random.lock().unwrap();
        (crate::support::next_random(&mut state) >> 33) % most
    }
}

#[async_trait::async_trait]
impl HttpClient for Meddler {
    async fn send(&self, request: Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let unleash = self.fake.unleash();
        if self.below(3) == 0 {
            unleash.add_sample_events("default", 1, self.below(6) as usize);
        }
        if self.below(3) == 0 {
            for _ in 0..self.below(6) {
                let log = unleash.log("default", 1);
                log.remove(self.below(log.len() as u64 + 1) as usize);
            }
        }
        self.fake.http_client().send(request).await
    }
}

#[tokio::test]
async fn events_that_stay_are_yielded_once_whatever_else_changes() {
    for seed in 0..150 {
        let meddler = Meddler { fake: FakeServer::new(), random: Mutex::new(seed) };
        let fake = meddler.fake.clone();
        let (count, largest, page_size) = (meddler.below(70), 2 + meddler.below(12), 2 + meddler.below(12));
        fake.unleash().add_sample_events("default", 1, count as usize).largest_page(largest as u32);
        let client = UnleashClient::builder("http://localhost").api_key("k").http_client(meddler).build().unwrap();

        let before = held(count as usize);
        let read = match walked(&client, page_size as u32).await {
            Ok(read) => read,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Incomplete, "{seed}");
                continue;
            }
        };
        fake.unleash().largest_page(u32::MAX);
        let after = ids(&fake, "?limit=100000");
        let missed: Vec<_> = before.iter().filter(|it| after.contains(it) && !read.contains(it)).collect();
        let case = format!("seed {seed}: {count} by {page_size}, at most {largest}");
        assert!(missed.is_empty(), "{case}: {missed:?} of {before:?} missed in {read:?}");
        assert_eq!(read.iter().collect::<HashSet<_>>().len(), read.len(), "{case}: some came twice");
    }
}

#[tokio::test]
async fn a_wrong_token_is_unauthorized() {
    let fake = fake(1);
    fake.unleash().accept_token("user:another");
    let error = error_of(&fake).await;
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Unauthorized, WriteOutcome::NotApplied));
    assert_eq!(error.api().unwrap().name(), Some("UnauthorizedError"));
    assert!(error.hint().unwrap().contains("expired"));
}

#[tokio::test]
async fn a_token_of_the_wrong_kind_is_forbidden_and_the_hint_says_which_kinds_are_right() {
    let fake = fake(1);
    fake.unleash().accept_token_of_wrong_kind("user:good");
    let error = error_of(&fake).await;
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.hint().unwrap().contains("personal access token"), "{error}");
}

#[tokio::test]
async fn a_user_without_the_permission_is_forbidden_and_the_hint_says_so() {
    let fake = fake(1);
    fake.unleash().accept_token_without_permission("user:good");
    let error = error_of(&fake).await;
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.hint().unwrap().contains("lacks the permission"), "{error}");
    assert!(error.to_string().contains("\"ADMIN\" permission"), "{error}");
}

#[tokio::test]
async fn an_open_source_server_is_not_found_and_the_hint_names_enterprise() {
    let fake = fake(1);
    fake.unleash().open_source();
    let error = error_of(&fake).await;
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().unwrap().contains("Enterprise"), "{error}");
}

#[tokio::test]
async fn a_base_url_without_its_path_gets_a_web_page_and_the_hint_names_the_base_url() {
    let fake = fake(1);
    let client = UnleashClient::builder("http://localhost/unleash")
        .api_key("k")
        .http_client(fake.http_client())
        .build()
        .unwrap();
    let error = client.action_set_events().list(("default", 1)).page().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotJson);
    assert!(error.hint().unwrap().contains("base URL"), "{error}");
}

#[tokio::test]
async fn a_record_that_is_not_json_invalidates_its_page() {
    let fake = fake(1);
    fake.unleash().add_raw("default", 1, "{oops");
    assert_eq!(error_of(&fake).await.kind(), ErrorKind::Decode);
}

#[tokio::test(start_paused = true)]
async fn latency_uses_the_paused_clock_and_counts_for_the_attempt_timeout() {
    let fake = fake(1);
    let door = fake.http_client().latency(Duration::from_secs(20));
    let client = UnleashClient::builder("http://localhost").api_key("k").http_client(door).build().unwrap();
    let begin = Instant::now();
    client.action_set_events().list(("default", 1)).page().await.unwrap();
    assert_eq!(begin.elapsed(), Duration::from_secs(20));

    let hurried = client.action_set_events().list(("default", 1)).attempt_timeout(Duration::from_secs(19));
    let error = hurried.operation_timeout(Duration::from_secs(19)).page().await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, WriteOutcome::Unknown));
    assert!(fake.requests().len() >= 2);
}

#[tokio::test]
async fn a_stopped_server_refuses_connections() {
    let fake = fake(1);
    let server = fake.listen().await.unwrap();
    let client = UnleashClient::builder(server.url()).api_key("k").operation_timeout(Duration::from_millis(300));
    let client = client.build().unwrap();
    let listing = client.action_set_events().list(("default", 1));
    listing.clone().page().await.unwrap();
    server.stop().await;
    // The pooled connection's end may not have been seen yet.
    let _ = listing.clone().page().await;
    let error = listing.page().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Connect | ErrorKind::Timeout), "{error}");
}

#[tokio::test]
async fn a_dropped_server_refuses_connections_and_closes_those_it_has() {
    let server = FakeServer::new().listen().await.unwrap();
    let address = server.url().trim_start_matches("http://").to_owned();
    let mut open = tokio::net::TcpStream::connect(&address).await.unwrap();
    drop(server);
    let mut rest = Vec::new();
    let closed = tokio::io::AsyncReadExt::read_to_end(&mut open, &mut rest);
    // A reset is an end as well as a close.
    let _ = tokio::time::timeout(Duration::from_secs(5), closed).await.expect("the connection is closed");
    let error = tokio::net::TcpStream::connect(&address).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}
