//! What can go wrong with an image, one variant a step.

use crate::resource::failure::Failure;

/// A failed step of this room.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// No image has this name or id.
    #[error("No such image: {0}")]
    NotFound(String),
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        Self::not_found(error.to_string())
    }
}
