//! A reaper as process 1 (`init: true`): it forwards signals to the command, reaps what that leaves behind, and ends with its code.

use std::convert::Infallible;

use crate::engine::runtime::command::Command;
use crate::engine::runtime::error::{Errno, LaunchError};
use crate::engine::runtime::kernel;
use crate::engine::runtime::sync::Voice;

/// Signals that report a fault of the process itself, and those of job control that are not for others.
const NOT_FORWARDED: [libc::c_int; 9] =
    [libc::SIGFPE, libc::SIGILL, libc::SIGSEGV, libc::SIGBUS, libc::SIGABRT, libc::SIGTRAP, libc::SIGSYS, libc::SIGTTIN, libc::SIGTTOU];

/// Starts the command as a child and stays. Everything is set up but the exec itself: the reaper has the command's user, capabilities
/// and filter.
pub(super) fn run(command: &Command, voice: &Voice, tty: bool) -> Result<Infallible, LaunchError> {
    let failed = |error: Errno| LaunchError::step("start the command under its reaper", error);
    let signals = Signals::block();
    // Not clone3, which Docker's filter answers with ENOSYS.
    // SAFETY: this process has one thread, so no lock is held in the copy.
    match unsafe { libc::fork() } {
        -1 => Err(failed(Errno::last())),
        0 => {
            foreground(tty);
            signals.restore();
            command.execute(voice)
        }
        child => {
            // The shim's socket must end when the command's copy does, and nothing else of the shim may stay open.
            kernel::close_from(3).map_err(failed)?;
            // SAFETY: a C string; the name is what `ps` shows.
            unsafe { libc::prctl(libc::PR_SET_NAME, c"gantry-init".as_ptr()) };
            kernel::exit_now(signals.serve(child))
        }
    }
}

/// Puts the command into a process group of its own, the terminal's foreground one: Ctrl-C is for it.
fn foreground(tty: bool) {
    // SAFETY: numbers only. SIGTTOU, which a background process gets for this, is blocked by now.
    unsafe {
        libc::setpgid(0, 0);
        if tty {
            libc::tcsetpgrp(0, libc::getpid());
        }
    }
}

/// The signals that are waited for, and the mask before.
struct Signals {
    waited: libc::sigset_t,
    before: libc::sigset_t,
}

impl Signals {
    /// Blocks what is to be forwarded, before there is a child to forward to.
    fn block() -> Self {
        // SAFETY: all-zero sets are valid, and every pointer is to one of them.
        unsafe {
            let mut waited: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut waited);
            for signal in NOT_FORWARDED.iter().filter(|signal| **signal != libc::SIGTTOU && **signal != libc::SIGTTIN) {
                libc::sigdelset(&raw mut waited, *signal);
            }
            libc::sigprocmask(libc::SIG_SETMASK, &raw const waited, &raw mut before);
            Self { waited, before }
        }
    }

    fn restore(&self) {
        // SAFETY: a valid set, only read.
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const self.before, std::ptr::null_mut()) };
    }

    /// Forwards and reaps until the command ends. Returns its exit code, or 128 and the number of the signal that ended it.
    fn serve(&self, command: libc::pid_t) -> i32 {
        loop {
            // SAFETY: a valid set; what is known of the signal beside its number is not asked for.
            let signal = unsafe { libc::sigwaitinfo(&raw const self.waited, std::ptr::null_mut()) };
            match signal {
                libc::SIGCHLD => {
                    if let Some(code) = reap(command) {
                        return code;
                    }
                }
                // Interrupted, or not for others.
                -1 => {}
                signal if NOT_FORWARDED.contains(&signal) => {}
                // SAFETY: numbers only; the child is not reaped yet, so the number is still its own.
                signal => unsafe {
                    libc::kill(command, signal);
                },
            }
        }
    }
}

/// Reaps every child that has ended; returns the code of the command if it is among them.
fn reap(command: libc::pid_t) -> Option<i32> {
    let mut code = None;
    loop {
        let mut status = 0;
        // SAFETY: the status is written to a variable of the right type.
        let ended = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        if ended <= 0 {
            return code;
        }
        if ended == command {
            code = Some(if libc::WIFSIGNALED(status) { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) });
        }
    }
}
