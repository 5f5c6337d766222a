//! A snapshot is brought up to date: what is gone goes, what is new or changed comes, and the rest stays where it is.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::AsFd as _;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::engine::build::context::error::ContextError;
use crate::engine::build::context::index::Indexed;
use crate::engine::build::context::place::{Places, times};
use crate::engine::build::context::tree::ContextTree;
use crate::engine::build::context::{Contexts, Turn};
use crate::resource::context::{ContextEntry, EntryKind, order};
use crate::resource::id::Digest;

/// A listing that differs from what the engine has.
#[derive(Debug)]
pub struct Update {
    contexts: Contexts,
    key: Digest,
    _turn: Turn,
    before: Option<Arc<ContextTree>>,
    listing: Vec<ContextEntry>,
    /// For each entry of the listing, the one that it was before and still is.
    kept: Vec<Option<usize>>,
    /// Entries of before that are there no longer, or not as they were.
    gone: Vec<usize>,
    wanted: Vec<u32>,
}

impl Update {
    pub(super) fn new(contexts: Contexts, key: Digest, turn: Turn, before: Option<Arc<ContextTree>>, listing: Vec<ContextEntry>) -> Self {
        let old = before.as_ref().map_or(&[][..], |tree| tree.entries());
        let mut kept = Vec::with_capacity(listing.len());
        let (mut gone, mut wanted, mut place) = (Vec::new(), Vec::new(), 0);
        for (number, entry) in listing.iter().enumerate() {
            while old.get(place).is_some_and(|indexed| order(&indexed.entry.path, &entry.path) == Ordering::Less) {
                gone.push(place);
                place += 1;
            }
            let same = old.get(place).filter(|indexed| indexed.entry.path == entry.path);
            let stays = same.is_some_and(|indexed| is_kept(entry, &indexed.entry));
            if same.is_some() && !stays {
                gone.push(place);
            }
            kept.push(stays.then_some(place));
            place += usize::from(same.is_some());
            if !stays && matches!(entry.kind, EntryKind::File { .. }) {
                wanted.extend(u32::try_from(number));
            }
        }
        gone.extend(place..old.len());
        Self { contexts, key, _turn: turn, before, listing, kept, gone, wanted }
    }

    /// The snapshot, if nothing in it changed.
    pub(super) fn unchanged(&self) -> Option<Arc<ContextTree>> {
        let before = self.before.as_ref().filter(|_| self.gone.is_empty())?;
        let mut pairs = self.listing.iter().zip(&self.kept);
        let same = pairs.all(|(entry, kept)| kept.is_some_and(|place| !entry.is_changed_since(&before.entries()[place].entry)));
        same.then(|| {
            before.touch();
            before.clone()
        })
    }

    /// The files that are to be sent, by their numbers in the listing.
    pub fn wanted(&self) -> &[u32] {
        &self.wanted
    }

    /// Takes what was wanted, file by file in that order: eight bytes of length, which is not above that of the listing, and the bytes.
    /// Returns the new snapshot, or leaves none.
    pub fn finish(mut self, contents: impl Read) -> Result<Arc<ContextTree>, ContextError> {
        self.contexts.take(self.key);
        // Whoever else holds it still needs it as it is.
        let (tree, other) = match self.before.take().map(Arc::try_unwrap) {
            None => (self.fresh()?, None),
            Some(Ok(mut tree)) => {
                tree.discard();
                tree.unseal()?;
                self.clear(&mut tree)?;
                (tree, None)
            }
            Some(Err(other)) => {
                // The new snapshot takes its place, or there is none: either way it goes with its last holder.
                other.discard();
                (self.fresh()?, Some(other))
            }
        };
        // Files are small more often than not.
        self.fill(tree, other.as_deref(), &mut io::BufReader::with_capacity(64 << 10, contents))
    }

    fn fresh(&self) -> Result<ContextTree, ContextError> {
        let tree = ContextTree::fresh(&self.contexts.home(&self.key.hex()))?;
        tree.discard();
        Ok(tree)
    }

    /// Removes what is gone, what a folder holds before the folder.
    fn clear(&self, tree: &mut ContextTree) -> Result<(), ContextError> {
        let mut places = Places::new(tree.root());
        for place in self.gone.iter().rev() {
            let entry = &tree.entries()[*place].entry;
            places.remove(&entry.path, entry.kind == EntryKind::Folder).map_err(ContextError::inside("remove", &entry.path))?;
        }
        Ok(())
    }

