//! Parts of a listing that are scanned independently: where they are cut, and whether they meet.
//!
//! The scan of a part delivers one *run* of records: all records that stood between its first and its last one
//! throughout. Two runs with a record in common leave nothing out between them, wherever they started. This is all that
//! [`merge`] relies on; offsets only say where to look.

mod verified;

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::cursor::Fingerprint;
use crate::cursor::sequence::Set;
use crate::error::{Error, ErrorKind, Result};
use crate::page::summary::{Cause, Doubt, Proof, Verdict};
use crate::page::{RecordKey, Stability};

/// Parts of another version are rejected.
const VERSION: u32 = 1;

/// How many records at each end of a run are kept, to see whether the run meets another.
const EDGE: u64 = 64;

/// How many times a gap is scanned again at most: each time by a wider part, the last time by the whole listing.
const ROUNDS: u32 = 4;

/// A part of a listing, to be scanned independently of the others: see [`Listing::split`](crate::page::Listing::split).
///
/// A small serde value for the job that scans it with [`Listing::part`](crate::page::Listing::part). It identifies the
/// listing as a [`Cursor`](crate::page::Cursor) does, and holds nothing of the records. It isn't signed, and its
/// content is trusted: store it where only you can write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    version: u32,
    listing: Fingerprint,
    offset: u64,
    /// How many records the part has, or `None` for all to the end of the listing.
    records: Option<u64>,
    /// How many times this stretch was scanned before.
    round: u32,
}

/// The outcome of scanning a part, for [`merge`].
///
/// A serde value of a few kilobytes: it holds the ids of the first and the last 64 records that were delivered (256 or
/// 1,024 for a part that is scanned a second or third time). Store it as you would a [`Part`]: if it is lost, its part
/// counts as not scanned. A job that is to resume after a crash stores it along with its cursor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use = "call `merge` to see whether this meets the other parts"]
pub struct PartRead {
    part: Part,
    /// The offsets where the run starts and ends.
    from: u64,
    to: u64,
    /// The keys of the first records that were delivered. If the scan resumed from a cursor, the last record before it
    /// comes first.
    first: Vec<RecordKey>,
    /// The keys of the last records that were delivered.
    last: VecDeque<RecordKey>,
    /// The key of the record that follows them, which wasn't delivered.
    beyond: Option<RecordKey>,
    /// The records that were delivered in the order of the listing.
    records: Set,
    /// How many records were delivered late: they stand before others that were already delivered.
    late: u64,
    /// The scan resumed from a cursor: the first record of `first` was delivered before it.
    resumed: bool,
    /// The end of the listing was proved.
    ended: bool,
    doubt: Option<Doubt>,
    totals: Option<(u64, u64)>,
    /// The server's total counts the listing, and came with every response.
    has_total: bool,
    order_is_fixed: bool,
    partial: bool,
    /// By how many records the listing was seen to shift down. `None` if it changed in another way.
    shift: Option<u64>,
    /// Why the part isn't all of the listing.
    cut: Option<Cause>,
}

/// The combined outcome of the parts of a listing: see [`merge`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "read `verdict`, and scan the parts in `again`"]
pub struct Merged {
    /// Whether the parts cover the listing.
    pub verdict: Verdict,
    /// The parts to scan again, because parts don't meet there or weren't scanned to their end. Empty if the parts
    /// meet, and also after the whole listing had to be scanned as one part, whatever came of that: read `verdict`.
    pub again: Vec<Part>,
    /// How many records were delivered. A record that two parts delivered counts twice.
    pub delivered: u64,
    /// The records of the listing, if the parts cover it, their number is known and nothing was seen to shift.
    records: Option<Set>,
}

impl Part {
    pub(super) fn new(listing: Fingerprint, offset: u64, records: Option<u64>) -> Self {
        Self { version: VERSION, listing, offset, records, round: 0 }
    }

    /// Returns the offset where the part starts, if nothing moves.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns how many records the part has, or `None` if it extends to the end of the listing.
    #[must_use]
    pub fn records(&self) -> Option<u64> {
        self.records
    }

    /// Returns whether this is less than the whole listing.
    pub(super) fn is_less(&self) -> bool {
        self.offset > 0 || self.records.is_some()
    }

