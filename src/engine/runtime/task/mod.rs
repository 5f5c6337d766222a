//! A running container as the engine sees it: the asynchronous end of its shim.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{oneshot, watch};

use crate::engine::runtime::cgroup::{GroupUsage, Leaf};
use crate::engine::runtime::error::Errno;
pub use crate::engine::runtime::exit::ExitRecord;
use crate::engine::runtime::launch::{CgroupSpec, LaunchError, ProcessSpec};
pub use crate::engine::runtime::launcher::{DnsSockets, Launching, Runtime};
use crate::engine::runtime::link::KeeperLink;
use crate::engine::runtime::shim_process::ShimProcess;
use crate::engine::runtime::talk::{self, Notice, Order};
use crate::resource::container::{ExitStatus, Resources};
use crate::resource::exec::TerminalSize;
use crate::resource::id::{ContainerId, ExecId};
use crate::resource::time::Timestamp;

/// What is the container's beside its shim: its control group, its end on disk, and what the keeper holds for it.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) id: ContainerId,
    pub(super) group: String,
    pub(super) exit_record: PathBuf,
    pub(super) keeper: KeeperLink,
}

impl Claim {
    /// What the keeper holds the socket to the shim under.
    pub(super) fn key(&self) -> String {
        format!("shim-{}", self.id)
    }

    fn cgroup(&self) -> CgroupSpec {
        CgroupSpec { path: self.group.clone(), resources: Resources::default() }
    }

    /// Its shim has ended and is not spoken to any more.
    pub(super) fn end(&self, shim: &ShimProcess) {
        self.keeper.release(&self.key());
        self.keeper.shim_ended(shim.pid());
    }

    /// Ends and removes what its shim left behind, if it did not end in order.
    pub(super) async fn sweep(&self) {
        let (id, group) = (self.id.to_string(), self.group.clone());
        // The kernel is waited for.
        let swept = tokio::task::spawn_blocking(move || {
            let above = group.split('/').next().unwrap_or_default();
            Leaf::sweep(above, &|name| name != id);
        });
        if let Err(error) = swept.await {
            tracing::error!("the control group of container {} could not be removed: {error}", self.id);
        }
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
    /// What the process writes.
    pub output: OwnedReadHalf,
    /// What the process reads.
    pub input: OwnedWriteHalf,
}

impl Attached {
    /// Both ends of a new client's stream: the engine's and the shim's.
    fn pair() -> io::Result<(Self, OwnedFd)> {
        let (mine, theirs) = StdStream::pair()?;
        mine.set_nonblocking(true)?;
        let (output, input) = UnixStream::from_std(mine)?.into_split();
        Ok((Self { output, input }, theirs.into()))
    }

    /// Joins the streams of a shim's container.
    pub(super) async fn to(shim: &ShimProcess, id: ContainerId, request: AttachRequest) -> Result<Self, TaskError> {
        let (attached, theirs) = Self::pair().map_err(|source| TaskError::Kernel { id, step: "attach to", source })?;
        shim.order(&Order::Attach(request), &[theirs.as_fd()]).await.map_err(|_| TaskError::Gone { id })?;
        Ok(attached)
    }
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
pub struct Task {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    claim: Claim,
    shim: ShimProcess,
    pid: i32,
    pidfd: OwnedFd,
    started_at: Timestamp,
    ended: watch::Sender<Option<ExitRecord>>,
    execs: Mutex<BTreeMap<ExecId, Expected>>,
    limits: Mutex<Option<Limiting>>,
}

/// Who waits for other limits to be in force, and what the shim has said of them.
#[derive(Debug)]
struct Limiting {
    tell: oneshot::Sender<Option<Result<(), LaunchError>>>,
    said: Option<Result<(), LaunchError>>,
}

/// Who waits for an exec.
#[derive(Debug)]
struct Expected {
    started: Option<oneshot::Sender<Result<i32, LaunchError>>>,
    ended: oneshot::Sender<(i32, Duration, bool)>,
}

impl Task {
    /// A container that runs, with its process 1 and that one's pidfd. What its shim says is heard from now on.
    pub(super) fn new(claim: Claim, shim: ShimProcess, process: (i32, OwnedFd), started_at: Timestamp) -> Self {
        let (pid, pidfd) = process;
        let (ended, execs, limits) = (watch::Sender::new(None), Mutex::default(), Mutex::default());
        let task = Self { shared: Arc::new(Shared { claim, shim, pid, pidfd, started_at, ended, execs, limits }) };
        tokio::spawn(task.clone().follow());
        task
    }