    /// Puts everything in its place that is not there.
    fn fill(self, mut tree: ContextTree, other: Option<&ContextTree>, contents: &mut impl Read) -> Result<Arc<ContextTree>, ContextError> {
        let (old, in_place) = match other {
            Some(other) => (other.entries(), false),
            None => (tree.entries(), true),
        };
        let mut places = Places::new(tree.root());
        let mut others = other.map(|other| Places::new(other.root()));
        // Folders whose times were lost.
        let mut touched: BTreeSet<&[u8]> = BTreeSet::new();
        touched.extend(self.gone.iter().filter_map(|place| parent(&old[*place].entry.path)));
        let mut buffer = vec![0; 256 << 10];
        let mut entries = Vec::with_capacity(self.listing.len());
        let mut bytes = 0;
        for (entry, kept) in self.listing.iter().zip(&self.kept) {
            let before = kept.map(|place| &old[place]);
            let mut indexed = Indexed { entry: entry.clone(), digest: before.and_then(|before| before.digest) };
            let failed = |step| ContextError::inside(step, &entry.path);
            let is_there = before.is_some() && in_place;
            if !is_there {
                touched.extend(parent(&entry.path));
            }
            match (&entry.kind, &mut others) {
                (EntryKind::Folder, _) => {
                    if !is_there {
                        let (folder, name) = places.of(&entry.path).map_err(failed("find"))?;
                        rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o700)).map_err(failed("make"))?;
                    }
                    if before.is_none_or(|before| !is_there || before.entry != *entry) {
                        touched.insert(&entry.path);
                    }
                }
                _ if is_there => {}
                (EntryKind::File { .. }, Some(others)) if before.is_some() => {
                    let (from, name) = others.of(&entry.path).map_err(failed("find"))?;
                    let (to, _) = places.of(&entry.path).map_err(failed("find"))?;
                    rustix::fs::linkat(from, name, to, name, AtFlags::empty()).map_err(failed("link"))?;
                }
                (EntryKind::File { size }, _) => {
                    let (length, digest) = receive(&mut places, entry, *size, contents, &mut buffer)?;
                    // A file that shrank since it was listed will be another one the next time.
                    indexed.entry.kind = EntryKind::File { size: length };
                    indexed.digest = Some(digest);
                }
                (EntryKind::Link { target }, _) => {
                    let (folder, name) = places.of(&entry.path).map_err(failed("find"))?;
                    rustix::fs::symlinkat(target.as_slice(), folder, name).map_err(failed("make"))?;
                    places.set_time(&entry.path, entry.modified).map_err(failed("set the time of"))?;
                }
                (EntryKind::Pipe, _) => {
                    let (folder, name) = places.of(&entry.path).map_err(failed("find"))?;
                    rustix::fs::mknodat(folder, name, FileType::Fifo, Mode::from_raw_mode(0o600), 0).map_err(failed("make"))?;
                    places.set_mode(&entry.path, entry.mode).map_err(failed("set the mode of"))?;
                    places.set_time(&entry.path, entry.modified).map_err(failed("set the time of"))?;
                }
            }
            if let EntryKind::File { size } = indexed.entry.kind {
                bytes += size;
            }
            entries.push(indexed);
        }
        if contents.read(&mut [0]).map_err(|error| broken(b"", &error))? != 0 {
            return Err(ContextError::Content { path: String::new(), reason: "more came than was asked for".to_owned() });
        }
        // Once nothing more is put into them.
        for entry in self.listing.iter().rev().filter(|entry| entry.kind == EntryKind::Folder && touched.contains(entry.path.as_slice())) {
            places.set_mode(&entry.path, entry.mode).map_err(ContextError::inside("set the mode of", &entry.path))?;
            places.set_time(&entry.path, entry.modified).map_err(ContextError::inside("set the time of", &entry.path))?;
        }
        tree.seal(entries, bytes)?;
        let tree = Arc::new(tree);
        self.contexts.keep(self.key, tree.clone());
        Ok(tree)
    }
}

/// Whether what was there can stay: a folder stays one whatever its mode, for that is set anew.
fn is_kept(entry: &ContextEntry, before: &ContextEntry) -> bool {
    (entry.kind == EntryKind::Folder && before.kind == EntryKind::Folder) || !entry.is_changed_since(before)
}

fn parent(path: &[u8]) -> Option<&[u8]> {
    path.iter().rposition(|byte| *byte == b'/').map(|slash| &path[..slash])
}

/// Takes one file; returns its length and digest.
fn receive(
    places: &mut Places<'_>,
    entry: &ContextEntry,
    listed: u64,
    contents: &mut impl Read,
    buffer: &mut [u8],
) -> Result<(u64, Digest), ContextError> {
    let mut length = [0; 8];
    contents.read_exact(&mut length).map_err(|error| broken(&entry.path, &error))?;
    let length = u64::from_be_bytes(length);
    if length > listed {
        let reason = format!("{length} bytes were to come, and {listed} are listed");
        return Err(ContextError::Content { path: String::from_utf8_lossy(&entry.path).into_owned(), reason });
    }
    let failed = |step| ContextError::inside(step, &entry.path);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let (folder, name) = places.of(&entry.path).map_err(failed("find"))?;
    let mut file = File::from(rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o600)).map_err(failed("make"))?);
    let mut digest = Sha256::new();
    let mut left = length;
    while left > 0 {
        let room = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = match contents.read(&mut buffer[..room]) {
            Ok(0) => return Err(broken(&entry.path, &io::ErrorKind::UnexpectedEof.into())),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(broken(&entry.path, &error)),
        };
        digest.update(&buffer[..read]);
        file.write_all(&buffer[..read]).map_err(|error| failed("write")(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        left -= read as u64;
    }
    rustix::fs::fchmod(file.as_fd(), Mode::from_raw_mode(entry.mode)).map_err(failed("set the mode of"))?;
    rustix::fs::futimens(file.as_fd(), &times(entry.modified)).map_err(failed("set the time of"))?;
    Ok((length, Digest::from_bytes(digest.finalize().into())))
}

fn broken(path: &[u8], error: &io::Error) -> ContextError {
    ContextError::Content { path: String::from_utf8_lossy(path).into_owned(), reason: error.to_string() }
}
