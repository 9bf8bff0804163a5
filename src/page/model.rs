//! The walk against a world that changes between any two requests and answers badly.
//!
//! Each case is a log, a plan of what happens to it before each request, and a reader that stops and goes on. What must
//! hold is checked at the end: see `Case::check`. And each rule is switched off alone, to show that this notices.
//!
//! `MODEL_CASES` sets the number of cases, 2,000 unless set.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use super::walk::Rules;
use super::{Cursor, Entry, Listing, Order, Summary, Total, Verdict};
use crate::integration::{LogListing, LogsQuery, SortOrder};
use crate::testing::{CountMeans, Fault, InMemory, Log, World};
use crate::{Body, Exchange, ExchangeError, IntegrationClient, RetryPolicy};

/// Something that happens before a request. Places are taken modulo what there is.
#[derive(Clone, Copy, Debug)]
enum Event {
    Nothing,
    /// New records at the head.
    Grow(u8),
    /// A new record somewhere.
    Insert(u8),
    /// Records go, from this place on.
    Delete(u8, u8),
    /// All that was given so far goes.
    DeleteAllRead,
    /// A record leaves the listing, as one does that stops matching a filter.
    Hide(u8),
    /// The one that left last is back in its place.
    Unhide,
    /// A record moves to the head.
    Move(u8),
    /// From now on the server gives this many at most.
    Clamp(u8),
    /// From now on the server takes no larger offset.
    ClampOffset(u8),
    /// The answer is empty.
    Empty,
    /// The answer is a record short.
    Short,
    /// The server fails.
    Fail,
    /// A record can't be read from now on.
    Spoil(u8),
}

#[derive(Clone, Debug)]
struct Case {
    records: u8,
    page_size: u32,
    order: SortOrder,
    /// What the server counts, and what the client was told.
    count: CountMeans,
    jitter: bool,
    told: Total,
    events: Vec<Event>,
    /// After how many records the reader stops and goes on from its cursor.
    stops: Vec<u8>,
    /// What happens while it is stopped.
    meanwhile: Vec<Event>,
    /// What the client was told of the order; where records move, that they may.
    told_order: Order,
    /// How many of the events happen before each request: several may hide each other from the total.
    at_once: usize,
    /// What a part that goes on asks for at once.
    later_size: u32,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => Just(Event::Nothing),
        2 => (1..14u8).prop_map(Event::Grow),
        2 => any::<u8>().prop_map(Event::Insert),
        2 => (any::<u8>(), 1..14u8).prop_map(|(at, count)| Event::Delete(at, count)),
        1 => Just(Event::DeleteAllRead),
        1 => any::<u8>().prop_map(Event::Hide),
        1 => Just(Event::Unhide),
        2 => any::<u8>().prop_map(Event::Move),
        1 => (1..8u8).prop_map(Event::Clamp),
        1 => (0..40u8).prop_map(Event::ClampOffset),
        1 => Just(Event::Empty),
        1 => Just(Event::Short),
        1 => Just(Event::Fail),
        1 => any::<u8>().prop_map(Event::Spoil),
    ]
}

/// A server answers empty for a moment: never to two requests in a row.
fn one_empty(mut events: Vec<Event>) -> Vec<Event> {
    let mut last = 3;
    for event in &mut events {
        last += 1;
        if matches!(event, Event::Empty) {
            if last < 3 {
                *event = Event::Nothing;
            } else {
                last = 0;
            }
        }
    }
    events
}

