//! Where images are made: the door of this room for builds. As long as a workshop is open nothing is collected.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use crate::archive::discard::remove_all;
use crate::archive::layer::{LayerRules, pack_layer};
use crate::engine::image::content::{Digester, Fork};
use crate::engine::image::document::Document;
use crate::engine::image::error::ImageError;
use crate::engine::image::handle::{Images, Shared, blocking};
use crate::engine::image::layer::Layer;
use crate::engine::image::mount_point::MountPoints;
use crate::engine::image::step::StepRecord;
use crate::engine::image::work::Work;
use crate::registry::download::Download;
use crate::resource::id::{Digest, ImageId};
use crate::resource::image::ImageReference;

/// A workshop; cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Workshop {
    work: Arc<Work>,
}

/// What a build begins with.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Origin {
    /// Its configuration.
    pub(in crate::engine) document: Document,
}

/// A folder with the two that overlay writes to; gone again when it is dropped.
#[derive(Debug)]
pub(in crate::engine) struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    /// What is written.
    pub(in crate::engine) fn upper(&self) -> PathBuf {
        self.folder.join("upper")
    }

    /// Overlay's own.
    pub(in crate::engine) fn work(&self) -> PathBuf {
        self.folder.join("work")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Of what was finished `upper` has been renamed away; what cannot be removed is swept at the next start.
        let _gone = remove_all(&self.folder);
    }
}

impl Images {
    /// Opens a workshop.
    pub(in crate::engine) fn workshop(&self) -> Workshop {
        Workshop { work: Arc::new(self.shared.work()) }
    }

    /// Makes a scratch folder on the file system of the layers.
    pub(in crate::engine) fn scratch(&self) -> Result<Scratch, ImageError> {
        self.shared.scratch()
    }
}

impl Workshop {
    fn shared(&self) -> &Arc<Shared> {
        self.work.shared()
    }

    /// An image that is here, with its configuration.
    pub(in crate::engine) fn origin(&self, name: &str) -> Result<Origin, ImageError> {
        let id = {
            let state = self.shared().lock();
            state.index.find(name)?.0
        };
        let document = self.shared().content.document(&id)?;
        let document =
            serde_json::from_slice(&document).map_err(|error| ImageError::Config { image: name.to_owned(), reason: error.to_string() })?;
        Ok(Origin { document })
    }

    /// Whether all layers of an image are there, or can be unpacked.
    pub(in crate::engine) fn is_whole(&self, origin: &Origin) -> bool {
        origin.document.rootfs.diff_ids.iter().all(|diff| self.shared().has_layer(diff))
    }

    /// The folders of layers, given lowest first, as overlay wants them: topmost first.
    pub(in crate::engine) async fn folders(&self, layers: &[Digest], lowest: MountPoints) -> Result<Vec<PathBuf>, ImageError> {
        self.shared().folders_of(layers, lowest).await
    }

    /// Makes a scratch folder on the file system of the layers.
    pub(in crate::engine) fn scratch(&self) -> Result<Scratch, ImageError> {
        self.shared().scratch()
    }

    /// Closes it away from the threads that serve requests. With the last clone what nobody needs is removed.
    pub(in crate::engine) async fn close(self) {
        if let Some(work) = Arc::into_inner(self.work) {
            work.end().await;
        }
    }

    /// Makes a layer of what was written to an overlay's upper folder, which is taken away; `None` where nothing was. What is held goes only
    /// then: a folder that is removed while it is packed would be a layer with half of its files.
    pub(in crate::engine) async fn finish(
        &self,
        upper: PathBuf,
        held: impl Send + 'static,
        rules: LayerRules,
    ) -> Result<Option<Digest>, ImageError> {
        let work = Arc::clone(&self.work);
        blocking("built", move || {
            let layer = work.shared().layer_of(&upper, rules, Upper::Taken);
            drop(held);
            layer
        })
        .await
    }

    /// Makes a layer of what an overlay's upper folder holds, which stays as it is; `None` where it holds nothing.
    pub(in crate::engine) async fn copy(&self, upper: PathBuf) -> Result<Option<Digest>, ImageError> {
        let work = Arc::clone(&self.work);
        blocking("committed", move || work.shared().layer_of(&upper, LayerRules::default(), Upper::Stays)).await
    }

    /// Waits for whoever does this step, and keeps others from it as long as the guard lives.
    pub(in crate::engine) async fn reserve(&self, key: &Digest) -> OwnedMutexGuard<()> {
        self.shared().steps.reserve(key).await
    }

    /// What a step came to before, if its layer is still there.
    pub(in crate::engine) fn step(&self, key: &Digest) -> Result<Option<StepRecord>, ImageError> {
        let shared = self.shared();
        let there = |layer: &Digest| shared.layers.known(layer).is_some_and(|known| shared.content.has(&known.blob));
        Ok(shared.steps.get(key).filter(|record| record.layer.as_ref().is_none_or(there)))
    }

