//! A listing in parts, that are read apart from each other: where they are cut, and whether they meet.
//!
//! A reading of a part is one run of records: what stood between its first and its last record throughout was given. Two
//! runs that have a record in common leave nothing out between them, wherever they were begun. That is all that
//! [`merge`] goes by; offsets only say where to look.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::cursor::Fingerprint;
use super::summary::{Cut, Doubt, Verdict};
use super::{Identity, Order};
use crate::error::{Error, ErrorKind, Result};

/// Parts of another version are refused.
const VERSION: u32 = 1;

/// How many records at each end of a run are kept, to see whether it meets another.
const EDGE: u64 = 64;

/// So many times, at most, something is read again: each time a wider part, and the last time the whole listing.
const ROUNDS: u32 = 4;

/// A part of a listing, to be read apart from the others: see [`Listing::split`](super::Listing::split).
///
/// A small serde value, for whoever does the reading: [`Listing::part`](super::Listing::part) reads it. It holds what a
/// [`Cursor`](super::Cursor) holds of the listing, and nothing of the records. Where it was stored, only you should be
/// able to write: what it says is believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    version: u32,
    listing: Fingerprint,
    offset: u64,
    /// How many records; to the end if that isn't said.
    records: Option<u64>,
    /// How often what stands here was looked for.
    round: u32,
}

/// What a reading of a part came to, for [`merge`].
///
/// A serde value of some kilobytes: it holds the ids of the first and of the last 64 records that were given; of a part
/// that was asked for a second or third time, those of 256 or 1,024. Store it as you would a [`Part`]: where it's lost,
/// its part counts as not read. A job that is to go on where it died stores it along with its cursor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use = "whether it meets the other parts is told by `merge`"]
pub struct PartRead {
    part: Part,
    /// Where it began, and where it ended, when it did.
    from: u64,
    to: u64,
    /// The first records that were given. For one that went on from a cursor, the last record before it.
    first: Vec<Identity>,
    /// The last ones.
    last: VecDeque<Identity>,
    /// What came right behind them, and wasn't given.
    beyond: Option<Identity>,
    /// How many were given, each behind the one before.
    seen: u64,
    /// And how many that stand before others that were given already.
    late: u64,
    /// It went on from a cursor: the first of `first` was given before.
    resumed: bool,
    /// The listing's end was proved.
    ended: bool,
    doubt: Option<Doubt>,
    totals: Option<(u64, u64)>,
    /// What the server gives is a total, and it came with every answer.
    has_total: bool,
    order_is_fixed: bool,
    partial: bool,
    /// Why it isn't all of the listing.
    cut: Option<Cut>,
}

/// What the readings of a listing's parts come to: see [`merge`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "whether it is all is in it"]
pub struct Merged {
    /// Whether the parts are all of the listing.
    pub verdict: Verdict,
    /// What must be read (again), as parts don't meet there, or weren't read to their end. Empty if they meet, and once the
    /// listing was to be read as a whole for that, whatever came of it: the verdict says.
    pub again: Vec<Part>,
    /// How many records were given, those counted twice that two parts gave.
    pub given: u64,
}

impl Part {
    pub(super) fn new(listing: Fingerprint, offset: u64, records: Option<u64>) -> Self {
        Self { version: VERSION, listing, offset, records, round: 0 }
    }

    /// Where it begins, if nothing moves.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How many records it has. `None` for those up to the end.
    #[must_use]
    pub fn records(&self) -> Option<u64> {
        self.records
    }

    /// Whether it's less than the whole listing.
    pub(super) fn is_less(&self) -> bool {
        self.offset > 0 || self.records.is_some()
    }

    /// Checks that it's one of this listing.
    pub(super) fn check(&self, listing: &Fingerprint) -> Result<()> {
        if self.version != VERSION {
            let message = format!("the part is of version {}, and this crate reads version {VERSION}", self.version);
            return Err(Error::new(ErrorKind::InvalidRequest, message));
        }
        let names = self.listing.difference(listing);
        if names.is_empty() {
            return Ok(());
        }
        let message = format!("the part is one of another listing; what differs: {}", names.join(", "));
        Err(Error::new(ErrorKind::InvalidRequest, message))
    }

    /// How many records are kept of each end of its run.
    fn edge(&self) -> u64 {
        match self.round {
            // What is there as a whole need meet nothing.
            ROUNDS.. => EDGE,
            round => EDGE << (2 * round.saturating_sub(1)),
        }
    }

