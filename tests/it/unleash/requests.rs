//! The requests: their path, query, headers and bodies.

use std::time::Duration;

use actionlog::auth;
use actionlog::unleash::EventsQuery;
use actionlog::{ClientBuilder, Id, Json, Request, UnleashClient};
use serde_json::json;
use wiremock::MockServer;

use crate::support::{
    KEY, Raw, Then, builder, client, event, first_page, page_of, promptly, received, serve_json, unsigned,
};

const EMPTY: &str = r#"{"actionSetEvents":[]}"#;

fn empty_on_the_wire() -> Then {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", EMPTY.len());
    Then::Send((head + EMPTY).into_bytes())
}

/// The request line that a client sent.
async fn request_line<T: Send + 'static>(call: impl FnOnce(&UnleashClient) -> actionlog::Call<T>) -> String {
    let server = Raw::start(empty_on_the_wire()).await;
    promptly(call(&client(server.url()))).await.unwrap();
    server.heads()[0].lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn the_first_page_is_requested_by_the_documented_path_and_query() {
    let line = request_line(|it| it.action_set_events().list(("default", 1)).page()).await;
    assert_eq!(line, "GET /api/admin/projects/default/actions/1/events?limit=50&offset=0 HTTP/1.1");
}

#[tokio::test]
async fn page_size_and_start_offset_are_sent_unchanged() {
    let cases = [(1, 0), (50, 1), (1_000, 99), (u32::MAX, u64::MAX >> 1)];
    for (limit, offset) in cases {
        let line =
            request_line(|it| it.action_set_events().list(("default", 1)).page_size(limit).start_offset(offset).page())
                .await;
        let expected =
            format!("GET /api/admin/projects/default/actions/1/events?limit={limit}&offset={offset} HTTP/1.1");
        assert_eq!(line, expected);
    }
}

#[tokio::test]
async fn a_custom_query_arrives_encoded_in_order_with_view_parameters_last() {
    let line = request_line(|it| {
        it.send(
            Request::get("api/admin/search/{what}", ["ev/ents"])
                .query("type", "a b+c&d=e%20?#")
                .query("q[x]", "ü\"'\\")
                .view_param("limit", 5)
                .query("type", "")
                .json::<Json>(),
        )
    })
    .await;
    assert_eq!(
        line,
        "GET /api/admin/search/ev%2Fents?type=a+b%2Bc%26d%3De%2520%3F%23&q%5Bx%5D=%C3%BC%22%27%5C&type=&limit=5 HTTP/1.1"
    );
}

#[tokio::test]
async fn the_path_is_appended_to_the_base_url_with_or_without_a_slash() {
    let cases = [
        ("", ""),
        ("/", ""),
        ("//", ""),
        ("/unleash", "/unleash"),
        ("/unleash/", "/unleash"),
        ("/unleash//", "/unleash"),
        ("/eu/team%20a", "/eu/team%20a"),
    ];
    for (behind, prefix) in cases {
        let server = Raw::start(empty_on_the_wire()).await;
        first_page(&client(server.url() + behind)).await.unwrap();
        let expected = format!("GET {prefix}/api/admin/projects/default/actions/1/events?limit=50&offset=0 HTTP/1.1");
        assert_eq!(server.heads()[0].lines().next(), Some(&*expected), "behind a base URL that ends in {behind:?}");
    }
}

/// The headers of a GET by a client with these settings, by name.
async fn headers(set_up: impl FnOnce(ClientBuilder<UnleashClient>) -> ClientBuilder<UnleashClient>) -> http::HeaderMap {
    let server = serve_json(EMPTY).await;
    let client = set_up(unsigned(server.uri())).build().unwrap();
    first_page(&client).await.unwrap();
    let requests = received(&server).await;
    assert_eq!(requests.len(), 1);
    requests[0].headers.clone()
}

#[tokio::test]
async fn each_authenticator_adds_its_header_and_no_other() {
    type SetUp = fn(ClientBuilder<UnleashClient>) -> ClientBuilder<UnleashClient>;
    type Header = (&'static str, &'static str);
    let cases: [(&str, SetUp, Option<Header>); 7] = [
        ("api_key", |it| it.api_key("*:*.abc"), Some(("authorization", "*:*.abc"))),
        ("bearer", |it| it.bearer("*:*.abc"), Some(("authorization", "Bearer *:*.abc"))),
        ("raw", |it| it.authenticator(auth::raw("user:abc")), Some(("authorization", "user:abc"))),
        // RFC 7617's own example, and one with letters beyond ASCII.
        (
            "basic",
            |it| it.authenticator(auth::basic("Aladdin", "open sesame")),
            Some(("authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")),
        ),
        (
            "basic in UTF-8",
            |it| it.authenticator(auth::basic("test", "123\u{a3}")),
            Some(("authorization", "Basic dGVzdDoxMjPCow==")),
        ),
        ("header", |it| it.authenticator(auth::header("X-Team-Key", "k1")), Some(("x-team-key", "k1"))),
        ("none", |it| it.authenticator(auth::none()), None),
    ];
    for (name, set_up, expected) in cases {
        let headers = headers(set_up).await;
        let credentials: Vec<_> = headers
            .iter()
            .filter(|(name, _)| !["accept", "accept-encoding", "user-agent", "host"].contains(&name.as_str()))
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(credentials, Vec::from_iter(expected), "signed by {name}");
    }
}

