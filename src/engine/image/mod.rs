//! Images: blobs by digest, unpacked layers, names, and the ways in and out.

pub(in crate::engine) mod change;
mod config;
mod content;
pub(crate) mod decompress;
pub(in crate::engine) mod document;
pub mod error;
mod fetch;
pub mod handle;
mod import;
mod index;
mod layer;
mod load;
pub(in crate::engine) mod mount_point;
mod pipeline;
mod pull;
mod push;
pub mod remove;
mod repack;
mod reserve;
pub mod rootfs;
mod save;
mod share;
pub(in crate::engine) mod step;
mod temporary;
pub mod work;
pub(in crate::engine) mod workshop;

#[cfg(test)]
mod tests;
