//! `docker import`: a tar of a root file system becomes an image of one layer.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf as _, Bytes};
use tokio::runtime::Handle;

use crate::engine::image::change;
use crate::engine::image::content::Tee;
use crate::engine::image::document::{Document, HistoryStep, RootLayers, RunConfig};
use crate::engine::image::error::ImageError;
use crate::engine::image::fetch::{PACE, Teller};
use crate::engine::image::handle::{Shared, now};
use crate::engine::image::layer::Layer;
use crate::engine::image::pipeline;
use crate::registry::download::Download;
use crate::resource::id::ImageId;
use crate::resource::image::{ImportOptions, Platform};

/// A file behind a URL, for a thread that may block.
pub(super) struct Downloaded {
    download: Download,
    runtime: Handle,
    piece: Bytes,
    done: u64,
    teller: Teller,
    told: Option<Instant>,
}

impl Downloaded {
    /// Reads a file, and tells how far that is.
    pub(super) fn new(download: Download, teller: Teller) -> Self {
        Self { download, runtime: Handle::current(), piece: Bytes::new(), done: 0, teller, told: None }
    }
}

impl Read for Downloaded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            match self.runtime.block_on(self.download.next()).map_err(io::Error::other)? {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
            self.done += self.piece.len() as u64;
            if self.told.is_none_or(|at| at.elapsed() >= PACE) {
                self.teller.bytes("Importing", self.done, self.download.length().unwrap_or_default());
                self.told = Some(Instant::now());
            }
        }
        let length = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

impl Shared {
    /// Makes an image of a tar.
    pub(super) fn import(self: &Arc<Self>, archive: impl Read + Send, options: &ImportOptions) -> Result<ImageId, ImageError> {
        let platform = options.platform.clone().unwrap_or_else(Platform::host);
        if platform.os != "linux" {
            return Err(ImageError::Platform(format!("operating system \"{}\" is not supported", platform.os)));
        }
        let reference = options.reference.as_ref();
        if let Some(reference) = reference.filter(|it| it.digest().is_some()) {
            return Err(ImageError::TagWithDigest(reference.familiar()));
        }
        let mut config = RunConfig::default();
        change::apply_all(&mut config, &options.changes).map_err(ImageError::Change)?;
        let partial = self.layers.begin()?;
        let mut source = Tee::new(archive, self.content.create()?);
        let unpacked = pipeline::unpack(&mut source, partial.path())
            .map_err(|source| ImageError::Layer { layer: "of the import".to_owned(), source })?;
        let (blob, _) = source.into_copy().finish(None)?;
        let layer = Layer { diff: unpacked.diff, blob, tar_size: unpacked.tar_size, size: unpacked.size };
        self.layers.commit(partial, layer)?;
        let created = now();
        // Docker's own words where nobody says anything.
        let comment = if options.message.is_empty() { "Imported from -".to_owned() } else { options.message.clone() };
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
