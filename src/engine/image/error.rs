//! What can go wrong with an image, one variant a step.

use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};

use crate::archive::ExtractError;
use crate::archive::pack::PackError;
use crate::engine::store::StoreError;
use crate::registry::error::RegistryError;
use crate::resource::failure::{Failure, FailureKind};
use crate::resource::id::{Digest, ImageId};
use crate::resource::image::ReferenceError;

/// Overlay takes 500 lower directories; a few are ours: places to mount on, and what a step of a build adds.
pub(super) const MOST_LAYERS: usize = 480;

/// A failed step of this room.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// No image has this name or id.
    #[error("No such image: {0}")]
    NotFound(String),
    /// The beginning of an id that several images share.
    #[error("the id {0} is ambiguous: several images begin with it")]
    Ambiguous(String),
    /// A text that is no reference.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A name with a digest cannot be given away.
    #[error("refusing to create a tag with a digest reference: {0}")]
    TagWithDigest(String),
    /// It cannot be removed as things are.
    #[error("conflict: {0}")]
    InUse(String),
    /// A file or folder of ours.
    #[error("cannot {step} {}", path.display())]
    Disk {
        /// What was tried.
        step: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A record of ours.
    #[error(transparent)]
    Record(#[from] StoreError),
    /// Overlay takes no upper directory that lies on another overlay (its `trusted.overlay.*` attributes would clash).
    #[error(
        "the data directory {} lies on an overlay file system, which cannot hold the root of a container: move it to another file system, \
         a tmpfs or a volume (GANTRY_ROOT, or `data-root`)",
        .0.display()
    )]
    OnOverlay(PathBuf),
    /// Bytes that are not what they were said to be.
    #[error("{what} has the digest {found}, expected was {expected}")]
    WrongDigest {
        /// What was read.
        what: String,
        /// What it should be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// A layer that cannot be unpacked.
    #[error("cannot unpack layer {layer}")]
    Layer {
        /// The layer, by the digest of its archive.
        layer: String,
        /// Why.
        #[source]
        source: ExtractError,
    },
    /// A configuration that cannot be understood.
    #[error("the configuration of image {image} cannot be understood: {reason}")]
    Config {
        /// The image, or what would have become one.
        image: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A layer that is gone, and what it came from as well.
    #[error("image {image} lost layer {layer} (a power failure may have taken it): pull or load the image again")]
    LostLayer {
        /// The image.
        image: ImageId,
        /// The layer.
        layer: Digest,
    },
    /// A layer that cannot be made of what was written.
    #[error("cannot make a layer")]
    Pack(#[source] PackError),
    /// A layer that is gone, and what it came from as well.
    #[error("layer {0} is lost (a power failure may have taken it): pull, load or build its image again")]
    NoLayer(Digest),
    /// More layers than overlay takes.
    #[error(
        "there are {0} layers, and at most {most} can lie over one another: join steps into one, or copy the files into a new stage",
        most = MOST_LAYERS
    )]
    TooManyLayers(usize),
    /// Docker's words for a push of nothing.
    #[error("{0}")]
    NothingToPush(String),
    /// An image for other machines.
    #[error("{0}")]
    Platform(String),
    /// An archive to load that is none.
    #[error("cannot load the archive: {0}")]
    Archive(String),
    /// An archive to load that ends early, or was cut off.
    #[error("cannot read the archive as a tar")]
    ReadArchive(#[source] io::Error),
    /// An archive that could not be written to its end.
    #[error("cannot write the archive")]
    WriteArchive(#[source] io::Error),
    /// A change that is no line of a Dockerfile, or none that an import knows.
    #[error("{0}")]
    Change(String),
    /// What the registry said, or that it said nothing.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The work was given up: the engine leaves.
    #[error("the work on image {0} was given up")]
    GivenUp(String),
}

impl ImageError {
    /// Makes the error of a failed step on a file or folder: for `map_err`.
    pub(super) fn disk(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk { step, path: path.to_owned(), source }
    }

    fn kind(&self) -> FailureKind {
        match self {
            // Docker does not tell several images from none.
            Self::NotFound(_) | Self::Ambiguous(_) => FailureKind::NotFound,
            Self::InUse(_) => FailureKind::Conflict,
            Self::Reference(_)
            | Self::TagWithDigest(_)
            | Self::Archive(_)
            | Self::ReadArchive(_)
            | Self::Change(_)
            | Self::TooManyLayers(_)
            | Self::Config { .. }
            | Self::Layer { source: ExtractError::Name { .. } | ExtractError::Refused { .. } | ExtractError::Read(_), .. } => {
                FailureKind::Invalid
            }
            Self::Platform(_) | Self::NothingToPush(_) => FailureKind::NotFound,
            Self::Registry(error) => error.kind(),
            _ => FailureKind::Internal,
        }
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self { kind: error.kind(), message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::manifest::ManifestError;
    use crate::resource::image::ImageReference;

    #[test]
    fn no_cause_is_told_twice() {
        let check = |error: ImageError, expected: &str| assert_eq!(Failure::from(error).message, expected);
        let wrong = "BB".parse::<ImageReference>().expect_err("a capital letter");
        check(ImageError::Reference(wrong), "invalid image reference `BB`: the repository name must be lower case");
        let manifest = RegistryError::Manifest { reference: "a:1".to_owned(), reason: ManifestError::Malformed("no JSON".to_owned()) };
        check(manifest.into(), "the manifest of a:1 cannot be used: it is malformed: no JSON");
        let disk = ImageError::disk("read", Path::new("/x"))(io::Error::other("broken"));
        check(disk, "cannot read /x: broken");
    }
}
