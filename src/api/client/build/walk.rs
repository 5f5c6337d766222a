//! A folder of a client is listed for a build: in the order of names, and without following a link.

use std::ffi::{CString, OsStr};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::api::client::build::selection::{Part, Selection};
use crate::resource::context::{ContextEntry, EntryKind};
use crate::resource::failure::Failure;

/// Folders within each other that are followed; an honest tree has fewer.
const DEEPEST: usize = 256;

/// Links that lead to links are followed so often.
const ROUNDS: usize = 40;

/// Opens the folder of a context.
pub(super) fn open(folder: &Path) -> Result<OwnedFd, Failure> {
    rustix::fs::open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(|error| match error {
        Errno::NOENT => Failure::not_found(format!("the build context `{}` does not exist", folder.display())),
        Errno::NOTDIR => Failure::invalid(format!("the build context `{}` is no folder", folder.display())),
        error => unread(folder.as_os_str().as_bytes(), error),
    })
}

/// Lists what is selected of a folder.
pub(super) fn list(root: BorrowedFd<'_>, selection: &mut Selection) -> Result<Vec<ContextEntry>, Failure> {
    for _ in 0..ROUNDS {
        let mut walk = Walk { selection, entries: Vec::new(), folders: Vec::new(), is_wider: false, began: now() };
        let top = walk.selection.top();
        walk.folder(root, b"", &top, 0)?;
        if !walk.is_wider {
            return Ok(walk.entries);
        }
    }
    Err(Failure::invalid("the symbolic links that the Dockerfile copies lead to ever more links"))
}

struct Walk<'a> {
    selection: &'a mut Selection,
    entries: Vec<ContextEntry>,
    /// Folders on the way that are listed only if something in them is.
    folders: Vec<Option<ContextEntry>>,
    /// A link led to more.
    is_wider: bool,
    /// When it began, in nanoseconds since 1970.
    began: i64,
}

impl Walk<'_> {
    fn folder(&mut self, folder: BorrowedFd<'_>, path: &[u8], part: &Part, depth: usize) -> Result<(), Failure> {
        if depth == DEEPEST {
            let message = format!(
                "`{}` of the build context lies in more than {DEEPEST} folders: what the build does not need can be named in .dockerignore",
                printable(path)
            );
            return Err(Failure::invalid(message));
        }
        for (name, hint) in names(folder).map_err(|error| unread(path, error))? {
            let bytes = name.as_bytes();
            let whole = if path.is_empty() { bytes.to_vec() } else { [path, b"/", bytes].concat() };
            let (text, name_text) = (String::from_utf8_lossy(&whole), String::from_utf8_lossy(bytes));
            let Some(below) = self.selection.part(part, depth, &name_text) else { continue };
            let is_left_out = self.selection.leaves_out(&text);
            let may_be_folder = matches!(hint, FileType::Directory | FileType::Unknown);
            if is_left_out && (!may_be_folder || self.selection.skips(&text)) {
                continue;
            }
            let stat = match rustix::fs::statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
                // It went away since the folder was listed.
                Err(Errno::NOENT) => continue,
                stat => stat.map_err(|error| unread(&whole, error))?,
            };
            let kind = match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => {
                    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    let opened = rustix::fs::openat(folder, &name, flags, Mode::empty()).map_err(|error| unread(&whole, error))?;
                    let entry = entry(whole.clone(), EntryKind::Folder, &stat, self.began);
                    let is_itself = below == Part::All && !is_left_out;
                    if is_itself {
                        self.add(entry);
                        self.folders.push(None);
                    } else {
                        self.folders.push(Some(entry));
                    }
                    self.folder(opened.as_fd(), &whole, &below, depth + 1)?;
                    self.folders.pop();
                    continue;
                }
                _ if is_left_out => continue,
                FileType::Symlink => {
                    let target = rustix::fs::readlinkat(folder, &name, Vec::new()).map_err(|error| unread(&whole, error))?;
                    let target = target.into_bytes();
                    let fitting = self.selection.fitting(part, depth, &name_text);
                    self.is_wider |= self.selection.follow(&fitting, &text, depth, &String::from_utf8_lossy(&target));
                    EntryKind::Link { target }
                }
                _ if below != Part::All => continue,
                FileType::RegularFile => EntryKind::File { size: u64::try_from(stat.st_size).unwrap_or(0) },
                FileType::Fifo => EntryKind::Pipe,
                // Whoever listens there does not come along; BuildKit leaves them out, too.
                FileType::Socket => continue,
                _ => {
                    let message =
                        format!("`{}` of the build context is a device, and is not sent: name it in .dockerignore", printable(&whole));
                    return Err(Failure::invalid(message));
                }
            };
            let entry = entry(whole, kind, &stat, self.began);
            self.add(entry);
        }
        Ok(())
    }

    /// Lists an entry, the folders that it lies in before it.
    fn add(&mut self, entry: ContextEntry) {
        self.entries.extend(self.folders.iter_mut().filter_map(Option::take));
        self.entries.push(entry);
    }
}

