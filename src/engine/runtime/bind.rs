//! The mounts a container asks for: binds, volumes and memory.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, OFlags, StatxFlags};
use rustix::mount::MountAttrFlags;

use crate::engine::runtime::beneath::{self, Kind};
use crate::engine::runtime::error::{Errno, LaunchError};
use crate::engine::runtime::kernel::{MOUNT_READ_ONLY, MountChange, mount_setattr};
use crate::engine::runtime::launch::{LaunchMount, LaunchSource, MemoryFile, RootfsSpec};
use crate::engine::runtime::mount::{self, Parameter};
use crate::engine::runtime::rootfs;
use crate::engine::runtime::{file, fill};
use crate::resource::container::BindRecursion;

/// Files below `/proc` that may be covered (runc's list: what lxcfs serves). Anything else there would deceive us or the container.
const PROC_FILES: [&str; 9] = ["cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg", "slabinfo", "net/dev"];

/// A mount that is ready to be put in its place.
#[derive(Debug)]
pub(super) struct Prepared<'a> {
    mount: &'a LaunchMount,
    /// Detached; absent for what is made at its place: memory, and roots, which must not show on the host for a moment.
    source: Option<OwnedFd>,
    kind: Kind,
}

/// Takes hold of every source. To be called while this mount namespace still takes part in the host's propagation, else a mount that
/// is to be shared would have lost its peers. Sorted so that what lies within another comes after it.
pub(super) fn prepare(mounts: &[LaunchMount]) -> Result<Vec<Prepared<'_>>, LaunchError> {
    let mut prepared = mounts.iter().map(prepare_one).collect::<Result<Vec<_>, _>>()?;
    prepared.sort_by_key(|prepared| prepared.mount.target.split('/').filter(|part| !part.is_empty()).count());
    Ok(prepared)
}

fn prepare_one(mount: &LaunchMount) -> Result<Prepared<'_>, LaunchError> {
    check_target(&mount.target)?;
    let LaunchSource::Bind { path, subpath, propagation, recursion, .. } = &mount.source else {
        return Ok(Prepared { mount, source: None, kind: Kind::Directory });
    };
    let failed = |error: Errno| LaunchError::step(format!("bind {} at {}", path.display(), mount.target), error);
    let mut place = rootfs::host(path).map_err(failed)?;
    if let Some(subpath) = subpath {
        // A volume's content is a stranger's: no link in it may lead out.
        let failed = |error: Errno| LaunchError::step(format!("bind `{subpath}` of {} at {}", path.display(), mount.target), error);
        place = beneath::open(&place, subpath, OFlags::PATH).map_err(failed)?;
    }
    let kind = if beneath::file_type(&place).map_err(failed)? == FileType::Directory { Kind::Directory } else { Kind::File };
    let wanted = Propagation::parse(propagation.as_deref())?;
    wanted.check_source(path, &place)?;
    let copy = mount::copy(&place, "", *recursion != BindRecursion::Disabled).map_err(failed)?;
    Ok(Prepared { mount, source: Some(copy), kind })
}

fn check_target(target: &str) -> Result<(), LaunchError> {
    let allowed = match target.strip_prefix("/proc") {
        Some("") => false,
        Some(rest) => rest.strip_prefix('/').is_none_or(|file| PROC_FILES.contains(&file)),
        None => target.starts_with('/') && target.bytes().any(|byte| byte != b'/'),
    };
    if allowed { Ok(()) } else { Err(LaunchError::Invalid(format!("nothing can be mounted at `{target}`"))) }
}

