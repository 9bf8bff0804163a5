//! Gaps: where a follower lost its hold on the listing, and why.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a follower doesn't know whether it saw every record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// What happened.
    pub reason: GapReason,
}

/// The reason of a [`Gap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GapReason {
    /// The remembered records weren't found again: they are gone, or their ids belong to other records. Records that
    /// came and went since the last poll were not seen. The follower reads the listing from the beginning, and delivers
    /// what it doesn't remember.
    AnchorsGone,
    /// Some of the remembered records weren't found again: they are gone, or stand further down than the follower
    /// looks. None of them is reported as removed, so that the copy may have records which the log no longer has. The
    /// follower goes on where it is.
    RemovalsUnseen,
    /// The listing is empty, although it wasn't before. Nothing is reported as removed: the server may have lost its
    /// records for a moment. The follower keeps polling.
    Emptied,
    /// The listing changes faster than it can be read, or the server sends pages that don't go together. The follower
    /// starts over with the next poll.
    Lost,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            GapReason::AnchorsGone => {
                "the remembered records weren't found again: the listing is read from the beginning"
            }
            GapReason::RemovalsUnseen => "some of the remembered records weren't found again: they may be gone",
            GapReason::Emptied => "the listing is empty, although it wasn't before",
            GapReason::Lost => "the position in the listing was lost: it is read from the beginning",
        })
    }
}
