//! A container from its birth to its end.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::sys::signalfd::SignalFd;
use rustix::fs::{Mode, OFlags};

use crate::engine::clock;
use crate::engine::runtime::cgroup::Leaf;
use crate::engine::runtime::error::LaunchError;
use crate::engine::runtime::exit::ExitRecord;
use crate::engine::runtime::init;
use crate::engine::runtime::launch::{CgroupSpec, LaunchSpec, Namespace};
use crate::engine::runtime::shim::client::Client;
use crate::engine::runtime::shim::engine::{Engine, Heard};
use crate::engine::runtime::shim::exec::Exec;
use crate::engine::runtime::shim::log::Log;
use crate::engine::runtime::shim::process::{Process, Progress};
use crate::engine::runtime::shim::stream::{Manner, PIECE, Streams};
use crate::engine::runtime::shim::{reap, report, settle};
use crate::engine::runtime::talk::{self, Notice, Order};
use crate::engine::runtime::task::AttachRequest;
use crate::resource::container::ExitStatus;
use crate::resource::time::Timestamp;
use crate::trace::Trace;

/// A shim with its container.
#[derive(Debug)]
pub(super) struct Shim {
    pub(super) engine: Engine,
    pub(super) signals: SignalFd,
    pub(super) spec: LaunchSpec,
    pub(super) leaf: Leaf,
    pub(super) container: Process,
    /// Its sockets for names: while no engine reads them, questions wait in the kernel.
    names: Option<(OwnedFd, OwnedFd)>,
    pub(super) phase: Phase,
    pub(super) execs: Vec<Exec>,
    /// Outputs of execs that ended before processes they left behind did: read, so that those go on, and thrown away.
    pub(super) remnants: Vec<Option<OwnedFd>>,
    /// Clients of processes that ended, who have not read everything yet.
    pub(super) lingering: Vec<Client>,
    /// Memory to read into.
    pub(super) scratch: Vec<u8>,
}

/// How far the container is.
#[derive(Debug)]
pub(super) enum Phase {
    /// Its first process has not executed the command.
    Preparing,
    /// It has.
    Running { since: Timestamp },
    /// It is to leave nothing behind; `events` is the `cgroup.events` of its group.
    Ending { outcome: Outcome, events: OwnedFd },
    /// Nothing is left of it.
    Over,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It did not start.
    Failed(LaunchError),
    /// The engine went away before it started.
    Aborted,
    /// It ran.
    Ended { started_at: Timestamp, finished_at: Timestamp },
}

/// Makes the container's group and its first process.
pub(super) fn make(spec: &LaunchSpec) -> Result<(Leaf, Process), LaunchError> {
    let trace = Trace::to(spec.trace.clone(), std::process::id());
    trace.name_process(&format!("shim of {}", spec.id.short()));
    let _span = trace.span("control group and first process");
    let log = Log::open(&spec.log, &spec.log_details, &spec.log_path)?;
    let manner = Manner::Container { stdin_once: spec.stdin_once };
    let (streams, stdio) = if spec.process.tty {
        (Streams::terminal(manner, spec.stdin_open, log), None)
    } else {
        let wants = AttachRequest { stdin: spec.stdin_open, stdout: true, stderr: true };
        let (streams, stdio) = Streams::pipes(manner, wants, log).map_err(|error| LaunchError::step("make pipes", error))?;
        (streams, Some(stdio))
    };
    let leaf = Leaf::create(spec)?;
    match init::spawn(spec, stdio, &leaf) {
        Ok(spawned) => Ok((leaf, Process::new(spawned, streams))),
        Err(error) => {
            // Why it failed matters more than what is left then: an empty group, which the next sweep takes.
            let _ = leaf.remove();
            Err(error)
        }
    }
}

