//! A part of a tree is copied into another tree, as a Dockerfile's COPY does.
//!
//! Neither tree is trusted, and both may change meanwhile: a name is resolved beneath its root by the kernel, what was seen is what is
//! read, and what is written is new.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::archive::attribute::travelling;
use crate::archive::contents::Contents;
use crate::archive::look::{look, make_folders, real_path, reopen};
use crate::archive::mode::ModeChange;
use crate::archive::select::{Item, Selection, Visit, failed, shown, walk};
use crate::archive::tree::open_beneath;
use crate::archive::{NO_FOLLOW, mode_bits};

pub use crate::archive::select::{Choice, CopyError, expand};

/// What is copied, to where, and how.
#[derive(Clone)]
pub struct CopyRequest<'a> {
    /// What is copied.
    pub selection: Selection<'a>,
    /// The root of the tree that is copied to.
    pub into: BorrowedFd<'a>,
    /// Where to, seen from that root; links are followed in it, one at the end too.
    pub destination: &'a Path,
    /// It is a folder, also if nothing is there yet: it was written with a slash at its end.
    pub destination_is_folder: bool,
    /// Whose the copies are.
    pub owner: CopyOwner,
    /// Whose the folders are that are made to lead to the destination; whose the folder above makes them, without.
    pub folder_owner: Option<(u32, u32)>,
    /// Their permissions; those of their sources without.
    pub mode: Option<ModeChange>,
    /// The time of folders that are made to lead to the destination, in seconds since the epoch.
    pub created: i64,
}

/// Whose copies are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyOwner {
    /// Of whoever has the source.
    Keep,
    /// One user's and one group's.
    Fixed(u32, u32),
}

/// How much was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopySize {
    /// Files, folders, links and the like, without those that lead to the destination.
    pub entries: u64,
    /// The bytes of files.
    pub bytes: u64,
}

/// Copies what is selected.
///
/// A folder gives what it holds; a folder that is there already takes it in, and those within it take their sources' owners and modes.
/// A file replaces what is there, but no folder. Times are those of the sources; folders that are only written into keep theirs.
pub fn copy(request: &CopyRequest<'_>) -> Result<CopySize, CopyError> {
    let mut copier = Copier {
        request,
        levels: Vec::new(),
        links: BTreeMap::new(),
        times: BTreeMap::new(),
        contents: Contents::new(),
        size: CopySize::default(),
    };
    walk(&request.selection, &mut copier)?;
    copier.finish()
}

struct Copier<'a> {
    request: &'a CopyRequest<'a>,
    levels: Vec<Level>,
    /// Files of the source with several names, and where the first of them was copied to.
    links: BTreeMap<(u64, u64), (PathBuf, OsString)>,
    /// Folders that have these times in the end, by their paths without links.
    times: BTreeMap<PathBuf, Timespec>,
    contents: Contents,
    size: CopySize,
}

/// A folder that is copied into.
struct Level {
    folder: OwnedFd,
    path: PathBuf,
    /// The time it has in the end.
    time: Option<Timespec>,
}

