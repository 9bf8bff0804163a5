//! The integration tests, in one binary.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs, unreachable_pub)]

mod arklow;
mod auth;
mod bad_input;
mod blocking;
mod busy;
mod check;
mod conformance;
mod connections;
mod costs;
mod decoding;
mod docs;
mod endurance;
mod everyday;
mod fake;
mod fake_server;
mod faults;
mod floods;
mod follow;
mod hints;
mod integration;
mod layout;
mod leaks;
mod limiter;
mod log_record;
mod losses;
mod observed;
mod parts;
mod pending_log;
mod prefetch;
mod quickstart;
mod recorded;
mod recorder;
mod recording;
mod resumed;
mod resumed_again;
mod runtimes;
mod scans;
mod since;
mod soak;
mod strictness;
mod support;
mod timeline;
mod transport_settings;
mod unleash;
mod verify;
mod wire;

/// Counts live allocations, for the soak test.
#[global_allocator]
static ALLOCATOR: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, usize::MAX);
