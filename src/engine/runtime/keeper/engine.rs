//! The engine as its keeper sees it: a child, a socket, and when to start it again.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::engine::runtime::estate::Parcel;
use crate::engine::runtime::keeper::error::KeeperError;
use crate::engine::runtime::keeper::launder;
use crate::engine::runtime::keeper::option::Options;
use crate::engine::runtime::link::Leaving;
use crate::engine::runtime::note::Note;
use crate::engine::runtime::packet;

/// An engine that runs.
#[derive(Debug)]
pub(super) struct EngineProcess {
    pub(super) pidfd: OwnedFd,
    pub(super) socket: OwnedFd,
    outbox: VecDeque<Parcel>,
    pub(super) started: Instant,
    pub(super) leaving: Option<Leaving>,
    pub(super) failed: Option<String>,
}

impl EngineProcess {
    /// One that runs already, at the other end of `socket`.
    pub(super) fn adopted(pidfd: OwnedFd, socket: OwnedFd) -> Self {
        Self { pidfd, socket, outbox: VecDeque::new(), started: Instant::now(), leaving: None, failed: None }
    }

    /// Starts one, which is told all of `parcels` first.
    #[expect(clippy::disallowed_methods, reason = "re-exec of ourselves, through posix_spawn: no hook runs between fork and exec")]
    pub(super) fn start(binary: &Path, options: &Options, parcels: Vec<Parcel>) -> Result<Self, KeeperError> {
        let failed = |source| KeeperError::Path { step: "start the engine", path: binary.to_owned(), source };
        let (socket, theirs) = packet::pair().map_err(failed)?;
        let mut command = Command::new(binary);
        command.arg0("gantry-engine").args(options.engine_arguments().written());
        command.env_clear().envs(launder::environment());
        // Out of the terminal's foreground group: Ctrl-C is the keeper's to hear.
        command.stdin(Stdio::from(theirs)).stdout(Stdio::null()).stderr(Stdio::inherit()).process_group(0);
        let child = command.spawn().map_err(failed)?;
        // It is our child and has not been waited for, so the number is still its own.
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| failed(error.into()))?;
        Ok(Self { outbox: parcels.into(), ..Self::adopted(pidfd, socket) })
    }

    /// Tells it something, as soon as it reads.
    pub(super) fn tell(&mut self, note: Note) {
        self.outbox.push_back((note, Vec::new()));
        self.flush();
    }

    /// Sends what fits.
    pub(super) fn flush(&mut self) {
        while let Some((note, descriptors)) = self.outbox.front() {
            let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
            match packet::send(&self.socket, &note.encode(), &borrowed, false) {
                Ok(()) => _ = self.outbox.pop_front(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // It is gone; its pidfd tells.
                Err(_) => self.outbox.clear(),
            }
        }
    }

    /// Whether something waits for room.
    pub(super) fn is_behind(&self) -> bool {
        !self.outbox.is_empty()
    }
}

/// The program to start an engine from: what is installed now where this program was started from, or else this very program.
#[derive(Debug)]
pub(super) struct Program(Option<PathBuf>);

impl Program {
    pub(super) fn find() -> Self {
        Self(std::fs::read_link("/proc/self/exe").ok().filter(|path| path.is_absolute() && path.exists()))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.as_deref().filter(|path| path.exists()).unwrap_or(Path::new("/proc/self/exe"))
    }
}

/// When a crashed engine is started again: at once the first time, then ever later, until one has lived for a while. Never so late that
/// who calls meanwhile would wait for a second.
#[derive(Debug, Default)]
pub(super) struct BackOff {
    failures: u32,
}

impl BackOff {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_millis(500);
    /// An engine that lived so long had started well.
    const LONG_LIFE: Duration = Duration::from_secs(60);

    /// The delay after an engine that lived for `life`.
    pub(super) fn after(&mut self, life: Duration) -> Duration {
        if life >= Self::LONG_LIFE {
            self.failures = 0;
        }
        let delay = match self.failures {
            0 => Duration::ZERO,
            failures => Self::FIRST.saturating_mul(1 << (failures - 1).min(16)).min(Self::LONGEST),
        };
        self.failures += 1;
        delay
    }
}

/// Ends a socket's waiting clients with a sentence, as an engine would have answered; strangers without a word.
pub(super) fn refuse(listener: &OwnedFd, reason: Option<&str>) {
    use rustix::net::{SocketFlags, accept_with};
    let sentence = |reason: &str| {
        let body = serde_json::json!({ "message": reason }).to_string();
        format!(
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let answer = reason.map(sentence).unwrap_or_default();
    while is_readable(listener) {
        let Ok(client) = accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) else { return };
        // Unread bytes at the close would make the kernel reset the connection under the answer.
        let mut request = [0; 4096];
        while matches!(rustix::io::read(&client, &mut request), Ok(count) if count > 0) {}
        let _ = rustix::io::write(&client, answer.as_bytes());
    }
}

/// Whether somebody waits at a listener.
pub(super) fn is_readable(listener: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut wanted = [PollFd::new(listener, PollFlags::IN)];
    matches!(poll(&mut wanted, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_is_at_once_and_the_next_ones_are_not() {
        let mut back_off = BackOff::default();
        let short = Duration::from_millis(5);
        let delays: Vec<u128> = (0..9).map(|_| back_off.after(short).as_millis()).collect();
        assert_eq!(delays, [0, 100, 200, 400, 500, 500, 500, 500, 500]);
        assert_eq!(back_off.after(BackOff::LONG_LIFE), Duration::ZERO);
        assert_eq!(back_off.after(short).as_millis(), 100);
    }
}
