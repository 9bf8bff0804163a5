//! The action records of an organisation.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{ActionDefinition, ActionRecord, SearchEncoding};
use crate::call::Call;
use crate::error::{ApiError, loose};
use crate::id::Id;
use crate::json::Json;
use crate::omitted::OmittedField;
use crate::page::{Envelope, Identity, Listed, Listing, PageSizes, Paginate, Total, Window};
use crate::request::{Answer, Request};
use crate::transport::Transport;
use crate::transport::decode::{self, DecodeError};
use crate::transport::named::Named;

/// An organisation's action records: see [`ArklowClient::records`](super::ArklowClient::records).
#[derive(Clone, Copy, Debug)]
pub struct Records<'a> {
    pub(super) transport: &'a Transport,
    pub(super) setting: &'a Setting,
}

/// What the client was told of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) org_id: Arc<str>,
    pub(super) search: SearchEncoding,
    pub(super) count: Total,
}

impl Records<'_> {
    /// The records that a query selects.
    ///
    /// The order isn't documented. Whether the answer's `count` is that of all records or of the page isn't either:
    /// unless the client's [`count_means`](crate::ClientBuilder::count_means) says, it ends no listing: that costs a
    /// request.
    ///
    /// Errors that the server gives beside records are in [`Page::errors`](crate::Page::errors), and in a stream of
    /// records an [`ErrorKind::Partial`](crate::ErrorKind::Partial) after those of that page.
    ///
    /// ```no_run
    /// use actionlog::arklow::RecordsQuery;
    ///
    /// # async fn example(client: actionlog::ArklowClient) -> actionlog::Result<()> {
    /// let failed = RecordsQuery::new().search("status", "failed").include_state();
    /// let mut records = client.records().list(failed).items();
    /// while let Some(record) = records.next().await {
    ///     let record = record?;
    ///     println!("{} {:?}", record.id, record.state.and_then(|it| it.error_message));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Told when it is awaited or polled: a page size of 0 or above 50 before anything is sent.
    ///
    /// Arklow: List action records.
    pub fn list(&self, query: impl Into<RecordsQuery>) -> Listing<RecordListing> {
        Listing::new(self.transport.clone(), RecordListing { setting: self.setting.clone(), query: query.into() })
    }

    /// All records, without state and definition: [`list`](Self::list) without a query.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub fn list_all(&self) -> Listing<RecordListing> {
        self.list(RecordsQuery::new())
    }

    /// How many records a query selects, without the records.
    ///
    /// ```no_run
    /// # async fn example(client: actionlog::ArklowClient) -> actionlog::Result<()> {
    /// let all = client.records().count(()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Partial`](crate::ErrorKind::Partial) if the server gives errors beside the count, which then may not be
    /// that of all: it's the error's [`partial_count`](crate::Error::partial_count).
    /// [`ErrorKind::Refused`](crate::ErrorKind::Refused) if it gives errors alone, and
    /// [`ErrorKind::Decode`](crate::ErrorKind::Decode) if there is no count, or something that is none.
    ///
    /// ```
    /// # #[cfg(feature = "testing")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// use actionlog::{ArklowClient, testing::World};
    ///
    /// let world = World::new();
    /// world.arklow().add_sample_records("4711", 20).trouble("shard_down", "one shard is down");
    /// let client = ArklowClient::builder("4711").api_key("any").exchange(world.exchange()).build()?;
    ///
    /// let error = client.records().count(()).await.unwrap_err();
    /// assert_eq!(error.partial_count(), Some(20));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "testing"))] fn main() {}
    /// ```
    ///
    /// Arklow: List action records, `count_only`.
    pub fn count(&self, query: impl Into<RecordsQuery>) -> Call<u64> {
        let listing = RecordListing { setting: self.setting.clone(), query: query.into() };
        let window = Window { offset: 0, limit: listing.page_sizes().usual };
        let request = listing.window(listing.select(), window).shape("count_only", true).read(read_count);
        Call::new(self.transport.clone(), request)
    }
}

fn read_count(answer: &Answer) -> Result<u64, DecodeError> {
    #[derive(Deserialize)]
    struct Counted {
        data: Option<Named<Count>>,
        errors: Option<Json>,
    }

    #[derive(Deserialize)]
    struct Count {
        count: Option<Json>,
    }

    decode::whole_page(answer)?;
    let Counted { data, errors } = decode::json(answer.body())?;
    let errors = loose::errors(errors.as_ref());
    let count = data.and_then(|it| it.0.count).filter(|it| !it.is_null());
    match (count.as_ref().map(crate::integer::as_count), errors) {
        (Some(Some(count)), errors) if errors.is_empty() => Ok(count),
        (Some(Some(count)), errors) => Err(DecodeError::partial_count(count, ApiError::first_of(errors))),
        (_, errors) if !errors.is_empty() => Err(refused(errors)),
        (Some(None), _) => {
            Err(DecodeError::unfit("data.count", "not a number of records, which is whole and not negative"))
        }
        (None, _) => Err(DecodeError::unfit("data.count", "missing")),
    }
}

/// Which records are meant, and what is shown of them. All, without state and definition, unless said otherwise.
///
/// ```
/// use actionlog::arklow::RecordsQuery;
///
/// let query = RecordsQuery::new().variant("refund").version(3).include_state();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct RecordsQuery {
    search: Option<Search>,
    action_definition_id: Option<Id<ActionDefinition>>,
    variant: Option<String>,
    version: Option<i64>,
    include_definition: bool,
    include_state: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Search {
    field: String,
    value: String,
    op: Op,
}

