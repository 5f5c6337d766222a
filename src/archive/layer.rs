//! The upper folder of an overlay becomes a layer: what was removed becomes a whiteout, and overlay's own marks stay behind.

use std::collections::BTreeSet;
use std::ffi::{CStr, OsStr};
use std::io::Write;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::archive::attribute;
use crate::archive::kept::Kept;
use crate::archive::look::reopen;
use crate::archive::opaque::{Opacity, opacity};
use crate::archive::pack::{DEEPEST, Level, PackError, PackedOwner, Packer, deep, level, unread};
use crate::archive::path::{OPAQUE, WHITEOUT};
use crate::archive::printable;

/// What becomes of an upper folder's entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerRules {
    /// Times later than this one become this one (seconds since the epoch): `SOURCE_DATE_EPOCH`.
    pub newest: Option<i64>,
    /// What was made only so that something could be mounted on it, as seen from the upper folder: empty files, and folders in which
    /// nothing is written that the layer takes. Whoever lists a folder here knows that nobody else made or changed it.
    pub leave_out: BTreeSet<PathBuf>,
    /// Nobody writes to the folder any more: what its lists tell need not be looked at twice.
    pub sealed: bool,
    /// What the folder's files hold, as far as it is known: these are not opened.
    pub kept: Kept,
}

/// What a layer holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerSize {
    /// Its entries, whiteouts among them.
    pub entries: u64,
    /// The bytes of its files, each counted once however many names it has.
    pub bytes: u64,
}

impl LayerSize {
    /// Whether it changes nothing: its archive is only an archive's end.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }
}

/// Writes the upper folder of an overlay as the tar of an OCI layer, in the order of names; the folder itself has no entry in it.
///
/// Overlay must be mounted so that it neither renames folders of the layers below in place (`redirect_dir`) nor copies up only what is
/// known about a file (`metacopy`): the upper folder would not be the whole difference, and is refused.
pub fn pack_layer(upper: &Path, into: impl Write, rules: LayerRules) -> Result<LayerSize, PackError> {
    let top = rustix::fs::open(upper, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| PackError::Read { path: upper.display().to_string(), source: error.into() })?;
    let mut differ = Differ {
        packer: Packer::new(into, PackedOwner::Tree, rules.newest),
        leave_out: rules.leave_out,
        sealed: rules.sealed,
        kept: rules.kept,
        levels: Vec::new(),
        size: LayerSize::default(),
        seen: BTreeSet::new(),
    };
    differ.tree(top)?;
    differ.packer.finish()?;
    Ok(differ.size)
}

struct Differ<W: Write> {
    packer: Packer<W>,
    leave_out: BTreeSet<PathBuf>,
    sealed: bool,
    kept: Kept,
    levels: Vec<Floor>,
    size: LayerSize,
    /// Files with several names that were counted.
    seen: BTreeSet<(u64, u64)>,
}

/// A folder that is gone through.
struct Floor {
    level: Level,
    /// Its own entry, while nothing in it has called for it.
    waiting: Option<(OwnedFd, Stat, Vec<u8>)>,
    /// Files with overlay's attribute in it are whiteouts.
    marked: bool,
}

