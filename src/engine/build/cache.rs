//! Cache mounts: folders that outlive a build, `builds/caches/NAME/{cache.json,data}`. Whoever writes to one of them writes to all who
//! share it: what a step leaves there is as trustworthy as the step.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::archive::discard::{remove_all, sizes_of};
use crate::dockerfile::Sharing;
use crate::engine::build::key::Key;
use crate::engine::clock;
use crate::engine::store;
use crate::resource::build::BuildCache;
use crate::resource::failure::Failure;
use crate::resource::id::Digest;
use crate::resource::time::Timestamp;

/// The record of a cache; a folder without one is not finished.
const RECORD: &str = "cache.json";
/// What is mounted.
const DATA: &str = "data";
/// The permission bits of a new cache that asks for none (BuildKit's).
const MODE: u32 = 0o755;

/// What is known of a cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CacheRecord {
    /// What Dockerfiles call it.
    id: String,
    created: Timestamp,
    used: Timestamp,
}

/// The caches of one root.
#[derive(Debug)]
pub(in crate::engine) struct Caches {
    folder: PathBuf,
    state: Mutex<State>,
    /// Somebody has let go of one.
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    known: BTreeMap<String, CacheRecord>,
    /// How many have a cache, by its name.
    used: BTreeMap<String, usize>,
    /// Of those, the ones that somebody has for himself.
    locked: BTreeSet<String>,
    /// How many have been put aside to be removed.
    lost: u64,
}

/// A cache that is wanted.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) id: String,
    pub(super) sharing: Sharing,
    /// Owner and permission bits of a new one.
    pub(super) user: u32,
    pub(super) group: u32,
    pub(super) mode: Option<u32>,
    /// What a new one begins with, if not with nothing.
    pub(super) seed: Option<Digest>,
}

impl Wanted {
    /// What the folder is called that all have who want the same; one that begins otherwise is another one (as in BuildKit, whose caches lie
    /// over what they begin with).
    pub(super) fn name(&self) -> String {
        self.name_of(0)
    }

    fn name_of(&self, number: u32) -> String {
        let mut key = Key::of("cache").text(&self.id);
        if (self.user, self.group, self.mode) != (0, 0, None) {
            key = key.text(&format!("{} {} {:?}", self.user, self.group, self.mode));
        }
        if let Some(seed) = &self.seed {
            key = key.digest(seed);
        }
        let name = key.finish().short();
        if number == 0 { name } else { format!("{name}-{number}") }
    }
}

/// A cache in use.
#[derive(Debug)]
pub(super) struct Taken {
    caches: Arc<Caches>,
    name: String,
    /// It has just been made, and is empty.
    pub(super) fresh: bool,
}

impl Taken {
    /// What is to be mounted.
    pub(super) fn data(&self) -> PathBuf {
        self.caches.folder.join(&self.name).join(DATA)
    }

    /// Whether it is the cache that all have who want the same.
    pub(super) fn is(&self, wanted: &Wanted) -> bool {
        self.name == wanted.name()
    }

    /// Makes a new one again what it was before anybody had it: its first content could not be copied. Blocks.
    pub(super) fn forget(self) -> Result<(), Failure> {
        let aside = self.caches.put_aside(&mut self.caches.lock(), &self.name)?;
        remove(&aside);
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut state = self.caches.lock();
        state.locked.remove(&self.name);
        if let Some(count) = state.used.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                state.used.remove(&self.name);
            }
        }
        drop(state);
        self.caches.freed.notify_waiters();
    }
}

