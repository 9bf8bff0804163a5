//! The walk against a world that changes between any two requests and answers badly.
//!
//! Each case is a log, a plan of what happens to it before each request, and a reader that stops and goes on. What must
//! hold is checked at the end: see `Case::check`, and `Seen::excuse` for what no client can know. And each rule is
//! switched off alone, to show that this notices.
//!
//! `MODEL_CASES` sets the number of cases, 2,000 (and 1,000 climbs) unless set.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod climb;
mod world;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use world::{ALIKE, Changing, Watched, id_of};

use crate::integration::{LogListing, LogsQuery, SortOrder};
use crate::observe::Event as Told;
use crate::page::walk::plan::Rules;
use crate::page::walk::position::most_requests;
use crate::page::{Cursor, Doubt, Listing, Stability, Summary, TotalScope, Verdict};
use crate::testing::{FakeServer, FakeTotal};
use crate::{IntegrationClient, RetryPolicy};

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
    /// The oldest records go, as a retention job has it.
    Retire(u8),
    /// The newest records go.
    Expire(u8),
    /// A record is listed twice, in two rows.
    Duplicate(u8),
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
    /// So it is with this one, and its text is that of others.
    SpoilAlike(u8),
}

#[derive(Clone, Debug)]
struct Case {
    records: u8,
    page_size: u32,
    order: SortOrder,
    /// What the server counts, and what the client was told.
    count: FakeTotal,
    jitter: bool,
    told: TotalScope,
    events: Vec<Event>,
    /// What happens before every request, for ever.
    steady: Option<Event>,
    /// After how many records the reader stops and goes on from its cursor.
    stops: Vec<u8>,
    /// What happens while it is stopped.
    meanwhile: Vec<Event>,
    /// What the client was told of the order; where records move, that they may.
    told_order: Stability,
    /// How many of the events happen before each request: several may hide each other from the total.
    at_once: usize,
    /// What a part that goes on asks for at once.
    later_size: u32,
    /// How many records the reader remembers; all of them unless set.
    remembered: Option<usize>,
    /// How many requests may be under way, and what the times come from that they take on their ways.
    prefetch: usize,
    delays: u64,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => Just(Event::Nothing),
        2 => (1..14u8).prop_map(Event::Grow),
        2 => any::<u8>().prop_map(Event::Insert),
        2 => (any::<u8>(), 1..14u8).prop_map(|(at, count)| Event::Delete(at, count)),
        1 => (1..4u8).prop_map(Event::Retire),
        1 => (1..4u8).prop_map(Event::Expire),
        1 => any::<u8>().prop_map(Event::Duplicate),
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
        1 => any::<u8>().prop_map(Event::SpoilAlike),
    ]
}

/// What a log may do all the time.
fn steady() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (1..9u8).prop_map(Event::Grow),
        1 => any::<u8>().prop_map(Event::Insert),
        1 => (any::<u8>(), 1..3u8).prop_map(|(at, count)| Event::Delete(at, count)),
        2 => (1..4u8).prop_map(Event::Retire),
        2 => (1..4u8).prop_map(Event::Expire),
        1 => any::<u8>().prop_map(Event::Hide),
        2 => any::<u8>().prop_map(Event::Move),
        1 => any::<u8>().prop_map(Event::Duplicate),
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

