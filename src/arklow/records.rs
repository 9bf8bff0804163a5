//! The action records of an organisation.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::arklow::{ActionDefinition, ActionRecord, SearchEncoding};
use crate::client::call::Call;
use crate::decode::HttpResponse;
use crate::decode::by_name::Named;
use crate::decode::error_text;
use crate::decode::omitted::OmittedField;
use crate::decode::{self, DecodeError};
use crate::error::ApiError;
use crate::page::{Envelope, Growth, ListPage, Listing, PageSizes, Paginate, RecordKey, TotalScope, Window};
use crate::request::Request;
use crate::transport::Transport;
use crate::values::id::Id;
use crate::values::json::Json;

/// An organisation's action records: see [`ArklowClient::records`](crate::arklow::ArklowClient::records).
#[derive(Clone, Copy, Debug)]
pub struct Records<'a> {
    pub(super) transport: &'a Transport,
    pub(super) setting: &'a Setting,
}

/// The server's settings, from the client's builder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) org_id: Arc<str>,
    pub(super) search: SearchEncoding,
    pub(super) count: TotalScope,
}

impl Records<'_> {
    /// The records that a query selects.
    ///
    /// The order is undocumented, and so is whether the `count` of a page counts all records or those of the page. By
    /// default the count therefore never ends the listing, which costs one more request. The client's
    /// [`count_scope`](crate::ClientBuilder::count_scope) changes that.
    ///
    /// The server may report errors next to records. They are in [`Page::errors`](crate::Page::errors). A stream of
    /// records yields them as one [`ErrorKind::Partial`](crate::ErrorKind::Partial), after the records of that page.
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
    /// Returned when the call is awaited or the stream polled. A page size of 0 or above 50 is
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest), and no request is sent.
    ///
    /// Arklow: List action records.
    pub fn list(&self, query: impl Into<RecordsQuery>) -> Listing<RecordListing> {
        Listing::new(self.transport.clone(), RecordListing { setting: self.setting.clone(), query: query.into() })
    }

    /// All records, without their state and definition: [`list`](Self::list) with an empty query.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub fn list_all(&self) -> Listing<RecordListing> {
        self.list(RecordsQuery::new())
    }

    /// The number of records that a query selects, without the records themselves.
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
    /// - [`ErrorKind::Partial`](crate::ErrorKind::Partial) if the server reports errors next to the count, which then
    ///   may not count all records. The count is the error's [`partial_count`](crate::Error::partial_count).
    /// - [`ErrorKind::ApiFailure`](crate::ErrorKind::ApiFailure) if the server reports errors and no count.
    /// - [`ErrorKind::Decode`](crate::ErrorKind::Decode) if the count is missing or invalid.
    ///
    /// ```
    /// # #[cfg(feature = "testing")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// use actionlog::{ArklowClient, testing::FakeServer};
    ///
    /// let server = FakeServer::new();
    /// server.arklow().add_sample_records("4711", 20).trouble("shard_down", "one shard is down");
    /// let client = ArklowClient::builder("4711").api_key("any").http_client(server.http_client()).build()?;
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
        let request = listing.window(listing.select(), window).view_param("count_only", true).read(read_count);
        Call::new(self.transport.clone(), request)
    }
}

fn read_count(response: &HttpResponse) -> Result<u64, DecodeError> {
    #[derive(Deserialize)]
    struct Counted {
        data: Option<Named<Count>>,
        errors: Option<Json>,
    }

    #[derive(Deserialize)]
    struct Count {
        count: Option<Json>,
    }

    decode::whole_page(response)?;
    let Counted { data, errors } = decode::json(response.body())?;
    let errors = error_text::errors(errors.as_ref());
    let count = data.and_then(|it| it.0.count).filter(|it| !it.is_null());
    match (count.as_ref().map(crate::values::integer::as_count), errors) {
        (Some(Some(count)), errors) if errors.is_empty() => Ok(count),
        (Some(Some(count)), errors) => Err(DecodeError::partial_count(count, ApiError::first_of(errors))),
        (_, errors) if !errors.is_empty() => Err(refused(errors)),
        (Some(None), _) => Err(DecodeError::unfit("data.count", "expected a non-negative integer")),
        (None, _) => Err(DecodeError::unfit("data.count", "missing")),
    }
}

/// Selects records, and the parts of each record that the server sends. The default is all records, without state and
/// definition.
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

