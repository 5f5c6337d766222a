//! Removing containers, and giving them other names.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::archive::discard::{remove_all, sizes_of};
use crate::engine::Engine;
use crate::engine::container::create::{Anonymous, parse_name};
use crate::engine::container::entry::Container;
use crate::engine::container::record::SpecRecord;
use crate::engine::container::state::Change;
use crate::engine::filter::Filters;
use crate::resource::container::ContainerState;
use crate::resource::event::EventKind;
use crate::resource::failure::{Failure, FailureKind};
use crate::resource::id::ContainerId;

/// A removed container's folder begins with it until it is empty; no id does.
pub(super) const REMOVED: &str = ".removed-";

impl Engine {
    /// Removes a container. When it returns, its name, its volumes and its files are gone.
    pub(in crate::engine) async fn remove(&self, container: &Arc<Container>, force: bool, volumes: Anonymous) -> Result<(), Failure> {
        if force {
            self.end_for_removal(container).await?;
        }
        let turn = container.turn().await;
        let state = container.life().state;
        let reason = match state {
            ContainerState::Running { paused: false, .. } => {
                Some("container is running: stop the container before removing or force remove")
            }
            ContainerState::Running { paused: true, .. } => Some("container is paused and must be unpaused first"),
            ContainerState::Restarting { .. } => Some("container is restarting: stop the container before removing or force remove"),
            ContainerState::Removing | ContainerState::Created | ContainerState::Exited { .. } | ContainerState::Dead => None,
        };
        if let Some(reason) = reason {
            return Err(Failure::conflict(reason));
        }
        if container.life().removed {
            // Another has removed it meanwhile, by `--rm` say, which is what was wanted.
            return Ok(());
        }
        // One that an engine before this one was removing is `Removing` already.
        if state != ContainerState::Removing {
            container.update(|life| life.change(Change::Removing)).map_err(|error| Failure::conflict(error.to_string()))?;
        }
        let gone = self.shared.containers.folder().join(format!("{REMOVED}{}", container.id()));
        if let Err(error) = std::fs::rename(container.folder(), &gone) {
            container.update(|life| drop(life.change(Change::RemovalFailed)));
            let folder = container.folder().display();
            return Err(Failure::internal(format!("cannot rename {folder}: {error}")));
        }
        let record = container.record();
        self.shared.volumes.forget(record.id);
        self.shared.execs.forget(record.id);
        self.shared.containers.remove(container);
        if volumes != Anonymous::Stay {
            self.remove_anonymous(&record.mounts, volumes);
        }
        // A file system in memory may hold much; others need not wait for it, but this caller does.
        remove_tree(&gone).await;
        container.gone();
        // Who attached before a start that never came has nothing to wait for.
        drop(container.take_waiting());
        self.tell(container, "destroy", &[]);
        drop(turn);
        Ok(())
    }

    /// Removes a container of `--rm` that has ended.
    pub(super) fn remove_soon(&self, container: Arc<Container>) {
        let engine = self.clone();
        tokio::spawn(async move {
            match engine.remove(&container, false, Anonymous::Own).await {
                // It was removed, or started again, by hand meanwhile.
                Err(failure) if failure.kind == FailureKind::Internal => {
                    tracing::warn!(container = %container.id(), %failure, "a container could not be removed after its end");
                }
                _ => {}
            }
        });
    }

    /// Gives a container another name.
    pub(in crate::engine) async fn rename(&self, container: &Arc<Container>, to: &str) -> Result<(), Failure> {
        let refused = |failure: Failure| failure.within("Error when allocating new name");
        let name = parse_name(to).map_err(refused)?;
        let _turn = container.turn().await;
        let record = container.record();
        if matches!(container.life().state, ContainerState::Removing | ContainerState::Dead) {
            return Err(Failure::conflict(format!("container {} is marked for removal and cannot be renamed", record.id)));
        }
        if name == record.name {
            return Err(Failure::invalid("Renaming a container with the same name as its current name"));
        }
        self.shared.containers.take_name(&name, record.id).map_err(refused)?;
        let old = record.name.clone();
        if let Err(error) = container.replace_record(SpecRecord { name: name.clone(), ..SpecRecord::clone(&record) }) {
            self.shared.containers.give_back_name(&name);
            return Err(error.into());
        }
        self.shared.containers.give_back_name(&old);
        self.shared.networks.rename(record.id, name.as_str());
        self.tell(container, "rename", &[("oldName", format!("/{old}"))]);
        Ok(())
    }

    /// Removes every container that does not run and that the filters select; returns the ids and the bytes given back.
    pub(in crate::engine) async fn prune(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<(Vec<ContainerId>, u64), Failure> {
        let filters = Filters::of(filters, &["label", "label!", "until"])?;
        let until = filters.until()?;
        let mut removed = Vec::new();
        let mut bytes = 0;
        for container in self.shared.containers.all() {
            let record = container.record();
            let ended = matches!(container.life().state, ContainerState::Created | ContainerState::Exited { .. } | ContainerState::Dead);
            if !ended || !filters.labels(&record.effective.labels) || until.is_some_and(|until| record.created >= until) {
                continue;
            }
            let upper = container.folder().join("upper");
            let size = tokio::task::spawn_blocking(move || sizes_of(&upper).0).await.unwrap_or_default();
            // What was started or removed by somebody else meanwhile is not ours to remove.
            if self.remove(&container, false, Anonymous::Stay).await.is_ok() {
                removed.push(record.id);
                bytes += size;
            }
        }
        self.tell_prune(EventKind::Container, bytes);
        Ok((removed, bytes))
    }
}

/// Removes a folder with all in it, away from the threads that serve requests. What stays, the next engine removes.
pub(super) async fn remove_tree(folder: &Path) {
    let path = folder.to_owned();
    let removed = tokio::task::spawn_blocking(move || remove_all(&path)).await;
    if let Ok(Err(error)) = removed
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(folder = %folder.display(), %error, "what is left of a removed container stays until the next start");
    }
}
