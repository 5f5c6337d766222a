//! Compose files to a resolved `Project`, or to diagnostics with spans.

pub mod diagnostic;
pub mod emit;
pub mod load;
pub mod model;
mod node;
mod render;
mod scalar;
pub mod select;
pub mod source;
mod suggest;
mod yaml;

pub use load::{Loaded, Sources, load};
