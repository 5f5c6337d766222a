#![doc = include_str!("ARCHITECTURE.md")]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr))]

// What the tests of this package and the unit tests share speaks of `gantry`.
#[cfg(test)]
extern crate self as gantry;

pub mod api;
pub mod archive;
pub mod cli;
pub mod compose;
pub mod dockerfile;
pub mod engine;
pub mod registry;
pub mod resource;
pub mod trace;
