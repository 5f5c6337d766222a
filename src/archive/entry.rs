//! One entry of an archive goes to its place.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use tar::EntryType;

use crate::archive::opaque::hide_below;
use crate::archive::path::{EntryPath, Marker, NameError};
use crate::archive::pax::{Extensions, SparseHeader};
use crate::archive::sparse::Copier;
use crate::archive::tree::{Tree, is_whiteout, through};
use crate::archive::{ExtractError, NO_FOLLOW, Owner, Rules, mode_bits, printable, set_folder_times, step, unreadable};

/// Puts entries to their places, one after the other.
pub(super) struct Placer {
    tree: Tree,
    rules: Rules,
    copier: Copier,
    folders: Vec<(PathBuf, Timespec)>,
    /// Folders that this layer first removes and then makes anew: they hide what lies below.
    whiteouts: BTreeSet<PathBuf>,
    size: u64,
}

/// What every entry has beside its contents.
struct Attributes {
    mode: Mode,
    owner: Uid,
    group: Gid,
    time: Timespec,
    xattrs: Vec<(OsString, Vec<u8>)>,
}

impl Placer {
    /// Entries go into a folder.
    pub(super) fn new(tree: Tree, rules: Rules) -> Self {
        Self { tree, rules, copier: Copier::new(), folders: Vec::new(), whiteouts: BTreeSet::new(), size: 0 }
    }

    /// Sets what had to wait for the last entry; returns the bytes of all files.
    pub(super) fn finish(self) -> Result<u64, ExtractError> {
        set_folder_times(&self.tree, &self.folders)?;
        Ok(self.size)
    }

