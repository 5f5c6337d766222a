//! Who has a stake in what: images held by containers, and pulls, loads and imports under way. What nobody has a stake in is collected.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::image::handle::Shared;
use crate::resource::id::{Digest, ImageId};

/// Stakes, counted.
#[derive(Debug, Default)]
pub(super) struct Stake {
    /// Images whose layers somebody mounts, or is about to.
    held: BTreeMap<ImageId, usize>,
    /// Pulls, loads, imports and saves under way: what they brought in belongs to no image yet.
    working: usize,
}

impl Stake {
    /// Whether somebody holds the image.
    pub(super) fn holds(&self, image: &ImageId) -> bool {
        self.held.contains_key(image)
    }
}

/// Work under way: nothing is collected as long as it lives.
#[derive(Debug)]
pub(super) struct Work {
    shared: Arc<Shared>,
}

impl Work {
    /// The store.
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Ends it away from the threads that serve requests: what nobody needs any more is looked for, and removed, on the disk.
    pub(super) async fn end(self) {
        // One that panicked has said so.
        let _ended = tokio::task::spawn_blocking(move || drop(self)).await;
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.stake.working -= 1;
        drop(state);
        self.shared.collect();
        // A build's layers are made without unpacking.
        self.shared.layers.sync_in_background();
    }
}

/// Holds an image and its layers against removal as long as it lives.
#[derive(Debug)]
pub struct RootGuard {
    shared: Arc<Shared>,
    image: ImageId,
}

impl Drop for RootGuard {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if let Some(count) = state.stake.held.get_mut(&self.image) {
            *count -= 1;
            if *count == 0 {
                state.stake.held.remove(&self.image);
            }
        }
    }
}

impl Shared {
    /// Does something as work: as long as it goes on nothing is collected, and what nobody needs then is removed away from the threads that serve
    /// requests.
    pub(super) async fn as_work<T>(self: &Arc<Self>, what: impl Future<Output = T>) -> T {
        let work = self.work();
        let done = what.await;
        work.end().await;
        done
    }

    /// Starts work.
    pub(super) fn work(self: &Arc<Self>) -> Work {
        self.lock().stake.working += 1;
        Work { shared: Arc::clone(self) }
    }

    /// Holds an image; `None` where there is none.
    pub(super) fn hold(self: &Arc<Self>, image: &ImageId) -> Option<RootGuard> {
        let mut state = self.lock();
        state.index.image(image)?;
        *state.stake.held.entry(*image).or_default() += 1;
        Some(RootGuard { shared: Arc::clone(self), image: *image })
    }

    /// Removes every layer and blob that no image needs, unless work is under way: its end does. Returns the bytes given back.
    pub(super) fn collect(&self) -> u64 {
        let state = self.lock();
        if state.stake.working > 0 {
            return 0;
        }
        let of_images = state.index.images().flat_map(|(_, image)| image.understood.layers.iter().copied());
        let needed: BTreeSet<Digest> = of_images.chain(self.steps.layers()).collect();
        let mut blobs: BTreeSet<Digest> = state.index.images().map(|(id, _)| *id).collect();
        let (kept, lost): (Vec<_>, Vec<_>) = self.layers.all().into_iter().partition(|layer| needed.contains(&layer.diff));
        blobs.extend(kept.iter().map(|layer| layer.blob));
        // Of a layer whose record is lost, its tar may be here under its own digest.
        blobs.extend(needed.iter().filter(|diff| self.layers.known(diff).is_none()).copied());
        let lost: Vec<Digest> = lost.iter().map(|layer| layer.diff).collect();
        let mut freed = self.layers.remove(&lost).unwrap_or_else(|error| {
            tracing::warn!(%error, "a layer that nothing needs cannot be removed; the next start tries again");
            0
        });
        match self.content.all() {
            Ok(all) => freed += all.iter().filter(|blob| !blobs.contains(blob)).map(|blob| self.content.remove(blob)).sum::<u64>(),
            Err(error) => tracing::warn!(%error, "blobs that nothing needs cannot be found"),
        }
        self.reserve.fill();
        freed
    }
}
