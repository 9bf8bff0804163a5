//! The cases of the model: a log, the changes to it, and the scan of it.

use proptest::prelude::*;

use crate::integration::SortOrder;
use crate::page::{Stability, TotalScope};
use crate::testing::FakeTotal;

/// The size of a large record. That of the others is 1.
pub(super) const LARGE: u64 = 5;

/// The size of a record: one in seven is large.
pub(super) fn size_of_record(id: u64) -> u64 {
    if id % 7 == 3 { LARGE } else { 1 }
}

/// A change before a request. A `u8` index stands for a share of the log, in 256ths.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Nothing,
    /// New records at the head.
    Grow(u8),
    /// A new record somewhere.
    Insert(u8),
    /// Records are removed, from this index on.
    Delete(u8, u8),
    /// The oldest records are removed, as by a retention job.
    Retire(u8),
    /// The newest records are removed.
    Expire(u8),
    /// A record is listed twice, in two rows.
    Duplicate(u8),
    /// All records delivered so far are removed.
    DeleteAllRead,
    /// A record leaves the listing, as if it had stopped matching a filter.
    Hide(u8),
    /// The record that was hidden last is back where it was.
    Unhide,
    /// A record moves to the head.
    Move(u8),
    /// A record moves from one place to another.
    MoveTo(u8, u8),
    /// So do several in a row.
    MoveBlock(u8, u8),
    /// The records that moved last to another place are back where they were.
    MoveBack,
    /// A block of records, from this index on, moves to another index.
    MoveRange(u8, u8, u8),
    /// From now on the server returns at most this many records.
    Clamp(u8),
    /// From now on the server cuts its pages at this size. Some records are as large as several others.
    CutBySize(u8),
    /// From now on the server clamps larger offsets to this one.
    ClampOffset(u8),
    /// The next response is empty.
    Empty,
    /// The next response is one record short.
    Short,
    /// The next request fails with a 503.
    Fail,
    /// A record is invalid from now on.
    Spoil(u8),
    /// A record is invalid from now on, and has the same raw JSON as other invalid ones.
    SpoilAlike(u8),
}

#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) records: u8,
    pub(super) page_size: u32,
    pub(super) order: SortOrder,
    /// What the server's total counts.
    pub(super) count: FakeTotal,
    pub(super) jitter: bool,
    pub(super) total_scope: TotalScope,
    pub(super) changes: Vec<Change>,
    /// The change before every request, forever.
    pub(super) steady: Option<Change>,
    /// After how many records the scan stops and resumes from its cursor.
    pub(super) stops: Vec<u8>,
    /// The changes while it is stopped.
    pub(super) meanwhile: Vec<Change>,
    /// The configured stability. Where records move, `Case::stability` overrides it.
    pub(super) stability: Stability,
    /// How many of the changes happen before each request: several may cancel out in the total.
    pub(super) at_once: usize,
    /// The page size after a stop.
    pub(super) later_size: u32,
    /// How many record keys the scan remembers. All of them unless set.
    pub(super) remembered: Option<usize>,
    /// How many requests may be in flight, and the seed of their delays.
    pub(super) prefetch: usize,
    pub(super) delays: u64,
    /// How many times the listing may be scanned, to verify the scan.
    pub(super) scans: Option<u32>,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        8 => Just(Change::Nothing),
        2 => (1..14u8).prop_map(Change::Grow),
        2 => any::<u8>().prop_map(Change::Insert),
        2 => (any::<u8>(), 1..14u8).prop_map(|(at, count)| Change::Delete(at, count)),
        1 => (1..4u8).prop_map(Change::Retire),
        1 => (1..4u8).prop_map(Change::Expire),
        1 => any::<u8>().prop_map(Change::Duplicate),
        1 => Just(Change::DeleteAllRead),
        1 => any::<u8>().prop_map(Change::Hide),
        1 => Just(Change::Unhide),
        2 => any::<u8>().prop_map(Change::Move),
        1 => block(),
        1 => (1..8u8).prop_map(Change::Clamp),
        1 => (2..24u8).prop_map(Change::CutBySize),
        1 => (0..40u8).prop_map(Change::ClampOffset),
        1 => Just(Change::Empty),
        1 => Just(Change::Short),
        1 => Just(Change::Fail),
        1 => any::<u8>().prop_map(Change::Spoil),
        1 => any::<u8>().prop_map(Change::SpoilAlike),
    ]
}