#[tokio::test]
async fn a_request_has_the_expected_headers_and_no_others() {
    let headers = headers(|it| it.api_key(KEY)).await;
    let all = |name: &str| headers.get_all(name).iter().map(|it| it.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(all("accept"), ["application/json"]);
    assert_eq!(all("user-agent"), [concat!("actionlog/", env!("CARGO_PKG_VERSION"))]);
    assert_eq!(all("authorization"), [KEY]);
    assert_eq!(all("accept-encoding"), if cfg!(feature = "gzip") { &["gzip"][..] } else { &[] });
    for absent in ["cookie", "referer", "content-type", "content-length", "transfer-encoding", "origin"] {
        assert_eq!(all(absent), [""; 0], "{absent}");
    }
}

#[tokio::test]
async fn a_cookie_that_the_server_sets_is_not_sent_back() {
    let response = crate::support::json(EMPTY).append_header("set-cookie", "unleash-session=abc; Path=/");
    let server = crate::support::serve(response).await;
    let client = client(server.uri());
    for _ in 0..2 {
        first_page(&client).await.unwrap();
    }
    let requests = received(&server).await;
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|it| !it.headers.contains_key("cookie")));
}

#[tokio::test]
async fn a_body_is_sent_as_json_by_any_method() {
    let server = serve_json(r#"{"id":1}"#).await;
    let request = Request::new(http::Method::PUT, "api/admin/{x}", ["y"]).body(json!({"a": [1, null]})).json::<Json>();
    let response = promptly(client(server.uri()).send(request)).await.unwrap();
    assert_eq!(response.as_str(), r#"{"id":1}"#);
    let requests = received(&server).await;
    assert_eq!((requests[0].method.as_str(), requests[0].url.path()), ("PUT", "/api/admin/y"));
    assert_eq!(requests[0].headers["content-type"], "application/json");
    assert_eq!(requests[0].body, br#"{"a":[1,null]}"#);
}

#[tokio::test]
async fn clones_and_concurrent_calls_are_independent() {
    let server = MockServer::start().await;
    for id in 0..20 {
        wiremock::Mock::given(wiremock::matchers::path(format!("/api/admin/projects/p/actions/{id}/events")))
            .respond_with(crate::support::json(page_of(&[event(id).to_string()])).set_delay(Duration::from_millis(20)))
            .mount(&server)
            .await;
    }
    let client = client(server.uri());
    let calls: Vec<_> = (0..20_i64)
        .map(|id| {
            let client = client.clone();
            tokio::spawn(async move {
                let page = promptly(client.action_set_events().list(("p", id)).page()).await.unwrap();
                (id, page.into_records().unwrap()[0].id)
            })
        })
        .collect();
    for call in calls {
        let (asked, got) = call.await.unwrap();
        assert_eq!(*got.get(), asked);
    }
}

#[tokio::test]
async fn ids_beyond_32_bits_are_rejected_before_anything_is_sent() {
    for (id, taken) in [
        (i64::from(i32::MAX), true),
        (i64::from(i32::MIN), true),
        (i64::from(i32::MAX) + 1, false),
        (i64::from(i32::MIN) - 1, false),
        (i64::MAX, false),
    ] {
        let server = Raw::start(empty_on_the_wire()).await;
        let client = builder(server.url()).build().unwrap();
        let query = EventsQuery::new("p", id);
        let stored: EventsQuery = serde_json::from_str(&serde_json::to_string(&query).unwrap()).unwrap();
        assert_eq!(stored, query);
        for query in [query, stored] {
            let result = promptly(client.action_set_events().list(query).page()).await;
            assert_eq!(result.is_ok(), taken, "{id}");
            if let Err(error) = result {
                assert_eq!((error.kind(), error.attempts()), (actionlog::ErrorKind::InvalidRequest, 0), "{id}");
                assert!(error.to_string().contains("with_text_id"), "{error}");
            }
        }
        assert_eq!(server.heads().len(), if taken { 2 } else { 0 }, "{id}");
    }
}

#[tokio::test]
async fn ids_are_accepted_as_numbers_ids_or_strings() {
    let set: Id<actionlog::unleash::ActionSet> = Id::new(8);
    let queries: [(EventsQuery, &str); 4] = [
        (("p", 7).into(), "/p/actions/7/"),
        (("p".to_owned(), set).into(), "/p/actions/8/"),
        (EventsQuery::with_text_id("p", "2147483648"), "/p/actions/2147483648/"),
        (EventsQuery::with_text_id("p", "a b"), "/p/actions/a%20b/"),
    ];
    for (query, path) in queries {
        let server = Raw::start(empty_on_the_wire()).await;
        let client = builder(server.url()).build().unwrap();
        promptly(client.action_set_events().list(query).page()).await.unwrap();
        assert!(server.heads()[0].starts_with(&format!("GET /api/admin/projects{path}events?")), "{path}");
    }
}
