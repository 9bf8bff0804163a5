//! The records of the fake server, and the handle that changes them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::{self, Display};
use std::sync::{Arc, OnceLock};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::testing::FakeServer;
use crate::testing::fault::Fault;

/// Identifies a listing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name {
    /// The name of the API.
    pub(super) api: &'static str,
    /// What the API's paths tell its listings apart by.
    pub(super) scope: Vec<String>,
}

/// Makes the sample records of a listing.
#[derive(Clone)]
pub(super) struct Samples {
    /// The record with this number, from 1.
    pub(super) record: Arc<dyn Fn(usize) -> Value + Send + Sync>,
    /// Changes the record with this number into an odd one.
    pub(super) odd: fn(usize, Value) -> Value,
}

impl fmt::Debug for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Samples").finish_non_exhaustive()
    }
}

/// A record: the string that a page contains, and its JSON value.
pub(super) struct Record {
    pub(super) text: String,
    /// Parsed on first use: most records are only copied into pages.
    value: OnceLock<Value>,
}

impl Record {
    /// The JSON value; null if the text isn't JSON.
    pub(super) fn value(&self) -> &Value {
        self.value.get_or_init(|| serde_json::from_str(&self.text).unwrap_or_default())
    }
}

impl Record {
    /// The id, whatever its JSON type.
    fn id(&self) -> Option<String> {
        let value = self.value();
        match value.get("_id").or_else(|| value.get("id"))? {
            Value::String(id) => Some(id.clone()),
            Value::Number(id) => Some(id.to_string()),
            _ => None,
        }
    }
}

impl From<String> for Record {
    fn from(text: String) -> Self {
        Self { text, value: OnceLock::new() }
    }
}

/// The records of one listing, from its head.
#[derive(Default)]
pub(super) struct Collection {
    pub(super) records: Vec<Record>,
    /// The number of samples added so far, so that no id is used twice.
    samples: usize,
}

/// The collections of all APIs, and the queued faults.
#[derive(Default)]
pub(super) struct Store {
    collections: HashMap<Name, Collection>,
    /// Each fault with the path prefix of the requests that it applies to.
    faults: VecDeque<(String, Fault)>,
    /// The faults that happen by chance.
    chances: Vec<Chance>,
    /// The path of the current request.
    path: String,
}

/// A fault of a share of all responses.
struct Chance {
    fault: Fault,
    share: f64,
    random: fastrand::Rng,
}

impl Store {
    pub(super) fn collection(&mut self, name: &Name) -> &mut Collection {
        self.collections.entry(name.clone()).or_default()
    }

    pub(super) fn records(&self, name: &Name) -> &[Record] {
        self.collections.get(name).map_or(&[], |it| &it.records)
    }

    pub(super) fn fail_next(&mut self, path: String, fault: Fault) {
        self.faults.push_back((path, fault));
    }

    /// Takes the next fault for this path from the queue, if it replaces the response.
    pub(super) fn fault(&mut self, path: &str) -> Option<Fault> {
        path.clone_into(&mut self.path);
        self.draw();
        let next = self.next_fault()?;
        if self.faults[next].1.replaces_response() { self.faults.remove(next).map(|it| it.1) } else { None }
    }

    pub(super) fn fail_randomly(&mut self, fault: Fault, share: f64, seed: u64) {
        self.chances.push(Chance { fault, share, random: fastrand::Rng::with_seed(seed) });
    }

    pub(super) fn clear_faults(&mut self) {
        self.chances.clear();
        self.faults.clear();
    }

    /// Queues the fault that chance has for this request, unless a queued fault applies to it.
    fn draw(&mut self) {
        let mut drawn = None;
        for chance in &mut self.chances {
            // Each draws for every request: whether one hits doesn't change when another does.
            if chance.random.f64() < chance.share && drawn.is_none() {
                drawn = Some(chance.fault.clone());
            }
        }
        if let Some(fault) = drawn.filter(|_| self.next_fault().is_none()) {
            self.faults.push_front((String::new(), fault));
        }
    }

    fn next_fault(&self) -> Option<usize> {
        self.faults.iter().position(|(path, _)| self.path.starts_with(path))
    }

