//! Fuzzes the body of an error response: see [`actionlog_fuzz::error_bodies`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| actionlog_fuzz::error_bodies(bytes));
