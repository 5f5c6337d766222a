//! Ending a container, and freezing it: signals, grace, and what is told of them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::sync::watch;

use crate::engine::Engine;
use crate::engine::container::commit::forget_freeze;
use crate::engine::container::deaf::{self, Hearing};
use crate::engine::container::entry::{Container, Life};
use crate::engine::container::signal;
use crate::engine::container::start::Starter;
use crate::engine::container::state::Change;
use crate::engine::runtime::readiness;
use crate::engine::runtime::task::{Task, TaskError};
use crate::resource::container::{ContainerState, StopOptions, Stopped};
use crate::resource::failure::{Failure, FailureKind};

/// From the stop signal to SIGKILL, unless somebody says otherwise.
const GRACE: Duration = Duration::from_secs(10);
/// From SIGKILL to the admission that nothing helps.
const LAST_WAIT: Duration = Duration::from_secs(10);
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// Why a container is ended; it decides what its restart policy does, now and when the next engine starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Reason {
    /// Somebody asked for it.
    Hand,
    /// The engine leaves.
    Leaving,
}

impl Reason {
    fn note(self, life: &mut Life) {
        match self {
            Self::Hand => life.stopped_by_hand = true,
            Self::Leaving => life.stopped_to_leave = true,
        }
    }
}

impl From<TaskError> for Failure {
    fn from(error: TaskError) -> Self {
        let message = match &error {
            TaskError::Kernel { source, .. } => format!("{error}: {source}"),
            _ => error.to_string(),
        };
        match error {
            TaskError::Gone { .. } => Self::conflict(message),
            _ => Self::internal(message),
        }
    }
}

impl Engine {
    /// Stops a container; returns when it has ended and all it had is given back.
    pub(in crate::engine) async fn stop(
        &self,
        container: &Arc<Container>,
        options: &StopOptions,
        reason: Reason,
    ) -> Result<Stopped, Failure> {
        let turn = container.turn().await;
        let life = container.life();
        match (&life.state, life.task) {
            (ContainerState::Running { .. }, Some(task)) => {
                container.update(|life| reason.note(life));
                drop(turn);
                let stopped = self.stop_running(container, task, life.ends, options).await?;
                // Whoever wrote the end down tells of it before its turn is over.
                let _turn = container.turn().await;
                self.tell(container, "stop", &[]);
                Ok(stopped)
            }
            (ContainerState::Restarting { .. }, _) => {
                self.call_off(container, reason);
                self.tell(container, "stop", &[]);
                Ok(Stopped::Waited)
            }
            _ => Err(Failure::not_modified(format!("container {} is already stopped", container.id()))),
        }
    }

    /// Stops all containers at once, each with its own grace.
    pub(in crate::engine) async fn stop_all(&self) {
        let mut stopping = tokio::task::JoinSet::new();
        for container in self.shared.containers.all() {
            let engine = self.clone();
            stopping.spawn(async move {
                match engine.stop(&container, &StopOptions::default(), Reason::Leaving).await {
                    Err(failure) if failure.kind != FailureKind::NotModified => {
                        tracing::error!(container = %container.id(), %failure, "a container could not be stopped");
                    }
                    _ => {}
                }
            });
        }
        tokio::join!(stopping.join_all(), self.shared.unlisted.end());
    }

    /// Stops a container if it runs, and starts it.
    pub(in crate::engine) async fn restart(&self, container: &Arc<Container>, options: &StopOptions) -> Result<(), Failure> {
        container.remember(|life| life.restarted_by_hand = true);
        let restarted = match self.stop(container, options, Reason::Hand).await {
            Err(failure) if failure.kind != FailureKind::NotModified => Err(failure),
            _ => {
                let _turn = container.turn().await;
                self.start_held(container, Starter::Hand).await
            }
        };
        container.remember(|life| life.restarted_by_hand = false);
        match restarted {
            // Somebody else has just started it.
            Err(failure) if failure.kind != FailureKind::NotModified => return Err(failure),
            _ => {}
        }
        self.tell(container, "restart", &[]);
        Ok(())
    }

    /// Keeps a container that is between two lives from starting again; the caller holds its turn.
    fn call_off(&self, container: &Container, reason: Reason) {
        container.update(|life| {
            reason.note(life);
            if let Err(error) = life.change(Change::CalledOff) {
                tracing::error!(container = %container.id(), %error, "the state of a container is not what it should be");
            }
        });
    }

