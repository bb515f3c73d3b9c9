#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| grantor::fuzzing::scope_text(bytes));
