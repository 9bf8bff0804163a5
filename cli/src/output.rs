//! What the user sees beside the data: notes, warnings and progress, on the standard error.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How often a line of progress is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Below this many columns, a terminal gets lines of a shorter form, and no tables.
pub const NARROW: usize = 72;

/// A bold yellow.
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// A bold red.
const ERROR: Style = AnsiColor::Red.on_default().bold();

/// Notes, warnings and progress.
#[derive(Debug)]
pub struct Output {
    quiet: bool,
    bar: Option<ProgressBar>,
    last_line: Mutex<Instant>,
}

impl Output {
    /// Creates the output. If it is quiet, only warnings and errors are written.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(ProgressStyle::default_spinner());
            bar
        });
        Self { quiet, bar, last_line: Mutex::new(Instant::now()) }
    }

    /// Returns whether only warnings and errors are written.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Writes a line for people, unless it is quiet.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.line(&clean(text));
        }
    }

    /// Writes a warning.
    pub fn warn(&self, text: &str) {
        self.line(&format!("{WARNING}warning:{WARNING:#} {}", clean(text)));
    }

    /// Writes an error.
    pub fn error(&self, text: &str) {
        self.line(&format!("{ERROR}error:{ERROR:#} {}", clean(text)));
    }

    fn line(&self, line: &str) {
        // There is nowhere to report that it can't be written.
        let write = || drop(writeln!(anstream::stderr(), "{line}"));
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Shows how far something is, of how many if that is known: drawn on a terminal, as a line now and then elsewhere.
    pub fn progress(&self, label: &str, done: u64, of: Option<u64>) {
        if self.quiet {
            return;
        }
        let Some(bar) = &self.bar else {
            let mut last = self.last_line.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if last.elapsed() >= LINE_EVERY {
                *last = Instant::now();
                drop(last);
                self.line(&match of {
                    Some(of) => format!("{label}: {done} of {of}"),
                    None => format!("{label}: {done}"),
                });
            }
            return;
        };
        if bar.is_finished() {
            bar.reset();
        }
        if bar.length() != of {
            let template = match of {
                Some(_) => "{spinner} {msg} {wide_bar} {human_pos}/{human_len} {per_sec}",
                None => "{spinner} {msg} {human_pos} {per_sec}",
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            match of {
                Some(of) => bar.set_length(of),
                None => bar.unset_length(),
            }
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        bar.set_message(label.to_owned());
        bar.set_position(done);
    }

    /// Removes what was drawn.
    pub fn end_progress(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Replaces control characters, which a terminal would follow, and those that turn the direction of what is behind
/// them. Keeps line breaks.
#[must_use]
pub fn clean(text: &str) -> String {
    let is_followed =
        |it: char| (it.is_control() && it != '\n') || matches!(it, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|it| if is_followed(it) { '\u{fffd}' } else { it }).collect()
}

/// Cuts a text to what fits on a line of a terminal with this many columns.
#[must_use]
pub fn fitting(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut used = 1;
    for letter in text.chars() {
        used += letter.width().unwrap_or_default();
        if used > width {
            break;
        }
        cut.push(letter);
    }
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_no_control_characters_of_a_server() {
        assert_eq!(clean("a\x1b[31m\u{9b}b\nc\t\u{202e}"), "a\u{fffd}[31m\u{fffd}b\nc\u{fffd}\u{fffd}");
    }
}
