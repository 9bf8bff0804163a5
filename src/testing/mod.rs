//! A fake server to test programs that use this crate. Requires the feature `testing`.
//!
//! A [`FakeServer`] holds records, and responds as the servers of all three APIs do: with their JSON, pages and errors.
//! It is deterministic and synchronous. There are two ways to connect to it:
//!
//! - [`FakeServer::http_client`] returns an [`HttpClient`](crate::HttpClient) for
//!   [`ClientBuilder::http_client`](crate::ClientBuilder::http_client). It doesn't use the network, responds at once,
//!   and works with tokio's paused time. `#[tokio::test(start_paused = true)]` needs tokio's feature `test-util` in the
//!   dev-dependencies.
//! - [`FakeServer::listen`] starts an HTTP server on localhost, for code that takes a URL.
//!
//! Behaviour that an API's reference leaves open is a setting of [`FakeUnleash`], [`FakeArklow`] or
//! [`FakeIntegration`]. Their docs say which behaviour wasn't observed on a real server. A [`Log`] changes the records
//! during a scan, [`at_request`](FakeServer::at_request) does so at a chosen request, and a [`Fault`] makes a response
//! fail. [`FakeServer::received`] asserts on the requests.
//!
//! The example `fake_server` is this server as a program, for clients in any language.
//!
//! For unit tests that need a record but no server, see [`models`]. To record a real server and play it back, see
//! [`recording`].
//!
//! ```
//! use actionlog::UnleashClient;
//! use actionlog::testing::FakeServer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> actionlog::Result<()> {
//! let server = FakeServer::new();
//! server.unleash().accept_token("user:secret").add_sample_events("default", 7, 120);
//!
//! let client = UnleashClient::builder("http://localhost").api_key("user:secret").http_client(server.http_client());
//! let client = client.build()?;
//! let mut events = client.action_set_events().list(("default", 7)).items();
//! let mut count = 0;
//! while let Some(event) = events.next().await {
//!     event?;
//!     count += 1;
//! }
//! assert_eq!(count, 120);
//! assert_eq!(server.requests()[0].path, "/api/admin/projects/default/actions/7/events");
//! # Ok(())
//! # }
//! ```

mod arklow;
mod collection;
mod fault;
mod integration;
mod memory;
mod middleware;
pub mod models;
mod received;
pub mod recording;
mod requests;
pub mod sample;
mod script;
mod server;
mod sha1;
mod unleash;
mod unleash_wire;
mod wire;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderValue, Method, Request, StatusCode};

use collection::Store;
pub use collection::{FakeTotal, Log};
pub use fault::Fault;
use fault::Reply;
pub use memory::InMemory;
pub use received::{ReceivedRequest, RequestKind};
pub use requests::Received;
use script::Hooks;
pub use server::Server;

use crate::decode::HttpResponse;

/// A fake server for all three APIs: see the [module's docs](self).
///
/// Each API has its own path. Cheap to clone; clones share the same records and settings. Records and settings can be
/// changed at any time, also during a scan.
#[derive(Clone, Default)]
pub struct FakeServer {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    hooks: Mutex<Hooks>,
}

/// The records, the settings of each API, and the requests so far.
#[derive(Default)]
struct State {
    requests: Vec<ReceivedRequest>,
    /// The delay of every response.
    latency: Duration,
    store: Store,
    apis: Apis,
}

/// The fake implementation of one API.
trait Api {
    /// Whether a path belongs to this API.
    fn owns(&self, path: &str) -> bool;

    /// The API's name, in the messages of assertions.
    fn name(&self) -> &'static str;

    /// What a request to one of this API's paths asks for.
    fn kind(&self, request: &Request<Bytes>) -> RequestKind;

    fn respond(&mut self, store: &mut Store, request: &Request<Bytes>) -> HttpResponse;

    /// An error response in the API's format.
    fn reject(&mut self, status: StatusCode, message: &str) -> HttpResponse;
}

