//! Build contexts on the engine's disk: snapshots of folders of clients, of which a client sends only what changed, and unpacked archives.
//!
//! Each lies in a folder of its own, `KEY-NUMBER/tree`, with its index beside it. The index is there only while the tree is whole: it goes
//! before anything is changed and comes back by rename. What lies without one is swept at the next start.

mod error;
mod index;
mod place;
mod tree;
mod update;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::OwnedMutexGuard;

pub use crate::engine::build::context::error::ContextError;
use crate::engine::build::context::error::chain;
pub use crate::engine::build::context::tree::{ArchiveEnd, ContextTree};
pub use crate::engine::build::context::update::Update;
use crate::engine::root::Root;
use crate::resource::context::{self, ContextEntry};
use crate::resource::id::Digest;

/// So many snapshots are kept, and so many bytes of them.
const SNAPSHOTS: usize = 32;
const BYTES: u64 = 16 << 30;

/// The contexts of one root: cheap to clone, every clone the same store.
#[derive(Clone, Debug)]
pub struct Contexts {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    snapshots: usize,
    bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    slots: BTreeMap<Digest, Slot>,
    /// Numbers the homes that were made, and the uses.
    count: u64,
}

/// What is kept for a key.
#[derive(Debug, Default)]
struct Slot {
    /// Held by whoever brings the snapshot up to date; the next one finds what he made.
    turn: Arc<tokio::sync::Mutex<()>>,
    snapshot: Option<Kept>,
    used: u64,
}

/// A snapshot that is whole.
#[derive(Debug)]
enum Kept {
    /// It is in use, or has been.
    Open(Arc<ContextTree>),
    /// It lies where an engine before this one left it.
    OnDisk { home: PathBuf, bytes: u64 },
}

impl Kept {
    fn bytes(&self) -> u64 {
        match self {
            Self::Open(tree) => tree.bytes(),
            Self::OnDisk { bytes, .. } => *bytes,
        }
    }

    /// Removes it once nobody uses it.
    fn discard(self) {
        match self {
            Self::Open(tree) => tree.discard(),
            Self::OnDisk { home, .. } => tree::remove(&home),
        }
    }
}

/// What becomes of a listing.
#[derive(Debug)]
pub enum Begun {
    /// The engine has it all.
    Same(Arc<ContextTree>),
    /// Some files are to be sent.
    Changed(Box<Update>),
}

/// The right to change what is kept for a key.
type Turn = OwnedMutexGuard<()>;

impl Contexts {
    /// Opens the contexts below a root's data folder, sweeping what is not whole.
    pub fn open(root: &Root) -> Result<Self, ContextError> {
        Self::with_limits(root.data().join("contexts"), SNAPSHOTS, BYTES)
    }

    fn with_limits(folder: PathBuf, snapshots: usize, bytes: u64) -> Result<Self, ContextError> {
        let failed = |step| ContextError::disk(step, &folder);
        // Nobody but the engine has any business in there: files keep the modes they have with their owner.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed("make"))?;
        let mut found: Vec<(SystemTime, Digest, PathBuf, u64)> = Vec::new();
        let mut state = State::default();
        for entry in fs::read_dir(&folder).map_err(failed("list"))? {
            let home = entry.map_err(failed("list"))?.path();
            let name = home.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let (key, number) = name.split_once('-').unwrap_or_default();
            state.count = state.count.max(number.parse().unwrap_or(0));
            match (format!("sha256:{key}").parse(), index::look(&home)) {
                (Ok(key), Some((written, bytes))) => found.push((written, key, home, bytes)),
                _ => tree::remove(&home),
            }
        }
        found.sort();
        for (_, key, home, bytes) in found {
            state.count += 1;
            let slot = Slot { snapshot: Some(Kept::OnDisk { home, bytes }), used: state.count, ..Slot::default() };
            // Of two the later one is good: the earlier was about to go.
            if let Some(Slot { snapshot: Some(earlier), .. }) = state.slots.insert(key, slot) {
                earlier.discard();
            }
        }
        Ok(Self { shared: Arc::new(Shared { folder, snapshots, bytes, state: Mutex::new(state) }) })
    }