    /// Checks that the part belongs to this listing.
    pub(super) fn check(&self, listing: &Fingerprint) -> Result<()> {
        if self.version != VERSION {
            let message = format!(
                "the part has version {}, and this crate reads version {VERSION}: cut the listing again",
                self.version
            );
            return Err(Error::new(ErrorKind::InvalidRequest, message));
        }
        let names = self.listing.difference(listing);
        if names.is_empty() {
            return Ok(());
        }
        let message = format!("the part belongs to another listing; these differ: {}", names.join(", "));
        Err(Error::new(ErrorKind::InvalidRequest, message))
    }

    /// Returns how many record keys are kept at each end of the run.
    fn edge(&self) -> u64 {
        match self.round {
            // The whole listing has to meet no other part.
            ROUNDS.. => EDGE,
            round => EDGE << (2 * round.saturating_sub(1)),
        }
    }

    /// Returns a wider part over the same stretch, or over the gap between two parts.
    fn wider(&self, round: u32, from: u64, to: Option<u64>) -> Self {
        let part = Self { round: round.saturating_add(1).min(ROUNDS), ..self.clone() };
        if part.round == ROUNDS {
            // The listing changes too fast to be scanned in parts: scan it as one.
            return Self { offset: 0, records: None, ..part };
        }
        // Half of an edge on either side, so that the part reaches into the keys that the neighbouring runs keep.
        let extra_overlap = part.edge() / 2;
        let offset = from.saturating_sub(extra_overlap);
        Self { offset, records: to.map(|to| (to.max(from) - offset).saturating_add(extra_overlap)), ..part }
    }

    /// Returns the offset where the part ends, if nothing moves. `None` if it extends to the end of the listing.
    fn end(&self) -> Option<u64> {
        Some(self.offset.saturating_add(self.records?))
    }
}

/// The outcome of a part while it is scanned.
#[derive(Clone, Debug)]
pub(super) struct Run {
    read: PartRead,
    /// How many records were delivered before the cursor that the scan resumed from.
    before: u64,
}

impl Run {
    pub(super) fn new(part: Part, order: Stability) -> Self {
        let from = part.offset;
        let read = PartRead {
            part,
            from,
            to: from,
            first: Vec::new(),
            last: VecDeque::new(),
            beyond: None,
            records: Set::default(),
            late: 0,
            resumed: false,
            ended: false,
            doubt: None,
            totals: None,
            has_total: false,
            order_is_fixed: order == Stability::Stable,
            partial: false,
            shift: None,
            cut: None,
        };
        Self { read, before: 0 }
    }

    /// Resumes behind the record `last`, the last one of `before` that were delivered.
    pub(super) fn resume(&mut self, last: Option<RecordKey>, offset: u64, before: u64) {
        self.read.resumed = last.is_some();
        self.read.first.extend(last);
        // If nothing was delivered yet, the run starts where the interrupted scan would have started.
        self.read.from = offset.saturating_add(u64::from(self.read.resumed));
        self.read.to = self.read.from;
        self.before = before;
    }

    /// Returns how many records of the part are still to come.
    pub(super) fn left(&self) -> Option<u64> {
        Some(self.read.part.records?.saturating_sub(self.before).saturating_sub(self.read.records.count))
    }

    pub(super) fn is_full(&self) -> bool {
        self.left() == Some(0)
    }

    /// Counts a record that was delivered in order, at this offset.
    pub(super) fn deliver(&mut self, id: &RecordKey, offset: u64) {
        let edge = self.read.part.edge();
        if (self.read.first.len() as u64) < edge {
            self.read.first.push(id.clone());
        }
        if self.read.last.len() as u64 == edge {
            self.read.last.pop_front();
        }
        self.read.last.push_back(id.clone());
        self.read.records.add(id.fingerprint());
        self.read.to = offset.saturating_add(1);
    }

    /// Counts a record that was delivered late.
    pub(super) fn deliver_late(&mut self) {
        self.read.late += 1;
    }

    /// Notes the first record behind the part. It isn't delivered.
    pub(super) fn note_beyond(&mut self, id: &RecordKey) {
        self.read.beyond.get_or_insert_with(|| id.clone());
    }

