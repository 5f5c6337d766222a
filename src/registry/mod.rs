//! The distribution protocol, client side.

pub mod config;
pub mod error;
pub mod manifest;
