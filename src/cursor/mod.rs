//! Positions in a listing from which a scan resumes.

pub(crate) mod canonical;
mod format;
pub(crate) mod sequence;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::cursor::canonical::canonical;
use crate::cursor::format::another_version;
use crate::cursor::sequence::Sequence;
use crate::values::record_key::RecordKey;

/// Cursors of another version are rejected.
const VERSION: u32 = 3;

/// How many of the last delivered records, and of the listing's first ones, a cursor recognizes by 64 bits each. Both
/// are runs without a gap, which tell a listing that was shifted from one in which single records moved.
const RUN: usize = 64;

/// The distances of the records whose full keys a cursor holds. The last ones also tell invalid records with the
/// same raw JSON apart; the ones further up locate the position if the whole run was removed.
const DISTANCES: [usize; 10] = [0, 1, 2, 3, 4, 64, 128, 256, 512, 1024];

/// How many of the last records are held with their full keys, without a gap.
const NEAR: usize = 5;

/// A position in a listing: what was delivered up to here, and how to find the position again.
///
/// A small serde value. Store it *after* you have stored the records before it: the cursor stays behind the stream, so
/// resuming from it may repeat records, and skips none but in [these
/// cases](crate::guarantees#what-may-be-skipped). [`Listing::resume`](crate::page::Listing::resume) resumes
/// from it.
///
/// A cursor holds the base URL, the path, and a hash of each parameter that selects records, so it can't be used for
/// another listing. It isn't signed: whoever can change it can make a scan skip records. Page sizes, includes, limits
/// and credentials are not part of it, and may differ when you resume. It holds the ids of some records, and nothing
/// else of them. The same position serializes to the same string on every machine.
///
/// A cursor of another format version can be deserialized, whatever it holds. Using it, or serializing it again,
/// returns an error that names the version.
///
/// ```
/// # #[cfg(feature = "testing")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use actionlog::{Cursor, UnleashClient, testing::FakeServer};
///
/// let server = FakeServer::new();
/// server.unleash().add_sample_events("default", 7, 120);
/// let client = UnleashClient::builder("http://localhost").api_key("any").http_client(server.http_client()).build()?;
/// let listing = client.action_set_events().list(("default", 7));
///
/// let first = listing.clone().max_items(70).collect().await;
/// let stored = serde_json::to_string(&first.cursor)?;
///
/// let cursor: Cursor = serde_json::from_str(&stored)?;
/// let rest = listing.resume(cursor).collect().await;
/// assert_eq!(first.items.len() + rest.items.len(), 120);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "testing"))] fn main() {}
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(Content);

/// The content of a cursor; of one in another version, nothing but the version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Cursor")]
struct Content {
    version: u32,
    listing: Fingerprint,
    /// The offset of the last delivered record.
    offset: u64,
    /// The last delivered record and some before it, the last one first.
    keys: Vec<RecordKey>,
    /// The distance of each of these records from the last one.
    distances: Vec<u32>,
    /// The last delivered records without a gap, the last one first.
    run: Run,
    /// The first records of the listing without a gap, the first one first.
    head: Run,
    /// How many distinct records were delivered.
    delivered: u64,
    /// How many of these are known to be gone from the listing.
    gone: u64,
    /// The smallest and the largest total, if every response had one.
    totals: Option<(u64, u64)>,
    /// Whether every record up to here was delivered.
    whole: bool,
    /// Whether the server has shown that it returns more than one record at once.
    many: bool,
    /// Whether records were read one at a time, without an overlap.
    unoverlapped: bool,
    /// The delivered records in their order: another scan can be compared with these.
    sequence: Sequence,
    /// By how many records the listing shifted down. `None` if it changed in another way.
    shift: Option<u64>,
    /// The last records delivered late, while the head was scanned a second time, the last one first.
    late: Run,
}

/// The identity of a listing, with its parameters hashed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    origin: String,
    path: String,
    parameters: BTreeMap<String, String>,
}

impl Fingerprint {
    /// The fingerprint of a path below `origin`, with these parameters that select records.
    pub(crate) fn new<'a>(
        origin: String,
        path: String,
        selects: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
    ) -> Self {
        let mut parameters = BTreeMap::new();
        for (name, value) in selects {
            let hash = siphasher::sip128::SipHasher24::new().hash(canonical(&value).as_bytes());
            let all: &mut String = parameters.entry(name.into_owned()).or_default();
            all.push_str(&format!("{:032x}", hash.as_u128()));
        }
        Self { origin, path, parameters }
    }

    pub(crate) fn set_origin(&mut self, origin: String) {
        self.origin = origin;
    }

    /// Returns the names of what differs, without the values.
    pub(crate) fn difference(&self, other: &Self) -> Vec<String> {
        let mut names = Vec::new();
        if self.origin != other.origin {
            names.push("the server".to_owned());
        }
        if self.path != other.path {
            names.push("the path".to_owned());
        }
        let all = self.parameters.keys().chain(other.parameters.keys());
        let mut differing: Vec<_> =
            all.filter(|name| self.parameters.get(*name) != other.parameters.get(*name)).collect();
        differing.sort();
        differing.dedup();
        names.extend(differing.into_iter().map(|name| format!("the parameter {name}")));
        names
    }
}