fn counts() -> impl Strategy<Value = (CountMeans, bool, Total)> {
    prop_oneof![
        4 => Just((CountMeans::All, false, Total::Open)),
        4 => Just((CountMeans::All, false, Total::OfListing)),
        1 => Just((CountMeans::OfPage, false, Total::Open)),
        1 => Just((CountMeans::OfPage, false, Total::OfPage)),
        1 => Just((CountMeans::Absent, false, Total::Open)),
        1 => Just((CountMeans::Absent, false, Total::OfListing)),
        1 => Just((CountMeans::Always(0), false, Total::Open)),
        1 => Just((CountMeans::Always(1_000_000), false, Total::Open)),
        1 => Just((CountMeans::All, true, Total::Open)),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let quiet = Just(Vec::new()).boxed();
    let one_kind = (event(), 1..30usize).prop_map(|(event, count)| vec![event; count]).boxed();
    let any_kind = prop::collection::vec(event(), 0..40).boxed();
    let few = prop_oneof![3 => Just(Event::Nothing), 1 => any::<u8>().prop_map(Event::Move)];
    let few_moves = prop::collection::vec(few, 1..12).boxed();
    let events = prop_oneof![1 => quiet, 2 => few_moves, 2 => one_kind, 6 => any_kind].prop_map(one_empty);
    let order = prop_oneof![Just(SortOrder::Desc), Just(SortOrder::Asc)];
    let stops = prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(0..30u8, 1..4)];
    // An empty answer here would come on top of one that is planned.
    let calm = |it: &Event| !matches!(it, Event::Empty);
    let meanwhile = prop::collection::vec(event().prop_filter("one at a time", calm), 0..6);
    let sizes = (1..14u32, prop_oneof![2 => Just(None), 1 => (1..14u32).prop_map(Some)]);
    let at_once = prop_oneof![2 => Just(1usize), 1 => 2..5usize];
    (0..60u8, sizes, order, counts(), events, stops, meanwhile, at_once).prop_map(
        |(records, (page_size, later), order, (count, jitter, told), mut events, stops, meanwhile, at_once)| {
            let told_order = if records % 3 == 0 { Order::MayChange } else { Order::Fixed };
            if at_once > 1 {
                // They come sooner after each other: one empty answer is enough.
                let mut empty = 0;
                events.retain(|it| {
                    empty += u32::from(matches!(it, Event::Empty));
                    empty < 2 || !matches!(it, Event::Empty)
                });
            }
            let later_size = later.unwrap_or(page_size);
            Case {
                records,
                page_size,
                order,
                count,
                jitter,
                told,
                events,
                stops,
                meanwhile,
                told_order,
                at_once,
                later_size,
            }
        },
    )
}

fn text(id: u64) -> String {
    format!(r#"{{"_id":"{id}","integrationId":"i","actionType":"sync","entityType":"e","status":"success"}}"#)
}

fn spoilt(id: u64) -> String {
    format!(r#"{{"_id":{id}}}"#)
}

/// The id of a record, readable or not.
fn id_of(text: &str) -> u64 {
    let digits: String = text.chars().skip_while(|it| !it.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// The world of a case, and what is known of it.
struct Changing {
    log: Log,
    next: u64,
    /// Those that were there from the beginning to now.
    throughout: BTreeSet<u64>,
    hidden: Vec<(usize, String)>,
    given: HashSet<u64>,
    largest_offset: Option<u64>,
    smallest_clamp: u32,
    moved: bool,
    short: bool,
    clamped: bool,
    resets: bool,
    changes: u32,
}

impl Changing {
    fn fresh(&mut self) -> String {
        self.next += 1;
        text(self.next)
    }

    fn remove(&mut self, index: usize) -> Option<String> {
        let text = self.log.remove(index)?;
        self.throughout.remove(&id_of(&text));
        Some(text)
    }

    fn apply(&mut self, world: &World, event: Event) {
        let length = self.log.len();
        let at = |place: u8| usize::from(place) * length / 256;
        self.changes += u32::from(!matches!(event, Event::Nothing));
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
                    self.log.insert_raw(place, text);
                    // To the reader it may stand anywhere: others went and came meanwhile.
                    self.resets = true;
                }
            }
            Event::Move(place) => {
                self.log.move_to_head(at(place));
                self.moved = true;
            }
            Event::Clamp(size) => {
                world.integration().largest_page(size.into());
                self.smallest_clamp = self.smallest_clamp.min(size.into());
                self.clamped = true;
            }
            Event::ClampOffset(offset) => {
                self.largest_offset = Some(offset.into());
                self.clamped = true;
            }
            Event::Empty => _ = world.fail_next(Fault::EmptyOnce),
            Event::Short => {
                _ = world.fail_next(Fault::ShortByOne);
                self.short = true;
            }
            Event::Fail => _ = world.fail_next(Fault::Status(503)),
            Event::Spoil(place) => {
                // It is another one from now on: its identity is its text.
                if let Some(text) = self.log.texts().get(at(place)).filter(|it| it.len() > 20) {
                    self.throughout.remove(&id_of(text));
                    self.next += 1;
                    let spoilt = spoilt(self.next);
                    self.log.replace(at(place), spoilt);
                }
            }
        }
    }
}

/// The world's door, with a server before it that takes no offset above some number.
#[derive(Debug)]
struct Clamping {
    door: InMemory,
    changing: Arc<Mutex<Changing>>,
}

impl std::fmt::Debug for Changing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Changing").finish_non_exhaustive()
    }
}

