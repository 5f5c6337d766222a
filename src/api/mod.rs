//! The Docker Engine API, both ends of it.

pub mod client;
pub mod server;
pub mod wire;

#[cfg(test)]
mod tests;
