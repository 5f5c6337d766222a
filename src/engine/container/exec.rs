//! Commands that run in containers beside their own: what they are to the runtime, and what is known of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::rand::{GetRandomFlags, getrandom};

use crate::engine::clock;
use crate::engine::container::entry::Container;
use crate::engine::container::launch_spec;
use crate::engine::container::record::SpecRecord;
use crate::engine::runtime::launch::{CapabilitySet, ProcessSpec};
use crate::resource::exec::{ExecInfo, ExecSpec};
use crate::resource::failure::Failure;
use crate::resource::id::{ContainerId, ExecId};
use crate::resource::time::Timestamp;

/// So long after its end a command can still be asked for, as with Docker.
const KEPT: Duration = Duration::from_secs(5 * 60);

/// A command as events tell it: its program, a space, and its arguments, of which there may be none.
pub(in crate::engine) fn line(command: &[String]) -> String {
    let (program, arguments) = command.split_first().map_or(("", [].as_slice()), |(program, arguments)| (program.as_str(), arguments));
    format!("{program} {}", arguments.join(" "))
}

/// A command with all the container's own has: user, environment, working directory, what it may do.
pub(super) fn beside(record: &SpecRecord, command: Vec<String>) -> Result<ProcessSpec, Failure> {
    let effective = &record.effective;
    let environment = launch_spec::environment(&effective.environment, &effective.hostname, false);
    Ok(ProcessSpec { command, environment, tty: false, ..launch_spec::process(record)? })
}

/// A command as somebody wants it.
pub(in crate::engine) fn process(container: &Container, spec: &ExecSpec) -> Result<ProcessSpec, Failure> {
    let record = container.record();
    let own = beside(&record, spec.command.clone())?;
    let whole = [record.effective.environment.as_slice(), &spec.environment].concat();
    let capabilities = if spec.privileged {
        let none = BTreeSet::new();
        CapabilitySet::resolve(&none, &none, true).map_err(|error| Failure::internal(error.to_string()))?
    } else {
        own.capabilities
    };
    Ok(ProcessSpec {
        environment: launch_spec::environment(&whole, &record.effective.hostname, spec.tty),
        working_dir: spec.working_dir.clone().filter(|path| !path.is_empty()).unwrap_or(own.working_dir),
        user: spec.user.clone().filter(|user| !user.is_empty()).unwrap_or(own.user),
        tty: spec.tty,
        size: spec.size,
        capabilities,
        ..own
    })
}

/// An identifier nobody has.
pub(in crate::engine) fn new_id() -> Result<ExecId, Failure> {
    let mut bytes = [0; 32];
    getrandom(&mut bytes, GetRandomFlags::empty()).map_err(|error| Failure::internal(format!("cannot draw random bytes: {error}")))?;
    Ok(ExecId::from_bytes(bytes))
}

/// Every command somebody prepared, until a while after its end.
#[derive(Debug, Default)]
pub(in crate::engine) struct Execs {
    table: Mutex<BTreeMap<ExecId, Entry>>,
}

#[derive(Debug)]
struct Entry {
    info: ExecInfo,
    started: bool,
    ended: Option<Timestamp>,
}

impl Execs {
    fn table(&self) -> MutexGuard<'_, BTreeMap<ExecId, Entry>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a command that is to run, and forgets those that ended a while ago.
    pub(in crate::engine) fn add(&self, id: ExecId, container: ContainerId, spec: ExecSpec) {
        let mut table = self.table();
        let now = clock::now();
        table.retain(|_, entry| entry.ended.is_none_or(|ended| now.since(ended) < KEPT));
        let info = ExecInfo { id, container, spec, running: false, exit_code: None, pid: None };
        table.insert(id, Entry { info, started: false, ended: None });
    }

    /// What is known of a command.
    pub(in crate::engine) fn find(&self, id: &str) -> Result<ExecInfo, Failure> {
        let missing = || Failure::not_found(format!("No such exec instance: {id}"));
        let parsed: ExecId = id.parse().map_err(|_| missing())?;
        self.table().get(&parsed).map(|entry| entry.info.clone()).ok_or_else(missing)
    }

    /// Takes a command to start it; each is started once.
    pub(in crate::engine) fn take(&self, id: &ExecId) -> Result<(), Failure> {
        match self.table().get_mut(id) {
            Some(entry) if entry.info.running => Err(Failure::conflict(format!("exec command {id} is already running"))),
            Some(entry) if entry.started => Err(Failure::conflict(format!("exec command {id} has already run"))),
            Some(entry) => {
                entry.started = true;
                Ok(())
            }
            None => Err(Failure::not_found(format!("No such exec instance: {id}"))),
        }
    }

    /// Notes that a command runs.
    pub(in crate::engine) fn runs(&self, id: &ExecId, pid: i32) {
        if let Some(entry) = self.table().get_mut(id) {
            entry.info.running = true;
            entry.info.pid = Some(pid);
        }
    }

    /// Notes how a command ended.
    pub(in crate::engine) fn ended(&self, id: &ExecId, code: i32) {
        if let Some(entry) = self.table().get_mut(id) {
            entry.info.running = false;
            entry.info.exit_code = Some(code);
            entry.ended = Some(clock::now());
        }
    }

    /// Forgets what was prepared in a container that is gone.
    pub(in crate::engine) fn forget(&self, container: ContainerId) {
        self.table().retain(|_, entry| entry.info.container != container || entry.info.running);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_started_once_and_known_after_its_end() {
        let execs = Execs::default();
        let id = new_id().expect("random bytes");
        execs.add(id, ContainerId::from_bytes([1; 32]), ExecSpec::default());
        execs.take(&id).expect("the first");
        execs.runs(&id, 7);
        assert_eq!(execs.take(&id).expect_err("runs").message, format!("exec command {id} is already running"));
        execs.ended(&id, 3);
        assert_eq!(execs.take(&id).expect_err("has run").message, format!("exec command {id} has already run"));
        let info = execs.find(&id.to_string()).expect("known");
        assert_eq!((info.running, info.exit_code, info.pid), (false, Some(3), Some(7)));
        assert_eq!(execs.find("abc").expect_err("unknown").message, "No such exec instance: abc");
        execs.forget(ContainerId::from_bytes([1; 32]));
        assert!(execs.find(&id.to_string()).is_err());
    }
}
