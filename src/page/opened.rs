//! What a follower takes from a listing.

use std::time::Duration;

use crate::page::fetch::requester::ErrorTolerance;
use crate::page::walk::plan::Plan;
use crate::page::{Growth, Listing, Paginate};
use crate::transport::{CallOptions, Transport};

/// A listing taken apart.
#[derive(Debug)]
pub(crate) struct Opened<Q> {
    pub(crate) transport: Transport,
    pub(crate) query: Q,
    pub(crate) options: CallOptions,
    pub(crate) plan: Plan,
    pub(crate) growth: Growth,
    pub(crate) prefetch: Option<usize>,
    pub(crate) error_tolerance: ErrorTolerance,
    pub(crate) since_tolerance: Duration,
    /// A setting that limits a scan. A follower has no use for it.
    pub(crate) limit: Option<&'static str>,
}

impl<Q: Paginate> Listing<Q> {
    pub(crate) fn open(self) -> Opened<Q> {
        let settings = self.settings;
        let limit = match () {
            () if settings.start > 0 => Some("start_offset"),
            () if settings.max_items.is_some() => Some("max_items"),
            () if settings.max_pages.is_some() => Some("max_pages"),
            () if settings.since.is_some() => Some("since"),
            () if settings.resume.is_some() && settings.toward_head => Some("newer_than"),
            () if settings.resume.is_some() => Some("resume"),
            () if settings.part.is_some() => Some("part"),
            () => None,
        };
        // What moves to the head is found there by the next poll.
        let mut plan = settings.plan(&self.query);
        plan.rules.read_head = false;
        Opened {
            growth: settings.growth.unwrap_or(self.query.growth()),
            transport: self.transport,
            query: self.query,
            options: settings.options,
            plan,
            prefetch: settings.prefetch,
            error_tolerance: settings.error_tolerance,
            since_tolerance: settings.since_tolerance,
            limit,
        }
    }
}
