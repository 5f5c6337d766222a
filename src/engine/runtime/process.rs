//! From a process in its place to its command: limits, identity, capabilities, filter, exec.

use std::convert::Infallible;
use std::os::fd::OwnedFd;

use rustix::fs::{Gid, Mode, OFlags, Uid};

use crate::engine::runtime::command::Command;
use crate::engine::runtime::error::{Errno, LaunchError};
use crate::engine::runtime::init::InitStdio;
use crate::engine::runtime::launch::{CapabilitySet, ProcessSpec};
use crate::engine::runtime::sync::Voice;
use crate::engine::runtime::terminal::{self, Terminal};
use crate::engine::runtime::user::User;
use crate::engine::runtime::{device, kernel, reaper, rlimit};

/// Files of the host's `/proc` about this process, opened while that can still be trusted: one in a container may be a trap.
#[derive(Debug)]
pub(super) struct HostProc {
    apparmor: Option<OwnedFd>,
}

impl HostProc {
    /// Opens what the process will need, and does what can be done at once.
    pub(super) fn open(process: &ProcessSpec) -> Result<Self, LaunchError> {
        if let Some(adjustment) = process.oom_score_adj {
            std::fs::write("/proc/self/oom_score_adj", adjustment.to_string()).map_err(|error| match error.raw_os_error() {
                Some(libc::EACCES) => LaunchError::Unavailable {
                    what: format!("an oom_score_adj of {adjustment}"),
                    reason: "lowering it needs CAP_SYS_RESOURCE, which this engine lacks".to_owned(),
                },
                _ => LaunchError::step(format!("set oom_score_adj to {adjustment}"), error),
            })?;
        } else {
            // The engine and its shims are protected, and their containers are not: they would be the last to be ended for want of
            // memory. Lowering it, in an engine less protected than that, was not asked for.
            let _ = std::fs::write("/proc/self/oom_score_adj", "0");
        }
        let apparmor = process.apparmor.as_deref().filter(|profile| *profile != "unconfined");
        let apparmor = apparmor.map(|profile| {
            let flags = OFlags::WRONLY | OFlags::CLOEXEC;
            rustix::fs::open("/proc/self/attr/apparmor/exec", flags, Mode::empty()).map_err(|_| LaunchError::Unavailable {
                what: format!("the AppArmor profile `{profile}`"),
                reason: "this kernel runs without AppArmor".to_owned(),
            })
        });
        Ok(Self { apparmor: apparmor.transpose()? })
    }
}

/// Becomes the command, or its reaper.
pub(super) fn run(
    process: &ProcessSpec,
    user: &User,
    host: &HostProc,
    terminal: Option<Terminal>,
    stdio: Option<InitStdio>,
    reap: bool,
    voice: &Voice,
) -> Result<Infallible, LaunchError> {
    match (terminal, stdio) {
        (Some(terminal), _) => terminal.take(process.size)?,
        (None, Some(stdio)) => terminal::take_stdio(stdio.stdin, stdio.stdout, stdio.stderr)?,
        (None, None) => return Err(LaunchError::Invalid("a command without a terminal needs its three pipes".to_owned())),
    }
    own_stdio(user.uid);
    confine(process, host)?;
    rlimit::apply(&process.ulimits)?;

    // Two tries: root may enter what the user may not, and the other way round on a file system that distrusts root.
    let entered = enter(process);
    become_user(user, process.capabilities)?;
    if entered.is_err() {
        enter(process)?;
    }
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let command = Command::find(process, user)?;

    // No descriptor of ours outlives the exec, whoever forgot to say so.
    kernel::close_on_exec_from(3).map_err(|error| LaunchError::step("close descriptors", error))?;
    rustix::process::set_parent_process_death_signal(None).map_err(|error| LaunchError::step("untie init from its shim", error))?;
    if let Some(filter) = &process.seccomp {
        kernel::install_filter(filter.instructions()).map_err(|error| LaunchError::step("install the seccomp filter", error))?;
    }
    // Last, since a filter without no_new_privs needs CAP_SYS_ADMIN.
    let set = if user.uid == 0 { process.capabilities } else { CapabilitySet::EMPTY };
    kernel::set_capabilities(set.bits(), set.bits(), 0).map_err(|error| LaunchError::step("set the capabilities", error))?;
    if reap { reaper::run(&command, voice, process.tty) } else { command.execute(voice) }
}

/// Gives the descriptors to the user, so that opening `/dev/stdout` works. `/dev/null` stays everybody's.
fn own_stdio(uid: u32) {
    let null = device::Node { block: false, major: 1, minor: 3 };
    for descriptor in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        let is_null = device::node_of(descriptor).is_ok_and(|node| node == Some(null));
        if !is_null {
            // What cannot be owned (a socket, a file of a read-only file system) is used as it is.
            let _ = rustix::fs::fchown(descriptor, Some(Uid::from_raw(uid)), None);
        }
    }
}

fn confine(process: &ProcessSpec, host: &HostProc) -> Result<(), LaunchError> {
    if process.no_new_privileges {
        rustix::thread::set_no_new_privs(true).map_err(|error| LaunchError::step("give up new privileges", error))?;
    }
    if let (Some(file), Some(profile)) = (&host.apparmor, &process.apparmor) {
        rustix::io::write(file, format!("exec {profile}").as_bytes()).map_err(|_| LaunchError::Unavailable {
            what: format!("the AppArmor profile `{profile}`"),
            reason: "it is not loaded".to_owned(),
        })?;
    }
    Ok(())
}

/// Changes to the working directory.
fn enter(process: &ProcessSpec) -> Result<(), LaunchError> {
    let path = if process.working_dir.is_empty() { "/" } else { &process.working_dir };
    let failed = |error: Errno| LaunchError::step(format!("change to the working directory {path}"), error);
    rustix::process::chdir(path).map_err(|error| failed(error.into()))?;
    // A link in `/proc` to a folder of the host would lead out of the container (CVE-2024-21626).
    let here = rustix::process::getcwd(Vec::new()).map_err(|error| failed(error.into()))?;
    if here.as_bytes().starts_with(b"/") { Ok(()) } else { Err(failed(Errno(libc::EXDEV))) }
}

/// Changes identity, and keeps, until the filter is installed, the one capability that this may need.
fn become_user(user: &User, capabilities: CapabilitySet) -> Result<(), LaunchError> {
    let failed = |step: &'static str| move |error: Errno| LaunchError::step(step, error);
    let available = CapabilitySet::available();
    for number in (0..64).filter(|number| available.without(capabilities).bits() & 1 << number != 0) {
        kernel::drop_bounding(number).map_err(failed("limit the capabilities"))?;
    }
    rustix::thread::set_keep_capabilities(true).map_err(|error| failed("keep capabilities")(error.into()))?;
    let groups: Vec<_> = user.groups.iter().map(|group| Gid::from_raw(*group)).collect();
    rustix::thread::set_thread_groups(&groups).map_err(|error| LaunchError::step("set the groups", error))?;
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(|error| LaunchError::step(format!("become group {}", user.gid), error))?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(|error| LaunchError::step(format!("become user {}", user.uid), error))?;
    rustix::thread::set_keep_capabilities(false).map_err(|error| failed("keep capabilities")(error.into()))?;
    // A process of another user has no capability of its own from here on, but for installing the filter.
    let own = if user.uid == 0 { capabilities.bits() } else { 0 };
    let keep = own | CapabilitySet::SYS_ADMIN.bits() & available.bits();
    kernel::set_capabilities(keep, keep, 0).map_err(failed("set the capabilities"))
}
