//! What happened to the log and to its pages, and when that excuses a scan that skips a record.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::page::walk::model::changing_log::{ChangingLog, id_of, is_valid};

/// A page as the server sent it. It counts from when the scan takes it, which may be never.
pub(super) struct SentPage {
    pub(super) number: u64,
    pub(super) turn: u64,
    pub(super) requested: u64,
    pub(super) offset: u64,
    pub(super) limit: u64,
    pub(super) largest_page: u64,
    pub(super) is_cut_by_size: bool,
    pub(super) records: Vec<String>,
    /// The whole listing at that time.
    pub(super) ids: Vec<u64>,
}

/// What the changes and the pages did, as far as it bears on what a scan can know: in the order in which the scan took
/// the pages, without those that it dropped.
#[derive(Debug, Default)]
pub(super) struct History {
    /// How many pages with records were received.
    pub(super) responses: u64,
    /// The records received in this part.
    pub(super) sent: HashSet<u64>,
    /// When each record was sent, in any part.
    sent_at: HashMap<u64, BTreeSet<u64>>,
    /// The lowest index of a received record.
    pub(super) reach: usize,
    /// A page was shorter, or from elsewhere, because of a limit of the server.
    pub(super) clamped: bool,
    /// A page was from another offset than requested, because the server clamps offsets.
    pub(super) misplaced: bool,
    /// The records that moved during the scan.
    pub(super) moved: HashSet<u64>,
    /// A record before the position was removed or moved.
    pub(super) pulled_up: bool,
    /// A received record was seen again behind one that wasn't delivered, because it moved between the two pages.
    went_behind: bool,
    /// Seen records that moved above a newer one that wasn't delivered.
    pub(super) passed_newer: HashSet<u64>,
    /// A record was added, removed or moved.
    pub(super) changed: bool,
    /// A page had more than one record.
    many: bool,
    /// A page had one record although there were more, or one was requested.
    pub(super) single: bool,
    /// A page had one record although there were more and more were requested, after the server had returned more.
    single_after_many: bool,
    /// The last record and the length of the last page, if it was cut.
    cut_at: Option<(u64, usize)>,
    empty_in_a_row: u32,
    /// Two pages in a row were empty where there were records.
    empty_twice: bool,
    /// More than one record became invalid with the same raw JSON.
    pub(super) alike: bool,
    /// What stood before each invalid record in this part, and before that one if it is invalid, too.
    before: HashMap<u64, HashSet<String>>,
}

impl History {
    /// Starts another part, which knows nothing of the pages before it.
    pub(super) fn begin_part(&mut self) {
        self.sent.clear();
        self.before.clear();
        self.reach = 0;
    }

    /// Why a scan may skip a record that didn't move, without reporting it. Each reason breaks an assumption of the
    /// rules, and is listed in `guarantees`.
    pub(super) fn excuse(&self) -> Option<&'static str> {
        match () {
            // R4: a seen record alone in its page looks like the end.
            () if self.single_after_many => {
                Some("a server that returned two records at once returned one where it had more")
            }
            // Pages of one record can't overlap.
            () if self.single && self.pulled_up => {
                Some("a record before the position was removed while pages had single records")
            }
            // Neither do they show that they are from another offset.
            () if self.single && self.misplaced => Some("the server clamped the offset while pages had single records"),
            // A transient fault is one empty page.
            () if self.empty_twice => Some("two pages in a row were empty where there were records"),
            // R2: the records before a seen one count as delivered.
            () if self.went_behind => Some("a delivered record moved behind one that wasn't delivered"),
            () if self.alike => Some("an invalid record was taken for another"),
            () => None,
        }
    }

    /// Why a scan towards the head may skip a record that didn't move, without reporting it.
    pub(super) fn excuse_toward_head(&self) -> Option<&'static str> {
        match () {
            // Pages of one record can't overlap: the record above the position is taken for the next, even if others
            // were added between.
            () if self.single && self.changed => Some("the log changed while pages had single records"),
            // The end of a listing that was empty is found by R4.
            () if self.single_after_many => {
                Some("a server that returned two records at once returned one where it had more")
            }
            () if self.empty_twice => Some("two pages in a row were empty where there were records"),
            // The records above two seen ones in a row, or above a seen one at the end of a page, are newer.
            () if !self.passed_newer.is_empty() => Some("a seen record moved above one that wasn't delivered"),
            () => None,
        }
    }

    /// As how many different records an invalid one counts in this part.
    pub(super) fn variants(&self, id: u64) -> usize {
        self.before.get(&id).map_or(0, HashSet::len)
    }
}

