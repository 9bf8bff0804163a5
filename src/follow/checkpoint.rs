//! What a follower remembers between two runs.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cursor::{Cursor, Fingerprint};
use crate::error::{Error, ErrorKind, Result};
use crate::follow::digest::digest;
use crate::follow::gap::GapReason;
use crate::follow::machine::state::{Left, Phase, ScanPosition, State};
use crate::follow::machine::table::{Entry, Table};
use crate::follow::machine::{Settings, Side};
use crate::page::RecordKey;
use crate::transport::base_url::Base;
use crate::values::json::Json;

/// Checkpoints of another version are rejected.
const VERSION: u32 = 1;

/// Where a follower stands behind a [batch](crate::follow::Batch), as a serde value.
///
/// Store it in the transaction that stores the changes of its batch, or after that. It covers the batch and all before
/// it: a follower that [starts from it](crate::follow::StartFrom::Checkpoint) skips nothing, and repeats only what was
/// delivered behind it. Any stored checkpoint will do, also an old one.
///
/// A checkpoint holds the base URL, the path, and a hash of each parameter that selects records, so it can't be used
/// for another listing. It holds the ids of the records of the lookback, and 64 bits of a hash of each one's content.
/// It has a checksum against accidents, and isn't signed: whoever can change it can make a follower skip records.
///
/// Each of these records takes 16 bytes of JSON and its id; while it isn't final, 24 (32, if its time isn't one of
/// whole milliseconds). All else takes less than 5 KB, and more only if ids are long. So a thousand records, the
/// default [lookback](crate::follow::Follow::lookback), take less than 55 KB if their ids have 24 characters, and 12 KB
/// more if they have 36. Ids of up to 512 bytes are held in full: with these, it is less than 560 KB. (Longer ones are
/// held as their beginning and a hash.) It is twice as much while it isn't known which end of the listing grows, and
/// while a scan reads again from the head what was delivered; three times, where both is the case.
///
/// A checkpoint of another format version can be deserialized, whatever it holds. Using it, or serializing it again,
/// returns an error that names the version.
///
/// ```
/// # #[cfg(feature = "testing")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use actionlog::follow::{Checkpoint, StartFrom};
/// use actionlog::{UnleashClient, testing::FakeServer};
///
/// let server = FakeServer::new();
/// server.unleash().add_sample_events("default", 7, 30);
/// let client = UnleashClient::builder("http://localhost").api_key("any").http_client(server.http_client()).build()?;
/// let listing = client.action_set_events().list(("default", 7));
///
/// let mut follow = listing.clone().follow();
/// let Some(batch) = follow.next().await else { return Ok(()) };
/// let stored = batch?.checkpoint.to_string();
/// drop(follow);
///
/// // Another run of the program, later.
/// server.unleash().add_sample_events("default", 7, 2);
/// let checkpoint: Checkpoint = stored.parse()?;
/// let mut follow = listing.follow().start_from(StartFrom::Checkpoint(checkpoint));
/// let mut new = 0;
/// while let Some(batch) = follow.next().await {
///     let batch = batch?;
///     new += batch.changes.len();
///     if batch.progress.caught_up {
///         break;
///     }
/// }
/// assert_eq!(new, 2);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "testing"))] fn main() {}
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Checkpoint(Arc<Kept>);

#[derive(Clone, PartialEq, Eq)]
enum Kept {
    Current(Box<Stored>),
    /// Of another version, only the version is known.
    OtherVersion(u32),
}

/// The state of a follower, as it is stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    listing: Fingerprint,
    phase: Phase,
    head: Option<Records>,
    end: Option<Records>,
    before: Option<Records>,
    is_below: bool,
    position: Option<Cursor>,
    refresh: Option<Cursor>,
    floor: Option<DateTime<Utc>>,
    gap: Option<GapReason>,
    newest: Option<DateTime<Utc>>,
    left: Left,
    has_left: bool,
    scans: u64,
}

/// The records of the lookback, the newest first.
#[derive(Clone, PartialEq, Eq)]
struct Records(Vec<Record>);

/// The key, the digest, whether the record is final, and its time if it isn't.
type Record = (RecordKey, u64, Option<bool>, Option<DateTime<Utc>>);

impl Checkpoint {
    pub(crate) fn of(state: &State, listing: &Fingerprint) -> Self {
        let records = |table: &Option<Table>| {
            let entry = |it: &Entry| (it.key.clone(), it.digest, it.is_final, it.time.filter(|_| it.is_open()));
            table.as_ref().map(|table| Records(table.iter().map(entry).collect()))
        };
        let cursor = |position: &Option<ScanPosition>| position.as_ref().map(|it| it.cursor(listing.clone()));
        Self(Arc::new(Kept::Current(Box::new(Stored {
            listing: listing.clone(),
            phase: state.phase,
            head: records(&state.head),
            end: records(&state.end),
            before: records(&state.before),
            is_below: state.is_below,
            position: cursor(&state.position),
            refresh: cursor(&state.refresh),
            floor: state.floor,
            gap: state.gap,
            newest: state.newest,
            left: state.left.clone(),
            has_left: state.has_left,
            scans: state.scans,
        }))))
    }