impl Visit for Copier<'_> {
    fn source(&mut self, item: &Item<'_>) -> Result<(), CopyError> {
        let request = self.request;
        // Two sources are two copies.
        self.links.clear();
        let destination = if request.destination_is_folder {
            self.lead_to(request.destination)?
        } else {
            let path = real_path(request.into, request.destination).map_err(failed("find", request.destination))?;
            self.lead_to(path.parent().unwrap_or(Path::new("/")))?;
            path
        };
        let there = match look(request.into, &destination) {
            Ok(stat) => Some(FileType::from_raw_mode(stat.st_mode)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed("find", &destination)(error)),
        };
        if item.kind() != FileType::Directory {
            let path = if there == Some(FileType::Directory) { destination.join(item.name) } else { destination };
            let parent = path.parent().unwrap_or(Path::new("/")).to_owned();
            let name = path.file_name().unwrap_or_default();
            let folder = self.folder(&parent)?;
            self.remember_time(&parent, &folder)?;
            return self.put(folder.as_fd(), &parent, name, item);
        }
        match there {
            None => drop(self.lead_to(&destination)?),
            Some(FileType::Directory) => {}
            Some(_) => return Err(CopyError::NoFolder { path: shown(&destination) }),
        }
        let folder = self.folder(&destination)?;
        self.times.insert(destination.clone(), time_of(item.stat));
        self.levels.push(Level { folder, path: destination, time: None });
        Ok(())
    }

    fn enter(&mut self, item: &Item<'_>) -> Result<(), CopyError> {
        let Some(level) = self.levels.last() else { return Ok(()) };
        let path = level.path.join(item.name);
        let wrong = |step| {
            let path = path.clone();
            move |error: Errno| failed(step, &path)(error.into())
        };
        let made = match rustix::fs::mkdirat(&level.folder, item.name, Mode::from_raw_mode(0o700)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(wrong("make")(error)),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = match rustix::fs::openat(&level.folder, item.name, flags, Mode::empty()) {
            Err(Errno::NOTDIR | Errno::LOOP) => return Err(CopyError::NoFolder { path: shown(&path) }),
            folder => folder.map_err(wrong("open"))?,
        };
        let time = if made || !item.waited {
            self.dress(&folder, item, &path)?;
            Some(time_of(item.stat))
        } else {
            // Docker gives a folder that is there, and is only on the way, nothing but the mode.
            rustix::fs::fchmod(&folder, mode_bits(item.stat.st_mode)).map_err(wrong("set the mode of"))?;
            let stat = rustix::fs::fstat(&folder).map_err(wrong("look at"))?;
            Some(time_of(&stat))
        };
        self.size.entries += 1;
        self.levels.push(Level { folder, path, time });
        Ok(())
    }

    fn leave(&mut self) -> Result<(), CopyError> {
        let Some(Level { folder, path, time }) = self.levels.pop() else { return Ok(()) };
        let Some(time) = time else { return Ok(()) };
        rustix::fs::futimens(&folder, &both(time)).map_err(|error| failed("set the time of", &path)(error.into()))
    }

    fn place(&mut self, item: &Item<'_>) -> Result<(), CopyError> {
        let Some(level) = self.levels.pop() else { return Ok(()) };
        let outcome = self.put(level.folder.as_fd(), &level.path, item.name, item);
        self.levels.push(level);
        outcome
    }
}

