//! What happens while an image is pushed.

use crate::resource::id::Digest;
use crate::resource::image::{ImageProgress, ImageReference};

/// What is pushed, or pulled: one tag or all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushTarget {
    /// The repository, and the tag if it is one.
    pub reference: ImageReference,
    /// Every tag that the repository has.
    pub all: bool,
}

/// Something to tell of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushNews {
    /// A step.
    Step(ImageProgress),
    /// A tag is there.
    Pushed(PushedTag),
}

/// A tag as the registry has it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedTag {
    /// The tag.
    pub tag: String,
    /// The digest of the manifest.
    pub digest: Digest,
    /// Bytes of the manifest.
    pub size: u64,
}
