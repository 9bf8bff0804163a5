//! What speaks the contract of integration action logs.

use std::cmp::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use http::header::{ALLOW, ETAG, IF_MATCH, IF_UNMODIFIED_SINCE, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::shelf::{CountMeans, Log, Name, Record, Store};
use super::wire::{self, Query};
use super::{Api, World};
use crate::integration::UpdateMethod;
use crate::request::Answer;

/// 2026-01-01T00:00:00Z: a world's clock begins here, and goes on by a second with every write.
const BEGIN: u64 = 1_767_225_600;

/// The year 10000, for which HTTP has no words.
const END_OF_HTTP: u64 = 253_402_300_800;

const NAME: Name = Name::Integration;

/// What stands for a server of integration action logs in a [`World`].
///
/// It is made from the reference page, which names no server; none was recorded. What the page leaves open is a switch
/// here, or decided so:
///
/// - `limit` outside of 1 to 100, `offset` below 0, `order` other than `asc` and `desc`, and a `filter` that isn't a JSON
///   object are refused with 400.
/// - The newest comes first. With `sort` it's the order of that field of the record; of two that are equal, the newer
///   comes first. `order` is `desc` unless given.
/// - `filter` takes the records whose fields equal all of the given; it has no operators. `search` takes those with the
///   term in one of their fields that are texts, in any letter case.
/// - A body that isn't a JSON object is refused with 400, one whose fields aren't of the documented types with 422. A
///   field that is null is taken as one that is absent.
/// - An id in a path is decoded.
/// - A write takes the time from the world's clock, which begins on 2026-01-01 and goes on by a second with each. New
///   ids increase.
/// - An update replaces the record, but for its `_id` and `createdAt`, and leaves it where it is.
/// - A single record has a strong `ETag` and, from its `updatedAt`, a `Last-Modified`. An update or a deletion whose
///   `If-Match` or `If-Unmodified-Since` doesn't hold is refused with 412, and changes nothing.
/// - Every failure is `{"success": false, "message": ..}`.
///
/// ```
/// use actionlog::IntegrationClient;
/// use actionlog::integration::LogsQuery;
/// use actionlog::testing::World;
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> actionlog::Result<()> {
/// let world = World::new();
/// world.integration().accept_authorization("Bearer token").add_sample_logs(120);
/// let client = IntegrationClient::builder("http://localhost").bearer("token").exchange(world.exchange()).build()?;
/// let failed = LogsQuery::new().filter(json!({"status": "failed"}));
/// assert_eq!(client.logs().list(failed).page().await?.total, Some(11));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct IntegrationWorld {
    world: World,
}

/// The state of the fake.
pub(super) struct State {
    accepted: Vec<String>,
    collection: String,
    largest_page: Option<u32>,
    update: UpdateMethod,
    total: CountMeans,
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
            total: CountMeans::default(),
            created: StatusCode::CREATED,
            silent_delete: false,
            no_versions: false,
            writes: 0,
        }
    }
}

impl IntegrationWorld {
    pub(super) fn of(world: World) -> Self {
        Self { world }
    }

    /// The records.
    #[must_use]
    pub fn log(&self) -> Log {
        Log::new(self.world.clone(), NAME)
    }

    /// Adds plausible records at the head: see [`Log::add_samples`].
    pub fn add_sample_logs(&self, count: usize) -> &Self {
        self.log().add_samples(count);
        self
    }

    /// Adds a text in a record's place, at the head: see [`Log::add_raw`].
    pub fn add_raw(&self, text: impl Into<String>) -> &Self {
        self.log().add_raw(text);
        self
    }

    /// Lets requests in that have this in the header `Authorization`. From then on others get a 401; until then all are
    /// good, and those without the header are too.
    pub fn accept_authorization(&self, value: impl Into<String>) -> &Self {
        self.change(|state| state.accepted.push(value.into()))
    }

    /// Where the collection is; `integration-action-logs` unless set.
    ///
    /// ```
    /// use actionlog::IntegrationClient;
    /// use actionlog::testing::World;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// let world = World::new();
    /// world.integration().collection_path("api/v2/logs").add_sample_logs(3);
    /// let client = IntegrationClient::builder("http://localhost/api")
    ///     .collection_path("v2/logs")
    ///     .api_key("any")
    ///     .exchange(world.exchange())
    ///     .build()?;
    /// assert!(client.check().await.is_ready());
    /// # Ok(())
    /// # }
    /// ```
    pub fn collection_path(&self, path: impl AsRef<str>) -> &Self {
        self.change(|state| state.collection = format!("/{}", path.as_ref().trim_matches('/')))
    }

    /// The most records that it gives at once, without a word, where more are asked for. No less than asked unless set.
    pub fn largest_page(&self, records: u32) -> &Self {
        self.change(|state| state.largest_page = Some(records))
    }

