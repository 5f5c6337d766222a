//! A part of a tree is copied into another tree, as a Dockerfile's COPY does.
//!
//! Neither tree is trusted, and both may change meanwhile: a name is resolved beneath its root by the kernel, what was seen is what is
//! read, and what is written is new.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::archive::attribute::travelling;
use crate::archive::contents::Contents;
use crate::archive::kept::Kept;
use crate::archive::look::{look, make_folders, real_path, reopen};
use crate::archive::mode::ModeChange;
use crate::archive::select::{Hold, Item, Selection, Visit, failed, shown, walk};
use crate::archive::tree::open_beneath;
use crate::archive::{NO_FOLLOW, mode_bits};

pub use crate::archive::select::{Choice, CopyError, expand};

/// What is copied, to where, and how.
#[derive(Clone)]
pub struct CopyRequest<'a> {
    /// What is copied.
    pub selection: Selection<'a>,
    /// The root of the tree that is copied to.
    pub into: BorrowedFd<'a>,
    /// Where to, seen from that root; links are followed in it, one at the end too.
    pub destination: &'a Path,
    /// It is a folder, also if nothing is there yet: it was written with a slash at its end.
    pub destination_is_folder: bool,
    /// Whose the copies are.
    pub owner: CopyOwner,
    /// Whose the folders are that are made to lead to the destination; whose the folder above makes them, without.
    pub folder_owner: Option<(u32, u32)>,
    /// Their permissions; those of their sources without.
    pub mode: Option<ModeChange>,
    /// The time of folders that are made to lead to the destination, in seconds since the epoch.
    pub created: i64,
    /// Where overlay keeps what is written to `into`, if that is an overlay and nobody else writes to it: folders that the copy makes are
    /// filled there, where a file costs a third.
    pub upper: Option<BorrowedFd<'a>>,
}

/// Whose copies are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyOwner {
    /// Of whoever has the source.
    Keep,
    /// One user's and one group's.
    Fixed(u32, u32),
}

/// How much was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopySize {
    /// Files, folders, links and the like, without those that lead to the destination.
    pub entries: u64,
    /// The bytes of files.
    pub bytes: u64,
}

/// Copies what is selected.
///
/// A folder gives what it holds; a folder that is there already takes it in, and those within it take their sources' owners and modes.
/// A file replaces what is there, but no folder. Times are those of the sources; folders that are only written into keep theirs.
pub fn copy(request: &CopyRequest<'_>) -> Result<CopySize, CopyError> {
    copied(request, None)
}

/// Copies what is selected, and remembers files of a sealed tree as they are now where they were put; and forgets what they replace.
pub fn copy_and_keep(request: &CopyRequest<'_>, kept: &mut Kept) -> Result<CopySize, CopyError> {
    copied(request, Some(kept))
}

fn copied(request: &CopyRequest<'_>, kept: Option<&mut Kept>) -> Result<CopySize, CopyError> {
    let mut copier = Copier {
        request,
        kept,
        levels: Vec::new(),
        links: BTreeMap::new(),
        times: BTreeMap::new(),
        upper: request.upper,
        made: BTreeSet::new(),
        contents: Contents::new(),
        size: CopySize::default(),
    };
    walk(&request.selection, &mut copier)?;
    copier.finish()
}

struct Copier<'a> {
    request: &'a CopyRequest<'a>,
    kept: Option<&'a mut Kept>,
    levels: Vec<Level>,
    /// Files of the source with several names, and where the first of them was copied to.
    links: BTreeMap<(u64, u64), (PathBuf, OsString)>,
    /// Folders that have these times in the end, by their paths without links.
    times: BTreeMap<PathBuf, Timespec>,
    /// Where folders that were made are filled.
    upper: Option<BorrowedFd<'a>>,
    /// The outermost folders that were made: they hold nothing but what was put there.
    made: BTreeSet<PathBuf>,
    contents: Contents,
    size: CopySize,
}

/// A folder that is copied into.
struct Level {
    folder: OwnedFd,
    path: PathBuf,
    /// The time it has in the end.
    time: Option<Timespec>,
}

