//! Compose files to a resolved `Project`, or to diagnostics with spans.

pub mod diagnostic;
pub mod emit;
pub mod load;
pub mod model;
mod conform;
mod decode;
mod discover;
mod dotenv;
mod env_file;
mod interpolate;
mod merge;
mod name;
mod node;
mod normalize;
mod render;
mod scalar;
mod schema;
mod short;
pub mod select;
pub mod source;
mod suggest;
mod yaml;

pub use load::{Loaded, Sources, load};
