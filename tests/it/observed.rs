//! What can be observed of a call: spans, events, the observer, headers, and the response next to the value.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actionlog::auth::{AuthError, Authenticate, Credentials};
use actionlog::observe::{Event, WaitReason};
use actionlog::testing::FakeServer;
use actionlog::{
    Body, ClientBuilder, ErrorKind, HttpClient, HttpError, IntegrationClient, Request, UnleashClient, WriteOutcome,
};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::{Instant, timeout};
use tracing::Level;

use crate::recorder::{Recorded, Recorder};
use crate::support::all_shown;
use crate::wire::{Memory, Reply};

const S: Duration = Duration::from_secs(1);

fn builder(memory: &Memory) -> ClientBuilder<IntegrationClient> {
    IntegrationClient::builder("https://logs.example.com:8443/api")
        .api_key("key-of-the-client")
        .http_client(memory.clone())
        .jitter(|| 1.0)
}

fn probe() -> Request<()> {
    Request::get("probes/{probeId}", ["4711"]).query("search", "needle")
}

fn first(replies: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Memory {
    Memory::new(move |number, _| replies(number))
}

/// The relevant fields of a span or event.
fn shown<'a>(reported: &'a Recorded, names: &[&str]) -> Vec<Option<&'a str>> {
    names.iter().map(|name| reported.field(name)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_call_and_its_attempts_are_spans_in_opentelemetrys_names() {
    let recorder = Recorder::default();
    let memory = first(|number| match number {
        0 => Reply::Cut,
        1 => Reply::Response(503, vec![("retry-after", "2")], String::new()),
        _ => Reply::json(200, "{}"),
    });
    let client = builder(&memory).build().unwrap();
    {
        let _guard = recorder.listen();
        client.send(probe()).await.unwrap();
    }
    let reported = recorder.own();
    let names: Vec<_> =
        reported.iter().map(|it| if it.id.is_some() { it.name } else { it.field("message").unwrap() }).collect();
    let (again, wait) = ("an attempt failed and will be retried", "waiting before the next request");
    let (call, attempt) = ("actionlog.call", "actionlog.attempt");
    assert_eq!(names, [call, attempt, again, wait, attempt, again, wait, attempt]);
    assert!(reported[1..].iter().all(|it| it.parent == reported[0].id), "{reported:#?}");

    let both = ["otel.name", "http.request.method", "url.template"];
    for span in reported.iter().filter(|it| it.id.is_some()) {
        assert_eq!(span.level, Level::INFO);
        let name = "GET /probes/{probeId}";
        assert_eq!(shown(span, &both), [Some(name), Some("GET"), Some("/probes/{probeId}")]);
    }
    let of_call = ["otel.kind", "actionlog.api", "actionlog.attempts", "error.type", "otel.status_code"];
    assert_eq!(shown(&reported[0], &of_call), [Some("internal"), Some("integration"), Some("3"), None, None]);
    let of_attempt = [
        "otel.kind",
        "server.address",
        "server.port",
        "http.request.resend_count",
        "http.response.status_code",
        "error.type",
        "otel.status_code",
    ];
    let attempt = |at: usize| shown(&reported[at], &of_attempt)[3..].to_vec();
    assert_eq!(shown(&reported[1], &of_attempt)[..3], [Some("client"), Some("logs.example.com"), Some("8443")]);
    assert_eq!(attempt(1), [None, None, Some("transport"), Some("ERROR")]);
    assert_eq!(attempt(4), [Some("1"), Some("503"), Some("server"), Some("ERROR")]);
    assert_eq!(attempt(7), [Some("2"), Some("200"), None, None]);
    assert_eq!(reported[7].field("network.protocol.version"), Some("1.1"));
    let of_event = ["attempt", "error.type", "http.response.status_code"];
    assert_eq!(shown(&reported[2], &of_event), [Some("1"), Some("transport"), None]);
    assert_eq!(shown(&reported[5], &of_event), [Some("2"), Some("server"), Some("503")]);
    assert_eq!(
        (reported[2].level, reported[3].level, reported[3].field("wait_ms")),
        (Level::WARN, Level::DEBUG, Some("200"))
    );
    assert_eq!(reported[6].field("wait_ms"), Some("2400"));
    for value in ["4711", "needle", "search", "key-of-the-client"] {
        assert!(!recorder.text().contains(value), "{value}: {}", recorder.text());
    }
}

#[tokio::test(start_paused = true)]
async fn failed_and_dropped_calls_are_marked_on_their_span() {
    let recorder = Recorder::default();
    let memory = first(|number| if number == 0 { Reply::json(404, "{}") } else { Reply::Never });
    let client = builder(&memory).build().unwrap();
    {
        let _guard = recorder.listen();
        client.send(probe()).await.unwrap_err();
        timeout(S, client.send(probe()).into_future()).await.unwrap_err();
        client.send(probe()).operation_timeout(S).await.unwrap_err();
    }
    let spans: Vec<_> = recorder.own().into_iter().filter(|it| it.id.is_some()).collect();
    let types: Vec<_> = spans.iter().map(|it| it.field("error.type").unwrap()).collect();
    assert_eq!(types, ["not_found", "not_found", "cancelled", "cancelled", "timeout", "cancelled"]);
    assert!(spans.iter().all(|it| it.field("otel.status_code") == Some("ERROR")));
}

/// The events of an observer, one per line.
fn observed(events: &Arc<Mutex<Vec<String>>>) -> impl Fn(&Event<'_>) + Send + Sync + 'static {
    let events = Arc::clone(events);
    move |event| {
        let line = match event {
            Event::AttemptEnded(it) => {
                let status = it.status.map_or(0, |it| it.as_u16());
                format!("{} {} {}: {status} {:?} {:?}", it.attempt, it.call.method, it.call.template, it.end, it.took)
            }
            Event::Waiting(it) => format!("{} {:?}", it.reason.as_str(), it.wait),
            Event::PageRead(it) => {
                format!("page {}+{}: {} {} {:?}", it.offset, it.limit, it.received, it.new, it.total)
            }
            other => format!("{other:?}"),
        };
        events.lock().unwrap().push(line);
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_gets_attempts_and_waits() {
    let events = Arc::default();
    let memory = first(|number| match number {
        0 => Reply::After(S, Box::new(Reply::Cut)),
        1 => Reply::Response(429, vec![("retry-after", "2")], String::new()),
        2 => Reply::After(3 * S, Box::new(Reply::json(200, "{}"))),
        _ => Reply::Never,
    });
    let client = builder(&memory).max_in_flight(1).observer(observed(&events)).build().unwrap();
    client.send(probe()).await.unwrap();
    let reported = std::mem::take(&mut *events.lock().unwrap());
    let attempt = "GET /probes/{probeId}";
    assert_eq!(
        reported,
        [
            format!("1 {attempt}: 0 Failed(Transport) 1s"),
            "retry Some(200ms)".to_owned(),
            format!("2 {attempt}: 429 Failed(RateLimited) 0ns"),
            "retry Some(2.4s)".to_owned(),
            format!("3 {attempt}: 200 Done 3s"),
        ]
    );

    // One call holds the only permit, and is dropped. The other waits for the permit until its timeout.
    let (first, second) = (client.clone(), client.clone());
    let first = tokio::spawn(async move { timeout(2 * S, first.send(probe()).into_future()).await.is_err() });
    tokio::task::yield_now().await;
    let error = second.send(probe()).operation_timeout(5 * S).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(first.await.unwrap());
    assert_eq!(
        *events.lock().unwrap(),
        ["permit None".to_owned(), format!("1 {attempt}: 0 Cancelled 2s"), format!("1 {attempt}: 0 Cancelled 3s"),]
    );
}

#[tokio::test(start_paused = true)]
async fn an_observer_gets_the_servers_pause() {
    let reasons: Arc<Mutex<Vec<_>>> = Arc::default();
    let kept = Arc::clone(&reasons);
    let memory = first(|number| {
        if number == 0 {
            Reply::Response(429, vec![("retry-after", "5")], String::new())
        } else {
            Reply::json(200, "{}")
        }
    });
    let client = builder(&memory).observer(move |event| {
        if let Event::Waiting(it) = event {
            kept.lock().unwrap().push((it.reason, it.wait.unwrap()));
        }
    });
    let client = client.build().unwrap();
    let other = client.clone();
    let first = tokio::spawn(async move { other.send(probe()).await });
    tokio::task::yield_now().await;
    tokio::time::sleep(S).await;
    client.send(probe()).await.unwrap();
    first.await.unwrap().unwrap();
    let jitter = Duration::from_millis(200);
    // The second waits for its turn, too.
    let turn = Duration::from_millis(20);
    let expected = [(WaitReason::Retry, 5 * S + jitter), (WaitReason::Pause, 4 * S + jitter + turn)];
    assert_eq!(*reasons.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn an_observer_gets_the_pages_of_a_stream() {
    let events = Arc::default();
    let fake = FakeServer::new();
    fake.integration().add_sample_logs(5);
    let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(fake.http_client());
    let client = client.observer(observed(&events)).build().unwrap();
    let read = client.logs().list(()).page_size(4).collect().await;
    assert_eq!(read.items.len(), 5);
    let reported = events.lock().unwrap().clone();
    let pages: Vec<_> = reported.iter().filter(|it| it.starts_with("page")).map(String::as_str).collect();
    assert_eq!(pages[..2], ["page 0+4: 4 4 Some(5)", "page 3+4: 2 1 Some(5)"], "{reported:#?}");
    assert_eq!(reported.len(), 2 * pages.len());
}

#[tokio::test]
async fn headers_are_added_and_credentials_stay() {
    let memory = first(|_| Reply::json(200, "{}"));
    let client = builder(&memory).header("x-tenant", "of-the-client").header("x-team", "audit").build().unwrap();
    client.send(probe()).header("X-Tenant", "of-the-call").await.unwrap();
    client.send(probe()).header("user-agent", "own/1").await.unwrap();
    assert_eq!(memory.headers("x-tenant"), ["of-the-call", "of-the-client"]);
    assert_eq!(memory.headers("x-team"), ["audit", "audit"]);
    assert_eq!(memory.headers("user-agent")[1], "own/1");
    assert_eq!(memory.headers("authorization"), ["key-of-the-client", "key-of-the-client"]);

    let refused = [
        client.send(probe()).header("authorization", "planted-secret"),
        client.send(probe()).header("Cookie", "planted-secret"),
        client.send(probe()).header("content-length", "0"),
        client.send(probe()).header("planted-secret\n", "x"),
        client.send(probe()).header("x-one", "planted-secret\n"),
    ];
    for call in refused {
        let error = call.await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::InvalidRequest, WriteOutcome::NotSent), "{error}");
        assert!(!all_shown(&error).contains("planted-secret"), "{error}");
    }
    // The header of the credentials is known once they are added.
    let keyed = IntegrationClient::builder("http://localhost").http_client(memory.clone());
    let keyed = keyed.authenticator(actionlog::auth::header("x-key", "key-of-the-client")).build().unwrap();
    let error = keyed.send(probe()).header("x-key", "planted-secret").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.to_string().contains("x-key"), "{error}");
    assert_eq!(memory.count(), 2);

    let error = builder(&memory).header("cookie", "planted-secret").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(!format!("{error:?} {:?}", builder(&memory).header("x-a", "planted-secret")).contains("planted-secret"));
}

#[tokio::test]
async fn a_message_with_a_header_that_is_secret_is_withheld() {
    let memory = Memory::new(|_, request| {
        let text = |name: &str| request.headers().get(name).map_or("", |it| it.to_str().unwrap());
        let (token, marked) = (text("x-gateway-token"), text("x-marked"));
        Reply::json(400, format!(r#"{{"message": "no {token}", "errors": ["in {marked}", "in here"]}}"#))
    });
    let mut marked = http::HeaderValue::from_static("planted-two");
    marked.set_sensitive(true);
    let call = builder(&memory).build().unwrap().send(probe()).header("x-gateway-token", "planted-one");
    let error = call.header("x-marked", marked).await.unwrap_err();
    let api = error.api().unwrap();
    assert_eq!(
        (api.message(), api.details()),
        (
            Some("[withheld: contains part of a credential]"),
            &["[withheld: contains part of a credential]".to_owned(), "in here".to_owned()][..]
        )
    );
}

#[tokio::test]
async fn a_listing_takes_headers_too() {
    let memory = first(|_| Reply::json(200, r#"{"actionSetEvents": []}"#));
    let client = UnleashClient::builder("http://localhost").api_key("any").http_client(memory.clone()).build().unwrap();
    let read = client.action_set_events().list(("default", 7)).header("x-tenant", "t").collect().await;
    assert!(read.error.is_none(), "{:?}", read.error);
    assert!(memory.count() > 0 && memory.headers("x-tenant").iter().all(|it| it == "t"));
}

#[tokio::test]
async fn the_response_is_returned_next_to_the_value() {
    let memory = first(|number| match number {
        0 => Reply::Cut,
        _ => {
            let headers = vec![
                ("content-type", "application/json"),
                ("x-request-id", "r-1"),
                ("x-ratelimit-remaining", "41"),
                ("x-note", "secret-of-the-server"),
            ];
            Reply::Response(200, headers, r#"{"a": 1}"#.to_owned())
        }
    });
    let client = builder(&memory).jitter(|| 0.0).build().unwrap();
    assert_eq!(client.rate_limit(), None);
    let responded = client.send(probe().json::<actionlog::Json>()).with_response().await.unwrap();
    assert_eq!((responded.status.as_u16(), responded.attempts, responded.value.as_str()), (200, 2, r#"{"a": 1}"#));
    assert_eq!(responded.request_id.as_deref(), Some("r-1"));
    assert_eq!(responded.headers["x-note"], "secret-of-the-server");
    assert_eq!(responded.rate_limit.unwrap().remaining, Some(41));
    assert!(!format!("{responded:?}").contains("secret-of-the-server"), "{responded:?}");
    // Clones report it too.
    assert_eq!(client.clone().rate_limit(), responded.rate_limit);
}

#[tokio::test]
async fn rate_limit_headers_are_in_the_error_and_kept_until_the_next_ones() {
    let memory = first(|number| match number {
        0 => Reply::Response(429, vec![("ratelimit-limit", "10"), ("ratelimit-remaining", "0")], String::new()),
        _ => Reply::json(200, "{}"),
    });
    let client = builder(&memory).retry(actionlog::RetryPolicy::never()).build().unwrap();
    let began = Instant::now();
    let error = client.send(probe()).await.unwrap_err();
    let limit = error.rate_limit().unwrap();
    assert_eq!((limit.limit, limit.remaining, limit.resets_at), (Some(10), Some(0), None));
    client.send(probe()).await.unwrap();
    assert_eq!(client.rate_limit(), Some(limit));
    assert!(began.elapsed() < 10 * S);
}

/// Adds its header beside the existing ones.
#[derive(Debug)]
struct Appends;

#[async_trait]
impl Authenticate for Appends {
    async fn authenticate(&self, request: &mut http::Request<Bytes>) -> Result<Credentials, AuthError> {
        request.headers_mut().append("x-key", http::HeaderValue::from_static("real"));
        Ok(Credentials::new())
    }
}

#[tokio::test]
async fn a_header_that_collides_with_the_credentials_is_rejected() {
    let memory = first(|_| Reply::Cut);
    let client = IntegrationClient::builder("http://localhost").authenticator(Appends).http_client(memory.clone());
    let error = client.build().unwrap().send(probe()).header("x-key", "users").await.unwrap_err();
    assert_eq!((error.kind(), memory.count()), (ErrorKind::InvalidRequest, 0), "{error}");

    for name in ["authorization", "content-type", "host", "no name"] {
        let error = builder(&memory).idempotency_header(name).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{name}");
    }
    let keyed = IntegrationClient::builder("http://localhost").http_client(memory.clone()).idempotency_header("x-key");
    let keyed = keyed.authenticator(actionlog::auth::header("x-key", "the-key")).build().unwrap();
    let write: Request<()> = Request::new(http::Method::POST, "probe", [""; 0]);
    assert_eq!(keyed.send(write).await.unwrap_err().kind(), ErrorKind::InvalidRequest);
    assert_eq!(memory.count(), 0);
}

#[tokio::test]
async fn a_message_with_credentials_in_any_encoding_is_withheld() {
    let key = r#"*:*.98b5af/planted+"&<key>"#;
    let forms = [
        key.to_owned(),
        "*%3A*.98b5af%2Fplanted%2B%22%26%3Ckey%3E".to_owned(),
        "%2a%3a%2a%2e98b5af%2fplanted%2b%22%26%3ckey%3e".to_owned(),
        "*:*.98b5af/planted+&quot;&amp;&lt;key&gt;".to_owned(),
        r#"*:*.98b5af/planted+\"&<key>"#.to_owned(),
        r#"*:*.98b5af\/planted+\"&<key>"#.to_owned(),
    ];
    for form in forms {
        let said = serde_json::json!({ "message": format!("no such token: {form}!") }).to_string();
        let memory = first(move |_| Reply::json(400, said.clone()));
        let client = IntegrationClient::builder("http://localhost").api_key(key).http_client(memory).build().unwrap();
        let error = client.send(probe()).await.unwrap_err();
        assert_eq!(error.api().unwrap().message(), Some("[withheld: contains part of a credential]"), "{form}");
        assert!(!all_shown(&error).contains("planted"), "{error:?}");
    }
}

/// An error with a truncated body.
#[derive(Debug)]
struct BreaksOff(&'static str);

#[async_trait]
impl HttpClient for BreaksOff {
    async fn send(&self, _: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let pieces = [Ok(Bytes::from_static(self.0.as_bytes())), Err(HttpError::sent("cut"))];
        Ok(http::Response::builder().status(401).body(Body::new(futures_util::stream::iter(pieces))).unwrap())
    }
}

#[tokio::test]
async fn the_start_of_a_secret_at_the_end_of_a_truncated_body_is_not_shown() {
    for (said, kept) in
        [("unknown token: key-4711-planted-sec", "unknown token:"), ("this is no key", "this is no key")]
    {
        let client = IntegrationClient::builder("http://localhost").api_key("key-4711-planted-secret");
        let error = client.http_client(BreaksOff(said)).build().unwrap().send(probe()).await.unwrap_err();
        assert_eq!(error.api().and_then(|it| it.message()), Some(kept));
        assert!(!all_shown(&error).contains("4711"), "{error:?}");
    }
}

#[tokio::test]
async fn no_header_is_shown_by_a_client_or_its_calls() {
    let memory =
        first(|_| Reply::Response(200, vec![("set-cookie", "planted")], r#"{"success": true, "data": []}"#.to_owned()));
    let client = builder(&memory).header("x-session", "planted").build().unwrap();
    let listing = client.logs().list(()).header("x-jwt", "planted");
    let call = client.send(probe()).header("x-jwt", "planted");
    let shown = format!("{client:#?} {listing:#?} {call:#?} {:#?}", listing.clone().items());
    assert!(shown.contains("x-session") && shown.contains("x-jwt") && !shown.contains("planted"), "{shown}");
    let responded = call.with_response().await.unwrap();
    assert!(!format!("{responded:?}").contains("planted"));
    let mut headers = http::HeaderMap::new();
    headers.insert("x-own", http::HeaderValue::from_static("planted"));
    let own = reqwest::Client::builder().default_headers(headers).build().unwrap();
    assert!(!format!("{:?}", actionlog::ReqwestClient::from_reqwest(own)).contains("planted"));
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_ends_neither_a_call_nor_the_process() {
    /// Panics when dropped, too.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the payload of a panic, dropped");
        }
    }

    let memory = first(|number| match number {
        0 => Reply::json(500, "{}"),
        1 => Reply::json(200, "{}"),
        _ => Reply::Never,
    });
    let reported = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&reported);
    let client = builder(&memory).observer(move |_| {
        *counted.lock().unwrap() += 1;
        std::panic::panic_any(Bomb);
    });
    let client = client.build().unwrap();
    client.send(probe()).await.unwrap();
    assert_eq!(*reported.lock().unwrap(), 3);

    // A dropped call emits its event from `drop`, even while its task unwinds: a second panic would abort.
    assert!(timeout(S, client.send(probe()).into_future()).await.is_err());
    assert_eq!(*reported.lock().unwrap(), 4);
    let task = tokio::spawn(async move {
        let mut call = Box::pin(client.send(probe()).into_future());
        let _ = futures_util::poll!(&mut call);
        panic!("the caller's own");
    });
    let panicked = task.await.unwrap_err().into_panic();
    assert_eq!(panicked.downcast_ref::<&str>(), Some(&"the caller's own"));
    assert_eq!(*reported.lock().unwrap(), 5);
}
