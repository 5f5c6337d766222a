//! The volumes of one root: the room's only door.
//!
//! `volumes/NAME/record.json` says what was wanted, `volumes/NAME/data` is the content. A volume with `local` options is mounted at
//! `data` as long as a running container uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedMutexGuard;

use crate::archive::discard::remove_all;
use crate::engine::clock;
use crate::engine::root::Root;
use crate::engine::store;
use crate::engine::volume::error::VolumeError;
use crate::engine::volume::local::{self, LocalMount};
use crate::resource::id::ContainerId;
use crate::resource::name::VolumeName;
use crate::resource::time::Timestamp;
use crate::resource::volume::{VolumeInfo, VolumeSpec};

/// The folder of a removed volume begins with it; no volume's name can.
const REMOVED: &str = ".removed-";

/// All volumes of a root; cheap to clone.
#[derive(Clone)]
pub(crate) struct Volumes {
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    table: Mutex<BTreeMap<String, Entry>>,
}

struct Entry {
    record: Record,
    /// Containers whose spec names it, running or not.
    users: BTreeMap<ContainerId, String>,
    /// Running containers that have it mounted.
    mounted: BTreeSet<ContainerId>,
    /// Held by whoever fills it from an image.
    filling: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Record {
    name: VolumeName,
    created: Timestamp,
    spec: VolumeSpec,
    anonymous: bool,
}

/// The right to fill an empty volume from an image; nobody else starts to as long as it lives.
#[derive(Debug)]
pub(crate) struct Filling {
    _turn: OwnedMutexGuard<()>,
}

impl Volumes {
    /// Opens the volumes below a root's data directory.
    pub(crate) fn open(root: &Root) -> Result<Self, VolumeError> {
        let folder = root.data().join("volumes");
        let step = |step, source| VolumeError::Step { step, name: "*".to_owned(), path: folder.clone(), source };
        fs::create_dir_all(&folder).map_err(|source| step("make the folder of", source))?;
        // Owners and modes of files in a volume are meant for those inside of containers. Of the host, only root comes to them: who mounts one
        // takes hold of it as the host's root, before any namespace of users counts. (Docker's folder is 0701, behind one that is 0710.)
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).map_err(|source| step("close the folder of", source))?;
        let mut table = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(|source| step("list", source))? {
            let entry = entry.map_err(|source| step("list", source))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.starts_with(REMOVED) {
                remove_tree(&name, &entry.path())?;
                continue;
            }
            match store::read::<Record>(&entry.path().join("record.json"))? {
                Some(record) => {
                    table.insert(name, Entry::new(record));
                }
                // Content without a record was being made or removed when the power went; it is not ours to throw away unseen.
                None if is_empty(&entry.path().join("data")) => remove_tree(&name, &entry.path())?,
                None => tracing::warn!(folder = %entry.path().display(), "a volume's folder has no record and is left alone"),
            }
        }
        Ok(Self { shared: Arc::new(Shared { folder, table: Mutex::new(table) }) })
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.shared.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn info(&self, record: &Record) -> VolumeInfo {
        VolumeInfo {
            name: record.name.clone(),
            created: record.created,
            spec: record.spec.clone(),
            mountpoint: self.content(record.name.as_str()),
            anonymous: record.anonymous,
        }
    }

    fn content(&self, name: &str) -> PathBuf {
        self.shared.folder.join(name).join("data")
    }

    /// Returns every volume, by name, and whether a container uses it.
    pub(crate) fn list(&self) -> Vec<(VolumeInfo, bool)> {
        self.table().values().map(|entry| (self.info(&entry.record), !entry.users.is_empty())).collect()
    }

    /// How many containers use a volume, running or not.
    pub(crate) fn user_count(&self, name: &str) -> usize {
        self.table().get(name).map_or(0, |entry| entry.users.len())
    }

    /// Returns a volume.
    pub(crate) fn get(&self, name: &str) -> Result<VolumeInfo, VolumeError> {
        self.table().get(name).map(|entry| self.info(&entry.record)).ok_or_else(|| VolumeError::NotFound(name.to_owned()))
    }

