//! Shared helpers: clients, two kinds of servers, and all text that an error shows.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actionlog::integration::{ActionLogFields, ActionLogInput, ActionType, LogStatus};
use actionlog::testing::FakeServer;
use actionlog::unleash::ActionSetEvent;
use actionlog::{
    Body, ClientBuilder, Error, HttpClient, HttpError, IntegrationClient, Page, Result, RetryPolicy, UnleashClient,
};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Respond, ResponseTemplate};

/// The key of every client in tests that aren't about keys.
pub(crate) const KEY: &str = "user:4f1d9c0ab7e2";

/// The time after which a test fails if a client hasn't returned by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// The builder of every client in the tests, without credentials. Settings that all tests need go here.
pub(crate) fn unsigned(url: impl Into<String>) -> ClientBuilder<UnleashClient> {
    UnleashClient::builder(url).retry(RetryPolicy::never())
}

/// A builder with [`KEY`].
pub(crate) fn builder(url: impl Into<String>) -> ClientBuilder<UnleashClient> {
    unsigned(url).api_key(KEY)
}

pub(crate) fn client(url: impl Into<String>) -> UnleashClient {
    builder(url).build().unwrap()
}

/// An integration log with this id and nothing but the required fields.
pub(crate) fn log_text(id: u64) -> String {
    format!(r#"{{"_id":"{id}","integrationId":"i","actionType":"sync","entityType":"e","status":"success"}}"#)
}

/// A fake server with so many integration logs, with the ids from 1 on: the newest comes first.
pub(crate) fn fake_with_logs(records: u64) -> FakeServer {
    let server = FakeServer::new();
    for id in 1..=records {
        server.integration().add_raw(log_text(id));
    }
    server
}

/// A client of the fake integration API, with nothing set but its key.
pub(crate) fn integration(server: &FakeServer) -> IntegrationClient {
    IntegrationClient::builder("http://localhost").api_key("any").http_client(server.http_client()).build().unwrap()
}

/// The first page of the events of action set 1.
pub(crate) async fn first_page(client: &UnleashClient) -> Result<Page<ActionSetEvent>> {
    promptly(client.action_set_events().list(("default", 1)).page()).await
}

/// The error of a request for the first page.
pub(crate) async fn first_error(client: &UnleashClient) -> Error {
    first_page(client).await.expect_err("there is nothing here that could be read as a page")
}

/// Fails the test instead of waiting forever.
pub(crate) async fn promptly<F: IntoFuture>(future: F) -> F::Output {
    timeout(PATIENCE, future.into_future()).await.expect("the client should have come back long ago")
}

/// A server that sends one response to every request.
pub(crate) async fn serve(response: impl Respond + 'static) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(response).mount(&server).await;
    server
}

/// A server that sends one JSON body to every request.
pub(crate) async fn serve_json(text: impl Into<Vec<u8>>) -> MockServer {
    serve(json(text)).await
}

pub(crate) fn json(text: impl Into<Vec<u8>>) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(text, "application/json; charset=utf-8")
}

/// The requests that a mock server received.
pub(crate) async fn received(server: &MockServer) -> Vec<wiremock::Request> {
    server.received_requests().await.expect("mock servers keep their requests unless configured not to")
}

/// A fixture file.
pub(crate) fn fixture(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures").join(path)
}

/// All text that an error and its sources show, in every way of printing them.
pub(crate) fn all_shown(error: &Error) -> String {
    let mut out = format!("{error}\n{error:?}\n{error:#?}\n");
    if let Some(api) = error.api() {
        let details = api.details();
        writeln!(out, "{api} {api:?} {:?} {:?} {:?} {details:?}", api.id(), api.name(), api.message()).unwrap();
    }
    writeln!(out, "{:?} {:?}", error.request_id(), error.hint()).unwrap();
    if let Some(record) = error.record() {
        writeln!(out, "{record:?} {} {}", record.path(), record.reason()).unwrap();
    }
    let mut source = error.source();
    while let Some(error) = source {
        writeln!(out, "{error}\n{error:?}\n{error:#?}").unwrap();
        source = error.source();
    }
    out
}

/// The reaction of a [`Raw`] server after it has read the head of a request.
#[derive(Clone, Debug)]
pub(crate) enum Then {
    /// Closes the connection.
    Close,
    /// Writes these bytes and closes the connection.
    Send(Vec<u8>),
    /// Writes these bytes and then nothing.
    SendAndHang(Vec<u8>),
    /// Writes the first, and then repeats the second until the client disconnects.
    SendWithoutEnd(Vec<u8>, Vec<u8>),
}

