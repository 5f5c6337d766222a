//! What a copy would copy, as one digest: equal digests make equal copies, but for times.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use sha2::{Digest as _, Sha256};

use crate::archive::attribute::travelling;
use crate::archive::copy::CopyOwner;
use crate::archive::look::reopen;
use crate::archive::select::{CopyError, Hold, Item, Selection, Visit, failed, walk};

/// A SHA-256 digest.
pub type TreeDigest = [u8; 32];

/// Goes first into every digest, so that another way of counting never meets this one's.
const VERSION: &[u8] = b"tree 1";

/// The digest of what is selected: names within each source (and of a source that is no folder its own), kinds, modes, owners,
/// attributes, links, device numbers and contents, never times. Owners that the copies do not keep do not count, nor does what a source
/// folder itself is like, which no copy has.
///
/// `known` gives the digest of what a file holds, by its path from the tree's root (`/d/f`) without links, where somebody knows it; the others are read.
pub fn digest_tree(
    selection: &Selection<'_>,
    owner: CopyOwner,
    known: &dyn Fn(&Path) -> Option<TreeDigest>,
) -> Result<TreeDigest, CopyError> {
    let (sealed, hasher) = (selection.sealed, Sha256::new());
    let mut digester = Digester { hasher, owner, known, sealed, links: BTreeMap::new(), buffer: Vec::new() };
    digester.text(VERSION);
    walk(selection, &mut digester)?;
    Ok(digester.hasher.finalize().into())
}

struct Digester<'a> {
    hasher: Sha256,
    owner: CopyOwner,
    known: &'a dyn Fn(&Path) -> Option<TreeDigest>,
    /// There are no attributes.
    sealed: bool,
    /// Files with several names, and the first of them.
    links: BTreeMap<(u64, u64), PathBuf>,
    buffer: Vec<u8>,
}

impl Visit for Digester<'_> {
    const LOOKS: bool = true;

    fn source(&mut self, item: &Item<'_>) -> Result<(), CopyError> {
        // Two sources are two copies.
        self.links.clear();
        self.text(b"source");
        if item.kind() == FileType::Directory {
            self.text(b"folder");
            return Ok(());
        }
        self.entry(item, Path::new(item.name))
    }

    fn enter(&mut self, item: &Item<'_>) -> Result<(), CopyError> {
        self.text(if item.waited { b"through" } else { b"into" });
        self.entry(item, item.path)
    }

    fn leave(&mut self) -> Result<(), CopyError> {
        self.text(b"out");
        Ok(())
    }

    fn place(&mut self, item: &Item<'_>) -> Result<(), CopyError> {
        self.entry(item, item.path)
    }
}

