//! A build context on the engine's disk.

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::archive::{Owner, Rules, look, open_folder};
use crate::dockerfile::Ignore;
use crate::engine::build::context::error::ContextError;
use crate::engine::build::context::index::{self, Indexed};
use crate::engine::image::decompress;
use crate::resource::context::order;
use crate::resource::id::Digest;

/// How an archive ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveEnd {
    /// As the format has it.
    Whole,
    /// It may be cut off behind the last byte of its last file, as Docker's client does where it has added a Dockerfile.
    MayBeMissing,
}

/// A folder that does not change as long as somebody holds it.
#[derive(Debug)]
pub struct ContextTree {
    home: PathBuf,
    folder: PathBuf,
    root: OwnedFd,
    bytes: u64,
    entries: Vec<Indexed>,
    /// It goes with its last holder.
    is_lost: AtomicBool,
    /// It was an archive, and is one build's.
    is_archive: bool,
}

impl ContextTree {
    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder, open.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// It holds only what a listing names, without attributes, and nobody but the engine comes near it.
    pub fn is_sealed(&self) -> bool {
        !self.is_archive
    }

    /// What a file holds, where that was seen when it came; an archive's files have to be read for it.
    pub fn digest_of(&self, path: &Path) -> Option<Digest> {
        let path = path.as_os_str().as_bytes();
        let path = path.strip_prefix(b"/").unwrap_or(path);
        let found = self.entries.binary_search_by(|indexed| order(&indexed.entry.path, path)).ok()?;
        self.entries[found].digest
    }

    /// Takes files away that the tree's own `.dockerignore` names, where the tree was an archive: Docker's client adds the Dockerfile and
    /// the patterns to an archive for the engine alone, and says so in the patterns.
    pub(in crate::engine) fn leave_out(&self, files: &[&str]) -> io::Result<()> {
        const PATTERNS: &str = ".dockerignore";
        const LARGEST: u64 = 4 << 20;
        let text = match look::read(self.root(), Path::new(PATTERNS), LARGEST) {
            Ok(bytes) if self.is_archive => String::from_utf8_lossy(&bytes).into_owned(),
            _ => return Ok(()),
        };
        // Patterns that are none leave nothing out: whoever made the archive has looked at them.
        let Ok(ignore) = Ignore::parse(&text) else { return Ok(()) };
        for file in files.iter().chain(&[PATTERNS]).filter(|file| ignore.matches(file)) {
            look::remove(self.root(), Path::new(file))?;
        }
        Ok(())
    }

    /// Makes an empty one for the files of an archive.
    pub(super) fn for_archive(home: &Path) -> Result<Self, ContextError> {
        let mut tree = Self::fresh(home)?;
        tree.is_archive = true;
        Ok(tree)
    }

    /// Makes an empty one.
    pub(super) fn fresh(home: &Path) -> Result<Self, ContextError> {
        let folder = home.join("tree");
        fs::DirBuilder::new().mode(0o700).create(home).map_err(ContextError::disk("make", home))?;
        fs::DirBuilder::new().mode(0o755).create(&folder).map_err(ContextError::disk("make", &folder))?;
        Self::at(home, 0, Vec::new())
    }

    /// Opens one that is whole.
    pub(super) fn open(home: &Path) -> Result<Self, ContextError> {
        let (bytes, entries) = index::read(home)?;
        Self::at(home, bytes, entries)
    }

    fn at(home: &Path, bytes: u64, entries: Vec<Indexed>) -> Result<Self, ContextError> {
        let folder = home.join("tree");
        let root = open_folder(&folder)?;
        Ok(Self { home: home.to_owned(), folder, root, bytes, entries, is_lost: AtomicBool::new(false), is_archive: false })
    }

    /// The bytes of its files, as far as they are known.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn entries(&self) -> &[Indexed] {
        &self.entries
    }

    /// It is about to be changed by its only holder.
    pub(super) fn unseal(&self) -> Result<(), ContextError> {
        index::remove(&self.home)
    }

    /// It holds this from now on, whole.
    pub(super) fn seal(&mut self, entries: Vec<Indexed>, bytes: u64) -> Result<(), ContextError> {
        index::write(&self.home, bytes, &entries)?;
        (self.entries, self.bytes) = (entries, bytes);
        self.is_lost = AtomicBool::new(false);
        Ok(())
    }

    /// Notes that it was used.
    pub(super) fn touch(&self) {
        index::touch(&self.home);
    }

    /// Removes it once its last holder is gone.
    pub(super) fn discard(&self) {
        self.is_lost.store(true, Ordering::Relaxed);
    }
}

impl Drop for ContextTree {
    fn drop(&mut self) {
        if !*self.is_lost.get_mut() {
            return;
        }
        let home = std::mem::take(&mut self.home);
        // A large one takes its time, and its last holder may be a task.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || remove(&home))),
            Err(_) => remove(&home),
        }
    }
}

/// Removes a context. What cannot be removed has no index any more, and the next start tries again.
pub(super) fn remove(home: &Path) {
    let removed = index::remove(home).map(|()| match fs::symlink_metadata(home) {
        Ok(found) if !found.is_dir() => fs::remove_file(home),
        _ => fs::remove_dir_all(home),
    });
    match removed {
        Ok(Err(error)) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(folder = %home.display(), %error, "a build context cannot be removed; the next start tries again");
        }
        Err(error) => tracing::warn!(folder = %home.display(), %error, "a build context cannot be removed; the next start tries again"),
        Ok(_) => {}
    }
}

/// Unpacks an archive, compressed or not, into a tree. Every file becomes root's.
pub(super) fn unpack(tree: &ContextTree, archive: impl Read, end: ArchiveEnd) -> Result<(), ContextError> {
    let (_, tar) = decompress::reader(archive).map_err(ContextError::Compression)?;
    let rules = Rules { owner: Owner::Fixed(0, 0), ..Rules::default() };
    // The padding of the last file, and two blocks.
    let padding = io::repeat(0).take(if end == ArchiveEnd::MayBeMissing { 3 * 512 } else { 0 });
    crate::archive::unpack(tar.chain(padding), tree.root(), Path::new("/"), rules)?;
    Ok(())
}
