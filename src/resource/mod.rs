//! What an engine manages, as plain data: identifiers, names, wanted specs, states, events. No I/O, no async, no clock.
//!
//! Words, fixed: a *spec* is what is wanted, a *state* is what is, an *info* is what a list returns (spec and state together).

pub mod build;
pub mod capability;
pub mod container;
pub mod context;
pub mod csv;
pub mod detach;
pub mod event;
pub mod exec;
pub mod extra_host;
pub mod failure;
pub mod id;
pub mod image;
pub mod log;
pub mod name;
pub mod network;
pub mod observation;
pub mod operation;
pub mod path;
pub mod percent;
pub mod push;
pub mod reason;
pub mod remote_image;
pub mod stats;
pub mod sysctl;
pub mod system;
pub mod time;
pub mod truth;
pub mod volume;