impl Shim {
    /// A shim whose container was just born.
    pub(super) fn new(engine: Engine, signals: SignalFd, spec: LaunchSpec, leaf: Leaf, container: Process) -> Self {
        Self {
            engine,
            signals,
            spec,
            leaf,
            container,
            names: None,
            phase: Phase::Preparing,
            execs: Vec::new(),
            remnants: Vec::new(),
            lingering: Vec::new(),
            scratch: Vec::with_capacity(PIECE),
        }
    }

    /// Hears what the engine has said.
    pub(super) fn obey_all(&mut self) {
        loop {
            match self.engine.hear() {
                Ok(Heard::Order(order, beside)) => self.obey(order, beside),
                Ok(Heard::Nothing) => return,
                Ok(Heard::Gone) => {
                    // One that runs does not need the engine; one that waits for its network would wait for ever.
                    if matches!(self.phase, Phase::Preparing) {
                        self.end(Outcome::Aborted);
                    }
                    return;
                }
                Err(error) => report(&format!("an order of the engine was lost: {error}")),
            }
        }
    }

    fn obey(&mut self, order: Order, mut beside: Vec<OwnedFd>) {
        match (order, &self.phase) {
            (Order::Proceed, Phase::Preparing) => {
                let failed = |error| LaunchError::step("read what the network needs", error);
                let network = beside.pop().map(talk::open).transpose().map_err(failed);
                let proceeded = network.and_then(|network| self.container.proceed(&network.unwrap_or_default()));
                if let Err(error) = proceeded {
                    self.end(Outcome::Failed(error));
                }
            }
            (Order::Attach(wants), Phase::Preparing | Phase::Running { .. }) => {
                if let Some(socket) = beside.pop() {
                    self.container.streams.attach(socket, wants);
                }
            }
            (Order::Exec { id, io }, _) => self.exec(id, io, beside),
            (Order::Resize { exec: None, size }, _) => self.container.streams.resize(size),
            (Order::Resize { exec: Some(id), size }, _) => {
                if let Some(exec) = self.execs.iter_mut().find(|exec| exec.id == id) {
                    exec.process.streams.resize(size);
                }
            }
            (Order::Limit(resources), Phase::Running { .. }) => {
                let limited = self.leaf.limit(&CgroupSpec { resources: *resources, ..self.spec.cgroup.clone() });
                self.engine.tell(Notice::Limited(limited), &[]);
            }
            (Order::Describe, &Phase::Running { since }) => {
                let notice = Notice::Running { pid: self.container.pid, started_at: since };
                self.engine.tell(notice, &[self.container.pidfd.as_fd()]);
            }
            // The engine that knew its network is gone.
            (Order::Describe, Phase::Preparing) => self.end(Outcome::Failed(LaunchError::Vanished)),
            // An end is told without being asked for; a client sees its socket close; a network that comes too late is of no use.
            (Order::Describe | Order::Limit(_) | Order::Attach(_) | Order::Proceed | Order::Launch, _) => {}
        }
    }

    /// Hears what the container's first process says while it prepares itself.
    pub(super) fn hear_container(&mut self) {
        let progress = self.container.hear();
        if !matches!(self.phase, Phase::Preparing) {
            return;
        }
        match progress {
            Some(Progress::Waiting(names)) => {
                self.names = names;
                if let Err(error) = self.tell_waiting() {
                    self.end(Outcome::Failed(error));
                }
            }
            Some(Progress::Started) => {
                let since = clock::now();
                self.phase = Phase::Running { since };
                self.engine.tell(Notice::Started { at: since }, &[]);
                // An exec brings its own.
                (self.spec.files, self.spec.process.seccomp) = (Vec::new(), None);
                settle::trim_memory();
            }
            Some(Progress::Failed(error)) => self.end(Outcome::Failed(error)),
            None => {}
        }
    }

