//! Fuzzes a page of integration logs, or one log: see [`actionlog_fuzz::integration`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| actionlog_fuzz::integration(bytes));