fn counts() -> impl Strategy<Value = (FakeTotal, bool, TotalScope)> {
    prop_oneof![
        5 => Just((FakeTotal::All, false, TotalScope::Unknown)),
        5 => Just((FakeTotal::All, false, TotalScope::Listing)),
        1 => Just((FakeTotal::OfPage, false, TotalScope::Unknown)),
        1 => Just((FakeTotal::OfPage, false, TotalScope::Page)),
        1 => Just((FakeTotal::Absent, false, TotalScope::Unknown)),
        1 => Just((FakeTotal::Absent, false, TotalScope::Listing)),
        1 => Just((FakeTotal::Always(0), false, TotalScope::Unknown)),
        1 => Just((FakeTotal::Always(1_000_000), false, TotalScope::Unknown)),
        1 => Just((FakeTotal::All, true, TotalScope::Unknown)),
        // The client was told what isn't true.
        1 => Just((FakeTotal::OfPage, false, TotalScope::Listing)),
        1 => Just((FakeTotal::All, true, TotalScope::Listing)),
        1 => Just((FakeTotal::All, false, TotalScope::Page)),
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
    let remembered = prop_oneof![4 => Just(None), 1 => (1..40usize).prop_map(Some)];
    let prefetch = prop_oneof![2 => Just(1usize), 2 => 2..6usize, 1 => 2..33usize];
    let steady = prop_oneof![3 => Just(None), 2 => steady().prop_map(Some)];
    let more = ((at_once, remembered), (prefetch, any::<u64>()), steady);
    (0..60u8, sizes, order, counts(), events, stops, meanwhile, more).prop_map(
        |(records, (page_size, later), order, (count, jitter, told), mut events, stops, meanwhile, more)| {
            let ((at_once, remembered), (prefetch, delays), steady) = more;
            let told_order = if records % 3 == 0 { Stability::Unstable } else { Stability::Stable };
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
                steady,
                stops,
                meanwhile,
                told_order,
                at_once,
                later_size,
                remembered,
                prefetch,
                delays,
            }
        },
    )
}

/// More records than are ever there: a reading that gives so many doesn't end.
const TOO_MANY: usize = 1_000;

/// One part of a reading: up to where the reader stopped, or to the end.
#[derive(Debug)]
struct Part {
    given: Vec<u64>,
    summary: Summary,
    ended: bool,
    /// What was given twice though it was the same all the while, and by how many records it was apart.
    twice: Vec<(u64, usize)>,
    /// How many requests came to the server, and how many of them failed.
    requests: u64,
    failed: u64,
}

/// What a reading came to, over all its parts.
type Reading = Vec<Part>;

impl Case {
    /// What the client is told of the order: never that it's fixed where records move.
    fn order_told(&self) -> Stability {
        let moves = |it: &Event| matches!(it, Event::Move(_) | Event::Unhide);
        let moving = self.events.iter().chain(&self.meanwhile).chain(&self.steady).any(moves);
        if moving { Stability::Unstable } else { self.told_order }
    }

    /// Whether the client was told that a number is a total, and it isn't.
    fn was_lied_to(&self) -> bool {
        let is_total = matches!(self.count, FakeTotal::All | FakeTotal::Absent) && !self.jitter;
        self.told == TotalScope::Listing && !is_total
    }

