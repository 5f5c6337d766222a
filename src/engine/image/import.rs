//! `docker import`: a tar of a root file system becomes an image of one layer.

use std::io::Read;
use std::sync::Arc;

use crate::engine::image::change;
use crate::engine::image::content::Tee;
use crate::engine::image::document::{Document, HistoryStep, RootLayers, RunConfig};
use crate::engine::image::error::ImageError;
use crate::engine::image::handle::{Shared, now};
use crate::engine::image::layer::Layer;
use crate::engine::image::pipeline;
use crate::resource::id::ImageId;
use crate::resource::image::{ImageReference, Platform};

impl Shared {
    /// Makes an image of a tar.
    pub(super) fn import(
        self: &Arc<Self>,
        archive: impl Read + Send,
        reference: Option<&ImageReference>,
        platform: &Platform,
        changes: &[String],
        message: &str,
    ) -> Result<ImageId, ImageError> {
        if let Some(reference) = reference.filter(|it| it.digest().is_some()) {
            return Err(ImageError::TagWithDigest(reference.familiar()));
        }
        let mut config = RunConfig::default();
        change::apply_all(&mut config, changes).map_err(ImageError::Change)?;
        let partial = self.layers.begin()?;
        let mut source = Tee::new(archive, self.content.create()?);
        let unpacked = pipeline::unpack(&mut source, partial.path())
            .map_err(|source| ImageError::Layer { layer: "of the import".to_owned(), source })?;
        let (blob, _) = source.into_copy().finish(None)?;
        let layer = Layer { diff: unpacked.diff, blob, tar_size: unpacked.tar_size, size: unpacked.size };
        self.layers.commit(partial, layer)?;
        let created = now();
        // Docker's own words where nobody says anything.
        let comment = if message.is_empty() { "Imported from -".to_owned() } else { message.to_owned() };
        let document = Document {
            architecture: platform.architecture.clone(),
            author: String::new(),
            variant: platform.variant.clone(),
            config,
            created: Some(created),
            history: vec![HistoryStep { created: Some(created), comment, ..HistoryStep::default() }],
            os: platform.os.clone(),
            rootfs: RootLayers::of(vec![unpacked.diff]),
            steps: Vec::new(),
        };
        let document = serde_json::to_vec(&document)
            .map_err(|error| ImageError::Config { image: "imported".to_owned(), reason: error.to_string() })?;
        self.register(&document, reference.map(std::slice::from_ref).unwrap_or_default())
    }
}
