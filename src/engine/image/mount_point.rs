//! The lowest layer of every root: empty folders and files to mount on. With them there, a start never makes an inode in the upper directory.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::engine::image::error::ImageError;

/// What lies below all layers of a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum MountPoints {
    /// What Docker makes in the init layer of a container, where the image has none.
    Container,
    /// What a command of a build needs: it is to find nothing that the image has not.
    Build,
    /// Nothing: files are read and written from outside.
    None,
}

impl MountPoints {
    const ALL: [Self; 3] = [Self::Container, Self::Build, Self::None];

    /// Its name under `layers/`, short like a layer's; no layer has a name of one digit.
    pub(super) const fn folder(self) -> &'static str {
        match self {
            Self::Container => "m",
            Self::Build => "b",
            Self::None => "e",
        }
    }

    /// Whether this is the name of one.
    pub(super) fn is_folder(name: &str) -> bool {
        Self::ALL.iter().any(|kind| kind.folder() == name)
    }

    const fn folders(self) -> &'static [&'static str] {
        match self {
            Self::Container | Self::Build => &["dev", "dev/pts", "dev/shm", "etc", "proc", "sys"],
            Self::None => &[],
        }
    }

    const fn files(self) -> &'static [&'static str] {
        match self {
            Self::Container => &[".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf"],
            Self::Build => &["dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf"],
            Self::None => &[],
        }
    }
}

/// Makes what is missing of all of them below `layers/`.
pub(super) fn make(layers: &Path) -> Result<(), ImageError> {
    let there = |outcome: io::Result<()>| match outcome {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    };
    for kind in MountPoints::ALL {
        let root = layers.join(kind.folder());
        there(fs::create_dir(&root)).map_err(ImageError::disk("make", &root))?;
        for path in kind.folders().iter().map(|folder| root.join(folder)) {
            there(fs::create_dir(&path)).map_err(ImageError::disk("make", &path))?;
        }
        for path in kind.files().iter().map(|file| root.join(file)) {
            there(File::create_new(&path).map(drop)).map_err(ImageError::disk("make", &path))?;
        }
    }
    let path = layers.join(MountPoints::Container.folder()).join("etc/mtab");
    there(symlink("/proc/mounts", &path)).map_err(ImageError::disk("make", &path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_completed() {
        let data = tempfile::tempdir().expect("a temporary folder");
        let root = data.path().join(MountPoints::Container.folder());
        make(data.path()).expect("mount points");
        fs::remove_file(root.join("etc/hosts")).expect("a file");
        make(data.path()).expect("mount points");
        assert!(root.join("etc/hosts").is_file() && root.join("proc").is_dir());
    }
}