/// Declares the state of every API, by the name of its module, and re-exports what the module has for users.
macro_rules! apis {
    ($($module:ident: $($public:ident),+;)+) => {
        $(pub use $module::{$($public),+};)+

        /// The settings of each API.
        #[derive(Default)]
        struct Apis {
            $($module: $module::State,)+
        }

        impl Apis {
            /// Returns the API that a path belongs to. Their paths are disjoint, unless a test sets one of them
            /// otherwise: then the first one owns it.
            fn owner(&mut self, path: &str) -> Option<&mut dyn Api> {
                $(if self.$module.owns(path) {
                    return Some(&mut self.$module);
                })+
                None
            }
        }
    };
}

// The registry: a new API is one line here.
apis! {
    integration: FakeIntegration;
    arklow: FakeArklow, EventsShown, FakeOrder;
    unleash: FakeUnleash, Oversized;
}

impl State {
    /// Reacts to a request, and records it.
    fn reply(&mut self, request: &Request<Bytes>) -> Reply {
        let path = request.uri().path();
        let api = self.apis.owner(path);
        let mut received = ReceivedRequest::of(request);
        if let Some(api) = &api {
            (received.api, received.kind) = (Some(api.name()), api.kind(request));
        }
        let reply = match (self.store.fault(path), api) {
            (Some(fault), Some(api)) => fault.reply(|status| api.reject(status, "A fault that the test requested.")),
            (Some(fault), None) => fault.reply(|status| wire::json(status, "")),
            (None, Some(api)) => Reply::Response(api.respond(&mut self.store, request)),
            (None, None) => Reply::Response(wire::web_page(request)),
        };
        received.status = reply.status();
        self.requests.push(received);
        reply
    }
}

impl FakeServer {
    /// A server without records, which accepts any credentials.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the response to a request, without an HTTP client. A [`Fault`] that needs a connection, which is a hang
    /// or a reset, is 504 here.
    ///
    /// ```
    /// use actionlog::testing::FakeServer;
    /// use bytes::Bytes;
    ///
    /// let request = http::Request::get("/api/admin/projects/default/actions/1/events").body(Bytes::new())?;
    /// let response = FakeServer::new().respond(&request);
    /// assert_eq!(response.status(), 200);
    /// assert_eq!(response.body(), r#"{"actionSetEvents":[]}"#);
    /// # Ok::<(), http::Error>(())
    /// ```
    #[must_use]
    pub fn respond(&self, request: &Request<Bytes>) -> HttpResponse {
        match self.reply(request) {
            Reply::Response(response) => response,
            Reply::Hang | Reply::Reset => wire::json(StatusCode::GATEWAY_TIMEOUT, ""),
        }
    }

