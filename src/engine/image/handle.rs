//! The images of one root: the room's only door.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::engine::image::content::Content;
use crate::engine::image::error::ImageError;
use crate::engine::image::fetch::Teller;
use crate::engine::image::import::Downloaded;
use crate::engine::image::index::{Image, Index, IndexRecord, Name};
use crate::engine::image::layer::Layers;
use crate::engine::image::pull::Progress;
use crate::engine::image::remove::Removed;
use crate::engine::image::reserve::Reserve;
use crate::engine::image::rootfs::RootLayers;
use crate::engine::image::step::Steps;
use crate::engine::image::work::Stake;
use crate::engine::image::{config, mount_point};
use crate::engine::root::Root;
use crate::engine::store::{self, StoreError};
use crate::registry::client::Registries;
use crate::registry::config::RegistryConfig;
use crate::resource::id::{Digest, ImageId};
use crate::resource::image::{
    Credentials, HistoryEntry, ImageInfo, ImageProgress, ImagePrune, ImageReference, ImportOptions, LoadedImage, Platform,
};
use crate::resource::push::{PushNews, PushTarget};
use crate::resource::reason;
use crate::resource::remote_image::RemoteImage;
use crate::resource::time::Timestamp;

/// The images of one root: cheap to clone, every clone the same store.
#[derive(Clone, Debug)]
pub struct Images {
    pub(super) shared: Arc<Shared>,
}

/// What all clones share.
#[derive(Debug)]
pub(super) struct Shared {
    record: PathBuf,
    pub(super) registries: Registries,
    pub(super) content: Content,
    pub(super) layers: Arc<Layers>,
    pub(super) steps: Steps,
    pub(super) reserve: Reserve,
    pub(super) state: Mutex<State>,
}

/// What changes.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) index: Index,
    /// The index as it lies on the disk.
    written: Index,
    pub(super) stake: Stake,
}

/// Told by the caller: which container an image is in use by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageUse {
    /// The container's short id.
    pub container: String,
    /// It runs, or is paused.
    pub running: bool,
}

impl Images {
    /// Opens the images below a root's data directory, sweeping what an interrupted engine left and what a power cut made doubtful.
    pub fn open(root: &Root, registry: RegistryConfig) -> Result<Self, ImageError> {
        let registries = Registries::new(registry)?;
        let data = root.data();
        std::fs::create_dir_all(data).map_err(ImageError::disk("make", data))?;
        refuse_overlay(data)?;
        let content = Content::open(data)?;
        let layers = Layers::open(data)?;
        mount_point::make(&data.join("layers"))?;
        let steps = Steps::open(data)?;
        let record = data.join("images.json");
        let known = store::read::<IndexRecord>(&record)?;
        let is_damaged = known.is_none() && store::was_set_aside(&record);
        let known = if is_damaged { nameless(&content, &layers)? } else { known.unwrap_or_default() };
        let index = Index::of(known, |id| {
            let understood = content.document(id).and_then(|document| config::parse(&document, &id.short()));
            understood.inspect_err(|error| tracing::error!(image = %id, %error, "an image cannot be read and is forgotten")).ok()
        });
        let state = Mutex::new(State { written: index.clone(), index, ..State::default() });
        let shared = Arc::new(Shared { record, registries, content, layers, steps, reserve: Reserve::open(data), state });
        if is_damaged {
            shared.save(&mut shared.lock())?;
        }
        shared.collect();
        Ok(Self { shared })
    }

    /// Whether images have lost their names with a record that was damaged; what is left of that lies beside it until somebody removes it.
    pub fn is_nameless(&self) -> bool {
        store::was_set_aside(&self.shared.record)
    }

    /// Returns all images, newest first.
    pub fn list(&self) -> Vec<ImageInfo> {
        let state = self.shared.lock();
        let mut infos: Vec<ImageInfo> = state.index.images().map(|(id, image)| self.shared.info(&state.index, id, image)).collect();
        infos.sort_by(|one, other| other.created.cmp(&one.created).then_with(|| one.id.cmp(&other.id)));
        infos
    }

    /// Returns an image by name, id, unambiguous start of an id, or digest.
    pub fn get(&self, name: &str) -> Result<ImageInfo, ImageError> {
        let state = self.shared.lock();
        let (id, _) = state.index.find(name)?;
        let image = state.index.image(&id).ok_or_else(|| ImageError::NotFound(name.to_owned()))?;
        Ok(self.shared.info(&state.index, &id, image))
    }

    /// Which image a name means now; costs next to nothing beside [`Self::get`].
    pub(in crate::engine) fn meant(&self, name: &str) -> Option<ImageId> {
        self.shared.lock().index.find(name).ok().map(|(id, _)| id)
    }

    /// Returns the steps an image was made in, newest first.
    pub fn history(&self, name: &str) -> Result<Vec<HistoryEntry>, ImageError> {
        let state = self.shared.lock();
        let (id, _) = state.index.find(name)?;
        let image = state.index.image(&id).ok_or_else(|| ImageError::NotFound(name.to_owned()))?;
        let mut layers = image.understood.layers.iter();
        let mut history = image.understood.history.clone();
        for step in history.iter_mut().filter(|step| !step.empty_layer) {
            step.size = layers.next().and_then(|diff| self.shared.layers.known(diff)).map_or(0, |layer| layer.size);
        }
        history.reverse();
        Ok(history)
    }

