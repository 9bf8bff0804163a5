//! Fuzzes a page of Unleash events: see [`actionlog_fuzz::unleash`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| actionlog_fuzz::unleash(bytes));
