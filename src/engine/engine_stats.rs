//! The engine's verbs on what containers use, and on what lies on its disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::archive::discard::sizes_of;
use crate::engine::Engine;
use crate::engine::container::entry::Container;
use crate::engine::container::usage;
use crate::engine::engine_volume::on_a_thread;
use crate::engine::runtime::task::Task;
use crate::resource::container::{ContainerInfo, NetworkMode};
use crate::resource::failure::Failure;
use crate::resource::stats::{ContainerStats, Processor, Usage};
use crate::resource::time::Timestamp;

/// From one look to the next: Docker's.
const PACE: Duration = Duration::from_secs(1);

/// Looks at a container again and again.
pub struct StatsReader {
    container: Arc<Container>,
    before: Option<(Timestamp, Processor)>,
    looks: tokio::time::Interval,
}

impl Engine {
    /// Begins to look at what a container uses: each second, whether it runs or not, until it is removed.
    pub async fn container_stats(&self, name: &str) -> Result<StatsReader, Failure> {
        let container = self.shared.containers.find(name)?;
        // Use is told over time, and time is the subject here.
        let mut looks = interval_at(Instant::now(), PACE);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(StatsReader { container, before: None, looks })
    }
}

impl Engine {
    /// Returns the bytes a container wrote into its root itself, and those of all that its root holds.
    pub async fn container_size(&self, info: &ContainerInfo) -> Result<(u64, u64), Failure> {
        let upper = self.shared.containers.folder().join(info.id.to_string()).join("upper");
        let own = on_a_thread(move || sizes_of(&upper).1).await?;
        // A container outlives its image's record.
        let image = self.shared.images.get(&info.image.to_string()).map_or(0, |image| image.size);
        Ok((own, own + image))
    }
}

impl StatsReader {
    /// The next look; the first is at once. `None` when the container is gone.
    pub async fn next(&mut self) -> Option<ContainerStats> {
        let mut life = self.container.watch();
        tokio::select! {
            _ = self.looks.tick() => {}
            _ = life.wait_for(|life| life.removed) => return None,
        }
        let task = self.container.life().task;
        let usage = match task {
            Some(task) => self.look(task).await,
            None => None,
        };
        let before = self.before.take();
        self.before = usage.as_ref().map(|usage| (usage.read, usage.processor.clone()));
        Some(ContainerStats { id: self.container.id(), name: self.container.name(), usage, before })
    }

    async fn look(&self, task: Task) -> Option<Usage> {
        let own_network = self.container.spec().network != NetworkMode::Host;
        let looked = tokio::task::spawn_blocking(move || {
            let group = task.usage().ok()?;
            let processes = task.processes().ok()?;
            Some(usage::look(Path::new("/proc"), group, &processes, own_network.then(|| task.pid())))
        });
        looked.await.ok().flatten()
    }
}
