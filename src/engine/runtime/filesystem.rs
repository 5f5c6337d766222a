//! The kernel's file systems in every container: `/proc`, `/sys`, `/dev` and what belongs in them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::MountAttrFlags;

use crate::engine::runtime::beneath::{self, Kind};
use crate::engine::runtime::cgroup::hierarchy::Hierarchies;
use crate::engine::runtime::error::{Errno, LaunchError};
use crate::engine::runtime::launch::{LaunchSpec, Namespace};
use crate::engine::runtime::mount::Parameter::{Flag, Value};
use crate::engine::runtime::{device, kernel, mount, rootfs};

const NOSUID: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID;
const NODEV: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NODEV;
const NOEXEC: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOEXEC;
const READ_ONLY: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_RDONLY;

/// What later steps need of these file systems.
#[derive(Debug)]
pub(super) struct Base {
    /// `/proc/sys` as the kernel made it: opened before anything can be mounted over it.
    pub(super) parameters: OwnedFd,
    /// `/dev`.
    pub(super) dev: OwnedFd,
    /// `/dev/pts`, if it is the container's own.
    pub(super) pts: Option<OwnedFd>,
}

/// Mounts them all. Those whose place a mount of the user takes are left out, as Docker leaves them out.
pub(super) fn mount_all(root: BorrowedFd<'_>, spec: &LaunchSpec, hierarchies: &Hierarchies) -> Result<Base, LaunchError> {
    let taken = |target: &str| spec.mounts.iter().any(|mount| mount.target == target);
    let sealed = NOSUID | NODEV | NOEXEC;

    let parameters = kernel_parameters(root, sealed)?;
    let dev = at(root, "/dev", mount::make("tmpfs", &[Value("mode", "755"), Value("size", "65536k")], NOSUID))?;
    device::populate(dev.as_fd(), root, spec)?;
    let mut pts = None;
    if !taken("/dev/pts") {
        // gid 5 is `tty` in every distribution; programs that allocate a terminal rely on it.
        let parameters = [Flag("newinstance"), Value("ptmxmode", "0666"), Value("mode", "0620"), Value("gid", "5")];
        pts = Some(at(root, "/dev/pts", mount::make("devpts", &parameters, NOSUID | NOEXEC))?);
    }
    if !taken("/dev/shm") {
        shared_memory(root, spec)?;
    }
    if !taken("/dev/mqueue") {
        at(root, "/dev/mqueue", mount::make("mqueue", &[], sealed))?;
    }
    if !taken("/sys") {
        let attributes = if spec.privileged { sealed } else { sealed | READ_ONLY };
        at(root, "/sys", sysfs(spec, attributes))?;
        if !taken("/sys/fs/cgroup") {
            control_groups(root, spec, hierarchies)?;
        }
    }
    Ok(Base { parameters, dev, pts })
}

/// Puts a file system at a place that no symbolic link of the image leads to.
fn at(root: BorrowedFd<'_>, target: &str, made: Result<OwnedFd, Errno>) -> Result<OwnedFd, LaunchError> {
    let made = made.map_err(|error| LaunchError::step(format!("make the file system for {target}"), error))?;
    let place = match beneath::open_plain(root, target, OFlags::PATH | OFlags::DIRECTORY) {
        // The image, or the file system above it, lacks the folder.
        Err(Errno(libc::ENOENT)) => beneath::ensure(root, target, Kind::Directory),
        result => result,
    };
    let place = place.map_err(|error| LaunchError::step(format!("find the folder for {target} in the image"), error))?;
    mount::attach(&made, place).map_err(|error| LaunchError::step(format!("mount at {target}"), error))?;
    Ok(made)
}

/// `/proc`, of which only the kernel's parameters are needed later.
fn kernel_parameters(root: BorrowedFd<'_>, attributes: MountAttrFlags) -> Result<OwnedFd, LaunchError> {
    let proc = at(root, "/proc", mount::make("proc", &[], attributes))?;
    beneath::open_plain(&proc, "sys", OFlags::PATH | OFlags::DIRECTORY).map_err(|error| LaunchError::step("open /proc/sys", error))
}

