//! What engine and shim tell each other over the one socket between them: JSON in a packet, with descriptors beside it.
//!
//! Orders are obeyed one after the other and never refused for lack of time; the shim never waits for the engine to read. The engine's
//! end of the socket is with the keeper, too: what a shim says while no engine is there is read by the next one.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::engine::runtime::error::LaunchError;
use crate::engine::runtime::exit::ExitRecord;
use crate::engine::runtime::packet;
use crate::engine::runtime::task::{AttachRequest, ExecIo};
use crate::resource::container::Resources;
use crate::resource::exec::TerminalSize;
use crate::resource::id::ExecId;
use crate::resource::time::Timestamp;

/// What the engine asks of a shim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Order {
    /// The first order: make the container. Beside it an enclosure with the `LaunchSpec`.
    Launch,
    /// The container's network: its init may go on. Beside it an enclosure with the `NetworkSetup`.
    Proceed,
    /// A client joins the container's streams. Beside it a stream socket: what the shim writes to it is output in Docker's form, what it
    /// reads from it is standard input.
    Attach(AttachRequest),
    /// Run a command beside the container's own. Beside it an enclosure with the `ProcessSpec`, and, unless detached, a stream socket
    /// as with `Attach`.
    Exec {
        /// Chosen by the engine.
        id: ExecId,
        /// How its streams are used.
        io: ExecIo,
    },
    /// Another size for a terminal: that of an exec, or of the container itself.
    Resize {
        /// The exec.
        exec: Option<ExecId>,
        /// Rows and columns.
        size: TerminalSize,
    },
    /// Other limits, while it runs: all of them, or it keeps those it has. Answered by `Limited`.
    Limit(Box<Resources>),
    /// Who runs there? Answered by `Running`, by every version of a shim.
    Describe,
}

/// What a shim tells the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Notice {
    /// The container's namespaces exist, and its init waits for `Proceed`. Beside it: the pidfd of process 1, then its network namespace if
    /// `network`, then its datagram and its stream socket at 127.0.0.11 if `names`.
    Waiting {
        /// Process 1, in the shim's pid namespace.
        pid: i32,
        /// It has a network namespace of its own.
        network: bool,
        /// Its sockets for names come, too.
        names: bool,
    },
    /// Its command was executed.
    Started {
        /// When.
        at: Timestamp,
    },
    /// It did not start, and nothing is left of it; the shim ends.
    Failed(LaunchError),
    /// It runs. Beside it the pidfd of process 1.
    Running {
        /// Process 1, in the shim's pid namespace.
        pid: i32,
        /// When its command was executed.
        started_at: Timestamp,
    },
    /// The limits are in force, or the first of them that cannot be.
    Limited(Result<(), LaunchError>),
    /// Nothing of it is left, its log is complete and its end is on disk; the shim ends.
    Ended(ExitRecord),
    /// The command of an exec was executed.
    ExecStarted {
        /// The exec.
        id: ExecId,
        /// Its process, in the shim's pid namespace.
        pid: i32,
    },
    /// It was not.
    ExecFailed {
        /// The exec.
        id: ExecId,
        /// Why.
        error: LaunchError,
    },
    /// The command of an exec has ended and its output is with the client.
    ExecEnded {
        /// The exec.
        id: ExecId,
        /// Its exit code, or 128 and the number of the signal that ended it.
        code: i32,
        /// Processor time that it and its children used.
        processor_time: Duration,
        /// It was killed, and the kernel killed for want of memory in its container while it ran.
        #[serde(default)]
        out_of_memory: bool,
    },
}

/// Sends a message with descriptors beside it; `wait` says whether a full socket blocks or is `WouldBlock`.
pub(super) fn send(socket: impl AsFd, message: &impl Serialize, descriptors: &[BorrowedFd<'_>], wait: bool) -> io::Result<()> {
    packet::send(socket, &serde_json::to_vec(message)?, descriptors, wait)
}

/// Receives a message; `None` when the other end is gone.
pub(super) fn receive<T: DeserializeOwned>(socket: impl AsFd, wait: bool) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let Some(packet) = packet::receive(socket, wait)? else { return Ok(None) };
    Ok(Some((serde_json::from_slice(&packet.bytes)?, packet.descriptors)))
}

/// Encloses data too long for a packet: a file in memory.
pub(super) fn enclose(data: &impl Serialize) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("gantry", MemfdFlags::CLOEXEC)?);
    file.write_all(&serde_json::to_vec(data)?)?;
    Ok(file.into())
}

/// Reads what was enclosed.
pub(super) fn open<T: DeserializeOwned>(enclosure: OwnedFd) -> io::Result<T> {
    let mut file = File::from(enclosure);
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::runtime::launch::NetworkSetup;

    #[test]
    fn an_enclosure_travels_with_its_order() {
        let (engine, shim) = packet::pair().expect("a socket pair");
        let network = NetworkSetup { route: vec![7; 100_000], netfilter: vec![1] };
        let enclosure = enclose(&network).expect("memory");
        send(&engine, &Order::Proceed, &[enclosure.as_fd()], true).expect("room");
        let (order, mut beside) = receive::<Order>(&shim, true).expect("a packet").expect("an order");
        assert_eq!(order, Order::Proceed);
        assert_eq!(open::<NetworkSetup>(beside.pop().expect("an enclosure")).expect("JSON"), network);
        drop(engine);
        assert!(receive::<Order>(&shim, true).expect("the end").is_none());
    }
}
