//! What the upper folder of an overlay changes of what lies below it, path by path.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::archive::layer::{attribute, is_whiteout};
use crate::archive::opaque::{Opacity, opacity};
use crate::archive::pack::{DEEPEST, Level, PackError, deep, level, unread};

/// What became of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// It is not what it was, or something in it is not.
    Modified,
    /// It was not there.
    Added,
    /// It is gone.
    Deleted,
}

/// Compares the upper folder of an overlay with the tree that it lies on, in the order of names; a folder is told before what is in it.
///
/// As Docker compares: what has the same owner, mode, size and time is the same. A folder is told where it, or anything in it, is another,
/// and of a folder that is gone, or has become something else, nothing more than that.
pub fn differences(upper: &Path, below: BorrowedFd<'_>) -> Result<Vec<(PathBuf, Difference)>, PackError> {
    let top = rustix::fs::open(upper, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| PackError::Read { path: upper.display().to_string(), source: error.into() })?;
    let below = rustix::fs::openat(below, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| unread(b".", error))?;
    let mut comparison = Comparison { floors: Vec::new(), found: Vec::new() };
    comparison.tree(top, below)?;
    Ok(comparison.found)
}

struct Comparison {
    floors: Vec<Floor>,
    found: Vec<(PathBuf, Difference)>,
}

/// A folder that is gone through.
struct Floor {
    level: Level,
    /// The same folder in the tree below, if it is there.
    below: Option<OwnedFd>,
    /// Names that the tree below has and this folder hides.
    hidden: std::vec::IntoIter<CString>,
    /// It is in the list, or needs not be.
    told: bool,
    /// Files with overlay's attribute in it are whiteouts.
    marked: bool,
}

impl Comparison {
    fn tree(&mut self, top: OwnedFd, below: OwnedFd) -> Result<(), PackError> {
        let mut at = Vec::new();
        self.enter(top, Some(below), true, &mut at)?;
        while let Some(floor) = self.floors.last_mut() {
            at.truncate(floor.level.length);
            if let Some((name, _)) = floor.level.names.next() {
                at.extend_from_slice(name.to_bytes());
                self.compare(&name, &mut at)?;
            } else if let Some(name) = floor.hidden.next() {
                at.extend_from_slice(name.to_bytes());
                self.tell(&at, Difference::Deleted);
            } else {
                self.floors.pop();
            }
        }
        Ok(())
    }

    fn compare(&mut self, name: &CStr, at: &mut Vec<u8>) -> Result<(), PackError> {
        let floor = self.floors.last().expect("a name is a folder's");
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = |folder: BorrowedFd<'_>| match rustix::fs::openat(folder, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => Ok(None),
            opened => opened.map(Some).map_err(|error| unread(at, error)),
        };
        // One that went away since the folder was listed is told by the next comparison.
        let Some(opened) = open(floor.level.folder.as_fd())? else { return Ok(()) };
        let before = floor.below.as_ref().map(|below| open(below.as_fd())).transpose()?.flatten();
        let stat = rustix::fs::fstat(&opened).map_err(|error| unread(at, error))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if is_whiteout(&opened, &stat, kind, floor.marked, at)? {
            if before.is_some() {
                self.tell(at, Difference::Deleted);
            }
            return Ok(());
        }
        let difference = match &before {
            None => Some(Difference::Added),
            Some(before) => differs((&opened, &stat), before, at)?.then_some(Difference::Modified),
        };
        if let Some(difference) = difference {
            self.tell(at, difference);
        }
        if kind == FileType::Directory {
            let before = before.filter(|before| rustix::fs::fstat(before).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == kind));
            self.enter(opened, before, difference.is_some(), at)?;
        }
        Ok(())
    }

    fn enter(&mut self, opened: OwnedFd, below: Option<OwnedFd>, told: bool, at: &mut Vec<u8>) -> Result<(), PackError> {
        if self.floors.len() == DEEPEST {
            return Err(deep(at));
        }
        let opacity = opacity(&opened, at)?;
        let level = level(opened.as_fd(), c".", at)?;
        let hidden = match &below {
            Some(below) if opacity == Opacity::Opaque => hidden(below.as_fd(), level.names.as_slice(), at)?,
            _ => Vec::new(),
        };
        self.floors.push(Floor { level, below, hidden: hidden.into_iter(), told, marked: opacity == Opacity::Marked });
        Ok(())
    }

    /// Puts a path into the list, behind the folders that it is in.
    fn tell(&mut self, at: &[u8], difference: Difference) {
        let path = |name: &[u8]| Path::new("/").join(OsStr::from_bytes(name));
        for floor in self.floors.iter_mut().filter(|floor| !floor.told) {
            floor.told = true;
            self.found.push((path(&at[..floor.level.length - 1]), Difference::Modified));
        }
        self.found.push((path(at), difference));
    }
}