impl Digester<'_> {
    /// Every text is told from the next by its length.
    fn text(&mut self, text: &[u8]) {
        self.number(text.len() as u64);
        self.hasher.update(text);
    }

    fn number(&mut self, number: u64) {
        self.hasher.update(number.to_le_bytes());
    }

    fn entry(&mut self, item: &Item<'_>, path: &Path) -> Result<(), CopyError> {
        let wrong = |step| move |error: rustix::io::Errno| failed(step, item.real)(error.into());
        let kind = item.kind();
        self.text(path.as_os_str().as_bytes());
        if kind != FileType::Directory && item.stat.st_nlink > 1 {
            let identity = (item.stat.st_dev, item.stat.st_ino);
            if let Some(first) = self.links.get(&identity).cloned() {
                self.text(b"link");
                self.text(first.as_os_str().as_bytes());
                return Ok(());
            }
            self.links.insert(identity, path.to_owned());
        }
        self.text(b"entry");
        // A link's mode means nothing.
        self.number(if kind == FileType::Symlink { 0 } else { (item.stat.st_mode & 0o7777).into() });
        let (user, group) = match self.owner {
            CopyOwner::Keep => (item.stat.st_uid, item.stat.st_gid),
            CopyOwner::Fixed(user, group) => (user, group),
        };
        self.number(user.into());
        self.number(group.into());
        if matches!(kind, FileType::RegularFile | FileType::Directory) {
            let found = match self.sealed {
                true => Vec::new(),
                false => travelling(item.opened.as_fd()).map_err(wrong("read the attributes of"))?,
            };
            self.number(found.len() as u64);
            for (name, value) in found {
                self.text(name.to_bytes());
                self.text(&value);
            }
        }
        match kind {
            FileType::RegularFile => {
                self.text(b"file");
                let contents = match (self.known)(item.real) {
                    Some(digest) => digest,
                    None => self.contents(item)?,
                };
                self.hasher.update(contents);
            }
            FileType::Symlink => {
                self.text(b"symlink");
                let target = rustix::fs::readlinkat(item.opened, "", Vec::new()).map_err(wrong("read"))?;
                self.text(target.to_bytes());
            }
            FileType::CharacterDevice | FileType::BlockDevice => {
                self.text(if kind == FileType::CharacterDevice { b"character" } else { b"block" });
                self.number(item.stat.st_rdev);
            }
            FileType::Directory => self.text(b"folder"),
            FileType::Fifo => self.text(b"pipe"),
            _ => self.text(b"socket"),
        }
        Ok(())
    }

    fn contents(&mut self, item: &Item<'_>) -> Result<TreeDigest, CopyError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match item.hold {
            Hold::Folder => rustix::fs::openat(item.opened, item.name, flags, Mode::empty()),
            Hold::Named | Hold::Open => reopen(item.opened.as_fd(), OFlags::RDONLY),
        };
        let mut file = File::from(file.map_err(|error| failed("open", item.real)(error.into()))?);
        self.buffer.resize(128 << 10, 0);
        let mut hasher = Sha256::new();
        loop {
            let read = file.read(&mut self.buffer).map_err(failed("read", item.real))?;
            if read == 0 {
                return Ok(hasher.finalize().into());
            }
            hasher.update(&self.buffer[..read]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};

    use rustix::fs::{CWD, XattrFlags};

    use super::*;
    use crate::archive::open_folder;
    use crate::archive::select::Choice;

    const ROOT: CopyOwner = CopyOwner::Fixed(0, 0);

    fn filled() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("d/e")).expect("folders");
        fs::write(at("d/e/f"), "text").expect("a file");
        fs::write(at("d/g"), "").expect("a file");
        symlink("e/f", at("d/soft")).expect("a link");
        rustix::fs::mknodat(CWD, at("d/pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a pipe");
        folder
    }

    fn digest(top: &Path, sources: &[&str], owner: CopyOwner) -> TreeDigest {
        let root = open_folder(top).expect("the tree");
        let sources: Vec<PathBuf> = sources.iter().map(PathBuf::from).collect();
        let choose = |path: &Path, _: bool| if path.ends_with("left") { Choice::Leave } else { Choice::Take };
        let selection = Selection { from: root.as_fd(), sources: &sources, keep_parents: false, sealed: false, choose: &choose };
        digest_tree(&selection, owner, &|_| None).expect("a digest")
    }

    #[test]
    fn whatever_a_copy_would_show_changes_the_digest() {
        type At<'a> = &'a dyn Fn(&str) -> PathBuf;
        let check = |what: &str, differs: bool, owner: CopyOwner, change: &dyn Fn(At<'_>)| {
            let folder = filled();
            let before = digest(folder.path(), &["d"], owner);
            change(&|name| folder.path().join(name));
            assert_eq!(digest(folder.path(), &["d"], owner) != before, differs, "{what}");
        };
        check("nothing", false, CopyOwner::Keep, &|_| ());
        check("content", true, ROOT, &|at| fs::write(at("d/e/f"), "tex!").expect("written"));
        check("name", true, ROOT, &|at| fs::rename(at("d/g"), at("d/h")).expect("renamed"));
        check("place", true, ROOT, &|at| fs::rename(at("d/g"), at("d/e/g")).expect("renamed"));
        check("mode", true, ROOT, &|at| fs::set_permissions(at("d/g"), fs::Permissions::from_mode(0o755)).expect("a mode"));
        check("mode of a folder", true, ROOT, &|at| fs::set_permissions(at("d/e"), fs::Permissions::from_mode(0o700)).expect("a mode"));
        check("mode of the top", false, ROOT, &|at| fs::set_permissions(at("d"), fs::Permissions::from_mode(0o700)).expect("a mode"));
        check("owner", true, CopyOwner::Keep, &|at| lchown(at("d/g"), Some(3), None).expect("an owner"));
        check("owner that nobody keeps", false, ROOT, &|at| lchown(at("d/g"), Some(3), None).expect("an owner"));
        check("target", true, ROOT, &|at| {
            fs::remove_file(at("d/soft")).expect("removed");
            symlink("e/g", at("d/soft")).expect("a link");
        });
        check("kind", true, ROOT, &|at| {
            fs::remove_file(at("d/g")).expect("removed");
            fs::create_dir(at("d/g")).expect("a folder");
        });
        check("attribute", true, ROOT, &|at| {
            rustix::fs::setxattr(at("d/g"), "user.note", b"x", XattrFlags::empty()).expect("an attribute");
        });
        check("hard link", true, ROOT, &|at| fs::hard_link(at("d/g"), at("d/h")).expect("a link"));
        check("time", false, CopyOwner::Keep, &|at| {
            let file = fs::File::options().write(true).open(at("d/g")).expect("the file");
            file.set_modified(std::time::UNIX_EPOCH).expect("a time");
        });
        check("what is left out", false, ROOT, &|at| fs::write(at("d/left"), "x").expect("written"));
        check("what lies beside", false, ROOT, &|at| fs::write(at("beside"), "x").expect("written"));
    }

    #[test]
    fn the_same_in_another_place_has_the_same_digest() {
        let (one, other) = (filled(), filled());
        assert_eq!(digest(one.path(), &["d"], ROOT), digest(other.path(), &["d"], ROOT));
        assert_ne!(digest(one.path(), &["d"], ROOT), digest(one.path(), &["d", "d"], ROOT));
        assert_ne!(digest(one.path(), &["d/g"], ROOT), digest(one.path(), &["d/e/f"], ROOT));
        // A folder's end is told: what follows it is not in it.
        fs::create_dir(one.path().join("d/e/z")).expect("a folder");
        fs::create_dir(other.path().join("d/z")).expect("a folder");
        assert_ne!(digest(one.path(), &["d"], ROOT), digest(other.path(), &["d"], ROOT));
    }

    #[test]
    fn a_sealed_tree_has_the_same_digest() {
        let folder = filled();
        let root = open_folder(folder.path()).expect("the tree");
        let sources = [PathBuf::from("d")];
        let of = |sealed| {
            let selection = Selection { from: root.as_fd(), sources: &sources, keep_parents: false, sealed, choose: &|_, _| Choice::Take };
            digest_tree(&selection, ROOT, &|_| None).expect("a digest")
        };
        assert_eq!(of(true), of(false));
    }

    #[test]
    fn what_somebody_knows_is_not_read() {
        let folder = filled();
        symlink("d", folder.path().join("to")).expect("a link");
        let root = open_folder(folder.path()).expect("the tree");
        let sources = [PathBuf::from("to")];
        let selection =
            Selection { from: root.as_fd(), sources: &sources, keep_parents: false, sealed: false, choose: &|_, _| Choice::Take };
        let asked = RefCell::new(Vec::new());
        let known = |text: &'static [u8]| {
            let asked = &asked;
            move |path: &Path| {
                asked.borrow_mut().push(path.display().to_string());
                path.ends_with("f").then(|| Sha256::digest(text).into())
            }
        };
        let read = digest_tree(&selection, ROOT, &|_| None).expect("a digest");
        assert_eq!(digest_tree(&selection, ROOT, &known(b"text")).expect("a digest"), read);
        assert_eq!(*asked.borrow(), ["/d/e/f", "/d/g"]);
        assert_ne!(digest_tree(&selection, ROOT, &known(b"other")).expect("a digest"), read);
    }
}
