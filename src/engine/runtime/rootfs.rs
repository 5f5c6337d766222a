//! A container's root: an overlay that only its own mount namespace ever sees.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, UnmountFlags};

use crate::engine::runtime::error::{Errno, LaunchError};
use crate::engine::runtime::launch::RootfsSpec;
use crate::engine::runtime::{beneath, mount};

/// The longest text that one `fsconfig` takes.
const LONGEST_VALUE: usize = 255;

/// Takes this mount namespace out of the propagation of mounts: nothing made from here on shows on the host.
pub(super) fn make_private() -> Result<(), LaunchError> {
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", flags).map_err(|error| LaunchError::step("make the mounts private", error))
}

/// Mounts the overlay over its own work folder, which nobody needs to see again, and opens its root.
pub(super) fn attach(spec: &RootfsSpec) -> Result<OwnedFd, LaunchError> {
    let failed = |error: Errno| LaunchError::step(format!("mount the root file system over {}", spec.upper.display()), error);
    let layers = open_layers(spec)?;
    match layered(spec, &layers) {
        Ok(mount) => {
            let place = folder(&spec.work)?;
            mount::attach(&mount, place).map_err(failed)?;
            Ok(mount)
        }
        // `lowerdir+` came with 6.5; EINVAL is an older kernel's answer to a parameter it does not know.
        Err(Errno(libc::EINVAL)) => joined(spec, &layers).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

fn open_layers(spec: &RootfsSpec) -> Result<Vec<OwnedFd>, LaunchError> {
    spec.lower.iter().map(|path| folder(path)).collect()
}

fn folder(path: &Path) -> Result<OwnedFd, LaunchError> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| LaunchError::step(format!("open {}", path.display()), error))
}

/// One parameter a layer: no limit of 4096 bytes for all names together, no commas and colons to escape.
fn layered(spec: &RootfsSpec, layers: &[OwnedFd]) -> Result<OwnedFd, Errno> {
    let context = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let set = |key: &str, path: &Path, opened: Option<BorrowedFd<'_>>| -> Result<(), Errno> {
        match opened {
            Some(opened) if path.as_os_str().len() > LONGEST_VALUE => {
                Ok(rustix::mount::fsconfig_set_string(&context, key, beneath::magic(opened))?)
            }
            _ => Ok(rustix::mount::fsconfig_set_string(&context, key, path)?),
        }
    };
    for (path, opened) in spec.lower.iter().zip(layers) {
        set("lowerdir+", path, Some(opened.as_fd()))?;
    }
    let upper = rustix::fs::open(&spec.upper, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let work = rustix::fs::open(&spec.work, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    set("upperdir", &spec.upper, Some(upper.as_fd()))?;
    set("workdir", &spec.work, Some(work.as_fd()))?;
    // As Docker mounts it: with an index, a layer under two roots would be refused.
    set("index", Path::new("off"), None)?;
    // What is written is to be whole without the layers below, whatever the kernel's own choice: it may become a layer.
    set("redirect_dir", Path::new("nofollow"), None)?;
    set("metacopy", Path::new("off"), None)?;
    if spec.volatile {
        rustix::mount::fsconfig_set_flag(&context, "volatile")?;
    }
    rustix::mount::fsconfig_create(&context)?;
    Ok(rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?)
}

/// All layers in the one text of mount(2), by their descriptors' short names, so that about two hundred of them fit its page.
fn joined(spec: &RootfsSpec, layers: &[OwnedFd]) -> Result<OwnedFd, Errno> {
    let upper = rustix::fs::open(&spec.upper, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let work = rustix::fs::open(&spec.work, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let lower = layers.iter().map(beneath::magic).collect::<Vec<_>>().join(":");
    let options = format!(
        "{}index=off,redirect_dir=nofollow,metacopy=off,lowerdir={lower},upperdir={},workdir={}",
        if spec.volatile { "volatile," } else { "" },
        beneath::magic(&upper),
        beneath::magic(&work)
    );
    let options = std::ffi::CString::new(options).map_err(|_| Errno(libc::EINVAL))?;
    rustix::mount::mount("overlay", &spec.work, "overlay", MountFlags::empty(), options.as_c_str())?;
    Ok(rustix::fs::open(&spec.work, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Makes `root` the root of this mount namespace and lets go of the host's.
pub(super) fn pivot(root: BorrowedFd<'_>) -> Result<(), LaunchError> {
    let failed = |error: rustix::io::Errno| LaunchError::step("change to the container's root", error);
    let old = rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    rustix::process::fchdir(root).map_err(failed)?;
    // The old root lands on top of the new one, at the same place (pivot_root(2), NOTES): no folder in the image is needed for it.
    rustix::process::pivot_root(".", ".").map_err(failed)?;
    rustix::process::fchdir(&old).map_err(failed)?;
    // What is unmounted here must not be unmounted anywhere else.
    rustix::mount::mount_change(".", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).map_err(failed)?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(failed)?;
    rustix::process::chdir("/").map_err(failed)
}

/// Takes away the right to write to the root itself; mounts below it keep theirs.
pub(super) fn make_read_only(root: BorrowedFd<'_>) -> Result<(), LaunchError> {
    use crate::engine::runtime::kernel::{MOUNT_READ_ONLY, MountChange, mount_setattr};
    mount_setattr(root, MountChange { set: MOUNT_READ_ONLY, ..MountChange::default() })
        .map_err(|error| LaunchError::step("make the root file system read-only", error))
}

/// Opens a path of the host as it is now: before the container's mounts can cover it.
pub(super) fn host(path: &Path) -> Result<OwnedFd, Errno> {
    Ok(rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
}
