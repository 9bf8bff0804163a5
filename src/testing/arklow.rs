//! The fake Arklow server.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::arklow::SearchEncoding;
use crate::decode::HttpResponse;
use crate::testing::collection::{FakeTotal, Log, Name, Record, Samples, Store};
use crate::testing::sample::arklow::{odd_record, record};
use crate::testing::wire::{self, Query};
use crate::testing::{Api, FakeServer, Received, RequestKind};

/// The name of the API.
const API: &str = "arklow";

/// The largest page of the API's reference.
const LARGEST_PAGE: u64 = 50;

/// The fake Arklow server in a [`FakeServer`]: the action records of organisations, and the accepted API keys.
///
/// It follows the API's reference; no response of the real server was recorded. Behaviour that the reference leaves
/// open is a setting, or one of these choices:
///
/// - `take` outside of 1 to 50, `skip` below 0, an organisation's id with other characters than digits, and an
///   incomplete search are rejected with 400. The default of `take` is 50.
/// - An organisation without records has an empty list, with status 200.
/// - `search` compares a field of the record with `value`, as strings: `timeout` with `300`, for example. A path with
///   dots selects a nested field: `state.status`. A field that is missing, null, an object or a list equals no value.
/// - `action_definition_id` is compared with that of the record, `variant` and `version` with those of its definition.
/// - `state` and `definition` are included only on request, `events` always.
/// - With `count_only` there are no `items`, and `count` is the number of all records, whatever it is otherwise.
/// - An error body has the envelope of a page, with `data: null` and one entry in `errors`.
///
/// ```
/// use actionlog::ArklowClient;
/// use actionlog::arklow::RecordsQuery;
/// use actionlog::testing::FakeServer;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> actionlog::Result<()> {
/// let server = FakeServer::new();
/// server.arklow().accept_key("secret").add_sample_records("4711", 120);
/// let client = ArklowClient::builder("4711").api_key("secret").http_client(server.http_client()).build()?;
/// let failed = RecordsQuery::new().search("state.status", "failed");
/// assert_eq!(client.records().count(failed).await?, 15);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FakeArklow {
    server: FakeServer,
}

/// When records include their events. See [`FakeArklow::events_shown`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventsShown {
    /// Always.
    #[default]
    Always,
    /// If the request asks for the state.
    WithState,
    /// Never.
    Never,
}

/// The order of the records. See [`FakeArklow::head_is`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FakeOrder {
    /// Newest first.
    #[default]
    Newest,
    /// Oldest first: new records are added at the end.
    Oldest,
}

/// The settings of the fake Arklow server.
#[derive(Default)]
pub(super) struct State {
    accepted: Vec<String>,
    largest_page: Option<u32>,
    search: SearchEncoding,
    count: FakeTotal,
    events: EventsShown,
    head: FakeOrder,
    trouble: Vec<Value>,
    failure_status: Option<StatusCode>,
}

impl FakeServer {
    /// The fake Arklow server: all paths below `/v1`.
    #[must_use]
    pub fn arklow(&self) -> FakeArklow {
        FakeArklow { server: self.clone() }
    }
}

impl Received {
    /// Only requests to the fake Arklow server.
    pub fn arklow(self) -> Self {
        self.of_api(API)
    }
}

impl FakeArklow {
    /// The records of an organisation.
    #[must_use]
    pub fn log(&self, org_id: impl Into<String>) -> Log {
        let org_id = org_id.into();
        let name = name(&org_id);
        let record = Arc::new(move |it| record(it, &org_id));
        Log::new(self.server.clone(), name, Samples { record, odd: odd_record })
    }

    /// Adds realistic records at the head of an organisation's records: see [`Log::add_samples`].
    pub fn add_sample_records(&self, org_id: impl Into<String>, count: usize) -> &Self {
        self.log(org_id).add_samples(count);
        self
    }

    /// Adds raw text as a record, at the head: see [`Log::add_raw`].
    pub fn add_raw(&self, org_id: impl Into<String>, text: impl Into<String>) -> &Self {
        self.log(org_id).add_raw(text);
        self
    }

    /// Accepts this key. From then on a request without an accepted key in the header `x-arklow-auth` is rejected with
    /// 401. By default every request is accepted, with or without a key.
    pub fn accept_key(&self, key: impl Into<String>) -> &Self {
        self.change(|state| state.accepted.push(key.into()))
    }

    /// Limits the records of a page. A request for more silently gets a page of this size. There is no limit by
    /// default.
    pub fn largest_page(&self, records: u32) -> &Self {
        self.change(|state| state.largest_page = Some(records))
    }

