//! The calls on the records of the log: list, create, get, update, delete.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::client::call::Call;
use crate::decode::by_name::Named;
use crate::decode::error_text;
use crate::decode::omitted::OmittedField;
use crate::decode::{self, DecodeError, Span};
use crate::integration::failure::ApiStatus;
use crate::integration::{ActionLog, ActionLogInput, UpdateMethod};
use crate::page::{Envelope, Growth, ListPage, Listing, PageSizes, Paginate, RecordKey, Stability, TotalScope};
use crate::request::{Idempotency, Request};
use crate::transport::Transport;
use crate::values::id::Id;
use crate::values::json::Json;

/// The records of the log: see [`IntegrationClient::logs`](crate::integration::IntegrationClient::logs).
#[derive(Clone, Debug)]
pub struct Logs {
    pub(super) transport: Transport,
    pub(super) setting: Arc<Setting>,
}

/// The server's settings, from the client's builder.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// The path of the collection below the base URL, with encoded segments.
    pub(super) collection: String,
    pub(super) update: UpdateMethod,
    pub(super) total: TotalScope,
}

impl Logs {
    /// The records that a query selects, in the order of the query. The default order is newest first.
    ///
    /// ```no_run
    /// use actionlog::integration::LogsQuery;
    /// use serde_json::json;
    ///
    /// # async fn example(client: actionlog::IntegrationClient) -> actionlog::Result<()> {
    /// let failed = LogsQuery::new().filter(json!({"status": "failed"}));
    /// let mut logs = client.logs().list(failed).items();
    /// while let Some(log) = logs.next().await {
    ///     let log = log?;
    ///     println!("{} {} {:?}", log.id, log.entity_type, log.error_message);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returned when the call is awaited or the stream polled. A page size of 0 or above 100, and a filter that can't
    /// be serialised as JSON, are [`InvalidRequest`](crate::ErrorKind::InvalidRequest), and no request is sent.
    ///
    /// Integration action logs: List.
    pub fn list(&self, query: impl Into<LogsQuery>) -> Listing<LogListing> {
        let listing = LogListing { setting: Arc::clone(&self.setting), query: query.into() };
        Listing::new(self.transport.clone(), listing)
    }

    /// All records, newest first: [`list`](Self::list) with an empty query.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub fn list_all(&self) -> Listing<LogListing> {
        self.list(LogsQuery::new())
    }

    /// Creates a record, and returns it as stored.
    ///
    /// A create is not idempotent, so a failed attempt is retried only if it provably had no effect, or if the server
    /// honours an [`idempotency_header`](crate::ClientBuilder::idempotency_header). Without a response, or after a
    /// response that leaves it open (503, 429), the record may have been written:
    /// [`outcome`](crate::Error::outcome) says whether it may have been.
    ///
    /// # Errors
    ///
    /// - [`InvalidRequest`](crate::ErrorKind::InvalidRequest) if the input is invalid; no request is sent.
    /// - [`BadRequest`](crate::ErrorKind::BadRequest) if the server rejects the record.
    ///
    /// Integration action logs: Create.
    pub fn create(&self, input: impl Into<ActionLogInput>) -> Call<ActionLog> {
        self.call(with_body(self.setting.all(Method::POST), &input.into()).read(one))
    }

    /// The record with this id.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) if there is no such record.
    ///
    /// Integration action logs: Get.
    pub fn get(&self, id: impl Into<Id<ActionLog>>) -> Call<ActionLog> {
        self.call(self.setting.one(Method::GET, &id.into()).read(one))
    }

    /// Replaces the record with this id, and returns it as stored.
    ///
    /// A field that the input doesn't set is removed from the record. To change some fields only, start from
    /// [`into_input`](ActionLog::into_input) of the record.
    ///
    /// # Errors
    ///
    /// Those of [`create`](Self::create), and:
    ///
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such record.
    /// - [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed) if the record has changed, with
    ///   [`if_match`](Call::if_match) or [`if_unmodified_since`](Call::if_unmodified_since).
    ///
    /// To keep concurrent changes from being overwritten, send the ETag of the version that you read, if the server has
    /// one:
    ///
    /// ```no_run
    /// # async fn example(client: actionlog::IntegrationClient) -> actionlog::Result<()> {
    /// let read = client.logs().get("some-id").with_response().await?;
    /// let etag = read.etag().map(str::to_owned);
    /// let update = client.logs().update("some-id", read.value.into_input().error_message("looked into"));
    /// let log = match etag {
    ///     Some(etag) => update.if_match(etag).await?,
    ///     None => update.await?,
    /// };
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Integration action logs: Update.
    pub fn update(&self, id: impl Into<Id<ActionLog>>, input: impl Into<ActionLogInput>) -> Call<ActionLog> {
        let method = match self.setting.update {
            UpdateMethod::Put => Method::PUT,
            UpdateMethod::Patch => Method::PATCH,
        };
        // Both methods replace the whole record, so repeating the request has no further effect.
        let request = self.setting.one(method, &id.into()).idempotency(Idempotency::Idempotent);
        self.call(with_body(request, &input.into()).read(one))
    }

    /// Deletes the record with this id.
    ///
    /// If an attempt got no response and its retry finds no record, the deletion counts as done by the first attempt.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) if there is no such record.
    ///
    /// Integration action logs: Delete.
    pub fn delete(&self, id: impl Into<Id<ActionLog>>) -> Call<Deleted> {
        let request = self.setting.one(Method::DELETE, &id.into()).read_by(|response, reader| {
            // Any success status counts as deleted; 204 has no body.
            if response.body().is_empty() {
                return Ok(Deleted { message: None });
            }
            let status: ApiStatus = decode::json(response.body())?;
            status.check()?;
            Ok(Deleted { message: status.message().map(reader.clean) })
        });
        self.call(request.if_gone(|| Deleted { message: None }))
    }

    fn call<T>(&self, request: Request<T>) -> Call<T> {
        Call::new(self.transport.clone(), request)
    }
}