    async fn stop_running(&self, container: &Arc<Container>, task: Task, ends: u64, options: &StopOptions) -> Result<Stopped, Failure> {
        let record = container.record();
        let own = || record.effective.stop_signal.as_deref().and_then(|text| signal::parse(text).ok());
        let number = options.signal.or_else(own).unwrap_or(SIGTERM);
        let mut watch = container.watch();
        let grace = options.timeout.or(record.spec.stop_grace).unwrap_or(GRACE);
        let frozen = matches!(container.life().state, ContainerState::Running { paused: true, .. });
        // Looked at before, too: whom the signal has woken looks different for a moment.
        let may_be_deaf = options.skip_deaf && !frozen && matches!(look(&task, number).await, Some(Hearing::Deaf(_)));
        self.send(container, &task, number).await?;
        let mut stopped = Stopped::Waited;
        let ended = if may_be_deaf {
            tokio::select! {
                ended = has_ended(&mut watch, ends, grace) => ended,
                () = nobody_hears(&task, number) => {
                    tracing::info!(container = %container.id(), signal = number, "nothing in it can notice its stop signal: it is not waited for");
                    stopped = Stopped::Unheard;
                    false
                }
            }
        } else {
            has_ended(&mut watch, ends, grace).await
        };
        if !ended {
            self.kill_and_wait(container, &task, ends).await?;
        }
        Ok(stopped)
    }

    /// Ends every process of a container and waits until that is written down.
    async fn kill_and_wait(&self, container: &Arc<Container>, task: &Task, ends: u64) -> Result<(), Failure> {
        let mut watch = container.watch();
        self.send(container, task, SIGKILL).await?;
        if has_ended(&mut watch, ends, LAST_WAIT).await {
            return Ok(());
        }
        Err(Failure::internal(format!("tried to kill container {}, but did not receive an exit event", container.id())))
    }

    /// Sends a signal. One that ends a frozen container thaws it, else it would wait for that.
    async fn send(&self, container: &Container, task: &Task, number: i32) -> Result<(), Failure> {
        let sent = if number == SIGKILL { task.kill() } else { task.signal(number) };
        match sent {
            // It has just ended by itself: what was wanted.
            Err(TaskError::Gone { .. }) => return Ok(()),
            sent => sent?,
        }
        if matches!(container.life().state, ContainerState::Running { paused: true, .. }) {
            match task.resume().await {
                Err(TaskError::Gone { .. }) | Ok(()) => {}
                Err(error) => return Err(error.into()),
            }
            // Nothing to note where it has ended meanwhile.
            container.update(|life| drop(life.change(Change::Resumed)));
        }
        self.tell(container, "kill", &[("signal", number.to_string())]);
        Ok(())
    }

    /// Sends a signal by name; SIGKILL is waited for.
    pub(in crate::engine) async fn kill(&self, container: &Arc<Container>, signal: &str) -> Result<(), Failure> {
        let number = if signal.is_empty() { SIGKILL } else { signal::parse(signal)? };
        let turn = container.turn().await;
        let life = container.life();
        // As with Docker, a signal that is not the container's own way to stop leaves its restart policy alone.
        let record = container.record();
        let is_to_end = is_to_end(number, record.effective.stop_signal.as_deref());
        match (&life.state, life.task) {
            (ContainerState::Running { .. }, Some(task)) => {
                if is_to_end {
                    container.update(|life| life.stopped_by_hand = true);
                }
                drop(turn);
                if number == SIGKILL {
                    return self.kill_and_wait(container, &task, life.ends).await;
                }
                self.send(container, &task, number).await
            }
            (ContainerState::Restarting { .. }, _) => {
                if is_to_end {
                    self.call_off(container, Reason::Hand);
                }
                Ok(())
            }
            _ => Err(Failure::conflict(format!("container {} is not running", container.id()))),
        }
    }

