//! The three logs behind one type: which there are, how they are configured, and their listings.

use std::fmt;
use std::str::FromStr;

use actionlog::arklow::RecordsQuery;
use actionlog::async_trait::async_trait;
use actionlog::page::{Raw, Summary, WithRaw};
use actionlog::unleash::EventsQuery;
use actionlog::{
    AnyRecord, ArklowClient, Client, ClientBuilder, Cursor, IntegrationClient, InvalidRecord, Listing, LogRecord,
    Paginate, UnleashClient,
};

use crate::config::{Config, Problem};
use crate::exit::Failure;

/// A log, as the user names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogName {
    /// Arklow's action records.
    Arklow,
    /// Integration action logs.
    Integration,
    /// Unleash's action set events: those of a project and an action set, or of the configured ones.
    Unleash(Option<(String, String)>),
}

/// What a log's name may be, for help and errors.
pub const NAMES: &str = "`arklow`, `integration`, `unleash`, or `unleash:PROJECT/ACTION_SET`";

impl LogName {
    /// The three logs.
    pub const ALL: [Self; 3] = [Self::Arklow, Self::Integration, Self::Unleash(None)];
}

impl FromStr for LogName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "arklow" => Ok(Self::Arklow),
            "integration" => Ok(Self::Integration),
            "unleash" => Ok(Self::Unleash(None)),
            _ => text
                .strip_prefix("unleash:")
                .and_then(|it| it.rsplit_once('/'))
                .filter(|(project, set)| !project.is_empty() && !set.is_empty())
                .map(|(project, set)| Self::Unleash(Some((project.to_owned(), set.to_owned()))))
                .ok_or_else(|| format!("a log is {NAMES}")),
        }
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arklow => f.write_str("arklow"),
            Self::Integration => f.write_str("integration"),
            Self::Unleash(None) => f.write_str("unleash"),
            Self::Unleash(Some((project, set))) => write!(f, "unleash:{project}/{set}"),
        }
    }
}

/// A log with its client.
#[derive(Clone, Debug)]
pub struct Log {
    /// Its name.
    pub name: LogName,
    /// The server.
    pub base_url: String,
    /// Its listing.
    pub listing: AnyListing,
}

/// The listing of any log, with the raw JSON of its records.
#[derive(Clone, Debug)]
pub enum AnyListing {
    /// Arklow's records, with their state and definition.
    Arklow(ArklowClient, Listing<WithRaw<actionlog::arklow::RecordListing>>),
    /// Integration logs.
    Integration(IntegrationClient, Listing<WithRaw<actionlog::integration::LogListing>>),
    /// Unleash's events.
    Unleash(UnleashClient, EventsQuery, Listing<WithRaw<EventsQuery>>),
}

/// Evaluates an expression with the listing of a log, of whichever type it is.
macro_rules! with_listing {
    ($any:expr, |$listing:ident| $then:expr) => {
        match $any {
            $crate::logs::AnyListing::Arklow(_, $listing) => $then,
            $crate::logs::AnyListing::Integration(_, $listing) => $then,
            $crate::logs::AnyListing::Unleash(_, _, $listing) => $then,
        }
    };
}

pub(crate) use with_listing;

impl Log {
    /// Builds the client of a log from its settings.
    ///
    /// # Errors
    ///
    /// [`Problem::Missing`] names the variables that aren't set; [`Problem::Unusable`] says what is wrong with a value.
    pub fn open(name: &LogName, config: &Config) -> Result<Self, Problem> {
        let (base_url, listing) = match name {
            LogName::Arklow => arklow(config)?,
            LogName::Integration => integration(config)?,
            LogName::Unleash(set) => unleash(config, set.as_ref())?,
        };
        Ok(Self { name: name.clone(), base_url, listing })
    }

    /// Builds the client of a log that a command needs.
    ///
    /// # Errors
    ///
    /// [`Failure::Usage`], with what to set.
    pub fn required(name: &LogName, config: &Config) -> Result<Self, Failure> {
        Self::open(name, config).map_err(|problem| problem.of(&name.to_string()))
    }

    /// Sets how many records are requested at once, if it isn't as many as usual.
    #[must_use]
    pub fn page_size(mut self, records: Option<u32>) -> Self {
        let Some(records) = records else { return self };
        self.listing = match self.listing {
            AnyListing::Arklow(client, listing) => AnyListing::Arklow(client, listing.page_size(records)),
            AnyListing::Integration(client, listing) => AnyListing::Integration(client, listing.page_size(records)),
            AnyListing::Unleash(client, query, listing) => {
                AnyListing::Unleash(client, query, listing.page_size(records))
            }
        };
        self
    }

    /// Begins a scan.
    #[must_use]
    pub fn scan(&self, options: ScanOptions) -> Box<dyn Scan> {
        with_listing!(self.listing.clone(), |listing| scan(listing, options))
    }
}

type Opened = (String, AnyListing);

