//! A listing that changes between any two requests, and what a copy of it must hold in the end.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use crate::follow::machine::model::case::Event;
use crate::follow::machine::tests::time;
use crate::follow::machine::{Side, Sighting};
use crate::page::{RecordKey, Window};

#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: i64,
    /// The number of its last change: no two states of any record have the same one.
    pub(super) state: u64,
    is_final: bool,
    pub(super) time: DateTime<Utc>,
    /// It was in the listing when the follower began.
    pub(super) is_initial: bool,
    /// It was inserted below the head, came back there, or moved there.
    pub(super) is_displaced: bool,
    /// The last request at which it stood behind the lookback.
    pub(super) behind_at: u64,
    /// A page has shown it.
    is_shown: bool,
    /// The number of its first state: another record may have had its id before.
    pub(super) first: u64,
}

impl Row {
    /// At the end that doesn't grow, it would look like a record that was added there.
    fn looks_added(&self, has_moved: bool) -> bool {
        self.is_displaced || (has_moved && !self.is_shown && !self.is_initial)
    }
}

/// From this position on, a record that comes late comes below all others.
const LOWEST: u8 = 240;

/// The listing, the newest record first.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    pub(super) rows: Vec<Row>,
    next: i64,
    states: u64,
    hidden: Vec<(usize, Row)>,
    largest_page: Option<usize>,
    is_empty_once: bool,
    is_short_once: bool,
    pub(super) requests: u64,
    /// At how many requests a record that was there once was missing.
    absent: HashMap<i64, u64>,
    ids: HashSet<i64>,
    /// The first change of each record that the follower may have to deliver: those of the beginning don't count.
    pub(super) first_state: u64,
    /// A record has moved, or come back.
    pub(super) has_moved: bool,
    /// Nothing is added at the end that doesn't grow.
    has_fixed_end: bool,
}

impl World {
    pub(super) fn with(records: u8, has_fixed_end: bool) -> Self {
        let mut world = Self { has_fixed_end, ..Self::default() };
        for _ in 0..records {
            world.grow(true);
        }
        world.first_state = world.states;
        world
    }

    /// What is there now isn't asked for: the follower has still to find the newest record.
    pub(super) fn begin_here(&mut self) {
        self.rows.iter_mut().for_each(|it| it.is_initial = true);
        self.first_state = self.states;
    }

    fn fresh(&mut self) -> Row {
        self.next += 1;
        self.states += 1;
        // With an id that another record had, it is a record that came back.
        let is_again = !self.ids.insert(self.next);
        Row {
            id: self.next,
            state: self.states,
            is_final: false,
            time: time(self.next),
            is_initial: false,
            is_displaced: is_again,
            behind_at: 0,
            is_shown: false,
            first: self.states,
        }
    }

    fn grow(&mut self, is_initial: bool) {
        let row = Row { is_initial, ..self.fresh() };
        self.rows.insert(0, row);
    }

