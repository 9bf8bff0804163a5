//! The world of a case: what changes in it, what it answers, and what that did to the reader.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt;
use serde_json::value::RawValue;

use crate::integration::SortOrder;
use crate::page::walk::model::Event;
use crate::testing::{FakeServer, Fault, InMemory, Log};
use crate::{Body, HttpClient, HttpError};

fn text(id: u64) -> String {
    format!(r#"{{"_id":"{id}","integrationId":"i","actionType":"sync","entityType":"e","status":"success"}}"#)
}

fn spoilt(id: u64) -> String {
    format!(r#"{{"_id":{id}}}"#)
}

/// The id in the text of records that can't be read and can't be told apart.
pub(super) const ALIKE: u64 = 0;

/// The id of a record, readable or not.
pub(super) fn id_of(text: &str) -> u64 {
    let digits: String = text.chars().skip_while(|it| !it.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

fn is_readable(text: &str) -> bool {
    text.contains("integrationId")
}

/// The world of a case, and what is known of it.
pub(super) struct Changing {
    log: Log,
    order: SortOrder,
    next: u64,
    /// For a climb: up to this one they are known to it.
    oldest: u64,
    /// Those that were there from the beginning to now.
    pub(super) throughout: BTreeSet<u64>,
    hidden: Vec<(usize, String)>,
    pub(super) given: HashSet<u64>,
    largest_page: u64,
    largest_offset: u64,
    spoilt_alike: bool,
    pub(super) changes: u32,
    /// How many requests were answered, and when each record arrived somewhere, by that.
    turn: u64,
    arrivals: HashMap<u64, Vec<u64>>,
    /// Answers that the reader may still come to, by the offsets that were asked for; of two, the one asked for last.
    on_the_way: HashMap<u64, Response>,
    asked: u64,
    /// How many requests came to the server in this part, and how many of them failed.
    pub(super) requests: u64,
    pub(super) failed: u64,
    pub(super) seen: Seen,
}

/// An answer as the server gave it. It counts from when the reader comes to it, which may be never.
struct Response {
    number: u64,
    turn: u64,
    asked: u64,
    offset: u64,
    limit: u64,
    largest_page: u64,
    records: Vec<String>,
    /// What stood in the listing then.
    ids: Vec<u64>,
}

/// What the changes and the answers did, as far as it bears on what a reader can know: in the order in which the reader
/// came to the answers, without those that it dropped.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Answers that came so far with records in them.
    answers: u64,
    /// What came in this part.
    sent: HashSet<u64>,
    /// When it was answered what came, in any part.
    came: HashMap<u64, BTreeSet<u64>>,
    /// How far down the listing anything came from.
    reach: usize,
    /// An answer was smaller, or from elsewhere, because the server allows no more.
    pub(super) clamped: bool,
    /// An answer was from elsewhere than asked for, because the server takes no larger offset.
    pub(super) misplaced: bool,
    /// A record moved while it was read.
    pub(super) moved: HashSet<u64>,
    /// A record was removed, or moved, from before the place of a reader who was under way.
    pulled: bool,
    /// A record that had come was seen, as it had moved between the two answers, behind one that hadn't been given.
    went_behind: bool,
    /// Known records that were put above one that is newer and hadn't been given.
    passed_newer: HashSet<u64>,
    /// A record came, went or moved.
    changed: bool,
    /// An answer had more than one record.
    many: bool,
    /// An answer had one record, and there was more, or no more was asked for.
    pub(super) lone: bool,
    /// An answer had one record, and more was there and asked for, after the server had shown that it gives more.
    lone_after_many: bool,
    /// Where the last answer was cut, if it was, and at which length.
    cut_at: Option<(u64, usize)>,
    empty_in_a_row: u32,
    /// Two answers in a row were empty where there was something.
    empty_twice: bool,
    /// More than one record became one of the same text that can't be read.
    pub(super) alike: bool,
    /// What stood before each unreadable record, and before that if it can't be read either: in this part.
    before: HashMap<u64, HashSet<String>>,
}

impl Seen {
    /// Another part begins: what came before isn't known to it.
    fn begin_part(&mut self) {
        self.sent.clear();
        self.before.clear();
        self.reach = 0;
    }

    /// Why a record that kept its place may be missed by a reader that isn't told so. Each breaks an assumption of the
    /// rules, and is in `guarantees`.
    pub(super) fn excuse(&self) -> Option<&'static str> {
        match () {
            // R4: a known record alone looks like the end.
            () if self.lone_after_many => Some("a server that gave two at once gave one where it had more"),
            // Answers of one record can't overlap.
            () if self.lone && self.pulled => Some("something went from before the place while records came singly"),
            // Neither can they show that they are from elsewhere.
            () if self.lone && self.misplaced => Some("the server took no larger offset while records came singly"),
            // "For a moment" is one answer.
            () if self.empty_twice => Some("an answer was empty twice in a row where there was something"),
            // R2: what stands before a known record was given.
            () if self.went_behind => Some("a record that was given was seen behind one that wasn't, as it had moved"),
            () if self.alike => Some("one that can't be read was taken for another"),
            () => None,
        }
    }

    /// Why a record that kept its place may be missed on the way up, by a reader that isn't told so.
    pub(super) fn excuse_of_a_climb(&self) -> Option<&'static str> {
        match () {
            // Answers of one record can't overlap: what stands above the place is taken for the next, also if more came
            // between.
            () if self.lone && self.changed => Some("something changed while records came singly"),
            // The end of a listing that was empty is looked for by R4.
            () if self.lone_after_many => Some("a server that gave two at once gave one where it had more"),
            () if self.empty_twice => Some("an answer was empty twice in a row where there was something"),
            // What stands above two known records in a row is newer, or above one at the end of an answer.
            () if !self.passed_newer.is_empty() => Some("a known record moved above one that wasn't given"),
            () => None,
        }
    }

    /// As how many records an unreadable one came in this part.
    pub(super) fn faces(&self, id: u64) -> usize {
        self.before.get(&id).map_or(0, HashSet::len)
    }
}

impl Changing {
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
            given: HashSet::new(),
            largest_page: u64::MAX,
            largest_offset: u64::MAX,
            spoilt_alike: false,
            changes: 0,
            turn: 0,
            arrivals: HashMap::new(),
            on_the_way: HashMap::new(),
            asked: 0,
            requests: 0,
            failed: 0,
            seen: Seen::default(),
        }
    }

    /// Another part of the reading begins: what was on its way for the one before isn't waited for.
    pub(super) fn begin_part(&mut self) {
        self.on_the_way.clear();
        self.requests = 0;
        self.failed = 0;
        self.seen.begin_part();
    }

    /// The ids of the records, in the order in which they are read.
    fn ids(&self) -> Vec<u64> {
        let mut ids: Vec<_> = self.log.texts().iter().map(|it| id_of(it)).collect();
        if self.order == SortOrder::Asc {
            ids.reverse();
        }
        ids
    }

    /// New records at the head, which a climb has to give; what was there is known to it.
    pub(super) fn grow_for_a_climb(&mut self, count: u64) {
        self.oldest = self.next;
        self.throughout = (self.next + 1..=self.next + count).collect();
        for _ in 0..count {
            let text = self.fresh();
            self.log.add_raw(text);
        }
        self.seen = Seen::default();
    }

    /// The reader was given this.
    pub(super) fn give(&mut self, id: &str) -> u64 {
        let id = id.parse().unwrap();
        self.given.insert(id);
        id
    }

    fn fresh(&mut self) -> String {
        self.next += 1;
        text(self.next)
    }

    /// A record is about to leave its place.
    fn leaves(&mut self, id: u64) {
        let at = self.ids().iter().position(|it| *it == id);
        self.seen.pulled |= !self.seen.sent.is_empty() && at.is_some_and(|it| it <= self.seen.reach);
    }

    /// A record stands where it didn't.
    fn arrived(&mut self, id: u64) {
        let came = self.given.contains(&id) || self.seen.sent.contains(&id);
        self.arrivals.entry(id).or_default().push(self.turn);
        if came || id <= self.oldest {
            let behind = self.ids().into_iter().skip_while(|it| *it != id);
            if behind.into_iter().any(|it| self.throughout.contains(&it) && !self.given.contains(&it)) {
                self.seen.passed_newer.insert(id);
            }
        }
    }

    fn remove(&mut self, index: usize) -> Option<String> {
        let id = id_of(self.log.texts().get(index)?);
        self.leaves(id);
        self.throughout.remove(&id);
        self.log.remove(index)
    }

    pub(super) fn apply(&mut self, world: &FakeServer, event: Event) {
        let length = self.log.len();
        let at = |place: u8| usize::from(place) * length / 256;
        self.changes += u32::from(!matches!(event, Event::Nothing));
        self.seen.changed |= !matches!(
            event,
            Event::Nothing | Event::Clamp(_) | Event::ClampOffset(_) | Event::Empty | Event::Short | Event::Fail
        );
        match event {
            Event::Nothing => {}
            Event::Grow(count) => {
                for _ in 0..count {
                    let text = self.fresh();
                    self.log.add_raw(text);
                }
            }
            Event::Insert(place) => {
                let text = self.fresh();
                self.log.insert_raw(at(place), text);
            }
            Event::Delete(place, count) => {
                for _ in 0..count {
                    self.remove(at(place));
                }
            }
            Event::Retire(count) => {
                for _ in 0..count {
                    _ = self.log.len().checked_sub(1).and_then(|last| self.remove(last));
                }
            }
            Event::Expire(count) => {
                for _ in 0..count {
                    self.remove(0);
                }
            }
            Event::Duplicate(place) => {
                if let Some(text) = self.log.texts().get(at(place)).cloned() {
                    self.log.insert_raw(at(place), text);
                }
            }
            Event::DeleteAllRead => {
                let read: Vec<_> = self.log.texts().iter().map(|it| self.given.contains(&id_of(it))).collect();
                for (index, _) in read.iter().enumerate().rev().filter(|(_, read)| **read) {
                    self.remove(index);
                }
            }
            Event::Hide(place) => {
                if let Some(text) = self.remove(at(place)) {
                    self.hidden.push((at(place), text));
                }
            }
            Event::Unhide => {
                if let Some((place, text)) = self.hidden.pop() {
                    let id = id_of(&text);
                    self.log.insert_raw(place, text);
                    self.arrived(id);
                }
            }
            Event::Move(place) => {
                let index = at(place);
                let Some(id) = self.log.texts().get(index).map(|it| id_of(it)).filter(|_| index > 0) else { return };
                // To the head pulls nothing up; to the other end does.
                if self.order == SortOrder::Asc {
                    self.leaves(id);
                }
                self.log.move_to_head(index);
                self.arrived(id);
                if self.seen.answers > 0 {
                    self.seen.moved.insert(id);
                }
            }
            Event::Clamp(size) => {
                world.integration().largest_page(size.into());
                self.largest_page = size.into();
            }
            Event::ClampOffset(offset) => self.largest_offset = offset.into(),
            Event::Empty => _ = world.fail_next(Fault::EmptyOnce),
            Event::Short => _ = world.fail_next(Fault::ShortByOne),
            Event::Fail => _ = world.fail_next(Fault::Status(503)),
            Event::Spoil(place) => {
                self.next += 1;
                _ = self.spoil(at(place), self.next);
            }
            Event::SpoilAlike(place) => {
                self.seen.alike |= self.spoilt_alike;
                self.spoilt_alike |= self.spoil(at(place), ALIKE);
            }
        }
    }

    /// A record can't be read any more. It's another one from now on: its identity is its text.
    fn spoil(&mut self, index: usize, id: u64) -> bool {
        let texts = self.log.texts();
        let Some(text) = texts.get(index).filter(|it| is_readable(it)) else { return false };
        self.throughout.remove(&id_of(text));
        self.log.replace(index, spoilt(id));
        true
    }

    /// The reader came to the answer from there.
    pub(super) fn came_to(&mut self, asked: u64) {
        let answer = self.on_the_way.remove(&asked).expect("an answer that was given");
        let Response { turn, asked, offset, limit, largest_page, records, ids, .. } = answer;
        let there = ids.len();
        let offset = usize::try_from(offset).unwrap();
        let more = offset + records.len() < there;
        let Some(last) = records.len().checked_sub(1) else {
            self.seen.empty_in_a_row += u32::from(more);
            self.seen.empty_twice |= self.seen.empty_in_a_row > 1;
            return;
        };
        self.seen.empty_in_a_row = 0;
        let cut = largest_page < limit.min((there - offset) as u64);
        self.seen.misplaced |= asked > offset as u64;
        self.seen.clamped |= cut || self.seen.misplaced;
        self.seen.answers += 1;
        self.seen.reach = self.seen.reach.max(offset.max(usize::try_from(asked).unwrap()) + last);
        self.seen.lone |= last == 0 && (more || limit == 1);
        self.seen.lone_after_many |= last == 0 && more && limit > 1 && self.seen.many;
        // A page that is cut ends where one that was cut elsewhere did: as if the shorter one weren't.
        let end = (cut && more).then(|| (id_of(&records[last]), last));
        let before = std::mem::replace(&mut self.seen.cut_at, end);
        self.seen.lone_after_many |=
            before.zip(end).is_some_and(|(before, end)| before.0 == end.0 && before.1 != end.1);
        self.seen.many |= last > 0;
        self.note_those_behind(turn, offset, &ids, &records);
        let mut before = String::new();
        for (index, record) in records.iter().enumerate() {
            let id = id_of(record);
            self.seen.sent.insert(id);
            if is_readable(record) {
                before = id.to_string();
                continue;
            }
            self.seen.before.entry(id).or_default().insert(format!("{id} behind {before}"));
            // What the first of an answer is taken for depends on what is known by then.
            before = if index == 0 {
                format!("{id} in answer {}", self.seen.answers)
            } else {
                format!("{id} behind {before}")
            };
        }
    }

    /// Whether one that had come stands behind one that wasn't given, as it moved between the two answers; whichever of
    /// these was given first.
    fn note_those_behind(&mut self, turn: u64, offset: usize, ids: &[u64], records: &[String]) {
        let mut passed = ids[..offset].iter().any(|it| self.is_to_come(*it));
        for id in records.iter().map(|it| id_of(it)) {
            let moved_since = |came: &u64| {
                let (from, to) = (turn.min(*came), turn.max(*came));
                self.arrivals.get(&id).is_some_and(|it| it.iter().any(|at| (from..to).contains(at)))
            };
            let moved = self.seen.came.get(&id).is_some_and(|it| it.iter().any(moved_since));
            self.seen.went_behind |= passed && moved;
            passed |= self.is_to_come(id);
        }
        for id in records.iter().map(|it| id_of(it)) {
            self.seen.came.entry(id).or_default().insert(turn);
        }
    }

    fn is_to_come(&self, id: u64) -> bool {
        self.throughout.contains(&id) && !self.given.contains(&id)
    }
}