    /// Returns the state, if the checkpoint belongs to this listing.
    pub(crate) fn state(&self, settings: &Settings) -> Result<State> {
        let invalid = |why: String| Error::new(ErrorKind::InvalidRequest, why);
        let stored = match &*self.0 {
            Kept::Current(stored) => stored,
            Kept::OtherVersion(version) => return Err(invalid(another_version(*version))),
        };
        let names = stored.listing.difference(&settings.listing);
        if !names.is_empty() {
            let why = format!("the checkpoint belongs to another listing; these differ: {}", names.join(", "));
            return Err(invalid(why));
        }
        for cursor in stored.position.iter().chain(&stored.refresh) {
            cursor.problem(&settings.listing).map_or(Ok(()), |why| Err(invalid(format!("the checkpoint: {why}"))))?;
        }
        stored.check_end(settings.side).map_err(|why| invalid(why.to_owned()))?;
        let table = |records: &Option<Records>| {
            let entry = |it: &Record| Entry::new(it.0.clone(), it.1, it.2, it.3);
            records.as_ref().map(|it| Table::of(it.0.iter().map(entry).collect(), settings.remembered()))
        };
        let forgets = |it: &Records| it.0.len() > settings.remembered();
        Ok(State {
            phase: stored.phase,
            head: table(&stored.head).filter(|_| settings.side != Some(Side::End)),
            end: table(&stored.end).filter(|_| settings.side != Some(Side::Head)),
            before: table(&stored.before),
            is_below: stored.is_below,
            position: stored.position.as_ref().map(ScanPosition::of),
            refresh: stored.refresh.as_ref().map(ScanPosition::of),
            floor: stored.floor,
            gap: stored.gap,
            newest: stored.newest,
            left: stored.left.clone(),
            has_left: stored.has_left || stored.head.iter().chain(&stored.end).any(forgets),
            scans: stored.scans,
        })
    }

    /// Moves the checkpoint to another base URL: a host was renamed, or another host serves the same log. See
    /// [`Cursor::rebase`](crate::Cursor::rebase).
    ///
    /// The method can't check whether the other server holds the same records under the same ids. If it holds others,
    /// the follower reports a [gap](crate::follow::GapReason::AnchorsGone) and delivers everything.
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration) if a client builder would reject `base_url`, and
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for a checkpoint of another version.
    pub fn rebase(self, base_url: &str) -> Result<Self> {
        let origin = Base::parse(base_url, true)?.origin();
        let mut stored = match &*self.0 {
            Kept::Current(stored) => stored.clone(),
            Kept::OtherVersion(version) => {
                return Err(Error::new(ErrorKind::InvalidRequest, another_version(*version)));
            }
        };
        stored.listing.set_origin(origin.clone());
        for cursor in stored.position.iter_mut().chain(&mut stored.refresh) {
            cursor.set_origin(origin.clone());
        }
        Ok(Self(Arc::new(Kept::Current(stored))))
    }
}

impl Stored {
    /// Whether it has the records of this end of the listing.
    fn check_end(&self, side: Option<Side>) -> std::result::Result<(), &'static str> {
        let is_other_end = match side {
            Some(Side::Head) => self.head.is_none(),
            Some(Side::End) => self.end.is_none(),
            None => self.head.is_none() && self.end.is_none(),
        };
        let why = "the checkpoint is of a follower that looked at the other end of the listing: start without it, or \
                   change `Listing::growth`";
        if is_other_end { Err(why) } else { Ok(()) }
    }
}

fn another_version(version: u32) -> String {
    format!("the checkpoint has version {version}, and this crate reads version {VERSION}: start without it")
}

/// The form in every serde format: the state is JSON, which formats other than JSON hold as a string.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Checkpoint")]
struct Outer {
    version: u32,
    #[serde(default)]
    state: Option<Json>,
    #[serde(default)]
    check: Option<Json>,
}

/// A checkpoint of another version can't be serialized: its content wasn't read, and would be lost.
impl Serialize for Checkpoint {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error as _;