    /// Makes a volume, or returns the one of that name if it was made with the same options; says which.
    pub(crate) fn create(&self, name: &str, spec: &VolumeSpec, anonymous: bool) -> Result<(VolumeInfo, bool), VolumeError> {
        if !matches!(spec.driver.as_str(), "" | "local") {
            return Err(VolumeError::Driver { name: name.to_owned(), driver: spec.driver.clone() });
        }
        if name.chars().count() == 1 {
            return Err(VolumeError::Short(name.to_owned()));
        }
        let parsed: VolumeName = name.parse().map_err(|_| VolumeError::Name(name.to_owned()))?;
        LocalMount::parse(name, &spec.options)?;
        let mut table = self.table();
        if let Some(entry) = table.get(name) {
            let existing = &entry.record.spec.options;
            if !spec.options.is_empty() && spec.options != *existing {
                return Err(VolumeError::Different { name: name.to_owned(), existing: format!("local {existing:?}") });
            }
            return Ok((self.info(&entry.record), false));
        }
        let spec = VolumeSpec { driver: "local".to_owned(), ..spec.clone() };
        let record = Record { name: parsed, created: clock::now(), spec, anonymous };
        let folder = self.shared.folder.join(name);
        let content = self.content(name);
        let step = |source| VolumeError::Step { step: "make", name: name.to_owned(), path: content.clone(), source };
        fs::create_dir_all(&content).map_err(step)?;
        store::replace(&folder.join("record.json"), &record)?;
        let info = self.info(&record);
        table.insert(name.to_owned(), Entry::new(record));
        Ok((info, true))
    }

    /// Removes a volume that no container uses.
    pub(crate) fn remove(&self, name: &str) -> Result<(), VolumeError> {
        let mut table = self.table();
        let entry = table.get(name).ok_or_else(|| VolumeError::NotFound(name.to_owned()))?;
        if !entry.users.is_empty() {
            let users = entry.users.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(VolumeError::InUse { name: name.to_owned(), users });
        }
        if !entry.record.spec.options.is_empty() {
            local::unmount(name, &self.content(name))?;
        }
        // Renamed under the lock and emptied outside it: the name is free at once, and what a killed engine leaves is swept by the next.
        let folder = self.shared.folder.join(name);
        let gone = self.shared.folder.join(format!("{REMOVED}{name}-{}", clock::now().as_nanos()));
        let step = |source| VolumeError::Step { step: "remove", name: name.to_owned(), path: folder.clone(), source };
        fs::rename(&folder, &gone).map_err(step)?;
        table.remove(name);
        drop(table);
        remove_tree(name, &gone)
    }

    /// Notes that a container's spec names a volume: it cannot be removed before [`Self::forget`].
    pub(crate) fn uses(&self, name: &str, container: ContainerId, container_name: &str) -> Result<(), VolumeError> {
        let mut table = self.table();
        let entry = table.get_mut(name).ok_or_else(|| VolumeError::NotFound(name.to_owned()))?;
        entry.users.insert(container, container_name.to_owned());
        Ok(())
    }

    /// Forgets a removed container.
    pub(crate) fn forget(&self, container: ContainerId) {
        for entry in self.table().values_mut() {
            entry.users.remove(&container);
        }
    }

    /// Makes a volume's content available for a container about to start; returns where it lies.
    pub(crate) fn mount(&self, name: &str, container: ContainerId) -> Result<PathBuf, VolumeError> {
        let content = self.content(name);
        let mut table = self.table();
        let entry = table.get_mut(name).ok_or_else(|| VolumeError::NotFound(name.to_owned()))?;
        if entry.mounted.is_empty()
            && let Some(mount) = LocalMount::parse(name, &entry.record.spec.options)?
        {
            // Another engine may have mounted it before it was killed.
            local::unmount(name, &content)?;
            mount.mount(name, &content)?;
        }
        entry.mounted.insert(container);
        Ok(content)
    }

    /// Notes that a container that runs already has a volume mounted: after another engine took over.
    pub(crate) fn adopt(&self, name: &str, container: ContainerId) {
        if let Some(entry) = self.table().get_mut(name) {
            entry.mounted.insert(container);
        }
    }