    /// The encoding in which the server parses a search. The default is [`SearchEncoding::DeepObject`]. A search in
    /// another encoding is ignored, and all records are returned.
    ///
    /// ```
    /// use actionlog::ArklowClient;
    /// use actionlog::arklow::{RecordsQuery, SearchEncoding};
    /// use actionlog::testing::FakeServer;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// let server = FakeServer::new();
    /// server.arklow().add_sample_records("4711", 7).search_encoding(SearchEncoding::Json);
    /// let client = ArklowClient::builder("4711").api_key("any").http_client(server.http_client()).build()?;
    /// assert_eq!(client.records().count(RecordsQuery::new().search("id", "none")).await?, 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn search_encoding(&self, encoding: SearchEncoding) -> &Self {
        self.change(|state| state.search = encoding)
    }

    /// What `count` counts. The default is [`FakeTotal::All`].
    pub fn count_scope(&self, count: FakeTotal) -> &Self {
        self.change(|state| state.count = count)
    }

    /// When records include their events. The default is [`EventsShown::Always`].
    pub fn events_shown(&self, events: EventsShown) -> &Self {
        self.change(|state| state.events = events)
    }

    /// The order of the records. The default is [`FakeOrder::Newest`]. It doesn't change the indexes of a [`Log`].
    pub fn head_is(&self, head: FakeOrder) -> &Self {
        self.change(|state| state.head = head)
    }

    /// Adds an error next to the records of every response, whose status stays 200, until
    /// [`clear_trouble`](Self::clear_trouble). Each call adds one more error.
    ///
    /// ```
    /// use actionlog::ArklowClient;
    /// use actionlog::testing::FakeServer;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// let server = FakeServer::new();
    /// server.arklow().add_sample_records("4711", 7).trouble("shard_down", "one of 3 shards didn't respond");
    /// let client = ArklowClient::builder("4711").api_key("any").http_client(server.http_client()).build()?;
    /// let page = client.records().list(()).page().await?;
    /// assert_eq!((page.entries.len(), page.errors[0].name()), (7, Some("shard_down")));
    /// # Ok(())
    /// # }
    /// ```
    pub fn trouble(&self, code: impl Into<String>, message: impl Into<String>) -> &Self {
        let trouble = json!({ "code": code.into(), "message": message.into() });
        self.change(|state| state.trouble.push(trouble))
    }

    /// Removes all errors that [`trouble`](Self::trouble) added.
    pub fn clear_trouble(&self) -> &Self {
        self.change(|state| state.trouble.clear())
    }

    /// Sends every error with this status, such as 200 for a server that reports errors only in the body. An invalid
    /// status changes nothing.
    pub fn failures_have_status(&self, status: u16) -> &Self {
        self.change(|state| state.failure_status = StatusCode::from_u16(status).ok().or(state.failure_status))
    }

    fn change(&self, change: impl FnOnce(&mut State)) -> &Self {
        change(&mut self.server.lock().apis.arklow);
        self
    }
}

impl Api for State {
    fn owns(&self, path: &str) -> bool {
        path == "/v1" || path.starts_with("/v1/")
    }

    fn name(&self) -> &'static str {
        API
    }

    fn kind(&self, request: &Request<Bytes>) -> RequestKind {
        match organisation(request.uri().path()) {
            Some(_) if request.method() != Method::GET => RequestKind::Other,
            Some(_) if Query::of(request).is_true("count_only") => RequestKind::Count,
            Some(_) => RequestKind::List,
            None => RequestKind::Other,
        }
    }

    fn respond(&mut self, store: &mut Store, request: &Request<Bytes>) -> HttpResponse {
        if !wire::is_accepted(&self.accepted, request.headers(), "x-arklow-auth") {
            return self.reject(StatusCode::UNAUTHORIZED, "The API key is missing or not valid.");
        }
        let Some(org_id) = organisation(request.uri().path()) else {
            return self.reject(StatusCode::NOT_FOUND, "There is nothing at this path.");
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return self.reject(StatusCode::METHOD_NOT_ALLOWED, "Records can be listed, and nothing else.");
        }
        if org_id.is_empty() || !org_id.bytes().all(|it| it.is_ascii_digit()) {
            return self.reject(StatusCode::BAD_REQUEST, "org_id must match ^[0-9]+$");
        }
        self.list(store, &name(org_id), &Query::of(request))
            .unwrap_or_else(|message| self.reject(StatusCode::BAD_REQUEST, &message))
    }

    fn reject(&mut self, status: StatusCode, message: &str) -> HttpResponse {
        let code = match status.as_u16() {
            400 => "bad_request",
            401 => "unauthorized",
            403 => "forbidden",
            404 => "not_found",
            429 => "rate_limited",
            500.. => "internal",
            _ => "refused",
        };
        let body = json!({ "data": null, "errors": [{ "code": code, "message": message }] });
        wire::json(self.failure_status.unwrap_or(status), body.to_string())
    }
}

