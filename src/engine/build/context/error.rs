//! Why a build context could not be brought to the engine.

use std::io;
use std::path::{Path, PathBuf};

use crate::archive::ExtractError;
use crate::resource::context::{EncodingError, ListingError};
use crate::resource::failure::Failure;

/// Why a build context could not be brought to the engine.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// Its listing is none.
    #[error(transparent)]
    Listing(#[from] ListingError),
    /// Its archive is compressed with something unknown, or cut short.
    #[error("the build context's archive cannot be read")]
    Compression(#[source] io::Error),
    /// Its archive is none, or a hostile one.
    #[error("the build context cannot be unpacked")]
    Archive(#[from] ExtractError),
    /// The content of a file did not come as it was announced.
    #[error("the build context's file `{path}` did not arrive: {reason}")]
    Content {
        /// The file.
        path: String,
        /// What is the matter.
        reason: String,
    },
    /// The index of a snapshot is damaged, or of another boot.
    #[error("the index of a build context cannot be used: {0}")]
    Index(&'static str),
    /// The disk did not do it.
    #[error("cannot {step} `{}` of the build contexts", path.display())]
    Disk {
        /// What was tried.
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A bug.
    #[error("the work on a build context broke off")]
    BrokenOff,
}

impl ContextError {
    /// A step that the disk did not do.
    pub(super) fn disk(step: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Disk { step, path: path.to_owned(), source }
    }

    /// The same, by a path inside a context.
    pub(super) fn inside(step: &'static str, path: &[u8]) -> impl Fn(rustix::io::Errno) -> Self {
        move |error| Self::Disk { step, path: String::from_utf8_lossy(path).into_owned().into(), source: error.into() }
    }
}

impl From<EncodingError> for ContextError {
    fn from(_: EncodingError) -> Self {
        Self::Index("it is cut short")
    }
}

impl From<ContextError> for Failure {
    fn from(error: ContextError) -> Self {
        let message = chain(&error);
        match error {
            ContextError::Listing(_) | ContextError::Content { .. } | ContextError::Compression(_) => Self::invalid(message),
            ContextError::Archive(ExtractError::Step { .. } | ExtractError::Root { .. }) => Self::internal(message),
            ContextError::Archive(_) => Self::invalid(message),
            ContextError::Index(_) | ContextError::Disk { .. } | ContextError::BrokenOff => Self::internal(message),
        }
    }
}

/// An error and what it comes from.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}
