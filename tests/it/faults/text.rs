//! Renders the tables of `src/faults.md`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use actionlog::WriteOutcome;

use super::row::{End, Row};
use super::table::Part;

/// The text above this marker is written by hand; everything below it is generated here.
const BELOW: &str = "<!-- All below is written by the tests: UPDATE_DOCS=1 cargo test --test it faults -->\n";

/// The docs, with the tables below the marker generated from `parts`.
pub(super) fn within(docs: &str, parts: &[Part]) -> String {
    let (by_hand, _) = docs.split_once(BELOW).expect("src/faults.md has the marker line");
    let mut out = format!("{by_hand}{BELOW}");
    let mut kinds = BTreeSet::new();
    for Part { name, rows } in parts {
        writeln!(out, "\n# {name}\n").unwrap();
        writeln!(out, "| fault | read: attempts | result | create: attempts | result | applied? | transient? |")
            .unwrap();
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
    let applied = match create.failure.map(|it| it.outcome) {
        None => "yes",
        Some(WriteOutcome::NotSent) => "no: `NotSent`",
        Some(WriteOutcome::NotApplied) => "no: `NotApplied`",
        Some(_) => "**`Unknown`**",
    };
    // If only one of the two calls fails, the column describes that one.
    let transient = match create.failure.or(read.failure) {
        None => "",
        Some(failure) if failure.transient => "yes",
        Some(_) => "no",
    };
    let times = |end: &End| format!("{}×", end.attempts);
    let (read_times, create_times, read, create) = (times(read), times(create), result(read), result(create));
    format!("| {name} | {read_times} | {read} | {create_times}{why} | {create} | {applied} | {transient} |")
}

fn result(end: &End) -> String {
    match end.failure {
        None => "success".to_owned(),
        Some(failure) => match failure.status {
            Some(status) => format!("[`{:?}`], {status}", failure.kind),
            None => format!("[`{:?}`]", failure.kind),
        },
    }
}
