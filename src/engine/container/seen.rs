//! The files of a container, held so that somebody can look at them or change them.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use crate::engine::Engine;
use crate::engine::container::entry::Container;
use crate::engine::container::launch_spec;
use crate::engine::image::work::RootGuard;
use crate::engine::runtime::launch::{LaunchSource, RootfsSpec};
use crate::engine::runtime::task::TaskError;
use crate::engine::runtime::view::{self, Extent, Inside, Seen};
use crate::engine::volume::{Filling, Volumes};
use crate::resource::container::{ContainerState, NetworkMode};
use crate::resource::failure::Failure;
use crate::resource::id::ContainerId;

/// The files of a container. One that does not run cannot be started or removed as long as this lives.
pub(in crate::engine) struct Held {
    seen: Seen,
    extent: Extent,
    rest: Option<AtRest>,
}

/// What a container that does not run is held by.
struct AtRest {
    volumes: Volumes,
    id: ContainerId,
    _fillings: Vec<Filling>,
    _layers: RootGuard,
    _turn: OwnedMutexGuard<()>,
}

impl Drop for AtRest {
    fn drop(&mut self) {
        self.volumes.unmount(self.id);
    }
}

impl Engine {
    /// Takes hold of a container's files.
    pub(in crate::engine) async fn hold_files(&self, container: &Arc<Container>, extent: Extent) -> Result<Held, Failure> {
        loop {
            let turn = container.turn().await;
            let life = container.life();
            if let Some(task) = &life.task {
                match Inside::of(task) {
                    Ok(inside) => return Ok(Held { seen: Seen::Running(inside), extent, rest: None }),
                    // Its end is about to be written down.
                    Err(TaskError::Gone { .. }) => {
                        drop(turn);
                        // The sender lives in `container`.
                        let _ = container.watch().wait_for(|now| now.ends > life.ends || now.removed).await;
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            if life.removed || matches!(life.state, ContainerState::Removing | ContainerState::Dead) {
                return Err(Failure::conflict(format!("container {} is being removed", container.id())));
            }
            return self.hold_at_rest(container, extent, turn).await;
        }
    }

    async fn hold_at_rest(&self, container: &Arc<Container>, extent: Extent, turn: OwnedMutexGuard<()>) -> Result<Held, Failure> {
        let record = container.record();
        let layers = self.shared.images.rootfs(&record.image).await?;
        let folder = container.folder();
        let root =
            RootfsSpec { lower: layers.dirs, upper: folder.join("upper"), work: folder.join("work"), read_only: false, volatile: false };
        let mut rest =
            AtRest { volumes: self.shared.volumes.clone(), id: container.id(), _fillings: Vec::new(), _layers: layers.guard, _turn: turn };
        let mut mounts = Vec::new();
        if extent == Extent::Whole {
            (mounts, rest._fillings) = self.mounts_of(&record).await?;
            // What is in memory is made anew at each start.
            mounts.retain(|mount| !matches!(mount.source, LaunchSource::Tmpfs { .. } | LaunchSource::Memory(_)));
            let files = match &record.spec.network {
                // Whose network it shares may be gone.
                NetworkMode::Container(name) => self.files_of(name).ok(),
                _ => Some(folder.to_owned()),
            };
            for name in launch_spec::FILES {
                if let Some(files) = files.as_ref().filter(|files| files.join(name).exists()) {
                    launch_spec::add_file(&mut mounts, files, name, record.spec.read_only);
                }
            }
        }
        Ok(Held { seen: Seen::Stopped { root, mounts }, extent, rest: Some(rest) })
    }
}

impl Held {
    /// Works on the files, on a thread of its own; they are held until the work is done, even if nobody waits for it any more.
    pub(in crate::engine) async fn work<T: Send + 'static>(
        self,
        work: impl FnOnce(BorrowedFd<'_>) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let Self { seen, extent, rest } = self;
        Ok(view::with_root(seen, extent, rest, work).await?)
    }
}
