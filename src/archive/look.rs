//! What lies where in a tree: looked at, read, made and removed, without ever leaving it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

use crate::archive::mode_bits;
use crate::archive::tree::{Tree, open_beneath};

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

/// Opens a folder of a tree, every link followed: it may be the root of a tree of its own.
pub fn folder(root: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    Ok(open_beneath(root, path, OFlags::RDONLY | OFlags::DIRECTORY)?)
}

/// What a folder of a tree holds, in order; every link on the way is followed.
pub fn names(root: BorrowedFd<'_>, path: &Path) -> io::Result<Vec<OsString>> {
    let entries = entries(folder(root, path)?.as_fd())?;
    Ok(entries.into_iter().map(|(name, _)| name).collect())
}

/// What an open folder holds, in order, and what each is as far as the folder tells.
pub(super) fn entries(folder: BorrowedFd<'_>) -> io::Result<Vec<(OsString, FileType)>> {
    let mut entries = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            entries.push((OsStr::from_bytes(entry.file_name().to_bytes()).to_owned(), entry.file_type()));
        }
    }
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(entries)
}

/// Opens a file of a tree for reading, every link followed. What is no file is refused before it is opened: a pipe would wait for its
/// writer, and a device may do as it likes.
pub fn open(root: BorrowedFd<'_>, path: &Path) -> io::Result<File> {
    let opened = open_beneath(root, path, OFlags::PATH)?;
    match FileType::from_raw_mode(rustix::fs::fstat(&opened)?.st_mode) {
        FileType::RegularFile => Ok(File::from(reopen(opened.as_fd(), OFlags::RDONLY)?)),
        FileType::Directory => Err(Errno::ISDIR.into()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a file nor a link to one")),
    }
}

/// Reads a file of a tree that is no longer than `maximum`, every link followed.
pub fn read(root: BorrowedFd<'_>, path: &Path, maximum: u64) -> io::Result<Vec<u8>> {
    let mut contents = Vec::new();
    open(root, path)?.take(maximum.saturating_add(1)).read_to_end(&mut contents)?;
    if contents.len() as u64 > maximum {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {maximum} bytes")));
    }
    Ok(contents)
}

/// Makes a folder of a tree and those above it, where they are missing; what is there already stays as it is. Every link on the way is
/// followed, also to where nothing is yet. Without an owner they are whose the folder above makes them. Returns the real paths of what was made, the outermost first.
pub fn make_folders(root: BorrowedFd<'_>, path: &Path, owner: Option<(u32, u32)>, mode: u32) -> io::Result<Vec<PathBuf>> {
    let whole = real_path(root, path)?;
    let mut made = Vec::new();
    let mut at = open_beneath(root, Path::new("."), OFlags::PATH | OFlags::DIRECTORY)?;
    let mut here = PathBuf::from("/");
    // The links are resolved: whatever is one by now was put there meanwhile, and is not followed.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for part in whole.iter().skip(1) {
        here.push(part);
        at = match rustix::fs::openat(&at, part, flags, Mode::empty()) {
            Err(Errno::NOENT) => {
                rustix::fs::mkdirat(&at, part, Mode::from_raw_mode(0o700))?;
                let next = rustix::fs::openat(&at, part, flags, Mode::empty())?;
                let mut bits = mode;
                match owner {
                    Some((user, group)) => rustix::fs::fchown(&next, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?,
                    // A folder may hand down its group, and that it does so.
                    None => bits |= rustix::fs::fstat(&next)?.st_mode & Mode::SGID.bits(),
                }
                rustix::fs::fchmod(&next, mode_bits(bits))?;
                made.push(here.clone());
                next
            }
            next => next?,
        };
    }
    Ok(made)
}

/// Removes what a path names in a tree, a folder with all it holds; a link at the path's end is removed itself. Returns whether
/// anything was there. Whatever something is mounted on or in stays, all of it.
pub fn remove(root: BorrowedFd<'_>, path: &Path) -> io::Result<bool> {
    let Some(name) = last(path)? else { return Err(Errno::BUSY.into()) };
    let parent = path.parent().unwrap_or(Path::new(""));
    let mut tree = Tree::new(open_beneath(root, Path::new("."), OFlags::PATH | OFlags::DIRECTORY)?, PathBuf::new(), false);
    match open_beneath(root, parent, OFlags::PATH | OFlags::DIRECTORY).and_then(|_| tree.clear(parent, name)) {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        outcome => Ok(outcome.map(|()| true)?),
    }
}

/// Removes what a path names in a tree if it is an empty file or an empty folder; a link at the path's end is neither. Returns whether
/// it was removed.
pub fn remove_empty(root: BorrowedFd<'_>, path: &Path) -> io::Result<bool> {
    let Some(name) = last(path)? else { return Ok(false) };
    let parent = match open_beneath(root, path.parent().unwrap_or(Path::new("")), OFlags::PATH | OFlags::DIRECTORY) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(false),
        parent => parent?,
    };
    let flags = match rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(false),
        stat => {
            let stat = stat?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => AtFlags::REMOVEDIR,
                FileType::RegularFile if stat.st_size == 0 => AtFlags::empty(),
                _ => return Ok(false),
            }
        }
    };
    match rustix::fs::unlinkat(&parent, name, flags) {
        Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT) => Ok(false),
        outcome => Ok(outcome.map(|()| true)?),
    }
}