    fn reply(&self, request: &Request<Bytes>) -> Reply {
        // Call the hooks without the state's lock: they change the state. Keep theirs until the response, so that no
        // other request comes between a change and the request that it is for.
        let mut hooks = self.hooks();
        hooks.before(self);
        let mut state = self.lock();
        let reply = state.reply(request);
        let received = state.requests.last().cloned();
        drop(state);
        received.iter().for_each(|it| hooks.after(it));
        drop(hooks);
        let Reply::Response(mut response) = reply else { return reply };
        // A compressed body has no `Content-Length` and is sent in chunks, as by a server that compresses while it
        // sends.
        let is_chunked = response.headers().contains_key(CONTENT_ENCODING);
        if !is_chunked && !matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            let length = HeaderValue::from(response.body().len());
            response.headers_mut().insert(CONTENT_LENGTH, length);
        }
        if request.method() == Method::HEAD {
            *response.body_mut() = Bytes::new();
        }
        Reply::Response(response)
    }

    /// All requests so far, in order, from in-memory clients and from the network.
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.lock().requests.clone()
    }

    /// Makes the next response fail, of whichever API. Faults queue: each call applies to one more response.
    ///
    /// ```
    /// use actionlog::testing::{Fault, FakeServer};
    /// use actionlog::{ArklowClient, ErrorKind, RetryPolicy};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// let server = FakeServer::new();
    /// let client = ArklowClient::builder("4711").api_key("key").http_client(server.http_client()).build()?;
    /// server.fail_next(Fault::Status(503)).fail_next(Fault::Status(404));
    /// let error = client.records().count(()).await.unwrap_err();
    /// assert_eq!((error.kind(), error.attempts()), (ErrorKind::NotFound, 2));
    /// assert_eq!(client.records().count(()).await?, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn fail_next(&self, fault: Fault) -> &Self {
        self.fail_next_at("", fault)
    }

    /// As [`fail_next`](Self::fail_next), for the next request whose encoded path starts with `path`. Faults for other
    /// paths stay in the queue.
    ///
    /// ```
    /// use actionlog::testing::{Fault, FakeServer};
    /// use actionlog::{ArklowClient, IntegrationClient, RetryPolicy};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// let server = FakeServer::new();
    /// let arklow = ArklowClient::builder("4711").api_key("key").http_client(server.http_client()).build()?;
    /// let logs = IntegrationClient::builder("http://localhost").api_key("key").http_client(server.http_client());
    /// let logs = logs.build()?;
    /// server.fail_next_at("/integration-action-logs/", Fault::Reset);
    /// assert_eq!(arklow.records().count(()).await?, 0);
    /// assert!(logs.logs().get("1").retry(RetryPolicy::never()).await.is_err_and(|it| it.is_transient()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn fail_next_at(&self, path: impl Into<String>, fault: Fault) -> &Self {
        self.lock().store.fail_next(path.into(), fault);
        self
    }

    /// An in-memory [`HttpClient`](crate::HttpClient) for a client's builder.
    ///
    /// The client's base URL may then be any valid URL; only its path matters.
    #[must_use]
    pub fn http_client(&self) -> InMemory {
        InMemory::new(self.clone())
    }

    /// Serves HTTP/1.1 on a free port of localhost, until the [`Server`] is dropped.
    ///
    /// Don't combine it with tokio's paused time: the paused clock advances while the sockets are still busy. Use
    /// [`http_client`](Self::http_client) instead.
    ///
    /// ```
    /// use actionlog::UnleashClient;
    /// use actionlog::testing::FakeServer;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = FakeServer::new();
    /// server.unleash().add_sample_events("default", 1, 3);
    /// let listening = server.listen().await?;
    ///
    /// let client = UnleashClient::builder(listening.url()).api_key("user:any").build()?;
    /// let page = client.action_set_events().list(("default", 1)).page().await?;
    /// assert_eq!(page.entries.len(), 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If no port can be bound.
    pub async fn listen(&self) -> std::io::Result<Server> {
        self.listen_on((Ipv4Addr::LOCALHOST, 0)).await
    }

    /// As [`listen`](Self::listen), at this address, for programs whose configuration fixes the port.
    ///
    /// An address other than localhost exposes the server to the network.
    ///
    /// ```no_run
    /// # async fn example() -> std::io::Result<()> {
    /// let server = actionlog::testing::FakeServer::new().listen_on(([127, 0, 0, 1], 4242)).await?;
    /// assert_eq!(server.url(), "http://127.0.0.1:4242");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the address can't be bound, for example because the port is in use.
    pub async fn listen_on(&self, address: impl Into<SocketAddr>) -> std::io::Result<Server> {
        Server::start(self.clone(), address.into()).await
    }

    /// Ignores poisoning, as [`lock`](Self::lock) does.
    fn hooks(&self) -> MutexGuard<'_, Hooks> {
        self.inner.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ignores poisoning: a panic of another test thread can't leave a change half done.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows the number of requests, and neither records nor credentials.
impl fmt::Debug for FakeServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeServer").field("requests", &self.lock().requests.len()).finish_non_exhaustive()
    }
}
