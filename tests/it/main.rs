//! The integration tests, in one binary.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs, unreachable_pub)]

mod ahead;
mod arklow;
mod auth;
mod bad_input;
mod busy;
mod check;
mod conformance;
mod connections;
mod decoding;
mod endurance;
mod everyday;
mod fake;
mod faults;
mod floods;
mod going_on;
mod hints;
mod integration;
mod leaks;
mod observed;
mod pace;
mod parts;
mod quickstart;
mod reading;
mod recorded;
mod recorder;
mod resumed;
mod running;
mod runtimes;
mod soak;
mod strictness;
mod support;
mod transport_settings;
mod unleash_requests;
mod wire;
mod world_arklow;
mod world_integration;
mod world_unleash;

/// Counts what is live, for the soak.
#[global_allocator]
static ALLOCATOR: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, usize::MAX);