    /// A client of the world, filled with the case's records.
    fn client(&self, world: &FakeServer) -> (IntegrationClient, Arc<Mutex<Changing>>) {
        world.integration().total_scope(self.count);
        let changing = Changing::new(world.integration().log(), self.order, self.records.into());
        let changing = Arc::new(Mutex::new(changing));
        let delays = (self.prefetch > 1).then(|| Mutex::new(self.delays));
        let http_client = Watched { door: world.http_client(), changing: Arc::clone(&changing), delays };
        let told = Arc::clone(&changing);
        let client = IntegrationClient::builder("http://localhost")
            .bearer("any")
            .http_client(http_client)
            .retry(RetryPolicy::never())
            .total_scope(self.told)
            .observer(move |event: &Told<'_>| {
                if let Told::PageRead(read) = event {
                    told.lock().unwrap().came_to(read.offset);
                }
            })
            .build()
            .unwrap();
        (client, changing)
    }

    async fn read(&self, rules: Rules) -> (Reading, Arc<Mutex<Changing>>) {
        let world = FakeServer::new();
        let (client, changing) = self.client(&world);
        let (mut events, jitter, hooked) = (self.events.clone().into_iter(), self.jitter, Arc::clone(&changing));
        let (mut turn, at_once, steady) = (0, self.at_once, self.steady);
        world.before_each(move |world| {
            turn += 1;
            if jitter {
                world.integration().total_scope(FakeTotal::Always(turn * 7 % 61));
            }
            for event in events.by_ref().take(at_once).chain(steady) {
                hooked.lock().unwrap().apply(world, event);
            }
        });
        let order = self.order_told();
        let listing = client.logs().list(LogsQuery::new().order(self.order));
        let mut listing = listing.page_size(self.page_size).stability(order).rules(rules).prefetch(self.prefetch);
        if let Some(records) = self.remembered {
            listing = listing.dedup_window(records);
        }

        let mut reading = Reading::new();
        let mut cursor = None;
        for stop in self.stops.iter().map(|it| Some(usize::from(*it))).chain([None]) {
            let (next, part) = self.part(&listing, cursor, stop, &changing).await;
            let ended = part.ended;
            reading.push(part);
            cursor = Some(next);
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
    ) -> (Cursor, Part) {
        let listing = listing.clone();
        let listing = match cursor {
            Some(cursor) => listing.resume(cursor).page_size(self.later_size),
            None => listing,
        };
        changing.lock().unwrap().begin_part();
        let mut entries = listing.items().with_invalid();
        let (mut given, mut ended, mut twice) = (Vec::new(), false, Vec::new());
        let mut last_at: HashMap<u64, (usize, usize)> = HashMap::new();
        while stop.is_none_or(|stop| given.len() < stop) {
            let (id, readable) = match entries.next().await {
                Some(Ok(Ok(log))) => (log.id.get().parse().unwrap(), true),
                Some(Ok(Err(record))) => (id_of(record.raw().as_str()), false),
                Some(Err(error)) if error.is_transient() => {
                    assert!(error.cursor().is_some(), "{error:?}");
                    continue;
                }
                Some(Err(error)) => {
                    assert_eq!(error.kind(), crate::ErrorKind::Incomplete, "{error:?}");
                    continue;
                }
                None => {
                    ended = true;
                    break;
                }
            };
            // One that can't be read is another one wherever another record stands before it.
            let mut changing = changing.lock().unwrap();
            let faces = if readable { 1 } else { changing.seen.faces(id) };
            if let Some((at, times)) = last_at.get(&id)
                && *times >= faces
                && id != ALIKE
            {
                twice.push((id, given.len() - at));
            }
            let times = last_at.get(&id).map_or(0, |it| it.1);
            last_at.insert(id, (given.len(), times + 1));
            given.push(id);
            changing.given.insert(id);
            // It doesn't end: the bound on requests is checked, and this is what fails it.
            if given.len() > TOO_MANY {
                break;
            }
        }
        let cursor = serde_json::to_string(&entries.cursor().unwrap()).unwrap();
        // What is still on its way when the reader stops is told by nobody.
        let (requests, failed) = {
            let changing = changing.lock().unwrap();
            (if ended { changing.requests } else { 0 }, changing.failed)
        };
        let part = Part { given, summary: entries.summary(), ended, twice, requests, failed };
        (serde_json::from_str(&cursor).unwrap(), part)
    }

    /// The fewest records that the server gives at most.
    fn smallest_page(&self) -> u64 {
        let clamps = self.events.iter().chain(&self.meanwhile).filter_map(|it| match it {
            Event::Clamp(size) => Some(u64::from(*size)),
            _ => None,
        });
        clamps.min().unwrap_or(u64::MAX)
    }

    /// What must hold of a reading, whatever happened.
    fn check(&self, reading: &Reading, changing: &Changing) -> Result<(), String> {
        self.check_missed(reading, changing)?;
        for (index, part) in reading.iter().enumerate() {
            let page_size = if index == 0 { self.page_size } else { self.later_size };
            let most = self.remembered.map_or(usize::MAX, |it| it.max(2 * page_size as usize));
            if let Some((id, apart)) = part.twice.iter().find(|(_, apart)| *apart < most) {
                return Err(format!("{id} was given again {apart} records later: {:?}", part.given));
            }
            let (requests, given) = (part.summary.requests, part.given.len());
            if part.requests > requests + part.failed {
                return Err(format!("{} requests, and the summary tells of {requests}", part.requests));
            }
            // The same page of records that can't be told apart, wherever it's asked for: a listing without an end.
            let endless = changing.seen.alike && changing.seen.clamped;
            // Nor has one that grows at its end by as much as is read, or anywhere by nearly as much as a page brings,
            // or of which only the growing part can be reached. (One that moves there is another one again, once it's
            // forgotten.)
            let growth = match self.steady {
                Some(Event::Grow(count)) => u64::from(count),
                Some(Event::Insert(_)) => 1,
                Some(Event::Move(_)) if self.remembered.is_some() => 1,
                _ => 0,
            };
            let is_outrun = 2 * growth + 1 >= self.smallest_page().min(page_size.into());
            let grows_on = self.order == SortOrder::Asc || changing.seen.misplaced || is_outrun;
            let endless = endless || (growth > 0 && grows_on);
            // Rows of an invalid record are records of their own, one behind the other.
            let is_invalid = |it: &Event| matches!(it, Event::Spoil(_) | Event::SpoilAlike(_));
            let mut all = self.events.iter().chain(&self.meanwhile).chain(&self.steady);
            let is_doubled = all.clone().any(|it| matches!(it, Event::Duplicate(_)));
            let endless = endless || (self.steady.is_some() && is_doubled && all.any(is_invalid));
            // Without what was read ahead in vain.
            let search = if index == 0 { 0 } else { most_requests(TOO_MANY as u64, page_size) };
            let answers = 2 * given as u64 + 201 + search;
            let most = if self.prefetch > 1 { 3 * answers + 2 * self.prefetch as u64 } else { answers };
            if requests > most || (given > TOO_MANY && !endless) {
                return Err(format!(
                    "{requests} requests, and not {most}, for {given} records: {:?}",
                    &part.given[..given.min(100)]
                ));
            }
        }
        if changing.changes == 0 && self.stops.is_empty() && !self.jitter && !self.was_lied_to() {
            self.check_quiet(&reading[0].summary, reading)?;
        }
        Ok(())
    }

    fn check_missed(&self, reading: &Reading, changing: &Changing) -> Result<(), String> {
        let verdict = reading.last().unwrap().summary.verdict;
        let missed: Vec<_> = changing.throughout.iter().copied().filter(|it| !changing.given.contains(it)).collect();
        // What a client is told and can't check. A total that's none may end a listing anywhere.
        if missed.is_empty() || verdict.is_incomplete() || self.was_lied_to() {
            return Ok(());
        }
        let told = || Err(format!("said to be {verdict}, and {missed:?} are missing"));
        if verdict.is_complete() {
            return told();
        }
        // A few that moved to the head are found there in the end. (Not what a record that was given passed on its
        // way.)
        let moves = self.events.iter().filter(|it| matches!(it, Event::Move(_))).count();
        let only_moves = self.events.iter().all(|it| matches!(it, Event::Move(_) | Event::Nothing));
        let only_moves = only_moves && self.steady.is_none();
        // What comes in the middle as fast as it's read can't be told from what comes at the end.
        let comes_ahead = self.events.iter().chain(&self.steady).any(|it| matches!(it, Event::Insert(_)));
        let outrun = verdict == Verdict::Unverified(Doubt::GrewAtEnd) && comes_ahead;
        let excused = changing.seen.excuse().is_some() || outrun;
        if only_moves && moves <= 3 && self.page_size >= 8 && self.stops.is_empty() && !excused {
            return Err(format!("{missed:?} moved and were not found again"));
        }
        // Whatever else happened, in one part or in several: what kept its place is given.
        let kept = missed.iter().any(|it| !changing.seen.moved.contains(it));
        if kept && !excused { told() } else { Ok(()) }
    }

    /// Nothing happens: it's read to its end.
    fn check_read(&self, reading: &Reading, changing: &Changing) -> Result<(), String> {
        let verdict = reading.last().unwrap().summary.verdict;
        let quiet = changing.changes == 0 && !self.jitter && !self.was_lied_to();
        if quiet && verdict.is_incomplete() { Err(format!("a quiet log is {verdict}")) } else { Ok(()) }
    }

    /// Nothing happens: everything is given in order, by as many requests as are documented, with the verdict that the
    /// total allows.
    fn check_quiet(&self, summary: &Summary, parts: &[Part]) -> Result<(), String> {
        let (n, size) = (u64::from(self.records), u64::from(self.page_size));
        let ids: Vec<u64> = match self.order {
            SortOrder::Desc => (1..=n).rev().collect(),
            SortOrder::Asc => (1..=n).collect(),
        };
        let given: Vec<_> = parts.iter().flat_map(|it| it.given.iter().copied()).collect();
        if given != ids {
            return Err(format!("out of order, or not all: {given:?}"));
        }
        let by_total = self.told == TotalScope::Listing && self.count == FakeTotal::All;
        let again = u64::from(self.order_told() == Stability::Unstable);
        let head = |size: u64| again * (n.min(4) - 1).div_ceil((size - 1).max(1)).max(1);
        let expected = match (n, size) {
            (0, _) => 2,
            // One at a time, an empty answer twice, and the first four again.
            (_, 1) => n + 2 + again * n.min(4),
            // One that stands alone can't be told from a server that gives single records: an empty answer twice.
            (1, _) if !by_total => 1 + 2 + again,
            _ => {
                let windows = 1 + n.saturating_sub(size).div_ceil(size - 1);
                // Only where a single window had room for all is there nothing to prove.
                windows + u64::from(!(by_total && n < size)) + head(size)
            }
        };
        // What is read ahead in vain at the end is never more than that.
        if !(expected..expected + self.prefetch as u64).contains(&summary.requests) {
            return Err(format!("{} requests for {n} records by {size}, not {expected}", summary.requests));
        }
        let true_total = self.count == FakeTotal::All && self.order_told() == Stability::Stable;
        let complete = match self.told {
            TotalScope::Page => false,
            TotalScope::Listing => true_total && (size > 1 || n == 0),
            // A total that might as well be the page's count says nothing.
            _ => true_total && n > 1 && size > 1,
        };
        match summary.verdict {
            Verdict::Complete if complete => Ok(()),
            Verdict::Unverified(_) if !complete => Ok(()),
            verdict => Err(format!("{verdict} where complete is {complete}")),
        }
    }
}