impl Copier<'_> {
    /// Sets the times of folders once nothing more is written into them.
    fn finish(self) -> Result<CopySize, CopyError> {
        for (path, time) in &self.times {
            let folder = self.folder(path)?;
            rustix::fs::futimens(&folder, &both(*time)).map_err(|error| failed("set the time of", path)(error.into()))?;
        }
        Ok(self.size)
    }

    /// Opens a folder of the destination by its path without links.
    fn folder(&self, path: &Path) -> Result<OwnedFd, CopyError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        match open_beneath(self.request.into, path, flags) {
            Err(Errno::NOTDIR | Errno::LOOP) => Err(CopyError::NoFolder { path: shown(path) }),
            folder => folder.map_err(|error| failed("open", path)(error.into())),
        }
    }

    fn remember_time(&mut self, path: &Path, folder: &OwnedFd) -> Result<(), CopyError> {
        let stat = rustix::fs::fstat(folder).map_err(|error| failed("look at", path)(error.into()))?;
        self.times.entry(path.to_owned()).or_insert(time_of(&stat));
        Ok(())
    }

    /// Makes the folders that lead to a path, and it; returns it without links.
    fn lead_to(&mut self, path: &Path) -> Result<PathBuf, CopyError> {
        let into = self.request.into;
        let wrong = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotADirectory => CopyError::NoFolder { path: shown(path) },
            _ => failed("make", path)(error),
        };
        let whole = real_path(into, path).map_err(wrong)?;
        if let Some((there, stat)) = whole.ancestors().find_map(|there| Some((there, look(into, there).ok()?))) {
            if there == whole && FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                return Ok(whole);
            }
            self.times.entry(there.to_owned()).or_insert(time_of(&stat));
        }
        let mode = match &self.request.mode {
            Some(ModeChange::Octal(mode)) => *mode & 0o777,
            _ => 0o755,
        };
        for made in make_folders(into, &whole, self.request.folder_owner, mode).map_err(wrong)? {
            self.times.insert(made, Timespec { tv_sec: self.request.created, tv_nsec: 0 });
        }
        Ok(whole)
    }

    /// Copies anything but a folder to a name in an open folder.
    fn put(&mut self, parent: BorrowedFd<'_>, folder: &Path, name: &OsStr, item: &Item<'_>) -> Result<(), CopyError> {
        let path = folder.join(name);
        let wrong = |step| {
            let path = path.clone();
            move |error: Errno| failed(step, &path)(error.into())
        };
        self.size.entries += 1;
        let identity = (item.stat.st_dev, item.stat.st_ino);
        if item.stat.st_nlink > 1 {
            if let Some((first_folder, first)) = self.links.get(&identity) {
                let from = self.folder(first_folder)?;
                let link = || rustix::fs::linkat(&from, first.as_os_str(), parent, name, AtFlags::empty());
                return replace(parent, name, &path, "link", link);
            }
            self.links.insert(identity, (folder.to_owned(), name.to_owned()));
        }
        let kind = item.kind();
        match kind {
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(item.opened, "", Vec::new()).map_err(wrong("read"))?;
                replace(parent, name, &path, "make", || rustix::fs::symlinkat(&*target, parent, name))?;
                let (user, group) = self.owner(item);
                rustix::fs::chownat(parent, name, Some(user), Some(group), NO_FOLLOW).map_err(wrong("set the owner of"))?;
                rustix::fs::utimensat(parent, name, &both(time_of(item.stat)), NO_FOLLOW).map_err(wrong("set the time of"))
            }
            FileType::CharacterDevice | FileType::BlockDevice | FileType::Fifo => {
                let make = || rustix::fs::mknodat(parent, name, kind, Mode::from_raw_mode(0o600), item.stat.st_rdev);
                replace(parent, name, &path, "make", make)?;
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let made = rustix::fs::openat(parent, name, flags, Mode::empty()).map_err(wrong("find"))?;
                // Never opened; our own descriptor, so the magic link is safe.
                let itself = format!("/proc/self/fd/{}", made.as_raw_fd());
                let (user, group) = self.owner(item);
                rustix::fs::chownat(&made, "", Some(user), Some(group), AtFlags::EMPTY_PATH).map_err(wrong("set the owner of"))?;
                rustix::fs::chmod(&itself, self.mode(item)).map_err(wrong("set the mode of"))?;
                let times = both(time_of(item.stat));
                rustix::fs::utimensat(rustix::fs::CWD, &itself, &times, AtFlags::empty()).map_err(wrong("set the time of"))
            }
            // Of a socket there is an empty file, as with Docker.
            _ => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let open = || rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o600));
                let file = replace(parent, name, &path, "make", open)?;
                if kind == FileType::RegularFile {
                    let source = reopen(item.opened.as_fd(), OFlags::RDONLY).map_err(|error| failed("open", item.real)(error.into()))?;
                    self.size.bytes += self.contents.copy(&source, &file, item.stat).map_err(failed("copy", item.real))?;
                }
                self.dress(&file, item, &path)?;
                rustix::fs::futimens(&file, &both(time_of(item.stat))).map_err(wrong("set the time of"))
            }
        }
    }

    /// Gives an open file or folder its owner, mode and attributes; the owner first, for a change of it clears set-id bits and capabilities.
    fn dress(&self, open: &OwnedFd, item: &Item<'_>, path: &Path) -> Result<(), CopyError> {
        let wrong = |step| move |error: Errno| failed(step, path)(error.into());
        let (user, group) = self.owner(item);
        rustix::fs::fchown(open, Some(user), Some(group)).map_err(wrong("set the owner of"))?;
        rustix::fs::fchmod(open, self.mode(item)).map_err(wrong("set the mode of"))?;
        if item.kind() == FileType::Socket {
            return Ok(());
        }
        let found = travelling(item.opened.as_fd()).map_err(|error| failed("read the attributes of", item.real)(error.into()))?;
        for (name, value) in found {
            match rustix::fs::fsetxattr(open, &*name, &value, XattrFlags::empty()) {
                Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
                Err(error) => return Err(wrong("set an attribute of")(error)),
            }
        }
        Ok(())
    }

    fn owner(&self, item: &Item<'_>) -> (Uid, Gid) {
        let (user, group) = match self.request.owner {
            CopyOwner::Keep => (item.stat.st_uid, item.stat.st_gid),
            CopyOwner::Fixed(user, group) => (user, group),
        };
        (Uid::from_raw(user), Gid::from_raw(group))
    }

    fn mode(&self, item: &Item<'_>) -> Mode {
        let mode = item.stat.st_mode & 0o7777;
        mode_bits(self.request.mode.as_ref().map_or(mode, |change| change.apply(mode, item.kind() == FileType::Directory)))
    }
}