impl ChangingLog {
    /// The scan takes the page that it requested at this offset.
    pub(super) fn receive(&mut self, requested: u64) {
        let page = self.in_flight.remove(&requested).expect("a page that was sent");
        let SentPage { turn, requested, offset, limit, largest_page, is_cut_by_size, records, ids, .. } = page;
        let there = ids.len();
        let offset = usize::try_from(offset).unwrap();
        let more = offset + records.len() < there;
        let Some(last) = records.len().checked_sub(1) else {
            self.history.empty_in_a_row += u32::from(more);
            self.history.empty_twice |= self.history.empty_in_a_row > 1;
            return;
        };
        self.history.empty_in_a_row = 0;
        let cut = is_cut_by_size || largest_page < limit.min((there - offset) as u64);
        self.history.misplaced |= requested > offset as u64;
        self.history.clamped |= cut || self.history.misplaced;
        self.history.responses += 1;
        self.history.reach = self.history.reach.max(offset.max(usize::try_from(requested).unwrap()) + last);
        self.history.single |= last == 0 && (more || limit == 1);
        self.history.single_after_many |= last == 0 && more && limit > 1 && self.history.many;
        // Two cut pages of different lengths end with the same record: that looks like the end of the listing.
        let end = (cut && more).then(|| (id_of(&records[last]), last));
        let before = std::mem::replace(&mut self.history.cut_at, end);
        self.history.single_after_many |=
            before.zip(end).is_some_and(|(before, end)| before.0 == end.0 && before.1 != end.1);
        self.history.many |= last > 0;
        self.note_moved_behind(turn, offset, &ids, &records);
        let mut before = String::new();
        for (index, record) in records.iter().enumerate() {
            let id = id_of(record);
            self.history.sent.insert(id);
            if is_valid(record) {
                before = id.to_string();
                continue;
            }
            self.history.before.entry(id).or_default().insert(format!("{id} behind {before}"));
            // What the first record of a page is taken for depends on the records seen before it.
            before = if index == 0 {
                format!("{id} in page {}", self.history.responses)
            } else {
                format!("{id} behind {before}")
            };
        }
    }

    /// Notes whether a received record stands behind one that wasn't delivered, because it moved between two pages:
    /// whichever of these was sent first.
    fn note_moved_behind(&mut self, turn: u64, offset: usize, ids: &[u64], records: &[String]) {
        let mut passed = ids[..offset].iter().any(|it| self.is_to_come(*it));
        for id in records.iter().map(|it| id_of(it)) {
            let moved_since = |sent: &u64| {
                let (from, to) = (turn.min(*sent), turn.max(*sent));
                self.arrivals.get(&id).is_some_and(|it| it.iter().any(|at| (from..to).contains(at)))
            };
            let moved = self.history.sent_at.get(&id).is_some_and(|it| it.iter().any(moved_since));
            self.history.went_behind |= passed && moved;
            passed |= self.is_to_come(id);
        }
        for id in records.iter().map(|it| id_of(it)) {
            self.history.sent_at.entry(id).or_default().insert(turn);
        }
    }

    fn is_to_come(&self, id: u64) -> bool {
        self.throughout.contains(&id) && !self.delivered.contains(&id)
    }
}
