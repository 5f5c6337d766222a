//! Work beside a shim, which has one thread: a process of its own, so that the container it serves need not wait.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, waitid};

use crate::engine::runtime::kernel;

/// A process that does one thing and ends; there is one at a time.
#[derive(Debug, Default)]
pub(super) struct Helper {
    process: Option<OwnedFd>,
}

impl Helper {
    /// Starts it, once the one before has ended.
    pub(super) fn start(&mut self, work: impl FnOnce() -> bool) -> io::Result<()> {
        self.wait();
        let shim = rustix::process::getpid();
        match kernel::fork().map_err(|error| io::Error::from_raw_os_error(error.0))? {
            0 => {
                // A shim that is killed takes its helper along: the next one works on the same names.
                let bound = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
                let is_bound = bound && rustix::process::getppid() == Some(shim);
                // What it shares with the shim must end when the shim's own does.
                let done = is_bound && kernel::close_from(3).is_ok() && work();
                kernel::exit_now(i32::from(!done))
            }
            // Not reaped yet, so the number is still its own.
            child => {
                let Some(pid) = Pid::from_raw(child) else { return Ok(()) };
                match pidfd_open(pid, PidfdFlags::empty()) {
                    Ok(process) => self.process = Some(process),
                    // It cannot be waited for later.
                    Err(_) => drop(waitid(WaitId::Pid(pid), WaitIdOptions::EXITED)),
                }
            }
        }
        Ok(())
    }

    /// Waits until it has ended.
    pub(super) fn wait(&mut self) {
        if let Some(process) = self.process.take() {
            // The shim may have reaped it among its other children.
            while let Err(rustix::io::Errno::INTR) = waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED) {}
        }
    }
}
