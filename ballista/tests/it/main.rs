//! The tables against fake servers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on fails")]

#[cfg(feature = "cluster")]
mod cluster;
mod program;
#[cfg(feature = "cluster")]
mod scale;
mod support;
mod tables;
