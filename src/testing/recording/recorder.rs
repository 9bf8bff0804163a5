//! The HTTP client that records.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use crate::atomic_file;
use crate::auth::Secret;
use crate::testing::recording::body::Kept;
use crate::testing::recording::scrub::{Rules, Scrubber};
use crate::testing::recording::{Exchange, RecordingError, file};
use crate::transport::http_client::{Body, HttpClient, HttpError};
use crate::transport::redact::SeenCredentials;

/// An [`HttpClient`] that passes requests on to another one, and records them with their responses: see the
/// [module's docs](crate::testing::recording).
///
/// Pass a clone to [`ClientBuilder::http_client`](crate::ClientBuilder::http_client), and call [`save`](Self::save) on
/// another one at the end; clones share the recording. Several clients may share it too.
///
/// An attempt without a whole response isn't recorded. Retries are: each attempt is an exchange.
#[derive(Clone)]
pub struct Recorder {
    inner: Arc<dyn HttpClient>,
    path: PathBuf,
    rules: Rules,
    shared: Arc<Shared>,
}

/// The number of exchanges that were saved, and of values that were replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Saved {
    /// The file.
    pub path: PathBuf,
    /// How many exchanges it contains.
    pub exchanges: usize,
    /// How many values were replaced or removed.
    pub scrubbed: usize,
}

impl fmt::Display for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, exchanges, scrubbed } = self;
        write!(f, "{exchanges} exchanges in {}, {scrubbed} values scrubbed", path.display())
    }
}

/// What all clones of a recorder share.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    exchanges: Vec<Recorded>,
    credentials: SeenCredentials,
}

/// An exchange before it is scrubbed. It is scrubbed when it is saved, as later requests may show more credentials.
struct Recorded {
    method: Method,
    target: String,
    request_body: Bytes,
    /// The head of the response, once it came.
    head: Option<(StatusCode, HeaderMap)>,
    /// The body of the response, once it is whole.
    body: Option<Bytes>,
}

impl Shared {
    /// Ignores poisoning: a panic can't leave an exchange half stored.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a request, and returns the index of its exchange.
    fn begin(&self, request: &http::Request<Bytes>) -> usize {
        let mut state = self.lock();
        state.credentials.learn(request);
        let target = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        let (method, request_body) = (request.method().clone(), request.body().clone());
        state.exchanges.push(Recorded { method, target, request_body, head: None, body: None });
        state.exchanges.len() - 1
    }

    fn respond(&self, exchange: usize, status: StatusCode, headers: &HeaderMap) {
        if let Some(it) = self.lock().exchanges.get_mut(exchange) {
            it.head = Some((status, headers.clone()));
        }
    }

    fn store(&self, exchange: usize, body: Bytes) {
        if let Some(it) = self.lock().exchanges.get_mut(exchange) {
            it.body = Some(body);
        }
    }
}

impl Recorder {
    /// Records the requests that this HTTP client sends, usually a [`ReqwestClient::new`](crate::ReqwestClient::new).
    /// [`save`](Self::save) writes to the file at `path`, whose folder must exist.
    #[must_use = "pass a clone to `http_client` of a client's builder"]
    pub fn new(inner: impl HttpClient, path: impl Into<PathBuf>) -> Self {
        Self { inner: Arc::new(inner), path: path.into(), rules: Rules::default(), shared: Arc::default() }
    }

    /// Also writes this header of responses. Without this, these are written: `content-type`, `date`, `etag`,
    /// `last-modified`, `retry-after`, and those of rate limits. A cookie never is, whatever its header.
    #[must_use = "returns the changed value"]
    pub fn keep_header(mut self, name: &str) -> Self {
        self.rules.keep_header(name);
        self
    }

    /// Names a secret that must not be written: one that is sent where nothing shows that it is a secret, or that the
    /// server knows from elsewhere.
    #[must_use = "returns the changed value"]
    pub fn secret(self, secret: impl Into<Secret>) -> Self {
        self.shared.lock().credentials.add(secret.into());
        self
    }