#[async_trait]
impl Exchange for Clamping {
    async fn exchange(&self, mut request: http::Request<Bytes>) -> Result<http::Response<Body>, ExchangeError> {
        let largest = self.changing.lock().unwrap().largest_offset;
        if let Some(largest) = largest {
            let uri = request.uri().to_string();
            let (before, after) = uri.split_once("offset=").unwrap();
            let (offset, after) = after.split_once('&').unwrap_or((after, ""));
            let offset = offset.parse::<u64>().unwrap().min(largest);
            *request.uri_mut() = format!("{before}offset={offset}&{after}").parse().unwrap();
        }
        self.door.exchange(request).await
    }
}

/// What a reading came to, over all its parts.
#[derive(Debug)]
struct Reading {
    summary: Summary,
    /// What was given in each part.
    parts: Vec<Vec<u64>>,
    unreadable: u64,
    requests: Vec<u64>,
}

impl Case {
    /// What the client is told of the order: never that it's fixed where records move.
    fn order_told(&self) -> Order {
        let moves = |it: &Event| matches!(it, Event::Move(_) | Event::Unhide);
        let moving = self.events.iter().chain(&self.meanwhile).any(moves);
        if moving { Order::MayChange } else { self.told_order }
    }

    /// A client of the world, filled with the case's records.
    fn client(&self, world: &World) -> (IntegrationClient, Arc<Mutex<Changing>>) {
        world.integration().total_means(self.count);
        let log = world.integration().log();
        for id in 1..=u64::from(self.records) {
            log.add_raw(text(id));
        }
        let changing = Arc::new(Mutex::new(Changing {
            log,
            next: self.records.into(),
            throughout: (1..=u64::from(self.records)).collect(),
            hidden: Vec::new(),
            given: HashSet::new(),
            largest_offset: None,
            smallest_clamp: u32::MAX,
            moved: false,
            short: false,
            clamped: false,
            resets: false,
            changes: 0,
        }));
        let exchange = Clamping { door: world.exchange(), changing: Arc::clone(&changing) };
        let client = IntegrationClient::builder("http://localhost")
            .bearer("any")
            .exchange(exchange)
            .retry(RetryPolicy::off())
            .total_means(self.told)
            .build()
            .unwrap();
        (client, changing)
    }

    async fn read(&self, rules: Rules) -> (Reading, Arc<Mutex<Changing>>) {
        let world = World::new();
        let (client, changing) = self.client(&world);
        let (mut events, jitter, hooked) = (self.events.clone().into_iter(), self.jitter, Arc::clone(&changing));
        let (mut turn, at_once) = (0, self.at_once);
        world.before_each(move |world| {
            turn += 1;
            if jitter {
                world.integration().total_means(CountMeans::Always(turn * 7 % 61));
            }
            for event in events.by_ref().take(at_once) {
                hooked.lock().unwrap().apply(world, event);
            }
        });
        let order = self.order_told();
        let listing = client.logs().list(LogsQuery::new().order(self.order));
        let listing = listing.page_size(self.page_size).order(order).rules(rules).prefetch(1);

        let mut reading = Reading { summary: blank(), parts: Vec::new(), unreadable: 0, requests: Vec::new() };
        let mut cursor = None;
        for stop in self.stops.iter().map(|it| Some(usize::from(*it))).chain([None]) {
            let ended;
            (cursor, ended) = self.part(&listing, cursor, stop, &changing, &mut reading).await;
            if ended {
                break;
            }
            for event in &self.meanwhile {
                changing.lock().unwrap().apply(&world, *event);
            }
        }
        (reading, changing)
    }

