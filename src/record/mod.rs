//! One view over the records of all logs: [`LogRecord`].
//!
//! The three models differ in their fields and in the words for the same thing. A function over [`LogRecord`] works on
//! all three, on records with their [raw JSON](crate::page::Raw), on [`AnyRecord`](crate::AnyRecord), and on custom
//! records:
//!
//! ```
//! use actionlog::record::{LogRecord, Outcome};
//!
//! /// One line for a failure, from whatever log.
//! fn alarm(record: &impl LogRecord) -> Option<String> {
//!     let why = record.error().unwrap_or("it doesn't say why");
//!     (record.outcome() == Outcome::Failed).then(|| format!("{} {}: {why}", record.source(), record.key()))
//! }
//! # fn main() {}
//! ```
//!
//! Everything is borrowed from the record: no method allocates.
//!
//! # Where each value comes from
//!
//! One table for each API:
//!
#![doc = include_str!("../arklow/log_record.md")]
#![doc = include_str!("../integration/log_record.md")]
#![doc = include_str!("../unleash/log_record.md")]
//!
//! # Other forms
//!
//! [`ocsf::api_activity`] and [`otel::log_record`] turn any of these records into an event of the Open Cybersecurity
//! Schema Framework, and into a log record of OpenTelemetry. Each has a table of its fields.

pub mod ocsf;
pub mod otel;

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

pub use crate::values::ident::Ident;

/// A record of a log, whichever: what happened, when, to what, and how it ended.
///
/// The models of this crate implement it; the [tables](self#where-each-value-comes-from) say where each value comes
/// from. Implement it for the records of a custom log, and they go through a [`Timeline`](crate::timeline::Timeline)
/// and the mappings as the others do. Only [`source`](Self::source) and [`key`](Self::key) are required. A method
/// whose value the log doesn't have keeps its default.
///
/// ```
/// use actionlog::record::{Ident, LogRecord, Outcome, TimeMeaning, Timestamp};
/// use actionlog::chrono::{DateTime, Utc};
///
/// struct Login { number: i64, at: DateTime<Utc>, user: String, accepted: bool }
///
/// impl LogRecord for Login {
///     fn source(&self) -> &str {
///         "logins"
///     }
///
///     fn key(&self) -> Ident<'_> {
///         self.number.into()
///     }
///
///     fn timestamp(&self) -> Option<Timestamp> {
///         Some(Timestamp::new(self.at, TimeMeaning::Created))
///     }
///
///     fn outcome(&self) -> Outcome<'_> {
///         if self.accepted { Outcome::Succeeded } else { Outcome::Failed }
///     }
/// }
/// # fn main() {}
/// ```
pub trait LogRecord {
    /// Returns which log the record is of: a short name in lower case, the same for all records of the log.
    fn source(&self) -> &str;

    /// Returns the id that tells the record from the others of its log.
    fn key(&self) -> Ident<'_>;

    /// Returns the time of the record, and what it is the time of. `None` if the record has none.
    fn timestamp(&self) -> Option<Timestamp> {
        None
    }

    /// Returns who performed the action, if the log says so.
    fn actor(&self) -> Option<Entity<'_>> {
        None
    }

    /// Returns the name of what was done, such as `create`.
    fn action(&self) -> Option<&str> {
        None
    }

    /// Returns what the action was done to.
    fn target(&self) -> Option<Entity<'_>> {
        None
    }

    /// Returns the status in the log's own word, such as `dispatch_wait`.
    fn status(&self) -> Option<&str> {
        None
    }

    /// Returns how the action ended, or that it hasn't: the [`status`](Self::status) in words that all logs share.
    fn outcome(&self) -> Outcome<'_> {
        Outcome::Unknown(self.status())
    }

    /// Returns the error message of an action that failed.
    fn error(&self) -> Option<&str> {
        None
    }

    /// Returns how long the action took.
    fn duration(&self) -> Option<Duration> {
        None
    }

    /// Returns whether the record won't change any more. `None` for an [unknown](Outcome::Unknown) outcome.
    fn is_final(&self) -> Option<bool> {
        self.outcome().is_final()
    }
}