    /// Puts an entry to its place.
    pub(super) fn place<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>) -> Result<(), ExtractError> {
        let kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() {
            return Ok(());
        }
        let written = entry.path_bytes().into_owned();
        let refused = |reason| ExtractError::Refused { entry: printable(&written), reason };
        let extensions = match entry.pax_extensions().map_err(unreadable)? {
            None => Extensions::default(),
            Some(records) => {
                let records = records.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
                let pairs = records.iter().map(|record| (record.key_bytes(), record.value_bytes()));
                Extensions::gather(pairs).ok_or_else(|| refused("its PAX header is malformed"))?
            }
        };
        let written = extensions.sparse.as_ref().and_then(|sparse| sparse.name.clone()).unwrap_or_else(|| written.clone());
        let named = |source| ExtractError::Name { entry: printable(&written), source };
        let path = self.name(&written).map_err(named)?;
        if self.tree.is_layered() {
            match path.marker().map_err(named)? {
                Marker::None => {}
                Marker::Aufs => return Ok(()),
                Marker::Opaque => return self.hide_below(&path),
                Marker::Whiteout(hidden) => return self.hide(&path, hidden),
            }
        }
        let sparse = extensions.sparse.clone();
        let attributes = Attributes::of(entry.header(), extensions).ok_or_else(|| refused("its mode, owner or time is malformed"))?;
        if path.is_root() && !kind.is_dir() {
            return Err(refused("it would replace the folder that the archive is unpacked into"));
        }
        if path.is_root() && !self.tree.is_layered() {
            // The folder is somebody's already.
            return Ok(());
        }
        match kind {
            EntryType::Directory => self.place_folder(&path, attributes),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                // Archives older than POSIX mark a folder by the last letter of its name.
                if written.ends_with(b"/") {
                    return self.place_folder(&path, attributes);
                }
                self.place_file(entry, &path, &attributes, sparse.as_ref())
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().filter(|it| !it.is_empty()).ok_or_else(|| refused("it links to nothing"))?;
                self.replace("make", &path, |parent| rustix::fs::symlinkat(&*target, parent, path.name()))?;
                self.dress(&path, &attributes, false)
            }
            EntryType::Link => {
                let target = entry.link_name_bytes().ok_or_else(|| refused("it links to nothing"))?;
                self.place_link(&path, &target)
            }
            EntryType::Char | EntryType::Block | EntryType::Fifo => {
                let number = |part: std::io::Result<Option<u32>>| part.ok().flatten().unwrap_or(0);
                let (kind, device) = match kind {
                    EntryType::Fifo => (FileType::Fifo, 0),
                    other => {
                        let device = rustix::fs::makedev(number(entry.header().device_major()), number(entry.header().device_minor()));
                        (if other == EntryType::Char { FileType::CharacterDevice } else { FileType::BlockDevice }, device)
                    }
                };
                // In a layer it hides what lies below, with Docker too.
                if kind == FileType::CharacterDevice && device == 0 && !self.tree.is_layered() {
                    return Err(refused("a character device 0:0 is how an overlay says that a file is gone; leave it out of the archive"));
                }
                self.replace("make", &path, |parent| rustix::fs::mknodat(parent, path.name(), kind, attributes.mode, device))?;
                self.dress(&path, &attributes, true)
            }
            _ => Err(refused("its kind is unknown")),
        }
    }

    fn name(&self, written: &[u8]) -> Result<EntryPath, NameError> {
        let path = EntryPath::parse(written)?;
        Ok(match &self.rules.rename {
            Some((from, to)) => path.renamed(from, to),
            None => path,
        })
    }

    /// Makes something, in the place of whatever had the name before.
    fn replace<T>(
        &mut self,
        what: &'static str,
        path: &EntryPath,
        make: impl Fn(BorrowedFd<'_>) -> Result<T, Errno>,
    ) -> Result<T, ExtractError> {
        let wrong = |error| step(what, path.as_path().as_os_str().as_bytes(), error);
        match make(self.tree.folder(path.parent()).map_err(wrong)?) {
            Err(Errno::EXIST) => {}
            other => return other.map_err(wrong),
        }
        if self.rules.keep_kinds && self.kind_of(path).map_err(wrong)? == FileType::Directory {
            let entry = printable(path.as_path().as_os_str().as_bytes());
            return Err(ExtractError::Refused { entry, reason: "a folder would make way for something that is none" });
        }
        self.tree.clear(path.parent(), path.name()).map_err(wrong)?;
        make(self.tree.folder(path.parent()).map_err(wrong)?).map_err(wrong)
    }

    fn kind_of(&mut self, path: &EntryPath) -> Result<FileType, Errno> {
        let parent = self.tree.folder(path.parent())?;
        Ok(FileType::from_raw_mode(rustix::fs::statat(parent, path.name(), NO_FOLLOW)?.st_mode))
    }

    fn place_folder(&mut self, path: &EntryPath, attributes: Attributes) -> Result<(), ExtractError> {
        let wrong = |error| step("make", path.as_path().as_os_str().as_bytes(), error);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let folder = if path.is_root() {
            self.tree.look_up(Path::new(""), flags).map_err(wrong)?
        } else {
            let parent = self.tree.folder(path.parent()).map_err(wrong)?;
            match rustix::fs::mkdirat(parent, path.name(), Mode::from_raw_mode(0o700)) {
                Ok(()) => {}
                // A folder stays with what it holds; anything else makes way.
                Err(Errno::EXIST) => {
                    let there = rustix::fs::statat(parent, path.name(), NO_FOLLOW).map_err(wrong)?;
                    if FileType::from_raw_mode(there.st_mode) != FileType::Directory {
                        if self.rules.keep_kinds {
                            let entry = printable(path.as_path().as_os_str().as_bytes());
                            return Err(ExtractError::Refused { entry, reason: "something that is no folder would make way for one" });
                        }
                        self.tree.clear(path.parent(), path.name()).map_err(wrong)?;
                        let parent = self.tree.folder(path.parent()).map_err(wrong)?;
                        rustix::fs::mkdirat(parent, path.name(), Mode::from_raw_mode(0o700)).map_err(wrong)?;
                    }
                }
                Err(error) => return Err(wrong(error)),
            }
            let parent = self.tree.folder(path.parent()).map_err(wrong)?;
            rustix::fs::openat(parent, path.name(), flags | OFlags::CLOEXEC, Mode::empty()).map_err(wrong)?
        };
        if self.whiteouts.remove(path.as_path()) {
            hide_below(folder.as_fd()).map_err(wrong)?;
        }
        self.dress_open(path, &folder, &attributes)?;
        self.folders.push((path.as_path().to_owned(), attributes.time));
        Ok(())
    }

    fn place_file<R: Read>(
        &mut self,
        entry: &mut tar::Entry<'_, R>,
        path: &EntryPath,
        attributes: &Attributes,
        sparse: Option<&SparseHeader>,
    ) -> Result<(), ExtractError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = self.replace("make", path, |parent| rustix::fs::openat(parent, path.name(), flags, Mode::from_raw_mode(0o600)))?;
        let mut file = File::from(file);
        let copied = match sparse {
            Some(header) => self.copier.copy_pieces(header, entry, &mut file),
            None if entry.header().entry_type().is_gnu_sparse() => self.copier.copy_with_holes(entry, &mut file),
            None => {
                let expected = entry.size();
                self.copier.copy(entry, &mut file).and_then(|copied| {
                    let whole = copied == expected;
                    if whole { Ok(copied) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
                })
            }
        };
        let entry = || printable(path.as_path().as_os_str().as_bytes());
        self.size += copied.map_err(|source| ExtractError::Step { step: "write", entry: entry(), source })?;
        let file = OwnedFd::from(file);
        self.dress_open(path, &file, attributes)?;
        let times = Timestamps { last_access: attributes.time, last_modification: attributes.time };
        rustix::fs::futimens(&file, &times).map_err(|error| step("set the time of", path.as_path().as_os_str().as_bytes(), error))
    }

    fn place_link(&mut self, path: &EntryPath, target: &[u8]) -> Result<(), ExtractError> {
        let named = |source| ExtractError::Name { entry: printable(target), source };
        let target = self.name(target).map_err(named)?;
        if target == *path {
            return Ok(());
        }
        let wrong = |error| step("link", path.as_path().as_os_str().as_bytes(), error);
        let from = self.tree.look_up(target.parent(), OFlags::PATH | OFlags::DIRECTORY).map_err(wrong)?;
        self.replace("link", path, |parent| rustix::fs::linkat(&from, target.name(), parent, path.name(), rustix::fs::AtFlags::empty()))
    }

    /// Hides all that the layers below have in the folder.
    fn hide_below(&mut self, path: &EntryPath) -> Result<(), ExtractError> {
        let wrong = |error| step("hide what lies below", path.as_path().as_os_str().as_bytes(), error);
        self.tree.folder(path.parent()).map_err(wrong)?;
        let folder = self.tree.look_up(path.parent(), OFlags::RDONLY | OFlags::DIRECTORY).map_err(wrong)?;
        hide_below(folder.as_fd()).map_err(wrong)
    }

    /// Hides a name of the layers below. What this layer itself has by that name stays (OCI image-spec, layer: whiteouts speak of parents).
    fn hide(&mut self, path: &EntryPath, hidden: &std::ffi::OsStr) -> Result<(), ExtractError> {
        let wrong = |error| step("hide", path.as_path().as_os_str().as_bytes(), error);
        let parent = self.tree.folder(path.parent()).map_err(wrong)?;
        let whole = path.parent().join(hidden);
        match rustix::fs::mknodat(parent, hidden, FileType::CharacterDevice, Mode::empty(), 0) {
            Ok(()) => {
                self.whiteouts.insert(whole);
                Ok(())
            }
            Err(Errno::EXIST) if is_whiteout(parent, hidden).map_err(wrong)? => Ok(()),
            Err(Errno::EXIST) => match rustix::fs::openat(
                parent,
                hidden,
                OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                Mode::empty(),
            ) {
                Ok(folder) => hide_below(folder.as_fd()).map_err(wrong),
                Err(Errno::NOTDIR | Errno::LOOP) => Ok(()),
                Err(error) => Err(wrong(error)),
            },
            Err(error) => Err(wrong(error)),
        }
    }

    /// Gives an open file or folder its owner, mode and attributes; the owner first, for a change of it clears set-id bits and capabilities.
    fn dress_open(&self, path: &EntryPath, open: &OwnedFd, attributes: &Attributes) -> Result<(), ExtractError> {
        let wrong = |what| move |error| step(what, path.as_path().as_os_str().as_bytes(), error);
        if let Some((user, group)) = self.owner(attributes) {
            rustix::fs::fchown(open, Some(user), Some(group)).map_err(wrong("set the owner of"))?;
        }
        rustix::fs::fchmod(open, attributes.mode).map_err(wrong("set the mode of"))?;
        for (name, value) in &attributes.xattrs {
            match rustix::fs::fsetxattr(open, name.as_os_str(), value, XattrFlags::empty()) {
                Ok(()) | Err(Errno::OPNOTSUPP) => {}
                // Who unpacks files as his own need not be root.
                Err(Errno::PERM | Errno::ACCESS) if self.rules.owner == Owner::Own => {}
                Err(error) => return Err(wrong("set an attribute of")(error)),
            }
        }
        Ok(())
    }

    fn owner(&self, attributes: &Attributes) -> Option<(Uid, Gid)> {
        match self.rules.owner {
            Owner::Archive => Some((attributes.owner, attributes.group)),
            Owner::Fixed(user, group) => Some((Uid::from_raw(user), Gid::from_raw(group))),
            Owner::Own => None,
        }
    }

    /// The same for what must not be opened: links and devices.
    fn dress(&mut self, path: &EntryPath, attributes: &Attributes, with_mode: bool) -> Result<(), ExtractError> {
        let wrong = |what| move |error| step(what, path.as_path().as_os_str().as_bytes(), error);
        let name = path.name();
        let owner = self.owner(attributes);
        let parent = self.tree.folder(path.parent()).map_err(wrong("find"))?;
        if let Some((user, group)) = owner {
            rustix::fs::chownat(parent, name, Some(user), Some(group), NO_FOLLOW).map_err(wrong("set the owner of"))?;
        }
        if with_mode {
            // Just made, and no link: fchmodat without flags cannot be led elsewhere.
            rustix::fs::chmodat(parent, name, attributes.mode, rustix::fs::AtFlags::empty()).map_err(wrong("set the mode of"))?;
        }
        for (key, value) in &attributes.xattrs {
            match rustix::fs::lsetxattr(through(parent, name), key.as_os_str(), value, XattrFlags::empty()) {
                // `user.` attributes exist on files and folders only (xattr(7)).
                Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
                Err(error) => return Err(wrong("set an attribute of")(error)),
            }
        }
        let times = Timestamps { last_access: attributes.time, last_modification: attributes.time };
        rustix::fs::utimensat(parent, name, &times, NO_FOLLOW).map_err(wrong("set the time of"))
    }
}

