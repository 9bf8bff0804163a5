//! Reads a listing for the first time, or all of it again. Does no I/O.

use crate::follow::gap::GapReason;
use crate::follow::machine::compare::View;
use crate::follow::machine::order::newest_side;
use crate::follow::machine::state::{Left, Phase, ScanPosition};
use crate::follow::machine::table::Table;
use crate::follow::machine::{Begin, Found, Kind, Machine, Settings, Side, Sighting, Tail, Task, keys};
use crate::page::summary::End;
use crate::page::walk::since::Since;
use crate::page::walk::{Delivery, Walk};
use crate::page::{RecordKey, TotalScope};

/// A scan from the head, towards the end.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) walk: Walk,
    kind: ScanKind,
    /// It goes on from a checkpoint that was stored while it read again from the head.
    is_again: bool,
    /// It has come to what it remembers of the records before.
    has_come: bool,
    /// How often the last page seemed to grow.
    grew: u32,
}

/// A last page that seems to grow so often does.
const GROWS: u32 = 2;

#[derive(Debug)]
enum ScanKind {
    /// Delivers every record.
    All,
    /// Reads the lookback, and delivers nothing.
    Prime,
    /// Delivers nothing, and looks for where the records are older than asked for.
    Past(Since),
    /// Reads everything and delivers nothing, because it isn't known which end grows.
    Silent,
}

impl Scan {
    fn new(walk: Walk, kind: ScanKind) -> Self {
        Self { walk, kind, is_again: false, has_come: false, grew: 0 }
    }

    fn is_of_all(&self) -> bool {
        matches!(self.kind, ScanKind::All)
    }

    pub(super) fn reads_all(&self) -> bool {
        !matches!(self.kind, ScanKind::Prime)
    }
}

/// A full scan: delivers the records behind the lookback again.
#[derive(Debug)]
pub(super) struct Refresh {
    pub(super) walk: Walk,
    position: ScanPosition,
    /// It has come to a remembered record.
    has_met: bool,
    left: Left,
    /// It began in an earlier run, so that it has seen only a part.
    is_resumed: bool,
}

impl Refresh {
    pub(super) fn new(settings: &Settings) -> Self {
        let walk = Walk::new(settings.plan.clone());
        Self { walk, position: ScanPosition::at(0), has_met: false, left: Left::default(), is_resumed: false }
    }

    fn resume(position: ScanPosition, settings: &Settings) -> Self {
        let walk = position.walk(settings);
        // It has passed the head, where the remembered records stand unless the listing grows at its end.
        let has_met = settings.side != Some(Side::End);
        Self { walk, position, has_met, left: Left::default(), is_resumed: true }
    }
}

impl Machine {
    pub(super) fn begin(&mut self, begin: Begin) {
        match (self.side(), begin) {
            (Some(Side::Head), Begin::Beginning) | (None, Begin::Beginning) => self.begin_scan(ScanKind::All),
            (Some(Side::Head), Begin::Latest) => self.begin_scan(ScanKind::Prime),
            (Some(Side::Head), Begin::Since(time)) => {
                self.begin_scan(ScanKind::Past(Since::new(time, self.settings.tolerance)));
            }
            (Some(Side::End), Begin::Beginning | Begin::Since(_)) => {
                self.state.phase = Phase::Steady;
                self.begin_tail(Tail::default());
            }
            (Some(Side::End) | None, Begin::Latest) | (None, Begin::Since(_)) => self.task = Some(Task::Probe(begin)),
        }
    }

    fn begin_scan(&mut self, kind: ScanKind) {
        if matches!(kind, ScanKind::All) {
            self.state.phase = Phase::Scanning;
        }
        self.state.position = Some(ScanPosition::at(0));
        self.task = Some(Task::Scan(Box::new(Scan::new(Walk::new(self.settings.plan.clone()), kind))));
    }

    pub(super) fn resume_scan(&mut self) {
        let scan = Scan::new(self.state.walk(&self.settings), ScanKind::All);
        self.task = Some(Task::Scan(Box::new(Scan { is_again: self.state.before.is_some(), ..scan })));
    }

