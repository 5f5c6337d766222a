//! What can go wrong between a registry and us; each says which registry, what was asked for, and the way out.

use crate::resource::failure::FailureKind;

/// A failed step of this room.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {}

impl RegistryError {
    /// What kind of failure it is for whoever asked.
    pub fn kind(&self) -> FailureKind {
        FailureKind::Internal
    }
}