/// The only one that the API has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Op {
    Eq,
}

impl RecordsQuery {
    /// All records.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only records whose `field` equals `value`. A second call replaces the first: the API takes one.
    #[must_use]
    pub fn search(mut self, field: impl Into<String>, value: impl Into<String>) -> Self {
        self.search = Some(Search { field: field.into(), value: value.into(), op: Op::Eq });
        self
    }

    /// Only records of this definition.
    #[must_use]
    pub fn action_definition(mut self, id: impl Into<Id<ActionDefinition>>) -> Self {
        self.action_definition_id = Some(id.into());
        self
    }

    /// Only records of definitions of this variant.
    #[must_use]
    pub fn variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into());
        self
    }

    /// Only records of definitions of this version.
    #[must_use]
    pub fn version(mut self, version: i64) -> Self {
        self.version = Some(version);
        self
    }

    /// Shows each record's definition.
    #[must_use]
    pub fn include_definition(mut self) -> Self {
        self.include_definition = true;
        self
    }

    /// Shows each record's state: without it a record bears no time and no status.
    #[must_use]
    pub fn include_state(mut self) -> Self {
        self.include_state = true;
        self
    }
}

impl From<()> for RecordsQuery {
    /// All records.
    fn from((): ()) -> Self {
        Self::new()
    }
}

impl From<&Self> for RecordsQuery {
    fn from(query: &Self) -> Self {
        query.clone()
    }
}

/// The listing that a [`RecordsQuery`] selects, as the client asks for it.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordListing {
    setting: Setting,
    query: RecordsQuery,
}

impl RecordListing {
    /// Which records, without which part of them.
    fn select(&self) -> Request<()> {
        let query = &self.query;
        let mut request = Request::get("v1/orgs/{org_id}/actions/records", [&self.setting.org_id]).own();
        if let Some(Search { field, value, .. }) = &query.search {
            request = match self.setting.search {
                SearchEncoding::DeepObject => {
                    request.query("search[field]", field).query("search[value]", value).query("search[op]", "eq")
                }
                SearchEncoding::Plain => request.query("field", field).query("value", value).query("op", "eq"),
                // An object of texts: it can always be written.
                SearchEncoding::Json => match serde_json::to_string(&query.search) {
                    Ok(json) => request.query("search", json),
                    Err(error) => request.invalid(format!("the search can't be written as JSON: {error}")),
                },
            };
        }
        if let Some(id) = &query.action_definition_id {
            request = request.query("action_definition_id", id);
        }
        if let Some(variant) = &query.variant {
            request = request.query("variant", variant);
        }
        if let Some(version) = query.version {
            request = request.query("version", version);
        }
        request
    }
}

impl Paginate for RecordListing {
    type Item = ActionRecord;
    type Envelope = Around;

    fn request(&self) -> Request<()> {
        let mut request = self.select();
        if self.query.include_definition {
            request = request.shape("include_definition", true);
        }
        if self.query.include_state {
            request = request.shape("include_state", true);
        }
        request
    }

    fn window<T>(&self, request: Request<T>, window: Window) -> Request<T> {
        request.shape("take", window.limit).shape("skip", window.offset)
    }

    fn identity(record: &ActionRecord) -> Identity {
        (&record.id).into()
    }

    fn omit(record: &mut ActionRecord, fields: Vec<OmittedField>, _: &Json) -> bool {
        record.omitted = fields.into();
        true
    }

    fn page_sizes(&self) -> PageSizes {
        PageSizes::up_to(50)
    }

    /// Only with its state a record bears a time: that of the last change. It has no time of creation.
    fn bears_time(&self) -> bool {
        self.query.include_state
    }

    fn time_of(record: &ActionRecord) -> Option<DateTime<Utc>> {
        record.state.as_ref()?.updated_at
    }

    fn total(&self) -> Total {
        self.setting.count
    }
}

/// The JSON around the records.
#[derive(Debug)]
pub enum Around {}

/// An answer's body.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "R: DeserializeOwned"))]
pub struct Body<R> {
    // `Option` fields may be absent: the page requires both, and a server in trouble may not.
    data: Option<Named<Data<R>>>,
    #[serde(default, deserialize_with = "loose::few")]
    errors: Option<Json>,
}

#[derive(Debug, Deserialize)]
struct Data<R> {
    items: Option<Vec<R>>,
    #[serde(default, deserialize_with = "crate::integer::count")]
    count: Option<u64>,
}

impl Envelope for Around {
    type Of<R: DeserializeOwned> = Body<R>;

    fn open<R: DeserializeOwned>(body: Body<R>) -> Result<Listed<R>, DecodeError> {
        let errors = loose::errors(body.errors.as_ref());
        let (items, count) = body.data.map_or((None, None), |it| (it.0.items, it.0.count));
        match items {
            Some(items) => Ok(Listed::new(items).with_total(count).with_errors(errors)),
            None if !errors.is_empty() => Err(refused(errors)),
            None => Err(DecodeError::unfit("data.items", "there is no list of records")),
        }
    }
}

/// The first error, with the others as its details.
fn refused(errors: Vec<ApiError>) -> DecodeError {
    DecodeError::refused(ApiError::first_of(errors))
}