/// Implements [`LogRecord`] by the methods of another record.
macro_rules! forward_log_record {
    (|$this:ident| $to:expr) => {
        $crate::record::forward_log_record! { |$this| $to =>
            source: &str, key: $crate::record::Ident<'_>, timestamp: Option<$crate::record::Timestamp>,
            actor: Option<$crate::record::Entity<'_>>, action: Option<&str>,
            target: Option<$crate::record::Entity<'_>>, status: Option<&str>, outcome: $crate::record::Outcome<'_>,
            error: Option<&str>, duration: Option<std::time::Duration>, is_final: Option<bool>
        }
    };
    (|$this:ident| $to:expr => $($method:ident: $value:ty),+) => {
        $(
            fn $method(&self) -> $value {
                let $this = self;
                $to.$method()
            }
        )+
    };
}

pub(crate) use forward_log_record;

impl<R: LogRecord + ?Sized> LogRecord for &R {
    forward_log_record!(|it| (**it));
}

impl<R: LogRecord + ?Sized> LogRecord for Box<R> {
    forward_log_record!(|it| (**it));
}

/// The time of a record, and what it is the time of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Timestamp {
    /// The time.
    pub time: DateTime<Utc>,
    /// What happened at that time.
    pub meaning: TimeMeaning,
}

impl Timestamp {
    /// Creates a timestamp.
    #[must_use]
    pub const fn new(time: DateTime<Utc>, meaning: TimeMeaning) -> Self {
        Self { time, meaning }
    }

    /// The time at which a record was created.
    pub(crate) fn created(time: DateTime<Utc>) -> Self {
        Self::new(time, TimeMeaning::Created)
    }
}

/// What happened at the time of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeMeaning {
    /// The record was created, usually as the action started. This time stays the same.
    Created,
    /// The action's state last changed. This time moves on until the record is final.
    StateChanged,
}

impl TimeMeaning {
    /// Returns the meaning as a word: `created` or `state_changed`.
    ///
    /// ```
    /// assert_eq!(actionlog::record::TimeMeaning::StateChanged.as_str(), "state_changed");
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::StateChanged => "state_changed",
        }
    }
}

/// Who or what takes part in an action: its kind, and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Entity<'a> {
    /// The kind, such as `service account` or `product`.
    pub kind: &'a str,
    /// The id, if the record has it.
    pub id: Option<Ident<'a>>,
}

impl<'a> Entity<'a> {
    /// Creates an entity of this kind, with this id.
    #[must_use]
    pub fn new(kind: &'a str, id: impl Into<Option<Ident<'a>>>) -> Self {
        Self { kind, id: id.into() }
    }
}

/// Writes the kind, and the id behind a space: `product 4013`.
impl fmt::Display for Entity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id {
            Some(id) => write!(f, "{} {id}", self.kind),
            None => f.write_str(self.kind),
        }
    }
}

/// How an action ended, or that it hasn't, in words that all logs share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome<'a> {
    /// It hasn't ended: it waits, runs, or will be retried.
    Pending,
    /// It succeeded.
    Succeeded,
    /// It failed, and won't be retried.
    Failed,
    /// It was canceled.
    Canceled,
    /// The record has a status that this version of the crate doesn't know, or none.
    Unknown(Option<&'a str>),
}

impl<'a> Outcome<'a> {
    /// Returns the outcome as a word: `pending`, `succeeded`, `failed`, `canceled`, the unknown status itself, or
    /// `unknown` if there is no status.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        match self {
            Self::Unknown(Some(status)) => status,
            outcome => outcome.kind(),
        }
    }

    /// Returns the outcome as one of five words: `pending`, `succeeded`, `failed`, `canceled`, or `unknown` whatever
    /// the status was. For columns and counts that hold no words of a server.
    ///
    /// ```
    /// use actionlog::record::Outcome;
    ///
    /// assert_eq!(Outcome::Failed.kind(), "failed");
    /// let paused = Outcome::Unknown(Some("paused"));
    /// assert_eq!((paused.kind(), paused.as_str()), ("unknown", "paused"));
    /// ```
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Returns whether the action has ended. `None` if the outcome is unknown.
    #[must_use]
    pub fn is_final(&self) -> Option<bool> {
        match self {
            Self::Pending => Some(false),
            Self::Succeeded | Self::Failed | Self::Canceled => Some(true),
            Self::Unknown(_) => None,
        }
    }
}

impl fmt::Display for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Describes a record in one line: `create product 4013: failed`.
fn message<R: LogRecord + ?Sized>(record: &R) -> String {
    let mut message = record.action().unwrap_or("unknown action").to_owned();
    if let Some(target) = record.target() {
        message.push_str(&format!(" {target}"));
    }
    message.push_str(&format!(": {}", record.outcome()));
    message
}
