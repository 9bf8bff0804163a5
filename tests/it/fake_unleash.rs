//! The fake Unleash server: its responses, and that the client reads them in memory and over the network.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use actionlog::testing::{FakeServer, Oversized, sample};
use actionlog::unleash::{ActionSetEvent, ActionSetEventState};
use actionlog::{Body, ErrorKind, HttpClient, HttpError, HttpResponse, UnleashClient, WriteOutcome};
use bytes::Bytes;
use futures_util::TryStreamExt;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{Method, Request};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

const EVENTS: &str = "/api/admin/projects/default/actions/1/events";

fn fake(events: usize) -> FakeServer {
    let fake = FakeServer::new();
    fake.unleash().add_sample_events("default", 1, events);
    fake
}

fn client(fake: &FakeServer) -> UnleashClient {
    UnleashClient::builder("http://localhost").api_key("user:good").http_client(fake.http_client()).build().unwrap()
}

fn request(target: &str, credentials: Option<&str>) -> Request<Bytes> {
    let mut request = Request::get(target).body(Bytes::new()).unwrap();
    if let Some(credentials) = credentials {
        request.headers_mut().insert(AUTHORIZATION, credentials.parse().unwrap());
    }
    request
}

fn get(fake: &FakeServer, target: &str, credentials: Option<&str>) -> (u16, Value) {
    let answer = fake.respond(&request(target, credentials));
    assert_eq!(answer.headers()[CONTENT_TYPE], "application/json; charset=utf-8", "{target}");
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap())
}

