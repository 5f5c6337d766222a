//! The images of one root: the room's only door.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::image::error::ImageError;
use crate::engine::root::Root;
use crate::registry::config::RegistryConfig;
use crate::resource::id::ImageId;
use crate::resource::image::{Credentials, HistoryEntry, ImageInfo, ImageProgress, ImagePrune, ImageReference, ImageRemoval, Platform};

/// The images of one root: cheap to clone, every clone the same store.
#[derive(Clone)]
pub struct Images {
    shared: Arc<Shared>,
}

struct Shared;

/// Told by the caller: which container an image is in use by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageUse {
    /// The container's short id.
    pub container: String,
    /// It runs, or is paused.
    pub running: bool,
}

/// The root file system of an image, as overlay wants it.
#[derive(Debug)]
pub struct RootLayers {
    /// Directories of the unpacked layers, topmost first, for overlay's `lowerdir`. The last one holds nothing but empty mount points
    /// (`/proc`, `/etc/hosts`, …), so that mounting over them never makes anything in the upper directory.
    pub dirs: Vec<PathBuf>,
    /// Holds the image and its layers against removal as long as it lives.
    pub guard: RootGuard,
}

/// Holds an image and its layers against removal as long as it lives.
#[derive(Debug)]
pub struct RootGuard;

impl Images {
    /// Opens the images below a root's data directory, sweeping what an interrupted engine left and what a power cut made doubtful.
    pub fn open(root: &Root, registry: RegistryConfig) -> Result<Self, ImageError> {
        todo!("{root:?} {registry:?}")
    }

    /// Returns all images, newest first.
    pub fn list(&self) -> Vec<ImageInfo> {
        todo!()
    }

    /// Returns an image by name, id, unambiguous start of an id, or digest.
    pub fn get(&self, name: &str) -> Result<ImageInfo, ImageError> {
        todo!("{name}")
    }

    /// Returns the steps an image was made in, newest first.
    pub fn history(&self, name: &str) -> Result<Vec<HistoryEntry>, ImageError> {
        todo!("{name}")
    }

    /// Brings an image in from its registry, telling of each step as Docker does.
    pub async fn pull(
        &self,
        reference: &ImageReference,
        platform: Option<&Platform>,
        credentials: Option<Credentials>,
        progress: impl Fn(ImageProgress) + Send + Sync + 'static,
    ) -> Result<ImageId, ImageError> {
        let _ = progress;
        todo!("{reference} {platform:?} {credentials:?}")
    }

    /// Makes an image of a tar (plain, gzip or zstd) of its root file system; `changes` are lines of a Dockerfile.
    pub async fn import(
        &self,
        archive: impl Read + Send + 'static,
        reference: Option<&ImageReference>,
        platform: Option<&Platform>,
        changes: &[String],
        message: &str,
    ) -> Result<ImageId, ImageError> {
        let _ = archive;
        todo!("{reference:?} {platform:?} {changes:?} {message}")
    }

    /// Brings in the images of a `docker save` archive or an OCI layout in a tar (plain, gzip or zstd); returns their names, or ids where
    /// they have none.
    pub async fn load(
        &self,
        archive: impl Read + Send + 'static,
        progress: impl Fn(ImageProgress) + Send + Sync + 'static,
    ) -> Result<Vec<String>, ImageError> {
        let _ = (archive, progress);
        todo!()
    }

    /// Writes images as one archive that is both `docker save`'s and an OCI layout.
    pub async fn save(&self, names: &[String], into: impl Write + Send + 'static) -> Result<(), ImageError> {
        let _ = into;
        todo!("{names:?}")
    }

    /// Gives an image another name.
    pub fn tag(&self, name: &str, reference: &ImageReference) -> Result<(), ImageError> {
        todo!("{name} {reference}")
    }

    /// Removes a name of an image, and with its last name the image. By id, all its names: with `force` where there are several.
    pub fn remove(&self, name: &str, force: bool, in_use: impl Fn(&ImageId) -> Option<ImageUse>) -> Result<Vec<ImageRemoval>, ImageError> {
        let _ = in_use;
        todo!("{name} {force}")
    }

    /// Removes the images that `selects` names and nothing uses, with all their names.
    pub fn prune(
        &self,
        selects: impl Fn(&ImageInfo) -> bool,
        in_use: impl Fn(&ImageId) -> Option<ImageUse>,
    ) -> Result<ImagePrune, ImageError> {
        let _ = (selects, in_use);
        todo!()
    }

    /// Returns the directories of an image's layers, unpacking again what a power cut took.
    pub async fn rootfs(&self, image: &ImageId) -> Result<RootLayers, ImageError> {
        todo!("{image}")
    }
}
