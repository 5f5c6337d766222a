//! The engine's verbs on images.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use crate::engine::Engine;
use crate::engine::filter::{Filters, glob};
use crate::resource::event::EventKind;
use crate::resource::failure::Failure;
use crate::resource::id::ImageId;
use crate::resource::image::{
    Credentials, HistoryEntry, ImageInfo, ImageProgress, ImagePrune, ImageReference, ImageRemoval, Platform, PlatformError,
};

impl Engine {
    /// Returns the images that filters (`reference`, `label`, `dangling`, `before`, `since`, `until`) select, newest first.
    pub async fn images(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<Vec<ImageInfo>, Failure> {
        let filters = Filters::of(filters, &["reference", "label", "label!", "dangling", "before", "since", "until"])?;
        let dangling = filters.flag("dangling")?;
        let until = filters.until()?;
        let bound = |key: &str| filters.values(key).first().map(|name| self.shared.images.get(name)).transpose();
        let (before, since) = (bound("before")?, bound("since")?);
        let mut images = self.shared.images.list();
        images.retain(|image| {
            dangling.is_none_or(|wanted| is_dangling(image) == wanted)
                && until.is_none_or(|until| image.created.is_some_and(|created| created < until))
                && before.as_ref().is_none_or(|bound| image.created < bound.created)
                && since.as_ref().is_none_or(|bound| image.created > bound.created)
                && filters.labels(&image.config.labels)
        });
        // Names that do not match are not told either.
        if !filters.values("reference").is_empty() {
            for image in &mut images {
                image.tags.retain(|name| filters.any("reference", |pattern| is_called(name, pattern)));
                image.repo_digests.retain(|name| filters.any("reference", |pattern| is_called(name, pattern)));
            }
            images.retain(|image| !image.tags.is_empty() || !image.repo_digests.is_empty());
        }
        Ok(images)
    }

    /// Returns an image by reference, id or unambiguous start of an id.
    pub async fn image(&self, name: &str) -> Result<ImageInfo, Failure> {
        Ok(self.shared.images.get(name)?)
    }

    /// Returns the steps an image was made in, newest first.
    pub async fn image_history(&self, name: &str) -> Result<Vec<HistoryEntry>, Failure> {
        Ok(self.shared.images.history(name)?)
    }

    /// Brings an image in from its registry.
    pub async fn pull_image(
        &self,
        reference: &ImageReference,
        platform: Option<&str>,
        credentials: Option<Credentials>,
        progress: impl Fn(ImageProgress) + Send + Sync + 'static,
    ) -> Result<ImageId, Failure> {
        let wrong = |error: PlatformError| Failure::invalid(error.to_string());
        let platform: Option<Platform> = platform.map(str::parse).transpose().map_err(wrong)?;
        let id = self.shared.images.pull(reference, platform.as_ref(), credentials, progress).await?;
        self.tell_image(&reference.familiar(), &reference.familiar_name(), "pull");
        Ok(id)
    }

    /// Asks a registry whether credentials are good.
    pub async fn login(&self, registry: &str, credentials: &Credentials) -> Result<(), Failure> {
        Ok(self.shared.images.login(registry, credentials).await?)
    }

    /// Makes an image of a tar of its root file system; `changes` are lines of a Dockerfile.
    pub async fn import_image(
        &self,
        archive: impl Read + Send + 'static,
        reference: Option<&ImageReference>,
        changes: &[String],
        message: &str,
    ) -> Result<ImageId, Failure> {
        let id = self.shared.images.import(archive, reference, None, changes, message).await?;
        self.tell_image(&id.to_string(), &id.to_string(), "import");
        Ok(id)
    }

    /// Brings in the images of a `docker save` archive or an OCI layout; returns their names, or ids where they have none.
    pub async fn load_image(
        &self,
        archive: impl Read + Send + 'static,
        progress: impl Fn(ImageProgress) + Send + Sync + 'static,
    ) -> Result<Vec<String>, Failure> {
        let names = self.shared.images.load(archive, progress).await?;
        for name in &names {
            // Whoever is quick enough may have removed it again.
            if let Ok(image) = self.shared.images.get(name) {
                self.tell_image(&image.id.to_string(), &image.id.to_string(), "load");
            }
        }
        Ok(names)
    }

    /// Writes images as one `docker save` archive.
    pub async fn save_image(&self, names: &[String], into: impl Write + Send + 'static) -> Result<(), Failure> {
        let ids = names.iter().map(|name| self.shared.images.get(name).map(|image| image.id.to_string())).collect::<Result<Vec<_>, _>>()?;
        self.shared.images.save(names, into).await?;
        ids.iter().for_each(|id| self.tell_image(id, id, "save"));
        Ok(())
    }

    /// Gives an image another name.
    pub async fn tag_image(&self, name: &str, reference: &ImageReference) -> Result<(), Failure> {
        self.shared.images.tag(name, reference)?;
        let image = self.shared.images.get(name)?;
        self.tell_image(&image.id.to_string(), &reference.familiar(), "tag");
        Ok(())
    }

    /// Removes a name of an image, and the image with its last name; `force` removes one that a stopped container uses.
    ///
    /// Docker's `no_prune` spares parents without a name; images have no parents here, so it spares nothing.
    pub async fn remove_image(&self, name: &str, force: bool, _no_prune: bool) -> Result<Vec<ImageRemoval>, Failure> {
        let image = self.shared.images.get(name)?;
        let removed = self.shared.images.remove(name, force, |id| self.shared.containers.image_use(id))?;
        self.tell_removals(&image.id.to_string(), &removed);
        Ok(removed)
    }

    /// Removes images that nothing uses: those without a name, or with `dangling=false` all.
    pub async fn prune_images(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<ImagePrune, Failure> {
        let filters = Filters::of(filters, &["dangling", "label", "label!", "until"])?;
        let dangling = filters.flag("dangling")?.unwrap_or(true);
        let until = filters.until()?;
        let selects = |image: &ImageInfo| {
            (!dangling || is_dangling(image))
                && until.is_none_or(|until| image.created.is_some_and(|created| created < until))
                && filters.labels(&image.config.labels)
        };
        let pruned = self.shared.images.prune(selects, |id| self.shared.containers.image_use(id))?;
        for removal in &pruned.removed {
            if let ImageRemoval::Deleted(id) = removal {
                self.tell_image(id, id, "delete");
            }
        }
        self.tell_prune(EventKind::Image, pruned.reclaimed);
        Ok(pruned)
    }

    fn tell_removals(&self, id: &str, removed: &[ImageRemoval]) {
        for removal in removed {
            match removal {
                ImageRemoval::Untagged(_) => self.tell_image(id, id, "untag"),
                ImageRemoval::Deleted(gone) if gone == id => self.tell_image(id, id, "delete"),
                // A layer.
                ImageRemoval::Deleted(_) => {}
            }
        }
    }

    pub(in crate::engine) fn tell_image(&self, actor: &str, name: &str, action: &str) {
        let labels = self.shared.images.get(actor).map(|image| image.config.labels).unwrap_or_default();
        let mut attributes = labels;
        attributes.insert("name".to_owned(), name.to_owned());
        self.shared.ring.emit(EventKind::Image, action, actor, attributes);
    }

    /// Says that a prune is over, and what it gave back.
    pub(in crate::engine) fn tell_prune(&self, kind: EventKind, reclaimed: u64) {
        self.shared.ring.emit(kind, "prune", "", BTreeMap::from([("reclaimed".to_owned(), reclaimed.to_string())]));
    }
}

fn is_dangling(image: &ImageInfo) -> bool {
    image.tags.is_empty()
}

/// Docker's `FamiliarMatch`: the whole name, or the name without tag and digest.
fn is_called(name: &str, pattern: &str) -> bool {
    let bare = name.parse::<ImageReference>().map_or_else(|_| name.to_owned(), |it| it.familiar_name());
    glob(pattern, name) || glob(pattern, &bare)
}
