//! The distribution protocol, client side: manifests and blobs, wherever they are to be had.

pub mod blob;
mod challenge;
pub mod client;
pub mod config;
mod dial;
pub mod download;
mod endpoint;
pub mod error;
mod login;
pub mod manifest;
mod proxy;
pub mod resolve;
pub mod session;
mod tls;
mod token;

#[cfg(test)]
pub(crate) mod test_server;
#[cfg(test)]
mod tests;