impl<W: Write> Differ<W> {
    fn tree(&mut self, top: OwnedFd) -> Result<(), PackError> {
        let (mut at, kept) = (Vec::new(), std::mem::take(&mut self.kept));
        let stat = rustix::fs::fstat(&top).map_err(|error| unread(b".", error))?;
        self.enter(top, &stat, &mut at, false)?;
        while let Some(floor) = self.levels.last_mut() {
            at.truncate(floor.level.length);
            let Some((name, hint)) = floor.level.names.next() else {
                self.levels.pop();
                continue;
            };
            let marked = floor.marked;
            at.extend_from_slice(name.to_bytes());
            if let Some((file, contents)) = kept.get(&at).filter(|_| self.sealed && hint == FileType::RegularFile) {
                allowed(&name, &at)?;
                self.announce()?;
                self.packer.kept(file, contents, &at)?;
                self.size = LayerSize { entries: self.size.entries + 1, bytes: self.size.bytes + contents.len() as u64 };
                continue;
            }
            let readable = self.sealed && hint == FileType::RegularFile;
            let flags = if readable { OFlags::RDONLY } else { OFlags::PATH } | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let opened = match rustix::fs::openat(&floor.level.folder, &name, flags, Mode::empty()) {
                // It went away since the folder was listed.
                Err(Errno::NOENT) => continue,
                opened => opened.map_err(|error| unread(&at, error))?,
            };
            let stat = rustix::fs::fstat(&opened).map_err(|error| unread(&at, error))?;
            let kind = FileType::from_raw_mode(stat.st_mode);
            allowed(&name, &at)?;
            let left_out = self.leave_out.contains(Path::new(OsStr::from_bytes(&at)));
            if kind == FileType::Directory {
                self.enter(opened, &stat, &mut at, left_out)?;
                continue;
            }
            if is_whiteout(&opened, &stat, kind, marked, &at)? {
                let start = at.len() - name.to_bytes().len();
                let whiteout = [&at[..start], WHITEOUT, name.to_bytes()].concat();
                self.announce()?;
                self.packer.mark(&whiteout, stat.st_mtime)?;
                self.size.entries += 1;
                continue;
            }
            if kind == FileType::Socket || left_out && kind == FileType::RegularFile && stat.st_size == 0 {
                continue;
            }
            let mut opened = opened;
            if kind == FileType::RegularFile {
                // It is read anyway, and an open file tells its attributes at less cost.
                if !readable {
                    opened = reopen(opened.as_fd(), OFlags::RDONLY).map_err(|error| unread(&at, error))?;
                }
                whole(&opened, "trusted.overlay.metacopy", &at)?;
                if stat.st_nlink < 2 || self.seen.insert((stat.st_dev, stat.st_ino)) {
                    self.size.bytes += u64::try_from(stat.st_size).unwrap_or(0);
                }
            }
            self.announce()?;
            self.packer.opened(&opened, &stat, &at)?;
            self.size.entries += 1;
        }
        Ok(())
    }

    /// Goes down into a folder. What is left out has an entry only once something in it has one.
    fn enter(&mut self, opened: OwnedFd, stat: &Stat, at: &mut Vec<u8>, left_out: bool) -> Result<(), PackError> {
        if self.levels.len() == DEEPEST {
            return Err(deep(at));
        }
        let is_top = self.levels.is_empty();
        whole(&opened, "trusted.overlay.redirect", at)?;
        let opacity = opacity(&opened, at)?;
        let name = at.clone();
        let level = level(opened.as_fd(), c".", at)?;
        let waiting = (!is_top).then_some((opened, *stat, name));
        self.levels.push(Floor { level, waiting, marked: opacity == Opacity::Marked });
        if opacity == Opacity::Opaque {
            self.announce()?;
            self.packer.mark(&[at, OPAQUE].concat(), stat.st_mtime)?;
            self.size.entries += 1;
        }
        if left_out { Ok(()) } else { self.announce() }
    }

    /// Writes the entries of the folders that one is in, where they have none yet.
    fn announce(&mut self) -> Result<(), PackError> {
        for floor in &mut self.levels {
            if let Some((opened, stat, name)) = floor.waiting.take() {
                self.packer.entry(&opened, &stat, &name)?;
                self.size.entries += 1;
            }
        }
        Ok(())
    }
}

/// Refuses a name that means something else in a layer.
fn allowed(name: &CStr, at: &[u8]) -> Result<(), PackError> {
    if !name.to_bytes().starts_with(WHITEOUT) {
        return Ok(());
    }
    let reason = "in a layer, a name that begins with `.wh.` says that something is gone; name it otherwise";
    Err(PackError::Refused { path: printable(at), reason })
}

/// Whether overlay would read a name as "not there".
pub(super) fn is_whiteout(opened: &OwnedFd, stat: &Stat, kind: FileType, marked: bool, at: &[u8]) -> Result<bool, PackError> {
    match kind {
        FileType::CharacterDevice => Ok(stat.st_rdev == 0),
        FileType::RegularFile if marked && stat.st_size == 0 => Ok(attribute(opened, "trusted.overlay.whiteout", at)?.is_some()),
        _ => Ok(false),
    }
}

