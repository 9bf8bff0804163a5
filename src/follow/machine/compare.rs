//! Compares a page with the records that the follower remembers. Does no I/O.
//!
//! A page is one view of the listing. An unknown record in it is *new or late* if a known one follows it towards the
//! old side: everything before a known record was either delivered, or came since. An unknown record with no known one
//! behind it may be old ground, which was delivered long ago or never asked for.

use std::collections::HashSet;

use crate::follow::machine::table::{Entry, Table};
use crate::follow::machine::{Found, Kind, Machine, Phase, Side, Sighting};
use crate::page::{RecordKey, Stability};

/// What a page shows.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) found: Vec<Found>,
    /// The indexes of unknown records with no known record on their old side.
    pub(super) unresolved: Vec<usize>,
    /// The page's oldest known record that certainly stands where it was, and its index in the page.
    pub(super) lowest: Option<(usize, RecordKey)>,
    pub(super) any_known: bool,
    /// A known record is as it was.
    pub(super) any_same: bool,
    /// How many known records have changed, and whether one of them was final.
    pub(super) changed: usize,
    pub(super) any_final: bool,
    /// The first and the last of the unknown records that were taken in below remembered ones which the page doesn't
    /// show.
    pub(super) below: Option<(RecordKey, RecordKey)>,
}

/// Where records move, one that stood further away from its neighbour than that has moved there.
const NEAR: usize = 8;

/// So many known records, all of them changed, are other records with the same ids.
const REPLACED: usize = 3;

impl Comparison {
    /// Whether the known ids belong to other records now, as after a restore from a backup: they are no anchors.
    pub(super) fn is_replaced(&self) -> bool {
        !self.any_same && self.changed >= REPLACED && self.any_final
    }

    /// Whether a record at such an index is new.
    pub(super) fn has_new(&self, is_there: impl Fn(usize) -> bool) -> bool {
        self.found.iter().any(|it| it.kind == Kind::New && is_there(it.index))
    }

    /// Notes a record that was taken in below remembered ones which the page doesn't show.
    fn note_below(&mut self, key: &RecordKey) {
        let first = self.below.take().map_or_else(|| key.clone(), |(first, _)| first);
        self.below = Some((first, key.clone()));
    }

    /// Whether all unresolved records stand on the old side of the lowest known one.
    pub(super) fn ends_unknown(&self, side: Side) -> bool {
        let Some((lowest, _)) = &self.lowest else { return false };
        self.unresolved.iter().all(|it| match side {
            Side::Head => it > lowest,
            Side::End => it < lowest,
        })
    }
}

/// A page to be compared with the table of one side, and by which rules.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    side: Side,
    page: &'a [Sighting],
    /// Records that a walk delivers for reasons of its own.
    forced: &'a [bool],
    /// Records that the walk delivered earlier.
    passed: &'a [bool],
    /// Nothing is delivered, and everything counts as known.
    is_silent: bool,
    /// The forced records stand below what is shown above them, in the page or by this record of the page before: a
    /// sweep goes from the newest to the oldest.
    above: Option<&'a RecordKey>,
    /// The page is one of a walk towards the newest record.
    is_catch_up: bool,
    /// The page is one of a sweep.
    is_sweep: bool,
    /// It begins with the oldest record of the listing.
    is_oldest: bool,
}

impl<'a> View<'a> {
    pub(super) fn new(side: Side, page: &'a [Sighting]) -> Self {
        Self {
            side,
            page,
            forced: &[],
            passed: &[],
            is_silent: false,
            above: None,
            is_catch_up: false,
            is_sweep: false,
            is_oldest: false,
        }
    }

    pub(super) fn forced(self, forced: &'a [bool]) -> Self {
        Self { forced, ..self }
    }

    pub(super) fn passed(self, passed: &'a [bool]) -> Self {
        Self { passed, ..self }
    }

    pub(super) fn silent(self, is_silent: bool) -> Self {
        Self { is_silent, ..self }
    }

    pub(super) fn of_catch_up(self) -> Self {
        Self { is_catch_up: true, ..self }
    }

    /// `above`: the last known record of the pages before.
    pub(super) fn of_sweep(self, above: Option<&'a RecordKey>) -> Self {
        Self { above, is_sweep: true, ..self }
    }

    pub(super) fn at_oldest(self, is_oldest: bool) -> Self {
        Self { is_oldest, ..self }
    }

    fn is_passed(&self, index: usize) -> bool {
        self.passed.get(index) == Some(&true)
    }

    fn is_forced(&self, index: usize) -> bool {
        self.forced.get(index) == Some(&true)
    }

