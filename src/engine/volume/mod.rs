//! Named and anonymous volumes.

mod error;
mod handle;
mod local;

pub(crate) use handle::{Filling, Volumes};