    /// Gives an image another name.
    pub fn tag(&self, name: &str, reference: &ImageReference) -> Result<(), ImageError> {
        if reference.digest().is_some() {
            return Err(ImageError::TagWithDigest(reference.familiar()));
        }
        let mut state = self.shared.lock();
        let (id, _) = state.index.find(name)?;
        state.index.tag(reference, id, now());
        self.shared.save(&mut state)
    }

    /// Brings an image in from its registry, telling of each step as Docker does.
    pub async fn pull(
        &self,
        reference: &ImageReference,
        platform: Option<&Platform>,
        credentials: Option<Credentials>,
        progress: impl Fn(ImageProgress) + Send + Sync + 'static,
    ) -> Result<ImageId, ImageError> {
        self.shared.pull(reference, platform, credentials, Arc::new(progress)).await
    }

    /// Brings in every tag of a repository, telling of each step as Docker does.
    pub async fn pull_all(
        &self,
        reference: &ImageReference,
        platform: Option<&Platform>,
        credentials: Option<Credentials>,
        progress: impl Fn(ImageProgress) + Send + Sync + 'static,
    ) -> Result<(), ImageError> {
        self.shared.pull_all(reference, platform, credentials, Arc::new(progress)).await
    }

    /// Brings an image, or every tag of a repository, to its registry, telling of each step as Docker does.
    pub async fn push(
        &self,
        target: &PushTarget,
        credentials: Option<Credentials>,
        news: impl Fn(PushNews) + Send + Sync + 'static,
    ) -> Result<(), ImageError> {
        self.shared.push(target, credentials, Arc::new(news)).await
    }

    /// Tells what a registry has under a name.
    pub async fn inspect_remote(&self, reference: &ImageReference, credentials: Option<Credentials>) -> Result<RemoteImage, ImageError> {
        Ok(self.shared.registries.session(reference, credentials).await?.inspect().await?)
    }

    /// Says so where an image is there and for other machines than `platform`'s.
    pub fn check_platform(&self, name: &str, platform: &Platform) -> Result<(), ImageError> {
        let state = self.shared.lock();
        let (id, _) = state.index.find(name)?;
        let found = &state.index.image(&id).ok_or_else(|| ImageError::NotFound(name.to_owned()))?.understood.platform;
        config::check_platform(found, platform, name)
    }

    /// Makes an image of a tar (plain or compressed) of its root file system.
    pub async fn import(&self, archive: impl Read + Send + 'static, options: ImportOptions) -> Result<ImageId, ImageError> {
        let work = self.shared.work();
        let name = options.reference.as_ref().map_or_else(|| "imported".to_owned(), ImageReference::familiar);
        blocking(&name, move || work.shared().import(archive, &options)).await
    }

    /// Makes an image of such a tar behind a URL.
    pub async fn import_url(
        &self,
        url: &str,
        options: ImportOptions,
        progress: impl Fn(ImageProgress) + Send + Sync + 'static,
    ) -> Result<ImageId, ImageError> {
        let download = self.shared.registries.download(url).await?;
        let whole = Teller::new("", &(Arc::new(progress) as Progress));
        whole.say(format!("Downloading from {url}"));
        self.import(Downloaded::new(download, whole), options).await
    }

    /// Brings in the images of a `docker save` archive or an OCI layout in a tar (plain or compressed), those for `platform` where one is
    /// given. An image with several names is told as often.
    pub async fn load(
        &self,
        archive: impl Read + Send + 'static,
        platform: Option<&Platform>,
        progress: impl Fn(ImageProgress) + Send + Sync + 'static,
    ) -> Result<Vec<LoadedImage>, ImageError> {
        let (work, platform) = (self.shared.work(), platform.cloned());
        blocking("loaded", move || work.shared().load(archive, platform.as_ref(), &progress)).await
    }

    /// Writes images as one archive that is both `docker save`'s and an OCI layout; returns which they were.
    pub async fn save(&self, names: &[String], into: impl Write + Send + 'static) -> Result<Vec<ImageId>, ImageError> {
        let work = self.shared.work();
        let names = names.to_vec();
        blocking("saved", move || work.shared().write_archive(&names, into)).await
    }

    /// Removes a name of an image, and with its last name the image. By id, all its names: with `force` where there are several.
    pub fn remove(&self, name: &str, force: bool, in_use: impl Fn(&ImageId) -> Option<ImageUse>) -> Result<Removed, ImageError> {
        self.shared.remove(name, force, &in_use)
    }

    /// Removes the images that `selects` names and nothing uses, with all their names.
    pub fn prune(
        &self,
        selects: impl Fn(&ImageInfo) -> bool,
        in_use: impl Fn(&ImageId) -> Option<ImageUse>,
    ) -> Result<ImagePrune, ImageError> {
        self.shared.prune(&selects, &in_use)
    }