    /// Reads until it has given so many records, or to the end. Gives the cursor, as it's read back from its text.
    async fn part(
        &self,
        listing: &Listing<LogListing>,
        cursor: Option<Cursor>,
        stop: Option<usize>,
        changing: &Mutex<Changing>,
        reading: &mut Reading,
    ) -> (Option<Cursor>, bool) {
        let listing = listing.clone();
        let listing = match cursor {
            Some(cursor) => listing.resume(cursor).page_size(self.later_size),
            None => listing,
        };
        let mut entries = listing.items().or_raw();
        let (mut given, mut ended) = (Vec::new(), false);
        while stop.is_none_or(|stop| given.len() < stop) {
            let id = match entries.next().await {
                Some(Ok(Entry::Record(log))) => log.id.get().parse().unwrap(),
                Some(Ok(Entry::Unreadable(record))) => {
                    reading.unreadable += 1;
                    id_of(record.raw().as_str())
                }
                Some(Err(error)) if error.is_transient() => {
                    assert!(error.cursor().is_some(), "{error:?}");
                    continue;
                }
                Some(Err(error)) => {
                    assert_eq!(error.kind(), crate::ErrorKind::Truncated, "{error:?}");
                    continue;
                }
                None => {
                    ended = true;
                    break;
                }
            };
            given.push(id);
            if given.len() > 5_000 {
                // It doesn't end: the bound is checked, and this is what fails it.
                reading.requests.push(u64::MAX);
                return (None, true);
            }
            changing.lock().unwrap().given.insert(id);
        }
        reading.summary = entries.summary();
        reading.requests.push(reading.summary.requests);
        let cursor = serde_json::to_string(&entries.cursor().unwrap()).unwrap();
        reading.parts.push(given);
        (Some(serde_json::from_str(&cursor).unwrap()), ended)
    }

    /// What must hold of a reading, whatever happened.
    fn check(&self, reading: &Reading, changing: &Changing, count_requests: bool) -> Result<(), String> {
        let Reading { summary, parts, .. } = reading;
        let all: HashSet<u64> = parts.iter().flatten().copied().collect();
        let missed: Vec<_> = changing.throughout.iter().filter(|it| !all.contains(it)).collect();
        if summary.verdict.is_complete() && !missed.is_empty() {
            return Err(format!("said to be complete, and {missed:?} are missing"));
        }
        // Nothing moved and no server lied about a page: then nothing that was there is missed, short of being told so.
        let room = self.page_size.min(self.later_size) >= 2
            && changing.smallest_clamp >= 2
            && changing.largest_offset.is_none();
        let steady = !changing.moved && !changing.short && !changing.resets;
        if room && steady && !summary.verdict.is_truncated() && !missed.is_empty() {
            return Err(format!("said to be {}, and {missed:?} are missing", summary.verdict));
        }
        // A few that moved to the head are found there in the end.
        let moves = self.events.iter().filter(|it| matches!(it, Event::Move(_))).count();
        let only_moves = self.events.iter().all(|it| matches!(it, Event::Move(_) | Event::Nothing));
        let uncut = self.stops.is_empty() && !summary.verdict.is_truncated();
        if only_moves && moves <= 3 && self.page_size >= 8 && uncut && !missed.is_empty() {
            return Err(format!("{missed:?} moved and were not found again"));
        }
        for part in parts {
            let readable: Vec<_> = part.iter().filter(|it| changing.log.texts().contains(&text(**it))).collect();
            let distinct: HashSet<_> = readable.iter().collect();
            if distinct.len() != readable.len() {
                return Err(format!("given twice: {part:?}"));
            }
        }
        for (requests, part) in reading.requests.iter().zip(parts) {
            if *requests > 2 * part.len() as u64 + 201 {
                return Err(format!("{requests} requests for {} records", part.len()));
            }
        }
        if changing.changes == 0 && self.stops.is_empty() && !self.jitter {
            self.check_quiet(summary, parts, count_requests)?;
        }
        Ok(())
    }