fn arklow(config: &Config) -> Result<Opened, Problem> {
    let [key, org_id] = config.required(["ARKLOW_API_KEY", "ARKLOW_ORG_ID"])?;
    let builder = ArklowClient::builder(org_id.expose()).api_key(key);
    let builder = match config.optional("ARKLOW_BASE_URL")? {
        Some(url) => builder.base_url(url.expose()),
        None => builder,
    };
    let client = built(builder, config)?;
    // The state has the time and the outcome.
    let query = RecordsQuery::new().include_state().include_definition();
    let listing = client.records().list(query).with_raw();
    Ok((client.base_url().to_owned(), AnyListing::Arklow(client, listing)))
}

fn integration(config: &Config) -> Result<Opened, Problem> {
    let [url, authorization] = config.required(["INTEGRATION_LOGS_URL", "INTEGRATION_LOGS_AUTHORIZATION"])?;
    let client = built(IntegrationClient::builder(url.expose()).api_key(authorization), config)?;
    let listing = client.logs().list(()).with_raw();
    Ok((client.base_url().to_owned(), AnyListing::Integration(client, listing)))
}

fn unleash(config: &Config, set: Option<&(String, String)>) -> Result<Opened, Problem> {
    let (url, token, project, set) = match set {
        Some((project, set)) => {
            let [url, token] = config.required(["UNLEASH_URL", "UNLEASH_TOKEN"])?;
            (url, token, project.clone(), set.clone())
        }
        None => {
            let [url, token, set] = config.required(["UNLEASH_URL", "UNLEASH_TOKEN", "UNLEASH_ACTION_SET"])?;
            let project = config.optional("UNLEASH_PROJECT")?.map(|it| it.expose().to_owned());
            (url, token, project.unwrap_or_else(|| "default".to_owned()), set.expose().to_owned())
        }
    };
    let client = built(UnleashClient::builder(url.expose()).api_key(token), config)?;
    let query = match set.parse::<i64>() {
        Ok(id) => EventsQuery::new(project, id),
        Err(_) => EventsQuery::with_text_id(project, set),
    };
    let listing = client.action_set_events().list(query.clone()).with_raw();
    Ok((client.base_url().to_owned(), AnyListing::Unleash(client, query, listing)))
}

/// The most bytes of a page: records of 10 MB are exported too.
const MAX_BODY: usize = 64 << 20;

/// Builds a client with what holds for all three.
fn built<C: Client>(builder: ClientBuilder<C>, config: &Config) -> Result<C, Problem> {
    let builder = if config.allow_http { builder.allow_http() } else { builder };
    builder.max_body_bytes(MAX_BODY).build().map_err(|error| {
        // The hint of the crate names its method, and not the option.
        let text = crate::exit::explain(&error).replace("call allow_http()", "set --allow-http");
        Problem::Unusable(text)
    })
}

/// How to scan a log.
#[derive(Clone, Debug, Default)]
pub struct ScanOptions {
    /// Only the records after this time.
    pub since: Option<actionlog::chrono::DateTime<actionlog::chrono::Utc>>,
    /// Whether to prove by a second scan that none is missing.
    pub verify: bool,
    /// Where an earlier scan stopped.
    pub cursor: Option<Cursor>,
}

/// A record, valid or not.
pub type Entry = Result<Raw<AnyRecord>, InvalidRecord>;

/// A scan of any log.
#[async_trait]
pub trait Scan: Send {
    /// Returns the next record. After an error, the next call says whether the scan goes on.
    async fn next(&mut self) -> Option<actionlog::Result<Entry>>;

    /// Returns the cursor behind the last record.
    fn cursor(&self) -> Option<Cursor>;

    /// Returns how the scan went so far.
    fn summary(&self) -> Summary;
}

fn scan<Q>(listing: Listing<Q>, options: ScanOptions) -> Box<dyn Scan>
where
    Q: Paginate<Item: LogRecord>,
    Raw<AnyRecord>: From<Q::Item>,
{
    let ScanOptions { since, verify, cursor } = options;
    let listing = match since {
        Some(time) => listing.since(time),
        None => listing,
    };
    let listing = if verify { listing.verify() } else { listing };
    let listing = match cursor {
        Some(cursor) => listing.resume(cursor),
        None => listing,
    };
    Box::new(listing.items().with_invalid())
}

#[async_trait]
impl<Q> Scan for actionlog::page::WithInvalid<Q>
where
    Q: Paginate,
    Raw<AnyRecord>: From<Q::Item>,
{
    async fn next(&mut self) -> Option<actionlog::Result<Entry>> {
        let entry = Self::next(self).await?;
        Some(entry.map(|it| it.map(Raw::<AnyRecord>::from)))
    }

    fn cursor(&self) -> Option<Cursor> {
        Self::cursor(self)
    }

    fn summary(&self) -> Summary {
        Self::summary(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_logs_are_read_back() {
        for name in ["arklow", "integration", "unleash", "unleash:default/7", "unleash:a/b/7"] {
            assert_eq!(name.parse::<LogName>().unwrap().to_string(), name);
        }
        for name in ["", "Arklow", "unleash:", "unleash:default", "unleash:/7", "unleash:default/", "integration:1"] {
            assert_eq!(name.parse::<LogName>().unwrap_err(), format!("a log is {NAMES}"), "{name}");
        }
    }
}
