//! A part of a tree becomes a tar, in the order of names.
//!
//! Whoever lives in the tree may change it meanwhile: nothing is opened but what a name was seen to be, and no link is followed.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::io::{self, Read as _, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use tar::EntryType;

use crate::archive::attribute::travelling;
use crate::archive::kept::KeptFile;
use crate::archive::look::reopen;
use crate::archive::printable;
use crate::archive::tree::open_beneath;

/// Folders within each other that are followed; an honest tree has fewer.
pub(super) const DEEPEST: usize = 256;
/// The longest name that stands in a header.
const NAME: usize = 100;
/// A header's size, and that of which contents are a multiple.
const BLOCK: usize = 512;
/// So much is read at once.
const BUFFER: usize = 64 << 10;

/// Why a tree cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// Something in the tree cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// Its path.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Folders too deep within each other.
    #[error("`{path}` lies in more than {DEEPEST} folders")]
    Deep {
        /// Its path.
        path: String,
    },
    /// Something in the tree has no place in an archive of this kind.
    #[error("cannot pack `{path}`: {reason}")]
    Refused {
        /// Its path.
        path: String,
        /// Why.
        reason: &'static str,
    },
    /// The archive cannot be written.
    #[error("cannot write the archive")]
    Write(#[source] io::Error),
}

/// Whose files are in an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PackedOwner {
    /// As in the tree.
    #[default]
    Tree,
    /// One user's and one group's.
    Fixed(u32, u32),
}

/// Writes what `path` names in the tree at `root` as a tar in which it is called `name`; an empty name leaves it away itself, and gives
/// what it holds. A link at the path's end is followed where the path ends in a slash.
pub fn pack(root: BorrowedFd<'_>, path: &Path, name: &[u8], owner: PackedOwner, into: impl Write) -> Result<(), PackError> {
    let mut packer = Packer::new(into, owner, None);
    let failed = |error: Errno| PackError::Read { path: path.display().to_string(), source: error.into() };
    let top = open_beneath(root, path, OFlags::PATH | OFlags::NOFOLLOW).map_err(failed)?;
    let stat = rustix::fs::fstat(&top).map_err(failed)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        packer.tree(top, &stat, name)?;
    } else {
        packer.entry(&top, &stat, name)?;
    }
    packer.finish()
}

/// Writes entries of an archive.
pub(super) struct Packer<W: Write> {
    builder: tar::Builder<W>,
    owner: PackedOwner,
    /// No time is later than this one.
    newest: Option<i64>,
    /// Files with several names, and the first of them.
    seen: BTreeMap<(u64, u64), Vec<u8>>,
    buffer: Vec<u8>,
    /// An entry that is written at once.
    whole: Vec<u8>,
}

/// A folder whose names are gone through.
pub(super) struct Level {
    pub(super) folder: OwnedFd,
    /// And what each is, as far as the folder tells.
    pub(super) names: std::vec::IntoIter<(CString, FileType)>,
    /// So much of the name so far is the folder's.
    pub(super) length: usize,
}

impl<W: Write> Packer<W> {
    /// An archive with nothing in it.
    pub(super) fn new(into: W, owner: PackedOwner, newest: Option<i64>) -> Self {
        Self { builder: tar::Builder::new(into), owner, newest, seen: BTreeMap::new(), buffer: vec![0; BUFFER], whole: Vec::new() }
    }

    /// Ends the archive.
    pub(super) fn finish(self) -> Result<(), PackError> {
        self.builder.into_inner().and_then(|mut into| into.flush()).map_err(PackError::Write)
    }

    /// A folder and all it holds.
    fn tree(&mut self, top: OwnedFd, stat: &Stat, name: &[u8]) -> Result<(), PackError> {
        let mut at = name.to_vec();
        if !name.is_empty() {
            self.entry(&top, stat, name)?;
        }
        let mut levels = vec![level(top.as_fd(), c".", &mut at)?];
        while let Some(current) = levels.last_mut() {
            at.truncate(current.length);
            let Some((name, _)) = current.names.next() else {
                levels.pop();
                continue;
            };
            at.extend_from_slice(name.to_bytes());
            let opened = rustix::fs::openat(&current.folder, &name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
            let opened = match opened {
                // It went away since the folder was listed.
                Err(Errno::NOENT) => continue,
                opened => opened.map_err(|error| unread(&at, error))?,
            };
            let stat = rustix::fs::fstat(&opened).map_err(|error| unread(&at, error))?;
            self.entry(&opened, &stat, &at)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                if levels.len() == DEEPEST {
                    return Err(deep(&at));
                }
                levels.push(level(opened.as_fd(), c".", &mut at)?);
            }
        }
        Ok(())
    }

