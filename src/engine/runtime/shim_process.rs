//! A shim as the engine sees it: a process, and the socket to it.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use serde::de::DeserializeOwned;
use tokio::io::unix::AsyncFd;

use crate::engine::runtime::error::LaunchError;
use crate::engine::runtime::packet;
use crate::engine::runtime::program::Program;
use crate::engine::runtime::readiness::{readable, ready};
use crate::engine::runtime::talk::{self, Notice, Order};

/// A shim that was started or found; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct ShimProcess {
    pid: i32,
    pidfd: Arc<AsyncFd<OwnedFd>>,
    socket: Arc<AsyncFd<OwnedFd>>,
}

impl ShimProcess {
    /// Starts one. It ends by itself if it is let go of before its container's command was executed.
    #[expect(clippy::disallowed_methods, reason = "re-exec of ourselves, through posix_spawn: no hook runs between fork and exec")]
    pub(super) fn start(program: &Program) -> Result<Self, LaunchError> {
        let failed = |error: io::Error| LaunchError::step("start a shim", error);
        let (socket, theirs) = packet::pair().map_err(failed)?;
        let mut command = Command::new(program.path());
        command.arg0("gantry-shim").env_clear();
        command.stdin(Stdio::from(theirs)).stdout(Stdio::null()).stderr(Stdio::inherit());
        let child = command.spawn().map_err(failed)?;
        // It is our child and has not been waited for, so the number is still its own.
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| failed(error.into()))?;
        let shim = Self::found(pid.as_raw_pid(), pidfd, socket).map_err(failed)?;
        tokio::spawn(reap(Arc::clone(&shim.pidfd)));
        Ok(shim)
    }

    /// One that was started by an engine before this one, and that the keeper reaps.
    pub(super) fn found(pid: i32, pidfd: OwnedFd, socket: OwnedFd) -> io::Result<Self> {
        Ok(Self { pid, pidfd: Arc::new(readable(pidfd)?), socket: Arc::new(ready(socket)?) })
    }

    /// Its process.
    pub(super) const fn pid(&self) -> i32 {
        self.pid
    }

    /// Its pidfd.
    pub(super) fn pidfd(&self) -> &OwnedFd {
        self.pidfd.get_ref()
    }

    /// The engine's end of the socket.
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Returns when it has ended.
    pub(super) async fn ended(&self) {
        // A pidfd that cannot be waited for is none any more.
        let _ = self.pidfd.readable().await;
    }

    /// Gives it an order, as soon as there is room.
    pub(super) async fn order(&self, order: &Order, beside: &[BorrowedFd<'_>]) -> io::Result<()> {
        loop {
            let mut writable = self.socket.writable().await?;
            match writable.try_io(|socket| talk::send(socket.get_ref(), order, beside, false)) {
                Ok(sent) => return sent,
                Err(_would_block) => {}
            }
        }
    }

    /// The next thing it says; `None` when it has ended and all it said was read.
    pub(super) async fn hear(&self) -> io::Result<Option<(Notice, Vec<OwnedFd>)>> {
        loop {
            let mut readable = tokio::select! {
                biased;
                readable = self.socket.readable() => readable?,
                // Its end of the socket may live on in a child that was just born.
                () = self.ended() => return receive_now(&self.socket),
            };
            match readable.try_io(|socket| talk::receive(socket.get_ref(), false)) {
                Ok(heard) => return heard,
                Err(_would_block) => {}
            }
        }
    }
}

/// What lies in the socket; `None` when nothing does.
fn receive_now<T: DeserializeOwned>(socket: &AsyncFd<OwnedFd>) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    match talk::receive(socket.get_ref(), false) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        heard => heard,
    }
}

/// Reaps a child of this engine.
async fn reap(pidfd: Arc<AsyncFd<OwnedFd>>) {
    if pidfd.readable().await.is_ok() {
        let _ = waitid(WaitId::PidFd(pidfd.get_ref().as_fd()), WaitIdOptions::EXITED);
    }
}
