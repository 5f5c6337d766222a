//! What an engine finds at its start: containers that run, that ended meanwhile, that were being made or removed.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::container::entry::{Container, Life};
use crate::engine::container::record::{SpecRecord, StateRecord};
use crate::engine::container::remove::{REMOVED, remove_tree};
use crate::engine::container::restart::starts_with_engine;
use crate::engine::container::start::Starter;
use crate::engine::container::state::Change;
use crate::engine::network::dns::{DnsSettings, DnsSockets};
use crate::engine::network::handle::Adopted;
use crate::engine::runtime::task::{ExitRecord, Task};
use crate::engine::{Engine, clock, store};
use crate::resource::container::{ContainerState, ExitStatus, IpcMode, MountSource, NamespaceMode, NetworkMode};
use crate::resource::failure::Failure;
use crate::resource::id::ContainerId;
use crate::resource::name::ContainerName;
use crate::resource::time::Timestamp;

/// What is to be done with a container once all of them are known and the kernel is swept.
enum Next {
    /// It runs.
    Supervise(Task),
    /// It starts again after a pause.
    Again(Duration),
    /// Its restart policy starts it with the engine.
    Start,
    /// It was being removed, or is to go with its end.
    Remove,
}

/// Where the state comes from that a container was found in.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Last {
    /// It was written down in this boot of the machine.
    Of(String),
    /// The record is damaged.
    Lost,
    /// There was none.
    Never,
}

impl Engine {
    /// Reads every record, takes over what runs, notes what ended, and carries on what was going on.
    pub(in crate::engine) async fn adopt_containers(&self) -> Result<(), Failure> {
        let found = self.read_containers().await?;
        let mut next = Vec::new();
        let mut known = Vec::with_capacity(found.len());
        for (container, last) in found {
            match self.adopt(&container, last).await {
                Ok(todo) => next.extend(todo.map(|todo| (Arc::clone(&container), todo))),
                // One container must not keep an engine from serving all others.
                Err(failure) => tracing::error!(container = %container.id(), %failure, "a container could not be taken over"),
            }
            known.push(container);
        }
        let runs = |id: ContainerId| known.iter().any(|container| container.id() == id && container.life().task.is_some());
        self.shared.networks.sweep().await;
        self.shared.runtime.sweep(runs);
        self.release_held(&runs)?;
        let mut starts = Vec::new();
        for (container, todo) in next {
            match todo {
                Next::Supervise(task) => self.supervise(container, task),
                Next::Again(pause) => self.start_again(container, pause),
                Next::Remove => self.remove_soon(container),
                Next::Start => starts.push(container),
            }
        }
        self.start_with_engine(starts);
        Ok(())
    }

