//! Action logs as tables: SQL by Apache DataFusion on one machine, and by Ballista on many.
//!
//! ```no_run
//! # async fn shown() -> datafusion::error::Result<()> {
//! use std::sync::Arc;
//!
//! use actionlog_ballista::{Logs, Options, Profiles};
//! use datafusion::prelude::SessionContext;
//!
//! let session = SessionContext::new();
//! let logs = Logs::new(Options::default(), Arc::new(Profiles::from_env()));
//! logs.register(&session)?;
//! session.sql("SELECT outcome, COUNT(*) FROM integration_logs GROUP BY outcome").await?.show().await?;
//! for coverage in logs.ledger().entries() {
//!     eprintln!("{}: {}", coverage.table, coverage.detail);
//! }
//! # Ok(())
//! # }
//! # fn main() {}
//! ```
//!
//! The result of a query is an error unless the rows are all records of the log, each once: see the README.

#[cfg(feature = "cluster")]
pub mod cluster;
mod columns;
mod coverage;
mod error;
mod filters;
mod plan;
mod profile;
mod scan;
mod tables;

pub use coverage::{Coverage, Ledger};
pub use error::{NOT_PROVED, Problem};
pub use profile::{DEFAULT, Profiles};
pub use tables::{Logs, Options};

/// The engine, in the version that this is built on.
pub use datafusion;
