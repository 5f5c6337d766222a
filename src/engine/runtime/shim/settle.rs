//! What a shim does to itself before it knows its container.

use std::os::fd::{AsFd as _, OwnedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::fs::{Mode, OFlags};

use crate::engine::runtime::error::LaunchError;
use crate::engine::runtime::kernel;

/// Memory in pieces of this size is given back as soon as it is free. A shim is one of many, and idle for most of its life.
const GIVEN_BACK: libc::c_int = 64 << 10;

/// Leaves the engine's session, becomes the reaper of the container's orphans, and takes the socket to the engine from standard input.
/// Ends of children come over the other descriptor.
pub(super) fn down() -> Result<(OwnedFd, SignalFd), LaunchError> {
    // SAFETY: takes numbers; no other thread allocates.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, GIVEN_BACK);
        libc::mallopt(libc::M_TRIM_THRESHOLD, GIVEN_BACK);
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
    // Fails only where it leads a group already, which leaves it with no terminal to lose.
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"gantry-shim");
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(|error| LaunchError::step("become a reaper", error))?;
    kernel::reset_signals();
    let failed = |error: nix::errno::Errno| LaunchError::step("take signals from a descriptor", std::io::Error::from(error));
    let children = SigSet::from(Signal::SIGCHLD);
    // A write to a pipe that nobody reads is an error and not the end.
    let mut blocked = children;
    blocked.add(Signal::SIGPIPE);
    blocked.thread_set_mask().map_err(failed)?;
    let signals = SignalFd::with_flags(&children, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map_err(failed)?;
    Ok((take_stdin()?, signals))
}

fn take_stdin() -> Result<OwnedFd, LaunchError> {
    let take = || -> std::io::Result<OwnedFd> {
        let socket = rustix::stdio::stdin().as_fd().try_clone_to_owned()?;
        rustix::stdio::dup2_stdin(rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?)?;
        Ok(socket)
    };
    take().map_err(|error| LaunchError::step("take the socket to the engine", error))
}

/// Gives back what reading the container's spec took.
pub(super) fn trim_memory() {
    // SAFETY: takes a number; only memory that is free already is touched.
    unsafe { libc::malloc_trim(0) };
}
