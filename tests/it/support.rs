//! What the tests share: clients, servers of two kinds, and a look at all that an error shows.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actionlog::integration::{ActionLogDraft, ActionType, LogStatus, RequiredFields};
use actionlog::testing::World;
use actionlog::unleash::ActionSetEvent;
use actionlog::{Body, ClientBuilder, Error, Exchange, ExchangeError, Page, Result, RetryPolicy, UnleashClient};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Respond, ResponseTemplate};

/// The key of every client that isn't about keys.
pub(crate) const KEY: &str = "user:4f1d9c0ab7e2";

/// No test waits longer than this for a client that should have come back by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where every client of the tests begins: the place for a setting that all of them need. Without credentials.
pub(crate) fn unsigned(url: impl Into<String>) -> ClientBuilder<UnleashClient> {
    UnleashClient::builder(url).retry(RetryPolicy::off())
}

/// A client's settings, with [`KEY`].
pub(crate) fn builder(url: impl Into<String>) -> ClientBuilder<UnleashClient> {
    unsigned(url).api_key(KEY)
}

pub(crate) fn client(url: impl Into<String>) -> UnleashClient {
    builder(url).build().unwrap()
}

/// The first page of the events of action set 1.
pub(crate) async fn first_page(client: &UnleashClient) -> Result<Page<ActionSetEvent>> {
    promptly(client.action_set_events().list(("default", 1)).page()).await
}

/// The error that the first page's place was taken by.
pub(crate) async fn first_error(client: &UnleashClient) -> Error {
    first_page(client).await.expect_err("there is nothing here that could be read as a page")
}

/// Fails the test rather than wait forever.
pub(crate) async fn promptly<F: IntoFuture>(future: F) -> F::Output {
    timeout(PATIENCE, future.into_future()).await.expect("the client should have come back long ago")
}

/// A server that gives one answer to everything.
pub(crate) async fn serve(answer: impl Respond + 'static) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

/// A server that gives one JSON text to everything.
pub(crate) async fn serve_json(text: impl Into<Vec<u8>>) -> MockServer {
    serve(json(text)).await
}

pub(crate) fn json(text: impl Into<Vec<u8>>) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(text, "application/json; charset=utf-8")
}

/// What a mock server has received.
pub(crate) async fn received(server: &MockServer) -> Vec<wiremock::Request> {
    server.received_requests().await.expect("mock servers keep their requests unless told not to")
}

/// A file of the fixtures.
pub(crate) fn fixture(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures").join(path)
}

/// Everything that an error shows of itself, in every way that it can be printed, with all that lies beneath.
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

/// What a [`Raw`] server does with a request once its head has been read.
#[derive(Clone, Debug)]
pub(crate) enum Then {
    /// Closes the connection.
    Close,
    /// Writes these bytes and closes the connection.
    Send(Vec<u8>),
    /// Writes these bytes and keeps silent.
    SendAndHang(Vec<u8>),
    /// Writes the first, and then the second again and again for as long as anyone takes it.
    SendWithoutEnd(Vec<u8>, Vec<u8>),
}

/// A server that is no HTTP server: it writes what it is told to, byte for byte.
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
                tokio::spawn(answer(stream, then.clone(), Arc::clone(&kept)));
            }
        });
        Self { address, heads, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of the requests so far, as they came.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// That a client goes away half-way is nothing to complain of here.
async fn answer(mut stream: TcpStream, then: Then, heads: Arc<Mutex<Vec<String>>>) {
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

/// A log to be written, of what has only begun.
pub(crate) fn draft() -> ActionLogDraft {
    ActionLogDraft::new(RequiredFields {
        integration_id: "i1".into(),
        action_type: ActionType::Sync,
        entity_type: "product".into(),
        status: LogStatus::Pending,
    })
}

/// What a server needs to speak TLS with a certificate.
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

/// A file in PEM, as certificates and keys come.
#[cfg(feature = "rustls")]
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;

    let coded = base64::prelude::BASE64_STANDARD.encode(der);
    let lines: Vec<_> = coded.as_bytes().chunks(64).map(|it| std::str::from_utf8(it).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A way to a world and back that takes what time it likes: answers overtake each other.
#[derive(Debug)]
pub(crate) struct Late {
    world: World,
    state: Mutex<u64>,
}

impl Late {
    pub(crate) fn new(world: &World, seed: u64) -> Self {
        Self { world: world.clone(), state: Mutex::new(seed) }
    }

    async fn delay(&self) {
        let millis = {
            let mut state = self.state.lock().unwrap();
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (*state >> 33) % 50
        };
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

#[async_trait]
impl Exchange for Late {
    async fn exchange(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, ExchangeError> {
        self.delay().await;
        let answer = self.world.answer(&request).map(Body::from);
        self.delay().await;
        Ok(answer)
    }
}

/// An event as a server of today may send it, with this id.
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

/// A page of events, each as a JSON text of its own.
pub(crate) fn page_of(records: &[String]) -> String {
    format!(r#"{{"actionSetEvents":[{}]}}"#, records.join(","))
}

/// Answers by `limit` and `offset`, as a server does that keeps these records in this order.
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
