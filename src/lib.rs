#![doc = include_str!("ARCHITECTURE.md")]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr))]

pub mod resource;