    /// Nothing happens: everything is given in order, by as many requests as are documented, with the verdict that the
    /// total allows.
    fn check_quiet(&self, summary: &Summary, parts: &[Vec<u64>], count_requests: bool) -> Result<(), String> {
        let (n, size) = (u64::from(self.records), u64::from(self.page_size));
        let ids: Vec<u64> = match self.order {
            SortOrder::Desc => (1..=n).rev().collect(),
            SortOrder::Asc => (1..=n).collect(),
        };
        if parts.concat() != ids {
            return Err(format!("out of order, or not all: {parts:?}"));
        }
        let by_total = self.told == Total::OfListing && self.count == CountMeans::All;
        let again = u64::from(self.order_told() == Order::MayChange);
        let head = |size: u64| again * (n.min(4) - 1).div_ceil((size - 1).max(1)).max(1);
        let expected = match (n, size) {
            (0, _) => 2,
            // One at a time, an empty answer twice, and the first four again.
            (_, 1) => n + 2 + again * n.min(4),
            // One that stands alone can't be told from a server that gives single records: an empty answer twice.
            (1, _) if !by_total => 1 + 2 + again,
            _ => {
                let windows = 1 + n.saturating_sub(size).div_ceil(size - 1);
                // A last window that is full proves nothing, and neither does any without a total.
                let last = n - (windows - 1) * (size - 1);
                windows + u64::from(!(by_total && last < size)) + head(size)
            }
        };
        if count_requests && summary.requests != expected {
            return Err(format!("{} requests for {n} records by {size}, not {expected}", summary.requests));
        }
        let true_total = self.count == CountMeans::All && self.order_told() == Order::Fixed;
        let complete = match self.told {
            Total::OfListing => true_total && (size > 1 || n == 0),
            // A total that might as well be the page's count says nothing.
            _ => true_total && n > 1 && size > 1,
        };
        match summary.verdict {
            Verdict::Complete if complete => Ok(()),
            Verdict::AsFarAsKnown(_) if !complete => Ok(()),
            verdict => Err(format!("{verdict} where complete is {complete}")),
        }
    }
}

fn blank() -> Summary {
    Summary {
        seen: 0,
        late: 0,
        unreadable: 0,
        repeats: 0,
        lost_places: 0,
        totals: None,
        requests: 0,
        read_on: false,
        verdict: Verdict::Truncated(super::Cut::NotFinished),
    }
}

fn run(case: &Case, rules: Rules) -> (Result<(), String>, Reading, Arc<Mutex<Changing>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (reading, changing) = runtime.block_on(case.read(rules));
    // To miss a rule by the number of requests alone wouldn't show what it's good for.
    let checked = case.check(&reading, &changing.lock().unwrap(), rules == Rules::ALL);
    (checked, reading, changing)
}

fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    // The same cases every time: a failure is one that the change made.
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

#[test]
fn nothing_is_missed_under_a_verdict_of_complete_whatever_happens() {
    let cases = std::env::var("MODEL_CASES").map_or(2_000, |it| it.parse().unwrap());
    let seen = std::cell::Cell::new([0u32; 5]);
    runner(cases)
        .run(&case(), |case| {
            let (checked, reading, changing) = run(&case, Rules::ALL);
            let changing = changing.lock().unwrap();
            let mut counts = seen.get();
            counts[0] += u32::from(reading.summary.lost_places > 0);
            counts[1] += u32::from(changing.clamped);
            counts[2] += u32::from(changing.moved);
            counts[3] += u32::from(reading.parts.len() > 1);
            counts[4] += u32::from(reading.summary.verdict.is_complete());
            seen.set(counts);
            checked.map_err(|why| TestCaseError::fail(format!("{why}\n{reading:?}")))
        })
        .unwrap();
    let [lost, clamped, moved, resumed, complete] = seen.get();
    println!(
        "{cases} cases: {lost} lost the place, {clamped} clamped, {moved} moved, {resumed} resumed, {complete} complete"
    );
    for (what, count) in [("a lost place", lost), ("a clamp", clamped), ("a move", moved), ("a resume", resumed)] {
        assert!(count >= cases / 5, "only {count} of {cases} cases have {what}");
    }
    assert!(complete >= cases / 20, "only {complete} of {cases} cases are complete");
}

