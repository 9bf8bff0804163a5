//! The records of the log: list, create, get, update, delete.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::failure::Word;
use super::{ActionLog, ActionLogDraft, LoggedAction, Running, UpdateMethod};
use crate::call::Call;
use crate::error::loose;
use crate::id::Id;
use crate::json::Json;
use crate::omitted::OmittedField;
use crate::page::{Envelope, Growth, Identity, Listed, Listing, Order, PageSizes, Paginate, Total};
use crate::request::{Repeat, Request};
use crate::transport::Transport;
use crate::transport::decode::{self, DecodeError};
use crate::transport::named::Named;

/// The records of the log: see [`IntegrationClient::logs`](super::IntegrationClient::logs).
#[derive(Clone, Debug)]
pub struct Logs {
    pub(super) transport: Transport,
    pub(super) setting: Arc<Setting>,
}

/// What the client was told of the server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// Where the collection is, below the base URL; its segments are encoded.
    pub(super) collection: String,
    pub(super) update: UpdateMethod,
    pub(super) total: Total,
}

impl Logs {
    /// The records that a query selects, in its order; the newest first unless it says otherwise.
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
    /// Told when it is awaited or polled: a page size of 0 or above 100, and a filter that can't be written as JSON, before
    /// anything is sent.
    ///
    /// Integration action logs: List.
    pub fn list(&self, query: impl Into<LogsQuery>) -> Listing<LogListing> {
        let listing = LogListing { setting: Arc::clone(&self.setting), query: query.into() };
        Listing::new(self.transport.clone(), listing)
    }