    /// The same stretch, or what is between two, looked at more widely.
    fn wider(&self, round: u32, from: u64, to: Option<u64>) -> Self {
        let part = Self { round: round.saturating_add(1).min(ROUNDS), ..self.clone() };
        if part.round == ROUNDS {
            // It changes too fast for that: then in one.
            return Self { offset: 0, records: None, ..part };
        }
        // Half of an edge on either side, so that it reaches into what the runs keep of theirs.
        let margin = part.edge() / 2;
        let offset = from.saturating_sub(margin);
        Self { offset, records: to.map(|to| (to.max(from) - offset).saturating_add(margin)), ..part }
    }

    /// Where it ends, if nothing moves. `None` if it goes on to the listing's end.
    fn end(&self) -> Option<u64> {
        Some(self.offset.saturating_add(self.records?))
    }
}

/// What is noted of a part while it is read.
#[derive(Clone, Debug)]
pub(super) struct Run {
    read: PartRead,
    /// How many records were given before the cursor that it went on from.
    before: u64,
}

impl Run {
    pub(super) fn new(part: Part, order: Order) -> Self {
        let from = part.offset;
        let read = PartRead {
            part,
            from,
            to: from,
            first: Vec::new(),
            last: VecDeque::new(),
            beyond: None,
            seen: 0,
            late: 0,
            resumed: false,
            ended: false,
            doubt: None,
            totals: None,
            has_total: false,
            order_is_fixed: order == Order::Fixed,
            partial: false,
            cut: None,
        };
        Self { read, before: 0 }
    }

    /// It goes on behind this record, the last of so many that were given.
    pub(super) fn resume(&mut self, known: Option<Identity>, place: u64, before: u64) {
        self.read.resumed = known.is_some();
        self.read.first.extend(known);
        // Where nothing was given yet it begins where that one would have.
        self.read.from = place.saturating_add(u64::from(self.read.resumed));
        self.read.to = self.read.from;
        self.before = before;
    }

    /// How many records are still to come.
    pub(super) fn left(&self) -> Option<u64> {
        Some(self.read.part.records?.saturating_sub(self.before).saturating_sub(self.read.seen))
    }

    pub(super) fn is_full(&self) -> bool {
        self.left() == Some(0)
    }

    /// A record was given that comes next, at this place.
    pub(super) fn give(&mut self, id: &Identity, place: u64) {
        let edge = self.read.part.edge();
        if (self.read.first.len() as u64) < edge {
            self.read.first.push(id.clone());
        }
        if self.read.last.len() as u64 == edge {
            self.read.last.pop_front();
        }
        self.read.last.push_back(id.clone());
        self.read.seen += 1;
        self.read.to = place.saturating_add(1);
    }

    /// A record was given that stands before others that were.
    pub(super) fn give_late(&mut self) {
        self.read.late += 1;
    }

    /// A record came behind the last one, and isn't given.
    pub(super) fn hold(&mut self, id: &Identity) {
        self.read.beyond.get_or_insert_with(|| id.clone());
    }

    pub(super) fn read(&self, outcome: Outcome) -> PartRead {
        let Outcome { ended, doubt, totals, has_total, partial, cut } = outcome;
        PartRead { ended, doubt, totals, has_total, partial, cut, ..self.read.clone() }
    }
}

/// How the reading of a part went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) ended: bool,
    pub(super) doubt: Option<Doubt>,
    pub(super) totals: Option<(u64, u64)>,
    pub(super) has_total: bool,
    pub(super) partial: bool,
    pub(super) cut: Option<Cut>,
}

impl PartRead {
    /// The part.
    #[must_use]
    pub fn part(&self) -> &Part {
        &self.part
    }

    /// How many records were given.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen.saturating_add(self.late)
    }

    /// Whether the listing's end was found in it: nothing comes behind it.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.ended
    }

    fn ids(&self) -> impl Iterator<Item = &Identity> {
        self.first.iter().chain(&self.last).chain(&self.beyond)
    }

    fn is_empty(&self) -> bool {
        self.ids().next().is_none()
    }

    /// Whether the whole listing was empty.
    fn found_nothing(&self) -> bool {
        self.is_empty() && self.ended && self.part.offset == 0
    }

    /// By how many records it overlaps the run behind it. `None` if that can't be told.
    fn overlap(&self, next: &Self) -> Option<u64> {
        let first = next.first.first().filter(|it| !it.is_unreadable())?;
        if self.beyond.as_ref() == Some(first) {
            return Some(0);
        }
        let at = self.last.iter().position(|it| it == first)?;
        // A reading that goes on has its first record from the one before.
        let overlap = (self.last.len() - at) as u64 - u64::from(next.resumed);
        // One that lies within this one says nothing of the one behind it.
        (overlap < next.seen || overlap == 0).then_some(overlap)
    }
}

