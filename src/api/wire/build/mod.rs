//! What the two ends of a build say to each other: over our own connection in frames, and as Docker's classic builder has it in lines of JSON.

pub mod classic;
pub mod connection;
pub mod frame;
pub mod message;