    /// Replaces the strings and numbers of JSON fields with this name, in requests and responses, at any depth, and all
    /// beneath such a field. Letter case is ignored.
    ///
    /// A record's id must not be replaced: records with the same id count as one.
    #[must_use = "returns the changed value"]
    pub fn scrub_field(mut self, name: &str) -> Self {
        self.rules.scrub_field(name);
        self
    }

    /// Keeps the JSON fields with this name, although it is that of a secret: `sessionCount`, `primaryKey`. Letter case
    /// is ignored. The client's credentials don't stay, whatever the field.
    #[must_use = "returns the changed value"]
    pub fn keep_field(mut self, name: &str) -> Self {
        self.rules.keep_field(name);
        self
    }

    /// Changes each exchange before it is written, after all else was scrubbed. Keep a body's format, or the client
    /// can't decode it at playback. A second call adds to the first.
    ///
    /// ```
    /// use actionlog::testing::FakeServer;
    /// use actionlog::testing::recording::Recorder;
    ///
    /// let recorder = Recorder::new(FakeServer::new().http_client(), "tests/recorded/logs.jsonl").scrub_with(|it| {
    ///     if let Ok(text) = std::str::from_utf8(&it.body) {
    ///         it.body = text.replace("acme.example", "customer.example").into();
    ///     }
    /// });
    /// # drop(recorder);
    /// ```
    #[must_use = "returns the changed value"]
    pub fn scrub_with(mut self, scrub: impl Fn(&mut Exchange) + Send + Sync + 'static) -> Self {
        self.rules.scrub_with(Arc::new(scrub));
        self
    }

    /// Writes the exchanges so far, in the order in which their requests were sent. It replaces the file as a whole: a
    /// crash leaves the old file or the new one. It may be called again, and then writes the later exchanges too.
    ///
    /// It blocks while it writes.
    ///
    /// # Errors
    ///
    /// [`RecordingError::Io`] if the file can't be written, and [`RecordingError::Credential`] if a credential is left
    /// in an exchange. In both cases the file is as it was.
    pub fn save(&self) -> Result<Saved, RecordingError> {
        let state = self.shared.lock();
        let search = state.credentials.search();
        let mut scrubber = Scrubber::new(&self.rules, &search);
        let mut exchanges = Vec::new();
        for recorded in &state.exchanges {
            if let Recorded { head: Some((status, headers)), body: Some(body), .. } = recorded {
                exchanges.push(scrubber.scrub(Exchange {
                    method: recorded.method.clone(),
                    target: recorded.target.clone(),
                    request_body: recorded.request_body.clone(),
                    status: *status,
                    headers: self.rules.kept(headers),
                    body: body.clone(),
                }));
            }
        }
        let scrubbed = scrubber.scrubbed();
        drop(state);
        // What `scrub_with` has written counts too, and so does what no rule looks at.
        if let Some(index) = exchanges.iter().position(|it| Rules::shows_credential(it, &search)) {
            return Err(RecordingError::Credential { exchange: index + 1 });
        }
        let failed = |error| RecordingError::Io(self.path.clone(), Arc::new(error));
        let text = file::write(&exchanges).map_err(|error| failed(error.into()))?;
        atomic_file::replace(&self.path, text.as_bytes()).map_err(failed)?;
        Ok(Saved { path: self.path.clone(), exchanges: exchanges.len(), scrubbed })
    }
}

#[async_trait]
impl HttpClient for Recorder {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let exchange = self.shared.begin(&request);
        let (head, body) = self.inner.send(request).await?.into_parts();
        self.shared.respond(exchange, head.status, &head.headers);
        let shared = Arc::clone(&self.shared);
        let kept = Kept::new(body, !head.status.is_success(), move |body| shared.store(exchange, body));
        Ok(http::Response::from_parts(head, Body::new(kept)))
    }
}

/// Shows the file and the number of requests, and nothing of them.
impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = self.shared.lock().exchanges.len();
        f.debug_struct("Recorder").field("path", &self.path).field("requests", &requests).finish_non_exhaustive()
    }
}