    pub(super) fn apply(&mut self, event: Event) {
        let length = self.rows.len();
        let at = |position: u8| usize::from(position) * length / 256;
        match event {
            Event::Nothing => {}
            Event::Grow(count) => (0..count).for_each(|_| self.grow(false)),
            Event::Burst(count) => (0..u32::from(count) * 5).for_each(|_| self.grow(false)),
            Event::Insert(position) => {
                // Below the last one, too.
                let at = if position >= LOWEST { length } else { at(position) };
                let near = self.rows.get(at).or(self.rows.last()).map(|it| it.time);
                // With the id of one that is gone, it would be a record that has moved.
                self.next = self.ids.iter().copied().fold(self.next, i64::max);
                let row = self.fresh();
                let row = Row { is_displaced: row.is_displaced || at > 0, time: near.unwrap_or(row.time), ..row };
                self.rows.insert(at, row);
            }
            Event::Change(position) | Event::Finish(position) => {
                self.states += 1;
                let (states, at) = (self.states, at(position));
                if let Some(row) = self.rows.get_mut(at) {
                    row.state = states;
                    row.is_final |= matches!(event, Event::Finish(_));
                }
            }
            Event::Delete(position, count) => {
                for _ in 0..count {
                    if at(position) < self.rows.len() {
                        self.rows.remove(at(position));
                    }
                }
            }
            Event::Retire(count) => self.rows.truncate(length.saturating_sub(count.into())),
            Event::Expire(count) | Event::Restore(count) => drop(self.rows.drain(..length.min(count.into()))),
            Event::Hide(position) => {
                if at(position) < length {
                    let row = self.rows.remove(at(position));
                    self.hidden.push((at(position), row));
                }
            }
            Event::Unhide => {
                if let Some((position, row)) = self.hidden.pop() {
                    self.has_moved = true;
                    let lowest = if self.has_fixed_end { length.saturating_sub(1) } else { length };
                    self.rows.insert(position.min(lowest), Row { is_displaced: true, ..row });
                }
            }
            Event::Move(position) => {
                if at(position) < length {
                    self.has_moved = true;
                    let row = self.rows.remove(at(position));
                    self.rows.insert(0, Row { is_displaced: true, ..row });
                }
            }
            Event::Reuse => {
                let hidden = self.hidden.iter().map(|(_, row)| row);
                self.next = self.rows.iter().chain(hidden).map(|it| it.id).max().unwrap_or_default();
            }
            Event::EmptyAll => self.rows.clear(),
            Event::Clamp(size) => self.largest_page = Some(usize::from(size).max(2)),
            Event::Empty => self.is_empty_once = true,
            Event::Short => self.is_short_once = true,
        }
        // With those below it gone, or moved, a record that came late looks like one that was added at the wrong end,
        // and so does a new one.
        while self.has_fixed_end && self.rows.last().is_some_and(|it| it.looks_added(self.has_moved)) {
            self.rows.pop();
        }
    }

    /// The response to a request.
    pub(super) fn page(&mut self, window: Window, side: Side, lookback: usize) -> Vec<Sighting> {
        self.requests += 1;
        let requests = self.requests;
        self.rows.iter_mut().skip(lookback).for_each(|it| it.behind_at = requests);
        let there: HashSet<_> = self.rows.iter().map(|it| it.id).collect();
        for id in self.ids.difference(&there) {
            *self.absent.entry(*id).or_default() += 1;
        }
        let limit = self.page_size(window.limit);
        let offset = usize::try_from(window.offset).unwrap();
        let view = |row: &mut Row| {
            row.is_shown = true;
            Sighting {
                key: RecordKey::from(row.id),
                digest: row.state,
                is_final: Some(row.is_final),
                time: Some(row.time),
            }
        };
        let mut page: Vec<_> = match side {
            Side::Head => self.rows.iter_mut().skip(offset).take(limit).map(view).collect(),
            Side::End => self.rows.iter_mut().rev().skip(offset).take(limit).map(view).collect(),
        };
        if std::mem::take(&mut self.is_empty_once) {
            page.clear();
        }
        if std::mem::take(&mut self.is_short_once) && page.len() > 2 {
            page.pop();
        }
        page
    }

    pub(super) fn row(&mut self, id: i64) -> Option<&mut Row> {
        self.rows.iter_mut().find(|it| it.id == id)
    }

    pub(super) fn depth(&self, id: i64) -> Option<usize> {
        self.rows.iter().position(|it| it.id == id)
    }

    /// The depth of the record that began with this state.
    pub(super) fn depth_of(&self, first: u64) -> Option<usize> {
        self.rows.iter().position(|it| it.first == first)
    }

    /// How many records a page has at most.
    pub(super) fn page_size(&self, limit: u32) -> usize {
        (limit as usize).min(self.largest_page.unwrap_or(usize::MAX))
    }

    /// At how many requests so far this record wasn't there.
    pub(super) fn times_absent(&self, id: i64) -> u64 {
        self.absent.get(&id).copied().unwrap_or_default()
    }
}
