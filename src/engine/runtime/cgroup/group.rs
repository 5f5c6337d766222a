//! One control group: a folder of the kernel's, and the files in it.

use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use crate::engine::runtime::error::{Errno, LaunchError};

/// An open control group.
#[derive(Debug)]
pub(super) struct Group {
    folder: OwnedFd,
    /// For messages.
    name: String,
}

impl Group {
    /// The root of a hierarchy.
    pub(super) fn root(folder: OwnedFd, name: &str) -> Self {
        Self { folder, name: name.to_owned() }
    }

    /// A group below this one.
    pub(super) fn open(&self, name: &str) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(&self.folder, name, flags, Mode::empty())?;
        Ok(Self { folder, name: format!("{}/{name}", self.name) })
    }

    /// Makes a group below this one, or opens it.
    pub(super) fn make(&self, name: &str) -> Result<Self, LaunchError> {
        let failed = |error: Errno| LaunchError::step(format!("make the control group {}/{name}", self.name), error);
        match rustix::fs::mkdirat(&self.folder, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => self.open(name).map_err(failed),
            Err(error) => Err(failed(error.into())),
        }
    }

    /// Makes a group below this one, empty and without limits.
    pub(super) fn make_fresh(&self, name: &str) -> Result<Self, LaunchError> {
        match self.remove(name) {
            Ok(()) | Err(Errno(libc::ENOENT)) => self.make(name),
            Err(error) => Err(LaunchError::step(format!("remove what is left of the control group {}/{name}", self.name), error)),
        }
    }

    /// Removes a group below this one in which nothing is.
    pub(super) fn remove_empty(&self, name: &str) -> Result<(), Errno> {
        Ok(rustix::fs::unlinkat(&self.folder, name, AtFlags::REMOVEDIR)?)
    }

    /// Removes a group below this one, and whatever is below it.
    pub(super) fn remove(&self, name: &str) -> Result<(), Errno> {
        match rustix::fs::unlinkat(&self.folder, name, AtFlags::REMOVEDIR) {
            // Groups that the container made.
            Err(rustix::io::Errno::BUSY | rustix::io::Errno::NOTEMPTY) => {}
            result => return Ok(result?),
        }
        let group = self.open(name)?;
        for below in group.groups()? {
            group.remove(&below)?;
        }
        Ok(rustix::fs::unlinkat(&self.folder, name, AtFlags::REMOVEDIR)?)
    }

    /// The names of the groups below this one.
    pub(super) fn groups(&self) -> Result<Vec<String>, Errno> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy();
            if entry.file_type() == FileType::Directory && name != "." && name != ".." {
                names.push(name.into_owned());
            }
        }
        Ok(names)
    }

    /// Opens one of its files.
    pub(super) fn file(&self, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        Ok(rustix::fs::openat(&self.folder, name, flags | OFlags::CLOEXEC, Mode::empty())?)
    }

    /// Whether it has a file of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        rustix::fs::accessat(&self.folder, name, rustix::fs::Access::EXISTS, AtFlags::empty()).is_ok()
    }

    /// The text of one of its files.
    pub(super) fn read(&self, name: &str) -> Result<String, Errno> {
        let mut text = String::new();
        std::fs::File::from(self.file(name, OFlags::RDONLY)?).read_to_string(&mut text)?;
        Ok(text)
    }

    /// Writes to one of its files.
    pub(super) fn write(&self, name: &str, value: &str) -> Result<(), Errno> {
        rustix::io::write(self.file(name, OFlags::WRONLY)?, value.as_bytes())?;
        Ok(())
    }

    /// Sets a limit.
    pub(super) fn set(&self, name: &str, value: &str) -> Result<(), LaunchError> {
        self.write(name, value).map_err(|error| match error {
            Errno(libc::EINVAL | libc::ERANGE) => LaunchError::Invalid(format!("the kernel does not take `{value}` for {name}")),
            error => LaunchError::step(format!("set {name} to {value}"), error),
        })
    }

    /// The number that one of its files holds; what is written in words is none.
    pub(super) fn bytes(&self, name: &str) -> Option<u64> {
        self.read(name).ok()?.trim().parse().ok()
    }

    /// The number behind a word in one of its files, as in `memory.events`.
    pub(super) fn number(&self, name: &str, word: &str) -> Option<u64> {
        let text = self.read(name).ok()?;
        text.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' ')?.trim().parse().ok())
    }
}

impl AsFd for Group {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }
}