        let stored = match &*self.0 {
            Kept::Current(stored) => stored,
            Kept::OtherVersion(version) => return Err(S::Error::custom(another_version(*version))),
        };
        let text = serde_json::to_string(stored).map_err(S::Error::custom)?;
        let check = format!("\"{:016x}\"", digest(&text));
        let json = |text: String| Json::from_str(&text).map(Some).map_err(S::Error::custom);
        Outer { version: VERSION, state: json(text)?, check: json(check)? }.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Checkpoint {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;

        let outer = Outer::deserialize(from)?;
        if outer.version != VERSION {
            return Ok(Self(Arc::new(Kept::OtherVersion(outer.version))));
        }
        let broken = |why: &str| D::Error::custom(format_args!("the checkpoint is corrupt: {why}"));
        let state = outer.state.ok_or_else(|| broken("it has no state"))?;
        let check: Option<String> = outer.check.and_then(|it| it.parse().ok());
        if check != Some(format!("{:016x}", digest(state.as_str()))) {
            return Err(broken("its checksum doesn't fit its state"));
        }
        let stored: Stored = state.parse().map_err(|_| broken("its state has another form"))?;
        Ok(Self(Arc::new(Kept::Current(Box::new(stored)))))
    }
}

/// Compact JSON, as serde_json writes it. For a checkpoint of another version this is an error text in parentheses,
/// which can't be parsed.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match serde_json::to_string(self) {
            Ok(text) => f.write_str(&text),
            Err(error) => write!(f, "({error})"),
        }
    }
}

impl FromStr for Checkpoint {
    type Err = Error;

    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] for anything that isn't a checkpoint's JSON, or one that was changed.
    fn from_str(text: &str) -> Result<Self> {
        serde_json::from_str(text)
            .map_err(|error| Error::new(ErrorKind::InvalidRequest, "the string isn't a checkpoint").with_source(error))
    }
}

/// Shows how many records it remembers, and none of them.
impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Checkpoint");
        match &*self.0 {
            Kept::Current(stored) => {
                let records: usize = stored.head.iter().chain(&stored.end).map(|it| it.0.len()).sum();
                out.field("phase", &stored.phase).field("records", &records).finish_non_exhaustive()
            }
            Kept::OtherVersion(version) => out.field("version", version).finish_non_exhaustive(),
        }
    }
}

/// Keys as a list; digests, states and the times of open records as base64.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Packed {
    keys: Vec<RecordKey>,
    digests: String,
    states: String,
    times: String,
}

/// A time in whole milliseconds takes six bytes, within 4,459 years of 1970.
const SHORT: usize = 6;

/// Any other takes twelve: its seconds, and its nanoseconds.
const LONG: usize = 12;

/// Bits of a record's state: it is in a final state or not, and has a time of one of the two forms.
const IS_OPEN: u8 = 1;
const IS_FINAL: u8 = 2;
const HAS_SHORT: u8 = 4;
const HAS_LONG: u8 = 8;

impl Serialize for Records {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (mut digests, mut states, mut times) = (Vec::new(), Vec::new(), Vec::new());
        for (_, digest, is_final, time) in &self.0 {
            digests.extend(digest.to_be_bytes());
            let state = is_final.map_or(0, |it| if it { IS_FINAL } else { IS_OPEN });
            states.push(state | time.map_or(0, |it| push_time(&mut times, it)));
        }
        let coded = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let keys = self.0.iter().map(|it| it.0.clone()).collect();
        Packed { keys, digests: coded(&digests), states: coded(&states), times: coded(&times) }.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Records {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let packed = Packed::deserialize(from)?;
        packed.unpack().ok_or_else(|| serde::de::Error::custom("not the records of a checkpoint"))
    }
}

impl Packed {
    fn unpack(self) -> Option<Records> {
        let bytes = |text: String| BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let (digests, states, times) = (bytes(self.digests)?, bytes(self.states)?, bytes(self.times)?);
        let (digests, rest) = digests.as_chunks::<8>();
        if !rest.is_empty() || digests.len() != self.keys.len() || states.len() != digests.len() {
            return None;
        }
        let mut times = times.as_slice();
        let mut records = Vec::with_capacity(self.keys.len());
        for ((key, digest), state) in self.keys.into_iter().zip(digests).zip(states) {
            let is_final = match state & (IS_OPEN | IS_FINAL) {
                0 => None,
                it => Some(it == IS_FINAL),
            };
            let time = match state & (HAS_SHORT | HAS_LONG) {
                0 => None,
                HAS_SHORT => Some(short_time(take(&mut times)?)?),
                HAS_LONG => Some(long_time(take(&mut times)?)?),
                _ => return None,
            };
            records.push((key, u64::from_be_bytes(*digest), is_final, time));
        }
        times.is_empty().then_some(Records(records))
    }
}

/// Adds a time in the shorter form that holds it exactly, and returns the bit of that form.
fn push_time(to: &mut Vec<u8>, time: DateTime<Utc>) -> u8 {
    let [_, _, short @ ..] = time.timestamp_millis().to_be_bytes();
    if short_time(&short) == Some(time) {
        to.extend(short);
        return HAS_SHORT;
    }
    to.extend(time.timestamp().to_be_bytes());
    to.extend(time.timestamp_subsec_nanos().to_be_bytes());
    HAS_LONG
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(first)
}