impl Setting {
    fn all(&self, method: Method) -> Request<()> {
        Request::new(method, self.collection.clone(), [] as [&str; 0]).own()
    }

    fn one(&self, method: Method, id: &Id<ActionLog>) -> Request<()> {
        Request::new(method, format!("{}/{{id}}", self.collection), [id]).own()
    }
}

fn with_body(request: Request<()>, input: &ActionLogInput) -> Request<()> {
    match input.problem() {
        Some(problem) => request.invalid(problem),
        None => request.body(input.as_sent()),
    }
}

/// Reads `{success, data}`.
fn one(response: &crate::decode::HttpResponse) -> Result<ActionLog, DecodeError> {
    #[derive(Deserialize)]
    struct Held<T> {
        data: T,
    }

    decode::whole(response)?;
    // Check for a failure first: its `data` may be anything.
    decode::json::<ApiStatus>(response.body())?.check()?;
    decode::json::<Held<Named<ActionLog>>>(response.body()).map(|it| it.data.0).or_else(|error| {
        // The write has succeeded, or the record was found: return it without the fields that don't match their type.
        let data = decode::json::<Held<Span>>(response.body())?.data;
        let raw = std::str::from_utf8(response.body()).ok().and_then(|it| data.of(it)).unwrap_or_default();
        decode::without_odd_fields(raw, LogListing::omit).map_err(|why| why.map_or(error, |it| it.within("data")))
    })
}

/// The result of a deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deleted {
    /// The message in the response, if there is one.
    pub message: Option<String>,
}

/// Selects records, and their order. The default is all records, newest first.
///
/// ```
/// use actionlog::integration::{LogsQuery, SortOrder};
///
/// let query = LogsQuery::new().sort("updatedAt").order(SortOrder::Asc).search("refund");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct LogsQuery {
    sort: Option<String>,
    order: Option<SortOrder>,
    filter: Option<String>,
    search: Option<String>,
    /// Why the query is invalid. Returned when the request is sent.
    problem: Option<String>,
}

/// The direction of the sort order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SortOrder {
    /// Smallest or oldest first.
    Asc,
    /// Largest or newest first. The server's default.
    Desc,
}

impl fmt::Display for SortOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asc => "asc",
            Self::Desc => "desc",
        })
    }
}

impl LogsQuery {
    /// All records.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sorts by this field.
    ///
    /// In the default order, that of creation, and sorted by `_id`, which is unique and never changes, the server's
    /// total can prove a scan [complete](crate::Verdict::Complete). Sorted by any other field, records may move, and
    /// records with equal values may swap positions between two requests: [`Listing::verify`](crate::Listing::verify)
    /// proves such a scan.
    #[must_use]
    pub fn sort(mut self, field: impl Into<String>) -> Self {
        self.sort = Some(field.into());
        self
    }

