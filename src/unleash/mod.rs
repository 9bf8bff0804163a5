//! [Unleash](https://www.getunleash.io): the events of its action sets.
//!
//! The API is part of Unleash **Enterprise** and in **beta**: it may change or be removed. A server without it answers
//! 404, and the error says so.
//!
//! Begin with [`UnleashClient`]; [`ActionSetEvents`] has what can be asked for.

mod action_set_events;
mod failure;
mod models;

pub use action_set_events::{ActionSetEvents, EventsQuery};
pub use models::{
    ActionEvent, ActionEventState, ActionSet, ActionSetEvent, ActionSetEventState, Signal, SignalFilter, SignalSource,
    SignalToken, User,
};

use crate::auth::{self, Authenticate, Secret};
use crate::builder::{Client, ClientBuilder, sealed};
use crate::call::Call;
use crate::check::{Checking, Finding};
use crate::environment::Environment;
use crate::error::Result;
use crate::page::{Listing, Page, Paginate};
use crate::request::Request;
use crate::transport::{Dialect, RateLimit, Transport};

/// A client of an Unleash server.
///
/// Cheap to clone; clones share connections and settings.
///
/// ```no_run
/// use actionlog::UnleashClient;
///
/// # async fn example() -> actionlog::Result<()> {
/// let client = UnleashClient::builder("https://unleash.example.com").api_key("user:98b5...").build()?;
/// let page = client.action_set_events().list(("default", 7)).page().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct UnleashClient {
    transport: Transport,
}

impl UnleashClient {
    /// Begins a client of the server at `base_url`: what comes before `/api`.
    ///
    /// `api_key` sends the token as it is, in `Authorization`; `bearer` puts `Bearer` before it. Unleash takes both: a
    /// personal access token, a service account's token, or an admin token.
    pub fn builder(base_url: impl Into<String>) -> ClientBuilder<Self> {
        ClientBuilder::new(base_url)
    }

    /// A client from the environment: `UNLEASH_URL` and `UNLEASH_TOKEN`.
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration), with what is missing or wrong.
    pub fn from_env() -> Result<Self> {
        Self::builder_from_env()?.build()
    }

    /// A builder from the environment, for more settings: see [`from_env`](Self::from_env).
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration), with what is missing.
    pub fn builder_from_env() -> Result<ClientBuilder<Self>> {
        let mut environment = Environment::new();
        let url = environment.required("UNLEASH_URL");
        let token = environment.required("UNLEASH_TOKEN");
        environment.check()?;
        Ok(Self::builder(url).api_key(token))
    }

    /// The events of action sets.
    #[must_use]
    pub fn action_set_events(&self) -> ActionSetEvents<'_> {
        ActionSetEvents { transport: &self.transport }
    }

    /// Asks for one event, to tell whether the base URL and the token are right and the server has the API.
    ///
    /// ```no_run
    /// # async fn example(client: actionlog::UnleashClient) -> actionlog::Result<()> {
    /// let check = client.check().await;
    /// if !check.is_ready() {
    ///     eprintln!("{check}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// It asks for the events of action set 1 of the project `default`, and is content if that doesn't exist. A user who
    /// may not see that project is [`NotAllowed`](Finding::NotAllowed): to check another, ask for a page of it.
    pub fn check(&self) -> Checking<Page<ActionSetEvent>> {
        let call = self.action_set_events().list(("default", 1)).page_size(1).page();
        Checking::new(call, |error| if error.says_no_such_api() { Finding::NoSuchApi } else { Finding::Ready })
    }

    /// A listing of your own on this server: see [`Paginate`].
    pub fn listing<Q: Paginate>(&self, query: Q) -> Listing<Q> {
        Listing::new(self.transport.clone(), query)
    }

    /// The base URL that paths are appended to, as it was understood: without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.transport.base().as_str()
    }

    /// What the server said last of how much it may be asked, to this client or a clone of it. `None` if it said nothing.
    #[must_use]
    pub fn rate_limit(&self) -> Option<RateLimit> {
        self.transport.rate_limit()
    }

    /// A request of your own to this server: see [`Request`].
    ///
    /// ```no_run
    /// use actionlog::{Json, Request};
    ///
    /// # async fn example(client: actionlog::UnleashClient) -> actionlog::Result<()> {
    /// let request = Request::get("api/admin/projects/{projectId}/actions", ["default"]).json::<Json>();
    /// println!("{}", client.send(request).await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn send<T>(&self, request: Request<T>) -> Call<T> {
        Call::new(self.transport.clone(), request)
    }
}

impl Client for UnleashClient {}

impl sealed::Assemble for UnleashClient {
    type Options = ();

    fn dialect() -> &'static Dialect {
        &failure::DIALECT
    }

    fn key(key: Secret) -> Box<dyn Authenticate> {
        Box::new(auth::raw(key))
    }

    fn assemble(transport: Transport, (): ()) -> Result<Self> {
        Ok(Self { transport })
    }
}
