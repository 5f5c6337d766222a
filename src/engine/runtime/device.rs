//! Device nodes in a container's `/dev`, and which devices it may use.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};

use crate::engine::runtime::beneath::{self, Kind};
use crate::engine::runtime::error::{Errno, LaunchError};
use crate::engine::runtime::launch::LaunchSpec;
use crate::engine::runtime::{mount, rootfs};
use crate::resource::container::{Device, DeviceKind, DeviceRule, are_permissions};

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// A block device; a character device otherwise.
    pub(super) block: bool,
    /// The driver.
    pub(super) major: u32,
    /// The device of the driver.
    pub(super) minor: u32,
}

/// A device a container may use: absent parts stand for every one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Block devices; character devices otherwise.
    pub(super) block: bool,
    /// The driver.
    pub(super) major: Option<u32>,
    /// The device of the driver.
    pub(super) minor: Option<u32>,
    /// Read it.
    pub(super) read: bool,
    /// Write to it.
    pub(super) write: bool,
    /// Make a node of it.
    pub(super) make: bool,
}

/// A node to be made in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    source: PathBuf,
    target: String,
    node: Node,
    mode: u32,
    uid: u32,
    gid: u32,
}

/// The nodes of every container.
const DEFAULT: [(&str, u32, u32); 6] = [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// The links of every container.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// What of the host's `/dev` a privileged container does not get: file systems and links that it has of its own (moby, HostDevices).
const NOT_COPIED: [&str; 9] = ["pts", "ptmx", "shm", "fd", "mqueue", "console", ".lxc", ".lxd-mounts", ".udev"];

/// Fills a container's `/dev`.
pub(super) fn populate(dev: BorrowedFd<'_>, root: BorrowedFd<'_>, spec: &LaunchSpec) -> Result<(), LaunchError> {
    for (name, major, minor) in DEFAULT {
        let node = Node { block: false, major, minor };
        let source = Path::new("/dev").join(name);
        place(dev, name, &Wanted { source, target: format!("/dev/{name}"), node, mode: 0o666, uid: 0, gid: 0 })?;
    }
    for (name, target) in LINKS {
        rustix::fs::symlinkat(target, dev, name).map_err(|error| LaunchError::step(format!("link /dev/{name}"), error))?;
    }
    // As Docker does where the host shows its memory.
    if Path::new("/proc/kcore").exists() {
        rustix::fs::symlinkat("/proc/kcore", dev, "core").map_err(|error| LaunchError::step("link /dev/core", error))?;
    }
    for wanted in wanted(spec)? {
        let (parent, name) = wanted.target.rsplit_once('/').unwrap_or(("", &wanted.target));
        let folder = beneath::ensure(root, parent, Kind::Directory)
            .map_err(|error| LaunchError::step(format!("make {parent} for device {}", wanted.target), error))?;
        place(folder.as_fd(), name, &wanted)?;
    }
    Ok(())
}

/// Makes a node; where that is denied, the host's own is bound in its place.
fn place(folder: BorrowedFd<'_>, name: &str, wanted: &Wanted) -> Result<(), LaunchError> {
    let failed = |error: Errno| LaunchError::step(format!("make the device {}", wanted.target), error);
    let kind = if wanted.node.block { FileType::BlockDevice } else { FileType::CharacterDevice };
    let number = rustix::fs::makedev(wanted.node.major, wanted.node.minor);
    match rustix::fs::mknodat(folder, name, kind, Mode::from_raw_mode(wanted.mode), number) {
        Ok(()) => {
            let (uid, gid) = (Uid::from_raw(wanted.uid), Gid::from_raw(wanted.gid));
            rustix::fs::chownat(folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).map_err(|error| failed(error.into()))
        }
        // The user's device takes the place of a default one, or the image brought it along.
        Err(rustix::io::Errno::EXIST) if node_at(folder, name) == Some(wanted.node) => Ok(()),
        Err(rustix::io::Errno::PERM | rustix::io::Errno::ACCESS) => bind(folder, name, wanted).map_err(failed),
        Err(error) => Err(failed(error.into())),
    }
}

fn bind(folder: BorrowedFd<'_>, name: &str, wanted: &Wanted) -> Result<(), Errno> {
    let source = rootfs::host(&wanted.source)?;
    if node_of(&source)? != Some(wanted.node) {
        return Err(Errno(libc::ENODEV));
    }
    let place = beneath::ensure(folder, name, Kind::File)?;
    mount::attach(mount::copy(&source, "", false)?, place)
}

/// The devices of the host that a container asks for, one entry a node.
fn wanted(spec: &LaunchSpec) -> Result<Vec<Wanted>, LaunchError> {
    let mut wanted = Vec::new();
    if spec.privileged {
        // Nodes come and go while the host's /dev is read; what cannot be read any more is not there.
        collect(Path::new("/dev"), "/dev", &mut wanted, &|name| NOT_COPIED.contains(&name));
    }
    for device in &spec.devices {
        wanted.extend(asked(device)?);
    }
    Ok(wanted)
}

/// The nodes of one device that is asked for; Docker takes a folder for all devices in it.
fn asked(device: &Device) -> Result<Vec<Wanted>, LaunchError> {
    let source = Path::new(&device.source);
    let find = |error| match error {
        Errno(libc::ENOENT) => LaunchError::Invalid(format!(
            "error gathering device information while adding custom device \"{}\": no such file or directory",
            device.source
        )),
        error => LaunchError::step(format!("find the device {}", device.source), error),
    };
    let opened = rootfs::host(source).map_err(find)?;
    let mut wanted = Vec::new();
    if beneath::file_type(&opened).map_err(find)? == FileType::Directory {
        collect(source, &device.target, &mut wanted, &|_| false);
    } else {
        wanted.extend(describe(source, &device.target));
    }
    if wanted.is_empty() {
        return Err(LaunchError::Invalid(format!("`{}` is not a device, nor a folder that holds one", device.source)));
    }
    Ok(wanted)
}

fn collect(folder: &Path, target: &str, wanted: &mut Vec<Wanted>, skip: &dyn Fn(&str) -> bool) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut names: Vec<_> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    for name in names.iter().filter(|name| !skip(name)) {
        let (path, target) = (folder.join(name), format!("{target}/{name}"));
        match path.symlink_metadata() {
            Ok(found) if found.is_dir() => collect(&path, &target, wanted, &|_| false),
            // A link leads to whatever it leads to on the host: `/dev/stdin` to the engine's own.
            Ok(found) if found.is_symlink() => {}
            Ok(_) => wanted.extend(describe(&path, &target)),
            Err(_) => {}
        }
    }
}