/// The names in a folder, in order, and what they are as far as the folder tells.
fn names(folder: BorrowedFd<'_>) -> Result<Vec<(CString, FileType)>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push((name.to_owned(), entry.file_type()));
        }
    }
    names.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(names)
}

fn entry(path: Vec<u8>, kind: EntryKind, stat: &Stat, began: i64) -> ContextEntry {
    let modified = nanos(stat.st_mtime, stat.st_mtime_nsec);
    ContextEntry { path, kind, mode: stat.st_mode & 0o7777, modified, changed: changed(stat, began) }
}

/// A number that is another one as soon as something else may lie there: another file in its place, or the same one changed since. A clock
/// of files goes in steps: what changed just now may change again, and its time not; so it is taken for changed once more the next time, as
/// git takes what it calls racily clean.
fn changed(stat: &Stat, began: i64) -> i64 {
    let changed = nanos(stat.st_ctime, stat.st_ctime_nsec);
    // The coarsest clocks have whole seconds, or two; the kernel's own one goes a hundred times a second or more.
    let step = if stat.st_ctime_nsec == 0 { 2_000_000_000 } else { 100_000_000 };
    let moment = if began.saturating_sub(changed) < step { began } else { 0 };
    let mut hasher = DefaultHasher::new();
    (stat.st_dev, stat.st_ino, changed, moment).hash(&mut hasher);
    hasher.finish().cast_signed()
}

fn nanos(seconds: i64, rest: impl TryInto<i64>) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest.try_into().unwrap_or(0))
}

fn now() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    nanos(now.tv_sec, now.tv_nsec)
}

pub(super) fn unread(path: &[u8], error: Errno) -> Failure {
    let message = format!("`{}` of the build context cannot be read: {}", printable(path), std::io::Error::from(error));
    match error {
        Errno::ACCESS | Errno::PERM => Failure::denied(format!("{message} (what the build does not need can be named in .dockerignore)")),
        _ => Failure::invalid(message),
    }
}