    pub(super) fn read(&self, outcome: Outcome) -> PartRead {
        let Outcome { ended, doubt, totals, has_total, partial, shift, cut } = outcome;
        PartRead { ended, doubt, totals, has_total, partial, shift, cut, ..self.read.clone() }
    }
}

/// How the scan of a part went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) ended: bool,
    pub(super) doubt: Option<Doubt>,
    pub(super) totals: Option<(u64, u64)>,
    pub(super) has_total: bool,
    pub(super) partial: bool,
    pub(super) shift: Option<u64>,
    pub(super) cut: Option<Cause>,
}

impl PartRead {
    /// Returns the part.
    #[must_use]
    pub fn part(&self) -> &Part {
        &self.part
    }

    /// Returns how many records were delivered.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.records.count.saturating_add(self.late)
    }

    /// Returns whether the scan proved the end of the listing: no part lies behind this one.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.ended
    }

    fn ids(&self) -> impl Iterator<Item = &RecordKey> {
        self.first.iter().chain(&self.last).chain(&self.beyond)
    }

    fn is_empty(&self) -> bool {
        self.ids().next().is_none()
    }

    /// Returns whether the whole listing was empty.
    fn found_nothing(&self) -> bool {
        self.is_empty() && self.ended && self.part.offset == 0
    }

    /// Returns by how many records this run overlaps the one behind it. `None` if that is unknown.
    fn overlap(&self, next: &Self) -> Option<u64> {
        let first = next.first.first().filter(|it| !it.is_unreadable())?;
        if self.beyond.as_ref() == Some(first) {
            return Some(0);
        }
        let at = self.last.iter().position(|it| it == first)?;
        // The first key of a scan that resumed is of the scan before it.
        let overlap = (self.last.len() - at) as u64 - u64::from(next.resumed);
        // A run that lies within this one says nothing about the run behind it.
        (overlap < next.records.count || overlap == 0).then_some(overlap)
    }
}

/// Combines the outcomes of parts: reports whether they cover the listing, and what to scan again if not.
///
/// Pass the [`PartRead`] of every scan, in any order: also of scans that ended with an error, and of the parts that
/// `merge` itself asked for. Duplicates count once. Two parts with a record in common leave nothing out between them.
/// Where two parts have none in common, records were added or removed between the scans (or one scan did not finish),
/// and [`again`](Merged::again) holds a part that reaches into both: scan it, and merge again with its outcome. Two
/// parts may then deliver the same record.
///
/// This repeats at most four times, each time with a wider part, and the last time `again` is the whole listing as one
/// part. After that `again` is empty: if that scan wasn't complete either, for example because it failed, the verdict
/// is [`Incomplete`](Verdict::Incomplete) and says why. So a loop that merges until `again` is empty ends, whatever the
/// server does, and reads at most five times the number of records.
///
/// The verdict is at best [`Complete`](Verdict::Complete), under the conditions of a single scan: a stable order, the
/// same total throughout, as many distinct records, and a proved end. A record that moves from a part that isn't
/// scanned yet into one that was is missed. So without a stable order the verdict isn't `Complete`, and no second look
/// at the head would detect the loss: scan all parts again, and compare with [`Merged::verified_by`].
///
/// # Errors
///
/// [`ErrorKind::InvalidRequest`] if `reads` is empty, or holds parts of different listings.
pub fn merge(reads: &[PartRead]) -> Result<Merged> {
    let Some(any) = reads.first() else {
        return Err(Error::new(
            ErrorKind::InvalidRequest,
            "there is no part to merge: pass the `PartRead` of every scan",
        ));
    };
    for read in reads {
        read.part.check(&any.part.listing)?;
    }
    let reads = once_each(reads);
    let delivered = reads.iter().fold(0_u64, |delivered, it| delivered.saturating_add(it.delivered()));
    let chains = chains(&reads);
    // One chain from the head to the end is enough: the other runs hold records that are gone, or that this chain
    // delivered too.
    let whole = chains.iter().find(|chain| begins(chain) && chain.iter().any(|it| it.ended));
    // An empty listing has no records by which runs could meet. One empty response may be a hiccup, so two scans must
    // find it empty.
    let empty = reads.iter().filter(|it| it.found_nothing()).count();
    let in_one = reads.iter().rev().find(|it| it.part.round >= ROUNDS);
    let (verdict, again) = match (whole, in_one) {
        (Some(chain), _) => (doubt(chain).map_or(Verdict::Complete(Proof::Total), Verdict::Unverified), Vec::new()),
        (None, _) if empty > 1 => (Verdict::Incomplete(Cause::Emptied), Vec::new()),
        (None, Some(read)) => (Verdict::Incomplete(read.cut.unwrap_or(Cause::Parts)), Vec::new()),
        (None, None) => (Verdict::Incomplete(Cause::Parts), gaps(&chains, &reads, &any.part)),
    };
    let verdict = match verdict {
        Verdict::Complete(_) | Verdict::Unverified(_) if reads.iter().any(|it| it.partial) => {
            Verdict::Incomplete(Cause::PartialErrors)
        }
        verdict => verdict,
    };
    let records = whole.filter(|_| !verdict.is_incomplete()).and_then(|chain| verified::records(chain));
    Ok(Merged { verdict, again, delivered, records })
}