fn short_time(bytes: &[u8; SHORT]) -> Option<DateTime<Utc>> {
    let mut whole = [0; 8];
    whole[..SHORT].copy_from_slice(bytes);
    // The sign is that of the first byte.
    DateTime::from_timestamp_millis(i64::from_be_bytes(whole) >> (8 * (8 - SHORT)))
}

fn long_time(bytes: &[u8; LONG]) -> Option<DateTime<Utc>> {
    let (seconds, rest) = bytes.split_first_chunk()?;
    DateTime::from_timestamp(i64::from_be_bytes(*seconds), u32::from_be_bytes(*rest.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any time: near to now, and anywhere from the first to the last one that there is.
    fn times() -> impl Strategy<Value = DateTime<Utc>> {
        let near = -100_000_000_000_i64..100_000_000_000;
        let any = DateTime::<Utc>::MIN_UTC.timestamp()..=DateTime::<Utc>::MAX_UTC.timestamp();
        let nanos = prop_oneof![(0..2_000_u32).prop_map(|it| it * 1_000_000), 0..2_000_000_000_u32];
        let time = |(seconds, nanos)| DateTime::from_timestamp(seconds, nanos);
        // Two thousand milliseconds are those of a leap second, which only some seconds have.
        (prop_oneof![near, any], nanos).prop_filter_map("a leap second elsewhere", time)
    }

    fn open(id: impl Into<RecordKey>, time: Option<DateTime<Utc>>) -> Record {
        (id.into(), 7, Some(false), time)
    }

    fn again<T: Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
        serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_time_of_a_record_is_the_same_after_a_restart(some in proptest::collection::vec(any_time(), 0..5)) {
            let records: Vec<_> = (0_i64..).zip(some).map(|(id, time)| open(id, time)).collect();
            prop_assert_eq!(&again(&Records(records.clone())).0, &records);
        }

        #[test]
        fn every_other_time_of_a_checkpoint_is_the_same_after_a_restart(time in times()) {
            let left = Left { count: 1, oldest: Some((RecordKey::from(1), Some(time))) };
            prop_assert_eq!(&again(&left), &left);
            let phase = Phase::Start(crate::follow::machine::Begin::Since(time));
            prop_assert_eq!(again(&phase), phase);
            prop_assert_eq!(again(&Some(time)), Some(time));
        }
    }

    fn any_time() -> impl Strategy<Value = Option<DateTime<Utc>>> {
        proptest::option::weighted(0.8, times())
    }

    #[test]
    fn a_record_takes_its_id_and_as_many_bytes_as_documented() {
        let whole = DateTime::from_timestamp_millis(1_767_225_600_123).unwrap();
        let fine = whole + chrono::TimeDelta::microseconds(1);
        let states =
            [(16, Some(true), None), (16, None, None), (24, Some(false), Some(whole)), (32, Some(false), Some(fine))];
        let cases = [1, 24, 36, 512].into_iter().flat_map(|it| states.map(|state| (it, state)));
        for (length, (bytes, is_final, time)) in cases {
            let key = |number: usize| RecordKey::from(format!("{number:0length$}").as_str());
            let records = Records((0..1_000).map(|it| (key(it % 10), 7, is_final, time)).collect());
            let text = serde_json::to_string(&records).unwrap();
            // Beside the records, the names of the lists.
            let names = r#"{"keys":[],"digests":"","states":"","times":""}"#.len();
            assert!(text.len() <= 1_000 * (length + bytes) + names, "{length}, {is_final:?}: {}", text.len());
            assert!(text.len() > 1_000 * (length + bytes - 1), "{length}, {is_final:?}: {}", text.len());
        }
        let long = serde_json::to_string(&Records(vec![open("x".repeat(10_000).as_str(), None)])).unwrap();
        assert!(long.len() < 200, "{long}");
    }

    #[test]
    fn the_first_and_the_last_time_that_there_are_and_those_where_a_form_ends_are_the_same_after_a_restart() {
        let ends = [-(1_i64 << 47), (1 << 47) - 1].map(|it| DateTime::from_timestamp_millis(it).unwrap());
        let step = chrono::TimeDelta::milliseconds(1);
        let times =
            [DateTime::<Utc>::MIN_UTC, ends[0] - step, ends[0], ends[1], ends[1] + step, DateTime::<Utc>::MAX_UTC];
        for time in times {
            let records = vec![open(1_i64, Some(time)), open(2_i64, None), open(3_i64, Some(ends[0]))];
            assert_eq!(again(&Records(records.clone())).0, records);
            assert_eq!(again(&time), time);
        }
    }
}