    /// All records, the newest first: [`list`](Self::list) without a query.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub fn list_all(&self) -> Listing<LogListing> {
        self.list(LogsQuery::new())
    }

    /// Writes a new record, and gives it as stored.
    ///
    /// It is sent once: where an answer doesn't come, or one that doesn't say (503, 429), the record may or may not have
    /// been written, and [`outcome`](crate::Error::outcome) says so. Only what provably had no effect is sent again, or all
    /// if the server honours an [`idempotency_header`](crate::ClientBuilder::idempotency_header).
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) before anything is sent if something of the draft can't be
    /// written; [`Rejected`](crate::ErrorKind::Rejected) if the server doesn't take it.
    ///
    /// Integration action logs: Create.
    pub fn create(&self, draft: impl Into<ActionLogDraft>) -> Call<ActionLog> {
        self.call(written(self.setting.all(Method::POST), &draft.into()).read(one))
    }

    /// The record with this id.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) if there is none.
    ///
    /// Integration action logs: Get.
    pub fn get(&self, id: impl Into<Id<ActionLog>>) -> Call<ActionLog> {
        self.call(self.setting.one(Method::GET, &id.into()).read(one))
    }

    /// Replaces the record with this id, and gives it as stored.
    ///
    /// What the draft doesn't say is gone afterwards. To change a part, begin with
    /// [`into_draft`](ActionLog::into_draft) of the record.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create), and [`NotFound`](crate::ErrorKind::NotFound) if there is none. With
    /// [`if_match`](Call::if_match) or [`if_unmodified_since`](Call::if_unmodified_since),
    /// [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed) if it has changed.
    ///
    /// So that nobody else's change is lost, say which version it's made of, where the server gives an ETag:
    ///
    /// ```no_run
    /// # async fn example(client: actionlog::IntegrationClient) -> actionlog::Result<()> {
    /// let read = client.logs().get("some-id").with_answer().await?;
    /// let etag = read.etag().map(str::to_owned);
    /// let update = client.logs().update("some-id", read.value.into_draft().error_message("looked into"));
    /// let log = match etag {
    ///     Some(etag) => update.if_match(etag).await?,
    ///     None => update.await?,
    /// };
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Integration action logs: Update.
    pub fn update(&self, id: impl Into<Id<ActionLog>>, draft: impl Into<ActionLogDraft>) -> Call<ActionLog> {
        let method = match self.setting.update {
            UpdateMethod::Put => Method::PUT,
            UpdateMethod::Patch => Method::PATCH,
        };
        // Either replaces the record: twice is as good as once.
        let request = self.setting.one(method, &id.into()).repeat(Repeat::Safe);
        self.call(written(request, &draft.into()).read(one))
    }

    /// Deletes the record with this id.
    ///
    /// If an attempt got no answer and the next finds nothing, it's taken as done by the first.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) if there is none.
    ///
    /// Integration action logs: Delete.
    pub fn delete(&self, id: impl Into<Id<ActionLog>>) -> Call<Deleted> {
        let request = self.setting.one(Method::DELETE, &id.into()).read_by(|answer, reader| {
            // Any success will do: 204 has no body.
            if answer.body().is_empty() {
                return Ok(Deleted { message: None });
            }
            let word: Word = decode::json(answer.body())?;
            word.check()?;
            Ok(Deleted { message: word.message().map(reader.clean) })
        });
        self.call(request.if_gone(|| Deleted { message: None }))
    }

    /// Logs an action that is about to begin as pending, and gives a handle to say how it ended.
    ///
    /// The time that it took is taken from when its log is written. [`logged`](Self::logged) does all of it around a
    /// future; this is for an action that isn't one.
    ///
    /// ```no_run
    /// use actionlog::integration::{ActionFields, ActionType};
    /// use serde_json::json;
    ///
    /// # async fn push_product() -> Result<serde_json::Value, std::io::Error> { Ok(json!({})) }
    /// # async fn example(client: actionlog::IntegrationClient) -> actionlog::Result<()> {
    /// let running = client.logs().begin(ActionFields {
    ///     integration_id: "60f7b1b3e4b0e8b3f8b3f8b4".into(),
    ///     action_type: ActionType::Update,
    ///     entity_type: "product".into(),
    /// }).await?;
    /// let log = match push_product().await {
    ///     Ok(response) => running.succeeded_with(response).await?,
    ///     Err(error) => running.failed(error).await?,
    /// };
    /// println!("{} took {:?}", log.id, log.took());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// If this call is dropped while it is under way, the record may have been written, and stays pending.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create); also [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for a draft with another
    /// status than pending.
    pub fn begin(&self, draft: impl Into<ActionLogDraft>) -> Call<Running> {
        Running::begin(self, draft.into())
    }

    /// Runs an action with its log around it: pending before it begins, then `success` or `failed`, with the time that it
    /// took and the error's message.
    ///
    /// What the action returned is returned in any case once it has run; what became of its log is beside it. If the log
    /// can't be begun, the action isn't run, unless [set otherwise](LoggedAction::on_log_failure). An action that is
    /// cancelled or panics leaves a log that says so: see [`Running`].
    ///
    /// ```no_run
    /// use actionlog::integration::{ActionFields, ActionType, LogFailure};
    ///
    /// # async fn push_product() -> Result<serde_json::Value, std::io::Error> { Ok(serde_json::json!({})) }
    /// # async fn example(client: actionlog::IntegrationClient) -> Result<(), Box<dyn std::error::Error>> {
    /// let fields = ActionFields {
    ///     integration_id: "60f7b1b3e4b0e8b3f8b3f8b4".into(),
    ///     action_type: ActionType::Update,
    ///     entity_type: "product".into(),
    /// };
    /// let logged = client.logs()
    ///     .logged(fields, push_product())
    ///     .with_response()
    ///     .on_log_failure(LogFailure::Continue)
    ///     .await?;
    /// if let Err(error) = logged.log {
    ///     eprintln!("not logged: {error}");
    /// }
    /// let response = logged.result?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Only if the action was *not* run: what kept its log from being begun.
    pub fn logged<'a, T, E>(
        &self,
        draft: impl Into<ActionLogDraft>,
        action: impl Future<Output = Result<T, E>> + Send + 'a,
    ) -> LoggedAction<'a, T, E> {
        LoggedAction::new(self.clone(), draft.into(), action)
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

fn written(request: Request<()>, draft: &ActionLogDraft) -> Request<()> {
    match draft.problem() {
        Some(problem) => request.invalid(problem),
        None => request.body(draft.as_sent()),
    }
}

/// Reads `{success, data}`.
fn one(answer: &crate::request::Answer) -> Result<ActionLog, DecodeError> {
    #[derive(Deserialize)]
    struct Held<T> {
        data: T,
    }

    decode::whole(answer)?;
    // First what a refusal looks like: its `data` may be anything.
    decode::json::<Word>(answer.body())?.check()?;
    decode::json::<Held<Named<ActionLog>>>(answer.body()).map(|it| it.data.0).or_else(|error| {
        // It's written, or it's what was asked for: an odd field is no reason not to have it.
        let raw = decode::json::<Held<Json>>(answer.body())?.data;
        decode::without_odd_fields(&raw, LogListing::omit).map_err(|why| why.map_or(error, |it| it.within("data")))
    })
}

