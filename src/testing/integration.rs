//! The fake server of integration action logs.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use http::header::{ALLOW, ETAG, IF_MATCH, IF_UNMODIFIED_SINCE, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::decode::HttpResponse;
use crate::integration::UpdateMethod;
use crate::testing::collection::{FakeTotal, Log, Name, Record, Samples, Store};
use crate::testing::sample::integration::{log, odd_log};
use crate::testing::wire::{self, Query};
use crate::testing::{Api, FakeServer, Received, RequestKind};

/// 2026-01-01T00:00:00Z: the start of the server's clock, which advances by a second with every write.
const BEGIN: u64 = 1_767_225_600;

/// The start of the year 10000, which an HTTP date can't express.
const END_OF_HTTP: u64 = 253_402_300_800;

/// The name of the API.
const API: &str = "integration";

const NAME: Name = Name { api: API, scope: Vec::new() };

/// The fake server of integration action logs in a [`FakeServer`].
///
/// It follows the API's reference, which names no server; no response of a real server was recorded. Behaviour that the
/// reference leaves open is a setting, or one of these choices:
///
/// - `limit` outside of 1 to 100, `offset` below 0, `order` other than `asc` and `desc`, and a `filter` that isn't a
///   JSON object are rejected with 400.
/// - The default order is newest first. `sort` orders by that field of the record; of two equal records, the newer one
///   comes first. The default of `order` is `desc`.
/// - `filter` selects the records whose fields equal all those of the filter; it has no operators. `search` selects the
///   records that contain the term in one of their string fields, ignoring letter case.
/// - A body that isn't a JSON object is rejected with 400, and one whose fields don't have the documented types with
///   422. A null field counts as absent.
/// - An id in a path is decoded.
/// - The time of a write is that of the server's clock, which starts on 2026-01-01 and advances by a second with each
///   write. New ids increase.
/// - An update replaces the record except for its `_id` and `createdAt`, and keeps its position.
/// - A single record has a strong `ETag`, and a `Last-Modified` from its `updatedAt`. An update or a deletion whose
///   `If-Match` or `If-Unmodified-Since` fails is rejected with 412, and changes nothing.
/// - Every error body is `{"success": false, "message": ..}`.
///
/// ```
/// use actionlog::IntegrationClient;
/// use actionlog::integration::LogsQuery;
/// use actionlog::testing::FakeServer;
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> actionlog::Result<()> {
/// let server = FakeServer::new();
/// server.integration().accept_authorization("Bearer token").add_sample_logs(120);
/// let client = IntegrationClient::builder("http://localhost").bearer("token").http_client(server.http_client());
/// let client = client.build()?;
/// let failed = LogsQuery::new().filter(json!({"status": "failed"}));
/// assert_eq!(client.logs().list(failed).page().await?.total, Some(11));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FakeIntegration {
    server: FakeServer,
}

/// The settings of the fake server of integration action logs.
pub(super) struct State {
    accepted: Vec<String>,
    collection: String,
    largest_page: Option<u32>,
    update: UpdateMethod,
    total: FakeTotal,
    created: StatusCode,
    silent_delete: bool,
    no_versions: bool,
    writes: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            accepted: Vec::new(),
            collection: "/integration-action-logs".to_owned(),
            largest_page: None,
            update: UpdateMethod::default(),
            total: FakeTotal::default(),
            created: StatusCode::CREATED,
            silent_delete: false,
            no_versions: false,
            writes: 0,
        }
    }
}

impl FakeServer {
    /// The fake server of integration action logs: the path `/integration-action-logs` and all below it, unless
    /// [set otherwise](FakeIntegration::collection_path).
    #[must_use]
    pub fn integration(&self) -> FakeIntegration {
        FakeIntegration { server: self.clone() }
    }
}

impl Received {
    /// Only requests to the fake server of integration action logs.
    pub fn integration(self) -> Self {
        self.of_api(API)
    }
}

impl FakeIntegration {
    /// The records.
    #[must_use]
    pub fn log(&self) -> Log {
        Log::new(self.server.clone(), NAME, Samples { record: Arc::new(log), odd: odd_log })
    }