    /// The closest known record on the newer side of this one in the page, by its index in the table.
    fn known_above(&self, index: usize, table: &Table) -> Option<usize> {
        let known = |it: &Sighting| table.index(&it.key);
        match self.side {
            Side::Head => self.page[..index].iter().rev().find_map(known),
            Side::End => self.page[index + 1..].iter().find_map(known),
        }
    }

    /// The closest known record on the newer side of this one in the page, or the last one of the pages before.
    fn known_so_far(&self, index: usize, table: &Table) -> Option<usize> {
        self.known_above(index, table).or_else(|| table.index(self.above?))
    }

    /// Whether this record stands between two known ones in their order.
    fn is_between(&self, index: usize, older: &RecordKey, table: &Table) -> bool {
        let newer = self.known_so_far(index, table);
        newer.zip(table.index(older)).is_some_and(|(newer, older)| newer < older)
    }

    /// Whether the page shows known records above this one.
    fn is_below(&self, index: usize, is_stable: bool, table: &Table) -> bool {
        // Nothing moves to the end at which the oldest stand.
        let is_stable = is_stable || self.is_oldest;
        let key = |it: &'a Sighting| &it.key;
        match self.side {
            Side::Head => table.is_shown(self.page[..index].iter().map(key), is_stable),
            Side::End => table.is_shown(self.page[index + 1..].iter().rev().map(key), is_stable),
        }
    }

    /// Towards the end, a walk that began again from the head passes old ground before it comes to known records.
    /// (Where records move, one alone may have moved there.) Towards the head, what stands below all known records is
    /// old ground: the record from which the walk came is forgotten by now.
    fn is_old(&self, index: usize, is_stable: bool, table: &Table) -> bool {
        let needed = if is_stable { 1 } else { 2 };
        let newer = self.page[index..].iter().filter(|it| table.contains(&it.key));
        match self.side {
            Side::Head => self.is_catch_up && self.known_above(index, table).is_some(),
            Side::End => newer.take(needed).count() == needed,
        }
    }
}

/// What a page shows below the record at hand.
#[derive(Debug, Default)]
struct Below {
    /// The closest known record that certainly stands where it was.
    anchor: Option<RecordKey>,
    /// A known record that may have moved here: it shows nothing, but a record that is delivered stands above it.
    loose: Option<RecordKey>,
    /// The next record of the page, if it is known: two in a row, as they stood before, haven't moved.
    neighbour: Option<RecordKey>,
}

impl Below {
    fn known(&self) -> Option<&RecordKey> {
        self.anchor.as_ref().or(self.loose.as_ref())
    }
}

impl Machine {
    /// Compares a page with the table of its side, and takes in what is new.
    pub(super) fn compare(&mut self, view: View<'_>) -> Comparison {
        let View { side, page, .. } = view;
        let mut seen = Comparison { lowest: self.lowest(side, page), ..Comparison::default() };
        let repeated = repeated(side, page);
        let mut below = Below::default();
        for index in oldest_first(side, page.len()) {
            if repeated[index] {
                continue;
            }
            let Some(table) = self.state.table(side) else { return seen };
            match table.index(&page[index].key) {
                Some(at) => self.take_known(view, index, at, &mut below, &mut seen),
                None if self.is_news(view, index, &below) => self.take_unknown(view, index, &mut below, &mut seen),
                None => {
                    below.neighbour = None;
                    seen.unresolved.push(index);
                }
            }
        }
        if seen.unresolved.is_empty() && !self.is_stable() {
            self.reorder(side, page);
        }
        seen
    }

    /// Takes a known record of a page, which the table has at `at`.
    fn take_known(&mut self, view: View<'_>, index: usize, at: usize, below: &mut Below, seen: &mut Comparison) {
        let (is_stable, record) = (self.is_stable(), &view.page[index]);
        let Some(table) = self.state.table(view.side) else { return };
        seen.any_known = true;
        let older = below.neighbour.as_ref().and_then(|it| table.index(it));
        let is_certain = is_stable || older.is_some_and(|older| older > at) || table.len() == 1;
        // It stands above a record that was newer when both were seen last: one of them has moved.
        let above = below.known().filter(|_| is_certain).and_then(|it| table.index(it));
        let at = above.filter(|above| at > *above).map_or(at, |above| {
            table.raise(at, above);
            above
        });
        let was_final = table.get(at).is_some_and(|it| it.is_final == Some(true));
        let has_changed = self.refresh_entry(view.side, at, record);
        seen.any_same |= !has_changed;
        seen.changed += usize::from(has_changed);
        seen.any_final |= has_changed && was_final;
        if has_changed && !view.is_silent {
            seen.found.push(Found { index, kind: Kind::Updated });
        }
        below.neighbour = Some(record.key.clone());
        if is_certain { below.anchor = Some(record.key.clone()) } else { below.loose = Some(record.key.clone()) }
    }

