use super::ask::Endurance;
use super::cursor::{Cursor, Fingerprint};
use super::part::Part;
use super::since::Since;
use super::walk::Plan;
use super::{Growth, Paginate};
use crate::error::{Error, ErrorKind, Result};

/// How much of a listing is wanted, and from where.
#[derive(Clone, Debug)]
pub(super) struct Extent {
    pub(super) plan: Plan,
    pub(super) max_items: Option<u64>,
    pub(super) max_pages: Option<u64>,
    pub(super) since: Option<Since>,
    pub(super) resume: Option<Cursor>,
    /// Whether to go up from the cursor's head, and not on from its place.
    pub(super) up: bool,
    /// Which end new records come to, where the caller says so.
    pub(super) growth: Option<Growth>,
    pub(super) part: Option<Part>,
    /// How many requests may be under way.
    pub(super) prefetch: Option<usize>,
    pub(super) endurance: Endurance,
}

impl Extent {
    /// Whether it's one of this listing, and such that it can be read.
    pub(super) fn check<Q: Paginate>(&self, query: &Q, listing: &Fingerprint) -> Result<()> {
        let resume = self.resume.as_ref();
        self.part.as_ref().map_or(Ok(()), |part| part.check(listing))?;
        resume.map_or(Ok(()), |cursor| cursor.check(listing))?;
        let growth = self.growth.unwrap_or(query.growth());
        let why = match () {
            () if self.part.is_some() && (self.up || self.since.is_some()) => {
                "a part of a listing is read as it stands: without `since`, and not upwards"
            }
            () if resume.is_some() && self.part.is_none() && self.plan.start > 0 => {
                "a start offset and a cursor to go on from exclude each other"
            }
            () if self.up && resume.is_some_and(|cursor| cursor.head().is_empty() && !cursor.is_fresh()) => {
                "the cursor's reading didn't begin at the head: what is newer than it isn't known"
            }
            () if self.up && growth == Growth::AtEnd => {
                "new records come last in this listing: use `resume` with the cursor instead of `newer_than`"
            }
            () if self.up && growth != Growth::AtHead => {
                "`newer_than` takes a listing whose newest records come first, and nothing says that they do in this one: \
                 if you know that they do, say so by `Listing::growth(Growth::AtHead)`; if not, scan it again"
            }
            () if self.since.is_some() && !query.bears_time() => {
                "the records of this listing bear no time that `since` could go by"
            }
            () => return Ok(()),
        };
        Err(Error::new(ErrorKind::InvalidRequest, why))
    }
}