    /// Takes back what [`Self::mount`] did for a container that has ended.
    pub(crate) fn unmount(&self, container: ContainerId) {
        for (name, entry) in self.table().iter_mut() {
            let last = entry.mounted.remove(&container) && entry.mounted.is_empty();
            if last
                && !entry.record.spec.options.is_empty()
                && let Err(error) = local::unmount(name, &self.content(name))
            {
                tracing::warn!(volume = %name, %error, "a volume stays mounted");
            }
        }
    }

    /// Returns the right to fill a volume from an image, if it is empty; waits for whoever is filling it.
    pub(crate) async fn fill(&self, name: &str) -> Option<Filling> {
        let content = self.content(name);
        if !is_empty(&content) {
            return None;
        }
        let turn = self.table().get(name).map(|entry| entry.filling.clone())?;
        let turn = turn.lock_owned().await;
        is_empty(&content).then_some(Filling { _turn: turn })
    }
}

impl Entry {
    fn new(record: Record) -> Self {
        Self { record, users: BTreeMap::new(), mounted: BTreeSet::new(), filling: Arc::default() }
    }
}

fn is_empty(folder: &Path) -> bool {
    match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn remove_tree(name: &str, path: &Path) -> Result<(), VolumeError> {
    match remove_all(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            let step = if source.raw_os_error() == Some(Errno::EBUSY as i32) { "remove the mounted" } else { "remove" };
            Err(VolumeError::Step { step, name: name.to_owned(), path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volumes(folder: &Path) -> Volumes {
        Volumes::open(&Root::new(Some(folder))).expect("volumes")
    }

    const ID: ContainerId = ContainerId::from_bytes([1; 32]);

    #[test]
    fn a_volume_outlives_the_engine_and_is_found_by_its_options() {
        let folder = tempfile::tempdir().expect("a folder");
        let spec = VolumeSpec { labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]), ..VolumeSpec::default() };
        let (made, new) = volumes(folder.path()).create("data", &spec, false).expect("made");
        assert!(new && made.mountpoint.is_dir());
        let mode = fs::metadata(folder.path().join("data/volumes")).expect("the folder").permissions().mode();
        assert_eq!(mode & 0o077, 0, "others can run what lies in a volume");
        let volumes = volumes(folder.path());
        let (found, new) = volumes.create("data", &VolumeSpec::default(), false).expect("found");
        assert_eq!((found, new), (made, false));
        let other = VolumeSpec {
            options: BTreeMap::from([("type", "tmpfs"), ("device", "tmpfs")].map(|(key, value)| (key.to_owned(), value.to_owned()))),
            ..VolumeSpec::default()
        };
        assert!(matches!(volumes.create("data", &other, false), Err(VolumeError::Different { .. })));
        assert!(matches!(volumes.create("-a", &spec, false), Err(VolumeError::Name(_))));
    }

    #[test]
    fn a_volume_in_use_is_not_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let volumes = volumes(folder.path());
        volumes.create("data", &VolumeSpec::default(), false).expect("made");
        volumes.uses("data", ID, "web").expect("known");
        assert_eq!(volumes.remove("data").expect_err("in use").to_string(), format!("remove data: volume is in use - [{ID}]"));
        volumes.forget(ID);
        volumes.remove("data").expect("removed");
        assert!(matches!(volumes.get("data"), Err(VolumeError::NotFound(_))));
        assert!(!folder.path().join("data/volumes/data").exists());
    }

    #[tokio::test]
    async fn only_one_fills_an_empty_volume() {
        let folder = tempfile::tempdir().expect("a folder");
        let volumes = volumes(folder.path());
        let (info, _) = volumes.create("data", &VolumeSpec::default(), false).expect("made");
        let first = volumes.fill("data").await.expect("empty");
        let second = tokio::spawn({
            let volumes = volumes.clone();
            async move { volumes.fill("data").await.is_some() }
        });
        fs::write(info.mountpoint.join("file"), "x").expect("written");
        drop(first);
        assert!(!second.await.expect("no panic"));
        assert!(volumes.fill("data").await.is_none());
    }
}