/// Drops duplicates, which would look like two runs that lie over each other.
fn once_each(reads: &[PartRead]) -> Vec<&PartRead> {
    let mut alike: HashMap<_, Vec<&PartRead>> = HashMap::new();
    let mut reads: Vec<_> = reads.iter().collect();
    reads.retain(|read| {
        let alike = alike.entry((read.from, read.to, read.records.count)).or_default();
        let is_new = !alike.contains(read);
        alike.push(read);
        is_new
    });
    reads
}

/// Groups runs that meet into chains, and sorts the runs of a chain and the chains by position.
fn chains<'a>(reads: &[&'a PartRead]) -> Vec<Vec<&'a PartRead>> {
    // Maps each record to its chain. A chain that became part of another one points to it.
    let mut chain_of: HashMap<&RecordKey, usize> = HashMap::new();
    let mut merged_into: Vec<usize> = (0..reads.len()).collect();
    let root = |merged_into: &[usize], mut at: usize| {
        while merged_into[at] != at {
            at = merged_into[at];
        }
        at
    };
    // An empty run says nothing, unless all are empty: then the listing may be.
    if reads.iter().all(|it| it.is_empty()) {
        let head = reads.iter().find(|it| it.found_nothing());
        return head.map(|it| vec![*it]).into_iter().collect();
    }
    for (at, read) in reads.iter().enumerate() {
        // The key of an invalid record may be that of another one with the same raw JSON.
        for id in read.ids().filter(|it| !it.is_unreadable()) {
            let other = *chain_of.entry(id).or_insert(at);
            let (one, other) = (root(&merged_into, at), root(&merged_into, other));
            merged_into[one] = other;
        }
    }
    // In the order of `reads`, so that the same outcomes always have the same result.
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

/// Returns whether the chain starts at the head of the listing.
fn begins(chain: &[&PartRead]) -> bool {
    chain.iter().any(|it| it.part.offset == 0 && it.from == 0 && !it.resumed)
}

/// Returns the parts to scan so that one chain reaches from the head to the end.
fn gaps(chains: &[Vec<&PartRead>], reads: &[&PartRead], any: &Part) -> Vec<Part> {
    let mut again = Vec::new();
    // Empty runs count for the round, too.
    let round = reads.iter().map(|it| it.part.round).max().unwrap_or_default();
    let end = |chain: &[&PartRead]| chain.iter().map(|it| it.to).max().unwrap_or_default();
    let start = |chain: &[&PartRead]| chain.iter().map(|it| it.from).min().unwrap_or_default();
    let (Some(first), Some(last)) = (chains.first(), chains.last()) else {
        // No run has records: scan all of the listing.
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

/// Joins parts that overlap, so that their records are scanned once.
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

/// Returns why a chain from the head to the end isn't complete, if there is a reason.
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
    let mut distinct = chain.first().map(|it| it.records.count);
    for pair in chain.windows(2) {
        distinct = distinct
            .zip(pair[0].overlap(pair[1]))
            .map(|(distinct, overlap)| distinct.saturating_add(pair[1].records.count - overlap));
    }
    match distinct {
        None => Some(Doubt::Overlap),
        Some(distinct) if Some(distinct) != least => Some(Doubt::TotalDiffers),
        Some(_) if !chain.iter().all(|it| it.order_is_fixed) => Some(Doubt::OrderMayChange),
        Some(_) => None,
    }
}