    /// Hears the shim to its end.
    async fn follow(self) {
        let Shared { claim, shim, .. } = &*self.shared;
        let told = loop {
            match shim.hear().await {
                Ok(Some((Notice::Ended(record), _))) => break Some(record),
                Ok(Some((notice, _))) => self.shared.note(notice),
                Ok(None) => break None,
                Err(error) => {
                    tracing::error!("the shim of container {} cannot be heard: {error}", claim.id);
                    break None;
                }
            }
        };
        shim.ended().await;
        let record = match told {
            Some(record) => record,
            None => self.bury().await,
        };
        claim.end(shim);
        // Whoever waits for an exec, or for limits, hears that it will not be heard of again.
        self.shared.execs().clear();
        drop(self.shared.limits().take());
        self.shared.ended.send_replace(Some(record));
    }

    /// Ends a container whose shim ended before it, and writes that down.
    async fn bury(&self) -> ExitRecord {
        let claim = &self.shared.claim;
        claim.sweep().await;
        if let Some(record) = ExitRecord::read(&claim.exit_record).filter(|record| record.started_at == self.shared.started_at) {
            return record;
        }
        tracing::warn!("the shim of container {} was killed, and the container with it", claim.id);
        let status = ExitStatus { code: 137, out_of_memory: false, error: "its shim was killed".to_owned() };
        let record = ExitRecord { status, started_at: self.shared.started_at, finished_at: crate::engine::clock::now() };
        if let Err(error) = record.write(&claim.exit_record) {
            tracing::error!("{error}: {}", error.source);
        }
        record
    }

    /// The container.
    pub fn id(&self) -> ContainerId {
        self.shared.claim.id
    }

    /// Its process 1, in the host's process-id namespace.
    pub fn pid(&self) -> i32 {
        self.shared.pid
    }

    /// Whether its process 1 has ended.
    pub fn has_ended(&self) -> bool {
        let mut ended = [PollFd::new(&self.shared.pidfd, PollFlags::IN)];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        // A pidfd can be read once its process has ended (pidfd_open(2)).
        !matches!(rustix::io::retry_on_intr(|| rustix::event::poll(&mut ended, Some(&now))), Ok(0))
    }

    /// When its command was executed.
    pub fn started_at(&self) -> Timestamp {
        self.shared.started_at
    }

    /// Returns how it ended, once nothing of it is left and its log is complete. Any number may wait.
    pub async fn wait(&self) -> ExitRecord {
        let mut ended = self.shared.ended.subscribe();
        match ended.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(record)) => record.clone(),
            // The sender lives in `self`, and `wait_for` returned for it.
            _ => unreachable!("the end of a task was awaited and is not there"),
        }
    }

    /// Sends a signal to process 1.
    pub fn signal(&self, signal: i32) -> Result<(), TaskError> {
        let step = "signal";
        let id = self.id();
        let signal = named(signal).ok_or_else(|| TaskError::Refused { id, step, reason: format!("there is no signal {signal}") })?;
        rustix::process::pidfd_send_signal(&self.shared.pidfd, signal).map_err(|error| match error {
            rustix::io::Errno::SRCH => TaskError::Gone { id },
            error => TaskError::Kernel { id, step, source: error.into() },
        })
    }

    /// Ends every process of it.
    pub fn kill(&self) -> Result<(), TaskError> {
        let leaf = self.leaf("kill")?;
        leaf.kill().map_err(|error| self.refused("kill", &error))
    }

