//! A report as tables for a terminal, or as lines where tables don't fit.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

use crate::output::{NARROW, clean, fitting};
use crate::report::Report;
use crate::report::data::{ByOutcome, OUTCOMES, sum};
use crate::report::page::{target, took};

/// Returns the tables.
pub(super) fn tables(report: &Report) -> String {
    let width = terminal_size::terminal_size_of(std::io::stdout()).map(|it| usize::from(it.0.0));
    if let Some(width) = width.filter(|it| *it < NARROW) {
        return lines(report, width);
    }
    let data = &report.data;
    let mut parts = vec![summary(report)];
    let counts = |counts: &ByOutcome| OUTCOMES.iter().zip(counts).map(|it| it.1.to_string()).collect::<Vec<_>>();
    let mut logs = table(["log", "records"].into_iter().chain(OUTCOMES));
    for (log, of_log) in &data.logs {
        logs.add_row([clean(log), sum(of_log).to_string()].into_iter().chain(counts(of_log)));
    }
    parts.push(logs.to_string());
    let (top, _) = data.actions.top();
    let mut actions = table(["log", "action", "records", "failed"]);
    for ((log, action), of_action) in top {
        actions.add_row([clean(log), clean(action), sum(&of_action).to_string(), of_action[0].to_string()]);
    }
    parts.push(format!("Failures by action\n{actions}"));
    let mut slowest = table(["took", "log", "action", "target", "outcome"]);
    for fact in data.slowest() {
        let action = fact.action.clone().unwrap_or_default();
        let cells = [took(fact.duration_ms), fact.log.clone(), action, target(fact), fact.outcome.clone()];
        slowest.add_row(cells.map(|it| clean(&it)));
    }
    if slowest.row_count() > 0 {
        parts.push(format!("Slowest\n{slowest}"));
    }
    parts.join("\n\n")
}

/// Returns the same as lines of this many columns at most.
fn lines(report: &Report, width: usize) -> String {
    let data = &report.data;
    let mut parts = vec![summary(report)];
    let fit = |line: String| fitting(&clean(&line), width);
    let logs = data.logs.iter().flat_map(|(log, of_log)| {
        let outcomes = OUTCOMES.iter().zip(of_log).filter(|it| *it.1 > 0).map(|it| format!("{} {}", it.1, it.0));
        std::iter::once(format!("{log}: {} records", sum(of_log))).chain(outcomes.map(|it| format!("  {it}")))
    });
    parts.push(logs.map(fit).collect::<Vec<_>>().join("\n"));
    let (top, _) = data.actions.top();
    let actions = top.iter().map(|((log, action), counts)| format!("{} of {}: {log} {action}", counts[0], sum(counts)));
    parts.push(std::iter::once("Failures by action".to_owned()).chain(actions.map(fit)).collect::<Vec<_>>().join("\n"));
    let slowest = data.slowest().into_iter().map(|fact| {
        let action = fact.action.as_deref().unwrap_or_default();
        format!("{}: {} {action} {}", took(fact.duration_ms), fact.log, target(fact))
    });
    let slowest: Vec<_> = slowest.map(fit).collect();
    if !slowest.is_empty() {
        parts.push(format!("Slowest\n{}", slowest.join("\n")));
    }
    parts.join("\n\n")
}

fn summary(report: &Report) -> String {
    let data = &report.data;
    let mut line = format!("{}: {} records", report.file, sum(&data.total));
    if data.invalid > 0 {
        line.push_str(&format!(", and {} invalid ones", data.invalid));
    }
    match &report.manifest {
        Some(manifest) => format!("{line}\n{}", manifest.reason),
        None => format!("{line}\nno manifest: this may not be all"),
    }
}

fn table<'a>(names: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(names).set_content_arrangement(ContentArrangement::Dynamic);
    if let Some((width, _)) = terminal_size::terminal_size_of(std::io::stdout()) {
        table.set_width(width.0);
    }
    table
}
