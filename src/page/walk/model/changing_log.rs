//! The log of a case: what changes in it.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::integration::SortOrder;
use crate::page::walk::model::case::Change;
use crate::page::walk::model::history::{History, SentPage};
use crate::testing::{FakeServer, Fault, Log};

fn text(id: u64) -> String {
    format!(r#"{{"_id":"{id}","integrationId":"i","actionType":"sync","entityType":"e","status":"success"}}"#)
}

fn invalid(id: u64) -> String {
    format!(r#"{{"_id":{id}}}"#)
}

/// The id in the raw JSON of invalid records that are alike.
pub(super) const ALIKE: u64 = 0;

/// The id of a record, valid or not.
pub(super) fn id_of(text: &str) -> u64 {
    let digits = text.bytes().skip_while(|it| !it.is_ascii_digit()).take_while(u8::is_ascii_digit);
    digits.fold(0, |id, digit| 10 * id + u64::from(digit - b'0'))
}

pub(super) fn is_valid(text: &str) -> bool {
    text.contains("integrationId")
}

/// A log that changes, and the history of what that did to the scan.
pub(super) struct ChangingLog {
    log: Log,
    order: SortOrder,
    next: u64,
    /// For a scan towards the head: the records up to this id were seen by the scan before it.
    oldest: u64,
    /// The records that were in the listing throughout.
    pub(super) throughout: BTreeSet<u64>,
    hidden: Vec<(usize, String)>,
    /// From where to where records moved, and how many in a row.
    moves: Vec<(usize, usize, usize)>,
    /// How often each record moved.
    pub(super) times_moved: HashMap<u64, u32>,
    pub(super) delivered: HashSet<u64>,
    pub(super) largest_page: u64,
    pub(super) largest_offset: u64,
    /// The size at which the server cuts its pages.
    pub(super) page_bytes: u64,
    has_alike: bool,
    /// The ids of the invalid records.
    spoiled: HashSet<u64>,
    pub(super) changes: u32,
    /// How many responses were sent, and after how many each record arrived somewhere.
    pub(super) turn: u64,
    pub(super) arrivals: HashMap<u64, Vec<u64>>,
    /// Pages that the scan may still receive, by the requested offset: of two, the one requested last.
    pub(super) in_flight: HashMap<u64, SentPage>,
    pub(super) requested: u64,
    /// How many requests the server received in this part, and how many of them failed.
    pub(super) requests: u64,
    pub(super) failed: u64,
    pub(super) history: History,
}

impl ChangingLog {
    pub(super) fn new(log: Log, order: SortOrder, records: u64) -> Self {
        for id in 1..=records {
            log.add_raw(text(id));
        }
        Self {
            log,
            order,
            next: records,
            oldest: 0,
            throughout: (1..=records).collect(),
            hidden: Vec::new(),
            moves: Vec::new(),
            times_moved: HashMap::new(),
            delivered: HashSet::new(),
            largest_page: u64::MAX,
            largest_offset: u64::MAX,
            page_bytes: u64::MAX,
            has_alike: false,
            spoiled: HashSet::new(),
            changes: 0,
            turn: 0,
            arrivals: HashMap::new(),
            in_flight: HashMap::new(),
            requested: 0,
            requests: 0,
            failed: 0,
            history: History::default(),
        }
    }

    /// Starts another part of the scan. The pages in flight for the one before are dropped.
    pub(super) fn begin_part(&mut self) {
        self.in_flight.clear();
        self.requests = 0;
        self.failed = 0;
        self.history.begin_part();
    }

    /// The ids of the records, in the order of the listing.
    pub(super) fn ids(&self) -> Vec<u64> {
        let mut ids = self.log.map_texts(id_of);
        if self.order == SortOrder::Asc {
            ids.reverse();
        }
        ids
    }

    /// Adds records at the head, which a scan towards the head has to deliver. It has seen the others.
    pub(super) fn grow_for_scan_toward_head(&mut self, count: u64) {
        self.oldest = self.next;
        self.throughout = (self.next + 1..=self.next + count).collect();
        for _ in 0..count {
            let text = self.fresh();
            self.log.add_raw(text);
        }
        self.history = History::default();
    }

    /// Notes a delivered record.
    pub(super) fn note_delivered(&mut self, id: &str) -> u64 {
        let id = id.parse().unwrap();
        self.delivered.insert(id);
        id
    }

    fn fresh(&mut self) -> String {
        self.next += 1;
        text(self.next)
    }

    /// Notes that a record is about to leave its position.
    fn leaves(&mut self, id: u64) {
        let at = self.ids().iter().position(|it| *it == id);
        self.history.pulled_up |= !self.history.sent.is_empty() && at.is_some_and(|it| it <= self.history.reach);
    }

    /// Notes that a record has a new position.
    fn arrived(&mut self, id: u64) {
        let was_received = self.delivered.contains(&id) || self.history.sent.contains(&id);
        self.arrivals.entry(id).or_default().push(self.turn);
        if was_received || id <= self.oldest {
            let behind = self.ids().into_iter().skip_while(|it| *it != id);
            if behind.into_iter().any(|it| self.throughout.contains(&it) && !self.delivered.contains(&it)) {
                self.history.passed_newer.insert(id);
            }
        }
    }

    fn remove(&mut self, index: usize) -> Option<String> {
        let id = *self.log.map_texts(id_of).get(index)?;
        self.leaves(id);
        self.throughout.remove(&id);
        self.log.remove(index)
    }

    pub(super) fn apply(&mut self, server: &FakeServer, change: Change) {
        let length = self.log.len();
        let at = |index: u8| usize::from(index) * length / 256;
        self.changes += u32::from(!matches!(change, Change::Nothing));
        self.history.changed |= !matches!(
            change,
            Change::Nothing
                | Change::Clamp(_)
                | Change::CutBySize(_)
                | Change::ClampOffset(_)
                | Change::Empty
                | Change::Short
                | Change::Fail
        );
        match change {
            Change::Nothing => {}
            Change::Grow(count) => {
                for _ in 0..count {
                    let text = self.fresh();
                    self.log.add_raw(text);
                }
            }
            Change::Insert(index) => {
                let text = self.fresh();
                self.log.insert_raw(at(index), text);
            }
            Change::Delete(index, count) => {
                for _ in 0..count {
                    self.remove(at(index));
                }
            }
            Change::Retire(count) => {
                for _ in 0..count {
                    _ = self.log.len().checked_sub(1).and_then(|last| self.remove(last));
                }
            }
            Change::Expire(count) => {
                for _ in 0..count {
                    self.remove(0);
                }
            }
            Change::Duplicate(index) => {
                if let Some(text) = self.log.raw_records().get(at(index)).cloned() {
                    self.history.alike |= !is_valid(&text);
                    self.log.insert_raw(at(index), text);
                }
            }
            Change::DeleteAllRead => {
                let read = self.log.map_texts(|it| self.delivered.contains(&id_of(it)));
                for (index, _) in read.iter().enumerate().rev().filter(|(_, read)| **read) {
                    self.remove(index);
                }
            }
            Change::Hide(index) => {
                if let Some(text) = self.remove(at(index)) {
                    self.hidden.push((at(index), text));
                }
            }
            Change::Unhide => {
                if let Some((index, text)) = self.hidden.pop() {
                    let id = id_of(&text);
                    self.log.insert_raw(index, text);
                    self.arrived(id);
                }
            }
            Change::Move(index) => {
                let index = at(index);
                let Some(id) = self.log.map_texts(id_of).get(index).copied().filter(|_| index > 0) else { return };
                // A move to the head pulls no record up; a move to the other end does.
                if self.order == SortOrder::Asc {
                    self.leaves(id);
                }
                self.log.move_to_head(index);
                self.arrived(id);
                *self.times_moved.entry(id).or_default() += 1;
                if self.history.responses > 0 {
                    self.history.moved.insert(id);
                }
            }
            Change::MoveTo(from, to) => self.move_to(at(from), at(to), 1),
            Change::MoveBlock(from, to) => self.move_to(at(from), at(to), 3),
            Change::MoveBack => {
                if let Some((from, to, count)) = self.moves.pop() {
                    self.move_to(to, from, count);
                    self.moves.pop();
                }
            }
            Change::MoveRange(from, count, to) => self.move_range(at(from), count.into(), at(to)),
            Change::CutBySize(size) => self.page_bytes = size.into(),
            Change::Clamp(size) => {
                server.integration().largest_page(size.into());
                self.largest_page = size.into();
            }
            Change::ClampOffset(offset) => self.largest_offset = offset.into(),
            Change::Empty => _ = server.fail_next(Fault::EmptyOnce),
            Change::Short => _ = server.fail_next(Fault::ShortByOne),
            Change::Fail => _ = server.fail_next(Fault::Status(503)),
            Change::Spoil(index) => {
                self.next += 1;
                _ = self.spoil(at(index), self.next);
            }
            Change::SpoilAlike(index) => {
                self.history.alike |= self.has_alike;
                self.has_alike |= self.spoil(at(index), ALIKE);
            }
        }
    }

    /// Moves records in a row to another place.
    fn move_to(&mut self, from: usize, to: usize, count: usize) {
        let texts: Vec<_> = (0..count).filter_map(|_| self.log.remove(from)).collect();
        self.moves.push((from, to, texts.len()));
        for (index, text) in texts.into_iter().enumerate() {
            let id = id_of(&text);
            self.log.insert_raw(to + index, text);
            self.history.moved.insert(id);
            self.history.pulled_up |= !self.history.sent.is_empty();
            *self.times_moved.entry(id).or_default() += 1;
            self.arrived(id);
        }
    }

    /// Moves the records from an index on to another index of the log.
    fn move_range(&mut self, from: usize, count: usize, to: usize) {
        let all = self.log.raw_records();
        let block: Vec<_> = all.iter().skip(from).take(count).cloned().collect();
        let ids: Vec<_> = block.iter().map(|it| id_of(it)).collect();
        for id in &ids {
            self.leaves(*id);
        }
        for _ in &block {
            self.log.remove(from);
        }
        for text in block.into_iter().rev() {
            self.log.insert_raw(to, text);
        }
        for id in ids {
            self.arrived(id);
            *self.times_moved.entry(id).or_default() += 1;
            if self.history.responses > 0 {
                self.history.moved.insert(id);
            }
        }
    }

    pub(super) fn is_spoiled(&self, id: u64) -> bool {
        self.spoiled.contains(&id)
    }

    /// Makes a record invalid. It is another record from now on, because its key is a hash of its raw JSON.
    fn spoil(&mut self, index: usize, id: u64) -> bool {
        let texts = self.log.raw_records();
        let Some(text) = texts.get(index).filter(|it| is_valid(it)) else { return false };
        self.throughout.remove(&id_of(text));
        self.log.replace(index, invalid(id));
        self.spoiled.insert(id);
        true
    }
}

impl std::fmt::Debug for ChangingLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChangingLog").field("history", &self.history).finish_non_exhaustive()
    }
}
