//! The tables against fake servers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on fails")]

#[cfg(feature = "cluster")]
mod cluster;
#[cfg(feature = "cluster")]
mod compose;
#[cfg(feature = "cluster")]
mod kills;
#[cfg(feature = "cluster")]
mod limits;
#[cfg(feature = "cluster")]
mod processes;
mod program;
#[cfg(feature = "cluster")]
mod scale;
mod support;
mod tables;
mod times;
#[cfg(feature = "cluster")]
mod versions;