impl Prepared<'_> {
    /// Puts it in its place. `spare` is a folder of the host that nobody needs to see again in this mount namespace.
    pub(super) fn attach(self, root: BorrowedFd<'_>, spare: &Path) -> Result<(), LaunchError> {
        let target = &self.mount.target;
        let failed = |error: Errno| LaunchError::step(format!("mount at {target}"), error);
        match (&self.mount.source, self.source) {
            (LaunchSource::Bind { propagation, recursion, fill, .. }, Some(source)) => {
                if *fill {
                    fill::from_image(root, target, source.as_fd())?;
                }
                let propagation = Propagation::parse(propagation.as_deref())?;
                if !propagation.recursive && propagation.kind != libc::MS_SHARED {
                    // What is mounted below came along, and must not stay a peer of the host's.
                    let below = MountChange { propagation: libc::MS_SLAVE, recursive: true, ..MountChange::default() };
                    mount_setattr(source.as_fd(), below).map_err(failed)?;
                }
                let change = MountChange { propagation: propagation.kind, recursive: propagation.recursive, ..MountChange::default() };
                mount_setattr(source.as_fd(), change).map_err(failed)?;
                if self.mount.read_only {
                    let change =
                        MountChange { set: MOUNT_READ_ONLY, recursive: *recursion != BindRecursion::Writable, ..MountChange::default() };
                    mount_setattr(source.as_fd(), change).map_err(failed)?;
                }
                mount::attach_at(root, source, target, self.kind)
            }
            (LaunchSource::Layers { root: layers, subpath }, _) => {
                let (made, kind) = part_of(layers, subpath.as_deref(), target)?;
                let change = MountChange { set: MOUNT_READ_ONLY, ..MountChange::default() };
                if self.mount.read_only {
                    mount_setattr(made.as_fd(), change).map_err(failed)?;
                }
                mount::attach_at(root, made, target, kind)
            }
            (LaunchSource::Tmpfs { size, mode, options }, _) => {
                let made = tmpfs(target, *size, *mode, options)?;
                mount::attach_at(root, &made, target, Kind::Directory)?;
                if self.mount.read_only { rootfs::make_read_only(made.as_fd()) } else { Ok(()) }
            }
            (LaunchSource::Memory(wanted), _) => {
                let made = memory_file(wanted, spare).map_err(failed)?;
                if self.mount.read_only {
                    mount_setattr(made.as_fd(), MountChange { set: MOUNT_READ_ONLY, ..MountChange::default() }).map_err(failed)?;
                }
                mount::attach_at(root, made, target, Kind::File)
            }
            (LaunchSource::Bind { .. }, None) => Err(failed(Errno(libc::EBADF))),
        }
    }
}

/// A part of a root, detached. The root itself stays over its work folder in this mount namespace, which is left behind.
fn part_of(layers: &RootfsSpec, subpath: Option<&str>, target: &str) -> Result<(OwnedFd, Kind), LaunchError> {
    let whole = rootfs::attach(layers)?;
    let subpath = subpath.unwrap_or("/");
    let failed = |error: Errno| LaunchError::step(format!("bind `{subpath}` at {target}"), error);
    let place = beneath::open(&whole, subpath, OFlags::PATH).map_err(failed)?;
    let kind = if beneath::file_type(&place).map_err(failed)? == FileType::Directory { Kind::Directory } else { Kind::File };
    Ok((mount::copy(&place, "", false).map_err(failed)?, kind))
}

/// A file in memory, detached. A ramfs, unlike a tmpfs, is never swapped out, and it is gone with the last mount of it, whoever is killed. It
/// stays over `spare` in this mount namespace, which is left behind: only what is mounted somewhere can be copied.
fn memory_file(wanted: &MemoryFile, spare: &Path) -> Result<OwnedFd, Errno> {
    const NAME: &str = "file";
    let closed = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let folder = mount::make("ramfs", &[Parameter::Value("mode", "700")], closed)?;
    file::put(folder.as_fd(), NAME, &wanted.content, (wanted.uid, wanted.gid), wanted.mode)?;
    mount::attach(&folder, rootfs::host(spare)?)?;
    mount::copy(&folder, NAME, false)
}

