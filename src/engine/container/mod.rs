//! Containers and their life on top of image, network and runtime.

pub mod attach;
pub mod log;
pub mod process;
pub mod wait;