impl State {
    fn list(&self, store: &mut Store, name: &Name, query: &Query) -> Result<HttpResponse, String> {
        let take = query.number("take", LARGEST_PAGE, 1, LARGEST_PAGE)?;
        let skip = query.number("skip", 0, 0, u64::MAX)?;
        let version =
            query.get("version").map(|it| it.parse::<i64>().map_err(|_| "version must be an integer")).transpose()?;
        let search = self.search(query)?;
        let is_selected = |record: &&Record| {
            let equals = |path: &str, text: Option<&str>| text.is_none_or(|text| equals(record.value(), path, text));
            equals("action_definition_id", query.get("action_definition_id"))
                && equals("definition.variant", query.get("variant"))
                && equals("definition.version", version.map(|it| it.to_string()).as_deref())
                && search.as_ref().is_none_or(|(field, value)| equals(field, Some(value)))
        };
        if query.is_true("count_only") {
            let count = store.records(name).iter().filter(is_selected).count();
            let count = if let FakeTotal::Always(number) = self.count { number } else { count as u64 };
            return Ok(self.envelope(&format!(r#"{{"count":{count}}}"#)));
        }
        let take = take.min(self.largest_page.map_or(u64::MAX, u64::from)) as usize;
        let take = store.page_size(take);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let mut selected: Vec<&Record> = store.records(name).iter().filter(is_selected).collect();
        if self.head == FakeOrder::Oldest {
            selected.reverse();
        }
        let hidden = self.hidden(query);
        let page: Vec<String> = selected.iter().skip(skip).take(take).map(|record| show(record, &hidden)).collect();
        let count = self.count.of(selected.len(), page.len()).map(|it| format!(r#","count":{it}"#)).unwrap_or_default();
        Ok(self.envelope(&format!(r#"{{"items":[{}]{count}}}"#, page.join(","))))
    }

    fn envelope(&self, data: &str) -> HttpResponse {
        let errors = if self.trouble.is_empty() { Value::Null } else { json!(self.trouble) };
        wire::json(StatusCode::OK, format!(r#"{{"data":{data},"errors":{errors}}}"#))
    }

    /// The field and the value of the search.
    fn search(&self, query: &Query) -> Result<Option<(String, String)>, String> {
        let json: Value;
        let [field, value, op] = match self.search {
            SearchEncoding::DeepObject => ["search[field]", "search[value]", "search[op]"].map(|it| query.get(it)),
            SearchEncoding::Plain => ["field", "value", "op"].map(|it| query.get(it)),
            SearchEncoding::Json => {
                let Some(text) = query.get("search") else { return Ok(None) };
                json = serde_json::from_str(text).map_err(|_| "search must be JSON")?;
                ["field", "value", "op"].map(|it| json.get(it).and_then(Value::as_str))
            }
        };
        match (field, value, op) {
            (None, None, None) if self.search != SearchEncoding::Json => Ok(None),
            (Some(field), Some(value), None | Some("eq")) => Ok(Some((field.to_owned(), value.to_owned()))),
            (Some(_), Some(_), Some(_)) => Err("search.op must be eq".to_owned()),
            _ => Err("search needs a field and a value".to_owned()),
        }
    }

    /// The parts of a record that this request doesn't include.
    fn hidden(&self, query: &Query) -> Vec<&'static str> {
        let state = query.is_true("include_state");
        let events = match self.events {
            EventsShown::Always => true,
            EventsShown::WithState => state,
            EventsShown::Never => false,
        };
        let parts = [("state", state), ("definition", query.is_true("include_definition")), ("events", events)];
        parts.into_iter().filter(|(_, is_shown)| !is_shown).map(|(part, _)| part).collect()
    }
}

/// A record without the hidden parts.
fn show(record: &Record, hidden: &[&str]) -> String {
    match record.value() {
        Value::Object(parts) if hidden.iter().any(|it| parts.contains_key(*it)) => {
            let shown: BTreeMap<_, _> = parts.iter().filter(|(name, _)| !hidden.contains(&name.as_str())).collect();
            // A parsed JSON value always serialises.
            serde_json::to_string(&shown).unwrap_or_default()
        }
        _ => record.text.clone(),
    }
}

/// Whether the field at this path equals the text.
fn equals(record: &Value, path: &str, text: &str) -> bool {
    match path.split('.').try_fold(record, |value, name| value.get(name)) {
        Some(Value::String(value)) => value == text,
        Some(Value::Number(value)) => value.to_string() == text,
        Some(Value::Bool(value)) => text == if *value { "true" } else { "false" },
        _ => false,
    }
}

/// The organisation's id in `/v1/orgs/{org_id}/actions/records`.
fn organisation(path: &str) -> Option<&str> {
    path.strip_prefix("/v1/orgs/")?.strip_suffix("/actions/records").filter(|it| !it.contains('/'))
}

fn name(org_id: &str) -> Name {
    Name { api: API, scope: vec![org_id.to_owned()] }
}
