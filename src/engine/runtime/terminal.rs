//! A pseudo-terminal of the container's own devpts.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use crate::engine::runtime::beneath::{self, Kind};
use crate::engine::runtime::error::{Errno, LaunchError};
use crate::engine::runtime::filesystem::Base;
use crate::engine::runtime::{kernel, mount};
use crate::resource::exec::TerminalSize;

/// Both ends of a terminal.
#[derive(Debug)]
pub(super) struct Terminal {
    master: OwnedFd,
    slave: OwnedFd,
}

impl Terminal {
    /// A new one, in the devpts of a container that is being built.
    pub(super) fn open(base: &Base) -> Result<Self, LaunchError> {
        let open = |flags| match &base.pts {
            Some(pts) => Ok(rustix::fs::openat(pts, "ptmx", flags, Mode::empty())?),
            // A mount of the user took the place of ours.
            None => Ok(rustix::fs::openat(&base.dev, "ptmx", flags, Mode::empty())?),
        };
        Self::from_master(open(OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC)).map_err(failed)
    }

    /// A new one, in the devpts of the container this process has joined.
    pub(super) fn open_joined() -> Result<Self, LaunchError> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let master = rustix::fs::open("/dev/pts/ptmx", flags, Mode::empty()).map_err(Errno::from);
        Self::from_master(master).map_err(failed)
    }

    fn from_master(master: Result<OwnedFd, Errno>) -> Result<Self, Errno> {
        let master = master?;
        // A file that the container put there instead is no terminal master, and fails here.
        rustix::pty::unlockpt(&master)?;
        // The peer comes from the master itself: its name could be made to mean another file (CVE-2019-5736's relatives).
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        Ok(Self { master, slave })
    }

    /// The end that the shim keeps.
    pub(super) fn master(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }

    /// Makes it `/dev/console`, too.
    pub(super) fn bind_console(&self, root: BorrowedFd<'_>) -> Result<(), LaunchError> {
        let bind = || -> Result<(), Errno> {
            let place = beneath::ensure(root, "/dev/console", Kind::File)?;
            mount::attach(mount::copy(&self.slave, "", false)?, place)
        };
        bind().map_err(|error| LaunchError::step("make /dev/console", error))
    }

    /// Makes it the terminal of this session and the descriptors 0, 1 and 2.
    pub(super) fn take(self, size: Option<TerminalSize>) -> Result<(), LaunchError> {
        if let Some(size) = size {
            let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
            rustix::termios::tcsetwinsize(&self.slave, size).map_err(|error| LaunchError::step("size the terminal", error))?;
        }
        kernel::set_controlling_terminal(self.slave.as_fd()).map_err(|error| LaunchError::step("take the terminal", error))?;
        take_stdio(&self.slave, &self.slave, &self.slave)
    }
}

fn failed(error: Errno) -> LaunchError {
    LaunchError::step("open a terminal", error)
}

/// Makes these the descriptors 0, 1 and 2.
pub(super) fn take_stdio(stdin: impl AsFd, stdout: impl AsFd, stderr: impl AsFd) -> Result<(), LaunchError> {
    let take = || -> Result<(), rustix::io::Errno> {
        // Above them first: one of the three may be 0, 1 or 2 itself, in another order.
        let above = |descriptor: BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(descriptor, 3);
        let (stdin, stdout, stderr) = (above(stdin.as_fd())?, above(stdout.as_fd())?, above(stderr.as_fd())?);
        rustix::stdio::dup2_stdin(&stdin)?;
        rustix::stdio::dup2_stdout(&stdout)?;
        rustix::stdio::dup2_stderr(&stderr)
    };
    take().map_err(|error| LaunchError::step("set up standard input and output", error))
}