/// Whether the parts that were read are all of their listing, and what has to be read again if not.
///
/// Give it the [`PartRead`] of every reading, in any order: also of those that ended with an error, and of the parts
/// that it asked for itself. One that is delivered twice counts once. Where two have a record in common nothing is left
/// out between them; where they don't, records were added or removed between the readings (or one was not finished),
/// and [`again`](Merged::again) has a part that reaches into both: read that, and merge once more with it. A record may
/// be given by two parts then.
///
/// So it goes at most four times, each time more widely, and the last time `again` is the whole listing, to be read in one.
/// Then it's empty: if that reading wasn't whole either, as it failed for one, the verdict is
/// [`Truncated`](Verdict::Truncated) and says why. So a loop that merges until `again` is empty ends, whatever the server
/// does; and reads no more than five times what there is.
///
/// The verdict is at best complete, under the same conditions as for a reading in one: a fixed order, one and the same
/// total throughout, as many distinct records, and an end that was proved. Records that move from a part that isn't read
/// yet into one that was are missed; so without a fixed order it's never complete, and there is no head to read again that
/// would tell.
///
/// # Errors
///
/// [`ErrorKind::InvalidRequest`] for no reading at all, and for those of different listings.
pub fn merge(reads: &[PartRead]) -> Result<Merged> {
    let Some(any) = reads.first() else {
        return Err(Error::new(ErrorKind::InvalidRequest, "there is no part to merge"));
    };
    for read in reads {
        read.part.check(&any.part.listing)?;
    }
    let reads = once_each(reads);
    let given = reads.iter().fold(0_u64, |given, it| given.saturating_add(it.seen()));
    let chains = chains(&reads);
    // One from the head to the end is enough: what others have besides is gone, or was given twice.
    let whole = chains.iter().find(|chain| begins(chain) && chain.iter().any(|it| it.ended));
    // A log that was empty has no record that was there throughout. Once may be a hiccup: the head is looked at again.
    let empty = reads.iter().filter(|it| it.found_nothing()).count();
    let in_one = reads.iter().rev().find(|it| it.part.round >= ROUNDS);
    let (verdict, again) = match (whole, in_one) {
        (Some(chain), _) => (doubt(chain).map_or(Verdict::Complete, Verdict::AsFarAsKnown), Vec::new()),
        (None, _) if empty > 1 => (Verdict::Truncated(Cut::Emptied), Vec::new()),
        (None, Some(read)) => (Verdict::Truncated(read.cut.unwrap_or(Cut::Parts)), Vec::new()),
        (None, None) => (Verdict::Truncated(Cut::Parts), gaps(&chains, &reads, &any.part)),
    };
    let verdict = match verdict {
        Verdict::Complete | Verdict::AsFarAsKnown(_) if reads.iter().any(|it| it.partial) => {
            Verdict::Truncated(Cut::PartialErrors)
        }
        verdict => verdict,
    };
    Ok(Merged { verdict, again, given })
}

/// Without those that were delivered twice, which would look like two that lie over each other.
fn once_each(reads: &[PartRead]) -> Vec<&PartRead> {
    let mut alike: HashMap<_, Vec<&PartRead>> = HashMap::new();
    let mut reads: Vec<_> = reads.iter().collect();
    reads.retain(|read| {
        let alike = alike.entry((read.from, read.to, read.seen)).or_default();
        let is_new = !alike.contains(read);
        alike.push(read);
        is_new
    });
    reads
}