    /// Takes the first page, where that decides how to begin.
    pub(super) fn observe_probe(&mut self, begin: Begin, page: &[Sighting], total: Option<u64>) -> Vec<Found> {
        if self.side().is_none()
            && let Some(side) = newest_side(page)
        {
            self.decide(side);
        }
        let is_latest = begin == Begin::Latest;
        match self.side() {
            Some(Side::End) if is_latest => {
                let total = total.filter(|_| self.settings.plan.total != TotalScope::Page);
                let remembered = self.settings.remembered() as u64;
                match total.map(|it| it.saturating_sub(remembered)).filter(|it| *it > 0) {
                    Some(start) => {
                        // The total is a hint: what it says doesn't matter as long as there are records.
                        let plan = crate::page::walk::plan::Plan { start, ..self.settings.plan.clone() };
                        self.state.position = Some(ScanPosition::at(start));
                        let tail = Tail { silent: true, guessed: true, ..Tail::default() };
                        self.task = Some(Task::Tail(Box::new(Walk::new(plan)), tail));
                        return Vec::new();
                    }
                    None => self.begin_tail(Tail { silent: true, ..Tail::default() }),
                }
            }
            None => self.begin_scan(if is_latest { ScanKind::Silent } else { ScanKind::All }),
            Some(_) => self.begin(begin),
        }
        // The page is the first one of that walk, too.
        self.observe(page, total)
    }

    pub(super) fn observe_scan(&mut self, mut scan: Box<Scan>, page: &[Sighting], total: Option<u64>) -> Vec<Found> {
        self.raise_first(&scan.walk, page);
        let deliveries = scan.walk.observe(&keys(page), total);
        if deliveries.first() == Some(&Delivery::Next(0)) {
            if self.side().is_none() && !self.state.is_blank() {
                self.start_over(&scan);
                return Vec::new();
            }
            self.set_aside();
            scan.has_come = false;
        }
        if self.side().is_none()
            && let Some(side) = newest_side(page)
        {
            self.decide(side);
            if side == Side::End {
                // The walk goes on: it runs to the end that grows.
                let tail = Tail { silent: matches!(scan.kind, ScanKind::Silent), ..Tail::default() };
                self.state.has_left |= tail.silent || self.state.before.take().is_some();
                if !tail.silent {
                    self.state.phase = Phase::Steady;
                }
                return self.go_along(Box::new(scan.walk), tail, page, &deliveries);
            }
        }
        let found = self.take_page(&mut scan, page, &deliveries);
        self.go_on_with(scan);
        found
    }

    /// Goes on with the next page of a scan, or ends it.
    fn go_on_with(&mut self, scan: Box<Scan>) {
        match scan.walk.end() {
            None => self.task = Some(Task::Scan(scan)),
            Some(End::Lost | End::Emptied) => {
                let is_empty = scan.walk.end() == Some(End::Emptied);
                self.lose_anchors(if is_empty { GapReason::Emptied } else { GapReason::Lost });
                self.is_behind = false;
            }
            // The other end needn't grow: the server may have returned more records at once, with others behind them.
            Some(End::Grew | End::GrewUnproved) if scan.is_of_all() => {
                self.finish(true);
            }
            Some(End::Grew | End::GrewUnproved) if self.side().is_none() && scan.grew < GROWS => self.scan_on(*scan),
            Some(_) => self.end_scan(&scan),
        }
    }

    /// Goes on behind the last record that the scan has seen.
    fn scan_on(&mut self, scan: Scan) {
        let on = Scan::new(self.state.walk(&self.settings), scan.kind);
        self.task = Some(Task::Scan(Box::new(Scan { grew: scan.grew + 1, ..on })));
    }

    /// Takes a page of a scan, and stops the scan where it has read enough.
    fn take_page(&mut self, scan: &mut Scan, page: &[Sighting], deliveries: &[Delivery]) -> Vec<Found> {
        scan.is_again &= !scan.walk.has_restarted();
        if let ScanKind::Past(since) = &mut scan.kind {
            let is_past = pass(since, page, deliveries);
            // Where records may move, an old one that stands alone may have moved there.
            let needed = if self.is_stable() { 1 } else { 2.min(page.len()) };
            let older = self.older(page);
            if is_past && older.len() >= needed {
                self.remember_older(older);
                scan.walk.stop(End::Since);
            }
            return Vec::new();
        }
        let found = self.take_scanned(scan, page, deliveries);
        let is_full = self.state.head.as_ref().is_some_and(Table::is_full);
        if !scan.is_of_all() && self.side() == Some(Side::Head) && is_full {
            scan.walk.stop(End::MaxItems);
        }
        found
    }

    /// The scan has lost its position, while it isn't known which end grows: what is remembered of the end of the
    /// listing doesn't go with what is read from here on.
    fn start_over(&mut self, scan: &Scan) {
        if matches!(scan.kind, ScanKind::All) {
            return self.lose_anchors(GapReason::Lost);
        }
        let fresh = || Some(Table::new(self.settings.remembered()));
        (self.state.head, self.state.end, self.state.before) = (fresh(), fresh(), None);
        self.begin_scan(ScanKind::Silent);
    }

