//! Images: blobs by digest, unpacked layers, names, and the ways in and out.

pub mod error;
pub mod extract;
pub mod handle;
