//! A container's files, seen from outside of it, whether it runs or not.
//!
//! Where it runs, they are what its first process sees. Where it does not, its root and its mounts are put together in a mount namespace
//! of one thread's own, which ends with the thread: nothing shows on the host.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::sched::CloneFlags;
use rustix::fs::{Mode, OFlags};
use tokio::sync::oneshot;

use crate::engine::runtime::error::{Errno, LaunchError};
use crate::engine::runtime::launch::{LaunchMount, RootfsSpec};
use crate::engine::runtime::task::{Task, TaskError};
use crate::engine::runtime::{bind, kernel, mount, rootfs, user};

/// What is seen of a container's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What its processes see: its own root, and what is mounted in it.
    Whole,
    /// Its own root alone, as if nothing were mounted in it.
    Root,
}

/// A container whose files are to be seen.
#[derive(Debug)]
pub enum Seen {
    /// One that runs.
    Running(Inside),
    /// One that does not: nobody may start it meanwhile.
    Stopped {
        /// Its root.
        root: RootfsSpec,
        /// Its mounts, sources available.
        mounts: Vec<LaunchMount>,
    },
}

/// A running container's root and mounts, held beyond its end.
#[derive(Debug)]
pub struct Inside {
    root: OwnedFd,
    namespace: OwnedFd,
}

impl Inside {
    /// Takes hold of what the first process of a container sees.
    pub fn of(task: &Task) -> Result<Self, TaskError> {
        let failed = |error: Errno| match error.0 {
            libc::ENOENT | libc::ESRCH => TaskError::Gone { id: task.id() },
            _ => TaskError::Kernel { id: task.id(), step: "look into", source: std::io::Error::from_raw_os_error(error.0) },
        };
        let process = PathBuf::from(format!("/proc/{}", task.pid()));
        let open = |name: &str, flags: OFlags| {
            let opened = rustix::fs::open(process.join(name), flags | OFlags::CLOEXEC, Mode::empty());
            opened.map_err(|error| failed(error.into()))
        };
        let namespace = open("ns/mnt", OFlags::RDONLY)?;
        let root = open("root", OFlags::RDONLY | OFlags::DIRECTORY)?;
        // Its number may be another's by now.
        if task.has_ended() { Err(TaskError::Gone { id: task.id() }) } else { Ok(Self { root, namespace }) }
    }

    /// The root without what is mounted in it: a copy of the mount, taken where it is mounted.
    fn root_alone(&self) -> Result<OwnedFd, LaunchError> {
        let failed = |error: Errno| LaunchError::step("take hold of a container's root", error);
        let own = own_namespace()?;
        kernel::setns(self.namespace.as_fd(), libc::CLONE_NEWNS).map_err(failed)?;
        let copied = mount::copy(&self.root, "", false).map_err(failed);
        // Back before anything else: `/proc` is the container's here.
        kernel::setns(own.as_fd(), libc::CLONE_NEWNS).map_err(failed)?;
        reopen(&copied?).map_err(failed)
    }
}

/// A descriptor that can be read, in the place of one that only names.
fn reopen(folder: &OwnedFd) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(folder, ".", flags, Mode::empty())?)
}

/// Does some work on a container's root, on a thread of its own; lets go of what is `held` only once nothing is mounted for it any more.
pub async fn with_root<T: Send + 'static>(
    seen: Seen,
    extent: Extent,
    held: impl Send + 'static,
    work: impl FnOnce(BorrowedFd<'_>) -> T + Send + 'static,
) -> Result<T, LaunchError> {
    let (tell, told) = oneshot::channel();
    let failed = |error: std::io::Error| LaunchError::step("start a thread", error);
    let thread = std::thread::Builder::new().name("files".to_owned());
    thread
        .spawn(move || {
            let done = match seen {
                Seen::Running(inside) => running(inside, extent).map(|(root, _namespace)| work(root.as_fd())),
                Seen::Stopped { root, mounts } => at_rest(&root, &mounts, extent, work),
            };
            drop(held);
            // Whoever asked may have left.
            let _ = tell.send(done);
        })
        .map_err(failed)?;
    told.await.map_err(|_| LaunchError::Invalid("the work on a container's files broke off".to_owned()))?
}

/// Does some work on a root while another one is seen: to be called in the work that [`with_root`] does, which has a thread of its own.
pub fn with_another_root<T>(root: &RootfsSpec, work: impl FnOnce(BorrowedFd<'_>) -> T) -> Result<T, LaunchError> {
    at_rest(root, &[], Extent::Root, work)
}

/// The numbers of a user and a group, by the files in a container's root.
pub fn user_in(root: BorrowedFd<'_>, user: &str) -> Result<(u32, u32), LaunchError> {
    user::lookup_beneath(root, user)
}

/// A running container's root, and what must live as long as it is used.
fn running(inside: Inside, extent: Extent) -> Result<(OwnedFd, Option<OwnedFd>), LaunchError> {
    match extent {
        // Without the namespace, its mounts would come apart when the container ends.
        Extent::Whole => Ok((inside.root, Some(inside.namespace))),
        Extent::Root => Ok((inside.root_alone()?, None)),
    }
}

/// Works on the root of a container that does not run, in a mount namespace that is gone when this returns: whoever may start the
/// container then must not find its folders mounted already.
fn at_rest<T>(root: &RootfsSpec, mounts: &[LaunchMount], extent: Extent, work: impl FnOnce(BorrowedFd<'_>) -> T) -> Result<T, LaunchError> {
    let own = own_namespace()?;
    unshare(CloneFlags::CLONE_NEWNS)?;
    let done = put_together(root, mounts, extent).map(|root| work(root.as_fd()));
    kernel::setns(own.as_fd(), libc::CLONE_NEWNS).map_err(|error| LaunchError::step("leave a container's mounts", error))?;
    done
}

fn put_together(root: &RootfsSpec, mounts: &[LaunchMount], extent: Extent) -> Result<OwnedFd, LaunchError> {
    let mounts = if extent == Extent::Whole { bind::prepare(mounts)? } else { Vec::new() };
    rootfs::make_private()?;
    let attached = rootfs::attach(root)?;
    for mount in mounts {
        mount.attach(attached.as_fd(), &root.upper)?;
    }
    reopen(&attached).map_err(|error| LaunchError::step("open a container's root", error))
}

/// This thread's mount namespace, to come back to. A thread that shares its root with others could not go into another one.
fn own_namespace() -> Result<OwnedFd, LaunchError> {
    unshare(CloneFlags::CLONE_FS)?;
    let opened = rustix::fs::open("/proc/thread-self/ns/mnt", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    opened.map_err(|error| LaunchError::step("take hold of a mount namespace", Errno::from(error)))
}

/// Parts this thread from the others.
fn unshare(what: CloneFlags) -> Result<(), LaunchError> {
    nix::sched::unshare(what).map_err(|error| LaunchError::step("part a thread from the others", std::io::Error::from(error)))
}
