//! The distribution protocol, client side.

pub mod config;
