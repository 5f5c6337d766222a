//! What a container has changed of its image's files.

use std::sync::Arc;

use crate::archive::difference::{Difference, differences};
use crate::engine::Engine;
use crate::engine::container::entry::Container;
use crate::engine::runtime::launch::RootfsSpec;
use crate::engine::runtime::view::{self, Extent, Seen};
use crate::resource::container::ContainerState;
use crate::resource::failure::Failure;
use crate::resource::path::{PathChange, PathChangeKind};

impl Engine {
    /// Compares what a container wrote with its image. One that runs goes on meanwhile; one that does not stays as it is.
    pub(in crate::engine) async fn difference(&self, container: &Arc<Container>) -> Result<Vec<PathChange>, Failure> {
        let turn = container.turn().await;
        let life = container.life();
        if life.removed || matches!(life.state, ContainerState::Removing | ContainerState::Dead) {
            return Err(Failure::conflict(format!("container {} is being removed", container.id())));
        }
        // Its image as it is, without what the container wrote: that goes into a folder of nobody's.
        let layers = self.shared.images.rootfs(&container.record().image).await?;
        let scratch = self.shared.images.scratch()?;
        let root = RootfsSpec { lower: layers.dirs, upper: scratch.upper(), work: scratch.work(), read_only: true, volatile: true };
        let upper = container.folder().join("upper");
        let held = (layers.guard, scratch, turn);
        let seen = Seen::Stopped { root, mounts: Vec::new() };
        let found = view::with_root(seen, Extent::Root, held, move |below| differences(&upper, below)).await?;
        let found = found.map_err(|error| match std::error::Error::source(&error) {
            Some(cause) => Failure::internal(format!("{error}: {cause}")),
            None => Failure::internal(error.to_string()),
        })?;
        Ok(found.into_iter().map(|(path, difference)| change(&path.to_string_lossy(), difference)).collect())
    }
}

fn change(path: &str, difference: Difference) -> PathChange {
    let kind = match difference {
        Difference::Modified => PathChangeKind::Modified,
        Difference::Added => PathChangeKind::Added,
        Difference::Deleted => PathChangeKind::Deleted,
    };
    PathChange { path: path.to_owned(), kind }
}