    /// Makes every container of the data directory known, with what is known of its last state. What was being made or removed is swept.
    async fn read_containers(&self) -> Result<Vec<(Arc<Container>, Last)>, Failure> {
        let folder = self.shared.containers.folder().to_owned();
        let entries = fs::read_dir(&folder).map_err(|error| Failure::internal(format!("cannot list {}: {error}", folder.display())))?;
        let mut found = Vec::new();
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.starts_with(REMOVED) {
                remove_tree(&entry.path()).await;
                continue;
            }
            if name.parse::<ContainerId>().is_err() {
                continue;
            }
            let path = entry.path();
            let Some(mut record) = SpecRecord::read(&path)? else {
                if SpecRecord::was_damaged(&path) {
                    tracing::error!(folder = %path.display(), "a container's record is damaged; its folder is left alone");
                } else {
                    remove_tree(&path).await;
                }
                continue;
            };
            if self.shared.containers.take_name(&record.name, record.id).is_err() {
                // Only a hand in the data directory makes two of a name.
                let name: ContainerName = record.id.short().parse().map_err(|error| Failure::internal(format!("{error}")))?;
                tracing::error!(container = %record.id, taken = %record.name, "two containers have one name");
                record.name = name;
                self.shared.containers.take_name(&record.name, record.id)?;
            }
            for resolved in &record.mounts {
                if let MountSource::Volume { name: Some(volume), .. } = &resolved.mount.source
                    && let Err(error) = self.shared.volumes.uses(volume, record.id, record.name.as_str())
                {
                    tracing::error!(container = %record.id, %error, "a container's volume is gone");
                }
            }
            let state = StateRecord::read(&path)?;
            let last = match &state {
                Some(state) => Last::Of(state.boot.clone()),
                None if StateRecord::was_damaged(&path) => Last::Lost,
                None => Last::Never,
            };
            let life = state.map_or_else(Life::new, Life::of);
            let container = Arc::new(Container::new(path, record, life));
            if container.life().endpoints.is_empty() {
                self.show_at_rest(&container);
            }
            self.shared.containers.insert(Arc::clone(&container));
            found.push((container, last));
        }
        Ok(found)
    }

    async fn adopt(&self, container: &Arc<Container>, last: Last) -> Result<Option<Next>, Failure> {
        let life = container.life();
        let task = self.shared.runtime.adopt(container.id()).await?;
        let same_boot = matches!(&last, Last::Of(boot) if boot == store::boot_id());
        if let Some(task) = &task
            && let Some(known) = self.life_since(container.id(), life.clone(), task.started_at())
        {
            container.remember(|life| *life = known.clone());
            self.adopt_running(container, &known, task).await?;
            if let Err(failure) = self.thaw_uncommitted(container, task).await {
                tracing::error!(container = %container.id(), %failure, "a container that was frozen for a commit could not be thawed");
            }
            return Ok(Some(Next::Supervise(task.clone())));
        }
        // Either it was being started when the engine was killed, and nobody was told that it runs; or no keeper is left that knows of it.
        end_stray(task).await;
        match &life.state {
            ContainerState::Running { started_at, .. } => {
                let record = self.end_of(container.id(), *started_at, same_boot);
                Ok(self.ended_meanwhile(container, &record, same_boot).await)
            }
            // What it did is not known: its policy would have it run.
            ContainerState::Created if last == Last::Lost => {
                let policy = container.record().spec.restart;
                Ok(starts_with_engine(policy, true, false, 0).then_some(Next::Start))
            }
            state => Ok(at_rest(container, state, &life, same_boot)),
        }
    }

    async fn adopt_running(&self, container: &Arc<Container>, life: &Life, task: &Task) -> Result<(), Failure> {
        let record = container.record();
        for resolved in &record.mounts {
            if let MountSource::Volume { name: Some(volume), .. } = &resolved.mount.source {
                self.shared.volumes.adopt(volume, container.id());
            }
        }
        let layers = match self.shared.images.rootfs(&record.image).await {
            Ok(rootfs) => Some(Arc::new(rootfs.guard)),
            Err(error) => {
                tracing::warn!(container = %container.id(), %error, "a running container has lost its image");
                None
            }
        };
        let held = |key: String| self.shared.keeper.held_under(&key).map_err(|error| Failure::internal(error.to_string()));
        let port_sockets = held(format!("port/{}", container.id()))?.unwrap_or_default();
        let dns_sockets = held(format!("dns/{}", container.id()))?.and_then(|sockets| {
            let mut sockets = sockets.into_iter();
            sockets.next().zip(sockets.next()).map(|(udp, tcp)| DnsSockets { udp, tcp })
        });
        let adopted = Adopted {
            container: container.id(),
            name: record.name.to_string(),
            endpoints: life.endpoints.clone(),
            published: life.published.clone(),
            port_sockets,
            dns: DnsSettings { upstreams: self.shared.defaults.servers(&record.spec.dns).to_vec(), hostname: record.spec.hostname.clone() },
            dns_sockets,
        };
        if !life.endpoints.is_empty()
            && let Err(error) = self.shared.networks.adopt(adopted).await
        {
            // It runs; what of its network cannot be served any more is told, and is no reason to end it.
            tracing::error!(container = %container.id(), %error, "the network of a running container could not be taken over");
        }
        let task = task.clone();
        container.update(|life| {
            life.task = Some(task);
            life.layers = layers;
        });
        Ok(())
    }

    /// How a container ended that ran when another engine was there.
    fn end_of(&self, id: ContainerId, started_at: Timestamp, same_boot: bool) -> ExitRecord {
        let seen = self.shared.runtime.end_of(id).filter(|record| record.started_at == started_at);
        seen.unwrap_or_else(|| {
            // Docker's code for those that a fall of the machine ended.
            let (code, error) = if same_boot { (137, "its shim was killed") } else { (255, "the machine went down") };
            let status = ExitStatus { code, out_of_memory: false, error: error.to_owned() };
            ExitRecord { status, started_at, finished_at: clock::now() }
        })
    }

    async fn ended_meanwhile(&self, container: &Arc<Container>, end: &ExitRecord, same_boot: bool) -> Option<Next> {
        let record = container.record();
        for resolved in &record.mounts {
            if let MountSource::Volume { name: Some(volume), .. } = &resolved.mount.source {
                self.shared.volumes.adopt(volume, container.id());
            }
        }
        let by_hand = container.life().stopped_by_hand;
        let again = self.ended(container, end).await;
        let starts = !same_boot && starts_with_engine(record.spec.restart, true, by_hand, end.status.code);
        match again {
            _ if record.spec.auto_remove => Some(Next::Remove),
            // After a fall of the machine there is nothing to be slow about.
            Some(_) if starts => Some(Next::Again(Duration::ZERO)),
            Some(pause) => Some(Next::Again(pause)),
            None => starts.then_some(Next::Start),
        }
    }

    /// Starts containers by their policies: first those that share nobody's namespaces, all at once; then the others.
    fn start_with_engine(&self, containers: Vec<Arc<Container>>) {
        let (sharing, alone): (Vec<_>, Vec<_>) = containers.into_iter().partition(|container| shares(container));
        let engine = self.clone();
        tokio::spawn(async move {
            let mut starting = tokio::task::JoinSet::new();
            for container in alone {
                starting.spawn(engine.clone().start_by_policy(container));
            }
            starting.join_all().await;
            for container in sharing {
                engine.clone().start_by_policy(container).await;
            }
        });
    }

    async fn start_by_policy(self, container: Arc<Container>) {
        let _turn = container.turn().await;
        if let Err(failure) = self.start_held(&container, Starter::Policy).await {
            tracing::warn!(container = %container.id(), %failure, "a container could not be started with the engine");
        }
    }

    /// Lets go of what the keeper holds for containers that do not run.
    fn release_held(&self, runs: &impl Fn(ContainerId) -> bool) -> Result<(), Failure> {
        let held = self.shared.keeper.held().map_err(|error| Failure::internal(error.to_string()))?;
        for (key, _) in held {
            let id = ["port/", "dns/", "state/"].iter().find_map(|kind| key.strip_prefix(kind)).and_then(|id| id.parse().ok());
            if id.is_some_and(|id| !runs(id)) {
                self.shared.keeper.release(&key);
            }
        }
        Ok(())
    }
}