/// Makes something in the place of what has its name, which is removed and never written through.
fn replace<T>(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    path: &Path,
    step: &'static str,
    make: impl Fn() -> Result<T, Errno>,
) -> Result<T, CopyError> {
    let wrong = |error: Errno| failed(step, path)(error.into());
    match make() {
        Err(Errno::EXIST) => {}
        made => return made.map_err(wrong),
    }
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => return Err(CopyError::Folder { path: shown(path) }),
        removed => removed.map_err(wrong)?,
    }
    make().map_err(wrong)
}

fn time_of(stat: &Stat) -> Timespec {
    Timespec { tv_sec: stat.st_mtime, tv_nsec: i64::try_from(stat.st_mtime_nsec).unwrap_or(0) }
}

/// When something was read says nothing about it: it is the time of its last change.
fn both(time: Timespec) -> Timestamps {
    Timestamps { last_access: time, last_modification: time }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use rustix::fs::CWD;

    use super::*;
    use crate::archive::open_folder;

    /// Two trees, and what lies outside of them.
    struct Trees {
        folder: tempfile::TempDir,
        from: OwnedFd,
        into: OwnedFd,
    }

    fn trees() -> Trees {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["from", "into", "outside"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        let open = |name: &str| open_folder(&folder.path().join(name)).expect("the tree");
        Trees { from: open("from"), into: open("into"), folder }
    }

    impl Trees {
        fn at(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.at(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            fs::write(path, text).expect("a file");
        }

        fn copy(&self, sources: &[&str], destination: &str, change: impl Fn(&mut CopyRequest<'_>)) -> Result<CopySize, CopyError> {
            self.choose(sources, destination, &|_, _| Choice::Take, change)
        }

        fn choose(
            &self,
            sources: &[&str],
            destination: &str,
            choose: &dyn Fn(&Path, bool) -> Choice,
            change: impl Fn(&mut CopyRequest<'_>),
        ) -> Result<CopySize, CopyError> {
            let sources: Vec<PathBuf> = sources.iter().map(PathBuf::from).collect();
            let selection = Selection { from: self.from.as_fd(), sources: &sources, keep_parents: false, choose };
            let mut request = CopyRequest {
                selection,
                into: self.into.as_fd(),
                destination: Path::new(destination),
                destination_is_folder: destination.ends_with('/'),
                owner: CopyOwner::Keep,
                folder_owner: None,
                mode: None,
                created: 5,
            };
            change(&mut request);
            copy(&request)
        }

        /// All that lies in a tree: `folder/`, `file=text`, `link>target`.
        fn list(&self, name: &str) -> String {
            fn walk(top: &Path, folder: &Path, lines: &mut Vec<String>) {
                for entry in fs::read_dir(folder).expect("a folder") {
                    let path = entry.expect("an entry").path();
                    let name = path.strip_prefix(top).expect("inside").display().to_string();
                    let kind = fs::symlink_metadata(&path).expect("it").file_type();
                    if kind.is_dir() {
                        lines.push(format!("{name}/"));
                        walk(top, &path, lines);
                    } else if kind.is_symlink() {
                        lines.push(format!("{name}>{}", fs::read_link(&path).expect("a link").display()));
                    } else if kind.is_file() {
                        lines.push(format!("{name}={}", fs::read_to_string(&path).expect("text")));
                    } else {
                        lines.push(format!("{name}!"));
                    }
                }
            }
            let mut lines = Vec::new();
            walk(&self.at(name), &self.at(name), &mut lines);
            lines.sort();
            lines.join(" ")
        }

        fn exchange(&self, one: &str, other: &str) {
            let flags = rustix::fs::RenameFlags::EXCHANGE;
            rustix::fs::renameat_with(CWD, self.at(one), CWD, self.at(other), flags).expect("exchanged");
        }
    }

    #[test]
    fn sources_go_where_docker_puts_them() {
        let check = |sources: &[&str], destination: &str, expect: &str| {
            let trees = trees();
            for (name, text) in [("a.txt", "a"), ("b.txt", "b"), ("d/f", "f"), ("d/e/g", "g"), ("x1/in", "1"), ("x2/in", "2")] {
                trees.write(&format!("from/{name}"), text);
            }
            for (name, target) in [("to-file", "a.txt"), ("to-folder", "/d"), ("d/link", "/d/f"), ("away", "../../outside")] {
                symlink(target, trees.at("from").join(name)).expect("a link");
            }
            fs::create_dir(trees.at("into/there")).expect("a folder");
            symlink("/there", trees.at("into/linked")).expect("a link");
            symlink("/new/file", trees.at("into/dangling")).expect("a link");
            trees.write("into/file", "old");
            trees.write("outside/secret", "secret");
            let outcome = trees.copy(sources, destination, |_| ());
            let list = trees.list("into");
            let ours = ["there/", "linked>/there", "dangling>/new/file", "file=old"];
            let new: Vec<&str> = list.split(' ').filter(|line| !ours.contains(line)).collect();
            let text = outcome.map_or_else(|error| error.to_string(), |_| new.join(" "));
            assert_eq!(text, expect, "{sources:?} {destination}");
        };
        check(&["a.txt"], "/new", "new=a");
        check(&["a.txt"], "/new/", "new/ new/a.txt=a");
        check(&["a.txt"], "/there", "there/a.txt=a");
        check(&["a.txt"], "/linked", "there/a.txt=a");
        check(&["a.txt"], "/linked/deep/x", "there/deep/ there/deep/x=a");
        check(&["a.txt"], "/dangling", "new/ new/file=a");
        check(&["a.txt", "b.txt"], "/n/", "n/ n/a.txt=a n/b.txt=b");
        check(&["*.txt"], "n/", "n/ n/a.txt=a n/b.txt=b");
        check(&["d"], "/n", "n/ n/e/ n/e/g=g n/f=f n/link>/d/f");
        check(&["d/"], "/there/", "there/e/ there/e/g=g there/f=f there/link>/d/f");
        check(&["x?"], "/n", "n/ n/in=2");
        check(&["*/e/g"], "/n", "n=g");
        check(&["to-file"], "/n/", "n/ n/to-file=a");
        check(&["to-folder"], "/n", "n/ n/e/ n/e/g=g n/f=f n/link>/d/f");
        check(&["to-*"], "/n/", "n/ n/e/ n/e/g=g n/f=f n/link>/d/f n/to-file=a");
        check(&["../../a.txt"], "/n", "n=a");
        check(&["none*"], "/n", "");
        check(&["none"], "/n", "`/none` is not found");
        check(&["away/secret"], "/n", "`/away/secret` is not found");
        check(&["["], "/n", "`/[` is no pattern of names: it ends within `[` or after `\\`");
        check(&["d"], "/file", "cannot copy a folder to `/file`: what is there is no folder");
        check(&["a.txt"], "/file/x", "cannot find `/file/x`");
    }

    #[test]
    fn what_is_there_makes_way_or_does_not() {
        let trees = trees();
        trees.write("from/d/f", "new");
        trees.write("outside/f", "outside");
        trees.write("into/d/other", "kept");
        trees.write("into/target", "target");
        symlink("/target", trees.at("into/d/f")).expect("a link");
        trees.copy(&["d"], "/d", |_| ()).expect("copied");
        assert_eq!(trees.list("into"), "d/ d/f=new d/other=kept target=target");
        // A link at the destination itself is followed, and what it leads to replaced.
        symlink("/target", trees.at("into/at")).expect("a link");
        trees.copy(&["d/f"], "/at", |_| ()).expect("copied");
        assert_eq!(trees.list("into"), "at>/target d/ d/f=new d/other=kept target=new");
        fs::create_dir_all(trees.at("into/e/f")).expect("a folder");
        let error = trees.copy(&["d"], "/e", |_| ()).expect_err("a folder is there");
        assert!(matches!(&error, CopyError::Folder { path } if path == "/e/f"), "{error}");
        fs::create_dir_all(trees.at("from/g/d")).expect("a folder");
        for make in [|path: &Path| fs::write(path, "").expect("a file"), |path: &Path| symlink("/e", path).expect("a link")] {
            fs::create_dir(trees.at("into/g")).expect("a folder");
            make(&trees.at("into/g/d"));
            let error = trees.copy(&["g"], "/g", |_| ()).expect_err("no folder is there");
            assert!(matches!(&error, CopyError::NoFolder { path } if path == "/g/d"), "{error}");
            fs::remove_dir_all(trees.at("into/g")).expect("removed");
        }
    }

    #[test]
    fn copies_are_like_their_sources() {
        let trees = trees();
        trees.write("from/d/tool", "tool");
        trees.write("from/d/empty", "");
        fs::create_dir(trees.at("from/d/private")).expect("a folder");
        fs::set_permissions(trees.at("from/d/private"), fs::Permissions::from_mode(0o1700)).expect("a mode");
        fs::hard_link(trees.at("from/d/tool"), trees.at("from/d/twin")).expect("a link");
        symlink("/nowhere", trees.at("from/d/soft")).expect("a link");
        rustix::fs::mknodat(CWD, trees.at("from/d/pipe"), FileType::Fifo, Mode::from_raw_mode(0o620), 0).expect("a pipe");
        fs::set_permissions(trees.at("from/d/pipe"), fs::Permissions::from_mode(0o620)).expect("a mode");
        let device = rustix::fs::makedev(1, 3);
        rustix::fs::mknodat(CWD, trees.at("from/d/null"), FileType::CharacterDevice, Mode::from_raw_mode(0o600), device).expect("a device");
        let _socket = std::os::unix::net::UnixListener::bind(trees.at("from/d/socket")).expect("a socket");
        for name in ["tool", "private", "soft", "pipe", "null"] {
            std::os::unix::fs::lchown(trees.at("from/d").join(name), Some(12), Some(34)).expect("an owner");
        }
        let tool = trees.at("from/d/tool");
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o4711)).expect("a mode");
        let capability = b"\x01\0\0\x02\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        for (name, value) in [("user.note", &b"kept"[..]), ("security.capability", capability), ("trusted.overlay.opaque", b"y")] {
            rustix::fs::setxattr(&tool, name, value, XattrFlags::empty()).expect("an attribute");
        }
        let old = Timespec { tv_sec: 1_000, tv_nsec: 7 };
        for name in ["from/d/tool", "from/d/private", "from/d", "into"] {
            rustix::fs::utimensat(CWD, trees.at(name), &both(old), NO_FOLLOW).expect("a time");
        }
        let size = trees.copy(&["d"], "/deep/er", |_| ()).expect("copied");
        assert_eq!(size, CopySize { entries: 8, bytes: 4 });
        let stat = |name: &str| fs::symlink_metadata(trees.at("into/deep/er").join(name)).expect("it");
        let seen = |name: &str| (stat(name).mode() & 0o7777, stat(name).uid(), stat(name).gid());
        assert_eq!(seen("tool"), (0o4711, 12, 34));
        assert_eq!(seen("private"), (0o1700, 12, 34));
        assert_eq!(seen("pipe"), (0o620, 12, 34));
        assert_eq!((seen("null"), stat("null").rdev()), ((0o600, 12, 34), device));
        assert_eq!((stat("soft").uid(), stat("tool").ino()), (12, stat("twin").ino()));
        assert!(stat("socket").is_file());
        let mut value = [0; 32];
        let copy = trees.at("into/deep/er/tool");
        assert_eq!(rustix::fs::getxattr(&copy, "user.note", &mut value), Ok(4));
        assert_eq!(rustix::fs::getxattr(&copy, "security.capability", &mut value), Ok(20));
        assert!(rustix::fs::getxattr(&copy, "trusted.overlay.opaque", &mut value).is_err());
        let time = |name: &str| (fs::metadata(trees.at(name)).expect("it").mtime(), fs::metadata(trees.at(name)).expect("it").mtime_nsec());
        for name in ["into", "into/deep/er", "into/deep/er/tool", "into/deep/er/private"] {
            assert_eq!(time(name), (1_000, 7), "{name}");
        }
        assert_eq!(time("into/deep"), (5, 0));
        // The source folder itself is not what is copied.
        assert_eq!(seen(""), (0o755, 0, 0));
    }

    #[test]
    fn owners_and_modes_are_changed() {
        let trees = trees();
        trees.write("from/d/e/f", "x");
        fs::set_permissions(trees.at("from/d/e/f"), fs::Permissions::from_mode(0o4640)).expect("a mode");
        let seen = |name: &str| {
            let stat = fs::symlink_metadata(trees.at("into").join(name)).expect("it");
            (stat.mode() & 0o7777, stat.uid(), stat.gid())
        };
        let octal = ModeChange::Octal(0o2710);
        trees
            .copy(&["d"], "/a/b", |request| {
                (request.owner, request.folder_owner) = (CopyOwner::Fixed(7, 8), Some((7, 8)));
                request.mode = Some(octal.clone());
            })
            .expect("copied");
        assert_eq!([seen("a"), seen("a/b")], [(0o710, 7, 8); 2]);
        assert_eq!([seen("a/b/e"), seen("a/b/e/f")], [(0o2710, 7, 8); 2]);
        let symbolic: ModeChange = "u-s,go=rX".parse().expect("a mode");
        trees.copy(&["d"], "/c", |request| request.mode = Some(symbolic.clone())).expect("copied");
        assert_eq!((seen("c"), seen("c/e"), seen("c/e/f")), ((0o755, 0, 0), (0o755, 0, 0), (0o644, 0, 0)));
        // What is there takes the mode and the owner of what comes, but for the top.
        fs::set_permissions(trees.at("into/c"), fs::Permissions::from_mode(0o700)).expect("a mode");
        fs::set_permissions(trees.at("into/c/e"), fs::Permissions::from_mode(0o700)).expect("a mode");
        trees.copy(&["d"], "/c", |request| request.owner = CopyOwner::Fixed(7, 8)).expect("copied");
        assert_eq!((seen("c"), seen("c/e"), seen("c/e/f")), ((0o700, 0, 0), (0o755, 7, 8), (0o4640, 7, 8)));
    }

    #[test]
    fn what_is_left_out_or_kept_with_its_folders() {
        let trees = trees();
        for name in ["a/b/one.c", "a/b/two.h", "a/x/three.c", "top.c"] {
            trees.write(&format!("from/{name}"), "");
        }
        fs::create_dir(trees.at("from/a/none")).expect("a folder");
        symlink("a", trees.at("from/l")).expect("a link");
        fs::set_permissions(trees.at("from/a/b"), fs::Permissions::from_mode(0o750)).expect("a mode");
        let choose = |path: &Path, is_folder: bool| match path.extension() {
            Some(extension) if extension == "h" => Choice::Leave,
            _ if path.ends_with("x") => Choice::Leave,
            _ if is_folder => Choice::Descend,
            _ => Choice::Take,
        };
        trees.choose(&["."], "/chosen", &choose, |_| ()).expect("copied");
        assert_eq!(trees.list("into/chosen"), "a/ a/b/ a/b/one.c= l>a top.c=");
        assert_eq!(fs::metadata(trees.at("into/chosen/a/b")).expect("it").mode() & 0o7777, 0o750);
        let check = |source: &str, expect: &str| {
            let outcome = trees.copy(&[source], "/kept/", |request| request.selection.keep_parents = true);
            let text = outcome.map_or_else(|error| error.to_string(), |_| trees.list("into/kept"));
            assert_eq!(text, expect, "{source}");
            let _ = fs::remove_dir_all(trees.at("into/kept"));
        };
        check("a/b/one.c", "a/ a/b/ a/b/one.c=");
        check("a/./b/one.c", "b/ b/one.c=");
        check("/a/b", "a/ a/b/ a/b/one.c= a/b/two.h=");
        check("l/./x", "x/ x/three.c=");
        check("**/*.c", "a/ a/b/ a/b/one.c= a/x/ a/x/three.c= top.c=");
        check("a/*/./*.c", "one.c= three.c=");
        check("a/none", "a/ a/none/");
        check("no*", "");
        check("a/./none.c", "`a/./none.c` is not found");
    }

    /// Copies by paths, as one would without thinking.
    fn copy_naively(from: &Path, into: &Path, top: &Path, choose: &dyn Fn(&Path, bool) -> Choice) -> std::io::Result<()> {
        let mut names: Vec<_> = fs::read_dir(from)?.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<_, _>>()?;
        names.sort();
        for name in names {
            let (path, target) = (from.join(&name), into.join(&name));
            let is_folder = fs::symlink_metadata(&path)?.is_dir();
            choose(path.strip_prefix(top).unwrap_or(&path), is_folder);
            if is_folder {
                match fs::create_dir(&target) {
                    Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
                    _ => copy_naively(&path, &target, top, choose)?,
                }
            } else {
                fs::write(target, fs::read(path)?)?;
            }
        }
        Ok(())
    }

    #[test]
    fn a_folder_that_becomes_a_link_leads_nowhere() {
        let prepared = || {
            let trees = trees();
            trees.write("from/d/f", "inside");
            trees.write("outside/f", "secret");
            for name in ["from/link", "into/link"] {
                symlink(trees.at("outside"), trees.at(name)).expect("a link");
            }
            trees
        };
        type Copy<'a> = &'a dyn Fn(&Trees, &dyn Fn(&Path, bool) -> Choice);
        // The folder was looked at, and is exchanged before it is opened.
        let attack_source = |copy: Copy<'_>| {
            let trees = prepared();
            fs::remove_file(trees.at("into/link")).expect("a link");
            copy(&trees, &|path, _| {
                if path == Path::new("d") {
                    trees.exchange("from/d", "from/link");
                }
                Choice::Take
            });
            trees.list("into")
        };
        // The folder was made, and is exchanged before something is put into it.
        let attack_destination = |copy: Copy<'_>| {
            let trees = prepared();
            fs::remove_file(trees.at("from/link")).expect("a link");
            copy(&trees, &|path, _| {
                if path == Path::new("d/f") {
                    trees.exchange("into/d", "into/link");
                }
                Choice::Take
            });
            trees.list("outside")
        };
        let naive = |trees: &Trees, choose: &dyn Fn(&Path, bool) -> Choice| {
            // What becomes of the link itself does not matter.
            let _ = copy_naively(&trees.at("from"), &trees.at("into"), &trees.at("from"), choose);
        };
        let ours = |trees: &Trees, choose: &dyn Fn(&Path, bool) -> Choice| {
            trees.choose(&["."], "/", choose, |_| ()).expect("copied");
        };
        assert!(attack_source(&naive).contains("=secret"));
        assert_eq!(attack_destination(&naive), "f=inside");
        assert!(attack_source(&ours).contains("d/f=inside"));
        assert_eq!(attack_destination(&ours), "f=secret");
    }

    #[test]
    fn folders_that_are_exchanged_all_the_time_lead_nowhere() {
        let trees = trees();
        for name in ["from/d/e/f", "into/d/e/f"] {
            trees.write(name, "inside");
        }
        trees.write("outside/e/f", "secret");
        for name in ["from/link", "into/link"] {
            symlink("../outside", trees.at(name)).expect("a link");
        }
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    trees.exchange("from/d", "from/link");
                    trees.exchange("into/d", "into/link");
                }
            });
            let copies = Cell::new(0);
            for _ in 0..400 {
                for (source, destination) in [("d/e/f", "/got"), ("d", "/all"), ("d/e/f", "/d/e/f"), ("d", "/d")] {
                    // What is a link just now is not found, or no folder.
                    if trees.copy(&[source], destination, |_| ()).is_ok() {
                        copies.set(copies.get() + 1);
                    }
                }
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(copies.get() > 0);
        });
        assert_eq!(trees.list("outside"), "e/ e/f=secret");
        assert!(!trees.list("into").contains("secret"), "{}", trees.list("into"));
    }
}
