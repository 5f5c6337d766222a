//! Files that are written into a container before its command starts.

use std::os::fd::BorrowedFd;

use rustix::fs::{Gid, Mode, OFlags, Uid};

use crate::engine::runtime::beneath::{self, Kind};
use crate::engine::runtime::error::{Errno, LaunchError};
use crate::resource::container::InjectedFile;

/// Writes one, in place of what is there.
pub(super) fn write(root: BorrowedFd<'_>, injected: &InjectedFile) -> Result<(), LaunchError> {
    write_to(root, injected).map_err(|error| LaunchError::step(format!("write {}", injected.target), error))
}

fn write_to(root: BorrowedFd<'_>, injected: &InjectedFile) -> Result<(), Errno> {
    let InjectedFile { target, content, uid, gid, mode } = injected;
    let folder = target.rsplit_once('/').map_or("/", |(folder, _)| folder);
    beneath::ensure(root, folder, Kind::Directory)?;
    put(root, target, content, (*uid, *gid), *mode)
}

/// Writes a file in a folder that is there.
pub(super) fn put(root: BorrowedFd<'_>, path: &str, content: &[u8], (user, group): (u32, u32), mode: u32) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::TRUNC;
    // Nobody but root reads it before it has its owner.
    let file = beneath::create(root, path, flags, Mode::from_raw_mode(0o600))?;
    let mut left = content;
    while !left.is_empty() {
        let written = rustix::io::write(&file, left)?;
        left = &left[written..];
    }
    rustix::fs::fchown(&file, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
    // After the owner: a change of owner clears set-user-id bits.
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode & 0o7777))?;
    Ok(())
}
