//! What the servers of a world hold, and how a page is cut from it.

use std::collections::{HashMap, VecDeque};
use std::sync::OnceLock;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::fault::Fault;
use super::{World, sample};

/// Which listing is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Name {
    /// The events of an action set, by its project and its id as they stand in a path.
    Unleash { project: String, action_set: String },
    /// The records of an organisation.
    Arklow { org_id: String },
    /// The one that there is.
    Integration,
}

/// A record: the text that is given out, and what it says if it is JSON.
pub(super) struct Record {
    pub(super) text: String,
    /// Read when it's first asked for: most records are only given out.
    value: OnceLock<Value>,
}

impl Record {
    /// What the text says; null if it isn't JSON.
    pub(super) fn value(&self) -> &Value {
        self.value.get_or_init(|| serde_json::from_str(&self.text).unwrap_or_default())
    }
}

impl From<String> for Record {
    fn from(text: String) -> Self {
        Self { text, value: OnceLock::new() }
    }
}

/// The records of one listing, the head first.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) records: Vec<Record>,
    /// How many samples were ever added: their ids must not come twice.
    samples: usize,
}

/// What all the servers of a world hold, and what is to go wrong with it.
#[derive(Default)]
pub(super) struct Store {
    shelves: HashMap<Name, Shelf>,
    /// Each with what the path of its request begins with.
    faults: VecDeque<(String, Fault)>,
    /// The path of the request that is being answered.
    path: String,
}

impl Store {
    pub(super) fn shelf(&mut self, name: &Name) -> &mut Shelf {
        self.shelves.entry(name.clone()).or_default()
    }

    pub(super) fn records(&self, name: &Name) -> &[Record] {
        self.shelves.get(name).map_or(&[], |it| &it.records)
    }

    pub(super) fn fail_next(&mut self, path: String, fault: Fault) {
        self.faults.push_back((path, fault));
    }

    /// The fault that is next at this path, if it takes the place of an answer.
    pub(super) fn fault(&mut self, path: &str) -> Option<Fault> {
        path.clone_into(&mut self.path);
        let next = self.next_fault()?;
        if self.faults[next].1.is_answer() { self.faults.remove(next).map(|it| it.1) } else { None }
    }

    fn next_fault(&self) -> Option<usize> {
        self.faults.iter().position(|(path, _)| self.path.starts_with(path))
    }

    /// The number of records to cut at an offset, after the fault that is next, if it is one of a page.
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

/// What a server does not say clearly, or not well: the number beside a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CountMeans {
    /// All records that the request selects.
    #[default]
    All,
    /// Those of this page.
    OfPage,
    /// There is none.
    Absent,
    /// This number, whatever there is.
    Always(u64),
}

impl CountMeans {
    pub(super) fn of(self, all: usize, page: usize) -> Option<u64> {
        match self {
            Self::All => Some(all as u64),
            Self::OfPage => Some(page as u64),
            Self::Absent => None,
            Self::Always(number) => Some(number),
        }
    }
}

/// The records of one listing in a [`World`], to be changed while a client reads them.
///
/// Place 0 is the head, the newest. A record is held as the JSON text that the server gives; nothing checks whether it
/// is one of the API's. A listing is made by its first record.
///
/// ```
/// use actionlog::testing::World;
///
/// let log = World::new().arklow().log("4711");
/// log.add_samples(10).add_raw("{}");
/// assert_eq!(log.remove(0).as_deref(), Some("{}"));
/// assert_eq!(log.len(), 10);
/// ```
#[derive(Clone, Debug)]
pub struct Log {
    world: World,
    name: Name,
}

impl Log {
    pub(super) fn new(world: World, name: Name) -> Self {
        Self { world, name }
    }

    /// Adds plausible records at the head, newer than those that are there: see [`sample`]. All of them are as the API's
    /// reference has them.
    pub fn add_samples(&self, count: usize) -> &Self {
        self.add_numbered(count, |_, record| record)
    }

    /// As [`add_samples`](Self::add_samples), some of them sparse or odd, as records of other versions of a server are: see
    /// [`sample::odd_action_set_events`] and the like. Each can be read.
    pub fn add_odd_samples(&self, count: usize) -> &Self {
        let odd = match &self.name {
            Name::Unleash { .. } => sample::odd_event,
            Name::Arklow { .. } => sample::odd_record,
            Name::Integration => sample::odd_log,
        };
        self.add_numbered(count, odd)
    }

