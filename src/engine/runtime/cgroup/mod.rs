//! A container's control group: one leaf in the unified hierarchy for every container, and groups in the hierarchies of version 1 for
//! those limits that only they can give.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::engine::runtime::error::LaunchError;
use crate::engine::runtime::launch::{CgroupSpec, LaunchSpec};

/// The control group of one container.
#[derive(Debug)]
pub struct Leaf {
    unified: OwnedFd,
}

impl Leaf {
    /// Makes it, with its limits and its device filter, before the container's first process exists.
    pub fn create(_spec: &LaunchSpec) -> Result<Self, LaunchError> {
        todo!()
    }

    /// The one that exists already, of a container that runs.
    pub fn open(_spec: &CgroupSpec) -> Result<Self, LaunchError> {
        todo!()
    }

    /// Its `cgroup.events`, for `poll` with `POLLPRI`: readable in that sense when the last process left, or when it froze.
    pub fn events(&self) -> Result<OwnedFd, LaunchError> {
        todo!()
    }

    /// Whether a process is in it.
    pub fn populated(&self) -> Result<bool, LaunchError> {
        todo!()
    }

    /// Ends every process in it, at once.
    pub fn kill(&self) -> Result<(), LaunchError> {
        todo!()
    }

    /// Freezes every process in it, or lets them go on; returns when that is so.
    pub fn freeze(&self, _frozen: bool) -> Result<(), LaunchError> {
        todo!()
    }

    /// How many of its processes the kernel killed because its memory was used up.
    pub fn memory_kills(&self) -> u64 {
        todo!()
    }

    /// The processes in it, in the pid namespace of the caller.
    pub fn processes(&self) -> Result<Vec<i32>, LaunchError> {
        todo!()
    }

    /// Removes it, with whatever groups the container made below it. It must hold no process.
    pub fn remove(&self) -> Result<(), LaunchError> {
        todo!()
    }

    /// Removes the groups of this root (`gantry-TAG`) whose containers `alive` does not know, ending what still runs in them.
    pub fn sweep(_root: &str, _alive: &dyn Fn(&str) -> bool) {
        todo!()
    }
}

impl AsFd for Leaf {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.unified.as_fd()
    }
}
