//! Fuzzes a page of Arklow records: see [`actionlog_fuzz::arklow`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| actionlog_fuzz::arklow(bytes));
