//! A place in a listing, to go on from.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{DeserializeSeed, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Identity;
use super::canonical::canonical;
use crate::error::{Error, ErrorKind, Result};
use crate::request::Request;
use crate::transport::base::Base;

/// Cursors of another version are refused.
const VERSION: u32 = 2;

/// How many of the records delivered last a cursor recognises, each by 64 bits, and how many of the listing's first: runs
/// without a gap, so that a listing that was shifted is told from one in which single records moved.
const RUN: usize = 64;

/// How far back the records are of which a cursor holds the whole id: the last ones, which also tell unreadable records
/// of the same text apart, and some further up, to find the position by where the whole run was removed.
const DISTANCES: [usize; 10] = [0, 1, 2, 3, 4, 64, 128, 256, 512, 1024];

/// How many of the last records are held with their whole ids, one behind the other.
const NEAR: usize = 5;

/// A place in a listing: what was given up to here, and how to find the place again.
///
/// A small serde value. Store it *after* what was given up to it is stored: it stays behind the reader, so going on from
/// it may repeat records and never skips one. [`Listing::resume`](super::Listing::resume) goes on from it.
///
/// It holds the base URL, the path, and a hash of each parameter that selects records; it can't be used for
/// another listing. It isn't signed: one that others could change can make a reading skip. Page sizes, includes, limits
/// and credentials are not part of it: these may differ when going on. It holds the ids of some records, and nothing else
/// of them. The same place gives the same text on every machine.
///
/// One of another version of this format can be read back, whatever it holds, and is refused by its version when it's
/// used, or stored again.
///
/// ```
/// # #[cfg(feature = "testing")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use actionlog::{Cursor, UnleashClient, testing::World};
///
/// let world = World::new();
/// world.unleash().add_sample_events("default", 7, 120);
/// let client = UnleashClient::builder("http://localhost").api_key("any").exchange(world.exchange()).build()?;
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
pub struct Cursor(Kept);

/// What a cursor holds. Of another version nothing but that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Cursor")]
struct Kept {
    version: u32,
    listing: Fingerprint,
    /// Where the last known record was.
    place: u64,
    /// The last known record, and some before it, the last first.
    known: Vec<Identity>,
    /// The distance of each of these from the last one.
    distances: Vec<u32>,
    /// The records delivered last, without a gap, the last one first.
    run: Run,
    /// The first records of the listing, without a gap, the first one first.
    head: Run,
    /// How many distinct records were given.
    seen: u64,
    /// The smallest and the largest total that the server gave, if every answer had one.
    totals: Option<(u64, u64)>,
    /// Whether everything up to here was given.
    whole: bool,
    /// Whether the server has shown that it gives more than one record at once.
    many: bool,
    /// Whether records were read one at a time, without an overlap.
    strode: bool,
}

const FIELDS: &[&str] =
    &["version", "listing", "place", "known", "distances", "run", "head", "seen", "totals", "whole", "many", "strode"];

impl Kept {
    fn of_version(version: u32) -> Self {
        Self { version, ..Self::default() }
    }
}

fn another_version(version: u32) -> String {
    format!("the cursor is of version {version}, and this crate reads version {VERSION}")
}

/// One of another version isn't written: what it held wasn't read, and would be lost.
impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0.version {
            VERSION => self.0.serialize(to),
            version => Err(serde::ser::Error::custom(another_version(version))),
        }
    }
}

/// As compact JSON, which is what serde_json writes: one cursor has one text. One of another version isn't written, and
/// can't be parsed from what stands in its place.
///
/// ```
/// # fn example(cursor: actionlog::Cursor) -> actionlog::Result<()> {
/// let stored = cursor.to_string();
/// assert_eq!(stored.parse::<actionlog::Cursor>()?, cursor);
/// # Ok(())
/// # }
/// ```
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match serde_json::to_string(self) {
            Ok(text) => f.write_str(&text),
            Err(error) => write!(f, "({error})"),
        }
    }
}

impl FromStr for Cursor {
    type Err = Error;

    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] for anything that isn't a cursor's JSON.
    fn from_str(text: &str) -> Result<Self> {
        serde_json::from_str(text)
            .map_err(|error| Error::new(ErrorKind::InvalidRequest, "the text isn't a cursor").with_source(error))
    }
}

/// By its version first: what else one of another version holds is of a shape that isn't known, and must not be what
/// keeps it from being refused by its version, when it's used.
impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_struct("Cursor", FIELDS, ByVersion).map(Self)
    }
}

struct ByVersion;

