//! What a checkpoint holds of a follower. Does no I/O.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::cursor::{Cursor, Fingerprint, Learned, Position};
use crate::follow::gap::GapReason;
use crate::follow::machine::table::{Entry, Table};
use crate::follow::machine::{Begin, Settings, Side, Sighting};
use crate::page::RecordKey;
use crate::page::walk::Walk;

/// How far a follower has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Nothing was read yet.
    Start(Begin),
    /// The listing is read for the first time, up to a position.
    Scanning,
    /// The newest records are known.
    Steady,
}

/// The state of a follower behind a batch.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    /// The records at the end of the listing that grows. Both, as long as it isn't known which one does.
    pub(crate) head: Option<Table>,
    pub(crate) end: Option<Table>,
    /// What was remembered when a walk to the end lost its position and began again further up, until it comes to that.
    pub(crate) before: Option<Table>,
    /// It went back to records which it had delivered: what is unknown among them is late.
    pub(crate) is_below: bool,
    /// The position of the first scan, and of what was read last of a listing that grows at its end.
    pub(crate) position: Option<ScanPosition>,
    /// The position of a full scan.
    pub(crate) refresh: Option<ScanPosition>,
    /// Records that aren't newer than this are not delivered.
    pub(crate) floor: Option<DateTime<Utc>>,
    pub(crate) gap: Option<GapReason>,
    pub(crate) newest: Option<DateTime<Utc>>,
    pub(crate) left: Left,
    /// Not all that was delivered is remembered: below the oldest remembered record stands some of it.
    pub(crate) has_left: bool,
    /// How many full scans have ended.
    pub(crate) scans: u64,
}

/// The records that left the lookback before they were final.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Left {
    pub(crate) count: u64,
    pub(crate) oldest: Option<(RecordKey, Option<DateTime<Utc>>)>,
}

impl Left {
    pub(crate) fn note(&mut self, key: &RecordKey, time: Option<DateTime<Utc>>, is_older: bool) {
        self.count += 1;
        if self.oldest.is_none() || is_older {
            self.oldest = Some((key.clone(), time));
        }
    }
}

impl State {
    pub(crate) fn new(settings: &Settings, begin: Begin) -> Self {
        let table = || Table::new(settings.remembered());
        Self {
            phase: Phase::Start(begin),
            head: (settings.side != Some(Side::End)).then(table),
            end: (settings.side != Some(Side::Head)).then(table),
            before: None,
            is_below: false,
            position: None,
            refresh: None,
            floor: if let Begin::Since(time) = begin { Some(time) } else { None },
            gap: None,
            newest: None,
            left: Left::default(),
            has_left: begin == Begin::Latest,
            scans: 0,
        }
    }

    /// Nothing of the listing is known any more. What is there is delivered, because some of it may not have been.
    pub(crate) fn restart(&mut self, settings: &Settings) {
        let (side, remembered) = (settings.side, settings.remembered());
        let begin = self.floor.map_or(Begin::Beginning, Begin::Since);
        let (head, end) = (self.head.is_some(), self.end.is_some());
        self.phase = Phase::Start(begin);
        self.head = (head || side == Some(Side::Head)).then(|| Table::new(remembered));
        self.end = (end || side == Some(Side::End)).then(|| Table::new(remembered));
        self.position = None;
        self.refresh = None;
        (self.before, self.is_below) = (None, false);
        self.has_left = false;
    }

    /// Whether no record is known.
    pub(crate) fn is_blank(&self) -> bool {
        [&self.head, &self.end].into_iter().flatten().all(Table::is_empty)
    }

    pub(crate) fn table_of(&self, side: Side) -> Option<&Table> {
        match side {
            Side::Head => self.head.as_ref(),
            Side::End => self.end.as_ref(),
        }
    }

    pub(crate) fn table(&mut self, side: Side) -> Option<&mut Table> {
        match side {
            Side::Head => self.head.as_mut(),
            Side::End => self.end.as_mut(),
        }
    }

    /// A walk that goes on at the position, which is the first one unless another is known.
    pub(crate) fn walk(&mut self, settings: &Settings) -> Walk {
        self.position.get_or_insert_with(|| ScanPosition::at(0)).walk(settings)
    }

