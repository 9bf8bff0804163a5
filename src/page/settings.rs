//! The settings of a scan: how much of a listing it covers, and how; and which settings exclude each other.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::cursor::{Cursor, Fingerprint};
use crate::error::{Error, ErrorKind, Result};
use crate::page::fetch::requester::ErrorTolerance;
use crate::page::split::Part;
use crate::page::walk::plan::{HeadAgain, Plan, Rules};
use crate::page::walk::since::Since;
use crate::page::{GrowingEnd, Growth, Paginate, Stability};
use crate::transport::CallOptions;

/// How many record keys a scan remembers by default.
const DEDUP_WINDOW: usize = 10_000;

/// How many unproductive requests a scan may make beyond its productive ones by default.
const MAX_UNPRODUCTIVE_REQUESTS: u64 = 200;

/// How much of a listing to scan, and how, as the caller set it. The settings don't depend on the record type, so that
/// `with_raw` can pass them on.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) options: CallOptions,
    pub(super) page_size: Option<u32>,
    pub(super) start: u64,
    pub(super) max_items: Option<u64>,
    pub(super) max_pages: Option<u64>,
    pub(super) since: Option<DateTime<Utc>>,
    pub(super) since_tolerance: Duration,
    pub(super) resume: Option<Cursor>,
    /// Whether to scan from the cursor's head upwards, instead of resuming behind its position.
    pub(super) toward_head: bool,
    pub(super) dedup_window: usize,
    pub(super) max_unproductive_requests: u64,
    pub(super) stability: Option<Stability>,
    pub(super) part: Option<Part>,
    /// How often the listing may be scanned in all, to verify a scan by the next.
    pub(super) scans: Option<u32>,
    /// How many requests may be in flight.
    pub(super) prefetch: Option<usize>,
    pub(super) error_tolerance: ErrorTolerance,
    pub(super) growing_end: GrowingEnd,
    /// At which end new records are added, where the caller set it.
    pub(super) growth: Option<Growth>,
    pub(super) rules: Rules,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            options: CallOptions::default(),
            page_size: None,
            start: 0,
            max_items: None,
            max_pages: None,
            since: None,
            since_tolerance: Since::TOLERANCE,
            resume: None,
            toward_head: false,
            dedup_window: DEDUP_WINDOW,
            max_unproductive_requests: MAX_UNPRODUCTIVE_REQUESTS,
            stability: None,
            part: None,
            scans: None,
            prefetch: None,
            error_tolerance: ErrorTolerance::default(),
            growing_end: GrowingEnd::default(),
            growth: None,
            rules: Rules::ALL,
        }
    }
}

impl Settings {
    /// The page size for this listing.
    pub(super) fn limit<Q: Paginate>(&self, query: &Q) -> u32 {
        self.page_size.unwrap_or(query.page_sizes().usual)
    }

    /// The plan of a scan of this listing.
    pub(super) fn plan<Q: Paginate>(&self, query: &Q) -> Plan {
        Plan {
            start: self.part.as_ref().map_or(self.start, Part::offset),
            limit: self.limit(query),
            total: query.total_scope(),
            order: self.stability.unwrap_or(query.stability()),
            remembered: self.dedup_window,
            max_unproductive_requests: self.max_unproductive_requests,
            growing_end: self.growing_end,
            growth: self.growth.unwrap_or(query.growth()),
            head_again: if self.scans.is_some() && self.resume.is_none() {
                HeadAgain::Never
            } else {
                HeadAgain::WhereNeeded
            },
            probes_end: self.scans.is_some(),
            rules: self.rules,
        }
    }

    /// Whether less than the whole listing is to be scanned, as one of its parts.
    pub(super) fn is_part(&self) -> bool {
        self.part.as_ref().is_some_and(Part::is_less)
    }

    /// Checks that the cursor and the part belong to this listing, and that the settings go together.
    pub(super) fn check<Q: Paginate>(&self, query: &Q, listing: &Fingerprint) -> Result<()> {
        let resume = self.resume.as_ref();
        self.part.as_ref().map_or(Ok(()), |part| part.check(listing))?;
        resume.map_or(Ok(()), |cursor| cursor.check(listing))?;
        let growth = self.growth.unwrap_or(query.growth());
        let is_partial = self.toward_head || self.since.is_some() || self.part.is_some() || self.start > 0;
        let why = match () {
            () if self.part.is_some() && (self.toward_head || self.since.is_some()) => {
                "a part can't be combined with `since` or `newer_than`: scan the part without them"
            }
            () if resume.is_some() && self.part.is_none() && self.start > 0 => {
                "a start offset and a cursor exclude each other: remove one of them"
            }
            () if self.toward_head && resume.is_some_and(|cursor| cursor.head().is_empty() && !cursor.is_fresh()) => {
                "`newer_than` needs the cursor of a scan that started at the head of the listing, and this one didn't"
            }
            () if self.toward_head && growth == Growth::AtEnd => {
                "new records are added at the end of this listing: use `resume` with the cursor instead of `newer_than`"
            }
            () if self.toward_head && growth != Growth::AtHead => {
                "`newer_than` needs a listing whose newest records come first, which is undocumented for this one: \
                 if you know that they do, set `Listing::growth(Growth::AtHead)`; if not, scan it again"
            }
            () if self.scans.is_some() && is_partial => {
                "`verify` compares scans of the whole listing: it excludes `newer_than`, `since`, a start offset and \
                 parts (which `Merged::verified_by` compares)"
            }
            () if self.since.is_some() && !query.has_timestamps() => {
                "the records of this listing have no timestamp that `since` could filter by: remove `since`"
            }
            () => return Ok(()),
        };
        Err(Error::new(ErrorKind::InvalidRequest, why))
    }
}