/// A raw TCP server that writes exactly these bytes.
pub(crate) struct Raw {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Raw {
    pub(crate) async fn start(then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heads);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(response(stream, then.clone(), Arc::clone(&kept)));
            }
        });
        Self { address, heads, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The raw heads of the requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Ignores errors: the client may disconnect at any time.
async fn response(mut stream: TcpStream, then: Then, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    heads.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
    match then {
        Then::Close => {}
        Then::Send(bytes) => drop(stream.write_all(&bytes).await),
        Then::SendAndHang(bytes) => {
            drop(stream.write_all(&bytes).await);
            sleep(2 * PATIENCE).await;
        }
        Then::SendWithoutEnd(first, again) => {
            let mut sent = stream.write_all(&first).await;
            while sent.is_ok() {
                sent = stream.write_all(&again).await;
            }
        }
    }
    drop(stream.shutdown().await);
}

/// The input of a pending log.
pub(crate) fn pending_input() -> ActionLogInput {
    ActionLogInput::new(ActionLogFields {
        integration_id: "i1".into(),
        action_type: ActionType::Sync,
        entity_type: "product".into(),
        status: LogStatus::Pending,
    })
}

/// The TLS configuration of a server with this certificate.
#[cfg(feature = "rustls")]
pub(crate) fn acceptor(certificate: &rcgen::Certificate, key: &rcgen::KeyPair) -> tokio_rustls::TlsAcceptor {
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::crypto::aws_lc_rs;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;

    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    Arc::new(config).into()
}

/// Reads a PEM file.
#[cfg(feature = "rustls")]
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;

    let coded = base64::prelude::BASE64_STANDARD.encode(der);
    let lines: Vec<_> = coded.as_bytes().chunks(64).map(|it| std::str::from_utf8(it).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// Steps a generator of numbers that are the same for each seed. Its upper bits are the random ones.
pub(crate) fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state
}

/// An HTTP client to the fake server with varying latency, so that responses overtake each other.
#[derive(Debug)]
pub(crate) struct Late {
    fake: FakeServer,
    state: Mutex<u64>,
}

impl Late {
    pub(crate) fn new(fake: &FakeServer, seed: u64) -> Self {
        Self { fake: fake.clone(), state: Mutex::new(seed) }
    }

    async fn delay(&self) {
        let millis = {
            let mut state = self.state.lock().unwrap();
            (next_random(&mut state) >> 33) % 50
        };
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

#[async_trait]
impl HttpClient for Late {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        self.delay().await;
        let response = self.fake.respond(&request).map(Body::from);
        self.delay().await;
        Ok(response)
    }
}

/// An event with this id, as a current server sends it.
pub(crate) fn event(id: i64) -> serde_json::Value {
    serde_json::json!({
        "id": id,
        "actionSetId": 7,
        "signalId": 1000 + id,
        "createdAt": "2026-11-21T20:18:03.572Z",
        "state": "success",
        "signal": {
            "id": 1000 + id,
            "createdAt": "2026-11-21T20:18:03.000Z",
            "source": "signal-endpoint",
            "sourceId": 3
        },
        "actionSet": {
            "id": 7,
            "project": "default",
            "createdAt": "2026-11-01T08:00:00.000Z",
            "createdByUserId": 1,
            "name": "Disable on alert",
            "actorId": 12,
            "actions": [],
            "match": { "source": "signal-endpoint", "sourceId": 3, "payload": {} }
        }
    })
}

/// A page of events, each as raw JSON.
pub(crate) fn page_of(records: &[String]) -> String {
    format!(r#"{{"actionSetEvents":[{}]}}"#, records.join(","))
}

/// Responds by `limit` and `offset`, like a server that has these records in this order.
pub(crate) fn listing(records: Vec<String>) -> impl Respond {
    move |request: &wiremock::Request| {
        let number = |name: &str| -> usize {
            let (_, value) = request.url.query_pairs().find(|(key, _)| key == name).expect("both are always sent");
            value.parse().expect("they are numbers")
        };
        let from = number("offset").min(records.len());
        let to = (from + number("limit")).min(records.len());
        json(page_of(&records[from..to]))
    }
}
