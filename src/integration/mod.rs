//! Integration action logs: records of what integrations did, to read and to write.
//!
//! The API's reference names neither a server nor a kind of credentials, so both are configured. The client's builder
//! also sets what else is undocumented: the path of the collection, the method of an update, and what the total of a
//! page counts.
//!
//! Start with [`IntegrationClient`]; its calls are the methods of [`Logs`]. Creates and updates take an
//! [`ActionLogInput`].

mod failure;
mod input;
mod log_record;
mod logged;
mod logs;
mod models;
mod pending;

use std::sync::Arc;

pub use input::{ActionFields, ActionLogFields, ActionLogInput};
use logs::Setting;
pub use logs::{Deleted, LogListing, Logs, LogsQuery, SortOrder};
pub use models::{ActionLog, ActionType, Integration, LogStatus};
pub use pending::{OnDrop, PendingLog};

use crate::auth::{self, Authenticate, Secret};
use crate::client::builder::{Client, ClientBuilder, sealed};
use crate::client::methods::client_methods;
use crate::error::{Error, ErrorKind, Result};
use crate::page::check::{CheckCall, CheckStatus};
use crate::page::{Page, TotalScope};
use crate::request;
use crate::transport::env::Environment;
use crate::transport::{Dialect, Transport};
pub use logged::{LogFailure, Logged, LoggedAction};

/// The default path of the collection.
const COLLECTION: &str = "integration-action-logs";

/// A client for a server of integration action logs.
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
    /// A builder for the server at `base_url`, which ends before the path of the collection
    /// (`integration-action-logs`).
    ///
    /// [`api_key`](ClientBuilder::api_key) sends the key unchanged in `Authorization`; for other credentials see
    /// [`auth`].
    pub fn builder(base_url: impl Into<String>) -> ClientBuilder<Self> {
        ClientBuilder::new(base_url)
    }

    /// A builder configured by the environment.
    fn configured(environment: &mut Environment) -> ClientBuilder<Self> {
        let url = environment.required("INTEGRATION_LOGS_URL");
        let authorization = environment.required("INTEGRATION_LOGS_AUTHORIZATION");
        Self::builder(url).api_key(authorization)
    }

    /// The records of the log.
    #[must_use]
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// Requests one record, to check the base URL, the path of the collection and the credentials.
    pub fn check(&self) -> CheckCall<Page<ActionLog>> {
        CheckCall::new(self.logs().list(()).page_size(1).page(), |_| CheckStatus::NoSuchApi)
    }
}

client_methods! {
    IntegrationClient,
    |it| it.logs.transport,
    variables: "`INTEGRATION_LOGS_URL` and `INTEGRATION_LOGS_AUTHORIZATION`. The latter is sent unchanged in \
        `Authorization`",
    request: r#"get("integration-action-logs/{id}", ["some-id"])"#
}

/// The HTTP method of an update, which is undocumented. Both methods replace the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UpdateMethod {
    /// `PUT`.
    #[default]
    Put,
    /// `PATCH`.
    Patch,
}

/// Builder settings that only an [`IntegrationClient`] has.
#[derive(Debug)]
pub struct Options {
    collection: Option<String>,
    update: UpdateMethod,
    total: TotalScope,
}

impl Default for Options {
    fn default() -> Self {
        Self { collection: None, update: UpdateMethod::default(), total: TotalScope::Unknown }
    }
}

impl ClientBuilder<IntegrationClient> {
    /// The path of the collection below the base URL. The default is `integration-action-logs`. Its segments are
    /// percent-encoded.
    pub fn collection_path(mut self, path: impl Into<String>) -> Self {
        self.options.collection = Some(path.into());
        self
    }

    /// The HTTP method of updates. The default is [`UpdateMethod::Put`].
    pub fn update_method(mut self, method: UpdateMethod) -> Self {
        self.options.update = method;
        self
    }

    /// What the `total` of a page counts, which is undocumented. [`TotalScope::Listing`] saves the last request of a
    /// listing. The default is [`TotalScope::Unknown`]: the total then never ends a listing, and affects the verdict
    /// only if it can't be the number of records of the page.
    pub fn total_scope(mut self, total: TotalScope) -> Self {
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
        let collection = request::encode_path(path.trim_matches('/'))
            .map_err(|why| Error::new(ErrorKind::Configuration, format!("invalid collection path: {why}")))?;
        Ok(Self {
            logs: Logs {
                transport,
                setting: Arc::new(Setting { collection, update: options.update, total: options.total }),
            },
        })
    }
}