    /// The method that updates come by; [`UpdateMethod::Put`] unless set. The other is answered with 405.
    pub fn update_method(&self, method: UpdateMethod) -> &Self {
        self.change(|state| state.update = method)
    }

    /// What `total` counts; [`CountMeans::All`] unless set.
    pub fn total_means(&self, total: CountMeans) -> &Self {
        self.change(|state| state.total = total)
    }

    /// The status of a create that succeeded; 201 unless set. A number that can't be a status changes nothing.
    pub fn created_has_status(&self, status: u16) -> &Self {
        self.change(|state| state.created = StatusCode::from_u16(status).unwrap_or(state.created))
    }

    /// Answers deletes with 204 and no body, in place of 200 and a message.
    pub fn delete_without_body(&self) -> &Self {
        self.change(|state| state.silent_delete = true)
    }

    /// Sends neither `ETag` nor `Last-Modified`, and ignores `If-Match` and `If-Unmodified-Since`, as a server without
    /// conditional requests does.
    ///
    /// ```
    /// use actionlog::IntegrationClient;
    /// use actionlog::testing::World;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// let world = World::new();
    /// world.integration().add_sample_logs(1);
    /// let client = IntegrationClient::builder("http://localhost").api_key("any").exchange(world.exchange()).build()?;
    /// let id = &client.logs().list(()).page().await?.into_records()?[0].id;
    /// assert!(client.logs().get(id).with_answer().await?.etag().is_some());
    /// world.integration().without_etags();
    /// assert!(client.logs().get(id).with_answer().await?.etag().is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn without_etags(&self) -> &Self {
        self.change(|state| state.no_versions = true)
    }

    fn change(&self, change: impl FnOnce(&mut State)) -> &Self {
        change(&mut self.world.lock().integration);
        self
    }
}

/// Why a request is refused.
type Refusal = (StatusCode, String);