pub(super) fn block() -> impl Strategy<Value = Change> {
    (any::<u8>(), 2..20u8, any::<u8>()).prop_map(|(from, count, to)| Change::MoveRange(from, count, to))
}

/// A change that may come before every request.
fn steady() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (1..9u8).prop_map(Change::Grow),
        1 => any::<u8>().prop_map(Change::Insert),
        1 => (any::<u8>(), 1..3u8).prop_map(|(at, count)| Change::Delete(at, count)),
        2 => (1..4u8).prop_map(Change::Retire),
        2 => (1..4u8).prop_map(Change::Expire),
        1 => any::<u8>().prop_map(Change::Hide),
        2 => any::<u8>().prop_map(Change::Move),
        1 => any::<u8>().prop_map(Change::Duplicate),
        1 => any::<u8>().prop_map(Change::Spoil),
    ]
}

/// A server returns an empty page for a moment: never twice in a row.
pub(super) fn one_empty(mut changes: Vec<Change>) -> Vec<Change> {
    let mut last = 3;
    for change in &mut changes {
        last += 1;
        if matches!(change, Change::Empty) {
            if last < 3 {
                *change = Change::Nothing;
            } else {
                last = 0;
            }
        }
    }
    changes
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
        // The client is configured with a scope that is wrong.
        1 => Just((FakeTotal::OfPage, false, TotalScope::Listing)),
        1 => Just((FakeTotal::All, true, TotalScope::Listing)),
        1 => Just((FakeTotal::All, false, TotalScope::Page)),
    ]
}

pub(super) fn case() -> impl Strategy<Value = Case> {
    let quiet = Just(Vec::new()).boxed();
    let one_kind = (change(), 1..30usize).prop_map(|(change, count)| vec![change; count]).boxed();
    let any_kind = prop::collection::vec(change(), 0..40).boxed();
    let few = prop_oneof![3 => Just(Change::Nothing), 1 => any::<u8>().prop_map(Change::Move)];
    let few_moves = prop::collection::vec(few, 1..12).boxed();
    let few = prop_oneof![3 => Just(Change::Nothing), 1 => block()];
    let few_blocks = prop::collection::vec(few, 1..12).boxed();
    let by_size = (2..24u8, prop::collection::vec(change(), 0..20));
    let by_size = by_size.prop_map(|(size, rest)| [vec![Change::CutBySize(size)], rest].concat()).boxed();
    let changes = prop_oneof![1 => quiet, 2 => few_moves, 2 => few_blocks, 2 => by_size, 2 => one_kind, 6 => any_kind];
    let changes = changes.prop_map(one_empty);
    let order = prop_oneof![Just(SortOrder::Desc), Just(SortOrder::Asc)];
    let stops = prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(0..30u8, 1..4)];
    // An empty response here would come on top of a planned one.
    let calm = |it: &Change| !matches!(it, Change::Empty);
    let meanwhile = prop::collection::vec(change().prop_filter("one at a time", calm), 0..6);
    let sizes = (1..14u32, prop_oneof![2 => Just(None), 1 => (1..14u32).prop_map(Some)]);
    let at_once = prop_oneof![2 => Just(1usize), 1 => 2..5usize];
    let remembered = prop_oneof![4 => Just(None), 1 => (1..40usize).prop_map(Some)];
    let prefetch = prop_oneof![2 => Just(1usize), 2 => 2..6usize, 1 => 2..33usize];
    let steady = prop_oneof![3 => Just(None), 2 => steady().prop_map(Some)];
    let more = ((at_once, remembered), (prefetch, any::<u64>()), steady);
    (0..60u8, sizes, order, counts(), changes, stops, meanwhile, more).prop_map(
        |(records, (page_size, later), order, (count, jitter, total_scope), mut changes, stops, meanwhile, more)| {
            let ((at_once, remembered), (prefetch, delays), steady) = more;
            let stability = if records % 3 == 0 { Stability::Unstable } else { Stability::Stable };
            if at_once > 1 {
                // Several changes at once bring empty responses closer together: allow one.
                let mut empty = 0;
                changes.retain(|it| {
                    empty += u32::from(matches!(it, Change::Empty));
                    empty < 2 || !matches!(it, Change::Empty)
                });
            }
            let later_size = later.unwrap_or(page_size);
            Case {
                records,
                page_size,
                order,
                count,
                jitter,
                total_scope,
                changes,
                steady,
                stops,
                meanwhile,
                stability,
                at_once,
                later_size,
                remembered,
                prefetch,
                delays,
                scans: None,
            }
        },
    )
}