/// A comparison. The API has only this one.
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

    /// Only records whose `field` equals `value`. The API supports one search: a second call replaces the first.
    #[must_use]
    pub fn search(mut self, field: impl Into<String>, value: impl Into<String>) -> Self {
        self.search = Some(Search { field: field.into(), value: value.into(), op: Op::Eq });
        self
    }

    /// Only records with this action definition.
    #[must_use]
    pub fn action_definition(mut self, id: impl Into<Id<ActionDefinition>>) -> Self {
        self.action_definition_id = Some(id.into());
        self
    }

    /// Only records whose definition has this variant.
    #[must_use]
    pub fn variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into());
        self
    }

    /// Only records whose definition has this version.
    #[must_use]
    pub fn version(mut self, version: i64) -> Self {
        self.version = Some(version);
        self
    }

    /// Includes each record's definition.
    #[must_use]
    pub fn include_definition(mut self) -> Self {
        self.include_definition = true;
        self
    }

    /// Includes each record's state. Without it a record has neither a status nor a timestamp.
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

/// The listing of the records that a [`RecordsQuery`] selects, with the client's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordListing {
    setting: Setting,
    query: RecordsQuery,
}

impl RecordListing {
    /// The request with the parameters that select records, without those that choose the parts of a record.
    fn select(&self) -> Request<()> {
        let query = &self.query;
        let mut request = Request::get("v1/orgs/{org_id}/actions/records", [&self.setting.org_id]).own();
        if let Some(Search { field, value, .. }) = &query.search {
            request = match self.setting.search {
                SearchEncoding::DeepObject => {
                    request.query("search[field]", field).query("search[value]", value).query("search[op]", "eq")
                }
                SearchEncoding::Plain => request.query("field", field).query("value", value).query("op", "eq"),
                // An object of strings always serialises; the error arm avoids a panic.
                SearchEncoding::Json => match serde_json::to_string(&query.search) {
                    Ok(json) => request.query("search", json),
                    Err(error) => request.invalid(format!("the search can't be serialised as JSON: {error}")),
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
    type Envelope = ListEnvelope;

    fn request(&self) -> Request<()> {
        let mut request = self.select();
        if self.query.include_definition {
            request = request.view_param("include_definition", true);
        }
        if self.query.include_state {
            request = request.view_param("include_state", true);
        }
        request
    }

    fn window<T>(&self, request: Request<T>, window: Window) -> Request<T> {
        request.view_param("take", window.limit).view_param("skip", window.offset)
    }

    fn record_key(record: &ActionRecord) -> RecordKey {
        (&record.id).into()
    }

    fn omit(record: &mut ActionRecord, fields: Vec<OmittedField>, _: &Json) -> bool {
        record.omitted = fields.into();
        true
    }

    fn page_sizes(&self) -> PageSizes {
        PageSizes::up_to(50)
    }

    /// A record's only timestamp is its last change, which is part of its state. It has no time of creation.
    fn has_timestamps(&self) -> bool {
        self.query.include_state
    }

    /// The order is undocumented. Records are numbered, so that the newest ones stand at one of the ends.
    fn growth(&self) -> Growth {
        Growth::OneEnd
    }

    fn is_final(record: &ActionRecord) -> Option<bool> {
        record.state.as_ref()?.status.as_ref()?.is_final()
    }

    fn timestamp(record: &ActionRecord) -> Option<DateTime<Utc>> {
        record.state.as_ref()?.updated_at
    }

    fn requesting_timestamps(&self) -> Option<Self> {
        let query = self.query.clone().include_state();
        (!self.query.include_state).then(|| Self { setting: self.setting.clone(), query })
    }

    fn total_scope(&self) -> TotalScope {
        self.setting.count
    }
}

/// The JSON envelope around the records of a page.
#[derive(Debug)]
pub enum ListEnvelope {}

/// The response body of a page.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "R: DeserializeOwned"))]
pub struct Body<R> {
    // The reference requires both fields, but a failing server may leave one out.
    data: Option<Named<Data<R>>>,
    #[serde(default, deserialize_with = "error_text::few")]
    errors: Option<Json>,
}

#[derive(Debug, Deserialize)]
struct Data<R> {
    items: Option<Vec<R>>,
    #[serde(default, deserialize_with = "crate::values::integer::count")]
    count: Option<u64>,
}

impl Envelope for ListEnvelope {
    type Of<R: DeserializeOwned> = Body<R>;

    fn open<R: DeserializeOwned>(body: Body<R>) -> Result<ListPage<R>, DecodeError> {
        let errors = error_text::errors(body.errors.as_ref());
        let (items, count) = body.data.map_or((None, None), |it| (it.0.items, it.0.count));
        match items {
            Some(items) => Ok(ListPage::new(items).with_total(count).with_errors(errors)),
            None if !errors.is_empty() => Err(refused(errors)),
            None => Err(DecodeError::unfit("data.items", "expected a list of records")),
        }
    }
}

/// The first error, with the others as its details.
fn refused(errors: Vec<ApiError>) -> DecodeError {
    DecodeError::refused(ApiError::first_of(errors))
}
