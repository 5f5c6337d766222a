//! Short forms of mounts, against what [`fuzz::volumes`] asserts.
#![no_main]

use gantry::compose::project::fuzz;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| fuzz::volumes(text));
