//! Namespaces that a container shares with others.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::engine::runtime::error::LaunchError;
use crate::engine::runtime::kernel::{self, Birth};
use crate::engine::runtime::launch::{Namespace, Namespaces};

/// Opened namespaces that a container's first process is to join.
#[derive(Debug, Default)]
pub(super) struct Joined {
    pid: Option<OwnedFd>,
    others: Vec<(libc::c_int, OwnedFd, &'static str)>,
}

impl Joined {
    /// Opens those that are named by a path.
    pub(super) fn open(namespaces: &Namespaces) -> Result<Self, LaunchError> {
        let mut others = Vec::new();
        for (namespace, kind, name) in [
            (&namespaces.ipc, libc::CLONE_NEWIPC, "ipc"),
            (&namespaces.uts, libc::CLONE_NEWUTS, "uts"),
            (&namespaces.net, libc::CLONE_NEWNET, "network"),
            (&namespaces.cgroup, libc::CLONE_NEWCGROUP, "cgroup"),
        ] {
            if let Namespace::Join(path) = namespace {
                others.push((kind, open(path)?, name));
            }
        }
        let pid = if let Namespace::Join(path) = &namespaces.pid { Some(open(path)?) } else { None };
        Ok(Self { pid, others })
    }

    /// The pid namespace: the one namespace that a process cannot join but must be born in.
    pub(super) fn pid(&self) -> Option<BorrowedFd<'_>> {
        self.pid.as_ref().map(AsFd::as_fd)
    }

    /// Joins the others.
    pub(super) fn enter(&self) -> Result<(), LaunchError> {
        for (kind, namespace, name) in &self.others {
            kernel::setns(namespace.as_fd(), *kind).map_err(|error| LaunchError::step(format!("join the {name} namespace"), error))?;
        }
        Ok(())
    }
}

fn open(path: &Path) -> Result<OwnedFd, LaunchError> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| LaunchError::step(format!("open the namespace {}", path.display()), error))
}

/// Runs `birth` while children of this process are born in another pid namespace, which a descriptor of it or a pidfd names.
///
/// The way back is open: a process may always turn to its own pid namespace again. So no process stands between, and the child is this
/// one's own.
pub(super) fn with_children_in(
    namespace: BorrowedFd<'_>,
    birth: impl FnOnce() -> Result<Birth, LaunchError>,
) -> Result<Birth, LaunchError> {
    let failed = |error| LaunchError::step("join the pid namespace", error);
    let own = open(Path::new("/proc/self/ns/pid"))?;
    kernel::setns(namespace, libc::CLONE_NEWPID).map_err(failed)?;
    let born = birth();
    // The child stays there, and its children with it.
    if !matches!(born, Ok(Birth::Child)) {
        kernel::setns(own.as_fd(), libc::CLONE_NEWPID).map_err(failed)?;
    }
    born
}
