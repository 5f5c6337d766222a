//! What lies where in a tree.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, OFlags, Stat};
use rustix::io::Errno;

use crate::archive::tree::open_beneath;

/// What a path names in a tree, without following a link at its end, unless it ends in a slash.
pub fn look(root: BorrowedFd<'_>, path: &Path) -> io::Result<Stat> {
    let opened = open_beneath(root, path, OFlags::PATH | OFlags::NOFOLLOW)?;
    Ok(rustix::fs::fstat(&opened)?)
}

/// Where a path leads in a tree when every link is followed; what is missing at its end stays as it is written.
pub fn real_path(root: BorrowedFd<'_>, path: &Path) -> io::Result<PathBuf> {
    let mut left: Vec<OsString> = components(path).rev().collect();
    let mut here = PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = left.pop() {
        if part == ".." {
            here.pop();
            continue;
        }
        let next = here.join(&part);
        let opened = match open_beneath(root, &next, OFlags::PATH | OFlags::NOFOLLOW) {
            Err(Errno::NOENT) => {
                here = next;
                continue;
            }
            opened => opened?,
        };
        let stat = rustix::fs::statat(&opened, "", AtFlags::EMPTY_PATH)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            here = next;
            continue;
        }
        links += 1;
        if links > 40 {
            return Err(Errno::LOOP.into());
        }
        let target = rustix::fs::readlinkat(&opened, "", Vec::new())?;
        let target = Path::new(OsStr::from_bytes(target.to_bytes()));
        if target.is_absolute() {
            here = "/".into();
        }
        left.extend(components(target).rev());
    }
    Ok(here)
}

fn components(path: &Path) -> impl DoubleEndedIterator<Item = OsString> + '_ {
    path.as_os_str()
        .as_bytes()
        .split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
        .map(|part| OsStr::from_bytes(part).to_owned())
}

/// Whether a path in a tree leads to a folder, every link followed.
pub fn is_folder(root: BorrowedFd<'_>, path: &Path) -> io::Result<bool> {
    let opened = open_beneath(root, path, OFlags::PATH)?;
    let stat = rustix::fs::fstat(opened.as_fd())?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::archive::open_folder;

    #[test]
    fn links_are_followed_within_the_tree() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("data/inner")).expect("folders");
        std::fs::write(folder.path().join("data/file"), "x").expect("a file");
        for (name, target) in [("abs", "/data/file"), ("up", "../../../../data"), ("loop", "loop"), ("nowhere", "/missing/thing")] {
            symlink(target, folder.path().join(name)).expect("a link");
        }
        let root = open_folder(folder.path()).expect("the tree");
        let check =
            |path: &str, expect: &str| assert_eq!(real_path(root.as_fd(), Path::new(path)).expect(path), Path::new(expect), "{path}");
        check("/abs", "/data/file");
        check("up/inner/../file", "/data/file");
        check("nowhere", "/missing/thing");
        check("/../../..", "/");
        check("/new/name", "/new/name");
        assert!(real_path(root.as_fd(), Path::new("loop")).is_err());
        assert!(is_folder(root.as_fd(), Path::new("up")).expect("there") && !is_folder(root.as_fd(), Path::new("abs")).expect("there"));
        let kind = |path: &str| look(root.as_fd(), Path::new(path)).map(|stat| FileType::from_raw_mode(stat.st_mode)).ok();
        assert_eq!((kind("up"), kind("up/"), kind("abs/")), (Some(FileType::Symlink), Some(FileType::Directory), None));
    }
}
