//! What steps of builds came to: `builds/steps/KEY.json`, by a key of everything that decides the result. A step's layer stays as long as
//! the step is remembered, whether an image has it or not.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::OwnedMutexGuard;

use crate::engine::image::error::ImageError;
use crate::engine::image::handle::now;
use crate::engine::store;
use crate::resource::id::Digest;
use crate::resource::time::Timestamp;

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) struct StepRecord {
    /// The layer it made; none where it changed nothing.
    pub(in crate::engine) layer: Option<Digest>,
    /// The digest of what the layer holds, without times.
    pub(in crate::engine) content: Digest,
    /// When it was done.
    pub(in crate::engine) created: Timestamp,
    /// When its result was last needed, to the hour.
    pub(in crate::engine) used: Timestamp,
    /// What people call it.
    pub(in crate::engine) name: String,
    /// Of which command its build was a part, if that said so.
    #[serde(default)]
    pub(in crate::engine) made_for: Option<String>,
}

/// How old the time of the last use may be before it is written anew.
const HOUR: Duration = Duration::from_secs(3600);

/// The steps that are remembered.
#[derive(Debug)]
pub(super) struct Steps {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: BTreeMap<Digest, StepRecord>,
    /// Who does which step; others wait for it.
    busy: BTreeMap<Digest, Weak<tokio::sync::Mutex<()>>>,
}

impl Steps {
    /// Reads the records.
    pub(super) fn open(data: &Path) -> Result<Self, ImageError> {
        let folder = data.join("builds/steps");
        fs::create_dir_all(&folder).map_err(ImageError::disk("make", &folder))?;
        // What steps are called may hold what their arguments were: nobody but root comes here.
        let builds = data.join("builds");
        fs::set_permissions(&builds, fs::Permissions::from_mode(0o700)).map_err(ImageError::disk("close", &builds))?;
        let mut known = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(ImageError::disk("list", &folder))? {
            let path = entry.map_err(ImageError::disk("list", &folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some(key) = name.strip_suffix(".json").and_then(|hex| format!("sha256:{hex}").parse().ok()) else { continue };
            known.extend(store::read::<StepRecord>(&path)?.map(|record| (key, record)));
        }
        Ok(Self { folder, state: Mutex::new(State { known, ..State::default() }) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The table is whole between any two statements that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, key: &Digest) -> PathBuf {
        self.folder.join(format!("{}.json", key.hex()))
    }

    /// Waits for whoever does this step, and keeps others from it as long as the guard lives.
    pub(super) async fn reserve(&self, key: &Digest) -> OwnedMutexGuard<()> {
        let turn = {
            let mut state = self.lock();
            state.busy.retain(|_, turn| turn.strong_count() > 0);
            let known = state.busy.get(key).and_then(Weak::upgrade);
            let turn = known.unwrap_or_default();
            state.busy.insert(*key, Arc::downgrade(&turn));
            turn
        };
        turn.lock_owned().await
    }

    /// What a step came to, which counts as a use.
    pub(super) fn get(&self, key: &Digest) -> Option<StepRecord> {
        let mut state = self.lock();
        let record = state.known.get_mut(key)?;
        if now().since(record.used) > HOUR {
            record.used = now();
            // A full disk is no reason not to be answered.
            if let Err(error) = store::replace(&self.record(key), record) {
                tracing::warn!(%error, "the last use of a step cannot be written down");
            }
        }
        Some(record.clone())
    }

    /// Remembers what a step came to.
    pub(super) fn put(&self, key: Digest, record: StepRecord) -> Result<(), ImageError> {
        store::replace(&self.record(&key), &record)?;
        self.lock().known.insert(key, record);
        Ok(())
    }

    /// Every step that is remembered.
    pub(super) fn all(&self) -> Vec<(Digest, StepRecord)> {
        self.lock().known.iter().map(|(key, record)| (*key, record.clone())).collect()
    }

    /// Every layer of them.
    pub(super) fn layers(&self) -> Vec<Digest> {
        self.lock().known.values().filter_map(|record| record.layer).collect()
    }

    /// Forgets a step.
    pub(super) fn forget(&self, key: &Digest) -> Result<(), ImageError> {
        store::remove(&self.record(key))?;
        self.lock().known.remove(key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_remembered_by_the_next_engine_until_they_are_forgotten() {
        let data = tempfile::tempdir().expect("a temporary folder");
        let key = |number: u8| Digest::from_bytes([number; 32]);
        let record = |layer| StepRecord { layer, content: key(9), created: now(), used: now(), name: "RUN x".to_owned(), made_for: None };
        let steps = Steps::open(data.path()).expect("a store");
        steps.put(key(1), record(Some(key(7)))).expect("written");
        steps.put(key(2), record(None)).expect("written");
        let steps = Steps::open(data.path()).expect("a store");
        assert_eq!(steps.get(&key(1)).and_then(|it| it.layer), Some(key(7)));
        assert_eq!((steps.layers(), steps.all().len()), (vec![key(7)], 2));
        steps.forget(&key(1)).expect("removed");
        let steps = Steps::open(data.path()).expect("a store");
        assert!(steps.get(&key(1)).is_none() && steps.layers().is_empty());
    }

    #[test]
    fn a_use_is_written_down_once_an_hour() {
        let data = tempfile::tempdir().expect("a temporary folder");
        let steps = Steps::open(data.path()).expect("a store");
        let (key, long_ago) = (Digest::from_bytes([1; 32]), Timestamp::from_nanos(5));
        let record = StepRecord { layer: None, content: key, created: long_ago, used: long_ago, name: String::new(), made_for: None };
        steps.put(key, record).expect("written");
        let used = steps.get(&key).expect("known").used;
        assert!(used > long_ago);
        let again = Steps::open(data.path()).expect("a store");
        assert_eq!(again.get(&key).expect("known").used, used);
    }
}
