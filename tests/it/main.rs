//! The integration tests, in one binary.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs, unreachable_pub)]

mod arklow;
mod auth;
mod bad_input;
mod check;
mod conformance;
mod decoding;
mod faults;
mod integration;
mod reading;
mod recorded;
mod support;
mod unleash_requests;
mod wire;
mod world_arklow;
mod world_integration;
mod world_unleash;
