//! The extent of a scan: its limits, and the checks before it starts.

use crate::cursor::{Cursor, Fingerprint};
use crate::error::{Error, ErrorKind, Result};
use crate::page::fetch::requester::Endurance;
use crate::page::split::Part;
use crate::page::walk::plan::Plan;
use crate::page::walk::since::Since;
use crate::page::{Growth, Paginate};

/// How much of a listing to scan, and from where.
#[derive(Clone, Debug)]
pub(super) struct Extent {
    pub(super) plan: Plan,
    pub(super) max_items: Option<u64>,
    pub(super) max_pages: Option<u64>,
    pub(super) since: Option<Since>,
    pub(super) resume: Option<Cursor>,
    /// Whether to scan from the cursor's head upwards, instead of resuming behind its position.
    pub(super) up: bool,
    /// At which end new records are added, where the caller set it.
    pub(super) growth: Option<Growth>,
    pub(super) part: Option<Part>,
    /// How many requests may be in flight.
    pub(super) prefetch: Option<usize>,
    pub(super) endurance: Endurance,
}

impl Extent {
    /// Checks that the cursor and the part belong to this listing, and that the settings go together.
    pub(super) fn check<Q: Paginate>(&self, query: &Q, listing: &Fingerprint) -> Result<()> {
        let resume = self.resume.as_ref();
        self.part.as_ref().map_or(Ok(()), |part| part.check(listing))?;
        resume.map_or(Ok(()), |cursor| cursor.check(listing))?;
        let growth = self.growth.unwrap_or(query.growth());
        let why = match () {
            () if self.part.is_some() && (self.up || self.since.is_some()) => {
                "a part can't be combined with `since` or `newer_than`: scan the part without them"
            }
            () if resume.is_some() && self.part.is_none() && self.plan.start > 0 => {
                "a start offset and a cursor exclude each other: remove one of them"
            }
            () if self.up && resume.is_some_and(|cursor| cursor.head().is_empty() && !cursor.is_fresh()) => {
                "`newer_than` needs the cursor of a scan that started at the head of the listing, and this one didn't"
            }
            () if self.up && growth == Growth::AtEnd => {
                "new records are added at the end of this listing: use `resume` with the cursor instead of `newer_than`"
            }
            () if self.up && growth != Growth::AtHead => {
                "`newer_than` needs a listing whose newest records come first, which is undocumented for this one: \
                 if you know that they do, set `Listing::growth(Growth::AtHead)`; if not, scan it again"
            }
            () if self.since.is_some() && !query.has_timestamps() => {
                "the records of this listing have no timestamp that `since` could filter by: remove `since`"
            }
            () => return Ok(()),
        };
        Err(Error::new(ErrorKind::InvalidRequest, why))
    }
}
