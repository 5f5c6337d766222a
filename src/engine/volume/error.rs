//! What can go wrong with a volume, one variant a step.

use std::io;
use std::path::PathBuf;

use crate::engine::store::StoreError;
use crate::resource::failure::Failure;

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
    /// These three are dockerd's words.
    #[error(
        "create {0}: \"{0}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. \
         If you intended to pass a host directory, use absolute path"
    )]
    Name(String),
    #[error("create {0}: volume name is too short, names should be at least two alphanumeric characters")]
    Short(String),
    #[error("create {name}: error looking up volume plugin {driver}: plugin \"{driver}\" not found")]
    Driver { name: String, driver: String },
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
            VolumeError::NotFound(_) | VolumeError::Driver { .. } => Self::not_found(message),
            VolumeError::Different { .. } | VolumeError::InUse { .. } => Self::conflict(message),
            VolumeError::Name(_) | VolumeError::Short(_) | VolumeError::Option { .. } => Self::invalid(message),
            VolumeError::Record(error) => error.into(),
            VolumeError::Step { .. } => Self::internal(message),
        }
    }
}
