//! A report as tables, for a terminal.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

use crate::output::clean;
use crate::report::Report;
use crate::report::data::{ByOutcome, OUTCOMES, sum};
use crate::report::page::{target, took};

/// Returns the tables.
pub(super) fn tables(report: &Report) -> String {
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