    /// None of these records was found again.
    pub(crate) fn note_unseen(&mut self, gone: &Table) {
        if !gone.is_empty() && self.gap.is_none() {
            self.gap = Some(GapReason::RemovalsUnseen);
        }
    }

    /// Notes the last record of a listing that grows at its end, and where it stands.
    pub(crate) fn end_at(&mut self, last: &RecordKey, offset: u64, is_stable: bool) {
        let (Some(known), Some(end)) = (&mut self.position, &self.end) else { return };
        if known.last.as_ref() == Some(last) {
            return;
        }
        let (index, before) = (end.index(last), known.last.as_ref().and_then(|it| end.index(it)));
        // Where records move, one of those before the position may have moved to the end.
        let is_further_up = is_stable || index.zip(before).is_some_and(|(index, before)| index > before);
        if is_further_up && known.go_back(last, offset) {
            return;
        }
        let Some(index) = index else { return };
        // Behind the last of them that it knows stand those that a sweep delivered.
        let newest_first: Vec<_> = end.iter().skip(index).map(|it| &it.key).zip((0..=offset).rev()).collect();
        let since = newest_first.iter().take_while(|(key, _)| !known.position.has_just_passed(key)).count();
        if since == 0 || since == newest_first.len() {
            known.rebuild(newest_first.into_iter().rev(), offset);
        } else {
            newest_first[..since].iter().rev().for_each(|(key, offset)| known.advance(key, *offset));
        }
    }

    /// Notes that this page shows the last record of a listing that grows at its end.
    pub(crate) fn end_with(&mut self, page: &[Sighting], offset: u64, is_stable: bool) {
        let Some(last) = page.last() else { return };
        self.end_at(&last.key, offset.saturating_add(page.len() as u64 - 1), is_stable);
        if let Some(known) = self.position.as_mut().filter(|it| it.last.as_ref() != Some(&last.key)) {
            // All remembered records are gone: without this, each poll would search for the position.
            known.rebuild(page.iter().map(|it| &it.key).zip(offset..), offset);
        }
    }

    /// Notes a record that no longer fits the table.
    pub(crate) fn note_left(&mut self, entry: Option<Entry>) {
        self.has_left |= entry.is_some();
        if let Some(entry) = entry.filter(Entry::is_open) {
            self.left.note(&entry.key, entry.time, false);
        }
    }
}

/// A position in the listing, with what a cursor holds besides.
#[derive(Clone, Debug)]
pub(crate) struct ScanPosition {
    position: Position,
    /// The offset of the last record.
    pub(crate) offset: u64,
    last: Option<RecordKey>,
    anchors: Vec<u64>,
    /// The walk began again from the head: how many records it had delivered by then.
    passed: Option<u64>,
    learned: Learned,
}

/// So many of the first records of a listing are held.
const ANCHORS: usize = 64;

impl ScanPosition {
    pub(crate) fn at(offset: u64) -> Self {
        let learned =
            Learned { totals: None, whole: offset == 0, many: false, unoverlapped: false, shift: None, gone: 0 };
        Self { position: Position::at(offset), offset, last: None, anchors: Vec::new(), passed: None, learned }
    }

    pub(crate) fn of(cursor: &Cursor) -> Self {
        let learned = Learned {
            totals: cursor.totals(),
            whole: cursor.is_whole(),
            many: cursor.returns_many(),
            unoverlapped: cursor.unoverlapped(),
            shift: None,
            gone: cursor.gone(),
        };
        let anchors = cursor.head().to_vec();
        Self {
            position: Position::resume(cursor),
            offset: cursor.offset(),
            last: cursor.keys().pop(),
            anchors,
            passed: None,
            learned,
        }
    }

    pub(crate) fn advance(&mut self, key: &RecordKey, offset: u64) {
        if self.last.as_ref() == Some(key) {
            // A walk that was lost has come to it again. Held twice, it would seem to stand above itself.
            self.offset = offset;
            return self.position.shift(offset);
        }
        self.position.advance(key.clone(), offset);
        self.position.delivered = self.position.delivered.saturating_add(1);
        if self.passed.is_some() && self.anchors.len() < ANCHORS {
            self.anchors.push(key.fingerprint());
        }
        self.offset = offset;
        self.last = Some(key.clone());
    }

