//! A record as a line for people.

use actionlog::LogRecord;
use actionlog::record::Outcome;
use anstyle::{AnsiColor, Style as Ansi};

use crate::output::{NARROW, clean, fitting};

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    /// The columns of the terminal. `None` where there is none: lines are as long as they are.
    pub(super) width: Option<usize>,
    pub(super) is_coloured: bool,
    /// The length of the longest log's name.
    pub(super) names: usize,
}

impl Style {
    /// Returns the line of a record.
    pub(super) fn line(&self, log: &str, record: &impl LogRecord, change: Option<&str>) -> String {
        let is_narrow = self.width.is_some_and(|it| it < NARROW);
        let form = if is_narrow { "%m-%d %H:%M" } else { "%Y-%m-%d %H:%M:%S" };
        let blank = if is_narrow { "           " } else { "                   " };
        let time = record.timestamp().map_or_else(|| blank.to_owned(), |it| it.time.format(form).to_string());
        let (outcome, mark, colour) = outcome(record.outcome());
        let mut text = record.action().unwrap_or("unknown action").to_owned();
        if let Some(target) = record.target() {
            text.push_str(&format!(" {target}"));
        }
        if let Some(change) = change {
            text.push_str(&format!(" ({change})"));
        }
        if let Some(error) = record.error() {
            text.push_str(&format!(": {}", error.replace(['\n', '\r'], " ")));
        }
        let names = self.names;
        let head = if is_narrow { format!("{time} {mark} {log} ") } else { format!("{time}  {log:names$}  ") };
        let outcome = if is_narrow { String::new() } else { format!("{outcome:9}  ") };
        let plain = clean(&format!("{head}{outcome}{text}"));
        let cut = self.width.map_or(plain.clone(), |width| fitting(&plain, width));
        if !self.is_coloured {
            return cut;
        }
        // Only the part that says how it ended is coloured; a cut line may have no more of it.
        let (before, rest) = match is_narrow {
            true => split(&cut, time.chars().count() + 1),
            false => split(&cut, head.chars().count()),
        };
        let (coloured, after) = split(rest, if is_narrow { 1 } else { 9 });
        format!("{before}{colour}{coloured}{colour:#}{after}")
    }

    /// Returns the line of a record that is gone.
    pub(super) fn removed(&self, log: &str, key: &str) -> String {
        let line = clean(&format!("{log}: removed {key}"));
        self.width.map_or(line.clone(), |width| fitting(&line, width))
    }
}

fn outcome(outcome: Outcome<'_>) -> (&'static str, char, Ansi) {
    match outcome {
        Outcome::Failed => ("failed", '✗', AnsiColor::Red.on_default().bold()),
        Outcome::Succeeded => ("succeeded", '✓', AnsiColor::Green.on_default()),
        Outcome::Pending => ("pending", '…', AnsiColor::Yellow.on_default()),
        Outcome::Canceled => ("canceled", '-', AnsiColor::BrightBlack.on_default()),
        _ => ("unknown", '?', AnsiColor::Magenta.on_default()),
    }
}

fn split(text: &str, chars: usize) -> (&str, &str) {
    let at = text.char_indices().nth(chars).map_or(text.len(), |it| it.0);
    text.split_at(at)
}

#[cfg(test)]
mod tests {
    use actionlog::integration::ActionLog;
    use unicode_width::UnicodeWidthStr;

    use super::*;

    fn log() -> ActionLog {
        let mut log = actionlog::testing::models::action_log("a1");
        log.status = "failed".into();
        log.error_message = Some("no mapping\nfor \x1b[31m税 class, which is a long reason".to_owned());
        log
    }

    #[test]
    fn a_line_fits_the_terminal_at_any_width() {
        for width in 1..200 {
            let style = Style { width: Some(width), is_coloured: false, names: 11 };
            let line = style.line("integration", &log(), Some("updated"));
            assert!(line.width() <= width, "{width}: {line}");
            assert!(!line.contains(['\n', '\x1b']), "{line}");
        }
        let narrow = Style { width: Some(40), is_coloured: false, names: 11 }.line("integration", &log(), None);
        assert!(narrow.contains(" ✗ integration "), "{narrow}");
    }

    #[test]
    fn colours_add_nothing_but_colours() {
        for width in [None, Some(1), Some(12), Some(40), Some(100)] {
            let plain = Style { width, is_coloured: false, names: 11 }.line("integration", &log(), None);
            let coloured = Style { width, is_coloured: true, names: 11 }.line("integration", &log(), None);
            assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
            assert_ne!(coloured, plain);
        }
    }
}