    /// Adds realistic records at the head: see [`Log::add_samples`].
    pub fn add_sample_logs(&self, count: usize) -> &Self {
        self.log().add_samples(count);
        self
    }

    /// Adds raw text as a record, at the head: see [`Log::add_raw`].
    pub fn add_raw(&self, text: impl Into<String>) -> &Self {
        self.log().add_raw(text);
        self
    }

    /// Accepts this value of the header `Authorization`. From then on a request without an accepted value is rejected
    /// with
    /// 401. By default every request is accepted, with or without the header.
    pub fn accept_authorization(&self, value: impl Into<String>) -> &Self {
        self.change(|state| state.accepted.push(value.into()))
    }

    /// The path of the collection. The default is `integration-action-logs`.
    ///
    /// ```
    /// use actionlog::IntegrationClient;
    /// use actionlog::testing::FakeServer;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// let server = FakeServer::new();
    /// server.integration().collection_path("api/v2/logs").add_sample_logs(3);
    /// let client = IntegrationClient::builder("http://localhost/api")
    ///     .collection_path("v2/logs")
    ///     .api_key("any")
    ///     .http_client(server.http_client())
    ///     .build()?;
    /// assert!(client.check().await.is_ready());
    /// # Ok(())
    /// # }
    /// ```
    pub fn collection_path(&self, path: impl AsRef<str>) -> &Self {
        self.change(|state| state.collection = format!("/{}", path.as_ref().trim_matches('/')))
    }

    /// Limits the records of a page. A request for more silently gets a page of this size. There is no limit by
    /// default.
    pub fn largest_page(&self, records: u32) -> &Self {
        self.change(|state| state.largest_page = Some(records))
    }

    /// The HTTP method of updates. The default is [`UpdateMethod::Put`]. The other method is rejected with 405.
    pub fn update_method(&self, method: UpdateMethod) -> &Self {
        self.change(|state| state.update = method)
    }

    /// What `total` counts. The default is [`FakeTotal::All`].
    pub fn total_scope(&self, total: FakeTotal) -> &Self {
        self.change(|state| state.total = total)
    }

    /// The status of a successful create. The default is 201. An invalid status changes nothing.
    pub fn created_has_status(&self, status: u16) -> &Self {
        self.change(|state| state.created = StatusCode::from_u16(status).unwrap_or(state.created))
    }

    /// Responds to deletes with 204 and no body, instead of 200 and a message.
    pub fn delete_without_body(&self) -> &Self {
        self.change(|state| state.silent_delete = true)
    }

    /// Sends neither `ETag` nor `Last-Modified`, and ignores `If-Match` and `If-Unmodified-Since`, like a server
    /// without conditional requests.
    ///
    /// ```
    /// use actionlog::IntegrationClient;
    /// use actionlog::testing::FakeServer;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// let server = FakeServer::new();
    /// server.integration().add_sample_logs(1);
    /// let client = IntegrationClient::builder("http://localhost").api_key("any").http_client(server.http_client());
    /// let client = client.build()?;
    /// let id = &client.logs().list(()).page().await?.into_records()?[0].id;
    /// assert!(client.logs().get(id).with_response().await?.etag().is_some());
    /// server.integration().without_etags();
    /// assert!(client.logs().get(id).with_response().await?.etag().is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn without_etags(&self) -> &Self {
        self.change(|state| state.no_versions = true)
    }

    fn change(&self, change: impl FnOnce(&mut State)) -> &Self {
        change(&mut self.server.lock().apis.integration);
        self
    }
}

/// The status and the message that reject a request.
type Rejection = (StatusCode, String);

impl Api for State {
    fn owns(&self, path: &str) -> bool {
        path.strip_prefix(&self.collection).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn name(&self) -> &'static str {
        API
    }

    fn kind(&self, request: &Request<Bytes>) -> RequestKind {
        let has_id = request.uri().path().len() > self.collection.len() + 1;
        match (request.method(), has_id) {
            (&Method::GET, false) => RequestKind::List,
            (&Method::POST, false) => RequestKind::Create,
            (&Method::GET, true) => RequestKind::Get,
            (&Method::PUT | &Method::PATCH, true) => RequestKind::Update,
            (&Method::DELETE, true) => RequestKind::Delete,
            _ => RequestKind::Other,
        }
    }

