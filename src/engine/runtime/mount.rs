//! Mounts as descriptors: made detached, then moved to their place. No path is looked up twice, and nothing shows before it is whole.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};

use crate::engine::runtime::beneath::{self, Kind};
use crate::engine::runtime::error::{Errno, LaunchError};

/// One parameter of a file system.
#[derive(Clone, Copy, Debug)]
pub(super) enum Parameter<'a> {
    /// A word.
    Flag(&'a str),
    /// A word with a value.
    Value(&'a str, &'a str),
}

/// Makes a file system, detached.
pub(super) fn make(kind: &str, parameters: &[Parameter<'_>], attributes: MountAttrFlags) -> Result<OwnedFd, Errno> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for parameter in parameters {
        match *parameter {
            Parameter::Flag(key) => rustix::mount::fsconfig_set_flag(&context, key)?,
            Parameter::Value(key, value) => rustix::mount::fsconfig_set_string(&context, key, value)?,
        }
    }
    rustix::mount::fsconfig_create(&context)?;
    Ok(rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// A detached copy of the mount that a path of this mount namespace shows, with the mounts below it if `recursive`.
pub(super) fn copy(at: impl AsFd, path: impl AsRef<Path>, recursive: bool) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    Ok(rustix::mount::open_tree(at, path.as_ref(), flags)?)
}

/// Puts a detached mount over what `place` names.
pub(super) fn attach(mount: impl AsFd, place: impl AsFd) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(rustix::mount::move_mount(mount, "", place, "", flags)?)
}

/// Puts a detached mount at a path of a container's root, which is made when it is missing.
pub(super) fn attach_at(root: impl AsFd, mount: impl AsFd, target: &str, kind: Kind) -> Result<(), LaunchError> {
    let place = beneath::ensure(root, target, kind).map_err(|error| LaunchError::step(format!("make the mount point {target}"), error))?;
    attach(mount, place).map_err(|error| LaunchError::step(format!("mount at {target}"), error))
}
