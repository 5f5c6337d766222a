//! Layers as registries take them: gzip and zstd go out as they came in, all else is packed once and kept so.

use std::io;
use std::sync::Arc;

use crate::engine::image::content::{Digester, Tee};
use crate::engine::image::decompress::{self, Compression};
use crate::engine::image::error::ImageError;
use crate::engine::image::handle::Shared;
use crate::engine::image::layer::Layer;
use crate::registry::manifest_text::{PackedLayer, Packing};
use crate::resource::id::Digest;

/// What gzip makes of a layer must never change: its digest is what a registry knows it by.
const LEVEL: u32 = 6;

impl Shared {
    /// The blob of a layer as it can be pushed.
    pub(super) fn packed(self: &Arc<Self>, diff: &Digest) -> Result<PackedLayer, ImageError> {
        let _turn = self.layers.reserve_blocking(diff);
        let layer = self.layers.known(diff).filter(|layer| self.content.has(&layer.blob)).ok_or(ImageError::NoLayer(*diff))?;
        let path = self.content.path(&layer.blob);
        let unreadable = || ImageError::disk("read", &path);
        let file = self.content.blob(&layer.blob)?;
        let size = file.metadata().map_err(unreadable())?.len();
        let (compression, tar) = decompress::reader(file).map_err(unreadable())?;
        match compression {
            Compression::Gzip => Ok(PackedLayer { digest: layer.blob, size, packing: Packing::Gzip }),
            Compression::Zstd => Ok(PackedLayer { digest: layer.blob, size, packing: Packing::Zstd }),
            Compression::None | Compression::Bzip2 | Compression::Xz => self.pack_again(&layer, tar),
        }
    }

    fn pack_again(&self, layer: &Layer, tar: impl io::Read) -> Result<PackedLayer, ImageError> {
        let path = self.content.path(&layer.blob);
        // No name and no time, so that the same tar is the same blob.
        let mut packer = flate2::GzBuilder::new().write(self.content.create()?, flate2::Compression::new(LEVEL));
        let mut tar = Tee::new(tar, Digester::new());
        io::copy(&mut tar, &mut packer).map_err(ImageError::disk("compress", &path))?;
        let (found, _) = tar.into_copy().finish();
        if found != layer.diff {
            return Err(ImageError::WrongDigest { what: format!("the stored layer {}", layer.diff.short()), expected: layer.diff, found });
        }
        let (digest, size) = packer.finish().map_err(ImageError::disk("compress", &path))?.finish(None)?;
        // What it came in goes with the next collection.
        self.content.settle(&digest)?;
        self.layers.repacked(&layer.diff, &digest)?;
        Ok(PackedLayer { digest, size, packing: Packing::Gzip })
    }
}
