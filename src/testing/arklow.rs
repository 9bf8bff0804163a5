//! What speaks Arklow's contract.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::shelf::{CountMeans, Log, Name, Record, Store};
use super::wire::{self, Query};
use super::{Api, World};
use crate::arklow::SearchEncoding;
use crate::request::Answer;

/// The most that is given at once, by the reference page.
const LARGEST_PAGE: u64 = 50;

/// What stands for Arklow in a [`World`]: the action records of organisations, and who may read them.
///
/// It is made from the reference page; no answer of the real server was recorded. What that page leaves open is a switch
/// here, or decided so:
///
/// - `take` outside of 1 to 50, `skip` below 0, an organisation's id that isn't digits and a search that isn't whole are
///   refused with 400. Without `take` it gives 50.
/// - An organisation without records has none: 200, and an empty list.
/// - `search` compares a field of the record with `value`, as texts: `timeout` and `300`, say. A path with dots leads
///   into objects: `state.status`. What isn't there, or is null, an object or a list, equals nothing.
/// - `action_definition_id` is compared with the record's, `variant` and `version` with its definition's.
/// - `state` and `definition` come only if asked for, `events` always.
/// - With `count_only` there are no `items`, and `count` is that of all, whatever it otherwise means.
/// - A failure has an envelope with `data: null` and one of `errors`.
///
/// ```
/// use actionlog::ArklowClient;
/// use actionlog::arklow::RecordsQuery;
/// use actionlog::testing::World;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> actionlog::Result<()> {
/// let world = World::new();
/// world.arklow().accept_key("secret").add_sample_records("4711", 120);
/// let client = ArklowClient::builder("4711").api_key("secret").exchange(world.exchange()).build()?;
/// let failed = RecordsQuery::new().search("state.status", "failed");
/// assert_eq!(client.records().count(failed).await?, 15);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ArklowWorld {
    world: World,
}

/// When records come with their events. See [`ArklowWorld::events_shown`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventsShown {
    /// With every record.
    #[default]
    Always,
    /// Where the state is asked for.
    WithState,
    /// Not at all.
    Never,
}

/// Which record comes first. See [`ArklowWorld::head_is`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeadIs {
    /// The newest.
    #[default]
    Newest,
    /// The oldest: new ones come at the end.
    Oldest,
}

/// The state of the fake.
#[derive(Default)]
pub(super) struct State {
    accepted: Vec<String>,
    largest_page: Option<u32>,
    search: SearchEncoding,
    count: CountMeans,
    events: EventsShown,
    head: HeadIs,
    trouble: Vec<Value>,
    failure_status: Option<StatusCode>,
}

impl ArklowWorld {
    pub(super) fn of(world: World) -> Self {
        Self { world }
    }

    /// The records of an organisation.
    #[must_use]
    pub fn log(&self, org_id: impl Into<String>) -> Log {
        Log::new(self.world.clone(), Name::Arklow { org_id: org_id.into() })
    }

    /// Adds plausible records at the head of an organisation's: see [`Log::add_samples`].
    pub fn add_sample_records(&self, org_id: impl Into<String>, count: usize) -> &Self {
        self.log(org_id).add_samples(count);
        self
    }

    /// Adds a text in a record's place, at the head: see [`Log::add_raw`].
    pub fn add_raw(&self, org_id: impl Into<String>, text: impl Into<String>) -> &Self {
        self.log(org_id).add_raw(text);
        self
    }

    /// Lets this key in. From then on a request needs one that is let in, in the header `x-arklow-auth`, or gets a 401;
    /// until then all are good, and none is too.
    pub fn accept_key(&self, key: impl Into<String>) -> &Self {
        self.change(|state| state.accepted.push(key.into()))
    }

    /// The most records that it gives at once, without a word, where more are asked for. No less than asked unless set.
    pub fn largest_page(&self, records: u32) -> &Self {
        self.change(|state| state.largest_page = Some(records))
    }

    /// The encoding in which it reads a search; [`SearchEncoding::DeepObject`] unless set. A search that comes in another
    /// is overlooked, and all records given.
    ///
    /// ```
    /// use actionlog::ArklowClient;
    /// use actionlog::arklow::{RecordsQuery, SearchEncoding};
    /// use actionlog::testing::World;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// let world = World::new();
    /// world.arklow().add_sample_records("4711", 7).search_encoding(SearchEncoding::Json);
    /// let client = ArklowClient::builder("4711").api_key("any").exchange(world.exchange()).build()?;
    /// assert_eq!(client.records().count(RecordsQuery::new().search("id", "none")).await?, 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn search_encoding(&self, encoding: SearchEncoding) -> &Self {
        self.change(|state| state.search = encoding)
    }

    /// What `count` counts; [`CountMeans::All`] unless set.
    pub fn count_means(&self, count: CountMeans) -> &Self {
        self.change(|state| state.count = count)
    }

    /// When records come with their events; [`EventsShown::Always`] unless set.
    pub fn events_shown(&self, events: EventsShown) -> &Self {
        self.change(|state| state.events = events)
    }

    /// Which record comes first; [`HeadIs::Newest`] unless set. The places of a [`Log`] don't turn with it.
    pub fn head_is(&self, head: HeadIs) -> &Self {
        self.change(|state| state.head = head)
    }

    /// Puts an error beside the records of every answer, which has status 200 all the same, until
    /// [`clear_trouble`](Self::clear_trouble). Called again, it's one more.
    ///
    /// ```
    /// use actionlog::ArklowClient;
    /// use actionlog::testing::World;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// let world = World::new();
    /// world.arklow().add_sample_records("4711", 7).trouble("shard_down", "one of 3 shards didn't answer");
    /// let client = ArklowClient::builder("4711").api_key("any").exchange(world.exchange()).build()?;
    /// let page = client.records().list(()).page().await?;
    /// assert_eq!((page.entries.len(), page.errors[0].name()), (7, Some("shard_down")));
    /// # Ok(())
    /// # }
    /// ```
    pub fn trouble(&self, code: impl Into<String>, message: impl Into<String>) -> &Self {
        let trouble = json!({ "code": code.into(), "message": message.into() });
        self.change(|state| state.trouble.push(trouble))
    }

    /// Ends all [`trouble`](Self::trouble).
    pub fn clear_trouble(&self) -> &Self {
        self.change(|state| state.trouble.clear())
    }

    /// Gives every failure this status: 200, for a server that says only in the body that it failed. A number that can't
    /// be a status changes nothing.
    pub fn failures_have_status(&self, status: u16) -> &Self {
        self.change(|state| state.failure_status = StatusCode::from_u16(status).ok().or(state.failure_status))
    }

    fn change(&self, change: impl FnOnce(&mut State)) -> &Self {
        change(&mut self.world.lock().arklow);
        self
    }
}

