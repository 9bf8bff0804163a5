//! A report as one HTML page that needs nothing else.

use std::fmt::Write;

use html_escape::encode_safe;

use crate::output::clean;
use crate::report::Report;
use crate::report::chart::{over_time, share};
use crate::report::data::{Bar, ByOutcome, OUTCOMES, ROWS, sum};
use crate::report::read::Fact;

/// The page's own style. It knows light and dark, phones and paper.
const STYLE: &str = include_str!("style.css");

/// No page of a report may load or run anything, whatever a record holds.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// Returns the page.
#[must_use]
pub fn html(report: &Report) -> String {
    let title = text(&report.file);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    );
    head(&mut page, report);
    time(&mut page, &report.data.bars(), report.data.without_time);
    actions(&mut page, report);
    errors(&mut page, report);
    records(&mut page, "Newest failures", &report.data.failures());
    records(&mut page, "Slowest", &report.data.slowest());
    manifest(&mut page, report);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// Encodes a string from a record or a file, so that the page shows it and doesn't interpret it.
fn text(text: &str) -> String {
    encode_safe(&clean(text)).into_owned()
}

fn head(page: &mut String, report: &Report) {
    let data = &report.data;
    let verdict = report.manifest.as_ref().map_or("no manifest: this may not be all", |it| &it.reason);
    let _ = writeln!(page, "<p class=\"soft\">{}</p>", text(verdict));
    for problem in &report.problems {
        let _ = writeln!(page, "<p class=\"problem\">{}</p>", text(problem));
    }
    let _ = writeln!(page, "<div class=\"cards\">\n{}", card("", "records", sum(&data.total)));
    for (outcome, count) in OUTCOMES.iter().zip(data.total) {
        let _ = writeln!(page, "{}", card(outcome, outcome, count));
    }
    if data.invalid > 0 {
        let _ = writeln!(page, "{}", card("failed", "invalid records", data.invalid));
    }
    page.push_str("</div>\n");
    if data.logs.len() > 1 {
        let most = data.logs.values().map(sum).max().unwrap_or_default();
        let rows = data.logs.iter().map(|(log, counts)| row(&[log], counts, most));
        table(page, &["log"], rows.collect());
    }
}

fn card(class: &str, name: &str, count: u64) -> String {
    format!("<div class=\"card {class}\" data-card=\"{name}\"><b>{count}</b>{name}</div>")
}