/// A path for people.
pub(super) fn printable(path: &[u8]) -> String {
    if path.is_empty() { ".".to_owned() } else { OsStr::from_bytes(path).to_string_lossy().escape_debug().to_string() }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::dockerfile::{Extent, Ignore};
    use crate::resource::context;

    fn listed(folder: &Path, extent: &Extent, ignore: &str) -> String {
        let mut selection = Selection::new(extent, Ignore::parse(ignore).expect("patterns"));
        let root = open(folder).expect("the folder");
        let entries = list(root.as_fd(), &mut selection).expect("a listing");
        context::check(&entries).expect("a good listing");
        let name = |entry: &ContextEntry| {
            let path = String::from_utf8_lossy(&entry.path).into_owned();
            match &entry.kind {
                EntryKind::Folder => path + "/",
                EntryKind::File { size } => format!("{path}:{size}"),
                EntryKind::Link { target } => format!("{path}->{}", String::from_utf8_lossy(target)),
                EntryKind::Pipe => path + "|",
            }
        };
        entries.iter().map(name).collect::<Vec<_>>().join(" ")
    }

    fn some(paths: &[&str]) -> Extent {
        Extent::Paths(paths.iter().map(|path| (*path).to_owned()).collect())
    }

    #[test]
    fn a_folder_is_listed_as_it_is_selected() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path();
        for path in ["a/deep/er", "b", "c"] {
            fs::create_dir_all(at.join(path)).expect("folders");
        }
        for (path, text) in [("a-", "1"), ("a/x.c", "22"), ("a/x.h", "333"), ("a/deep/er/y", ""), ("b/z", "4444"), ("c/n", "5")] {
            fs::write(at.join(path), text).expect("a file");
        }
        symlink("../b", at.join("a/l")).expect("a link");
        symlink("/", at.join("root")).expect("a link");
        let _socket = UnixListener::bind(at.join("c/socket")).expect("a socket");
        let everything = "a/ a/deep/ a/deep/er/ a/deep/er/y:0 a/l->../b a/x.c:2 a/x.h:3 a-:1 b/ b/z:4 c/ c/n:1 root->/";
        assert_eq!(listed(at, &Extent::Everything, ""), everything);
        assert_eq!(listed(at, &Extent::Everything, "a\nc\nroot"), "a-:1 b/ b/z:4");
        assert_eq!(listed(at, &Extent::Everything, "*\n!a/x.*"), "a/ a/x.c:2 a/x.h:3");
        assert_eq!(
            listed(at, &Extent::Everything, "**/x.c\nb/*\nc\nroot"),
            "a/ a/deep/ a/deep/er/ a/deep/er/y:0 a/l->../b a/x.h:3 a-:1 b/"
        );
        assert_eq!(listed(at, &some(&["a/*.c", "c"]), ""), "a/ a/x.c:2 c/ c/n:1");
        assert_eq!(listed(at, &some(&["a/deep"]), ""), "a/ a/deep/ a/deep/er/ a/deep/er/y:0");
        assert_eq!(listed(at, &some(&["missing", "a-"]), ""), "a-:1");
        assert_eq!(listed(at, &some(&["a/l"]), ""), "a/ a/l->../b b/ b/z:4");
        assert_eq!(listed(at, &some(&["a/l/z"]), ""), "a/ a/l->../b b/ b/z:4");
        assert_eq!(listed(at, &some(&["a/l"]), "b"), "a/ a/l->../b");
        assert_eq!(listed(at, &some(&["root"]), ""), everything);
    }

    #[test]
    fn links_in_a_circle_come_to_an_end() {
        let folder = tempfile::tempdir().expect("a folder");
        symlink("b/x", folder.path().join("a")).expect("a link");
        symlink("a/x", folder.path().join("b")).expect("a link");
        let mut selection = Selection::new(&some(&["a"]), Ignore::default());
        let root = open(folder.path()).expect("the folder");
        assert!(list(root.as_fd(), &mut selection).expect_err("no end").message.contains("links"));
    }

    #[test]
    fn folders_too_deep_within_each_other_are_refused_as_that() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(folder.path().join(["d"; 300].join("/"))).expect("folders");
        let root = open(folder.path()).expect("the folder");
        let refused = list(root.as_fd(), &mut Selection::new(&Extent::Everything, Ignore::default())).expect_err("too deep").message;
        assert!(refused.contains("lies in more than 256 folders"), "{refused}");
        assert_eq!(listed(folder.path(), &Extent::Everything, "d/d/d"), "d/ d/d/");
    }

    #[test]
    fn what_is_no_folder_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(open(&folder.path().join("x")).expect_err("missing").message.contains("does not exist"));
        fs::write(folder.path().join("x"), "").expect("a file");
        assert!(open(&folder.path().join("x")).expect_err("a file").message.contains("is no folder"));
    }

    #[test]
    fn what_may_be_something_else_is_another_number() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, "text").expect("a file");
        let stat = rustix::fs::stat(&path).expect("it is there");
        let at = nanos(stat.st_ctime, stat.st_ctime_nsec);
        const SECOND: i64 = 1_000_000_000;
        assert_eq!(changed(&stat, at + SECOND), changed(&stat, at + 2 * SECOND), "it has been at rest");
        assert_ne!(changed(&stat, at), changed(&stat, at + SECOND), "it had changed just before");
        assert_ne!(changed(&stat, at), changed(&stat, at + 1), "and so it had the second time");
        let with = |change: &dyn Fn(&mut Stat)| {
            let mut other = stat;
            change(&mut other);
            changed(&other, at + 9 * SECOND)
        };
        let same = with(&|_| {});
        assert_ne!(with(&|stat| stat.st_ino += 1), same);
        assert_ne!(with(&|stat| stat.st_dev += 1), same);
        assert_ne!(with(&|stat| stat.st_ctime -= 1), same);
        // Its clock has whole seconds.
        let mut coarse = stat;
        coarse.st_ctime_nsec = 0;
        let at = coarse.st_ctime * SECOND;
        assert_ne!(changed(&coarse, at + SECOND), changed(&coarse, at + 3 * SECOND));
        assert_eq!(changed(&coarse, at + 2 * SECOND), changed(&coarse, at + 3 * SECOND));
    }
}
