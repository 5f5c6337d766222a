//! The client's verbs on volumes.

use std::collections::BTreeMap;

use crate::api::client::Client;
use crate::api::client::call::{Call, segment};
use crate::api::wire::answer::{self, Pruned};
use crate::api::wire::volume;
use crate::resource::failure::Failure;
use crate::resource::volume::{VolumeInfo, VolumeSpec};

impl Client {
    /// Returns the volumes that filters (`name`, `label`, `driver`, `dangling`) select, by name.
    pub async fn volumes(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<Vec<VolumeInfo>, Failure> {
        let body = self.transport.send(&Call::get("/volumes").filters(filters)).await?.json().await?;
        let mut volumes = volume::list_from_json(body)?;
        volumes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(volumes)
    }

    /// Returns a volume by name.
    pub async fn volume(&self, name: &str) -> Result<VolumeInfo, Failure> {
        let call = Call::get(format!("/volumes/{}", segment(name)));
        Ok(volume::from_json(self.transport.send(&call).await?.json().await?)?)
    }

    /// Makes a volume, or returns the one of that name; without a name it gets one.
    pub async fn create_volume(&self, name: Option<&str>, spec: &VolumeSpec) -> Result<VolumeInfo, Failure> {
        let call = Call::post("/volumes/create").json(&volume::create_to_json(name, spec));
        Ok(volume::from_json(self.transport.send(&call).await?.json().await?)?)
    }

    /// Removes a volume that no container uses; `force` forgives one that does not exist.
    pub async fn remove_volume(&self, name: &str, force: bool) -> Result<(), Failure> {
        self.change(Call::delete(format!("/volumes/{}", segment(name))).flag("force", force)).await
    }

    /// Removes every unused anonymous volume (`all=true`: every unused one) that the filters select; returns the names and the bytes given back.
    pub async fn prune_volumes(&self, filters: &BTreeMap<String, Vec<String>>) -> Result<(Vec<String>, u64), Failure> {
        let body = self.transport.send(&Call::post("/volumes/prune").filters(filters)).await?.json().await?;
        Ok(answer::prune_from_json(Pruned::Volumes, body)?)
    }
}