fn time(page: &mut String, bars: &[Bar], without_time: u64) {
    let (Some(first), Some(last)) = (bars.first(), bars.last()) else { return };
    let hours = (first.to - first.from).num_hours();
    let each = match hours {
        1 => "hour".to_owned(),
        2..=23 => format!("{hours} hours"),
        24 => "day".to_owned(),
        _ => format!("{} days", hours / 24),
    };
    let most = bars.iter().map(|it| sum(&it.counts)).max().unwrap_or_default();
    let form = "%Y-%m-%d %H:%M";
    let _ = writeln!(
        page,
        "<h2>Outcomes over time</h2>\n<figure style=\"margin:0\">\n\
         <div class=\"axis\"><span>at most {most} in one {each}</span><span>UTC</span></div>\n{}\n\
         <div class=\"axis\"><span>{}</span><span>{}</span></div>\n</figure>",
        over_time(bars),
        first.from.format(form),
        last.to.format(form)
    );
    if without_time > 0 {
        let _ = writeln!(page, "<p class=\"soft\">{without_time} records have no time, and aren't in this chart.</p>");
    }
    page.push_str("<details><summary>as numbers</summary>\n<div class=\"scroll\"><table><tr><th>from</th>");
    for outcome in OUTCOMES {
        let _ = write!(page, "<th class=\"number\">{outcome}</th>");
    }
    page.push_str("</tr>\n");
    for bar in bars.iter().filter(|it| sum(&it.counts) > 0) {
        let _ = write!(page, "<tr><td>{}</td>", bar.from.format(form));
        for count in bar.counts {
            let _ = write!(page, "<td class=\"number\">{count}</td>");
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table></div></details>\n");
}

fn actions(page: &mut String, report: &Report) {
    let (top, others) = report.data.actions.top();
    let most = top.iter().map(|it| sum(&it.1)).max().unwrap_or_default();
    let mut rows: Vec<_> = top.iter().map(|((log, action), counts)| row(&[log, action], counts, most)).collect();
    if sum(&others) > 0 {
        rows.push(row(&["", "all others"], &others, most.max(sum(&others))));
    }
    page.push_str("<h2>Failures by action</h2>\n");
    table(page, &["log", "action"], rows);
}

fn errors(page: &mut String, report: &Report) {
    let (top, others) = report.data.errors.top();
    if top.is_empty() {
        return;
    }
    page.push_str("<h2>Failures by message</h2>\n<div class=\"scroll\"><table><tr><th>log</th><th>message</th>");
    page.push_str("<th class=\"number\">failed</th></tr>\n");
    for ((log, error), counts) in top {
        let (log, error) = (text(log), text(error));
        let _ = writeln!(
            page,
            "<tr><td>{log}</td><td class=\"text\">{error}</td><td class=\"number\">{}</td></tr>",
            counts[0]
        );
    }
    if others[0] > 0 {
        let _ = writeln!(page, "<tr><td></td><td>all others</td><td class=\"number\">{}</td></tr>", others[0]);
    }
    page.push_str("</table></div>\n");
}

/// A row of a table of counts: its names, the numbers, and a bar.
fn row(names: &[&str], counts: &ByOutcome, most: u64) -> String {
    let names: String = names.iter().map(|it| format!("<td class=\"word\">{}</td>", text(it))).collect();
    let all = sum(counts);
    format!(
        "<tr>{names}<td class=\"number\">{all}</td><td class=\"number\">{}</td><td class=\"bar\">{}</td></tr>",
        counts[0],
        share(counts, most)
    )
}

fn table(page: &mut String, names: &[&str], rows: Vec<String>) {
    page.push_str("<div class=\"scroll\"><table><tr>");
    for name in names {
        let _ = write!(page, "<th>{name}</th>");
    }
    page.push_str("<th class=\"number\">records</th><th class=\"number\">failed</th><th></th></tr>\n");
    for row in rows {
        page.push_str(&row);
        page.push('\n');
    }
    page.push_str("</table></div>\n");
}

fn records(page: &mut String, title: &str, facts: &[&Fact]) {
    if facts.is_empty() {
        return;
    }
    let _ = writeln!(
        page,
        "<h2>{title}</h2>\n<p class=\"soft\">{} shown</p>\n<div class=\"scroll\"><table class=\"records\"><tr><th>time</th>\
         <th>log</th><th>action</th><th>target</th><th class=\"number\">took</th><th>outcome</th><th>message</th></tr>",
        facts.len()
    );
    for fact in facts {
        let time = fact.timestamp.map(|it| it.format("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default();
        let _ = writeln!(
            page,
            "<tr><td class=\"time\">{time}</td><td>{}</td><td class=\"word\">{}</td><td class=\"word\">{}</td>\
             <td class=\"number\">{}</td><td>{}</td><td class=\"text\">{}</td></tr>",
            text(&fact.log),
            text(fact.action.as_deref().unwrap_or_default()),
            text(&target(fact)),
            took(fact.duration_ms),
            text(&fact.outcome),
            text(fact.error.as_deref().unwrap_or_default())
        );
    }
    page.push_str("</table></div>\n");
}

/// Returns what an action was done to.
#[must_use]
pub fn target(fact: &Fact) -> String {
    [fact.target_kind.as_deref(), fact.target_id.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Returns a length of time for people.
#[must_use]
pub fn took(millis: Option<f64>) -> String {
    match millis {
        None => String::new(),
        Some(millis) if millis < 1_000.0 => format!("{millis:.0} ms"),
        Some(millis) if millis < 120_000.0 => format!("{:.1} s", millis / 1_000.0),
        Some(millis) => format!("{:.0} min", millis / 60_000.0),
    }
}

fn manifest(page: &mut String, report: &Report) {
    let Some(manifest) = &report.manifest else { return };
    let form = "%Y-%m-%d %H:%M:%S UTC";
    let mut rows = vec![
        ("log", text(&manifest.log)),
        ("server", text(&manifest.base_url)),
        ("verdict", text(&manifest.reason)),
        ("records", manifest.counts.records.to_string()),
        ("invalid records", manifest.counts.invalid.to_string()),
        ("requests of the last run", manifest.scan.requests.to_string()),
        ("exported", format!("{} to {}", manifest.started_at.format(form), manifest.finished_at.format(form))),
        ("runs", manifest.runs.to_string()),
        ("made by", text(&manifest.tool)),
    ];
    if let (Some(oldest), Some(newest)) = (manifest.counts.oldest, manifest.counts.newest) {
        rows.push(("time span", format!("{} to {}", oldest.format(form), newest.format(form))));
    }
    if let Some(since) = manifest.since {
        rows.push(("only records after", since.format(form).to_string()));
    }
    for file in manifest.files.iter().take(ROWS) {
        rows.push((
            "file",
            format!("{}, {} bytes, sha256 <code>{}</code>", text(&file.path), file.bytes, text(&file.sha256)),
        ));
    }
    if manifest.files.len() > ROWS {
        rows.push(("further files", (manifest.files.len() - ROWS).to_string()));
    }
    page.push_str("<h2>Manifest</h2>\n<div class=\"scroll\"><table>\n");
    for (name, value) in rows {
        let _ = writeln!(page, "<tr><th>{name}</th><td class=\"text\">{value}</td></tr>");
    }
    page.push_str("</table></div>\n");
}
