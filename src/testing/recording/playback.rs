//! The HTTP client that plays a recording back.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use url::form_urlencoded;

use crate::testing::recording::{Exchange, RecordingError, SCRUBBED, UnrecordedRequest, file};
use crate::transport::http_client::{Body, HttpClient, HttpError};

/// An [`HttpClient`] that responds from a recording, and sends nothing: see the
/// [module's docs](crate::testing::recording).
///
/// A request gets the response of the first exchange with the same method, path, query and body that wasn't played yet.
/// So a request that was recorded twice gets the two responses in their order, and requests may come in another order
/// than they were recorded in, as those of a scan that prefetches do; [`in_order`](Self::in_order) forbids that. The
/// host, the headers and the credentials of a request don't matter.
///
/// A request without such an exchange is an error of kind [`Connect`](crate::ErrorKind::Connect) that isn't transient,
/// and whose source is the [`UnrecordedRequest`]:
///
/// ```text
/// the recording has no response to this request; 1 of 3 exchanges were played
///   came:     GET /integration-action-logs?limit=50&offset=98
///   next:     GET /integration-action-logs?limit=50&offset=49 (exchange 2)
///   differs:  `offset` is 98, and was 49 in exchange 2
/// ```
///
/// A scan with [`prefetch`](crate::Listing::prefetch) may request other pages in vain than it did while it was
/// recorded, as responses come faster now: record and play with `prefetch(1)`.
#[derive(Clone)]
pub struct Playback {
    path: PathBuf,
    ignored: BTreeSet<String>,
    is_ordered: bool,
    state: Arc<Mutex<State>>,
}

struct State {
    exchanges: Vec<Exchange>,
    played: Vec<bool>,
    /// The first request that wasn't recorded.
    unrecorded: Option<Box<UnrecordedRequest>>,
}

impl Playback {
    /// Reads a recording.
    ///
    /// # Errors
    ///
    /// [`RecordingError::Io`] if the file can't be read, [`RecordingError::Corrupt`] if it isn't a whole recording, and
    /// [`RecordingError::Version`] if it has another version of the format.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, RecordingError> {
        let path = path.into();
        let exchanges = file::read(&path)?;
        let state = State { played: vec![false; exchanges.len()], exchanges, unrecorded: None };
        Ok(Self { path, ignored: BTreeSet::new(), is_ordered: false, state: Arc::new(Mutex::new(state)) })
    }

    /// Ignores JSON fields with this name in the bodies of requests: those that differ from run to run, such as
    /// `executionTime`.
    #[must_use = "returns the changed value"]
    pub fn ignore_field(mut self, name: &str) -> Self {
        self.ignored.insert(name.to_owned());
        self
    }

    /// Accepts requests only in the order in which they were recorded.
    #[must_use = "returns the changed value"]
    pub fn in_order(mut self) -> Self {
        self.is_ordered = true;
        self
    }

    /// The number of exchanges that weren't played yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.lock().played.iter().filter(|it| !**it).count()
    }

    /// Checks that each recorded request came, and no other: also where the program didn't report the error.
    ///
    /// # Errors
    ///
    /// [`RecordingError::Unrecorded`] for the first request that isn't in the recording, and else
    /// [`RecordingError::Unplayed`] if recorded requests didn't come.
    pub fn finish(&self) -> Result<(), RecordingError> {
        let state = self.lock();
        if let Some(request) = &state.unrecorded {
            return Err(RecordingError::Unrecorded(request.clone()));
        }
        match state.next() {
            None => Ok(()),
            Some(index) => Err(RecordingError::Unplayed {
                count: state.played.iter().filter(|it| !**it).count(),
                exchange: index + 1,
                request: state.exchanges[index].name(),
            }),
        }
    }

    /// Ignores poisoning: a panic can't leave an exchange half played.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The response to a request.
    fn play(&self, request: &Incoming) -> Result<Exchange, Box<UnrecordedRequest>> {
        let mut state = self.lock();
        let next = state.next();
        let candidates = (0..state.exchanges.len()).filter(|it| !state.played[*it]);
        let candidates: Vec<_> = candidates.filter(|it| !self.is_ordered || Some(*it) == next).collect();
        match candidates.iter().find(|it| request.difference(&state.exchanges[**it], &self.ignored).is_none()) {
            Some(index) => {
                state.played[*index] = true;
                Ok(state.exchanges[*index].clone())
            }
            None => {
                let near = candidates.iter().find_map(|index| {
                    let exchange = &state.exchanges[*index];
                    let same = request.is_near(exchange);
                    same.then(|| request.difference(exchange, &self.ignored))?.map(|it| (*index, it))
                });
                let error = Box::new(UnrecordedRequest {
                    request: format!("{} {}", request.method, request.target),
                    body: String::from_utf8_lossy(&request.body).into_owned(),
                    played: (state.played.iter().filter(|it| **it).count(), state.played.len()),
                    next: next.map(|index| {
                        let exchange = &state.exchanges[index];
                        let body = String::from_utf8_lossy(&exchange.request_body).into_owned();
                        (index + 1, exchange.name(), body)
                    }),
                    difference: near.map(|(index, difference)| format!("{difference} in exchange {}", index + 1)),
                });
                state.unrecorded.get_or_insert_with(|| error.clone());
                Err(error)
            }
        }
    }
}

