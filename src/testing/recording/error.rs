//! What can go wrong with a recording.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::testing::recording::VERSION;

/// Why a recording can't be written, read or played to its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RecordingError {
    /// The file can't be read or written. What it contained before is still there.
    Io(PathBuf, Arc<io::Error>),
    /// The file isn't a recording, or it isn't whole: a line was cut, or lines are missing.
    #[non_exhaustive]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is a recording in another version of the format.
    #[non_exhaustive]
    Version {
        /// The file.
        path: PathBuf,
        /// The version of the file.
        found: u64,
    },
    /// An exchange still contains a credential after it was scrubbed. Nothing was written.
    #[non_exhaustive]
    Credential {
        /// The number of the exchange, from 1.
        exchange: usize,
    },
    /// A request came that isn't in the recording.
    Unrecorded(Box<UnrecordedRequest>),
    /// The playback ended before all recorded requests came.
    #[non_exhaustive]
    Unplayed {
        /// How many requests didn't come.
        count: usize,
        /// The number of the first of them, from 1.
        exchange: usize,
        /// The method and the target of the first of them.
        request: String,
    },
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, _) => write!(f, "the recording {} can't be read or written", path.display()),
            Self::Corrupt { path, line, reason } => {
                write!(f, "{}, line {line}, {reason}: restore the file, or record again", path.display())
            }
            Self::Version { path, found } => write!(
                f,
                "{} is a recording in version {found} of the format, and this crate reads version {}: record again",
                path.display(),
                VERSION
            ),
            Self::Credential { exchange } => write!(
                f,
                "exchange {exchange} still contains a part of a credential, so nothing was written: remove it by \
                 `scrub_field` or `scrub_with`"
            ),
            Self::Unrecorded(request) => request.fmt(f),
            Self::Unplayed { count, exchange, request } => write!(
                f,
                "{count} recorded {} didn't come; the first of them is exchange {exchange}, {request}",
                if *count == 1 { "request" } else { "requests" }
            ),
        }
    }
}

impl std::error::Error for RecordingError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, error) => Some(&**error),
            _ => None,
        }
    }
}

/// A request that a [`Playback`](crate::testing::recording::Playback) has no response for.
///
/// It is the source of the client's error, and [`finish`](crate::testing::recording::Playback::finish) returns it too.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnrecordedRequest {
    /// The method and the target of the request that came.
    pub request: String,
    /// Its body, as far as it is text.
    pub body: String,
    /// How many exchanges were played before, of how many.
    pub played: (usize, usize),
    /// The next exchange that wasn't played: its number, from 1, and the method, the target and the body of its
    /// request. `None` if all were played.
    pub next: Option<(usize, String, String)>,
    /// Why it doesn't match, if an unplayed exchange has the same method and path.
    pub difference: Option<String>,
}

/// The most characters of a body in a message.
const SHOWN: usize = 400;

fn shown(body: &str) -> String {
    match body.char_indices().nth(SHOWN) {
        _ if body.is_empty() => String::new(),
        Some((cut, _)) => format!("\n            {}..", &body[..cut]),
        None => format!("\n            {body}"),
    }
}

impl fmt::Display for UnrecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (played, of) = self.played;
        write!(f, "the recording has no response to this request; {played} of {of} exchanges were played")?;
        write!(f, "\n  came:     {}{}", self.request, shown(&self.body))?;
        match &self.next {
            Some((number, request, body)) => write!(f, "\n  next:     {request}{} (exchange {number})", shown(body))?,
            None => f.write_str("\n  next:     nothing")?,
        }
        if let Some(difference) = &self.difference {
            write!(f, "\n  differs:  {difference}")?;
        }
        Ok(())
    }
}

impl std::error::Error for UnrecordedRequest {}
