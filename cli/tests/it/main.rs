//! The built tool, run as a user runs it, against the fake server on a port.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod check;
mod docs;
mod export;
mod follow;
mod killed;
mod report;
mod scale;
mod signals;
mod support;
mod targets;
mod timeline;
mod trouble;