impl Api for State {
    fn owns(&self, path: &str) -> bool {
        path.strip_prefix(&self.collection).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn answer(&mut self, store: &mut Store, request: &Request<Bytes>) -> Answer {
        if !wire::is_let_in(&self.accepted, request.headers(), "authorization") {
            return self.refuse(StatusCode::UNAUTHORIZED, "Unauthorized");
        }
        let id = request.uri().path().get(self.collection.len() + 1..).filter(|it| !it.is_empty());
        let id = id.map(|it| percent_decode_str(it).decode_utf8_lossy());
        let id = id.as_deref();
        let update = if self.update == UpdateMethod::Patch { Method::PATCH } else { Method::PUT };
        let result = match (request.method(), id) {
            (&Method::GET | &Method::HEAD, None) => self.list(store, &Query::of(request)),
            (&Method::POST, None) => self.create(store, request.body()),
            (&Method::GET | &Method::HEAD, Some(id)) => {
                find(store, id).map(|place| self.one(StatusCode::OK, &store.records(&NAME)[place]))
            }
            (method, Some(id)) if *method == update => self.update(store, id, request),
            (&Method::DELETE, Some(id)) => self.delete(store, id, request.headers()),
            _ => {
                let allowed = if id.is_some() { format!("GET, {update}, DELETE") } else { "GET, POST".to_owned() };
                let mut answer = self.refuse(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed");
                answer.headers_mut().extend(HeaderValue::from_str(&allowed).ok().map(|it| (ALLOW, it)));
                return answer;
            }
        };
        result.unwrap_or_else(|(status, message)| self.refuse(status, &message))
    }

    fn refuse(&mut self, status: StatusCode, message: &str) -> Answer {
        wire::json(status, json!({ "success": false, "message": message }).to_string())
    }
}

impl State {
    fn list(&self, store: &mut Store, query: &Query) -> Result<Answer, Refusal> {
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
        let records = store.records(&NAME).iter();
        let mut meant: Vec<&Record> = records
            .filter(|it| filter.iter().all(|(field, value)| it.value().get(field) == Some(value)))
            .filter(|it| term.as_ref().is_none_or(|term| has_term(it.value(), term)))
            .collect();
        match query.get("sort") {
            Some(field) => meant.sort_by(|a, b| {
                let order = compare(a.value().get(field), b.value().get(field));
                if ascending { order } else { order.reverse() }
            }),
            None if ascending => meant.reverse(),
            None => {}
        }
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let page: Vec<&str> = meant.iter().skip(offset).take(limit).map(|it| it.text.as_str()).collect();
        let total = self.total.of(meant.len(), page.len()).map(|it| format!(r#","total":{it}"#)).unwrap_or_default();
        Ok(wire::json(StatusCode::OK, format!(r#"{{"success":true,"data":[{}]{total}}}"#, page.join(","))))
    }

    fn create(&mut self, store: &mut Store, body: &Bytes) -> Result<Answer, Refusal> {
        let mut log = read(body)?;
        let (time, seconds) = self.write();
        log.insert("_id".to_owned(), json!(format!("{seconds:08x}e4b0e8b3{:08x}", self.writes)));
        log.insert("createdAt".to_owned(), json!(time));
        log.insert("updatedAt".to_owned(), json!(time));
        let record = Record::from(Value::Object(log).to_string());
        let answer = self.one(self.created, &record);
        store.shelf(&NAME).records.insert(0, record);
        Ok(answer)
    }

    fn update(&mut self, store: &mut Store, id: &str, request: &Request<Bytes>) -> Result<Answer, Refusal> {
        let place = find(store, id)?;
        self.check_version(request.headers(), &store.records(&NAME)[place])?;
        let mut log = read(request.body())?;
        let (time, _) = self.write();
        let record = &mut store.shelf(&NAME).records[place];
        for kept in ["_id", "createdAt"] {
            log.extend(record.value().get(kept).map(|it| (kept.to_owned(), it.clone())));
        }
        log.insert("updatedAt".to_owned(), json!(time));
        *record = Record::from(Value::Object(log).to_string());
        Ok(self.one(StatusCode::OK, record))
    }

    fn delete(&mut self, store: &mut Store, id: &str, headers: &HeaderMap) -> Result<Answer, Refusal> {
        let place = find(store, id)?;
        self.check_version(headers, &store.records(&NAME)[place])?;
        store.shelf(&NAME).records.remove(place);
        if self.silent_delete {
            let mut answer = Answer::default();
            *answer.status_mut() = StatusCode::NO_CONTENT;
            return Ok(answer);
        }
        let message = "Integration action log record deleted successfully";
        Ok(wire::json(StatusCode::OK, json!({ "success": true, "message": message }).to_string()))
    }

    /// A record with `success` around it, and its version.
    fn one(&self, status: StatusCode, record: &Record) -> Answer {
        let mut answer = wire::json(status, format!(r#"{{"success":true,"data":{}}}"#, record.text));
        if !self.no_versions {
            let headers = answer.headers_mut();
            headers.extend(HeaderValue::try_from(etag(record)).ok().map(|it| (ETAG, it)));
            let time = last_modified(record).map(httpdate::fmt_http_date);
            headers.extend(time.and_then(|it| HeaderValue::try_from(it).ok()).map(|it| (LAST_MODIFIED, it)));
        }
        answer
    }

    /// Whether the record is of the version that a write is to change. As RFC 9110 has it: the time counts only without
    /// `If-Match`, and one that can't be read doesn't count.
    fn check_version(&self, headers: &HeaderMap, record: &Record) -> Result<(), Refusal> {
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

    /// The time of a write, by the world's clock: as a text, and in seconds.
    fn write(&mut self) -> (String, u64) {
        self.writes += 1;
        let seconds = BEGIN + self.writes;
        let time: DateTime<Utc> = DateTime::from_timestamp(seconds.cast_signed(), 0).unwrap_or_default();
        (time.to_rfc3339_opts(SecondsFormat::Secs, true), seconds)
    }
}

/// A strong one: the same for the same text alone.
fn etag(record: &Record) -> String {
    format!("\"{:032x}\"", siphasher::sip128::SipHasher24::new().hash(record.text.as_bytes()).as_u128())
}

/// When the record was last changed, in whole seconds: HTTP has no finer times.
fn last_modified(record: &Record) -> Option<SystemTime> {
    let time = DateTime::parse_from_rfc3339(record.value().get("updatedAt")?.as_str()?).ok()?;
    let seconds = u64::try_from(time.timestamp()).ok().filter(|it| *it < END_OF_HTTP)?;
    Some(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Of a record, no more than its id.
#[derive(serde::Deserialize)]
struct OnlyId {
    #[serde(rename = "_id")]
    id: String,
}

/// The place of the record with this id.
fn find(store: &Store, id: &str) -> Result<usize, Refusal> {
    let is = |it: &Record| match it.value() {
        // What isn't a value may have an id all the same: numbers may be too large, and text no Unicode.
        Value::Null => serde_json::from_str::<OnlyId>(&it.text).is_ok_and(|it| it.id == id),
        value => value.get("_id").and_then(Value::as_str) == Some(id),
    };
    let place = store.records(&NAME).iter().position(is);
    place.ok_or_else(|| (StatusCode::NOT_FOUND, "Integration action log record not found".to_owned()))
}

/// Whether a value is of a type.
type Fits = fn(&Value) -> bool;

/// What a create or an update says.
fn read(body: &Bytes) -> Result<Map<String, Value>, Refusal> {
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

/// Whether one of a record's texts has the term, which is in small letters.
fn has_term(record: &Value, term: &str) -> bool {
    let fields = record.as_object().into_iter().flat_map(Map::values);
    fields.filter_map(Value::as_str).any(|it| it.to_lowercase().contains(term))
}

/// What is absent comes before all that is there.
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