/// A log that grows at its head before every request, by less than half a page, while several are in flight and blocks
/// of records move.
pub(super) fn busy_case() -> impl Strategy<Value = Case> {
    let change = prop_oneof![3 => Just(Change::Nothing), 1 => block()];
    let more = (prop::collection::vec(change, 1..24), 1..6u8, 0..4u32, prop_oneof![1 => 1..2usize, 3 => 2..12usize]);
    (case(), more).prop_map(|(case, (changes, growth, room, prefetch))| Case {
        changes,
        steady: Some(Change::Grow(growth)),
        page_size: 2 * u32::from(growth) + 2 + room,
        order: SortOrder::Desc,
        stability: Stability::Unstable,
        stops: Vec::new(),
        meanwhile: Vec::new(),
        at_once: 1,
        prefetch,
        ..case
    })
}

/// A case without anything special.
pub(super) fn plain(records: u8, page_size: u32, changes: Vec<Change>) -> Case {
    Case {
        records,
        page_size,
        order: SortOrder::Asc,
        count: FakeTotal::All,
        jitter: false,
        total_scope: TotalScope::Listing,
        changes,
        steady: None,
        stops: Vec::new(),
        meanwhile: Vec::new(),
        stability: Stability::Stable,
        at_once: 1,
        later_size: page_size,
        remembered: None,
        prefetch: 1,
        delays: 0,
        scans: None,
    }
}

impl Case {
    /// How many changes there are of what the listing holds. Steady ones count as two.
    pub(super) fn changes_of_content(&self) -> usize {
        let is_of_server = |it: &&Change| {
            use Change::{Clamp, ClampOffset, CutBySize, Empty, Fail, Nothing, Short};
            matches!(it, Nothing | Clamp(_) | CutBySize(_) | ClampOffset(_) | Empty | Short | Fail)
        };
        let steady = self.steady.iter().chain(&self.steady);
        self.changes.iter().chain(&self.meanwhile).chain(steady).filter(|it| !is_of_server(it)).count()
    }

    /// The stability that the client is configured with: never stable where records move.
    pub(super) fn stability(&self) -> Stability {
        let moves = |it: &Change| {
            let is_move = matches!(it, Change::Move(_) | Change::MoveTo(..) | Change::MoveBlock(..));
            is_move || matches!(it, Change::MoveRange(..)) || matches!(it, Change::Unhide | Change::MoveBack)
        };
        let moving = self.changes.iter().chain(&self.meanwhile).chain(&self.steady).any(moves);
        if moving { Stability::Unstable } else { self.stability }
    }

    /// Whether the client is configured to trust a total that is wrong.
    pub(super) fn is_misconfigured(&self) -> bool {
        let is_total = matches!(self.count, FakeTotal::All | FakeTotal::Absent) && !self.jitter;
        self.total_scope == TotalScope::Listing && !is_total
    }

    /// The smallest limit of the server on its pages.
    pub(super) fn smallest_page(&self) -> u64 {
        let clamps = self.changes.iter().chain(&self.meanwhile).filter_map(|it| match it {
            Change::Clamp(size) => Some(u64::from(*size)),
            Change::CutBySize(size) => Some((u64::from(*size) / LARGE).max(1)),
            _ => None,
        });
        clamps.min().unwrap_or(u64::MAX)
    }
}
