//! Init: what a container's first process does between its birth and its command. Called by the shim, which has one thread.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::engine::runtime::cgroup::Leaf;
use crate::engine::runtime::error::LaunchError;
use crate::engine::runtime::launch::{LaunchSpec, NetworkSetup, ProcessSpec};

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

/// The caller's end of the socket to a process that has not yet executed its command.
#[derive(Debug)]
pub struct Sync {
    socket: OwnedFd,
}

/// What comes from such a process. In this order: `Waiting` (never from an exec) · `Terminal` (with a terminal) · `Started` or `Failed`.
#[derive(Debug)]
pub enum Report {
    /// Its namespaces exist; it goes on building its root meanwhile, and needs [`Sync::proceed`] before it executes its command.
    Waiting {
        /// Its sockets at 127.0.0.11, if it wants them: datagram and stream.
        dns: Option<(OwnedFd, OwnedFd)>,
    },
    /// The master of its terminal.
    Terminal(OwnedFd),
    /// Its command was executed. Nothing comes after it.
    Started,
    /// It was not, and the process ends. Nothing comes after it.
    Failed(LaunchError),
}

impl Sync {
    /// The next report; blocks until one is there. To wait for one among other things, poll this for `POLLIN`.
    pub fn receive(&mut self) -> Result<Report, LaunchError> {
        let _ = &self.socket;
        todo!()
    }

    /// Lets a waiting init go on.
    pub fn proceed(&self, _network: &NetworkSetup) -> Result<(), LaunchError> {
        todo!()
    }
}

impl AsFd for Sync {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Makes a container's first process in its control group and its namespaces.
pub fn spawn(_spec: &LaunchSpec, _stdio: Option<InitStdio>, _leaf: &Leaf) -> Result<Spawned, LaunchError> {
    todo!()
}

/// Makes a process in a container that runs, whose first process `container` is the pidfd of. It has the container's namespaces, control
/// group and root, and executes `process`.
pub fn exec(
    _spec: &LaunchSpec,
    _process: &ProcessSpec,
    _container: BorrowedFd<'_>,
    _stdio: Option<InitStdio>,
    _leaf: &Leaf,
) -> Result<Spawned, LaunchError> {
    todo!()
}
