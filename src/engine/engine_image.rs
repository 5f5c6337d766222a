//! The engine's verbs on images.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};

use crate::engine::Engine;
use crate::engine::filter::{Filters, glob};
use crate::engine::image::remove::Removed;
use crate::resource::event::EventKind;
use crate::resource::failure::Failure;
use crate::resource::id::ImageId;
use crate::resource::image::{
    Credentials, HistoryEntry, ImageInfo, ImageProgress, ImagePrune, ImageReference, ImageRemoval, ImageUsage, ImportOptions, LoadedImage,
    Platform, PlatformError,
};
use crate::resource::push::{PushNews, PushTarget};
use crate::resource::remote_image::RemoteImage;
use crate::resource::time::Timestamp;

impl Engine {
    /// Returns the images that filters (`reference`, `label`, `dangling`, `before`, `since`, `until`) select, newest first.
    pub async fn images(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<Vec<ImageInfo>, Failure> {
        let filters = Filters::of(filters, &["reference", "label", "dangling", "before", "since", "until"])?;
        let dangling = filters.flag("dangling")?;
        let bounds = |key: &str| -> Result<Vec<Timestamp>, Failure> {
            let created = |name: &String| Ok(self.shared.images.get(name)?.created);
            filters.values(key).iter().filter_map(|name| created(name).transpose()).collect()
        };
        // Of several all count.
        let before = bounds("before")?.into_iter().chain(filters.until()?).min();
        let since = bounds("since")?.into_iter().max();
        let by_name = !filters.values("reference").is_empty();
        let mut images = self.shared.images.list();
        images.retain(|image| {
            before.is_none_or(|bound| image.created.is_some_and(|created| created < bound))
                && since.is_none_or(|bound| image.created.is_some_and(|created| created > bound))
                && filters.labels(&image.config.labels)
        });
        for image in images.iter_mut().filter(|_| by_name) {
            // Names that do not match are not told either.
            image.tags.retain(|name| filters.any("reference", |pattern| is_called(name, pattern)));
            image.repo_digests.retain(|name| filters.any("reference", |pattern| is_called(name, pattern)));
        }
        images.retain(|image| match (is_dangling(image), image.repo_digests.is_empty()) {
            (true, true) => dangling != Some(false) && !by_name,
            (is_dangling, _) => is_dangling || dangling != Some(true),
        });
        Ok(images)
    }

    /// Tells who shares each image; what layers they share only if that is asked for.
    pub async fn image_usage(&self, sizes: bool) -> BTreeMap<ImageId, ImageUsage> {
        let shared = if sizes { Some(self.shared.images.shared_sizes().1) } else { None };
        self.usage_with(shared.as_ref())
    }

    /// Tells who shares each image, with what layers they share if that is known.
    pub(super) fn usage_with(&self, shared: Option<&BTreeMap<ImageId, u64>>) -> BTreeMap<ImageId, ImageUsage> {
        let users = self.shared.containers.image_users();
        let of = |id: &ImageId| ImageUsage {
            containers: users.get(id).copied().unwrap_or_default(),
            shared_size: shared.map(|sizes| sizes.get(id).copied().unwrap_or_default()),
        };
        self.shared.images.list().iter().map(|image| (image.id, of(&image.id))).collect()
    }

    /// Says so where an image is for other machines than `platform`'s.
    pub async fn check_image_platform(&self, name: &str, platform: &Platform) -> Result<(), Failure> {
        Ok(self.shared.images.check_platform(name, platform)?)
    }

    /// Tells what a registry has under a name.
    pub async fn remote_image(&self, reference: &ImageReference, credentials: Option<Credentials>) -> Result<RemoteImage, Failure> {
        Ok(self.shared.images.inspect_remote(reference, credentials).await?)
    }

    /// Brings an image, or every tag of a repository, to its registry.
    pub async fn push_image(
        &self,
        target: &PushTarget,
        credentials: Option<Credentials>,
        news: impl Fn(PushNews) + Send + Sync + 'static,
    ) -> Result<(), Failure> {
        self.shared.images.push(target, credentials, news).await?;
        self.tell_image(&target_name(target), &target.reference.familiar_name(), "push");
        Ok(())
    }

    /// Brings in every tag of a repository.
    pub async fn pull_images(
        &self,
        reference: &ImageReference,
        platform: Option<&str>,
        credentials: Option<Credentials>,
        progress: impl Fn(ImageProgress) + Send + Sync + 'static,
    ) -> Result<(), Failure> {
        let platform = platform.map(parse_platform).transpose()?;
        self.shared.images.pull_all(reference, platform.as_ref(), credentials, progress).await?;
        self.tell_image(&reference.familiar_name(), &reference.familiar_name(), "pull");
        Ok(())
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
        let platform = platform.map(parse_platform).transpose()?;
        let id = self.shared.images.pull(reference, platform.as_ref(), credentials, progress).await?;
        self.tell_image(&reference.familiar(), &reference.familiar_name(), "pull");
        Ok(id)
    }

    /// Asks a registry whether credentials are good.
    pub async fn login(&self, registry: &str, credentials: &Credentials) -> Result<(), Failure> {
        Ok(self.shared.images.login(registry, credentials).await?)
    }

    /// Makes an image of a tar of its root file system.
    pub async fn import_image(&self, archive: impl Read + Send + 'static, options: ImportOptions) -> Result<ImageId, Failure> {
        let reference = options.reference.clone();
        let id = self.shared.images.import(archive, options).await?;
        self.tell_import(&id, reference.as_ref());
        Ok(id)
    }

    /// Makes an image of such a tar behind a URL.
    pub async fn import_image_from(
        &self,
        url: &str,
        options: ImportOptions,
        progress: impl Fn(ImageProgress) + Send + Sync + 'static,
    ) -> Result<ImageId, Failure> {
        let reference = options.reference.clone();
        let id = self.shared.images.import_url(url, options, progress).await?;
        self.tell_import(&id, reference.as_ref());
        Ok(id)
    }

    /// Brings in the images of a `docker save` archive or an OCI layout, those for `platform` where one is given.
    pub async fn load_image(
        &self,
        archive: impl Read + Send + 'static,
        platform: Option<&Platform>,
        progress: impl Fn(ImageProgress) + Send + Sync + 'static,
    ) -> Result<Vec<LoadedImage>, Failure> {
        let loaded = self.shared.images.load(archive, platform, progress).await?;
        let mut told = BTreeSet::new();
        for image in loaded.iter().filter(|image| told.insert(image.id)) {
            self.tell_image(&image.id.to_string(), &image.id.to_string(), "load");
        }
        Ok(loaded)
    }

    /// Writes images as one `docker save` archive.
    pub async fn save_image(&self, names: &[String], into: impl Write + Send + 'static) -> Result<(), Failure> {
        let saved = self.shared.images.save(names, into).await?;
        saved.iter().map(ToString::to_string).for_each(|id| self.tell_image(&id, &id, "save"));
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
    pub async fn remove_image(&self, name: &str, force: bool) -> Result<Vec<ImageRemoval>, Failure> {
        let Removed { image, by_name, steps } = self.shared.images.remove(name, force, |id| self.shared.containers.image_use(id))?;
        let names = steps.iter().filter(|removal| matches!(removal, ImageRemoval::Untagged(_)));
        // Docker does not tell of the digests that go with the last tag of their repository.
        let told = if by_name { names.count().min(1) } else { names.count() };
        self.tell_removal(&image, told, steps.iter().any(|removal| *removal == ImageRemoval::Deleted(image.to_string())));
        Ok(steps)
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
        let before: BTreeSet<ImageId> = self.shared.images.list().iter().map(|image| image.id).collect();
        let pruned = self.shared.images.prune(selects, |id| self.shared.containers.image_use(id))?;
        let mut names = 0;
        for removal in &pruned.removed {
            match removal {
                ImageRemoval::Untagged(_) => names += 1,
                // What is deleted beside images are their layers.
                ImageRemoval::Deleted(gone) => {
                    if let Some(id) = before.iter().find(|id| id.to_string() == *gone) {
                        self.tell_removal(id, std::mem::take(&mut names), true);
                    }
                }
            }
        }
        self.tell_prune(EventKind::Image, pruned.reclaimed);
        Ok(pruned)
    }

    fn tell_removal(&self, id: &ImageId, names: usize, is_gone: bool) {
        let id = id.to_string();
        (0..names).for_each(|_| self.tell_image(&id, &id, "untag"));
        if is_gone {
            self.tell_image(&id, &id, "delete");
        }
    }

    fn tell_import(&self, id: &ImageId, reference: Option<&ImageReference>) {
        let id = id.to_string();
        if let Some(reference) = reference {
            self.tell_image(&id, &reference.familiar(), "tag");
        }
        self.tell_image(&id, &id, "import");
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

/// What an event calls a push.
fn target_name(target: &PushTarget) -> String {
    if target.all { target.reference.familiar_name() } else { target.reference.familiar() }
}

fn parse_platform(text: &str) -> Result<Platform, Failure> {
    text.parse().map_err(|error: PlatformError| Failure::invalid(error.to_string()))
}

fn is_dangling(image: &ImageInfo) -> bool {
    image.tags.is_empty()
}

/// Docker's `FamiliarMatch`: the whole name, or the name without tag and digest.
fn is_called(name: &str, pattern: &str) -> bool {
    let bare = name.parse::<ImageReference>().map_or_else(|_| name.to_owned(), |it| it.familiar_name());
    glob(pattern, name) || glob(pattern, &bare)
}
