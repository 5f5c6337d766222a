//! The client's verbs on images.

use std::collections::BTreeMap;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::api::client::Client;
use crate::resource::failure::Failure;
use crate::resource::id::ImageId;
use crate::resource::image::{Credentials, HistoryEntry, ImageInfo, ImageProgress, ImagePrune, ImageReference, ImageRemoval};

impl Client {
    /// Returns the images that filters (`reference`, `label`, `dangling`, `before`, `since`) select, newest first.
    pub async fn images(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<Vec<ImageInfo>, Failure> {
        todo!("{filters:?}")
    }

    /// Returns an image by reference, id or unambiguous start of an id.
    pub async fn image(&self, name: &str) -> Result<ImageInfo, Failure> {
        todo!("{name}")
    }

    /// Returns the steps an image was made in, newest first.
    pub async fn image_history(&self, name: &str) -> Result<Vec<HistoryEntry>, Failure> {
        todo!("{name}")
    }

    /// Brings an image in from its registry. Without credentials, those of `~/.docker/config.json` are sent along.
    pub async fn pull_image(
        &self,
        reference: &ImageReference,
        platform: Option<&str>,
        credentials: Option<Credentials>,
        progress: impl FnMut(ImageProgress),
    ) -> Result<(), Failure> {
        let _ = progress;
        todo!("{reference} {platform:?} {credentials:?}")
    }

    /// Makes an image of a tar of its root file system; `changes` are lines of a Dockerfile.
    pub async fn import_image(
        &self,
        archive: impl AsyncRead + Send + Unpin + 'static,
        reference: Option<&ImageReference>,
        changes: &[String],
        message: &str,
    ) -> Result<ImageId, Failure> {
        let _ = archive;
        todo!("{reference:?} {changes:?} {message}")
    }

    /// Brings in the images of a `docker save` archive or an OCI layout; returns their names, or ids where they have none.
    pub async fn load_image(
        &self,
        archive: impl AsyncRead + Send + Unpin + 'static,
        progress: impl FnMut(ImageProgress),
    ) -> Result<Vec<String>, Failure> {
        let _ = (archive, progress);
        todo!()
    }

    /// Writes images as one `docker save` archive.
    pub async fn save_image(&self, names: &[String], into: &mut (impl AsyncWrite + Unpin)) -> Result<(), Failure> {
        let _ = into;
        todo!("{names:?}")
    }

    /// Gives an image another name.
    pub async fn tag_image(&self, name: &str, reference: &ImageReference) -> Result<(), Failure> {
        todo!("{name} {reference}")
    }

    /// Removes a name of an image, and the image with its last name; `force` removes one that a stopped container uses.
    pub async fn remove_image(&self, name: &str, force: bool, no_prune: bool) -> Result<Vec<ImageRemoval>, Failure> {
        todo!("{name} {force} {no_prune}")
    }

    /// Removes images that nothing uses: those without a name, or with `dangling=false` all.
    pub async fn prune_images(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<ImagePrune, Failure> {
        todo!("{filters:?}")
    }
}