    /// A page at the head shows what stands above all others. Where records move, a scan that went back there may have
    /// delivered it long ago.
    fn raise_first(&mut self, walk: &Walk, page: &[Sighting]) {
        let is_head = !self.is_stable() && walk.window().is_some_and(|it| it.offset == 0);
        let Some(head) = self.state.head.as_mut().filter(|_| is_head) else { return };
        if let Some(from) = page.first().and_then(|it| head.index(&it.key)) {
            head.raise(from, 0);
        }
    }

    /// The scan begins at the head, and may not have been there for the first time.
    fn set_aside(&mut self) {
        if let Some(position) = self.state.position.as_mut().filter(|it| !it.is_at_head()) {
            position.begin_again();
        }
        let fresh = Table::new(self.settings.remembered());
        let Some(head) = self.state.head.replace(fresh) else {
            self.state.head = None;
            return;
        };
        let Some(before) = &mut self.state.before else {
            self.state.before = Some(head).filter(|it| !it.is_empty());
            return;
        };
        self.state.has_left |= before.add_newer(&head);
    }

    fn end_scan(&mut self, scan: &Scan) {
        self.state.phase = Phase::Steady;
        if let Some(before) = self.state.before.take() {
            self.state.has_left = true;
            if !scan.has_come {
                self.state.note_unseen(&before);
            }
        }
        match self.side() {
            None => self.finish(false),
            _ => {
                self.state.position = None;
                match scan.kind {
                    ScanKind::Prime => self.finish(false),
                    // What came at the head meanwhile.
                    _ => self.task = Some(Task::Poll(0)),
                }
            }
        }
    }

    /// Takes a page of the first scan: its records come in the listing's order.
    fn take_scanned(&mut self, scan: &mut Scan, page: &[Sighting], deliveries: &[Delivery]) -> Vec<Found> {
        let (walk, is_silent) = (&scan.walk, !scan.is_of_all());
        // What was remembered before this page, and what is inserted into that.
        let mut found = self.compare(View::new(Side::Head, page).silent(is_silent)).found;
        let compared = found.len();
        let mut before = self.state.before.take();
        let is_again = before.is_some() || walk.has_restarted();
        for (index, (record, delivery)) in page.iter().zip(deliveries).enumerate() {
            // A late one may have left the table with those above it.
            let is_known = self.state.head.as_ref().is_some_and(|it| it.contains(&record.key))
                || found[..compared].iter().any(|it| it.index == index);
            // A walk that began again comes to records that it has delivered, and reads on behind them.
            let is_old = *delivery == Delivery::Skip && is_again && walk.has_delivered(&record.key);
            if is_known || (*delivery == Delivery::Skip && !is_old) {
                continue;
            }
            let entry = before.as_mut().and_then(|it| it.get_mut(it.index(&record.key)?));
            // Whether it has changed since it was delivered.
            let changed = entry.map(|it| it.note(record, self.sweeps));
            let is_wanted = changed.unwrap_or_else(|| !is_old && self.is_wanted(record));
            if !is_silent && is_wanted {
                let unremembered = if *delivery == Delivery::Late { Kind::Late } else { Kind::New };
                found.push(Found { index, kind: if changed.is_some() { Kind::Updated } else { unremembered } });
            }
            self.remember_scanned(record, index.checked_sub(1).map(|it| &page[it].key), page.len(), is_old);
        }
        let shown = page.iter().map(|it| &it.key);
        let is_shown = |it: &Table| !scan.is_again || it.is_shown(shown, self.is_stable());
        let has_come = before.as_ref().is_some_and(is_shown) && !walk.has_restarted();
        self.join(before, has_come);
        self.advance_position(walk, page, deliveries);
        scan.has_come |= has_come;
        found
    }

    /// What was set aside stays so until the walk has come to it.
    fn join(&mut self, before: Option<Table>, has_come: bool) {
        self.state.before = before;
        let (Some(before), Some(head)) = (&self.state.before, &mut self.state.head) else { return };
        if has_come {
            before.iter().for_each(|it| head.push_back(it.clone()));
            // Those for which there is no room are passed by the next pages.
            let has_room = before.iter().all(|it| head.contains(&it.key));
            self.state.has_left |= !has_room;
            if has_room {
                self.state.before = None;
            }
        }
    }