/// What a deletion gives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deleted {
    /// What the server says of it, if it says anything.
    pub message: Option<String>,
}

/// Which records are meant, and in which order. All, the newest first, unless said otherwise.
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
    /// What is wrong with it; told when it is sent.
    problem: Option<String>,
}

/// Which end comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SortOrder {
    /// The smallest, or the oldest.
    Asc,
    /// The largest, or the newest. The server's own choice.
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

    /// Sorted by this field.
    ///
    /// By `_id`, which is unique and never changes, a scan can be [complete](crate::Verdict::Complete). By any other field
    /// records may move, or those that share a value may change places between two requests: see
    /// [`Listing::order`](crate::Listing::order).
    #[must_use]
    pub fn sort(mut self, field: impl Into<String>) -> Self {
        self.sort = Some(field.into());
        self
    }

    /// Which end comes first.
    #[must_use]
    pub fn order(mut self, order: SortOrder) -> Self {
        self.order = Some(order);
        self
    }

    /// Only records that meet conditions, given as any value that can be written as JSON. The language of the conditions
    /// is the server's; the ids suggest MongoDB's.
    ///
    /// One that can't be written is told when the listing is asked for, before anything is sent.
    #[must_use]
    pub fn filter(mut self, conditions: impl Serialize) -> Self {
        match serde_json::to_string(&conditions) {
            Ok(json) => (self.filter, self.problem) = (Some(json), None),
            Err(error) => self.problem = Some(format!("the filter can't be written as JSON: {error}")),
        }
        self
    }

    /// Only records with this in one of their text fields.
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

/// The listing that a [`LogsQuery`] selects, as the client asks for it.
#[derive(Clone, Debug, PartialEq)]
pub struct LogListing {
    setting: Arc<Setting>,
    query: LogsQuery,
}

impl Paginate for LogListing {
    type Item = ActionLog;
    type Envelope = Around;

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

    fn identity(log: &ActionLog) -> Identity {
        (&log.id).into()
    }

    fn omit(log: &mut ActionLog, fields: Vec<OmittedField>, _: &Json) -> bool {
        log.omitted = fields.into();
        true
    }

    fn page_sizes(&self) -> PageSizes {
        PageSizes::up_to(100)
    }

    /// Fixed by a key that is unique and never changes. Sorted by any other, records move, or those that share it change places.
    fn order(&self) -> Order {
        if self.query.sort.as_deref() == Some("_id") { Order::Fixed } else { Order::MayChange }
    }

    /// By the time of creation, which is the order unless another is asked for.
    fn growth(&self) -> Growth {
        match (self.query.sort.as_deref(), self.query.order) {
            (None | Some("createdAt"), Some(SortOrder::Asc)) => Growth::AtEnd,
            (None | Some("createdAt"), _) => Growth::AtHead,
            _ => Growth::Unknown,
        }
    }

    fn bears_time(&self) -> bool {
        true
    }

    fn time_of(log: &ActionLog) -> Option<DateTime<Utc>> {
        log.created_at
    }

    fn total(&self) -> Total {
        self.setting.total
    }
}

/// The JSON around the records.
#[derive(Debug)]
pub enum Around {}

/// An answer's body.
#[derive(Debug, Deserialize)]
pub struct Body<R> {
    success: Option<bool>,
    data: Option<Vec<R>>,
    #[serde(default, deserialize_with = "crate::integer::count")]
    total: Option<u64>,
    #[serde(default, deserialize_with = "loose::short")]
    message: Option<Json>,
    #[serde(default, deserialize_with = "loose::short")]
    error: Option<Json>,
    #[serde(default, deserialize_with = "loose::short")]
    errors: Option<Json>,
}

impl Envelope for Around {
    type Of<R: DeserializeOwned> = Body<R>;

    fn open<R: DeserializeOwned>(body: Body<R>) -> Result<Listed<R>, DecodeError> {
        Word { success: body.success, message: body.message, error: body.error, errors: body.errors }.check()?;
        match body.data {
            Some(records) => Ok(Listed::new(records).with_total(body.total)),
            None => Err(DecodeError::unfit("data", "there is no list of records")),
        }
    }
}
