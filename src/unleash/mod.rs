//! [Unleash](https://www.getunleash.io): the events of its action sets.
//!
//! The API is part of Unleash **Enterprise** and in **beta**: it may change or be removed. A server without it responds
//! with 404, and the error's hint says so.
//!
//! Start with [`UnleashClient`]; its calls are the methods of [`ActionSetEvents`].

mod action_set_events;
mod failure;
mod log_record;
mod models;

pub use action_set_events::{ActionSetEvents, EventsQuery};
pub use models::{
    ActionEvent, ActionEventState, ActionSet, ActionSetEvent, ActionSetEventState, Signal, SignalFilter, SignalSource,
    SignalToken, User,
};

use crate::auth::{self, Authenticate, Secret};
use crate::client::builder::{Client, ClientBuilder, sealed};
use crate::client::methods::client_methods;
use crate::error::Result;
use crate::page::Page;
use crate::page::check::{CheckCall, CheckStatus};
use crate::transport::env::Environment;
use crate::transport::{Dialect, Transport};

/// A client for an Unleash server.
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
    /// A builder for the server at `base_url`, which ends before `/api`.
    ///
    /// [`api_key`](ClientBuilder::api_key) sends the token unchanged in `Authorization`;
    /// [`bearer`](ClientBuilder::bearer) sends it after `Bearer`. Unleash accepts both forms. The token is a personal
    /// access token, a service account's token, or an admin token.
    pub fn builder(base_url: impl Into<String>) -> ClientBuilder<Self> {
        ClientBuilder::new(base_url)
    }

    /// A builder configured by the environment.
    fn configured(environment: &mut Environment) -> ClientBuilder<Self> {
        let url = environment.required("UNLEASH_URL");
        let token = environment.required("UNLEASH_TOKEN");
        Self::builder(url).api_key(token)
    }

    /// The events of action sets.
    #[must_use]
    pub fn action_set_events(&self) -> ActionSetEvents<'_> {
        ActionSetEvents { transport: &self.transport }
    }

    /// Requests one event, to check the base URL, the token, and whether the server has the API.
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
    /// The check requests the events of action set 1 of the project `default`, which need not exist. A user who may not
    /// see that project gets [`NotAllowed`](CheckStatus::NotAllowed): [`check_events`](Self::check_events) checks
    /// another project.
    pub fn check(&self) -> CheckCall<Page<ActionSetEvent>> {
        self.check_events(("default", 1))
    }

    /// Requests one event of this action set, to check the base URL, the token with its access to the project, and
    /// whether the server has the API. The action set need not exist.
    ///
    /// ```no_run
    /// # async fn example(client: actionlog::UnleashClient) -> actionlog::Result<()> {
    /// client.check_events(("shop", 7)).await.into_result()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn check_events(&self, query: impl Into<EventsQuery>) -> CheckCall<Page<ActionSetEvent>> {
        let call = self.action_set_events().list(query).page_size(1).page();
        CheckCall::new(call, |error| if error.says_no_such_api() { CheckStatus::NoSuchApi } else { CheckStatus::Ready })
    }
}

client_methods! {
    UnleashClient,
    |it| it.transport,
    variables: "`UNLEASH_URL` and `UNLEASH_TOKEN`",
    request: r#"get("api/admin/projects/{projectId}/actions", ["default"])"#
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