    /// Remembers a record of the first scan that stands below `above` in its page. `is_old`: it was delivered before
    /// the scan began again.
    fn remember_scanned(&mut self, record: &Sighting, above: Option<&RecordKey>, received: usize, is_old: bool) {
        let entry = self.entry(record);
        if let Some(end) = &mut self.state.end {
            self.state.has_left |= end.insert(0, entry.clone()).is_some();
        }
        let Some(head) = &mut self.state.head else { return };
        // The remembered records are a run without a gap. (Single records show no neighbours.)
        let at = match above.and_then(|it| head.index(it)) {
            Some(above) => Some(above + 1),
            None => (head.is_empty() || received == 1).then(|| head.len()),
        };
        let is_open = entry.is_open();
        match at {
            Some(at) if at < head.len() => {
                let left = head.insert(at, entry);
                self.state.note_left(left);
            }
            Some(_) if !head.is_full() => head.push_back(entry),
            _ => {
                self.state.has_left = true;
                if head.is_full() && self.state.end.is_none() && is_open && !is_old {
                    self.state.left.note(&record.key, record.time, true);
                }
            }
        }
    }

    /// The records at the end of a page that are older than asked for.
    fn older<'a>(&self, page: &'a [Sighting]) -> &'a [Sighting] {
        let older = page.iter().rev().take_while(|it| it.time.is_some() && !self.is_wanted(it)).count();
        &page[page.len() - older..]
    }

    /// These records are older than asked for: what stands above them is read next, oldest first.
    fn remember_older(&mut self, older: &[Sighting]) {
        let entries: Vec<_> = older.iter().map(|it| self.entry(it)).collect();
        self.state.head = Some(Table::of(entries, self.settings.remembered()));
    }

    pub(super) fn resume_refresh(&mut self) {
        let stored = self.state.refresh.clone().map(|it| Box::new(Refresh::resume(it, &self.settings)));
        self.task = self.refresh.take().or(stored).map(Task::Refresh);
    }

    pub(super) fn observe_refresh(
        &mut self,
        mut scan: Box<Refresh>,
        page: &[Sighting],
        total: Option<u64>,
    ) -> Vec<Found> {
        let deliveries = scan.walk.observe(&keys(page), total);
        let found = self.refresh_page(&mut scan, page, &deliveries);
        for (record, delivery) in page.iter().zip(&deliveries) {
            if let Delivery::Next(offset) = delivery {
                scan.position.advance(&record.key, *offset);
            }
        }
        scan.position.note(&scan.walk);
        self.state.refresh = Some(scan.position.clone());
        match scan.walk.end() {
            None => self.refresh = Some(scan),
            Some(end) => self.end_refresh(*scan, end),
        }
        found
    }

    /// Takes a page of a full scan: what stands behind the lookback is delivered again.
    fn refresh_page(&mut self, scan: &mut Refresh, page: &[Sighting], deliveries: &[Delivery]) -> Vec<Found> {
        let side = self.side().unwrap_or(Side::Head);
        let is_known = |it: &Sighting| self.state.table_of(side).is_some_and(|table| table.contains(&it.key));
        let (first, last) = (page.iter().position(is_known), page.iter().rposition(is_known));
        let seen = self.compare(View::new(side, page));
        let mut found = seen.found;
        // In the listing's order: the oldest open one is the first or the last of them.
        let mut unresolved = seen.unresolved;
        unresolved.sort_unstable();
        for index in unresolved {
            let is_behind = match side {
                Side::Head => scan.has_met || first.is_some_and(|it| it < index),
                Side::End => !scan.has_met && last.is_none_or(|it| index < it),
            };
            let record = &page[index];
            if is_behind && deliveries[index] != Delivery::Skip && self.is_wanted(record) {
                found.push(Found { index, kind: Kind::Updated });
                if record.is_final == Some(false) {
                    scan.left.note(&record.key, record.time, side == Side::Head);
                }
            }
        }
        scan.has_met |= first.is_some();
        found
    }

    fn end_refresh(&mut self, scan: Refresh, end: End) {
        self.state.refresh = None;
        if !matches!(end, End::Lost | End::Emptied) {
            self.state.scans += 1;
            self.finished_scan = true;
            if !scan.is_resumed {
                self.state.left = scan.left;
            }
        }
    }
}

/// Notes the times of a page. Returns whether all further records are older than asked for.
fn pass(since: &mut Since, page: &[Sighting], deliveries: &[Delivery]) -> bool {
    for (record, delivery) in page.iter().zip(deliveries) {
        match (record.time, delivery) {
            (_, Delivery::Skip) => {}
            (Some(time), delivery) => _ = since.wants(time, matches!(delivery, Delivery::Next(_))),
            (None, _) => since.miss(),
        }
    }
    since.is_past()
}