/// Options are those of mount(8); Docker's own are nosuid, nodev and noexec, each with a word that takes it back.
fn tmpfs(target: &str, size: Option<u64>, mode: Option<u32>, options: &[String]) -> Result<OwnedFd, LaunchError> {
    let size = size.map(|size| size.to_string());
    let mode = format!("{:o}", mode.unwrap_or(0o1777));
    let mut parameters = vec![Parameter::Value("mode", &mode)];
    parameters.extend(size.as_deref().map(|size| Parameter::Value("size", size)));
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    for option in options {
        match option.as_str() {
            "suid" => attributes -= MountAttrFlags::MOUNT_ATTR_NOSUID,
            "nosuid" => attributes |= MountAttrFlags::MOUNT_ATTR_NOSUID,
            "dev" => attributes -= MountAttrFlags::MOUNT_ATTR_NODEV,
            "nodev" => attributes |= MountAttrFlags::MOUNT_ATTR_NODEV,
            "exec" => attributes -= MountAttrFlags::MOUNT_ATTR_NOEXEC,
            "noexec" => attributes |= MountAttrFlags::MOUNT_ATTR_NOEXEC,
            "ro" => attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY,
            "noatime" => attributes |= MountAttrFlags::MOUNT_ATTR_NOATIME,
            "nodiratime" => attributes |= MountAttrFlags::MOUNT_ATTR_NODIRATIME,
            "strictatime" => attributes |= MountAttrFlags::MOUNT_ATTR_STRICTATIME,
            "rw" | "defaults" | "atime" | "diratime" | "relatime" | "rprivate" | "private" => {}
            other => match other.split_once('=') {
                Some((key, value)) => parameters.push(Parameter::Value(key, value)),
                None => parameters.push(Parameter::Flag(other)),
            },
        }
    }
    mount::make("tmpfs", &parameters, attributes).map_err(|error| match error {
        Errno(libc::EINVAL) => LaunchError::Invalid(format!("the kernel takes no tmpfs with `{}` at {target}", options.join(","))),
        error => LaunchError::step(format!("make the tmpfs for {target}"), error),
    })
}

/// Whether mounts made on one side show on the other.
#[derive(Clone, Copy, Debug)]
struct Propagation {
    kind: u64,
    recursive: bool,
}

impl Propagation {
    fn parse(word: Option<&str>) -> Result<Self, LaunchError> {
        let word = word.filter(|word| !word.is_empty()).unwrap_or("rprivate");
        let (recursive, bare) = word.strip_prefix('r').map_or((false, word), |bare| (true, bare));
        let kind = match bare {
            "private" => libc::MS_PRIVATE,
            "slave" => libc::MS_SLAVE,
            "shared" => libc::MS_SHARED,
            _ => return Err(LaunchError::Invalid(format!("`{word}` is not a mount propagation"))),
        };
        Ok(Self { kind, recursive })
    }

    /// A mount can be shared only if it is shared on the host; Docker refuses it in the same words.
    fn check_source(self, path: &Path, place: &OwnedFd) -> Result<(), LaunchError> {
        if self.kind == libc::MS_PRIVATE {
            return Ok(());
        }
        let fields = mount_fields(place).map_err(|error| LaunchError::step(format!("find the mount of {}", path.display()), error))?;
        let shared = fields.contains("shared:");
        let slave = self.kind == libc::MS_SLAVE && fields.contains("master:");
        if shared || slave {
            return Ok(());
        }
        let wanted = if self.kind == libc::MS_SHARED { "shared" } else { "shared or slave" };
        Err(LaunchError::Invalid(format!("path {} is mounted where it is not a {wanted} mount", path.display())))
    }
}

/// The optional fields of a descriptor's mount in mountinfo.
fn mount_fields(place: &OwnedFd) -> Result<String, Errno> {
    let found = rustix::fs::statx(place, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    let id = found.stx_mnt_id.to_string();
    let table = std::fs::read_to_string("/proc/self/mountinfo")?;
    let line = table.lines().find(|line| line.split(' ').next() == Some(&id)).unwrap_or("");
    // Six fields, then the optional ones, then a dash.
    Ok(line.split(' ').skip(6).take_while(|field| *field != "-").collect::<Vec<_>>().join(" "))
}
