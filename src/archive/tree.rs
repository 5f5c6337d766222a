//! The tree an archive is unpacked into: every name in it is looked up by the kernel as if its root were the root of everything
//! (`openat2` with `RESOLVE_IN_ROOT`), so neither a symbolic link of an earlier entry nor a name of a later one reaches the host.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;

use crate::archive::opaque::hide_below;

/// A folder of a tree.
pub(super) struct Tree {
    root: OwnedFd,
    /// The folder that archives are unpacked into, seen from the root.
    base: PathBuf,
    /// It is to be a layer of an overlay: names that begin with `.wh.` speak of what lies below, and become an overlay's own marks.
    layered: bool,
    /// The folder of the last entry: archives are sorted, and most entries share it with the one before.
    last: Option<(PathBuf, OwnedFd)>,
}

impl Tree {
    /// A folder of the tree at `root`.
    pub(super) fn new(root: OwnedFd, base: PathBuf, layered: bool) -> Self {
        Self { root, base, layered, last: None }
    }

    /// Whether it is to be a layer of an overlay.
    pub(super) fn is_layered(&self) -> bool {
        self.layered
    }

    /// Opens something below the folder, following symbolic links as a process rooted at the tree's root would, but for the last part.
    pub(super) fn look_up(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        open_beneath(self.root.as_fd(), &self.base.join(path), flags)
    }

    /// Returns the folder at `path`, made with those above it where they are missing (mode 0755, as Docker does).
    pub(super) fn folder(&mut self, path: &Path) -> Result<BorrowedFd<'_>, Errno> {
        if self.last.as_ref().is_none_or(|(last, _)| last != path) {
            let folder = match self.look_up(path, OFlags::PATH | OFlags::DIRECTORY) {
                Err(Errno::NOENT | Errno::NOTDIR) => self.make_folders(path)?,
                other => other?,
            };
            self.last = Some((path.to_owned(), folder));
        }
        let (_, folder) = self.last.as_ref().ok_or(Errno::NOENT)?;
        Ok(folder.as_fd())
    }

    fn make_folders(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let mut at = self.look_up(Path::new(""), OFlags::PATH | OFlags::DIRECTORY)?;
        let mut prefix = PathBuf::new();
        for part in path {
            prefix.push(part);
            at = match self.look_up(&prefix, OFlags::PATH | OFlags::DIRECTORY) {
                Ok(next) => next,
                Err(Errno::NOENT) => {
                    rustix::fs::mkdirat(&at, part, Mode::from_raw_mode(0o755))?;
                    self.look_up(&prefix, OFlags::PATH | OFlags::DIRECTORY)?
                }
                // The layer removes what the layers below have here, and puts a folder of its own in its place.
                Err(Errno::NOTDIR) if self.layered && is_whiteout(at.as_fd(), part)? => {
                    rustix::fs::unlinkat(&at, part, AtFlags::empty())?;
                    rustix::fs::mkdirat(&at, part, Mode::from_raw_mode(0o755))?;
                    let next = self.look_up(&prefix, OFlags::RDONLY | OFlags::DIRECTORY)?;
                    hide_below(next.as_fd())?;
                    next
                }
                Err(error) => return Err(error),
            };
        }
        Ok(at)
    }

    /// Removes whatever has this name, a folder with all it holds.
    pub(super) fn clear(&mut self, path: &Path, name: &OsStr) -> Result<(), Errno> {
        let layered = self.layered;
        let parent = self.folder(path)?;
        // The kernel keeps nobody from this in a mount namespace that is not his own, and takes the mount away with the name.
        if is_mounted(parent, name)? {
            return Err(Errno::BUSY);
        }
        match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => {}
            other => return other,
        }
        // What is mounted further in would be emptied, and it may be the host's.
        if !layered && holds_mount(parent, name)? {
            return Err(Errno::BUSY);
        }
        let whole = through(parent, name);
        let outcome = std::fs::remove_dir_all(whole).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO));
        // A folder remembered may have been inside.
        self.last = None;
        outcome
    }
}

/// Opens a path beneath a root as a process rooted there would; whether the last part is followed is for `flags` to say.
pub(super) fn open_beneath(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    loop {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            // A rename anywhere on the machine while `..` of a link was looked up (openat2(2), 5.6 and later).
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
}

/// A path to a name in an open folder, for the calls that have no `*at` form; our own descriptor, so the magic link is safe.
pub(super) fn through(folder: BorrowedFd<'_>, name: &OsStr) -> PathBuf {
    Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name)
}

/// Whether something is mounted at a name.
fn is_mounted(folder: BorrowedFd<'_>, name: &OsStr) -> Result<bool, Errno> {
    let found = rustix::fs::statx(folder, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty())?;
    Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Whether something is mounted anywhere in a folder. What goes away meanwhile has no mount in it.
fn holds_mount(parent: BorrowedFd<'_>, name: &OsStr) -> Result<bool, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(false),
        folder => folder?,
    };
    for entry in Dir::read_from(&folder)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let found = match rustix::fs::statx(&folder, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE) {
            Err(Errno::NOENT) => continue,
            found => found?,
        };
        let is_folder = FileType::from_raw_mode(found.stx_mode.into()) == FileType::Directory;
        if found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) || is_folder && holds_mount(folder.as_fd(), name)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether overlay would read this name as "not there".
pub(super) fn is_whiteout(folder: BorrowedFd<'_>, name: &OsStr) -> Result<bool, Errno> {
    let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0)
}