/// The names in a folder of the tree below that are not among these, in order.
fn hidden(below: BorrowedFd<'_>, names: &[(CString, FileType)], at: &[u8]) -> Result<Vec<CString>, PackError> {
    let known: BTreeSet<&CStr> = names.iter().map(|(name, _)| name.as_c_str()).collect();
    let there = level(below, c".", &mut at.to_vec())?.names.map(|(name, _)| name);
    Ok(there.filter(|name| !known.contains(name.as_c_str())).collect())
}

/// Whether something is another than what was there before. Overlay copies up what is only opened for writing.
fn differs((now, stat): (&OwnedFd, &Stat), before: &OwnedFd, at: &[u8]) -> Result<bool, PackError> {
    let old = rustix::fs::fstat(before).map_err(|error| unread(at, error))?;
    let known = |stat: &Stat| (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_rdev);
    let contents = |stat: &Stat| (stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
    let kind = FileType::from_raw_mode(stat.st_mode);
    if known(stat) != known(&old) || kind != FileType::Directory && contents(stat) != contents(&old) {
        return Ok(true);
    }
    let capability = |file: &OwnedFd| attribute(file, "security.capability", at);
    Ok(kind == FileType::RegularFile && capability(now)? != capability(before)?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use rustix::fs::{CWD, XattrFlags};

    use super::*;
    use crate::archive::open_folder;

    /// Makes the files and folders (those that end in a slash) of a tree; their times are alike.
    fn tree(paths: &[&str]) -> tempfile::TempDir {
        let top = tempfile::tempdir().expect("a folder");
        for path in paths {
            let at = top.path().join(path);
            fs::create_dir_all(if path.ends_with('/') { &at } else { at.parent().expect("a parent") }).expect("folders");
            if !path.ends_with('/') {
                fs::write(&at, "x").expect("a file");
                let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(9);
                fs::File::options().write(true).open(&at).and_then(|file| file.set_modified(time)).expect("a time");
            }
        }
        top
    }

    fn compared(upper: &Path, below: &Path) -> Vec<String> {
        let below = open_folder(below).expect("a folder");
        let found = differences(upper, below.as_fd()).expect("compared");
        let word = |difference| match difference {
            Difference::Modified => 'C',
            Difference::Added => 'A',
            Difference::Deleted => 'D',
        };
        found.iter().map(|(path, difference)| format!("{} {}", word(*difference), path.display())).collect()
    }

    #[test]
    fn folders_are_told_before_what_is_in_them() {
        let below = tree(&["etc/a", "etc/b", "etc/deep/er/c", "same/file", "was/folder/x", "file"]);
        let upper = tree(&["etc/a", "etc/deep/er/new", "same/file", "was/folder", "file/now/folder", "fresh/one/"]);
        let at = |name: &str| upper.path().join(name);
        fs::write(at("etc/a"), "longer").expect("a file");
        rustix::fs::mknodat(CWD, at("etc/b"), FileType::CharacterDevice, Mode::empty(), 0).expect("a whiteout");
        rustix::fs::mknodat(CWD, at("etc/never"), FileType::CharacterDevice, Mode::empty(), 0).expect("a whiteout");
        let expect = [
            "C /etc",
            "C /etc/a",
            "D /etc/b",
            "C /etc/deep",
            "C /etc/deep/er",
            "A /etc/deep/er/new",
            "C /file",
            "A /file/now",
            "A /file/now/folder",
            "A /fresh",
            "A /fresh/one",
            "C /was",
            "C /was/folder",
        ];
        assert_eq!(compared(upper.path(), below.path()), expect);
        assert!(compared(tree(&["same/file", "etc/a"]).path(), below.path()).is_empty());
    }

    #[test]
    fn folders_too_deep_within_each_other_are_refused_as_that() {
        let upper = tree(&[&"d/".repeat(300)]);
        let below = open_folder(upper.path()).expect("a folder");
        let refused = differences(upper.path(), below.as_fd()).expect_err("too deep").to_string();
        assert!(refused.ends_with("lies in more than 256 folders"), "{refused}");
    }

    #[test]
    fn a_folder_that_hides_what_is_below_it_has_lost_that() {
        let below = tree(&["d/gone", "d/kept", "e/f"]);
        let upper = tree(&["d/kept", "d/new", "e/"]);
        for name in ["d", "e"] {
            rustix::fs::setxattr(upper.path().join(name), "trusted.overlay.opaque", b"y", XattrFlags::empty()).expect("an attribute");
        }
        fs::set_permissions(upper.path().join("e"), fs::Permissions::from_mode(0o700)).expect("a mode");
        assert_eq!(compared(upper.path(), below.path()), ["C /d", "A /d/new", "D /d/gone", "C /e", "D /e/f"]);
    }
}
