//! A fake server, to test programs that use this crate without a real one. Behind the feature `testing`.
//!
//! A [`World`] holds records, and answers as the real servers do: their JSON, their pages, their refusals. It is pure and
//! synchronous; two doors lead into it:
//!
//! - [`World::exchange`] is for [`ClientBuilder::exchange`](crate::ClientBuilder::exchange): nothing touches the network,
//!   answers come at once, and tokio's paused time works.
//! - [`World::listen`] is a real HTTP server on this machine, for all that a URL can be given to.
//!
//! What the real servers' pages leave open is a switch of the world, and what was not seen of a real server is said to be
//! so in the docs.
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

mod memory;
pub mod sample;
mod server;
mod unleash;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, VARY};
use http::{HeaderValue, Method, Request, StatusCode};
use url::form_urlencoded;

pub use memory::InMemory;
pub use server::Server;
pub use unleash::{Oversized, UnleashWorld};

use crate::request::Answer;

/// A fake server: records, and the rules by which they are given out.
///
/// Cheap to clone; clones are the same world. It can be changed while it is read, as a real one is.
#[derive(Clone, Default)]
pub struct World {
    state: Arc<Mutex<State>>,
}

/// One field for each API, and one line in [`State::answer`].
#[derive(Default)]
struct State {
    requests: Vec<SeenRequest>,
    unleash: unleash::State,
}

impl State {
    fn answer(&mut self, request: &Request<Bytes>) -> Answer {
        self.unleash.answer(request).unwrap_or_else(|| web_page(request))
    }
}

impl World {
    /// A world without records, in which every credential is good.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers a request, at once. Both doors come here.
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
        let mut state = self.lock();
        state.requests.push(SeenRequest::of(request));
        let mut answer = state.answer(request);
        drop(state);
        let length = HeaderValue::from(answer.body().len());
        answer.headers_mut().insert(CONTENT_LENGTH, length);
        if request.method() == Method::HEAD {
            *answer.body_mut() = Bytes::new();
        }
        answer
    }

    /// The requests that came so far, through either door, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.lock().requests.clone()
    }

    /// What stands for an Unleash server in this world.
    #[must_use]
    pub fn unleash(&self) -> UnleashWorld {
        UnleashWorld::of(self.clone())
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
    /// Tokio's paused time doesn't go with it: the clock would run on while the sockets still work.
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
        Server::start(self.clone()).await
    }

    /// A test that panicked elsewhere is no reason to fail here: every change is whole when the lock is let go.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows how many requests came, and neither records nor credentials.
impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("requests", &self.lock().requests.len()).finish_non_exhaustive()
    }
}

/// A request, as a [`World`] saw it. Of its headers only the names are kept: the values hold credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeenRequest {
    /// The method.
    pub method: Method,
    /// The path as it was sent, encoded.
    pub path: String,
    /// The query as it was sent, encoded and without the `?`. Empty if there was none.
    pub query: String,
    /// The headers' names.
    pub headers: Vec<HeaderName>,
    /// The body.
    pub body: Bytes,
}

impl SeenRequest {
    fn of(request: &Request<Bytes>) -> Self {
        Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers: request.headers().keys().cloned().collect(),
            body: request.body().clone(),
        }
    }

    /// The value of a query parameter, decoded; the first if it was given more than once.
    ///
    /// ```
    /// use actionlog::testing::World;
    /// use bytes::Bytes;
    ///
    /// let world = World::new();
    /// let _ = world.answer(&http::Request::get("/any?filter=a%20b").body(Bytes::new())?);
    /// assert_eq!(world.requests()[0].parameter("filter").as_deref(), Some("a b"));
    /// # Ok::<(), http::Error>(())
    /// ```
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// Whether a header of this name came, in any letter case: `authorization`, say.
    #[must_use]
    pub fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|it| it.as_str().eq_ignore_ascii_case(name))
    }
}

fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Answer::new(body.into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    answer
}

fn json(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    answer(status, "application/json; charset=utf-8", body)
}

/// What a server with a user interface answers to a path that no API has: with success, and to anyone. It's what a base
/// URL with a wrong path meets.
fn web_page(request: &Request<Bytes>) -> Answer {
    let html = "text/html; charset=utf-8";
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        answer(
            StatusCode::OK,
            html,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><title>A fake server</title></head></html>\n",
        )
    } else {
        answer(
            StatusCode::NOT_FOUND,
            html,
            "<!DOCTYPE html>\n<html lang=\"en\"><body><pre>Not found</pre></body></html>\n",
        )
    }
}
