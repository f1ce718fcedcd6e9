#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| postgate_smtp::fuzz::client(input));
