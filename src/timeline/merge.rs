//! The merge of several logs by time: which record comes next, and whom it waits for. Pure: the caller passes the time.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

/// In which order records come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// The newest first, as scans of most logs yield them.
    NewestFirst,
    /// The oldest first, as followers and scans for newer records yield them.
    OldestFirst,
}

impl Order {
    /// Returns whether a record of time `one` comes before one of time `other`.
    fn is_before(self, one: DateTime<Utc>, other: DateTime<Utc>) -> bool {
        match self {
            Self::NewestFirst => one > other,
            Self::OldestFirst => one < other,
        }
    }
}

/// Where an entry comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// By its time.
    At(DateTime<Utc>),
    /// Directly behind the entry before it in its log. The first ones of a log come before all others.
    Behind,
    /// At once.
    Now,
}

#[derive(Debug)]
struct Entry<T> {
    item: T,
    position: Position,
    arrived: Instant,
}

/// One log.
#[derive(Debug)]
struct Queue<T> {
    entries: VecDeque<Entry<T>>,
    /// Whether it is a log that never ends, such as that of a follower.
    live: bool,
    ended: bool,
    /// Nothing before this time comes any more.
    watermark: Option<DateTime<Utc>>,
    /// The others don't wait for it, until it has an entry again.
    left_behind: bool,
    /// It is live, and the others have waited for it as long as they may.
    overdue: bool,
    /// Since when the others have been waiting for it.
    blocks_since: Option<Instant>,
    /// Whether an entry has come out.
    begun: bool,
}

/// The most entries of a live log that are kept, each with the time since when it has been waiting: as many as the
/// largest page has.
const LIVE: usize = 100;

/// What the merge does next.
#[derive(Debug)]
pub(super) enum Next<T> {
    Item(Popped<T>),
    /// It waits for logs that have no entry: until one has, or until this time.
    Wait(Option<Instant>),
    /// All logs have ended.
    End,
}

/// An entry that comes out.
#[derive(Debug)]
pub(super) struct Popped<T> {
    pub(super) log: usize,
    pub(super) item: T,
    /// Its time, if it came by its time.
    pub(super) time: Option<DateTime<Utc>>,
    /// Whether one that comes behind it by their times came out before.
    pub(super) out_of_order: bool,
}

/// The time of an entry that comes before all others. Ordered by [`Merge::is_before`].
type Rank = Option<DateTime<Utc>>;

#[derive(Debug)]
pub(super) struct Merge<T> {
    order: Order,
    /// How long the others wait for a log: one that ends, and one that is live.
    waits: [Option<Duration>; 2],
    queues: Vec<Queue<T>>,
    /// The time that has been reached.
    reached: Option<DateTime<Utc>>,
}

impl<T> Merge<T> {
    pub(super) fn new(order: Order) -> Self {
        // A live log may be silent for hours, and that is no sign of trouble.
        Self { order, waits: [None, Some(Duration::from_secs(10))], queues: Vec::new(), reached: None }
    }

    pub(super) fn set_max_wait(&mut self, wait: Option<Duration>) {
        self.waits = [wait; 2];
    }

    pub(super) fn add(&mut self, live: bool) {
        self.queues.push(Queue {
            entries: VecDeque::new(),
            live,
            ended: false,
            watermark: None,
            left_behind: false,
            overdue: false,
            blocks_since: None,
            begun: false,
        });
    }

    /// Returns whether a log has to be asked for its next entry.
    pub(super) fn wants(&self, log: usize) -> bool {
        self.queues.get(log).is_some_and(|it| !it.ended && !it.is_full())
    }

    pub(super) fn push(&mut self, log: usize, item: T, position: Position, now: Instant) {
        let Some(queue) = self.queues.get_mut(log) else { return };
        let entry = Entry { item, position, arrived: now };
        match position {
            // It is no record: the others wait, or go on, as they did.
            Position::Now => {
                // Behind those that are waiting already, so that errors come in their order.
                let before = queue.entries.iter().take_while(|it| it.position == Position::Now).count();
                queue.entries.insert(before, entry);
            }
            Position::At(_) | Position::Behind => {
                queue.entries.push_back(entry);
                queue.left_behind = false;
                queue.blocks_since = None;
            }
        }
    }

    pub(super) fn set_watermark(&mut self, log: usize, time: DateTime<Utc>) {
        if let Some(queue) = self.queues.get_mut(log) {
            queue.watermark = queue.watermark.max(Some(time));
            // It failed for the moment, and is well again.
            queue.left_behind = false;
        }
    }

    /// Goes on without a log until it has an entry again. What it has by then still comes out.
    pub(super) fn leave_behind(&mut self, log: usize) {
        if let Some(queue) = self.queues.get_mut(log) {
            queue.left_behind = true;
        }
    }

