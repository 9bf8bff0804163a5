//! What all commands have.

use std::sync::Arc;

use crate::config::Config;
use crate::output::Output;
use crate::signals::Stop;

/// The settings of the logs, the messages, and whether the user asked for the end.
#[derive(Debug)]
pub struct Context {
    /// The settings.
    pub config: Config,
    /// Notes, warnings and progress.
    pub output: Arc<Output>,
    /// Whether a signal came.
    pub stop: Stop,
}
