//! Ballista's messages on the standard error.

use std::str::FromStr;

use log::{Level, LevelFilter, Log, Metadata, Record};

#[derive(Debug)]
struct ToStderr;

impl Log for ToStderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // HTTP/2 writes a line for each frame.
        let is_frame = metadata.level() > Level::Info && metadata.target().starts_with("h2");
        metadata.level() <= log::max_level() && !is_frame
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            eprintln!("{} {} {}: {}", chrono::Utc::now().to_rfc3339(), record.level(), record.target(), record.args());
        }
    }

    fn flush(&self) {}
}

/// Writes the messages of this process's libraries to the standard error: warnings, or as many as `ACTIONLOG_LOG` says
/// (`off`, `error`, `warn`, `info`, `debug`, `trace`).
pub fn log_to_stderr() {
    let level = std::env::var("ACTIONLOG_LOG").ok().and_then(|it| LevelFilter::from_str(&it).ok());
    if log::set_logger(&ToStderr).is_ok() {
        log::set_max_level(level.unwrap_or(LevelFilter::Warn));
    }
}