impl<'de> Visitor<'de> for ByVersion {
    type Value = Kept;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cursor")
    }

    /// The version may come after the others: these wait for it.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kept, A::Error> {
        let (mut version, mut fields) = (None, serde_json::Map::new());
        while let Some(name) = map.next_key::<String>()? {
            if version.is_some_and(|it| it != VERSION) {
                map.next_value::<IgnoredAny>()?;
            } else if name == "version" {
                let found = map.next_value::<u32>()?;
                fields.insert(name, found.into());
                version = Some(found);
            } else {
                fields.insert(name, map.next_value()?);
            }
        }
        match version {
            Some(version) if version != VERSION => Ok(Kept::of_version(version)),
            _ => Kept::deserialize(serde_json::Value::Object(fields)).map_err(serde::de::Error::custom),
        }
    }

    /// In formats without names the version comes first.
    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Kept, A::Error> {
        match fields.next_element::<u32>()? {
            Some(version) if version != VERSION => {
                // Where they can be skipped; some formats can't tell where a value of an unknown shape ends.
                while let Ok(Some(IgnoredAny)) = fields.next_element() {}
                Ok(Kept::of_version(version))
            }
            version => Kept::deserialize(SeqAccessDeserializer::new(Put { back: version, fields })),
        }
    }
}

/// A sequence whose first element was taken out, and is put back.
struct Put<A> {
    back: Option<u32>,
    fields: A,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Put<A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        match self.back.take() {
            Some(version) => seed.deserialize(version.into_deserializer()).map(Some),
            None => self.fields.next_element_seed(seed),
        }
    }
}

/// Which listing it is, without what it asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fingerprint {
    origin: String,
    path: String,
    parameters: BTreeMap<String, String>,
}

impl Fingerprint {
    pub(super) fn of<T>(origin: String, request: &Request<T>) -> Result<Self> {
        let path = request.path()?.to_owned();
        let mut parameters = BTreeMap::new();
        for (name, value) in request.selects() {
            let hash = siphasher::sip128::SipHasher24::new().hash(canonical(&value).as_bytes());
            let all: &mut String = parameters.entry(name.into_owned()).or_default();
            all.push_str(&format!("{:032x}", hash.as_u128()));
        }
        Ok(Self { origin, path, parameters })
    }

    /// Names what differs, and not how.
    pub(super) fn difference(&self, other: &Self) -> Vec<String> {
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
    /// The same position in the same listing behind another base URL: a host was renamed, or another one serves the same log.
    ///
    /// A cursor belongs to the base URL of the client that made it, and is refused by any other. This is the way past
    /// that, for whoever knows that the listing is the same. The path of the listing, and the parameters that select its
    /// records, must still agree.
    ///
    /// What it can't check is whether the other server holds the same records under the same ids. If it holds others, a
    /// scan that resumes there doesn't find the position, and reads the listing from its start.
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration) if the builder of a client would refuse `base_url`, but for plain
    /// `http`, which is for the client to allow.
    ///
    /// ```
    /// # #[cfg(feature = "testing")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> actionlog::Result<()> {
    /// use actionlog::{UnleashClient, testing::World};
    ///
    /// let world = World::new();
    /// world.unleash().add_sample_events("default", 7, 120);
    /// let at = |url| UnleashClient::builder(url).api_key("any").exchange(world.exchange()).build();
    ///
    /// let first = at("https://unleash.old.example")?.action_set_events().list(("default", 7)).max_items(70).collect().await;
    /// let Some(cursor) = first.cursor else { return Ok(()) };
    ///
    /// let moved = cursor.rebase("https://unleash.new.example")?;
    /// let rest = at("https://unleash.new.example")?.action_set_events().list(("default", 7)).resume(moved).collect().await;
    /// assert_eq!(first.items.len() + rest.items.len(), 120);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "testing"))] fn main() {}
    /// ```
    pub fn rebase(mut self, base_url: &str) -> Result<Self> {
        self.0.listing.origin = Base::parse(base_url, true)?.origin();
        Ok(self)
    }

    /// Checks that it's one of this listing.
    pub(super) fn check(&self, listing: &Fingerprint) -> Result<()> {
        if self.0.version != VERSION {
            return Err(Error::new(ErrorKind::InvalidRequest, another_version(self.0.version)));
        }
        let broken = match () {
            () if self.0.seen > 0 && self.0.known.is_empty() => "it knows no record, and some were delivered",
            () if self.0.known.len() != self.0.distances.len() => "it doesn't say how far apart its records are",
            // A scan that skips the first records isn't whole, and one that doesn't begins at 0.
            () if self.0.seen == 0 && self.0.place > 0 && self.0.whole => {
                "nothing was delivered, and yet its position isn't the first"
            }
            () => "",
        };
        if !broken.is_empty() {
            return Err(Error::new(ErrorKind::InvalidRequest, format!("the cursor is broken: {broken}")));
        }
        let names = self.0.listing.difference(listing);
        if names.is_empty() {
            return Ok(());
        }
        let message = format!("the cursor is one of another listing; what differs: {}", names.join(", "));
        Err(Error::new(ErrorKind::InvalidRequest, message))
    }

