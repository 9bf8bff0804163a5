//! Charts as inline SVG. They hold bars alone and stretch to any width; what is written stands beside them as text.

use std::fmt::Write;

use crate::report::data::{Bar, ByOutcome, OUTCOMES, sum};

/// The height of the chart over time, in its own units.
const HEIGHT: f64 = 100.0;

/// Draws the records over time: a bar for each span, with a part for each outcome.
#[must_use]
pub fn over_time(bars: &[Bar]) -> String {
    let most = bars.iter().map(|it| sum(&it.counts)).max().unwrap_or_default().max(1);
    let width = bars.len().max(1) * 10;
    let mut svg = format!(
        "<svg class=\"time\" viewBox=\"0 0 {width} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"Records over time, by outcome\">"
    );
    for (index, bar) in bars.iter().enumerate() {
        let title = title(bar);
        let mut bottom = HEIGHT;
        let _ = write!(svg, "<g><title>{title}</title>");
        // The whole height, so that a small bar can be pointed at too.
        let _ = write!(svg, "<rect class=\"hit\" x=\"{}\" y=\"0\" width=\"10\" height=\"{HEIGHT}\"/>", index * 10);
        for (outcome, count) in OUTCOMES.iter().zip(bar.counts).filter(|it| it.1 > 0) {
            let height = count as f64 / most as f64 * HEIGHT;
            bottom -= height;
            let _ = write!(
                svg,
                "<rect class=\"{outcome}\" data-count=\"{count}\" x=\"{}\" y=\"{bottom:.4}\" width=\"8\" \
                 height=\"{height:.4}\"/>",
                index * 10 + 1
            );
        }
        svg.push_str("</g>");
    }
    svg.push_str("</svg>");
    svg
}

/// Returns what a bar says when it is pointed at.
fn title(bar: &Bar) -> String {
    let mut title = format!("{} to {}", bar.from.format("%Y-%m-%d %H:%M"), bar.to.format("%Y-%m-%d %H:%M"));
    for (outcome, count) in OUTCOMES.iter().zip(bar.counts).filter(|it| it.1 > 0) {
        let _ = write!(title, "\n{count} {outcome}");
    }
    title
}

/// Draws one bar of all outcomes, as long as its share of the greatest.
#[must_use]
pub fn share(counts: &ByOutcome, most: u64) -> String {
    let mut svg =
        "<svg class=\"share\" viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">".to_owned();
    let mut x = 0.0;
    for (outcome, count) in OUTCOMES.iter().zip(counts).filter(|it| *it.1 > 0) {
        let width = *count as f64 / most.max(1) as f64 * 100.0;
        let _ = write!(
            svg,
            "<rect class=\"{outcome}\" data-count=\"{count}\" x=\"{x:.4}\" y=\"0\" width=\"{width:.4}\" height=\"10\"/>"
        );
        x += width;
    }
    svg.push_str("</svg>");
    svg
}
