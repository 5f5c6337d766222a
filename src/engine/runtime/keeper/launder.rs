//! What a keeper throws off of the shell, job or editor it was started from: nothing an engine does may depend on who called first.

use std::ffi::OsString;
use std::fs;

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, chdir, set_child_subreaper, setpriority_process, setrlimit, setsid, umask};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::engine::runtime::keeper::error::{KeeperError, call};
use crate::engine::runtime::kernel;

/// What is kept of the environment: where things are, and the way out to registries.
const KEPT: [&str; 15] = [
    "GANTRY_ROOT",
    "PATH",
    "TZ",
    "TMPDIR",
    "RUST_BACKTRACE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Docker gives its daemon the same: the engine is not what the kernel should end first when memory runs out.
const OOM_SCORE: &str = "-500";

/// The variables a child of the keeper is given.
#[expect(clippy::disallowed_methods, reason = "the keeper is where the environment of all its descendants is decided")]
pub(super) fn environment() -> Vec<(&'static str, OsString)> {
    KEPT.iter().filter_map(|&name| Some((name, std::env::var_os(name)?))).collect()
}

/// Leaves the caller's session, folder, limits, priority, processors and signals. A keeper in the foreground keeps its terminal.
pub(super) fn launder(foreground: bool) -> Result<(), KeeperError> {
    if !foreground {
        // Fails only where this process leads its group already, which leaves it with no terminal to lose.
        let _ = setsid();
    }
    chdir("/").map_err(call("leave the working directory"))?;
    umask(Mode::from_raw_mode(0o022));
    // An ignored SIGPIPE, SIGCHLD or real-time signal is inherited across every exec.
    kernel::reset_signals();
    set_child_subreaper(Some(rustix::process::getpid())).map_err(call("become the reaper of orphaned shims"))?;
    let _ = setpriority_process(None, 0);
    let mut every = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|processor| every.set(processor));
    // The kernel keeps to the processors of the cpuset.
    let _ = sched_setaffinity(None, &every);
    reset_limits();
    let _ = fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    Ok(())
}

/// Lets every signal through to this thread and those it makes. A signal mask passes through posix_spawn, and the keeper has one.
pub(super) fn unblock_signals() -> nix::Result<()> {
    use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
}

/// Raises what root may raise; each is best effort, for a container of another runtime may have been denied it.
fn reset_limits() {
    let most = fs::read_to_string("/proc/sys/fs/nr_open").ok().and_then(|text| text.trim().parse().ok()).unwrap_or(1_048_576);
    let unlimited = Rlimit { current: None, maximum: None };
    let files = Rlimit { current: Some(most), maximum: Some(most) };
    if setrlimit(Resource::Nofile, files).is_err() {
        let hard = rustix::process::getrlimit(Resource::Nofile).maximum;
        let _ = setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard });
    }
    for resource in [Resource::Nproc, Resource::Fsize, Resource::Cpu, Resource::As, Resource::Data, Resource::Core, Resource::Sigpending] {
        let _ = setrlimit(resource, unlimited);
    }
    let _ = setrlimit(Resource::Stack, Rlimit { current: Some(8 << 20), maximum: None });
}

/// Closes every descriptor but the first three.
pub(super) fn close_descriptors() {
    // SAFETY: called before this process has opened anything of its own; no value owns a descriptor from 3 on.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
}

/// Lets no descriptor but the first three pass to a child; those a service manager passed stay open here.
pub(super) fn keep_descriptors_to_itself() {
    // SAFETY: it changes a flag of descriptors, and closes none.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
}
