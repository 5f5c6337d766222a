//! The distribution protocol, client side: manifests and blobs, wherever they are to be had.

pub mod blob;
pub mod certificate;
mod challenge;
pub mod client;
pub mod config;
mod dial;
pub mod download;
mod endpoint;
pub mod error;
pub mod inspect;
mod login;
pub mod manifest;
pub mod manifest_text;
mod proxy;
pub mod resolve;
pub mod session;
pub(crate) mod tls;
mod token;
pub mod upload;

#[cfg(test)]
pub(crate) mod test_server;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod upload_tests;
