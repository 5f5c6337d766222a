//! How much of the disk an engine's things take.

use crate::archive::discard::sizes_of;
use crate::engine::Engine;
use crate::engine::engine_volume::on_a_thread;
use crate::resource::container::ContainerFilter;
use crate::resource::failure::Failure;
use crate::resource::image::ImageInfo;
use crate::resource::system::{ContainerUse, DiskQuestion, DiskUse};

impl Engine {
    /// Returns what takes how much of the disk.
    pub async fn disk_use(&self, asked: DiskQuestion) -> Result<DiskUse, Failure> {
        let mut found = DiskUse::default();
        if asked.images {
            let (layers, shared) = self.shared.images.shared_sizes();
            let usage = self.usage_with(Some(&shared));
            let line = |image: ImageInfo| {
                let usage = usage.get(&image.id).copied().unwrap_or_default();
                (image, usage)
            };
            found.layers = layers;
            found.images = Some(self.shared.images.list().into_iter().map(line).collect());
        }
        if asked.volumes {
            let mut volumes = Vec::new();
            // What is mounted there only while it is used lies elsewhere.
            for (volume, _) in self.shared.volumes.list().into_iter().filter(|(volume, _)| volume.spec.options.is_empty()) {
                let users = self.shared.volumes.user_count(volume.name.as_str()) as u64;
                let place = volume.mountpoint.clone();
                let size = on_a_thread(move || sizes_of(&place).0).await?;
                volumes.push((volume, users, size));
            }
            found.volumes = Some(volumes);
        }
        if asked.containers {
            let containers = self.containers(&ContainerFilter { all: true, ..ContainerFilter::default() }).await?;
            let mut sized = Vec::with_capacity(containers.len());
            for container in containers {
                let sizes = self.container_size(&container).await?;
                let image = self.image_name(&container);
                sized.push(ContainerUse { container, image, sizes });
            }
            found.containers = Some(sized);
        }
        if asked.build_cache {
            let engine = self.clone();
            found.build_cache = Some(on_a_thread(move || engine.build_cache()).await?);
        }
        Ok(found)
    }
}