    /// The number of records of the page. A queued fault of pages changes `limit` and is removed from the queue.
    pub(super) fn page_size(&mut self, limit: usize) -> usize {
        let Some(next) = self.next_fault() else { return limit };
        let size = match self.faults[next].1 {
            Fault::EmptyOnce => 0,
            Fault::ShortByOne => limit.saturating_sub(1),
            _ => return limit,
        };
        self.faults.remove(next);
        size
    }
}

/// The total that the server reports with a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FakeTotal {
    /// The number of all records that the request selects.
    #[default]
    All,
    /// The number of records of this page.
    OfPage,
    /// No total.
    Absent,
    /// This number, whatever the number of records.
    Always(u64),
}

impl FakeTotal {
    pub(super) fn of(self, all: usize, page: usize) -> Option<u64> {
        match self {
            Self::All => Some(all as u64),
            Self::OfPage => Some(page as u64),
            Self::Absent => None,
            Self::Always(number) => Some(number),
        }
    }
}

/// The records of one listing in a [`FakeServer`]. They can be changed during a scan.
///
/// Index 0 is the head, the newest record. Each record is the string that the server sends; its format isn't checked.
/// Adding the first record creates the listing.
///
/// ```
/// use actionlog::testing::FakeServer;
///
/// let log = FakeServer::new().arklow().log("4711");
/// log.add_samples(10).add_raw("{}");
/// assert_eq!(log.remove(0).as_deref(), Some("{}"));
/// assert_eq!(log.len(), 10);
/// ```
#[derive(Clone, Debug)]
pub struct Log {
    server: FakeServer,
    name: Name,
    samples: Samples,
}

impl Log {
    pub(super) fn new(server: FakeServer, name: Name, samples: Samples) -> Self {
        Self { server, name, samples }
    }

    /// Adds realistic records at the head, newer than the existing ones: see [`sample`](crate::testing::sample). All of
    /// them match the API's reference.
    pub fn add_samples(&self, count: usize) -> &Self {
        self.add_numbered(count, |_, record| record)
    }

    /// As [`add_samples`](Self::add_samples), but some records lack optional fields or have undocumented values, as
    /// those of other server versions may: see
    /// [`odd_action_set_events`](crate::testing::sample::odd_action_set_events). None of them is an invalid record.
    pub fn add_odd_samples(&self, count: usize) -> &Self {
        self.add_numbered(count, self.samples.odd)
    }

    fn add_numbered(&self, count: usize, change: fn(usize, Value) -> Value) -> &Self {
        self.change(|collection| {
            let numbers = collection.samples + 1..=collection.samples + count;
            collection.samples += count;
            let records = numbers.rev().map(|number| change(number, (self.samples.record)(number)).to_string().into());
            collection.records.splice(0..0, records);
        })
    }

    /// Adds a record at the head, as the newest.
    ///
    /// ```
    /// use actionlog::testing::{FakeServer, sample};
    ///
    /// let log = FakeServer::new().unleash().log("default", 1);
    /// for event in sample::action_set_events(3).iter().rev() {
    ///     log.add(event)?;
    /// }
    /// assert_eq!(log.len(), 3);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the record can't be serialised as JSON.
    pub fn add(&self, record: impl Serialize) -> serde_json::Result<()> {
        let text = serde_json::to_string(&record)?;
        self.add_raw(text);
        Ok(())
    }

    /// Adds raw text as a record, at the head.
    ///
    /// `{}`, `null` or a record in another format make an invalid record. Text that isn't JSON invalidates the whole
    /// page.
    pub fn add_raw(&self, text: impl Into<String>) -> &Self {
        self.insert_raw(0, text)
    }

    /// Inserts raw text as a record at this index, or at the end if there are fewer records.
    pub fn insert_raw(&self, index: usize, text: impl Into<String>) -> &Self {
        let record = text.into().into();
        self.change(|collection| collection.records.insert(index.min(collection.records.len()), record))
    }

