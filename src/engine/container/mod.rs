//! Containers and their life on top of image, network and runtime.

pub mod attach;
pub(in crate::engine) mod effective;
pub(in crate::engine) mod entry;
pub mod log;
pub mod process;
mod record;
mod restart;
pub(in crate::engine) mod signal;
mod state;
pub(in crate::engine) mod table;
mod told;
pub mod wait;
