//! The lowest layer of every root: empty folders and files to mount on. With them there, a start never makes an inode in the upper directory.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::engine::image::error::ImageError;

/// Its name under `layers/`, short like a layer's; no layer has a name of one digit.
pub(super) const FOLDER: &str = "m";

/// What Docker makes in its init layer, where the image has none.
const FOLDERS: [&str; 6] = ["dev", "dev/pts", "dev/shm", "etc", "proc", "sys"];
const FILES: [&str; 5] = [".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf"];

/// Makes what is missing.
pub(super) fn make(root: &Path) -> Result<(), ImageError> {
    let there = |outcome: io::Result<()>| match outcome {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    };
    there(fs::create_dir(root)).map_err(ImageError::disk("make", root))?;
    for path in FOLDERS.map(|folder| root.join(folder)) {
        there(fs::create_dir(&path)).map_err(ImageError::disk("make", &path))?;
    }
    for path in FILES.map(|file| root.join(file)) {
        there(File::create_new(&path).map(drop)).map_err(ImageError::disk("make", &path))?;
    }
    let path = root.join("etc/mtab");
    there(symlink("/proc/mounts", &path)).map_err(ImageError::disk("make", &path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_completed() {
        let data = tempfile::tempdir().expect("a temporary folder");
        let root = data.path().join(FOLDER);
        make(&root).expect("mount points");
        fs::remove_file(root.join("etc/hosts")).expect("a file");
        make(&root).expect("mount points");
        assert!(root.join("etc/hosts").is_file() && root.join("proc").is_dir());
    }
}