#[test]
fn each_rule_is_needed() {
    let without = [
        ("R1", Rules { overlap: false, ..Rules::ALL }),
        ("R2", Rules { last_known: false, ..Rules::ALL }),
        ("R3", Rules { go_back: false, ..Rules::ALL }),
        ("R4", Rules { prove_end: false, ..Rules::ALL }),
        ("the doubt of totals", Rules { doubt_total: false, ..Rules::ALL }),
        ("the head read again", Rules { read_head: false, ..Rules::ALL }),
        ("asking twice", Rules { ask_twice: false, ..Rules::ALL }),
    ];
    for (rule, rules) in without {
        // What's caught is only told: it needn't be small.
        let config = Config { cases: 500, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let caught = runner.run(&case(), |case| run(&case, rules).0.map_err(TestCaseError::fail));
        match caught {
            Err(error) => println!("without {rule}: {}", error.to_string().lines().next().unwrap_or_default()),
            Ok(()) => panic!("500 cases don't show what {rule} is good for"),
        }
    }
}

/// Reads a quiet log whole, lets it grow, and climbs from the cursor while it changes.
async fn climb(records: u8, grown: u8, page_size: u32, events: Vec<Event>) -> Result<bool, String> {
    let case = Case {
        records,
        page_size,
        order: SortOrder::Desc,
        count: CountMeans::All,
        jitter: false,
        told: Total::Open,
        events: Vec::new(),
        stops: Vec::new(),
        meanwhile: Vec::new(),
        told_order: Order::MayChange,
        at_once: 1,
        later_size: page_size,
    };
    let world = World::new();
    let (client, changing) = case.client(&world);
    let listing = client.logs().list(()).page_size(page_size);
    let cursor = listing.clone().collect().await.cursor.unwrap();

    changing.lock().unwrap().apply(&world, Event::Grow(grown));
    let first_new = u64::from(records) + 1;
    let mut waited: BTreeSet<u64> = (first_new..first_new + u64::from(grown)).collect();
    let deletes = events.iter().any(|it| matches!(it, Event::Delete(..) | Event::Hide(_) | Event::Move(_)));
    let (mut events, hooked) = (events.into_iter(), Arc::clone(&changing));
    let mut turn = 0;
    world.before_each(move |world| {
        turn += 1;
        if turn > 1
            && let Some(event) = events.next()
        {
            hooked.lock().unwrap().apply(world, event);
        }
    });
    // Stopped in the middle, and gone on with from the cursor's text.
    let first = listing.clone().newer_than(cursor).max_items(7).collect().await;
    let cursor = serde_json::to_string(&first.cursor.clone().unwrap()).unwrap();
    let rest = listing.newer_than(serde_json::from_str(&cursor).unwrap()).collect().await;

    let id = |log: &crate::integration::ActionLog| log.id.get().parse::<u64>().unwrap();
    let given: Vec<u64> = first.items.iter().chain(&rest.items).map(id).collect();
    let texts = changing.lock().unwrap().log.texts();
    let there: HashSet<u64> = texts.iter().map(|it| id_of(it)).collect();
    waited.retain(|it| there.contains(it) && !given.contains(it));
    if rest.summary.verdict.is_truncated() {
        return if deletes { Ok(false) } else { Err(format!("{}: {given:?}", rest.summary.verdict)) };
    }
    if !waited.is_empty() {
        return Err(format!("{waited:?} were not given, but {given:?}"));
    }
    let newcomers: Vec<_> = given.iter().filter(|it| (first_new..first_new + u64::from(grown)).contains(*it)).collect();
    if !newcomers.is_sorted() && !deletes {
        return Err(format!("not the oldest first: {given:?}"));
    }
    if !deletes && given.iter().any(|it| *it < first_new) {
        return Err(format!("old ones among {given:?}"));
    }
    Ok(true)
}

#[test]
fn what_is_newer_is_given_oldest_first_and_none_of_it_is_missed() {
    // Pages of three and more: one of two that comes a record short can't be told from the end.
    let event = prop_oneof![
        6 => Just(Event::Nothing),
        3 => (1..9u8).prop_map(Event::Grow),
        1 => any::<u8>().prop_map(Event::Hide),
        1 => (any::<u8>(), 1..4u8).prop_map(|(at, count)| Event::Delete(at, count)),
        1 => Just(Event::Empty),
        1 => Just(Event::Short),
        1 => (3..8u8).prop_map(Event::Clamp),
    ];
    let events = prop::collection::vec(event, 0..20).prop_map(one_empty);
    let strategy = (0..40u8, 0..60u8, 3..14u32, events);
    let arrived = std::cell::Cell::new(0);
    runner(1_000)
        .run(&strategy, |(records, grown, page_size, events)| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let ended = runtime.block_on(climb(records, grown, page_size, events)).map_err(TestCaseError::fail)?;
            arrived.set(arrived.get() + u32::from(ended));
            Ok(())
        })
        .unwrap();
    assert!(arrived.get() >= 800, "only {} of 1000 climbs came to the head", arrived.get());
}
