//! One container as the engine knows it: what it is, and what it does.
//!
//! Whoever changes what it does holds its turn; whoever wants to know, or to wait, has the watch. No container waits for another.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedMutexGuard, oneshot, watch};

use crate::engine::container::launch_spec;
use crate::engine::container::record::{ResolvedMount, SpecRecord, StateRecord};
use crate::engine::container::restart::Restarts;
use crate::engine::container::state::{self, Change, IllegalChange};
use crate::engine::image::work::RootGuard;
use crate::engine::runtime::task::{AttachRequest, Attached, Task};
use crate::engine::store::{self, StoreError};
use crate::resource::container::{
    ContainerInfo, ContainerSpec, ContainerState, EndpointState, ExitStatus, HealthState, LogSpec, PublishedPort, Told,
};
use crate::resource::failure::Failure;
use crate::resource::id::{ContainerId, ExecId};
use crate::resource::name::ContainerName;

/// A container.
pub(in crate::engine) struct Container {
    id: ContainerId,
    /// `containers/ID`.
    folder: PathBuf,
    record: Mutex<Arc<SpecRecord>>,
    turn: Arc<tokio::sync::Mutex<()>>,
    life: watch::Sender<Life>,
    /// Clients that attached before it was started.
    waiting: Mutex<Vec<Waiting>>,
    /// Commands that run beside its own.
    execs: Mutex<BTreeSet<ExecId>>,
    /// So often something changed of what is told of it.
    changes: AtomicU64,
    /// What was told of it last, and after how many changes: most of a long list is as it was.
    told: Mutex<Option<(u64, Arc<Told>)>>,
}

/// A client that attached to a container before it was started.
pub(in crate::engine) struct Waiting {
    /// What it wants.
    pub(in crate::engine) request: AttachRequest,
    /// Where it waits.
    pub(in crate::engine) reply: oneshot::Sender<Result<Attached, Failure>>,
}

/// What a container does.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Life {
    /// Its state.
    pub(in crate::engine) state: ContainerState,
    /// Its health, if it has a check and runs.
    pub(in crate::engine) health: Option<HealthState>,
    /// What it has on each network.
    pub(in crate::engine) endpoints: Vec<EndpointState>,
    /// Ports of the host that lead to it.
    pub(in crate::engine) published: Vec<PublishedPort>,
    /// What runs.
    pub(in crate::engine) task: Option<Task>,
    /// It ended so many times, failed starts included.
    pub(in crate::engine) ends: u64,
    /// How it ended the last time.
    pub(in crate::engine) last: ExitStatus,
    /// It is gone.
    pub(in crate::engine) removed: bool,
    pub(super) stopped_by_hand: bool,
    pub(super) stopped_to_leave: bool,
    /// Whoever stops it starts it again: its end is no reason to remove it.
    pub(super) restarted_by_hand: bool,
    pub(super) restarts: Restarts,
    /// Keeps its image's layers while it runs.
    pub(super) layers: Option<Arc<RootGuard>>,
}

impl Life {
    /// It runs, or will run again by itself.
    pub(in crate::engine) const fn is_active(&self) -> bool {
        matches!(self.state, ContainerState::Running { .. } | ContainerState::Restarting { .. })
    }

    /// It has ended, and whoever stopped it is about to start it again.
    pub(in crate::engine) const fn is_between_lives(&self) -> bool {
        self.restarted_by_hand && !self.removed && matches!(self.state, ContainerState::Exited { .. })
    }

    /// That of a container nobody started yet.
    pub(super) fn new() -> Self {
        Self {
            state: ContainerState::Created,
            health: None,
            endpoints: Vec::new(),
            published: Vec::new(),
            task: None,
            ends: 0,
            last: ExitStatus::default(),
            removed: false,
            stopped_by_hand: false,
            stopped_to_leave: false,
            restarted_by_hand: false,
            restarts: Restarts::default(),
            layers: None,
        }
    }

    /// What an engine before this one wrote down.
    pub(super) fn of(record: StateRecord) -> Self {
        let last = match &record.state {
            ContainerState::Exited { status, .. } | ContainerState::Restarting { status, .. } => status.clone(),
            _ => ExitStatus::default(),
        };
        Self {
            state: record.state,
            health: record.health,
            endpoints: record.endpoints,
            published: record.published,
            last,
            stopped_by_hand: record.stopped_by_hand,
            stopped_to_leave: record.stopped_to_leave,
            restarts: record.restarts,
            ..Self::new()
        }
    }

    /// Changes the state, if the state allows it.
    pub(super) fn change(&mut self, change: Change) -> Result<(), IllegalChange> {
        self.state = state::after(&self.state, change)?;
        Ok(())
    }

    /// What is written down of it.
    pub(super) fn record(&self) -> StateRecord {
        StateRecord {
            boot: store::boot_id().to_owned(),
            state: self.state.clone(),
            health: self.health.clone(),
            stopped_by_hand: self.stopped_by_hand,
            stopped_to_leave: self.stopped_to_leave,
            restarts: self.restarts,
            endpoints: self.endpoints.clone(),
            published: self.published.clone(),
        }
    }
}

