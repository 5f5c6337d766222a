//! Images: blobs by digest, unpacked layers, names, and the ways in and out.

mod change;
mod config;
mod content;
pub(crate) mod decompress;
pub mod error;
mod fetch;
pub mod handle;
mod import;
mod index;
mod layer;
mod load;
mod mount_point;
mod pipeline;
mod pull;
mod remove;
pub mod rootfs;
mod save;
mod temporary;
pub mod work;

#[cfg(test)]
mod tests;
