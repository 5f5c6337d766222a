//! The ends of children: the container's first process, execs, and orphans that this process, their subreaper, is given.

use std::time::Duration;

use rustix::process::{Pid, Signal};

/// A child that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reaped {
    pub(super) pid: i32,
    pub(super) end: End,
}

/// How a process ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// Its exit code, or 128 and the number of the signal that ended it.
    pub(super) code: i32,
    /// What it and its children used.
    pub(super) processor_time: Duration,
}

/// Returns the next child that has ended, without waiting for one.
pub(super) fn next() -> Option<Reaped> {
    let mut status = 0;
    // SAFETY: a structure of numbers, for which zeros are values; the kernel writes it and the status as a whole.
    let (pid, used) = unsafe {
        let mut used: libc::rusage = std::mem::zeroed();
        (libc::wait4(-1, &raw mut status, libc::WNOHANG, &raw mut used), used)
    };
    if pid <= 0 {
        return None;
    }
    let code = if libc::WIFSIGNALED(status) { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) };
    Some(Reaped { pid, end: End { code, processor_time: duration(used.ru_utime) + duration(used.ru_stime) } })
}

/// Ends every child there is; false when there is none.
pub(super) fn kill_children() -> bool {
    // A kernel without this file (CONFIG_PROC_CHILDREN) leaves orphans to whoever reaps after this process.
    let children = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    let children: Vec<_> = children.split_whitespace().filter_map(|number| Pid::from_raw(number.parse().ok()?)).collect();
    for child in &children {
        // It is not reaped yet, so the number is still its own; one that has ended takes no notice.
        let _ = rustix::process::kill_process(*child, Signal::KILL);
    }
    !children.is_empty()
}

fn duration(time: libc::timeval) -> Duration {
    let whole = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0));
    whole + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
}
