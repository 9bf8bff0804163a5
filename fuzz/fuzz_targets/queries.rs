#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| actionlog_fuzz::queries(bytes));
