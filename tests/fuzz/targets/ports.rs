//! Short forms of ports, against what [`fuzz::ports`] asserts.
#![no_main]

use gantry::compose::project::fuzz;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| fuzz::ports(text));
