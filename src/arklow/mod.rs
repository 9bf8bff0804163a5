//! Arklow: an organisation's action records.
//!
//! What the API's reference leaves open is set where the client is built: how a search is written
//! ([`SearchEncoding`]), and what the `count` of an answer counts. A record shows its state and its definition only if
//! the [query](RecordsQuery) asks for them, and bears no time without its state.
//!
//! Begin with [`ArklowClient`]; [`Records`] has what can be asked for.

mod failure;
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
use crate::builder::{Client, ClientBuilder, sealed};
use crate::call::Call;
use crate::check::{Checking, Finding};
use crate::environment::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::page::{Listing, Page, Paginate, Total};
use crate::request::Request;
use crate::transport::{Dialect, RateLimit, Transport};

/// Where Arklow is.
const BASE_URL: &str = "https://api.arklow.io";

/// Where a key goes.
const KEY_HEADER: &str = "x-arklow-auth";

/// A client of Arklow, for one organisation.
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
    /// Begins a client for the organisation with this id, which is digits.
    ///
    /// `api_key` sends the key in the header `x-arklow-auth`.
    pub fn builder(org_id: impl Into<String>) -> ClientBuilder<Self> {
        let mut builder = ClientBuilder::<Self>::new(BASE_URL);
        builder.options.org_id = org_id.into();
        builder
    }

    /// A client from the environment: `ARKLOW_API_KEY`, `ARKLOW_ORG_ID`, and `ARKLOW_BASE_URL` for another server than
    /// Arklow's own.
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
        let key = environment.required("ARKLOW_API_KEY");
        let org_id = environment.required("ARKLOW_ORG_ID");
        let url = environment.optional("ARKLOW_BASE_URL");
        environment.check()?;
        let builder = Self::builder(org_id).api_key(key);
        Ok(match url {
            Some(url) => builder.base_url(url),
            None => builder,
        })
    }

    /// The organisation's action records.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        Records { transport: &self.transport, setting: &self.setting }
    }

    /// Asks for one record, to tell whether the base URL, the key and the organisation are right.
    pub fn check(&self) -> Checking<Page<ActionRecord>> {
        Checking::new(self.records().list(()).page_size(1).page(), |_| Finding::NotAllowed)
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
    pub fn send<T>(&self, request: Request<T>) -> Call<T> {
        Call::new(self.transport.clone(), request)
    }
}

/// How a search is written in a query, which isn't documented.
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

/// What is set for an [`ArklowClient`] alone.
pub struct Options {
    org_id: String,
    search: SearchEncoding,
    count: Total,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not checked yet, the organisation's id may be the key, in the wrong place.
        let Self { org_id: _, search, count } = self;
        f.debug_struct("Options").field("search", search).field("count", count).finish_non_exhaustive()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { org_id: String::new(), search: SearchEncoding::default(), count: Total::Open }
    }
}

impl ClientBuilder<ArklowClient> {
    /// Another server than Arklow's own: what comes before `/v1`.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.set_base_url(url.into());
        self
    }

    /// How a search is written; [`SearchEncoding::DeepObject`] unless set.
    pub fn search_encoding(mut self, encoding: SearchEncoding) -> Self {
        self.options.search = encoding;
        self
    }

    /// What an answer's `count` counts, if you know: [`Total::OfListing`] saves a request at the end of a listing.
    /// [`Total::Open`] unless set.
    pub fn count_means(mut self, total: Total) -> Self {
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
            // Not quoted: it may be the key, in the wrong place.
            return Err(Error::new(ErrorKind::Configuration, "the organisation's id isn't one: it consists of digits"));
        }
        let setting = Setting { org_id: org_id.into(), search: options.search, count: options.count };
        Ok(Self { transport, setting })
    }
}