    /// Whether an unknown record of a page is new or late, and not old ground.
    fn is_news(&self, view: View<'_>, index: usize, below: &Below) -> bool {
        let Some(table) = self.state.table_of(view.side) else { return false };
        let key = &view.page[index].key;
        below.anchor.is_some()
            || below.loose.as_ref().is_some_and(|it| view.is_between(index, it, table))
            || self.before(view.side).is_some_and(|it| it.contains(key))
            || (self.state.is_below && view.is_passed(index))
            || (view.is_sweep && self.remembers_all() && view.is_below(index, self.is_stable(), table))
            || (view.is_forced(index) && (below.loose.is_some() || !view.is_old(index, self.is_stable(), table)))
    }

    /// Takes in an unknown record of a page that is new or late.
    fn take_unknown(&mut self, view: View<'_>, index: usize, below: &mut Below, seen: &mut Comparison) {
        let record = &view.page[index];
        let Some(table) = self.state.table_of(view.side) else { return };
        let above = view.known_above(index, table);
        // What is remembered above it may be gone: at the newest end, the page shows what stands there.
        let is_newest = self.is_newest && above.is_none();
        // Above a known record that may have moved, a walk towards the newest end has come to what is newer than all.
        let under = if view.is_catch_up { below.anchor.as_ref() } else { below.known() };
        let at = match under.and_then(|it| table.index(it)) {
            _ if is_newest => 0,
            Some(at) => at,
            None if view.is_sweep => view.known_so_far(index, table).map_or(0, |it| it + 1),
            // The walk went back to what it had delivered before.
            None if view.is_passed(index) => above.map_or(0, |it| it + 1),
            None => 0,
        };
        if above.is_none() && at > 0 {
            seen.note_below(&record.key);
        }
        let elsewhere = self.note_elsewhere(view.side, record);
        let earlier = self.before(view.side).and_then(|it| it.get(it.index(&record.key)?)).map(|it| it.digest);
        let before = earlier.or(elsewhere);
        self.take_in(view.side, at, record);
        self.take_in_elsewhere(view, index);
        // (What is older than asked for is delivered where it has changed.)
        let is_wanted = before.is_some() || (!view.is_passed(index) && self.is_wanted(record));
        if !view.is_silent && is_wanted && before != Some(record.digest) {
            let kind = match at {
                _ if before.is_some() => Kind::Updated,
                0 if !self.state.is_below => Kind::New,
                _ => Kind::Late,
            };
            seen.found.push(Found { index, kind });
        }
        below.neighbour = Some(record.key.clone());
        below.anchor = Some(record.key.clone());
    }

    /// While both ends are followed, the other one may know a record: returns its digest there, and notes it as it is.
    fn note_elsewhere(&mut self, side: Side, record: &Sighting) -> Option<u64> {
        let sweeps = self.sweeps;
        let other = if side == Side::Head { &mut self.state.end } else { &mut self.state.head };
        let entry = other.as_mut().and_then(|it| it.get_mut(it.index(&record.key)?))?;
        let digest = entry.digest;
        entry.note(record, sweeps);
        Some(digest)
    }

    /// While both ends are followed, remembers a record beside its neighbours at the other end, too.
    fn take_in_elsewhere(&mut self, view: View<'_>, index: usize) {
        if self.side().is_some() {
            return;
        }
        let (View { side, page, .. }, entry) = (view, self.entry(&view.page[index]));
        let (before, after) = (index.checked_sub(1).and_then(|it| page.get(it)), page.get(index + 1));
        let (other, newer, older) = match side {
            Side::Head => (&mut self.state.end, after, before),
            Side::End => (&mut self.state.head, before, after),
        };
        let Some(table) = other.as_mut().filter(|it| !it.contains(&entry.key)) else { return };
        let below_newer = newer.and_then(|it| table.index(&it.key)).map(|it| it + 1);
        if let Some(at) = below_newer.or_else(|| table.index(&older?.key)) {
            let left = table.insert(at, entry);
            self.state.note_left(left);
        }
    }

    /// What a walk to the end that grows had remembered when it was lost. (A first scan goes by its own deliveries.)
    fn before(&self, side: Side) -> Option<&Table> {
        self.state.before.as_ref().filter(|_| side == Side::End && self.state.phase != Phase::Scanning)
    }

    pub(super) fn is_stable(&self) -> bool {
        self.settings.plan.order == Stability::Stable
    }

    /// All records of a page are known: they stand in the page's order now.
    fn reorder(&mut self, side: Side, page: &[Sighting]) {
        let Some(table) = self.state.table(side) else { return };
        let mut below = None;
        for index in oldest_first(side, page.len()) {
            let at = table.index(&page[index].key);
            if let (Some(at), Some(below)) = (at, below) {
                table.raise(at, below);
            }
            below = table.index(&page[index].key);
        }
    }

