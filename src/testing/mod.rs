//! A fake server, to test programs that use this crate without a real one. Behind the feature `testing`.
//!
//! A [`World`] holds records, and answers as the real servers of all three APIs do: their JSON, their pages, their
//! refusals. It is pure and synchronous; two doors lead into it:
//!
//! - [`World::exchange`] is for [`ClientBuilder::exchange`](crate::ClientBuilder::exchange): nothing touches the network,
//!   answers come at once, and tokio's paused time works. That takes tokio's feature `test-util` among the
//!   dev-dependencies, for `#[tokio::test(start_paused = true)]`.
//! - [`World::listen`] is a real HTTP server on this machine, for all that a URL can be given to.
//!
//! What the APIs' reference pages leave open is a switch of [`UnleashWorld`], [`ArklowWorld`] or [`IntegrationWorld`], and
//! what was not seen of a real server is said to be so in the docs. A [`Log`] changes the records while a client reads
//! them, and a [`Fault`] lets an answer go wrong.
//!
//! For unit tests that need a record and no server there is [`models`].
//!
//! ```
//! use actionlog::UnleashClient;
//! use actionlog::testing::World;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> actionlog::Result<()> {
//! let world = World::new();
//! world.unleash().accept_token("user:secret").add_sample_events("default", 7, 120);
//!
//! let client = UnleashClient::builder("http://localhost").api_key("user:secret").exchange(world.exchange()).build()?;
//! let mut events = client.action_set_events().list(("default", 7)).items();
//! let mut count = 0;
//! while let Some(event) = events.next().await {
//!     event?;
//!     count += 1;
//! }
//! assert_eq!(count, 120);
//! assert_eq!(world.requests()[0].path, "/api/admin/projects/default/actions/7/events");
//! # Ok(())
//! # }
//! ```

mod arklow;
mod dress;
mod fault;
mod integration;
mod memory;
pub mod models;
pub mod sample;
mod seen;
mod server;
mod sha1;
mod shelf;
mod unleash;
mod wire;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderValue, Method, Request, StatusCode};

pub use arklow::{ArklowWorld, EventsShown, HeadIs};
pub use fault::Fault;
use fault::Reply;
pub use integration::IntegrationWorld;
pub use memory::InMemory;
pub use seen::SeenRequest;
pub use server::Server;
use shelf::Store;
pub use shelf::{CountMeans, Log};
pub use unleash::{Oversized, UnleashWorld};

use crate::request::Answer;

/// A fake server: records, and the rules by which they are given out.
///
/// It speaks all three APIs at once, each at its own path. Cheap to clone; clones are the same world. It can be changed
/// while it is read, as a real one is.
#[derive(Clone, Default)]
pub struct World {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    hook: Mutex<Option<Hook>>,
}

type Hook = Box<dyn FnMut(&World) + Send>;

/// What is said of each API in one place.
#[derive(Default)]
struct State {
    requests: Vec<SeenRequest>,
    store: Store,
    unleash: unleash::State,
    arklow: arklow::State,
    integration: integration::State,
}

/// How a fake speaks.
trait Api {
    /// Whether a path is one of this API's.
    fn owns(&self, path: &str) -> bool;

    fn answer(&mut self, store: &mut Store, request: &Request<Bytes>) -> Answer;

    /// A failure in the API's own words.
    fn refuse(&mut self, status: StatusCode, message: &str) -> Answer;
}

impl State {
    fn reply(&mut self, request: &Request<Bytes>) -> Reply {
        let path = request.uri().path();
        let apis: [&mut dyn Api; 3] = [&mut self.integration, &mut self.arklow, &mut self.unleash];
        let api = apis.into_iter().find(|it| it.owns(path));
        match (self.store.fault(path), api) {
            (Some(fault), Some(api)) => fault.reply(|status| api.refuse(status, "A fault, as it was asked for.")),
            (Some(fault), None) => fault.reply(|status| wire::json(status, "")),
            (None, Some(api)) => Reply::Answer(api.answer(&mut self.store, request)),
            (None, None) => Reply::Answer(wire::web_page(request)),
        }
    }
}

impl World {
    /// A world without records, in which every credential is good.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers a request, at once, as both doors do. A fault that only a connection can have, a hang or a reset, is 504
    /// here.
    ///
    /// ```
    /// use actionlog::testing::World;
    /// use bytes::Bytes;
    ///
    /// let request = http::Request::get("/api/admin/projects/default/actions/1/events").body(Bytes::new())?;
    /// let answer = World::new().answer(&request);
    /// assert_eq!(answer.status(), 200);
    /// assert_eq!(answer.body(), r#"{"actionSetEvents":[]}"#);
    /// # Ok::<(), http::Error>(())
    /// ```
    #[must_use]
    pub fn answer(&self, request: &Request<Bytes>) -> Answer {
        match self.reply(request) {
            Reply::Answer(answer) => answer,
            Reply::Hang | Reply::Reset => wire::json(StatusCode::GATEWAY_TIMEOUT, ""),
        }
    }

