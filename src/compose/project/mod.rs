//! Compose files to a resolved `Project`, or to diagnostics with spans.

pub mod build;
mod cast;
mod conform;
mod cycle;
mod decode;
pub mod diagnostic;
mod discover;
mod dotenv;
pub mod emit;
mod env_file;
mod expand;
mod extends;
mod fix;
pub mod flag;
#[cfg(fuzzing)]
pub mod fuzz;
mod include;
pub mod interpolate;
mod label_file;
pub mod load;
mod merge;
pub mod model;
mod name;
mod node;
mod normalize;
pub mod other;
mod path;
pub mod place;
pub mod record;
mod render;
pub(crate) mod scalar;
mod schema;
mod seccomp_file;
pub mod select;
mod short;
pub mod source;
mod suggest;
mod variable_file;
mod yaml;

pub use discover::name_without_files;
pub use load::{Loaded, Model, Sources, load, load_model};
