//! Arklow: an organisation's action records.
//!
//! Two things are undocumented, so the client's builder sets them: the encoding of a search in the query
//! ([`SearchEncoding`]), and what the `count` of a page counts ([`TotalScope`]). A record has its state and its
//! definition only if the [query](RecordsQuery) asks for them. Without its state a record has no timestamp.
//!
//! Start with [`ArklowClient`]; its calls are the methods of [`Records`].

mod failure;
mod log_record;
mod models;
mod records;

use std::fmt;

pub use models::{
    ActionDefinition, ActionEvent, ActionRecord, ActionState, ActionStatus, Credential, Destination, DestinationKind,
    DestinationLink, Organization, Signal, Signaling, WebhookConfig,
};
use records::Setting;
pub use records::{RecordListing, Records, RecordsQuery};

use crate::auth::{self, Authenticate, Secret};
use crate::client::builder::{Client, ClientBuilder, sealed};
use crate::client::methods::client_methods;
use crate::error::{Error, ErrorKind, Result};
use crate::page::check::{CheckCall, CheckStatus};
use crate::page::{Page, TotalScope};
use crate::transport::env::Environment;
use crate::transport::{Dialect, Transport};

/// Arklow's public base URL.
const BASE_URL: &str = "https://api.arklow.io";

/// The header that carries the API key.
const KEY_HEADER: &str = "x-arklow-auth";

/// A client for Arklow and one organisation.
///
/// Cheap to clone; clones share connections and settings.
///
/// ```no_run
/// use actionlog::ArklowClient;
///
/// # async fn example() -> actionlog::Result<()> {
/// let client = ArklowClient::builder("4711").api_key("key").build()?;
/// let page = client.records().list(()).page().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ArklowClient {
    transport: Transport,
    setting: Setting,
}

impl ArklowClient {
    /// A builder for the organisation with this id, which consists of digits.
    ///
    /// [`api_key`](ClientBuilder::api_key) sends the key in the header `x-arklow-auth`.
    pub fn builder(org_id: impl Into<String>) -> ClientBuilder<Self> {
        let mut builder = ClientBuilder::<Self>::new(BASE_URL);
        builder.options.org_id = org_id.into();
        builder
    }

    /// A builder configured by the environment.
    fn configured(environment: &mut Environment) -> ClientBuilder<Self> {
        let key = environment.required("ARKLOW_API_KEY");
        let org_id = environment.required("ARKLOW_ORG_ID");
        let url = environment.optional("ARKLOW_BASE_URL");
        let builder = Self::builder(org_id).api_key(key);
        match url {
            Some(url) => builder.base_url(url),
            None => builder,
        }
    }

    /// The organisation's action records.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        Records { transport: &self.transport, setting: &self.setting }
    }

    /// Requests one record, to check the base URL, the API key and the organisation's id.
    pub fn check(&self) -> CheckCall<Page<ActionRecord>> {
        CheckCall::new(self.records().list(()).page_size(1).page(), |_| CheckStatus::NotAllowed)
    }
}

client_methods! {
    ArklowClient,
    |it| it.transport,
    variables: "`ARKLOW_API_KEY` and `ARKLOW_ORG_ID`, and optionally `ARKLOW_BASE_URL` (default: Arklow's public \
        server)",
    request: r#"get("v1/orgs/{org_id}/actions/records", ["4711"]).query("take", 1)"#
}

/// The encoding of a search in the query string, which is undocumented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SearchEncoding {
    /// `search[field]=..&search[value]=..&search[op]=eq`, percent-encoded.
    #[default]
    DeepObject,
    /// `field=..&value=..&op=eq`.
    Plain,
    /// `search={"field":..,"value":..,"op":"eq"}`, percent-encoded.
    Json,
}

/// Builder settings that only an [`ArklowClient`] has.
pub struct Options {
    org_id: String,
    search: SearchEncoding,
    count: TotalScope,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The id isn't validated yet: a user may have passed the API key here by mistake.
        let Self { org_id: _, search, count } = self;
        f.debug_struct("Options").field("search", search).field("count", count).finish_non_exhaustive()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { org_id: String::new(), search: SearchEncoding::default(), count: TotalScope::Unknown }
    }
}

impl ClientBuilder<ArklowClient> {
    /// The base URL, which ends before `/v1`. The default is Arklow's public server.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.set_base_url(url.into());
        self
    }

    /// The encoding of a search in the query string. The default is [`SearchEncoding::DeepObject`].
    pub fn search_encoding(mut self, encoding: SearchEncoding) -> Self {
        self.options.search = encoding;
        self
    }

    /// What the `count` of a page counts, which is undocumented. [`TotalScope::Listing`] saves the last request of a
    /// listing. The default is [`TotalScope::Unknown`]: the count then never ends a listing.
    pub fn count_scope(mut self, total: TotalScope) -> Self {
        self.options.count = total;
        self
    }
}

impl Client for ArklowClient {}

impl sealed::Assemble for ArklowClient {
    type Options = Options;

    fn dialect() -> &'static Dialect {
        &failure::DIALECT
    }

    fn key(key: Secret) -> Box<dyn Authenticate> {
        Box::new(auth::header(KEY_HEADER, key))
    }

    fn assemble(transport: Transport, options: Options) -> Result<Self> {
        let org_id = options.org_id;
        if org_id.is_empty() || !org_id.bytes().all(|it| it.is_ascii_digit()) {
            // The message doesn't quote the id: a user may have passed the API key here by mistake.
            return Err(Error::new(ErrorKind::Configuration, "invalid organisation id: it must consist of digits"));
        }
        let setting = Setting { org_id: org_id.into(), search: options.search, count: options.count };
        Ok(Self { transport, setting })
    }
}