    /// One entry; what it is was seen when it was named.
    pub(super) fn entry(&mut self, named: &OwnedFd, stat: &Stat, name: &[u8]) -> Result<(), PackError> {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                // The file that was looked at, whatever has its name by now.
                let opened = reopen(named.as_fd(), OFlags::RDONLY).map_err(|error| unread(name, error))?;
                self.opened(&opened, stat, name)
            }
            _ => self.opened(named, stat, name),
        }
    }

    /// One entry, which is open for reading if it is a file.
    pub(super) fn opened(&mut self, opened: &OwnedFd, stat: &Stat, name: &[u8]) -> Result<(), PackError> {
        let kind = FileType::from_raw_mode(stat.st_mode);
        let mut header = self.header(stat.st_mode & 0o7777, (stat.st_uid, stat.st_gid), stat.st_mtime);
        match kind {
            FileType::Directory => {
                header.set_entry_type(EntryType::Directory);
                let name = if name.ends_with(b"/") { name.to_vec() } else { [name, b"/"].concat() };
                self.attributes(opened, &name)?;
                self.write(&mut header, &name, &[], io::empty())
            }
            FileType::RegularFile => {
                let identity = (stat.st_dev, stat.st_ino);
                if stat.st_nlink > 1 {
                    if let Some(first) = self.seen.get(&identity).cloned() {
                        header.set_entry_type(EntryType::Link);
                        return self.write(&mut header, name, &first, io::empty());
                    }
                    self.seen.insert(identity, name.to_vec());
                }
                self.attributes(opened, name)?;
                header.set_entry_type(EntryType::Regular);
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                header.set_size(size);
                self.file(&mut header, name, opened, size)
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(opened, "", Vec::new()).map_err(|error| unread(name, error))?;
                header.set_entry_type(EntryType::Symlink);
                self.write(&mut header, name, target.to_bytes(), io::empty())
            }
            FileType::CharacterDevice | FileType::BlockDevice => {
                header.set_entry_type(if kind == FileType::CharacterDevice { EntryType::Char } else { EntryType::Block });
                let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
                header.set_device_major(major).and_then(|()| header.set_device_minor(minor)).map_err(PackError::Write)?;
                self.write(&mut header, name, &[], io::empty())
            }
            FileType::Fifo => {
                header.set_entry_type(EntryType::Fifo);
                self.write(&mut header, name, &[], io::empty())
            }
            // Whoever listens on a socket does not come along.
            _ => Ok(()),
        }
    }

    /// A file that need not be read.
    pub(super) fn kept(&mut self, file: &KeptFile, contents: &[u8], name: &[u8]) -> Result<(), PackError> {
        let mut header = self.header(file.mode, (file.user, file.group), file.time);
        header.set_entry_type(EntryType::Regular);
        header.set_size(contents.len() as u64);
        self.name(&mut header, name, &[])?;
        header.set_cksum();
        // What it goes through is spared two pieces of three.
        self.whole.clear();
        self.whole.extend_from_slice(header.as_bytes());
        self.whole.extend_from_slice(contents);
        self.whole.resize(self.whole.len().next_multiple_of(BLOCK), 0);
        self.builder.get_mut().write_all(&self.whole).map_err(PackError::Write)
    }

    /// A header of something that holds nothing, and of no kind yet.
    fn header(&self, mode: u32, of_tree: (u32, u32), time: i64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        let (user, group) = match self.owner {
            PackedOwner::Tree => of_tree,
            PackedOwner::Fixed(user, group) => (user, group),
        };
        header.set_uid(user.into());
        header.set_gid(group.into());
        header.set_mtime(self.time(time));
        header.set_size(0);
        header
    }

    /// An empty file that is in no tree: a mark of the archive's own.
    pub(super) fn mark(&mut self, name: &[u8], time: i64) -> Result<(), PackError> {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        header.set_mtime(self.time(time));
        self.write(&mut header, name, &[], io::empty())
    }

    /// Whole seconds: all that a header has room for.
    fn time(&self, seconds: i64) -> u64 {
        u64::try_from(self.newest.map_or(seconds, |newest| seconds.min(newest))).unwrap_or(0)
    }

    fn file(&mut self, header: &mut tar::Header, name: &[u8], file: &OwnedFd, size: u64) -> Result<(), PackError> {
        self.name(header, name, &[])?;
        header.set_cksum();
        let into = self.builder.get_mut();
        into.write_all(header.as_bytes()).map_err(PackError::Write)?;
        let mut left = size;
        while left > 0 {
            let length = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = match rustix::io::read(file, &mut self.buffer[..length]) {
                Err(Errno::INTR) => continue,
                read => read.map_err(|error| unread(name, error))?,
            };
            if read == 0 {
                let source = io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read");
                return Err(PackError::Read { path: printable(name), source });
            }
            into.write_all(&self.buffer[..read]).map_err(PackError::Write)?;
            left -= read as u64;
        }
        let padding = usize::try_from(size.next_multiple_of(BLOCK as u64) - size).unwrap_or(0);
        into.write_all(&[0; BLOCK][..padding]).map_err(PackError::Write)
    }

    fn write(&mut self, header: &mut tar::Header, name: &[u8], target: &[u8], data: impl io::Read) -> Result<(), PackError> {
        self.name(header, name, target)?;
        header.set_cksum();
        self.builder.append(header, data).map_err(PackError::Write)
    }

    /// Names go in as they are, an absolute one too; those that are too long go before the header, in the way of GNU's tar.
    fn name(&mut self, header: &mut tar::Header, name: &[u8], target: &[u8]) -> Result<(), PackError> {
        for (text, kind) in [(target, EntryType::GNULongLink), (name, EntryType::GNULongName)] {
            if text.len() > NAME {
                let mut long = tar::Header::new_gnu();
                long.as_old_mut().name[..13].copy_from_slice(b"././@LongLink");
                long.set_mode(0o644);
                long.set_uid(0);
                long.set_gid(0);
                long.set_mtime(0);
                long.set_size(text.len() as u64 + 1);
                long.set_entry_type(kind);
                long.set_cksum();
                self.builder.append(&long, text.chain(&[0_u8][..])).map_err(PackError::Write)?;
            }
        }
        let fields = header.as_old_mut();
        copy_name(&mut fields.name, name);
        copy_name(&mut fields.linkname, target);
        Ok(())
    }

    /// Attributes go before the header, as records of POSIX's tar.
    fn attributes(&mut self, opened: &OwnedFd, name: &[u8]) -> Result<(), PackError> {
        let found = travelling(opened.as_fd()).map_err(|error| unread(name, error))?;
        let records: Vec<(String, Vec<u8>)> =
            found.into_iter().filter_map(|(key, value)| Some((format!("SCHILY.xattr.{}", key.to_str().ok()?), value))).collect();
        if records.is_empty() {
            return Ok(());
        }
        let records = records.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
        self.builder.append_pax_extensions(records).map_err(PackError::Write)
    }
}

