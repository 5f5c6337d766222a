//! Environment files, against what [`fuzz::dotenv`] asserts.
#![no_main]

use gantry::compose::project::fuzz;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| fuzz::dotenv(text));
