//! What an engine tells of a container: whole (inspect) or as a line of a list.

mod endpoint;
pub mod inspect;
pub mod read;
pub mod state;
pub mod summary;
pub mod whole;

#[cfg(test)]
mod tests;