    /// How registries are reached.
    pub fn registry(&self) -> &RegistryConfig {
        self.shared.registries.config()
    }

    /// Asks a registry whether credentials are good.
    pub async fn login(&self, registry: &str, credentials: &Credentials) -> Result<(), ImageError> {
        Ok(self.shared.registries.login(registry, credentials).await?)
    }

    /// Returns the directories of an image's layers, unpacking again what a power cut took.
    pub async fn rootfs(&self, image: &ImageId) -> Result<RootLayers, ImageError> {
        self.shared.root_layers(image).await
    }
}

impl Shared {
    /// The state, whole between any two statements that could panic.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the index. What cannot be written down has not happened.
    pub(super) fn save(&self, state: &mut State) -> Result<(), ImageError> {
        let record = state.index.record();
        let write = || store::replace(&self.record, &record);
        let full = |error: &StoreError| reason::is_full(&error.source);
        let mut outcome = write();
        // Who makes room has what was kept back for him.
        if outcome.as_ref().is_err_and(full) && state.index.is_part_of(&state.written) && self.reserve.give_up() {
            outcome = write();
        }
        match &outcome {
            Ok(()) => state.written = state.index.clone(),
            Err(_) => state.index = state.written.clone(),
        }
        Ok(outcome?)
    }

    /// What an engine tells of an image.
    pub(super) fn info(&self, index: &Index, id: &ImageId, image: &Image) -> ImageInfo {
        let understood = &image.understood;
        let names = index.names_of(id);
        let (tags, digests): (Vec<_>, Vec<_>) = names.iter().partition(|name| matches!(name, Name::Tag(_)));
        let familiar = |names: Vec<&Name>| names.into_iter().map(Name::familiar).collect();
        ImageInfo {
            id: *id,
            tags: familiar(tags),
            repo_digests: familiar(digests),
            created: understood.created,
            size: understood.layers.iter().filter_map(|diff| self.layers.known(diff)).map(|layer| layer.size).sum(),
            os: understood.platform.os.clone(),
            architecture: understood.platform.architecture.clone(),
            variant: understood.platform.variant.clone(),
            layers: understood.layers.clone(),
            config: understood.config.clone(),
            author: understood.author.clone(),
            comment: understood.comment.clone(),
            docker_version: understood.docker_version.clone(),
            os_version: understood.os_version.clone(),
            folders: self.folders_told(&understood.layers),
            last_tagged: image.last_tagged,
        }
    }

    /// The folders of layers for whoever wants to look, topmost first; all or none.
    fn folders_told(&self, layers: &[Digest]) -> Vec<String> {
        let folder = |diff: &Digest| self.layers.folder_of(diff).map(|path| path.display().to_string());
        layers.iter().rev().map(folder).collect::<Option<_>>().unwrap_or_default()
    }

    /// Makes an image known whose configuration and layers are all there, and gives it a name.
    pub(super) fn register(&self, document: &[u8], references: &[ImageReference]) -> Result<ImageId, ImageError> {
        let id = self.content.put(document)?;
        let understood = config::parse(document, &id.short())?;
        let mut state = self.lock();
        state.index.add(id, understood);
        for reference in references {
            state.index.tag(reference, id, now());
        }
        self.save(&mut state)?;
        Ok(id)
    }
}

/// The images that lie on the disk, where the record that knew their names is lost: containers are made of them.
fn nameless(content: &Content, layers: &Layers) -> Result<IndexRecord, ImageError> {
    let is_whole = |id: &ImageId| {
        let understood = content.document(id).and_then(|document| config::parse(&document, &id.short()));
        understood.is_ok_and(|it| it.layers.iter().all(|diff| layers.known(diff).is_some()))
    };
    let images: BTreeMap<ImageId, Option<Timestamp>> = content.documents()?.into_iter().filter(is_whole).map(|id| (id, None)).collect();
    tracing::error!(
        images = images.len(),
        "the names of images are lost; the images stay, and `gantry image tag ID NAME` names them again"
    );
    Ok(IndexRecord { images, ..IndexRecord::default() })
}

/// Runs what is bound by disk or processor away from the threads that serve requests.
pub(super) async fn blocking<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> Result<T, ImageError> + Send + 'static,
) -> Result<T, ImageError> {
    joined(name, tokio::task::spawn_blocking(run).await)
}

/// What such work came to; its panic goes on here.
pub(super) fn joined<T>(name: &str, ended: Result<Result<T, ImageError>, tokio::task::JoinError>) -> Result<T, ImageError> {
    match ended {
        Ok(outcome) => outcome,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(ImageError::GivenUp(name.to_owned())),
        },
    }
}

/// The clock.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Overlay's magic number (statfs(2)).
const OVERLAY: i64 = 0x794c_7630;

fn refuse_overlay(data: &Path) -> Result<(), ImageError> {
    let found = rustix::fs::statfs(data).map_err(|error| ImageError::disk("examine", data)(error.into()))?;
    if found.f_type == OVERLAY { Err(ImageError::OnOverlay(data.to_owned())) } else { Ok(()) }
}
