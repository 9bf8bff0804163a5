//! What the tests of the walk share: a plan, keys, and a log that a walk reads without a client.

use super::*;
use crate::page::walk::plan::{HeadAgain, Rules};
use crate::page::{GrowingEnd, Growth, Stability};

/// The plan of a scan with the usual settings, in pages of `limit`.
pub(super) fn plan(limit: u32) -> Plan {
    Plan {
        start: 0,
        limit,
        total: TotalScope::Listing,
        order: Stability::Stable,
        remembered: 10_000,
        max_unproductive_requests: 100,
        growing_end: GrowingEnd::StopBehindStart,
        growth: Growth::Unknown,
        head_again: HeadAgain::WhereNeeded,
        probes_end: false,
        rules: Rules::ALL,
    }
}

pub(super) fn key(id: i64) -> RecordKey {
    RecordKey::from(id)
}

pub(super) fn keys(ids: impl IntoIterator<Item = i64>) -> Vec<RecordKey> {
    ids.into_iter().map(key).collect()
}
