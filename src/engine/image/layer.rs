//! Unpacked layers: `layers/SHORT/`, each with a record `layers/SHORT.json`.
//!
//! A layer is believed only when its record says so. Until a background `syncfs` is through the record carries the boot's id; another boot
//! finds it, cannot know what reached the disk, and throws the folder away: it is unpacked again from its blob when someone needs it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedMutexGuard;

use crate::archive::discard::remove_all;
use crate::engine::image::error::ImageError;
use crate::engine::image::mount_point::MountPoints;
use crate::engine::image::temporary;
use crate::engine::store;
use crate::resource::id::Digest;

/// Digits of a layer's short name: overlay's options must fit in one page with mount(2), at 127 layers too.
const SHORT: usize = 8;
/// What is not finished, or not wanted any more.
const PARTIAL: &str = "partial-";

/// What is known of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layer {
    /// The digest of its tar.
    pub(super) diff: Digest,
    /// The digest of the blob it came in.
    pub(super) blob: Digest,
    /// Bytes of its tar.
    pub(super) tar_size: u64,
    /// Bytes of its files.
    pub(super) size: u64,
}

/// A layer's record.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct LayerRecord {
    #[serde(flatten)]
    layer: Layer,
    /// The boot it was unpacked in, as long as a power cut would make it doubtful.
    boot: Option<String>,
}

/// A layer we know.
#[derive(Clone, Debug)]
struct Known {
    record: LayerRecord,
    short: String,
    /// Its folder is there and whole.
    unpacked: bool,
}

/// The unpacked layers of one root.
#[derive(Debug)]
pub(super) struct Layers {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: BTreeMap<Digest, Known>,
    /// Who unpacks which layer; others wait for it.
    busy: BTreeMap<Digest, Weak<tokio::sync::Mutex<()>>>,
    /// Layers that are being unpacked. Meanwhile nobody waits for the disk: it would hold up every file they make.
    unpacking: usize,
    /// A thread waits for the disk.
    syncing: bool,
}