    /// Replaces a record by raw text, and returns the old text. Without a record at this index it changes nothing and
    /// returns `None`.
    ///
    /// ```
    /// use actionlog::testing::FakeServer;
    ///
    /// let log = FakeServer::new().integration().log();
    /// log.add_raw("1").add_raw("2");
    /// assert_eq!(log.replace(1, "one").as_deref(), Some("1"));
    /// assert_eq!(log.raw_records(), ["2", "one"]);
    /// ```
    pub fn replace(&self, index: usize, text: impl Into<String>) -> Option<String> {
        let mut state = self.server.lock();
        let record = state.store.collection(&self.name).records.get_mut(index)?;
        Some(std::mem::replace(record, text.into().into()).text)
    }

    /// Removes a record and returns its text, or `None` if there is no record at this index.
    pub fn remove(&self, index: usize) -> Option<String> {
        let mut state = self.server.lock();
        let records = &mut state.store.collection(&self.name).records;
        (index < records.len()).then(|| records.remove(index).text)
    }

    /// Removes the records with these ids, and returns how many there were.
    ///
    /// ```
    /// use actionlog::testing::FakeServer;
    ///
    /// let server = FakeServer::new();
    /// let log = server.unleash().log("default", 1);
    /// log.add_samples(60);
    /// // Three events disappear right before the server responds to its second request.
    /// let doomed = log.clone();
    /// server.at_request(2, move |_| assert_eq!(doomed.remove_ids([9012, 9013, 9014]), 3));
    /// # let get = || http::Request::get("/api").body(bytes::Bytes::new()).map(|it| server.respond(&it));
    /// # (get()?, get()?);
    /// # assert_eq!(log.len(), 57);
    /// # Ok::<(), http::Error>(())
    /// ```
    pub fn remove_ids<I: Display>(&self, ids: impl IntoIterator<Item = I>) -> usize {
        let ids: HashSet<String> = ids.into_iter().map(|it| it.to_string()).collect();
        let mut state = self.server.lock();
        let records = &mut state.store.collection(&self.name).records;
        let before = records.len();
        records.retain(|record| record.id().is_none_or(|id| !ids.contains(&id)));
        before - records.len()
    }

    /// Moves a record to the head, like a changed record in a listing that is sorted by the time of the last change.
    ///
    /// ```
    /// use actionlog::testing::FakeServer;
    ///
    /// let log = FakeServer::new().integration().log();
    /// log.add_raw("1").add_raw("2").add_raw("3").move_to_head(2);
    /// assert_eq!(log.raw_records(), ["1", "3", "2"]);
    /// ```
    pub fn move_to_head(&self, index: usize) -> &Self {
        self.change(|collection| {
            if let Some(front) = collection.records.get_mut(..=index) {
                front.rotate_right(1);
            }
        })
    }

    /// The raw JSON of each record, from the head.
    #[must_use]
    pub fn raw_records(&self) -> Vec<String> {
        self.server.lock().store.records(&self.name).iter().map(|it| it.text.clone()).collect()
    }

    /// What `of` makes of the text of each record, from the head.
    #[cfg(test)]
    pub(crate) fn map_texts<T>(&self, mut of: impl FnMut(&str) -> T) -> Vec<T> {
        self.server.lock().store.records(&self.name).iter().map(|it| of(&it.text)).collect()
    }

    /// The records, deserialised, from the head.
    ///
    /// ```
    /// use actionlog::integration::{ActionLog, LogStatus};
    /// use actionlog::testing::FakeServer;
    ///
    /// let log = FakeServer::new().integration().log();
    /// log.add_samples(3);
    /// let logs: Vec<ActionLog> = log.records()?;
    /// assert!(logs.iter().all(|it| it.status == LogStatus::Success));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a record doesn't match `T`.
    pub fn records<T: DeserializeOwned>(&self) -> serde_json::Result<Vec<T>> {
        self.raw_records().iter().map(|it| serde_json::from_str(it)).collect()
    }

    /// The number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.server.lock().store.records(&self.name).len()
    }

    /// Whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn change(&self, change: impl FnOnce(&mut Collection)) -> &Self {
        change(self.server.lock().store.collection(&self.name));
        self
    }
}
