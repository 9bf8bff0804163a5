//! Helpers of tests with scripted HTTP clients and servers.

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actionlog::{ArklowClient, Body, Error, HttpClient, HttpError, IntegrationClient, RetryPolicy, UnleashClient};
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

pub(crate) const KEY: &str = "key-4711-secret";

/// The default policy, with short waits.
pub(crate) fn quick() -> RetryPolicy {
    RetryPolicy::default().initial_backoff(Duration::from_millis(1))
}

pub(crate) fn arklow(server: &MockServer) -> ArklowClient {
    arklow_with(server, |it| it)
}

pub(crate) fn arklow_with(
    server: &MockServer,
    change: impl FnOnce(actionlog::ClientBuilder<ArklowClient>) -> actionlog::ClientBuilder<ArklowClient>,
) -> ArklowClient {
    change(ArklowClient::builder("4711").base_url(server.uri()).api_key(KEY).retry(quick())).build().unwrap()
}

pub(crate) fn integration(server: &MockServer) -> IntegrationClient {
    integration_with(server, |it| it)
}

pub(crate) fn integration_with(
    server: &MockServer,
    change: impl FnOnce(actionlog::ClientBuilder<IntegrationClient>) -> actionlog::ClientBuilder<IntegrationClient>,
) -> IntegrationClient {
    change(IntegrationClient::builder(server.uri()).bearer(KEY).retry(quick())).build().unwrap()
}

pub(crate) fn unleash(server: &MockServer) -> UnleashClient {
    UnleashClient::builder(server.uri()).api_key(KEY).retry(quick()).build().unwrap()
}

/// A response with this status and JSON.
pub(crate) fn json(status: u16, body: impl Into<String>) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body.into(), "application/json")
}

/// A server that sends these responses in order, and then repeats the last one.
pub(crate) async fn server(responses: impl IntoIterator<Item = ResponseTemplate>) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(InTurn::new(responses)).mount(&server).await;
    server
}

pub(crate) struct InTurn {
    left: Mutex<VecDeque<ResponseTemplate>>,
}

impl InTurn {
    pub(crate) fn new(responses: impl IntoIterator<Item = ResponseTemplate>) -> Self {
        Self { left: Mutex::new(responses.into_iter().collect()) }
    }
}

impl Respond for InTurn {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let mut left = self.left.lock().unwrap();
        if left.len() > 1 { left.pop_front().unwrap() } else { left.front().unwrap().clone() }
    }
}

pub(crate) async fn requests(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.unwrap()
}

/// The only request that arrived.
pub(crate) async fn only_request(server: &MockServer) -> Request {
    let mut requests = requests(server).await;
    assert_eq!(requests.len(), 1, "one request should have arrived");
    requests.remove(0)
}

/// The encoded path and query.
pub(crate) fn target(request: &Request) -> String {
    match request.url.query() {
        Some(query) => format!("{}?{query}", request.url.path()),
        None => request.url.path().to_owned(),
    }
}

pub(crate) fn query(request: &Request) -> &str {
    request.url.query().unwrap_or_default()
}

/// The decoded value of a query parameter, as a number.
pub(crate) fn number(request: &Request, name: &str) -> usize {
    let (_, value) = request.url.query_pairs().find(|(it, _)| it == name).unwrap();
    value.parse().unwrap()
}

pub(crate) fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// An error with all its sources, as a reporter prints them.
pub(crate) fn whole_story(error: &Error) -> String {
    let mut story = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        story = format!("{story}: {error}");
        source = error.source();
    }
    story
}

/// The reaction of the in-memory client.
pub(crate) enum Reply {
    Response(u16, Vec<(&'static str, &'static str)>, String),
    /// The connection breaks before the response.
    Cut,
    /// The connection can't be established.
    NoConnection,
    /// No response.
    Never,
    /// The same reaction after a delay.
    After(Duration, Box<Self>),
}

impl Reply {
    pub(crate) fn json(status: u16, body: impl Into<String>) -> Self {
        Self::Response(status, vec![("content-type", "application/json")], body.into())
    }
}

type Responder = dyn Fn(usize, &http::Request<Bytes>) -> Reply + Send + Sync;

/// An in-memory HTTP client. It keeps the requests, and responds by a function of the request and its number, from 0.
#[derive(Clone)]
pub(crate) struct Memory {
    seen: Arc<Mutex<Vec<http::Request<Bytes>>>>,
    count: Arc<AtomicUsize>,
    most: usize,
    response: Arc<Mutex<Arc<Responder>>>,
}

impl Memory {
    pub(crate) fn new(response: impl Fn(usize, &http::Request<Bytes>) -> Reply + Send + Sync + 'static) -> Self {
        let response: Arc<Responder> = Arc::new(response);
        Self { seen: Arc::default(), count: Arc::default(), most: 10_000, response: Arc::new(Mutex::new(response)) }
    }

    /// A client that responds to any number of requests.
    pub(crate) fn endless(response: impl Fn(usize, &http::Request<Bytes>) -> Reply + Send + Sync + 'static) -> Self {
        Self { most: usize::MAX, ..Self::new(response) }
    }

    /// Sends this response to all further requests.
    pub(crate) fn respond_all(&self, response: impl Fn() -> Reply + Send + Sync + 'static) {
        *self.response.lock().unwrap() = Arc::new(move |_, _| response());
    }

    /// The number of requests.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    pub(crate) fn seen(&self) -> Vec<http::Request<Bytes>> {
        self.seen.lock().unwrap().clone()
    }

    /// The value of the header in each request; empty if it was missing.
    pub(crate) fn headers(&self, name: &str) -> Vec<String> {
        let text = |it: &http::Request<Bytes>| it.headers().get(name).map_or("", |it| it.to_str().unwrap()).to_owned();
        self.seen().iter().map(text).collect()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

#[async_trait]
impl HttpClient for Memory {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        assert!(number < self.most, "the client asks without end");
        let response = Arc::clone(&self.response.lock().unwrap());
        let mut reply = response(number, &request);
        self.seen.lock().unwrap().push(request);
        loop {
            match reply {
                Reply::Response(status, headers, body) => {
                    let mut response = http::Response::builder().status(status);
                    for (name, value) in headers {
                        response = response.header(name, value);
                    }
                    return Ok(response.body(Body::from(Bytes::from(body))).unwrap());
                }
                Reply::Cut => return Err(HttpError::sent("cut")),
                Reply::NoConnection => return Err(HttpError::connect("nobody there")),
                Reply::Never => std::future::pending().await,
                Reply::After(wait, later) => {
                    tokio::time::sleep(wait).await;
                    reply = *later;
                }
            }
        }
    }
}