impl Cursor {
    pub(crate) fn set_origin(&mut self, origin: String) {
        self.0.listing.origin = origin;
    }

    /// Returns why the cursor can't be used for this listing: it is of another version or listing, or corrupt.
    pub(crate) fn problem(&self, listing: &Fingerprint) -> Option<String> {
        if self.0.version != VERSION {
            return Some(another_version(self.0.version));
        }
        let broken = match () {
            () if self.0.delivered > 0 && self.0.keys.is_empty() => {
                "it holds no record key, although records were delivered"
            }
            () if self.0.keys.len() != self.0.distances.len() => {
                "it doesn't hold a distance for each of its record keys"
            }
            // A cursor that doesn't start at the head isn't whole, and one that does starts at offset 0.
            () if self.0.delivered == 0 && self.0.offset > 0 && self.0.whole => {
                "no record was delivered, although its position isn't the first"
            }
            () => "",
        };
        if !broken.is_empty() {
            return Some(format!("the cursor is corrupt: {broken}"));
        }
        let names = self.0.listing.difference(listing);
        (!names.is_empty())
            .then(|| format!("the cursor belongs to another listing; these differ: {}", names.join(", ")))
    }

    /// Returns how many distinct records were delivered up to here. 0 for a cursor of another version.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.0.delivered
    }

    pub(crate) fn offset(&self) -> u64 {
        self.0.offset
    }

    /// Returns the full keys, the last record last.
    pub(crate) fn keys(&self) -> Vec<RecordKey> {
        self.0.keys.iter().rev().cloned().collect()
    }

    /// Returns the fingerprints of the last delivered records, the last one first.
    pub(crate) fn run(&self) -> &[u64] {
        &self.0.run.0
    }

    /// Returns the full keys with their distances from the last record. Some are further away than the run reaches.
    pub(crate) fn landmarks(&self) -> impl Iterator<Item = (&RecordKey, u32)> {
        self.0.keys.iter().zip(self.0.distances.iter().copied())
    }

    /// Returns the fingerprints of the listing's first records.
    pub(crate) fn head(&self) -> &[u64] {
        &self.0.head.0
    }

    /// Returns the fingerprints of the last records delivered late, the last one first.
    pub(crate) fn late(&self) -> &[u64] {
        &self.0.late.0
    }

    /// Returns whether the cursor stands at the head, before any record.
    pub(crate) fn is_fresh(&self) -> bool {
        self.0.delivered == 0 && self.0.offset == 0
    }

    /// How many records behind the listing's first one the last record was delivered, without those known to be gone.
    pub(crate) fn depth(&self) -> u64 {
        self.0.delivered.saturating_sub(1).saturating_sub(self.0.gone)
    }

    pub(crate) fn gone(&self) -> u64 {
        self.0.gone
    }

    pub(crate) fn returns_many(&self) -> bool {
        self.0.many
    }

    pub(crate) fn totals(&self) -> Option<(u64, u64)> {
        self.0.totals
    }

    pub(crate) fn unoverlapped(&self) -> bool {
        self.0.unoverlapped
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.0.whole
    }

    pub(crate) fn shift(&self) -> Option<u64> {
        self.0.shift
    }
}

/// What a scan learned besides its position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Learned {
    pub(crate) totals: Option<(u64, u64)>,
    pub(crate) whole: bool,
    pub(crate) many: bool,
    pub(crate) unoverlapped: bool,
    pub(crate) shift: Option<u64>,
    pub(crate) gone: u64,
}

/// The fingerprints of a run of records. Serialized as base64: eight bytes each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Run(Vec<u64>);

/// The position of a stream. It moves with each record that is delivered.
#[derive(Clone, Debug)]
pub(crate) struct Position {
    offset: u64,
    /// The fingerprints of the last delivered records, the last one last.
    run: VecDeque<u64>,
    /// The full keys of the last few records and of some before them, each with the number of records up to it.
    landmarks: VecDeque<(u64, RecordKey)>,
    /// How many records moved the position, including those before a cursor as far as the cursor shows them.
    passed: u64,
    /// The fingerprints of the listing's first records, from a cursor or from a scan towards the head; the first one
    /// last.
    head: Option<VecDeque<u64>>,
    /// The fingerprints of the last records delivered late, while the head was scanned a second time; the last one
    /// last.
    late: VecDeque<u64>,
    pub(crate) delivered: u64,
    /// The delivered records in their order.
    pub(crate) sequence: Sequence,
}

impl Position {
    pub(crate) fn at(offset: u64) -> Self {
        Self {
            offset,
            run: VecDeque::new(),
            landmarks: VecDeque::new(),
            passed: 0,
            head: None,
            delivered: 0,
            sequence: Sequence::default(),
            late: VecDeque::new(),
        }
    }

