//! What runs: containers and all they need. The handle is the only door.

pub mod container;
pub mod image;
pub mod network;
pub mod root;
pub mod runtime;
pub mod store;
pub mod volume;