impl Caches {
    /// Reads what there is; what was not finished, or was being removed, goes.
    pub(in crate::engine) fn open(data: &Path) -> Result<Arc<Self>, Failure> {
        let folder = data.join("builds/caches");
        let failed = |error| Failure::internal(format!("cannot use {}: {error}", folder.display()));
        fs::create_dir_all(&folder).map_err(failed)?;
        // What a cache holds is for those inside a build.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).map_err(failed)?;
        let mut known = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            match store::read::<CacheRecord>(&entry.path().join(RECORD))? {
                Some(record) => drop(known.insert(entry.file_name().to_string_lossy().into_owned(), record)),
                None => remove(&entry.path()),
            }
        }
        Ok(Arc::new(Self { folder, state: Mutex::new(State { known, ..State::default() }), freed: Notify::new() }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The table is whole between any two statements that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a cache, and makes it when it is missing; waits for one that somebody has for himself.
    pub(super) async fn take(self: &Arc<Self>, wanted: &Wanted) -> Result<Taken, Failure> {
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            // From here on nothing is missed.
            freed.as_mut().enable();
            let (caches, wanted) = (Arc::clone(self), wanted.clone());
            let tried = tokio::task::spawn_blocking(move || caches.try_take(&wanted)).await;
            if let Some(taken) = tried.map_err(|error| Failure::internal(format!("a cache was given up: {error}")))?? {
                return Ok(taken);
            }
            freed.await;
        }
    }

    fn try_take(self: &Arc<Self>, wanted: &Wanted) -> Result<Option<Taken>, Failure> {
        let mut state = self.lock();
        let name = match wanted.sharing {
            Sharing::Shared if state.locked.contains(&wanted.name()) => return Ok(None),
            Sharing::Locked if state.used.contains_key(&wanted.name()) => return Ok(None),
            Sharing::Shared | Sharing::Locked => wanted.name(),
            // The first one that nobody has.
            Sharing::Private => {
                let free = |name: &String| !state.used.contains_key(name);
                (0..).map(|number| wanted.name_of(number)).find(free).unwrap_or_default()
            }
        };
        let fresh = !state.known.contains_key(&name);
        let now = clock::now();
        let created = state.known.get(&name).map_or(now, |record| record.created);
        let record = CacheRecord { id: wanted.id.clone(), created, used: now };
        let place = self.folder.join(&name);
        if fresh {
            make(&place, wanted).map_err(|error| Failure::internal(format!("cannot make the cache {}: {error}", place.display())))?;
        }
        store::replace(&place.join(RECORD), &record)?;
        state.known.insert(name.clone(), record);
        *state.used.entry(name.clone()).or_default() += 1;
        if wanted.sharing != Sharing::Shared {
            state.locked.insert(name.clone());
        }
        Ok(Some(Taken { caches: Arc::clone(self), name, fresh }))
    }

    /// Every cache, with the bytes it takes. Blocks.
    pub(super) fn list(&self) -> Vec<BuildCache> {
        let state = self.lock();
        let known: Vec<_> =
            state.known.iter().map(|(name, record)| (name.clone(), record.clone(), state.used.contains_key(name))).collect();
        drop(state);
        known
            .into_iter()
            .map(|(name, record, in_use)| BuildCache {
                size: sizes_of(&self.folder.join(&name)).0,
                id: name,
                name: record.id,
                mount: true,
                in_use,
                created: record.created,
                used: record.used,
            })
            .collect()
    }

    /// Removes a cache that nobody has; returns whether it is gone. Blocks.
    pub(super) fn remove(&self, name: &str) -> Result<bool, Failure> {
        let mut state = self.lock();
        if state.used.contains_key(name) || !state.known.contains_key(name) {
            return Ok(false);
        }
        let aside = self.put_aside(&mut state, name)?;
        drop(state);
        // It may be large: whoever takes another one does not wait for it.
        remove(&aside);
        Ok(true)
    }

    /// Takes a cache out of the table and its folder out of the way; the next start sweeps what is not removed before.
    fn put_aside(&self, state: &mut State, name: &str) -> Result<PathBuf, Failure> {
        let place = self.folder.join(name);
        store::remove(&place.join(RECORD))?;
        state.known.remove(name);
        state.lost += 1;
        let aside = self.folder.join(format!("{name}.removed-{}", state.lost));
        let failed = |error| Failure::internal(format!("cannot put the cache {} aside: {error}", place.display()));
        fs::rename(&place, &aside).map_err(failed)?;
        Ok(aside)
    }
}

fn make(place: &Path, wanted: &Wanted) -> std::io::Result<()> {
    // What is there without a record was not finished.
    match remove_all(place) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let data = place.join(DATA);
    fs::create_dir_all(&data)?;
    chown(&data, Some(wanted.user), Some(wanted.group))?;
    fs::set_permissions(&data, fs::Permissions::from_mode(wanted.mode.unwrap_or(MODE)))
}

fn remove(place: &Path) {
    if let Err(error) = remove_all(place)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(cache = %place.display(), %error, "what is left of a cache stays until the next start");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(id: &str, sharing: Sharing) -> Wanted {
        Wanted { id: id.to_owned(), sharing, user: 0, group: 0, mode: None, seed: None }
    }

    #[tokio::test]
    async fn caches_are_shared_or_had_alone_as_declared() {
        let data = tempfile::tempdir().expect("a temporary folder");
        let caches = Caches::open(data.path()).expect("a store");
        let first = caches.take(&wanted("a", Sharing::Shared)).await.expect("a cache");
        let second = caches.take(&wanted("a", Sharing::Shared)).await.expect("a cache");
        assert_eq!((first.data(), first.fresh, second.fresh), (second.data(), true, false));
        let private = caches.take(&wanted("a", Sharing::Private)).await.expect("a cache");
        assert_ne!(private.data(), first.data());
        assert!(caches.try_take(&wanted("a", Sharing::Locked)).expect("no failure").is_none());
        assert!(!caches.remove(&first.name).expect("no failure"), "it is in use");
        drop((first, second));
        let locked = caches.try_take(&wanted("a", Sharing::Locked)).expect("no failure").expect("free");
        assert!(caches.try_take(&wanted("a", Sharing::Shared)).expect("no failure").is_none());
        let shared = wanted("a", Sharing::Shared);
        let waiting = caches.take(&shared);
        let freed = async { drop(locked) };
        let (taken, ()) = tokio::join!(waiting, freed);
        taken.expect("a cache");
    }

    #[test]
    fn one_that_begins_otherwise_is_another_one() {
        let same = wanted("a", Sharing::Shared);
        let others = [
            wanted("b", Sharing::Shared),
            Wanted { user: 1, ..same.clone() },
            Wanted { group: 1, ..same.clone() },
            Wanted { mode: Some(0o755), ..same.clone() },
            Wanted { seed: Some(Digest::of(b"one")), ..same.clone() },
            Wanted { seed: Some(Digest::of(b"two")), ..same.clone() },
        ];
        let names: BTreeSet<String> = others.iter().chain([&same]).map(Wanted::name).collect();
        assert_eq!(names.len(), others.len() + 1);
        assert_eq!(wanted("a", Sharing::Locked).name(), same.name());
    }

    #[tokio::test]
    async fn they_outlive_an_engine_until_they_are_removed() {
        let data = tempfile::tempdir().expect("a temporary folder");
        let caches = Caches::open(data.path()).expect("a store");
        let taken = caches.take(&wanted("/root/.cache", Sharing::Shared)).await.expect("a cache");
        fs::write(taken.data().join("file"), "12345").expect("a file");
        drop(taken);
        fs::create_dir_all(data.path().join("builds/caches/half/data")).expect("one that was never finished");
        let caches = Caches::open(data.path()).expect("a store");
        assert!(!data.path().join("builds/caches/half").exists());
        let known = caches.list();
        assert_eq!((known.len(), known[0].name.as_str(), known[0].in_use), (1, "/root/.cache", false));
        assert!(known[0].size >= 5);
        assert!(caches.remove(&known[0].id).expect("removed") && caches.list().is_empty());
        assert_eq!(fs::read_dir(data.path().join("builds/caches")).expect("the folder").count(), 0);
        assert!(caches.take(&wanted("/root/.cache", Sharing::Shared)).await.expect("a cache").fresh);
    }
    #[tokio::test]
    async fn one_is_taken_while_another_is_removed() {
        let data = tempfile::tempdir().expect("a temporary folder");
        let caches = Caches::open(data.path()).expect("a store");
        let taken = caches.take(&wanted("old", Sharing::Shared)).await.expect("a cache");
        let old = taken.name.clone();
        drop(taken);
        // Out of the table and out of the way is all that is done while others wait.
        let aside = caches.put_aside(&mut caches.lock(), &old).expect("put aside");
        assert!(aside.join(DATA).exists());
        assert!(caches.take(&wanted("old", Sharing::Shared)).await.expect("a new one").fresh);
        assert!(aside.join(DATA).exists());
        // The next start finishes it.
        let caches = Caches::open(data.path()).expect("a store");
        assert!(!aside.exists() && caches.list().len() == 1);
    }
}
