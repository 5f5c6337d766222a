//! A running container as the engine sees it: the asynchronous end of its shim.

use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::engine::root::Root;
pub use crate::engine::runtime::exit::ExitRecord;
use crate::engine::runtime::launch::{LaunchError, LaunchSpec, NetworkSetup, ProcessSpec};
use crate::engine::runtime::link::KeeperLink;
use crate::resource::exec::TerminalSize;
use crate::resource::id::{ContainerId, ExecId};
use crate::resource::time::Timestamp;

/// Starts containers and finds those that run.
#[derive(Clone, Debug)]
pub struct Runtime {}

impl Runtime {
    /// A runtime for the containers of this root, whose shims the keeper is told of.
    pub fn new(_root: &Root, _keeper: KeeperLink) -> Result<Self, LaunchError> {
        todo!()
    }

    /// Starts a shim and, in it, a container up to the point where its network is needed.
    pub async fn launch(&self, _spec: LaunchSpec) -> Result<Launching, LaunchError> {
        todo!()
    }

    /// The container's task, if its shim still runs: after another engine took over.
    pub async fn adopt(&self, _id: ContainerId) -> Result<Option<Task>, LaunchError> {
        todo!()
    }

    /// Removes what no shim owns: control groups and run folders of containers that ended while no engine was there.
    pub fn sweep(&self) {
        todo!()
    }
}

/// The sockets at 127.0.0.11 that a container's init made in its own namespace.
#[derive(Debug)]
pub struct DnsSockets {
    /// Bound.
    pub udp: OwnedFd,
    /// Bound and listening.
    pub tcp: OwnedFd,
}

/// A container whose namespaces exist and whose init waits for its network.
#[derive(Debug)]
pub struct Launching {
    /// Its process 1, in the host's process-id namespace.
    pub pid: i32,
    /// Its network namespace, if it has one of its own.
    pub netns: Option<OwnedFd>,
    /// Where it asks for names, if it wants to.
    pub dns: Option<DnsSockets>,
}

impl Launching {
    /// Sends what its init is to send in its namespace, and returns when its command was executed.
    pub async fn proceed(self, _network: NetworkSetup) -> Result<Task, LaunchError> {
        todo!()
    }

    /// Joins the container's streams before its command is executed: not a byte of its output is missed. `docker run` attaches first
    /// and starts second.
    pub async fn attach(&self, _request: AttachRequest) -> Result<Attached, TaskError> {
        todo!()
    }

    /// Ends it; returns when nothing of it is left.
    pub async fn abort(self) {
        todo!()
    }
}

/// Which streams of a process a client wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachRequest {
    /// It sends standard input.
    pub stdin: bool,
    /// It reads standard output.
    pub stdout: bool,
    /// It reads standard error.
    pub stderr: bool,
}

/// A client's end of a process's streams.
///
/// `output` carries the bytes of Docker's hijacked stream: as they are from a terminal, else in frames (`[1|2, 0, 0, 0, length: u32 BE]` and
/// so many bytes). It ends when the process closed its outputs or ended. A shutdown of `input` is the end of standard input.
#[derive(Debug)]
pub struct Attached {
    /// Output is not framed.
    pub tty: bool,
    /// What the process writes.
    pub output: OwnedReadHalf,
    /// What the process reads.
    pub input: OwnedWriteHalf,
}

/// How the streams of an exec are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecIo {
    /// The client sends standard input.
    pub stdin: bool,
    /// The client reads standard output.
    pub stdout: bool,
    /// The client reads standard error.
    pub stderr: bool,
    /// Nobody reads or writes; output is thrown away.
    pub detach: bool,
}

/// A running container; cheap to clone.
#[derive(Clone, Debug)]
pub struct Task {}

impl Task {
    /// The container.
    pub fn id(&self) -> ContainerId {
        todo!()
    }

    /// Its process 1, in the host's process-id namespace.
    pub fn pid(&self) -> i32 {
        todo!()
    }

    /// When its command was executed.
    pub fn started_at(&self) -> Timestamp {
        todo!()
    }

    /// Returns how it ended, once nothing of it is left and its log is complete. Any number may wait.
    pub async fn wait(&self) -> ExitRecord {
        todo!()
    }

    /// Sends a signal to process 1.
    pub fn signal(&self, _signal: i32) -> Result<(), TaskError> {
        todo!()
    }

    /// Ends every process of it.
    pub fn kill(&self) -> Result<(), TaskError> {
        todo!()
    }

    /// Freezes every process of it.
    pub async fn pause(&self) -> Result<(), TaskError> {
        todo!()
    }

    /// Lets them go on.
    pub async fn resume(&self) -> Result<(), TaskError> {
        todo!()
    }

    /// Gives the terminal of the container, or of one of its execs, another size.
    pub async fn resize(&self, _exec: Option<&ExecId>, _size: TerminalSize) -> Result<(), TaskError> {
        todo!()
    }

    /// Joins the container's own streams.
    pub async fn attach(&self, _request: AttachRequest) -> Result<Attached, TaskError> {
        todo!()
    }

    /// Runs a command in the container.
    pub async fn exec(&self, _id: ExecId, _process: ProcessSpec, _io: ExecIo) -> Result<ExecTask, LaunchError> {
        todo!()
    }
}

/// A command that runs in a container beside its own.
#[derive(Debug)]
pub struct ExecTask {
    /// Its process, in the host's process-id namespace.
    pub pid: i32,
    /// Its streams, unless it was detached.
    pub attached: Option<Attached>,
}

impl ExecTask {
    /// Returns its exit code.
    pub async fn wait(&mut self) -> i32 {
        todo!()
    }

    /// The processor time it and its children used (the shim's `wait4`), once [`Self::wait`] has returned; a health check's pace
    /// depends on it.
    pub fn processor_time(&self) -> std::time::Duration {
        todo!()
    }
}

/// A request to a running container that failed.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The container has ended.
    #[error("container {id} is not running")]
    Gone {
        /// The container.
        id: ContainerId,
    },
    /// The kernel refused.
    #[error("cannot {step} container {id}")]
    Kernel {
        /// The container.
        id: ContainerId,
        /// What was tried.
        step: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The shim refused.
    #[error("cannot {step} container {id}: {reason}")]
    Refused {
        /// The container.
        id: ContainerId,
        /// What was tried.
        step: &'static str,
        /// The shim's words.
        reason: String,
    },
}