    /// Ends a container that is to be removed, however it takes.
    pub(super) async fn end_for_removal(&self, container: &Arc<Container>) -> Result<(), Failure> {
        let turn = container.turn().await;
        let life = container.life();
        match (&life.state, life.task) {
            (ContainerState::Running { .. }, Some(task)) => {
                container.update(|life| life.stopped_by_hand = true);
                drop(turn);
                self.kill_and_wait(container, &task, life.ends).await
            }
            (ContainerState::Restarting { .. }, _) => {
                self.call_off(container, Reason::Hand);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Freezes a container.
    pub(in crate::engine) async fn freeze(&self, container: &Container) -> Result<(), Failure> {
        let _turn = container.turn().await;
        self.freeze_held(container).await
    }

    /// Freezes a container whose turn the caller holds.
    pub(super) async fn freeze_held(&self, container: &Container) -> Result<(), Failure> {
        let id = container.id();
        match container.life().state {
            ContainerState::Running { paused: false, .. } => {}
            ContainerState::Running { paused: true, .. } => return Err(Failure::conflict(format!("Container {id} is already paused"))),
            ContainerState::Restarting { .. } => {
                return Err(Failure::conflict(format!("container {id} is restarting, wait until the container is running")));
            }
            _ => return Err(Failure::conflict(format!("container {id} is not running"))),
        }
        container.task()?.pause().await?;
        container.update(|life| life.change(Change::Paused)).map_err(|error| Failure::conflict(error.to_string()))?;
        self.tell(container, "pause", &[]);
        Ok(())
    }

    /// Thaws it.
    pub(in crate::engine) async fn thaw(&self, container: &Container) -> Result<(), Failure> {
        let _turn = container.turn().await;
        self.thaw_held(container).await
    }

    /// Thaws a container whose turn the caller holds.
    pub(super) async fn thaw_held(&self, container: &Container) -> Result<(), Failure> {
        if !matches!(container.life().state, ContainerState::Running { paused: true, .. }) {
            return Err(Failure::conflict(format!("Container {} is not paused", container.id())));
        }
        container.task()?.resume().await?;
        container.update(|life| life.change(Change::Resumed)).map_err(|error| Failure::conflict(error.to_string()))?;
        self.tell(container, "unpause", &[]);
        // Whatever it was frozen for, a later pause is another one.
        forget_freeze(container);
        Ok(())
    }
}

/// Whether a signal is one that a container with this stop signal is to end by. An image may have one that nobody can read.
fn is_to_end(number: i32, own: Option<&str>) -> bool {
    number == SIGKILL || own.and_then(|text| signal::parse(text).ok()).is_none_or(|own| own == number)
}

/// Returns once no process of a container can notice a signal; never, when process 1 can. Others that handle it are sent it, too: their
/// parent would not pass it on.
async fn nobody_hears(task: &Task, number: i32) {
    let Some(signal) = Signal::from_named_raw(number) else { return std::future::pending().await };
    let mut told = BTreeSet::new();
    loop {
        let Some(Hearing::Deaf(others)) = look(task, number).await else { return std::future::pending().await };
        if others.is_empty() {
            return;
        }
        let mut waited = None;
        for pid in others {
            match Pid::from_raw(pid).map(|pid| pidfd_open(pid, PidfdFlags::empty())) {
                Some(Ok(process)) => {
                    if told.insert(pid) {
                        // It may have ended meanwhile.
                        let _ = pidfd_send_signal(&process, signal);
                    }
                    waited = Some(process);
                }
                // It has ended meanwhile.
                Some(Err(Errno::SRCH)) => {}
                _ => return std::future::pending().await,
            }
        }
        // The others are looked at again when one has ended.
        match waited.map(readiness::readable) {
            Some(Ok(process)) => drop(process.readable().await),
            Some(Err(_)) => return std::future::pending().await,
            None => {}
        }
    }
}

/// Looks who would notice a signal; none where nobody can tell.
async fn look(task: &Task, number: i32) -> Option<Hearing> {
    let task = task.clone();
    let looked = tokio::task::spawn_blocking(move || {
        let processes = task.processes().ok()?;
        Some(deaf::hearing(Path::new("/proc"), task.pid(), &processes, number))
    });
    looked.await.ok().flatten()
}

/// Waits for an end after as many as there were.
async fn has_ended(watch: &mut watch::Receiver<Life>, ends: u64, at_most: Duration) -> bool {
    tokio::time::timeout(at_most, watch.wait_for(|life| life.ends > ends || life.removed)).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_ends_by_its_own_signal_and_by_any_where_that_cannot_be_read() {
        let check = |number, own, expect: bool| assert_eq!(is_to_end(number, own), expect, "{number} {own:?}");
        check(SIGKILL, Some("USR1"), true);
        check(SIGTERM, Some("USR1"), false);
        check(10, Some("SIGUSR1"), true);
        check(SIGTERM, None, true);
        check(SIGKILL, Some("NONSENSE"), true);
        check(SIGTERM, Some("NONSENSE"), true);
    }
}