    /// The walk begins again from the head. What it delivered before stands further down: a walk that is resumed from
    /// there would pass over what comes first.
    pub(crate) fn begin_again(&mut self) {
        let passed = self.passed.unwrap_or_default().saturating_add(self.position.delivered);
        *self = Self { learned: self.learned, passed: Some(passed), ..Self::at(0) };
    }

    /// Whether no record was delivered.
    pub(crate) fn is_at_head(&self) -> bool {
        self.position.delivered == 0
    }

    /// Whether this is the last record.
    pub(crate) fn is_at(&self, key: Option<&RecordKey>) -> bool {
        key.is_some() && self.last.as_ref() == key
    }

    /// Whether a page shows the last record.
    pub(crate) fn is_in(&self, page: &[Sighting]) -> bool {
        page.iter().any(|it| Some(&it.key) == self.last.as_ref())
    }

    /// Notes where the last record stands now, if a page from this offset on shows it.
    pub(crate) fn shift(&mut self, page: &[Sighting], offset: u64) {
        if let Some(index) = page.iter().rposition(|it| Some(&it.key) == self.last.as_ref()) {
            self.offset = offset.saturating_add(index as u64);
            self.position.shift(self.offset);
        }
    }

    /// The records behind this one are gone. Returns `false` if it isn't one of the last that were delivered.
    fn go_back(&mut self, last: &RecordKey, offset: u64) -> bool {
        let is_there = self.position.go_back(last, offset);
        if is_there {
            (self.last, self.offset) = (Some(last.clone()), offset);
        }
        is_there
    }

    /// How many records were delivered, with those before the walk began again.
    fn take_delivered(&mut self) -> u64 {
        let passed = self.passed.as_mut().map(std::mem::take).unwrap_or_default();
        self.position.delivered.saturating_add(passed)
    }

    /// The last record is gone. These are the last ones that are left, with their offsets.
    fn rebuild<'a>(&mut self, records: impl Iterator<Item = (&'a RecordKey, u64)>, offset: u64) {
        let seen = self.take_delivered();
        self.position = Position::at(offset);
        for (key, offset) in records {
            self.advance(key, offset);
        }
        self.position.delivered = self.position.delivered.max(seen);
    }

    /// Notes a page of any walk, also of one that doesn't set the position.
    pub(crate) fn note_page(&mut self, page: &[Sighting]) {
        self.learned.many |= page.len() > 1;
    }

    /// Notes what the walk has learned by now.
    pub(crate) fn note(&mut self, walk: &Walk) {
        if self.passed.is_some() {
            if !walk.has_restarted() && self.last.is_some() {
                // It has come to that. (With no record held, a cursor that counts some would be corrupt.)
                self.position.delivered = self.take_delivered();
            }
        } else if self.anchors.len() < walk.anchors().len() {
            self.anchors = walk.anchors().to_vec();
        }
        self.learned.many |= walk.returns_many();
        self.learned.unoverlapped |= walk.unoverlapped();
        self.learned.totals = walk.counters().all_totals();
        self.learned.gone = walk.gone();
    }

    pub(crate) fn cursor(&self, listing: Fingerprint) -> Cursor {
        self.position.cursor(listing, &self.anchors, self.learned)
    }

    pub(crate) fn walk(&self, settings: &Settings) -> Walk {
        Walk::resume(settings.plan.clone(), &self.cursor(settings.listing.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::walk::tests::plan;

    #[test]
    fn a_walk_that_begins_again_and_delivers_nothing_leaves_a_position_to_resume_from() {
        let mut position = ScanPosition::at(0);
        position.advance(&RecordKey::from(1), 0);
        position.begin_again();
        position.note(&Walk::new(plan(10)));
        let listing = Fingerprint::default();
        assert_eq!(position.cursor(listing.clone()).problem(&listing), None);
        // What was delivered before counts once there is a record to go on from.
        position.advance(&RecordKey::from(2), 0);
        position.note(&Walk::new(plan(10)));
        let cursor = position.cursor(listing.clone());
        assert_eq!((cursor.problem(&listing), cursor.delivered()), (None, 2));
    }
}