/// The name at a path's end; none for the root. A path that ends in `..` names no entry of a folder.
fn last(path: &Path) -> io::Result<Option<&OsStr>> {
    match path.components().next_back() {
        Some(Component::Normal(name)) => Ok(Some(name)),
        Some(Component::ParentDir) => Err(Errno::INVAL.into()),
        _ => Ok(None),
    }
}

/// Opens what a descriptor only names; our own descriptor, so the magic link is safe.
pub(super) fn reopen(opened: BorrowedFd<'_>, flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = format!("/proc/self/fd/{}", opened.as_raw_fd());
    rustix::fs::open(path, flags | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, symlink};

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

    #[test]
    fn what_is_in_a_tree_is_read_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("root/d")).expect("folders");
        fs::write(at("secret"), "secret").expect("a file");
        fs::write(at("root/d/file"), "text").expect("a file");
        for (name, target) in [("in", "/d/file"), ("out", "../secret"), ("far", "/../../../etc/passwd"), ("dir", "d")] {
            symlink(target, at("root").join(name)).expect("a link");
        }
        rustix::fs::mknodat(rustix::fs::CWD, at("root/pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a pipe");
        let root = open_folder(&at("root")).expect("the tree");
        let text = |path: &str, maximum| read(root.as_fd(), Path::new(path), maximum).map_err(|error| error.kind());
        assert_eq!(text("in", 4), Ok(b"text".to_vec()));
        assert_eq!(text("/dir/file", 3), Err(io::ErrorKind::FileTooLarge));
        for (path, expect) in [
            ("out", io::ErrorKind::NotFound),
            ("far", io::ErrorKind::NotFound),
            ("../secret", io::ErrorKind::NotFound),
            ("d", io::ErrorKind::IsADirectory),
            ("pipe", io::ErrorKind::InvalidInput),
        ] {
            assert_eq!(text(path, 9), Err(expect), "{path}");
        }
        assert_eq!(names(root.as_fd(), Path::new("/")).expect("names"), ["d", "dir", "far", "in", "out", "pipe"]);
        assert_eq!(names(root.as_fd(), Path::new("dir")).expect("names"), ["file"]);
        assert!(folder_of(root.as_fd(), "in").is_err());
    }

    fn folder_of(root: BorrowedFd<'_>, path: &str) -> io::Result<OwnedFd> {
        super::folder(root, Path::new(path))
    }

    #[test]
    fn folders_are_made_and_removed_within_the_tree() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("root/there")).expect("folders");
        symlink("/made/later", at("root/link")).expect("a link");
        symlink("../../../up", at("root/onward")).expect("a link");
        fs::write(at("root/file"), "x").expect("a file");
        fs::write(at("root/empty"), "").expect("a file");
        let root = open_folder(&at("root")).expect("the tree");
        let make = |path: &str| make_folders(root.as_fd(), Path::new(path), Some((7, 8)), 0o750);
        let check = |path: &str, expect: &[&str]| {
            assert_eq!(make(path).expect(path), expect.iter().map(PathBuf::from).collect::<Vec<_>>(), "{path}");
        };
        check("/there", &[]);
        check("/", &[]);
        check("link/x", &["/made", "/made/later", "/made/later/x"]);

        check("onward", &["/up"]);
        assert!(make("file/x").is_err() && make("file").is_err());
        let made = fs::metadata(at("root/made/later/x")).expect("it");
        assert_eq!((made.uid(), made.gid(), made.mode() & 0o7777), (7, 8, 0o750));
        assert!(!at("up").exists());

        let gone = |path: &str| remove(root.as_fd(), Path::new(path)).map_err(|error| error.kind());
        let gone_if_empty = |path: &str| remove_empty(root.as_fd(), Path::new(path)).map_err(|error| error.kind());
        for (path, expect) in [("file", false), ("empty", true), ("made", false), ("link/x", true), ("link", false), ("none/x", false)] {
            assert_eq!(gone_if_empty(path), Ok(expect), "{path}");
        }
        for (path, expect) in [("link", true), ("link", false), ("made", true), ("file/x", false), ("none/x", false), ("file", true)] {
            assert_eq!(gone(path), Ok(expect), "{path}");
        }
        assert!(gone("/").is_err() && gone("there/..").is_err() && at("root/there").exists());
    }
}
