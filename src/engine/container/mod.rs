//! Containers and their life on top of image, network and runtime.

mod adopt;
pub mod attach;
mod check;
mod connect;
mod create;
mod effective;
pub(in crate::engine) mod entry;
mod files;
mod generated_name;
mod launch_spec;
pub mod log;
mod membership;
mod mount_plan;
pub mod process;
mod record;
mod remove;
mod restart;
mod security;
pub(in crate::engine) mod select;
pub(in crate::engine) mod signal;
pub(in crate::engine) mod start;
mod state;
pub(in crate::engine) mod stop;
mod supervise;
pub(in crate::engine) mod table;
mod told;
pub mod wait;