    /// How many distinct records were given up to here. 0 for a cursor of another version.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.0.seen
    }

    pub(super) fn place(&self) -> u64 {
        self.0.place
    }

    /// The known records, the last one last.
    pub(super) fn known(&self) -> Vec<Identity> {
        self.0.known.iter().rev().cloned().collect()
    }

    /// The records delivered last, by their fingerprints, the last one first.
    pub(super) fn run(&self) -> &[u64] {
        &self.0.run.0
    }

    /// The known records that are further from the last one than the run reaches, with their distances.
    pub(super) fn landmarks(&self) -> impl Iterator<Item = (&Identity, u32)> {
        self.0.known.iter().zip(self.0.distances.iter().copied())
    }

    /// The first records of the listing, by their fingerprints.
    pub(super) fn head(&self) -> &[u64] {
        &self.0.head.0
    }

    /// Whether nothing was given up to here, from the head on.
    pub(super) fn is_fresh(&self) -> bool {
        self.0.seen == 0 && self.0.place == 0
    }

    pub(super) fn gives_many(&self) -> bool {
        self.0.many
    }

    pub(super) fn totals(&self) -> Option<(u64, u64)> {
        self.0.totals
    }

    pub(super) fn strode(&self) -> bool {
        self.0.strode
    }

    pub(super) fn is_whole(&self) -> bool {
        self.0.whole
    }
}

/// What a reading learned, besides where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Learned {
    pub(super) totals: Option<(u64, u64)>,
    pub(super) whole: bool,
    pub(super) many: bool,
    pub(super) strode: bool,
}

/// The fingerprints of the records delivered last, the last one first. Written as base64: eight bytes each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Run(Vec<u64>);

impl Serialize for Run {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self.0.iter().flat_map(|it| it.to_be_bytes()).collect();
        to.serialize_str(&BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Run {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let broken = || serde::de::Error::custom("not a run of records");
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| broken())?;
        let (chunks, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() || chunks.len() > RUN {
            return Err(broken());
        }
        Ok(Self(chunks.iter().map(|it| u64::from_be_bytes(*it)).collect()))
    }
}

/// The reader's position, moved on with each record that is delivered.
#[derive(Clone, Debug)]
pub(super) struct Position {
    place: u64,
    /// The fingerprints of the records delivered last, the last one last.
    run: VecDeque<u64>,
    /// Whole ids of the last few, and of some before these, each with the number of records up to it.
    landmarks: VecDeque<(u64, Identity)>,
    /// How many records moved it on, those before a cursor counted as far as it knows them.
    passed: u64,
    /// The first records of the listing, where the reader was told them or climbed to them; the first one last.
    head: Option<VecDeque<u64>>,
    pub(super) seen: u64,
}

impl Position {
    pub(super) fn at(place: u64) -> Self {
        Self { place, run: VecDeque::new(), landmarks: VecDeque::new(), passed: 0, head: None, seen: 0 }
    }

    pub(super) fn resume(cursor: &Cursor) -> Self {
        // Of one that was taken before anything was given, the head is still to be met.
        let head = (cursor.seen() > 0).then(|| cursor.head().iter().rev().copied().collect());
        // Counted from the furthest one, as nothing is known of those before it.
        let passed = u64::from(cursor.landmarks().map(|(_, distance)| distance).max().unwrap_or_default());
        let mut landmarks: VecDeque<_> =
            cursor.landmarks().map(|(id, distance)| (passed.saturating_sub(distance.into()), id.clone())).collect();
        landmarks.make_contiguous().sort_by_key(|(passed, _)| *passed);
        let run = cursor.run().iter().rev().copied().collect();
        Self { place: cursor.place(), run, landmarks, passed, head, seen: cursor.seen() }
    }

    /// A record was given that stands before all that was known.
    pub(super) fn rise(&mut self, id: &Identity) {
        let head = self.head.get_or_insert_default();
        head.push_back(id.fingerprint());
        if head.len() > RUN {
            head.pop_front();
        }
    }

    /// The record that comes next in the listing was given.
    pub(super) fn advance(&mut self, id: Identity, place: u64) {
        self.place = place;
        self.passed += 1;
        self.run.push_back(id.fingerprint());
        if self.run.len() > RUN {
            self.run.pop_front();
        }
        self.landmarks.push_back((self.passed, id));
        // Of those that are no longer among the last few, one in 64 stays.
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

    /// `anchors`: the first records of the listing, as the walk met them.
    pub(super) fn cursor(&self, listing: Fingerprint, anchors: &[u64], known: Learned) -> Cursor {
        let Learned { totals, whole, many, strode } = known;
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
        Cursor(Kept {
            version: VERSION,
            listing,
            place: self.place,
            known: ids,
            distances,
            run: Run(self.run.iter().rev().copied().collect()),
            head: Run(head),
            seen: self.seen,
            totals,
            whole,
            many,
            strode,
        })
    }
}