    fn reply(&self, request: &Request<Bytes>) -> Reply {
        // Outside of the state's lock: it is there to change the state.
        if let Some(hook) = self.inner.hook.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            hook(self);
        }
        let mut state = self.lock();
        state.requests.push(SeenRequest::of(request));
        let reply = state.reply(request);
        drop(state);
        let Reply::Answer(mut answer) = reply else { return reply };
        // What is compressed goes out in chunks, as a server sends it that begins before it knows how long it gets.
        let is_chunked = answer.headers().contains_key(CONTENT_ENCODING);
        if !is_chunked && !matches!(answer.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            let length = HeaderValue::from(answer.body().len());
            answer.headers_mut().insert(CONTENT_LENGTH, length);
        }
        if request.method() == Method::HEAD {
            *answer.body_mut() = Bytes::new();
        }
        Reply::Answer(answer)
    }

    /// The requests that came so far, through either door, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.lock().requests.clone()
    }

    /// What stands for an Unleash server in this world: all below `/api`.
    #[must_use]
    pub fn unleash(&self) -> UnleashWorld {
        UnleashWorld::of(self.clone())
    }

    /// What stands for Arklow in this world: all below `/v1`.
    #[must_use]
    pub fn arklow(&self) -> ArklowWorld {
        ArklowWorld::of(self.clone())
    }

    /// What stands for a server of integration action logs in this world: `/integration-action-logs` and below, unless
    /// set otherwise.
    #[must_use]
    pub fn integration(&self) -> IntegrationWorld {
        IntegrationWorld::of(self.clone())
    }

    /// Lets an answer go wrong: the next one, or, called again before that, the one after it, and so on. Whichever API
    /// is asked.
    ///
    /// ```
    /// use actionlog::testing::{Fault, World};
    /// use actionlog::{ArklowClient, ErrorKind, RetryPolicy};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// let world = World::new();
    /// let client = ArklowClient::builder("4711").api_key("key").exchange(world.exchange()).build()?;
    /// world.fail_next(Fault::Status(503)).fail_next(Fault::Status(404));
    /// let error = client.records().count(()).await.unwrap_err();
    /// assert_eq!((error.kind(), error.attempts()), (ErrorKind::NotFound, 2));
    /// assert_eq!(client.records().count(()).await?, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn fail_next(&self, fault: Fault) -> &Self {
        self.fail_next_at("", fault)
    }

    /// As [`fail_next`](Self::fail_next), for the next request whose path begins so, as it is sent. The faults of other
    /// paths wait.
    ///
    /// ```
    /// use actionlog::testing::{Fault, World};
    /// use actionlog::{ArklowClient, IntegrationClient, RetryPolicy};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// let world = World::new();
    /// let arklow = ArklowClient::builder("4711").api_key("key").exchange(world.exchange()).build()?;
    /// let logs = IntegrationClient::builder("http://localhost").api_key("key").exchange(world.exchange()).build()?;
    /// world.fail_next_at("/integration-action-logs/", Fault::Reset);
    /// assert_eq!(arklow.records().count(()).await?, 0);
    /// assert!(logs.logs().get("1").retry(RetryPolicy::off()).await.is_err_and(|it| it.is_transient()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn fail_next_at(&self, path: impl Into<String>, fault: Fault) -> &Self {
        self.lock().store.fail_next(path.into(), fault);
        self
    }

    /// Calls this before each request is answered, with the requests before it in [`requests`](Self::requests): to
    /// change the world between two pages. It replaces one that was set before.
    ///
    /// It may change all of the world, but not [`answer`](Self::answer) a request or set another of its kind: that
    /// would wait for itself.
    ///
    /// ```
    /// use actionlog::UnleashClient;
    /// use actionlog::testing::World;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// let world = World::new();
    /// world.unleash().add_sample_events("default", 1, 60);
    /// world.before_each(|world| drop(world.unleash().add_sample_events("default", 1, 1)));
    /// let client = UnleashClient::builder("http://localhost").api_key("user:any").exchange(world.exchange()).build()?;
    /// client.action_set_events().list(("default", 1)).page().await?;
    /// client.action_set_events().list(("default", 1)).page().await?;
    /// assert_eq!(world.unleash().log("default", 1).len(), 62);
    /// # Ok(())
    /// # }
    /// ```
    pub fn before_each(&self, change: impl FnMut(&Self) + Send + 'static) -> &Self {
        *self.inner.hook.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(change));
        self
    }

    /// The door without a network: an [`Exchange`](crate::Exchange) for a client's builder.
    ///
    /// The client's base URL may then be any that it takes; only the path counts.
    #[must_use]
    pub fn exchange(&self) -> InMemory {
        InMemory::new(self.clone())
    }

    /// The door by the network: serves HTTP/1.1 on a free port of this machine, until the [`Server`] is dropped.
    ///
    /// Tokio's paused time (by its feature `test-util`) doesn't go with it: the clock would run on while the sockets still work.
    /// [`exchange`](Self::exchange) is for that.
    ///
    /// ```
    /// use actionlog::UnleashClient;
    /// use actionlog::testing::World;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let world = World::new();
    /// world.unleash().add_sample_events("default", 1, 3);
    /// let server = world.listen().await?;
    ///
    /// let client = UnleashClient::builder(server.url()).api_key("user:any").build()?;
    /// let page = client.action_set_events().list(("default", 1)).page().await?;
    /// assert_eq!(page.entries.len(), 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If no port can be had.
    pub async fn listen(&self) -> std::io::Result<Server> {
        self.listen_on((Ipv4Addr::LOCALHOST, 0)).await
    }

    /// As [`listen`](Self::listen), at an address of your choice: for programs that have the port in their settings.
    ///
    /// Mind that an address of this machine's network lets others in.
    ///
    /// ```no_run
    /// # async fn example() -> std::io::Result<()> {
    /// let server = actionlog::testing::World::new().listen_on(([127, 0, 0, 1], 4242)).await?;
    /// assert_eq!(server.url(), "http://127.0.0.1:4242");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the port is taken.
    pub async fn listen_on(&self, address: impl Into<SocketAddr>) -> std::io::Result<Server> {
        Server::start(self.clone(), address.into()).await
    }

    /// A test that panicked elsewhere is no reason to fail here: every change is whole when the lock is let go.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows how many requests came, and neither records nor credentials.
impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("requests", &self.lock().requests.len()).finish_non_exhaustive()
    }
}