    fn add_numbered(&self, count: usize, change: fn(usize, Value) -> Value) -> &Self {
        self.change(|shelf| {
            let numbers = shelf.samples + 1..=shelf.samples + count;
            shelf.samples += count;
            let records = numbers.rev().map(|number| {
                let record = match &self.name {
                    // An id that is no number is one that no server gives; its samples say 0.
                    Name::Unleash { project, action_set } => {
                        sample::event(number, project, action_set.parse().unwrap_or_default())
                    }
                    Name::Arklow { org_id } => sample::record(number, org_id),
                    Name::Integration => sample::log(number),
                };
                change(number, record).to_string().into()
            });
            shelf.records.splice(0..0, records);
        })
    }

    /// Adds a record at the head: it is now the newest.
    ///
    /// ```
    /// use actionlog::testing::{World, sample};
    ///
    /// let log = World::new().unleash().log("default", 1);
    /// for event in sample::action_set_events(3).iter().rev() {
    ///     log.add(event)?;
    /// }
    /// assert_eq!(log.len(), 3);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If it can't be written as JSON.
    pub fn add(&self, record: impl Serialize) -> serde_json::Result<()> {
        let text = serde_json::to_string(&record)?;
        self.add_raw(text);
        Ok(())
    }

    /// Adds a text in a record's place, at the head.
    ///
    /// `{}`, `null` or a record of a future version make one that can't be read. A text that isn't JSON breaks the
    /// whole page that it's on.
    pub fn add_raw(&self, text: impl Into<String>) -> &Self {
        self.insert_raw(0, text)
    }

    /// Adds a text in a record's place, in front of the one at this place; at the end if there is none.
    pub fn insert_raw(&self, index: usize, text: impl Into<String>) -> &Self {
        let record = text.into().into();
        self.change(|shelf| shelf.records.insert(index.min(shelf.records.len()), record))
    }

    /// Puts a text in the place of a record. Gives what was there; nothing happens if nothing was.
    ///
    /// ```
    /// use actionlog::testing::World;
    ///
    /// let log = World::new().integration().log();
    /// log.add_raw("1").add_raw("2");
    /// assert_eq!(log.replace(1, "one").as_deref(), Some("1"));
    /// assert_eq!(log.texts(), ["2", "one"]);
    /// ```
    pub fn replace(&self, index: usize, text: impl Into<String>) -> Option<String> {
        let mut state = self.world.lock();
        let record = state.store.shelf(&self.name).records.get_mut(index)?;
        Some(std::mem::replace(record, text.into().into()).text)
    }

    /// Takes a record away. Gives its text, or nothing if there is none at that place.
    pub fn remove(&self, index: usize) -> Option<String> {
        let mut state = self.world.lock();
        let records = &mut state.store.shelf(&self.name).records;
        (index < records.len()).then(|| records.remove(index).text)
    }

    /// Moves a record to the head, as one does that changed in a listing sorted by the time of the change.
    ///
    /// ```
    /// use actionlog::testing::World;
    ///
    /// let log = World::new().integration().log();
    /// log.add_raw("1").add_raw("2").add_raw("3").move_to_head(2);
    /// assert_eq!(log.texts(), ["1", "3", "2"]);
    /// ```
    pub fn move_to_head(&self, index: usize) -> &Self {
        self.change(|shelf| {
            if let Some(front) = shelf.records.get_mut(..=index) {
                front.rotate_right(1);
            }
        })
    }

    /// The texts of the records, the head first.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.world.lock().store.records(&self.name).iter().map(|it| it.text.clone()).collect()
    }

    /// The records as a type of the crate's, or one of your own, the head first.
    ///
    /// ```
    /// use actionlog::integration::{ActionLog, LogStatus};
    /// use actionlog::testing::World;
    ///
    /// let log = World::new().integration().log();
    /// log.add_samples(3);
    /// let logs: Vec<ActionLog> = log.records()?;
    /// assert!(logs.iter().all(|it| it.status == LogStatus::Success));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// For the first record that doesn't fit.
    pub fn records<T: DeserializeOwned>(&self) -> serde_json::Result<Vec<T>> {
        self.texts().iter().map(|it| serde_json::from_str(it)).collect()
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.world.lock().store.records(&self.name).len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn change(&self, change: impl FnOnce(&mut Shelf)) -> &Self {
        change(self.world.lock().store.shelf(&self.name));
        self
    }
}
