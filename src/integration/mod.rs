//! Integration action logs: what integrations did, written and read.
//!
//! The API's reference gives neither a server nor credentials: both are the user's own. What else it leaves open is set
//! where the client is built: the collection's path, the method of an update, and what the total of an answer counts.
//!
//! Begin with [`IntegrationClient`]; [`Logs`] has what can be done, and [`ActionLogDraft`] is what is written.

mod draft;
mod failure;
mod logs;
mod models;
mod running;

use std::sync::Arc;

pub use draft::{ActionFields, ActionLogDraft, RequiredFields};
use logs::Setting;
pub use logs::{Deleted, LogListing, Logs, LogsQuery, SortOrder};
pub use models::{ActionLog, ActionType, Integration, LogStatus};
pub use running::{OnDrop, Running};

use crate::auth::{self, Authenticate, Secret};
use crate::builder::{Client, ClientBuilder, sealed};
use crate::call::Call;
use crate::check::{Checking, Finding};
use crate::environment::Environment;
use crate::error::{Error, ErrorKind, Result};
pub use crate::logged::{LogFailure, Logged, LoggedAction};
use crate::page::{Listing, Page, Paginate, Total};
use crate::request::{self, Request};
use crate::transport::{Dialect, RateLimit, Transport};

/// Where the collection is unless set.
const COLLECTION: &str = "integration-action-logs";

/// A client of a server that keeps integration action logs.
///
/// Cheap to clone; clones share connections and settings.
///
/// ```no_run
/// use actionlog::IntegrationClient;
///
/// # async fn example() -> actionlog::Result<()> {
/// let client = IntegrationClient::builder("https://logs.example.com/api").bearer("token").build()?;
/// let page = client.logs().list(()).page().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct IntegrationClient {
    logs: Logs,
}

impl IntegrationClient {
    /// Begins a client of the server at `base_url`: what comes before the collection's path, `integration-action-logs`.
    ///
    /// `api_key` sends the key as it is, in `Authorization`; for other credentials see [`auth`].
    pub fn builder(base_url: impl Into<String>) -> ClientBuilder<Self> {
        ClientBuilder::new(base_url)
    }

    /// A client from the environment: `INTEGRATION_LOGS_URL`, and `INTEGRATION_LOGS_AUTHORIZATION`, which is sent as it
    /// is in `Authorization`.
    ///
    /// # Errors
    ///
    /// [`Configuration`](ErrorKind::Configuration), with what is missing or wrong.
    pub fn from_env() -> Result<Self> {
        Self::builder_from_env()?.build()
    }

    /// A builder from the environment, for more settings: see [`from_env`](Self::from_env).
    ///
    /// # Errors
    ///
    /// [`Configuration`](ErrorKind::Configuration), with what is missing.
    pub fn builder_from_env() -> Result<ClientBuilder<Self>> {
        let mut environment = Environment::new();
        let url = environment.required("INTEGRATION_LOGS_URL");
        let authorization = environment.required("INTEGRATION_LOGS_AUTHORIZATION");
        environment.check()?;
        Ok(Self::builder(url).api_key(authorization))
    }

    /// The records of the log.
    #[must_use]
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// Asks for one record, to tell whether the base URL, the collection's path and the credentials are right.
    pub fn check(&self) -> Checking<Page<ActionLog>> {
        Checking::new(self.logs().list(()).page_size(1).page(), |_| Finding::NoSuchApi)
    }

    /// A listing of your own on this server: see [`Paginate`].
    pub fn listing<Q: Paginate>(&self, query: Q) -> Listing<Q> {
        Listing::new(self.logs.transport.clone(), query)
    }

    /// The base URL that paths are appended to, as it was understood: without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.logs.transport.base().as_str()
    }

    /// What the server said last of how much it may be asked, to this client or a clone of it. `None` if it said nothing.
    #[must_use]
    pub fn rate_limit(&self) -> Option<RateLimit> {
        self.logs.transport.rate_limit()
    }

    /// A request of your own to this server: see [`Request`].
    pub fn send<T>(&self, request: Request<T>) -> Call<T> {
        Call::new(self.logs.transport.clone(), request)
    }
}

/// How a server takes updates, which isn't documented. Both replace the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UpdateMethod {
    /// `PUT`.
    #[default]
    Put,
    /// `PATCH`.
    Patch,
}

/// What is set for an [`IntegrationClient`] alone.
#[derive(Debug)]
pub struct Options {
    collection: Option<String>,
    update: UpdateMethod,
    total: Total,
}

impl Default for Options {
    fn default() -> Self {
        Self { collection: None, update: UpdateMethod::default(), total: Total::Open }
    }
}

impl ClientBuilder<IntegrationClient> {
    /// Where the collection is, below the base URL; `integration-action-logs` unless set. Its segments are encoded.
    pub fn collection_path(mut self, path: impl Into<String>) -> Self {
        self.options.collection = Some(path.into());
        self
    }

    /// How the server takes updates; [`UpdateMethod::Put`] unless set.
    pub fn update_method(mut self, method: UpdateMethod) -> Self {
        self.options.update = method;
        self
    }

    /// What an answer's `total` counts, if you know: [`Total::OfListing`] saves a request at the end of a listing. It isn't
    /// documented, and [`Total::Open`] unless set: then it ends no listing, and counts for the verdict only if it can't be
    /// the page's.
    pub fn total_means(mut self, total: Total) -> Self {
        self.options.total = total;
        self
    }
}

impl Client for IntegrationClient {}

impl sealed::Assemble for IntegrationClient {
    type Options = Options;

    fn dialect() -> &'static Dialect {
        &failure::DIALECT
    }

    fn key(key: Secret) -> Box<dyn Authenticate> {
        Box::new(auth::raw(key))
    }

    fn assemble(transport: Transport, options: Options) -> Result<Self> {
        let path = options.collection.unwrap_or_else(|| COLLECTION.to_owned());
        let collection = request::encode_path(path.trim_matches('/')).map_err(|why| {
            Error::new(ErrorKind::Configuration, format!("the collection's path can't be used: {why}"))
        })?;
        Ok(Self {
            logs: Logs {
                transport,
                setting: Arc::new(Setting { collection, update: options.update, total: options.total }),
            },
        })
    }
}