impl Layers {
    /// Reads the records, and throws away what is not finished or was unpacked before a power cut.
    pub(super) fn open(data: &Path) -> Result<Arc<Self>, ImageError> {
        let folder = data.join("layers");
        fs::create_dir_all(&folder).map_err(ImageError::disk("make", &folder))?;
        // A program in an image may be everybody's to run as root: everybody inside of a container, not of the host (CVE-2021-41091).
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).map_err(ImageError::disk("close", &folder))?;
        spread(&folder);
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).map_err(ImageError::disk("list", &folder))? {
            let entry = entry.map_err(ImageError::disk("list", &folder))?;
            names.extend(entry.file_name().into_string());
        }
        let layers = Arc::new(Self { folder, state: Mutex::default() });
        let mut known = BTreeMap::new();
        let mut trash: Vec<PathBuf> = Vec::new();
        for short in names.iter().filter_map(|name| name.strip_suffix(".json")) {
            let path = layers.record(short);
            let Some(mut record) = store::read::<LayerRecord>(&path)? else { continue };
            let place = layers.place(short);
            let mut unpacked = place.is_dir();
            if unpacked && record.boot.as_deref().is_some_and(|boot| boot != store::boot_id()) {
                tracing::warn!(layer = %record.layer.diff, "a layer was unpacked shortly before a power failure; it is unpacked again when needed");
                trash.push(layers.discard(&place)?);
                record.boot = None;
                unpacked = false;
            }
            known.insert(record.layer.diff, Known { record, short: short.to_owned(), unpacked });
        }
        for name in names.iter().filter(|name| !name.contains('.') && !MountPoints::is_folder(name)) {
            if name.starts_with(PARTIAL) {
                trash.push(layers.folder.join(name));
            } else if !known.values().any(|it| it.short == *name) {
                trash.push(layers.discard(&layers.place(name))?);
            }
        }
        layers.lock().known = known;
        remove_in_background(trash);
        layers.sync_in_background();
        Ok(layers)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The table is whole between any two statements that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, short: &str) -> PathBuf {
        self.folder.join(short)
    }

    fn record(&self, short: &str) -> PathBuf {
        self.folder.join(format!("{short}.json"))
    }

    /// Takes a folder out of the way under a name that the next start sweeps.
    fn discard(&self, place: &Path) -> Result<PathBuf, ImageError> {
        let trash = self.unfinished();
        fs::rename(place, &trash).map_err(ImageError::disk("discard", place))?;
        Ok(trash)
    }

    /// Waits for whoever unpacks this layer, and keeps others from it as long as the guard lives.
    pub(super) async fn reserve(&self, diff: &Digest) -> OwnedMutexGuard<()> {
        self.turn(diff).lock_owned().await
    }

    /// The same on a thread that may block.
    pub(super) fn reserve_blocking(&self, diff: &Digest) -> OwnedMutexGuard<()> {
        self.turn(diff).blocking_lock_owned()
    }

    fn turn(&self, diff: &Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut state = self.lock();
        state.busy.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = state.busy.get(diff).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        state.busy.insert(*diff, Arc::downgrade(&turn));
        turn
    }

    /// What is known of a layer whose folder is there.
    pub(super) fn unpacked(&self, diff: &Digest) -> Option<Layer> {
        self.lock().known.get(diff).filter(|it| it.unpacked).map(|it| it.record.layer.clone())
    }

    /// What is known of a layer, its folder there or not.
    pub(super) fn known(&self, diff: &Digest) -> Option<Layer> {
        self.lock().known.get(diff).map(|it| it.record.layer.clone())
    }

    /// The folder of an unpacked layer.
    pub(super) fn folder_of(&self, diff: &Digest) -> Option<PathBuf> {
        let state = self.lock();
        state.known.get(diff).filter(|it| it.unpacked).map(|it| self.place(&it.short))
    }

    /// The folder of empty mount points.
    pub(super) fn mount_points(&self, kind: MountPoints) -> PathBuf {
        self.folder.join(kind.folder())
    }

    /// Makes an empty folder to unpack into.
    pub(super) fn begin(self: &Arc<Self>) -> Result<PartialLayer, ImageError> {
        let path = self.unfinished();
        fs::create_dir(&path).map_err(ImageError::disk("make", &path))?;
        self.lock().unpacking += 1;
        Ok(PartialLayer { layers: Arc::clone(self), path })
    }

    /// A place for a folder that is not finished, which the next start sweeps.
    pub(super) fn unfinished(&self) -> PathBuf {
        self.folder.join(format!("{PARTIAL}{}", temporary::name()))
    }

    /// Makes an unpacked folder the layer's.
    pub(super) fn commit(&self, partial: PartialLayer, layer: Layer) -> Result<(), ImageError> {
        // When it is dropped, the folder is the layer's, or not wanted.
        self.adopt(&partial.path, layer)
    }

    /// Makes a folder of this file system the layer's, unless the layer is there.
    pub(super) fn adopt(&self, folder: &Path, layer: Layer) -> Result<(), ImageError> {
        let mut state = self.lock();
        let diff = layer.diff;
        let short = match state.known.get(&diff) {
            Some(known) if known.unpacked => return Ok(()),
            Some(known) => known.short.clone(),
            None => free_name(&diff, |short| state.known.values().any(|it| it.short == short)),
        };
        let place = self.place(&short);
        fs::rename(folder, &place).map_err(ImageError::disk("name", &place))?;
        let record = LayerRecord { layer, boot: Some(store::boot_id().to_owned()) };
        store::replace(&self.record(&short), &record)?;
        state.known.insert(diff, Known { record, short, unpacked: true });
        Ok(())
    }

    /// Says that a layer's tar lies in another blob now, which is on the disk.
    pub(super) fn repacked(&self, diff: &Digest, blob: &Digest) -> Result<(), ImageError> {
        let mut state = self.lock();
        let Some(known) = state.known.get_mut(diff) else { return Err(ImageError::NoLayer(*diff)) };
        let record = LayerRecord { layer: Layer { blob: *blob, ..known.record.layer.clone() }, ..known.record.clone() };
        store::replace(&self.record(&known.short), &record)?;
        known.record = record;
        Ok(())
    }

    /// Forgets layers; their folders go in the background. Returns the bytes of their files.
    pub(super) fn remove(&self, diffs: &[Digest]) -> Result<u64, ImageError> {
        let mut trash = Vec::new();
        let mut size = 0;
        let mut state = self.lock();
        for diff in diffs {
            let Some(known) = state.known.remove(diff) else { continue };
            store::remove(&self.record(&known.short))?;
            if known.unpacked {
                size += known.record.layer.size;
                trash.push(self.discard(&self.place(&known.short))?);
            }
        }
        drop(state);
        remove_in_background(trash);
        Ok(size)
    }

    /// Every layer known.
    pub(super) fn all(&self) -> Vec<Layer> {
        self.lock().known.values().map(|it| it.record.layer.clone()).collect()
    }

    /// Waits, on a thread of its own, until what was unpacked is on the disk, and then says so in the records.
    pub(super) fn sync_in_background(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.syncing || state.unpacking > 0 || !state.known.values().any(Known::is_doubtful) {
            return;
        }
        let layers = Arc::clone(self);
        state.syncing = true;
        let started = std::thread::Builder::new().name("layer-sync".to_owned()).spawn(move || layers.sync());
        if let Err(error) = started {
            state.syncing = false;
            tracing::warn!(%error, "no thread to wait for the disk; layers stay doubtful until the next start");
        }
    }

    /// Whether all of them are on the disk, or are about to be.
    #[cfg(test)]
    pub(super) fn all_settle(&self) -> bool {
        let state = self.lock();
        state.syncing || !state.known.values().any(Known::is_doubtful)
    }

    fn sync(&self) {
        loop {
            let mut state = self.lock();
            let doubtful: Vec<Digest> = state.known.iter().filter(|(_, it)| it.is_doubtful()).map(|(diff, _)| *diff).collect();
            if doubtful.is_empty() || state.unpacking > 0 {
                state.syncing = false;
                return;
            }
            drop(state);
            let synced = File::open(&self.folder).and_then(|folder| rustix::fs::syncfs(&folder).map_err(io::Error::from));
            let mut state = self.lock();
            let settled = synced.map_err(|error| error.to_string()).and_then(|()| {
                doubtful.iter().try_for_each(|diff| {
                    let Some(known) = state.known.get_mut(diff) else { return Ok(()) };
                    let record = LayerRecord { boot: None, ..known.record.clone() };
                    store::replace(&self.record(&known.short), &record).map_err(|error| error.to_string())?;
                    known.record = record;
                    Ok(())
                })
            });
            if let Err(error) = settled {
                state.syncing = false;
                tracing::warn!(error, "layers stay doubtful until the next start");
                return;
            }
        }
    }
}