    pub(super) fn end(&mut self, log: usize) {
        if let Some(queue) = self.queues.get_mut(log) {
            queue.ended = true;
        }
    }

    /// Returns since when the others have been waiting for a log, if they are.
    pub(super) fn blocks_since(&self, log: usize) -> Option<Instant> {
        self.queues.get(log)?.blocks_since
    }

    pub(super) fn is_left_behind(&self, log: usize) -> bool {
        let is_behind = |it: &Queue<T>| it.left_behind || it.overdue;
        self.queues.get(log).is_some_and(|it| is_behind(it) && it.entries.is_empty() && !it.ended)
    }

    pub(super) fn next(&mut self, now: Instant) -> Next<T> {
        if let Some(log) = self.at_once() {
            return self.pop(log);
        }
        let Some((log, rank)) = self.first() else {
            self.queues.iter_mut().for_each(|it| it.blocks_since = None);
            return if self.queues.iter().all(|it| it.ended) { Next::End } else { Next::Wait(None) };
        };
        // A record waits for live logs from when it came. A live log that has more of them than are kept here, or one
        // that isn't live, would then wait at each of them.
        let first = &self.queues[log];
        let arrived = first.entries.front().filter(|_| first.live && !first.is_full()).map(|it| it.arrived);
        let mut until = Some(now);
        let mut blocked = false;
        for (index, queue) in self.queues.iter_mut().enumerate() {
            let blocks = !queue.ended && !queue.left_behind && queue.entries.is_empty();
            queue.overdue = false;
            if !blocks || queue.has_passed(rank, self.order, index > log) {
                queue.blocks_since = None;
                continue;
            }
            let since = *queue.blocks_since.get_or_insert(now);
            let deadline = match (queue.live, self.waits) {
                (true, [_, wait]) => wait.and_then(|it| arrived.unwrap_or(since).checked_add(it)),
                (false, [wait, _]) => wait.and_then(|it| since.checked_add(it)),
            };
            if deadline.is_some_and(|it| it <= now) {
                // A live log is waited for again at the next record.
                queue.left_behind = !queue.live;
                queue.overdue = queue.live;
                continue;
            }
            blocked = true;
            until = until.zip(deadline).map(|(one, other)| one.max(other));
        }
        if blocked { Next::Wait(until) } else { self.pop(log) }
    }

    /// Returns a log whose next entry waits for nothing.
    fn at_once(&self) -> Option<usize> {
        self.queues.iter().position(|it| match it.entries.front().map(|it| it.position) {
            Some(Position::Now) => true,
            Some(Position::Behind) => it.begun,
            Some(Position::At(_)) | None => false,
        })
    }

    /// Returns the log whose entry comes first, and its time. Of several with the same time, the log added first.
    fn first(&self) -> Option<(usize, Rank)> {
        let mut first: Option<(usize, Rank)> = None;
        for (log, queue) in self.queues.iter().enumerate() {
            let Some(entry) = queue.entries.front() else { continue };
            let rank = match entry.position {
                Position::At(time) => Some(time),
                Position::Behind | Position::Now => None,
            };
            let is_before = match (rank, first) {
                (_, None) => true,
                (_, Some((_, None))) => false,
                (None, Some(_)) => true,
                (Some(one), Some((_, Some(other)))) => self.order.is_before(one, other),
            };
            if is_before {
                first = Some((log, rank));
            }
        }
        first
    }

    fn pop(&mut self, log: usize) -> Next<T> {
        let queue = &mut self.queues[log];
        let Some(entry) = queue.entries.pop_front() else { return Next::Wait(None) };
        queue.begun |= entry.position != Position::Now;
        let time = match entry.position {
            Position::At(time) => Some(time),
            Position::Behind | Position::Now => None,
        };
        let out_of_order = time.zip(self.reached).is_some_and(|(time, reached)| self.order.is_before(time, reached));
        if !out_of_order {
            self.reached = time.or(self.reached);
        }
        Next::Item(Popped { log, item: entry.item, time, out_of_order })
    }
}

impl<T> Queue<T> {
    /// Returns whether no more entries are kept.
    fn is_full(&self) -> bool {
        self.entries.len() >= if self.live { LIVE } else { 1 }
    }

    /// Returns whether nothing before this time comes from here any more. A record of the same time may come, and has
    /// its turn before that of a log that was added later.
    fn has_passed(&self, rank: Rank, order: Order, was_added_later: bool) -> bool {
        let Some((watermark, time)) = self.watermark.zip(rank) else { return false };
        order == Order::OldestFirst && (watermark > time || watermark == time && was_added_later)
    }
}
