//! How a command ends: its exit status, and what an error says.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::Path;

use actionlog::{ErrorKind, Verdict};

/// How a command that did its work ended. Its number is the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Everything was read, and that is proved.
    Complete = 0,
    /// The end was reached, and it isn't proved that this was all, or some records are invalid.
    Unverified = 3,
    /// Records are missing, or may be.
    Incomplete = 4,
}

impl Status {
    /// Returns the status of a scan with this verdict and this many invalid records.
    #[must_use]
    pub fn of(verdict: &Verdict, invalid: u64) -> Self {
        match verdict {
            it if it.is_incomplete() => Self::Incomplete,
            it if it.is_complete() && invalid == 0 => Self::Complete,
            _ => Self::Unverified,
        }
    }

    /// Returns the exit status.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// Why a command failed. `Display` is the message for the user.
#[derive(Debug)]
pub enum Failure {
    /// The command line, or the configuration: status 2.
    Usage(String),
    /// An error: status 1.
    Error(String),
    /// Records are missing, or the user stopped the command before its end: status 4.
    Incomplete(String),
    /// Nobody reads the output any more, which is no failure: status 0, and no message.
    PipeClosed,
}

impl Failure {
    /// Creates the failure of a file operation: what was to be done with which file, and why it failed.
    pub fn file(doing: &str, path: &Path, error: impl fmt::Display) -> Self {
        Self::Error(format!("can't {doing} {}: {error}", path.display()))
    }

    /// Creates the failure of a write to the standard output.
    #[must_use]
    pub fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::PipeClosed,
            _ => Self::Error(format!("can't write to the standard output: {error}")),
        }
    }

    /// Returns the exit status.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::PipeClosed => 0,
            Self::Error(_) => 1,
            Self::Usage(_) => 2,
            Self::Incomplete(_) => 4,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) | Self::Error(message) | Self::Incomplete(message) => f.write_str(message),
            Self::PipeClosed => f.write_str("nobody reads the output any more"),
        }
    }
}

impl StdError for Failure {}

impl From<actionlog::Error> for Failure {
    fn from(error: actionlog::Error) -> Self {
        let message = explain(&error);
        match error.kind() {
            ErrorKind::Configuration | ErrorKind::InvalidRequest => Self::Usage(message),
            ErrorKind::Incomplete => Self::Incomplete(message),
            _ => Self::Error(message),
        }
    }
}

/// Returns an error with all of its causes in one line.
pub fn explain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Some errors repeat their cause.
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use actionlog::page::{Cause, Doubt, Proof};

    use super::*;

    #[test]
    fn the_status_follows_the_verdict_and_invalid_records() {
        let complete = Verdict::Complete(Proof::Total);
        assert_eq!(Status::of(&complete, 0).code(), 0);
        assert_eq!(Status::of(&complete, 1).code(), 3);
        assert_eq!(Status::of(&Verdict::Unverified(Doubt::NoTotal), 0).code(), 3);
        assert_eq!(Status::of(&Verdict::Incomplete(Cause::MaxItems), 5).code(), 4);
    }
}
