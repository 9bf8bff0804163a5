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

/// Where a follower stands behind a [batch](crate::follow::Batch): a serde value of less than 50 KB with the default
/// lookback, and of less than 100 KB while the first scan reads again from the head what it has delivered.
///
/// Store it in the transaction that stores the changes of its batch, or after that. It covers the batch and all before
/// it: a follower that [starts from it](crate::follow::StartFrom::Checkpoint) skips nothing, and repeats only what was
/// delivered behind it. Any stored checkpoint will do, also an old one.
///
/// A checkpoint holds the base URL, the path, and a hash of each parameter that selects records, so it can't be used
/// for another listing. It holds the ids of the records of the lookback, and 64 bits of a hash of each one's content.
/// It has a checksum against accidents, and isn't signed: whoever can change it can make a follower skip records.
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

/// A time in milliseconds takes six bytes.
const TIME: usize = 6;

impl Serialize for Records {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (mut digests, mut states, mut times) = (Vec::new(), Vec::new(), Vec::new());
        for (_, digest, is_final, time) in &self.0 {
            digests.extend(digest.to_be_bytes());
            let state = is_final.map_or(0, |it| if it { 2 } else { 1 });
            states.push(state | if time.is_some() { 4 } else { 0 });
            if let Some(time) = time {
                times.extend(&time.timestamp_millis().to_be_bytes()[8 - TIME..]);
            }
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
        let (times, late) = times.as_chunks::<TIME>();
        if !rest.is_empty() || !late.is_empty() || digests.len() != self.keys.len() || states.len() != digests.len() {
            return None;
        }
        let mut times = times.iter();
        let mut records = Vec::with_capacity(self.keys.len());
        for ((key, digest), state) in self.keys.into_iter().zip(digests).zip(states) {
            let is_final = match state & 3 {
                0 => None,
                it => Some(it == 2),
            };
            let time = if state & 4 == 0 { None } else { Some(time_of(times.next()?)?) };
            records.push((key, u64::from_be_bytes(*digest), is_final, time));
        }
        times.next().is_none().then_some(Records(records))
    }
}

fn time_of(bytes: &[u8; TIME]) -> Option<DateTime<Utc>> {
    let mut whole = [0; 8];
    whole[..TIME].copy_from_slice(bytes);
    // The sign is that of the first byte.
    DateTime::from_timestamp_millis(i64::from_be_bytes(whole) >> (8 * (8 - TIME)))
}