/// Refuses what is only a reference to something in the layers below.
fn whole(opened: &OwnedFd, mark: &str, at: &[u8]) -> Result<(), PackError> {
    if attribute(opened, mark, at)?.is_none() {
        return Ok(());
    }
    let reason = if mark.ends_with("metacopy") {
        "overlay copied up only what is known about it, not what it holds; mount without `metacopy`"
    } else {
        "overlay moved a folder of a layer below to here; mount without `redirect_dir`"
    };
    Err(PackError::Refused { path: printable(at), reason })
}

/// An attribute of overlay's, or of who may do what.
pub(super) fn attribute(opened: &OwnedFd, name: &str, at: &[u8]) -> Result<Option<Vec<u8>>, PackError> {
    attribute::attribute(opened.as_fd(), name).map_err(|error| unread(at, error))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use rustix::fs::{CWD, XattrFlags};

    use super::*;
    use crate::archive::unpack_layer;

    fn mark(path: &Path, name: &str, value: &[u8]) {
        rustix::fs::setxattr(path, name, value, XattrFlags::empty()).expect("an attribute");
    }

    fn packed(upper: &Path, rules: LayerRules) -> (Vec<u8>, LayerSize) {
        let mut archive = Vec::new();
        let size = pack_layer(upper, &mut archive, rules).expect("packed");
        (archive, size)
    }

    fn names(archive: &[u8]) -> Vec<String> {
        let mut archive = tar::Archive::new(archive);
        let entries = archive.entries().expect("an archive");
        entries.map(|entry| String::from_utf8(entry.expect("an entry").path_bytes().into_owned()).expect("text")).collect()
    }

    #[test]
    fn what_was_removed_becomes_a_whiteout() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for name in ["b", "opaque", "marked", "plain"] {
            fs::create_dir(at(name)).expect("a folder");
        }
        rustix::fs::mknodat(CWD, at("b/gone"), FileType::CharacterDevice, Mode::empty(), 0).expect("a whiteout");
        rustix::fs::mknodat(CWD, at("null"), FileType::CharacterDevice, Mode::empty(), rustix::fs::makedev(1, 3)).expect("a device");
        for name in ["b/file", "opaque/own", "marked/gone", "marked/there", "plain/there"] {
            fs::write(at(name), "").expect("a file");
        }
        mark(&at("opaque"), "trusted.overlay.opaque", b"y");
        mark(&at("marked"), "trusted.overlay.opaque", b"x");
        mark(&at("b"), "trusted.overlay.origin", b"o");
        mark(&at("b"), "user.note", b"kept");
        for name in ["marked/gone", "plain/there"] {
            mark(&at(name), "trusted.overlay.whiteout", b"");
        }
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).expect("a socket");
        let (archive, size) = packed(folder.path(), LayerRules::default());
        let expect = [
            "b/",
            "b/file",
            "b/.wh.gone",
            "marked/",
            "marked/.wh.gone",
            "marked/there",
            "null",
            "opaque/",
            "opaque/.wh..wh..opq",
            "opaque/own",
            "plain/",
            "plain/there",
        ];
        assert_eq!(names(&archive), expect);
        assert_eq!(size, LayerSize { entries: 12, bytes: 0 });
        let text = String::from_utf8_lossy(&archive);
        assert!(text.contains("SCHILY.xattr.user.note=kept") && !text.contains("trusted.overlay"));
        assert_eq!(packed(folder.path(), LayerRules::default()).0, archive);

        let back = tempfile::tempdir().expect("a folder");
        unpack_layer(&*archive, back.path()).expect("a good layer");
        assert_eq!(packed(back.path(), LayerRules::default()).0.len(), archive.len());
    }

    #[test]
    fn links_and_times_are_kept_or_bounded() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a"), [1; 700]).expect("a file");
        fs::hard_link(at("a"), at("b")).expect("a link");
        symlink("a", at("soft")).expect("a link");
        fs::File::create(at("sparse")).and_then(|file| file.set_len(1 << 20)).expect("a file");
        rustix::fs::mknodat(CWD, at("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a pipe");
        let old = std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_500);
        fs::File::options().write(true).open(at("sparse")).and_then(|file| file.set_modified(old)).expect("a time");
        let (archive, size) = packed(folder.path(), LayerRules { newest: Some(77), ..LayerRules::default() });
        assert_eq!(size, LayerSize { entries: 5, bytes: 700 + (1 << 20) });
        let back = tempfile::tempdir().expect("a folder");
        unpack_layer(&*archive, back.path()).expect("a good layer");
        let stat = |name: &str| fs::symlink_metadata(back.path().join(name)).expect("it");
        assert_eq!((stat("a").ino(), stat("a").mtime()), (stat("b").ino(), 77));
        assert_eq!((stat("sparse").mtime(), stat("sparse").mtime_nsec(), stat("sparse").len()), (1, 0, 1 << 20));
        assert_eq!(stat("soft").mtime(), 77);
    }

    #[test]
    fn what_was_made_for_mounts_is_left_out_unless_something_is_in_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let rules = || LayerRules {
            leave_out: ["etc", "etc/hosts", "proc", "a", "a/b"].iter().map(PathBuf::from).collect(),
            ..LayerRules::default()
        };
        for name in ["etc", "proc", "a/b"] {
            fs::create_dir_all(at(name)).expect("folders");
        }
        fs::write(at("etc/hosts"), "").expect("a file");
        let (archive, size) = packed(folder.path(), rules());
        assert!(size.is_empty() && names(&archive).is_empty());
        fs::write(at("a/b/kept"), "").expect("a file");
        fs::write(at("etc/hosts"), "full").expect("a file");
        let (archive, size) = packed(folder.path(), rules());
        assert_eq!(names(&archive), ["a/", "a/b/", "a/b/kept", "etc/", "etc/hosts"]);
        assert!(!size.is_empty());
    }

    #[test]
    fn half_a_difference_is_refused() {
        let check = |name: &str, folder: bool, attribute: Option<&str>, expect: &str| {
            let upper = tempfile::tempdir().expect("a folder");
            let path = upper.path().join("d").join(name);
            fs::create_dir_all(if folder { &path } else { path.parent().expect("a folder") }).expect("folders");
            if !folder {
                fs::write(&path, "").expect("a file");
            }
            if let Some(attribute) = attribute {
                mark(&path, attribute, b"/some/where");
            }
            let error = pack_layer(upper.path(), Vec::new(), LayerRules::default()).expect_err(expect).to_string();
            assert!(error.contains(&format!("`d/{name}`")) && error.contains(expect), "{error}");
        };
        check("moved", true, Some("trusted.overlay.redirect"), "redirect_dir");
        check("half", false, Some("trusted.overlay.metacopy"), "metacopy");
        check(".wh.name", false, None, ".wh.");
    }

    #[test]
    fn the_upper_folder_of_an_overlay_unpacks_to_the_same() {
        use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};
        let thread = std::thread::spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).expect("a mount namespace");
            mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).expect("no peers");
            let folder = tempfile::tempdir().expect("a folder");
            // Overlay does not lie on overlay, where this test may run.
            mount("none", folder.path(), "tmpfs", MountFlags::empty(), None).expect("a mount");
            let at = |name: &str| folder.path().join(name);
            for name in ["lower/a/inner", "lower/b", "upper", "work", "root"] {
                fs::create_dir_all(at(name)).expect("folders");
            }
            for name in ["lower/a/file", "lower/b/file", "lower/top"] {
                fs::write(at(name), "below").expect("a file");
            }
            let options = format!("lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work", folder.path().display());
            let options = std::ffi::CString::new(options).expect("text");
            mount("overlay", at("root"), "overlay", MountFlags::empty(), Some(options.as_c_str())).expect("an overlay");
            fs::remove_dir_all(at("root/a")).expect("removed");
            fs::create_dir(at("root/a")).expect("made anew");
            fs::write(at("root/a/new"), "x").expect("a file");
            fs::remove_file(at("root/top")).expect("removed");
            fs::write(at("root/b/file"), "above").expect("a file");
            unmount(at("root"), UnmountFlags::empty()).expect("unmounted");
            let (archive, _) = packed(&at("upper"), LayerRules::default());
            assert_eq!(names(&archive), ["a/", "a/.wh..wh..opq", "a/new", "b/", "b/file", ".wh.top"]);
            unmount(folder.path(), UnmountFlags::DETACH).expect("unmounted");
        });
        thread.join().expect("all of it holds");
    }
}
