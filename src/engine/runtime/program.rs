//! The program that shims run: this very binary, as a file that nobody in a container can write to.

use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{CWD, MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use crate::engine::runtime::error::{Errno, LaunchError};
use crate::engine::runtime::kernel::{MOUNT_READ_ONLY, MountChange, mount_setattr};
use crate::engine::runtime::mount;

/// An open copy of this binary.
///
/// A container's process can reach the binary of a shim through `/proc/PID/exe`, and once overwrote runc that way (CVE-2019-5736). What
/// it reaches here is a read-only mount of its own, or a sealed file in memory.
#[derive(Debug)]
pub(super) struct Program {
    file: OwnedFd,
}

impl Program {
    pub(super) fn open() -> Result<Self, LaunchError> {
        let file = detached().or_else(|_| in_memory()).map_err(|error| LaunchError::step("open this program for its shims", error))?;
        Ok(Self { file })
    }

    /// Where a child of this process finds it.
    pub(super) fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.file.as_raw_fd()).into()
    }
}

/// A mount of the file alone, attached nowhere.
fn detached() -> Result<OwnedFd, Errno> {
    let mount = mount::copy(CWD, "/proc/self/exe", false)?;
    mount_setattr(mount.as_fd(), MountChange { set: MOUNT_READ_ONLY, ..MountChange::default() })?;
    Ok(mount)
}

/// A copy for where the file has been deleted, or mounts cannot be copied.
fn in_memory() -> Result<OwnedFd, Errno> {
    let mut copy = File::from(memfd_create("gantry", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    std::io::copy(&mut File::open("/proc/self/exe")?, &mut copy)?;
    fcntl_add_seals(&copy, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(copy.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_this_program_and_cannot_be_written() {
        let own = std::fs::read("/proc/self/exe").expect("this program");
        for file in [detached().expect("a mount"), in_memory().expect("a copy")] {
            let program = Program { file };
            assert!(std::fs::read(program.path()).expect("it can be read") == own);
            let written =
                File::options().write(true).open(program.path()).and_then(|file| rustix::io::write(file, b"x").map_err(Into::into));
            assert!(written.is_err());
        }
    }
}
