//! What a newborn process does until it executes its command, in order. Any step may fail; the shim is told which.

use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Signal};

use crate::engine::runtime::beneath::{self, Kind};
use crate::engine::runtime::cgroup::Leaf;
use crate::engine::runtime::error::LaunchError;
use crate::engine::runtime::init::InitStdio;
use crate::engine::runtime::launch::{LaunchSpec, Namespace, ProcessSpec};
use crate::engine::runtime::namespace::Joined;
use crate::engine::runtime::process::{self, HostProc};
use crate::engine::runtime::sync::Voice;
use crate::engine::runtime::terminal::Terminal;
use crate::engine::runtime::{bind, file, filesystem, kernel, mask, network, rootfs, sysctl, user};
use crate::trace::Trace;

/// A container's first process.
pub(super) fn first(
    spec: &LaunchSpec,
    stdio: Option<InitStdio>,
    leaf: &Leaf,
    joined: &Joined,
    voice: &Voice,
) -> Result<Infallible, LaunchError> {
    let trace = trace_of(spec);
    let step = trace.span("namespaces");
    settle()?;
    leaf.join_limited()?;
    if spec.namespaces.cgroup == Namespace::New {
        kernel::unshare_cgroup().map_err(|error| LaunchError::step("make a cgroup namespace", error))?;
    }
    joined.enter()?;

    // As early as can be: the engine makes the container's interfaces while its root is built here.
    let own_network = spec.namespaces.net == Namespace::New;
    let mut dns = None;
    if own_network {
        network::loopback_up()?;
        if spec.wants_dns {
            dns = Some(network::dns_sockets()?);
        }
    }
    voice.waiting(dns.as_ref())?;
    drop(dns);
    drop(step);
    let step = trace.span("root and mounts");

    if spec.namespaces.uts == Namespace::New {
        name_host(spec)?;
    }
    let host = HostProc::open(&spec.process)?;
    let null = rootfs::host(Path::new("/dev/null")).map_err(|error| LaunchError::step("open /dev/null", error))?;
    let mounts = bind::prepare(&spec.mounts)?;
    rootfs::make_private()?;
    let root = rootfs::attach(&spec.rootfs)?;
    let base = filesystem::mount_all(root.as_fd(), spec, leaf.hierarchies())?;
    for mount in mounts {
        mount.attach(root.as_fd(), &spec.rootfs.upper)?;
    }
    for injected in &spec.files {
        file::write(root.as_fd(), injected)?;
    }
    let terminal = spec.process.tty.then(|| Terminal::open(&base)).transpose()?;
    if let Some(terminal) = &terminal {
        terminal.bind_console(root.as_fd())?;
        voice.terminal(terminal.master())?;
    }
    mask::apply(root.as_fd(), &null, spec)?;
    make_working_dir(root.as_fd(), &spec.process)?;
    if spec.rootfs.read_only {
        rootfs::make_read_only(root.as_fd())?;
    }
    rootfs::pivot(root.as_fd())?;
    drop(root);
    drop(step);

    let step = trace.span("wait for the network");
    let setup = voice.wait()?;
    drop(step);
    let step = trace.span("network");
    if own_network {
        network::send_route(&setup.route)?;
        network::send_netfilter(&setup.netfilter)?;
    }
    sysctl::apply(base.parameters.as_fd(), &spec.sysctls)?;
    drop(base);
    drop(step);
    let user = user::lookup(&spec.process)?;
    process::run(&spec.process, &user, &host, terminal, stdio, spec.init, voice)
}

/// Where somebody wants to see what this init spends its time on. Its number is 1 in every container; the container's id tells them apart.
fn trace_of(spec: &LaunchSpec) -> Trace {
    let [a, b, c, d, ..] = *spec.id.as_bytes();
    let trace = Trace::to(spec.trace.clone(), u32::from_be_bytes([a, b, c, d]));
    trace.name_process(&format!("init of {}", spec.id.short()));
    trace
}

/// A process that joins a container.
pub(super) fn further(
    process: &ProcessSpec,
    container: BorrowedFd<'_>,
    stdio: Option<InitStdio>,
    leaf: &Leaf,
    voice: &Voice,
) -> Result<Infallible, LaunchError> {
    settle()?;
    leaf.join_limited()?;
    let host = HostProc::open(process)?;
    let kinds = libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::CLONE_NEWNET | libc::CLONE_NEWCGROUP;
    kernel::setns(container, kinds).map_err(|error| LaunchError::step("join the container's namespaces", error))?;
    let terminal = process.tty.then(Terminal::open_joined).transpose()?;
    if let Some(terminal) = &terminal {
        voice.terminal(terminal.master())?;
    }
    let user = user::lookup(process)?;
    process::run(process, &user, &host, terminal, stdio, false, voice)
}

/// Sheds what was inherited from the shim.
fn settle() -> Result<(), LaunchError> {
    kernel::reset_signals();
    // Only for as long as this is still our code: whoever watches the shim ends its container (and any change of user clears this).
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| LaunchError::step("tie init to its shim", error))?;
    // Nobody in a container that is joined may look into this process before it has become one of theirs (CVE-2016-9962).
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| LaunchError::step("hide init's memory", error))?;
    rustix::process::setsid().map_err(|error| LaunchError::step("make a session", error))?;
    // What is made in the root has the modes that are given.
    rustix::process::umask(Mode::empty());
    kernel::new_session_keyring().map_err(|error| LaunchError::step("make a session keyring", error))
}

fn name_host(spec: &LaunchSpec) -> Result<(), LaunchError> {
    if let Some(name) = &spec.hostname {
        rustix::system::sethostname(name.as_bytes()).map_err(|error| LaunchError::step(format!("set the host name `{name}`"), error))?;
    }
    if let Some(name) = &spec.domainname {
        rustix::system::setdomainname(name.as_bytes())
            .map_err(|error| LaunchError::step(format!("set the domain name `{name}`"), error))?;
    }
    Ok(())
}

/// As Docker does: a working directory that is missing is made, owned by root.
fn make_working_dir(root: BorrowedFd<'_>, process: &ProcessSpec) -> Result<(), LaunchError> {
    if process.working_dir.is_empty() {
        return Ok(());
    }
    beneath::ensure(root, &process.working_dir, Kind::Directory)
        .map(drop)
        .map_err(|error| LaunchError::step(format!("make the working directory {}", process.working_dir), error))
}