fn describe(source: &Path, target: &str) -> Option<Wanted> {
    let opened = rootfs::host(source).ok()?;
    let stat = rustix::fs::statat(&opened, "", AtFlags::EMPTY_PATH).ok()?;
    let node = node_of(&opened).ok()??;
    let mode = stat.st_mode & 0o7777;
    Some(Wanted { source: source.to_owned(), target: target.to_owned(), node, mode, uid: stat.st_uid, gid: stat.st_gid })
}

fn node_at(folder: BorrowedFd<'_>, name: &str) -> Option<Node> {
    let opened = rustix::fs::openat(folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).ok()?;
    node_of(&opened).ok()?
}

/// What a descriptor names, if it is a device.
pub(super) fn node_of(descriptor: impl AsFd) -> Result<Option<Node>, Errno> {
    let stat = rustix::fs::statat(descriptor, "", AtFlags::EMPTY_PATH)?;
    let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::BlockDevice => Some(Node { block: true, major, minor }),
        FileType::CharacterDevice => Some(Node { block: false, major, minor }),
        _ => None,
    })
}

/// What a container may do with devices: `None` is everything.
pub(super) fn rules(spec: &LaunchSpec) -> Result<Option<Vec<Rule>>, LaunchError> {
    if spec.privileged {
        return Ok(None);
    }
    let any = |block| Rule { block, major: None, minor: None, read: false, write: false, make: true };
    let full = |major, minor| Rule { block: false, major: Some(major), minor, read: true, write: true, make: true };
    // Docker's list: every node may be made; these may be used, besides terminals of the container's own devpts.
    let mut rules = vec![any(false), any(true), full(136, None), full(5, Some(1)), full(5, Some(2))];
    rules.extend(DEFAULT.map(|(_, major, minor)| full(major, Some(minor))));
    for device in &spec.devices {
        let wrong = || LaunchError::Invalid(format!("`{}` are not permissions of a device: some of r, w, m are", device.permissions));
        let has = |letter| device.permissions.contains(letter);
        if !are_permissions(&device.permissions) {
            return Err(wrong());
        }
        rules.extend(asked(device)?.into_iter().map(|wanted| Rule {
            block: wanted.node.block,
            major: Some(wanted.node.major),
            minor: Some(wanted.node.minor),
            read: has('r'),
            write: has('w'),
            make: has('m'),
        }));
    }
    for text in &spec.device_rules {
        let rule: DeviceRule = text.parse().map_err(LaunchError::Invalid)?;
        for block in [false, true] {
            let kind = if block { DeviceKind::Block } else { DeviceKind::Character };
            if rule.kind == DeviceKind::All || rule.kind == kind {
                let DeviceRule { major, minor, read, write, make, .. } = rule;
                rules.push(Rule { block, major, minor, read, write, make });
            }
        }
    }
    Ok(Some(rules))
}