fn copy_name(field: &mut [u8; NAME], name: &[u8]) {
    let length = name.len().min(NAME);
    field[..length].copy_from_slice(&name[..length]);
}

/// Goes down into a folder: lists it, and makes the name so far its own.
pub(super) fn level(opened: BorrowedFd<'_>, name: &CStr, at: &mut Vec<u8>) -> Result<Level, PackError> {
    let wrong = |error| unread(at, error);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = rustix::fs::openat(opened, name, flags, Mode::empty()).map_err(wrong)?;
    let mut names = Vec::new();
    for entry in Dir::read_from(&folder).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            names.push((entry.file_name().to_owned(), entry.file_type()));
        }
    }
    names.sort_by(|(one, _), (other, _)| one.cmp(other));
    if !at.is_empty() && !at.ends_with(b"/") {
        at.push(b'/');
    }
    Ok(Level { folder, names: names.into_iter(), length: at.len() })
}

/// Something that cannot be read.
pub(super) fn unread(name: &[u8], error: Errno) -> PackError {
    PackError::Read { path: printable(name), source: error.into() }
}

/// A folder that nobody goes down into.
pub(super) fn deep(name: &[u8]) -> PackError {
    PackError::Deep { path: printable(name) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;
    use crate::archive::{Owner, Rules, open_folder, unpack};

    fn packed(root: &Path, path: &str, name: &str) -> Vec<u8> {
        let mut archive = Vec::new();
        let root = open_folder(root).expect("the tree");
        pack(root.as_fd(), Path::new(path), name.as_bytes(), PackedOwner::Tree, &mut archive).expect("packed");
        archive
    }

    fn names(archive: &[u8]) -> Vec<String> {
        let mut archive = tar::Archive::new(archive);
        let entries = archive.entries().expect("an archive");
        entries.map(|entry| String::from_utf8(entry.expect("an entry").path_bytes().into_owned()).expect("text")).collect()
    }

    #[test]
    fn a_tree_comes_out_as_it_went_in() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let long = "n".repeat(120);
        fs::create_dir_all(at(&format!("from/{long}"))).expect("folders");
        fs::create_dir(at("to")).expect("a folder");
        fs::write(at(&format!("from/{long}/{long}")), vec![7; 1_000]).expect("a file");
        fs::hard_link(at(&format!("from/{long}/{long}")), at("from/second")).expect("a link");
        symlink("x".repeat(200), at("from/link")).expect("a link");
        fs::write(at("from/tool"), "").expect("a file");
        fs::set_permissions(at("from/tool"), fs::Permissions::from_mode(0o4711)).expect("a mode");
        rustix::fs::setxattr(at("from/tool"), "user.note", b"kept", rustix::fs::XattrFlags::empty()).expect("an attribute");
        rustix::fs::mknodat(rustix::fs::CWD, at("from/pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a pipe");
        let _socket = std::os::unix::net::UnixListener::bind(at("from/socket")).expect("a socket");

        let archive = packed(folder.path(), "/from", "copy");
        let to = open_folder(&at("to")).expect("the tree");
        unpack(&*archive, to.as_fd(), Path::new(""), Rules { owner: Owner::Own, ..Rules::default() }).expect("unpacked");
        let file = fs::metadata(at(&format!("to/copy/{long}/{long}"))).expect("the file");
        assert_eq!((file.len(), file.ino()), (1_000, fs::metadata(at("to/copy/second")).expect("the link").ino()));
        assert_eq!(fs::read_link(at("to/copy/link")).expect("a link").as_os_str().len(), 200);
        assert_eq!(fs::metadata(at("to/copy/tool")).expect("the file").mode() & 0o7777, 0o4711);
        let mut value = [0; 16];
        assert_eq!(rustix::fs::getxattr(at("to/copy/tool"), "user.note", &mut value), Ok(4));
        assert!(fs::symlink_metadata(at("to/copy/pipe")).is_ok() && fs::symlink_metadata(at("to/copy/socket")).is_err());
    }

    #[test]
    fn the_top_is_called_as_one_likes() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("d")).expect("a folder");
        fs::write(folder.path().join("d/f"), "x").expect("a file");
        symlink("/d", folder.path().join("l")).expect("a link");
        for (path, name, expect) in [
            ("/d", "d", &["d/", "d/f"][..]),
            ("/d/.", ".", &["./", "./f"]),
            ("/", "/", &["/", "/d/", "/d/f", "/l"]),
            ("/", "", &["d/", "d/f", "l"]),
            ("/l", "l", &["l"]),
            ("/l/", "l", &["l/", "l/f"]),
            ("/d/f", "g", &["g"]),
        ] {
            assert_eq!(names(&packed(folder.path(), path, name)), expect, "{path}");
        }
        let root = open_folder(folder.path()).expect("the tree");
        assert!(pack(root.as_fd(), Path::new("/../missing"), b"x", PackedOwner::Tree, Vec::new()).is_err());
    }
}