    /// Every process of it, its execs included, in the host's process-id namespace.
    pub fn processes(&self) -> Result<Vec<i32>, TaskError> {
        let leaf = self.leaf("list the processes of")?;
        leaf.processes().map_err(|error| self.refused("list the processes of", &error))
    }

    /// What it has used of its machine, as far as its control group counts it.
    pub fn usage(&self) -> Result<GroupUsage, TaskError> {
        let leaf = self.leaf("measure")?;
        Ok(leaf.usage())
    }

    /// Sets other limits; returns once they are in force. One caller at a time.
    pub async fn limit(&self, resources: &Resources) -> Result<(), LimitError> {
        let gone = || TaskError::Gone { id: self.id() };
        let (tell, told) = oneshot::channel();
        *self.shared.limits() = Some(Limiting { tell, said: None });
        // The second is understood by every shim: with its answer all is said of the first.
        for order in [Order::Limit(Box::new(resources.clone())), Order::Describe] {
            self.shared.shim.order(&order, &[]).await.map_err(|_| gone())?;
        }
        if self.shared.ended.borrow().is_some() {
            return Err(gone().into());
        }
        let said = told.await.map_err(|_| gone())?;
        said.unwrap_or_else(|| Err(older("a change of its limits"))).map_err(LimitError::Launch)
    }

    /// Freezes every process of it.
    pub async fn pause(&self) -> Result<(), TaskError> {
        self.freeze(true, "pause").await
    }

    /// Lets them go on.
    pub async fn resume(&self) -> Result<(), TaskError> {
        self.freeze(false, "resume").await
    }

    async fn freeze(&self, frozen: bool, step: &'static str) -> Result<(), TaskError> {
        let leaf = self.leaf(step)?;
        // The kernel is waited for.
        let done = tokio::task::spawn_blocking(move || leaf.freeze(frozen)).await;
        match done {
            Ok(done) => done.map_err(|error| self.refused(step, &error)),
            Err(error) => Err(TaskError::Refused { id: self.id(), step, reason: error.to_string() }),
        }
    }

    /// Its control group, which goes with its last process.
    fn leaf(&self, step: &'static str) -> Result<Leaf, TaskError> {
        Leaf::open(&self.shared.claim.cgroup()).map_err(|error| match error {
            LaunchError::Step { source: Errno(libc::ENOENT), .. } => TaskError::Gone { id: self.id() },
            error => self.refused(step, &error),
        })
    }

    fn refused(&self, step: &'static str, error: &LaunchError) -> TaskError {
        TaskError::Refused { id: self.id(), step, reason: error.chain() }
    }

    /// Gives the terminal of the container, or of one of its execs, another size.
    pub async fn resize(&self, exec: Option<&ExecId>, size: TerminalSize) -> Result<(), TaskError> {
        let order = Order::Resize { exec: exec.copied(), size };
        self.shared.shim.order(&order, &[]).await.map_err(|_| TaskError::Gone { id: self.id() })
    }

    /// Joins the container's own streams.
    pub async fn attach(&self, request: AttachRequest) -> Result<Attached, TaskError> {
        Attached::to(&self.shared.shim, self.id(), request).await
    }

    /// Runs a command in the container.
    pub async fn exec(&self, id: ExecId, process: ProcessSpec, io: ExecIo) -> Result<ExecTask, LaunchError> {
        let failed = |error| LaunchError::step("hand a command to a container", error);
        let enclosure = talk::enclose(&process).map_err(failed)?;
        let (attached, theirs) = match io.detach {
            true => (None, None),
            false => Attached::pair().map(|(attached, theirs)| (Some(attached), Some(theirs))).map_err(failed)?,
        };
        let (started, starts) = oneshot::channel();
        let (ended, ends) = oneshot::channel();
        self.shared.execs().insert(id, Expected { started: Some(started), ended });
        let beside: Vec<_> = [Some(&enclosure), theirs.as_ref()].into_iter().flatten().map(|descriptor| descriptor.as_fd()).collect();
        let ordered = self.shared.shim.order(&Order::Exec { id, io }, &beside).await;
        let gone = || LaunchError::Invalid(format!("container {} is not running", self.id()));
        if ordered.is_err() || self.shared.ended.borrow().is_some() {
            self.shared.execs().remove(&id);
            return Err(gone());
        }
        let pid = starts.await.map_err(|_| gone())??;
        Ok(ExecTask { pid, attached, ends: Some(ends), code: KILLED, processor_time: Duration::ZERO, out_of_memory: false })
    }
}