    fn respond(&mut self, store: &mut Store, request: &Request<Bytes>) -> HttpResponse {
        if !wire::is_accepted(&self.accepted, request.headers(), "authorization") {
            return self.reject(StatusCode::UNAUTHORIZED, "Unauthorized");
        }
        let id = request.uri().path().get(self.collection.len() + 1..).filter(|it| !it.is_empty());
        let id = id.map(|it| percent_decode_str(it).decode_utf8_lossy());
        let id = id.as_deref();
        let update = if self.update == UpdateMethod::Patch { Method::PATCH } else { Method::PUT };
        let result = match (request.method(), id) {
            (&Method::GET | &Method::HEAD, None) => self.list(store, &Query::of(request)),
            (&Method::POST, None) => self.create(store, request.body()),
            (&Method::GET | &Method::HEAD, Some(id)) => {
                find(store, id).map(|index| self.one(StatusCode::OK, &store.records(&NAME)[index]))
            }
            (method, Some(id)) if *method == update => self.update(store, id, request),
            (&Method::DELETE, Some(id)) => self.delete(store, id, request.headers()),
            _ => {
                let allowed = if id.is_some() { format!("GET, {update}, DELETE") } else { "GET, POST".to_owned() };
                let mut response = self.reject(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed");
                response.headers_mut().extend(HeaderValue::from_str(&allowed).ok().map(|it| (ALLOW, it)));
                return response;
            }
        };
        result.unwrap_or_else(|(status, message)| self.reject(status, &message))
    }

    fn reject(&mut self, status: StatusCode, message: &str) -> HttpResponse {
        wire::json(status, json!({ "success": false, "message": message }).to_string())
    }
}

impl State {
    fn list(&self, store: &mut Store, query: &Query) -> Result<HttpResponse, Rejection> {
        let bad = |message: String| (StatusCode::BAD_REQUEST, message);
        let limit = query.number("limit", 50, 1, 100).map_err(bad)?;
        let offset = query.number("offset", 0, 0, u64::MAX).map_err(bad)?;
        let ascending = match query.get("order") {
            Some("asc") => true,
            None | Some("desc") => false,
            Some(_) => return Err(bad("order must be asc or desc".to_owned())),
        };
        let filter: Map<String, Value> = match query.get("filter").map(serde_json::from_str) {
            None => Map::new(),
            Some(Ok(filter)) => filter,
            Some(Err(_)) => return Err(bad("filter must be a JSON object".to_owned())),
        };
        let term = query.get("search").map(str::to_lowercase);
        let limit = store.page_size(limit.min(self.largest_page.map_or(u64::MAX, u64::from)) as usize);
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let records = store.records(&NAME).iter();
        // As clients ask as a rule: a log of a million records isn't gone through for each page.
        if filter.is_empty() && term.is_none() && query.get("sort").is_none() && !ascending {
            return Ok(self.page(records.len(), records.skip(offset).take(limit)));
        }
        let mut selected: Vec<&Record> = records
            .filter(|it| filter.iter().all(|(field, value)| it.value().get(field) == Some(value)))
            .filter(|it| term.as_ref().is_none_or(|term| has_term(it.value(), term)))
            .collect();
        match query.get("sort") {
            Some(field) => selected.sort_by(|a, b| {
                let order = compare(a.value().get(field), b.value().get(field));
                if ascending { order } else { order.reverse() }
            }),
            None if ascending => selected.reverse(),
            None => {}
        }
        Ok(self.page(selected.len(), selected.into_iter().skip(offset).take(limit)))
    }