    pub(crate) fn resume(cursor: &Cursor) -> Self {
        // A cursor from before the first record knows no head: the scan still has to see it.
        let head = (cursor.delivered() > 0).then(|| cursor.head().iter().rev().copied().collect());
        // Counted from the furthest landmark: the cursor doesn't show how many there were before it.
        let passed = u64::from(cursor.landmarks().map(|(_, distance)| distance).max().unwrap_or_default());
        let mut landmarks: VecDeque<_> =
            cursor.landmarks().map(|(id, distance)| (passed.saturating_sub(distance.into()), id.clone())).collect();
        landmarks.make_contiguous().sort_by_key(|(passed, _)| *passed);
        let run = cursor.run().iter().rev().copied().collect();
        let (offset, delivered, sequence) = (cursor.offset(), cursor.delivered(), cursor.0.sequence);
        let late = cursor.late().iter().rev().copied().collect();
        Self { offset, run, landmarks, passed, head, late, delivered, sequence }
    }

    /// Notes a record that was delivered late, on the second scan of the head.
    pub(crate) fn note_late(&mut self, id: &RecordKey) {
        self.late.push_back(id.fingerprint());
        if self.late.len() > RUN {
            self.late.pop_front();
        }
    }

    /// Notes a newer record. The first one of a listing of which nothing was delivered yet is its last one: a scan of
    /// the listing would end there.
    pub(crate) fn rise_from(&mut self, id: RecordKey, offset: u64) {
        self.rise(&id);
        if self.delivered == 0 {
            self.delivered = 1;
            self.advance(id, offset);
        }
    }

    /// Notes a delivered record that stands before all others that were seen.
    pub(crate) fn rise(&mut self, id: &RecordKey) {
        let head = self.head.get_or_insert_default();
        head.push_back(id.fingerprint());
        if head.len() > RUN {
            head.pop_front();
        }
    }

    /// Keeps the first records of the listing as they are: later scans see others, and didn't deliver these yet.
    pub(crate) fn keep_head(&mut self, anchors: &[u64]) {
        self.head = Some(anchors.iter().take(RUN).rev().copied().collect());
    }

    /// Notes that the last delivered record stands at this offset now.
    pub(crate) fn shift(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// Moves behind a delivered record at this offset.
    pub(crate) fn advance(&mut self, id: RecordKey, offset: u64) {
        self.offset = offset;
        self.passed += 1;
        let fingerprint = id.fingerprint();
        self.sequence.push(fingerprint);
        self.run.push_back(fingerprint);
        if self.run.len() > RUN {
            self.run.pop_front();
        }
        self.landmarks.push_back((self.passed, id));
        // Of the records before the last few, one in 64 stays.
        if let Some(index) = self.landmarks.len().checked_sub(NEAR + 1)
            && self.landmarks.get(index).is_some_and(|(passed, _)| passed % RUN as u64 != 0)
        {
            self.landmarks.remove(index);
        }
        let furthest = (DISTANCES[DISTANCES.len() - 1] + RUN) as u64;
        if self.landmarks.front().is_some_and(|(passed, _)| self.passed - passed > furthest) {
            self.landmarks.pop_front();
        }
    }

    /// Moves back to a delivered record that stands at this offset: those behind it are gone. Returns `false`, and does
    /// nothing, if it isn't one of the last that were delivered.
    pub(crate) fn go_back(&mut self, id: &RecordKey, offset: u64) -> bool {
        let Some(index) = self.run.iter().rposition(|it| *it == id.fingerprint()) else { return false };
        let gone = self.run.len() - 1 - index;
        self.run.truncate(index + 1);
        self.offset = offset;
        self.passed = self.passed.saturating_sub(gone as u64);
        self.landmarks.retain(|(passed, _)| *passed < self.passed);
        self.landmarks.push_back((self.passed, id.clone()));
        true
    }

    /// Whether a record is one of the last that were delivered.
    pub(crate) fn has_just_passed(&self, id: &RecordKey) -> bool {
        self.run.contains(&id.fingerprint())
    }

    /// Returns the cursor for this position. `anchors` are the fingerprints of the listing's first records, as the walk
    /// saw them.
    pub(crate) fn cursor(&self, listing: Fingerprint, anchors: &[u64], learned: Learned) -> Cursor {
        let Learned { totals, whole, many, unoverlapped, shift, gone } = learned;
        let head = match &self.head {
            Some(head) => head.iter().rev().copied().collect(),
            None => anchors.iter().take(RUN).copied().collect(),
        };
        let (mut ids, mut distances) = (Vec::new(), Vec::new());
        for (passed, id) in self.landmarks.iter().rev() {
            let distance = u32::try_from(self.passed - passed).unwrap_or(u32::MAX);
            if DISTANCES.get(ids.len()).is_some_and(|wanted| distance as usize >= *wanted) {
                ids.push(id.clone());
                distances.push(distance);
            }
        }
        Cursor(Content {
            version: VERSION,
            listing,
            offset: self.offset,
            keys: ids,
            distances,
            run: Run(self.run.iter().rev().copied().collect()),
            head: Run(head),
            delivered: self.delivered,
            gone,
            totals,
            whole,
            many,
            unoverlapped,
            sequence: self.sequence,
            shift,
            late: Run(self.late.iter().rev().copied().collect()),
        })
    }
}
