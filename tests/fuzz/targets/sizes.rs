//! Sizes in bytes, against what [`fuzz::sizes`] asserts.
#![no_main]

use gantry::compose::project::fuzz;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| fuzz::sizes(text));
