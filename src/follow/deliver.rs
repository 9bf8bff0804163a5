//! What is made of a page for the caller: its changes, and how the follower stands behind them.

use chrono::Utc;

use crate::follow::batch::{Change, OpenRecord, Progress};
use crate::follow::gap::Gap;
use crate::follow::machine::table::{Entry, Table};
use crate::follow::machine::{Found, Kind, Machine};
use crate::page::{InvalidRecord, Paginate, Raw};

/// A record of a page.
pub(super) type Record<Q> = Result<Raw<<Q as Paginate>::Item>, InvalidRecord>;

/// How a follower stands.
pub(super) fn progress(machine: &Machine) -> Progress {
    let state = machine.state();
    let tables = [&state.head, &state.end];
    let open = |it: &Entry| OpenRecord { key: it.key.clone(), timestamp: it.time };
    let left = state.left.oldest.as_ref().map(|(key, time)| OpenRecord { key: key.clone(), timestamp: *time });
    let remembered = || tables.into_iter().flatten().flat_map(|it: &Table| it.iter().rev()).find(|it| it.is_open());
    Progress {
        caught_up: machine.is_caught_up(),
        newest: state.newest,
        lag: state.newest.map(|it| (Utc::now() - it).to_std().unwrap_or_default()),
        oldest_open: left.or_else(|| remembered().map(open)),
        open_behind: state.left.count,
        gap: state.gap.map(|reason| Gap { reason }),
        full_scans: state.scans,
        full_scan_running: machine.is_refreshing(),
    }
}

/// The changes that a page brings, in order.
pub(super) fn changes<Q: Paginate>(found: Vec<Found>, records: Vec<Record<Q>>) -> Vec<Change<Q::Item>> {
    let mut records: Vec<_> = records.into_iter().map(Some).collect();
    let take = |found: Found| {
        Some(match records.get_mut(found.index)?.take()? {
            Err(record) => Change::Invalid(record),
            Ok(record) => {
                let record = record.into_record();
                match found.kind {
                    Kind::New => Change::New(record),
                    Kind::Late => Change::Late(record),
                    Kind::Updated => Change::Updated(record),
                }
            }
        })
    };
    found.into_iter().filter_map(take).collect()
}