fn run(case: &Case, rules: Rules) -> (Result<(), String>, Reading, Arc<Mutex<Changing>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (reading, changing) = runtime.block_on(case.read(rules));
    let changed = changing.lock().unwrap();
    let checked = if rules == Rules::ALL {
        case.check(&reading, &changed)
    } else {
        // To miss a rule by the number of requests, or by a repeat, wouldn't show what it's good for: a loss does.
        case.check_missed(&reading, &changed).and_then(|()| case.check_read(&reading, &changed))
    };
    drop(changed);
    (checked, reading, changing)
}

/// How many cases to run.
fn cases(unless_set: u32) -> u32 {
    std::env::var("MODEL_CASES").map_or(unless_set, |it| it.parse().unwrap())
}

fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    // The same cases every time: a failure is one that the change made.
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

#[test]
fn nothing_is_missed_under_a_verdict_of_complete_whatever_happens() {
    let cases = cases(2_000);
    let seen = std::cell::Cell::new([0u32; 7]);
    runner(cases)
        .run(&case(), |case| {
            let (checked, reading, changing) = run(&case, Rules::ALL);
            let changing = changing.lock().unwrap();
            let mut counts = seen.get();
            let last = reading.last().unwrap();
            counts[0] += u32::from(reading.iter().any(|it| it.summary.lost_positions > 0));
            counts[1] += u32::from(changing.seen.clamped);
            counts[2] += u32::from(!changing.seen.moved.is_empty());
            counts[3] += u32::from(reading.iter().skip(1).any(|it| !it.given.is_empty()));
            counts[4] += u32::from(last.summary.verdict.is_complete());
            if !last.summary.verdict.is_incomplete() && !case.was_lied_to() {
                counts[5] += 1;
                counts[6] += u32::from(changing.seen.excuse().is_none());
            }
            seen.set(counts);
            checked.map_err(|why| TestCaseError::fail(format!("{why}\n{changing:?}\n{reading:.200?}")))
        })
        .unwrap();
    let [lost, clamped, moved, resumed, complete, ended, held] = seen.get();
    println!(
        "{cases} cases: {lost} lost the place, {clamped} clamped, {moved} moved, {resumed} resumed, {complete} complete; \
         of {ended} that came to the end {held} were held to skip nothing"
    );
    for (what, count) in [("a lost place", lost), ("a clamp", clamped), ("a move", moved), ("a resume", resumed)] {
        assert!(count >= cases / 5, "only {count} of {cases} cases have {what}");
    }
    assert!(held >= cases / 2, "only {held} of {cases} cases were held to skip nothing");
    assert!(complete >= cases / 40, "only {complete} of {cases} cases are complete");
}

