//! The talk between a process that has not yet executed its command and the shim: short messages, one packet each, some with descriptors.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::engine::runtime::error::{Errno, LaunchError};
use crate::engine::runtime::launch::NetworkSetup;
use crate::engine::runtime::packet::{self, Packet};

/// What comes from such a process. In this order: `Waiting` (never from an exec) · `Terminal` (with a terminal) · `Started` or `Failed`.
#[derive(Debug)]
pub enum Report {
    /// Its namespaces exist; it goes on building its root meanwhile, and needs [`Sync::proceed`] before it executes its command.
    Waiting {
        /// Its sockets at 127.0.0.11, if it wants them: datagram and stream.
        dns: Option<(OwnedFd, OwnedFd)>,
    },
    /// The master of its terminal.
    Terminal(OwnedFd),
    /// Its command was executed. Nothing comes after it.
    Started,
    /// It was not, and the process ends. Nothing comes after it.
    Failed(LaunchError),
}

/// The caller's end of the socket to a process that has not yet executed its command.
#[derive(Debug)]
pub struct Sync {
    socket: OwnedFd,
    /// The process said that it executes its command; the end of the socket then means that it did.
    executing: bool,
}

/// The process's end.
#[derive(Debug)]
pub(super) struct Voice {
    socket: OwnedFd,
}

const WAITING: u8 = b'w';
const TERMINAL: u8 = b't';
const EXECUTING: u8 = b'x';
const FAILED: u8 = b'f';

fn lost(error: impl Into<Errno>) -> LaunchError {
    LaunchError::step("speak to the container's init", error)
}

/// Both ends.
pub(super) fn pair() -> Result<(Sync, Voice), LaunchError> {
    let (here, there) = packet::pair().map_err(lost)?;
    Ok((Sync { socket: here, executing: false }, Voice { socket: there }))
}

impl Sync {
    /// The next report; blocks until one is there. To wait for one among other things, poll this for `POLLIN`.
    pub fn receive(&mut self) -> Result<Report, LaunchError> {
        loop {
            let Packet { bytes, descriptors } = receive(&self.socket)?;
            let mut descriptors = descriptors.into_iter();
            let mut next = || descriptors.next();
            return Ok(match bytes.split_first() {
                None if self.executing => Report::Started,
                None => Report::Failed(LaunchError::Vanished),
                Some((&WAITING, _)) => Report::Waiting { dns: next().zip(next()) },
                Some((&TERMINAL, _)) => Report::Terminal(next().ok_or(LaunchError::Vanished)?),
                Some((&EXECUTING, _)) => {
                    self.executing = true;
                    continue;
                }
                Some((_, text)) => Report::Failed(serde_json::from_slice(text).unwrap_or(LaunchError::Vanished)),
            });
        }
    }

    /// Lets a waiting init go on. One that has failed meanwhile is not an error here: its last report is, and comes next.
    pub fn proceed(&self, network: &NetworkSetup) -> Result<(), LaunchError> {
        let length = u32::try_from(network.route.len()).map_err(|_| lost(rustix::io::Errno::MSGSIZE))?;
        match packet::send(&self.socket, &[&length.to_le_bytes()[..], &network.route, &network.netfilter].concat(), &[], true) {
            Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => Ok(()),
            sent => sent.map_err(lost),
        }
    }
}

impl AsFd for Sync {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Voice {
    /// The network namespace exists, and the sockets in it.
    pub(super) fn waiting(&self, dns: Option<&(OwnedFd, OwnedFd)>) -> Result<(), LaunchError> {
        let descriptors: Vec<_> = dns.into_iter().flat_map(|(udp, tcp)| [udp.as_fd(), tcp.as_fd()]).collect();
        send(&self.socket, &[WAITING], &descriptors)
    }

    /// The terminal exists.
    pub(super) fn terminal(&self, master: BorrowedFd<'_>) -> Result<(), LaunchError> {
        send(&self.socket, &[TERMINAL], &[master])
    }

    /// The next call is the last one.
    pub(super) fn executing(&self) -> Result<(), LaunchError> {
        send(&self.socket, &[EXECUTING], &[])
    }

    /// It did not work. Nobody is left to be told when this does not work either.
    pub(super) fn failed(&self, error: &LaunchError) {
        let text = serde_json::to_vec(error).unwrap_or_default();
        let _ = send(&self.socket, &[&[FAILED][..], &text].concat(), &[]);
    }

    /// Waits for [`Sync::proceed`].
    pub(super) fn wait(&self) -> Result<NetworkSetup, LaunchError> {
        let Packet { bytes, .. } = receive(&self.socket)?;
        // An empty packet is the end of the socket: the shim is gone, or gave up.
        let (length, rest) = bytes.split_first_chunk().ok_or(LaunchError::Vanished)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (route, netfilter) = rest.split_at_checked(length).ok_or(LaunchError::Vanished)?;
        Ok(NetworkSetup { route: route.to_vec(), netfilter: netfilter.to_vec() })
    }
}

fn send(socket: &OwnedFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), LaunchError> {
    packet::send(socket, bytes, descriptors, true).map_err(lost)
}

/// The next message; an empty one when the other side is gone.
fn receive(socket: &OwnedFd) -> Result<Packet, LaunchError> {
    packet::receive(socket, true).map(Option::unwrap_or_default).map_err(lost)
}

impl From<Errno> for rustix::io::Errno {
    fn from(error: Errno) -> Self {
        Self::from_raw_os_error(error.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_failed_before_it_could_go_on_still_says_why() {
        for hears in [false, true] {
            let (mut sync, voice) = pair().expect("a pair");
            voice.waiting(None).expect("room");
            assert!(matches!(sync.receive(), Ok(Report::Waiting { dns: None })));
            if hears {
                sync.proceed(&NetworkSetup::default()).expect("room");
            }
            voice.failed(&LaunchError::step("do it", Errno(libc::ENOENT)));
            drop(voice);
            if !hears {
                sync.proceed(&NetworkSetup::default()).expect("no failure of its own");
            }
            let Ok(Report::Failed(error)) = sync.receive() else { panic!("no reason") };
            assert!(error.to_string().contains("do it"), "{error}");
        }
    }
}
