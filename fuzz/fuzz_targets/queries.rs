//! Fuzzes what selects the records of a listing: see [`actionlog_fuzz::queries`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| actionlog_fuzz::queries(bytes));