impl Visit for Copier<'_> {
    const LOOKS: bool = false;

    fn source(&mut self, item: &Item<'_>) -> Result<(), CopyError> {
        let request = self.request;
        // Two sources are two copies.
        self.links.clear();
        let destination = if request.destination_is_folder {
            self.lead_to(request.destination)?
        } else {
            let path = real_path(request.into, request.destination).map_err(failed("find", request.destination))?;
            self.lead_to(path.parent().unwrap_or(Path::new("/")))?;
            path
        };
        let there = match look(request.into, &destination) {
            Ok(stat) => Some(FileType::from_raw_mode(stat.st_mode)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed("find", &destination)(error)),
        };
        if item.kind() != FileType::Directory {
            let path = if there == Some(FileType::Directory) { destination.join(item.name) } else { destination };
            let parent = path.parent().unwrap_or(Path::new("/")).to_owned();
            let name = path.file_name().unwrap_or_default();
            let folder = self.folder(&parent)?;
            self.remember_time(&parent, &folder)?;
            return self.put(folder.as_fd(), &parent, name, item);
        }
        match there {
            None => drop(self.lead_to(&destination)?),
            Some(FileType::Directory) => {}
            Some(_) => return Err(CopyError::NoFolder { path: shown(&destination) }),
        }
        let folder = self.folder(&destination)?;
        self.times.insert(destination.clone(), time_of(item.stat));
        self.levels.push(Level { folder, path: destination, time: None });
        Ok(())
    }

    fn enter(&mut self, item: &Item<'_>) -> Result<(), CopyError> {
        let Some(level) = self.levels.last() else { return Ok(()) };
        let path = level.path.join(item.name);
        let wrong = |step| {
            let path = path.clone();
            move |error: Errno| failed(step, &path)(error.into())
        };
        let made = match rustix::fs::mkdirat(&level.folder, item.name, Mode::from_raw_mode(0o700)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(wrong("make")(error)),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = match rustix::fs::openat(&level.folder, item.name, flags, Mode::empty()) {
            Err(Errno::NOTDIR | Errno::LOOP) => return Err(CopyError::NoFolder { path: shown(&path) }),
            folder => folder.map_err(wrong("open"))?,
        };
        let folder = match self.upper {
            Some(_) if made && !self.is_made(&path) => {
                self.made.insert(path.clone());
                self.folder(&path)?
            }
            _ => folder,
        };
        let time = if made || !item.waited {
            self.dress(&folder, item, &path)?;
            Some(time_of(item.stat))
        } else {
            // Docker gives a folder that is there, and is only on the way, nothing but the mode.
            rustix::fs::fchmod(&folder, mode_bits(item.stat.st_mode)).map_err(wrong("set the mode of"))?;
            let stat = rustix::fs::fstat(&folder).map_err(wrong("look at"))?;
            Some(time_of(&stat))
        };
        self.size.entries += 1;
        self.levels.push(Level { folder, path, time });
        Ok(())
    }

    fn leave(&mut self) -> Result<(), CopyError> {
        let Some(Level { folder, path, time }) = self.levels.pop() else { return Ok(()) };
        let Some(time) = time else { return Ok(()) };
        rustix::fs::futimens(&folder, &both(time)).map_err(|error| failed("set the time of", &path)(error.into()))
    }

    fn place(&mut self, item: &Item<'_>) -> Result<(), CopyError> {
        let Some(mut level) = self.levels.pop() else { return Ok(()) };
        let upper = self.upper.is_some();
        self.put(level.folder.as_fd(), &level.path, item.name, item)?;
        if upper && self.upper.is_none() {
            level.folder = self.folder(&level.path)?;
        }
        self.levels.push(level);
        Ok(())
    }
}

