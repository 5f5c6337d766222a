//! Docker's JSON and its conversions to and from `resource`; nowhere else does Docker's JSON appear.
//!
//! What is written has Docker's shape to the field, `null` and `[]` included, because strict clients look. What is read comes in two
//! [moods](fields::Mood): a request is refused when it asks for something we would have to ignore, another engine's answer is not.

pub mod answer;
#[cfg(test)]
pub(crate) mod asked;
pub mod build;
pub mod change;
pub mod container;
pub mod disk;
pub mod error;
pub mod event;
pub mod exec;
pub mod extension;
pub mod fields;
pub mod filter;
pub mod frame;
pub mod image;
pub mod network;
pub mod observation;
pub mod path;
pub mod progress;
pub mod spec;
pub mod stats;
pub mod system;
pub mod time;
pub mod volume;
