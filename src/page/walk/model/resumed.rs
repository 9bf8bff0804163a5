//! Random scans that stop anywhere and resume once the log has changed: what is delivered again, and how many requests
//! it takes. Straight at the walk.

use proptest::prelude::*;

use super::{cases, failed, runner};
use crate::Cursor;
use crate::cursor::{Fingerprint, Learned, Position};
use crate::page::Stability;
use crate::page::summary::End;
use crate::page::walk::tests::{Log, keys, plan, read};
use crate::page::walk::toward_head::Direction;
use crate::page::walk::{Delivery, Plan, Walk};

/// How many of the listing's first records a cursor remembers, and of the last delivered ones.
const RUN: usize = 64;

/// So many pages of records may be gone between the two.
const MOST_PAGES: usize = 6;

/// A scan that was stopped, and what has happened to the log meanwhile.
#[derive(Clone, Debug)]
struct Stop {
    records: usize,
    stopped_behind: usize,
    page_size: usize,
    order: Stability,
    /// How many records came at the head.
    growth: usize,
    /// How far above the last delivered record each one stood that is gone, the last ones first.
    gone: Vec<usize>,
    /// How many are gone further up, between what a cursor remembers.
    above: usize,
}

/// What a resumed scan did.
#[derive(Debug)]
struct Resumed {
    requests: usize,
    repeats: usize,
    missing: Vec<i64>,
    end: Option<End>,
}

impl Stop {
    /// The same without changes meanwhile.
    fn undisturbed(&self) -> Self {
        Self { growth: 0, gone: Vec::new(), above: 0, ..self.clone() }
    }

    fn plan(&self) -> Plan {
        Plan { order: self.order, ..plan(self.page_size as u32) }
    }

    /// The cursor where the scan stopped.
    fn cursor(&self, log: &Log) -> Cursor {
        let mut walk = Walk::new(self.plan());
        let mut position = Position::at(0);
        while position.delivered < self.stopped_behind as u64 {
            let Some(window) = walk.window() else { break };
            let page = keys(log.records.iter().copied().skip(window.offset as usize).take(self.page_size));
            let total = Some(log.records.len() as u64);
            for (key, delivery) in page.iter().zip(walk.observe(&page, total)) {
                if let Delivery::Next(offset) = delivery
                    && position.delivered < self.stopped_behind as u64
                {
                    position.advance(key.clone(), offset);
                    position.delivered += 1;
                }
            }
        }
        let (shift, gone) = (walk.shift(), walk.gone());
        let learned = Learned { totals: None, whole: true, many: true, unoverlapped: false, shift, gone };
        let cursor = position.cursor(Fingerprint::default(), walk.anchors(), learned);
        // As it is stored.
        serde_json::from_str(&serde_json::to_string(&cursor).unwrap()).unwrap()
    }

    fn resume(&self) -> Resumed {
        let all = 1..=self.records as i64;
        let mut log = Log { has_total: true, ..Log::of(all) };
        let cursor = self.cursor(&log);
        for up in &self.gone {
            log.records.remove(self.stopped_behind - 1 - up);
        }
        if self.above > 0 {
            log.records.drain(RUN..RUN + self.above);
        }
        log.records.splice(0..0, 1_000..1_000 + self.growth as i64);
        let mut walk = Direction::Down(Box::new(Walk::resume(self.plan(), &cursor)));
        let seen = read(&mut walk, &mut log, |_, _| {});
        let delivered: Vec<_> = seen.next.iter().chain(&seen.late).copied().collect();
        let stopped_behind = self.stopped_behind as i64;
        let missing = (stopped_behind + 1..=self.records as i64).filter(|it| !delivered.contains(it)).collect();
        let repeats = delivered.iter().filter(|it| **it <= stopped_behind).count();
        Resumed { requests: seen.offsets.len(), repeats, missing, end: walk.end() }
    }

    /// Whether the resumed scan keeps what `guarantees` promises.
    fn check(&self) -> Result<(), String> {
        let (rest, resumed) = (self.undisturbed().resume(), self.resume());
        let windows = self.growth.div_ceil(self.page_size - 1);
        // The head is recognized by its first four records.
        let head_changed = self.gone.iter().any(|up| self.stopped_behind - 1 - up < 4);
        let further_up = if self.above > 0 { self.above.div_ceil(self.page_size) + 6 } else { 0 };
        let most = rest.requests + 2 * windows + 4 + usize::from(head_changed) + further_up;
        let is_kept = resumed.missing.is_empty()
            && resumed.repeats <= self.page_size
            && resumed.requests <= most
            && resumed.end == Some(End::Proved);
        if is_kept {
            return Ok(());
        }
        Err(format!("{resumed:?}; at most {most} requests, and {} with nothing changed", rest.requests))
    }
}

/// Any stop, any growth, any page size, and up to five of the last records removed, anywhere among them; and others
/// further up.
fn stop() -> impl Strategy<Value = Stop> {
    let sizes = prop_oneof![2 => 3..12usize, 1 => 12..101usize];
    let growth = prop_oneof![1 => Just(0), 2 => 0..12usize, 2 => 0..=500usize];
    // A share of the records, in thousandths, or a few of them.
    let stopped = prop_oneof![2 => (0..1_000usize).prop_map(Ok), 1 => (0..24usize).prop_map(Err)];
    let in_a_row = (1..6usize, 0..20usize).prop_map(|(count, from)| (from..from + count).collect());
    let scattered = prop::collection::btree_set(0..20usize, 1..6).prop_map(|it| it.into_iter().collect());
    let gone = prop_oneof![1 => Just(Vec::new()), 2 => in_a_row, 2 => scattered];
    let above = prop_oneof![2 => Just(0), 1 => 0..12usize, 1 => 0..200usize];
    ((1..400usize, stopped), sizes, growth, any::<bool>(), gone, above).prop_map(
        |((records, stopped), page_size, growth, is_stable, mut gone, above)| {
            let behind: Result<usize, usize> = stopped;
            let behind = behind.map_or_else(|few| few.min(records - 1), |share| share * records / 1_000);
            let stopped_behind = 1 + behind;
            // "The last" are all of them only if a scan of three pages delivered them. Of a log without records nothing
            // is left to scan.
            let is_short = stopped_behind <= 3 * (page_size - 1);
            let last = if is_short { stopped_behind } else { stopped_behind / 2 };
            let last = if growth == 0 { last.min(records - 1) } else { last };
            gone.retain(|up| *up < last);
            let above = above.min(stopped_behind.saturating_sub(2 * RUN)).min(MOST_PAGES * page_size);
            let order = if is_stable { Stability::Stable } else { Stability::Unstable };
            Stop { records, stopped_behind, page_size, order, growth, gone, above }
        },
    )
}

#[test]
fn a_resumed_scan_repeats_at_most_a_page_and_costs_no_more_than_is_promised() {
    runner(cases(4_000)).run(&stop(), |stop| failed(stop.check(), &stop, String::new)).unwrap();
}