/// Runs that meet, in the order of their places; and those chains, likewise.
fn chains<'a>(reads: &[&'a PartRead]) -> Vec<Vec<&'a PartRead>> {
    // To which chain a record belongs; a chain that became part of another points to that.
    let mut chain_of: HashMap<&Identity, usize> = HashMap::new();
    let mut merged_into: Vec<usize> = (0..reads.len()).collect();
    let root = |merged_into: &[usize], mut at: usize| {
        while merged_into[at] != at {
            at = merged_into[at];
        }
        at
    };
    // One that brought nothing says nothing, unless all are like that: then the log is empty.
    if reads.iter().all(|it| it.is_empty()) {
        let head = reads.iter().find(|it| it.found_nothing());
        return head.map(|it| vec![*it]).into_iter().collect();
    }
    for (at, read) in reads.iter().enumerate() {
        // One that can't be read may be another of the same text.
        for id in read.ids().filter(|it| !it.is_unreadable()) {
            let other = *chain_of.entry(id).or_insert(at);
            let (one, other) = (root(&merged_into, at), root(&merged_into, other));
            merged_into[one] = other;
        }
    }
    // In the order of the readings, so that the same ones always give the same.
    let mut chains: BTreeMap<usize, Vec<&PartRead>> = BTreeMap::new();
    for (at, read) in reads.iter().enumerate().filter(|(_, read)| !read.is_empty()) {
        chains.entry(root(&merged_into, at)).or_default().push(read);
    }
    let mut chains: Vec<_> = chains.into_values().collect();
    for chain in &mut chains {
        chain.sort_by_key(|it| (it.from, it.to, it.part.round));
    }
    chains.sort_by_key(|chain| chain.first().map(|it| (it.from, it.to)));
    chains
}

/// Whether it begins at the listing's head.
fn begins(chain: &[&PartRead]) -> bool {
    chain.iter().any(|it| it.part.offset == 0 && it.from == 0 && !it.resumed)
}

/// What has to be read so that there is one chain from the head to the end.
fn gaps(chains: &[Vec<&PartRead>], reads: &[&PartRead], any: &Part) -> Vec<Part> {
    let mut again = Vec::new();
    // Those that brought nothing were rounds too.
    let round = reads.iter().map(|it| it.part.round).max().unwrap_or_default();
    let end = |chain: &[&PartRead]| chain.iter().map(|it| it.to).max().unwrap_or_default();
    let start = |chain: &[&PartRead]| chain.iter().map(|it| it.from).min().unwrap_or_default();
    let (Some(first), Some(last)) = (chains.first(), chains.last()) else {
        // Nothing was there: then all of it is to be looked at.
        return vec![any.wider(round, 0, None)];
    };
    if !begins(first) {
        again.push(first[0].part.wider(round, 0, Some(start(first))));
    }
    for pair in chains.windows(2) {
        let (one, other) = (end(&pair[0]), start(&pair[1]));
        again.push(pair[0][0].part.wider(round, one.min(other), Some(one.max(other))));
    }
    if !last.iter().any(|it| it.ended) {
        again.push(last[0].part.wider(round, end(last), None));
    }
    joined(again)
}

/// Those that overlap as one: what each of them would read is read once.
fn joined(mut parts: Vec<Part>) -> Vec<Part> {
    parts.sort_by_key(|it| it.offset);
    let mut joined: Vec<Part> = Vec::new();
    for part in parts {
        match joined.last_mut() {
            Some(last) if last.end().is_none_or(|end| part.offset <= end) => {
                let end = last.end().zip(part.end()).map(|(one, other)| one.max(other));
                last.records = end.map(|end| end - last.offset);
            }
            _ => joined.push(part),
        }
    }
    joined
}

/// What stands against calling a chain from the head to the end complete.
fn doubt(chain: &[&PartRead]) -> Option<Doubt> {
    if let Some(doubt) = chain.iter().find_map(|it| it.doubt) {
        return Some(doubt);
    }
    if chain.iter().any(|it| !it.has_total) {
        return Some(Doubt::NoTotal);
    }
    let totals: Vec<_> = chain.iter().filter_map(|it| it.totals).collect();
    let (least, most) = (totals.iter().map(|it| it.0).min(), totals.iter().map(|it| it.1).max());
    if least != most {
        return Some(Doubt::TotalMoved);
    }
    let mut distinct = chain.first().map(|it| it.seen);
    for pair in chain.windows(2) {
        distinct = distinct
            .zip(pair[0].overlap(pair[1]))
            .map(|(distinct, overlap)| distinct.saturating_add(pair[1].seen - overlap));
    }
    match distinct {
        None => Some(Doubt::Overlap),
        Some(distinct) if Some(distinct) != least => Some(Doubt::TotalDiffers),
        Some(_) if !chain.iter().all(|it| it.order_is_fixed) => Some(Doubt::OrderMayChange),
        Some(_) => None,
    }
}