impl Shared {
    fn limits(&self) -> MutexGuard<'_, Option<Limiting>> {
        // One value is put in the place of another.
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn execs(&self) -> MutexGuard<'_, BTreeMap<ExecId, Expected>> {
        // Each change is whole before the lock is released.
        self.execs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes on what the shim says of an exec, or of limits.
    fn note(&self, notice: Notice) {
        match notice {
            Notice::ExecStarted { id, pid } => {
                let started = self.execs().get_mut(&id).and_then(|expected| expected.started.take());
                // Whoever asked may have left.
                started.map(|started| started.send(Ok(pid)));
            }
            Notice::ExecFailed { id, error } => {
                let started = self.execs().remove(&id).and_then(|expected| expected.started);
                started.map(|started| started.send(Err(error)));
            }
            Notice::ExecEnded { id, code, processor_time, out_of_memory } => {
                let expected = self.execs().remove(&id);
                expected.map(|expected| expected.ended.send((code, processor_time, out_of_memory)));
            }
            Notice::Limited(limited) => {
                if let Some(limiting) = &mut *self.limits() {
                    limiting.said = Some(limited);
                }
            }
            Notice::Running { .. } => {
                let limiting = self.limits().take();
                limiting.map(|limiting| limiting.tell.send(limiting.said));
            }
            notice => tracing::warn!("the shim of container {} said {notice:?} out of turn", self.claim.id),
        }
    }
}

/// Says that a shim does not do something.
fn older(what: &str) -> LaunchError {
    LaunchError::Unavailable {
        what: what.to_owned(),
        reason: "the container was started by an older version, which does not do that; restart it".to_owned(),
    }
}

fn named(signal: i32) -> Option<Signal> {
    // SAFETY: only a number is passed to the kernel, which checks it; the real-time signals that libc keeps for itself are the
    // container's own libc's business.
    (1..=64).contains(&signal).then(|| unsafe { Signal::from_raw_unchecked(signal) })
}

/// What is said of a command that ended with its container.
const KILLED: i32 = 137;

/// A command that runs in a container beside its own.
#[derive(Debug)]
pub struct ExecTask {
    /// Its process, in the host's process-id namespace.
    pub pid: i32,
    /// Its streams, unless it was detached.
    pub attached: Option<Attached>,
    ends: Option<oneshot::Receiver<(i32, Duration, bool)>>,
    code: i32,
    processor_time: Duration,
    out_of_memory: bool,
}

impl ExecTask {
    /// Returns its exit code.
    pub async fn wait(&mut self) -> i32 {
        if let Some(ends) = &mut self.ends {
            if let Ok((code, processor_time, out_of_memory)) = ends.await {
                (self.code, self.processor_time, self.out_of_memory) = (code, processor_time, out_of_memory);
            }
            self.ends = None;
        }
        self.code
    }

    /// The processor time it and its children used (the shim's `wait4`), once [`Self::wait`] has returned; a health check's pace
    /// depends on it.
    pub fn processor_time(&self) -> Duration {
        self.processor_time
    }

    /// Whether it was killed while its container ran out of memory, once [`Self::wait`] has returned.
    pub fn out_of_memory(&self) -> bool {
        self.out_of_memory
    }
}

/// Limits of a running container that could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// There is nobody to limit.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The kernel, or this machine, does not give them.
    #[error(transparent)]
    Launch(LaunchError),
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

#[cfg(test)]
mod tests;