#[test]
fn each_rule_is_needed() {
    let without = [
        ("R1", Rules { overlap: false, ..Rules::ALL }),
        ("R2", Rules { last_seen: false, ..Rules::ALL }),
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
        let case = case().prop_map(|case| Case { prefetch: 1, ..case });
        let caught = runner.run(&case, |case| run(&case, rules).0.map_err(TestCaseError::fail));
        match caught {
            Err(error) => println!("without {rule}: {}", error.to_string().lines().next().unwrap_or_default()),
            Ok(()) => panic!("500 cases don't show what {rule} is good for"),
        }
    }
}

/// A case in which nothing is special.
fn plain(records: u8, page_size: u32, events: Vec<Event>) -> Case {
    Case {
        records,
        page_size,
        order: SortOrder::Asc,
        count: FakeTotal::All,
        jitter: false,
        told: TotalScope::Listing,
        events,
        steady: None,
        stops: Vec::new(),
        meanwhile: Vec::new(),
        told_order: Stability::Stable,
        at_once: 1,
        later_size: page_size,
        remembered: None,
        prefetch: 1,
        delays: 0,
    }
}

#[test]
fn what_moves_to_the_end_while_pages_are_on_their_way_is_found_there() {
    for told in [TotalScope::Unknown, TotalScope::Listing] {
        for delays in 0..60 {
            for turn in 1..6 {
                let mut events = vec![Event::Nothing; turn];
                events.push(Event::Move(69));
                let count = if told == TotalScope::Unknown { FakeTotal::Absent } else { FakeTotal::All };
                let case = Case { told, count, prefetch: 4, delays, ..plain(45, 12, events) };
                let (checked, _, changing) = run(&case, Rules::ALL);
                let missed: Vec<_> = (1..=45).filter(|it| !changing.lock().unwrap().given.contains(it)).collect();
                assert!(checked.is_ok() && missed.is_empty(), "{checked:?}: {missed:?} of {case:?}");
            }
        }
    }
}

#[test]
fn a_total_that_fits_a_page_from_elsewhere_ends_nothing() {
    // The page at 45 is the one at 40, and there are 45 and ten records.
    let mut events = vec![Event::Clamp(10)];
    events.extend([Event::Nothing; 3]);
    events.extend([Event::ClampOffset(40)]);
    let (checked, reading, _) = run(&plain(55, 25, events), Rules::ALL);
    let verdict = reading[0].summary.verdict;
    assert!(checked.is_ok() && verdict.is_incomplete(), "{checked:?}: {reading:?}");
}