/// The world's door, with a server before it that takes no offset above some number, and ways to and fro that take what
/// time they like.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) door: InMemory,
    pub(super) changing: Arc<Mutex<Changing>>,
    /// What the times come from. `None` for none.
    pub(super) delays: Option<Mutex<u64>>,
}

impl Watched {
    /// Takes some time.
    async fn delay(&self) {
        let Some(delays) = &self.delays else { return };
        let millis = {
            let mut state = delays.lock().unwrap();
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // A few take as long as many of the others.
            let random = *state >> 33;
            if random % 8 == 0 { random % 500 } else { random % 20 }
        };
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

impl std::fmt::Debug for Changing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Changing").field("seen", &self.seen).finish_non_exhaustive()
    }
}

#[derive(serde::Deserialize)]
struct HttpResponse {
    data: Vec<Box<RawValue>>,
}

#[async_trait]
impl HttpClient for Watched {
    async fn send(&self, mut request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let uri = request.uri().to_string();
        let number = |name: &str| {
            let (_, after) = uri.split_once(name).unwrap();
            after.split('&').next().unwrap().parse::<u64>().unwrap()
        };
        let (asked, limit) = (number("offset="), number("limit="));
        let number = {
            let mut changing = self.changing.lock().unwrap();
            changing.asked += 1;
            changing.requests += 1;
            changing.asked
        };
        self.delay().await;
        let offset = asked.min(self.changing.lock().unwrap().largest_offset);
        *request.uri_mut() = uri.replace(&format!("offset={asked}"), &format!("offset={offset}")).parse().unwrap();
        let answered = self.door.send(request).await;
        self.changing.lock().unwrap().turn += 1;
        let (head, body) = answered?.into_parts();
        let body: Bytes = body.try_collect::<Vec<_>>().await?.concat().into();
        if head.status.is_success() {
            let HttpResponse { data } = serde_json::from_slice(&body).unwrap();
            let records: Vec<_> = data.iter().map(|it| it.get().to_owned()).collect();
            let mut changing = self.changing.lock().unwrap();
            let (turn, largest_page, ids) = (changing.turn, changing.largest_page, changing.ids());
            let answer = Response { number, turn, asked, offset, limit, largest_page, records, ids };
            // What was asked for again was dropped, if it still comes.
            if changing.on_the_way.get(&asked).is_none_or(|other| other.number < number) {
                changing.on_the_way.insert(asked, answer);
            }
        } else {
            self.changing.lock().unwrap().failed += 1;
        }
        self.delay().await;
        Ok(http::Response::from_parts(head, body.into()))
    }
}
