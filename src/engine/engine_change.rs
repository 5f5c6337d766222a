//! The engine's verbs on what has become of containers: other limits, other files, other images.

use crate::engine::Engine;
use crate::resource::container::{CommitOptions, ContainerChange};
use crate::resource::failure::Failure;
use crate::resource::id::ImageId;
use crate::resource::path::PathChange;

impl Engine {
    /// Changes the limits and the restart policy of a container, running or not.
    pub async fn update_container(&self, name: &str, change: &ContainerChange) -> Result<(), Failure> {
        let (container, change) = (self.shared.containers.find(name)?, change.clone());
        self.whole(move |engine| async move { engine.update(&container, &change).await }).await
    }

    /// Returns the paths at which a container's root is not its image's, in order.
    pub async fn container_changes(&self, name: &str) -> Result<Vec<PathChange>, Failure> {
        self.difference(&self.shared.containers.find(name)?).await
    }

    /// Makes an image of a container.
    pub async fn commit_container(&self, name: &str, options: &CommitOptions) -> Result<ImageId, Failure> {
        let (container, options) = (self.shared.containers.find(name)?, options.clone());
        self.whole(move |engine| async move { engine.commit(&container, &options).await }).await
    }
}
