//! Random listings, what happens to them, and what the follower does meanwhile.

use proptest::prelude::*;

use crate::follow::machine::tests::{settings, time};
use crate::follow::machine::{Begin, Settings, Side};
use crate::page::Stability;
use crate::page::walk::plan::Plan;

/// Something that happens before a request. Positions are 256ths of the listing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Event {
    Nothing,
    /// New records.
    Grow(u8),
    /// Many new records.
    Burst(u8),
    /// A record that comes late.
    Insert(u8),
    /// A record changes, and may be final from then on.
    Change(u8),
    Finish(u8),
    /// Records go, from this position on; the oldest, the newest.
    Delete(u8, u8),
    Retire(u8),
    Expire(u8),
    /// A record leaves the listing, and the last one that did comes back.
    Hide(u8),
    Unhide,
    /// A record moves to where the newest stand.
    Move(u8),
    /// Many of the newest are gone, as after a restore from a backup.
    Restore(u8),
    /// New records have the ids of those that are gone.
    Reuse,
    EmptyAll,
    /// From now on the server returns this many at most.
    Clamp(u8),
    /// The response is empty, or a record short.
    Empty,
    Short,
}

/// What the follower does next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Poll,
    Sweep,
    FullScan,
    /// The process dies after so many more requests, and starts again from one of the checkpoints it stored.
    Kill(u8, u8),
}

#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) records: u8,
    pub(super) page_size: u32,
    pub(super) lookback: usize,
    pub(super) side: Side,
    /// The follower doesn't know which end grows.
    pub(super) is_undecided: bool,
    pub(super) order: Stability,
    /// The time of a record is its rank in this order, for `Since`.
    pub(super) begin: u8,
    pub(super) has_total: bool,
    pub(super) events: Vec<Event>,
    pub(super) steps: Vec<Step>,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        10 => Just(Event::Nothing),
        4 => (1..6u8).prop_map(Event::Grow),
        1 => (1..20u8).prop_map(Event::Burst),
        2 => any::<u8>().prop_map(Event::Insert),
        3 => any::<u8>().prop_map(Event::Change),
        2 => any::<u8>().prop_map(Event::Finish),
        2 => (any::<u8>(), 1..6u8).prop_map(|(at, count)| Event::Delete(at, count)),
        1 => (1..9u8).prop_map(Event::Retire),
        1 => (1..9u8).prop_map(Event::Expire),
        1 => any::<u8>().prop_map(Event::Hide),
        1 => Just(Event::Unhide),
        1 => any::<u8>().prop_map(Event::Move),
        1 => prop_oneof![3 => 1..30u8, 1 => 30..100u8].prop_map(Event::Restore),
        1 => Just(Event::Reuse),
        1 => (2..9u8).prop_map(Event::Clamp),
        1 => Just(Event::Empty),
        1 => Just(Event::Short),
    ]
}

fn calm_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => Just(Event::Nothing),
        4 => (1..6u8).prop_map(Event::Grow),
        1 => (1..20u8).prop_map(Event::Burst),
        3 => any::<u8>().prop_map(Event::Change),
        2 => any::<u8>().prop_map(Event::Finish),
        1 => (3..9u8).prop_map(Event::Clamp),
        1 => Just(Event::Empty),
        1 => Just(Event::Short),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Poll),
        3 => Just(Step::Sweep),
        1 => Just(Step::FullScan),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(after, which)| Step::Kill(after, which)),
    ]
}

pub(super) fn case() -> impl Strategy<Value = Case> {
    let any_kind = prop::collection::vec(event(), 0..60).boxed();
    let calm = prop::collection::vec(calm_event(), 0..60).boxed();
    let one_kind = (event(), 1..30usize).prop_map(|(event, count)| vec![event; count]).boxed();
    let emptied = (prop::collection::vec(event(), 0..30), 0..30usize)
        .prop_map(|(mut events, at)| {
            events.insert(at.min(events.len()), Event::EmptyAll);
            events
        })
        .boxed();
    let events = prop_oneof![5 => any_kind, 4 => calm, 1 => one_kind, 1 => emptied];
    let side = prop_oneof![Just(Side::Head), Just(Side::End)];
    let order = prop_oneof![Just(Stability::Stable), Just(Stability::Unstable)];
    let lookback = prop_oneof![1..20usize, 20..90usize];
    let shape = (0..90u8, 2..14u32, lookback);
    let rules = (side, prop::bool::weighted(0.2), order, 0..3u8, any::<bool>());
    (shape, rules, events, prop::collection::vec(step(), 1..24)).prop_map(|(shape, rules, mut events, steps)| {
        let (records, page_size, lookback) = shape;
        let (side, is_undecided, order, begin, has_total) = rules;
        let moves = |it: &Event| matches!(it, Event::Move(_) | Event::Unhide);
        let order = if events.iter().any(moves) { Stability::Unstable } else { order };
        // A server is empty for a moment: never twice in a row.
        let mut last = 3;
        for event in &mut events {
            last += 1;
            // Where records move, another one with a remembered id is taken for one that moved.
            if *event == Event::Reuse && order == Stability::Unstable {
                *event = Event::Nothing;
            }
            if *event == Event::Empty {
                (*event, last) = if last < 3 { (Event::Nothing, last) } else { (*event, 0) };
            }
        }
        Case { records, page_size, lookback, side, is_undecided, order, begin, has_total, events, steps }
    })
}

impl Case {
    pub(super) fn settings(&self) -> Settings {
        let settings = settings((!self.is_undecided).then_some(self.side), self.order, self.lookback);
        let plan = Plan { limit: self.page_size, max_unproductive_requests: 200, ..settings.plan };
        Settings { plan, ..settings }
    }

    pub(super) fn begin(&self) -> Begin {
        match self.begin {
            0 => Begin::Beginning,
            1 => Begin::Latest,
            _ => Begin::Since(self.since()),
        }
    }

    pub(super) fn since(&self) -> chrono::DateTime<chrono::Utc> {
        time(i64::from(self.records) / 2)
    }

    /// Records come where the newest stand, and change. Pages show what stands beside them.
    pub(super) fn is_calm(&self) -> bool {
        use Event::{Burst, Change, Clamp, Empty, Finish, Grow, Nothing, Short};
        let is_calm =
            |it: &Event| matches!(it, Nothing | Grow(_) | Burst(_) | Change(_) | Finish(_) | Clamp(_) | Empty | Short);
        self.page_size > 2 && self.events.iter().all(is_calm)
    }

    /// How many of the newest records are read again: two pages at least.
    pub(super) fn lookback(&self) -> usize {
        self.lookback.max(2 * self.page_size as usize)
    }
}
