//! Paths in a container's root. The kernel resolves them, beneath the root and nowhere else, whatever symbolic links an image or a
//! volume has in store.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};

use crate::engine::runtime::error::Errno;

/// What a path must lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A directory.
    Directory,
    /// Anything else.
    File,
}

/// So many symbolic links the kernel itself follows in one path.
const LINKS: u32 = 40;

/// Opens a path as it would be inside: links are followed and `..` stops at the root.
pub(super) fn open(root: impl AsFd, path: impl AsRef<Path>, flags: OFlags) -> Result<OwnedFd, Errno> {
    open_with(root.as_fd(), path.as_ref(), flags, Mode::empty(), ResolveFlags::empty())
}

/// Opens a path in which nothing may be a symbolic link.
pub(super) fn open_plain(root: impl AsFd, path: impl AsRef<Path>, flags: OFlags) -> Result<OwnedFd, Errno> {
    open_with(root.as_fd(), path.as_ref(), flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
}

/// Opens or makes a file with exactly these permission bits, whatever the umask.
pub(super) fn create(root: impl AsFd, path: impl AsRef<Path>, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    open_with(root.as_fd(), path.as_ref(), flags | OFlags::CREATE, mode, ResolveFlags::empty())
}

fn open_with(root: BorrowedFd<'_>, path: &Path, flags: OFlags, mode: Mode, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
    let resolve = resolve | ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    // EAGAIN: something else renamed or mounted meanwhile, anywhere on the machine; the kernel asks to try again.
    for _ in 0..128 {
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, mode, resolve) {
            Err(rustix::io::Errno::AGAIN) => {}
            result => return Ok(result?),
        }
    }
    Err(Errno(libc::EAGAIN))
}

/// Opens a path, making what is missing of it: directories, and at its end a directory or an empty file.
pub(super) fn ensure(root: impl AsFd, path: impl AsRef<Path>, kind: Kind) -> Result<OwnedFd, Errno> {
    let root = root.as_fd();
    match open(root, &path, OFlags::PATH) {
        Err(Errno(libc::ENOENT)) => {}
        result => return result,
    }
    let place = make(root, path.as_ref(), kind)?;
    open(root, place, OFlags::PATH)
}

/// Walks a path link by link and makes what is missing. Returns the path with every link resolved.
fn make(root: BorrowedFd<'_>, path: &Path, kind: Kind) -> Result<PathBuf, Errno> {
    let mut left: VecDeque<PathBuf> = parts(path).collect();
    let mut here = PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = left.pop_front() {
        if part.as_os_str() == ".." {
            here.pop();
            continue;
        }
        let next = here.join(&part);
        match open(root, &next, OFlags::PATH | OFlags::NOFOLLOW) {
            Ok(found) if is_link(&found)? => {
                links += 1;
                if links > LINKS {
                    return Err(Errno(libc::ELOOP));
                }
                let target = rustix::fs::readlinkat(&found, "", Vec::new())?;
                let target = PathBuf::from(OsStr::from_bytes(target.as_bytes()));
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                    left.push_front(part);
                }
            }
            Ok(_) => here = next,
            Err(Errno(libc::ENOENT)) => {
                let parent = open(root, &here, OFlags::PATH | OFlags::DIRECTORY)?;
                if left.is_empty() && kind == Kind::File {
                    let mode = Mode::from_raw_mode(0o644);
                    rustix::fs::openat(
                        &parent,
                        &part,
                        OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC,
                        mode,
                    )?;
                } else {
                    match rustix::fs::mkdirat(&parent, &part, Mode::from_raw_mode(0o755)) {
                        Err(rustix::io::Errno::EXIST) => {}
                        result => result?,
                    }
                }
                here = next;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(here)
}

fn parts(path: &Path) -> impl Iterator<Item = PathBuf> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(PathBuf::from(name)),
        Component::ParentDir => Some(PathBuf::from("..")),
        _ => None,
    })
}

/// What a descriptor names.
pub(super) fn file_type(descriptor: impl AsFd) -> Result<FileType, Errno> {
    let stat = rustix::fs::statat(descriptor, "", AtFlags::EMPTY_PATH)?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}

fn is_link(descriptor: &OwnedFd) -> Result<bool, Errno> {
    Ok(file_type(descriptor)? == FileType::Symlink)
}

/// A path that names what a descriptor names, for calls that take no descriptor. Only where the host's `/proc` is mounted.
pub(super) fn magic(descriptor: impl AsFd) -> String {
    use std::os::fd::AsRawFd as _;
    format!("/proc/self/fd/{}", descriptor.as_fd().as_raw_fd())
}