    /// Compares a client's listing with what is kept for a key. Another client of the same key waits until this one is through.
    pub async fn begin(&self, key: Digest, listing: Vec<ContextEntry>) -> Result<Begun, ContextError> {
        context::check(&listing)?;
        let turn = self.lock().slots.entry(key).or_default().turn.clone();
        let turn = turn.lock_owned().await;
        let contexts = self.clone();
        let compared = tokio::task::spawn_blocking(move || {
            let before = contexts.opened(key);
            let update = Update::new(contexts, key, turn, before, listing);
            update.unchanged().map_or_else(|| Begun::Changed(Box::new(update)), Begun::Same)
        });
        compared.await.map_err(|_| ContextError::BrokenOff)
    }

    /// Unpacks an archive, compressed or not, into a tree that lives as long as it is used.
    pub fn unpack(&self, archive: impl Read, end: ArchiveEnd) -> Result<Arc<ContextTree>, ContextError> {
        let tree = ContextTree::for_archive(&self.home("archive"))?;
        tree.discard();
        tree::unpack(&tree, archive, end)?;
        Ok(Arc::new(tree))
    }

    /// Removes every snapshot that nobody uses; returns what was removed, and its bytes.
    pub fn prune(&self) -> Vec<(Digest, u64)> {
        let mut removed = Vec::new();
        let mut state = self.lock();
        let idle = |slot: &Slot| match &slot.snapshot {
            Some(Kept::Open(tree)) => Arc::strong_count(tree) == 1,
            Some(Kept::OnDisk { .. }) => Arc::strong_count(&slot.turn) == 1,
            None => false,
        };
        let mut lost = Vec::new();
        for (key, slot) in &mut state.slots {
            if let Some(kept) = idle(slot).then(|| slot.snapshot.take()).flatten() {
                removed.push((*key, kept.bytes()));
                lost.push(kept);
            }
        }
        state.forget_empty();
        drop(state);
        lost.into_iter().for_each(Kept::discard);
        removed
    }

    /// The bytes of all snapshots.
    pub fn bytes(&self) -> u64 {
        self.lock().slots.values().filter_map(|slot| slot.snapshot.as_ref()).map(Kept::bytes).sum()
    }

    /// What is kept for a key, its index read if need be.
    fn opened(&self, key: Digest) -> Option<Arc<ContextTree>> {
        let mut state = self.lock();
        state.count += 1;
        let now = state.count;
        let slot = state.slots.get_mut(&key)?;
        slot.used = now;
        let home = match slot.snapshot.as_ref()? {
            Kept::Open(tree) => return Some(tree.clone()),
            Kept::OnDisk { home, .. } => home.clone(),
        };
        slot.snapshot = None;
        drop(state);
        match ContextTree::open(&home) {
            Ok(tree) => {
                let tree = Arc::new(tree);
                self.keep(key, tree.clone());
                Some(tree)
            }
            Err(error) => {
                tracing::info!(error = chain(&error), "a snapshot of a build context is of no use any more and was removed");
                tree::remove(&home);
                None
            }
        }
    }

    /// Takes what is kept for a key, so that nobody else finds it.
    fn take(&self, key: Digest) {
        if let Some(slot) = self.lock().slots.get_mut(&key) {
            slot.snapshot = None;
        }
    }

    /// Keeps a snapshot for a key; those that were not used for the longest make room.
    fn keep(&self, key: Digest, tree: Arc<ContextTree>) {
        let mut lost = Vec::new();
        let mut state = self.lock();
        state.count += 1;
        let now = state.count;
        let slot = state.slots.entry(key).or_default();
        slot.used = now;
        lost.extend(slot.snapshot.replace(Kept::Open(tree)));
        loop {
            let kept = || state.slots.iter().filter_map(|(key, slot)| Some((slot.used, *key, slot.snapshot.as_ref()?.bytes())));
            let (count, bytes) = (kept().count(), kept().map(|(_, _, bytes)| bytes).sum::<u64>());
            let Some((_, oldest, _)) = kept().filter(|(_, other, _)| *other != key).min() else { break };
            if count <= self.shared.snapshots && bytes <= self.shared.bytes {
                break;
            }
            lost.extend(state.slots.get_mut(&oldest).and_then(|slot| slot.snapshot.take()));
        }
        state.forget_empty();
        drop(state);
        lost.into_iter().for_each(Kept::discard);
    }

    /// A folder that was not there before.
    fn home(&self, key: &str) -> PathBuf {
        let mut state = self.lock();
        state.count += 1;
        self.shared.folder.join(format!("{key}-{}", state.count))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Forgets keys for which there is nothing and nobody.
    fn forget_empty(&mut self) {
        self.slots.retain(|_, slot| slot.snapshot.is_some() || Arc::strong_count(&slot.turn) > 1);
    }
}