/// Whether it lives in namespaces of another.
fn shares(container: &Container) -> bool {
    let record = container.record();
    let shared = |mode: &NamespaceMode| matches!(mode, NamespaceMode::Container(_));
    matches!(record.spec.network, NetworkMode::Container(_)) || shared(&record.spec.pid) || matches!(record.spec.ipc, IpcMode::Container(_))
}

/// Ends a task that no record knows.
async fn end_stray(task: Option<Task>) {
    let Some(task) = task else { return };
    if let Err(error) = task.kill() {
        tracing::warn!(container = %task.id(), %error, "a container that nobody was told of could not be ended");
        return;
    }
    task.wait().await;
}

/// What is to be done with a container that does not run.
fn at_rest(container: &Container, state: &ContainerState, life: &Life, same_boot: bool) -> Option<Next> {
    let record = container.record();
    let policy = record.spec.restart;
    match state {
        ContainerState::Removing => Some(Next::Remove),
        ContainerState::Restarting { .. } if same_boot => Some(Next::Again(life.restarts.pause())),
        ContainerState::Restarting { status, .. } if starts_with_engine(policy, true, life.stopped_by_hand, status.code) => {
            Some(Next::Again(Duration::ZERO))
        }
        ContainerState::Restarting { .. } => {
            container.update(|life| drop(life.change(Change::CalledOff)));
            None
        }
        ContainerState::Exited { .. } if record.spec.auto_remove => Some(Next::Remove),
        ContainerState::Exited { status, .. } => {
            // A mere change of engines starts nothing that somebody stopped; a boot does what Docker's start does.
            let starts = if life.stopped_to_leave {
                starts_with_engine(policy, true, life.stopped_by_hand, status.code)
            } else {
                !same_boot && starts_with_engine(policy, false, life.stopped_by_hand, status.code)
            };
            starts.then_some(Next::Start)
        }
        ContainerState::Created | ContainerState::Running { .. } | ContainerState::Dead => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::container::record::tests::spec_record;
    use crate::resource::container::{ContainerSpec, RestartPolicy};

    fn next(policy: RestartPolicy, change: impl Fn(&mut Life), same_boot: bool) -> &'static str {
        let folder = tempfile::tempdir().expect("a folder");
        let record = spec_record(ContainerSpec { restart: policy, ..ContainerSpec::default() });
        let mut life = Life::new();
        let at = Timestamp::from_nanos(1);
        life.state = ContainerState::Exited { status: ExitStatus::default(), started_at: Some(at), finished_at: at };
        change(&mut life);
        let container = Container::new(folder.path().to_owned(), record, life.clone());
        match at_rest(&container, &life.state, &life, same_boot) {
            None => "rests",
            Some(Next::Supervise(_)) => "runs",
            Some(Next::Again(_)) => "again",
            Some(Next::Start) => "starts",
            Some(Next::Remove) => "goes",
        }
    }

    #[test]
    fn what_rests_starts_only_when_its_policy_says_so() {
        let stopped = |life: &mut Life| life.stopped_by_hand = true;
        let left = |life: &mut Life| life.stopped_to_leave = true;
        assert_eq!(next(RestartPolicy::Always, stopped, true), "rests");
        assert_eq!(next(RestartPolicy::Always, stopped, false), "starts");
        assert_eq!(next(RestartPolicy::UnlessStopped, stopped, false), "rests");
        assert_eq!(next(RestartPolicy::UnlessStopped, left, true), "starts");
        assert_eq!(next(RestartPolicy::No, left, false), "rests");
        let removing = |life: &mut Life| life.state = ContainerState::Removing;
        assert_eq!(next(RestartPolicy::No, removing, true), "goes");
        let waiting = |life: &mut Life| {
            let at = Timestamp::from_nanos(1);
            life.state = ContainerState::Restarting { status: ExitStatus::default(), started_at: at, finished_at: at };
        };
        assert_eq!(next(RestartPolicy::Always, waiting, true), "again");
        assert_eq!(next(RestartPolicy::OnFailure { maximum: 0 }, waiting, false), "rests");
    }
}
