//! Fuzzes free-form JSON: see [`actionlog_fuzz::json`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| actionlog_fuzz::json(bytes));
