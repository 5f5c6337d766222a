//! An image's layers, ready for overlay.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::image::content::{Digester, Tee};
use crate::engine::image::error::{ImageError, MOST_LAYERS};
use crate::engine::image::handle::{Shared, blocking};
use crate::engine::image::layer::Layer;
use crate::engine::image::mount_point::MountPoints;
use crate::engine::image::pipeline;
use crate::engine::image::work::RootGuard;
use crate::resource::id::{Digest, ImageId};

/// The root file system of an image, as overlay wants it.
#[derive(Debug)]
pub struct RootLayers {
    /// Directories of the unpacked layers, topmost first, for overlay's `lowerdir`. The last one holds nothing but empty mount points
    /// (`/proc`, `/etc/hosts`, …), so that mounting over them never makes anything in the upper directory.
    pub dirs: Vec<PathBuf>,
    /// Holds the image and its layers against removal as long as it lives.
    pub guard: RootGuard,
}

/// A blob that tells how much of it was read.
struct Counted<'a> {
    inner: File,
    done: u64,
    total: u64,
    tell: &'a (dyn Fn(u64, u64) + Sync),
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.done += read as u64;
        if read > 0 {
            (self.tell)(self.done, self.total);
        }
        Ok(read)
    }
}

impl Shared {
    /// Returns the directories of an image's layers, unpacking those whose folder is gone.
    pub(super) async fn root_layers(self: &Arc<Self>, image: &ImageId) -> Result<RootLayers, ImageError> {
        let missing = || ImageError::NotFound(image.to_string());
        let guard = self.hold(image).ok_or_else(missing)?;
        let layers = self.lock().index.image(image).map(|it| it.understood.layers.clone()).ok_or_else(missing)?;
        let lost = |layer| ImageError::LostLayer { image: *image, layer };
        let dirs = self.folders_of(&layers, MountPoints::Container).await.map_err(|error| match error {
            ImageError::NoLayer(layer) => lost(layer),
            other => other,
        })?;
        Ok(RootLayers { dirs, guard })
    }

    /// The folders of layers, given lowest first, as overlay wants them: topmost first, and something to mount on below all of them.
    pub(super) async fn folders_of(self: &Arc<Self>, layers: &[Digest], lowest: MountPoints) -> Result<Vec<PathBuf>, ImageError> {
        let mut dirs = Vec::with_capacity(layers.len() + 1);
        let mut seen = BTreeSet::new();
        for diff in layers.iter().rev() {
            // Overlay refuses the same directory twice (ELOOP); whatever the lower occurrence has, the upper one has on top of it.
            if !seen.insert(*diff) {
                continue;
            }
            if self.layers.folder_of(diff).is_none() {
                self.unpack_again(diff).await?;
            }
            dirs.push(self.layers.folder_of(diff).ok_or(ImageError::NoLayer(*diff))?);
        }
        if dirs.len() > MOST_LAYERS {
            return Err(ImageError::TooManyLayers(dirs.len()));
        }
        dirs.push(self.layers.mount_points(lowest));
        Ok(dirs)
    }

    async fn unpack_again(self: &Arc<Self>, diff: &Digest) -> Result<(), ImageError> {
        let turn = self.layers.reserve(diff).await;
        let blob = self.blob_of(diff).ok_or(ImageError::NoLayer(*diff))?;
        let (shared, diff) = (Arc::clone(self), *diff);
        blocking(&diff.short(), move || {
            let _turn = turn;
            shared.unpack_blob(&diff, &blob).map(drop)
        })
        .await
    }

    /// The blob that a layer can be unpacked from, if it is there. Where its record is lost, that is a tar nobody has compressed.
    fn blob_of(&self, diff: &Digest) -> Option<Digest> {
        let blob = self.layers.known(diff).map_or(*diff, |layer| layer.blob);
        self.content.has(&blob).then_some(blob)
    }

    /// Whether a layer is there, or can be unpacked.
    pub(super) fn has_layer(&self, diff: &Digest) -> bool {
        self.layers.folder_of(diff).is_some() || self.blob_of(diff).is_some()
    }

    /// Unpacks a layer from its blob, unless it is there; the caller has reserved it.
    pub(super) fn unpack_blob(&self, diff: &Digest, blob: &Digest) -> Result<Layer, ImageError> {
        self.unpack_blob_telling(diff, blob, &|_, _| {})
    }

    /// The same, telling how much of the blob was read, and how much it is.
    pub(super) fn unpack_blob_telling(&self, diff: &Digest, blob: &Digest, tell: &(dyn Fn(u64, u64) + Sync)) -> Result<Layer, ImageError> {
        if let Some(layer) = self.layers.unpacked(diff) {
            return Ok(layer);
        }
        let partial = self.layers.begin()?;
        let file = self.content.blob(blob)?;
        let total = file.metadata().map_or(0, |it| it.len());
        let mut source = Tee::new(Counted { inner: file, done: 0, total, tell }, Digester::new());
        let unpacked = pipeline::unpack(&mut source, partial.path()).map_err(|source| ImageError::Layer { layer: diff.short(), source })?;
        let (found, _) = source.into_copy().finish();
        if found != *blob {
            return Err(ImageError::WrongDigest { what: format!("the stored blob {}", blob.short()), expected: *blob, found });
        }
        if unpacked.diff != *diff {
            let what = format!("the layer in blob {}", blob.short());
            return Err(ImageError::WrongDigest { what, expected: *diff, found: unpacked.diff });
        }
        let layer = Layer { diff: *diff, blob: *blob, tar_size: unpacked.tar_size, size: unpacked.size };
        self.layers.commit(partial, layer.clone())?;
        Ok(layer)
    }
}
