//! The table as the docs have it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use actionlog::RequestOutcome;

use super::row::{End, Row};
use super::table::Part;

/// What stands before this in the docs is written by hand; what stands behind it is made here.
const BELOW: &str = "<!-- All below is written by the tests: UPDATE_FAULTS=1 cargo test --test it faults -->\n";

/// The docs with these parts of the table.
pub(super) fn within(docs: &str, parts: &[Part]) -> String {
    let (by_hand, _) = docs.split_once(BELOW).expect("the docs say where the table begins");
    let mut out = format!("{by_hand}{BELOW}");
    let mut kinds = BTreeSet::new();
    for Part { name, rows } in parts {
        writeln!(out, "\n# {name}\n").unwrap();
        writeln!(out, "| | reading: sent | gets | creating: sent | gets | did it happen? | may pass |").unwrap();
        writeln!(out, "|---|---|---|---|---|---|---|").unwrap();
        for row in rows {
            writeln!(out, "{}", line(row)).unwrap();
            kinds.extend([row.read, row.create].iter().filter_map(|it| Some(format!("{:?}", it.failure?.kind))));
        }
    }
    writeln!(out).unwrap();
    for kind in kinds {
        writeln!(out, "[`{kind}`]: crate::ErrorKind::{kind}").unwrap();
    }
    out
}

fn line(row: &Row) -> String {
    let Row { name, read, create, again, .. } = row;
    let why = again.map(|why| format!(": {why}")).unwrap_or_default();
    let happened = match create.failure.map(|it| it.outcome) {
        None => "yes",
        Some(RequestOutcome::NotSent) => "no: `NotSent`",
        Some(RequestOutcome::Refused) => "no: `Refused`",
        Some(_) => "**`Unknown`**",
    };
    // Where one of them is fine, it's the other that says.
    let passes = match create.failure.or(read.failure) {
        None => "",
        Some(failure) if failure.transient => "yes",
        Some(_) => "no",
    };
    let times = |end: &End| format!("{}×", end.attempts);
    let (read_times, create_times, read, create) = (times(read), times(create), gets(read), gets(create));
    format!("| {name} | {read_times} | {read} | {create_times}{why} | {create} | {happened} | {passes} |")
}

fn gets(end: &End) -> String {
    match end.failure {
        None => "what it asked for".to_owned(),
        Some(failure) => match failure.status {
            Some(status) => format!("[`{:?}`], {status}", failure.kind),
            None => format!("[`{:?}`]", failure.kind),
        },
    }
}
