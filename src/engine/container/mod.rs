//! Containers and their life on top of image, network and runtime.

pub mod attach;
mod effective;
pub mod log;
pub mod process;
mod restart;
mod signal;
mod state;
pub mod wait;
