//! A process of the container that the shim has made: the first one, or an exec.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use crate::engine::runtime::error::LaunchError;
use crate::engine::runtime::init::{Report, Spawned, Sync};
use crate::engine::runtime::shim::reap::End;
use crate::engine::runtime::shim::stream::Streams;

/// Such a process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
    /// Until it has executed its command, or failed to.
    sync: Option<Sync>,
    pub(super) streams: Streams,
    /// Once it was reaped.
    pub(super) end: Option<End>,
}

/// How far a process has come.
#[derive(Debug)]
pub(super) enum Progress {
    /// Its namespaces exist; it waits for its network. Never said by an exec.
    Waiting(Option<(OwnedFd, OwnedFd)>),
    /// It executed its command.
    Started,
    /// It did not.
    Failed(LaunchError),
}

impl Process {
    /// One that was just born.
    pub(super) fn new(spawned: Spawned, streams: Streams) -> Self {
        Self { pid: spawned.pid, pidfd: spawned.pidfd, sync: Some(spawned.sync), streams, end: None }
    }

    /// The talk with it, while it has not executed its command.
    pub(super) fn talk(&self) -> Option<BorrowedFd<'_>> {
        self.sync.as_ref().map(|sync| sync.as_fd())
    }

    /// It has neither executed its command nor failed to.
    pub(super) const fn is_preparing(&self) -> bool {
        self.sync.is_some()
    }

    /// Hears what it says. `None` is of interest to nobody else.
    pub(super) fn hear(&mut self) -> Option<Progress> {
        match self.sync.as_mut()?.receive() {
            Ok(Report::Waiting { dns }) => return Some(Progress::Waiting(dns)),
            Ok(Report::Terminal(master)) => {
                let failed = self.streams.set_terminal(master).err()?;
                Some(Progress::Failed(LaunchError::step("take the terminal", failed)))
            }
            Ok(Report::Started) => {
                self.streams.apply_size();
                Some(Progress::Started)
            }
            Ok(Report::Failed(error)) | Err(error) => Some(Progress::Failed(error)),
        }
        .inspect(|_| self.sync = None)
    }

    /// Lets it go on with its network.
    pub(super) fn proceed(&self, network: &crate::engine::runtime::launch::NetworkSetup) -> Result<(), LaunchError> {
        match &self.sync {
            Some(sync) => sync.proceed(network),
            None => Err(LaunchError::step("let the container proceed", io::Error::from_raw_os_error(libc::EALREADY))),
        }
    }
}