    /// Remembers what a step came to.
    pub(in crate::engine) fn note(&self, key: Digest, record: StepRecord) -> Result<(), ImageError> {
        self.shared().steps.put(key, record)
    }

    /// Begins to read what lies behind a URL, as registries are reached.
    pub(in crate::engine) async fn download(&self, url: &str) -> Result<Download, ImageError> {
        Ok(self.shared().registries.download(url).await?)
    }

    /// Every step that is remembered, and whether an image has its layer; and the bytes that the layer takes.
    pub(in crate::engine) fn steps(&self) -> Vec<(Digest, StepRecord, bool, u64)> {
        let shared = self.shared();
        let state = shared.lock();
        let of_images: BTreeSet<Digest> = state.index.images().flat_map(|(_, image)| image.understood.layers.iter().copied()).collect();
        drop(state);
        let size = |layer: &Digest| shared.layers.known(layer).map_or(0, |layer| layer.size);
        let all = shared.steps.all().into_iter();
        all.map(|(key, record)| {
            let (in_use, size) = record.layer.as_ref().map_or((false, 0), |layer| (of_images.contains(layer), size(layer)));
            (key, record, in_use, size)
        })
        .collect()
    }

    /// Forgets a step; its layer goes when the last workshop closes, unless something else has it.
    pub(in crate::engine) fn forget(&self, key: &Digest) -> Result<(), ImageError> {
        self.shared().steps.forget(key)
    }

    /// Makes an image known, under these names.
    pub(in crate::engine) fn publish(&self, document: &Document, names: &[ImageReference]) -> Result<ImageId, ImageError> {
        let document =
            serde_json::to_vec(document).map_err(|error| ImageError::Config { image: "built".to_owned(), reason: error.to_string() })?;
        self.shared().register(&document, names)
    }
}

/// Bytes of a layer's blob hardly matter as long as it stays here; the time to make it does.
const LEVEL: i32 = 1;

/// What becomes of the folder that a layer is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upper {
    /// It is the layer's, or nobody's.
    Taken,
    /// Whoever writes to it goes on with that.
    Stays,
}

impl Shared {
    fn scratch(&self) -> Result<Scratch, ImageError> {
        let scratch = Scratch { folder: self.layers.unfinished() };
        for part in [scratch.upper(), scratch.work()] {
            fs::create_dir_all(&part).map_err(ImageError::disk("make", &part))?;
        }
        Ok(scratch)
    }

    fn layer_of(self: &Arc<Self>, upper: &Path, rules: LayerRules, then: Upper) -> Result<Option<Digest>, ImageError> {
        let blob = zstd::Encoder::new(self.content.create()?, LEVEL).map_err(ImageError::disk("compress", upper))?;
        // What runs here is to be what the digest says, times and all.
        let unpacks = rules.newest.is_some() || then == Upper::Stays;
        let mut tar = Fork::new(Digester::new(), blob);
        let packed = pack_layer(upper, &mut tar, rules).map_err(ImageError::Pack)?;
        if packed.is_empty() {
            return Ok(None);
        }
        let (digester, blob) = tar.into_both();
        let (diff, tar_size) = digester.finish();
        let _turn = self.layers.reserve_blocking(&diff);
        if self.layers.unpacked(&diff).is_none() {
            let (blob, _) = blob.finish().map_err(ImageError::disk("compress", upper))?.finish(None)?;
            if unpacks {
                self.unpack_blob(&diff, &blob)?;
            } else {
                self.layers.adopt(upper, Layer { diff, blob, tar_size, size: packed.bytes })?;
            }
        }
        Ok(Some(diff))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::root::Root;
    use crate::registry::config::RegistryConfig;
    use crate::resource::time::Timestamp;

    #[tokio::test]
    async fn what_a_build_made_is_soon_on_the_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let images = Images::open(&Root::new(Some(folder.path())), RegistryConfig::default()).expect("a store");
        let workshop = images.workshop();
        let scratch = workshop.scratch().expect("a folder");
        fs::write(scratch.upper().join("file"), "x").expect("a file");
        let layer = workshop.finish(scratch.upper(), scratch, LayerRules::default()).await.expect("a layer");
        let (key, at) = (Digest::of(b"step"), Timestamp::from_nanos(1));
        // Without a step or an image that has it, it would be removed.
        let record = StepRecord { layer, content: key, created: at, used: at, name: String::new(), made_for: None };
        workshop.note(key, record).expect("a record");
        drop(workshop);
        assert!(images.shared.layers.all_settle());
    }
}
