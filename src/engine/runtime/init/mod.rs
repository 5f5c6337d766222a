//! Births: a container's first process, and those that join it. Called by the shim, which has one thread.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::engine::runtime::cgroup::Leaf;
use crate::engine::runtime::error::LaunchError;
use crate::engine::runtime::kernel::{self, Birth};
use crate::engine::runtime::launch::{LaunchSpec, Namespace, ProcessSpec};
use crate::engine::runtime::namespace::Joined;
use crate::engine::runtime::sync::{self, Voice};
pub use crate::engine::runtime::sync::{Report, Sync};
use crate::engine::runtime::{child, namespace};

/// The ends of the pipes that a command without a terminal gets as its descriptors 0, 1 and 2. With a terminal it is not needed.
#[derive(Debug)]
pub struct InitStdio {
    /// Descriptor 0.
    pub stdin: OwnedFd,
    /// Descriptor 1.
    pub stdout: OwnedFd,
    /// Descriptor 2.
    pub stderr: OwnedFd,
}

/// A process that has been born and has not yet executed its command.
#[derive(Debug)]
pub struct Spawned {
    /// Its number in the caller's pid namespace.
    pub pid: i32,
    /// Its pidfd.
    pub pidfd: OwnedFd,
    /// The talk with it.
    pub sync: Sync,
}

/// Makes a container's first process in its control group and its namespaces.
pub fn spawn(spec: &LaunchSpec, stdio: Option<InitStdio>, leaf: &Leaf) -> Result<Spawned, LaunchError> {
    let (sync, voice) = sync::pair()?;
    let joined = Joined::open(&spec.namespaces)?;
    let mut flags = libc::CLONE_NEWNS;
    for (namespace, flag) in [
        (&spec.namespaces.net, libc::CLONE_NEWNET),
        (&spec.namespaces.pid, libc::CLONE_NEWPID),
        (&spec.namespaces.ipc, libc::CLONE_NEWIPC),
        (&spec.namespaces.uts, libc::CLONE_NEWUTS),
    ] {
        if *namespace == Namespace::New {
            flags |= flag;
        }
    }
    let born = || kernel::clone3(flags, Some(leaf.as_fd())).map_err(|error| LaunchError::step("make the container's first process", error));
    let born = match joined.pid() {
        Some(pid) => namespace::with_children_in(pid, born)?,
        None => born()?,
    };
    become_or_return(born, sync, voice, |voice| child::first(spec, stdio, leaf, &joined, voice))
}

/// Makes a process in a container that runs, whose first process `container` is the pidfd of. It has the container's namespaces, control
/// group and root, and executes `process`.
pub fn exec(process: &ProcessSpec, container: BorrowedFd<'_>, stdio: Option<InitStdio>, leaf: &Leaf) -> Result<Spawned, LaunchError> {
    let (sync, voice) = sync::pair()?;
    let born = namespace::with_children_in(container, || {
        kernel::clone3(0, Some(leaf.as_fd())).map_err(|error| LaunchError::step("make a process in the container", error))
    })?;
    become_or_return(born, sync, voice, |voice| child::further(process, container, stdio, leaf, voice))
}

/// The parent gets the child; the child does its work and never returns.
fn become_or_return(
    born: Birth,
    sync: Sync,
    voice: Voice,
    work: impl FnOnce(&Voice) -> Result<std::convert::Infallible, LaunchError>,
) -> Result<Spawned, LaunchError> {
    match born {
        Birth::Parent { pid, pidfd } => Ok(Spawned { pid, pidfd, sync }),
        Birth::Child => {
            drop(sync);
            // A panic must not unwind into the shim's own code, which this process has a copy of.
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&voice)));
            let error = match outcome {
                Ok(Err(error)) => error,
                Ok(Ok(never)) => match never {},
                Err(_) => LaunchError::Invalid("the container's init panicked".to_owned()),
            };
            voice.failed(&error);
            kernel::exit_now(error.exit_code());
        }
    }
}

#[cfg(test)]
pub(in crate::engine::runtime) mod tests;
