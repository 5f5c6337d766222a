//! What people and programs see.

pub(crate) mod build;
pub(crate) mod line;
pub(crate) mod listing;
pub(crate) mod ports;
pub(crate) mod progress;
pub(crate) mod relative;
pub(crate) mod table;
pub(crate) mod template;
pub(crate) mod terminal;
