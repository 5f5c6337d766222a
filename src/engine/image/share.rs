//! How much of the disk images take, and share.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::image::handle::Images;
use crate::engine::image::remove::chains;
use crate::resource::id::{Digest, ImageId};

impl Images {
    /// Returns the bytes of all layers that images have, each counted once, and by image those of its layers that others have on the same
    /// ground, too.
    pub fn shared_sizes(&self) -> (u64, BTreeMap<ImageId, u64>) {
        let state = self.shared.lock();
        let mut users: BTreeMap<Digest, usize> = BTreeMap::new();
        let chained: Vec<(ImageId, Vec<(Digest, Digest)>)> = state
            .index
            .images()
            .map(|(id, image)| (*id, chains(&image.understood.layers).into_iter().zip(image.understood.layers.iter().copied()).collect()))
            .collect();
        let layers = || chained.iter().flat_map(|(_, layers)| layers);
        layers().for_each(|(chain, _)| *users.entry(*chain).or_default() += 1);
        let size = |layer: &Digest| self.shared.layers.known(layer).map_or(0, |layer| layer.size);
        let all = layers().map(|(_, layer)| layer).collect::<BTreeSet<_>>().into_iter().map(size).sum();
        let is_shared = |chain: &Digest| users.get(chain).is_some_and(|users| *users > 1);
        let shared = |layers: &[(Digest, Digest)]| layers.iter().filter(|(chain, _)| is_shared(chain)).map(|(_, layer)| size(layer)).sum();
        (all, chained.iter().map(|(id, layers)| (*id, shared(layers))).collect())
    }
}
