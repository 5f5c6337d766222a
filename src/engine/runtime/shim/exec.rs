//! Commands run in a container beside its own.

use std::os::fd::{AsFd as _, OwnedFd};

use crate::engine::runtime::error::LaunchError;
use crate::engine::runtime::init;
use crate::engine::runtime::launch::ProcessSpec;
use crate::engine::runtime::shim::container::{Phase, Shim};
use crate::engine::runtime::shim::process::{Process, Progress};
use crate::engine::runtime::shim::reap::{End, Reaped};
use crate::engine::runtime::shim::stream::{Manner, Streams};
use crate::engine::runtime::talk::{self, Notice};
use crate::engine::runtime::task::{AttachRequest, ExecIo};
use crate::resource::id::ExecId;

/// The code of who was killed, or of a shell whose command was.
const KILLED: i32 = 137;

/// One of them.
#[derive(Debug)]
pub(super) struct Exec {
    pub(super) id: ExecId,
    pub(super) process: Process,
    /// How many processes of the container the kernel had killed for want of memory when it began.
    memory_kills: u64,
    out_of_memory: bool,
    /// The engine knows how it ended, or that it did not start.
    told: bool,
}

impl Exec {
    fn ended(&self, end: End) -> Notice {
        let (id, out_of_memory) = (self.id, self.out_of_memory);
        Notice::ExecEnded { id, code: end.code, processor_time: end.processor_time, out_of_memory }
    }
}

impl Shim {
    /// Runs a command.
    pub(super) fn exec(&mut self, id: ExecId, io: ExecIo, beside: Vec<OwnedFd>) {
        let memory_kills = self.leaf.memory_kills();
        match self.make_exec(io, beside) {
            Ok(process) => self.execs.push(Exec { id, process, memory_kills, out_of_memory: false, told: false }),
            Err(error) => self.engine.tell(Notice::ExecFailed { id, error }, &[]),
        }
    }

    fn make_exec(&self, io: ExecIo, beside: Vec<OwnedFd>) -> Result<Process, LaunchError> {
        if !matches!(self.phase, Phase::Running { .. }) {
            return Err(LaunchError::Invalid(format!("container {} is not running", self.spec.id)));
        }
        let mut beside = beside.into_iter();
        let enclosure = beside.next().ok_or_else(|| LaunchError::Invalid("an exec came without its command".to_owned()))?;
        let process: ProcessSpec = talk::open(enclosure).map_err(|error| LaunchError::step("read the command", error))?;
        let client = beside.next().filter(|_| !io.detach);
        let wants = match client {
            Some(_) => AttachRequest { stdin: io.stdin, stdout: io.stdout, stderr: io.stderr },
            None => AttachRequest::default(),
        };
        let (mut streams, stdio) = if process.tty {
            (Streams::terminal(Manner::Exec, wants.stdin, None), None)
        } else {
            let (streams, stdio) = Streams::pipes(Manner::Exec, wants, None).map_err(|error| LaunchError::step("make pipes", error))?;
            (streams, Some(stdio))
        };
        if let Some(client) = client {
            streams.attach(client, wants);
        }
        let spawned = init::exec(&process, self.container.pidfd.as_fd(), stdio, &self.leaf)?;
        Ok(Process::new(spawned, streams))
    }

    /// Hears what an exec says while it prepares itself.
    pub(super) fn hear_exec(&mut self, index: usize) {
        let exec = &mut self.execs[index];
        let id = exec.id;
        match exec.process.hear() {
            Some(Progress::Started) => self.engine.tell(Notice::ExecStarted { id, pid: exec.process.pid }, &[]),
            Some(Progress::Failed(error)) if !exec.told => {
                exec.told = true;
                drop(exec.process.streams.take_clients());
                self.engine.tell(Notice::ExecFailed { id, error }, &[]);
            }
            _ => {}
        }
    }

    /// A child other than the container's first process has ended: an exec, or an orphan that nobody asks for.
    pub(super) fn exec_ended(&mut self, reaped: Reaped) {
        let is_it = |exec: &Exec| exec.process.pid == reaped.pid && exec.process.end.is_none();
        let Some(index) = self.execs.iter().position(is_it) else { return };
        let killed = reaped.end.code == KILLED;
        self.execs[index].out_of_memory = killed && self.leaf.memory_kills() > self.execs[index].memory_kills;
        self.execs[index].process.end = Some(reaped.end);
        while self.execs[index].process.is_preparing() {
            self.hear_exec(index);
        }
        let left = self.execs[index].process.streams.finish(&mut self.scratch);
        self.remnants.extend(left.into_iter().map(Some));
    }

    /// Tells of the execs that have ended and whose clients have all they wrote.
    pub(super) fn sweep_execs(&mut self) {
        let engine = &mut self.engine;
        self.execs.retain_mut(|exec| {
            exec.process.streams.sweep();
            let Some(end) = exec.process.end else { return true };
            if !exec.told {
                if !exec.process.streams.is_delivered() {
                    return true;
                }
                exec.process.streams.take_clients().iter().for_each(crate::engine::runtime::shim::client::Client::finish);
                engine.tell(exec.ended(end), &[]);
            }
            false
        });
    }

    /// The container has ended, and with it every exec: nobody waits for their clients any more.
    pub(super) fn conclude_execs(&mut self) {
        for mut exec in std::mem::take(&mut self.execs) {
            drop(exec.process.streams.finish(&mut self.scratch));
            self.lingering.extend(exec.process.streams.take_clients());
            if let (false, Some(end)) = (exec.told, exec.process.end) {
                self.engine.tell(exec.ended(end), &[]);
            }
        }
    }
}