/// A view of devices and, below `/sys/class/net`, of the container's own interfaces.
fn sysfs(spec: &LaunchSpec, attributes: MountAttrFlags) -> Result<OwnedFd, Errno> {
    match mount::make("sysfs", &[], attributes) {
        // Only the owner of a network namespace may mount a view of it; the host's serves where the namespace is not ours.
        Err(Errno(libc::EPERM)) if spec.namespaces.net != Namespace::New => {
            let copy = mount::copy(CWD, "/sys", false)?;
            let set = u64::from(attributes.bits());
            crate::engine::runtime::kernel::mount_setattr(
                copy.as_fd(),
                crate::engine::runtime::kernel::MountChange { set, ..Default::default() },
            )?;
            Ok(copy)
        }
        result => result,
    }
}

/// Shared memory goes with the IPC namespace: one's own, the host's, or that of the container whose namespace it is.
fn shared_memory(root: BorrowedFd<'_>, spec: &LaunchSpec) -> Result<(), LaunchError> {
    let shared = match &spec.namespaces.ipc {
        Namespace::New if spec.shm_size == 0 => return Ok(()),
        Namespace::New => {
            let size = spec.shm_size.to_string();
            let parameters = [Value("mode", "1777"), Value("size", &size)];
            return at(root, "/dev/shm", mount::make("tmpfs", &parameters, NOSUID | NODEV | NOEXEC)).map(drop);
        }
        Namespace::Host => mount::copy(CWD, "/dev/shm", true),
        Namespace::Join(path) => shared_by(path),
    };
    at(root, "/dev/shm", shared).map(drop)
}

/// Copies the `/dev/shm` of the container whose IPC namespace is named, `/proc/PID/ns/ipc`.
///
/// A mount is copied only within the mount namespace it lies in: this process goes there and comes back.
fn shared_by(ipc: &Path) -> Result<OwnedFd, Errno> {
    let open = |path: &Path| rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let own = open(Path::new("/proc/thread-self/ns/mnt"))?;
    let theirs = open(&ipc.with_file_name("mnt"))?;
    kernel::setns(theirs.as_fd(), libc::CLONE_NEWNS)?;
    let copy = mount::copy(CWD, "/dev/shm", true);
    kernel::setns(own.as_fd(), libc::CLONE_NEWNS)?;
    copy
}

/// The control groups of the container itself, of each hierarchy it has a group in.
fn control_groups(root: BorrowedFd<'_>, spec: &LaunchSpec, hierarchies: &Hierarchies) -> Result<(), LaunchError> {
    const TARGET: &str = "/sys/fs/cgroup";
    let mut attributes = NOSUID | NODEV | NOEXEC;
    if !spec.privileged {
        attributes |= READ_ONLY;
    }
    if spec.namespaces.cgroup != Namespace::New {
        let copy = mount::copy(CWD, TARGET, true).and_then(|copy| {
            use crate::engine::runtime::kernel::{MountChange, mount_setattr};
            let change = MountChange { set: u64::from(attributes.bits()), recursive: true, ..MountChange::default() };
            mount_setattr(copy.as_fd(), change).map(|()| copy)
        });
        return at(root, TARGET, copy).map(drop);
    }
    if hierarchies.is_unified() {
        return at(root, TARGET, mount::make("cgroup2", &[], attributes)).map(drop);
    }
    let folder = at(root, TARGET, mount::make("tmpfs", &[Value("mode", "755")], NOSUID | NODEV | NOEXEC))?;
    at(root, &format!("{TARGET}/unified"), mount::make("cgroup2", &[], attributes))?;
    for hierarchy in hierarchies.needed(&spec.cgroup.resources) {
        let name = hierarchy.controllers.join(",");
        let flags: Vec<_> = hierarchy.controllers.iter().map(|controller| Flag(controller)).collect();
        at(root, &format!("{TARGET}/{name}"), mount::make("cgroup", &flags, attributes))?;
        if hierarchy.controllers.len() > 1 {
            for controller in &hierarchy.controllers {
                rustix::fs::symlinkat(name.as_str(), &folder, controller.as_str())
                    .map_err(|error| LaunchError::step(format!("link {TARGET}/{controller}"), error))?;
            }
        }
    }
    if !spec.privileged {
        rootfs::make_read_only(folder.as_fd())?;
    }
    Ok(())
}