impl Attributes {
    fn of(header: &tar::Header, extensions: Extensions) -> Option<Self> {
        let fields = header.as_old();
        let number = |parsed: std::io::Result<u64>, field: &[u8]| match parsed {
            Ok(number) => Some(number),
            // An empty field is zero to Go's reader, and to tar.
            Err(_) => field.iter().all(|byte| matches!(byte, 0 | b' ')).then_some(0),
        };
        let id = |parsed, field| u32::try_from(number(parsed, field)?).ok().filter(|id| *id != u32::MAX);
        let (seconds, nanos) = match extensions.mtime {
            Some(time) => time,
            None => (i64::try_from(number(header.mtime(), &fields.mtime)?).ok()?, 0),
        };
        // Overlay's own attributes decide what it shows; an image has no say in them.
        let ours = |name: &OsString| {
            let name = name.as_bytes();
            name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") || name.contains(&0)
        };
        Some(Self {
            mode: mode_bits(u32::try_from(number(header.mode().map(u64::from), &fields.mode)?).ok()?),
            owner: Uid::from_raw(id(header.uid(), &fields.uid)?),
            group: Gid::from_raw(id(header.gid(), &fields.gid)?),
            time: Timespec { tv_sec: seconds, tv_nsec: nanos },
            xattrs: extensions.xattrs.into_iter().filter(|(name, _)| !ours(name)).collect(),
        })
    }
}