/// A mutex whose content is whole between any two statements that could panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Container {
    pub(super) fn new(folder: PathBuf, record: SpecRecord, life: Life) -> Self {
        Self {
            id: record.id,
            folder,
            record: Mutex::new(Arc::new(record)),
            turn: Arc::default(),
            life: watch::Sender::new(life),
            waiting: Mutex::default(),
            execs: Mutex::default(),
            changes: AtomicU64::default(),
            told: Mutex::default(),
        }
    }

    /// Its id.
    pub(in crate::engine) const fn id(&self) -> ContainerId {
        self.id
    }

    /// Its name.
    pub(in crate::engine) fn name(&self) -> ContainerName {
        lock(&self.record).name.clone()
    }

    /// What it is.
    pub(super) fn record(&self) -> Arc<SpecRecord> {
        Arc::clone(&lock(&self.record))
    }

    /// Says what it is from now on, on disk first.
    pub(super) fn replace_record(&self, record: SpecRecord) -> Result<(), StoreError> {
        record.write(&self.folder)?;
        *lock(&self.record) = Arc::new(record);
        self.changed();
        Ok(())
    }

    /// What stands beside every line of its log.
    pub(in crate::engine) fn log_details(&self) -> BTreeMap<String, String> {
        launch_spec::log_details(&self.record())
    }

    /// What was wanted.
    pub(in crate::engine) fn spec(&self) -> ContainerSpec {
        lock(&self.record).spec.clone()
    }

    /// Its mounts.
    pub(in crate::engine) fn mounts(&self) -> Vec<ResolvedMount> {
        lock(&self.record).mounts.clone()
    }

    /// Its folder below the data directory.
    pub(in crate::engine) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file its output goes to.
    pub(in crate::engine) fn log_path(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The file its shim writes its end into.
    pub(super) fn exit_path(&self) -> PathBuf {
        self.folder.join("exit.json")
    }

    /// What it does at this moment.
    pub(in crate::engine) fn life(&self) -> Life {
        self.life.borrow().clone()
    }

    /// Tells of every change of what it does.
    pub(in crate::engine) fn watch(&self) -> watch::Receiver<Life> {
        self.life.subscribe()
    }

    /// What runs, or Docker's words for nothing.
    pub(in crate::engine) fn task(&self) -> Result<Task, Failure> {
        let task = self.life.borrow().task.clone();
        task.ok_or_else(|| Failure::conflict(format!("container {} is not running", self.id)))
    }

    /// It runs, or will run again by itself, or something is done with it at this moment.
    pub(in crate::engine) fn is_active(&self) -> bool {
        self.turn.try_lock().is_err() || self.life.borrow().is_active()
    }

    /// Nobody else changes what it does as long as this is held.
    pub(in crate::engine) async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// Changes what it does, in memory and then on disk. A record that cannot be written is a complaint in the log: what happened,
    /// happened.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut Life) -> T) -> T {
        let outcome = self.modify(change);
        let record = self.life.borrow().record();
        if let Err(error) = record.write(&self.folder) {
            tracing::error!(container = %self.id, %error, "what a container does could not be written down");
        }
        outcome
    }

    /// Changes what need not outlive the engine.
    pub(super) fn remember(&self, change: impl FnOnce(&mut Life)) {
        self.modify(change);
    }

    /// Says that it is gone; there is no folder left to write into.
    pub(super) fn gone(&self) {
        self.remember(|life| life.removed = true);
    }

    /// Notes its health; a verdict that changed is written down.
    pub(in crate::engine) fn set_health(&self, health: HealthState) {
        let same = self.life.borrow().health.as_ref().is_some_and(|known| known.status == health.status);
        if same {
            self.remember(|life| life.health = Some(health));
        } else {
            self.update(|life| life.health = Some(health));
        }
    }

    /// Waits for the streams of a container that is not started yet.
    pub(in crate::engine) fn attach_at_start(&self, request: AttachRequest) -> oneshot::Receiver<Result<Attached, Failure>> {
        let (reply, receiver) = oneshot::channel();
        lock(&self.waiting).push(Waiting { request, reply });
        receiver
    }

    /// Those who wait for its streams.
    pub(super) fn take_waiting(&self) -> Vec<Waiting> {
        std::mem::take(&mut lock(&self.waiting))
    }

    /// Notes a command that runs beside its own.
    pub(in crate::engine) fn exec_began(&self, exec: ExecId) {
        lock(&self.execs).insert(exec);
        self.changed();
    }

    /// Forgets it.
    pub(in crate::engine) fn exec_ended(&self, exec: &ExecId) {
        lock(&self.execs).remove(exec);
        self.changed();
    }

    /// Changes what it does. Whoever is woken by the change is told of it: it is counted before anybody can look.
    fn modify<T>(&self, change: impl FnOnce(&mut Life) -> T) -> T {
        let mut outcome = None;
        self.life.send_modify(|life| {
            outcome = Some(change(life));
            self.changed();
        });
        outcome.expect("the change was just made")
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// What is told of it.
    pub(in crate::engine) fn info(&self) -> Arc<Told> {
        let life = self.life.borrow();
        // Counted before the rest is looked at: what changes meanwhile is looked at again the next time.
        let changes = self.changes.load(Ordering::Acquire);
        if let Some((at, told)) = &*lock(&self.told)
            && *at == changes
        {
            return Arc::clone(told);
        }
        let info = Told::new(self.look(&life));
        *lock(&self.told) = Some((changes, Arc::clone(&info)));
        info
    }

    fn look(&self, life: &Life) -> ContainerInfo {
        let record = self.record();
        ContainerInfo {
            id: self.id,
            name: record.name.clone(),
            created: record.created,
            spec: record.spec.clone(),
            image: record.image,
            state: life.state.clone(),
            health: life.health.clone(),
            effective: record.effective.clone(),
            endpoints: life.endpoints.clone(),
            published: life.published.clone(),
            mounts: record.mounts.iter().map(ResolvedMount::info).collect(),
            restart_count: life.restarts.count,
            log_path: (record.spec.log != LogSpec::None).then(|| self.log_path()),
            file_digests: Default::default(),
            execs: lock(&self.execs).iter().copied().collect(),
        }
    }
}
