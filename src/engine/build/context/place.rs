//! Names in a tree of ours, each found from its folder. The tree is nobody else's; that no link is followed is left to the kernel all the same.

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Timespec, Timestamps};
use rustix::io::Errno;

/// The folders of a tree, the last one open.
pub(super) struct Places<'a> {
    root: BorrowedFd<'a>,
    last: Option<(Vec<u8>, OwnedFd)>,
}

impl<'a> Places<'a> {
    /// The folders below a root.
    pub(super) fn new(root: BorrowedFd<'a>) -> Self {
        Self { root, last: None }
    }

    /// The folder that a path lies in, and its name there.
    pub(super) fn of<'path>(&mut self, path: &'path [u8]) -> Result<(BorrowedFd<'_>, &'path OsStr), Errno> {
        let Some(slash) = path.iter().rposition(|byte| *byte == b'/') else { return Ok((self.root, OsStr::from_bytes(path))) };
        let (folder, name) = (&path[..slash], OsStr::from_bytes(&path[slash + 1..]));
        if self.last.as_ref().is_none_or(|(last, _)| last != folder) {
            self.last = Some((folder.to_vec(), open_folder(self.root, folder)?));
        }
        let (_, open) = self.last.as_ref().ok_or(Errno::NOENT)?;
        Ok((open.as_fd(), name))
    }

    /// Sets the time of what a path names, a link itself.
    pub(super) fn set_time(&mut self, path: &[u8], nanos: i64) -> Result<(), Errno> {
        let (folder, name) = self.of(path)?;
        rustix::fs::utimensat(folder, name, &times(nanos), AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Sets the mode of what a path names, which is no link.
    pub(super) fn set_mode(&mut self, path: &[u8], mode: u32) -> Result<(), Errno> {
        let (folder, name) = self.of(path)?;
        rustix::fs::chmodat(folder, name, Mode::from_raw_mode(mode), AtFlags::empty())
    }

    /// Removes what a path names; a folder is empty.
    pub(super) fn remove(&mut self, path: &[u8], is_folder: bool) -> Result<(), Errno> {
        let (folder, name) = self.of(path)?;
        rustix::fs::unlinkat(folder, name, if is_folder { AtFlags::REMOVEDIR } else { AtFlags::empty() })
    }
}

/// An instant as both times of a file.
pub(super) fn times(nanos: i64) -> Timestamps {
    let time = Timespec { tv_sec: nanos.div_euclid(1_000_000_000), tv_nsec: nanos.rem_euclid(1_000_000_000) };
    Timestamps { last_access: time, last_modification: time }
}

fn open_folder(root: BorrowedFd<'_>, folder: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    loop {
        match rustix::fs::openat2(root, Path::new(OsStr::from_bytes(folder)), flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            opened => return opened,
        }
    }
}