    fn tell_waiting(&mut self) -> Result<(), LaunchError> {
        let pid = self.container.pid;
        let network = if self.spec.namespaces.net == Namespace::New {
            let opened = rustix::fs::open(format!("/proc/{pid}/ns/net"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
            match opened {
                // It has ended meanwhile: why, it says itself, or its end does.
                Err(rustix::io::Errno::NOENT) => return Ok(()),
                opened => Some(opened.map_err(|error| LaunchError::step("open the container's network namespace", error))?),
            }
        } else {
            None
        };
        let notice = Notice::Waiting { pid, network: network.is_some(), names: self.names.is_some() };
        let mut beside: Vec<BorrowedFd<'_>> = vec![self.container.pidfd.as_fd()];
        beside.extend(network.iter().map(|network| network.as_fd()));
        beside.extend(self.names.iter().flat_map(|(udp, tcp)| [udp.as_fd(), tcp.as_fd()]));
        self.engine.tell(notice, &beside);
        Ok(())
    }

    /// Takes the ends of children.
    pub(super) fn reap_all(&mut self) {
        while let Ok(Some(_)) = self.signals.read_signal() {}
        while let Some(reaped) = reap::next() {
            if reaped.pid == self.container.pid {
                self.container.end = Some(reaped.end);
                // What it said before it ended is there in full, the end of the talk included.
                while self.container.is_preparing() {
                    self.hear_container();
                }
                if let Phase::Running { since } = self.phase {
                    self.end(Outcome::Ended { started_at: since, finished_at: clock::now() });
                }
            } else {
                self.exec_ended(reaped);
            }
        }
    }

    /// Ends whatever of the container is still there.
    pub(super) fn end(&mut self, outcome: Outcome) {
        self.names = None;
        let ended = self.leaf.events().and_then(|events| self.leaf.kill().map(|()| events));
        match ended {
            Ok(events) => self.phase = Phase::Ending { outcome, events },
            Err(error) => {
                report(&error.chain());
                self.conclude(outcome);
            }
        }
    }

    /// Goes on to the end when nothing runs any more.
    pub(super) fn advance(&mut self) {
        let Phase::Ending { events, .. } = &self.phase else { return };
        let all_reaped = self.container.end.is_some() && self.execs.iter().all(|exec| exec.process.end.is_some());
        if is_populated(events.as_fd()) || !all_reaped {
            return;
        }
        self.container.streams.settle();
        // Orphans that left the group of their own, or leave it this moment: their ends are reaped first, and then this is called again.
        if reap::kill_children() {
            return;
        }
        if let Phase::Ending { outcome, .. } = std::mem::replace(&mut self.phase, Phase::Over) {
            self.conclude(outcome);
        }
    }

    /// Nothing runs: completes the log, writes the end down, and tells it.
    fn conclude(&mut self, outcome: Outcome) {
        self.phase = Phase::Over;
        self.remnants.clear();
        // Whoever still holds an output is no process of the container.
        drop(self.container.streams.finish(&mut self.scratch));
        self.lingering.extend(self.container.streams.take_clients());
        self.conclude_execs();
        let out_of_memory = self.leaf.memory_kills() > 0;
        if let Err(error) = self.leaf.remove() {
            report(&error.chain());
        }
        match outcome {
            Outcome::Aborted => {}
            Outcome::Failed(error) => self.engine.tell(Notice::Failed(error), &[]),
            Outcome::Ended { started_at, finished_at } => {
                let code = self.container.end.map_or(255, |end| end.code);
                let status = ExitStatus { code, out_of_memory, error: String::new() };
                let record = ExitRecord { status, started_at, finished_at };
                if let Err(error) = record.write(&self.spec.exit_record) {
                    report(&format!("{error}: {}", error.source));
                }
                self.engine.tell(Notice::Ended(record), &[]);
            }
        }
    }
}

/// Whether a process is left in the group. Reading this very descriptor is what makes the next change wake its poll.
fn is_populated(events: BorrowedFd<'_>) -> bool {
    let mut text = [0; 128];
    let length = rustix::io::pread(events, &mut text, 0).unwrap_or(0);
    text[..length].windows(b"populated 1".len()).any(|words| words == b"populated 1")
}
