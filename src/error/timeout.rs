//! Recognises time limits among the sources of an error.

use std::error::Error as StdError;

/// Whether a time limit of the HTTP stack ran out, or one of the operating system.
pub(super) fn is_timeout(error: &(dyn StdError + 'static)) -> bool {
    error.downcast_ref().is_some_and(reqwest::Error::is_timeout)
        || error.downcast_ref::<std::io::Error>().is_some_and(|it| it.kind() == std::io::ErrorKind::TimedOut)
}
