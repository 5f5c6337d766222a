//! Which tags are pushed, or pulled, and what happens while they are pushed.

use crate::resource::id::Digest;
use crate::resource::image::{ImageProgress, ImageReference};

/// The tags of a repository that are brought to its registry, or from there: one of them, or all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushTarget {
    /// The repository, with the tag (or, to pull, the digest) that is meant unless all are.
    pub reference: ImageReference,
    /// Every tag of the repository is meant, whatever the reference says.
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