    /// Whether a record is newer than what was asked for.
    pub(super) fn is_wanted(&self, record: &Sighting) -> bool {
        self.state.floor.zip(record.time).is_none_or(|(floor, time)| time > floor)
    }

    fn take_in(&mut self, side: Side, at: usize, record: &Sighting) {
        let entry = self.entry(record);
        let left = self.state.table(side).and_then(|it| it.insert(at, entry));
        self.state.note_left(left);
    }

    pub(super) fn entry(&self, record: &Sighting) -> Entry {
        let entry = Entry::new(record.key.clone(), record.digest, record.is_final, record.time);
        Entry { seen: self.sweeps, ..entry }
    }

    /// Notes a known record as it is now. Returns whether it has changed.
    fn refresh_entry(&mut self, side: Side, at: usize, record: &Sighting) -> bool {
        self.note_elsewhere(side, record);
        let sweeps = self.sweeps;
        self.state.table(side).and_then(|it| it.get_mut(at)).is_some_and(|it| it.note(record, sweeps))
    }

    /// The oldest known record of a page that certainly stands where it was. Where records move, it needs a known
    /// neighbour; and if another one stands alone below it, nothing is certain.
    fn lowest(&mut self, side: Side, page: &[Sighting]) -> Option<(usize, RecordKey)> {
        let is_stable = self.is_stable();
        let table = self.state.table(side)?;
        let mut order = oldest_first(side, page.len()).into_iter();
        let index = order.find(|it| table.contains(&page[*it].key))?;
        let newer = order.next();
        let is_near = |it: usize| {
            let both = table.index(&page[index].key).zip(table.index(&page[it].key));
            both.is_some_and(|(older, newer)| older.abs_diff(newer) <= NEAR)
        };
        let is_certain = is_stable || table.len() == 1 || newer.is_some_and(is_near);
        is_certain.then(|| (index, page[index].key.clone()))
    }

    /// Whether the page shows where the remembered records end: it has the oldest one, and everything unknown in it
    /// stands below that.
    pub(super) fn is_at_bottom(&self, side: Side, seen: &Comparison) -> bool {
        let (Some(table), Some((_, lowest))) = (self.state.table_of(side), &seen.lowest) else { return false };
        // It has no room for the oldest one any more, if late ones came in above it.
        let is_oldest = table.iter().next_back().is_some_and(|it| it.key == *lowest) || !table.contains(lowest);
        is_oldest && seen.ends_unknown(side)
    }

    /// Whether all that was delivered is remembered: then there is no old ground.
    fn remembers_all(&self) -> bool {
        self.side().is_some() && !self.state.has_left
    }

    /// Remembers what stands below the oldest remembered record: its changes are seen from now on. It is old ground,
    /// and not delivered, unless all that was delivered is remembered.
    pub(super) fn learn(&mut self, side: Side, page: &[Sighting], older: &[usize]) -> Vec<Found> {
        let mut late = Vec::new();
        for index in oldest_first(side, page.len()).into_iter().rev().filter(|it| older.contains(it)) {
            let entry = self.entry(&page[index]);
            let Some(table) = self.state.table(side) else { continue };
            let is_known = table.is_full() || table.contains(&entry.key);
            table.push_back(entry);
            if !is_known && self.remembers_all() && self.is_wanted(&page[index]) {
                late.push(Found { index, kind: Kind::Late });
            }
        }
        late
    }
}

impl Entry {
    /// Notes the record as it is now. Returns whether it has changed.
    pub(super) fn note(&mut self, record: &Sighting, sweep: u64) -> bool {
        let changed = self.digest != record.digest;
        if changed {
            self.quiet = 0;
        }
        (self.digest, self.is_final) = (record.digest, record.is_final);
        self.time = record.time.or(self.time);
        (self.seen, self.missing) = (sweep, 0);
        changed
    }
}

impl Table {
    /// Returns the key of an invalid record with the same raw JSON.
    pub(super) fn alike(&self, key: &RecordKey) -> Option<RecordKey> {
        self.iter().map(|it| &it.key).find(|it| it.is_alike(key)).cloned()
    }
}

/// The indexes of a page, the oldest record first.
pub(super) fn oldest_first(side: Side, length: usize) -> Vec<usize> {
    match side {
        Side::Head => (0..length).rev().collect(),
        Side::End => (0..length).collect(),
    }
}

/// Which records of a page are listed a second time. The one closest to the newest counts.
fn repeated(side: Side, page: &[Sighting]) -> Vec<bool> {
    let mut seen = HashSet::new();
    let mut repeated = vec![false; page.len()];
    for index in oldest_first(side, page.len()).into_iter().rev() {
        repeated[index] = !seen.insert(&page[index].key);
    }
    repeated
}
