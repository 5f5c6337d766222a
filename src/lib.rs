#![doc = include_str!("ARCHITECTURE.md")]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr))]

pub mod api;
pub mod archive;
pub mod cli;
pub mod compose;
pub mod engine;
pub mod registry;
pub mod resource;
pub mod trace;
