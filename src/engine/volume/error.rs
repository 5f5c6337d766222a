//! What can go wrong with a volume, one variant a step.

use std::io;
use std::path::PathBuf;

use crate::engine::store::StoreError;
use crate::resource::failure::Failure;
use crate::resource::name::NameError;

/// A failed step of this room.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VolumeError {
    #[error("get {0}: no such volume")]
    NotFound(String),
    /// Docker's rule and words: a volume is found again only by the options it was made with.
    #[error("a volume with the name {name} already exists with the driver or options {existing}")]
    Different { name: String, existing: String },
    #[error("remove {name}: volume is in use - [{users}]")]
    InUse { name: String, users: String },
    #[error("{0}")]
    Name(#[from] NameError),
    #[error("error looking up volume plugin {0}: plugin \"{0}\" not found")]
    Driver(String),
    #[error("volume {name}: {reason}")]
    Option { name: String, reason: String },
    #[error("cannot {step} volume {name} at `{}`", path.display())]
    Step {
        step: &'static str,
        name: String,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Record(#[from] StoreError),
}

impl From<VolumeError> for Failure {
    fn from(error: VolumeError) -> Self {
        let message = match &error {
            VolumeError::Step { source, .. } => format!("{error}: {source}"),
            _ => error.to_string(),
        };
        match error {
            VolumeError::NotFound(_) | VolumeError::Driver(_) => Self::not_found(message),
            VolumeError::Different { .. } | VolumeError::InUse { .. } => Self::conflict(message),
            VolumeError::Name(_) | VolumeError::Option { .. } => Self::invalid(message),
            VolumeError::Record(error) => error.into(),
            VolumeError::Step { .. } => Self::internal(message),
        }
    }
}
