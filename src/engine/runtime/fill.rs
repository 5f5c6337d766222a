//! A new volume takes over what the image has where it is mounted: content, owners, modes, times, attributes.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags};

use crate::engine::runtime::beneath;
use crate::engine::runtime::error::{Errno, LaunchError};

/// Copies the folder at `target` of the container's root into `volume`, if that is empty.
pub(super) fn from_image(root: BorrowedFd<'_>, target: &str, volume: BorrowedFd<'_>) -> Result<(), LaunchError> {
    fill(root, target, volume).map_err(|error| LaunchError::step(format!("fill the volume at {target} from the image"), error))
}

fn fill(root: BorrowedFd<'_>, target: &str, volume: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let source = match beneath::open(root, target, flags) {
        // The image has nothing there.
        Err(Errno(libc::ENOENT | libc::ENOTDIR)) => return Ok(()),
        result => result?,
    };
    let to = rustix::fs::openat(volume, ".", flags, Mode::empty())?;
    if !names(&to)?.is_empty() {
        return Ok(());
    }
    copy_folder(&source, &to)
}

/// The names in a folder, without itself and the one above.
fn names(folder: &OwnedFd) -> Result<Vec<std::ffi::CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

fn copy_folder(from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
    for name in names(from)? {
        copy_entry(from, to, &name)?;
    }
    copy_attributes(from, to)?;
    dress(to, &rustix::fs::fstat(from)?)
}

fn copy_entry(from: &OwnedFd, to: &OwnedFd, name: &CStr) -> Result<(), Errno> {
    let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let open = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            rustix::fs::mkdirat(to, name, Mode::from_raw_mode(0o700))?;
            let flags = open | OFlags::DIRECTORY;
            copy_folder(&rustix::fs::openat(from, name, flags, Mode::empty())?, &rustix::fs::openat(to, name, flags, Mode::empty())?)
        }
        FileType::RegularFile => {
            let source = rustix::fs::openat(from, name, open, Mode::empty())?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let copy = rustix::fs::openat(to, name, flags, Mode::from_raw_mode(0o600))?;
            std::io::copy(&mut std::fs::File::from(source.try_clone()?), &mut std::fs::File::from(copy.try_clone()?))?;
            copy_attributes(&source, &copy)?;
            dress(&copy, &stat)
        }
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(from, name, Vec::new())?;
            rustix::fs::symlinkat(target.as_c_str(), to, name)?;
            own(to.as_fd(), name, &stat)
        }
        // Whoever listened is not there any more.
        FileType::Socket => Ok(()),
        kind => {
            rustix::fs::mknodat(to, name, kind, Mode::from_raw_mode(stat.st_mode & 0o7777), stat.st_rdev)?;
            own(to.as_fd(), name, &stat)
        }
    }
}

fn owner(stat: &Stat) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))
}

fn times(stat: &Stat) -> Result<Timestamps, Errno> {
    let time = |seconds: i64, nanoseconds: u64| -> Result<Timespec, Errno> {
        Ok(Timespec { tv_sec: seconds, tv_nsec: nanoseconds.try_into().map_err(|_| Errno(libc::EOVERFLOW))? })
    };
    Ok(Timestamps { last_access: time(stat.st_atime, stat.st_atime_nsec)?, last_modification: time(stat.st_mtime, stat.st_mtime_nsec)? })
}

/// Owner and times of what cannot be opened.
fn own(folder: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> Result<(), Errno> {
    let (uid, gid) = owner(stat);
    rustix::fs::chownat(folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(rustix::fs::utimensat(folder, name, &times(stat)?, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Owner, mode and times. The owner first: a change of it clears set-user-id bits. The times last: everything else changes them.
fn dress(file: &OwnedFd, stat: &Stat) -> Result<(), Errno> {
    let (uid, gid) = owner(stat);
    rustix::fs::fchown(file, uid, gid)?;
    rustix::fs::fchmod(file, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    Ok(rustix::fs::futimens(file, &times(stat)?)?)
}

/// Extended attributes: access lists, file capabilities, the user's own. A file system without them takes none.
fn copy_attributes(from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
    let mut list = vec![0u8; 64 << 10];
    let length = match rustix::fs::flistxattr(from, &mut list[..]) {
        Err(rustix::io::Errno::OPNOTSUPP) => return Ok(()),
        result => result?,
    };
    for name in list[..length].split_inclusive(|byte| *byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        // The overlay's own notes, and labels that belong to the place and not to the file.
        if name.to_bytes().starts_with(b"trusted.overlay.") || name == c"security.selinux" {
            continue;
        }
        let mut value = vec![0u8; 64 << 10];
        let length = rustix::fs::fgetxattr(from, name, &mut value[..])?;
        match rustix::fs::fsetxattr(to, name, &value[..length], XattrFlags::empty()) {
            Err(rustix::io::Errno::OPNOTSUPP) => {}
            result => result?,
        }
    }
    Ok(())
}