    /// Sets the direction of the order.
    #[must_use]
    pub fn order(mut self, order: SortOrder) -> Self {
        self.order = Some(order);
        self
    }

    /// Only records that match these conditions, which are any value that serialises to JSON. The query language is
    /// undocumented; the ids suggest MongoDB's.
    ///
    /// Conditions that can't be serialised make the listing return
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest); no request is sent.
    #[must_use]
    pub fn filter(mut self, conditions: impl Serialize) -> Self {
        match serde_json::to_string(&conditions) {
            Ok(json) => (self.filter, self.problem) = (Some(json), None),
            Err(error) => self.problem = Some(format!("the filter can't be serialised as JSON: {error}")),
        }
        self
    }

    /// Only records that contain this term in one of their text fields.
    #[must_use]
    pub fn search(mut self, term: impl Into<String>) -> Self {
        self.search = Some(term.into());
        self
    }
}

impl From<()> for LogsQuery {
    /// All records.
    fn from((): ()) -> Self {
        Self::new()
    }
}

impl From<&Self> for LogsQuery {
    fn from(query: &Self) -> Self {
        query.clone()
    }
}

/// The listing of the records that a [`LogsQuery`] selects, with the client's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct LogListing {
    setting: Arc<Setting>,
    query: LogsQuery,
}

impl Paginate for LogListing {
    type Item = ActionLog;
    type Envelope = ListEnvelope;

    fn request(&self) -> Request<()> {
        let LogsQuery { sort, order, filter, search, problem } = &self.query;
        let mut request = self.setting.all(Method::GET);
        if let Some(sort) = sort {
            request = request.query("sort", sort);
        }
        if let Some(order) = order {
            request = request.query("order", order);
        }
        if let Some(filter) = filter {
            request = request.query("filter", filter);
        }
        if let Some(search) = search {
            request = request.query("search", search);
        }
        if let Some(problem) = problem {
            request = request.invalid(problem);
        }
        request
    }

    fn record_key(log: &ActionLog) -> RecordKey {
        (&log.id).into()
    }

    fn omit(log: &mut ActionLog, fields: Vec<OmittedField>, _: &Json) -> bool {
        log.omitted = fields.into();
        true
    }

    fn page_sizes(&self) -> PageSizes {
        PageSizes::up_to(100)
    }

    /// Stable in the default order, which is that of creation, and sorted by `_id`, which is unique and never changes.
    /// Sorted by another field, records may move, and records with equal values may swap positions.
    fn stability(&self) -> Stability {
        if matches!(self.query.sort.as_deref(), None | Some("_id")) { Stability::Stable } else { Stability::Unstable }
    }

    /// Known if sorted by the time of creation, which is the default.
    fn growth(&self) -> Growth {
        match (self.query.sort.as_deref(), self.query.order) {
            (None | Some("createdAt"), Some(SortOrder::Asc)) => Growth::AtEnd,
            (None | Some("createdAt"), _) => Growth::AtHead,
            _ => Growth::Unknown,
        }
    }

    fn has_timestamps(&self) -> bool {
        true
    }

    fn is_final(log: &ActionLog) -> Option<bool> {
        log.status.is_final()
    }

    fn timestamp(log: &ActionLog) -> Option<DateTime<Utc>> {
        log.created_at
    }

    fn total_scope(&self) -> TotalScope {
        self.setting.total
    }
}

/// The JSON envelope around the records of a page.
#[derive(Debug)]
pub enum ListEnvelope {}

/// The response body of a page.
#[derive(Debug, Deserialize)]
pub struct Body<R> {
    success: Option<bool>,
    data: Option<Vec<R>>,
    #[serde(default, deserialize_with = "crate::values::integer::count")]
    total: Option<u64>,
    #[serde(default, deserialize_with = "error_text::short")]
    message: Option<Json>,
    #[serde(default, deserialize_with = "error_text::short")]
    error: Option<Json>,
    #[serde(default, deserialize_with = "error_text::short")]
    errors: Option<Json>,
}

impl Envelope for ListEnvelope {
    type Of<R: DeserializeOwned> = Body<R>;

    fn open<R: DeserializeOwned>(body: Body<R>) -> Result<ListPage<R>, DecodeError> {
        ApiStatus { success: body.success, message: body.message, error: body.error, errors: body.errors }.check()?;
        match body.data {
            Some(records) => Ok(ListPage::new(records).with_total(body.total)),
            None => Err(DecodeError::unfit("data", "expected a list of records")),
        }
    }
}
