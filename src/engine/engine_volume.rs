//! The engine's verbs on volumes.

use std::collections::BTreeMap;

use crate::archive::discard::sizes_of;
use crate::engine::Engine;
use crate::engine::filter::Filters;
use crate::resource::event::EventKind;
use crate::resource::failure::{Failure, FailureKind};
use crate::resource::id::ContainerId;
use crate::resource::volume::{VolumeInfo, VolumeSpec};

/// Docker's label of a volume that nobody named.
const ANONYMOUS: &str = "com.docker.volume.anonymous";

impl Engine {
    /// Returns the volumes that filters (`name`, `label`, `driver`, `dangling`) select, by name.
    pub async fn volumes(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<Vec<VolumeInfo>, Failure> {
        let filters = Filters::of(filters, &["name", "label", "label!", "driver", "dangling"])?;
        let dangling = filters.flag("dangling")?;
        let mut found = Vec::new();
        for (volume, used) in self.shared.volumes.list() {
            let wanted = filters.any("driver", |driver| driver == volume.spec.driver)
                && dangling.is_none_or(|dangling| dangling != used)
                && filters.labels(&volume.spec.labels)
                && filters.occurs("name", volume.name.as_str());
            found.extend(wanted.then_some(volume));
        }
        Ok(found)
    }

    /// Returns a volume by name.
    pub async fn volume(&self, name: &str) -> Result<VolumeInfo, Failure> {
        Ok(self.shared.volumes.get(name)?)
    }

    /// Makes a volume, or returns the one of that name; without a name it gets one.
    pub async fn create_volume(&self, name: Option<&str>, spec: &VolumeSpec) -> Result<VolumeInfo, Failure> {
        let (volume, new) = match name.filter(|name| !name.is_empty()) {
            Some(name) => self.shared.volumes.create(name, spec, false)?,
            None => {
                let mut spec = spec.clone();
                spec.labels.entry(ANONYMOUS.to_owned()).or_default();
                self.shared.volumes.create(&drawn_name()?, &spec, true)?
            }
        };
        if new {
            self.tell_of_volume(&volume, "create");
        }
        Ok(volume)
    }

    /// Removes a volume that no container uses; `force` forgives one that does not exist.
    pub async fn remove_volume(&self, name: &str, force: bool) -> Result<(), Failure> {
        let removed = self.remove_unused_volume(name).await;
        match removed {
            Err(error) if force && error.kind == FailureKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    async fn remove_unused_volume(&self, name: &str) -> Result<(), Failure> {
        let volume = self.shared.volumes.get(name)?;
        let volumes = self.shared.volumes.clone();
        let gone = volume.name.to_string();
        on_a_thread(move || volumes.remove(&gone)).await??;
        self.tell_of_volume(&volume, "destroy");
        Ok(())
    }

    /// Removes every unused anonymous volume (`all=true`: every unused one) that the filters select; returns the names and the bytes given back.
    /// As in Docker, one with options of its driver stays: what it shows lies elsewhere.
    pub async fn prune_volumes(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<(Vec<String>, u64), Failure> {
        let filters = Filters::of(filters, &["all", "label", "label!"])?;
        let all = filters.flag("all")?.unwrap_or(false);
        let (mut names, mut reclaimed) = (Vec::new(), 0);
        for (volume, used) in self.shared.volumes.list() {
            // What mounts something from elsewhere is hardly local, whatever its driver is called (dockerd says the same).
            let is_local = volume.spec.options.is_empty();
            if used || !is_local || !(all || volume.anonymous) || !filters.labels(&volume.spec.labels) {
                continue;
            }
            let place = volume.mountpoint.clone();
            let size = on_a_thread(move || sizes_of(&place).1).await?;
            match self.remove_unused_volume(volume.name.as_str()).await {
                Ok(()) => {
                    names.push(volume.name.to_string());
                    reclaimed += size;
                }
                // Somebody came to use it, or took it away himself.
                Err(error) if matches!(error.kind, FailureKind::Conflict | FailureKind::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        self.tell_prune(EventKind::Volume, reclaimed);
        Ok((names, reclaimed))
    }

    fn tell_of_volume(&self, volume: &VolumeInfo, action: &str) {
        let attributes = BTreeMap::from([("driver".to_owned(), volume.spec.driver.clone())]);
        self.shared.ring.emit(EventKind::Volume, action, volume.name.as_str(), attributes);
    }
}

/// Sixty-four digits nobody has used before, as Docker names a volume.
fn drawn_name() -> Result<String, Failure> {
    let mut bytes = [0; 32];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| Failure::internal(format!("cannot draw a name: {error}")))?;
    Ok(ContainerId::from_bytes(bytes).to_string())
}

/// Runs what is bound by the disk away from the threads that serve requests.
pub(super) async fn on_a_thread<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(run).await.map_err(|error| Failure::internal(format!("the work on the disk was given up: {error}")))
}