impl Known {
    /// A power cut now could take some of it.
    fn is_doubtful(&self) -> bool {
        self.unpacked && self.record.boot.is_some()
    }
}

/// A folder that is being unpacked into; gone again when it is dropped unfinished.
#[derive(Debug)]
pub(super) struct PartialLayer {
    layers: Arc<Layers>,
    path: PathBuf,
}

impl PartialLayer {
    /// The folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PartialLayer {
    fn drop(&mut self) {
        // Renamed away when it was finished; what is left is swept at the next start.
        let _gone = remove_all(&self.path);
        self.layers.lock().unpacking -= 1;
        self.layers.sync_in_background();
    }
}

/// Asks ext4 to give each folder in this one a place of its own on the disk (`chattr +T`). Else a layer goes where the last one was removed,
/// and each new file looks through all inodes that were removed there in the last minutes.
fn spread(folder: &Path) {
    let asked = File::open(folder).and_then(|folder| Ok(ioctl_setflags(&folder, ioctl_getflags(&folder)? | IFlags::TOPDIR)?));
    if let Err(error) = asked {
        tracing::debug!(%error, "layers lie where the file system wants them");
    }
}

/// The first digits of a layer's digest, as many as it takes to be alone.
fn free_name(diff: &Digest, is_taken: impl Fn(&str) -> bool) -> String {
    let hex = diff.hex();
    let length = (SHORT..hex.len()).find(|length| !is_taken(&hex[..*length])).unwrap_or(hex.len());
    hex[..length].to_owned()
}

fn remove_in_background(trash: Vec<PathBuf>) {
    if trash.is_empty() {
        return;
    }
    let remove = move || {
        for path in trash {
            if let Err(error) = remove_all(&path) {
                tracing::warn!(path = %path.display(), %error, "a discarded layer cannot be removed; the next start tries again");
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().name("layer-remove".to_owned()).spawn(remove) {
        tracing::warn!(%error, "no thread to remove discarded layers; the next start does");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(number: u8) -> Layer {
        Layer { diff: Digest::from_bytes([number; 32]), blob: Digest::from_bytes([0; 32]), tar_size: 1, size: 2 }
    }

    fn unpack(layers: &Arc<Layers>, layer: &Layer) {
        let partial = layers.begin().expect("a folder");
        fs::write(partial.path().join("file"), "x").expect("a file");
        layers.commit(partial, layer.clone()).expect("a layer");
    }

    #[test]
    fn a_layer_survives_a_new_engine_but_not_a_doubtful_boot() {
        let data = tempfile::tempdir().expect("a temporary folder");
        let layers = Layers::open(data.path()).expect("a store");
        // One engine has a root: its thread that waits for the disk is not to write into the next one's records.
        let waits_itself = |layers: &Layers| layers.lock().syncing = true;
        waits_itself(&layers);
        let (one, two) = (layer(1), layer(2));
        unpack(&layers, &one);
        unpack(&layers, &two);
        layers.sync();
        let again = Layers::open(data.path()).expect("a store");
        assert_eq!(again.unpacked(&one.diff), Some(one.clone()));
        let doubtful = LayerRecord { layer: two.clone(), boot: Some("another".to_owned()) };
        store::replace(&data.path().join("layers/02020202.json"), &doubtful).expect("a record");
        let again = Layers::open(data.path()).expect("a store");
        assert_eq!((again.unpacked(&two.diff), again.known(&two.diff)), (None, Some(two.clone())));
        assert!(!data.path().join("layers/02020202").exists());
        waits_itself(&again);
        unpack(&again, &two);
        assert!(again.folder_of(&two.diff).is_some_and(|it| it.join("file").exists()));
    }

    #[test]
    fn what_was_never_finished_is_swept() {
        let data = tempfile::tempdir().expect("a temporary folder");
        let folder = data.path().join("layers");
        fs::create_dir_all(folder.join("abcdef01")).expect("a folder without a record");
        let layers = Layers::open(data.path()).expect("a store");
        assert!(!folder.join("abcdef01").exists() && layers.all().is_empty());
        let partial = layers.begin().expect("a folder");
        let path = partial.path().to_owned();
        drop(partial);
        assert!(!path.exists());
    }

    #[test]
    fn names_grow_until_they_are_alone() {
        let diff = layer(0xab).diff;
        assert_eq!(free_name(&diff, |_| false), "abababab");
        assert_eq!(free_name(&diff, |short| short.len() < 11), "ababababab".to_owned() + "a");
    }
}