impl State {
    /// The index of the first exchange that wasn't played.
    fn next(&self) -> Option<usize> {
        self.played.iter().position(|it| !it)
    }
}

/// A request that came.
struct Incoming {
    method: http::Method,
    target: String,
    body: Bytes,
}

impl Incoming {
    /// Whether method and path are those of an exchange.
    fn is_near(&self, exchange: &Exchange) -> bool {
        self.method == exchange.method && same_path(path(&exchange.target), path(&self.target))
    }

    /// How the request differs from a recorded one. `None` if it doesn't.
    fn difference(&self, exchange: &Exchange, ignored: &BTreeSet<String>) -> Option<String> {
        if !self.is_near(exchange) {
            return Some("the method or the path".to_owned());
        }
        query_difference(&exchange.target, &self.target)
            .or_else(|| body_difference(&exchange.request_body, &self.body, ignored))
    }
}

fn path(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

fn same_path(recorded: &str, came: &str) -> bool {
    let (mut recorded, mut came) = (recorded.split('/'), came.split('/'));
    loop {
        match (recorded.next(), came.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a == b || a == SCRUBBED => {}
            _ => return false,
        }
    }
}

fn query_difference(recorded: &str, came: &str) -> Option<String> {
    let pairs = |target: &str| -> Vec<(String, String)> {
        let query = target.split_once('?').map_or("", |it| it.1);
        form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    };
    let (recorded, mut came) = (pairs(recorded), pairs(came));
    for (name, value) in &recorded {
        let fits = |it: &(String, String)| (it.0 == *name || name == SCRUBBED) && (it.1 == *value || value == SCRUBBED);
        match came.iter().position(fits) {
            Some(index) => drop(came.remove(index)),
            None => {
                return Some(match came.iter().find(|it| it.0 == *name) {
                    Some((_, other)) => format!("`{name}` is {other}, and was {value}"),
                    None => format!("`{name}` is missing, and was {value}"),
                });
            }
        }
    }
    came.first().map(|(name, value)| format!("`{name}` is {value}, and wasn't there"))
}

fn body_difference(recorded: &Bytes, came: &Bytes, ignored: &BTreeSet<String>) -> Option<String> {
    if recorded == came || **recorded == *SCRUBBED.as_bytes() {
        return None;
    }
    let parsed = |body: &Bytes| serde_json::from_slice::<Value>(body).ok();
    match (parsed(recorded), parsed(came)) {
        (Some(recorded), Some(came)) => value_difference(&recorded, &came, ignored, "the body"),
        _ => Some("the body isn't that".to_owned()),
    }
}

fn value_difference(recorded: &Value, came: &Value, ignored: &BTreeSet<String>, at: &str) -> Option<String> {
    match (recorded, came) {
        (Value::String(it), _) if it == SCRUBBED => None,
        (Value::Object(recorded), Value::Object(came)) => {
            let names: BTreeSet<_> = recorded.keys().chain(came.keys()).filter(|it| !ignored.contains(*it)).collect();
            names.into_iter().find_map(|name| {
                let field = format!("`{name}`");
                match (recorded.get(name), came.get(name)) {
                    (Some(recorded), Some(came)) => value_difference(recorded, came, ignored, &field),
                    (Some(_), None) => Some(format!("{field} is missing from the body, and was there")),
                    _ => Some(format!("{field} is in the body, and wasn't there")),
                }
            })
        }
        (Value::Array(recorded), Value::Array(came)) if recorded.len() == came.len() => {
            recorded.iter().zip(came).find_map(|(recorded, came)| value_difference(recorded, came, ignored, at))
        }
        _ => (recorded != came).then(|| format!("{at} is {came}, and was {recorded}")),
    }
}

#[async_trait]
impl HttpClient for Playback {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let (head, body) = request.into_parts();
        let target = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        let exchange =
            self.play(&Incoming { method: head.method, target, body }).map_err(|it| HttpError::declined(*it))?;
        let mut response = http::Response::new(Body::from(exchange.body));
        *response.status_mut() = exchange.status;
        response.headers_mut().extend(exchange.headers.iter().filter_map(file::header));
        Ok(response)
    }
}

/// Shows the file and how much of it was played.
impl fmt::Debug for Playback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remaining = self.remaining();
        f.debug_struct("Playback").field("path", &self.path).field("remaining", &remaining).finish_non_exhaustive()
    }
}