impl Copier<'_> {
    /// Sets the times of folders once nothing more is written into them.
    fn finish(self) -> Result<CopySize, CopyError> {
        for (path, time) in &self.times {
            let folder = self.folder(path)?;
            rustix::fs::futimens(&folder, &both(*time)).map_err(|error| failed("set the time of", path)(error.into()))?;
        }
        Ok(self.size)
    }

    /// Whether a folder is one that was made, or lies in one.
    fn is_made(&self, path: &Path) -> bool {
        path.ancestors().any(|at| self.made.contains(at))
    }

    /// Opens a folder of the destination by its path without links.
    fn folder(&self, path: &Path) -> Result<OwnedFd, CopyError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let root = self.upper.filter(|_| self.is_made(path)).unwrap_or(self.request.into);
        match open_beneath(root, path, flags) {
            Err(Errno::NOTDIR | Errno::LOOP) => Err(CopyError::NoFolder { path: shown(path) }),
            folder => folder.map_err(|error| failed("open", path)(error.into())),
        }
    }

    /// From now on all is written through overlay, which from now on may remember what it saw.
    fn leave_upper(&mut self) -> Result<(), CopyError> {
        self.upper = None;
        for place in 0..self.levels.len() {
            self.levels[place].folder = self.folder(&self.levels[place].path)?;
        }
        Ok(())
    }

    fn remember_time(&mut self, path: &Path, folder: &OwnedFd) -> Result<(), CopyError> {
        let stat = rustix::fs::fstat(folder).map_err(|error| failed("look at", path)(error.into()))?;
        self.times.entry(path.to_owned()).or_insert(time_of(&stat));
        Ok(())
    }

    /// Makes the folders that lead to a path, and it; returns it without links.
    fn lead_to(&mut self, path: &Path) -> Result<PathBuf, CopyError> {
        let into = self.request.into;
        let wrong = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotADirectory => CopyError::NoFolder { path: shown(path) },
            _ => failed("make", path)(error),
        };
        let whole = real_path(into, path).map_err(wrong)?;
        if let Some((there, stat)) = whole.ancestors().find_map(|there| Some((there, look(into, there).ok()?))) {
            if there == whole && FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                return Ok(whole);
            }
            self.times.entry(there.to_owned()).or_insert(time_of(&stat));
        }
        let mode = match &self.request.mode {
            Some(ModeChange::Octal(mode)) => *mode & 0o777,
            _ => 0o755,
        };
        let made = make_folders(into, &whole, self.request.folder_owner, mode).map_err(wrong)?;
        self.made.extend(made.first().filter(|first| !self.is_made(first)).cloned());
        for made in made {
            self.times.insert(made, Timespec { tv_sec: self.request.created, tv_nsec: 0 });
        }
        Ok(whole)
    }

    /// Copies anything but a folder to a name in an open folder.
    fn put(&mut self, parent: BorrowedFd<'_>, folder: &Path, name: &OsStr, item: &Item<'_>) -> Result<(), CopyError> {
        let path = folder.join(name);
        let wrong = |step| {
            let path = path.clone();
            move |error: Errno| failed(step, &path)(error.into())
        };
        if item.kind() == FileType::CharacterDevice && item.stat.st_rdev == 0 {
            return Err(CopyError::Whiteout { path: shown(item.real) });
        }
        if let Some(kept) = &mut self.kept {
            kept.forget(&path);
        }
        self.size.entries += 1;
        let identity = (item.stat.st_dev, item.stat.st_ino);
        if item.stat.st_nlink > 1 {
            if let Some((first_folder, first)) = self.links.get(&identity).cloned() {
                // One of them lies in overlay, the other below it.
                if self.upper.is_some() && self.is_made(&first_folder) != self.is_made(folder) {
                    self.leave_upper()?;
                }
                let (from, to) = (self.folder(&first_folder)?, self.folder(folder)?);
                let link = || rustix::fs::linkat(&from, first.as_os_str(), &to, name, AtFlags::empty());
                return replace(to.as_fd(), name, &path, "link", link);
            }
            self.links.insert(identity, (folder.to_owned(), name.to_owned()));
        }
        let kind = item.kind();
        match kind {
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(item.opened, "", Vec::new()).map_err(wrong("read"))?;
                replace(parent, name, &path, "make", || rustix::fs::symlinkat(&*target, parent, name))?;
                let (user, group) = self.owner(item);
                rustix::fs::chownat(parent, name, Some(user), Some(group), NO_FOLLOW).map_err(wrong("set the owner of"))?;
                rustix::fs::utimensat(parent, name, &both(time_of(item.stat)), NO_FOLLOW).map_err(wrong("set the time of"))
            }
            FileType::CharacterDevice | FileType::BlockDevice | FileType::Fifo => {
                let make = || rustix::fs::mknodat(parent, name, kind, Mode::from_raw_mode(0o600), item.stat.st_rdev);
                replace(parent, name, &path, "make", make)?;
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let made = rustix::fs::openat(parent, name, flags, Mode::empty()).map_err(wrong("find"))?;
                // Never opened; our own descriptor, so the magic link is safe.
                let itself = format!("/proc/self/fd/{}", made.as_raw_fd());
                let (user, group) = self.owner(item);
                rustix::fs::chownat(&made, "", Some(user), Some(group), AtFlags::EMPTY_PATH).map_err(wrong("set the owner of"))?;
                rustix::fs::chmod(&itself, self.mode(item)).map_err(wrong("set the mode of"))?;
                let times = both(time_of(item.stat));
                rustix::fs::utimensat(rustix::fs::CWD, &itself, &times, AtFlags::empty()).map_err(wrong("set the time of"))
            }
            // Of a socket there is an empty file, as with Docker.
            _ => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let mode = mode_bits(self.mode(item).bits() & 0o777);
                let open = || rustix::fs::openat(parent, name, flags, mode);
                let file = replace(parent, name, &path, "make", open)?;
                if kind == FileType::RegularFile {
                    let reopened = (item.hold != Hold::Open).then(|| reopen(item.opened.as_fd(), OFlags::RDONLY)).transpose();
                    let reopened = reopened.map_err(|error| failed("open", item.real)(error.into()))?;
                    let source = reopened.as_ref().unwrap_or(item.opened);
                    self.size.bytes += self.contents.copy(source, &file, item.stat).map_err(failed("copy", item.real))?;
                }
                self.dress(&file, item, &path)?;
                rustix::fs::futimens(&file, &both(time_of(item.stat))).map_err(wrong("set the time of"))?;
                if kind == FileType::RegularFile && item.stat.st_nlink == 1 && self.request.selection.sealed {
                    self.keep(item, &path);
                }
                Ok(())
            }
        }
    }

    /// Gives an open file or folder its owner, mode and attributes; the owner first, for a change of it clears set-id bits and capabilities.
    fn dress(&self, open: &OwnedFd, item: &Item<'_>, path: &Path) -> Result<(), CopyError> {
        let wrong = |step| move |error: Errno| failed(step, path)(error.into());
        let (user, group) = self.owner(item);
        // It was made a moment ago, and is right more often than not.
        let stat = rustix::fs::fstat(open).map_err(wrong("look at"))?;
        let is_owned = (stat.st_uid, stat.st_gid) == (user.as_raw(), group.as_raw());
        if !is_owned {
            rustix::fs::fchown(open, Some(user), Some(group)).map_err(wrong("set the owner of"))?;
        }
        if !is_owned || Mode::from_raw_mode(stat.st_mode & 0o7777) != self.mode(item) {
            rustix::fs::fchmod(open, self.mode(item)).map_err(wrong("set the mode of"))?;
        }
        if self.request.selection.sealed || item.kind() == FileType::Socket {
            return Ok(());
        }
        let found = travelling(item.opened.as_fd()).map_err(|error| failed("read the attributes of", item.real)(error.into()))?;
        for (name, value) in found {
            match rustix::fs::fsetxattr(open, &*name, &value, XattrFlags::empty()) {
                Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
                Err(error) => return Err(wrong("set an attribute of")(error)),
            }
        }
        Ok(())
    }

    /// Remembers the file that was copied last.
    fn keep(&mut self, item: &Item<'_>, path: &Path) {
        let ((user, group), mode) = (self.owner(item), self.mode(item));
        if let (Some(kept), Some(contents)) = (&mut self.kept, self.contents.whole()) {
            kept.keep(path, (user.as_raw(), group.as_raw()), mode, item.stat, contents);
        }
    }

    fn owner(&self, item: &Item<'_>) -> (Uid, Gid) {
        let (user, group) = match self.request.owner {
            CopyOwner::Keep => (item.stat.st_uid, item.stat.st_gid),
            CopyOwner::Fixed(user, group) => (user, group),
        };
        (Uid::from_raw(user), Gid::from_raw(group))
    }

    fn mode(&self, item: &Item<'_>) -> Mode {
        let mode = item.stat.st_mode & 0o7777;
        mode_bits(self.request.mode.as_ref().map_or(mode, |change| change.apply(mode, item.kind() == FileType::Directory)))
    }
}

/// Makes something in the place of what has its name, which is removed and never written through.
fn replace<T>(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    path: &Path,
    step: &'static str,
    make: impl Fn() -> Result<T, Errno>,
) -> Result<T, CopyError> {
    let wrong = |error: Errno| failed(step, path)(error.into());
    match make() {
        Err(Errno::EXIST) => {}
        made => return made.map_err(wrong),
    }
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => return Err(CopyError::Folder { path: shown(path) }),
        removed => removed.map_err(wrong)?,
    }
    make().map_err(wrong)
}

fn time_of(stat: &Stat) -> Timespec {
    Timespec { tv_sec: stat.st_mtime, tv_nsec: i64::try_from(stat.st_mtime_nsec).unwrap_or(0) }
}

/// When something was read says nothing about it: it is the time of its last change.
fn both(time: Timespec) -> Timestamps {
    Timestamps { last_access: time, last_modification: time }
}

#[cfg(test)]
mod tests;