    /// The response with a page of this many records.
    fn page<'a>(&self, all: usize, page: impl Iterator<Item = &'a Record>) -> HttpResponse {
        let page: Vec<_> = page.map(|it| it.text.as_str()).collect();
        let total = self.total.of(all, page.len()).map(|it| format!(r#","total":{it}"#)).unwrap_or_default();
        wire::json(StatusCode::OK, format!(r#"{{"success":true,"data":[{}]{total}}}"#, page.join(",")))
    }

    fn create(&mut self, store: &mut Store, body: &Bytes) -> Result<HttpResponse, Rejection> {
        let mut log = read(body)?;
        let (time, seconds) = self.write();
        log.insert("_id".to_owned(), json!(format!("{seconds:08x}e4b0e8b3{:08x}", self.writes)));
        log.insert("createdAt".to_owned(), json!(time));
        log.insert("updatedAt".to_owned(), json!(time));
        let record = Record::from(Value::Object(log).to_string());
        let response = self.one(self.created, &record);
        store.collection(&NAME).records.insert(0, record);
        Ok(response)
    }

    fn update(&mut self, store: &mut Store, id: &str, request: &Request<Bytes>) -> Result<HttpResponse, Rejection> {
        let index = find(store, id)?;
        self.check_version(request.headers(), &store.records(&NAME)[index])?;
        let mut log = read(request.body())?;
        let (time, _) = self.write();
        let record = &mut store.collection(&NAME).records[index];
        for kept in ["_id", "createdAt"] {
            log.extend(record.value().get(kept).map(|it| (kept.to_owned(), it.clone())));
        }
        log.insert("updatedAt".to_owned(), json!(time));
        *record = Record::from(Value::Object(log).to_string());
        Ok(self.one(StatusCode::OK, record))
    }

    fn delete(&mut self, store: &mut Store, id: &str, headers: &HeaderMap) -> Result<HttpResponse, Rejection> {
        let index = find(store, id)?;
        self.check_version(headers, &store.records(&NAME)[index])?;
        store.collection(&NAME).records.remove(index);
        if self.silent_delete {
            let mut response = HttpResponse::default();
            *response.status_mut() = StatusCode::NO_CONTENT;
            return Ok(response);
        }
        let message = "Integration action log record deleted successfully";
        Ok(wire::json(StatusCode::OK, json!({ "success": true, "message": message }).to_string()))
    }

    /// The response with one record in its envelope, and the headers of its version.
    fn one(&self, status: StatusCode, record: &Record) -> HttpResponse {
        let mut response = wire::json(status, format!(r#"{{"success":true,"data":{}}}"#, record.text));
        if !self.no_versions {
            let headers = response.headers_mut();
            headers.extend(HeaderValue::try_from(etag(record)).ok().map(|it| (ETAG, it)));
            let time = last_modified(record).map(httpdate::fmt_http_date);
            headers.extend(time.and_then(|it| HeaderValue::try_from(it).ok()).map(|it| (LAST_MODIFIED, it)));
        }
        response
    }

    /// Rejects a write whose condition doesn't match the record's version. By RFC 9110, `If-Unmodified-Since` is
    /// ignored if there is an `If-Match`, or if it can't be parsed.
    fn check_version(&self, headers: &HeaderMap, record: &Record) -> Result<(), Rejection> {
        let text = |name| Some(headers.get(name)?.to_str().unwrap_or_default().trim());
        let holds = match (text(IF_MATCH), text(IF_UNMODIFIED_SINCE)) {
            _ if self.no_versions => true,
            (Some(tags), _) => tags == "*" || tags.split(',').any(|it| it.trim() == etag(record)),
            (None, Some(time)) => match (httpdate::parse_http_date(time), last_modified(record)) {
                (Ok(time), Some(modified)) => modified <= time,
                _ => true,
            },
            (None, None) => true,
        };
        let message = "Integration action log record has changed";
        if holds { Ok(()) } else { Err((StatusCode::PRECONDITION_FAILED, message.to_owned())) }
    }

    /// Advances the clock for a write. Returns the time as a string and in seconds.
    fn write(&mut self) -> (String, u64) {
        self.writes += 1;
        let seconds = BEGIN + self.writes;
        let time: DateTime<Utc> = DateTime::from_timestamp(seconds.cast_signed(), 0).unwrap_or_default();
        (time.to_rfc3339_opts(SecondsFormat::Secs, true), seconds)
    }
}

/// A strong ETag: equal only for equal text.
fn etag(record: &Record) -> String {
    format!("\"{:032x}\"", siphasher::sip128::SipHasher24::new().hash(record.text.as_bytes()).as_u128())
}

/// When the record was last changed, in whole seconds, as HTTP dates have no fractions.
fn last_modified(record: &Record) -> Option<SystemTime> {
    let time = DateTime::parse_from_rfc3339(record.value().get("updatedAt")?.as_str()?).ok()?;
    let seconds = u64::try_from(time.timestamp()).ok().filter(|it| *it < END_OF_HTTP)?;
    Some(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// The id of a record, without its other fields.
#[derive(serde::Deserialize)]
struct OnlyId {
    #[serde(rename = "_id")]
    id: String,
}

/// The index of the record with this id.
fn find(store: &Store, id: &str) -> Result<usize, Rejection> {
    let is = |it: &Record| match it.value() {
        // A record that a `Value` can't hold (a number out of range, a lone surrogate) may still have an id.
        Value::Null => serde_json::from_str::<OnlyId>(&it.text).is_ok_and(|it| it.id == id),
        value => value.get("_id").and_then(Value::as_str) == Some(id),
    };
    let index = store.records(&NAME).iter().position(is);
    index.ok_or_else(|| (StatusCode::NOT_FOUND, "Integration action log record not found".to_owned()))
}

/// Checks the type of a value.
type Fits = fn(&Value) -> bool;

/// Validates the body of a create or an update.
fn read(body: &Bytes) -> Result<Map<String, Value>, Rejection> {
    let mut log: Map<String, Value> = serde_json::from_slice(body)
        .map_err(|_| (StatusCode::BAD_REQUEST, "The body must be a JSON object".to_owned()))?;
    log.retain(|_, value| !value.is_null());
    let unfit = |message: String| Err((StatusCode::UNPROCESSABLE_ENTITY, message));
    for required in ["integrationId", "actionType", "entityType", "status"] {
        if log.get(required).and_then(Value::as_str).is_none_or(str::is_empty) {
            return unfit(format!("{required} is required"));
        }
    }
    let enums = [
        ("actionType", &["create", "update", "delete", "sync", "webhook"][..]),
        ("status", &["pending", "success", "failed", "retrying"]),
    ];
    for (field, values) in enums {
        if !log.get(field).and_then(Value::as_str).is_some_and(|it| values.contains(&it)) {
            return unfit(format!("{field} must be one of {}", values.join(", ")));
        }
    }
    log.entry("retryCount").or_insert_with(|| json!(0));
    let is_count: Fits = |it| it.as_f64().is_some_and(|it| it >= 0.0 && it.fract() == 0.0);
    let types: [(&str, &str, Fits); 7] = [
        ("entityId", "a string", Value::is_string),
        ("errorMessage", "a string", Value::is_string),
        ("executionTime", "a number", Value::is_number),
        ("payload", "an object", Value::is_object),
        ("response", "an object", Value::is_object),
        ("metadata", "an object", Value::is_object),
        ("retryCount", "an integer of at least 0", is_count),
    ];
    for (field, name, fits) in types {
        if log.get(field).is_some_and(|it| !fits(it)) {
            return unfit(format!("{field} must be {name}"));
        }
    }
    Ok(log)
}

/// Whether one of a record's string fields contains the term, which is in lower case.
fn has_term(record: &Value, term: &str) -> bool {
    let fields = record.as_object().into_iter().flat_map(Map::values);
    fields.filter_map(Value::as_str).any(|it| it.to_lowercase().contains(term))
}

/// Orders two values of a field. Absent values sort first.
fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal)
        }
        (Some(Value::String(a)), Some(Value::String(b))) => a.cmp(b),
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

fn rank(value: Option<&Value>) -> u8 {
    match value {
        None | Some(Value::Null) => 0,
        Some(Value::Bool(false)) => 1,
        Some(Value::Bool(true)) => 2,
        Some(Value::Number(_)) => 3,
        Some(Value::String(_)) => 4,
        Some(Value::Array(_) | Value::Object(_)) => 5,
    }
}