impl Api for State {
    fn owns(&self, path: &str) -> bool {
        path == "/v1" || path.starts_with("/v1/")
    }

    fn answer(&mut self, store: &mut Store, request: &Request<Bytes>) -> Answer {
        if !wire::is_let_in(&self.accepted, request.headers(), "x-arklow-auth") {
            return self.refuse(StatusCode::UNAUTHORIZED, "The API key is missing or not valid.");
        }
        let Some(org_id) = organisation(request.uri().path()) else {
            return self.refuse(StatusCode::NOT_FOUND, "There is nothing at this path.");
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return self.refuse(StatusCode::METHOD_NOT_ALLOWED, "Records can be listed, and nothing else.");
        }
        if org_id.is_empty() || !org_id.bytes().all(|it| it.is_ascii_digit()) {
            return self.refuse(StatusCode::BAD_REQUEST, "org_id must match ^[0-9]+$");
        }
        let name = Name::Arklow { org_id: org_id.to_owned() };
        self.list(store, &name, &Query::of(request))
            .unwrap_or_else(|message| self.refuse(StatusCode::BAD_REQUEST, &message))
    }

    fn refuse(&mut self, status: StatusCode, message: &str) -> Answer {
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
    fn list(&self, store: &mut Store, name: &Name, query: &Query) -> Result<Answer, String> {
        let take = query.number("take", LARGEST_PAGE, 1, LARGEST_PAGE)?;
        let skip = query.number("skip", 0, 0, u64::MAX)?;
        let version =
            query.get("version").map(|it| it.parse::<i64>().map_err(|_| "version must be an integer")).transpose()?;
        let search = self.search(query)?;
        let is_meant = |record: &&Record| {
            let equals = |path: &str, text: Option<&str>| text.is_none_or(|text| equals(record.value(), path, text));
            equals("action_definition_id", query.get("action_definition_id"))
                && equals("definition.variant", query.get("variant"))
                && equals("definition.version", version.map(|it| it.to_string()).as_deref())
                && search.as_ref().is_none_or(|(field, value)| equals(field, Some(value)))
        };
        if query.is_true("count_only") {
            let count = store.records(name).iter().filter(is_meant).count();
            let count = if let CountMeans::Always(number) = self.count { number } else { count as u64 };
            return Ok(self.envelope(&format!(r#"{{"count":{count}}}"#)));
        }
        let take = take.min(self.largest_page.map_or(u64::MAX, u64::from)) as usize;
        let take = store.page_size(take);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let mut meant: Vec<&Record> = store.records(name).iter().filter(is_meant).collect();
        if self.head == HeadIs::Oldest {
            meant.reverse();
        }
        let hidden = self.hidden(query);
        let page: Vec<String> = meant.iter().skip(skip).take(take).map(|record| show(record, &hidden)).collect();
        let count = self.count.of(meant.len(), page.len()).map(|it| format!(r#","count":{it}"#)).unwrap_or_default();
        Ok(self.envelope(&format!(r#"{{"items":[{}]{count}}}"#, page.join(","))))
    }

    fn envelope(&self, data: &str) -> Answer {
        let errors = if self.trouble.is_empty() { Value::Null } else { json!(self.trouble) };
        wire::json(StatusCode::OK, format!(r#"{{"data":{data},"errors":{errors}}}"#))
    }

    /// The field and the value that are searched for.
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

    /// The parts of a record that are not to be shown.
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

/// A record without the parts that aren't to be shown.
fn show(record: &Record, hidden: &[&str]) -> String {
    match record.value() {
        Value::Object(parts) if hidden.iter().any(|it| parts.contains_key(*it)) => {
            let shown: BTreeMap<_, _> = parts.iter().filter(|(name, _)| !hidden.contains(&name.as_str())).collect();
            // What was read as JSON can be written as JSON.
            serde_json::to_string(&shown).unwrap_or_default()
        }
        _ => record.text.clone(),
    }
}

/// Whether what stands at a path is this, as a text.
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