fn keys(body: &Value) -> Vec<&str> {
    body.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The ids on a page, as the fake gives it.
fn ids(fake: &FakeServer, query: &str) -> Vec<i64> {
    let (status, body) = get(fake, &format!("{EVENTS}{query}"), None);
    assert_eq!(status, 200, "{query}");
    body["actionSetEvents"].as_array().unwrap().iter().map(|it| it["id"].as_i64().unwrap()).collect()
}

fn held(count: usize) -> Vec<i64> {
    sample::action_set_events(count).iter().map(|it| it["id"].as_i64().unwrap()).collect()
}

async fn walked(client: &UnleashClient, page_size: u32) -> actionlog::Result<Vec<i64>> {
    let events = client.action_set_events().list(("default", 1)).page_size(page_size).items();
    events.map_ok(|event| event.id.into_inner()).try_collect().await
}

async fn error_of(fake: &FakeServer) -> actionlog::Error {
    client(fake).action_set_events().list(("default", 1)).page().await.unwrap_err()
}

#[test]
fn sample_events_are_valid_and_cover_every_kind_of_outcome() {
    let events: Vec<_> =
        sample::action_set_events(120).iter().map(|it| ActionSetEvent::deserialize(it).unwrap()).collect();
    assert_eq!(events.len(), 120);
    assert!(events.is_sorted_by(|newer, older| newer.id > older.id && newer.created_at > older.created_at));
    assert!(events.iter().all(|it| it.signal.created_at < it.created_at && it.signal_id == it.signal.id));

    for state in ActionSetEventState::KNOWN {
        assert!(events.iter().any(|it| it.state == *state), "{state}");
    }
    assert!(events.iter().all(|it| it.state.is_final().is_some()));
    for event in &events {
        let failed = event.state == ActionSetEventState::Failed;
        assert_eq!(event.failed_action().and_then(|it| it.details.as_ref()).is_some(), failed, "{}", event.id);
    }
    let names: HashSet<_> = events.iter().flat_map(|it| &it.action_set.actions).map(|it| &it.action).collect();
    assert!(names.len() >= 3, "{names:?}");
}

#[test]
fn sample_events_are_deterministic_and_continue_where_they_ended() {
    assert_eq!(sample::action_set_events(120), sample::action_set_events(120));
    assert_eq!(sample::action_set_events(120)[20..], sample::action_set_events(100)[..]);
    let fake = fake(40);
    fake.unleash().add_sample_events("default", 1, 20);
    assert_eq!(ids(&fake, "?limit=100"), held(60));
    fake.unleash().log("default", 1).remove(30);
    fake.unleash().add_sample_events("default", 1, 1);
    assert_eq!(ids(&fake, "?limit=1"), held(61)[..1]);
}

#[test]
fn events_are_listed_newest_first_and_can_be_removed() {
    let fake = fake(3);
    fake.unleash().log("default", 1).add(serde_json::json!({ "id": 77 })).unwrap();
    assert_eq!(ids(&fake, "")[0], 77);
    assert_eq!(fake.unleash().log("default", 1).remove(0).as_deref(), Some(r#"{"id":77}"#));
    assert_eq!(fake.unleash().log("default", 1).remove(3), None);
    assert_eq!(fake.unleash().log("other", 1).remove(0), None);
    assert_eq!(fake.unleash().log("default", 1).len(), 3);
    assert_eq!(ids(&fake, ""), held(3));
}

#[test]
fn projects_and_action_sets_are_kept_apart_and_unknown_ones_are_empty() {
    let fake = fake(2);
    fake.unleash().add_sample_events("web shop", 2, 1);
    let (_, body) = get(&fake, "/api/admin/projects/web%20shop/actions/2/events", None);
    assert_eq!(body["actionSetEvents"][0]["actionSetId"], 2);
    assert_eq!(body["actionSetEvents"][0]["actionSet"]["project"], "web shop");
    for path in ["projects/default/actions/2/events", "projects/none/actions/1/events"] {
        let (status, body) = get(&fake, &format!("/api/admin/{path}"), None);
        assert_eq!((status, body), (200, serde_json::json!({ "actionSetEvents": [] })), "{path}");
    }
}

#[test]
fn limits_and_offsets_are_read_leniently() {
    let fake = fake(120);
    for (query, count) in [
        ("", 50),
        ("?limit=1", 1),
        ("?limit=0", 50),
        ("?limit=-1", 50),
        ("?limit=abc", 50),
        ("?limit=", 50),
        ("?limit=1.5", 1),
        ("?limit=1e1", 10),
        ("?limit=0x10", 16),
        ("?limit=%2B5", 5),
        ("?limit=%205", 5),
        ("?limit=100", 100),
        ("?limit=101", 50),
        ("?limit=99999999999999999999", 50),
        ("?limit=Infinity", 50),
        ("?limit=50&offset=100", 20),
        ("?limit=50&offset=120", 0),
        ("?limit=50&offset=100000", 0),
        ("?limit=1&nope=1", 1),
    ] {
        assert_eq!(ids(&fake, query).len(), count, "{query}");
    }
    for (offset, first) in [("-1", 0), ("abc", 0), ("Infinity", 0), ("", 0), ("1.5", 1), ("7", 7)] {
        assert_eq!(ids(&fake, &format!("?limit=1&offset={offset}")), held(120)[first..=first], "{offset}");
    }
}

#[test]
fn the_largest_page_and_the_reaction_to_larger_limits_are_settings() {
    let fake = fake(120);
    fake.unleash().largest_page(60);
    assert_eq!(ids(&fake, "?limit=61").len(), 50);
    fake.unleash().oversized(Oversized::LargestPage);
    assert_eq!(ids(&fake, "?limit=61").len(), 60);
    fake.unleash().largest_page(7);
    assert_eq!(ids(&fake, "").len(), 7);
}

#[test]
fn a_limit_that_is_repeated_or_an_object_is_rejected() {
    for query in ["limit=1&limit=2", "limit[]=1", "limit[a]=1", "offset=1&offset=1"] {
        let (status, body) = get(&fake(1), &format!("{EVENTS}?{query}"), None);
        assert_eq!((status, keys(&body)), (400, vec!["details", "id", "message", "name"]), "{query}");
        assert_eq!(body["name"], "BadDataError");
        assert_eq!(keys(&body["details"][0]), ["message", "path"]);
    }
}

#[test]
fn an_offset_that_the_database_rejects_is_a_500_without_an_id() {
    let (status, body) = get(&fake(1), &format!("{EVENTS}?limit=1&offset=99999999999999999999"), None);
    assert_eq!((status, keys(&body)), (500, vec!["details", "message", "name"]));
    assert_eq!(body["name"], "UnknownError");
    assert!(body["message"].as_str().unwrap().ends_with("\"100000000000000000000\" is out of range for type bigint"));
}

#[test]
fn a_missing_token_and_a_wrong_one_get_different_bodies() {
    let fake = fake(1);
    fake.unleash().accept_token("user:good");
    for none in [None, Some(""), Some("  ")] {
        let (status, body) = get(&fake, EVENTS, none);
        assert_eq!(status, 401);
        assert_eq!(body["name"], "AuthenticationRequired");
        assert_eq!(keys(&body), ["defaultHidden", "details", "id", "message", "name", "path", "type"]);
    }
    for wrong in
        ["bad", "Bearer bad", "Bearer", "user:GOOD", "Basic user:good", "Bearer Bearer user:good", "\"user:good\""]
    {
        let (status, body) = get(&fake, EVENTS, Some(wrong));
        assert_eq!((status, keys(&body)), (401, vec!["details", "id", "message", "name"]), "{wrong}");
        assert_eq!(body["name"], "UnauthorizedError");
    }
    for good in
        ["user:good", "Bearer user:good", "bearer user:good", "BEARER  user:good", "Bearer\tuser:good", " user:good "]
    {
        assert_eq!(get(&fake, EVENTS, Some(good)).0, 200, "{good:?}");
    }
}

#[test]
fn a_token_of_the_wrong_kind_and_a_user_without_the_permission_get_different_bodies() {
    let fake = fake(1);
    fake.unleash().accept_token_of_wrong_kind("backend").accept_token_without_permission("viewer");
    let (status, body) = get(&fake, EVENTS, Some("Bearer backend"));
    assert_eq!((status, keys(&body)), (403, vec!["message"]));
    let (status, body) = get(&fake, EVENTS, Some("viewer"));
    assert_eq!((status, keys(&body)), (403, vec!["details", "id", "message", "name", "permissions"]));
    assert_eq!(body["name"], "PermissionError");
    // No token was asked for, so others are as good as none.
    assert_eq!(get(&fake, EVENTS, Some("any")).0, 200);
    assert_eq!(get(&fake, EVENTS, None).0, 200);
}

#[test]
fn an_open_source_server_reports_a_missing_path_to_authenticated_requests() {
    let fake = fake(1);
    fake.unleash().open_source().accept_token("user:good").accept_token_without_permission("viewer");
    fake.unleash().accept_token_of_wrong_kind("backend");
    let (status, body) = get(&fake, EVENTS, Some("user:good"));
    assert_eq!((status, keys(&body)), (404, vec!["details", "id", "message", "name"]));
    assert_eq!(body["name"], "NotFoundError");
    assert_eq!(body["message"], format!("The path you were looking for ({EVENTS}) is not available."));
    assert_eq!(get(&fake, EVENTS, Some("viewer")).0, 404);
    assert_eq!(get(&fake, EVENTS, Some("backend")).0, 403);
    assert_eq!(get(&fake, EVENTS, Some("bad")).0, 401);
}

#[test]
fn an_unknown_path_of_the_api_is_not_found_and_slashes_are_collapsed() {
    let fake = fake(1);
    for (path, said) in [
        ("/api/api/admin/projects/default/actions/1/events", "/api/api/admin/projects/default/actions/1/events"),
        ("/api/admin/projects//actions/1/events", "/api/admin/projects/actions/1/events"),
        ("/API/ADMIN/PROJECTS", "/api/ADMIN/PROJECTS"),
        ("/api", "/api"),
    ] {
        let (status, body) = get(&fake, path, None);
        assert_eq!(status, 404, "{path}");
        assert_eq!(body["message"], format!("The path you were looking for ({said}) is not available."));
    }
    for path in [format!("/{EVENTS}"), format!("{EVENTS}/"), EVENTS.replace("/api/admin", "/API//Admin")] {
        assert_eq!(get(&fake, &path, None).0, 200, "{path}");
    }
    let mut post = request(EVENTS, None);
    *post.method_mut() = Method::POST;
    assert_eq!(fake.respond(&post).status(), 404);
}

#[test]
fn a_path_outside_of_api_is_a_web_page_without_authentication() {
    let fake = fake(1);
    fake.unleash().accept_token("user:good");
    for path in ["/", "/admin/projects/default/actions/1/events", "/apis"] {
        let answer = fake.respond(&request(path, None));
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
    }
}

#[test]
fn a_head_request_gets_the_length_without_the_body() {
    let fake = fake(3);
    let mut head = request(EVENTS, None);
    *head.method_mut() = Method::HEAD;
    let (head, whole) = (fake.respond(&head), fake.respond(&request(EVENTS, None)));
    assert!(head.body().is_empty());
    assert_eq!(head.headers(), whole.headers());
    assert_eq!(whole.headers()[CONTENT_LENGTH], whole.body().len().to_string());
}

#[test]
fn received_requests_have_no_credentials() {
    let fake = FakeServer::new();
    fake.unleash().accept_token("user:secret");
    drop(fake.respond(&request(&format!("{EVENTS}?limit=2&offset=1"), Some("user:secret"))));
    let seen = &fake.requests()[0];
    assert_eq!((&seen.method, seen.path.as_str()), (&Method::GET, EVENTS));
    assert_eq!(seen.query, "limit=2&offset=1");
    assert_eq!(seen.parameter("offset").as_deref(), Some("1"));
    assert!(seen.has_header("Authorization"));
    assert!(!format!("{seen:?}{fake:?}{:?}{:?}", fake.unleash(), fake.http_client()).contains("secret"));
}

/// Through a door: the answer with its whole body.
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
            // It was compressed, came in chunks, and with that its length is gone.
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

/// Adds events at the head and takes others away before every request.
#[derive(Debug)]
struct Meddler {
    fake: FakeServer,
    random: Mutex<u64>,
}

impl Meddler {
    fn below(&self, most: u64) -> u64 {
        let mut state = self.random.lock().unwrap();
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) % most
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
async fn a_base_url_without_its_path_meets_a_web_page_and_the_hint_names_the_base_url() {
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
